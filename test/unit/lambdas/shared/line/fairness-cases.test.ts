/** What an event's item decides, case by case, in numbers that can be checked by hand; fairness.test.ts has what holds for any line. */
import {
  giveTurnBack,
  isShared,
  joinEvent,
  joinEventAgain,
  passGate,
  placeAtEnd,
  roundWritten,
  standInLine,
  type Turn,
} from '../../../../../lambdas/shared/line/fairness.ts';
import { intervalAt, type LedgerConfig, type LedgerState } from '../../../../../lambdas/shared/line/rules.ts';
import type { EventTurns } from '../../../../../lambdas/shared/line/turns.ts';
import { config, sharedLine as line, NOW } from '../../../../support/line-in-numbers.ts';

const slow: LedgerConfig = { perSecond: 1.00201 };

test('a slot is 20 ms, and a second where the quota is that small', () => {
  expect([config, slow].map((one) => intervalAt({}, one, NOW))).toEqual([20, 1_000]);
});

/** Twenty minutes of it, and the quota is what it is since so long ago. */
const long = (sinceMs: number) =>
  line(2 ** 16 * 20, { t10_0: 0, t15_0: 2 ** 16, quota_changed_ms: NOW - sinceMs });
const alone = (endMs: number, round: number, over: LedgerState = {}) => ({
  round,
  round_ms: NOW,
  line_ms: NOW + endMs,
  ...over,
});
/** From 25 calls a second, with 40 at which it was cut; a slot is 40 ms now, 29.17 in five seconds and 20 in the end. */
const CUT = { interval_ms: 40, throttled_interval_ms: 25, cut_ms: NOW };

const event = (start: number, photos: number, plannedMs?: number): EventTurns => ({
  start,
  photos,
  ...(plannedMs !== undefined && { planned_ms: NOW + plannedMs }),
});
/** An event of which the next photo, not one of its first twenty, has its turn in this round. */
const next = (round: number, plannedMs?: number) => event(round - 5, 20, plannedMs);
/** An event of which the last photo has. */
const last = (round: number, plannedMs?: number) => event(round - 5, 21, plannedMs);

function number(value: number | undefined): string {
  const isTime = value !== undefined && Math.abs(value - NOW) < 1e9;
  return value === undefined ? '-' : String(Math.round(100 * (isTime ? value - NOW : value)) / 100);
}

/** A decision in a line: what has to be so; what is added and set. */
function told({ premises, add = {}, set = {} }: Turn['change']): string {
  const so = premises.map((premise) =>
    'is' in premise
      ? `${premise.attribute} = ${number(premise.is)}`
      : 'below' in premise
        ? `${premise.attribute} < ${number(premise.below)}`
        : `${premise.attribute} >= ${number(premise.atLeast)}`,
  );
  const { expiration, ...others } = set;
  const done = [
    ...Object.entries(add).map(([name, value]) => `${name} + ${number(value)}`),
    ...Object.entries(others).map(([name, value]) => `${name} := ${number(value)}`),
    // Seconds, of which a day is not told.
    ...(expiration === undefined ? [] : [`kept ${expiration - NOW / 1_000 - 86_400} s`]),
  ];
  return `${so.join(', ')}: ${done.join(', ')}`;
}

function turnTold({ round, place, change }: Turn): [place: string, change: string] {
  const where =
    place.at === 'moment'
      ? `in ${number(place.ms)} ms`
      : place.at === 'end of plan'
        ? `end of plan, ${number(place.spacingMs)} ms`
        : place.at;
  return [`${round}, ${where}`, told(change)];
}

