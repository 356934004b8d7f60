import fc from 'fast-check';
import type { Lane } from '../../../../../lambdas/shared/contract/payloads.ts';
import {
  afterThrottle,
  apply,
  comeBack,
  type Decision,
  dayOf,
  GATE_AHEAD_MS,
  giveBack,
  holds,
  intervalAt,
  keepSlot,
  type LedgerState,
  LIVE_LINE_SHORT_MS,
  learnQuota,
  nextPlace,
  type Slot,
  takeSlot,
} from '../../../../../lambdas/shared/line/rules.ts';
import { cases } from '../../../../support/effort.ts';
import { busiest } from '../../../../support/line-simulation.ts';

const NOON = Date.UTC(2026, 4, 1, 12);
const config = { perSecond: 50 };

/** The change of a decision that must be a yes. */
function granted(decision: Decision) {
  if ('refused' in decision) {
    throw new Error(`${decision.refused}: ${decision.because}`);
  }
  return decision;
}
/** The closest that two slots may ever be. */
const CLOSEST_MS = 1_000 / config.perSecond;

type Event =
  | { kind: 'take'; lane: Lane }
  | { kind: 'join'; lane: Lane }
  /** Reports one of the slots given so far, by its position from the newest. */
  | { kind: 'throttle'; age: number }
  | { kind: 'pause' }
  | { kind: 'resume' };

/** Something happens `afterMs` later, to a caller whose clock is off and who last looked at the ledger `stale` events ago. */
const step = fc.record({
  afterMs: fc.oneof(fc.constant(0), fc.nat(30), fc.nat(5_000)),
  skewMs: fc.integer({ min: -2_000, max: 2_000 }),
  stale: fc.nat(5),
  event: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant('take' as const),
        lane: fc.constantFrom<Lane>('live', 'backfill'),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('join' as const),
        lane: fc.constantFrom<Lane>('live', 'backfill'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('throttle' as const), age: fc.nat(40) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const) }) },
  ),
}) satisfies fc.Arbitrary<{ afterMs: number; skewMs: number; stale: number; event: Event }>;

/** Runs callers with stale views and wrong clocks against one item, as DynamoDB would: a broken premise writes nothing. */
function play(
  steps: { afterMs: number; skewMs: number; stale: number; event: Event }[],
  from: LedgerState = {},
) {
  const history: LedgerState[] = [from];
  const slots: Slot[] = [];
  const places: number[] = [];
  let trueMs = NOON;
  for (const { afterMs, skewMs, stale, event } of steps) {
    trueMs += afterMs;
    const nowMs = trueMs + skewMs;
    const item = history.at(-1)!;
    const seen = history[Math.max(0, history.length - 1 - stale)]!;
    if (event.kind === 'pause') {
      history.push({ ...item, paused_ms: nowMs });
    } else if (event.kind === 'resume') {
      const { paused_ms: _, ...resumed } = item;
      history.push(resumed);
    } else if (event.kind === 'throttle') {
      const slot = slots.at(-1 - event.age);
      const change = slot && afterThrottle(seen, config, slot, nowMs);
      if (change && holds(item, change)) {
        history.push(apply(item, change));
      }
    } else {
      const decision = (event.kind === 'take' ? takeSlot : nextPlace)(seen, config, {
        nowMs,
        lane: event.lane,
      });
      if ('change' in decision && holds(item, decision.change)) {
        const after = apply(item, decision.change);
        history.push(after);
        const atMs = after[decision.chain]! - decision.intervalMs;
        if (event.kind === 'take') {
          slots.push({
            slotMs: atMs,
            intervalMs: decision.intervalMs,
            cuts: after.cuts ?? 0,
            day: after.day ?? 0,
          });
        } else {
          places.push(atMs);
        }
      }
    }
  }
  return { slots, places, item: history.at(-1)! };
}

