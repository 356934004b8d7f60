/** What each of the line's rules decides and writes, to the millisecond: the properties are in `rules.test.ts`. */
import {
  claimQuotaReading,
  comeBack,
  fullInterval,
  GATE_EARLY_MS,
  holds,
  imagesToday,
  intervalAt,
  keepSlot,
  type LedgerState,
  learnQuota,
  nextDay,
  nextPlace,
  standAgain,
  takeSlot,
  turnsAt,
} from '../../../../../lambdas/shared/line/rules.ts';

const NOON = Date.UTC(2026, 4, 1, 12);
const TODAY = 20260501;
const config = { perSecond: 50 };
/** Between two slots of 49.9 a second. */
const INTERVAL = 20.05;
/** A pace that was cut at noon, from 50 a second to 40. */
const cut: LedgerState = { cuts: 1, cut_ms: NOON, interval_ms: 25, throttled_interval_ms: 20 };
const notPaused = { attribute: 'paused_ms', is: undefined };

describe('the interval', () => {
  test.each<[what: string, state: LedgerState, perSecond: number, afterMs: number, intervalMs: number]>([
    ['is that of the quota', {}, 50, 0, INTERVAL],
    ['is rounded up', {}, 3, 0, 334.01],
    [
      'is not that of a quota that was read, where that is not asked for',
      { quota_per_second: 80 },
      50,
      0,
      INTERVAL,
    ],
    ['is whole, where it is not known what was throttled', { interval_ms: 40 }, 50, 0, INTERVAL],
    ['is whole, where it is not known what it was cut to', { throttled_interval_ms: 40 }, 50, 0, INTERVAL],
    ['is cut at once', cut, 50, 0, 25],
    ['comes back by CUBIC’s curve', cut, 50, 5_000, 21.38],
    ['is nearly back after twelve seconds', cut, 50, 12_000, 20.06],
    ['is back soon after that', cut, 50, 12_500, INTERVAL],
    [
      'is as it was cut to whoever’s clock is behind',
      { cut_ms: NOON, interval_ms: 1_250, throttled_interval_ms: 1_000 },
      1,
      -5_000,
      1_250,
    ],
  ])('%s', (...[, state, perSecond, afterMs, intervalMs]) => {
    expect(intervalAt(state, { perSecond }, NOON + afterMs)).toBe(intervalMs);
  });

  test('at the whole pace is that of the quota, whatever was cut', () => {
    expect(fullInterval(cut, config)).toBe(INTERVAL);
    expect(fullInterval({ ...cut, quota_per_second: 80 }, { ...config, readsQuota: true })).toBe(12.53);
  });
});

describe('days', () => {
  test('the next one begins at midnight', () => {
    const may2 = Date.UTC(2026, 4, 2);
    expect([may2 - 86_400_000, NOON, may2 - 1, may2].map(nextDay)).toEqual([
      may2,
      may2,
      may2,
      may2 + 86_400_000,
    ]);
  });

  test.each<[LedgerState, number]>([
    [{}, 0],
    [{ day: TODAY }, 0],
    [{ day: TODAY, images: 7 }, 7],
    [{ day: TODAY - 1, images: 7 }, 0],
    [{ day: TODAY + 1, images: 7 }, 7],
  ])('of %j so many images are of today', (count, images) => {
    expect(imagesToday(count, NOON)).toBe(images);
  });
});

describe('the round that is reached', () => {
  /** Two photos have their turns in round 5, one in round 8. */
  const state: LedgerState = { round: 5, round_ms: NOON, t0_5: 2, t0_8: 1 };

  test.each<[afterMs: number, round: number, isOver: boolean]>([
    [-5_000, 5, false],
    [0, 5, false],
    [INTERVAL, 5.5, false],
    [2 * INTERVAL + 0.01, 8, false],
    [3 * INTERVAL + 0.01, 9, true],
  ])('%d ms later', (...[afterMs, round, isOver]) => {
    const turns = turnsAt(state, config, NOON + afterMs);
    expect(turns.round).toBeCloseTo(round, 2);
    expect(turns.isOver).toBe(isOver);
  });

  test('where nobody wrote it down', () => {
    expect(turnsAt({}, config, NOON)).toEqual({ blocks: [], round: 0, isOver: true });
    expect(turnsAt({ t0_0: 1 }, config, NOON)).toMatchObject({ round: 0, isOver: false });
  });
});

