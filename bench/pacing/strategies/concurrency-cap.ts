import { setTimeout as sleep } from 'node:timers/promises';
import { startQueue } from '../queue.ts';
import { meanSeconds, type Strategy } from '../strategy.ts';
import type { World } from '../world.ts';

const SOURCE = 'https://github.com/aws-samples/amazon-rekognition-reindexing-solution';

/** What a function does of an image before and after the call, measured in this benchmark. */
const AROUND_MS = 45;

interface Settings {
  maxConcurrency: number;
  /** The sample sleeps at the end of each invocation, while it still counts. */
  pauseMs: number;
  visibilityMs: number;
  maxReceives: number;
}

function start(world: World, { maxConcurrency, pauseMs, visibilityMs, maxReceives }: Settings) {
  return startQueue({
    batchSize: 1,
    batchWindowMs: 0,
    maxConcurrency,
    maxReceives,
    async consume([message]) {
      const receivedMs = performance.now();
      try {
        await world.functions.invoke('ProcessPhoto', message!.photo.input);
        await sleep(pauseMs);
        return new Map();
      } catch {
        // A message whose function failed comes back when its visibility timeout is over.
        return new Map([[message!, Math.max(0, visibilityMs - (performance.now() - receivedMs))]]);
      }
    },
  });
}

/** A queue, a function that takes one photo, and a maximum concurrency; Lambda takes none below 2. */
export const concurrencyCap: readonly Strategy[] = [
  {
    name: 'concurrency-cap',
    settings: (options) =>
      `maximum concurrency ${bestCap(options)} = quota x mean duration; SDK 3 attempts, no receive limit`,
    source: SOURCE,
    world: { ledger: false, sdkAttempts: 3 },
    start: (world) =>
      start(world, {
        maxConcurrency: bestCap(world.options),
        pauseMs: 0,
        visibilityMs: 30_000,
        maxReceives: Number.POSITIVE_INFINITY,
      }),
  },
  {
    name: 'concurrency-cap@defaults',
    settings: ({ quota }) =>
      `maximum concurrency ${Math.max(2, quota)} = quota, 0.6 s of sleep after each; SDK 5 attempts, 5 receives`,
    source: SOURCE,
    world: { ledger: false, sdkAttempts: 5 },
    start: (world) =>
      start(world, {
        maxConcurrency: Math.max(2, world.options.quota),
        pauseMs: 600,
        visibilityMs: 30_000,
        maxReceives: 5,
      }),
  },
];

function bestCap(options: World['options']): number {
  return Math.max(2, Math.round(options.quota * meanSeconds(options, AROUND_MS)));
}
