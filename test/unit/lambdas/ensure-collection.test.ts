import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import { ensureCollection } from '../../../lambdas/ensure-collection/ensure-collection.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import { parsePhotoKey } from '../../../lambdas/shared/contract/photo-key.ts';
import { failing, fakeClient } from '../../support/fake-client.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const KEY = `events/${EVENT}/IMG 1.jpg`;
const photo = {
  event_id: EVENT,
  photo_id: parsePhotoKey(KEY).photoId,
  collection_id: `rollcall-${EVENT}`,
  face_model_version: '7.0',
  recreations: 0,
};

function setUp(handlers: Record<string, () => unknown>) {
  const rekognition = fakeClient<RekognitionClient>(handlers);
  const recording = recordingTelemetry();
  const remembered: string[] = [];
  const run = (state: object = {}) =>
    ensureCollection(
      {
        rekognition: rekognition.client,
        telemetry: recording.telemetry,
        collectionPrefix: 'rollcall-',
        once: (eventId, create) => {
          remembered.push(eventId);
          return create();
        },
      },
      {
        input: {
          lane: 'live',
          bucket: 'photos',
          object: { key: KEY, etag: 'e1', sequencer: '1' },
          ...state,
        },
        execution_arn: 'arn',
        max_recreations: 3,
      },
    );
  return { run, rekognition, recording, remembered };
}

const lost = { Error: 'CollectionNotFound', Cause: '' };

describe('ensureCollection', () => {
  test('creates the collection of the event in the key, once an event', async () => {
    const { run, rekognition, recording, remembered } = setUp({
      CreateCollection: () => ({ FaceModelVersion: '7.0' }),
    });
    await expect(run()).resolves.toEqual(photo);
    expect(rekognition.calls).toEqual([['CreateCollection', { CollectionId: `rollcall-${EVENT}` }]]);
    expect(remembered).toEqual([EVENT]);
    expect(recording.total(metricNames.collectionsCreated)).toBe(1);
    expect(recording.lines).toEqual([
      {
        level: 'info',
        message: 'Created the collection',
        event: logEvents.collectionCreated,
        collection_id: `rollcall-${EVENT}`,
      },
    ]);
    expect(recording.keys).toEqual({ event_id: EVENT, photo_id: photo.photo_id });
  });

  test('a collection that exists is success, and not counted as created', async () => {
    const { run, recording } = setUp({
      CreateCollection: failing('ResourceAlreadyExistsException'),
      DescribeCollection: () => ({ FaceModelVersion: '6.0' }),
    });
    await expect(run()).resolves.toEqual({ ...photo, face_model_version: '6.0' });
    expect(recording.recorded).toEqual([]);
  });

  test('a collection that IndexFaces did not find is created past the record of its creation', async () => {
    const { run, remembered } = setUp({ CreateCollection: () => ({ FaceModelVersion: '7.0' }) });
    await expect(run({ photo, returned: lost })).resolves.toEqual({ ...photo, recreations: 1 });
    expect(remembered).toEqual([]);
  });

  test('gives up when the collection vanishes again and again', async () => {
    const last = setUp({ CreateCollection: () => ({ FaceModelVersion: '7.0' }) });
    await expect(last.run({ photo: { ...photo, recreations: 2 }, returned: lost })).resolves.toMatchObject({
      recreations: 3,
    });
    const { run, rekognition } = setUp({});
    await expect(run({ photo: { ...photo, recreations: 3 }, returned: lost })).rejects.toMatchObject({
      name: 'CollectionLostTooOften',
    });
    expect(rekognition.calls).toEqual([]);
  });

  test.each([
    ['an empty file', { size: 0 }, 'InvalidImageFormat', /0 bytes/],
    ['a file that is too large', { size: 15 * 1024 * 1024 + 1 }, 'ImageTooLarge', /15728641 bytes/],
    ['a film', { key: `events/${EVENT}/clip.MP4` }, 'InvalidImageFormat', /\.mp4.*JPEG and PNG/],
  ])('%s makes no collection and no record', async (_, more, name, message) => {
    const { run, rekognition, remembered } = setUp({});
    const object = { key: KEY, etag: 'e1', sequencer: '1', ...more };
    await expect(run({ object })).rejects.toMatchObject({ name, message: expect.stringMatching(message) });
    expect([rekognition.calls, remembered]).toEqual([[], []]);
  });

  test('a key that is not a photo’s is told before what is wrong with the file: it has no row', async () => {
    const { run } = setUp({});
    await expect(run({ object: { key: 'clip.mp4', etag: 'e1', size: 0 } })).rejects.toMatchObject({
      name: 'InvalidPhotoKey',
    });
  });

  test.each([
    ['ThrottlingException', 'RekognitionThrottled'],
    ['ProvisionedThroughputExceededException', 'RekognitionThrottled'],
    ['AccessDeniedException', 'AccessDenied'],
    ['LimitExceededException', 'QuotaExceeded'],
    ['InternalServerError', 'RekognitionUnavailable'],
    ['TimeoutError', 'RekognitionUnavailable'],
  ])('%s becomes %s, with the original name and request id', async (thrown, name) => {
    const { run, recording } = setUp({
      CreateCollection: failing(thrown),
    });
    await expect(run()).rejects.toMatchObject({
      name,
      message: expect.stringMatching(new RegExp(`${thrown}.*request-1`)),
    });
    expect(recording.total(metricNames.collectionErrors)).toBe(name === 'RekognitionThrottled' ? 0 : 1);
  });

  test('what else goes wrong with describing keeps its name', async () => {
    const { run } = setUp({
      CreateCollection: failing('ResourceAlreadyExistsException'),
      DescribeCollection: failing('AccessDeniedException'),
    });
    await expect(run()).rejects.toMatchObject({ name: 'AccessDenied' });
  });

  test('a collection deleted between creating and describing is a moment’s trouble', async () => {
    const { run } = setUp({
      CreateCollection: failing('ResourceAlreadyExistsException'),
      DescribeCollection: failing('ResourceNotFoundException'),
    });
    await expect(run()).rejects.toMatchObject({ name: 'RekognitionUnavailable' });
  });
});
