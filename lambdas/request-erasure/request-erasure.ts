import type { Sql } from '../shared/database.ts';
import type {
  EraseInput,
  ErasureProgress,
  PersonRequest,
  PhotoDeleted,
  RequestErasureRequest,
} from '../shared/erasure-contract.ts';
import { lockEvent, openErasure, removeResults, retireFaces } from '../shared/erasures.ts';
import { PipelineError } from '../shared/errors.ts';
import { logEvents } from '../shared/names.ts';
import { type PhotoKey, parsePhotoKey } from '../shared/photo-key.ts';
import {
  idList,
  isDeleted,
  isSuperseded,
  lockPhoto,
  type PhotoRow,
  type Transaction,
  withPhotoRow,
} from '../shared/photo-rows.ts';
import { resultsFolder } from '../shared/stored-result.ts';
import type { Telemetry } from '../shared/telemetry.ts';

export interface RequestErasureDeps {
  telemetry: Telemetry;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  collectionPrefix: string;
  /** Days that faces are kept after the event's expiry, or its last photo. */
  faceRetentionDays: number;
}

/** An erasure of an event is a few statements; the rest of a day with more waits for the next. */
const MAX_EXPIRED_EVENTS = 5_000;

type Requested = Pick<ErasureProgress, 'effect' | 'erasure_id' | 'erasures'>;

/**
 * Writes down what has to be erased and takes it out of use at once; nothing is removed from Rekognition yet. The same
 * execution asking again, or another one asking for the same, changes nothing.
 *
 * @throws PipelineError `InvalidInput` for an event that does not exist, and the errors of `withDatabase`
 */
export async function requestErasure(
  deps: RequestErasureDeps,
  { input, execution_arn }: RequestErasureRequest,
): Promise<ErasureProgress> {
  const requested = await deps.withDatabase((sql) => request(deps, sql, input, execution_arn));
  deps.telemetry.logger.info('An erasure was asked for', {
    event: logEvents.erasureRequested,
    request: input.request,
    ...requested,
  });
  return { request: input.request, ...requested, batches: 0, waits: 0 };
}

async function request(
  deps: RequestErasureDeps,
  sql: Sql,
  input: EraseInput,
  executionArn: string,
): Promise<Requested> {
  switch (input.request) {
    case 'outbox':
      return none('none');
    case 'retention':
      return expireEvents(sql, new Date(input.as_of), deps.faceRetentionDays, executionArn);
    case 'photo_deleted':
      return deletePhoto(sql, input, executionArn);
    case 'person':
      return once(sql, executionArn, input.event_id, (transaction) =>
        erasePerson(transaction, deps.collectionPrefix, input, executionArn),
      );
    case 'event':
      return once(sql, executionArn, input.event_id, (transaction) =>
        eraseEvent(transaction, input.event_id, 'event_requested', executionArn),
      );
  }
}

function none(effect: 'none' | 'ignored' | 'superseded'): Requested {
  return { effect, erasure_id: null, erasures: 0 };
}

function opened(erasureId: string): Requested {
  return { effect: 'requested', erasure_id: erasureId, erasures: 1 };
}

/** Who asks again does not want to wait for the end of a postponement. */
async function known(sql: Transaction, erasureId: string): Promise<Requested> {
  await sql`UPDATE erasures SET not_before = now() WHERE id = ${erasureId} AND finished_at IS NULL`;
  return { effect: 'known', erasure_id: erasureId, erasures: 0 };
}

/** Runs `work` alone on an event that exists, unless this execution has asked for its erasure before. */
function once(
  sql: Sql,
  executionArn: string,
  eventId: string,
  work: (transaction: Transaction) => Promise<Requested>,
): Promise<Requested> {
  return sql.begin(async (transaction) => {
    await lockEvent(transaction, eventId, 'exclusive');
    const before = await askedBy(transaction, executionArn);
    if (before) {
      return known(transaction, before);
    }
    const [event] = await transaction`SELECT FROM events WHERE id = ${eventId}`;
    if (!event) {
      throw new PipelineError('InvalidInput', `There is no event ${eventId}`);
    }
    return work(transaction);
  });
}

