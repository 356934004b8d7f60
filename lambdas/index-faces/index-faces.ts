import {
  type Attribute,
  IndexFacesCommand,
  type IndexFacesCommandOutput,
  type QualityFilter,
  type RekognitionClient,
} from '@aws-sdk/client-rekognition';
import { HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { rekognitionError, s3Error } from '../shared/aws-errors.ts';
import { type IndexFacesRequest, type IndexResult, photoVersion } from '../shared/contract.ts';
import { awsErrorDetails, PipelineError } from '../shared/errors.ts';
import { logEvents, metricNames } from '../shared/names.ts';
import type { GateSlot } from '../shared/slot-ledger.ts';
import type { SlotLedger } from '../shared/slot-ledger-store.ts';
import { resultMetadata, resultsKey, type StoredResult } from '../shared/stored-result.ts';
import { countBy, type Telemetry } from '../shared/telemetry.ts';
import { minimalFace, minimalUnindexedFace } from './minimal-response.ts';

/** https://docs.aws.amazon.com/rekognition/latest/dg/limits.html: an image in S3 may have 15 MB. */
const MAX_IMAGE_BYTES = 15 * 1024 * 1024;

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
  /** Runs `index` once for a photo version, by way of the idempotency record. */
  once(key: string, index: () => Promise<IndexResult>): Promise<IndexResult>;
}

/**
 * Indexes the faces of one photo version, once: waits for the slot, calls IndexFaces, stores the response.
 *
 * @returns where the response lies, and counts; the faces themselves never travel
 * @throws PipelineError `ImageTooLarge`, `InvalidImageFormat`, `InvalidS3Object`, `InvalidParameter`,
 *   `PhotoSuperseded`, `SlotExpired`, `LedgerBusy`, `RekognitionThrottled`, `RekognitionUnavailable`,
 *   `CollectionNotFound`, `QuotaExceeded`, `AccessDenied`, `StorageUnavailable` and the errors of `once`
 */
export async function indexFaces(deps: IndexFacesDeps, request: IndexFacesRequest): Promise<IndexResult> {
  const { bucket, object } = request.input;
  // What the event already tells costs no call.
  if (object.size === 0) {
    throw new PipelineError('InvalidImageFormat', 'The photo is empty (0 bytes)');
  }
  if (object.size !== undefined && object.size > MAX_IMAGE_BYTES) {
    throw new PipelineError(
      'ImageTooLarge',
      `The photo has ${object.size} bytes; Rekognition takes at most ${MAX_IMAGE_BYTES}`,
    );
  }
  const again = occasion(request);
  return deps.once(`${bucket}/${object.key}#${photoVersion(object)}${again && `#${again}`}`, () =>
    indexOnce(deps, request),
  );
}

/**
 * Why a photo whose stored response was lost is indexed again, past the record of the first time; empty otherwise. The
 * execution is part of it: what an earlier one paid for in the same need may have been lost too.
 */
function occasion({ input: { slot }, execution_arn }: IndexFacesRequest): string {
  return slot.reindexes > 0 ? `${execution_arn}#${slot.reindexes}` : '';
}

async function indexOnce(deps: IndexFacesDeps, request: IndexFacesRequest): Promise<IndexResult> {
  const { input } = request;
  const key = resultsKey(input.photo, photoVersion(input.object));
  // A Lambda can die between storing the response and its idempotency record: what is stored is not paid again.
  const stored = await storedCounts(deps, key, occasion(request));
  if (stored) {
    return stored;
  }
  await checkPhoto(deps, request);

  const slot = await deps.ledger.takeSlot({ lane: input.lane, placeMs: input.slot.slot_ms });
  const calledMs = deps.now();
  const response = await callRekognition(deps, request, slot);
  return storeResponse(deps, request, key, { response, calledMs });
}

/** The counts of a response that an earlier attempt stored, or undefined; one that was lost is not what is wanted. */
async function storedCounts(
  deps: IndexFacesDeps,
  key: string,
  again: string,
): Promise<IndexResult | undefined> {
  try {
    const { Metadata: metadata } = await deps.s3.send(
      new HeadObjectCommand({ Bucket: deps.resultsBucket, Key: key }),
    );
    const faceCount = Number(metadata?.[resultMetadata.faceCount] ?? Number.NaN);
    const unindexedCount = Number(metadata?.[resultMetadata.unindexedCount] ?? Number.NaN);
    const isWanted = again === '' || metadata?.[resultMetadata.again] === again;
    return isWanted && Number.isInteger(faceCount) && Number.isInteger(unindexedCount)
      ? { results_key: key, face_count: faceCount, unindexed_count: unindexedCount }
      : undefined;
  } catch (error) {
    const renamed = s3Error(error, 'ResultNotFound');
    if (renamed.name === 'ResultNotFound') {
      return undefined;
    }
    throw renamed;
  }
}

/** Nothing is paid for an object that is gone, or that a newer upload has replaced since its event was sent. */
async function checkPhoto(
  deps: IndexFacesDeps,
  { input: { bucket, object } }: IndexFacesRequest,
): Promise<void> {
  const versionId = object['version-id'];
  try {
    const head = await deps.s3.send(
      new HeadObjectCommand({
        Bucket: bucket,
        Key: object.key,
        ...(versionId && { VersionId: versionId }),
      }),
    );
    if (!versionId && head.ETag?.replaceAll('"', '') !== object.etag) {
      throw new PipelineError(
        'PhotoSuperseded',
        `A newer upload (ETag ${head.ETag}) replaced this version (${object.etag}) before it was indexed`,
      );
    }
  } catch (error) {
    throw error instanceof PipelineError ? error : s3Error(error, 'InvalidS3Object');
  }
}

async function callRekognition(
  deps: IndexFacesDeps,
  { input: { bucket, object, photo, slot } }: IndexFacesRequest,
  gateSlot: GateSlot,
): Promise<IndexFacesCommandOutput> {
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
            ...(object['version-id'] && { Version: object['version-id'] }),
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
      logger.warn(error.message, { event: logEvents.throttled, attempt: slot.throttles + 1 });
      await tell(deps, deps.ledger.reportThrottle(gateSlot));
    } else {
      countBy(deps.telemetry, metricNames.rekognitionErrors, error.name);
    }
    // AWS bills what it answered with success. Without an answer nobody here can know, so it counts too.
    if (awsErrorDetails(thrown).httpStatus === undefined) {
      metrics.addMetric(metricNames.imagesBilled, 'Count', 1);
    } else {
      await tell(deps, deps.ledger.giveBack(gateSlot));
    }
    throw error;
  }
}

/** A ledger that cannot be told must not hide what Rekognition said. */
async function tell({ telemetry }: IndexFacesDeps, report: Promise<void>): Promise<void> {
  await report.catch((failure: unknown) => {
    telemetry.logger.warn('The slot ledger could not be told', { error: failure as Error });
  });
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
    called_at: new Date(calledMs).toISOString(),
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
          ...(occasion(request) && { [resultMetadata.again]: occasion(request) }),
        },
      }),
    );
  } catch (error) {
    throw s3Error(error, 'ResultNotFound');
  }
  return { results_key: key, face_count: faceRecords.length, unindexed_count: unindexedFaces.length };
}
