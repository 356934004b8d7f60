import { randomUUID } from 'node:crypto';
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import type postgres from 'postgres';
import { confirmErasure } from '../../lambdas/confirm-erasure/confirm-erasure.ts';
import { listErasures } from '../../lambdas/list-erasures/list-erasures.ts';
import { markEnded } from '../../lambdas/mark-failed/mark-ended.ts';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { type RemoveFacesDeps, removeFaces } from '../../lambdas/remove-faces/remove-faces.ts';
import { requestErasure } from '../../lambdas/request-erasure/request-erasure.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { resultsKey, type StoredResult } from '../../lambdas/shared/contract/stored-result.ts';
import {
  confirmErasureRequestSchema,
  listErasuresRequestSchema,
  removeFacesRequestSchema,
  requestErasureRequestSchema,
} from '../../lambdas/shared/erasure/contract.ts';
import { runEraseFaces } from './erasure-machine.ts';
import { awsError, fakeClient } from './fake-client.ts';
import type { TestDatabase } from './postgres.ts';
import { recordingTelemetry } from './recording-telemetry.ts';

export const FACE_RETENTION_DAYS = 30;

/** Side by side, none over another. */
export function boxNumber(i: number) {
  return { Left: (i % 50) / 50, Top: Math.floor(i / 50) / 50, Width: 0.02, Height: 0.02 };
}

