/**
 * What travels between S3, Step Functions and the Lambdas. Every Lambda checks its input against these schemas at its
 * edge, so that a malformed event ends as `InvalidInput` and not as a crash.
 */
import * as v from 'valibot';
import { PipelineError } from './errors.ts';
import { storable } from './storable.ts';

/** `object` of an EventBridge "Object Created" event of S3, as AWS sends it (the key is not URL-encoded). */
export const s3ObjectSchema = v.object({
  // What cannot be stored of it is not a photo's key: `InvalidPhotoKey`.
  key: v.pipe(v.string(), v.minLength(1)),
  /** Bytes. Absent in events written by hand or by backfill. */
  size: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  /** Hex, without quotes. */
  etag: v.pipe(storable, v.minLength(1), v.maxLength(255)),
  /** Only on buckets with versioning. */
  'version-id': v.optional(v.pipe(storable, v.maxLength(1024))),
  /** Hex; orders the events of one key. */
  sequencer: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{1,64}$/)), '0'),
});

/** The lane decides who waits when slots are short: live photos go first. */
export const laneSchema = v.picklist(['live', 'backfill']);
export type Lane = v.InferOutput<typeof laneSchema>;

/** The execution's input: what the rule's input transformer makes of the S3 event. */
export const executionInputSchema = v.object({
  lane: v.optional(laneSchema, 'live'),
  bucket: v.pipe(v.string(), v.minLength(3), v.maxLength(63)),
  object: s3ObjectSchema,
  /** When S3 created the object, ISO 8601. */
  event_time: v.optional(v.string()),
});
export type ExecutionInput = v.InferOutput<typeof executionInputSchema>;

/** What a state's `Catch` leaves behind: `Error` and `Cause` of Step Functions. */
export const caughtErrorSchema = v.object({
  Error: v.string(),
  Cause: v.optional(v.string(), ''),
});

/** Result of EnsureCollection, at `$.photo`. */
export const photoSchema = v.object({
  event_id: v.pipe(v.string(), v.uuid()),
  photo_id: v.pipe(v.string(), v.uuid()),
  collection_id: storable,
  /** Rekognition's face model version of the collection, when it is known. */
  face_model_version: v.nullable(v.string()),
  /** How often the collection was found gone during this execution. */
  recreations: v.pipe(v.number(), v.integer()),
});
export type Photo = v.InferOutput<typeof photoSchema>;

/** Result of JoinLine, at `$.place`. */
export const placeSchema = v.object({
  /** When IndexFaces may be called, milliseconds since the epoch. */
  place_ms: v.number(),
  /** The same, cut to the whole second: Wait states know no milliseconds. */
  wait_until: v.string(),
  /** Throttled calls of this execution so far. */
  throttles: v.pipe(v.number(), v.integer()),
  /** How often the stored response was found gone and the photo indexed again. */
  reindexes: v.pipe(v.number(), v.integer()),
  /** How often the photo came back here, for whatever reason. Missing in what older code sent. */
  returns: v.optional(v.pipe(v.number(), v.integer())),
  /** The round of its event's turn. Missing where it does not stand in line by turns, and in what older code sent. */
  round: v.optional(v.number()),
});
export type Place = v.InferOutput<typeof placeSchema>;

/** Result of IndexFaces, at `$.result`: a pointer and counts, never the faces. */
export const indexResultSchema = v.object({
  results_key: storable,
  face_count: v.pipe(v.number(), v.integer()),
  unindexed_count: v.pipe(v.number(), v.integer()),
  /** When Rekognition was asked, ISO 8601: the identity of the call. Missing in what older code recorded. */
  called_at: v.optional(v.string()),
});
export type IndexResult = v.InferOutput<typeof indexResultSchema>;

/** Result of PersistResults, at `$.outcome`: the execution's output. */
export interface PersistOutcome {
  event_id: string;
  photo_id: string;
  /**
   * `stored`; `known` when this version was stored before; `copy` when it was stored for another key with the same photo
   * id; `superseded` when a newer version was; `deleted` when the photo is gone from the bucket; `erased` when the faces of
   * its event were erased after it was uploaded.
   */
  effect: 'stored' | 'known' | 'copy' | 'superseded' | 'deleted' | 'erased';
  face_count: number;
  unindexed_count: number;
  /** Whether faces or responses were left to be erased: a rule that looks for it starts the erasure. */
  erasure_requested: boolean;
}

/** The state as the Lambdas see it: the execution's input plus what earlier states added. */
const stateSchema = v.object({
  ...executionInputSchema.entries,
  photo: v.optional(photoSchema),
  place: v.optional(placeSchema),
  result: v.optional(indexResultSchema),
  returned: v.optional(caughtErrorSchema),
  failure: v.optional(caughtErrorSchema),
});
export type ExecutionState = v.InferOutput<typeof stateSchema>;

export const ensureCollectionRequestSchema = v.object({
  input: stateSchema,
  execution_arn: storable,
  max_recreations: v.number(),
});
export type EnsureCollectionRequest = v.InferOutput<typeof ensureCollectionRequestSchema>;

