import type { FaceRecord } from '@aws-sdk/client-rekognition';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import * as v from 'valibot';
import { PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  type PersistOutcome,
  type PersistResultsRequest,
  photoVersion,
} from '../shared/contract/payloads.ts';
import { parsePhotoKey } from '../shared/contract/photo-key.ts';
import { storableJson, storableReal } from '../shared/contract/storable.ts';
import type { StoredResult } from '../shared/contract/stored-result.ts';
import type { Sql } from '../shared/database/connection.ts';
import {
  type ErasedFace,
  type EventState,
  erasedFacesOf,
  hasOpenErasure,
  isBeingErased,
  type LateResult,
  lastSearch,
  lockEvent,
  noteErasedBytes,
  readEventState,
  removeLate,
  replaceVersion,
  retireResult,
} from '../shared/erasure/outbox.ts';
import {
  lockRows,
  moveFence,
  type ObjectState,
  type PhotoRow,
  type Transaction,
  takenMessage,
  writeErased,
  writeIndexed,
  writeTaken,
} from '../shared/photos/rows.ts';
import { needsRow, type Standing, standingOfUpload } from '../shared/photos/standing.ts';
import { type PaidImage, recordPaidImage } from '../shared/photos/usage.ts';
import { isSameFace } from '../shared/rekognition/bounding-box.ts';
import { s3Error } from '../shared/runtime/aws-errors.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

/** A Rekognition face id has 36; an index of PostgreSQL takes some 2,700 bytes. */
const MAX_FACE_ID_LENGTH = 255;

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
  face_records: v.array(v.looseObject({ Face: v.fallback(v.looseObject({}), {}) })),
  unindexed_faces: v.array(v.looseObject({})),
});

/**
 * Writes a photo and its faces in one transaction, unless `photos/standing.ts` rules that it changes nothing: because this
 * upload, a newer one or the photo's deletion is already written, or the faces of its event were erased since.
 *
 * @throws PipelineError `ResultNotFound`, `FacesBeingErased` and, once the erasure was started for it,
 *   `FacesStillBeingErased`, `PhotoIdTaken`, `StorageUnavailable`, `AccessDenied` and the errors of `withDatabase`
 */
export async function persistResults(
  deps: PersistResultsDeps,
  request: PersistResultsRequest,
): Promise<PersistOutcome> {
  const stored = await readResult(deps, request.input.result.results_key);
  const faces = stored instanceof PipelineError ? [] : faceRows(deps.telemetry, stored);
  const outcome = await deps.withDatabase((sql) => persist(sql, request, stored, faces));
  report(deps, request, stored, outcome);
  return outcome;
}

/** Whatever becomes of a response, it was billed. */
async function persist(
  sql: Sql,
  request: PersistResultsRequest,
  stored: StoredResult | PipelineError,
  faces: FaceRow[],
): Promise<PersistOutcome> {
  const { event_id, photo_id } = request.input.photo;
  let paid: PaidImage | undefined;
  if (!(stored instanceof PipelineError)) {
    const calledMs = calledAt(stored) || Date.parse(request.started_at);
    paid = { event_id, photo_id, calledMs, faces: faces.length };
  }
  const outcome = await sql
    .begin(async (transaction) => {
      const written = await writePhoto(transaction, request, stored, faces);
      if (paid) {
        await recordPaidImage(transaction, paid);
      }
      return written;
    })
    .catch(async (error: unknown) => {
      // The photo is indexed again, and the next response takes this one's place: nobody would count it later.
      if (paid && error instanceof PipelineError && error.name === 'ResultNotFound') {
        const lost = paid;
        await sql.begin((transaction) => recordPaidImage(transaction, lost));
      }
      throw error;
    });
  if (outcome === 'taken') {
    throw new PipelineError('PhotoIdTaken', takenMessage(photo_id));
  }
  return outcome;
}

/** The response, or the error that it is not there: a photo that needs none of it can do without. */
async function readResult(deps: PersistResultsDeps, key: string): Promise<StoredResult | PipelineError> {
  let body: string;
  try {
    const object = await deps.s3.send(new GetObjectCommand({ Bucket: deps.resultsBucket, Key: key }));
    body = (await object.Body?.transformToString()) ?? '';
  } catch (error) {
    const renamed = s3Error(
      error,
      { operation: 'GetObject', bucket: deps.resultsBucket, key },
      'ResultNotFound',
    );
    if (renamed.name === 'ResultNotFound') {
      return renamed;
    }
    throw renamed;
  }
  try {
    return v.parse(storedResultSchema, storableJson(JSON.parse(body))) as unknown as StoredResult;
  } catch (error) {
    // As good as gone: the photo is indexed again, which writes a new one.
    return new PipelineError(
      'ResultNotFound',
      `The stored response ${key} cannot be read: ${String(error)}`,
      {
        cause: error,
      },
    );
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
    const { FaceId, BoundingBox: boundingBox, Confidence: confidence } = record.Face ?? {};
    const faceId = typeof FaceId === 'string' && FaceId.length <= MAX_FACE_ID_LENGTH ? FaceId : undefined;
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
      confidence: storableReal(confidence),
      rekognition_response: record,
    });
  }
  return rows;
}

