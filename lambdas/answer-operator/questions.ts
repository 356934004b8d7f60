/** What the operator's commands ask of the database, and what they get. Pages hold as much as fits a Lambda's 6 MB. */
import * as v from 'valibot';
import { storable } from '../shared/contract/storable.ts';
import type { Receipt } from '../shared/erasure/contract.ts';
import type { EventRow, FaceRow, MisplacedUpload, PhotoRow } from '../shared/photos/row-types.ts';
import type { PhotoStatus } from '../shared/photos/standing.ts';

const uuid = v.pipe(v.string(), v.uuid());

/** Photos or faces in one answer; a photo's row is at most 4 KB. */
export const PAGE_SIZE = 1_000;
/** Photos or faces in one question that changes something. */
export const MAX_CHANGES = 500;

/** Photos that one question opens again: each has a transaction of its own. */
export const MAX_REOPENED = 100;

/** Events, photographers or days in one answer. */
export const MAX_USAGE_ROWS = 10_000;

const limit = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(PAGE_SIZE));

export const questionSchema = v.variant('ask', [
  /** How many photos are in which state, and why they failed. */
  v.object({ ask: v.literal('summary'), event_id: v.optional(uuid) }),
  v.object({ ask: v.literal('events'), event_id: v.optional(uuid), after: v.optional(uuid) }),
  v.object({
    ask: v.literal('photos'),
    event_id: v.optional(uuid),
    photo_ids: v.optional(v.pipe(v.array(uuid), v.maxLength(PAGE_SIZE))),
    status: v.optional(v.picklist(['processing', 'indexed', 'failed', 'deleted', 'erased'])),
    retryable: v.optional(v.boolean()),
    after: v.optional(uuid),
  }),
  /** The photos that failed, the latest first. */
  v.object({ ask: v.literal('failures'), event_id: v.optional(uuid), limit }),
  /** The events with what became of their photos, the latest first. */
  v.object({ ask: v.literal('event_list'), limit }),
  /** What is known of a photo beside its row. */
  v.object({ ask: v.literal('photo_history'), photo_id: uuid }),
  v.object({ ask: v.literal('faces'), event_id: uuid, after: v.optional(uuid) }),
  /** Faces in the outbox, on their way out of the collection. */
  v.object({ ask: v.literal('leaving'), event_id: uuid, after: v.optional(v.string()) }),
  /** The receipts of erasures, the latest first. */
  v.object({ ask: v.literal('erasures'), event_id: v.optional(uuid), limit }),
  /** Uploads whose key belongs to no event, the latest first. */
  v.object({ ask: v.literal('misplaced'), limit }),
  /** What was billed, since a UTC day: rows with the costliest first, or by day. */
  v.object({
    ask: v.literal('usage'),
    by: v.picklist(['event', 'photographer', 'day']),
    since: v.optional(v.pipe(v.string(), v.isoDate())),
  }),
  /** Photos whose faces are no longer in the collection are failed, to be indexed again. */
  v.object({
    ask: v.literal('lose_faces'),
    photos: v.pipe(
      v.array(v.object({ event_id: uuid, photo_id: uuid, face_id: v.string() })),
      v.maxLength(MAX_CHANGES),
    ),
  }),
  /** Misplaced uploads whose objects are gone are forgotten. */
  v.object({
    ask: v.literal('forget_misplaced'),
    keys: v.pipe(v.array(storable), v.maxLength(MAX_CHANGES)),
  }),
  /** Indexed photos wait to be indexed again: their faces and stored responses leave by way of the outbox. */
  v.object({
    ask: v.literal('reopen'),
    event_id: uuid,
    photo_ids: v.pipe(v.array(uuid), v.maxLength(MAX_REOPENED)),
  }),
  /** Faces that no row knows leave the collection by way of the outbox. */
  v.object({
    ask: v.literal('remove_faces'),
    event_id: uuid,
    collection_id: v.string(),
    faces: v.pipe(v.array(v.object({ photo_id: uuid, face_id: v.string() })), v.maxLength(MAX_CHANGES)),
  }),
  /** The same of stored responses: all of these photos but that of the row's version, if they were stored before then. */
  v.object({
    ask: v.literal('remove_responses'),
    event_id: uuid,
    photo_ids: v.pipe(v.array(uuid), v.maxLength(MAX_CHANGES)),
    before: v.pipe(v.string(), v.isoTimestamp()),
  }),
]);
export type Question = v.InferOutput<typeof questionSchema>;

export interface Summary {
  events: number;
  photos: Partial<Record<PhotoStatus, number>>;
  faces: number;
  /** Faces on their way out of the collections. */
  leaving: number;
  failures: { code: string; retryable: boolean; photos: number }[];
  /** Uploads whose key belongs to no event; 0 where one event is asked about. */
  misplaced: number;
  /** When the photo that is `processing` for longest was registered; null when none is. */
  oldest_processing: string | null;
}

export interface ListedEvent {
  id: string;
  name: string | null;
  photographer_id: string | null;
  /** ISO 8601. */
  created_at: string;
  erased_at: string | null;
  photos: Partial<Record<PhotoStatus, number>>;
  faces: number;
}

/** A billed call for a photo. */
export interface PaidCall {
  /** ISO 8601. */
  called_at: string;
  faces: number;
  estimated_usd: number;
}

export interface PhotoHistory {
  /** The latest first. */
  paid: PaidCall[];
  erasures: Receipt[];
}

/** Billed images, the faces that they gave, and what they cost at list prices. */
export interface Usage {
  images: number;
  faces: number;
  estimated_usd: number;
}

export interface UsageRow extends Usage {
  /** The event's or the photographer's id, or the day; null for photos of events without a photographer. */
  key: string | null;
  /** The event's name, where it has one. */
  name: string | null;
}

export interface Answers {
  /** At most `MAX_USAGE_ROWS` rows; the total is of all. */
  usage: { rows: UsageRow[]; total: Usage };
  summary: Summary;
  events: EventRow[];
  photos: PhotoRow[];
  failures: PhotoRow[];
  event_list: ListedEvent[];
  photo_history: PhotoHistory;
  faces: FaceRow[];
  leaving: { rekognition_face_id: string }[];
  erasures: Receipt[];
  /** At most as many as asked for; the total is of all. */
  misplaced: { total: number; uploads: MisplacedUpload[] };
  forget_misplaced: { forgotten: number };
  lose_faces: { changed: number };
  /** Those that were indexed until now. */
  reopen: { photo_ids: string[] };
  remove_faces: { requested: number };
  /** Photos. */
  remove_responses: { requested: number };
}
