import { DeleteItemCommand, type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { decodeLedger, readItem, readLedger, turnsItem } from '../../../../../lambdas/shared/line/item.ts';
import type { PlaceInLine } from '../../../../../lambdas/shared/line/joining.ts';
import {
  apply,
  type Change,
  GATE_AHEAD_MS,
  holds,
  intervalAt,
  type LedgerAttribute,
  type LedgerConfig,
  type LedgerState,
  nextPlace,
  type Slot,
  takeSlot,
} from '../../../../../lambdas/shared/line/rules.ts';
import { type SlotLedger, slotLedger } from '../../../../../lambdas/shared/line/store.ts';
import { cases } from '../../../../support/effort.ts';
import { fakeClient } from '../../../../support/fake-client.ts';
import { loseAnswers } from '../../../../support/lost-answers.ts';
import { seededRandom } from '../../../../support/random.ts';
import { useTable } from '../../../../support/table.ts';

const TABLE = 'ledger';
const CLOSEST_MS = 20;
const config = { perSecond: 50 };

const table = useTable(TABLE);
let requests: string[];
/** Whether the answer to a request is lost, after DynamoDB has done what it was asked for. */
let isAnswerLost = (): boolean => false;

beforeAll(async () => {
  table.client.middlewareStack.add(
    (next, context) => (args) => {
      requests?.push(String(context.commandName));
      return next(args);
    },
    { step: 'initialize' },
  );
  loseAnswers(table.client, () => isAnswerLost());
});
beforeEach(async () => {
  isAnswerLost = () => false;
  await setItem({});
  requests = [];
});

/** Far from midnight, at which the day's images begin anew. */
const NOON = Date.parse('2026-05-01T12:00:00Z');
const random = seededRandom(1);

/** A function with its own memory of the ledger and its own clock, which sleeping moves. */
function fleetMember(clock = { now: NOON }, settings: LedgerConfig = config): SlotLedger {
  return slotLedger(
    {
      dynamodb: table.client,
      table: TABLE,
      now: () => clock.now,
      random,
      sleep: async (ms) => {
        clock.now += ms;
      },
    },
    settings,
  );
}

async function setItem(state: LedgerState): Promise<void> {
  const Key = { id: { S: 'index-faces' } };
  await table.client.send(new DeleteItemCommand({ TableName: TABLE, Key }));
  if (Object.keys(state).length > 0) {
    const attributes = Object.entries(state).map(([name, value]) => [name, { N: String(value) }] as const);
    await table.client.send(
      new PutItemCommand({ TableName: TABLE, Item: { ...Key, ...Object.fromEntries(attributes) } }),
    );
  }
}

const join = (ledger: SlotLedger) => ledger.joinLine({ lane: 'live', returning: false, throttles: 0 });

function expectSpaced(times: number[], closestMs = CLOSEST_MS): void {
  const sorted = [...times].sort((a, b) => a - b);
  for (let i = 1; i < sorted.length; i++) {
    expect(sorted[i]! - sorted[i - 1]!).toBeGreaterThanOrEqual(closestMs);
  }
}

describe('the quota that was read', () => {
  const at = (perSecond: number) => Math.ceil(100_000 / (perSecond * 0.998)) / 100;
  const interval = (state: LedgerState, readsQuota: boolean) =>
    intervalAt(state, { ...config, readsQuota }, NOON);

  test('is the pace, unless one is configured', async () => {
    await fleetMember().setQuota(120);
    const state = await fleetMember().read();
    expect(state).toEqual({ quota_per_second: 120, quota_changed_ms: expect.any(Number) });
    expect(interval(state, true)).toBe(at(120));
    expect(interval(state, false)).toBe(at(50));
    // Where it could never be read.
    expect(interval({}, true)).toBe(at(50));
  });

  test('reaches a function that has been at work before with its next place', async () => {
    const clock = { now: NOON };
    const member = fleetMember(clock, { ...config, readsQuota: true });
    const places = [await join(member), await join(member)];
    await fleetMember().setQuota(10);
    // The next two: one is given by what was remembered, and brings the news.
    places.push(await join(member), await join(member), await join(member));
    expect(places[4]! - places[3]!).toBeCloseTo(at(10), 1);
  });
});

describe('the quota while calls are made', () => {
  const reading = { ...config, readsQuota: true };

  test('is asked for by one of many callers, and again ten seconds later', async () => {
    let asked = 0;
    const ask = async () => {
      asked++;
      return 80;
    };
    const follow = (nowMs: number) => {
      const fleet = Array.from({ length: 20 }, () => fleetMember({ now: nowMs }, reading));
      return Promise.all(fleet.map((member) => member.followQuota(ask)));
    };
    const changes = (await follow(NOON)).filter(Boolean);
    expect(changes).toEqual([{ perSecond: 80, before: undefined }]);
    await follow(NOON + 9_999);
    expect(asked).toBe(1);
    expect((await follow(NOON + 10_000)).filter(Boolean)).toEqual([]);
    expect(asked).toBe(2);
  });

  test('stays where Service Quotas does not say, which is then left alone for ten minutes', async () => {
    await setItem({ quota_per_second: 30 });
    let asked = 0;
    const follow = (nowMs: number) =>
      fleetMember({ now: nowMs }, reading).followQuota(async () => {
        asked++;
        return null;
      });
    await follow(NOON);
    await follow(NOON + 600_000);
    expect(asked).toBe(1);
    await follow(NOON + 610_000);
    expect(asked).toBe(2);
    expect(await fleetMember().read()).toMatchObject({ quota_per_second: 30 });
  });

  test('is not asked for where one is configured', async () => {
    await fleetMember({ now: NOON }).followQuota(() => Promise.reject(new Error('asked')));
    expect(await fleetMember().read()).toEqual({});
  });
});

describe('many callers at once', () => {
  test('60 photos at once get 60 places, none twice', async () => {
    const fleet = Array.from({ length: 30 }, () => fleetMember());
    const places = await Promise.all(Array.from({ length: 60 }, (_, i) => join(fleet[i % 30]!)));
    expectSpaced(places);
    expect(Math.max(...places) - Math.min(...places)).toBeLessThan(60 * 21);
  });

  test('90 functions at once at the gate: those in reach get their own slots, the others go back', async () => {
    const clock = { now: NOON };
    const slow = { perSecond: 20 };
    const settled = await Promise.allSettled(
      Array.from({ length: 90 }, () =>
        fleetMember({ ...clock }, slow).takeSlot({ lane: 'live', placeMs: clock.now }),
      ),
    );
    const slots = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value.slotMs] : []));
    const errors = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason.name] : []));
    expectSpaced(slots, (CLOSEST_MS * config.perSecond) / slow.perSecond);
    expect(slots.length).toBe(Math.ceil(GATE_AHEAD_MS.live / intervalAt({}, slow, clock.now)));
    expect(new Set(errors)).toEqual(new Set(['SlotExpired']));
  });

  test('a slot costs one write when the function remembers the ledger, and no read', async () => {
    const ledger = fleetMember();
    await join(ledger);
    requests = [];
    await join(ledger);
    expect(requests).toEqual(['UpdateItemCommand']);
  });

  test('a congestion that 50 callers report is one cut', async () => {
    const slots = await Promise.all(
      Array.from({ length: 50 }, async () => fleetMember().takeSlot({ lane: 'live', placeMs: 0 })),
    );
    const fleet = slots.map(() => fleetMember());
    await Promise.all(slots.map((slot, i) => fleet[i]!.reportThrottle(slot)));
    const { cuts, cut_ms, interval_ms, throttled_interval_ms } = await fleet[0]!.read();
    expect(cuts).toBe(1);
    expect(interval_ms! / throttled_interval_ms!).toBeCloseTo(1.25, 5);
    // The next slot is further away for a function that knows of nothing, right after the cut.
    const stranger = fleetMember({ now: cut_ms! });
    const [first, second] = [
      await stranger.takeSlot({ lane: 'live', placeMs: 0 }),
      await stranger.takeSlot({ lane: 'live', placeMs: 0 }),
    ];
    expect(second.slotMs - first.slotMs).toBeGreaterThan(24);
  });

  test('a daily cap of 40 gives 40 slots to 60 callers', async () => {
    await fleetMember().setDailyImageCap(40);
    const now = NOON;
    const settled = await Promise.allSettled(
      Array.from({ length: 60 }, () => fleetMember({ now }).takeSlot({ lane: 'live', placeMs: now })),
    );
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(40);
    await expect(join(fleetMember())).rejects.toMatchObject({ name: 'DailyImageCapReached' });
    // What came to no billed call makes room for another; what was of another day does not.
    const [first] = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    await fleetMember().giveBack({ ...first!, day: first!.day - 1 });
    await expect(join(fleetMember())).rejects.toMatchObject({ name: 'DailyImageCapReached' });
    await fleetMember().giveBack(first!);
    await expect(fleetMember({ now }).takeSlot({ lane: 'live', placeMs: now })).resolves.toBeDefined();
    await expect(join(fleetMember())).rejects.toMatchObject({ name: 'DailyImageCapReached' });
    await fleetMember().setDailyImageCap(101);
    await expect(join(fleetMember())).resolves.toBeGreaterThan(0);
    await fleetMember().setDailyImageCap(undefined);
    await expect(fleetMember({ now }).takeSlot({ lane: 'live', placeMs: now })).resolves.toBeDefined();
  });

  test('an image is given back once, also where DynamoDB’s answer is lost', async () => {
    await setItem({ day: 20260501, images: 7 });
    const slot: Slot = { slotMs: NOON, intervalMs: 20, cuts: 0, day: 20260501 };
    isAnswerLost = () => true;
    await expect(fleetMember().giveBack(slot)).rejects.toMatchObject({ name: 'LedgerBusy' });
    isAnswerLost = () => false;
    await expect(fleetMember().read()).resolves.toMatchObject({ images: 6 });
    // What counts up is tried again by the SDK, and counts too much rather than too little.
    const [read, written] = [false, true];
    const lost = [read, written];
    isAnswerLost = () => lost.shift() ?? false;
    await fleetMember().takeSlot({ lane: 'live', placeMs: NOON });
    await expect(fleetMember().read()).resolves.toMatchObject({ images: 8 });
  });
});

