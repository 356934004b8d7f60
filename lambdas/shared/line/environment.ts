/** The slot ledger as a function's environment names it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { environmentNames } from '../contract/names.ts';
import { clientOptions } from '../runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../runtime/environment.ts';
import { type EventOwners, eventOwners, type PhotographerCap, photographerCap } from './photographers.ts';
import type { LedgerDeps } from './remembered-item.ts';
import type { LedgerConfig } from './rules.ts';
import { type SlotLedger, slotLedger } from './store.ts';

/** @throws PipelineError `MissingConfiguration` */
export function ledgerFromEnvironment(
  config: LedgerConfig,
  given: Partial<Pick<LedgerDeps, 'dynamodb' | 'item'>> = {},
): SlotLedger {
  return slotLedger(
    {
      table: requireEnv(environmentNames.ledgerTable),
      now: Date.now,
      random: Math.random,
      sleep: (ms) => sleep(ms),
      dynamodb: given.dynamodb ?? new DynamoDBClient(clientOptions(3_000, 3)),
      ...(given.item && { item: given.item }),
    },
    config,
  );
}

/**
 * The cap of each photographer; undefined where there is none.
 *
 * @throws PipelineError `MissingConfiguration`
 */
export function photographerCapFromEnvironment(dynamodb?: DynamoDBClient): PhotographerCap | undefined {
  return capsPhotographers()
    ? photographerCap(
        photographersTable(dynamodb),
        requireNumberEnv(environmentNames.dailyImagesPerPhotographer),
      )
    : undefined;
}

/**
 * What tells that cap whose an event is; undefined where there is no cap.
 *
 * @throws PipelineError `MissingConfiguration`
 */
export function eventOwnersFromEnvironment(): EventOwners | undefined {
  return capsPhotographers() ? eventOwners(photographersTable()) : undefined;
}

function capsPhotographers(): boolean {
  return process.env[environmentNames.photographersTable] !== undefined;
}

function photographersTable(dynamodb = new DynamoDBClient(clientOptions(3_000, 3))) {
  return { dynamodb, table: requireEnv(environmentNames.photographersTable), now: Date.now };
}
