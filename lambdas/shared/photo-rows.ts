/** What the functions that write photos share: the photo's row, locked, and who may change it. */
import type postgres from 'postgres';
import type { ExecutionInput } from './contract.ts';
import { photoVersion } from './contract.ts';
import { PipelineError } from './errors.ts';
import type { PhotoKey } from './photo-key.ts';

export type Transaction = postgres.TransactionSql;

export interface PhotoRow {
  event_id: string;
  status: 'processing' | 'indexed' | 'failed' | 'deleted' | 'erased';
  object_version: string | null;
  object_sequencer: string | null;
  face_count: number | null;
  unindexed_faces: unknown[] | null;
  /** When faces of this photo last left Rekognition. */
  faces_erased_at: Date | null;
}

/**
 * Registers event and photo where the platform has not, and locks the photo's row until the transaction ends.
 *
 * @throws PipelineError `PhotoIdTaken` when the row is that of another event's photo
 */
export async function lockPhoto(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
  objectKey: string,
): Promise<PhotoRow> {
  const [known] = await selectForUpdate(sql, photo.photo_id);
  if (known) {
    return ofEvent(known, photo);
  }
  await sql`INSERT INTO events (id) VALUES (${photo.event_id}) ON CONFLICT DO NOTHING`;
  await sql`
    INSERT INTO photos (id, event_id, object_key) VALUES (${photo.photo_id}, ${photo.event_id}, ${objectKey})
    ON CONFLICT DO NOTHING`;
  const [registered] = await selectForUpdate(sql, photo.photo_id);
  return ofEvent(registered!, photo);
}

/**
 * Works on the photo's row or, where another event has the photo's id, on the one under the id of its key.
 *
 * @param work with a transaction of its own, for `PhotoIdTaken` ends that
 */
export async function withPhotoRow<Result>(
  { photoId, keyId }: PhotoKey,
  work: (rowId: string) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(photoId);
  } catch (error) {
    if (error instanceof PipelineError && error.name === 'PhotoIdTaken') {
      return work(keyId);
    }
    throw error;
  }
}

function ofEvent(row: PhotoRow, { event_id, photo_id }: { event_id: string; photo_id: string }): PhotoRow {
  if (row.event_id !== event_id) {
    throw new PipelineError(
      'PhotoIdTaken',
      `The photo id ${photo_id} is that of a photo of event ${row.event_id}: give this file a name of its own`,
    );
  }
  return row;
}

function selectForUpdate(sql: Transaction, photoId: string) {
  return sql<PhotoRow[]>`
    SELECT event_id, status, object_version, object_sequencer, face_count, unindexed_faces, faces_erased_at
    FROM photos WHERE id = ${photoId} FOR UPDATE`;
}

/**
 * Whether a later upload than `object`, or its deletion, has already been written. S3's sequencers are hex numbers of varying length;
 * comparing them as numbers is comparing them left-padded.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 */
export function isSuperseded(row: PhotoRow, object: Pick<ExecutionInput['object'], 'sequencer'>): boolean {
  return hex(row.object_sequencer) > hex(object.sequencer);
}

/** Whether the photo's deletion is written and `object` is no later upload. */
export function isDeleted(row: PhotoRow, object: Pick<ExecutionInput['object'], 'sequencer'>): boolean {
  return row.status === 'deleted' && hex(row.object_sequencer) >= hex(object.sequencer);
}

/** Whether the row already holds the faces of exactly this version. */
export function isIndexed(row: PhotoRow, object: ExecutionInput['object']): boolean {
  return row.status === 'indexed' && row.object_version === photoVersion(object);
}

function hex(sequencer: string | null): bigint {
  return BigInt(`0x${sequencer || '0'}`);
}

/** A list of ids as a subquery: postgres.js cannot send arrays without looking up types, which costs a round trip. */
export function idList(sql: Transaction, ids: readonly string[]) {
  return sql`SELECT jsonb_array_elements_text(${sql.json([...ids])})`;
}

export function uuidList(sql: Transaction, ids: readonly string[]) {
  return sql`SELECT id::uuid FROM (${idList(sql, ids)}) AS ids (id)`;
}