describe('takeSlot', () => {
  test('sleeps until the place in line, then until the slot', async () => {
    const clock = { now: NOON };
    const start = clock.now;
    await setItem({ next_ms: start + 1_000 });
    const { slotMs } = await fleetMember(clock).takeSlot({ lane: 'live', placeMs: start + 640 });
    expect(slotMs).toBe(start + 1_000);
    expect(clock.now).toBe(start + 1_000);
  });

  test('an early place is given back, an old one is as good as a new one', async () => {
    const now = NOON;
    await expect(
      fleetMember({ now }).takeSlot({ lane: 'live', placeMs: now + 60_000 }),
    ).rejects.toMatchObject({
      name: 'SlotExpired',
    });
    await expect(fleetMember({ now }).takeSlot({ lane: 'live', placeMs: 0 })).resolves.toMatchObject({
      slotMs: now,
    });
  });

  test('a slot slept on is given back when indexing was paused meanwhile', async () => {
    const now = NOON;
    await setItem({ next_ms: now + 2_000 });
    const operator = fleetMember();
    const ledger = slotLedger(
      {
        dynamodb: table.client,
        table: TABLE,
        now: () => now,
        random,
        sleep: () => operator.pause(),
      },
      config,
    );
    await expect(ledger.takeSlot({ lane: 'live', placeMs: now })).rejects.toMatchObject({
      name: 'SlotExpired',
    });
    await expect(join(fleetMember())).rejects.toMatchObject({ name: 'IndexingPaused' });
    await operator.resume();
    await expect(join(ledger)).resolves.toBeGreaterThan(0);
  });

  test('a function that froze past its slot takes another one', async () => {
    const clock = { now: NOON };
    await setItem({ next_ms: clock.now + 2_000 });
    let frozen = false;
    const ledger = slotLedger(
      {
        dynamodb: table.client,
        table: TABLE,
        now: () => clock.now,
        random,
        sleep: async (ms) => {
          clock.now += frozen ? ms : ms + 5_000;
          frozen = true;
        },
      },
      config,
    );
    const { slotMs } = await ledger.takeSlot({ lane: 'live', placeMs: 0 });
    expect(clock.now - slotMs).toBeLessThanOrEqual(500);
    // The one that it slept through is not an image.
    expect((await ledger.read()).images).toBe(1);
  });

  test('a DynamoDB that takes seconds for everything does not keep a photo from its call', async () => {
    const clock = { now: NOON };
    let requests = 0;
    const slow = slotLedger(
      {
        dynamodb: {
          send: async (command: never) => {
            requests++;
            clock.now += 2_000;
            return table.client.send(command);
          },
        } as unknown as DynamoDBClient,
        table: TABLE,
        now: () => clock.now,
        random,
        sleep: async (ms) => {
          clock.now += ms;
        },
      },
      config,
    );
    await expect(slow.takeSlot({ lane: 'live', placeMs: 0 })).resolves.toBeDefined();
    expect(requests).toBeLessThanOrEqual(5);
  });
});

