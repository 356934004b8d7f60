import type { Arrivals } from '../../test/support/line-simulation.ts';

/**
 * When each event would be done if each call could be cut as fine as one likes, and shared by all that are in line: generalised
 * processor sharing (https://doi.org/10.1109/90.234856), which is what "its fair share" means. What is shared are the calls that
 * were made, when they were made: how much of the quota they use is another question.
 *
 * @param times when each photo came into line, and when its call was accepted, milliseconds
 * @returns milliseconds, by event
 */
export function fairEnds(
  { events }: Arrivals,
  { started, accepted }: Readonly<Record<'started' | 'accepted', Float64Array>>,
): Map<number, number> {
  const arrivals = Array.from(events.keys()).sort((a, b) => started[a]! - started[b]!);
  let arrived = 0;
  /** Work done for each event that is there, and where the work of each ends. */
  let round = 0;
  const active = new Map<number, number>();
  const ends = new Map<number, number>();
  const calls = Float64Array.from(accepted).sort();
  for (const nowMs of calls) {
    for (; arrived < arrivals.length && started[arrivals[arrived]!]! <= nowMs; arrived++) {
      const event = events[arrivals[arrived]!]!;
      active.set(event, (active.get(event) ?? round) + 1);
    }
    let left = 1;
    while (active.size > 0 && left > 0) {
      const [event, last] = [...active].reduce((a, b) => (b[1] < a[1] ? b : a));
      const needs = (last - round) * active.size;
      if (needs > left + ROUNDING) {
        round += left / active.size;
        break;
      }
      left -= needs;
      round = last;
      ends.set(event, nowMs);
      active.delete(event);
    }
  }
  // Rounding may leave a trace of the last one.
  for (const event of active.keys()) {
    ends.set(event, calls.at(-1)!);
  }
  return ends;
}

/** The parts of a call add up to it but for this. */
const ROUNDING = 1e-6;
