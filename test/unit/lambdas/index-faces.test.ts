import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import { indexFaces } from '../../../lambdas/index-faces/index-faces.ts';
import { PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import type { IndexResult } from '../../../lambdas/shared/contract/payloads.ts';
import type { PhotographerCap } from '../../../lambdas/shared/line/photographers.ts';
import type { Slot } from '../../../lambdas/shared/line/rules.ts';
import { awsError, failing, fakeClient } from '../../support/fake-client.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const PHOTO = '9d2c4f60-71d4-4f5e-8a39-0f6f5b8f4c11';
const KEY = `events/${EVENT}/${PHOTO}.jpg`;
const NOW = Date.parse('2026-05-01T10:00:00.250Z');
const RESULT_KEY = `results/${EVENT}/${PHOTO}/etag1.json`;

interface Setup {
  object?: object;
  place?: object;
  photoHead?: () => unknown;
  resultHead?: () => unknown;
  put?: () => unknown;
  once?: (key: string, index: () => Promise<IndexResult>) => Promise<IndexResult>;
  /** What the state holds of an earlier call. */
  result?: IndexResult;
  kept?: 'full' | 'minimal';
  index?: () => unknown;
  takeSlot?: () => Promise<Slot>;
  reportThrottle?: () => Promise<void>;
  photographers?: PhotographerCap;
  followQuota?: () => Promise<void>;
}

const notFound = failing('NotFound', 404);

function setUp(setup: Setup = {}) {
  let now = NOW;
  const stored: Record<string, unknown>[] = [];
  const s3 = fakeClient<S3Client>({
    HeadObject: ({ Bucket }) =>
      Bucket === 'photos'
        ? (setup.photoHead ?? (() => ({ ETag: '"etag1"' })))()
        : (setup.resultHead ?? notFound)(),
    PutObject: (input) => {
      stored.push(input);
      setup.put?.();
      return {};
    },
  });
  let calledAt: number | undefined;
  const rekognition = fakeClient<RekognitionClient>({
    IndexFaces: () => {
      calledAt = now;
      // Rekognition takes its time.
      now += 700;
      return (setup.index ?? (() => ({ FaceRecords: [{ Face: { FaceId: 'f1' } }], UnindexedFaces: [] })))();
    },
  });
  const recording = recordingTelemetry();
  const throttles: Slot[] = [];
  const givenBack: Slot[] = [];
  const keys: string[] = [];
  const run = () =>
    indexFaces(
      {
        rekognition: rekognition.client,
        s3: s3.client,
        telemetry: recording.telemetry,
        resultsBucket: 'results',
        qualityFilter: 'AUTO',
        maxFaces: 100,
        detectionAttributes: ['DEFAULT'],
        rekognitionResponse: setup.kept ?? 'full',
        now: () => now,
        ledger: {
          takeSlot: async ({ placeMs }) => {
            now = placeMs;
            return setup.takeSlot?.() ?? { slotMs: placeMs, intervalMs: 20, cuts: 0, day: 20260501 };
          },
          giveBack: async (slot) => {
            givenBack.push(slot);
          },
          reportThrottle: async (slot) => {
            throttles.push(slot);
            await setup.reportThrottle?.();
          },
        },
        photographers: setup.photographers,
        ...(setup.followQuota && { followQuota: setup.followQuota }),
        once: (key, index) => {
          keys.push(key);
          return (setup.once ?? ((_, work) => work()))(key, index);
        },
      },
      {
        input: {
          lane: 'live',
          bucket: 'photos',
          object: { key: KEY, etag: 'etag1', sequencer: '1', size: 1000, ...setup.object },
          photo: {
            event_id: EVENT,
            photo_id: PHOTO,
            collection_id: `rollcall-${EVENT}`,
            face_model_version: '7.0',
            recreations: 0,
          },
          place: {
            place_ms: NOW + 640,
            wait_until: '2026-05-01T10:00:00Z',
            throttles: 0,
            reindexes: 0,
            ...setup.place,
          },
          ...(setup.result && { result: setup.result }),
        },
        execution_arn: 'arn',
      },
    );
  return { run, s3, rekognition, recording, throttles, givenBack, keys, stored, calledAt: () => calledAt };
}

describe('indexFaces', () => {
  test('calls IndexFaces at the slot’s millisecond and answers with a pointer and counts', async () => {
    const { run, rekognition, stored, calledAt, keys } = setUp();
    await expect(run()).resolves.toEqual({
      results_key: RESULT_KEY,
      face_count: 1,
      unindexed_count: 0,
      called_at: new Date(NOW + 640).toISOString(),
    });
    expect(calledAt()).toBe(NOW + 640);
    expect(keys).toEqual([`photos/${KEY}#etag1`]);
    expect(rekognition.calls).toEqual([
      [
        'IndexFaces',
        {
          CollectionId: `rollcall-${EVENT}`,
          Image: { S3Object: { Bucket: 'photos', Name: KEY } },
          ExternalImageId: PHOTO,
          DetectionAttributes: ['DEFAULT'],
          MaxFaces: 100,
          QualityFilter: 'AUTO',
        },
      ],
    ]);
    expect(stored).toHaveLength(1);
    expect(stored[0]).toMatchObject({
      Bucket: 'results',
      Key: RESULT_KEY,
      Metadata: { 'face-count': '1', 'unindexed-count': '0' },
    });
    expect(JSON.parse(stored[0]?.Body as string)).toMatchObject({
      photo_id: PHOTO,
      event_id: EVENT,
      object_version: 'etag1',
      called_at: new Date(NOW + 640).toISOString(),
      indexed_at: new Date(NOW + 1_340).toISOString(),
      face_records: [{ Face: { FaceId: 'f1' } }],
      unindexed_faces: [],
    });
  });

  test.each([
    ['is gone', notFound, 'InvalidS3Object'],
    ['was replaced', () => ({ ETag: '"etag2"' }), 'PhotoSuperseded'],
  ])('takes no slot for a photo that %s', async (_, photoHead, name) => {
    let slots = 0;
    const { run, rekognition } = setUp({
      photoHead,
      takeSlot: async () => {
        slots++;
        return { slotMs: NOW, intervalMs: 20, cuts: 0, day: 20260501 };
      },
    });
    await expect(run()).rejects.toMatchObject({ name });
    expect([slots, rekognition.calls.length]).toEqual([0, 0]);
  });

  test.each(['full', 'minimal'] as const)('keeps of the response what is configured: %s', async (kept) => {
    const box = { Left: 0.1, Top: 0.2, Width: 0.3, Height: 0.4 };
    const Quality = { Brightness: 50, Sharpness: 60 };
    const more = {
      Landmarks: [{ Type: 'nose', X: 0.2, Y: 0.3 }],
      Pose: { Roll: 1, Yaw: 2, Pitch: 3 },
      AgeRange: { Low: 1 },
    };
    const Face = { FaceId: 'f1', ImageId: 'i1', ExternalImageId: PHOTO, BoundingBox: box, Confidence: 99 };
    const FaceDetail = { BoundingBox: box, Confidence: 99, Quality };
    const { run, stored } = setUp({
      kept,
      index: () => ({
        FaceRecords: [{ Face: { ...Face, UserId: 'u1' }, FaceDetail: { ...FaceDetail, ...more } }],
        UnindexedFaces: [{ Reasons: ['LOW_SHARPNESS'], FaceDetail: { ...FaceDetail, ...more } }],
      }),
    });
    await run();
    const body = JSON.parse(stored[0]?.Body as string);
    const rest = kept === 'full' ? more : {};
    expect(body.face_records).toEqual([
      { Face: kept === 'full' ? { ...Face, UserId: 'u1' } : Face, FaceDetail: { ...FaceDetail, ...rest } },
    ]);
    expect(body.unindexed_faces).toEqual([
      { Reasons: ['LOW_SHARPNESS'], FaceDetail: { ...FaceDetail, ...rest } },
    ]);
  });

  test('names the version where the bucket has versions', async () => {
    const { run, rekognition, s3, keys } = setUp({
      object: { 'version-id': 'v.1' },
      photoHead: () => ({ ETag: '"whatever"' }),
    });
    await expect(run()).resolves.toMatchObject({ results_key: `results/${EVENT}/${PHOTO}/v.1.json` });
    expect(rekognition.calls[0]?.[1]).toMatchObject({ Image: { S3Object: { Version: 'v.1' } } });
    expect(s3.calls).toContainEqual(['HeadObject', { Bucket: 'photos', Key: KEY, VersionId: 'v.1' }]);
    expect(keys).toEqual([`photos/${KEY}#v.1`]);
  });

  test('a version that is not a plain name cannot change the shape of the results key', async () => {
    const { run } = setUp({ object: { 'version-id': '../../x' }, photoHead: () => ({}) });
    await expect(run()).resolves.toMatchObject({
      results_key: expect.stringMatching(new RegExp(`^results/${EVENT}/${PHOTO}/[0-9a-f]{64}\\.json$`)),
    });
  });

  test.each([
    [{ size: 0 }, 'InvalidImageFormat'],
    [{ size: 15 * 1024 * 1024 + 1 }, 'ImageTooLarge'],
  ])('refuses by the event’s size %j alone', async (object, name) => {
    const { run, rekognition, s3 } = setUp({ object });
    await expect(run()).rejects.toMatchObject({ name });
    expect([...s3.calls, ...rekognition.calls]).toEqual([]);
  });

  test('pays nothing for an object that is gone or replaced', async () => {
    const gone = setUp({ photoHead: notFound });
    await expect(gone.run()).rejects.toMatchObject({ name: 'InvalidS3Object' });
    const replaced = setUp({ photoHead: () => ({ ETag: '"etag2"' }) });
    await expect(replaced.run()).rejects.toMatchObject({ name: 'PhotoSuperseded' });
    expect([...gone.rekognition.calls, ...replaced.rekognition.calls]).toEqual([]);
  });

  test('pays nothing for a response that is stored already', async () => {
    const { run, rekognition } = setUp({
      resultHead: () => ({ Metadata: { 'face-count': '4', 'unindexed-count': '1' } }),
    });
    await expect(run()).resolves.toEqual({ results_key: RESULT_KEY, face_count: 4, unindexed_count: 1 });
    expect(rekognition.calls).toEqual([]);
  });

  const LOST = '2026-05-01T09:00:00.000Z';

  test('indexes again after the call whose response was lost', async () => {
    const { run, keys, rekognition, stored } = setUp({
      place: { reindexes: 1 },
      result: { results_key: RESULT_KEY, face_count: 4, unindexed_count: 1, called_at: LOST },
      resultHead: () => ({ Metadata: { 'face-count': '4', 'unindexed-count': '1', 'called-at': LOST } }),
    });
    await expect(run()).resolves.toMatchObject({ face_count: 1 });
    expect(keys).toEqual([`photos/${KEY}#etag1#after ${LOST}`]);
    expect(rekognition.calls).toHaveLength(1);
    expect(stored[0]).toMatchObject({
      Metadata: { 'face-count': '1', 'called-at': new Date(NOW + 640).toISOString() },
    });
  });

  test('finds a response gone that its record tells of: one call for however many executions', async () => {
    const done = new Map<string, Promise<IndexResult>>();
    let head: Record<string, unknown> | undefined;
    const { run, keys, rekognition, stored } = setUp({
      once: (key, index) => {
        const result = done.get(key) ?? index();
        done.set(key, result);
        return result;
      },
      resultHead: () => {
        if (!head) {
          throw awsError('NotFound', 404);
        }
        return head;
      },
      put: () => {
        head = { Metadata: stored.at(-1)?.Metadata };
      },
    });
    await run();
    head = undefined;
    keys.length = 0;
    await Promise.all([run(), run(), run()]);
    expect(rekognition.calls).toHaveLength(2);
    expect(new Set(keys).size).toBe(2);
  });

  test('pays nothing when the response that was asked for again is stored, and its record is not', async () => {
    const { run, rekognition } = setUp({
      place: { reindexes: 2 },
      result: { results_key: RESULT_KEY, face_count: 4, unindexed_count: 1, called_at: LOST },
      resultHead: () => ({ Metadata: { 'face-count': '4', 'unindexed-count': '1', 'called-at': 'later' } }),
    });
    await expect(run()).resolves.toMatchObject({ face_count: 4 });
    expect(rekognition.calls).toEqual([]);
  });

  test.each([
    ['other bytes', { ETag: '"etag2"' }],
    ['the same bytes once more', { ETag: '"etag1"', LastModified: new Date(NOW) }],
  ])('keeps no faces that may be those of %s', async (_, replaced) => {
    let looks = 0;
    const { run, stored } = setUp({
      photoHead: () => (looks++ === 0 ? { ETag: '"etag1"', LastModified: new Date(NOW - 1_000) } : replaced),
    });
    await expect(run()).rejects.toMatchObject({ name: 'PhotoSuperseded' });
    expect(stored).toEqual([]);
  });

  test('keeps what was billed when nobody can look whether the photo is the same', async () => {
    let looks = 0;
    const { run, stored } = setUp({
      photoHead: () => {
        if (looks++ > 0) {
          throw awsError('SlowDown', 503);
        }
        return { ETag: '"etag1"' };
      },
    });
    await run();
    expect(stored).toHaveLength(1);
  });

  test('without a slot nothing is called', async () => {
    const { run, rekognition } = setUp({
      takeSlot: () => Promise.reject(new PipelineError('SlotExpired', 'the next free slot is 5000 ms away')),
    });
    await expect(run()).rejects.toMatchObject({ name: 'SlotExpired' });
    expect(rekognition.calls).toEqual([]);
  });

  test.each(['ProvisionedThroughputExceededException', 'ThrottlingException'])(
    '%s is told to the ledger, with the slot of the call',
    async (thrown) => {
      const { run, throttles, recording } = setUp({
        index: () => {
          throw awsError(thrown);
        },
      });
      await expect(run()).rejects.toMatchObject({ name: 'RekognitionThrottled' });
      expect(throttles).toEqual([{ slotMs: NOW + 640, intervalMs: 20, cuts: 0, day: 20260501 }]);
      expect(recording.total(metricNames.throttles)).toBe(1);
      expect(recording.total(metricNames.rekognitionErrors)).toBe(0);
    },
  );

  test('a ledger that cannot be told does not hide the throttle', async () => {
    const { run } = setUp({
      index: () => {
        throw awsError('ThrottlingException');
      },
      reportThrottle: () => Promise.reject(new Error('no ledger')),
    });
    await expect(run()).rejects.toMatchObject({ name: 'RekognitionThrottled' });
  });

  test.each([
    ['InvalidImageFormatException', 400, 'InvalidImageFormat'],
    ['ImageTooLargeException', 400, 'ImageTooLarge'],
    ['InvalidS3ObjectException', 400, 'InvalidS3Object'],
    ['InvalidParameterException', 400, 'InvalidParameter'],
    ['ResourceNotFoundException', 400, 'CollectionNotFound'],
    ['ServiceQuotaExceededException', 400, 'QuotaExceeded'],
    ['AccessDeniedException', 400, 'AccessDenied'],
    ['InternalServerError', 500, 'RekognitionUnavailable'],
    ['ServiceUnavailable', 503, 'RekognitionUnavailable'],
    ['TimeoutError', 0, 'RekognitionUnavailable'],
  ])('Rekognition’s %s becomes %s', async (thrown, status, name) => {
    const { run, recording } = setUp({
      index: () => {
        throw awsError(thrown, status);
      },
    });
    await expect(run()).rejects.toMatchObject({ name, message: expect.stringContaining(thrown) });
    expect(recording.recorded).toContainEqual({
      name: metricNames.rekognitionErrors,
      value: 1,
      dimensions: { Error: name },
    });
  });

  test('a photo that Rekognition cannot read may be encrypted, and the failure says with which option it can', async () => {
    const { run } = setUp({
      index: () => {
        throw awsError('InvalidS3ObjectException', 400);
      },
    });
    await expect(run()).rejects.toMatchObject({
      name: 'InvalidS3Object',
      message: expect.stringMatching(/InvalidS3ObjectException.*KMS key.*photoBucketKeyArn/),
    });
  });

  test.each([
    ['success', undefined, undefined, 1],
    ['a throttle', 'ThrottlingException', 400, 0],
    ['a refused photo', 'InvalidImageFormatException', 400, 0],
    ['an error of the service', 'InternalServerError', 500, 0],
    ['no answer, which nobody can tell from success', 'TimeoutError', undefined, 1],
  ])('%s counts as billed, or does not', async (_, thrown, status, paid) => {
    const images: string[] = [];
    const { run, recording, givenBack } = setUp({
      photographers: {
        check: async () => undefined,
        take: async (eventId) => {
          images.push(`of ${eventId}`);
          return { id: 'photographer#p', day: 20260501 };
        },
        giveBack: async ({ id }) => {
          images.push(`${id} back`);
        },
      },
      ...(thrown && {
        index: () => {
          throw Object.assign(new Error(thrown), { name: thrown, $metadata: { httpStatusCode: status } });
        },
      }),
    });
    await run().catch(() => {});
    expect(recording.total(metricNames.rekognitionCalls)).toBe(1);
    expect(recording.total(metricNames.imagesBilled)).toBe(paid);
    expect(givenBack).toHaveLength(1 - paid);
    expect(images).toEqual([`of ${EVENT}`, ...(paid ? [] : ['photographer#p back'])]);
  });

  test.each([
    ['photoHead', 'ServiceUnavailable', 503, 'StorageUnavailable'],
    ['photoHead', 'Forbidden', 403, 'AccessDenied'],
    ['resultHead', 'InternalError', 500, 'StorageUnavailable'],
    ['put', 'SlowDown', 503, 'StorageUnavailable'],
    ['put', 'AccessDenied', 403, 'AccessDenied'],
  ])('S3’s trouble at %s (%s) becomes %s', async (where, thrown, status, name) => {
    const { run } = setUp({
      [where]: () => {
        throw awsError(thrown, status);
      },
    });
    await expect(run()).rejects.toMatchObject({ name });
  });
});

describe('records of calls whose responses are gone', () => {
  const answered = (called_at?: string): IndexResult => ({
    results_key: RESULT_KEY,
    face_count: 1,
    unindexed_count: 0,
    ...(called_at && { called_at }),
  });

  test('are followed one after the other, and then it is its own call', async () => {
    const recorded = [answered('first'), answered(undefined)];
    const { run, keys, rekognition } = setUp({
      once: async (_, index) => recorded.shift() ?? index(),
    });
    await expect(run()).resolves.toMatchObject({ face_count: 1 });
    const key = `photos/${KEY}#etag1`;
    expect(keys).toEqual([key, `${key}#after first`, `${key}#after unknown`]);
    expect(rekognition.calls).toHaveLength(1);
  });

  test('are followed twenty times: then the photo comes back', async () => {
    const { run, keys } = setUp({ once: async () => answered('gone') });
    await expect(run()).rejects.toMatchObject({
      name: 'ResultLostTooOften',
      message: 'The responses of 20 calls were lost',
    });
    expect(keys).toHaveLength(20);
  });

  test('a lost call of which nobody knows when it was is another one than that of a response that says so', async () => {
    const lost = setUp({ place: { reindexes: 1 } });
    await lost.run();
    expect(lost.keys).toEqual([`photos/${KEY}#etag1#after unknown`]);
    // Stored without its moment: it is the one that was lost.
    const resultHead = () => ({ Metadata: { 'face-count': '4', 'unindexed-count': '1' } });
    const again = setUp({ place: { reindexes: 1 }, resultHead });
    await again.run();
    expect(again.rekognition.calls).toHaveLength(1);
  });
});

describe('what Rekognition sends', () => {
  const storedOf = async (index: () => unknown, setup: Setup = {}) => {
    const { run, stored } = setUp({ ...setup, index });
    await run();
    return { ...stored[0], Body: JSON.parse(String(stored[0]!.Body)) } as Record<string, unknown> & {
      Body: Record<string, unknown>;
    };
  };

  test('is stored as JSON, under the counts and the moment of the call', async () => {
    const { Body, ...rest } = await storedOf(() => ({ FaceRecords: [{}, {}], UnindexedFaces: [{}] }));
    expect(rest).toEqual({
      Bucket: 'results',
      Key: RESULT_KEY,
      ContentType: 'application/json',
      Metadata: {
        'face-count': '2',
        'unindexed-count': '1',
        'called-at': new Date(NOW + 640).toISOString(),
      },
    });
    expect(Body).toMatchObject({ face_model_version: '7.0', face_records: [{}, {}] });
  });

  test('has the version of the model that it says, or that of the collection', async () => {
    const version = async (FaceModelVersion: unknown) =>
      (await storedOf(() => ({ FaceModelVersion }))).Body.face_model_version;
    expect([await version('6.0'), await version(undefined), await version(8)]).toEqual(['6.0', '7.0', '7.0']);
  });

  test('may be whatever JSON there is: what is no face is none', async () => {
    const { Body } = await storedOf(() => ({ FaceRecords: [{}, null, 'face', 7], UnindexedFaces: 'none' }));
    expect(Body).toMatchObject({ face_records: [{}], unindexed_faces: [] });
  });

  test('that cannot be stored says where', async () => {
    const { run } = setUp({
      put: failing('NoSuchBucket', 404),
    });
    await expect(run()).rejects.toMatchObject({
      name: 'MissingConfiguration',
      message: expect.stringContaining(`PutObject (s3:PutObject) of s3://results/${RESULT_KEY}: `),
    });
  });
});

test('an object of a bucket with versions is looked at by its version, once', async () => {
  const { run, s3 } = setUp({
    object: { 'version-id': 'v1' },
    photoHead: () => ({ ETag: '"another"' }),
  });
  await run();
  const heads = s3.calls.filter(([call, { Bucket }]) => call === 'HeadObject' && Bucket === 'photos');
  expect(heads).toEqual([['HeadObject', { Bucket: 'photos', Key: KEY, VersionId: 'v1' }]]);
});

test('an object without an ETag, or without its moment, is compared as it is', async () => {
  await expect(setUp({ photoHead: () => ({}) }).run()).rejects.toMatchObject({ name: 'PhotoSuperseded' });
  const LastModified = new Date(NOW);
  const heads = [{ ETag: '"etag1"', LastModified }, { ETag: '"etag1"' }];
  await expect(setUp({ photoHead: () => heads.shift() }).run()).rejects.toMatchObject({
    name: 'PhotoSuperseded',
  });
});

test('a throttle is told with the attempt that it was', async () => {
  const { run, recording } = setUp({
    place: { throttles: 2 },
    index: failing('ThrottlingException', 400, 'slow down'),
  });
  await expect(run()).rejects.toMatchObject({ name: 'RekognitionThrottled' });
  expect(recording.lines).toEqual([
    {
      level: 'warn',
      message: 'Rekognition ThrottlingException: slow down (request request-1)',
      event: logEvents.throttled,
      attempt: 3,
    },
  ]);
});

test('the quota is asked for beside the call, and waited for', async () => {
  const order: string[] = [];
  const { run } = setUp({
    index: () => {
      order.push('called');
      return {};
    },
    followQuota: async () => {
      order.push('asked');
      await new Promise((resolve) => setImmediate(resolve));
      order.push('followed');
    },
    put: () => order.push('stored'),
  });
  await run();
  expect(order).toEqual(['asked', 'called', 'followed', 'stored']);
});
