/** Which events a run compares, in which batches. No I/O. */
import { createHash } from 'node:crypto';
import type { Candidates, Plan, PlannedEvent } from '../shared/reconciliation/contract.ts';

/** An event of the database. */
export interface KnownEvent {
  id: string;
  has_collection: boolean;
  photos: number;
  faces: number;
  /** Photos that are not deleted and not erased. */
  live: number;
  /** Whether anything of it was billed or erased in the last days. */
  changed: boolean;
}

/** Rows that one function of 1,024 MB holds at once: a photo or a face is about 1 KB of memory on its way. */
const MAX_BATCH_ROWS = 50_000;
const MAX_EVENT_ROWS = 300_000;
const MAX_BATCH_EVENTS = 50;
/** What an event counts for that the database does not know. */
const UNKNOWN_EVENT_ROWS = 5_000;

/** With 55 events of history for each, Step Functions' 25,000 are not reached. */
export const MAX_BATCHES = 300;

interface Sized extends PlannedEvent {
  rows: number;
  isChanged: boolean;
}

/**
 * Every event that anybody knows, but for those that are over, in batches that fit. More unchanged events than one run has
 * room for are spread over the days by their ids: half of them, a quarter, and so on.
 *
 * @param known ids of events that the database knows, those that are not looked at among them
 * @param run chooses the order, so that what has no room in one run has it in another
 */
export function planEvents(
  { folders, collections = [], unfinished }: Candidates,
  events: readonly KnownEvent[],
  known: ReadonlySet<string>,
  { scope, run, as_of }: { scope: 'changed' | 'all'; run: string; as_of: string },
): Omit<Plan, 'erasures'> {
  const withCollection = new Set(collections);
  const restless = new Set(unfinished);
  const wanted = events
    .filter(({ id, live, has_collection, changed }) =>
      // Of an event that was erased a response may have been stored since.
      Boolean(live > 0 || has_collection || changed || folders[id] || withCollection.has(id)),
    )
    .map(
      ({ id, photos, faces, changed }): Sized => ({
        id,
        folders: folders[id] ?? [],
        rows: photos + faces,
        isChanged: changed || restless.has(id),
      }),
    );
  const unknown = Object.entries(folders)
    .filter(([id]) => !known.has(id))
    .map(([id, ofEvent]): Sized => ({ id, folders: ofEvent, rows: UNKNOWN_EVENT_ROWS, isChanged: true }));
  const all = [...wanted, ...unknown].sort((a, b) => order(run, a.id).localeCompare(order(run, b.id)));
  const fitting = all.filter(({ rows }) => rows <= MAX_EVENT_ROWS);
  const changed = fitting.filter(({ isChanged }) => isChanged);
  const batches = scope === 'all' ? shareOfDay(fitting, as_of) : batchesOf(changed);
  const taken = batches.slice(0, MAX_BATCHES);
  const planned = (sized: readonly Sized[][]) => sized.reduce((sum, batch) => sum + batch.length, 0);
  return {
    batches: taken.map((batch) => batch.map(({ id, folders: of }) => ({ id, folders: of }))),
    too_large: all.filter(({ rows }) => rows > MAX_EVENT_ROWS).map(({ id }) => id),
    put_off: planned(batches) - planned(taken),
    abandoned: collections.filter((id) => !known.has(id) && !folders[id]),
  };
}

/** Every changed event, and as large a share of the others as there is room for: another one each day. */
function shareOfDay(events: readonly Sized[], asOf: string): Sized[][] {
  const day = Math.floor(Date.parse(asOf) / 86_400_000);
  // A day on which more events are there must not shift all of them: so only powers of two.
  for (let shares = 1; ; shares *= 2) {
    const batches = batchesOf(
      events.filter(({ id, isChanged }) => isChanged || shareOf(id) % shares === day % shares),
    );
    if (batches.length <= MAX_BATCHES || shares > events.length) {
      return batches;
    }
  }
}

function batchesOf(events: readonly Sized[]): Sized[][] {
  const batches: Sized[][] = [];
  let rows = 0;
  for (const event of events) {
    const batch = batches.at(-1);
    if (!batch || batch.length === MAX_BATCH_EVENTS || rows + event.rows > MAX_BATCH_ROWS) {
      batches.push([event]);
      rows = event.rows;
    } else {
      batch.push(event);
      rows += event.rows;
    }
  }
  return batches;
}

function shareOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE();
}

function order(run: string, id: string): string {
  return createHash('sha256').update(`${run}/${id}`).digest('hex');
}