describe('the gate', () => {
  test('no slot is given twice, each is later than the one before, and never more than the rate in any window', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { slots } = play(steps);
        for (let i = 1; i < slots.length; i++) {
          const gap = slots[i]!.slotMs - slots[i - 1]!.slotMs;
          expect(gap).toBeGreaterThanOrEqual(CLOSEST_MS);
          expect(gap).toBeGreaterThanOrEqual(slots[i - 1]!.intervalMs - 0.001);
        }
        for (const windowMs of [100, 1_000, 10_000]) {
          const most = busiest(
            slots.map(({ slotMs }) => slotMs),
            windowMs,
          );
          expect(most).toBeLessThanOrEqual(Math.ceil((windowMs * config.perSecond) / 1_000));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('under load any number of callers that saw the same item get slots without a conflict', () => {
    const busy: LedgerState = { next_ms: NOON + 10, day: dayOf(NOON), images: 1 };
    let item = busy;
    for (let caller = 0; caller < 100; caller++) {
      const decision = takeSlot(busy, config, { nowMs: NOON, lane: 'live' });
      expect('change' in decision && holds(item, decision.change)).toBe(true);
      item = apply(item, granted(decision).change);
    }
    const intervalMs = intervalAt({}, config, NOON);
    expect(item.next_ms).toBeCloseTo(NOON + 10 + 100 * intervalMs, 1);
    expect(item.images).toBe(101);
  });

  test('a lone caller gets its slot at once, whatever happened before', () => {
    const idle: LedgerState = { next_ms: NOON - 1, day: dayOf(NOON), images: 7 };
    for (const state of [{}, idle]) {
      const decision = takeSlot(state, config, { nowMs: NOON, lane: 'live' });
      const after = apply(state, granted(decision).change);
      expect(after.next_ms! - granted(decision).intervalMs).toBeCloseTo(NOON, 3);
    }
  });

  test('gives no slot too far ahead: such a photo goes back to the line', () => {
    for (const lane of ['live', 'backfill'] as const) {
      const state = { next_ms: NOON + GATE_AHEAD_MS[lane] };
      expect(takeSlot(state, config, { nowMs: NOON, lane })).toMatchObject({ refused: 'SlotExpired' });
      expect(takeSlot(state, config, { nowMs: NOON + 1, lane })).toHaveProperty('change');
    }
  });

  test('a pause holds writes that were decided before it', () => {
    const before: LedgerState = {};
    const decision = takeSlot(before, config, { nowMs: NOON, lane: 'live' });
    expect(holds({ ...before, paused_ms: NOON }, granted(decision).change)).toBe(false);
  });
});

describe('the pace', () => {
  const cutOnce = (state: LedgerState, nowMs: number): LedgerState =>
    apply(
      state,
      afterThrottle(
        state,
        config,
        { slotMs: nowMs, intervalMs: intervalAt(state, config, nowMs), cuts: state.cuts ?? 0, day: 0 },
        nowMs,
      )!,
    );

  test('is cut for everyone at once by a throttled call', () => {
    const before = intervalAt({}, config, NOON);
    expect(intervalAt(cutOnce({}, NOON), config, NOON)).toBeCloseTo(before / 0.8, 1);
  });

  test('is cut once by any number of calls that were throttled in the same congestion, however late they report', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 10_000 }), (callers, lateMs) => {
        const slots = play(
          Array(callers).fill({ afterMs: 0, skewMs: 0, stale: 0, event: { kind: 'take', lane: 'live' } }),
        ).slots;
        let item: LedgerState = {};
        for (const slot of slots) {
          const change = afterThrottle(item, config, slot, slot.slotMs + lateMs);
          item = change ? apply(item, change) : item;
        }
        expect(item.cuts).toBe(1);
      }),
    );
  });

  test('comes back by the time since the last cut alone, never faster than the quota, never slower than the floor', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 500, max: 60_000 }), { minLength: 1, maxLength: 40 }),
        (gaps) => {
          let nowMs = NOON;
          let item: LedgerState = {};
          for (const gap of gaps) {
            nowMs += gap;
            item = cutOnce(item, nowMs);
            expect(intervalAt(item, config, nowMs)).toBeLessThanOrEqual(1_000.01);
          }
          let previous = Number.POSITIVE_INFINITY;
          for (let seconds = 0; seconds <= 60; seconds++) {
            const intervalMs = intervalAt(item, config, nowMs + seconds * 1_000);
            expect(intervalMs).toBeLessThanOrEqual(previous);
            expect(intervalMs).toBeGreaterThanOrEqual(CLOSEST_MS);
            previous = intervalMs;
          }
          expect(previous).toBe(intervalAt({}, config, nowMs));
        },
      ),
    );
  });

  test('is not disturbed by a cut that a fast clock wrote', () => {
    const item = cutOnce({}, NOON + 2_000);
    expect(intervalAt(item, config, NOON)).toBe(intervalAt(item, config, NOON + 2_000));
  });

  test('a lower quota in the configuration counts at once', () => {
    expect(intervalAt({}, { perSecond: 5 }, NOON)).toBeGreaterThanOrEqual(200);
  });

  test('a larger quota voids what a cut said of the smaller one; a smaller one does not, and counts at once', () => {
    const reads = { perSecond: 50, readsQuota: true };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 500 }), (before, perSecond) => {
        const cut = cutOnce({ quota_per_second: before }, NOON);
        const change = learnQuota(cut, reads, { perSecond, nowMs: NOON });
        expect(change === undefined).toBe(perSecond === before);
        const after = change ? apply(cut, change) : cut;
        const most = intervalAt({}, { perSecond }, NOON);
        expect(intervalAt(after, reads, NOON)).toBeGreaterThanOrEqual(most);
        if (perSecond > before) {
          expect(intervalAt(after, reads, NOON)).toBe(most);
        } else {
          expect(after.interval_ms).toBe(cut.interval_ms);
        }
      }),
    );
  });

  test('slots given before a cut are kept by the odds of the new pace to the old', () => {
    const slot: Slot = {
      slotMs: NOON + 1_000,
      intervalMs: intervalAt({}, config, NOON),
      cuts: 0,
      day: 0,
    };
    const cut = cutOnce({}, NOON);
    const keep = (random: number) => keepSlot(cut, config, slot, { nowMs: NOON, random });
    expect(keepSlot({}, config, slot, { nowMs: NOON, random: 0.99 })).toEqual(slot);
    expect(keep(0.79)).toEqual({ ...slot, intervalMs: intervalAt(cut, config, NOON), cuts: 1 });
    expect(keep(0.81)).toBeUndefined();
    expect(keepSlot({ ...cut, paused_ms: NOON }, config, slot, { nowMs: NOON, random: 0 })).toMatchObject({
      refused: 'SlotExpired',
    });
  });
});

