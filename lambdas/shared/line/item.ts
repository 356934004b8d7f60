/** The slot ledger's item, for those that only look at it too: no other module than the store writes it. */
import { type AttributeValue, type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { ledgerError } from '../runtime/aws-errors.ts';
import type { LedgerState } from './rules.ts';

/** One account and Region has one quota of IndexFaces, and another one of searching: the table has an item for each. */
export type LedgerItem = 'index-faces' | 'search-faces';

export function ledgerKey(item: LedgerItem) {
  return { id: { S: item } };
}

/** @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration` */
export async function readLedger(
  dynamodb: DynamoDBClient,
  table: string,
  item: LedgerItem = 'index-faces',
): Promise<LedgerState> {
  try {
    const { Item } = await dynamodb.send(
      new GetItemCommand({ TableName: table, Key: ledgerKey(item), ConsistentRead: true }),
    );
    return decodeLedger(Item);
  } catch (error) {
    throw ledgerError(error);
  }
}

export function decodeLedger(item: Record<string, AttributeValue> = {}): LedgerState {
  return Object.fromEntries(
    Object.entries(item).flatMap(([name, value]) => (value.N === undefined ? [] : [[name, Number(value.N)]])),
  );
}