describe('a place in line', () => {
  const place = (state: LedgerState, nowMs = NOON, round?: number) =>
    nextPlace(state, config, { nowMs, lane: 'live', round });

  test('is now where nobody is in line, and else after the last, also where its interval ends just now', () => {
    const begun = {
      premises: [{ attribute: 'line_ms', below: NOON }, notPaused],
      set: { line_ms: NOON + INTERVAL },
    };
    const joined = {
      premises: [{ attribute: 'line_ms', atLeast: NOON }, notPaused],
      add: { line_ms: INTERVAL },
    };
    for (const [state, change] of [
      [{}, begun],
      [{ line_ms: NOON - 1 }, begun],
      [{ line_ms: NOON }, joined],
      [{ line_ms: NOON + 1 }, joined],
    ] as const) {
      expect(place(state)).toEqual({ chain: 'line_ms', intervalMs: INTERVAL, change });
    }
  });

  test('is at the pace that there will be by then', () => {
    expect(place({ ...cut, line_ms: NOON + 5_000 })).toMatchObject({ intervalMs: 21.38 });
    expect(place({ ...cut, line_ms: NOON - 5_000 }, NOON + 5_000)).toMatchObject({ intervalMs: 21.38 });
    expect(place(cut, NOON + 5_000)).toMatchObject({ intervalMs: 21.38 });
  });

  test('of a backfill is behind the backfill, while the live line is shorter than two seconds', () => {
    const backfill = (ahead: number, state: LedgerState = {}) =>
      nextPlace({ line_ms: NOON + ahead, ...state }, config, { nowMs: NOON, lane: 'backfill' });
    expect(backfill(1_999, { backfill_ms: NOON + 5_000 })).toEqual({
      chain: 'backfill_ms',
      intervalMs: INTERVAL,
      change: {
        premises: [
          { attribute: 'backfill_ms', atLeast: NOON },
          notPaused,
          { attribute: 'line_ms', below: NOON + 2_000 },
        ],
        add: { backfill_ms: INTERVAL },
      },
    });
    expect(backfill(2_000)).toEqual({
      refused: 'BackfillWaits',
      because: 'live photos go first, their line is 2000 ms long',
    });
  });

  describe('with a turn', () => {
    const line = { line_ms: NOON + 1_000, t0_7: 1, t0_9: 1, round: 7 };

    test('counts the turn', () => {
      expect(place({ ...line, round_ms: NOON - 20 }, NOON, 9)).toMatchObject({
        change: { add: { line_ms: INTERVAL, t0_9: 1 } },
      });
    });

    test('has it in the next round at the earliest', () => {
      // Half of round 7's photo is through, and all of it.
      for (const [agoMs, block] of [
        [10, 't0_8'],
        [0, 't0_8'],
        [21, 't0_10'],
      ] as const) {
        expect(place({ ...line, round_ms: NOON - agoMs }, NOON, 7)).toMatchObject({
          change: { add: { line_ms: INTERVAL, [block]: 1 } },
        });
      }
      // A turn far ahead is counted in a wide block, as seen from the round that is reached.
      expect(place({ ...line, round_ms: NOON }, NOON, 47)).toMatchObject({ change: { add: { t3_5: 1 } } });
    });

    test('writes down the round that is reached where that is a second ago', () => {
      const many = { ...line, t0_7: 100 };
      expect(place({ ...many, round_ms: NOON - 999 }, NOON, 9)).toEqual({
        chain: 'line_ms',
        intervalMs: INTERVAL,
        change: {
          premises: [{ attribute: 'line_ms', atLeast: NOON }, notPaused],
          add: { line_ms: INTERVAL, t0_9: 1 },
        },
      });
      expect(place({ ...many, round_ms: NOON - 1_000 }, NOON, 9)).toEqual({
        chain: 'line_ms',
        intervalMs: INTERVAL,
        change: {
          premises: [
            { attribute: 'line_ms', atLeast: NOON },
            notPaused,
            { attribute: 'round_ms', is: NOON - 1_000 },
          ],
          set: { round: expect.closeTo(7 + 1_000 / INTERVAL / 100, 3), round_ms: NOON },
          add: { line_ms: INTERVAL, t0_9: 1 },
          remove: [],
        },
      });
    });

    test('writes it down where nobody was in line, and takes out what is past', () => {
      const over = { t0_5: 1, t0_6: 1, round: 5, round_ms: NOON - 900, line_ms: NOON - 1 };
      expect(place(over, NOON, 0)).toEqual({
        chain: 'line_ms',
        intervalMs: INTERVAL,
        change: {
          premises: [
            { attribute: 'line_ms', below: NOON },
            notPaused,
            { attribute: 'round_ms', is: NOON - 900 },
          ],
          set: { line_ms: NOON + INTERVAL, round: 7, round_ms: NOON },
          add: { t0_8: 1 },
          remove: ['t0_5', 't0_6'],
        },
      });
      // By a clock that is behind.
      expect(place({ round: 5, round_ms: NOON + 50 }, NOON, 0)).toMatchObject({
        change: { set: { round: 5, round_ms: NOON + 50 } },
      });
      expect(place({}, NOON, 0)).toMatchObject({
        change: { set: { round: 0, round_ms: NOON }, add: { t0_1: 1 } },
      });
      expect(place({ t0_5: 1 }, NOON, 0)).toMatchObject({ change: { set: { round: 5, round_ms: NOON } } });
    });
  });
});