describe('the line', () => {
  test('gives each photo its own place, in order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const live = steps.map((each) => ({
          ...each,
          event: { kind: 'join' as const, lane: 'live' as const },
        }));
        const { places } = play(live);
        for (let i = 1; i < places.length; i++) {
          expect(places[i]! - places[i - 1]!).toBeGreaterThanOrEqual(CLOSEST_MS);
        }
      }),
    );
  });

  test('lets backfill in only while the live line is short', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10_000, max: 10_000 }), (aheadMs) => {
        const state = { line_ms: NOON + aheadMs };
        const refused = aheadMs >= LIVE_LINE_SHORT_MS;
        for (const decide of [nextPlace, takeSlot]) {
          expect('refused' in decide(state, config, { nowMs: NOON, lane: 'backfill' })).toBe(refused);
          expect('refused' in decide(state, config, { nowMs: NOON, lane: 'live' })).toBe(false);
        }
        const back = comeBack(state, config, { nowMs: NOON, lane: 'backfill', throttles: 0, random: 0 });
        expect('refused' in back).toBe(refused);
      }),
    );
    expect(nextPlace({ line_ms: NOON + 60_000 }, config, { nowMs: NOON, lane: 'backfill' })).toMatchObject({
      refused: 'BackfillWaits',
    });
  });

  test('backfill’s places do not push back the live line', () => {
    const state = apply({}, granted(nextPlace({}, config, { nowMs: NOON, lane: 'backfill' })).change);
    expect(state.line_ms).toBeUndefined();
  });

  test('a photo that had its turn comes back at once; one that is throttled again and again backs off up to a minute', () => {
    const back = (throttles: number, random: number) =>
      (
        comeBack({ line_ms: NOON + 3_600_000 }, config, { nowMs: NOON, lane: 'live', throttles, random }) as {
          placeMs: number;
        }
      ).placeMs - NOON;
    expect(back(0, 0.5)).toBe(0);
    expect(back(1, 1)).toBe(1_000);
    expect(back(30, 1)).toBe(120_000);
  });
});

