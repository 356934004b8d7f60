/** The views that the gallery's role may read, as statements: one for each answer, so that each is of one moment. */
import type { PhotoState } from '../shared/contract/gallery.ts';
import type { Sql } from '../shared/database/connection.ts';
import { isoTime } from '../shared/photos/row-pages.ts';
import type { FeedPosition, PagePosition } from './cursor.ts';

export interface EventRow {
  event_id: string;
  name: string | null;
  processing: number;
  indexed: number;
  failed: number;
  deleted: number;
  erased: number;
  faces: number;
  started_at: string | null;
  changed_at: string | null;
  last_announced_ms: number | null;
  ahead: number;
}

export interface PhotoRow {
  photo_id: string;
  object_key: string;
  status: PhotoState;
  faces: {
    face_id: string | null;
    left: unknown;
    top: unknown;
    width: unknown;
    height: unknown;
    confidence: number | null;
  }[];
  failure_code: string | null;
  failure_message: string | null;
  failure_retryable: boolean | null;
  created_at: string;
  created_us: string;
  ended_at: string | null;
  changed_at: string;
  changed_xid: string;
}

export async function eventRow(sql: Sql, eventId: string): Promise<EventRow | undefined> {
  const [row] = await sql<EventRow[]>`
    SELECT event_id, name, processing, indexed, failed, deleted, erased, faces,
           ${isoTime(sql, sql`started_at`)} AS started_at, ${isoTime(sql, sql`changed_at`)} AS changed_at,
           (extract(epoch FROM last_announced_at) * 1000)::float8 AS last_announced_ms, ahead
    FROM event_progress WHERE event_id = ${eventId}`;
  return row;
}

export async function eventExists(sql: Sql, eventId: string): Promise<boolean> {
  const [row] = await sql`SELECT FROM gallery_events WHERE event_id = ${eventId}`;
  return row !== undefined;
}

/** The newest first. */
export function photoRows(
  sql: Sql,
  eventId: string,
  {
    status,
    after,
    limit,
  }: { status: PhotoState | undefined; after: PagePosition | undefined; limit: number },
): Promise<PhotoRow[]> {
  return sql<PhotoRow[]>`
    SELECT ${photoColumns(sql)}
    FROM gallery_photos
    WHERE event_id = ${eventId}
      AND ${status ? sql`status = ${status}` : sql`status <> 'deleted'`}
      AND ${after ? sql`(created_at, photo_id) < (${moment(sql, after.createdUs)}, ${after.photoId}::uuid)` : sql`true`}
    ORDER BY gallery_photos.created_at DESC, gallery_photos.photo_id DESC LIMIT ${limit}`;
}

export interface ChangedRows {
  epoch: string;
  /** Every transaction before it has ended. */
  horizon: string;
  photos: PhotoRow[];
}

/**
 * What changed after a position, in the order of the feed, up to the horizon of this very statement's snapshot. What is before the
 * horizon will never change any more without getting a place behind it (docs/adr/0020).
 */
export async function changedRows(
  sql: Sql,
  eventId: string,
  { since, limit }: { since: FeedPosition | undefined; limit: number },
): Promise<ChangedRows> {
  const rows = await sql<(Pick<ChangedRows, 'epoch' | 'horizon'> & { photo: PhotoRow | null })[]>`
    SELECT epoch, horizon::text, to_jsonb(page) AS photo
    FROM gallery_feed LEFT JOIN LATERAL (
      SELECT ${photoColumns(sql)}
      FROM gallery_photos
      WHERE event_id = ${eventId} AND changed_xid < horizon
        AND ${since ? sql`(changed_xid, photo_id) > (${since.xid}::text::xid8, ${since.photoId}::uuid)` : sql`true`}
      ORDER BY gallery_photos.changed_xid, gallery_photos.photo_id LIMIT ${limit}
    ) AS page ON true`;
  return {
    epoch: rows[0]!.epoch,
    horizon: rows[0]!.horizon,
    photos: rows.flatMap(({ photo }) => (photo ? [photo] : [])),
  };
}

function photoColumns(sql: Sql) {
  return sql`
    photo_id, object_key, status::text, faces, failure_code, failure_message, failure_retryable,
    ${isoTime(sql, sql`created_at`)} AS created_at,
    (extract(epoch FROM created_at) * 1000000)::bigint::text AS created_us,
    ${isoTime(sql, sql`coalesce(indexed_at, failed_at, deleted_at)`)} AS ended_at,
    ${isoTime(sql, sql`changed_at`)} AS changed_at, changed_xid::text AS changed_xid`;
}

function moment(sql: Sql, microseconds: string) {
  return sql`(timestamptz 'epoch' + ${microseconds}::text::bigint * interval '1 microsecond')`;
}
