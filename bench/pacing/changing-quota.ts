/** `npm run bench:pacing -- --case changing-quota`: 50, then 30, then 80 calls a second, as Service Quotas may; in virtual time. */
import { simulate } from '../../test/support/line-simulation.ts';
import { type Upload, uploads } from '../../test/support/uploads.ts';
import { figureOf, type Goal } from './goals.ts';

const QUOTAS = [50, 30, 80] as const;
const EVENTS = 10;

/** @param photos of all events together: the changes come when a quota's worth of a third of the run is over */
function shapes(photos: number, thirdS: number): Record<string, Upload[]> {
  const each = { photos: Math.round(photos / EVENTS) };
  return {
    'ten events at once': Array.from({ length: EVENTS }, (_, event) => ({ ...each, event, atMs: 0 })),
    'ten events one after the other': Array.from({ length: EVENTS }, (_, event) => ({
      ...each,
      event,
      atMs: event * 180 * thirdS,
      perSecond: 20,
    })),
    'one event alone, all there at once': [{ event: 0, photos, atMs: 0 }],
  };
}

export function changingQuotaGoals({
  seeds,
  lengths,
}: {
  seeds: number;
  lengths: readonly number[];
}): Goal[] {
  return lengths.flatMap((photos) => {
    const thirdS = photos / QUOTAS.reduce((a: number, b) => a + b, 0);
    return Object.entries(shapes(photos, thirdS)).flatMap(([shape, of]) => {
      const runs = Array.from({ length: seeds }, (_, i) => {
        const arrivals = uploads(of, i + 1);
        return simulate({
          photos: arrivals.events.length,
          arrivals,
          perSecond: QUOTAS[0],
          quotas: QUOTAS.slice(1).map((perSecond, n) => ({ fromMs: (n + 1) * thirdS * 1_000, perSecond })),
          startBurst: 1_300,
          seed: i + 1,
        });
      });
      const name = `${photos.toLocaleString('en-US')} photos, a change every ${Math.round(thirdS)} s, ${shape}`;
      const used = figureOf(runs.map(({ quotaUsed }) => quotaUsed));
      const throttled = figureOf(runs.map(({ throttled, calls }) => throttled / calls));
      const transitions = figureOf(runs.map(({ transitions, indexed }) => transitions / indexed));
      return [
        { name: `${name}: quota used`, asked: '>= 0.93', ...used, holds: used.least >= 0.93 },
        { name: `${name}: calls throttled`, asked: '<= 2 %', ...throttled, holds: throttled.most <= 0.02 },
        { name: `${name}: transitions a photo`, asked: 'said, no goal', ...transitions, holds: true },
      ];
    });
  });
}