async function writePhoto(
  sql: Transaction,
  request: PersistResultsRequest,
  stored: StoredResult | PipelineError,
  faces: FaceRow[],
): Promise<PersistOutcome | 'taken'> {
  const { input, started_at } = request;
  const { event_id } = input.photo;
  const object = {
    key: input.object.key,
    version: photoVersion(input.object),
    sequencer: input.object.sequencer,
  };
  await lockEvent(sql, event_id, 'shared');
  const key = parsePhotoKey(object.key);
  const uploadedAt = new Date(input.event_time ?? started_at);
  const upload = { event_id, ...object, uploadedAt };
  const rows = await lockRows(sql, key, object.key, (found) => needsRow(found, upload));
  const event = await readEventState(sql, event_id);
  const { standing, row } = standingOfUpload(rows, upload, event);
  if (standing === 'taken') {
    await writeTaken(sql, key, rows, object, request.execution_arn);
    if (!(stored instanceof PipelineError)) {
      await retireResult(sql, input.photo, lateResult(request, stored, faces), { always: true });
    }
    return 'taken';
  }
  if (standing === 'waits') {
    throw beingErased(request);
  }
  if (standing === 'current') {
    return store(sql, request, stored, { row: rows.photo!, event, object, uploadedAt, faces });
  }
  return withoutEffect(sql, request, stored, { row: rows[row], standing, object, faces });
}

function outcomeOf(
  { input: { photo } }: PersistResultsRequest,
  effect: PersistOutcome['effect'],
  counts: { faces: number; unindexed: number },
  erasure_requested: boolean,
): PersistOutcome {
  return {
    event_id: photo.event_id,
    photo_id: photo.photo_id,
    effect,
    face_count: counts.faces,
    unindexed_count: counts.unindexed,
    erasure_requested,
  };
}

/** A response that the row has no use for: what it alone names leaves the collection again. */
async function withoutEffect(
  sql: Transaction,
  request: PersistResultsRequest,
  stored: StoredResult | PipelineError,
  found: {
    row: PhotoRow | undefined;
    standing: Exclude<Standing, 'taken' | 'waits' | 'current'>;
    object: ObjectState;
    faces: FaceRow[];
  },
): Promise<PersistOutcome> {
  const { row, standing, object, faces } = found;
  const isGone = standing === 'deleted' || standing === 'erased';
  const { photo } = request.input;
  if (!(stored instanceof PipelineError)) {
    // Of responses only that of the row's version is needed once more.
    const isOfOther = standing === 'superseded' && row?.object_version !== object.version;
    await retireResult(sql, photo, lateResult(request, stored, faces), { always: isGone || isOfOther });
  }
  // By this execution or by an attempt whose answer was lost: that somebody has begun it is not known.
  const requested = await hasOpenErasure(sql, photo.event_id, [photo.photo_id]);
  if (row && standing === 'erased') {
    await writeErased(sql, row, object, request.execution_arn);
  } else if (row && (standing === 'known' || standing === 'copy')) {
    await moveFence(sql, row, object);
  }
  const counts = isGone
    ? { faces: 0, unindexed: 0 }
    : { faces: row?.face_count ?? 0, unindexed: row?.unindexed_faces?.length ?? 0 };
  return outcomeOf(request, standing, counts, requested);
}

async function store(
  sql: Transaction,
  request: PersistResultsRequest,
  stored: StoredResult | PipelineError,
  found: { row: PhotoRow; event: EventState; object: ObjectState; uploadedAt: Date; faces: FaceRow[] },
): Promise<PersistOutcome> {
  const { row, event, object, uploadedAt, faces } = found;
  const { execution_arn, input } = request;
  const { photo } = input;
  // Before the response is missed: the erasure may just be deleting it, and what is asked for now it would delete too.
  const asked = { collection_id: photo.collection_id, face_ids: faceIdsOf(faces) };
  if (await isBeingErased(sql, photo, asked)) {
    throw beingErased(request);
  }
  if (stored instanceof PipelineError) {
    throw stored;
  }
  const erased = await erasedFacesOf(sql, photo);
  const searched = await lastSearch(sql, photo);
  if (calledAt(stored) < lastErasure(row, event, erased, searched)) {
    throw new PipelineError('ResultNotFound', 'The stored response is older than an erasure of its faces');
  }

  await registerCollection(sql, photo.event_id, stored);
  const { kept, unwanted } = withoutErased(faces, erased, { etag: input.object.etag, uploadedAt });
  let requested = await replaceVersion(sql, photo, row, {
    version: object.version,
    keep: faceIdsOf(kept),
    execution_arn,
  });
  if (unwanted.length > 0) {
    await removeLate(sql, photo, lateResult(request, stored, unwanted));
    await noteErasedBytes(sql, photo, input.object.etag, uploadedAt);
    requested = true;
  }
  await insertFaces(sql, photo.photo_id, kept);
  await writeIndexed(sql, row, object, {
    etag: input.object.etag,
    faceCount: kept.length,
    unindexedFaces: stored.unindexed_faces,
    executionArn: execution_arn,
  });
  const counts = { faces: kept.length, unindexed: stored.unindexed_faces.length };
  return outcomeOf(request, 'stored', counts, requested);
}

