/**
 * The outbox of erasures: what the functions with a database ask to be removed from Rekognition and from the results
 * bucket. `state-machines/erase-faces.asl.json` works it off; docs/adr/0009 says why it is made like this.
 */
import type { ErasureReason } from './contract.ts';
import { idList, type PhotoRow, type Transaction } from './photo-rows.ts';
import { resultsKey } from './stored-result.ts';

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

export interface EventState {
  /** What was uploaded before this is not to be indexed. */
  erasure_requested_at: Date | null;
  /** A response that Rekognition was asked for before this may name faces that are gone. */
  faces_erased_at: Date | null;
  /** Whether the erasure of the whole event is under way. */
  erasing: boolean;
}

export async function readEventState(sql: Transaction, eventId: string): Promise<EventState> {
  const [state] = await sql<EventState[]>`
    SELECT erasure_requested_at, faces_erased_at,
           erasure_requested_at IS NOT NULL AND erasure_requested_at >= coalesce(erased_at, '-infinity') AS erasing
    FROM events WHERE id = ${eventId}`;
  return state ?? { erasure_requested_at: null, faces_erased_at: null, erasing: false };
}

export interface ErasureRequest {
  event_id: string;
  photo_id?: string;
  reason: ErasureReason;
  execution_arn: string;
  /** How many photos are known to be concerned. */
  photos: number;
}

/** Opens an erasure; what it has to remove is added by its caller, in the same transaction. */
export async function openErasure(sql: Transaction, request: ErasureRequest): Promise<string> {
  const [opened] = await sql<{ id: string }[]>`
    INSERT INTO erasures (event_id, photo_id, reason, execution_arn, photos)
    VALUES (${request.event_id}, ${request.photo_id ?? null}, ${request.reason}, ${request.execution_arn},
            ${request.photos})
    RETURNING id`;
  return opened!.id;
}

/** Asks for stored responses to be deleted: keys of the results bucket, or prefixes that end in a slash. */
export async function removeResults(
  sql: Transaction,
  erasureId: string,
  names: readonly string[],
): Promise<void> {
  await sql`
    INSERT INTO result_removals (erasure_id, name)
    SELECT ${erasureId}, name FROM (${idList(sql, names)}) AS names (name) ON CONFLICT DO NOTHING`;
}

/**
 * Moves the photo's faces, but for those in `keep`, from `faces` to the outbox.
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
    )
    SELECT FROM retired`;
  return retired.count;
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
  const { execution_arn } = next;
  const erasureId = await openErasure(sql, { ...photo, reason: 'photo_replaced', execution_arn, photos: 1 });
  await retireFaces(sql, erasureId, photo, next.keep);
  await removeResults(sql, erasureId, [resultsKey(photo, row.object_version)]);
  return true;
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
  const erasureId = await openErasure(sql, { ...photo, reason: 'late_result', execution_arn, photos: 1 });
  const faceIds = unknown.map(({ face_id }) => face_id);
  await sql`
    INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
    SELECT ${erasureId}, ${collection_id}, face_id, ${photo.photo_id}
    FROM (${idList(sql, faceIds)}) AS ids (face_id)`;
  await removeResults(sql, erasureId, results_key ? [results_key] : []);
  return true;
}

/** Whether any of these faces is leaving, or the photo is being searched for whatever was indexed under its id. */
export async function isBeingErased(
  sql: Transaction,
  photoId: string,
  { collection_id, face_ids }: Pick<LateResult, 'collection_id' | 'face_ids'>,
): Promise<boolean> {
  const [state] = await sql<{ erasing: boolean }[]>`
    SELECT EXISTS (
             SELECT FROM face_removals
             WHERE collection_id = ${collection_id} AND rekognition_face_id IN (${idList(sql, face_ids)})
           )
        OR EXISTS (
             SELECT FROM erasures WHERE photo_id = ${photoId} AND reason = 'photo_deleted' AND finished_at IS NULL
           ) AS erasing`;
  return state!.erasing;
}
