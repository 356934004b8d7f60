import { PipelineError } from '../shared/contract/errors.ts';
import { logEvents } from '../shared/contract/names.ts';
import { versionIdOf } from '../shared/contract/payloads.ts';
import { type PhotoKey, photoKeyOf } from '../shared/contract/photo-key.ts';
import { eventResultsFolder, resultsFolder, resultsKey } from '../shared/contract/stored-result.ts';
import type { Sql } from '../shared/database/connection.ts';
import {
  boxOf,
  type EraseInput,
  type ErasureProgress,
  type PersonRequest,
  type PhotoDeleted,
  type RequestErasureRequest,
} from '../shared/erasure/contract.ts';
import {
  type DeletionId,
  erasureOfDeletion,
  lastErasureOfKey,
  lockEvent,
  openErasure,
  removeResults,
} from '../shared/erasure/outbox.ts';
import { forgetDeleted } from '../shared/photos/misplaced-uploads.ts';
import {
  facesOfPhotos,
  forgetFaces,
  lockOwnRow,
  lockRows,
  moveToCopy,
  type PhotoRow,
  rememberOther,
  retireFaces,
  type Transaction,
  writeDeleted,
} from '../shared/photos/rows.ts';
import { copyOf, standingOfDeletion } from '../shared/photos/standing.ts';
import { isSameFace } from '../shared/rekognition/bounding-box.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import { forgetSearches } from '../shared/search/searches.ts';

export interface RequestErasureDeps {
  telemetry: Telemetry;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  collectionPrefix: string;
  /** Days that faces are kept after the event's expiry, or its last photo. */
  faceRetentionDays: number;
  /** Days that the records of searches are kept. */
  searchRetentionDays: number;
}

/** An erasure of an event is a few statements; the rest of a day with more waits for the next. */
const MAX_EXPIRED_EVENTS = 5_000;

type Requested = Pick<ErasureProgress, 'effect' | 'erasure_id' | 'erasures'>;

/**
 * Writes down what has to be erased and takes it out of use at once; nothing is removed from Rekognition yet. Asked by the same
 * execution again it opens nothing. Nor does another execution for a deletion that is known, or for an event whose erasure has not
 * begun; that one covers what was uploaded until then.
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
      await forgetSearches(sql, daysBefore(input.as_of, deps.searchRetentionDays));
      return expireEvents(sql, daysBefore(input.as_of, deps.faceRetentionDays), executionArn);
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

function daysBefore(moment: string, days: number): Date {
  return new Date(new Date(moment).getTime() - days * 24 * 3600 * 1000);
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
    const before = await askedBy(transaction, eventId, executionArn);
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

async function askedBy(sql: Transaction, eventId: string, executionArn: string): Promise<string | undefined> {
  const [erasure] = await sql<{ id: string }[]>`
    SELECT id FROM erasures
    WHERE event_id = ${eventId} AND (execution_arn = ${executionArn} OR ${executionArn} = ANY (joined_by))
    ORDER BY requested_at LIMIT 1`;
  return erasure?.id;
}

async function deletePhoto(sql: Sql, input: PhotoDeleted, executionArn: string): Promise<Requested> {
  const key = photoKeyOf(input.object.key);
  if (!key) {
    // Under such a key nothing was ever indexed.
    await sql.begin((transaction) => forgetDeleted(transaction, input.object.key, input.object.sequencer));
    return none('ignored');
  }
  return sql.begin((transaction) => deleteObject(transaction, key, input, executionArn));
}

async function deleteObject(
  sql: Transaction,
  key: PhotoKey,
  { object, deletion_type }: PhotoDeleted,
  executionArn: string,
): Promise<Requested> {
  const event_id = key.eventId;
  const deletion = { key_id: key.keyId, sequencer: object.sequencer };
  await lockEvent(sql, event_id, 'shared');
  // A deletion gives no photo its row: a name that nobody uploaded says nothing of whose id it is.
  const rows = await lockRows(sql, key, object.key, () => key.photoId === key.keyId);
  const before = await erasureOfDeletion(sql, deletion);
  if (before) {
    return known(sql, before);
  }
  // S3 tells of each old version that its lifecycle takes away, and of each delete marker.
  const version = deletion_type === 'Delete Marker Created' ? undefined : versionIdOf(object['version-id']);
  const { standing, row: about } = standingOfDeletion(rows, {
    event_id,
    key: object.key,
    sequencer: object.sequencer,
    version,
  });
  switch (standing) {
    case 'old_version':
      return none('ignored');
    case 'superseded':
      return none('superseded');
    case 'remembered':
      await rememberOther(sql, rows.photo!, object.key, { sequencer: object.sequencer, version: null });
      return none('ignored');
    case 'moved':
      await moveToCopy(sql, rows.photo!, copyOf(rows.photo!)!, object.sequencer);
      return none('ignored');
    case 'known': {
      const photoIds = [key.photoId, rows[about]?.id ?? key.photoId];
      const last = await lastErasureOfKey(sql, { event_id, key_id: key.keyId, photoIds });
      return last ? known(sql, last) : none('ignored');
    }
    case 'current':
      return about === 'photo'
        ? deletePhotoRow(sql, { event_id, row: rows.photo! }, deletion, executionArn)
        : deleteOwnRow(
            sql,
            {
              event_id,
              row: await lockOwnRow(sql, key, object.key, rows),
              takenId: key.photoId,
              isSearchable: rows.photo?.event_id !== event_id,
            },
            deletion,
            executionArn,
          );
  }
}

async function deletePhotoRow(
  sql: Transaction,
  { event_id, row }: { event_id: string; row: PhotoRow },
  deletion: DeletionId,
  execution_arn: string,
): Promise<Requested> {
  const photo = { event_id, photo_id: row.id };
  const request = { ...photo, reason: 'photo_deleted', execution_arn, photos: 1, search: true } as const;
  const erasureId = await openErasure(sql, request, deletion);
  await retireFaces(sql, erasureId, photo, []);
  await removeResults(sql, erasureId, [resultsFolder(photo)]);
  await writeDeleted(sql, row, deletion.sequencer);
  return opened(erasureId);
}

/**
 * A photo whose id is taken has no faces, but for those that an execution may have left in the collection under that id.
 * They can be searched for only where no photo of the event has the id: else what is found is that photo's.
 */
