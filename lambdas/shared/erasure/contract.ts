/** What travels through `state-machines/erase-faces.asl.json`. */
import * as v from 'valibot';
import { caughtErrorSchema, s3ObjectSchema } from '../contract/payloads.ts';
import { storable } from '../contract/storable.ts';

/** A request of a person may name this many faces: with their photos and boxes they fill 130 of the 256 KB of an input. */
export const MAX_PERSON_FACES = 1_000;

/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DeleteFaces.html */
const FACE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether Rekognition could have given this id; it refuses a whole call for one that it could not. */
export function isFaceId(id: string): boolean {
  return FACE_ID.test(id);
}

const uuid = v.pipe(v.string(), v.uuid(), v.toLowerCase());

/** `object` of an "Object Deleted" event of S3. */
export const deletedObjectSchema = v.object({
  key: s3ObjectSchema.entries.key,
  'version-id': s3ObjectSchema.entries['version-id'],
  sequencer: s3ObjectSchema.entries.sequencer,
});

/** An S3 "Object Deleted" event, as the rule's input transformer leaves it. */
const photoDeletedSchema = v.object({
  request: v.literal('photo_deleted'),
  object: deletedObjectSchema,
  /** https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html */
  deletion_type: v.optional(v.string()),
});
export type PhotoDeleted = v.InferOutput<typeof photoDeletedSchema>;

/** Left, top, width and height: shares of the picture, as Rekognition gives them. */
const boxSchema = v.tuple([v.number(), v.number(), v.number(), v.number()]);
type Box = v.InferOutput<typeof boxSchema>;

/** The box as Rekognition's own responses have it. */
export function boxOf([Left, Top, Width, Height]: Box) {
  return { Left, Top, Width, Height };
}

const faceId = v.pipe(v.string(), v.regex(FACE_ID));

const personSchema = v.object({
  request: v.literal('person'),
  event_id: uuid,
  /** Face id, photo id and, where it is known, box: what a search in the event's collection found. */
  faces: v.pipe(
    v.array(v.union([v.tuple([faceId, uuid, boxSchema]), v.tuple([faceId, uuid])])),
    v.minLength(1),
    // Without boxes twice as many fit.
    v.maxLength(2 * MAX_PERSON_FACES),
  ),
});
export type PersonRequest = v.InferOutput<typeof personSchema>;

const eventSchema = v.object({ request: v.literal('event'), event_id: uuid });

const retentionSchema = v.object({
  request: v.literal('retention'),
  /** The clock: ISO 8601. */
  as_of: v.pipe(v.string(), v.isoTimestamp()),
});

/** Works off what others asked for, and asks for nothing. */
const outboxSchema = v.object({ request: v.literal('outbox') });

/** The execution's input. */
export const eraseInputSchema = v.variant('request', [
  photoDeletedSchema,
  personSchema,
  eventSchema,
  retentionSchema,
  outboxSchema,
]);
export type EraseInput = v.InferOutput<typeof eraseInputSchema>;

export const requestErasureRequestSchema = v.object({
  input: eraseInputSchema,
  execution_arn: storable,
});
export type RequestErasureRequest = v.InferOutput<typeof requestErasureRequestSchema>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** Result of RequestErasure: from here on the state is this. */
export const erasureProgressSchema = v.object({
  request: v.string(),
  /**
   * `requested`; `known` when the same was asked for before; `superseded` when the photo was uploaded again since;
   * `ignored` for an object that is not a photo, not the current version of one, or a copy of one; `none` when there was
   * nothing to ask for.
   */
  effect: v.picklist(['requested', 'known', 'superseded', 'ignored', 'none']),
  /** The one erasure that this execution waits for. */
  erasure_id: v.nullable(v.string()),
  /** How many erasures the request opened. */
  erasures: count,
  /** How many batches this execution has worked off. */
  batches: count,
  /** How often it waited for its turn. */
  waits: count,
});
export type ErasureProgress = v.InferOutput<typeof erasureProgressSchema>;

/**
 * What leaves Rekognition and the results bucket in one step: of one event, and small enough for Step Functions' 256 KB.
 */
export const erasureBatchSchema = v.object({
  /** Counts all batches ever handed out; a batch is confirmed while it is the latest, once. Missing in what older code sent. */
  number: v.optional(count, 0),
  /** Until when the batch may be worked on, ISO 8601: then another execution may. Missing in what older code sent. */
  until: v.optional(v.string(), '1970-01-01T00:00:00.000Z'),
  /** `event` deletes the whole collection. */
  kind: v.picklist(['faces', 'event']),
  event_id: v.string(),
  collection_id: v.string(),
  erasure_ids: v.array(v.string()),
  face_ids: v.array(v.string()),
  /** Photos that are deleted: whatever was indexed under their ids goes. */
  deleted_photos: v.array(v.string()),
  /** Keys of the results bucket, prefixes that end in a slash, or what `otherResults` makes. */
  results: v.array(v.string()),
  /** Of photos of the last kind: the keys to keep. Missing in what older code sent. */
  needed_results: v.optional(v.array(v.string()), []),
});
export type ErasureBatch = v.InferOutput<typeof erasureBatchSchema>;

export const listErasuresRequestSchema = v.object({
  input: erasureProgressSchema,
  execution_arn: storable,
  max_batches: count,
});
export type ListErasuresRequest = v.InferOutput<typeof listErasuresRequestSchema>;

/** What is left of an erasure when it is done. */
export interface Receipt {
  erasure_id: string;
  event_id: string;
  photo_id: string | null;
  reason: string;
  /** ISO 8601. */
  requested_at: string;
  /** Null while it is under way, or was postponed. */
  finished_at: string | null;
  photos: number;
  faces: number;
  results: number;
}

/** Result of ListErasures. */
export type ErasureStep = ErasureProgress &
  (
    | { next: 'remove'; batch: ErasureBatch }
    | { next: 'wait'; wait_seconds: number }
    | { next: 'done'; receipts: Receipt[] }
  );

export const removeFacesRequestSchema = v.object({ batch: erasureBatchSchema });

/** Result of RemoveFaces, in the batch's place. */
export const removedBatchSchema = v.object({
  ...erasureBatchSchema.entries,
  /** Faces that Rekognition does not let go, with the reason; `face_ids` are those that are gone. */
  kept: v.array(v.string()),
  kept_because: v.nullable(v.string()),
  /** For each of `results`: how many objects were deleted. */
  result_counts: v.array(count),
  /** Of `results`, those with more objects than one step deletes. */
  results_left: v.array(v.string()),
  /** For each of `deleted_photos`: faces that no row knew. */
  unknown_faces: v.array(count),
  /** When all of that was gone, ISO 8601: a response that Rekognition was asked for before may name some of it. */
  removed_at: v.optional(v.string()),
});
export type RemovedBatch = v.InferOutput<typeof removedBatchSchema>;

export const confirmErasureRequestSchema = v.object({
  input: v.object({
    ...erasureProgressSchema.entries,
    batch: v.union([removedBatchSchema, erasureBatchSchema]),
    failure: v.optional(caughtErrorSchema),
  }),
});
export type ConfirmErasureRequest = v.InferOutput<typeof confirmErasureRequestSchema>;