/** Rekognition's collections and the results bucket in memory, beside a real PostgreSQL; the cores on top. */
export function erasureWorld(database: TestDatabase) {
  const { pipeline } = database;
  const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(pipeline);
  /** Face id -> ExternalImageId, by collection. */
  const collections = new Map<string, Map<string, string>>();
  const bucket = new Map<string, string>();
  /** What the next calls throw, by operation. */
  const failures: Record<string, Error[]> = {};
  /** Faces that are associated with a user, which Rekognition does not delete. */
  const associated = new Set<string>();

  const collection = (id: unknown) => {
    const found = collections.get(id as string);
    if (!found) {
      throw awsError('ResourceNotFoundException');
    }
    return found;
  };
  const failing =
    (operation: string, work: (input: never) => unknown) => (input: Record<string, unknown>) => {
      const failure = failures[operation]?.shift();
      if (failure) {
        throw failure;
      }
      return work(input as never);
    };
  const rekognition = fakeClient<RekognitionClient>({
    DeleteCollection: failing('DeleteCollection', ({ CollectionId }: { CollectionId: string }) => {
      collection(CollectionId);
      collections.delete(CollectionId);
      return {};
    }),
    DeleteFaces: failing(
      'DeleteFaces',
      ({ CollectionId, FaceIds }: { CollectionId: string; FaceIds: string[] }) => {
        if (FaceIds.length === 0 || FaceIds.length > 4096) {
          throw awsError('InvalidParameterException');
        }
        const faces = collection(CollectionId);
        const unsuccessful = FaceIds.flatMap((FaceId) =>
          associated.has(FaceId)
            ? { FaceId, Reasons: ['ASSOCIATED_TO_AN_EXISTING_USER'] }
            : faces.delete(FaceId)
              ? []
              : { FaceId, Reasons: ['FACE_NOT_FOUND'] },
        );
        return { UnsuccessfulFaceDeletions: unsuccessful };
      },
    ),
    ListFaces: failing(
      'ListFaces',
      (input: { CollectionId: string; MaxResults: number; FaceIds?: string[]; NextToken?: string }) => {
        const ids = [...collection(input.CollectionId)]
          .filter(([faceId]) => input.FaceIds?.includes(faceId) ?? true)
          .sort();
        const from = Number(input.NextToken ?? 0);
        const to = from + input.MaxResults;
        return {
          Faces: ids.slice(from, to).map(([FaceId, ExternalImageId]) => ({ FaceId, ExternalImageId })),
          ...(to < ids.length && { NextToken: String(to) }),
        };
      },
    ),
  });
  const s3 = fakeClient<S3Client>({
    GetObject: failing('GetObject', ({ Key }: { Key: string }) => {
      const body = bucket.get(Key);
      if (body === undefined) {
        throw awsError('NoSuchKey', 404);
      }
      return { Body: { transformToString: async () => body } };
    }),
    ListObjectsV2: failing('ListObjectsV2', ({ Prefix, MaxKeys }: { Prefix: string; MaxKeys: number }) => {
      const keys = [...bucket.keys()].filter((key) => key.startsWith(Prefix)).sort();
      return {
        Contents: keys.slice(0, MaxKeys).map((Key) => ({ Key })),
        IsTruncated: keys.length > MaxKeys,
      };
    }),
    DeleteObjects: failing('DeleteObjects', ({ Delete }: { Delete: { Objects: { Key: string }[] } }) => {
      for (const { Key } of Delete.Objects) {
        bucket.delete(Key);
      }
      return {};
    }),
  });

  const recording = recordingTelemetry();
  const { telemetry } = recording;
  const removeDeps: RemoveFacesDeps = {
    rekognition: rekognition.client,
    s3: s3.client,
    telemetry,
    resultsBucket: 'results',
    pace: async () => {},
    now: Date.now,
  };
  const collectionPrefix = 'rollcall-';
  const tasks = {
    RequestErasure: (request: object) =>
      requestErasure(
        {
          telemetry,
          withDatabase,
          collectionPrefix,
          faceRetentionDays: FACE_RETENTION_DAYS,
          searchRetentionDays: FACE_RETENTION_DAYS,
        },
        parseRequest(requestErasureRequestSchema, request),
      ),
    ListErasures: (request: object) =>
      listErasures({ withDatabase, collectionPrefix }, parseRequest(listErasuresRequestSchema, request)),
    RemoveFaces: (request: object) =>
      removeFaces(removeDeps, parseRequest(removeFacesRequestSchema, request).batch),
    ConfirmErasure: (request: object) =>
      confirmErasure(
        { telemetry, withDatabase, now: Date.now },
        parseRequest(confirmErasureRequestSchema, request),
      ),
  };

  /** Indexes a photo as the pipeline does: faces in the collection, the response in the bucket, rows in the database. */
  async function index(
    photo: { event_id: string; photo_id: string },
    upload: { version: string; sequencer: string; event_time?: string; called_at?: string; key?: string },
    faces: number | string[],
  ) {
    const object = {
      key: upload.key ?? `events/${photo.event_id}/${photo.photo_id}.jpg`,
      etag: upload.version,
      sequencer: upload.sequencer,
      size: 1000,
    };
    const collectionId = `${collectionPrefix}${photo.event_id}`;
    const faceIds = typeof faces === 'number' ? Array.from({ length: faces }, () => randomUUID()) : faces;
    const members = collections.get(collectionId) ?? new Map<string, string>();
    collections.set(collectionId, members);
    for (const faceId of faceIds) {
      members.set(faceId, photo.photo_id);
    }
    const called_at = upload.called_at ?? new Date().toISOString();
    const results_key = resultsKey(photo, upload.version);
    bucket.set(
      results_key,
      JSON.stringify({
        ...photo,
        collection_id: collectionId,
        object_version: upload.version,
        called_at,
        indexed_at: called_at,
        face_model_version: '7.0',
        face_records: faceIds.map((FaceId, i) => ({
          Face: { FaceId, Confidence: 99, BoundingBox: boxNumber(i) },
        })),
        unindexed_faces: [],
      } satisfies StoredResult),
    );
    return { faceIds, object, results_key, persist: () => persist(photo, object, upload.event_time) };
  }

  function persist(
    photo: { event_id: string; photo_id: string },
    object: { key: string; etag: string; sequencer: string },
    event_time?: string,
  ) {
    return persistResults(
      { s3: s3.client, telemetry, resultsBucket: 'results', withDatabase, now: Date.now },
      {
        input: {
          lane: 'live',
          bucket: 'photos',
          object,
          ...(event_time && { event_time }),
          photo: {
            ...photo,
            collection_id: `${collectionPrefix}${photo.event_id}`,
            face_model_version: '7.0',
            recreations: 0,
          },
          result: { results_key: resultsKey(photo, object.etag), face_count: 0, unindexed_count: 0 },
        },
        execution_arn: `arn:${object.etag}:${object.sequencer}`,
        started_at: new Date().toISOString(),
      },
    );
  }

  type Upload = Awaited<ReturnType<typeof index>>['object'];

  /** What the state machine's Catch does with a photo that failed. */
  function fail(object: Upload, name: string) {
    const failure = { Error: name, Cause: JSON.stringify({ errorType: name, errorMessage: 'because' }) };
    return markFailed(
      { telemetry, withDatabase, now: Date.now },
      {
        input: { lane: 'live', bucket: 'photos', object, failure },
        execution_arn: 'arn:failed',
        started_at: new Date().toISOString(),
      },
    );
  }

  /** What the last resort does with an execution that ended without its photo having an end. */
  function end(object: Upload, status: 'FAILED' | 'TIMED_OUT' | 'ABORTED', event_time?: string) {
    const input = JSON.stringify({ lane: 'live', bucket: 'photos', object, event_time });
    const detail = { executionArn: 'arn:ended', status, startDate: Date.now(), input };
    return markEnded({ telemetry, withDatabase, now: Date.now }, [
      { messageId: 'message', body: JSON.stringify({ detail }) },
    ]);
  }

  /** An event with photos of so many faces each, all indexed. */
  async function event(...faceCounts: number[]) {
    const eventId = randomUUID();
    const photos = await Promise.all(
      faceCounts.map(async (faces) => {
        const photo = { event_id: eventId, photo_id: randomUUID() };
        const { persist: store, ...indexed } = await index(photo, { version: 'v1', sequencer: '10' }, faces);
        await store();
        return { ...photo, ...indexed };
      }),
    );
    return { eventId, collectionId: `${collectionPrefix}${eventId}`, photos };
  }

  /** What the three places hold of an event, or of one photo of it. */
  async function traces(eventId: string, photoId?: string) {
    const { admin } = database;
    const ofPhoto = photoId ? admin`AND photos.id = ${photoId}` : admin``;
    const [rows] = await admin`
      SELECT count(*)::int AS faces FROM faces JOIN photos ON photos.id = photo_id
      WHERE event_id = ${eventId} ${ofPhoto}`;
    const [outbox] = await admin`
      SELECT (SELECT count(*)::int FROM face_removals JOIN erasures ON erasures.id = erasure_id
              WHERE event_id = ${eventId}) AS faces,
             (SELECT count(*)::int FROM result_removals JOIN erasures ON erasures.id = erasure_id
              WHERE event_id = ${eventId}) AS results`;
    const members = [...(collections.get(`${collectionPrefix}${eventId}`) ?? [])];
    return {
      listed: members.filter(([, photo]) => photoId === undefined || photo === photoId).length,
      rows: rows!.faces as number,
      outbox: (outbox!.faces + outbox!.results) as number,
      results: [...bucket.keys()].filter((key) => key.startsWith(`results/${eventId}/${photoId ?? ''}`))
        .length,
    };
  }

  const receipts = (eventId: string) => database.admin`
    SELECT * FROM erasures WHERE event_id = ${eventId} ORDER BY requested_at`;

  const photoRow = async (photoId: string) =>
    (await database.admin`SELECT * FROM photos WHERE id = ${photoId}`)[0]!;

  return {
    pipeline,
    collections,
    bucket,
    failures,
    associated,
    rekognition,
    s3,
    recording,
    tasks,
    index,
    persist,
    event,
    fail,
    end,
    traces,
    receipts,
    photoRow,
    erase: (input: object, options?: Parameters<typeof runEraseFaces>[2]) =>
      runEraseFaces(input, tasks, options),
  };
}
