/** What the database knows of an event, in pages: for the operator's commands and for the reconciliation. Reads only. */
import type { Sql } from '../database/connection.ts';
import type { FaceRow, PhotoRow } from './row-types.ts';
import { idList, type Transaction } from './rows.ts';
import type { PhotoStatus } from './standing.ts';

/** Of what comes in the order of an id: those after this one, and at most so many. */
export interface Page {
  after?: string | undefined;
  limit: number;
}

export interface PhotoFilter {
  event_id?: string | undefined;
  photo_ids?: readonly string[] | undefined;
  status?: PhotoStatus | undefined;
  retryable?: boolean | undefined;
}

export function photoPage(sql: Sql | Transaction, filter: PhotoFilter, { after, limit }: Page) {
  const { event_id, photo_ids, status, retryable } = filter;
  return sql<PhotoRow[]>`
    SELECT ${photoColumns(sql)}
    FROM photos
    WHERE ${event_id ? sql`event_id = ${event_id}` : sql`true`}
      AND ${photo_ids ? sql`id IN (SELECT id::uuid FROM (${idList(sql as Transaction, photo_ids)}) AS ids (id))` : sql`true`}
      AND ${status ? sql`status = ${status}` : sql`true`}
      AND ${retryable === undefined ? sql`true` : sql`failure_retryable = ${retryable}`}
      AND ${after ? sql`id > ${after}` : sql`true`}
    ORDER BY id LIMIT ${limit}`;
}

/** The photos that failed last, of one event or of all. */
export function latestFailures(
  sql: Sql | Transaction,
  { event_id, limit }: { event_id?: string | undefined; limit: number },
) {
  return sql<PhotoRow[]>`
    SELECT ${photoColumns(sql)}
    FROM photos
    WHERE status = 'failed' AND ${event_id ? sql`event_id = ${event_id}` : sql`true`}
    ORDER BY failed_at DESC, id LIMIT ${limit}`;
}

function photoColumns(sql: Sql | Transaction) {
  return sql`
    id, event_id, status, object_key, object_version, object_sequencer, other_objects, face_count,
    failure_code, failure_message, failure_retryable, execution_arn, ${isoTime(sql, sql`created_at`)} AS created_at,
    ${isoTime(sql, sql`coalesce(indexed_at, failed_at)`)} AS ended_at`;
}

export function facePage(sql: Sql | Transaction, event_id: string, { after, limit }: Page) {
  return sql<FaceRow[]>`
    SELECT faces.id, photo_id, rekognition_face_id
    FROM faces JOIN photos ON photos.id = photo_id
    WHERE event_id = ${event_id} AND ${after ? sql`faces.id > ${after}` : sql`true`}
    ORDER BY faces.id LIMIT ${limit}`;
}

/** Faces in the outbox, on their way out of the collection. */
export function leavingPage(sql: Sql | Transaction, event_id: string, { after, limit }: Page) {
  return sql<{ rekognition_face_id: string }[]>`
    SELECT DISTINCT rekognition_face_id
    FROM face_removals JOIN erasures ON erasures.id = erasure_id
    WHERE event_id = ${event_id} AND ${after ? sql`rekognition_face_id > ${after}` : sql`true`}
    ORDER BY 1 LIMIT ${limit}`;
}

/** PostgreSQL's text for a moment has no place in JSON. */
export function isoTime(sql: Sql | Transaction, moment: ReturnType<Sql>) {
  return sql`to_char(${moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
