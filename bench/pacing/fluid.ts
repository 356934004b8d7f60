import type { Arrivals } from '../../test/support/line-simulation.ts';

/**
 * When each event would be done if the quota could be cut as fine as one likes: generalised processor sharing
 * (https://doi.org/10.1109/90.234856), which is what "its fair share" means.
 *
 * @param startedMs when each photo came into line, milliseconds
 * @returns milliseconds, by event
 */
export function fairEnds(
  { events }: Arrivals,
  startedMs: Float64Array,
  perSecond: number,
): Map<number, number> {
  const order = Array.from(events.keys()).sort((a, b) => startedMs[a]! - startedMs[b]!);
  /** Work done for each event that is there, and where the work of each ends. */
  let round = 0;
  let nowMs = 0;
  const ends = new Map<number, number>();
  const active = new Map<number, number>();
  const workUntil = (ms: number): void => {
    while (active.size > 0 && nowMs < ms) {
      const [event, last] = [...active].reduce((a, b) => (b[1] < a[1] ? b : a));
      const needsMs = ((last - round) * active.size * 1_000) / perSecond;
      if (nowMs + needsMs > ms) {
        round += ((ms - nowMs) / 1_000) * (perSecond / active.size);
        break;
      }
      nowMs += needsMs;
      round = last;
      ends.set(event, nowMs);
      active.delete(event);
    }
    nowMs = ms;
  };
  for (const photo of order) {
    workUntil(startedMs[photo]!);
    const event = events[photo]!;
    active.set(event, (active.get(event) ?? round) + 1);
  }
  workUntil(Number.POSITIVE_INFINITY);
  return ends;
}
