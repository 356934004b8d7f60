import postgres from 'postgres';
import { DEFAULT_SCHEMA } from '../../lambdas/shared/contract/names.ts';

/** What the pipeline stored about a photo. */
export interface StoredPhoto {
  id: string;
  event_id: string;
  /** ETag without quotes (the local bucket has no versioning). */
  object_version: string | null;
  status: 'processing' | 'indexed' | 'failed' | 'deleted' | 'erased';
  face_count: number | null;
  unindexed_count: number;
  failure_code: string | null;
  failure_message: string | null;
  failure_retryable: boolean | null;
}

/** The stored photos among `photoIds`, by id. */
export async function readPhotos(
  databaseUrl: string,
  photoIds: readonly string[],
): Promise<Map<string, StoredPhoto>> {
  return withDatabase(databaseUrl, async (sql) => {
    const rows = await sql<StoredPhoto[]>`
      SELECT id, event_id, object_version, status, face_count,
             coalesce(jsonb_array_length(unindexed_faces), 0) AS unindexed_count,
             failure_code, failure_message, failure_retryable
      FROM photos
      WHERE id = ANY(${[...photoIds]}::uuid[])`;
    return new Map(rows.map((row) => [row.id, row]));
  });
}

export interface StoredEvent {
  id: string;
  collection_id: string | null;
  photos: number;
  faces: number;
}

/** Every event of the database, the latest first. */
export async function readEvents(databaseUrl: string): Promise<StoredEvent[]> {
  return withDatabase(
    databaseUrl,
    (sql) => sql<StoredEvent[]>`
      SELECT e.id, e.rekognition_collection_id AS collection_id,
             count(p.id)::int AS photos, coalesce(sum(p.face_count), 0)::int AS faces
      FROM events e LEFT JOIN photos p ON p.event_id = e.id
      GROUP BY e.id
      ORDER BY e.created_at DESC`,
  );
}

async function withDatabase<T>(databaseUrl: string, query: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(databaseUrl, {
    max: 1,
    onnotice: () => {},
    connection: { search_path: DEFAULT_SCHEMA },
  });
  try {
    return await query(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
