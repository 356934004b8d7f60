/** The slot ledger's item, for those that only look at it too: no other module than the store writes it. */
import { type AttributeValue, type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { ledgerError } from '../runtime/aws-errors.ts';
import type { LedgerState } from './rules.ts';

/** One account and Region has one IndexFaces quota, so the table has one item. */
export const LEDGER_KEY = { id: { S: 'index-faces' } };

/** @throws PipelineError `LedgerBusy`, `AccessDenied`, `MissingConfiguration` */
export async function readLedger(dynamodb: DynamoDBClient, table: string): Promise<LedgerState> {
  try {
    const { Item } = await dynamodb.send(
      new GetItemCommand({ TableName: table, Key: LEDGER_KEY, ConsistentRead: true }),
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
