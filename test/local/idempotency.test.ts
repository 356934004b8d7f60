import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ScanCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { idempotent } from '../../lambdas/shared/runtime/idempotency.ts';
import { startTables, type Tables } from '../../local/tables.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-records-'));
let tables: Tables;

beforeAll(async () => {
  tables = await startTables(path.join(folder, 'dynamodb'), [
    {
      name: 'records',
      create: {
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      },
      expiry: 'expiration',
    },
  ]);
});
afterAll(async () => {
  await tables.stop();
  rmSync(folder, { recursive: true });
});

const context = { getRemainingTimeInMillis: () => 60_000 } as Context;

test('the record of a function that died keeps others off until it would have timed out, and no longer', async () => {
  const once = idempotent<string>({ dynamodb: tables.client, table: 'records', prefix: 'photo' });
  const died = Promise.withResolvers<string>();
  const started = Promise.withResolvers<void>();
  void once(context, 'photo#v1', () => {
    started.resolve();
    return died.promise;
  });
  await started.promise;

  let calls = 0;
  const again = () =>
    once(context, 'photo#v1', async () => {
      calls++;
      return 'indexed';
    });
  await expect(again()).rejects.toMatchObject({ name: 'IdempotencyAlreadyInProgressError' });

  const { Items: [record] = [] } = await tables.client.send(new ScanCommand({ TableName: 'records' }));
  expect(record).toMatchObject({ status: { S: 'INPROGRESS' } });
  // As if the minute were over.
  await tables.client.send(
    new UpdateItemCommand({
      TableName: 'records',
      Key: { id: record!.id! },
      UpdateExpression: 'SET in_progress_expiration = :past',
      ExpressionAttributeValues: { ':past': { N: String(Date.now() - 1) } },
    }),
  );
  await expect(again()).resolves.toBe('indexed');
  await expect(again()).resolves.toBe('indexed');
  expect(calls).toBe(1);
});
