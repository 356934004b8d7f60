import { readOtherResults, resultsKey } from '../shared/contract/stored-result.ts';
import type { Sql } from '../shared/database/connection.ts';
import type {
  ErasureBatch,
  ErasureProgress,
  ErasureStep,
  ListErasuresRequest,
  Receipt,
} from '../shared/erasure/contract.ts';
import { type Transaction, uuidList } from '../shared/photos/rows.ts';

export interface ListErasuresDeps {
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  collectionPrefix: string;
}

/** What one call of DeleteFaces takes. */
const MAX_FACES = 4_096;
/** With 4,096 face ids (160 KB), 300 keys of at most 217 bytes and 600 ids stay within Step Functions' 256 KB. */
const MAX_ERASURES = 300;
const MAX_RESULTS = 300;
const MAX_RECEIPTS = 100;

/**
 * How long a batch may be worked on. An execution that was stopped gives way to the next after this, and one that goes on
 * past it removes nothing any more: what it would remove may have been indexed anew since.
 */
const TURN_MINUTES = 15;

/** Waiting for one's turn: soon at first, then rarely. */
const FIRST_WAIT_SECONDS = 1;
/** An execution lives for two weeks, and each look writes nine events of the 25,000 that its history holds. */
export const LONGEST_WAIT_SECONDS = 1_800;

/**
 * Decides what the execution does next: remove a batch of what anyone asked for, wait for its turn because another
 * execution is removing, or end with the receipts of what it asked for itself.
 *
 * @throws PipelineError the errors of `withDatabase`
 */
export function listErasures(
  { withDatabase, collectionPrefix }: ListErasuresDeps,
  { input, execution_arn, max_batches }: ListErasuresRequest,
): Promise<ErasureStep> {
  return withDatabase((sql) =>
    sql.begin(async (transaction) => {
      const [turn] = await transaction<{ mine: boolean }[]>`
        SELECT execution_arn IS NOT DISTINCT FROM ${execution_arn} OR until < now() AS mine
        FROM erasure_turn FOR UPDATE`;
      if (!turn?.mine) {
        return (await isWaitingFor(transaction, input, execution_arn))
          ? { ...input, waits: input.waits + 1, next: 'wait', wait_seconds: waitSeconds(input.waits) }
          : { ...input, next: 'done', receipts: await receipts(transaction, input, execution_arn) };
      }
      const batch = input.batches < max_batches ? await nextBatch(transaction, collectionPrefix) : undefined;
      if (batch) {
        const [mine] = await transaction<{ number: string; until: Date }[]>`
          UPDATE erasure_turn SET
            execution_arn = ${execution_arn},
            until = now() + make_interval(mins => ${TURN_MINUTES}),
            batch = batch + 1
          RETURNING batch AS number, until`;
        const { number, until } = mine!;
        return {
          ...input,
          batches: input.batches + 1,
          next: 'remove',
          batch: { ...batch, number: Number(number), until: until.toISOString() },
        };
      }
      // Whoever asked for something while this execution had its turn did so before this look at the outbox, or takes
      // the turn itself after it.
      await transaction`UPDATE erasure_turn SET execution_arn = NULL, until = '-infinity'`;
      return { ...input, next: 'done', receipts: await receipts(transaction, input, execution_arn) };
    }),
  );
}

function waitSeconds(waits: number): number {
  return Math.min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** Math.min(waits, 11));
}

/** Whether something that this execution asked for could be removed now. */
async function isWaitingFor(
  sql: Transaction,
  { erasure_id }: ErasureProgress,
  executionArn: string,
): Promise<boolean> {
  const [state] = await sql<{ waiting: boolean }[]>`
    SELECT EXISTS (
      SELECT FROM erasures
      WHERE (execution_arn = ${executionArn} OR id = ${erasure_id})
        AND finished_at IS NULL AND not_before <= now()) AS waiting`;
  return state!.waiting;
}

async function receipts(
  sql: Transaction,
  { erasure_id }: ErasureProgress,
  executionArn: string,
): Promise<Receipt[]> {
  const rows = await sql<(Omit<Receipt, 'requested_at' | 'finished_at'> & ReceiptDates)[]>`
    SELECT id AS erasure_id, event_id, photo_id, reason, requested_at, finished_at, photos, faces, results
    FROM erasures
    WHERE execution_arn = ${executionArn} OR id = ${erasure_id}
    ORDER BY requested_at LIMIT ${MAX_RECEIPTS}`;
  return rows.map((row) => ({
    ...row,
    requested_at: row.requested_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  }));
}

