/**
 * Every statement that writes `photos`, or takes rows out of `faces`. What they write is decided by `photos/standing.ts`; a
 * test keeps such SQL out of all other files.
 */
import type postgres from 'postgres';
import { PipelineError } from '../contract/errors.ts';
import type { PhotoKey } from '../contract/photo-key.ts';
import { parsePhotoKey } from '../contract/photo-key.ts';
import {
  compareSequencers,
  fenceOf,
  type KeyRows,
  type OtherObject,
  othersAfter,
  othersWith,
  othersWithout,
  type PhotoState,
  rowsAbout,
  SAID_OF_ONE_OBJECT,
  saysAll,
} from './standing.ts';

export type Transaction = postgres.TransactionSql;

export interface PhotoRow extends PhotoState {
  id: string;
  face_count: number | null;
  unindexed_faces: unknown[] | null;
  /** When faces of this photo last left Rekognition. */
  faces_erased_at: Date | null;
  /** Which execution last wrote the row. */
  execution_arn: string | null;
}

/** An object, at one point of its key's history. */
export interface ObjectState {
  key: string;
  version: string;
  sequencer: string;
}

/**
 * Locks the rows that the key can be about until the transaction ends. Event and photo are registered where the platform
 * has not done so.
 *
 * @param needsRow whether the photo needs a row, where it has none: one that only an old event asks for would stay without
 *   an end
 */
export async function lockRows(
  sql: Transaction,
  key: PhotoKey,
  objectKey: string,
  needsRow: (rows: KeyRows<PhotoRow>) => boolean,
): Promise<KeyRows<PhotoRow>> {
  // One row after the other, the photo's first: so that two keys of one photo never wait for each other.
  const photo = (await selectForUpdate(sql, key.photoId)) ?? (await firstRow(sql, key));
  const isClear = saysAll(photo, { event_id: key.eventId, key: objectKey });
  const own = isClear || key.keyId === key.photoId ? undefined : await selectForUpdate(sql, key.keyId);
  const found = { photo, own };
  if (photo || !needsRow(found)) {
    return found;
  }
  await register(sql, { event_id: key.eventId, photo_id: key.photoId }, objectKey);
  // Another execution may have been faster, with another key.
  return { photo: await selectForUpdate(sql, key.photoId), own: own ?? (await ownRow(sql, key)) };
}

/**
 * The row of a photo that had none a moment ago. There is nothing yet that a lock could be on, and a deletion writes of a photo
 * without a row under another id: so the first upload and the first deletion, or two events of one deletion, go one after the
 * other by the photo's id. Where the key's own id is the photo's, inserting the row does that.
 */
async function firstRow(sql: Transaction, { photoId, keyId }: PhotoKey): Promise<PhotoRow | undefined> {
  if (photoId === keyId) {
    return undefined;
  }
  await lockFirstRows(sql, [photoId]);
  return selectForUpdate(sql, photoId);
}

/** In the order of the ids, so that two batches never wait for each other. */
async function lockFirstRows(sql: Transaction, photoIds: readonly string[]): Promise<void> {
  await sql`
    SELECT pg_advisory_xact_lock(hashtextextended(id, 1))
    FROM (${idList(sql, photoIds.toSorted())}) AS ids (id)`;
}

/**
 * The rows of many keys. Of photos that have none yet, none is written by anybody else until the transaction ends; those that
 * are there are not locked.
 */
export async function lockRowsToCome(
  sql: Transaction,
  keys: readonly PhotoKey[],
): Promise<(key: PhotoKey) => KeyRows<PhotoRow>> {
  const named = keys.filter(({ photoId, keyId }) => photoId !== keyId).map(({ photoId }) => photoId);
  if (named.length > 0) {
    await lockFirstRows(sql, [...new Set(named)]);
  }
  const ids = new Set(keys.flatMap(({ photoId, keyId }) => [photoId, keyId]));
  const found = await sql<PhotoRow[]>`
    SELECT ${photoColumns(sql)} FROM photos WHERE id IN (${uuidList(sql, [...ids])})`;
  const rows = new Map(found.map((row) => [row.id, row]));
  return (key) => rowsAbout(rows, key);
}