test.each<[what: string, event: EventTurns, state: LedgerState, place: string, change: string]>([
  [
    'the first of an event behind a long line',
    {},
    line(40_960),
    '1, end of plan, 10 ms',
    'start = -, photos = -, planned_ms = -: start := 1, photos := 1, planned_ms := 50, kept 1 s',
  ],
  [
    'the second, at a quarter of a round',
    event(1, 1, 50),
    line(40_960),
    '1.25, end of plan, 10 ms',
    'start = 1, planned_ms >= 0: photos + 1, planned_ms + 10, kept 1 s',
  ],
  [
    'the twentieth',
    event(1, 19, 230),
    line(40_960),
    '5.75, end of plan, 10 ms',
    'start = 1, planned_ms >= 0: photos + 1, planned_ms + 10, kept 1 s',
  ],
  [
    'the next, at a whole round',
    event(1, 20, 240),
    line(40_960),
    '6, end of plan, 40 ms',
    'start = 1, planned_ms >= 0: photos + 1, planned_ms + 40, kept 1 s',
  ],
  [
    'after all of an event’s turns came, in the next round, and not as one of its first',
    next(12.5, 90),
    line(40_960, { round: 12.5 }),
    '13, end of plan, 40 ms',
    'start = 7.5, photos = 20, planned_ms = 90: start := 8, photos := 21, planned_ms := 60, kept 1 s',
  ],
  [
    'the same a minute after its last was in line',
    next(12.5, -60_000),
    line(40_960, { round: 12.5 }),
    '13, end of plan, 40 ms',
    'start = 7.5, photos = 20, planned_ms = -60000: start := 8, photos := 21, planned_ms := 60, kept 1 s',
  ],
  [
    'after more than a minute, as the first',
    next(12.5, -60_001),
    line(40_960, { round: 12.5 }),
    '13, end of plan, 10 ms',
    'start = 7.5, photos = 20, planned_ms = -60001: start := 13, photos := 1, planned_ms := 30, kept 1 s',
  ],
  [
    'a fifth of the wait later: the end of the line is as good',
    next(200),
    line(10_000),
    '200, end of line',
    'start = 195, planned_ms < 10020: photos + 1, planned_ms := 10020, kept 11 s',
  ],
  [
    'more than that later: it is not',
    next(199.75),
    line(10_000),
    '199.75, end of plan, 40 ms',
    'start = 194.75, planned_ms = -: photos + 1, planned_ms := 8030, kept 8 s',
  ],
  [
    'a second later: as good',
    next(12.5),
    line(1_500),
    '12.5, end of line',
    'start = 7.5, planned_ms < 1520: photos + 1, planned_ms := 1520, kept 2 s',
  ],
  [
    'more than a second later',
    next(12.25),
    line(1_500),
    '12.25, end of plan, 40 ms',
    'start = 7.25, planned_ms = -: photos + 1, planned_ms := 530, kept 1 s',
  ],
  [
    'a line that is over ends now',
    next(0.5),
    line(-700),
    '0.5, end of line',
    'start = -4.5, planned_ms < 20: photos + 1, planned_ms := 20, kept 1 s',
  ],
  [
    'fifteen rounds before the line’s end: beside the others',
    next(200, 9_400),
    line(10_000),
    '200, end of line',
    'start = 195, planned_ms < 10020: photos + 1, planned_ms := 10020, kept 11 s',
  ],
  [
    'more than fifteen: a gap',
    next(200, 8_500),
    line(10_000),
    '200, end of plan, 20 ms',
    'start = 195, planned_ms >= 0: photos + 1, planned_ms + 20, kept 9 s',
  ],
  [
    'a plan a twentieth of the wait longer than its photos need goes on, and catches up',
    next(1_000, 42_000),
    line(60_000, { t10_0: 2_048 }),
    '1000, end of plan, 20 ms',
    'start = 995, planned_ms >= 0: photos + 1, planned_ms + 20, kept 42 s',
  ],
  [
    'longer than that: its next is due',
    next(1_000, 42_001),
    line(60_000, { t10_0: 2_048 }),
    '1000, end of plan, 40 ms',
    'start = 995, planned_ms = 42001: photos + 1, planned_ms := 40040, kept 40 s',
  ],
  [
    'a second longer goes on, and catches up',
    next(25, 2_000),
    line(20_000),
    '25, end of plan, 20 ms',
    'start = 20, planned_ms >= 0: photos + 1, planned_ms + 20, kept 2 s',
  ],
  [
    'a quarter of a second longer does not need to',
    next(25, 1_250),
    line(20_000),
    '25, end of plan, 40 ms',
    'start = 20, planned_ms >= 0: photos + 1, planned_ms + 40, kept 2 s',
  ],
  [
    'a little more does',
    next(25, 1_251),
    line(20_000),
    '25, end of plan, 20 ms',
    'start = 20, planned_ms >= 0: photos + 1, planned_ms + 20, kept 2 s',
  ],
  [
    'more than a second longer does not',
    next(25, 2_001),
    line(20_000),
    '25, end of plan, 40 ms',
    'start = 20, planned_ms = 2001: photos + 1, planned_ms := 1040, kept 1 s',
  ],
  [
    'fifteen rounds of ten events longer goes on',
    next(10, 5_000),
    line(204_800, { t10_0: 10_240 }),
    '10, end of plan, 100 ms',
    'start = 5, planned_ms >= 0: photos + 1, planned_ms + 100, kept 5 s',
  ],
  [
    'more than that does not',
    next(10, 5_001),
    line(204_800, { t10_0: 10_240 }),
    '10, end of plan, 200 ms',
    'start = 5, planned_ms = 5001: photos + 1, planned_ms := 2200, kept 2 s',
  ],
  [
    'a plan that ends with the line goes on with it',
    next(245, 10_000),
    line(10_000),
    '245, end of line',
    'start = 240: photos + 1, planned_ms + 20, kept 10 s',
  ],
  [
    'one that ends before it follows it',
    next(245, 9_999),
    line(10_000),
    '245, end of line',
    'start = 240, planned_ms < 10020: photos + 1, planned_ms := 10020, kept 11 s',
  ],
  [
    'alone and anew: the line',
    event(1, 5, 60),
    alone(60, 40),
    '41, end of line',
    'start = 1, photos = 5: start := 39.75, photos := 6, planned_ms := 80, kept 1 s',
  ],
  [
    'the same, and no plan is shortened',
    event(1, 5, 300),
    alone(60, 40),
    '41, end of line',
    'start = 1, photos = 5: start := 39.75, photos := 6, planned_ms := 300, kept 1 s',
  ],
  [
    'while the quota moves, within as long as it has been so',
    next(7_499),
    long(30_000),
    '7499, in 10820.39 ms',
    'start = 7494: photos + 1, kept 11 s',
  ],
  [
    'not in a line of five minutes',
    next(7_500),
    long(30_000),
    '7500, end of plan, 40 ms',
    'start = 7495, planned_ms = -: photos + 1, planned_ms := 300040, kept 300 s',
  ],
  [
    'not in one of forty seconds',
    next(1_000),
    long(100),
    '1000, end of plan, 40 ms',
    'start = 995, planned_ms = -: photos + 1, planned_ms := 40040, kept 40 s',
  ],
  [
    'in one that is longer, within twenty seconds',
    next(1_001, 30_000),
    long(100),
    '1001, in 7213.6 ms',
    'start = 996: photos + 1, kept 30 s',
  ],
  [
    'not in one as long as the quota has been so',
    next(1_250),
    long(50_000),
    '1250, end of plan, 40 ms',
    'start = 1245, planned_ms = -: photos + 1, planned_ms := 50040, kept 50 s',
  ],
  [
    'spread by how many there are: the first at once',
    event(1_300, 0),
    long(30_000),
    '1300, in 0 ms',
    'start = 1300: photos + 1, kept 0 s',
  ],
  [
    'the fourth at 85 of 100',
    event(1_300, 3),
    long(30_000),
    '1300.75, in 22219.46 ms',
    'start = 1300: photos + 1, kept 23 s',
  ],
  [
    'the first of an event does too',
    {},
    line(2e6, { t10_0: 1_024 * 3_000, quota_changed_ms: NOW - 100 }),
    '1, in 0 ms',
    'start = -, photos = -: start := 1, photos := 1, kept 0 s',
  ],
  [
    'a plan that ends now is none',
    next(200, 0),
    line(20_000),
    '200, end of plan, 40 ms',
    'start = 195, planned_ms = 0: photos + 1, planned_ms := 8040, kept 8 s',
  ],
  [
    'after a cut by the pace of then: 28.1 ms a slot after six seconds',
    next(100),
    line(20_000, CUT),
    '100, end of plan, 56.2 ms',
    'start = 95, planned_ms = -: photos + 1, planned_ms := 6138.2, kept 7 s',
  ],
  [
    'and where its plan ends, 31.98 ms after three',
    next(100, 3_000),
    line(20_000, CUT),
    '100, end of plan, 63.96 ms',
    'start = 95, planned_ms >= 0: photos + 1, planned_ms + 63.96, kept 3 s',
  ],
  [
    'in the round that is reached, beside those of this one',
    next(0.5, 50),
    alone(20_000, 0, { t0_0: 2, t0_1: 6 }),
    '0.5, end of plan, 40 ms',
    'start = -4.5, planned_ms >= 0: photos + 1, planned_ms + 40, kept 1 s',
  ],
  [
    'apart by hundredths of a millisecond, rounded up',
    next(25),
    line(20_000, { t10_0: 1_365 }),
    '25, end of plan, 26.67 ms',
    'start = 20, planned_ms = -: photos + 1, planned_ms := 693.67, kept 1 s',
  ],
])('a photo joins: %s', (_, given, state, place, change) => {
  expect(turnTold(joinEvent(given, state, config, NOW))).toEqual([place, change]);
});