interface ReceiptDates {
  requested_at: Date;
  finished_at: Date | null;
}

type Batch = Omit<ErasureBatch, 'number' | 'until'>;

/** The oldest erasure that is due, with others of the same event. */
async function nextBatch(sql: Transaction, collectionPrefix: string): Promise<Batch | undefined> {
  const [oldest] = await sql<{ id: string; event_id: string; whole: boolean; collection_id: string }[]>`
    SELECT erasures.id, event_id, reason IN ('event_requested', 'event_expired') AS whole,
           coalesce(rekognition_collection_id, ${collectionPrefix} || event_id) AS collection_id
    FROM erasures LEFT JOIN events ON events.id = event_id
    WHERE finished_at IS NULL AND not_before <= now()
    ORDER BY requested_at, erasures.id LIMIT 1`;
  if (!oldest) {
    return undefined;
  }
  const { event_id, whole } = oldest;
  if (whole) {
    await sql`UPDATE erasures SET begun_at = coalesce(begun_at, now()) WHERE id = ${oldest.id}`;
    return {
      kind: 'event',
      event_id,
      collection_id: oldest.collection_id,
      erasure_ids: [oldest.id],
      face_ids: [],
      deleted_photos: [],
      results: await resultsOf(sql, [oldest.id]),
      needed_results: [],
    };
  }
  const due = await sql<{ id: string; deleted_photo: string | null; faces: number }[]>`
    SELECT id, CASE WHEN search THEN photo_id END AS deleted_photo,
           (SELECT count(*)::int FROM face_removals WHERE erasure_id = id) AS faces
    FROM erasures
    WHERE event_id = ${event_id} AND finished_at IS NULL AND not_before <= now()
      AND reason NOT IN ('event_requested', 'event_expired')
    ORDER BY requested_at, id LIMIT ${MAX_ERASURES}`;
  const erasureIds = due.map(({ id }) => id);
  const faces = await sql<{ face_id: string; collection_id: string; erasure_id: string }[]>`
    SELECT rekognition_face_id AS face_id, collection_id, erasure_id
    FROM face_removals
      JOIN jsonb_array_elements_text(${sql.json(erasureIds)}) WITH ORDINALITY AS due (id, position)
        ON erasure_id = due.id::uuid
    ORDER BY position, rekognition_face_id LIMIT ${MAX_FACES}`;
  // An event has one collection, unless the prefix was changed in between: then the others come next.
  const collectionId = faces[0]?.collection_id ?? oldest.collection_id;
  const inBatch = Map.groupBy(
    faces.filter((face) => face.collection_id === collectionId),
    ({ erasure_id }) => erasure_id,
  );
  const results = await resultsOf(sql, erasureIds);
  return {
    kind: 'faces',
    event_id,
    collection_id: collectionId,
    erasure_ids: erasureIds,
    face_ids: [...new Set([...inBatch.values()].flat().map(({ face_id }) => face_id))],
    // Not those of whose faces some are left to a later batch: found by their photo, they would be counted twice.
    deleted_photos: [
      ...new Set(
        due
          .filter(({ id, faces: all }) => (inBatch.get(id)?.length ?? 0) === all)
          .flatMap(({ deleted_photo }) => deleted_photo ?? []),
      ),
    ],
    results,
    needed_results: await neededResults(sql, event_id, results),
  };
}

/** The responses that the rows of these photos are of, as they are now. */
async function neededResults(
  sql: Transaction,
  event_id: string,
  results: readonly string[],
): Promise<string[]> {
  const photoIds = results.flatMap((name) => readOtherResults(name)?.photo_id ?? []);
  if (photoIds.length === 0) {
    return [];
  }
  const rows = await sql<{ photo_id: string; object_version: string }[]>`
    SELECT id AS photo_id, object_version FROM photos
    WHERE event_id = ${event_id} AND id IN (${uuidList(sql, photoIds)}) AND object_version IS NOT NULL
      AND status NOT IN ('deleted', 'erased')`;
  return rows.map(({ photo_id, object_version }) => resultsKey({ event_id, photo_id }, object_version));
}

async function resultsOf(sql: Transaction, erasureIds: readonly string[]): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    UPDATE result_removals SET listed = true
    WHERE erasure_id IN (${uuidList(sql, erasureIds)}) AND name IN (
      SELECT DISTINCT name FROM result_removals WHERE erasure_id IN (${uuidList(sql, erasureIds)})
      LIMIT ${MAX_RESULTS})
    RETURNING name`;
  return [...new Set(rows.map(({ name }) => name))];
}
