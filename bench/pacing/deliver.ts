import { setTimeout as sleep } from 'node:timers/promises';
import type { Photo } from './world.ts';

/** Hands the photos over at a steady rate, as events arrive, and keeps when each one came. */
export async function deliver(
  photos: readonly Photo[],
  perSecond: number,
  started: Map<string, number>,
  take: (photo: Photo) => void,
): Promise<void> {
  const beganMs = performance.now();
  for (const [i, photo] of photos.entries()) {
    const early = (i / perSecond) * 1_000 - (performance.now() - beganMs);
    if (early > 1) {
      await sleep(early);
    }
    started.set(photo.id, Date.now());
    take(photo);
  }
}
