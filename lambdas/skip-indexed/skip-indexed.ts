import { logEvents } from '../shared/contract/names.ts';
import type { Backlog, SkipIndexedRequest, SkipReason } from '../shared/contract/payloads.ts';
import { type PhotoKey, photoKeyOf } from '../shared/contract/photo-key.ts';
import type { Sql } from '../shared/database/connection.ts';
import {
  inputFor,
  type KnownPhoto,
  type StoredObject,
  skipReason,
} from '../shared/photos/execution-input.ts';
import { rowsAbout } from '../shared/photos/standing.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

export interface SkipIndexedDeps {
  telemetry: Pick<Telemetry, 'logger'>;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** The id of the object's current version, where the bucket has versions; undefined when the object is gone. */
  currentVersion?: ((bucket: string, key: string) => Promise<string | undefined>) | undefined;
}

interface Candidate extends PhotoKey {
  object: StoredObject;
}

/** Versions looked up at once. */
const LOOK_UPS = 10;

/**
 * What of a batch of listed objects is left to index: all but those whose faces are stored, that are at fault
 * themselves, or that were erased. Costs one query, where an execution each would cost five transitions.
 *
 * @throws PipelineError the errors of `withDatabase` and of `currentVersion`
 */
export async function skipIndexed(deps: SkipIndexedDeps, request: SkipIndexedRequest): Promise<Backlog> {
  const { bucket } = request.BatchInput;
  const skipped: Backlog['skipped'] = {};
  const skip = (reason: SkipReason) => {
    skipped[reason] = (skipped[reason] ?? 0) + 1;
  };
  const candidates: Candidate[] = [];
  for (const { Key, Etag, Size, LastModified } of request.Items) {
    const ids = photoKeyOf(Key);
    if (ids) {
      const uploadedAt = new Date(LastModified * 1_000).toISOString();
      candidates.push({
        ...ids,
        object: { key: Key, etag: Etag.replaceAll('"', ''), size: Size, uploadedAt },
      });
    } else {
      skip('invalid_key');
    }
  }
  if (deps.currentVersion) {
    await addVersions(deps.currentVersion, bucket, candidates);
  }

  const [photos, events] = await deps.withDatabase(async (sql) => [
    await knownPhotos(sql, candidates),
    await erasedEvents(sql, candidates),
  ]);
  const backlog: Backlog = { photos: [], skipped };
  for (const candidate of candidates) {
    const { eventId, object } = candidate;
    const rows = rowsAbout(photos, candidate);
    const reason = skipReason(object, eventId, rows, events.get(eventId) ?? null);
    if (reason) {
      skip(reason);
    } else {
      backlog.photos.push(inputFor(bucket, object, rows, 'backfill'));
    }
  }
  deps.telemetry.logger.info('Looked what is left to index', {
    event: logEvents.backlogRead,
    left: backlog.photos.length,
    skipped,
  });
  return backlog;
}

async function addVersions(
  currentVersion: NonNullable<SkipIndexedDeps['currentVersion']>,
  bucket: string,
  candidates: { object: StoredObject }[],
): Promise<void> {
  const queue = candidates.values();
  await Promise.all(
    Array.from({ length: LOOK_UPS }, async () => {
      for (const { object } of queue) {
        object.versionId = await currentVersion(bucket, object.key);
      }
    }),
  );
}

/** The rows of the photo ids, and those that keys whose id is taken have of their own. */
async function knownPhotos(sql: Sql, candidates: readonly PhotoKey[]): Promise<Map<string, KnownPhoto>> {
  const ids = [...new Set(candidates.flatMap(({ photoId, keyId }) => [photoId, keyId]))];
  const rows = await sql<KnownPhoto[]>`
    SELECT id, event_id, status, object_key, object_version, object_sequencer, other_objects, failure_code,
      failure_retryable, coalesce(indexed_at, failed_at) AS ended_at
    FROM photos WHERE id IN (SELECT jsonb_array_elements_text(${sql.json(ids)})::uuid)`;
  return new Map(rows.map((row) => [row.id, row]));
}

async function erasedEvents(sql: Sql, candidates: { eventId: string }[]): Promise<Map<string, Date>> {
  const ids = [...new Set(candidates.map(({ eventId }) => eventId))];
  const rows = await sql<{ id: string; erasure_requested_at: Date }[]>`
    SELECT id, erasure_requested_at
    FROM events
    WHERE erasure_requested_at IS NOT NULL
      AND id IN (SELECT jsonb_array_elements_text(${sql.json(ids)})::uuid)`;
  return new Map(rows.map(({ id, erasure_requested_at }) => [id, erasure_requested_at]));
}
