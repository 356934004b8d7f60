import { createHash } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { searchLimits } from '../../../lambdas/find-person/limits.ts';
import { fakeClient } from '../../support/fake-client.ts';
import { memoryTable } from '../../support/memory-table.ts';
import { useTable } from '../../support/table.ts';

const NOON = Date.parse('2026-05-01T12:00:00Z');
const HOUR_MS = 3_600_000;
/** A search that may be, of a caller without a place in line. */
const ROOM = { placeMs: undefined };

const table = useTable('limits', 'expiration');

function limitsAt(
  clock: { now: number },
  { perEvent = 1_000, perCaller = 1_000, dynamodb = table.client } = {},
) {
  return searchLimits({
    dynamodb,
    table: 'limits',
    now: () => clock.now,
    searchesPerEventHour: perEvent,
    searchesPerCallerHour: perCaller,
  });
}

let events = 0;
const newEvent = () => `event-${events++}`;

test('an event: so many at once, then one for each share of an hour, and what is told is true', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 1, maxLength: 30 }),
      async (perEvent, pauses) => {
        const event_id = newEvent();
        const clock = { now: NOON };
        const limits = limitsAt(clock, { perEvent });
        const taken: number[] = [];
        for (const pause of pauses) {
          clock.now += pause;
          const answer = await limits.take({ event_id });
          if (!('waitMs' in answer)) {
            taken.push(clock.now);
            continue;
          }
          // Not a moment sooner, and at that moment.
          clock.now += answer.waitMs - 1;
          expect(await limits.take({ event_id })).toEqual({ waitMs: 1 });
          clock.now += 1;
          expect(await limits.take({ event_id })).toEqual(ROOM);
          taken.push(clock.now);
        }
        for (const [i, from] of taken.entries()) {
          const within = taken.slice(i).filter((at) => at - from < HOUR_MS).length;
          // As many at once as in an hour, and an hour's worth earned meanwhile.
          expect(within).toBeLessThanOrEqual(2 * perEvent);
        }
      },
    ),
    { numRuns: 10 },
  );
});

test('searches at the same moment are all counted', async () => {
  const event_id = newEvent();
  const limits = limitsAt({ now: NOON }, { perEvent: 10 });
  const answers = await Promise.all(Array.from({ length: 25 }, () => limits.take({ event_id })));
  expect(answers.filter((answer) => !('waitMs' in answer))).toHaveLength(10);
});

test('a caller who asks too much is stopped in every event, and takes nothing from the others', async () => {
  const limits = limitsAt({ now: NOON }, { perCaller: 3, perEvent: 5 });
  const [one, other] = [newEvent(), newEvent()];
  const caller = `caller of ${one}`;
  for (let i = 0; i < 3; i++) {
    expect(await limits.take({ event_id: one, caller })).toEqual(ROOM);
  }
  for (let i = 0; i < 10; i++) {
    expect(await limits.take({ event_id: other, caller })).toEqual({ waitMs: expect.any(Number) });
  }
  for (let i = 0; i < 5; i++) {
    expect(await limits.take({ event_id: other, caller: `${caller} ${i}` })).toEqual(ROOM);
  }
});

test('who asked is not in the table, and every item expires', async () => {
  await limitsAt({ now: NOON }).take({ event_id: newEvent(), caller: 'anna@example.org' });
  const { Items: items = [] } = await table.client.send(new ScanCommand({ TableName: 'limits' }));
  expect(items.length).toBeGreaterThan(0);
  expect(JSON.stringify(items)).not.toContain('anna');
  for (const { expiration } of items) {
    expect(Number(expiration?.N)).toBeGreaterThan(NOON / 1_000);
  }
});

test('a place in line is kept for its caller, once, for a minute after its turn', async () => {
  const clock = { now: NOON };
  const limits = limitsAt(clock);
  const search = (caller: string) => limits.take({ event_id: newEvent(), caller });
  const mine = `mine ${newEvent()}`;
  expect(await search(mine)).toEqual({ placeMs: undefined });
  await limits.keepPlace(mine, NOON + 20_000.5);
  expect(await search(`other ${mine}`)).toEqual({ placeMs: undefined });
  clock.now += 20_001;
  expect(await search(mine)).toEqual({ placeMs: NOON + 20_001 });
  expect(await search(mine)).toEqual({ placeMs: undefined });
  // Of somebody who has not searched before, too: their limit begins with it.
  const late = `late ${mine}`;
  await limits.keepPlace(late, clock.now);
  clock.now += 60_001;
  expect(await search(late)).toEqual({ placeMs: undefined });
});

