import fc from 'fast-check';
import { about, timeLeftAt } from '../../../../../lambdas/shared/contract/time-left.ts';
import { intervalAt, type LedgerState } from '../../../../../lambdas/shared/line/rules.ts';
import { timeLeft, type Waiting } from '../../../../../lambdas/shared/line/time-left.ts';
import { type Moment, type SimulationOptions, simulate } from '../../../../support/line-simulation.ts';

const NOON = Date.UTC(2026, 4, 1, 12);
const config = { perSecond: 50, dailyImageCap: 10_000 };
const waiting: Waiting = { photos: 500, ahead: 500, lastAnnouncedMs: NOON - 60_000 };
/** A line that is as long as those photos need. */
const inLine: LedgerState = { line_ms: NOON + 10_000, next_ms: NOON + 500, day: 20260501, images: 100 };

/** What was said at each moment of a run, beside what came true. */
function saidAndTrue(options: SimulationOptions, knownFirst: boolean) {
  const moments: Moment[] = [];
  const ends: number[] = [];
  const watch = {
    everyMs: 250,
    look(moment: Moment) {
      moments.push(moment);
      for (; ends.length < moment.done; ) {
        ends.push(moment.nowMs);
      }
    },
  };
  simulate({ ...options, watch });
  const endMs = moments.at(-1)!.nowMs;
  return moments
    .filter(({ started, done }) => done < (knownFirst ? options.photos : started))
    .map(({ nowMs, startedMs, ledger, started, done }) => {
      const photos = (knownFirst ? options.photos : started) - done;
      const said = timeLeft(
        ledger,
        { perSecond: options.perSecond },
        { photos, ahead: photos, lastAnnouncedMs: knownFirst ? startedMs : nowMs },
        nowMs,
      );
      // Of those that were known then, the last one's end; what comes later is not asked about.
      const trueMs = (knownFirst ? endMs : (ends[started - 1] ?? endMs)) - nowMs;
      return { atMs: nowMs - startedMs, photos, said, trueSeconds: trueMs / 1_000 };
    });
}

describe('a burst of 3,000 photos', () => {
  test.each([
    ['rows made beforehand', {}, true],
    ['announced as they come', {}, false],
    ['all at once', { startBurst: 3_000 }, true],
    ['clocks that differ', { clockSkewMs: 300 }, true],
    ['a slow Rekognition', { latencyMs: 2_000 }, true],
    ['a small quota', { perSecond: 5, photos: 600 }, true],
    ['another seed', { seed: 4_711, clockSkewMs: 100 }, false],
  ])('%s: within 10 %% or 3 s of the truth at any moment', (_, options, knownFirst) => {
    const run = saidAndTrue({ photos: 3_000, perSecond: 50, ...options }, knownFirst);
    expect(run.length).toBeGreaterThan(200);
    const wrong = run.filter(
      ({ said: { seconds }, trueSeconds }) =>
        seconds === null || Math.abs(seconds - trueSeconds) > Math.max(3, trueSeconds * 0.1),
    );
    expect(wrong).toEqual([]);
  });

  test('with a quota that does not hold: a number is never far too small, and often there is none', () => {
    const run = saidAndTrue({ photos: 3_000, perSecond: 50, trueQuota: 30 }, true);
    const reasons = new Set(run.map(({ said }) => said.reason));
    expect(reasons).toContain('quota_cut');
    const after = run.filter(({ atMs }) => atMs > 5_000);
    for (const { said, trueSeconds } of after) {
      if (said.seconds !== null) {
        expect(said.seconds).toBeGreaterThan(trueSeconds * 0.5);
      }
    }
  });
});