describe('joinLine', () => {
  test('a returning photo writes nothing and does not stand in line', async () => {
    const now = NOON;
    await setItem({ line_ms: now + 3_600_000 });
    requests = [];
    const place = await fleetMember({ now }).joinLine({ lane: 'live', returning: true, throttles: 0 });
    expect(place).toBe(now);
    expect(requests).toEqual(['GetItemCommand']);
  });

  test('backfill waits while the live line is long, and nobody is sent away by what a function remembers', async () => {
    const clock = { now: NOON };
    const ledger = fleetMember(clock);
    await setItem({ line_ms: clock.now + 5_000 });
    const backfill = () => ledger.joinLine({ lane: 'backfill', returning: false, throttles: 0 });
    await expect(backfill()).rejects.toMatchObject({ name: 'BackfillWaits' });
    await setItem({ line_ms: clock.now + 1_000 });
    await expect(backfill()).resolves.toBe(clock.now);
  });
});

describe('by turns', () => {
  beforeEach(async () => {
    for (const event of ['large', 'small', 'held']) {
      await table.client.send(
        new DeleteItemCommand({ TableName: TABLE, Key: { id: { S: `turns#${event}` } } }),
      );
    }
  });

  const turnsOf = async (event: string) =>
    decodeLedger(await readItem({ dynamodb: table.client, table: TABLE }, turnsItem(event)));

  /** One photo after the other, where it is about what comes after them: who is in each other's way writes many times. */
  async function line(clock: { now: number }, { photos = 100, areTogether = false } = {}) {
    const fleet = Array.from({ length: 10 }, () => fleetMember(clock));
    const places: PlaceInLine[] = [];
    for (let from = 0; from < photos; from += areTogether ? photos : 1) {
      const members = areTogether ? Array.from({ length: photos }, (_, i) => fleet[i % 10]!) : [fleet[0]!];
      places.push(...(await Promise.all(members.map((member) => member.joinByTurns({ key: 'large' })))));
    }
    return { fleet, places };
  }

  test('the photos of one event that come together get a place each, one interval apart', async () => {
    const clock = { now: NOON };
    const { places } = await line(clock, { areTogether: true });
    expectSpaced(places.map(({ placeMs }) => placeMs));
    expect((await turnsOf('large')).photos).toBe(100);
  });

  test('those of a small event stand before those of a large one, whoever asks', async () => {
    const clock = { now: NOON };
    const { fleet } = await line(clock);
    clock.now += 500;
    const small = await Promise.all(fleet.slice(0, 5).map((each) => each.joinByTurns({ key: 'small' })));
    for (const { placeMs } of small) {
      expect(placeMs - clock.now).toBeLessThan(400);
    }
    const last = await fleet[5]!.joinByTurns({ key: 'large' });
    expect(last.placeMs - clock.now).toBeGreaterThan(1_400);
  });

  test('costs two writes, and expires by itself', async () => {
    const clock = { now: NOON };
    const member = fleetMember(clock);
    await member.joinByTurns({ key: 'large' });
    requests = [];
    await member.joinByTurns({ key: 'large' });
    expect(requests).toEqual(['UpdateItemCommand', 'UpdateItemCommand']);
    const { expiration } = await turnsOf('large');
    expect(expiration! * 1_000 - NOON).toBeGreaterThanOrEqual(86_400_000);
    expect(expiration! * 1_000 - NOON).toBeLessThan(2 * 86_400_000);
  });

  test('takes no turn while the line is held', async () => {
    await fleetMember().pause();
    await expect(fleetMember().joinByTurns({ key: 'held' })).rejects.toMatchObject({
      name: 'IndexingPaused',
    });
    expect(await turnsOf('held')).toEqual({});
  });

  test('who is sent back before its turn is not counted again, and who lost its turn is', async () => {
    const clock = { now: NOON };
    const { fleet, places } = await line(clock);
    const photo = places.at(-1)!;
    const again = await fleet[0]!.joinByTurns({ key: 'large', round: photo.round });
    expect(again.placeMs).toBeGreaterThan(photo.placeMs);
    expect((await turnsOf('large')).photos).toBe(100);
    expect((await fleetMember(clock).read()).line_ms).toBeGreaterThan(again.placeMs);
    clock.now += 60_000;
    await fleet[1]!.joinByTurns({ key: 'large', round: photo.round });
    expect(await turnsOf('large')).toMatchObject({ photos: 101 });
  });

  test('at a crowded gate an event that has had its turns goes back, and another one passes', async () => {
    const clock = { now: NOON };
    const { fleet } = await line(clock);
    await Promise.all(fleet.map((each) => each.joinByTurns({ key: 'small' })));
    const { round } = await fleet[0]!.joinByTurns({ key: 'small' });
    clock.now += 200;
    await setItem({ ...(await fleetMember(clock).read()), next_ms: clock.now + 1_500 });
    const member = fleetMember(clock);
    const take = async (key: string, by?: number) => {
      const before = clock.now;
      const slot = await member.takeSlot({ lane: 'live', placeMs: 0, fair: { key, round: by } });
      clock.now = before;
      await setItem({ ...(await member.read()), next_ms: clock.now + 1_500 });
      return slot;
    };
    const refused = async () => {
      for (let photo = 0; photo < 60; photo++) {
        await take('large', 60);
      }
    };
    await expect(refused()).rejects.toMatchObject({
      name: 'SlotExpired',
      message: expect.stringContaining('its event has had its turns'),
    });
    await expect(take('small', round)).resolves.toBeDefined();
    // What older code put into line, and what had its turn already, is not asked.
    await expect(take('large')).resolves.toBeDefined();
  });

  test('where the gate has room its round follows who passes, with the same write as its slot', async () => {
    const clock = { now: NOON };
    const { fleet } = await line(clock);
    await Promise.all(fleet.map((each) => each.joinByTurns({ key: 'small' })));
    clock.now += 200;
    const member = fleetMember(clock);
    const rounds: number[] = [];
    for (let photo = 0; photo < 100; photo++) {
      const before = clock.now;
      await setItem({ ...(await member.read()), next_ms: before });
      await member.read();
      requests = [];
      await member.takeSlot({ lane: 'live', placeMs: 0, fair: { key: 'large', round: 500 } });
      expect(requests.filter((request) => request === 'UpdateItemCommand')).toHaveLength(2);
      clock.now = before;
      const { gate_round = 0 } = await member.read();
      rounds.push(gate_round);
    }
    // Nobody else comes, so it is not held up before anybody: a quarter of a round for each of its first photos.
    expect(rounds.at(-1)).toBeGreaterThan(5);
    expect(rounds.toSorted((a, b) => a - b)).toEqual(rounds);
  });

  test('an event alone takes no turn at the gate', async () => {
    const clock = { now: NOON };
    const { fleet, places } = await line(clock, { photos: 30 });
    requests = [];
    await fleet[0]!.takeSlot({ lane: 'live', placeMs: 0, fair: { key: 'large', round: places[0]!.round } });
    expect(requests).toEqual(['UpdateItemCommand']);
  });
});