describe('a photo that stands again at its event’s end', () => {
  const again = (state: LedgerState, placeMs = NOON + 5_000) =>
    standAgain(state, config, { nowMs: NOON, placeMs });
  const endMs = NOON + 5_000 + INTERVAL;

  test('makes the line at least so long', () => {
    const change = {
      premises: [{ attribute: 'line_ms', below: endMs }, notPaused],
      set: { line_ms: endMs },
    };
    expect(again({})).toEqual({ change });
    expect(again({ line_ms: endMs - 1 })).toEqual({ change });
    expect(again({ line_ms: endMs })).toEqual({ change: undefined });
    expect(again({ line_ms: endMs + 1 })).toEqual({ change: undefined });
  });

  test('is held by a pause', () => {
    expect(again({ paused_ms: NOON })).toMatchObject({ refused: 'IndexingPaused' });
  });
});

test('a photo that comes back to the backfill waits for live photos, from two seconds on', () => {
  const back = (ahead: number) =>
    comeBack({ line_ms: NOON + ahead }, config, { nowMs: NOON, lane: 'backfill', throttles: 0, random: 0.5 });
  expect(back(1_999)).toEqual({ placeMs: NOON });
  expect(back(2_000)).toMatchObject({ refused: 'BackfillWaits' });
});

describe('the gate', () => {
  const refused = (state: LedgerState, lane: 'live' | 'backfill') => {
    const decision = takeSlot(state, config, { nowMs: NOON, lane });
    return 'refused' in decision ? decision : undefined;
  };

  test('gives slots four seconds ahead, and one for a backfill', () => {
    expect(refused({ next_ms: NOON + 3_999 }, 'live')).toBeUndefined();
    expect(refused({ next_ms: NOON + 4_000 }, 'live')).toEqual({
      refused: 'SlotExpired',
      because: 'the next free slot is 4000 ms away',
    });
    expect(refused({ next_ms: NOON + 999 }, 'backfill')).toBeUndefined();
    expect(refused({ next_ms: NOON + 1_000 }, 'backfill')).toMatchObject({ refused: 'SlotExpired' });
  });

  test('gives none to a backfill while live photos are in line', () => {
    expect(refused({ line_ms: NOON + 1_999 }, 'backfill')).toBeUndefined();
    expect(refused({ line_ms: NOON + 2_000 }, 'backfill')).toEqual({
      refused: 'SlotExpired',
      because: 'live photos go first, their line is 2000 ms long',
    });
  });

  test('moves its round with a slot, and never back', () => {
    const moved = (gate_round: number | undefined, gateRound: number | undefined) => {
      const state: LedgerState = gate_round === undefined ? {} : { gate_round };
      const decision = takeSlot(state, config, { nowMs: NOON, lane: 'live', gateRound });
      if ('refused' in decision) {
        throw new Error(decision.because);
      }
      const { premises, set } = decision.change;
      return [premises.filter(({ attribute }) => attribute === 'gate_round'), set?.gate_round];
    };
    const to = (round: number) => [[{ attribute: 'gate_round', below: round }], round];
    expect(moved(7, 7.5)).toEqual(to(7.5));
    expect(moved(undefined, 0.5)).toEqual(to(0.5));
    expect(moved(7.5, 7.5)).toEqual([[], undefined]);
    expect(moved(7, undefined)).toEqual([[], undefined]);
  });

  test('is come to half a second early', () => {
    expect(GATE_EARLY_MS).toBe(500);
  });

  test('takes a slot of a denser pace back where chance has it so', () => {
    const slot = { slotMs: NOON, intervalMs: 20, cuts: 0, day: TODAY };
    const keep = (random: number) => keepSlot(cut, config, slot, { nowMs: NOON, random });
    expect(keep(0.8)).toBeUndefined();
    expect(keep(0.79)).toEqual({ ...slot, intervalMs: 25, cuts: 1 });
  });
});

