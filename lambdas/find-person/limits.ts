/**
 * How often one event, and one caller, may search: so that nobody collects an event's people search by search, and nobody's
 * searches are billed without end.
 *
 * Each has an item that holds one moment: when all that was used up will be earned again (the generic cell rate algorithm). A
 * search moves it by one share of an hour; it may lie an hour ahead. So N searches are possible at once and N an hour after
 * that, with one conditional write each, and an item that nobody uses says nothing and expires.
 */
import { createHash } from 'node:crypto';
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { PipelineError } from '../shared/contract/errors.ts';
import { ledgerError } from '../shared/runtime/aws-errors.ts';

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
      await write(deps, callerKey(caller), {
        update: 'SET #place = :place, #expiration = :expiration',
        values: {
          ':place': place,
          ':expiration': Math.ceil((place + HOUR_MS) / 1_000),
        },
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
    const moved = await write(deps, id, {
      condition: '#used > :now AND #used <= :full',
      update: 'SET #used = #used + :share, #expiration = :expiration REMOVE #place',
      values: { ':now': nowMs, ':full': full, ':share': share, ':expiration': expiration },
    });
    if (moved.isWritten) {
      return placeOf(moved.before, nowMs);
    }
    const used = numberOf(moved.before, 'used_until_ms') ?? 0;
    if (used > full) {
      return { waitMs: used - full };
    }
    const begun = await write(deps, id, {
      condition: 'attribute_not_exists(#used) OR #used <= :now',
      update: 'SET #used = :begin, #expiration = :expiration REMOVE #place',
      values: { ':now': nowMs, ':begin': nowMs + share, ':expiration': expiration },
    });
    if (begun.isWritten) {
      return placeOf(begun.before, nowMs);
    }
    // Another search began it in this moment, so that it lies ahead now.
  }
  throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races to count a search`);
}

type Item = Record<string, AttributeValue>;

function numberOf(item: Item | undefined, attribute: string): number | undefined {
  const number = item?.[attribute]?.N;
  return number === undefined ? undefined : Number(number);
}

function placeOf(item: Item | undefined, nowMs: number): Taken {
  const placeMs = numberOf(item, 'place_ms');
  return { placeMs: placeMs !== undefined && nowMs - placeMs <= PLACE_GOOD_FOR_MS ? placeMs : undefined };
}

async function read({ dynamodb, table }: SearchLimitsDeps, id: string): Promise<Item | undefined> {
  try {
    const { Item } = await dynamodb.send(
      new GetItemCommand({ TableName: table, Key: { id: { S: id } }, ConsistentRead: true }),
    );
    return Item;
  } catch (error) {
    throw ledgerError(error);
  }
}

const ATTRIBUTES = { '#used': 'used_until_ms', '#expiration': 'expiration', '#place': 'place_ms' } as const;

/** @returns the item as it was before, written or not */
async function write(
  deps: SearchLimitsDeps,
  id: string,
  { condition, update, values }: { condition?: string; update: string; values: Record<string, number> },
): Promise<{ isWritten: boolean; before: Item | undefined }> {
  const said = `${condition ?? ''} ${update}`;
  try {
    const { Attributes } = await deps.dynamodb.send(
      new UpdateItemCommand({
        TableName: deps.table,
        Key: { id: { S: id } },
        ...(condition !== undefined && { ConditionExpression: condition }),
        UpdateExpression: update,
        // DynamoDB refuses names that nothing uses.
        ExpressionAttributeNames: Object.fromEntries(
          Object.entries(ATTRIBUTES).filter(([name]) => said.includes(name)),
        ),
        ExpressionAttributeValues: Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, { N: String(value) }]),
        ),
        ReturnValues: 'ALL_OLD',
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return { isWritten: true, before: Attributes };
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw ledgerError(error);
    }
    // DynamoDB sends the item along when there is one.
    return { isWritten: false, before: error.Item ?? (await read(deps, id)) };
  }
}
