import type { FaceRecord } from '@aws-sdk/client-rekognition';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import * as v from 'valibot';
import { s3Error } from '../shared/aws-errors.ts';
import { type PersistOutcome, type PersistResultsRequest, photoVersion } from '../shared/contract.ts';
import type { Sql } from '../shared/database.ts';
import { PipelineError } from '../shared/errors.ts';
import { logEvents, metricNames } from '../shared/names.ts';
import {
  idList,
  isIndexed,
  isSuperseded,
  lockPhoto,
  retireFaces,
  type Transaction,
} from '../shared/photo-rows.ts';
import type { StoredResult } from '../shared/stored-result.ts';
import type { Telemetry } from '../shared/telemetry.ts';

export interface PersistResultsDeps {
  s3: S3Client;
  telemetry: Telemetry;
  resultsBucket: string;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * Only what is needed to store a face is asked for: Rekognition's API makes every field optional, and a field that
 * we do not know must not lose a photo.
 */
const storedResultSchema = v.looseObject({
  collection_id: v.string(),
  face_model_version: v.nullish(v.string(), null),
  face_records: v.array(v.looseObject({ Face: v.optional(v.looseObject({})) })),
  unindexed_faces: v.array(v.looseObject({})),
});

/**
 * Writes a photo and its faces in one transaction, unless a newer upload is already written or this one is.
 *
 * @throws PipelineError `ResultNotFound`, `StorageUnavailable`, `AccessDenied` and the errors of `withDatabase`
 */
export async function persistResults(
  deps: PersistResultsDeps,
  request: PersistResultsRequest,
): Promise<PersistOutcome> {
  const result = await readResult(deps, request.input.result.results_key);
  const faces = faceRows(deps.telemetry, result);
  const outcome = await deps.withDatabase((sql) =>
    sql.begin((transaction) => writePhoto(transaction, request, result, faces)),
  );
  report(deps, request, result, outcome);
  return outcome;
}

async function readResult(deps: PersistResultsDeps, key: string): Promise<StoredResult> {
  let body: string;
  try {
    const object = await deps.s3.send(new GetObjectCommand({ Bucket: deps.resultsBucket, Key: key }));
    body = (await object.Body?.transformToString()) ?? '';
  } catch (error) {
    throw s3Error(error, 'ResultNotFound');
  }
  try {
    return v.parse(storedResultSchema, JSON.parse(body)) as unknown as StoredResult;
  } catch (error) {
    // As good as gone: the photo is indexed again, which writes a new one.
    throw new PipelineError('ResultNotFound', `The stored response ${key} cannot be read: ${String(error)}`, {
      cause: error,
    });
  }
}

interface FaceRow {
  rekognition_face_id: string | null;
  bounding_box: unknown;
  confidence: number | null;
  rekognition_response: FaceRecord;
}

function faceRows(telemetry: Telemetry, result: StoredResult): FaceRow[] {
  const seen = new Set<string>();
  const rows: FaceRow[] = [];
  for (const record of result.face_records) {
    const { FaceId: faceId, BoundingBox: boundingBox, Confidence: confidence } = record.Face ?? {};
    if (faceId && seen.has(faceId)) {
      continue;
    }
    if (faceId) {
      seen.add(faceId);
    } else {
      telemetry.logger.warn('Rekognition stored a face without a FaceId', { event: logEvents.faceWithoutId });
    }
    rows.push({
      rekognition_face_id: faceId || null,
      bounding_box: boundingBox ?? null,
      confidence: typeof confidence === 'number' ? confidence : null,
      rekognition_response: record,
    });
  }
  return rows;
}

async function writePhoto(
  sql: Transaction,
  { input, execution_arn }: PersistResultsRequest,
  result: StoredResult,
  faces: FaceRow[],
): Promise<PersistOutcome> {
  const { photo, object } = input;
  const faceIds = faces.flatMap((face) => face.rekognition_face_id ?? []);
  const outcome = (effect: PersistOutcome['effect'], faceCount: number, unindexedCount: number) => ({
    event_id: photo.event_id,
    photo_id: photo.photo_id,
    effect,
    face_count: faceCount,
    unindexed_count: unindexedCount,
  });

  const row = await lockPhoto(sql, photo, object.key);
  if (isSuperseded(row, object)) {
    // This run's faces are in the collection, but no row will ever know them.
    await requestRemoval(sql, result.collection_id, photo.photo_id, faceIds);
    return outcome('superseded', row.face_count ?? 0, row.unindexed_faces?.length ?? 0);
  }
  if (isIndexed(row, object)) {
    return outcome('known', row.face_count ?? 0, row.unindexed_faces?.length ?? 0);
  }

  await registerCollection(sql, photo.event_id, result);
  await retireFaces(sql, photo, faceIds, 'replaced');
  // The same picture can come back after another took its place: its faces are wanted again.
  await sql`
    DELETE FROM face_removals
    WHERE collection_id = ${result.collection_id} AND rekognition_face_id IN (${idList(sql, faceIds)})`;
  await insertFaces(sql, photo.photo_id, faces);
  await sql`
    UPDATE photos SET
      status = 'indexed',
      object_key = ${object.key},
      object_version = ${photoVersion(object)},
      object_sequencer = ${object.sequencer},
      face_count = ${faces.length},
      unindexed_faces = ${sql.json(result.unindexed_faces as never)},
      failure_code = NULL,
      failure_message = NULL,
      failure_retryable = NULL,
      failed_at = NULL,
      execution_arn = ${execution_arn},
      indexed_at = now()
    WHERE id = ${photo.photo_id}`;
  return outcome('stored', faces.length, result.unindexed_faces.length);
}

/** The event's row is shared by all its photos, so it is written only when there is something new to say. */
async function registerCollection(sql: Transaction, eventId: string, result: StoredResult): Promise<void> {
  await sql`
    UPDATE events SET
      rekognition_collection_id = ${result.collection_id},
      face_model_version = coalesce(${result.face_model_version}, face_model_version)
    WHERE id = ${eventId}
      AND (rekognition_collection_id IS DISTINCT FROM ${result.collection_id}
        OR face_model_version IS DISTINCT FROM coalesce(${result.face_model_version}, face_model_version))`;
}

async function insertFaces(sql: Transaction, photoId: string, faces: FaceRow[]): Promise<void> {
  await sql`
    INSERT INTO faces (photo_id, rekognition_face_id, bounding_box, confidence, rekognition_response)
    SELECT ${photoId}, rekognition_face_id, bounding_box, confidence, rekognition_response
    FROM jsonb_to_recordset(${sql.json(faces as never)}) AS face (
      rekognition_face_id text, bounding_box jsonb, confidence real, rekognition_response jsonb)
    ON CONFLICT (photo_id, rekognition_face_id) DO NOTHING`;
}

async function requestRemoval(
  sql: Transaction,
  collectionId: string,
  photoId: string,
  faceIds: string[],
): Promise<void> {
  await sql`
    INSERT INTO face_removals (collection_id, rekognition_face_id, photo_id, reason)
    SELECT ${collectionId}, face_id, ${photoId}, 'superseded'
    FROM (${idList(sql, faceIds)}) AS ids (face_id)
    WHERE NOT EXISTS (SELECT FROM faces WHERE photo_id = ${photoId} AND rekognition_face_id = face_id)
    ON CONFLICT DO NOTHING`;
}

function report(
  { telemetry: { logger, metrics }, now }: PersistResultsDeps,
  { input, started_at }: PersistResultsRequest,
  result: StoredResult,
  outcome: PersistOutcome,
): void {
  const durationMs = Math.max(0, now() - Date.parse(started_at));
  logger.info(
    outcome.effect === 'superseded' ? 'A newer upload is already written' : 'The photo is indexed',
    {
      event: outcome.effect === 'superseded' ? logEvents.superseded : logEvents.succeeded,
      photo_id: outcome.photo_id,
      event_id: outcome.event_id,
      collection_id: result.collection_id,
      effect: outcome.effect,
      face_count: outcome.face_count,
      unindexed_count: outcome.unindexed_count,
      unindexed_reasons: reasons(result),
      duration_ms: durationMs,
      attempt: (input.slot?.throttles ?? 0) + 1,
    },
  );
  if (outcome.effect !== 'stored') {
    return;
  }
  metrics.addMetric(metricNames.photosIndexed, 'Count', 1);
  metrics.addMetric(metricNames.facesIndexed, 'Count', outcome.face_count);
  metrics.addMetric(metricNames.facesUnindexed, 'Count', outcome.unindexed_count);
  metrics.addMetric(metricNames.photosWithoutFaces, 'Count', outcome.face_count === 0 ? 1 : 0);
  metrics.addMetric(metricNames.processingTime, 'Milliseconds', durationMs);
}

/** How often each reason for not indexing a face was given, e.g. `{ SMALL_BOUNDING_BOX: 2 }`. */
function reasons(result: StoredResult): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const reason of result.unindexed_faces.flatMap((face) => face.Reasons ?? [])) {
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}
