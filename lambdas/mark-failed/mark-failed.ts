import { type FailureName, failureKind, isFailureName } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import { type ExecutionInput, type MarkFailedRequest, photoVersion } from '../shared/contract/payloads.ts';
import { type PhotoKey, photoKeyOf } from '../shared/contract/photo-key.ts';
import { storableText } from '../shared/contract/storable.ts';
import type { Sql } from '../shared/database/connection.ts';
import {
  hasOpenErasure,
  lockEvent,
  readEventState,
  replaceVersion,
  searchForFaces,
} from '../shared/erasure/outbox.ts';
import { writeMisplaced } from '../shared/photos/misplaced-uploads.ts';
import {
  lockOwnRow,
  lockRows,
  moveFence,
  noteEnd,
  type PhotoRow,
  type Transaction,
  writeErased,
  writeFailed,
} from '../shared/photos/rows.ts';
import { needsRow, standingOfUpload } from '../shared/photos/standing.ts';
import { countBy, type Telemetry } from '../shared/runtime/telemetry.ts';

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
  /** Null where the key belongs to no event, and so to no photo. */
  photo_id: string | null;
  /**
   * `written`; `misplaced` where it was written as an upload of no event; `indexed` when the same version is stored by another run;
   * `superseded` when a newer upload is written, `deleted` when the deletion is; `erased` when the faces of its event were erased
   * after it was uploaded; `known` when the same version has failed before and keeps that reason.
   */
  effect: 'written' | 'misplaced' | 'known' | 'indexed' | 'superseded' | 'deleted' | 'erased';
  failure_code: FailureName;
  /** Whether faces or responses were left to be erased: the state machine then starts the erasure. */
  erasure_requested: boolean;
}

/** A photo version that no execution will index any more, and why. */
export interface FailedPhoto {
  object: ExecutionInput['object'];
  /** ISO 8601. */
  uploadedAt: string;
  failure: Failure;
  execution_arn: string;
  /** When the execution began, milliseconds since the epoch. */
  startedMs: number;
  /** The throttled calls before. */
  throttles: number;
}

/**
 * Writes `status='failed'` with code, message and whether a later retry can help. Changes nothing where
 * `photos/standing.ts` rules so: the same version is indexed, a newer upload or the deletion is written.
 *
 * @throws PipelineError the errors of `withDatabase`
 */
export function markFailed(deps: MarkFailedDeps, request: MarkFailedRequest): Promise<MarkFailedOutcome> {
  const { input, execution_arn, started_at } = request;
  return writeFailure(
    deps,
    {
      object: input.object,
      uploadedAt: input.event_time ?? started_at,
      failure: classifyFailure(input.failure),
      execution_arn,
      startedMs: Date.parse(started_at),
      throttles: input.place?.throttles ?? 0,
    },
    { keepFirstReason: false },
  );
}

/**
 * A photo whose id is that of another photo gets a row under the id of its key; an upload whose key belongs to no event gets
 * one among the misplaced.
 *
 * @param options.keepFirstReason whether a photo that failed at this version before is left as it is
 * @throws PipelineError the errors of `withDatabase`
 */
export async function writeFailure(
  deps: MarkFailedDeps,
  failed: FailedPhoto,
  options: { keepFirstReason: boolean },
): Promise<MarkFailedOutcome> {
  const { object, failure, execution_arn, startedMs, throttles } = failed;
  const key = photoKeyOf(object.key);

  const written = await deps.withDatabase((sql) =>
    sql.begin((transaction) =>
      key ? write(transaction, key, failed, options) : misplace(transaction, failed, options),
    ),
  );

  report(deps, { ...written, event_id: key?.eventId ?? null }, failure, {
    ...(key === undefined && { key: object.key }),
    execution_arn,
    duration_ms: Math.max(0, deps.now() - startedMs),
    attempt: throttles + 1,
  });
  return { ...written, failure_code: failure.code };
}

type Written = Omit<MarkFailedOutcome, 'failure_code'>;

