import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../cli/user-error.ts';

/** Milliseconds since the process began, and waiting. */
export interface Clock {
  now(): number;
  sleep(ms: number): Promise<void>;
}

const processClock: Clock = {
  now: () => performance.now(),
  sleep: (ms) => sleep(ms, undefined, { ref: false }),
};

/** What a call brings, or a UserError that says who has not answered. */
export type Until = <Answer>(call: Promise<Answer>, who: string) => Promise<Answer>;

export interface TimeLimit {
  /** For what is asked first. */
  first: Until;
  /** For what is asked once that is answered, or has not been in time. */
  last: Until;
  /** Waits, after what was asked first: the last moment is not before its end. */
  pause(): Promise<void>;
  clock: Clock;
}

/** Since the process began: who is called at night has an answer within five seconds, the end of the process included. */
const FIRST_MS = 3_500;

/** Between the two, and no wait in between is longer. */
const LAST_AFTER_MS = 1_000;

/** Where a busy machine took most of the time to get as far as to ask. */
const LEAST_MS = 1_500;

/**
 * One limit for all that a command which looks asks, however many calls after each other: what has not been answered by then is
 * told as not known, and all the rest is shown.
 */
export function timeLimit(clock: Clock = processClock): TimeLimit {
  const first = Math.max(FIRST_MS, clock.now() + LEAST_MS);
  const until =
    (deadline: number): Until =>
    async (call, who) => {
      // Who answers later is heard by nobody.
      call.catch(() => {});
      const silence = clock.sleep(Math.max(0, deadline - clock.now())).then(() => {
        throw new UserError(notAnswered(who), 1);
      });
      silence.catch(() => {});
      return Promise.race([call, silence]);
    };
  return {
    first: until(first),
    last: until(first + LAST_AFTER_MS),
    pause: () => clock.sleep(LAST_AFTER_MS),
    clock,
  };
}

/** Of who has all the time. */
export const UNLIMITED: TimeLimit = {
  first: (call) => call,
  last: (call) => call,
  pause: () => sleep(LAST_AFTER_MS),
  clock: processClock,
};

export const DATABASE = 'The database';

function notAnswered(who: string): string {
  const hint =
    who === DATABASE ? ' If it is waking, which takes up to 30 s, the same command answers then.' : '';
  return `${who} has not answered in time.${hint}`;
}