/** Rows for photos that have none; whoever was faster keeps theirs. @returns how many were made */
export async function registerPhotos(
  sql: Transaction,
  eventId: string,
  photos: readonly { id: string; object_key: string }[],
): Promise<number> {
  if (photos.length === 0) {
    return 0;
  }
  await sql`INSERT INTO events (id) VALUES (${eventId}) ON CONFLICT DO NOTHING`;
  const { count } = await sql`
    INSERT INTO photos (id, event_id, object_key)
    SELECT id, ${eventId}, object_key
    FROM jsonb_to_recordset(${sql.json([...photos])}) AS announced (id uuid, object_key text)
    ORDER BY id
    ON CONFLICT DO NOTHING`;
  return count;
}

async function ownRow(sql: Transaction, key: PhotoKey): Promise<PhotoRow | undefined> {
  return key.keyId === key.photoId ? undefined : selectForUpdate(sql, key.keyId);
}

async function register(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  objectKey: string,
): Promise<void> {
  await registerPhotos(sql, photo.event_id, [{ id: photo.photo_id, object_key: objectKey }]);
}

/**
 * The row of a key whose photo id is another photo's: under the key's own id. From here on the key is not a copy of that photo.
 *
 * @throws PipelineError `PhotoIdTaken` when even that id is another event's, which takes a name made for it
 */
export async function lockOwnRow(
  sql: Transaction,
  key: PhotoKey,
  objectKey: string,
  { photo, own }: KeyRows<PhotoRow>,
): Promise<PhotoRow> {
  if (photo?.event_id === key.eventId && photo.other_objects?.[objectKey]) {
    const others = othersWithout(photo, objectKey);
    await sql`
      UPDATE photos SET other_objects = ${sql.json(others as never)} WHERE id = ${photo.id}`;
  }
  if (own) {
    return own;
  }
  await register(sql, { event_id: key.eventId, photo_id: key.keyId }, objectKey);
  const registered = (await selectForUpdate(sql, key.keyId))!;
  if (registered.event_id !== key.eventId) {
    throw new PipelineError('PhotoIdTaken', `The photo id ${key.keyId} is that of a photo of another event`);
  }
  return registered;
}

/** The photo's id is another photo's: its row is under the key's own id, and says so. */
export async function writeTaken(
  sql: Transaction,
  key: PhotoKey,
  rows: KeyRows<PhotoRow>,
  object: ObjectState,
  executionArn: string,
): Promise<void> {
  const own = await lockOwnRow(sql, key, object.key, rows);
  await writeFailed(sql, own, object, {
    code: 'PhotoIdTaken',
    message: takenMessage(key.photoId),
    retryable: false,
    executionArn,
  });
}

async function selectForUpdate(sql: Transaction, photoId: string): Promise<PhotoRow | undefined> {
  const [row] = await sql<PhotoRow[]>`
    SELECT ${photoColumns(sql)} FROM photos WHERE id = ${photoId} FOR UPDATE`;
  return row;
}

function photoColumns(sql: Transaction) {
  return sql`
    id, event_id, status, object_key, object_version, object_sequencer, other_objects, face_count, unindexed_faces,
    faces_erased_at, execution_arn`;
}

/** What the row will know of other keys. Those that had its bytes until now become photos of their own. */
async function replaceObject(
  sql: Transaction,
  row: PhotoRow,
  object: ObjectState,
): Promise<Record<string, OtherObject> | null> {
  const { others, evicted } = othersAfter(row, object);
  for (const other of evicted) {
    await evict(sql, row, other);
  }
  return others;
}

/** Not asynchronous: a fragment of a statement that is awaited is sent as a statement. */
function objectColumns(
  sql: Transaction,
  { key, version, sequencer }: ObjectState,
  others: Record<string, OtherObject> | null,
) {
  return sql`
    object_key = ${key},
    object_version = ${version},
    object_sequencer = ${sequencer},
    other_objects = ${sql.json(others as never)}`;
}