describe('in numbers', () => {
  /** A quarter of an hour each. */
  function counting(perHour = 4) {
    const clock = { now: NOON };
    const dynamodb = memoryTable();
    return {
      clock,
      limits: limitsAt(clock, { perEvent: perHour, perCaller: perHour, dynamodb }),
      /** Its times, from noon on. */
      async item(key: string) {
        const { Item = {} } = await dynamodb.send(
          new GetItemCommand({ TableName: 'limits', Key: { id: { S: key } } }),
        );
        const from = (name: string, noon: number) => Item[name]?.N && Number(Item[name].N) - noon;
        return {
          usedMs: from('used_until_ms', NOON),
          placeMs: from('place_ms', NOON),
          expirationS: from('expiration', NOON / 1_000),
        };
      },
    };
  }

  test('a search uses its share of an hour up, and the item is kept until all is earned again', async () => {
    const { clock, limits, item } = counting();
    clock.now += 0.5;
    await limits.take({ event_id: 'e' });
    expect(await item('event#e')).toEqual({ usedMs: 900_000, expirationS: 3_600 });
    clock.now = NOON + 10_001;
    await limits.take({ event_id: 'e' });
    expect(await item('event#e')).toEqual({ usedMs: 1_800_000, expirationS: 3_611 });
    await limits.take({ event_id: 'e' });
    clock.now = NOON;
    await limits.take({ event_id: 'e' });
    expect(await limits.take({ event_id: 'e' })).toEqual({ waitMs: 900_000 });
    clock.now = NOON + 899_999;
    expect(await limits.take({ event_id: 'e' })).toEqual({ waitMs: 1 });
    clock.now = NOON + 900_000;
    expect(await limits.take({ event_id: 'e' })).toEqual(ROOM);
    // A millisecond before its end it goes on, and one after it begins anew.
    clock.now = NOON + 4_499_999;
    await limits.take({ event_id: 'e' });
    expect((await item('event#e')).usedMs).toBe(5_400_000);
    clock.now = NOON + 5_400_001;
    await limits.take({ event_id: 'e' });
    expect((await item('event#e')).usedMs).toBe(6_300_001);
  });

  test('shares are whole milliseconds, rounded up', async () => {
    const { limits, item } = counting(7);
    await limits.take({ event_id: 'e' });
    expect(await item('event#e')).toEqual({ usedMs: 514_286, expirationS: 3_601 });
  });

  const callerKey = (caller: string) => `caller#${createHash('sha256').update(caller).digest('hex')}`;

  test('a place is kept by the caller’s digest, an hour longer than its turn', async () => {
    const { limits, item } = counting();
    await limits.keepPlace('anna', NOON + 20_000.5);
    expect(await item(callerKey('anna'))).toEqual({ placeMs: 20_001, expirationS: 3_621 });
  });

  test.each([
    [60_000, true],
    [60_001, false],
  ])('%s ms after its turn a place is kept: %s', async (lateMs, isKept) => {
    const { clock, limits } = counting();
    await limits.keepPlace('anna', NOON);
    clock.now += lateMs;
    expect(await limits.take({ event_id: 'e', caller: 'anna' })).toEqual({
      placeMs: isKept ? NOON : undefined,
    });
  });

  test('a place is given once, also to who has searched before', async () => {
    const { limits, item } = counting();
    await limits.take({ event_id: 'e', caller: 'anna' });
    await limits.keepPlace('anna', NOON);
    expect(await limits.take({ event_id: 'e', caller: 'anna' })).toEqual({ placeMs: NOON });
    expect(await limits.take({ event_id: 'e', caller: 'anna' })).toEqual(ROOM);
    expect(await item(callerKey('anna'))).toMatchObject({ usedMs: 2_700_000 });
  });

  test('whoever loses twenty races comes back', async () => {
    const { client, calls } = fakeClient<DynamoDBClient>({
      UpdateItem: () => {
        throw new ConditionalCheckFailedException({
          $metadata: {},
          message: 'refused',
          Item: { used_until_ms: { N: String(NOON) } },
        });
      },
    });
    const limits = limitsAt({ now: NOON }, { perEvent: 4, dynamodb: client });
    await expect(limits.take({ event_id: 'e' })).rejects.toMatchObject({
      name: 'LedgerBusy',
      message: 'Lost 20 races to count a search',
    });
    expect(calls).toHaveLength(40);
  });
});