test.each<[what: string, event: EventTurns, state: LedgerState, over: object, place: string, change: string]>(
  [
    [
      'to the end of its event’s plan',
      last(85, 3_400),
      line(40_960),
      {},
      '85, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 4 s',
    ],
    [
      'five seconds of gaps are none',
      last(85, 8_400),
      line(40_960),
      {},
      '85, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 9 s',
    ],
    [
      'in more there is room, half a second from now on to the middle of it',
      last(85, 8_401),
      line(40_960),
      {},
      '85, in 3450.25 ms',
      ': kept 9 s',
    ],
    ['anywhere', last(85, 8_401), line(40_960), { random: 0.25 }, '85, in 1975.13 ms', ': kept 9 s'],
    [
      'a tenth of the wait is none',
      last(1_500, 66_000),
      long(3.6e6),
      {},
      '1500, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 66 s',
    ],
    ['more than that is one', last(1_500, 66_001), long(3.6e6), {}, '1500, in 32000.25 ms', ': kept 67 s'],
    [
      'twenty slots are none',
      last(2, 24_000),
      line(40_960),
      { config: slow, round: 1 },
      '2, end of plan, 2000 ms',
      'planned_ms >= 0: planned_ms + 2000, kept 24 s',
    ],
    [
      'more than twenty are one',
      last(2, 24_001),
      line(40_960),
      { config: slow, round: 1 },
      '2, in 7500.25 ms',
      ': kept 25 s',
    ],
    [
      'of an event that is not known any more',
      {},
      line(40_960),
      {},
      '10, end of plan, 40 ms',
      'planned_ms = -: planned_ms := 240, kept 1 s',
    ],
    [
      'whose turn is after the last that is known',
      last(85, 3_400),
      line(40_960),
      { round: 90 },
      '90, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 4 s',
    ],
    [
      'not before half of what is left',
      last(85, 1_700),
      line(40_960),
      {},
      '85, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 2 s',
    ],
    [
      'where the plan is shorter',
      last(85, 1_699),
      line(40_960),
      {},
      '85, end of plan, 40 ms',
      'planned_ms = 1699: planned_ms := 1740, kept 2 s',
    ],
    [
      'where the plan is over',
      last(85, -5),
      line(40_960),
      {},
      '85, end of plan, 40 ms',
      'planned_ms = -5: planned_ms := 1740, kept 2 s',
    ],
    [
      'never at once',
      last(12, 0),
      line(40_960, { round: 12 }),
      {},
      '12, end of plan, 40 ms',
      'planned_ms = 0: planned_ms := 80, kept 1 s',
    ],
    [
      'with a plan that goes on',
      last(12, 1),
      line(40_960, { round: 12 }),
      {},
      '12, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 1 s',
    ],
    ['while the quota moves', last(1_001, 50_000), long(100), {}, '1001, in 10500 ms', ': kept 50 s'],
    ['the same, with a plan that is over', last(1_001, 5), long(100), {}, '1001, in 10500 ms', ': kept 11 s'],
    ['within half of what is left', last(1_251), long(50_000), {}, '1251, in 13010 ms', ': kept 14 s'],
    [
      'not in a line as long as the quota has been so',
      last(1_250),
      long(50_000),
      {},
      '1250, end of plan, 40 ms',
      'planned_ms = -: planned_ms := 25040, kept 25 s',
    ],
    [
      'a gap of five seconds with nothing left',
      last(12, 5_000),
      line(40_960, { round: 12 }),
      {},
      '12, end of plan, 40 ms',
      'planned_ms >= 0: planned_ms + 40, kept 5 s',
    ],
    ['a longer one', last(12, 5_001), line(40_960, { round: 12 }), {}, '12, in 1750.25 ms', ': kept 6 s'],
    [
      'after a cut by the pace of the soonest moment',
      last(85, 1_000),
      line(40_960, CUT),
      {},
      '85, end of plan, 65.2 ms',
      'planned_ms = 1000: planned_ms := 2727.2, kept 3 s',
    ],
    [
      'or of its plan’s end',
      last(85, 3_400),
      line(40_960, CUT),
      {},
      '85, end of plan, 62.62 ms',
      'planned_ms >= 0: planned_ms + 62.62, kept 4 s',
    ],
  ],
)('a photo is sent back: %s', (_, given, state, over, place, change) => {
  const { config: quota, ...again } = { config, round: 10, random: 0.5, ...over };
  expect(turnTold(joinEventAgain(given, state, quota, { nowMs: NOW, ...again }))).toEqual([place, change]);
});