describe('what holds the pipeline', () => {
  const held: LedgerState = { paused_ms: NOON };
  const capped: LedgerState = { daily_image_cap: 10, images: 10, day: dayOf(NOON) };
  const request = { nowMs: NOON, lane: 'live' as const };

  test('a pause holds line, gate and returning photos', () => {
    expect(nextPlace(held, config, request)).toMatchObject({ refused: 'IndexingPaused' });
    expect(comeBack(held, config, { ...request, throttles: 0, random: 0 })).toMatchObject({
      refused: 'IndexingPaused',
    });
    expect(takeSlot(held, config, request)).toMatchObject({ refused: 'SlotExpired' });
  });

  test('the daily cap holds until the next UTC day', () => {
    const tomorrow = { ...request, nowMs: Date.UTC(2026, 4, 2) };
    expect(nextPlace(capped, config, request)).toMatchObject({ refused: 'DailyImageCapReached' });
    expect(takeSlot(capped, config, request)).toMatchObject({ refused: 'SlotExpired' });
    expect(nextPlace(capped, config, tomorrow)).toHaveProperty('change');
    const after = apply(capped, granted(takeSlot(capped, config, tomorrow)).change);
    expect(after).toMatchObject({ day: 20260502, images: 1 });
  });

  test('the configured cap holds where the item has none, and the item goes over it', () => {
    const used: LedgerState = { images: 10, day: dayOf(NOON) };
    const configured = { ...config, dailyImageCap: 10 };
    expect(nextPlace(used, configured, request)).toMatchObject({ refused: 'DailyImageCapReached' });
    expect(takeSlot(used, configured, request)).toMatchObject({ refused: 'SlotExpired' });
    const raised = { ...used, daily_image_cap: 11 };
    const taken = granted(takeSlot(raised, configured, request)).change;
    expect(nextPlace(apply(raised, taken), configured, request)).toMatchObject({
      refused: 'DailyImageCapReached',
    });
    // A cap reached in the meantime stops the write.
    const { change } = granted(takeSlot({ ...used, images: 9 }, configured, request));
    expect(holds(used, change)).toBe(false);
  });

  test('never more slots than the cap in a day, even around midnight and with clocks that differ', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 0, max: 50 }), (steps, cap) => {
        const start: LedgerState = { daily_image_cap: cap, day: dayOf(NOON), images: 0 };
        const takes = steps.map((each) => ({
          ...each,
          event: { kind: 'take' as const, lane: 'live' as const },
        }));
        expect(play(takes, start).slots.length).toBeLessThanOrEqual(cap);
        const midnight = takes.map((each, i) =>
          i === 0 ? { ...each, afterMs: 12 * 3_600_000 - 500 } : each,
        );
        expect(play(midnight, start).slots.length).toBeLessThanOrEqual(2 * cap);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a write that was decided on what is over', () => {
  const around = (ms: number) => fc.option(fc.integer({ min: -ms, max: ms }).map((off) => NOON + off));
  const days = fc.constantFrom(20260430, 20260501, 20260502);
  /** What others can have done to the item since it was looked at. */
  const between = fc.oneof(
    fc.constant<LedgerState>({ paused_ms: NOON }),
    fc.nat(12).map((daily_image_cap): LedgerState => ({ daily_image_cap })),
    fc.tuple(days, fc.nat(12)).map(([day, images]): LedgerState => ({ day, images })),
    fc.nat(12).map((images): LedgerState => ({ images })),
    fc.constant<LedgerState>({ cuts: 4, cut_ms: NOON, interval_ms: 50, throttled_interval_ms: 40 }),
    fc.nat(6_000).map((ahead): LedgerState => ({ next_ms: NOON + ahead })),
    fc.nat(6_000).map((ahead): LedgerState => ({ line_ms: NOON + ahead })),
    fc.nat(6_000).map((ahead): LedgerState => ({ backfill_ms: NOON + ahead })),
  );
  const situation = fc.record({
    seen: fc
      .record({
        next_ms: around(5_000),
        line_ms: around(3_000),
        backfill_ms: around(3_000),
        day: fc.option(days),
        images: fc.option(fc.nat(12)),
        cuts: fc.option(fc.constant(3)),
        daily_image_cap: fc.option(fc.integer({ min: 1, max: 12 })),
      })
      .map(
        (state) =>
          Object.fromEntries(Object.entries(state).filter(([, value]) => value !== null)) as LedgerState,
      ),
    changes: fc.array(between, { maxLength: 2 }),
    lane: fc.constantFrom<Lane>('live', 'backfill'),
  });
  const configured = { ...config, dailyImageCap: 10 };

  test('is not made at the gate: what is written is what the item as it is would be given', () => {
    fc.assert(
      fc.property(situation, ({ seen, changes, lane }) => {
        const { line_ms: _, ...item } = Object.assign({}, seen, ...changes) as LedgerState;
        const decision = takeSlot({ ...seen, line_ms: 0 }, configured, { nowMs: NOON, lane });
        if ('change' in decision && holds(item, decision.change)) {
          const now = granted(takeSlot(item, configured, { nowMs: NOON, lane }));
          expect(apply(item, decision.change)).toEqual(apply(item, now.change));
        }
      }),
      { numRuns: cases(1_000) },
    );
  });

  test('is not made in the line, which a pause closes, and a live line to backfill', () => {
    fc.assert(
      fc.property(situation, ({ seen, changes, lane }) => {
        // The day's cap is the gate's to keep.
        const { images: _, ...item } = Object.assign({}, seen, ...changes) as LedgerState;
        item.daily_image_cap = 100;
        const decision = nextPlace(seen, config, { nowMs: NOON, lane });
        if ('change' in decision && holds(item, decision.change)) {
          const now = nextPlace(item, config, { nowMs: NOON, lane });
          expect(now).toMatchObject({ chain: decision.chain });
        }
      }),
      { numRuns: cases(1_000) },
    );
  });

  test('does not count a day back: callers behind midnight count for the day that the ledger has reached', () => {
    const reached: LedgerState = { day: 20260502, images: 4, daily_image_cap: 5 };
    const late = { nowMs: Date.UTC(2026, 4, 1, 23, 59, 59), lane: 'live' as const };
    const after = apply(reached, granted(takeSlot(reached, config, late)).change);
    expect(after).toMatchObject({ day: 20260502, images: 5 });
    expect(nextPlace(after, config, late)).toMatchObject({ refused: 'DailyImageCapReached' });
  });

  test('does not cut twice, and gives no image back to another day', () => {
    fc.assert(
      fc.property(fc.nat(3), fc.nat(3), fc.nat(2), fc.nat(2), (seen, is, day, today) => {
        const slot: Slot = { slotMs: NOON, intervalMs: 20, cuts: seen, day };
        const cut = afterThrottle({ cuts: seen }, config, slot, NOON)!;
        expect(holds({ cuts: is }, cut)).toBe(is === seen);
        expect(holds({ day: today, images: 3 }, giveBack(slot))).toBe(day === today);
        expect(apply({ day, images: 3 }, giveBack(slot)).images).toBe(2);
      }),
    );
  });
});