/** A key that had the photo's bytes until they were replaced: its photo id is another's now. */
async function evict(
  sql: Transaction,
  { id, event_id }: PhotoRow,
  other: OtherObject & { key: string },
): Promise<void> {
  const { keyId } = parsePhotoKey(other.key);
  await register(sql, { event_id, photo_id: keyId }, other.key);
  const own = await selectForUpdate(sql, keyId);
  if (compareSequencers(own!.object_sequencer, other.sequencer) > 0) {
    return;
  }
  await sql`
    UPDATE photos SET
      status = 'failed',
      object_key = ${other.key},
      object_version = ${other.version},
      object_sequencer = ${other.sequencer},
      failure_code = 'PhotoIdTaken',
      failure_message = ${takenMessage(id)},
      failure_retryable = false,
      deleted_at = NULL,
      failed_at = now()
    WHERE id = ${keyId} AND event_id = ${event_id}`;
}

export function takenMessage(photoId: string): string {
  return `The photo id ${photoId} is that of another photo: give this file a name of its own`;
}

export async function writeIndexed(
  sql: Transaction,
  row: PhotoRow,
  object: ObjectState,
  result: { etag: string; faceCount: number; unindexedFaces: readonly unknown[]; executionArn: string },
): Promise<void> {
  const others = await replaceObject(sql, row, object);
  await sql`
    UPDATE photos SET
      status = 'indexed',
      ${objectColumns(sql, object, others)},
      object_etag = ${result.etag},
      face_count = ${result.faceCount},
      unindexed_faces = ${sql.json(result.unindexedFaces as never)},
      failure_code = NULL,
      failure_message = NULL,
      failure_retryable = NULL,
      failed_at = NULL,
      deleted_at = NULL,
      execution_arn = ${result.executionArn},
      indexed_at = now()
    WHERE id = ${row.id}`;
}

export async function writeFailed(
  sql: Transaction,
  row: PhotoRow,
  object: ObjectState,
  failure: { code: string; message: string; retryable: boolean; executionArn: string },
): Promise<void> {
  const others = await replaceObject(sql, row, object);
  await sql`
    UPDATE photos SET
      status = 'failed',
      ${objectColumns(sql, object, others)},
      face_count = NULL,
      unindexed_faces = NULL,
      failure_code = ${failure.code},
      failure_message = ${failure.message},
      failure_retryable = ${failure.retryable},
      execution_arn = ${failure.executionArn},
      indexed_at = NULL,
      deleted_at = NULL,
      failed_at = now()
    WHERE id = ${row.id}`;
}

/**
 * The photo was uploaded before its event was erased. A row that still has faces is left to that erasure, and one that is about
 * another key by now says what became of that one; both learn that the object is there, for a deletion before it may be told later.
 */
export async function writeErased(
  sql: Transaction,
  row: PhotoRow,
  object: ObjectState,
  executionArn: string,
): Promise<void> {
  const isOfOther = row.object_key !== object.key && row.object_version !== null;
  if (row.status === 'indexed' || isOfOther) {
    await moveFence(sql, row, object);
    return;
  }
  const others = await replaceObject(sql, row, object);
  await sql`
    UPDATE photos SET
      status = 'erased',
      ${objectColumns(sql, object, others)},
      failure_code = NULL,
      failure_message = NULL,
      failure_retryable = NULL,
      execution_arn = ${executionArn}
    WHERE id = ${row.id}`;
}

/** Its faces have left the row before, in the same transaction. */
export async function writeDeleted(sql: Transaction, row: PhotoRow, sequencer: string): Promise<void> {
  await sql`
    UPDATE photos SET
      status = 'deleted',
      object_version = NULL,
      object_sequencer = ${sequencer},
      face_count = NULL,
      unindexed_faces = NULL,
      failure_code = NULL,
      failure_message = NULL,
      failure_retryable = NULL,
      deleted_at = now()
    WHERE id = ${row.id}`;
}

/** An execution of an upload that is deleted since has come to its end. */
export async function noteEnd(sql: Transaction, row: PhotoRow, executionArn: string): Promise<void> {
  await sql`UPDATE photos SET execution_arn = ${executionArn} WHERE id = ${row.id}`;
}

/**
 * The row's own object is gone: from here on the row is about a copy of it. That the object was found gone is not said of the copy,
 * which so has no end yet.
 */