export const joinLineRequestSchema = v.object({
  input: v.object({ ...stateSchema.entries, photo: photoSchema }),
  execution_arn: storable,
  max_throttles: v.number(),
  max_reindexes: v.number(),
  /** Missing in what older definitions send. */
  max_returns: v.optional(v.number()),
});
export type JoinLineRequest = v.InferOutput<typeof joinLineRequestSchema>;

export const indexFacesRequestSchema = v.object({
  input: v.object({ ...stateSchema.entries, photo: photoSchema, place: placeSchema }),
  execution_arn: storable,
});
export type IndexFacesRequest = v.InferOutput<typeof indexFacesRequestSchema>;

export const persistResultsRequestSchema = v.object({
  input: v.object({ ...stateSchema.entries, photo: photoSchema, result: indexResultSchema }),
  execution_arn: storable,
  started_at: v.pipe(v.string(), v.isoTimestamp()),
});
export type PersistResultsRequest = v.InferOutput<typeof persistResultsRequestSchema>;

export const markFailedRequestSchema = v.object({
  input: v.object({ ...stateSchema.entries, failure: caughtErrorSchema }),
  execution_arn: storable,
  started_at: v.pipe(v.string(), v.isoTimestamp()),
});
export type MarkFailedRequest = v.InferOutput<typeof markFailedRequestSchema>;

/**
 * Why faces are erased. The last two are asked for by nobody: `photo_replaced` are the faces of an earlier upload,
 * `late_result` those of a response that came when it was not wanted any more.
 */
export type ErasureReason =
  | 'photo_deleted'
  | 'person_requested'
  | 'event_requested'
  | 'event_expired'
  | 'photo_replaced'
  | 'late_result';

/**
 * "Step Functions Execution Status Change", as EventBridge delivers it: `input` is the execution's input as text, and is
 * left out where input and output together are too large for an event.
 * https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
 */
export const executionEndedSchema = v.object({
  detail: v.object({
    executionArn: storable,
    status: v.picklist(['FAILED', 'TIMED_OUT', 'ABORTED']),
    /** Milliseconds since the epoch. */
    startDate: v.number(),
    input: v.nullish(v.string()),
    error: v.nullish(v.string()),
    cause: v.nullish(v.string()),
  }),
});
export type ExecutionEnded = v.InferOutput<typeof executionEndedSchema>;

/**
 * S3's "Object Created", as EventBridge delivers it; in a dead-letter queue, what the upload rule could start no execution of.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
 */
export const objectCreatedSchema = v.object({
  'detail-type': v.literal('Object Created'),
  id: storable,
  time: v.pipe(v.string(), v.isoTimestamp()),
  detail: v.object({ bucket: v.object({ name: v.string() }), object: s3ObjectSchema }),
});

/**
 * An object as the item reader of a Distributed Map lists it (Etag, seconds since the epoch).
 * https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
 */
export const listedObjectSchema = v.object({
  Key: v.string(),
  /** With quotes. */
  Etag: v.string(),
  Size: v.number(),
  LastModified: v.number(),
});
export type ListedObject = v.InferOutput<typeof listedObjectSchema>;

export const skipIndexedRequestSchema = v.object({
  Items: v.array(listedObjectSchema),
  BatchInput: v.object({ bucket: v.string() }),
});
export type SkipIndexedRequest = v.InferOutput<typeof skipIndexedRequestSchema>;

/** Why backfill leaves an object alone. */
export type SkipReason =
  /** Its faces are stored, or it has none. */
  | 'indexed'
  /** It is at fault itself and would fail again. */
  | 'permanently_failed'
  /** The faces of its event were erased after it was uploaded. */
  | 'erased'
  /** Another object with the same photo id is the photo. */
  | 'other_object'
  /** Its key is not a photo's. */
  | 'invalid_key';

/** Result of SkipIndexed: what is left to index, as inputs of executions. */
export interface Backlog {
  photos: ExecutionInput[];
  skipped: Partial<Record<SkipReason, number>>;
}

/** Parses a Lambda's input; throws `InvalidInput` with the path of the first offending field. */
export function parseRequest<Schema extends v.GenericSchema>(
  schema: Schema,
  request: unknown,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, request, { abortEarly: true });
  if (parsed.success) {
    return parsed.output;
  }
  const issue = parsed.issues[0];
  throw new PipelineError('InvalidInput', `${v.getDotPath(issue) ?? 'input'}: ${issue.message}`);
}

/**
 * The version of a photo that is billed once: the S3 version id where the object has one, else the ETag. Objects that are
 * older than their bucket's versioning all have the version id `null`, which tells them apart from nothing.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html
 */
export function photoVersion({ etag, 'version-id': versionId }: ExecutionInput['object']): string {
  return versionIdOf(versionId) ?? etag;
}

/** A version id that names one version; undefined for none and for `null`. */
export function versionIdOf(versionId: string | undefined): string | undefined {
  return versionId && versionId !== 'null' ? versionId : undefined;
}
