import { randomUUID } from 'node:crypto';
import type { FaceRecord } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import type postgres from 'postgres';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { migrateDatabase } from '../../lambdas/migrate-database/migrate-database.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import { resultsKey, type StoredResult } from '../../lambdas/shared/contract/stored-result.ts';
import { awsError, fakeClient } from '../support/fake-client.ts';
import { MIGRATIONS, useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase('pooled');

const started_at = '2026-05-01T10:00:00.000Z';
const NOW = Date.parse('2026-05-01T10:00:05.000Z');
const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline);

/** One photo of an event of its own, with its uploads and what the pipeline does to them. */
function aPhoto() {
  const eventId = randomUUID();
  const photoId = randomUUID();
  const key = `events/${eventId}/${photoId}.jpg`;
  const photo = { event_id: eventId, photo_id: photoId };
  const collection = `rollcall-${eventId}`;
  const bodies = new Map<string, string>();
  const s3 = fakeClient<S3Client>({
    GetObject: ({ Key }) => {
      const body = bodies.get(Key as string);
      if (body === undefined) {
        throw awsError('NoSuchKey', 404);
      }
      return { Body: { transformToString: async () => body } };
    },
  });
  const recording = recordingTelemetry();
  const upload = (version: string, sequencer: string) => ({ key, etag: version, sequencer, size: 1000 });
  type Upload = ReturnType<typeof upload>;

  const store = (object: Upload, faces: (string | undefined)[], rest: Partial<StoredResult> = {}) => {
    bodies.set(
      resultsKey(photo, object.etag),
      JSON.stringify({
        ...photo,
        collection_id: collection,
        object_version: object.etag,
        indexed_at: started_at,
        face_model_version: '7.0',
        face_records: faces.map(
          (FaceId): FaceRecord => ({
            Face: {
              ...(FaceId && { FaceId }),
              Confidence: 99.5,
              BoundingBox: { Left: 0.1, Top: 0.1, Width: 0.2, Height: 0.2 },
            },
          }),
        ),
        unindexed_faces: [],
        ...rest,
      } satisfies StoredResult),
    );
  };
  const persist = (object: Upload) =>
    persistResults(
      {
        s3: s3.client,
        telemetry: recording.telemetry,
        resultsBucket: 'results',
        withDatabase,
        now: () => NOW,
      },
      {
        input: {
          lane: 'live',
          bucket: 'photos',
          object,
          photo: { ...photo, collection_id: collection, face_model_version: '7.0', recreations: 0 },
          result: { results_key: resultsKey(photo, object.etag), face_count: 0, unindexed_count: 0 },
        },
        execution_arn: `arn:${object.etag}`,
        started_at,
      },
    );
  const fail = (object: Upload, name = 'InvalidImageFormat') =>
    markFailed(
      { telemetry: recording.telemetry, withDatabase, now: () => NOW },
      {
        input: {
          lane: 'live',
          bucket: 'photos',
          object,
          failure: { Error: name, Cause: JSON.stringify({ errorType: name, errorMessage: 'because' }) },
        },
        execution_arn: `arn:${object.etag}`,
        started_at,
      },
    );
  const row = async () => (await database.admin`SELECT * FROM photos WHERE id = ${photoId}`)[0];
  const faces = async () =>
    (
      await database.admin`SELECT rekognition_face_id AS id FROM faces WHERE photo_id = ${photoId} ORDER BY 1`
    ).map(({ id }) => id);
  const removals = async () =>
    (
      await database.admin`SELECT rekognition_face_id AS id FROM face_removals WHERE photo_id = ${photoId} ORDER BY 1`
    ).map(({ id }) => id);
  return { ...photo, key, collection, bodies, recording, upload, store, persist, fail, row, faces, removals };
}

