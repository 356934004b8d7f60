/** The line's rules in a pipeline of which all else is a delay: how much of the quota is used, how little is throttled, that nothing is lost. */
import { cases } from '../../../../support/effort.ts';
import { type SimulationOptions, simulate } from '../../../../support/line-simulation.ts';
import { uploads } from '../../../../support/uploads.ts';

test('a quota that changes in the middle is followed, down and up', () => {
  const photos = 3_200;
  const result = simulate({
    photos,
    arrivals: uploads(
      Array.from({ length: 10 }, (_, event) => ({ event, photos: photos / 10, atMs: 0 })),
      1,
    ),
    perSecond: 50,
    quotas: [
      { fromMs: 20_000, perSecond: 30 },
      { fromMs: 40_000, perSecond: 80 },
    ],
    startBurst: 1_300,
  });
  expect(result.quotaUsed).toBeGreaterThan(0.85);
  expect(result.throttled / result.calls).toBeLessThan(0.02);
});

const run = (options: Partial<SimulationOptions>) => simulate({ photos: 3_000, perSecond: 50, ...options });

test.each([
  ['200 ms', { latencyMs: 200 }],
  ['600 ms', { latencyMs: 600 }],
  ['2 s', { latencyMs: 2_000 }],
  ['a quota of 5', { photos: 300, perSecond: 5 }],
])('uses the quota and is not throttled: %s', (_, options: Partial<SimulationOptions>) => {
  const result = run(options);
  expect(result.indexed).toBe(options.photos ?? 3_000);
  expect(result.quotaUsed).toBeGreaterThanOrEqual(0.97);
  expect(result.throttled).toBe(0);
  expect(result.transitions / result.indexed).toBe(5);
});

test.each(Array.from({ length: cases(2) }, (_, i) => i + 1))(
  'finds out what a neighbour or a lower quota leaves (seed %d)',
  (seed) => {
    for (const options of [{ neighbour: { perSecond: 20 } }, { trueQuota: 30 }, { trueQuota: 45 }]) {
      const result = run({ ...options, seed });
      expect(result.indexed).toBe(3_000);
      expect(result.quotaUsed).toBeGreaterThanOrEqual(0.92);
      expect(result.throttled / result.calls).toBeLessThanOrEqual(0.01);
    }
  },
);

test('holds on to what is left when throttled calls take seconds to say so', () => {
  for (const options of [{ neighbour: { perSecond: 20 } }, { trueQuota: 30 }]) {
    // A run has few cuts, and one more or less shows.
    const throttled = [1, 2, 3, 4, 5].map((seed) => {
      const result = run({ ...options, seed, latencyMs: 2_000, throttleLatencyMs: 2_000 });
      expect(result.quotaUsed).toBeGreaterThanOrEqual(0.9);
      return result.throttled / result.calls;
    });
    expect(throttled.toSorted((a, b) => a - b)[2]).toBeLessThanOrEqual(0.04);
  }
});

test('takes the quota back when the neighbour leaves', () => {
  const { timeline } = run({ photos: 6_000, neighbour: { perSecond: 20, untilMs: 60_000 } });
  const perSecond = (from: number, to: number) =>
    timeline.accepted.slice(from, to).reduce((a, b) => a + b, 0) / (to - from);
  expect(perSecond(20, 60)).toBeLessThan(32);
  expect(perSecond(95, 115)).toBeGreaterThan(47);
});

test.each(['throttle', 'error'] as const)('loses no photo when the service stops for 20 s (%s)', (how) => {
  const result = run({ stop: { fromMs: 30_000, untilMs: 50_000, how } });
  expect(result.indexed).toBe(3_000);
  expect(result.seconds).toBeLessThan(120);
});

test('survives clocks that differ by four seconds', () => {
  const alone = run({ clockSkewMs: 2_000 });
  expect(alone.indexed).toBe(3_000);
  expect(alone.throttled / alone.calls).toBeLessThanOrEqual(0.001);
  expect(alone.quotaUsed).toBeGreaterThan(0.8);
  const shared = run({ clockSkewMs: 2_000, trueQuota: 30 });
  expect(shared.quotaUsed).toBeGreaterThan(0.8);
  expect(shared.throttled / shared.calls).toBeLessThanOrEqual(0.04);
});

test('serves live photos within 3 s while backfill uses the whole quota', () => {
  const result = run({ photos: 5_250, liveEvery: 21, startsPerSecond: 50 });
  const { live } = result.waits;
  expect(live).toHaveLength(250);
  expect(live[Math.floor(live.length * 0.95)]).toBeLessThan(3);
  expect(result.quotaUsed).toBeGreaterThanOrEqual(0.97);
});

test('a lone photo waits for no slot', () => {
  // Three steps of 40 ms lie between its start and its call, none of them the ledger's doing.
  expect(run({ photos: 1 }).waits.live[0]).toBeLessThan(0.22);
});