async function askedBy(sql: Transaction, executionArn: string): Promise<string | undefined> {
  const [erasure] = await sql<{ id: string }[]>`
    SELECT id FROM erasures WHERE execution_arn = ${executionArn} ORDER BY requested_at LIMIT 1`;
  return erasure?.id;
}

async function deletePhoto(sql: Sql, input: PhotoDeleted, executionArn: string): Promise<Requested> {
  let key: PhotoKey;
  try {
    key = parsePhotoKey(input.object.key);
  } catch {
    // Under such a key nothing was ever indexed.
    return none('ignored');
  }
  return withPhotoRow(key, (photo_id) =>
    sql.begin((transaction) =>
      deleteRow(transaction, { event_id: key.eventId, photo_id }, key.photoId, input, executionArn),
    ),
  );
}

/** @param imageId under which the collection has the photo's faces */
async function deleteRow(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  imageId: string,
  input: PhotoDeleted,
  executionArn: string,
): Promise<Requested> {
  const { event_id } = photo;
  await lockEvent(sql, event_id, 'shared');
  const before = await askedBy(sql, executionArn);
  if (before) {
    return known(sql, before);
  }
  const row = await lockPhoto(sql, photo, input.object.key);
  if (isOldVersion(row, input)) {
    return none('ignored');
  }
  if (isDeleted(row, input.object)) {
    const [erasure] = await sql<{ id: string }[]>`
      SELECT id FROM erasures
      WHERE event_id = ${event_id} AND photo_id = ${imageId} AND reason = 'photo_deleted'
      ORDER BY requested_at DESC LIMIT 1`;
    return erasure ? known(sql, erasure.id) : none('ignored');
  }
  if (isSuperseded(row, input.object)) {
    return none('superseded');
  }
  const erasureId = await openErasure(sql, {
    event_id,
    photo_id: imageId,
    reason: 'photo_deleted',
    execution_arn: executionArn,
    photos: 1,
  });
  await retireFaces(sql, erasureId, photo, []);
  await removeResults(sql, erasureId, [resultsFolder({ event_id, photo_id: imageId })]);
  await sql`
    UPDATE photos SET
      status = 'deleted',
      object_version = NULL,
      object_sequencer = ${input.object.sequencer},
      face_count = NULL,
      unindexed_faces = NULL,
      failure_code = NULL,
      failure_message = NULL,
      failure_retryable = NULL,
      deleted_at = now()
    WHERE id = ${photo.photo_id}`;
  return opened(erasureId);
}

/**
 * Whether what was deleted for good is a version that is not the photo any more: S3 tells of each old version that its
 * lifecycle takes away, and of each delete marker.
 */
function isOldVersion(row: PhotoRow, { object, deletion_type }: PhotoDeleted): boolean {
  const version = object['version-id'];
  return (
    deletion_type !== 'Delete Marker Created' &&
    version !== undefined &&
    version !== 'null' &&
    row.object_version !== version
  );
}

async function erasePerson(
  sql: Transaction,
  collectionPrefix: string,
  { event_id, faces }: PersonRequest,
  executionArn: string,
): Promise<Requested> {
  const photoIds = [...new Set(faces.map(([, photoId]) => photoId))];
  const faceIds = [...new Set(faces.map(([faceId]) => faceId))];
  const erasureId = await openErasure(sql, {
    event_id,
    reason: 'person_requested',
    execution_arn: executionArn,
    photos: photoIds.length,
  });
  await sql`
    WITH erased AS (
      DELETE FROM faces USING photos
      WHERE photos.id = faces.photo_id AND photos.event_id = ${event_id}
        AND rekognition_face_id IN (${idList(sql, faceIds)})
      RETURNING photo_id
    )
    UPDATE photos SET face_count = face_count - erased.count
    FROM (SELECT photo_id, count(*)::int FROM erased GROUP BY photo_id) AS erased
    WHERE photos.id = erased.photo_id`;
  await sql`
    INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
    SELECT ${erasureId}, coalesce(rekognition_collection_id, ${collectionPrefix} || events.id), pair ->> 0,
           (pair ->> 1)::uuid
    FROM jsonb_array_elements(${sql.json(faces as never)}) AS pairs (pair), events
    WHERE events.id = ${event_id}
    ON CONFLICT DO NOTHING`;
  await removeResults(
    sql,
    erasureId,
    photoIds.map((photo_id) => resultsFolder({ event_id, photo_id })),
  );
  return opened(erasureId);
}