describe('persistResults', () => {
  test('a face that was seen and not indexed is told as a warning, with its reason; all else is not', async () => {
    const levelOf = async (faces: string[], unindexed: StoredResult['unindexed_faces'], again = false) => {
      const photo = aPhoto();
      const object = photo.upload('v1', '0A');
      photo.store(object, faces, { unindexed_faces: unindexed });
      await photo.persist(object);
      if (again) {
        await photo.persist(object);
      }
      return photo.recording.lines.at(-1);
    };
    const blurred = { Reasons: ['LOW_SHARPNESS' as const] };
    await expect(levelOf(['u1'], [blurred, blurred])).resolves.toMatchObject({
      level: 'warn',
      event: 'face_index.succeeded',
      unindexed_count: 2,
      unindexed_reasons: { LOW_SHARPNESS: 2 },
    });
    await expect(levelOf(['u2'], [])).resolves.toMatchObject({ level: 'info' });
    // It was told before.
    await expect(levelOf(['u3'], [blurred], true)).resolves.toMatchObject({ level: 'info', effect: 'known' });
  });

  test('writes event, photo and faces', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '0A');
    photo.store(v1, ['f1', 'f2'], { unindexed_faces: [{ Reasons: ['LOW_SHARPNESS'] }] });
    await expect(photo.persist(v1)).resolves.toEqual({
      event_id: photo.event_id,
      photo_id: photo.photo_id,
      effect: 'stored',
      face_count: 2,
      unindexed_count: 1,
      erasure_requested: false,
    });
    await expect(photo.row()).resolves.toMatchObject({
      event_id: photo.event_id,
      object_key: photo.key,
      object_version: 'v1',
      status: 'indexed',
      face_count: 2,
      unindexed_faces: [{ Reasons: ['LOW_SHARPNESS'] }],
      failure_code: null,
      execution_arn: 'arn:v1',
    });
    const faces = await database.admin`SELECT * FROM faces WHERE photo_id = ${photo.photo_id}`;
    expect(faces[0]).toMatchObject({
      bounding_box: { Left: 0.1, Top: 0.1, Width: 0.2, Height: 0.2 },
      confidence: 99.5,
      rekognition_response: { Face: { Confidence: 99.5 } },
    });
    const [event] = await database.admin`SELECT * FROM events WHERE id = ${photo.event_id}`;
    expect(event).toMatchObject({ rekognition_collection_id: photo.collection, face_model_version: '7.0' });
    expect(
      Object.fromEntries(
        photo.recording.recorded.map(({ name, value, dimensions }) => [name, [value, dimensions]]),
      ),
    ).toEqual({
      [metricNames.photosIndexed]: [1, {}],
      [metricNames.facesIndexed]: [2, {}],
      [metricNames.facesUnindexed]: [1, {}],
      [metricNames.photosWithoutFaces]: [0, {}],
      [metricNames.processingTime]: [5_000, {}],
    });
    expect(photo.recording.lines.at(-1)).toMatchObject({
      event: 'face_index.succeeded',
      face_count: 2,
      duration_ms: 5000,
      unindexed_reasons: { LOW_SHARPNESS: 1 },
    });
  });

  test('a photo without faces is indexed', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '0A');
    photo.store(v1, []);
    await photo.persist(v1);
    await expect(photo.row()).resolves.toMatchObject({ status: 'indexed', face_count: 0 });
    expect(photo.recording.total(metricNames.photosWithoutFaces)).toBe(1);
  });

  test('ten times at once and again later, the faces are there once', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '0A');
    photo.store(v1, ['f1', undefined]);
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => photo.persist(v1)));
    expect(outcomes.filter(({ effect }) => effect === 'stored')).toHaveLength(1);
    expect(outcomes.filter(({ effect }) => effect === 'known')).toHaveLength(9);
    await expect(photo.faces()).resolves.toEqual(['f1', null]);
    expect(photo.recording.total(metricNames.photosIndexed)).toBe(1);
  });

  test('keeps the row that the platform wrote first', async () => {
    const photo = aPhoto();
    await database.admin`INSERT INTO events (id, name) VALUES (${photo.event_id}, 'Wedding')`;
    await database.admin`
      INSERT INTO photos (id, event_id, object_key) VALUES (${photo.photo_id}, ${photo.event_id}, ${photo.key})`;
    const v1 = photo.upload('v1', '0A');
    photo.store(v1, ['f1']);
    await photo.persist(v1);
    const [event] = await database.admin`SELECT * FROM events WHERE id = ${photo.event_id}`;
    expect(event).toMatchObject({ name: 'Wedding', rekognition_collection_id: photo.collection });
  });

  test('a newer upload replaces the faces, and the old ones are to leave the collection', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '0FF');
    const v2 = photo.upload('v2', '1');
    photo.store(v1, ['f1', 'shared']);
    photo.store(v2, ['shared', 'f2', 'f3']);
    await photo.persist(v1);
    await expect(photo.persist(v2)).resolves.toMatchObject({ effect: 'stored' });
    await expect(photo.faces()).resolves.toEqual(['f2', 'f3', 'shared']);
    await expect(photo.removals()).resolves.toEqual(['f1']);

    // The old event, delivered late, changes nothing.
    await expect(photo.persist(v1)).resolves.toMatchObject({ effect: 'superseded', face_count: 3 });
    await expect(photo.faces()).resolves.toEqual(['f2', 'f3', 'shared']);
    await expect(photo.removals()).resolves.toEqual(['f1']);
    await expect(photo.row()).resolves.toMatchObject({ object_version: 'v2', face_count: 3 });
  });

  test('an old upload that is indexed after a newer one leaves no face behind', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '0FF');
    const v2 = photo.upload('v2', '1');
    photo.store(v1, ['f1']);
    photo.store(v2, ['f2']);
    await photo.persist(v2);
    await photo.persist(v1);
    await expect(photo.faces()).resolves.toEqual(['f2']);
    await expect(photo.removals()).resolves.toEqual(['f1']);
  });

  test('the same picture, back after another took its place, waits until its old faces are gone', async () => {
    const photo = aPhoto();
    photo.store(photo.upload('v1', '1'), ['f1']);
    photo.store(photo.upload('v2', '2'), ['f2']);
    await photo.persist(photo.upload('v1', '1'));
    await expect(photo.persist(photo.upload('v2', '2'))).resolves.toMatchObject({ erasure_requested: true });
    await expect(photo.persist(photo.upload('v1', '3'))).rejects.toMatchObject({ name: 'FacesBeingErased' });
    await expect(photo.faces()).resolves.toEqual(['f2']);
    await expect(photo.removals()).resolves.toEqual(['f1']);
  });

  test('stores a face without FaceId, and one of several with the same', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '1');
    photo.store(v1, ['f1', undefined, 'f1', undefined]);
    await photo.persist(v1);
    await expect(photo.faces()).resolves.toEqual(['f1', null, null]);
    expect(photo.recording.lines.filter(({ event }) => event === 'face_index.face_without_id')).toHaveLength(
      2,
    );
  });

  test('a response that is gone or unreadable asks for a new one', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '1');
    await expect(photo.persist(v1)).rejects.toMatchObject({ name: 'ResultNotFound' });
    for (const body of ['', '{"face_records": [', 'null', '[]', '{}']) {
      photo.bodies.set(resultsKey(photo, 'v1'), body);
      await expect(photo.persist(v1)).rejects.toMatchObject({ name: 'ResultNotFound' });
    }
    await expect(photo.row()).resolves.toBeUndefined();
  });
});

