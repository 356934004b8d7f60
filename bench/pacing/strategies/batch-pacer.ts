import { setTimeout as sleep } from 'node:timers/promises';
import { startQueue } from '../queue.ts';
import type { Strategy } from '../strategy.ts';
import type { World } from '../world.ts';

const SOURCE =
  'https://github.com/putto11262002/sabaipics/blob/HEAD/apps/api/src/durable-objects/rate-limiter.ts';

interface Settings {
  intervalMs: number;
  maxConcurrency: number;
  maxReceives: number;
}

/** A hop to the object and back. */
const OBJECT_MS = 10;

/**
 * A queue that delivers batches of 50, and one object that gives each batch its time: the consumer sleeps until then,
 * starts a call every interval without waiting for answers, and acknowledges or retries each message when all are there.
 */
function start(world: World, { intervalMs, maxConcurrency, maxReceives }: Settings) {
  let lastBatchEndMs = 0;
  const reserveBatch = async (size: number) => {
    await sleep(OBJECT_MS);
    const startMs = Math.max(lastBatchEndMs, performance.now());
    lastBatchEndMs = startMs + size * intervalMs;
    return startMs - performance.now();
  };
  const reportThrottle = async () => {
    await sleep(OBJECT_MS);
    lastBatchEndMs = Math.max(lastBatchEndMs, performance.now()) + 1_000;
  };

  return startQueue({
    batchSize: 50,
    batchWindowMs: 5_000,
    maxConcurrency,
    maxReceives,
    async consume(batch) {
      const startedMs = performance.now();
      const delayMs = await reserveBatch(batch.length);
      await sleep(Math.max(0, delayMs));
      const outcomes = await Promise.allSettled(
        batch.map(async (message, i) => {
          await sleep(i * intervalMs);
          await world.process(message.photo.input);
        }),
      );
      const throttled = batch.filter((_, i) => outcomes[i]!.status === 'rejected');
      if (throttled.length > 0) {
        await reportThrottle();
      }
      world.functions.bill(performance.now() - startedMs);
      // 5 s, doubling to 300 s, 10 % either way.
      return new Map(
        throttled.map((message) => [
          message,
          Math.min(300_000, 5_000 * 2 ** (message.receives - 1)) * (0.9 + 0.2 * world.random()),
        ]),
      );
    },
  });
}

export const batchPacer: readonly Strategy[] = [
  {
    name: 'batch-pacer',
    settings: ({ quota }) =>
      `an interval of ${(1_000 / (0.99 * quota)).toFixed(1)} ms, 20 batches at a time, no receive limit`,
    source: SOURCE,
    world: { ledger: false, sdkAttempts: 1 },
    start: (world) =>
      start(world, {
        intervalMs: 1_000 / (0.99 * world.options.quota),
        maxConcurrency: 20,
        maxReceives: Number.POSITIVE_INFINITY,
      }),
  },
  {
    name: 'batch-pacer@defaults',
    settings: ({ quota }) =>
      `an interval of ${defaultInterval(quota)} ms (90 % of the quota), 3 batches at a time, 4 receives; SDK 3 attempts`,
    source: SOURCE,
    world: { ledger: false, sdkAttempts: 3 },
    start: (world) =>
      start(world, { intervalMs: defaultInterval(world.options.quota), maxConcurrency: 3, maxReceives: 4 }),
  },
];

function defaultInterval(quota: number): number {
  return Math.ceil(Math.ceil(1_000 / quota) / 0.9);
}