async function eraseEvent(
  sql: Transaction,
  eventId: string,
  reason: 'event_requested' | 'event_expired',
  executionArn: string,
): Promise<Requested> {
  const [erasure] = await sql<{ id: string; finished: boolean; outdated: boolean }[]>`
    SELECT erasures.id, finished_at IS NOT NULL AS finished,
           rekognition_collection_id IS NOT NULL OR EXISTS (
             SELECT FROM photos
             WHERE event_id = events.id AND status IN ('processing', 'indexed', 'failed')
               AND greatest(photos.created_at, indexed_at, failed_at) > erased_at
           ) AS outdated
    FROM erasures JOIN events ON events.id = event_id
    WHERE event_id = ${eventId} AND reason IN ('event_requested', 'event_expired')
    ORDER BY requested_at DESC LIMIT 1`;
  if (erasure && (!erasure.finished || !erasure.outdated)) {
    return known(sql, erasure.id);
  }
  const erasureId = await openErasure(sql, {
    event_id: eventId,
    reason,
    execution_arn: executionArn,
    photos: 0,
  });
  await removeResults(sql, erasureId, [`results/${eventId}/`]);
  // Not the transaction's beginning, which can lie before the end of an upload that it had to wait for.
  await sql`UPDATE events SET erasure_requested_at = clock_timestamp() WHERE id = ${eventId}`;
  return opened(erasureId);
}

/** Asks for the erasure of every event that ended so long ago, and of which anything is left. */
async function expireEvents(
  sql: Sql,
  asOf: Date,
  retentionDays: number,
  executionArn: string,
): Promise<Requested> {
  const deadline = new Date(asOf.getTime() - retentionDays * 24 * 3600 * 1000);
  const expired = await sql<{ id: string }[]>`
    SELECT id FROM (
      SELECT events.id, expires_at, events.created_at, rekognition_collection_id, erased_at, erasure_requested_at,
             max(greatest(photos.created_at, indexed_at, failed_at)) AS last_photo_at,
             max(greatest(photos.created_at, indexed_at, failed_at))
               FILTER (WHERE status IN ('processing', 'indexed', 'failed')) AS last_used_at
      FROM events LEFT JOIN photos ON event_id = events.id
      GROUP BY events.id
    ) AS event
    WHERE coalesce(expires_at, last_photo_at, created_at) < ${deadline}
      AND (rekognition_collection_id IS NOT NULL OR last_used_at > coalesce(erased_at, '-infinity'))
      AND NOT EXISTS (
        SELECT FROM erasures
        WHERE event_id = event.id AND finished_at IS NULL AND reason IN ('event_requested', 'event_expired'))
    ORDER BY coalesce(expires_at, last_photo_at, created_at)
    LIMIT ${MAX_EXPIRED_EVENTS}`;
  let erasures = 0;
  for (const { id } of expired) {
    const { effect } = await sql.begin(async (transaction) => {
      await lockEvent(transaction, id, 'exclusive');
      return eraseEvent(transaction, id, 'event_expired', executionArn);
    });
    erasures += effect === 'requested' ? 1 : 0;
  }
  return { effect: erasures > 0 ? 'requested' : 'none', erasure_id: null, erasures };
}
