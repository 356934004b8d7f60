import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ConditionalCheckFailedException,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { Level } from 'level';
import { startTables, type TableDefinition } from '../../local/tables.ts';

const folder = mkdtempSync(join(tmpdir(), 'rollcall-tables-'));
afterAll(() => rmSync(folder, { recursive: true }));

const create: TableDefinition['create'] = {
  AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
};

test('items are kept over restarts, those past their time to live are not; new tables are added', async () => {
  const path = join(folder, 'dynamodb');
  const records: TableDefinition = { name: 'records', create, expiry: 'expiration' };
  const first = await startTables(path, [records]);
  const now = Math.floor(Date.now() / 1000);
  for (const [id, expiration] of Object.entries({ past: now - 60, future: now + 3600 })) {
    const Item = { id: { S: id }, expiration: { N: String(expiration) } };
    await first.client.send(new PutItemCommand({ TableName: 'records', Item }));
  }
  await first.client.send(new PutItemCommand({ TableName: 'records', Item: { id: { S: 'forever' } } }));
  await first.stop();

  const second = await startTables(path, [records, { name: 'ledger', create, expiry: undefined }]);
  const { Items } = await second.client.send(new ScanCommand({ TableName: 'records' }));
  expect(Items?.map(({ id }) => id?.S).sort()).toEqual(['forever', 'future']);
  const { Item } = await second.client.send(
    new GetItemCommand({ TableName: 'ledger', Key: { id: { S: 'x' } } }),
  );
  expect(Item).toBeUndefined();
  await second.stop();
});

test('the idempotency record of a function that was ended with a run is none for the next one', async () => {
  const path = join(folder, 'taken');
  const records: TableDefinition = { name: 'records', create, expiry: 'expiration' };
  const first = await startTables(path, [records]);
  const end = String(Date.now() + 60_000);
  const expiration = { N: String(Math.floor(Date.now() / 1000) + 3600) };
  for (const [id, status] of Object.entries({ ended: 'COMPLETED', cut: 'INPROGRESS' })) {
    const Item = { id: { S: id }, status: { S: status }, in_progress_expiration: { N: end }, expiration };
    await first.client.send(new PutItemCommand({ TableName: 'records', Item }));
  }
  // Of somebody else's, and no record of Powertools.
  const Item = { id: { S: 'other' }, status: { S: 'INPROGRESS' }, expiration };
  await first.client.send(new PutItemCommand({ TableName: 'records', Item }));
  await first.stop();

  const second = await startTables(path, [records]);
  const { Items } = await second.client.send(new ScanCommand({ TableName: 'records' }));
  expect(Items?.map(({ id }) => id?.S).sort()).toEqual(['ended', 'other']);
  await second.stop();
});

test('a store that is still locked is waited for', async () => {
  const path = join(folder, 'locked');
  const records: TableDefinition = { name: 'records', create, expiry: undefined };
  await (await startTables(path, [records])).stop();
  const killed = new Level(path);
  await killed.open();
  const starting = startTables(path, [records]);
  await sleep(200);
  await killed.close();
  await (await starting).stop();
});

test('a store that cannot be read is said to be so', async () => {
  const path = join(folder, 'broken');
  await (await startTables(path, [])).stop();
  writeFileSync(join(path, 'CURRENT'), 'nothing');
  await expect(startTables(path, [])).rejects.toThrow(/broken cannot be read .*npm run local:reset/);
});

test('a refused write tells the item that it asked for, as DynamoDB does', async () => {
  const tables = await startTables(undefined, [{ name: 'records', create, expiry: undefined }]);
  const Item = { id: { S: 'one' }, count: { N: '3' } };
  await tables.client.send(new PutItemCommand({ TableName: 'records', Item }));
  const refused = (id: string, tells: 'ALL_OLD' | 'NONE') =>
    tables.client
      .send(
        new UpdateItemCommand({
          TableName: 'records',
          Key: { id: { S: id } },
          UpdateExpression: 'SET #count = :one',
          ConditionExpression: '#count = :one',
          ExpressionAttributeNames: { '#count': 'count' },
          ExpressionAttributeValues: { ':one': { N: '1' } },
          ReturnValuesOnConditionCheckFailure: tells,
        }),
      )
      .then(
        () => 'written',
        (error: ConditionalCheckFailedException) => [error.name, error.Item],
      );
  await expect(refused('one', 'ALL_OLD')).resolves.toEqual(['ConditionalCheckFailedException', Item]);
  await expect(refused('one', 'NONE')).resolves.toEqual(['ConditionalCheckFailedException', undefined]);
  await expect(refused('none', 'ALL_OLD')).resolves.toEqual(['ConditionalCheckFailedException', undefined]);
  await tables.stop();
});
