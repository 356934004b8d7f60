import {
  type Attribute,
  IndexFacesCommand,
  type IndexFacesCommandOutput,
  type QualityFilter,
  type RekognitionClient,
} from '@aws-sdk/client-rekognition';
import {
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { awsErrorDetails, PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  type IndexFacesRequest,
  type IndexResult,
  photoVersion,
  versionIdOf,
} from '../shared/contract/payloads.ts';
import { resultMetadata, resultsKey, type StoredResult } from '../shared/contract/stored-result.ts';
import { cappedGate, type PhotographerCap } from '../shared/line/photographers.ts';
import type { Slot } from '../shared/line/rules.ts';
import type { SlotLedger } from '../shared/line/store.ts';
import { tell } from '../shared/line/tell.ts';
import { checkUpload } from '../shared/photos/upload-check.ts';
import { rekognitionError, s3Error } from '../shared/runtime/aws-errors.ts';
import { countBy, type Telemetry } from '../shared/runtime/telemetry.ts';
import { headObject } from '../shared/storage/head-object.ts';
import { storedCounts } from '../shared/storage/stored-counts.ts';
import { minimalFace, minimalUnindexedFace } from './minimal-response.ts';

export interface IndexFacesDeps {
  rekognition: RekognitionClient;
  s3: S3Client;
  telemetry: Telemetry;
  resultsBucket: string;
  qualityFilter: QualityFilter;
  maxFaces: number;
  detectionAttributes: Attribute[];
  /** What is kept of Rekognition's response. */
  rekognitionResponse: 'full' | 'minimal';
  /** Milliseconds since the epoch. */
  now(): number;
  ledger: Pick<SlotLedger, 'takeSlot' | 'reportThrottle' | 'giveBack'>;
  /** Where photographers have a cap of their own. */
  photographers?: PhotographerCap | undefined;
  /** Has the ledger follow the quota, where it is not configured; never fails. */
  followQuota?: (() => Promise<void>) | undefined;
  /** Runs `index` once for a photo version, by way of the idempotency record. */
  once(key: string, index: () => Promise<IndexResult>): Promise<IndexResult>;
}

/**
 * Indexes the faces of one photo version, once: waits for the slot, calls IndexFaces, stores the response. When that response
 * was lost it does so once more, whichever executions find it lost.
 *
 * @returns where the response lies, and counts; the faces themselves never travel
 * @throws PipelineError `ImageTooLarge`, `InvalidImageFormat`, `InvalidS3Object`, `InvalidParameter`,
 *   `PhotoSuperseded`, `SlotExpired`, `LedgerBusy`, `RekognitionThrottled`, `RekognitionUnavailable`,
 *   `CollectionNotFound`, `QuotaExceeded`, `AccessDenied`, `MissingConfiguration`, `StorageUnavailable`,
 *   `ResultLostTooOften` and the errors of
 *   `once`
 */
export async function indexFaces(deps: IndexFacesDeps, request: IndexFacesRequest): Promise<IndexResult> {
  const { bucket, object } = request.input;
  // EnsureCollection did so too; whatever comes here past it still costs no call.
  checkUpload(object);
  const version = photoVersion(object);
  const resultKey = resultsKey(request.input.photo, version);
  const lost = lostCall(request);
  // Every execution that misses the response of one call asks under the same key, so that only one of them pays.
  const keyAfter = (call: string | undefined) =>
    `${bucket}/${object.key}#${version}${call === undefined ? '' : `#after ${call}`}`;
  let key = keyAfter(lost);
  for (let follow = 0; follow < MAX_FOLLOWED_CALLS; follow++) {
    let isOurs = false;
    const result = await deps.once(key, () => {
      isOurs = true;
      return indexOnce(deps, request, resultKey, lost);
    });
    if (isOurs) {
      return result;
    }
    const stored = await storedResult(deps, resultKey, lost);
    if (stored) {
      return stored;
    }
    key = keyAfter(result.called_at ?? UNKNOWN_CALL);
  }
  throw new PipelineError('ResultLostTooOften', `The responses of ${MAX_FOLLOWED_CALLS} calls were lost`);
}

/** Each of them was billed, answered and lost. */
const MAX_FOLLOWED_CALLS = 20;

/** A call of which an older record does not say when it was. */
const UNKNOWN_CALL = 'unknown';

/** The call whose response persist-results found lost, or older than an erasure; undefined where none was. */
function lostCall({ input: { place, result } }: IndexFacesRequest): string | undefined {
  return place.reindexes > 0 ? (result?.called_at ?? UNKNOWN_CALL) : undefined;
}

async function indexOnce(
  deps: IndexFacesDeps,
  request: IndexFacesRequest,
  key: string,
  lost: string | undefined,
): Promise<IndexResult> {
  const { input } = request;
  // A Lambda can die between storing the response and its idempotency record: what is stored is not billed again.
  const stored = await storedResult(deps, key, lost);
  if (stored) {
    return stored;
  }
  const before = await checkPhoto(deps, request);

  const gate = cappedGate(deps.ledger, deps.photographers, input.photo.event_id);
  const slot = await gate.takeSlot({
    lane: input.lane,
    placeMs: input.place.place_ms,
    fair: { key: input.photo.event_id, round: input.place.round },
  });
  const calledMs = deps.now();
  const response = await callBesideQuota({ ...deps, ledger: gate }, request, slot);
  await checkUnchanged(deps, request, before);
  return storeResponse(deps, request, key, { response, calledMs });
}

/** The counts of a response that is stored, or undefined; that of the call that was lost is not what is wanted. */
async function storedResult(
  deps: IndexFacesDeps,
  key: string,
  lost: string | undefined,
): Promise<IndexResult | undefined> {
  const stored = await storedCounts(deps, key);
  return lost === undefined || (stored?.called_at ?? UNKNOWN_CALL) !== lost ? stored : undefined;
}

/** Nothing is billed for an object that is gone, or that a newer upload has replaced since its event was sent. */
async function checkPhoto(
  deps: IndexFacesDeps,
  { input: { bucket, object } }: IndexFacesRequest,
): Promise<HeadObjectCommandOutput> {
  const versionId = versionIdOf(object['version-id']);
  const head = await headObject(deps.s3, { bucket, key: object.key, versionId }, 'InvalidS3Object');
  if (!versionId && head.ETag?.replaceAll('"', '') !== object.etag) {
    throw new PipelineError(
      'PhotoSuperseded',
      `A newer upload (ETag ${head.ETag}) replaced this version (${object.etag}) before it was indexed`,
    );
  }
  return head;
}

/**
 * IndexFaces cannot be told which ETag to read: where the photo was replaced meanwhile, the faces may be those of the newer
 * upload, and must not be kept as this one's. One that is gone is its deletion's to tell.
 */
async function checkUnchanged(
  deps: IndexFacesDeps,
  { input: { bucket, object } }: IndexFacesRequest,
  before: HeadObjectCommandOutput,
): Promise<void> {
  if (versionIdOf(object['version-id'])) {
    return;
  }
  const after = await deps.s3
    .send(new HeadObjectCommand({ Bucket: bucket, Key: object.key }))
    // What was billed is not thrown away because nobody can look.
    .catch(() => before);
  if (after.ETag !== before.ETag || after.LastModified?.getTime() !== before.LastModified?.getTime()) {
    throw new PipelineError(
      'PhotoSuperseded',
      `A newer upload (ETag ${after.ETag}) replaced this version (${object.etag}) while it was indexed`,
    );
  }
}

/** The call takes longer than the question for the quota, which the photo so does not wait for. */
async function callBesideQuota(
  deps: IndexFacesDeps,
  request: IndexFacesRequest,
  slot: Slot,
): Promise<IndexFacesCommandOutput> {
  const following = deps.followQuota?.();
  try {
    return await callRekognition(deps, request, slot);
  } finally {
    await following;
  }
}

async function callRekognition(
  deps: IndexFacesDeps,
  { input: { bucket, object, photo, place } }: IndexFacesRequest,
  slot: Slot,
): Promise<IndexFacesCommandOutput> {
  const versionId = versionIdOf(object['version-id']);
  const { metrics, logger } = deps.telemetry;
  metrics.addMetric(metricNames.rekognitionCalls, 'Count', 1);
  try {
    const response = await deps.rekognition.send(
      new IndexFacesCommand({
        CollectionId: photo.collection_id,
        Image: {
          S3Object: {
            Bucket: bucket,
            Name: object.key,
            ...(versionId && { Version: versionId }),
          },
        },
        // Rekognition stores no second copy of the same image in one collection under the same id.
        ExternalImageId: photo.photo_id,
        DetectionAttributes: deps.detectionAttributes,
        MaxFaces: deps.maxFaces,
        QualityFilter: deps.qualityFilter,
      }),
    );
    metrics.addMetric(metricNames.imagesBilled, 'Count', 1);
    return response;
  } catch (thrown) {
    const error = rekognitionError(thrown);
    if (error.name === 'RekognitionThrottled') {
      metrics.addMetric(metricNames.throttles, 'Count', 1);
      logger.warn(error.message, { event: logEvents.throttled, attempt: place.throttles + 1 });
      await tell(deps, deps.ledger.reportThrottle(slot));
    } else {
      countBy(deps.telemetry, metricNames.rekognitionErrors, error.name);
    }
    // AWS bills what it answered with success. Without an answer nobody here can know, so it counts too.
    if (awsErrorDetails(thrown).httpStatus === undefined) {
      metrics.addMetric(metricNames.imagesBilled, 'Count', 1);
    } else {
      await tell(deps, deps.ledger.giveBack(slot));
    }
    throw error;
  }
}

/** The SDK takes whatever JSON it is sent for a response. */
function objects<Item>(list: Item[] | undefined): Item[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'object' && item !== null) : [];
}

