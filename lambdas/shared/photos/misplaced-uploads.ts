/**
 * Every statement about uploads that belong to no event. Their key names no photo, so `photos` cannot hold them; without a
 * row of their own, only the failed execution would tell of them.
 */

import { storableText } from '../contract/storable.ts';
import type { Sql } from '../database/connection.ts';
import { isoTime } from './row-pages.ts';
import type { MisplacedUpload } from './row-types.ts';
import { idList, type Transaction } from './rows.ts';
import { compareSequencers } from './standing.ts';

export interface Misplaced {
  key: string;
  version: string;
  sequencer: string;
  failure: { code: string; message: string };
  executionArn: string;
}

/** S3's limit, and well below what an index of PostgreSQL can hold. */
const MAX_KEY_BYTES = 1024;

/** The key as the table holds it: whatever an execution was started with, it can be stored. */
export function storableKey(key: string): string {
  const text = storableText(key);
  return Buffer.byteLength(text) <= MAX_KEY_BYTES
    ? text
    : storableText(
        Buffer.from(text)
          .subarray(0, MAX_KEY_BYTES)
          .toString('utf8')
          .replace(/\ufffd+$/, ''),
      );
}

/**
 * @param options.keepFirstReason whether an upload that failed at this version before is left as it is
 * @returns `written`; `known` where it was left; `superseded` where a later upload of the key is written
 */
export async function writeMisplaced(
  sql: Transaction,
  { key, version, sequencer, failure, executionArn }: Misplaced,
  { keepFirstReason }: { keepFirstReason: boolean },
): Promise<'written' | 'known' | 'superseded'> {
  const object_key = storableKey(key);
  const row = await lockMisplaced(sql, object_key);
  if (row && compareSequencers(row.object_sequencer, sequencer) > 0) {
    return 'superseded';
  }
  if (row && keepFirstReason && row.object_version === version) {
    return 'known';
  }
  await sql`
    INSERT INTO misplaced_uploads ${sql({
      object_key,
      object_version: version,
      object_sequencer: sequencer,
      failure_code: failure.code,
      failure_message: failure.message,
      execution_arn: executionArn,
    })}
    ON CONFLICT (object_key) DO UPDATE SET
      object_version = EXCLUDED.object_version,
      object_sequencer = EXCLUDED.object_sequencer,
      failure_code = EXCLUDED.failure_code,
      failure_message = EXCLUDED.failure_message,
      execution_arn = EXCLUDED.execution_arn,
      failed_at = now()`;
  return 'written';
}

/** The object is gone from the bucket: nothing is left that anybody could mend. */
export async function forgetDeleted(sql: Transaction, key: string, sequencer: string): Promise<boolean> {
  const object_key = storableKey(key);
  const row = await lockMisplaced(sql, object_key);
  if (!row || compareSequencers(row.object_sequencer, sequencer) > 0) {
    return false;
  }
  await sql`DELETE FROM misplaced_uploads WHERE object_key = ${object_key}`;
  return true;
}

/** The same for objects that were looked for. @returns how many there were */
export async function forgetMisplaced(sql: Sql, keys: readonly string[]): Promise<number> {
  const { count } = await sql`
    DELETE FROM misplaced_uploads WHERE object_key IN (${idList(sql as unknown as Transaction, keys)})`;
  return count;
}

/** The latest first. */
export async function latestMisplaced(
  sql: Sql,
  limit: number,
): Promise<{ total: number; uploads: MisplacedUpload[] }> {
  const [{ total } = { total: 0 }] = await sql<{ total: number }[]>`
    SELECT count(*)::int AS total FROM misplaced_uploads`;
  const uploads = await sql<MisplacedUpload[]>`
    SELECT object_key, failure_code, failure_message, execution_arn, ${isoTime(sql, sql`failed_at`)} AS failed_at
    FROM misplaced_uploads ORDER BY misplaced_uploads.failed_at DESC, object_key LIMIT ${limit}`;
  return { total, uploads };
}

async function lockMisplaced(sql: Transaction, objectKey: string) {
  const [row] = await sql<{ object_version: string; object_sequencer: string }[]>`
    SELECT object_version, object_sequencer FROM misplaced_uploads WHERE object_key = ${objectKey} FOR UPDATE`;
  return row;
}
