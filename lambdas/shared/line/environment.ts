/** The slot ledger as a function's environment names it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { environmentNames } from '../contract/names.ts';
import { clientOptions } from '../runtime/clients.ts';
import { requireEnv } from '../runtime/environment.ts';
import type { LedgerConfig } from './rules.ts';
import { type LedgerDeps, type SlotLedger, slotLedger } from './store.ts';

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
