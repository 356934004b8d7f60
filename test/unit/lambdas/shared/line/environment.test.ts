import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  eventOwnersFromEnvironment,
  ledgerFromEnvironment,
  photographerCapFromEnvironment,
} from '../../../../../lambdas/shared/line/environment.ts';
import { dayOf } from '../../../../../lambdas/shared/line/rules.ts';
import { fakeClient } from '../../../../support/fake-client.ts';
import { withinOneDay } from '../../../../support/midnight.ts';

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

const config = { perSecond: 50, readsQuota: true, dailyImageCap: 1_000 };
const table = () =>
  fakeClient<DynamoDBClient>({ GetItem: () => ({}), UpdateItem: () => ({ Attributes: {} }) });

test('the ledger is the table that the function is told of', async () => {
  const { client, calls } = table();
  expect(() => ledgerFromEnvironment(config, { dynamodb: client })).toThrow(/LEDGER_TABLE/);
  process.env.LEDGER_TABLE = 'ledger';
  await ledgerFromEnvironment(config, { dynamodb: client }).read();
  await ledgerFromEnvironment(config, { dynamodb: client, item: 'search-faces' }).read();
  expect(calls.map(([, { TableName, Key }]) => [TableName, Key])).toEqual([
    ['ledger', { id: { S: 'index-faces' } }],
    ['ledger', { id: { S: 'search-faces' } }],
  ]);
  // With a client of its own, which is asked nothing here.
  expect(ledgerFromEnvironment(config)).toHaveProperty('takeSlot');
});

test('without a table for photographers nobody counts their images', () => {
  expect([photographerCapFromEnvironment(), eventOwnersFromEnvironment()]).toEqual([undefined, undefined]);
});

test('with one they are counted there, up to the configured number', async () => {
  await withinOneDay(5_000);
  process.env.PHOTOGRAPHERS_TABLE = 'photographers';
  expect(() => photographerCapFromEnvironment()).toThrow(/DAILY_IMAGES_PER_PHOTOGRAPHER/);
  process.env.DAILY_IMAGES_PER_PHOTOGRAPHER = '1';
  const { client, calls } = fakeClient<DynamoDBClient>({
    GetItem: () => ({
      Item: { id: { S: 'event#e1' }, day: { N: String(dayOf(Date.now())) }, images: { N: '1' } },
    }),
  });
  await expect(photographerCapFromEnvironment(client)!.check('e1')).rejects.toMatchObject({
    name: 'PhotographerCapReached',
  });
  expect(calls.map(([, { TableName }]) => TableName)).toEqual(['photographers']);
  expect([photographerCapFromEnvironment(), eventOwnersFromEnvironment()]).not.toContain(undefined);
});
