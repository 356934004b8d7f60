import { type ExecutionInput, type MarkFailedRequest, photoVersion } from '../shared/contract.ts';
import type { Sql } from '../shared/database.ts';
import { lockEvent, openErasure, replaceVersion } from '../shared/erasures.ts';
import { type FailureName, failureKind, isFailureName } from '../shared/errors.ts';
import { logEvents, metricNames } from '../shared/names.ts';
import { parsePhotoKey } from '../shared/photo-key.ts';
import {
  isDeleted,
  isIndexed,
  isSuperseded,
  lockPhoto,
  type Transaction,
  withPhotoRow,
} from '../shared/photo-rows.ts';
import { storableText } from '../shared/storable.ts';
import { countBy, type Telemetry } from '../shared/telemetry.ts';

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
  /**
   * `written`; `indexed` when the same version is stored by another run; `superseded` when a newer upload is written;
   * `known` when the same version has failed before and keeps that reason.
   */
  effect: 'written' | 'indexed' | 'superseded' | 'known';
  failure_code: FailureName;
}

/** A photo version that no execution will index any more, and why. */
export interface FailedPhoto {
  object: ExecutionInput['object'];
  failure: Failure;
  execution_arn: string;
  /** When the execution began, milliseconds since the epoch. */
  startedMs: number;
  /** The throttled calls before. */
  throttles: number;
}

/**
 * Writes `status='failed'` with code, message and whether a later retry can help. Changes nothing where the same
 * version is indexed, or a newer upload is written.
 *
 * @throws PipelineError `InvalidPhotoKey` and the errors of `withDatabase`
 */
export function markFailed(deps: MarkFailedDeps, request: MarkFailedRequest): Promise<MarkFailedOutcome> {
  const { input, execution_arn, started_at } = request;
  return writeFailure(
    deps,
    {
      object: input.object,
      failure: classifyFailure(input.failure),
      execution_arn,
      startedMs: Date.parse(started_at),
      throttles: input.slot?.throttles ?? 0,
    },
    { keepFirstReason: false },
  );
}

/**
 * A photo whose id is that of another event's photo gets a row under the id of its key.
 *
 * @param options.keepFirstReason whether a photo that failed at this version before is left as it is
 * @throws PipelineError `InvalidPhotoKey` and the errors of `withDatabase`
 */
export async function writeFailure(
  deps: MarkFailedDeps,
  failed: FailedPhoto,
  options: { keepFirstReason: boolean },
): Promise<MarkFailedOutcome> {
  const { object, failure, execution_arn, startedMs, throttles } = failed;
  const key = parsePhotoKey(object.key);

  const written = await deps.withDatabase((sql) =>
    withPhotoRow(key, (photo_id) =>
      sql.begin(async (transaction) => {
        const photo = { event_id: key.eventId, photo_id };
        return { ...photo, effect: await write(transaction, photo, key.photoId, failed, options) };
      }),
    ),
  );

  report(deps, written, failure, {
    execution_arn,
    duration_ms: Math.max(0, deps.now() - startedMs),
    attempt: throttles + 1,
  });
  return { photo_id: written.photo_id, effect: written.effect, failure_code: failure.code };
}

/** @param imageId under which the collection would have the photo's faces */
async function write(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  imageId: string,
  { object, failure, execution_arn }: FailedPhoto,
  { keepFirstReason }: { keepFirstReason: boolean },
): Promise<MarkFailedOutcome['effect']> {
  await lockEvent(sql, photo.event_id, 'shared');
  const row = await lockPhoto(sql, photo, object.key);
  if (isDeleted(row, object)) {
    // Its faces may have been indexed without anyone being told: they are looked for by the photo's id.
    const { event_id } = photo;
    await openErasure(sql, {
      event_id,
      photo_id: imageId,
      reason: 'photo_deleted',
      execution_arn,
      photos: 1,
    });
    return 'superseded';
  }
  if (isSuperseded(row, object)) {
    return 'superseded';
  }
  if (isIndexed(row, object)) {
    return 'indexed';
  }
  if (keepFirstReason && row.status === 'failed' && row.object_version === photoVersion(object)) {
    return 'known';
  }
  // The faces of an earlier upload are not in this picture.
  await replaceVersion(sql, photo, row, { version: photoVersion(object), keep: [], execution_arn });
  await sql`
    UPDATE photos SET
      status = 'failed',
      object_key = ${object.key},
      object_version = ${photoVersion(object)},
      object_sequencer = ${object.sequencer},
      face_count = NULL,
      unindexed_faces = NULL,
      failure_code = ${failure.code},
      failure_message = ${failure.message},
      failure_retryable = ${failure.retryable},
      execution_arn = ${execution_arn},
      indexed_at = NULL,
      failed_at = now()
    WHERE id = ${photo.photo_id}`;
  return 'written';
}

/** One log line, and the metric for what is written nowhere else. */
export function report(
  { telemetry }: MarkFailedDeps,
  photo: { photo_id?: string; event_id?: string; effect: MarkFailedOutcome['effect'] | 'unwritable' },
  failure: Failure,
  details: object,
): void {
  const counts = photo.effect === 'written' || photo.effect === 'unwritable';
  telemetry.logger[counts ? 'error' : 'info'](counts ? 'The photo failed' : 'The failure changes nothing', {
    event: counts ? logEvents.failed : logEvents.failureWithoutEffect,
    ...photo,
    error_type: failure.code,
    error_message: failure.message,
    retryable: failure.retryable,
    ...details,
  });
  if (counts) {
    countBy(telemetry, metricNames.photosFailed, failureKind(failure.code).class);
  }
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
    message: cut(`${caught.Error}: ${message}`),
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
  return cut(message);
}

function cut(message: string): string {
  return storableText(message.slice(0, MAX_MESSAGE_LENGTH));
}
