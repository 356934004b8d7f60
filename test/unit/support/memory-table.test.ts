/** The table in memory, which simulations stand on, answers what DynamoDB answers: to the ledger and to the limits of searches. */
import { DeleteItemCommand, type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { searchLimits } from '../../../lambdas/find-person/limits.ts';
import { slotLedger } from '../../../lambdas/shared/line/store.ts';
import { memoryTable } from '../../support/memory-table.ts';
import { useTable } from '../../support/table.ts';

const NOON = Date.parse('2026-05-01T12:00:00Z');

const table = useTable('table');

type Step = { pauseMs: number; what: 'take' | 'keep' | 'join' | 'slot' | 'throttle' };

/** What is said of each step, and what the table has in the end. */
async function history(dynamodb: DynamoDBClient, event: string, steps: readonly Step[]): Promise<unknown[]> {
  let nowMs = NOON;
  const clock = { dynamodb, table: 'table', now: () => nowMs };
  const limits = searchLimits({ ...clock, searchesPerEventHour: 4, searchesPerCallerHour: 3 });
  const sleep = async (ms: number) => {
    nowMs += ms;
  };
  const ledger = slotLedger(
    { ...clock, item: 'search-faces', random: () => 0.5, sleep },
    { perSecond: 5, dailyImageCap: 9 },
  );
  const told: unknown[] = [];
  for (const { pauseMs, what } of steps) {
    nowMs += pauseMs;
    const does = {
      take: () => limits.take({ event_id: event, caller: event }),
      keep: () => limits.keepPlace(event, nowMs + 10_000),
      join: () => ledger.joinLine({ lane: 'live', returning: false, throttles: 0 }),
      slot: () => ledger.takeSlot({ lane: 'live', placeMs: nowMs }),
      throttle: async () => ledger.reportThrottle(await ledger.takeSlot({ lane: 'live', placeMs: nowMs })),
    };
    told.push(await does[what]().catch(({ name }: Error) => name));
  }
  const { Item: item } = await dynamodb.send(
    new GetItemCommand({ TableName: 'table', Key: { id: { S: 'search-faces' } } }),
  );
  return [told, Object.entries(item ?? {}).sort()];
}

test('whatever is asked of it, in whatever order', async () => {
  let events = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          pauseMs: fc.integer({ min: 0, max: 2_000_000 }),
          what: fc.constantFrom<Step['what']>('take', 'keep', 'join', 'slot', 'throttle'),
        }),
        { minLength: 1, maxLength: 25 },
      ),
      async (steps) => {
        await table.client.send(
          new DeleteItemCommand({
            TableName: 'table',
            Key: { id: { S: 'search-faces' } },
          }),
        );
        const event = `event-${events++}`;
        const inMemory = memoryTable();
        expect(await history(inMemory, event, steps)).toEqual(await history(table.client, event, steps));
      },
    ),
    { numRuns: 15 },
  );
});