describe('at the gate, whose round is 7 in round 100 of the line', () => {
  /** Of two events: a round is 40 ms, and an event may be 27 ahead. */
  const gate = (over: LedgerState = {}) =>
    line(40_960, { round: 100, gate_round: 7, next_ms: NOW + 751, ...over });
  const roomy = gate({ next_ms: NOW + 750 });
  const unshared = { round: 100, round_ms: NOW, gate_round: 7, next_ms: NOW + 751 };

  test.each<[what: string, event: EventTurns, state: LedgerState, change: string, gateRound?: number]>([
    ['as far ahead as is allowed', { start: 0, head: 34 }, gate(), 'head >= 7, head < 35: head + 1'],
    ['further ahead, with room at the gate', { start: 0, head: 34.01 }, roomy, 'head >= 7: head + 1', 17.81],
    [
      'further ahead, at a gate that was never used',
      { start: 0, head: 34.01 },
      gate({ next_ms: undefined! }),
      'head >= 7: head + 1',
      17.81,
    ],
    ['with room, as far ahead as stays', { start: 0, head: 23.2 }, roomy, 'head >= 7: head + 1'],
    ['and a little further', { start: 0, head: 23.21 }, roomy, 'head >= 7: head + 1', 7.01],
    [
      'at a crowded gate, whose round stays',
      { start: 0, head: 30 },
      gate(),
      'head >= 7, head < 35: head + 1',
    ],
    ['five rounds after its start', { start: 95, head: 7 }, gate(), 'head >= 7, head < 35: head + 1'],
    ['less', { start: 95.25, head: 7 }, gate(), 'head >= 7, head < 35: head + 0.25'],
    [
      'one of the first of an event that is behind',
      { start: 96, head: 6.75 },
      gate(),
      'head < 7: head := 7.25',
    ],
    ['one of an event that is behind', { start: 0, head: 6.75 }, gate(), 'head < 7: head := 8'],
    ['of an event that is not known', {}, gate(), 'head < 7: head := 8'],
    [
      'the first of all, whose gate has no round yet',
      {},
      gate({ gate_round: undefined! }),
      'head < 1: head := 2',
    ],
    [
      'of nobody’s turns: a round is a slot',
      { start: 0, head: 59 },
      unshared,
      'head >= 7, head < 60: head + 1',
    ],
  ])('passes: %s', (...[, given, state, change, gateRound]) => {
    const pass = passGate(given, state, config, NOW);
    expect('change' in pass && [told(pass.change), pass.gateRound]).toEqual([
      change,
      gateRound === undefined ? undefined : expect.closeTo(gateRound, 6),
    ]);
  });

  test.each<[what: string, head: number, state: LedgerState]>([
    ['when its event has had its turns', 34.01, gate()],
    ['when it has had them alone', 59.01, unshared],
    ['when the gate is nearly four seconds ahead', 34.01, gate({ next_ms: NOW + 3_999 })],
  ])('goes back: %s', (_, head, state) => {
    expect(passGate({ start: 0, head }, state, config, NOW)).toEqual({
      refused: 'SlotExpired',
      because: `its event has had its turns up to round ${Math.floor(head)} of the gate, which is at 7`,
    });
  });

  test('goes back, and takes no turn, where there is no slot', () => {
    expect(passGate({}, gate({ next_ms: NOW + 4_000 }), config, NOW)).toEqual({
      refused: 'SlotExpired',
      because: 'the next free slot is 4000 ms away',
    });
  });

  test.each([
    [1_536, false],
    [1_537, true],
  ])('%s photos in 1,024 rounds are shared: %s', (t10_0, is) => {
    expect(isShared(line(40_960, { t10_0 }), config, NOW)).toBe(is);
  });
});

