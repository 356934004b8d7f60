/**
 * Guests who search for themselves while photos are being indexed, in virtual time: the search's own code with the ledger's own
 * code, on a table in memory and a Rekognition that enforces its quota. What is modelled are the ways between them.
 */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import { findPerson } from '../../lambdas/find-person/find-person.ts';
import { searchLimits } from '../../lambdas/find-person/limits.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { findPersonRequestSchema, type SearchReason } from '../../lambdas/shared/contract/search.ts';
import { slotLedger } from '../../lambdas/shared/line/store.ts';
import { TokenBucket } from '../../local/rekognition/quota.ts';
import { awsError, fakeClient } from '../../test/support/fake-client.ts';
import { simulate } from '../../test/support/line-simulation.ts';
import { memoryTable } from '../../test/support/memory-table.ts';
import { lognormal, seededRandom } from '../../test/support/random.ts';
import { recordingTelemetry } from '../../test/support/recording-telemetry.ts';
import { VirtualTime } from '../../test/support/virtual-time.ts';

export interface GuestsOptions {
  /** Searches a second that Rekognition accepts, and photos a second. */
  perSecond: number;
  guests?: number;
  /** Seconds within which all of them come. */
  withinS?: number;
  /** Photos that are in the line for IndexFaces when the first guest comes. */
  photos?: number;
  seed?: number;
  /** Whether each guest says who they are. Default: yes. */
  areNamed?: boolean;
}

export interface GuestsResult {
  per_second: number;
  guests: number;
  /** Guests who got their answer, at once or when they came back. */
  answered: number;
  /** Calls of Rekognition that it throttled. */
  throttled: number;
  /** Guests who were told to come back, and the longest that one was told. */
  sent_away: number;
  longest_retry_after_s: number;
  /** Guests who came back when they were told to, and were sent away again. */
  told_wrong: number;
  /** From the request to its answer, without Rekognition's own time, of requests that had one: seconds. */
  p50_beyond_rekognition_s: number;
  p95_beyond_rekognition_s: number;
  /** Of IndexFaces' quota, by the photos meanwhile. */
  indexing_quota_used: number;
}

/** Medians: API Gateway and Lambda until the first line runs, DynamoDB, Rekognition's answer and its refusal, resolve-faces. */
const STEP_MS = 40;
const TABLE_MS = 8;
const SEARCH_MS = 600;
const THROTTLED_MS = 40;
const RESOLVE_MS = 80;

/** Execution environments of the function: each remembers the ledger for itself, and has its own clock. */
const ENVIRONMENTS = 12;
const CLOCK_SKEW_MS = 20;

const NOON = Date.UTC(2026, 0, 1, 12);
const EVENT = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';
const FACE = '1c8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a78';
const PHOTO = '2c8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a78';

/** A PNG, as far as anybody looks at it here. */
const SELFIE = Buffer.from('89504e470d0a1a0a0000000d49484452000000c8000000c80802000000', 'hex').toString(
  'base64',
);