describe('the floor of the pace', () => {
  test('is a fiftieth of the quota, however often it is cut, and what was throttled is not remembered below it', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 5, 50, 80), (perSecond) => {
        const quota = { perSecond };
        let item: LedgerState = {};
        for (let i = 1; i <= 40; i++) {
          const nowMs = NOON + 600 * i;
          const slot = {
            slotMs: nowMs,
            intervalMs: intervalAt(item, quota, nowMs),
            cuts: item.cuts ?? 0,
            day: 0,
          };
          item = apply(item, afterThrottle(item, quota, slot, nowMs)!);
        }
        const floorMs = 1_000 / (0.02 * perSecond);
        expect(item.interval_ms).toBeGreaterThan(0.9 * floorMs);
        expect(item.interval_ms).toBeLessThanOrEqual(floorMs);
        const slower = { slotMs: NOON, intervalMs: 3 * floorMs, cuts: 0, day: 0 };
        expect(afterThrottle({}, quota, slower, NOON)!.set).toMatchObject({
          interval_ms: floorMs,
          throttled_interval_ms: floorMs,
        });
      }),
    );
  });

  test('a throttled call within half a second of a cut says nothing, and one after it cuts again', () => {
    const item: LedgerState = { cuts: 1, cut_ms: NOON, interval_ms: 25, throttled_interval_ms: 20 };
    const slot: Slot = { slotMs: NOON, intervalMs: 25, cuts: 1, day: 0 };
    expect(afterThrottle(item, config, slot, NOON + 499)).toBeUndefined();
    expect(afterThrottle(item, config, slot, NOON + 500)).toHaveProperty('set.cuts', 2);
  });

  test.each([
    [true, 80, 1_000 / 80],
    [true, undefined, 20],
    [false, 80, 20],
  ])(
    'the quota that was read counts where it is asked for (%s, %s)',
    (readsQuota, quota_per_second, closest) => {
      const state = { ...(quota_per_second !== undefined && { quota_per_second }) };
      const intervalMs = intervalAt(state, { perSecond: 50, readsQuota }, NOON);
      expect(intervalMs).toBeGreaterThanOrEqual(closest);
      expect(intervalMs).toBeLessThan(closest * 1.003);
    },
  );
});