export async function moveToCopy(
  sql: Transaction,
  row: PhotoRow,
  copy: OtherObject & { key: string },
  goneSequencer: string,
): Promise<void> {
  const gone = { ...row, object_version: null, object_sequencer: goneSequencer };
  const { others } = othersAfter(gone, { key: copy.key, version: row.object_version });
  await sql`
    UPDATE photos SET
      object_key = ${copy.key},
      object_sequencer = ${copy.sequencer},
      other_objects = ${sql.json(others as never)}
    WHERE id = ${row.id}`;
  if (row.status === 'failed') {
    await sql`
      UPDATE photos SET
        status = 'processing',
        failure_code = NULL,
        failure_message = NULL,
        failure_retryable = NULL,
        failed_at = NULL
      WHERE id = ${row.id} AND failure_code = ${SAID_OF_ONE_OBJECT}`;
  }
}

/** Writes down what happened to a key that the row is not about. */
export async function rememberOther(
  sql: Transaction,
  row: PhotoRow,
  key: string,
  other: OtherObject,
): Promise<void> {
  await sql`
    UPDATE photos SET other_objects = ${sql.json(othersWith(row, key, other) as never)} WHERE id = ${row.id}`;
}

/** The key was uploaded again: the row stays as it is, and what was uploaded before that is older than it. */
export async function moveFence(sql: Transaction, row: PhotoRow, object: ObjectState): Promise<void> {
  const fence = fenceOf({ photo: row, own: undefined }, object.key);
  if (compareSequencers(object.sequencer, fence?.sequencer ?? null) <= 0) {
    return;
  }
  if (row.object_key === object.key) {
    await sql`UPDATE photos SET object_sequencer = ${object.sequencer} WHERE id = ${row.id}`;
  } else {
    await rememberOther(sql, row, object.key, { sequencer: object.sequencer, version: object.version });
  }
}

/**
 * Moves the photo's faces, except those in `keep`, from `faces` to the outbox.
 *
 * @returns how many faces left
 */
export async function retireFaces(
  sql: Transaction,
  erasureId: string,
  photo: { event_id: string; photo_id: string },
  keep: readonly string[],
): Promise<number> {
  const retired = await sql`
    WITH retired AS (
      DELETE FROM faces
      WHERE photo_id = ${photo.photo_id}
        AND (rekognition_face_id IS NULL OR rekognition_face_id NOT IN (${idList(sql, keep)}))
      RETURNING rekognition_face_id
    ), outbox AS (
      INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
      SELECT ${erasureId}, rekognition_collection_id, rekognition_face_id, ${photo.photo_id}
      FROM retired, events
      WHERE events.id = ${photo.event_id} AND rekognition_collection_id IS NOT NULL AND rekognition_face_id IS NOT NULL
      ON CONFLICT DO NOTHING
    )
    SELECT FROM retired`;
  return retired.count;
}

export function facesOfPhotos(sql: Transaction, eventId: string, photoIds: readonly string[]) {
  return sql<{ photo_id: string; rekognition_face_id: string | null; bounding_box: unknown }[]>`
    SELECT photo_id, rekognition_face_id, bounding_box
    FROM faces JOIN photos ON photos.id = photo_id
    WHERE event_id = ${eventId} AND photo_id IN (${uuidList(sql, photoIds)})`;
}

/** Takes single faces out of use, and notes where they were in their photos. */
export async function forgetFaces(
  sql: Transaction,
  eventId: string,
  erasureId: string,
  faceIds: readonly string[],
): Promise<void> {
  await sql`
    WITH erased AS (
      DELETE FROM faces USING photos
      WHERE photos.id = faces.photo_id AND photos.event_id = ${eventId}
        AND rekognition_face_id IN (${idList(sql, faceIds)})
      RETURNING photo_id, bounding_box, object_etag
    ), noted AS (
      INSERT INTO erased_faces (erasure_id, event_id, photo_id, bounding_box, etag)
      SELECT ${erasureId}, ${eventId}, photo_id, bounding_box, object_etag FROM erased
    )
    UPDATE photos SET face_count = face_count - erased.count
    FROM (SELECT photo_id, count(*)::int FROM erased GROUP BY photo_id) AS erased
    WHERE photos.id = erased.photo_id`;
}