describe('the quota', () => {
  const reads = { ...config, readsQuota: true };

  test('is asked for every ten seconds, by one', () => {
    const claim = (agoMs: number) => claimQuotaReading({ quota_asked_ms: NOON - agoMs }, reads, NOON);
    expect(claim(9_999)).toBeUndefined();
    expect(claim(10_000)).toEqual({
      premises: [{ attribute: 'quota_asked_ms', is: NOON - 10_000 }],
      set: { quota_asked_ms: NOON },
    });
    expect(claimQuotaReading({}, reads, NOON)).toMatchObject({ set: { quota_asked_ms: NOON } });
    expect(claimQuotaReading({}, config, NOON)).toBeUndefined();
  });

  const learn = (state: LedgerState, perSecond: number) =>
    learnQuota(state, reads, { perSecond, nowMs: NOON });
  const premise = (is: number | undefined) => ({ attribute: 'quota_per_second', is });

  test('that is known changes nothing', () => {
    expect(learn({ quota_per_second: 80 }, 80)).toBeUndefined();
  });

  test('that was configured is written down, and has not changed', () => {
    expect(learn({}, 50)).toEqual({ premises: [premise(undefined)], set: { quota_per_second: 50 } });
  });

  test('that is larger voids a cut, and one that is smaller does not', () => {
    const set = { quota_per_second: 80, quota_changed_ms: NOON };
    const remove = ['interval_ms', 'throttled_interval_ms'];
    expect(learn({}, 80)).toEqual({ premises: [premise(undefined)], set, remove });
    expect(learn({ quota_per_second: 30 }, 80)).toEqual({ premises: [premise(30)], set, remove });
    expect(learn({ quota_per_second: 100 }, 80)).toEqual({ premises: [premise(100)], set });
  });

  test('is of what comes: the rounds until now passed at the pace until now', () => {
    const state: LedgerState = {
      quota_per_second: 50,
      round: 5,
      round_ms: NOON - 2 * INTERVAL,
      t0_5: 1,
      t0_8: 2,
    };
    const settled = { round: expect.closeTo(8.5, 3), round_ms: NOON };
    const premises = [premise(50), { attribute: 'round_ms', is: NOON - 2 * INTERVAL }];
    expect(learn(state, 30)).toEqual({
      premises,
      set: { quota_per_second: 30, quota_changed_ms: NOON, ...settled },
      remove: ['t0_5'],
    });
    expect(learn(state, 80)).toEqual({
      premises,
      set: { quota_per_second: 80, quota_changed_ms: NOON, ...settled },
      remove: ['interval_ms', 'throttled_interval_ms', 't0_5'],
    });
  });
});

test.each<[state: LedgerState, atLeast: boolean, below: boolean]>([
  [{}, false, true],
  [{ line_ms: 9 }, false, true],
  [{ line_ms: 10 }, true, false],
  [{ line_ms: 11 }, true, false],
])('what a write asks of %j', (...[state, atLeast, below]) => {
  const asks = (premise: { atLeast: number } | { below: number }) =>
    holds(state, { premises: [{ attribute: 'line_ms', ...premise }] });
  expect([asks({ atLeast: 10 }), asks({ below: 10 })]).toEqual([atLeast, below]);
});