/**
 * The first time nobody may be at work on the erasure, so the state machine starts one; after that it only waits.
 */
function beingErased({ input }: PersistResultsRequest): PipelineError {
  const isStarted = input.returned?.Error === 'FacesBeingErased';
  return new PipelineError(
    isStarted ? 'FacesStillBeingErased' : 'FacesBeingErased',
    'Faces of this photo, or of its whole event, are just being erased',
  );
}

/** Rekognition names the faces it has: asked before an erasure was through, it may have named some that are gone. */
function lastErasure(
  row: PhotoRow,
  event: EventState,
  erased: readonly ErasedFace[],
  searched: Date | null,
): number {
  const moments = [
    row.faces_erased_at,
    event.facesErasedAt,
    searched,
    ...erased.map(({ erased_at }) => erased_at),
  ];
  return Math.max(...moments.map(Number));
}

/** A face that a person had erased stays so, until other bytes are uploaded under the photo's name. */
function withoutErased(
  faces: readonly FaceRow[],
  erased: readonly ErasedFace[],
  upload: { etag: string; uploadedAt: Date },
): { kept: FaceRow[]; unwanted: FaceRow[] } {
  const boxes = erased
    .filter(({ etag, requested_at }) => etag === upload.etag || upload.uploadedAt < requested_at)
    .map(({ bounding_box }) => bounding_box);
  // One face for each that was erased: faces may overlap.
  const kept = new Set(faces);
  for (const box of boxes) {
    const same = [...kept].find((face) => isSameFace(box, face.bounding_box));
    if (same) {
      kept.delete(same);
    }
  }
  return { kept: [...kept], unwanted: faces.filter((face) => !kept.has(face)) };
}

function faceIdsOf(faces: readonly FaceRow[]): string[] {
  return faces.flatMap((face) => face.rekognition_face_id ?? []);
}

/** This run's faces, which are in the collection, if no row will ever know them. */
function lateResult(
  { input, execution_arn }: PersistResultsRequest,
  { collection_id }: StoredResult,
  faces: readonly FaceRow[],
): LateResult {
  const { results_key } = input.result;
  return { collection_id, face_ids: faceIdsOf(faces), results_key, execution_arn };
}

/** Milliseconds since the epoch; 0 where the response does not say. */
function calledAt({ called_at, indexed_at }: StoredResult): number {
  return Date.parse(called_at ?? indexed_at) || 0;
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

async function insertFaces(sql: Transaction, photoId: string, faces: readonly FaceRow[]): Promise<void> {
  await sql`
    INSERT INTO faces (photo_id, rekognition_face_id, bounding_box, confidence, rekognition_response)
    SELECT ${photoId}, rekognition_face_id, bounding_box, confidence, rekognition_response
    FROM jsonb_to_recordset(${sql.json(faces as never)}) AS face (
      rekognition_face_id text, bounding_box jsonb, confidence real, rekognition_response jsonb)
    ON CONFLICT (photo_id, rekognition_face_id) DO NOTHING`;
}

const outcomeLines: Record<PersistOutcome['effect'], { message: string; event: string }> = {
  stored: { message: 'The photo is indexed', event: logEvents.succeeded },
  known: { message: 'The photo was indexed before', event: logEvents.succeeded },
  copy: { message: 'The same bytes are indexed under another key of the photo', event: logEvents.succeeded },
  superseded: { message: 'A newer upload is already written', event: logEvents.superseded },
  deleted: { message: 'The photo is deleted: its faces are erased', event: logEvents.superseded },
  erased: { message: "The event's faces were erased since the upload", event: logEvents.superseded },
};

function report(
  { telemetry: { logger, metrics }, now }: PersistResultsDeps,
  { input, started_at }: PersistResultsRequest,
  stored: StoredResult | PipelineError,
  outcome: PersistOutcome,
): void {
  const durationMs = Math.max(0, now() - Date.parse(started_at));
  const { message, event } = outcomeLines[outcome.effect];
  // Somebody may be missing from the search: that is to be seen at every log level.
  const isPart = outcome.effect === 'stored' && outcome.unindexed_count > 0;
  logger[isPart ? 'warn' : 'info'](isPart ? 'The photo is indexed, without some of its faces' : message, {
    event,
    photo_id: outcome.photo_id,
    event_id: outcome.event_id,
    collection_id: input.photo.collection_id,
    effect: outcome.effect,
    face_count: outcome.face_count,
    unindexed_count: outcome.unindexed_count,
    ...(!(stored instanceof PipelineError) && { unindexed_reasons: reasons(stored) }),
    duration_ms: durationMs,
    attempt: (input.place?.throttles ?? 0) + 1,
  });
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
  const counts = new Map<string, number>();
  for (const reason of result.unindexed_faces.flatMap((face) => face.Reasons ?? [])) {
    if (typeof reason === 'string') {
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
  }
  return Object.fromEntries(counts);
}
