import type { S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import { type JoinLineRequest, type Place, photoVersion } from '../shared/contract/payloads.ts';
import { resultsKey } from '../shared/contract/stored-result.ts';
import type { PhotographerCap } from '../shared/line/photographers.ts';
import type { SlotLedger } from '../shared/line/store.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import { storedCounts } from '../shared/storage/stored-counts.ts';

/** Where the definition that the execution began with does not say. */
const MAX_RETURNS = 200;

/** How many times a photo gives way to others: after that it stands in line as if it were alone, and nobody sends it back for them. */
const MAX_GIVEN_WAY = 20;

export interface JoinLineDeps {
  s3: S3Client;
  resultsBucket: string;
  ledger: Pick<SlotLedger, 'joinLine' | 'joinByTurns'>;
  /** Where photographers have a cap of their own. */
  photographers?: Pick<PhotographerCap, 'check'> | undefined;
  telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * Gives a photo its place in the line for IndexFaces, and counts how often it came back and why.
 *
 * The counts are those of the last place plus one for the error that led here; a Retry of this state computes the same
 * again. A slot that expired counts as nothing: the line was longer than thought.
 *
 * Events stand in line by turns: a small one is not stuck behind a large one (docs/adr/0021-turns-of-events.md). No photo gives
 * way for ever.
 *
 * A photo whose response is stored already needs no call, so it takes no place: its slot is due at once, whatever holds
 * or fills the line.
 *
 * @throws PipelineError `ThrottledTooOften`, `ResultLostTooOften`, `AccessDenied`, and the errors of `PhotographerCap.check` and of
 *   `SlotLedger.joinLine` and `joinByTurns`
 */
export async function joinLine(deps: JoinLineDeps, request: JoinLineRequest): Promise<Place> {
  const { input, max_throttles, max_reindexes, max_returns = MAX_RETURNS } = request;
  // What comes back needs a call, whatever is stored.
  if (!input.place && (await isKnown(deps, request))) {
    deps.telemetry.logger.info('Needs no place in line: its response is stored', {
      event: logEvents.lineNotNeeded,
    });
    const nowMs = deps.now();
    return { place_ms: nowMs, wait_until: wholeSecond(nowMs), throttles: 0, reindexes: 0 };
  }
  // Every way back into this state overwrites `returned`, so what it holds is why this place is needed.
  const returned = input.place ? input.returned?.Error : undefined;
  const throttled = returned === 'RekognitionThrottled';
  const throttles = (input.place?.throttles ?? 0) + (throttled ? 1 : 0);
  const reindexes = (input.place?.reindexes ?? 0) + (returned === 'ResultNotFound' ? 1 : 0);
  if (throttles > max_throttles) {
    throw new PipelineError(
      'ThrottledTooOften',
      `Rekognition throttled this photo ${throttles} times: ${input.returned?.Cause ?? ''}`,
    );
  }
  // Each way back writes a dozen events into a history that holds 25,000.
  const returns = input.place ? (input.place.returns ?? 0) + 1 : 0;
  if (returns > max_returns) {
    throw new PipelineError('ThrottledTooOften', `Came back ${returns} times, at last for ${returned}`);
  }
  if (reindexes > max_reindexes) {
    throw new PipelineError('ResultLostTooOften', `The stored response was lost ${reindexes} times`);
  }

  // Before the line: a place that nobody may use delays all who stand behind it.
  await deps.photographers?.check(input.photo.event_id);
  const returning = returned !== undefined && returned !== 'SlotExpired';
  const { placeMs, round }: { placeMs: number; round?: number } =
    input.lane === 'live' && !returning && returns <= MAX_GIVEN_WAY
      ? await deps.ledger.joinByTurns({ key: input.photo.event_id, round: input.place?.round })
      : {
          placeMs: await deps.ledger.joinLine({
            lane: input.lane,
            returning,
            throttles: throttled ? throttles : 0,
          }),
        };
  const delayMs = Math.max(0, placeMs - deps.now());
  deps.telemetry.metrics.addMetric(metricNames.lineDelay, 'Milliseconds', delayMs);
  deps.telemetry.logger.info('Took a place in line', {
    event: logEvents.lineJoined,
    delay_ms: Math.round(delayMs),
    attempt: throttles + 1,
  });
  return {
    place_ms: placeMs,
    wait_until: wholeSecond(placeMs),
    throttles,
    reindexes,
    ...(returns > 0 && { returns }),
    ...(round !== undefined && { round }),
  };
}

/**
 * Whether the response of this photo version is stored. While S3 does not say, it counts as unknown: that costs a known
 * photo its wait in line, where waiting for S3 would hold up every photo for what only saves some a wait.
 */
async function isKnown(deps: JoinLineDeps, { input }: JoinLineRequest): Promise<boolean> {
  try {
    const key = resultsKey(input.photo, photoVersion(input.object));
    return (await storedCounts(deps, key)) !== undefined;
  } catch (error) {
    if (error instanceof PipelineError && error.name === 'StorageUnavailable') {
      deps.telemetry.logger.warn(error.message, { event: logEvents.lineNeedUnknown });
      return false;
    }
    throw error;
  }
}

/** The second that a moment lies in: a Wait state knows no less, and must not wait past the moment. */
function wholeSecond(ms: number): string {
  return new Date(Math.floor(ms / 1_000) * 1_000).toISOString().replace('.000Z', 'Z');
}