describe('markFailed', () => {
  test('registers the photo as failed, with code, message and whether a retry can help', async () => {
    const photo = aPhoto();
    await expect(photo.fail(photo.upload('v1', '1'))).resolves.toMatchObject({ effect: 'written' });
    await expect(photo.row()).resolves.toMatchObject({
      status: 'failed',
      failure_code: 'InvalidImageFormat',
      failure_message: 'because',
      failure_retryable: false,
      object_version: 'v1',
    });
    expect(photo.recording.recorded).toContainEqual({
      name: metricNames.photosFailed,
      value: 1,
      dimensions: { Class: 'photo' },
    });
  });

  test('a late failure never overwrites indexed, nor a newer upload', async () => {
    const photo = aPhoto();
    const v2 = photo.upload('v2', '1');
    photo.store(v2, ['f2']);
    await photo.persist(v2);
    await expect(photo.fail(v2, 'States.Timeout')).resolves.toMatchObject({ effect: 'indexed' });
    await expect(photo.fail(photo.upload('v1', '0FF'))).resolves.toMatchObject({ effect: 'superseded' });
    await expect(photo.row()).resolves.toMatchObject({
      status: 'indexed',
      face_count: 1,
      failure_code: null,
    });
    expect(photo.recording.total(metricNames.photosFailed)).toBe(0);
  });

  test('a failed photo that succeeds later is indexed, with no trace of the failure', async () => {
    const photo = aPhoto();
    const v1 = photo.upload('v1', '1');
    await photo.fail(v1, 'RekognitionUnavailable');
    await expect(photo.row()).resolves.toMatchObject({ failure_retryable: true });
    photo.store(v1, ['f1']);
    await photo.persist(v1);
    await expect(photo.row()).resolves.toMatchObject({
      status: 'indexed',
      failure_code: null,
      failure_retryable: null,
      failed_at: null,
    });
  });

  test('a newer upload that cannot be indexed retires the faces of the picture it replaced', async () => {
    const photo = aPhoto();
    photo.store(photo.upload('v1', '1'), ['f1']);
    await photo.persist(photo.upload('v1', '1'));
    await photo.fail(photo.upload('v2', '2'));
    await expect(photo.row()).resolves.toMatchObject({ status: 'failed', face_count: null });
    await expect(photo.faces()).resolves.toEqual([]);
    await expect(photo.removals()).resolves.toEqual(['f1']);
  });
});

describe('migrateDatabase', () => {
  // Deployments at once, on a database that has nothing yet, are in pooler.test.ts.
  test('a second run applies nothing', async () => {
    await expect(migrateDatabase(database.connectAs('rollcall_migrator'), MIGRATIONS)).resolves.toEqual([]);
  });
});
