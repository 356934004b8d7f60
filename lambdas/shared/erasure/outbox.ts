/**
 * The outbox of erasures: what the functions with a database ask to be removed from Rekognition and from the results
 * bucket. `state-machines/erase-faces.asl.json` works it off; docs/adr/0009 says why it is made like this.
 */
import type { ErasureReason } from '../contract/payloads.ts';
import { otherResults, resultsKey } from '../contract/stored-result.ts';
import { idList, type PhotoRow, retireFaces, type Transaction, uuidList } from '../photos/rows.ts';
import { canonicalSequencer, type EventErasure } from '../photos/standing.ts';

/** An event's rows are read and written under one lock: shared by its photos, exclusive for what erases all or any of them. */
export async function lockEvent(
  sql: Transaction,
  eventId: string,
  mode: 'shared' | 'exclusive',
): Promise<void> {
  // Not a row lock: photos of one event would write to one row, and two of them that both change it would deadlock.
  await (mode === 'shared'
    ? sql`SELECT pg_advisory_xact_lock_shared(hashtextextended(${eventId}, 0))`
    : sql`SELECT pg_advisory_xact_lock(hashtextextended(${eventId}, 0))`);
}

export interface EventState extends EventErasure {
  /** A response that Rekognition was asked for before this may name faces that are gone. */
  facesErasedAt: Date | null;
}

export async function readEventState(sql: Transaction, eventId: string): Promise<EventState> {
  const [state] = await sql<{ erased_before: Date | null; faces_erased_at: Date | null; erasing: boolean }[]>`
    SELECT erasure_requested_at AS erased_before, faces_erased_at, EXISTS (
      SELECT FROM erasures
      WHERE event_id = ${eventId} AND finished_at IS NULL AND reason IN ('event_requested', 'event_expired')) AS erasing
    FROM events WHERE id = ${eventId}`;
  return {
    erasedBefore: state?.erased_before ?? null,
    facesErasedAt: state?.faces_erased_at ?? null,
    erasing: state?.erasing ?? false,
  };
}

export interface ErasureRequest {
  event_id: string;
  photo_id?: string;
  reason: ErasureReason;
  execution_arn: string;
  /** How many photos are known to be concerned. */
  photos: number;
  /** Whether the collection is to be searched for whatever was indexed under the photo's id. */
  search?: boolean;
}

/** A deletion of an object: its key's own id, and its place in the order of the key's events. The same for whoever tells of it. */
export interface DeletionId {
  key_id: string;
  sequencer: string;
}

/** Opens an erasure; what it has to remove is added by its caller, in the same transaction. */
export async function openErasure(
  sql: Transaction,
  request: ErasureRequest,
  deletion?: DeletionId,
): Promise<string> {
  const [opened] = await sql<{ id: string }[]>`
    INSERT INTO erasures (event_id, photo_id, reason, execution_arn, photos, search, deleted_key_id, deletion_sequencer)
    VALUES (${request.event_id}, ${request.photo_id ?? null}, ${request.reason}, ${request.execution_arn},
            ${request.photos}, ${request.search ?? false}, ${deletion?.key_id ?? null},
            ${deletion ? canonicalSequencer(deletion.sequencer) : null})
    RETURNING id`;
  return opened!.id;
}

/**
 * The erasure that this very deletion asked for. The caller has locked the rows of the key, so that the same deletion, told
 * again, is not just opening it.
 */
export async function erasureOfDeletion(
  sql: Transaction,
  { key_id, sequencer }: DeletionId,
): Promise<string | undefined> {
  const [erasure] = await sql<{ id: string }[]>`
    SELECT id FROM erasures
    WHERE deleted_key_id = ${key_id} AND deletion_sequencer = ${canonicalSequencer(sequencer)}`;
  return erasure?.id;
}

/**
 * The latest erasure that a deletion of the key asked for: it covers an earlier one that was told after it.
 *
 * @param photoIds by which it is known where older code asked for it
 */