/** Faces of these photos have left Rekognition: a response that it was asked for before that may name some of them. */
export async function markFacesErased(
  sql: Transaction,
  eventId: string,
  photoIds: readonly string[],
  erasedAt: Date,
): Promise<void> {
  await sql`
    UPDATE photos SET faces_erased_at = greatest(faces_erased_at, ${erasedAt})
    WHERE event_id = ${eventId} AND id IN (${uuidList(sql, photoIds)})`;
}

/** @returns how many rows of the event's faces were deleted, at most `limit` */
export async function deleteFacesOfEvent(sql: Transaction, eventId: string, limit: number): Promise<number> {
  const { count } = await sql`
    DELETE FROM faces WHERE id IN (
      SELECT faces.id FROM faces JOIN photos ON photos.id = photo_id
      WHERE event_id = ${eventId} LIMIT ${limit})`;
  return count;
}

/** @returns how many photos had faces until now */
export async function markEventErased(sql: Transaction, eventId: string, erasedAt: Date): Promise<number> {
  const { count } = await sql`
    UPDATE photos SET status = 'erased', face_count = NULL, unindexed_faces = NULL, faces_erased_at = ${erasedAt}
    WHERE event_id = ${eventId} AND status = 'indexed'`;
  return count;
}

/**
 * Fails those of the photos that still have the face that the collection lost. What remains of their faces in the collection
 * keeps its ids when the photo is indexed again; the stored response is of no use any more, because it names what is gone.
 *
 * @returns how many there were
 */
export async function loseFaces(
  sql: Transaction,
  photos: readonly { event_id: string; photo_id: string; face_id: string }[],
  { retryable }: { retryable: boolean },
): Promise<number> {
  const changed = await sql`
    WITH lost AS (
      SELECT event_id, photo_id, face_id
      FROM jsonb_to_recordset(${sql.json([...photos])}) AS missed (event_id uuid, photo_id uuid, face_id text)
    ), changed AS (
      UPDATE photos SET
        status = 'failed',
        face_count = NULL,
        unindexed_faces = NULL,
        failure_code = 'FacesLost',
        failure_message = 'The collection no longer holds the face ' || face_id,
        failure_retryable = ${retryable},
        faces_erased_at = now(),
        indexed_at = NULL,
        failed_at = now()
      FROM lost
      WHERE photos.id = photo_id AND photos.event_id = lost.event_id AND status = 'indexed'
        AND EXISTS (SELECT FROM faces WHERE faces.photo_id = photos.id AND rekognition_face_id = face_id)
      RETURNING photos.id
    ), forgotten AS (
      DELETE FROM faces USING changed WHERE faces.photo_id = changed.id
    )
    SELECT id FROM changed`;
  return changed.length;
}

/**
 * Makes an indexed photo wait to be indexed again. What Rekognition was asked before this is not stored any more; the faces are
 * the caller's to retire, in the same transaction.
 *
 * @returns the version that was indexed; undefined where the photo was not
 */
export async function reopenPhoto(
  sql: Transaction,
  { event_id, photo_id }: { event_id: string; photo_id: string },
): Promise<string | undefined> {
  const [reopened] = await sql<{ object_version: string }[]>`
    UPDATE photos SET
      status = 'processing',
      face_count = NULL,
      unindexed_faces = NULL,
      faces_erased_at = now(),
      indexed_at = NULL
    WHERE id = ${photo_id} AND event_id = ${event_id} AND status = 'indexed' AND object_version IS NOT NULL
    RETURNING object_version`;
  return reopened?.object_version;
}

/** A list of ids as a subquery: postgres.js cannot send arrays without looking up types, which costs a round trip. */
export function idList(sql: Transaction, ids: readonly string[]) {
  return sql`SELECT jsonb_array_elements_text(${sql.json([...ids])})`;
}

export function uuidList(sql: Transaction, ids: readonly string[]) {
  return sql`SELECT id::uuid FROM (${idList(sql, ids)}) AS ids (id)`;
}
