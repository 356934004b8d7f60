import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { decodeLedger, readItem, readLedger, turnsItem } from '../../../../../lambdas/shared/line/item.ts';
import { failing, fakeClient } from '../../../../support/fake-client.ts';

function table(answer: () => unknown) {
  const { client, calls } = fakeClient<DynamoDBClient>({ GetItem: answer });
  return { client, calls };
}

test('the item of IndexFaces is read as it is now, and that of searching where it is asked for', async () => {
  const { client, calls } = table(() => ({ Item: { id: { S: 'index-faces' }, line_ms: { N: '7.5' } } }));
  await expect(readLedger(client, 'ledger')).resolves.toEqual({ line_ms: 7.5 });
  await readLedger(client, 'ledger', 'search-faces');
  expect(calls).toEqual(
    ['index-faces', 'search-faces'].map((id) => [
      'GetItem',
      { TableName: 'ledger', Key: { id: { S: id } }, ConsistentRead: true },
    ]),
  );
});

test('where there is none it is empty', async () => {
  await expect(readItem({ dynamodb: table(() => ({})).client, table: 'ledger' }, 'x')).resolves.toEqual({});
});

test('a table that is not there is a mistake of the deployment', async () => {
  const { client } = table(failing('ResourceNotFoundException'));
  await expect(readLedger(client, 'ledger')).rejects.toMatchObject({ name: 'MissingConfiguration' });
});

test('of an item the numbers are read, nought among them, and nothing else', () => {
  expect(decodeLedger({ id: { S: 'x' }, images: { N: '0' }, turns: { M: {} } })).toEqual({ images: 0 });
  expect(turnsItem('e1')).toBe('turns#e1');
});
