import fc from 'fast-check';
import {
  isShared,
  joinEvent,
  joinEventAgain,
  passGate,
  roundWritten,
} from '../../../../../lambdas/shared/line/fairness.ts';
import {
  apply,
  holds,
  intervalAt,
  type LedgerState,
  nextPlace,
  takeSlot,
  turnsAt,
} from '../../../../../lambdas/shared/line/rules.ts';
import {
  blockOf,
  blocksOf,
  type EventTurns,
  photosBetween,
  roundAfter,
  roundOf,
  sharing,
} from '../../../../../lambdas/shared/line/turns.ts';
import { simulate } from '../../../../support/line-simulation.ts';
import { uploads } from '../../../../support/uploads.ts';

const NOON = Date.UTC(2026, 4, 1, 12);
const config = { perSecond: 50 };
const INTERVAL_MS = intervalAt({}, config, NOON);

/** A line that photos of several events join, as the ledger's and the events' items have it. */
function startLine(ledger: LedgerState = {}) {
  const events = new Map<string, EventTurns>();
  let state = ledger;
  return {
    state: () => state,
    event: (name: string) => events.get(name) ?? {},
    /** @returns milliseconds from now to the photo's place */
    join(name: string, nowMs = NOON): number {
      const event = events.get(name) ?? {};
      const turn = joinEvent(event, state, config, nowMs);
      const after: EventTurns = apply(event, turn.change);
      events.set(name, after);
      const place = nextPlace(state, config, { nowMs, lane: 'live', round: turn.round });
      if ('refused' in place || !holds(event, turn.change) || !holds(state, place.change)) {
        throw new Error(`A decision does not meet its own premises: ${JSON.stringify([turn, place])}`);
      }
      state = apply(state, place.change);
      const lineMs = state[place.chain]! - place.intervalMs;
      if (turn.place.at === 'moment') {
        return turn.place.ms - nowMs;
      }
      return turn.place.at === 'end of plan'
        ? after.planned_ms! - turn.place.spacingMs - nowMs
        : lineMs - nowMs;
    },
  };
}

/** Photos in rounds from 0 on, as blocks seen from round 0. */
const rounds = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 200 });

function count(turns: readonly number[]): LedgerState {
  const state: LedgerState = {};
  for (const round of turns) {
    const block = blockOf(round, 0);
    state[block] = (state[block] ?? 0) + 1;
  }
  return state;
}

describe('rounds', () => {
  test('a turn is counted in a block around it, ahead of what is reached and narrow against the way there', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 1e6 }), (reached, ahead) => {
        const round = reached + ahead;
        const [block] = blocksOf({ [blockOf(round, reached)]: 1 });
        expect(block!.from).toBeLessThanOrEqual(round);
        expect(block!.end).toBeGreaterThan(round);
        expect(block!.from).toBeGreaterThan(reached);
        expect(block!.end - block!.from).toBeLessThanOrEqual(Math.max(1, ahead / 4));
        expect(block!.photosARound * (block!.end - block!.from)).toBeCloseTo(1);
      }),
    );
  });

  test('photos come in the order of their rounds, each takes one slot, and none is forgotten', () => {
    fc.assert(
      fc.property(rounds, fc.double({ min: 0, max: 1, noNaN: true }), (turns, share) => {
        const blocks = blocksOf(count(turns));
        expect(photosBetween(blocks, 0, 1e7)).toBeCloseTo(turns.length, 6);
        const slots = share * turns.length;
        const { round, isOver } = roundAfter(blocks, 0, slots);
        if (!isOver) {
          expect(photosBetween(blocks, 0, round)).toBeCloseTo(slots, 6);
        }
        expect(roundAfter(blocks, 0, turns.length + 1).isOver).toBe(true);
        const half = roundAfter(blocks, 0, slots / 2).round;
        expect(half).toBeLessThanOrEqual(round);
        expect(roundAfter(blocks, half, slots / 2).round).toBeCloseTo(round, 3);
      }),
    );
  });

  test('the first twenty photos of an event have four turns a round, the others one', () => {
    expect([0, 1, 4, 19, 20, 21, 120].map((n) => roundOf(100, n))).toEqual([
      100, 100.25, 101, 104.75, 105, 106, 205,
    ]);
  });

  test('a million photos ahead are fewer than a hundred blocks', () => {
    const names = new Set<string>();
    for (let round = 1; round <= 1_000_000; round += 1 + Math.floor(round / 1_000)) {
      names.add(blockOf(round, 0));
    }
    expect(names.size).toBeLessThan(100);
  });
});

