/** When an event's photos will be done, out of the slot ledger's item and the photos that wait: pure, as the line's rules are. */
import { type NotKnown, type TimeLeft, timeLeftAt, timeNotKnown } from '../contract/time-left.ts';
import {
  dailyImageCap,
  fullInterval,
  imagesToday,
  intervalAt,
  type LedgerConfig,
  type LedgerState,
  nextDay,
} from './rules.ts';

export interface Waiting {
  /** Photos that it is asked about. */
  photos: number;
  /** Those and the photos of others that come before the last of them. */
  ahead: number;
  /** When the last of them was announced, milliseconds since the epoch; null where none is. */
  lastAnnouncedMs: number | null;
}

/** How long a photo that was announced may take to its place in the line: its upload, and the start of its execution. */
const ON_ITS_WAY_MS = 30_000;

/** From a photo's call to its row, some tries of a state that failed included. */
const AT_WORK_MS = 15_000;

/** An image counts from its slot on, and its photo is processing until its row is written. */
const COUNTED_EARLY_S = 1.5;

/**
 * A photo is `processing` from its announcement to its row, so in a steady line there are as many as the pace lets through in the
 * time that they take (Little's law). So what is ahead, over the pace, is the time to the last one's row, calls and writing
 * included; the line's end says whether they really are in line.
 */
export function timeLeft(
  state: LedgerState,
  config: LedgerConfig,
  waiting: Waiting,
  nowMs: number,
): TimeLeft {
  const { photos, ahead } = waiting;
  const perSecond = 1_000 / intervalAt(state, config, nowMs);
  if (photos === 0) {
    return timeLeftAt(0, perSecond, nowMs);
  }
  const why = whyNotKnown(state, config, waiting, nowMs, perSecond);
  return why ? timeNotKnown(...why) : timeLeftAt(Math.max(photos, ahead), perSecond, nowMs);
}

function whyNotKnown(
  state: LedgerState,
  config: LedgerConfig,
  { photos, ahead, lastAnnouncedMs }: Waiting,
  nowMs: number,
  perSecond: number,
): [NotKnown, string] | undefined {
  const wait = photos === 1 ? '1 photo waits' : `${photos.toLocaleString('en-US')} photos wait`;
  if (state.paused_ms !== undefined) {
    return ['paused', `Indexing is paused; ${wait}`];
  }
  const cap = dailyImageCap(state, config);
  const untilMidnight = nextDay(nowMs) - nowMs;
  const today = Math.min(ahead - perSecond * COUNTED_EARLY_S, (untilMidnight / 1_000) * perSecond);
  if (cap !== undefined && imagesToday(state, nowMs) + today > cap) {
    return ['daily_cap', `The images of this day do not suffice; ${wait}, some until midnight UTC or longer`];
  }
  if (isCut(state, config, perSecond)) {
    return ['quota_cut', `Rekognition slowed down a moment ago; ${wait}`];
  }
  if ((state.backfill_ms ?? 0) > nowMs) {
    return ['backfill', `A backfill is under way; ${wait}`];
  }
  const lineMs = Math.max(0, state.line_ms ?? 0, state.next_ms ?? 0) - nowMs + AT_WORK_MS;
  const inLine = (Math.max(0, lineMs) / 1_000) * perSecond;
  if (ahead > inLine && nowMs - (lastAnnouncedMs ?? 0) > ON_ITS_WAY_MS) {
    return [
      'not_in_line',
      `${wait} and ${photos === 1 ? 'is' : 'are'} not in line: not uploaded yet, or being tried again`,
    ];
  }
  return undefined;
}

/** Whether the pace is below the one that it comes back to. */
function isCut(state: LedgerState, config: LedgerConfig, perSecond: number): boolean {
  return perSecond < (1_000 / fullInterval(state, config)) * 0.99;
}