test('reads what was written last: an answer of a moment ago could still know of no pause', async () => {
  const dynamodb = fakeClient<DynamoDBClient>({ GetItem: () => ({}) });
  await readLedger(dynamodb.client, 'ledger');
  expect(dynamodb.calls).toMatchObject([['GetItem', { TableName: 'ledger', ConsistentRead: true }]]);
});

describe('errors of DynamoDB', () => {
  const broken = (name: string, status = 400) =>
    slotLedger(
      {
        dynamodb: {
          send: () =>
            Promise.reject(Object.assign(new Error('no'), { name, $metadata: { httpStatusCode: status } })),
        } as unknown as DynamoDBClient,
        table: TABLE,
        now: () => NOON,
        random,
        sleep: async () => {},
      },
      config,
    );

  test.each([
    ['ProvisionedThroughputExceededException', 'LedgerBusy', 400],
    ['ThrottlingException', 'LedgerBusy', 400],
    ['InternalServerError', 'LedgerBusy', 500],
    ['TimeoutError', 'LedgerBusy', 0],
    ['AccessDeniedException', 'AccessDenied', 400],
    ['ResourceNotFoundException', 'MissingConfiguration', 400],
    ['ValidationException', 'InternalError', 400],
  ])('%s becomes %s', async (thrown, name, status) => {
    const ledger = broken(thrown, status);
    const slot: Slot = { slotMs: 0, intervalMs: 20, cuts: 0, day: 0 };
    await expect(join(ledger)).rejects.toMatchObject({ name, message: expect.stringContaining(thrown) });
    await expect(ledger.takeSlot({ lane: 'live', placeMs: 0 })).rejects.toMatchObject({ name });
    await expect(ledger.reportThrottle(slot)).rejects.toMatchObject({ name });
  });

  test('a table that is not there is a missing configuration', async () => {
    const ledger = slotLedger(
      { dynamodb: table.client, table: 'no-such-table', now: () => NOON, random, sleep: async () => {} },
      config,
    );
    await expect(join(ledger)).rejects.toMatchObject({ name: 'MissingConfiguration' });
  });
});

