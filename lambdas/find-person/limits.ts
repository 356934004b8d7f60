/**
 * How often one event, and one caller, may search: so that nobody collects an event's people search by search, and nobody's
 * searches are paid without end.
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
   * @returns after how many milliseconds there is room for it, where there is none now
   * @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
   */
  take(search: { event_id: string; caller?: string | undefined }): Promise<number | undefined>;
}

export function searchLimits(deps: SearchLimitsDeps): SearchLimits {
  return {
    async take({ event_id, caller }) {
      // The caller's first: whoever asks too much takes nothing from the event.
      if (caller !== undefined) {
        const wait = await use(deps, callerKey(caller), deps.searchesPerCallerHour);
        if (wait !== undefined) {
          return wait;
        }
      }
      return use(deps, `event#${event_id}`, deps.searchesPerEventHour);
    },
  };
}

/** An account's name or address is nobody's business here: a digest tells two of them apart. */
function callerKey(caller: string): string {
  return `caller#${createHash('sha256').update(caller).digest('hex')}`;
}

async function use(
  { dynamodb, table, now }: SearchLimitsDeps,
  id: string,
  perHour: number,
): Promise<number | undefined> {
  // Whole numbers, which DynamoDB and JavaScript add and compare alike.
  const share = Math.ceil(HOUR_MS / perHour);
  for (let race = 0; race < MAX_RACES; race++) {
    const nowMs = Math.floor(now());
    const full = nowMs + share * (perHour - 1);
    const expiration = Math.ceil((nowMs + share * perHour) / 1_000);
    // Either it lies ahead and is moved on, whatever its value, or it is over and begins at now.
    const moved = await write(dynamodb, table, id, {
      condition: '#used > :now AND #used <= :full',
      update: 'SET #used = #used + :share, #expiration = :expiration',
      values: { ':now': nowMs, ':full': full, ':share': share, ':expiration': expiration },
    });
    if (moved === 'written') {
      return undefined;
    }
    if ((moved.used ?? 0) > full) {
      return moved.used! - full;
    }
    const begun = await write(dynamodb, table, id, {
      condition: 'attribute_not_exists(#used) OR #used <= :now',
      update: 'SET #used = :begin, #expiration = :expiration',
      values: { ':now': nowMs, ':begin': nowMs + share, ':expiration': expiration },
    });
    if (begun === 'written') {
      return undefined;
    }
    // Another search began it in this moment, so that it lies ahead now.
  }
  throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races to count a search`);
}

async function read(
  dynamodb: DynamoDBClient,
  table: string,
  id: string,
): Promise<Record<string, AttributeValue> | undefined> {
  try {
    const { Item } = await dynamodb.send(
      new GetItemCommand({ TableName: table, Key: { id: { S: id } }, ConsistentRead: true }),
    );
    return Item;
  } catch (error) {
    throw ledgerError(error);
  }
}

async function write(
  dynamodb: DynamoDBClient,
  table: string,
  id: string,
  { condition, update, values }: { condition: string; update: string; values: Record<string, number> },
): Promise<'written' | { used: number | undefined }> {
  try {
    await dynamodb.send(
      new UpdateItemCommand({
        TableName: table,
        Key: { id: { S: id } },
        ConditionExpression: condition,
        UpdateExpression: update,
        ExpressionAttributeNames: { '#used': 'used_until_ms', '#expiration': 'expiration' },
        ExpressionAttributeValues: Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name, { N: String(value) }]),
        ),
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return 'written';
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw ledgerError(error);
    }
    // DynamoDB sends the item along when there is one.
    const item = error.Item ?? (await read(dynamodb, table, id));
    const used = item?.used_until_ms?.N;
    return { used: used === undefined ? undefined : Number(used) };
  }
}
