/**
 * How often one event, and one caller, may search: so that nobody collects an event's people search by search, and nobody's
 * searches are billed without end.
 *
 * Each has an item that holds one moment: when all that was used up will be earned again (the generic cell rate algorithm). A
 * search moves it by one share of an hour; it may lie an hour ahead. So N searches are possible at once and N an hour after
 * that, with one conditional write each, and an item that nobody uses says nothing and expires.
 */
import { createHash } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { PipelineError } from '../shared/contract/errors.ts';
import { type Item, readItem } from '../shared/line/item.ts';
import { writeItem } from '../shared/line/write.ts';

const HOUR_MS = 3_600_000;

/** Both writes fail only where another search's went through between them. */
const MAX_RACES = 20;

export interface SearchLimitsDeps {
  dynamodb: DynamoDBClient;
  /** Partition key `id`, time to live `expiration`. */
  table: string;
  /** Milliseconds since the epoch. */
  now(): number;
  searchesPerEventHour: number;
  searchesPerCallerHour: number;
}

export interface SearchLimits {
  /**
   * Counts one search. One write, or two with a caller.
   *
   * @returns after how many milliseconds there is room for it, where there is none now; else the place in line that was kept for
   *   the caller, milliseconds since the epoch, which is theirs once
   * @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
   */
  take(search: { event_id: string; caller?: string | undefined }): Promise<Taken>;
  /**
   * Keeps a place in line for a caller who was sent away. One write.
   *
   * @throws PipelineError as `take`
   */
  keepPlace(caller: string, placeMs: number): Promise<void>;
}

type Taken = { waitMs: number } | { placeMs: number | undefined };

/** Whoever comes later than this after their turn stands in line again. */
const PLACE_GOOD_FOR_MS = 60_000;

export function searchLimits(deps: SearchLimitsDeps): SearchLimits {
  return {
    async take({ event_id, caller }) {
      // The caller's first: whoever asks too much takes nothing from the event.
      const own =
        caller === undefined
          ? { placeMs: undefined }
          : await use(deps, callerKey(caller), deps.searchesPerCallerHour);
      if ('waitMs' in own) {
        return own;
      }
      const events = await use(deps, `event#${event_id}`, deps.searchesPerEventHour);
      return 'waitMs' in events ? events : own;
    },

    async keepPlace(caller, placeMs) {
      const place = Math.ceil(placeMs);
      await writeItem(deps, callerKey(caller), {
        premises: [],
        set: { place_ms: place, expiration: Math.ceil((place + HOUR_MS) / 1_000) },
      });
    },
  };
}

/** An account's name or address is nobody's business here: a digest tells two of them apart. */
function callerKey(caller: string): string {
  return `caller#${createHash('sha256').update(caller).digest('hex')}`;
}

async function use(deps: SearchLimitsDeps, id: string, perHour: number): Promise<Taken> {
  // Whole numbers, which DynamoDB and JavaScript add and compare alike.
  const share = Math.ceil(HOUR_MS / perHour);
  for (let race = 0; race < MAX_RACES; race++) {
    const nowMs = Math.floor(deps.now());
    const full = nowMs + share * (perHour - 1);
    const expiration = Math.ceil((nowMs + share * perHour) / 1_000);
    // Either it lies ahead and is moved on, whatever its value, or it is over and begins at now.
    const moved = await writeItem(
      deps,
      id,
      {
        premises: [
          { attribute: 'used_until_ms', atLeast: nowMs + 1 },
          { attribute: 'used_until_ms', below: full + 1 },
        ],
        add: { used_until_ms: share },
        set: { expiration },
        remove: ['place_ms'],
      },
      'ALL_OLD',
    );
    if ('item' in moved) {
      return placeOf(moved.item, nowMs);
    }
    const used = numberOf(moved.conflict ?? (await readItem(deps, id)), 'used_until_ms') ?? 0;
    if (used > full) {
      return { waitMs: used - full };
    }
    const begun = await writeItem(
      deps,
      id,
      {
        premises: [{ attribute: 'used_until_ms', below: nowMs + 1 }],
        set: { used_until_ms: nowMs + share, expiration },
        remove: ['place_ms'],
      },
      'ALL_OLD',
    );
    if ('item' in begun) {
      return placeOf(begun.item, nowMs);
    }
    // Another search began it in this moment, so that it lies ahead now.
  }
  throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races to count a search`);
}

function numberOf(item: Item, attribute: string): number | undefined {
  const number = item[attribute]?.N;
  return number === undefined ? undefined : Number(number);
}

function placeOf(item: Item, nowMs: number): Taken {
  const placeMs = numberOf(item, 'place_ms');
  return { placeMs: placeMs !== undefined && nowMs - placeMs <= PLACE_GOOD_FOR_MS ? placeMs : undefined };
}