async function storeResponse(
  deps: IndexFacesDeps,
  request: IndexFacesRequest,
  key: string,
  { response, calledMs }: { response: IndexFacesCommandOutput; calledMs: number },
): Promise<IndexResult> {
  const { object, photo } = request.input;
  const called_at = new Date(calledMs).toISOString();
  const whole = deps.rekognitionResponse === 'full';
  const faceRecords = objects(response.FaceRecords).map((face) => (whole ? face : minimalFace(face)));
  const unindexedFaces = objects(response.UnindexedFaces).map((face) =>
    whole ? face : minimalUnindexedFace(face),
  );
  const result: StoredResult = {
    photo_id: photo.photo_id,
    event_id: photo.event_id,
    collection_id: photo.collection_id,
    object_version: photoVersion(object),
    called_at,
    indexed_at: new Date(deps.now()).toISOString(),
    face_model_version:
      typeof response.FaceModelVersion === 'string' ? response.FaceModelVersion : photo.face_model_version,
    face_records: faceRecords,
    unindexed_faces: unindexedFaces,
  };
  try {
    await deps.s3.send(
      new PutObjectCommand({
        Bucket: deps.resultsBucket,
        Key: key,
        Body: JSON.stringify(result),
        ContentType: 'application/json',
        Metadata: {
          [resultMetadata.faceCount]: String(faceRecords.length),
          [resultMetadata.unindexedCount]: String(unindexedFaces.length),
          [resultMetadata.calledAt]: called_at,
        },
      }),
    );
  } catch (error) {
    throw s3Error(error, { operation: 'PutObject', bucket: deps.resultsBucket, key }, 'MissingConfiguration');
  }
  return {
    results_key: key,
    face_count: faceRecords.length,
    unindexed_count: unindexedFaces.length,
    called_at,
  };
}
