import { setTimeout as sleep } from 'node:timers/promises';
import { nextDay } from '../../lambdas/shared/line/rules.ts';

/**
 * For tests of what runs by the machine's own clock and counts by the UTC day: waits for midnight to pass where it comes within so
 * many milliseconds, so that all of a test is of one day.
 */
export async function withinOneDay(
  ms: number,
  { now = Date.now, wait = (time: number): Promise<unknown> => sleep(time) } = {},
): Promise<void> {
  const left = nextDay(now()) - now();
  if (left <= ms) {
    await wait(left + 10);
  }
}