test('DynamoDB’s conditions and updates mean what the simulations make of them', async () => {
  const NOW = 1_780_000_000_000;
  const time = fc.integer({ min: NOW - 5_000, max: NOW + 5_000 });
  const state = fc.record<LedgerState>(
    {
      line_ms: time,
      backfill_ms: time,
      next_ms: time,
      cuts: fc.nat(2),
      paused_ms: fc.constant(NOW),
      daily_image_cap: fc.nat(3),
      day: fc.constantFrom(20260527, 20260528, 20260529),
      images: fc.nat(3),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<LedgerState>;
  const lane = fc.constantFrom('live' as const, 'backfill' as const);
  await fc.assert(
    fc.asyncProperty(
      state,
      state,
      lane,
      fc.constantFrom(nextPlace, takeSlot),
      async (seen, item, lane, decide) => {
        const decision = decide(seen, config, { nowMs: NOW, lane });
        fc.pre('change' in decision);
        const change = (decision as { change: Change }).change;
        await setItem(item);
        // A function that remembers `seen` while the table holds `item`; its first write is the one that is looked at.
        let written: LedgerState | undefined;
        let looked = false;
        let hasWritten = false;
        const spy = slotLedger(
          {
            dynamodb: {
              send: async (command: { constructor: { name: string } }) => {
                if (command.constructor.name === 'GetItemCommand') {
                  if (looked) {
                    throw new Error('the first write is over');
                  }
                  looked = true;
                  return { Item: encode(seen) };
                }
                if (hasWritten) {
                  throw new Error('the first write is over');
                }
                hasWritten = true;
                const output = await table.client.send(command as never);
                written = decode((output as { Attributes: Record<string, { N?: string }> }).Attributes);
                return output;
              },
            } as unknown as DynamoDBClient,
            table: TABLE,
            now: () => NOW,
            random,
            sleep: async () => {},
          },
          config,
        );
        const attempt =
          decide === nextPlace
            ? spy.joinLine({ lane, returning: false, throttles: 0 })
            : spy.takeSlot({ lane, placeMs: 0 });
        await attempt.catch(() => {});
        expect(written).toEqual(holds(item, change) ? apply(item, change) : undefined);
      },
    ),
    { numRuns: cases(50) },
  );
});

function encode(state: LedgerState): Record<string, { N: string }> {
  return Object.fromEntries(Object.entries(state).map(([name, value]) => [name, { N: String(value) }]));
}

function decode(item: Record<string, { N?: string }>): LedgerState {
  return Object.fromEntries(
    Object.entries(item)
      .filter(([, value]) => value.N !== undefined)
      .map(([name, value]) => [name as LedgerAttribute, Number(value.N)]),
  );
}