export async function simulateGuests({
  perSecond,
  guests = 500,
  withinS = 60,
  photos = 3_000,
  seed = 1,
  areNamed = true,
}: GuestsOptions): Promise<GuestsResult> {
  const time = new VirtualTime(NOON);
  const random = seededRandom(seed);
  const takes = (median: number) => time.sleep(lognormal(random, median));
  const writes: number[] = [];
  const dynamodb = memoryTable(
    () => takes(TABLE_MS),
    () => {
      const second = Math.floor((time.now() - NOON) / 1_000);
      writes[second] = (writes[second] ?? 0) + 1;
    },
  );
  const bucket = new TokenBucket(perSecond, time.now);
  let throttled = 0;
  const environments = Array.from({ length: ENVIRONMENTS }, () => {
    const skew = CLOCK_SKEW_MS * (2 * random() - 1);
    const now = () => time.now() + skew;
    const ledger = slotLedger(
      { dynamodb, table: 'ledger', item: 'search-faces', now, random, sleep: time.sleep },
      { perSecond, dailyImageCap: 50_000 },
    );
    const limits = searchLimits({
      dynamodb,
      table: 'limits',
      now,
      searchesPerEventHour: 5_000,
      searchesPerCallerHour: 60,
    });
    return { now, ledger, limits };
  });

  /** One request of a guest, and what it took beyond Rekognition. */
  async function search(
    guest: number,
  ): Promise<{ reason: SearchReason | null; retryMs: number; beyondMs: number }> {
    const begunMs = time.now();
    let searchedMs = 0;
    const rekognition = fakeClient<RekognitionClient>({
      async SearchFacesByImage() {
        if (!bucket.take()) {
          throttled++;
          await takes(THROTTLED_MS);
          throw awsError('ProvisionedThroughputExceededException');
        }
        const fromMs = time.now();
        await takes(SEARCH_MS);
        searchedMs += time.now() - fromMs;
        return { FaceMatches: [{ Similarity: 99, Face: { FaceId: FACE } }] };
      },
    });
    await takes(STEP_MS);
    const { reason, retry_after_seconds } = await findPerson(
      {
        ...environments[Math.floor(random() * ENVIRONMENTS)]!,
        rekognition: rekognition.client,
        telemetry: recordingTelemetry().telemetry,
        collectionPrefix: 'rollcall-',
        async resolveFaces() {
          await takes(RESOLVE_MS);
          return { event: 'searchable', faces: [[FACE, PHOTO]], searched: null };
        },
      },
      parseRequest(findPersonRequestSchema, {
        event_id: EVENT,
        image: SELFIE,
        ...(areNamed && { caller: `guest-${guest}` }),
      }),
    );
    return {
      reason,
      retryMs: (retry_after_seconds ?? 0) * 1_000,
      beyondMs: time.now() - begunMs - searchedMs,
    };
  }

  const result = { answered: 0, sent_away: 0, longest_retry_after_s: 0, told_wrong: 0 };
  const beyond: number[] = [];
  async function guest(number: number): Promise<void> {
    await time.sleep(random() * withinS * 1_000);
    // Somebody who has to come back for the tenth time has long gone home.
    for (let tries = 1; tries <= 10; tries++) {
      const { reason, retryMs, beyondMs } = await search(number);
      if (reason === null) {
        result.answered++;
        beyond.push(beyondMs / 1_000);
        return;
      }
      result.longest_retry_after_s = Math.max(result.longest_retry_after_s, retryMs / 1_000);
      result.sent_away += tries === 1 ? 1 : 0;
      result.told_wrong += tries === 2 ? 1 : 0;
      await time.sleep(retryMs);
    }
  }
  const all = Promise.all(Array.from({ length: guests }, (_, number) => guest(number)));
  await time.run();
  await all;

  const indexing = simulate({ photos, perSecond, seed, otherLedgerWrites: writes });
  beyond.sort((a, b) => a - b);
  const quantile = (share: number) =>
    beyond[Math.min(beyond.length - 1, Math.floor(share * beyond.length))] ?? 0;
  return {
    per_second: perSecond,
    guests,
    ...result,
    throttled,
    p50_beyond_rekognition_s: quantile(0.5),
    p95_beyond_rekognition_s: quantile(0.95),
    indexing_quota_used: indexing.quotaUsed,
  };
}

/** What is promised, by the quota of the Region. */
export function goalsOf(result: GuestsResult): Record<string, boolean> {
  return {
    'each guest gets an answer': result.answered === result.guests,
    'each Retry-After is true': result.told_wrong === 0,
    'indexing keeps 0.97 of its quota': result.indexing_quota_used >= 0.97,
    ...(result.per_second >= 50 && {
      'none is throttled': result.throttled === 0,
      'p95 is 2 s beyond Rekognition at most': result.p95_beyond_rekognition_s <= 2,
    }),
  };
}

export function renderGuests(results: readonly GuestsResult[]): string {
  return [
    "| quota, a second | answered | sent away once | longest `Retry-After` | sent away twice | throttled | 95 % of answers, beyond Rekognition's time | of IndexFaces' quota used |",
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...results.map((of) =>
      [
        '',
        of.per_second,
        `${of.answered} of ${of.guests}`,
        of.sent_away,
        of.sent_away === 0 ? '' : `${of.longest_retry_after_s} s`,
        of.told_wrong,
        of.throttled,
        `${of.p95_beyond_rekognition_s.toFixed(2)} s`,
        of.indexing_quota_used.toFixed(3),
        '',
      ]
        .join(' | ')
        .trim(),
    ),
    '',
  ].join('\n');
}
