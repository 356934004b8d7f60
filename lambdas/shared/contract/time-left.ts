/** How long photos will take, as a fact: a number where it is known, and a reason where it is not. Pure. */

/** Why nobody can say how long it takes. */
export type NotKnown =
  /** An operator paused indexing. */
  | 'paused'
  /** The day's images are used up, or do not suffice for the photos that wait. */
  | 'daily_cap'
  /** Rekognition throttled lately, and the pace is on its way back. */
  | 'quota_cut'
  /** A backfill shares the line. */
  | 'backfill'
  /** Photos are announced and not in line: not uploaded yet, or being tried again. */
  | 'not_in_line'
  /** The slot ledger could not be read. */
  | 'line_unknown';

export interface TimeLeft {
  /** Until the last of the photos is done; 0 where none is left, null where it is not known. */
  seconds: number | null;
  /** The same as a moment, ISO 8601; null where none is left or it is not known. */
  done_at: string | null;
  reason: NotKnown | null;
  /** For people: "Detecting faces, about 4 minutes left". */
  sentence: string;
}

/**
 * @param photos that are not done yet, with those of others that are done before them
 * @param perSecond how many are done in a second
 */
export function timeLeftAt(photos: number, perSecond: number, nowMs: number): TimeLeft {
  if (photos <= 0) {
    return { seconds: 0, done_at: null, reason: null, sentence: 'No photo is waiting' };
  }
  const seconds = photos / perSecond;
  return {
    seconds: Math.ceil(seconds * 10) / 10,
    done_at: new Date(nowMs + seconds * 1_000).toISOString(),
    reason: null,
    sentence: `Detecting faces, ${about(seconds)} left`,
  };
}

/** @param why as a sentence without its full stop */
export function timeNotKnown(reason: NotKnown, why: string): TimeLeft {
  return { seconds: null, done_at: null, reason, sentence: why };
}

/** `a few seconds`, `about 40 seconds`, `about 4 minutes`, `about 2 hours`: no more exact than it can be. */
export function about(seconds: number): string {
  if (seconds < 10) {
    return 'a few seconds';
  }
  const tens = Math.round(seconds / 10) * 10;
  if (tens < 60) {
    return `about ${tens} seconds`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`;
  }
  const hours = Math.round(seconds / 3_600);
  return `about ${hours} ${hours === 1 ? 'hour' : 'hours'}`;
}
