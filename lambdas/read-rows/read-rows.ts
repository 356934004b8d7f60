import { logEvents } from '../shared/contract/names.ts';
import type { Sql } from '../shared/database/connection.ts';
import { facePage, isoTime, leavingPage, type Page, photoPage } from '../shared/photos/row-pages.ts';
import type { EventRow } from '../shared/photos/row-types.ts';
import { idList, type Transaction } from '../shared/photos/rows.ts';
import {
  afterBatch,
  batchKey,
  type Candidates,
  candidatesKey,
  type EventRows,
  type Plan,
  planKey,
  type ReadRowsRequest,
  type Reconciliation,
} from '../shared/reconciliation/contract.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import type { JsonObjects } from '../shared/storage/json-objects.ts';
import { type KnownEvent, planEvents } from './plan-events.ts';

export interface ReadRowsDeps {
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  objects: JsonObjects;
  telemetry: Pick<Telemetry, 'logger'>;
}

/** Events counted in one statement, which has 20 seconds. */
const EVENTS_A_PAGE = 500;
const ROWS_A_PAGE = 5_000;

/** How long an event counts as changed. */
const CHANGED_DAYS = 3;

const MAX_STUCK_ERASURES = 1_000;

/**
 * Reads what a reconciliation asks of the database, and writes it into the results bucket; it changes no row.
 *
 * @throws PipelineError the errors of `withDatabase` and of the bucket
 */
export async function readRows(
  deps: ReadRowsDeps,
  { step, input }: ReadRowsRequest,
): Promise<Reconciliation> {
  switch (step) {
    case 'events':
      return listEvents(deps, input);
    case 'faces':
      return readFaces(deps, input);
    case 'rows':
      return readAll(deps, input);
  }
}

async function listEvents(deps: ReadRowsDeps, input: Reconciliation): Promise<Reconciliation> {
  const candidates = await deps.objects.get<Candidates>(candidatesKey(input.run));
  const { events, known, erasures } = await deps.withDatabase(async (sql) => ({
    ...(await knownEvents(sql, candidates, input)),
    erasures: await stuckErasures(sql, input.settled),
  }));
  const plan: Plan = { ...planEvents(candidates, events, known, input), erasures };
  if (plan.too_large.length + plan.put_off > 0) {
    deps.telemetry.logger.warn('Some events are not compared', {
      event: logEvents.reconciliationCut,
      too_large: plan.too_large.length,
      put_off: plan.put_off,
    });
  }
  await deps.objects.put(planKey(input.run), plan);
  const planned = {
    ...input,
    batches: plan.batches.length,
    abandoned: plan.abandoned.length,
    outbox: erasures.length > 0,
  };
  return { ...planned, next: afterBatch(planned) };
}

/** With `changed` those of the last days, and of the others only whether they are known; else all. */
async function knownEvents(
  sql: Sql,
  { folders, unfinished }: Candidates,
  { scope, as_of }: Reconciliation,
): Promise<{ events: KnownEvent[]; known: Set<string> }> {
  const since = new Date(Date.parse(as_of) - CHANGED_DAYS * 24 * 3_600_000);
  // Both have an index or are small, where the times of photos have none: whatever was indexed was billed.
  const changes = await sql<{ id: string }[]>`
    SELECT event_id AS id FROM paid_images WHERE called_at >= ${since}
    UNION
    SELECT event_id FROM erasures WHERE requested_at >= ${since} OR finished_at >= ${since}`;
  const changed = new Set(changes.map(({ id }) => id));
  const looked = [...new Set([...changed, ...unfinished])];
  const only = scope === 'changed' ? sql`id IN (${ids(sql, looked)})` : sql`true`;
  const events: KnownEvent[] = [];
  for (let after: string | undefined, more = true; more; ) {
    const page = await sql<Omit<KnownEvent, 'changed'>[]>`
      SELECT event.id, rekognition_collection_id IS NOT NULL AS has_collection, photos, faces, live
      FROM (
        SELECT id, rekognition_collection_id FROM events
        WHERE ${only} AND ${after ? sql`id > ${after}` : sql`true`}
        ORDER BY id LIMIT ${EVENTS_A_PAGE}
      ) AS event CROSS JOIN LATERAL (
        SELECT count(*)::int AS photos, coalesce(sum(face_count), 0)::int AS faces,
               count(*) FILTER (WHERE status IN ('processing', 'indexed', 'failed'))::int AS live
        FROM photos WHERE event_id = event.id
      ) AS size
      ORDER BY event.id`;
    events.push(...page.map((event) => ({ ...event, changed: changed.has(event.id) })));
    after = page.at(-1)?.id;
    more = page.length === EVENTS_A_PAGE;
  }
  const known = new Set(events.map(({ id }) => id));
  if (scope === 'changed') {
    const others = await sql<{ id: string }[]>`
      SELECT id FROM events WHERE id IN (${ids(sql, Object.keys(folders))})`;
    for (const { id } of others) {
      known.add(id);
    }
  }
  return { events, known };
}

