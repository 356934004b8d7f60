/** Many new events at once against CreateCollection's 5 calls a second, with the retries of the state machine. */
import { ensureCollectionRetriers, simulateNewEvents } from '../../bench/scale/new-events.ts';

const each = (events: number, photos: number) => Array<number>(events).fill(photos);

test.each([1, 2, 3])('5,000 new events at once: none fails (seed %i)', (seed) => {
  const result = simulateNewEvents({ events: each(5_000, 1), seed });
  expect(result.failed).toBe(0);
  // The quota alone takes 1,000 s.
  expect(result.collectionsSeconds).toBeGreaterThan(990);
  expect(result.collectionsSeconds).toBeLessThan(1_500);
  // Waits grow, so that waiting stays a fraction of an image's price: $0.000025 a time.
  expect(result.attempts / 5_000).toBeLessThan(12);
});

test.each([
  ['500 new events with 20 photos each', each(500, 20)],
  ['500 new events with 200 photos each', each(500, 200)],
  ['a new event of 10,000 photos among 5,000 others', [10_000, ...each(5_000, 1)]],
])('%s, all at once: no photo fails for a neighbour that is at it', (_, events) => {
  const result = simulateNewEvents({ events });
  expect(result.failed).toBe(0);
  // The photos of one event do not take the quota from other events.
  expect(result.collectionsSeconds).toBeLessThan(events.length / 5 + 300);
});

test('tens of thousands of new events pass within the attempts that there are', () => {
  const result = simulateNewEvents({ events: each(20_000, 1) });
  const { MaxAttempts: most } = ensureCollectionRetriers().find(({ ErrorEquals }) =>
    ErrorEquals.includes('RekognitionThrottled'),
  )!;
  expect(result.failed).toBe(0);
  expect(result.maxAttempts).toBeLessThan(most / 2);
});

test('the simulation can fail: with a dozen attempts most of 5,000 do', () => {
  const retriers = ensureCollectionRetriers().map((retrier) => ({
    ...retrier,
    MaxDelaySeconds: 60,
    MaxAttempts: 12,
  }));
  expect(simulateNewEvents({ events: each(5_000, 1), retriers }).failed).toBeGreaterThan(2_500);
});