export async function lastErasureOfKey(
  sql: Transaction,
  { event_id, key_id, photoIds }: { event_id: string; key_id: string; photoIds: readonly string[] },
): Promise<string | undefined> {
  const [erasure] = await sql<{ id: string }[]>`
    SELECT id FROM erasures
    WHERE event_id = ${event_id} AND reason = 'photo_deleted'
      AND (deleted_key_id = ${key_id} OR (deleted_key_id IS NULL AND photo_id IN (${uuidList(sql, photoIds)})))
    ORDER BY requested_at DESC LIMIT 1`;
  return erasure?.id;
}

/**
 * The erasure that takes along what nobody asked for in particular: one of the photo's that is open and due, else a new one.
 * So what comes late for a photo does not multiply its erasures.
 */
async function erasureOfPhoto(
  sql: Transaction,
  request: ErasureRequest & { photo_id: string },
): Promise<string> {
  const { event_id, photo_id, search = false } = request;
  const [open] = await sql<{ id: string }[]>`
    UPDATE erasures SET search = search OR ${search}
    WHERE id = (
      SELECT id FROM erasures
      WHERE event_id = ${event_id} AND photo_id = ${photo_id} AND finished_at IS NULL AND not_before <= now()
      ORDER BY requested_at DESC LIMIT 1)
    RETURNING id`;
  return open?.id ?? openErasure(sql, request);
}

/**
 * Asks for stored responses to be deleted: keys of the results bucket, or prefixes that end in a slash. One that a batch may just
 * have deleted is deleted once more.
 */
export async function removeResults(
  sql: Transaction,
  erasureId: string,
  names: readonly string[],
): Promise<void> {
  await sql`
    INSERT INTO result_removals (erasure_id, name)
    SELECT ${erasureId}, name FROM (${idList(sql, names)}) AS names (name)
    ON CONFLICT (erasure_id, name) DO UPDATE SET listed = false`;
}

/**
 * Asks for the faces and the stored response of the version that the row holds now, before another takes its place.
 *
 * @param next the version that comes, and those of its faces that the old one had too
 * @returns whether there was anything to ask for
 */
export async function replaceVersion(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  row: PhotoRow,
  next: { version: string; keep: readonly string[]; execution_arn: string },
): Promise<boolean> {
  const hasResult = row.status === 'indexed' || row.status === 'failed';
  if (!hasResult || row.object_version === null || row.object_version === next.version) {
    return false;
  }
  await retireVersion(sql, photo, { ...next, version: row.object_version });
  return true;
}

/** Asks for the faces of the photo's row, except those to keep, and for the stored response of the version that it is of. */
export async function retireVersion(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  { version, keep = [], execution_arn }: { version: string; keep?: readonly string[]; execution_arn: string },
): Promise<void> {
  const erasureId = await erasureOfPhoto(sql, {
    ...photo,
    reason: 'photo_replaced',
    execution_arn,
    photos: 1,
  });
  await retireFaces(sql, erasureId, photo, keep);
  await removeResults(sql, erasureId, [resultsKey(photo, version)]);
}

/** A response that is not going to be stored. */
export interface LateResult {
  collection_id: string;
  face_ids: readonly string[];
  /** Empty where there is none. */
  results_key: string;
  execution_arn: string;
}

/**
 * Asks for a response, and for those of its faces that no row knows and no other erasure has asked for.
 *
 * @param options.always whether the response has to go even where it names no such face
 * @returns whether there was anything to ask for
 */
export async function retireResult(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  { collection_id, face_ids, results_key, execution_arn }: LateResult,
  { always }: { always: boolean },
): Promise<boolean> {
  const unknown = await sql<{ face_id: string }[]>`
    SELECT face_id FROM (${idList(sql, face_ids)}) AS ids (face_id)
    WHERE NOT EXISTS (SELECT FROM faces WHERE photo_id = ${photo.photo_id} AND rekognition_face_id = face_id)
      AND NOT EXISTS (
        SELECT FROM face_removals WHERE collection_id = ${collection_id} AND rekognition_face_id = face_id)`;
  if (unknown.length === 0 && !always) {
    return false;
  }
  const faceIds = unknown.map(({ face_id }) => face_id);
  await removeLate(sql, photo, { collection_id, face_ids: faceIds, results_key, execution_arn });
  return true;
}