/** Erasures that were due before `settled` and that nobody is working off. */
async function stuckErasures(sql: Sql, settled: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM erasures
    WHERE finished_at IS NULL AND greatest(requested_at, not_before) < ${settled}
      AND NOT EXISTS (SELECT FROM erasure_turn WHERE until > now())
    ORDER BY requested_at LIMIT ${MAX_STUCK_ERASURES}`;
  return rows.map(({ id }) => id);
}

async function readFaces(deps: ReadRowsDeps, input: Reconciliation): Promise<Reconciliation> {
  const events = await batchOf(deps, input);
  const before: Record<string, string[]> = {};
  await deps.withDatabase(async (sql) => {
    for (const { id } of events) {
      const faces = await allOf(
        (page) => facePage(sql, id, page),
        (face) => face.id,
      );
      before[id] = faces.map((face) => face.id);
    }
  });
  await deps.objects.put(batchKey(input.run, input.batch, 'before'), before);
  return input;
}

/** Photos before their faces: a photo that is written in between looks unfinished, and not as if its faces were strays. */
async function readAll(deps: ReadRowsDeps, input: Reconciliation): Promise<Reconciliation> {
  const events = await batchOf(deps, input);
  const rows: Record<string, EventRows> = {};
  await deps.withDatabase(async (sql) => {
    for (const { id } of events) {
      const [event] = await sql<Pick<EventRow, 'erasure_requested_at'>[]>`
        SELECT ${isoTime(sql, sql`erasure_requested_at`)} AS erasure_requested_at FROM events WHERE id = ${id}`;
      const photos = await allOf(
        (page) => photoPage(sql, { event_id: id }, page),
        (photo) => photo.id,
      );
      const faces = await allOf(
        (page) => facePage(sql, id, page),
        (face) => face.id,
      );
      const leaving = await allOf(
        (page) => leavingPage(sql, id, page),
        (face) => face.rekognition_face_id,
      );
      rows[id] = {
        erased_before: event?.erasure_requested_at ?? null,
        // The longest of a photo's columns, and nothing is compared by it.
        photos: photos.map((photo) => ({ ...photo, failure_message: null })),
        faces,
        leaving: leaving.map(({ rekognition_face_id }) => rekognition_face_id),
      };
    }
  });
  await deps.objects.put(batchKey(input.run, input.batch, 'rows'), rows);
  return input;
}

async function batchOf({ objects }: ReadRowsDeps, { run, batch }: Reconciliation) {
  const { batches } = await objects.get<Plan>(planKey(run));
  return batches[batch] ?? [];
}

async function allOf<Row>(
  read: (page: Page) => PromiseLike<readonly Row[]>,
  idOf: (row: Row) => string,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let after: string | undefined; ; ) {
    const page = await read({ after, limit: ROWS_A_PAGE });
    for (const row of page) {
      rows.push(row);
    }
    const last = page.at(-1);
    if (page.length < ROWS_A_PAGE || !last) {
      return rows;
    }
    after = idOf(last);
  }
}

function ids(sql: Sql, of: readonly string[]) {
  return sql`SELECT id::uuid FROM (${idList(sql as unknown as Transaction, of)}) AS ids (id)`;
}
