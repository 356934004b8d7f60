import type { ResolvedFaces, ResolveFacesRequest } from '../shared/contract/search.ts';
import type { Sql } from '../shared/database/connection.ts';
import { idList, type Transaction } from '../shared/photos/rows.ts';
import { faceBoxOf } from '../shared/rekognition/bounding-box.ts';
import { recordSearch } from '../shared/search/searches.ts';

export interface ResolveFacesDeps {
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Days that faces are kept after the event's expiry, or its last photo. */
  faceRetentionDays: number;
}

const DAY_MS = 24 * 3_600_000;

/**
 * Tells which of the faces that Rekognition found are still shown, and writes down that somebody searched.
 *
 * A face is shown by its row alone: of an indexed photo, not on its way out of the collection, and of an event whose faces
 * are neither being erased nor kept past their time. Whatever else the collection has is not the pipeline's, not yet stored,
 * or about to go.
 *
 * @throws PipelineError the errors of `withDatabase`
 */
export async function resolveFaces(
  { withDatabase, now, faceRetentionDays }: ResolveFacesDeps,
  request: ResolveFacesRequest,
): Promise<ResolvedFaces> {
  const deadline = new Date(now() - faceRetentionDays * DAY_MS);
  return withDatabase((sql) =>
    sql.begin('ISOLATION LEVEL REPEATABLE READ', async (transaction) => {
      const event = await standingOf(transaction, request.event_id, deadline);
      const resolved = event === 'searchable' ? await select(transaction, request) : NONE;
      const shown = request.searched_face_id !== null && !resolved.searched ? NONE : resolved;
      // Of an event that there is not, nothing is kept that anybody could ask about.
      if (event !== 'unknown') {
        await recordSearch(transaction, {
          event_id: request.event_id,
          kind: request.kind,
          found: new Set([
            ...shown.faces.map(([, photoId]) => photoId),
            ...(shown.searched ? [shown.searched.photo_id] : []),
          ]).size,
          reference: request.reference,
        });
      }
      return { event, ...shown };
    }),
  );
}

const NONE: Omit<ResolvedFaces, 'event'> = { faces: [], searched: null };

async function standingOf(
  sql: Transaction,
  eventId: string,
  deadline: Date,
): Promise<ResolvedFaces['event']> {
  const [event] = await sql<{ erased: boolean; over: boolean }[]>`
    SELECT
      EXISTS (
        SELECT FROM erasures
        WHERE event_id = events.id AND finished_at IS NULL AND reason IN ('event_requested', 'event_expired')
      ) OR (
        erasure_requested_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM photos WHERE event_id = events.id AND status IN ('processing', 'indexed'))
      ) AS erased,
      coalesce(
        expires_at,
        (SELECT max(greatest(created_at, indexed_at, failed_at)) FROM photos WHERE event_id = events.id),
        created_at
      ) < ${deadline} AS over
    FROM events WHERE id = ${eventId}`;
  if (!event) {
    return 'unknown';
  }
  return event.erased ? 'erased' : event.over ? 'over' : 'searchable';
}

async function select(
  sql: Transaction,
  { event_id, face_ids, searched_face_id }: ResolveFacesRequest,
): Promise<Omit<ResolvedFaces, 'event'>> {
  const wanted = searched_face_id === null ? face_ids : [...face_ids, searched_face_id];
  const rows = await sql<{ face_id: string; photo_id: string; box: unknown }[]>`
    SELECT rekognition_face_id AS face_id, photo_id,
           CASE WHEN rekognition_face_id = ${searched_face_id} THEN bounding_box END AS box
    FROM faces JOIN photos ON photos.id = photo_id
    WHERE event_id = ${event_id} AND status = 'indexed'
      AND rekognition_face_id IN (SELECT id FROM (${idList(sql, wanted)}) AS ids (id))
      AND NOT EXISTS (
        SELECT FROM face_removals WHERE face_removals.rekognition_face_id = faces.rekognition_face_id)`;
  const searched = rows.find(({ face_id }) => face_id === searched_face_id);
  return {
    faces: rows
      .filter((row) => row !== searched)
      .map(({ face_id, photo_id }): [string, string] => [face_id, photo_id]),
    searched: searched ? { photo_id: searched.photo_id, box: faceBoxOf(searched.box) } : null,
  };
}
