/**
 * Many new events at once, in virtual time: every photo's EnsureCollection against CreateCollection's quota, with the
 * retries of the state machine's own definition.
 *
 * What is modelled of it: the idempotency record of an event, which one photo holds while it calls and which is removed when
 * the call fails; Rekognition's token bucket; each retrier's own count, with full jitter. What is left out helps: a warm
 * function's memory of the record, and StartExecution, which spreads a burst.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FailureName } from '../../lambdas/shared/contract/errors.ts';
import { TokenBucket } from '../../local/rekognition/quota.ts';
import { EventQueue } from '../../test/support/event-queue.ts';
import { lognormal, seededRandom } from '../../test/support/random.ts';

/** https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-retrying-after-an-error */
export interface Retrier {
  ErrorEquals: string[];
  IntervalSeconds: number;
  BackoffRate: number;
  MaxDelaySeconds?: number;
  MaxAttempts: number;
}

export interface NewEventsOptions {
  /** The photos of each event. */
  events: readonly number[];
  /** Of EnsureCollection; default: those of the definition. */
  retriers?: readonly Retrier[];
  /** CreateCollection calls per second that Rekognition accepts. */
  quota?: number;
  seed?: number;
}

export interface NewEventsResult {
  /** Photos that ran out of attempts. */
  failed: number;
  /** Until the last collection was there, and until the last photo knew. */
  collectionsSeconds: number;
  seconds: number;
  /** Of EnsureCollection, by all photos; each is a transition. */
  attempts: number;
  /** Of the photo that had the most. */
  maxAttempts: number;
  /** Of CreateCollection, and those of them that were throttled. */
  calls: number;
  throttled: number;
}

const DEFINITION = path.join(import.meta.dirname, '../../state-machines/index-photo.asl.json');

export function ensureCollectionRetriers(): Retrier[] {
  const { States } = JSON.parse(readFileSync(DEFINITION, 'utf8')) as {
    States: { EnsureCollection: { Retry: Retrier[] } };
  };
  return States.EnsureCollection.Retry;
}

const Stage = { attempt: 0, accepted: 1, throttled: 2 } as const;

/** Until a function's first line runs, and the idempotency record is read or written. */
const STEP_MS = 40;
/** Medians of CreateCollection's answer: done, and refused before it works. */
const CREATED_MS = 200;
const THROTTLED_MS = 40;

/** An event's idempotency record. */
const Record = { none: 0, inProgress: 1, done: 2 } as const;

export function simulateNewEvents(options: NewEventsOptions): NewEventsResult {
  const { events, quota = 5, seed = 1 } = options;
  const retriers = options.retriers ?? ensureCollectionRetriers();
  const random = seededRandom(seed);
  const queue = new EventQueue();
  let nowMs = 0;
  const bucket = new TokenBucket(quota, () => nowMs);
  const records = new Uint8Array(events.length);
  const eventOf = Int32Array.from(events.flatMap((photos, event) => Array<number>(photos).fill(event)));
  const photos = eventOf.length;
  const attempts = new Uint32Array(photos);
  /** Of each photo by each retrier. */
  const retries = new Uint32Array(photos * retriers.length);
  const result: NewEventsResult = {
    failed: 0,
    collectionsSeconds: 0,
    seconds: 0,
    attempts: 0,
    maxAttempts: 0,
    calls: 0,
    throttled: 0,
  };

  const retryOrFail = (photo: number, error: FailureName): void => {
    const index = retriers.findIndex(({ ErrorEquals }) => ErrorEquals.includes(error));
    const retrier = retriers[index];
    const count = photo * retriers.length + index;
    if (!retrier || retries[count]! >= retrier.MaxAttempts) {
      result.failed++;
      return;
    }
    const { IntervalSeconds, BackoffRate, MaxDelaySeconds = Number.POSITIVE_INFINITY } = retrier;
    const seconds = Math.min(MaxDelaySeconds, IntervalSeconds * BackoffRate ** retries[count]!++);
    queue.push(nowMs + random() * seconds * 1_000 + STEP_MS, photo, Stage.attempt);
  };

  const attempt = (photo: number): void => {
    const event = eventOf[photo]!;
    attempts[photo]!++;
    result.attempts++;
    result.maxAttempts = Math.max(result.maxAttempts, attempts[photo]!);
    switch (records[event]) {
      case Record.done:
        result.seconds = nowMs / 1_000;
        return;
      case Record.inProgress:
        retryOrFail(photo, 'IdempotencyAlreadyInProgressError');
        return;
      default:
        records[event] = Record.inProgress;
        result.calls++;
        if (bucket.take()) {
          queue.push(nowMs + lognormal(random, CREATED_MS), photo, Stage.accepted);
        } else {
          result.throttled++;
          queue.push(nowMs + lognormal(random, THROTTLED_MS), photo, Stage.throttled);
        }
    }
  };

  for (let photo = 0; photo < photos; photo++) {
    queue.push(STEP_MS, photo, Stage.attempt);
  }
  for (let next = queue.pop(); next; next = queue.pop()) {
    nowMs = next.timeMs;
    const photo = next.subject;
    if (next.stage === Stage.attempt) {
      attempt(photo);
    } else if (next.stage === Stage.accepted) {
      records[eventOf[photo]!] = Record.done;
      result.collectionsSeconds = nowMs / 1_000;
      result.seconds = nowMs / 1_000;
    } else {
      records[eventOf[photo]!] = Record.none;
      retryOrFail(photo, 'RekognitionThrottled');
    }
  }
  return result;
}