async function misplace(
  sql: Transaction,
  { object, failure, execution_arn }: FailedPhoto,
  options: { keepFirstReason: boolean },
): Promise<Written> {
  const effect = await writeMisplaced(
    sql,
    {
      key: object.key,
      version: photoVersion(object),
      sequencer: object.sequencer,
      failure,
      executionArn: execution_arn,
    },
    options,
  );
  return { photo_id: null, effect: effect === 'written' ? 'misplaced' : effect, erasure_requested: false };
}

async function write(
  sql: Transaction,
  key: PhotoKey,
  { object: { key: objectKey, ...rest }, uploadedAt, failure, execution_arn }: FailedPhoto,
  { keepFirstReason }: { keepFirstReason: boolean },
): Promise<Written> {
  const event_id = key.eventId;
  const object = {
    key: objectKey,
    version: photoVersion({ key: objectKey, ...rest }),
    sequencer: rest.sequencer,
  };
  await lockEvent(sql, event_id, 'shared');
  const upload = { event_id, ...object, uploadedAt: new Date(uploadedAt) };
  const rows = await lockRows(sql, key, objectKey, (found) => needsRow(found, upload));
  // A failure need not wait for anything: it stores no face.
  const event = { ...(await readEventState(sql, event_id)), erasing: false };
  const { standing, row: about } = standingOfUpload(rows, upload, event);
  // Only a photo whose id is taken needs a row of its own, and only then.
  const isTaken = standing === 'taken';
  const row = isTaken
    ? await lockOwnRow(sql, key, objectKey, rows)
    : // What is known of the key may be in the other row: a deletion of a photo that was never heard of.
      (rows[about] ?? rows.photo ?? rows.own!);
  const effect = await apply();
  // Whoever asked for it, this execution or an earlier attempt: that somebody has begun it is not known.
  const erasure_requested = await hasOpenErasure(sql, event_id, [key.photoId, row.id]);
  return { photo_id: row.id, effect, erasure_requested };

  async function apply(): Promise<MarkFailedOutcome['effect']> {
    switch (standing) {
      case 'deleted':
        // Its faces may have been indexed without anyone being told: they are looked for by the photo's id. Where another
        // key of the event is the photo by now, what is found would be that one's.
        if (!isAlive(rows.photo, event_id) && row.execution_arn !== execution_arn) {
          await searchForFaces(sql, { event_id, photo_id: key.photoId }, execution_arn);
          await noteEnd(sql, row, execution_arn);
        }
        return 'deleted';
      case 'superseded':
        return 'superseded';
      case 'known':
      case 'copy':
        await moveFence(sql, row, object);
        return 'indexed';
      case 'erased':
        await writeErased(sql, row, object, execution_arn);
        return 'erased';
      default:
        if (keepFirstReason && row.status === 'failed' && row.object_version === object.version) {
          await moveFence(sql, row, object);
          return 'known';
        }
        // The faces of an earlier upload are not in this picture. Under an id of its own a photo never had any.
        if (!isTaken) {
          const photo = { event_id, photo_id: row.id };
          await replaceVersion(sql, photo, row, { version: object.version, keep: [], execution_arn });
        }
        await writeFailed(sql, row, object, { ...failure, executionArn: execution_arn });
        return 'written';
    }
  }
}

/** Whether the event has a photo under the id. */
function isAlive(photo: PhotoRow | undefined, eventId: string): boolean {
  return photo?.event_id === eventId && photo.status !== 'deleted';
}

/** One log line, and the metric for what is written nowhere else. */
export function report(
  { telemetry }: MarkFailedDeps,
  photo: {
    photo_id?: string | null;
    event_id?: string | null;
    effect: MarkFailedOutcome['effect'] | 'unwritable';
  },
  failure: Failure,
  details: object,
): void {
  const counts = ['written', 'misplaced', 'unwritable'].includes(photo.effect);
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
  if (photo.effect === 'misplaced') {
    telemetry.metrics.addMetric(metricNames.uploadsMisplaced, 'Count', 1);
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
