import type { Arrivals } from './line-simulation.ts';
import { seededRandom } from './random.ts';

export interface Upload {
  event: number;
  photos: number;
  /** Milliseconds of the run. */
  atMs: number;
  /** Default: all at once. */
  perSecond?: number;
}

/** The photos of several events in the order in which they come; what comes at once comes in any order. */
export function uploads(of: readonly Upload[], seed = 1): Arrivals {
  const random = seededRandom(seed);
  const photos = of.flatMap(({ event, photos, atMs, perSecond = Number.POSITIVE_INFINITY }) =>
    Array.from({ length: photos }, (_, photo) => ({
      event,
      ms: atMs + (photo / perSecond) * 1_000 + random(),
    })),
  );
  photos.sort((a, b) => a.ms - b.ms);
  return {
    events: Int32Array.from(photos, ({ event }) => event),
    timesMs: Float64Array.from(photos, ({ ms }) => ms),
  };
}