test.each<[what: string, endMs: number, placeMs: number, over?: LedgerState]>([
  ['a second after its turn is as good', 5_000, 5_000],
  ['more than that is not', 5_001, 4_000],
  ['after a cut by the pace of then', 20_000, 6_082, CUT],
])('a line that turned out longer: %s', (...[, endMs, placeMs, over]) => {
  expect(placeAtEnd(line(40_960, over), config, { nowMs: NOW, round: 100, endMs: NOW + endMs }) - NOW).toBe(
    placeMs,
  );
});

describe('the round that was written', () => {
  const turn = (add?: Record<string, number>): Turn => ({
    round: 7,
    place: { at: 'end of line' },
    change: { premises: [], ...(add && { add }) },
  });

  test.each<[what: string, add: Record<string, number> | undefined, after: EventTurns, round: number]>([
    ['is by how many there are then', { photos: 1 }, { start: 0, photos: 41 }, 25],
    ['is the one that was meant where the event begins', {}, { start: 7, photos: 1 }, 7],
    ['and where nothing is added', undefined, { start: 0, photos: 41 }, 7],
    ['and where another attribute is', { planned_ms: 1 }, { start: 0, photos: 41 }, 7],
    ['and of an item without photos', { photos: 1 }, { start: 0 }, 7],
    ['and of an item without a start', { photos: 1 }, { photos: 41 }, 7],
  ])('%s', (_, add, after, round) => {
    expect(roundWritten(turn(add), after)).toBe(round);
  });
});

