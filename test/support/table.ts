import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { startTables, type Tables } from '../../local/tables.ts';

/**
 * A table of items by `id`, as the stack's are, in a DynamoDB of the test file's own.
 *
 * @param expiry the attribute of its time to live, if it has one
 */
export function useTable(name: string, expiry?: string): { readonly client: DynamoDBClient } {
  const folder = mkdtempSync(path.join(tmpdir(), `rollcall-${name}-`));
  let tables: Tables;
  beforeAll(async () => {
    tables = await startTables(path.join(folder, 'dynamodb'), [
      {
        name,
        create: {
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        },
        expiry,
      },
    ]);
  });
  afterAll(async () => {
    await tables.stop();
    rmSync(folder, { recursive: true });
  });
  return {
    get client() {
      return tables.client;
    },
  };
}
