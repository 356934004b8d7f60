import fc from 'fast-check';
import {
  type FunctionWork,
  gigabyteSeconds,
  invocationGigabyteSeconds,
  LATENCY_MS,
  median,
  onItsShare,
  SLOT_WAIT_MS,
  startGigabyteSeconds,
} from '../../bench/cost/lambda-time.ts';

const work: FunctionWork = {
  requests: 10,
  megabytes: 256,
  cpuMs: 30,
  initCpuMs: 200,
  coldStarts: 1,
  s3Calls: 40,
  dynamodbCalls: 20,
  databaseTurns: 5,
  rekognitionCalls: 10,
  rekognitionMs: 6_000,
};

test('a function is billed for its CPU time on its share of a CPU, and for what it waits for', () => {
  const ms =
    10 * 30 * (1_769 / 256) +
    40 * LATENCY_MS.s3 +
    20 * LATENCY_MS.dynamodb +
    5 * LATENCY_MS.database +
    6_000 +
    10 * SLOT_WAIT_MS;
  expect(invocationGigabyteSeconds(work)).toBeCloseTo((ms / 1_000) * 0.25, 9);
  expect(startGigabyteSeconds(work)).toBeCloseTo(0.2 * 0.25, 9);
});

test('below a whole CPU, what is computed costs the same with any memory; above it, more', () => {
  const price = (cpuMs: number, megabytes: number) =>
    gigabyteSeconds(onItsShare(cpuMs, megabytes), megabytes);
  fc.assert(
    fc.property(fc.integer({ min: 128, max: 1_769 }), fc.integer({ min: 1, max: 10_000 }), (memory, ms) => {
      expect(price(ms, memory)).toBeCloseTo(price(ms, 1_769), 6);
      expect(price(ms, 2 * 1_769)).toBeCloseTo(2 * price(ms, 1_769), 6);
    }),
  );
});

test('a few invocations that the neighbours held up change nothing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 10, max: 40 }), { minLength: 3, maxLength: 99 }),
      fc.integer({ min: 100, max: 100_000 }),
      (usual, slow) => {
        const some = Array.from({ length: Math.floor((usual.length - 1) / 2) }, () => slow);
        expect(median([...usual, ...some])).toBeLessThanOrEqual(40);
      },
    ),
  );
  expect([median([]), median([3]), median([1, 3]), median([9, 1, 2])]).toEqual([0, 3, 2, 2]);
});