describe('who comes back to the line', () => {
  const shared = (gate_round?: number) => line(40_960, { round: 100, ...(gate_round && { gate_round }) });
  const given = { ...last(185, 3_400), head: 20 };

  test.each<
    [what: string, before: number | undefined, event: EventTurns, state: LedgerState, isNew: boolean]
  >([
    ['was never there', undefined, given, shared(7), true],
    ['has its turn to come', 100.5, { ...given, head: 3 }, shared(7), false],
    [
      'had it in the round that is reached, and its event none to come',
      100,
      { ...given, head: 7 },
      shared(7),
      true,
    ],
    ['had it, and another photo of its event passed before its time', 100, given, shared(19.5), false],
    ['the same, at a gate without a round', 50, { ...given, head: 1.5 }, shared(), false],
    ['and of an event that never passed it', 50, last(185), shared(), true],
    ['the same, alone', 50, given, { round: 100, round_ms: NOW, gate_round: 7 }, true],
  ])('who %s: a new turn', (_, before, event, state, isNew) => {
    const turn = standInLine(event, state, config, { nowMs: NOW, before, random: 0.5 });
    expect(turn).toEqual({
      isNew,
      ...(isNew
        ? joinEvent(event, state, config, NOW)
        : joinEventAgain(event, state, config, { nowMs: NOW, round: before!, random: 0.5 })),
    });
  });

  test('stands behind what its event is ahead at the gate', () => {
    const ahead = { ...last(120, 3_400), head: 57 };
    const again = { nowMs: NOW, round: 110, random: 0.5 };
    expect(joinEventAgain(ahead, shared(7), config, again).round).toBe(150);
    expect(joinEventAgain({ ...ahead, head: 20 }, shared(7), config, again).round).toBe(120);
  });
});

test.each<[what: string, turn: Pick<Turn, 'change' | 'place'>, back: string]>([
  [
    'at the end of its event’s plan',
    {
      place: { at: 'end of plan', spacingMs: 40 },
      change: { premises: [], set: { photos: 3, planned_ms: 90 } },
    },
    ': photos + -1, planned_ms + -40',
  ],
  [
    'at the end of the line, and of its event’s plan',
    { place: { at: 'end of line' }, change: { premises: [], add: { photos: 1, planned_ms: 20 } } },
    ': photos + -1, planned_ms + -20',
  ],
  ['at the end of the line', { place: { at: 'end of line' }, change: { premises: [] } }, ': photos + -1'],
  [
    'at a moment',
    { place: { at: 'moment', ms: 7 }, change: { premises: [], add: { photos: 1 } } },
    ': photos + -1',
  ],
])('a turn %s is given back', (_, turn, back) => {
  expect(told(giveTurnBack({ round: 7, ...turn }))).toBe(back);
});
