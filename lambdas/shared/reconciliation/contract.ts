/** What travels through `state-machines/reconcile.asl.json`, and where the rest of it lies in the results bucket. */
import * as v from 'valibot';
import type { ExecutionInput } from '../contract/payloads.ts';
import { storable } from '../contract/storable.ts';
import type { StoredObject } from '../photos/execution-input.ts';
import type { FaceRow, PhotoRow } from '../photos/row-types.ts';
import type { StoredResponse } from './compare.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const moment = v.pipe(v.string(), v.isoTimestamp());
const uuid = v.pipe(v.string(), v.uuid());

/** The execution's input, as the rules make it. */
export const reconcileInputSchema = v.object({
  /** `changed`: events of the last days, if anything happened at all. `all`: every event. */
  scope: v.picklist(['changed', 'all']),
  /** The clock of the run: ISO 8601. */
  as_of: moment,
});

export const beginReconciliationRequestSchema = v.object({
  input: reconcileInputSchema,
  execution_arn: storable,
  machine_arn: storable,
  started_at: moment,
});
export type BeginReconciliationRequest = v.InferOutput<typeof beginReconciliationRequestSchema>;

/** Faces or photos in one question to the operator's function; three questions stay well within Step Functions' 256 KB. */
export const MAX_ASKED = 500;

/** What `answer-operator` is asked to write: the only statements with which a reconciliation changes rows. */
const questionSchema = v.variant('ask', [
  v.object({
    ask: v.literal('lose_faces'),
    photos: v.array(v.object({ event_id: uuid, photo_id: uuid, face_id: v.string() })),
  }),
  v.object({
    ask: v.literal('remove_faces'),
    event_id: uuid,
    collection_id: v.string(),
    faces: v.array(v.object({ photo_id: uuid, face_id: v.string() })),
  }),
  v.object({
    ask: v.literal('remove_responses'),
    event_id: uuid,
    photo_ids: v.array(uuid),
    before: moment,
  }),
]);
export type MendingQuestion = v.InferOutput<typeof questionSchema>;

/** The state from BeginReconciliation on: each function takes it and returns it. */
export const reconciliationSchema = v.object({
  /**
   * `skip` when there is nothing to compare; `list` the events; `read` the next batch; `ask` the operator's function to
   * write, and then `mend`; `collections` that belong to no event; `conclude`.
   */
  next: v.picklist(['skip', 'list', 'read', 'ask', 'mend', 'collections', 'conclude']),
  /** Names the folder of the run. */
  run: v.pipe(v.string(), v.regex(/^[\w-]{1,80}$/)),
  scope: reconcileInputSchema.entries.scope,
  as_of: moment,
  /** When the execution started. */
  started_at: moment,
  /** What happened after this may still be under way, ISO 8601. */
  settled: moment,
  /** The batch that is, or will be, compared. */
  batch: count,
  batches: count,
  /** Collections of the prefix that belong to no event. */
  abandoned: count,
  /** Images that may still be started. */
  images_left: count,
  /** Erasures of deleted photos that may still be started. */
  deletions_left: count,
  /** Executions that were started. */
  started: count,
  /** Whether something was written to the outbox, or waits in it for too long. */
  outbox: v.boolean(),
  /** Batches with disagreements. */
  found_in: v.array(count),
  questions: v.array(questionSchema),
});
export type Reconciliation = v.InferOutput<typeof reconciliationSchema>;

export const readRowsRequestSchema = v.object({
  step: v.picklist(['events', 'faces', 'rows']),
  input: reconciliationSchema,
});
export type ReadRowsRequest = v.InferOutput<typeof readRowsRequestSchema>;

export const surveyEventsRequestSchema = v.object({
  step: v.picklist(['events', 'collections']),
  input: reconciliationSchema,
});
export type SurveyEventsRequest = v.InferOutput<typeof surveyEventsRequestSchema>;