async function deleteOwnRow(
  sql: Transaction,
  {
    event_id,
    row,
    takenId,
    isSearchable,
  }: { event_id: string; row: PhotoRow; takenId: string; isSearchable: boolean },
  deletion: DeletionId,
  execution_arn: string,
): Promise<Requested> {
  const photo_id = isSearchable ? takenId : row.id;
  const request = {
    event_id,
    photo_id,
    reason: 'photo_deleted',
    execution_arn,
    photos: 1,
    search: isSearchable,
  } as const;
  const erasureId = await openErasure(sql, request, deletion);
  const image = { event_id, photo_id: takenId };
  const results = isSearchable
    ? [resultsFolder(image)]
    : row.object_version === null
      ? []
      : [resultsKey(image, row.object_version)];
  await removeResults(sql, erasureId, results);
  await writeDeleted(sql, row, deletion.sequencer);
  return opened(erasureId);
}

async function erasePerson(
  sql: Transaction,
  collectionPrefix: string,
  { event_id, faces: found }: PersonRequest,
  executionArn: string,
): Promise<Requested> {
  const photoIds = [...new Set(found.map(([, photoId]) => photoId))];
  const stored = await facesOfPhotos(sql, event_id, photoIds);
  const storedIds = new Set(stored.map(({ rekognition_face_id }) => rekognition_face_id));
  const unknown = found.filter(([faceId]) => !storedIds.has(faceId));
  const faces = [...found, ...renamedFaces(unknown, stored)];
  const faceIds = [...new Set(faces.map(([faceId]) => faceId))];
  const erasureId = await openErasure(sql, {
    event_id,
    reason: 'person_requested',
    execution_arn: executionArn,
    photos: photoIds.length,
  });
  await forgetFaces(sql, event_id, erasureId, faceIds);
  await noteUnknownFaces(sql, erasureId, event_id, unknown);
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

/**
 * Faces that the search found under ids that they have no more, because their photo was indexed again since: known by where
 * they are in it, one for each.
 */
function renamedFaces(
  unknown: PersonRequest['faces'],
  stored: Awaited<ReturnType<typeof facesOfPhotos>>,
): [faceId: string, photoId: string][] {
  const left = new Set(stored);
  return unknown.flatMap(([, photoId, box]): [string, string][] => {
    const same = [...left].find(
      (face) => face.photo_id === photoId && box && isSameFace(boxOf(box), face.bounding_box),
    );
    if (!same?.rekognition_face_id) {
      return [];
    }
    left.delete(same);
    return [[same.rekognition_face_id, photoId]];
  });
}

/**
 * Photos that are on their way have no rows of their faces yet: where the search found a face is what it is known by when its
 * photo arrives.
 */
async function noteUnknownFaces(
  sql: Transaction,
  erasureId: string,
  eventId: string,
  faces: PersonRequest['faces'],
): Promise<void> {
  const found = faces.map(([, photo_id, box]) => ({ photo_id, bounding_box: box ? boxOf(box) : null }));
  await sql`
    INSERT INTO erased_faces (erasure_id, event_id, photo_id, bounding_box)
    SELECT ${erasureId}, ${eventId}, photo_id, bounding_box
    FROM jsonb_to_recordset(${sql.json(found as never)}) AS found (photo_id uuid, bounding_box jsonb)`;
}

/**
 * Covers all that was uploaded until now, whether there are rows of it or not. An erasure whose removal has not begun yet
 * does that too; any other leaves it to one of its own, with a receipt of its own.
 */
async function eraseEvent(
  sql: Transaction,
  eventId: string,
  reason: 'event_requested' | 'event_expired',
  executionArn: string,
): Promise<Requested> {
  const [open] = await sql<{ id: string }[]>`
    SELECT id FROM erasures
    WHERE event_id = ${eventId} AND reason IN ('event_requested', 'event_expired') AND finished_at IS NULL
      AND begun_at IS NULL
    ORDER BY requested_at DESC LIMIT 1 FOR UPDATE`;
  const erasureId =
    open?.id ??
    (await openErasure(sql, { event_id: eventId, reason, execution_arn: executionArn, photos: 0 }));
  await removeResults(sql, erasureId, [eventResultsFolder(eventId)]);
  // Not the transaction's beginning, which can lie before the end of an upload that it had to wait for.
  await sql`UPDATE events SET erasure_requested_at = clock_timestamp() WHERE id = ${eventId}`;
  if (!open) {
    return opened(erasureId);
  }
  await sql`
    UPDATE erasures SET joined_by = array_append(joined_by, ${executionArn})
    WHERE id = ${open.id}`;
  return known(sql, open.id);
}

/** Asks for the erasure of every event past its retention period of which anything is left. */
async function expireEvents(sql: Sql, deadline: Date, executionArn: string): Promise<Requested> {
  let erasures = 0;
  for (const { id } of await expiredEvents(sql, deadline)) {
    const { effect } = await sql.begin(async (transaction) => {
      await lockEvent(transaction, id, 'exclusive');
      const [still] = await expiredEvents(transaction, deadline, id);
      return still ? eraseEvent(transaction, id, 'event_expired', executionArn) : none('none');
    });
    erasures += effect === 'requested' ? 1 : 0;
  }
  return { effect: erasures > 0 ? 'requested' : 'none', erasure_id: null, erasures };
}

/** Events whose time was over at `deadline`, of which anything is left, and whose erasure is not under way. */
function expiredEvents(sql: Sql | Transaction, deadline: Date, eventId?: string) {
  return sql<{ id: string }[]>`
    SELECT id FROM (
      SELECT events.id, expires_at, events.created_at, rekognition_collection_id, erased_at, erasure_requested_at,
             max(greatest(photos.created_at, indexed_at, failed_at)) AS last_photo_at,
             max(greatest(photos.created_at, indexed_at, failed_at))
               FILTER (WHERE status IN ('processing', 'indexed', 'failed')) AS last_used_at
      FROM events LEFT JOIN photos ON event_id = events.id
      WHERE ${eventId === undefined ? sql`true` : sql`events.id = ${eventId}`}
      GROUP BY events.id
    ) AS event
    WHERE coalesce(expires_at, last_photo_at, created_at) < ${deadline}
      AND (rekognition_collection_id IS NOT NULL OR last_used_at > coalesce(erased_at, '-infinity'))
      AND NOT EXISTS (
        SELECT FROM erasures
        WHERE event_id = event.id AND finished_at IS NULL AND reason IN ('event_requested', 'event_expired'))
    ORDER BY coalesce(expires_at, last_photo_at, created_at)
    LIMIT ${MAX_EXPIRED_EVENTS}`;
}