describe('says why it does not know', () => {
  test.each<[string, LedgerState, Partial<Waiting>, string]>([
    ['paused', { ...inLine, paused_ms: NOON - 1 }, {}, 'Indexing is paused; 500 photos wait'],
    ['daily_cap', { ...inLine, images: 10_000 }, {}, 'The images of this day do not suffice'],
    ['daily_cap', { ...inLine, daily_image_cap: 400 }, {}, 'The images of this day do not suffice'],
    [
      'quota_cut',
      { ...inLine, cuts: 1, cut_ms: NOON - 1_000, interval_ms: 25, throttled_interval_ms: 20 },
      {},
      'Rekognition slowed down a moment ago',
    ],
    ['backfill', { ...inLine, backfill_ms: NOON + 1_000 }, {}, 'A backfill is under way'],
    ['not_in_line', { line_ms: NOON - 60_000 }, { photos: 1, ahead: 1 }, '1 photo waits and is not in line'],
    ['not_in_line', inLine, { ahead: 5_000 }, 'not uploaded yet, or being tried again'],
  ])('%s', (reason, state, more, sentence) => {
    const said = timeLeft(state, config, { ...waiting, ...more }, NOON);
    expect(said).toMatchObject({ seconds: null, done_at: null, reason });
    expect(said.sentence).toContain(sentence);
  });

  test('and knows again: what is just announced may be on its way, a cut is over, yesterday counts for nothing', () => {
    const known: [LedgerState, Partial<Waiting>][] = [
      [inLine, {}],
      [{}, { lastAnnouncedMs: NOON - 1_000 }],
      [{ ...inLine, cuts: 1, cut_ms: NOON - 60_000, interval_ms: 25, throttled_interval_ms: 20 }, {}],
      [{ ...inLine, day: 20260430, images: 10_000 }, {}],
      [{ ...inLine, backfill_ms: NOON - 1 }, {}],
    ];
    for (const [state, more] of known) {
      expect(timeLeft(state, config, { ...waiting, ...more }, NOON)).toMatchObject({
        seconds: expect.closeTo(10, 0),
        reason: null,
        sentence: 'Detecting faces, about 10 seconds left',
      });
    }
  });

  test('whatever the ledger holds: a number with its moment, or a reason, and always a sentence', () => {
    const ms = fc.option(fc.integer({ min: NOON - 100_000, max: NOON + 100_000 }), { nil: undefined });
    const state = fc.record(
      {
        line_ms: ms,
        backfill_ms: ms,
        next_ms: ms,
        paused_ms: ms,
        cut_ms: ms,
        interval_ms: fc.float({ min: 20, max: 1_000, noNaN: true }),
        throttled_interval_ms: fc.float({ min: 16, max: 1_000, noNaN: true }),
        images: fc.nat(20_000),
        day: fc.constantFrom(20260430, 20260501),
        daily_image_cap: fc.nat(20_000),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(state, fc.nat(5_000), fc.nat(5_000), (ledger, photos, others) => {
        const defined = Object.fromEntries(Object.entries(ledger).filter(([, value]) => value !== undefined));
        const asked = { photos, ahead: photos === 0 ? 0 : photos + others, lastAnnouncedMs: NOON };
        const said = timeLeft(defined, config, asked, NOON);
        expect(said.sentence).not.toBe('');
        expect(said.seconds === null).toBe(said.reason !== null);
        expect(said.done_at === null).toBe(said.seconds === null || photos === 0);
        if (said.seconds !== null) {
          expect(said.seconds).toBeGreaterThanOrEqual(photos / 50);
        }
      }),
    );
  });
});

describe('at the edge of what is known', () => {
  /** A little below the quota of fifty. */
  const perSecond = 1_000 / intervalAt(inLine, config, NOON);
  const reason = (state: LedgerState, more: Partial<Waiting> = {}, nowMs = NOON) =>
    timeLeft(state, config, { ...waiting, ...more }, nowMs).reason;

  test('the longer of both numbers of photos counts, and none where none is asked about', () => {
    const seconds = (photos: number, ahead: number) =>
      timeLeft({ ...inLine, line_ms: NOON + 60_000 }, config, { ...waiting, photos, ahead }, NOON).seconds;
    const ofAll = Math.ceil((500 / perSecond) * 10) / 10;
    expect([seconds(100, 500), seconds(500, 100), seconds(0, 500)]).toEqual([ofAll, ofAll, 0]);
  });

  test('a line that ends now has the photos of fifteen seconds in it: those that are at work', () => {
    const line = { line_ms: NOON };
    const ahead = Math.floor(15 * perSecond);
    expect([reason(line, { ahead }), reason(line, { ahead: ahead + 1 })]).toEqual([null, 'not_in_line']);
    expect(reason({ next_ms: NOON }, { ahead })).toBeNull();
    expect(reason({ line_ms: NOON - 15_000 }, { photos: 1, ahead: 1 })).toBe('not_in_line');
  });

  test('a photo is on its way for thirty seconds', () => {
    const announced = (ms: number) => reason({}, { lastAnnouncedMs: NOON - ms });
    expect([announced(30_000), announced(30_001)]).toEqual([null, 'not_in_line']);
    expect(timeLeft({}, config, { ...waiting, photos: 2, ahead: 2 }, NOON).sentence).toBe(
      '2 photos wait and are not in line: not uploaded yet, or being tried again',
    );
    expect(timeLeft({}, config, { ...waiting, photos: 1, ahead: 1 }, NOON).sentence).toBe(
      '1 photo waits and is not in line: not uploaded yet, or being tried again',
    );
  });

  test('the day’s images suffice for all that are ahead, but for those of a second and a half, which count already', () => {
    const capped = (cap: number) => reason({ ...inLine, daily_image_cap: cap });
    const needed = Math.ceil(100 + 500 - 1.5 * perSecond);
    expect([capped(needed), capped(needed - 1)]).toEqual([null, 'daily_cap']);
    const late = Date.UTC(2026, 4, 2) - 2_000;
    const beforeMidnight = (cap: number) =>
      reason({ ...inLine, line_ms: late + 10_000, daily_image_cap: cap }, {}, late);
    // What comes after midnight counts for another day.
    const today = Math.ceil(100 + 2 * perSecond);
    expect([beforeMidnight(today), beforeMidnight(today - 1)]).toEqual([null, 'daily_cap']);
  });

  test('a backfill that ends now is over', () => {
    expect([reason({ ...inLine, backfill_ms: NOON }), reason({ ...inLine, backfill_ms: NOON + 1 })]).toEqual([
      null,
      'backfill',
    ]);
  });
});

test.each([
  [3, 'a few seconds'],
  [44, 'about 40 seconds'],
  [57, 'about 1 minute'],
  [89, 'about 1 minute'],
  [241, 'about 4 minutes'],
  [3_590, 'about 1 hour'],
  [7_300, 'about 2 hours'],
])('%d s are %s', (seconds, text) => {
  expect(about(seconds)).toBe(text);
});

test.each([
  [9.9, 'a few seconds'],
  [10, 'about 10 seconds'],
  [54.9, 'about 50 seconds'],
  [55, 'about 1 minute'],
  [59 * 60 + 29, 'about 59 minutes'],
  [59 * 60 + 30, 'about 1 hour'],
])('at the edge: %d s are %s', (seconds, text) => {
  expect(about(seconds)).toBe(text);
});

test('a number is told in tenths of a second, no shorter than it is, with the moment', () => {
  expect(timeLeftAt(1, 3, NOON)).toEqual({
    seconds: 0.4,
    done_at: '2026-05-01T12:00:00.333Z',
    reason: null,
    sentence: 'Detecting faces, a few seconds left',
  });
  expect(timeLeftAt(2, 1, NOON)).toMatchObject({ seconds: 2, done_at: '2026-05-01T12:00:02.000Z' });
});

test.each([0, -1])('nothing left is no time at all: %d', (photos) => {
  expect(timeLeftAt(photos, 50, NOON)).toEqual({
    seconds: 0,
    done_at: null,
    reason: null,
    sentence: 'No photo is waiting',
  });
});
