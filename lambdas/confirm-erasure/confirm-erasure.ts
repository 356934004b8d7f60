import { logEvents, metricNames } from '../shared/contract/names.ts';
import type { Sql } from '../shared/database/connection.ts';
import type { ConfirmErasureRequest, ErasureProgress, RemovedBatch } from '../shared/erasure/contract.ts';
import { lockEvent } from '../shared/erasure/outbox.ts';
import {
  deleteFacesOfEvent,
  idList,
  markEventErased,
  markFacesErased,
  type Transaction,
  uuidList,
} from '../shared/photos/rows.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

export interface ConfirmErasureDeps {
  telemetry: Telemetry;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Rows deleted in one transaction: within a second or two. */
const MAX_FACE_ROWS = 20_000;
/** How long an erasure that failed past its retries is left alone, so that others get their turn. */
export const POSTPONED_HOURS = 1;
const MAX_ERROR_LENGTH = 500;

/**
 * Takes what Rekognition and the results bucket no longer hold out of the outbox, and completes the receipts of the
 * erasures of which nothing is left. A batch that could not be removed is postponed instead. A batch that is not the latest,
 * or was confirmed before, changes nothing: what it removed may have been stored anew since.
 *
 * @returns the state without the batch
 * @throws PipelineError the errors of `withDatabase`
 */
export async function confirmErasure(
  { telemetry, withDatabase, now }: ConfirmErasureDeps,
  { input: { batch, failure, ...progress } }: ConfirmErasureRequest,
): Promise<ErasureProgress> {
  if (failure || !('result_counts' in batch)) {
    const reason = `${failure?.Error ?? 'Unknown'}: ${failure?.Cause ?? ''}`.slice(0, MAX_ERROR_LENGTH);
    const postponed = await withDatabase((sql) =>
      sql.begin(async (transaction) =>
        (await takeBatch(transaction, batch.number))
          ? postpone(transaction, batch.erasure_ids, reason)
          : undefined,
      ),
    );
    if (postponed === undefined) {
      return progress;
    }
    reportPostponed(telemetry, batch.event_id, postponed, failure?.Error);
    return progress;
  }
  const confirmed = await withDatabase((sql) =>
    sql.begin(async (transaction) => {
      if (!(await takeBatch(transaction, batch.number))) {
        return undefined;
      }
      await lockEvent(transaction, batch.event_id, 'exclusive');
      await confirmResults(transaction, batch);
      const removedAt = removalOf(batch, now());
      return batch.kind === 'event'
        ? confirmEvent(transaction, batch, removedAt)
        : confirmFaces(transaction, batch, removedAt);
    }),
  );
  if (confirmed === undefined) {
    return progress;
  }
  const { finished, postponed } = confirmed;
  for (const { id, reason, photos, faces, results, seconds } of finished) {
    telemetry.logger.info('An erasure is finished', {
      event: logEvents.erasureFinished,
      event_id: batch.event_id,
      erasure_id: id,
      reason,
      photos,
      faces,
      results,
      duration_ms: Math.round(seconds * 1_000),
    });
    telemetry.metrics.addMetric(metricNames.facesErased, 'Count', faces);
  }
  telemetry.metrics.addMetric(metricNames.erasuresFinished, 'Count', finished.length);
  reportPostponed(telemetry, batch.event_id, postponed, batch.kept_because);
  return progress;
}

/** Nothing where none is: an erasure may be finished, or its faces be left to others, by the time that its batch fails. */
function reportPostponed(
  { logger, metrics }: Telemetry,
  event_id: string,
  erasures: number,
  error_type: string | null | undefined,
): void {
  if (erasures === 0) {
    return;
  }
  logger.error('Erasures are postponed', {
    event: logEvents.erasurePostponed,
    event_id,
    erasures,
    error_type,
  });
  metrics.addMetric(metricNames.erasuresPostponed, 'Count', erasures);
}

/** Whether the batch is the one that was handed out last, and is not confirmed; from here on it is. */
async function takeBatch(sql: Transaction, number: number): Promise<boolean> {
  const { count } = await sql`UPDATE erasure_turn SET batch = batch + 1 WHERE batch = ${number}`;
  return count > 0;
}

interface Confirmed {
  finished: readonly Finished[];
  /** How many erasures are put off. */
  postponed: number;
}

interface Finished {
  id: string;
  reason: string;
  photos: number;
  faces: number;
  results: number;
  seconds: number;
}

/** Counts deleted responses for their erasures, and takes those that are gone and not asked for again out of the outbox. */
async function confirmResults(
  sql: Transaction,
  { erasure_ids, results, result_counts, results_left }: RemovedBatch,
): Promise<void> {
  const deleted = results.map((name, i) => ({
    name,
    count: result_counts[i] ?? 0,
    gone: !results_left.includes(name),
  }));
  await sql`
    WITH deleted AS (
      SELECT * FROM jsonb_to_recordset(${sql.json(deleted)}) AS deleted (name text, count int, gone boolean)
    ), counted AS (
      SELECT erasure_id, sum(count)::int AS count
      FROM result_removals JOIN deleted USING (name)
      WHERE erasure_id IN (${uuidList(sql, erasure_ids)})
      GROUP BY erasure_id
    )
    UPDATE erasures SET results = results + counted.count FROM counted WHERE id = erasure_id`;
  await sql`
    DELETE FROM result_removals
    WHERE erasure_id IN (${uuidList(sql, erasure_ids)})
      AND listed
      AND name IN (${idList(
        sql,
        deleted.filter(({ gone }) => gone).map(({ name }) => name),
      )})`;
}

async function confirmFaces(sql: Transaction, batch: RemovedBatch, removedAt: Date): Promise<Confirmed> {
  const { collection_id, erasure_ids, face_ids, deleted_photos, unknown_faces } = batch;
  const gone = await sql<{ photo_id: string }[]>`
    WITH gone AS (
      DELETE FROM face_removals
      WHERE collection_id = ${collection_id} AND rekognition_face_id IN (${idList(sql, face_ids)})
      RETURNING erasure_id, photo_id
    ), counted AS (
      UPDATE erasures SET faces = faces + gone.count
      FROM (SELECT erasure_id, count(*)::int FROM gone GROUP BY erasure_id) AS gone
      WHERE id = gone.erasure_id AND finished_at IS NULL
    )
    SELECT DISTINCT photo_id FROM gone`;
  const unknown = deleted_photos.map((photo, i) => ({ photo, count: unknown_faces[i] ?? 0 }));
  await sql`
    UPDATE erasures SET faces = faces + count
    FROM jsonb_to_recordset(${sql.json(unknown)}) AS unknown (photo uuid, count int)
    WHERE id IN (${uuidList(sql, erasure_ids)}) AND photo_id = photo AND search AND finished_at IS NULL`;
  const photos = new Set([...gone.map(({ photo_id }) => photo_id), ...deleted_photos]);
  await markFacesErased(sql, batch.event_id, [...photos], removedAt);
  await sql`
    UPDATE erasures SET removed_at = ${removedAt}
    WHERE id IN (${uuidList(sql, erasure_ids)}) AND finished_at IS NULL`;
  await sql`
    UPDATE erased_faces SET erased_at = ${removedAt} WHERE erasure_id IN (${uuidList(sql, erasure_ids)})`;
  let postponed = 0;
  if (batch.kept.length > 0) {
    const holding = await sql<{ erasure_id: string }[]>`
      SELECT DISTINCT erasure_id FROM face_removals
      WHERE collection_id = ${collection_id} AND rekognition_face_id IN (${idList(sql, batch.kept)})`;
    postponed = await postpone(
      sql,
      holding.map(({ erasure_id }) => erasure_id),
      `Rekognition keeps ${batch.kept.length} faces: ${batch.kept_because}`,
    );
  }
  return { finished: await finish(sql, erasure_ids), postponed };
}

async function confirmEvent(sql: Transaction, batch: RemovedBatch, removedAt: Date): Promise<Confirmed> {
  const { event_id, erasure_ids, results_left } = batch;
  const count = await deleteFacesOfEvent(sql, event_id, MAX_FACE_ROWS);
  await sql`UPDATE erasures SET faces = faces + ${count} WHERE id IN (${uuidList(sql, erasure_ids)})`;
  if (count === MAX_FACE_ROWS || results_left.length > 0) {
    return { finished: [], postponed: 0 };
  }
  const photos = await markEventErased(sql, event_id, removedAt);
  await sql`UPDATE erasures SET photos = photos + ${photos} WHERE id IN (${uuidList(sql, erasure_ids)})`;
  await sql`
    UPDATE events SET rekognition_collection_id = NULL, erased_at = clock_timestamp(), faces_erased_at = ${removedAt}
    WHERE id = ${event_id}`;
  // What was uploaded before is not indexed again, so nobody has to be left out of it any more.
  await sql`
    DELETE FROM erased_faces USING events
    WHERE event_id = ${event_id} AND events.id = event_id AND requested_at < erasure_requested_at`;
  return { finished: await finish(sql, erasure_ids), postponed: 0 };
}

/** When the batch had left Rekognition. */
function removalOf({ removed_at }: RemovedBatch, nowMs: number): Date {
  return new Date(removed_at ?? nowMs);
}

/** Completes the receipts of those erasures of which nothing is left. */
function finish(sql: Transaction, erasureIds: readonly string[]): Promise<readonly Finished[]> {
  return sql<Finished[]>`
    UPDATE erasures SET finished_at = clock_timestamp(), last_error = NULL
    WHERE id IN (${uuidList(sql, erasureIds)}) AND finished_at IS NULL
      AND NOT EXISTS (SELECT FROM face_removals WHERE erasure_id = id)
      AND NOT EXISTS (SELECT FROM result_removals WHERE erasure_id = id)
    RETURNING id, reason, photos, faces, results,
              extract(epoch FROM finished_at - requested_at)::float8 AS seconds`;
}

/** @returns how many erasures are put off */
async function postpone(sql: Transaction, erasureIds: readonly string[], reason: string): Promise<number> {
  const { count } = await sql`
    UPDATE erasures SET
      not_before = now() + make_interval(hours => ${POSTPONED_HOURS}),
      postponed = postponed + 1,
      last_error = ${reason}
    WHERE id IN (${uuidList(sql, erasureIds)}) AND finished_at IS NULL`;
  return count;
}