export const mendDisagreementsRequestSchema = v.object({
  step: v.picklist(['compare', 'mend', 'conclude']),
  input: reconciliationSchema,
});
export type MendDisagreementsRequest = v.InferOutput<typeof mendDisagreementsRequestSchema>;

/** An event to compare. */
export interface PlannedEvent {
  id: string;
  /** Its folders in the photo bucket, `events/{id}/` as keys spell the id. */
  folders: string[];
}

/** What was found outside of the database, before it is asked. */
export interface Candidates {
  /** Folders by event id. */
  folders: Record<string, string[]>;
  /** Events by their collections; missing where collections were not listed. */
  collections?: string[];
  /** Events with which the last run was not done. */
  unfinished: string[];
}

export interface Plan {
  batches: PlannedEvent[][];
  /** Events with more rows than one function can hold. */
  too_large: string[];
  /** Events that a run of this size has no room for: a later run compares them. */
  put_off: number;
  /** Erasures that should have been worked off by now. */
  erasures: string[];
  /** Events that neither database nor photo bucket know, of whom there is a collection. */
  abandoned: string[];
}

/** What buckets and collection know of an event. */
export interface SurveyedEvent {
  objects: StoredObject[];
  /** Face ids with the photo's id, if Rollcall put them there; null when there is no collection. */
  collection: [faceId: string, externalImageId: string | null][] | null;
  responses: StoredResponse[];
}

/** What the database knows of an event, after bucket and collection were read. */
export interface EventRows {
  erased_before: string | null;
  photos: PhotoRow[];
  faces: FaceRow[];
  /** Faces on their way out of the collection. */
  leaving: string[];
}

export type DisagreementKind =
  | 'no_end'
  | 'never_seen'
  | 'faces_lost'
  | 'stray_faces'
  | 'needless_responses'
  | 'object_gone'
  | 'wrong_count'
  | 'face_of_two_photos'
  | 'erasure_stuck'
  | 'event_too_large';

export interface Disagreement {
  kind: DisagreementKind;
  event_id: string | null;
  /** What it is about: a photo, a face, an erasure, an event. */
  about: string;
  /**
   * `mending`: what mends it was started. `waiting`: it was not, for the moment. `left`: nothing mends it by itself, or what
   * would costs more than a run may spend.
   */
  fate: 'mending' | 'waiting' | 'left';
}

/** What a run leaves to the next one. */
export interface Memory {
  /** Whatever happened before this was compared, ISO 8601. */
  compared_until: string;
  /** Events with which the last run was not done: it mends them, or could not yet. */
  unfinished: string[];
  /** When a disagreement was first seen, by what it is about. */
  first_seen: Record<string, string>;
  /** Collections without an event: since when, and with how many faces. */
  abandoned: Record<string, { since: string; faces: number }>;
}

const ROOT = 'reconciliations/';
export const MEMORY_KEY = `${ROOT}memory.json`;
/** Each run has a folder below. */
export const RUNS = `${ROOT}runs/`;

/** What of a batch is mended outside of the database. */
export interface Mending {
  index: { input: ExecutionInput; name: string }[];
  deletions: {
    input: { request: 'photo_deleted'; object: { key: string; sequencer: string } };
    name: string;
  }[];
}

type Part = 'before' | 'survey' | 'rows' | 'mending' | 'disagreements';

export const runFolder = (run: string): string => `${RUNS}${run}/`;
export const candidatesKey = (run: string): string => `${runFolder(run)}candidates.json`;
export const planKey = (run: string): string => `${runFolder(run)}plan.json`;
export const abandonedKey = (run: string): string => `${runFolder(run)}abandoned.json`;
export const batchKey = (run: string, batch: number, part: Part): string =>
  `${runFolder(run)}${batch}-${part}.json`;

/** What comes after a batch is compared, and mended. */
export function afterBatch(state: Reconciliation): Reconciliation['next'] {
  if (state.batch < state.batches) {
    return 'read';
  }
  return state.abandoned > 0 ? 'collections' : 'conclude';
}