/** The same of faces that are known to be in no row. */
export async function removeLate(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  { collection_id, face_ids, results_key, execution_arn }: LateResult,
): Promise<void> {
  const erasureId = await erasureOfPhoto(sql, { ...photo, reason: 'late_result', execution_arn, photos: 1 });
  await sql`
    INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
    SELECT ${erasureId}, ${collection_id}, face_id, ${photo.photo_id}
    FROM (${idList(sql, face_ids)}) AS ids (face_id)
    ON CONFLICT DO NOTHING`;
  await removeResults(sql, erasureId, results_key ? [results_key] : []);
}

/** Asks for the photo's responses but that of its row's version, if they were stored before then. */
export async function removeOtherResponses(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  { before, execution_arn }: { before: Date; execution_arn: string },
): Promise<void> {
  const erasureId = await erasureOfPhoto(sql, { ...photo, reason: 'late_result', execution_arn, photos: 1 });
  await removeResults(sql, erasureId, [otherResults(photo, before)]);
}

/** Has the collection searched for what an execution may have indexed under the photo's id without anyone being told. */
export async function searchForFaces(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  execution_arn: string,
): Promise<void> {
  await erasureOfPhoto(sql, { ...photo, reason: 'late_result', execution_arn, photos: 1, search: true });
}

/** Whether any of these faces is leaving, or the photo is being searched for whatever was indexed under its id. */
export async function isBeingErased(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  { collection_id, face_ids }: Pick<LateResult, 'collection_id' | 'face_ids'>,
): Promise<boolean> {
  const [state] = await sql<{ erasing: boolean }[]>`
    SELECT EXISTS (
             SELECT FROM face_removals
             WHERE collection_id = ${collection_id} AND rekognition_face_id IN (${idList(sql, face_ids)})
           )
        OR EXISTS (
             SELECT FROM erasures
             WHERE event_id = ${photo.event_id} AND photo_id = ${photo.photo_id} AND search AND finished_at IS NULL
           ) AS erasing`;
  return state!.erasing;
}

/** Whether an erasure of one of these photos is not finished. */
export async function hasOpenErasure(
  sql: Transaction,
  eventId: string,
  photoIds: readonly string[],
): Promise<boolean> {
  const [state] = await sql<{ open: boolean }[]>`
    SELECT EXISTS (
      SELECT FROM erasures
      WHERE event_id = ${eventId} AND photo_id IN (${uuidList(sql, photoIds)}) AND finished_at IS NULL) AS open`;
  return state!.open;
}

/** When the collection was last searched for what was indexed under the photo's id; null for never. */
export async function lastSearch(
  sql: Transaction,
  { event_id, photo_id }: { event_id: string; photo_id: string },
): Promise<Date | null> {
  const [last] = await sql<{ removed_at: Date | null }[]>`
    SELECT max(removed_at) AS removed_at FROM erasures
    WHERE event_id = ${event_id} AND photo_id = ${photo_id} AND search`;
  return last!.removed_at;
}

/** A face of a photo that a person had erased. */
export interface ErasedFace {
  /** As Rekognition gave it; null where nobody knew. */
  bounding_box: unknown;
  /** The bytes that it was found in; of these it is not stored again. Null until an upload before the request came. */
  etag: string | null;
  /** Of uploads before this it is not stored again. */
  requested_at: Date;
  /** A response that Rekognition was asked for before this may name it; null while it is leaving. */
  erased_at: Date | null;
}

export function erasedFacesOf(
  sql: Transaction,
  { event_id, photo_id }: { event_id: string; photo_id: string },
): Promise<ErasedFace[]> {
  return sql<ErasedFace[]>`
    SELECT bounding_box, etag, requested_at, erased_at FROM erased_faces
    WHERE event_id = ${event_id} AND photo_id = ${photo_id}`;
}

/** Faces that were erased before their photo arrived belong to the bytes that came then. */
export async function noteErasedBytes(
  sql: Transaction,
  { event_id, photo_id }: { event_id: string; photo_id: string },
  etag: string,
  uploadedAt: Date,
): Promise<void> {
  await sql`
    UPDATE erased_faces SET etag = ${etag}
    WHERE event_id = ${event_id} AND photo_id = ${photo_id} AND etag IS NULL AND requested_at > ${uploadedAt}`;
}
