import { ScanCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { idempotent } from '../../lambdas/shared/runtime/idempotency.ts';
import { useTable } from '../support/table.ts';

const table = useTable('records', 'expiration');

const context = { getRemainingTimeInMillis: () => 60_000 } as Context;

test('the record of a function that died keeps others off until it would have timed out, and no longer', async () => {
  const once = idempotent<string>({ dynamodb: table.client, table: 'records', prefix: 'photo' });
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

  const { Items: [record] = [] } = await table.client.send(new ScanCommand({ TableName: 'records' }));
  expect(record).toMatchObject({ status: { S: 'INPROGRESS' } });
  // As if the minute were over.
  await table.client.send(
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
