/** `npm run bench:pacing -- --case first-photo`: a photo that comes to an idle pipeline, from its event to its row, by the clock. */
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../test/support/random.ts';
import type { BenchOptions } from './bench-options.ts';
import { type Figure, figureOf, type Goal } from './goals.ts';
import { parseOptions } from './options.ts';
import { slotLedgerStrategy } from './strategies/slot-ledger.ts';
import { startWorld } from './world.ts';

/** They make the collection and the functions' environments, and are not counted. */
const WARMING = 3;
const ASKED_S = { p50: 1, p95: 2 };

/** @param photos of each seed, one after the other */
export async function firstPhotoGoals({ seeds, photos }: { seeds: number; photos: number }): Promise<Goal[]> {
  const of: number[][] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    of.push(await beyondRekognition(photos, seed));
  }
  const percentile = (share: number): Figure =>
    figureOf(of.map((seconds) => seconds[Math.floor(share * (seconds.length - 1))]!));
  const [p50, p95] = [percentile(0.5), percentile(0.95)];
  const each = `${photos} photos, warm, seconds from the event to the row beyond Rekognition’s own time`;
  return [
    { name: `${each}: p50`, asked: '<= 1', ...p50, holds: p50.most <= ASKED_S.p50 },
    { name: `${each}: p95`, asked: '<= 2', ...p95, holds: p95.most <= ASKED_S.p95 },
  ];
}

/** @returns seconds, in order */
async function beyondRekognition(photos: number, seed: number): Promise<number[]> {
  const defaults = parseOptions([]) as BenchOptions;
  const world = await startWorld({ ...defaults, photos: photos + WARMING, seed }, slotLedgerStrategy.world);
  try {
    const random = seededRandom(seed);
    const running = slotLedgerStrategy.start(world);
    const tookMs = new Map<string, number>();
    for (const photo of world.photos) {
      // A Wait state knows whole seconds: the photos come at any part of one.
      await sleep(random() * 1_000);
      const startedMs = Date.now();
      running.take(photo);
      await running.idle();
      tookMs.set(photo.id, Date.now() - startedMs);
    }
    const { calls } = await world.report();
    return calls
      .slice(WARMING)
      .map(({ photo, atMs, answeredMs = atMs }) => (tookMs.get(photo)! - (answeredMs - atMs)) / 1_000)
      .sort((a, b) => a - b);
  } finally {
    await world.stop();
  }
}