describe('the line', () => {
  test('of one event is first come, first served', () => {
    const line = startLine();
    for (let photo = 0; photo < 1_000; photo++) {
      expect(line.join('a')).toBeCloseTo(photo * INTERVAL_MS, 1);
    }
    expect(isShared(line.state(), config, NOON + 5_000)).toBe(false);
  });

  test('lets a small event pass a large one, and takes the large one not back behind it', () => {
    const line = startLine();
    for (let photo = 0; photo < 5_000; photo++) {
      line.join('large');
    }
    const places = Array.from({ length: 20 }, () => line.join('small', NOON + 60_000));
    expect(places[0]).toBeLessThan(50);
    // Five slots of six, while its first photos come.
    expect(places[19]).toBeLessThan(20 * INTERVAL_MS * 1.3);
    const endMs = 5_000 * INTERVAL_MS - 60_000;
    const place = line.join('large', NOON + 60_000);
    expect(place).toBeLessThan(endMs + 50);
    expect(place).toBeGreaterThan(endMs * 0.95);
  });

  test('gives an event that is as large half of the slots', () => {
    const line = startLine();
    for (let photo = 0; photo < 1_500; photo++) {
      line.join('a');
    }
    const places = Array.from({ length: 500 }, () => line.join('b', NOON + 5_000));
    expect(places[499]).toBeGreaterThan(2 * 500 * 20 * 0.9);
    expect(places[499]).toBeLessThan(2 * 500 * 20 * 1.1);
  });

  test('gives events that grow beside each other the places of first come, first served', () => {
    const line = startLine();
    for (let photo = 0; photo < 1_000; photo++) {
      expect(line.join(`event ${photo % 10}`)).toBeCloseTo(photo * INTERVAL_MS, 0);
    }
  });

  test('is over when the time of its photos has passed, whether they came or not, and leaves nothing behind', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5), { minLength: 1, maxLength: 200 }), (names) => {
        const line = startLine();
        for (const name of names) {
          line.join(`event ${name}`);
        }
        const laterMs = NOON + (names.length + 2) * 21;
        expect(turnsAt(line.state(), config, laterMs).isOver).toBe(true);
        expect(line.join('another', laterMs)).toBe(0);
        expect(blocksOf(line.state())).toHaveLength(1);
      }),
      { numRuns: 50 },
    );
  });

  test('any number of callers that saw the same items join an event after one look more at most', () => {
    const line = startLine();
    for (let photo = 0; photo < 200; photo++) {
      line.join('a');
      line.join('b');
    }
    const seen = line.event('a');
    const state = line.state();
    let event = seen;
    let ledger = state;
    for (let caller = 0; caller < 100; caller++) {
      let turn = joinEvent(seen, state, config, NOON);
      if (!holds(event, turn.change)) {
        // Another one has moved the plan to the line's end: with that known, none is in the way of the others.
        turn = joinEvent(event, state, config, NOON);
      }
      expect(holds(event, turn.change)).toBe(true);
      event = apply(event, turn.change);
      const round = roundWritten(turn, event);
      // Each has its own, whatever it saw.
      expect(round).toBe(roundOf(1, 200 + caller));
      const place = nextPlace(state, config, { nowMs: NOON, lane: 'live', round });
      expect('change' in place && holds(ledger, place.change)).toBe(true);
      ledger = 'change' in place ? apply(ledger, place.change) : ledger;
    }
    expect(event.photos).toBe(300);
    expect(photosBetween(blocksOf(ledger), 0, 1e6)).toBeCloseTo(500, 6);
  });

  test('is not confused by clocks that differ, nor by what was seen a while ago', () => {
    const caller = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      afterMs: fc.nat(3_000),
      skewMs: fc.integer({ min: -2_000, max: 2_000 }),
      stale: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(caller, { maxLength: 150 }), (callers) => {
        const ledgers: LedgerState[] = [{}];
        const events = new Map<string, EventTurns>();
        let trueMs = NOON;
        let photos = 0;
        for (const { name, afterMs, skewMs, stale } of callers) {
          trueMs += afterMs;
          const nowMs = trueMs + skewMs;
          const seen = ledgers[Math.max(0, ledgers.length - 1 - stale)]!;
          const event = events.get(name) ?? {};
          const turn = joinEvent(event, seen, config, nowMs);
          expect(holds(event, turn.change)).toBe(true);
          events.set(name, apply(event, turn.change));
          const item = ledgers.at(-1)!;
          const place = nextPlace(seen, config, { nowMs, lane: 'live', round: turn.round });
          if ('change' in place && holds(item, place.change)) {
            ledgers.push(apply(item, place.change));
            photos++;
          }
          // As many photos as came, at most, are waited for, and the line ends with them.
          const { blocks, round } = turnsAt(ledgers.at(-1)!, config, trueMs);
          expect(photosBetween(blocks, round, 1e9)).toBeLessThanOrEqual(photos + 1e-6);
          expect(sharing(blocks, round)).toBeLessThanOrEqual(3 * 4 + photos);
        }
        const endMs = trueMs + 2_000 + (photos + 3) * 21;
        expect(turnsAt(ledgers.at(-1)!, config, endMs + 2_000).isOver).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a photo that is sent back', () => {
  const behind = () => {
    const line = startLine();
    for (let photo = 0; photo < 500; photo++) {
      line.join('a');
    }
    for (let photo = 0; photo < 100; photo++) {
      line.join('b');
    }
    return line;
  };
  const line = behind();

  test('goes to the end of its event’s photos, one after the other, and is not counted twice', () => {
    let event = line.event('a');
    const places: number[] = [];
    for (let photo = 0; photo < 50; photo++) {
      const again = { nowMs: NOON + 1_000, round: 60, random: 0.5 };
      const { change, place, round } = joinEventAgain(event, line.state(), config, again);
      expect(holds(event, change)).toBe(true);
      event = apply(event, change);
      expect(round).toBe(roundOf(event.start!, 499));
      expect(event.photos).toBe(500);
      places.push(event.planned_ms! - (place.at === 'end of plan' ? place.spacingMs : Number.NaN));
    }
    expect(places[0]).toBeGreaterThanOrEqual(line.event('a').planned_ms!);
    for (let i = 1; i < places.length; i++) {
      expect(places[i]! - places[i - 1]!).toBeGreaterThanOrEqual(20);
    }
  });

  test('is never told to come at once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60_000 }),
        fc.integer({ min: 0, max: 600 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        (afterMs, round, random, known) => {
          const nowMs = NOON + afterMs;
          const event = known ? line.event('a') : {};
          const { change, place } = joinEventAgain(event, line.state(), config, { nowMs, round, random });
          const after: EventTurns = apply(event, change);
          const atMs =
            place.at === 'end of plan'
              ? after.planned_ms! - place.spacingMs
              : place.at === 'moment'
                ? place.ms
                : 0;
          expect(atMs).toBeGreaterThan(nowMs);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('the gate', () => {
  const shared = () => {
    const line = startLine();
    for (let photo = 0; photo < 1_000; photo++) {
      line.join('a');
      line.join('b');
    }
    return line.state();
  };
  const nowMs = NOON + 10_000;

  test('lets events through in turn, whoever comes how often, and however late or early they were told to come', () => {
    const busy = fc.record({ everyMs: fc.integer({ min: 10, max: 200 }), fromMs: fc.nat(3_000) });
    fc.assert(
      fc.property(fc.array(busy, { minLength: 2, maxLength: 8 }), (events) => {
        let state: LedgerState = shared();
        const items = events.map((): EventTurns => ({}));
        const passed = events.map(() => 0);
        for (let ms = 0; ms < 10_000; ms += 10) {
          for (const [i, { everyMs, fromMs }] of events.entries()) {
            if (ms < fromMs || ms % everyMs >= 10) {
              continue;
            }
            const pass = passGate(items[i]!, state, config, nowMs + ms);
            if ('refused' in pass) {
              continue;
            }
            expect(holds(items[i]!, pass.change)).toBe(true);
            const slot = takeSlot(state, config, {
              nowMs: nowMs + ms,
              lane: 'live',
              gateRound: pass.gateRound,
            });
            if ('refused' in slot || !holds(state, slot.change)) {
              throw new Error(`No slot: ${JSON.stringify(slot)}`);
            }
            items[i] = apply(items[i]!, pass.change);
            state = apply(state, slot.change);
            passed[i]!++;
          }
        }
        const most = 2 + 1_000 / (2 * INTERVAL_MS) + 1;
        for (const [i, { everyMs }] of events.entries()) {
          const came = (everyMs: number) => 7_000 / (10 * Math.ceil(everyMs / 10));
          for (const [k, other] of events.entries()) {
            // Who comes as often as another one, for as long, passes as often, but for what it may be ahead.
            if (came(everyMs) >= came(other.everyMs) && events[i]!.fromMs <= other.fromMs) {
              expect(passed[i]!).toBeGreaterThanOrEqual(Math.min(passed[k]!, came(everyMs)) - 2 * most);
            }
          }
        }
        // And a slot that anybody comes for is not lost.
        const all = passed.reduce((a, b) => a + b, 0);
        const came = events.reduce(
          (sum, { everyMs, fromMs }) => sum + (10_000 - fromMs) / (10 * Math.ceil(everyMs / 10)),
          0,
        );
        expect(all).toBeGreaterThanOrEqual(Math.min(came * 0.5, 7_000 / INTERVAL_MS) - 50);
      }),
      { numRuns: 20 },
    );
  });

  test('lets everybody through while it has room', () => {
    let event: EventTurns = {};
    let gate_round = 1;
    for (let photo = 0; photo < 500; photo++) {
      const pass = passGate(event, { ...shared(), next_ms: nowMs + 500, gate_round }, config, nowMs);
      if ('refused' in pass) {
        throw new Error(pass.because);
      }
      event = apply(event, pass.change);
      // Nobody else came, so it is not ahead of anybody.
      gate_round = pass.gateRound ?? gate_round;
      expect(event.head! - gate_round).toBeLessThan(28);
    }
  });
});

test('an event has first photos once, however slowly it uploads, and again after a minute without any', () => {
  const step = fc.record({ afterMs: fc.oneof(fc.nat(200), fc.nat(59_000)), rounds: fc.nat(8) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 120 }), (steps) => {
      let event: EventTurns = {};
      let reached = 0;
      let nowMs = NOON;
      const rounds = steps.map(({ afterMs, rounds: passed }) => {
        nowMs += afterMs;
        reached += passed;
        const turn = joinEvent(event, { round: reached, round_ms: nowMs }, config, nowMs);
        event = apply(event, turn.change);
        return turn.round;
      });
      // From its 21st photo on one a round, wherever one looks.
      const later = rounds.slice(20);
      expect(later.every((round, i) => i === 0 || round >= later[i - 1]! + 1)).toBe(true);
      const laterMs = event.planned_ms! + 60_001;
      const after = joinEvent(event, { round: 10_000, round_ms: laterMs }, config, laterMs);
      expect(after.change.set).toMatchObject({ start: 10_001, photos: 1 });
    }),
  );
});

describe('in virtual time', () => {
  const ends = (arrivals: ReturnType<typeof uploads>, perSecond: number) => {
    const { times, ...result } = simulate({ photos: arrivals.events.length, arrivals, perSecond });
    const of = (event: number) =>
      [...arrivals.events.keys()]
        .filter((photo) => arrivals.events[photo] === event)
        .map((photo) => (times.accepted[photo]! - arrivals.timesMs[photo]!) / 1_000)
        .sort((a, b) => a - b);
    return { ...result, of };
  };

  test.each([50, 5])('20 photos behind 2,000 wait for seconds, at %d/s', (perSecond) => {
    const small = { event: 1, photos: 20, atMs: 8_000 };
    const alone = ends(uploads([small]), perSecond).of(1);
    const both = ends(uploads([{ event: 0, photos: 2_000, atMs: 0 }, small]), perSecond);
    expect(both.of(1)[18]).toBeLessThan(2 * alone[18]! + 0.6);
    expect(both.of(0).at(-1)).toBeLessThan(2_020 / perSecond + 1);
    expect(both.quotaUsed).toBeGreaterThanOrEqual(0.97);
    expect(both.throttled).toBe(0);
    expect(both.transitions / 2_020).toBeLessThan(5.2);
  });

  test('ten events at once finish beside each other, at no further transition', () => {
    const run = ends(
      uploads(Array.from({ length: 10 }, (_, event) => ({ event, photos: 200, atMs: 0 }))),
      50,
    );
    const last = Array.from({ length: 10 }, (_, event) => run.of(event).at(-1)!);
    expect(Math.max(...last) / Math.min(...last)).toBeLessThan(1.1);
    expect(run.transitions / 2_000).toBeLessThan(5.05);
  });

  test('an event that is passed again and again ends all the same, by what the others’ photos add', () => {
    const others = Array.from({ length: 30 }, (_, i) => ({
      event: i + 1,
      photos: 30,
      atMs: 2_000 + i * 900,
    }));
    const run = ends(uploads([{ event: 0, photos: 1_000, atMs: 0 }, ...others]), 50);
    expect(run.of(0).at(-1)).toBeLessThan((1_000 + 900) / 50 + 1.5);
    expect(run.quotaUsed).toBeGreaterThanOrEqual(0.95);
    for (const { event } of others) {
      expect(run.of(event).at(-1)).toBeLessThan(5);
    }
  });
});

describe('while the quota moves', () => {
  /** One event's photos, told to come at 50 a second. */
  const line = (photos: number, quota_changed_ms: number): { event: EventTurns; state: LedgerState } => ({
    event: { start: 0, photos, planned_ms: NOON + photos * 20 },
    state: { round: 0, round_ms: NOON, t15_0: 2 ** 15, line_ms: NOON + photos * 20, quota_changed_ms },
  });

  test('who comes back asks again within as long as the quota has been so, and never after half of what is left', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 110_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (sinceMs, random) => {
          const { event, state } = line(6_000, NOON - sinceMs);
          const { place } = joinEventAgain(event, state, config, { nowMs: NOON, round: 9, random });
          if (place.at !== 'moment') {
            throw new Error(`A place at the ${place.at}`);
          }
          expect(place.ms - NOON).toBeGreaterThan(0);
          expect(place.ms - NOON).toBeLessThanOrEqual(Math.min(Math.max(20_000, sinceMs), 61_000) + 500);
        },
      ),
    );
  });

  test('newcomers do too, spread evenly, unless their line is longer than five minutes', () => {
    const { event, state } = line(3_000, NOON - 30_000);
    let after = event;
    const places = Array.from({ length: 100 }, () => {
      const { place, change } = joinEvent(after, state, config, NOON);
      after = apply(after, change);
      return place.at === 'moment' ? place.ms - NOON : Number.NaN;
    }).sort((a, b) => a - b);
    expect(places.at(-1)!).toBeLessThanOrEqual(30_000);
    expect(Math.max(...places.slice(1).map((place, i) => place - places[i]!))).toBeLessThan(1_500);
    const long = line(20_000, NOON - 30_000);
    expect(joinEvent(long.event, long.state, config, NOON).place.at).toBe('end of line');
  });

  test('what is long past moves nobody', () => {
    const { event, state } = line(3_000, NOON - 3_600_000);
    expect(joinEvent(event, state, config, NOON).place.at).toBe('end of line');
    const again = joinEventAgain(event, state, config, { nowMs: NOON, round: 9, random: 0 });
    expect(again.place.at).toBe('end of plan');
  });
});
