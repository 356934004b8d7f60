/** The slot ledger's item, for those that only look at it too: nobody writes it but through `line/store.ts`. */
import { type AttributeValue, type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { ledgerError } from '../runtime/aws-errors.ts';
import type { LedgerState } from './rules.ts';
import type { EventTurns } from './turns.ts';

/** One account and Region has one quota of IndexFaces, and another one of searching: the table has an item for each. */
export type LedgerItem = 'index-faces' | 'search-faces';

export type Item = Record<string, AttributeValue>;

/** The item of those who take turns with others in the line: an event's, whose key it is. */
export function turnsItem(key: string): string {
  return `turns#${key}`;
}

/** @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration` */
export async function readLedger(
  dynamodb: DynamoDBClient,
  table: string,
  item: LedgerItem = 'index-faces',
): Promise<LedgerState> {
  return decodeLedger(await readItem({ dynamodb, table }, item));
}

/**
 * The item as it is now; empty where there is none.
 *
 * @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration`
 */
export async function readItem(
  { dynamodb, table }: { dynamodb: DynamoDBClient; table: string },
  id: string,
): Promise<Item> {
  try {
    const { Item = {} } = await dynamodb.send(
      new GetItemCommand({ TableName: table, Key: { id: { S: id } }, ConsistentRead: true }),
    );
    return Item;
  } catch (error) {
    throw ledgerError(error);
  }
}

/** The numbers of an item, of either kind. */
export function decodeLedger(item: Item): LedgerState & EventTurns {
  return Object.fromEntries(
    Object.entries(item).flatMap(([name, value]) => (value.N === undefined ? [] : [[name, Number(value.N)]])),
  );
}
