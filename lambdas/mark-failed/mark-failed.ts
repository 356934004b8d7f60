import { type MarkFailedRequest, photoVersion } from '../shared/contract.ts';
import type { Sql } from '../shared/database.ts';
import { type FailureName, failureKind, isFailureName } from '../shared/errors.ts';
import { logEvents, metricDimensions, metricNames } from '../shared/names.ts';
import { parsePhotoKey } from '../shared/photo-key.ts';
import { isIndexed, isSuperseded, lockPhoto, retireFaces } from '../shared/photo-rows.ts';
import type { Telemetry } from '../shared/telemetry.ts';

const MAX_MESSAGE_LENGTH = 2_000;

export interface MarkFailedDeps {
  telemetry: Telemetry;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** Milliseconds since the epoch. */
  now(): number;
}

export interface Failure {
  code: FailureName;
  message: string;
  retryable: boolean;
}

export interface MarkFailedOutcome {
  photo_id: string;
  /** `written`; `indexed` when the same version is stored by another run; `superseded` when a newer upload is written. */
  effect: 'written' | 'indexed' | 'superseded';
  failure_code: FailureName;
}

/**
 * Writes `status='failed'` with code, message and whether a later retry can help. Changes nothing where the same
 * version is indexed, or a newer upload is written.
 *
 * @throws PipelineError `InvalidPhotoKey` and the errors of `withDatabase`
 */
export async function markFailed(
  deps: MarkFailedDeps,
  request: MarkFailedRequest,
): Promise<MarkFailedOutcome> {
  const { input, execution_arn, started_at } = request;
  const { eventId, photoId } = parsePhotoKey(input.object.key);
  const photo = { event_id: eventId, photo_id: photoId };
  const failure = classifyFailure(input.failure);

  const effect = await deps.withDatabase((sql) =>
    sql.begin(async (transaction): Promise<MarkFailedOutcome['effect']> => {
      const row = await lockPhoto(transaction, photo, input.object.key);
      if (isSuperseded(row, input.object)) {
        return 'superseded';
      }
      if (isIndexed(row, input.object)) {
        return 'indexed';
      }
      // The faces of an earlier upload are not in this picture.
      await retireFaces(transaction, photo, [], 'replaced');
      await transaction`
        UPDATE photos SET
          status = 'failed',
          object_key = ${input.object.key},
          object_version = ${photoVersion(input.object)},
          object_sequencer = ${input.object.sequencer},
          face_count = NULL,
          unindexed_faces = NULL,
          failure_code = ${failure.code},
          failure_message = ${failure.message},
          failure_retryable = ${failure.retryable},
          execution_arn = ${execution_arn},
          indexed_at = NULL,
          failed_at = now()
        WHERE id = ${photoId}`;
      return 'written';
    }),
  );

  const { logger, metrics } = deps.telemetry;
  logger.error('The photo failed', {
    event: logEvents.failed,
    ...photo,
    effect,
    error_type: failure.code,
    error_message: failure.message,
    retryable: failure.retryable,
    duration_ms: Math.max(0, deps.now() - Date.parse(started_at)),
    attempt: (input.slot?.throttles ?? 0) + 1,
  });
  if (effect === 'written') {
    metrics
      .singleMetric()
      .addDimension(metricDimensions.failureClass, failureKind(failure.code).class)
      .addMetric(metricNames.photosFailed, 'Count', 1);
  }
  return { photo_id: photoId, effect, failure_code: failure.code };
}

/**
 * What a `Catch` of the state machine means to a photo. Names that are not ours (`States.Timeout`, `Lambda.Unknown`,
 * `Runtime.ExitError`, ...) are our own trouble and never the photo's.
 */
export function classifyFailure(caught: { Error: string; Cause: string }): Failure {
  const message = messageOf(caught);
  if (isFailureName(caught.Error)) {
    return { code: caught.Error, message, retryable: failureKind(caught.Error).retryable };
  }
  return {
    code: 'InternalError',
    message: `${caught.Error}: ${message}`.slice(0, MAX_MESSAGE_LENGTH),
    retryable: true,
  };
}

/** The `errorMessage` out of the JSON that Lambda leaves as cause, else the cause as it is; fit for PostgreSQL's text. */
function messageOf({ Cause: cause }: { Cause: string }): string {
  let message = cause;
  try {
    const parsed: unknown = JSON.parse(cause);
    const { errorMessage } = (parsed ?? {}) as { errorMessage?: unknown };
    message = typeof errorMessage === 'string' ? errorMessage : cause;
  } catch {
    // Step Functions' own causes are plain sentences.
  }
  return message.replaceAll('\0', '').toWellFormed().slice(0, MAX_MESSAGE_LENGTH).toWellFormed();
}
