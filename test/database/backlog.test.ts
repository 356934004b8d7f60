import { randomUUID } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import type postgres from 'postgres';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { logEvents } from '../../lambdas/shared/contract/names.ts';
import type { ExecutionInput, ListedObject } from '../../lambdas/shared/contract/payloads.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import { sequencerAfter } from '../../lambdas/shared/photos/standing.ts';
import { skipIndexed } from '../../lambdas/skip-indexed/skip-indexed.ts';
import { fakeClient } from '../support/fake-client.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();

const recording = recordingTelemetry();
const { telemetry } = recording;
const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline);
const deps = { telemetry, withDatabase, now: Date.now };

/** An event with its objects, and what becomes of their executions. */
function anEvent() {
  const eventId = randomUUID();
  const uploaded = Math.floor(Date.now() / 1000) - 60;
  const listed = (key: string, etag = 'v1'): ListedObject => ({
    Key: key,
    Etag: `"${etag}"`,
    Size: 1000,
    LastModified: uploaded,
  });
  const look = (...Items: ListedObject[]) =>
    skipIndexed({ telemetry, withDatabase }, { Items, BatchInput: { bucket: 'photos' } });
  const ids = (key: string) => ({ event_id: eventId, photo_id: key.split('/').pop()!.replace('.jpg', '') });
  const run = { execution_arn: 'arn', started_at: new Date().toISOString() };
  const event_time = new Date(uploaded * 1000).toISOString();

  const index = (input: Omit<ExecutionInput, 'event_time'>, faces: string[] = ['f']) => {
    const photo = ids(input.object.key);
    const faceIds = faces.map((face) => `${photo.photo_id}-${face}`);
    const s3 = fakeClient<S3Client>({
      GetObject: () => ({
        Body: {
          transformToString: async () =>
            JSON.stringify({
              collection_id: `rollcall-${eventId}`,
              called_at: new Date().toISOString(),
              indexed_at: new Date().toISOString(),
              face_model_version: '7.0',
              face_records: faceIds.map((FaceId) => ({ Face: { FaceId } })),
              unindexed_faces: [],
            }),
        },
      }),
    });
    return persistResults(
      { s3: s3.client, telemetry, resultsBucket: 'results', withDatabase, now: Date.now },
      {
        input: {
          event_time,
          ...input,
          photo: {
            ...photo,
            collection_id: `rollcall-${eventId}`,
            face_model_version: '7.0',
            recreations: 0,
          },
          result: { results_key: resultsKey(photo, input.object.etag), face_count: 1, unindexed_count: 0 },
        },
        ...run,
      },
    );
  };
  const fail = (input: ExecutionInput, error: string) =>
    markFailed(deps, { input: { ...input, failure: { Error: error, Cause: '' } }, ...run });
  const live = (key: string, etag: string, sequencer: string): ExecutionInput => ({
    lane: 'live',
    bucket: 'photos',
    object: { key, etag, sequencer, size: 1000 },
    event_time,
  });
  const newKey = () => `events/${eventId}/${randomUUID()}.jpg`;
  const row = async (key: string) =>
    (await database.admin`SELECT * FROM photos WHERE id = ${ids(key).photo_id}`)[0];
  return { eventId, listed, look, index, fail, live, newKey, row };
}

test('leaves what was never seen, what failed for the moment, and what was replaced; nothing else', async () => {
  const event = anEvent();
  const [unseen, indexed, replaced, passing, permanent] = Array.from({ length: 5 }, event.newKey) as string[];
  await event.index(event.live(indexed!, 'v1', '0A'));
  await event.index(event.live(replaced!, 'v0', '0A'));
  await event.fail(event.live(passing!, 'v1', '0B'), 'DatabaseUnavailable');
  await event.fail(event.live(permanent!, 'v1', '0C'), 'InvalidImageFormat');
  const backlog = await event.look(
    ...[unseen, indexed, replaced, passing, permanent, `events/${event.eventId}/`, 'holiday.jpg'].map((key) =>
      event.listed(key!),
    ),
  );
  expect(backlog.skipped).toEqual({ indexed: 1, permanently_failed: 1, invalid_key: 2 });
  expect(backlog.photos.map(({ object }) => [object.key, object.sequencer])).toEqual([
    // No row says anything about the order of its uploads.
    [unseen, '0'],
    // Later than the version that is stored.
    [replaced, sequencerAfter('0A')],
    // The upload that the row is about.
    [passing, '0B'],
  ]);
  expect(backlog.photos[0]).toMatchObject({
    lane: 'backfill',
    bucket: 'photos',
    object: { etag: 'v1', size: 1000 },
  });
});

test('a version that the row is about is looked at once: indexed by backfill it is not left again', async () => {
  const event = anEvent();
  const key = event.newKey();
  for (const etag of ['v1', 'v2', 'v3']) {
    const { photos } = await event.look(event.listed(key, etag));
    expect(photos).toHaveLength(1);
    await expect(event.index(photos[0]!)).resolves.toMatchObject({ effect: 'stored' });
    await expect(event.look(event.listed(key, etag))).resolves.toMatchObject({
      photos: [],
      skipped: { indexed: 1 },
    });
  }
});

test('backfill never overtakes an upload: the event that comes late for the same version finds it known', async () => {
  const event = anEvent();
  const key = event.newKey();
  await event.index(event.live(key, 'v1', '0A'));
  const { photos } = await event.look(event.listed(key, 'v2'));
  await event.index(photos[0]!);
  await expect(event.index(event.live(key, 'v2', '1F'))).resolves.toMatchObject({ effect: 'known' });
  await expect(event.index(event.live(key, 'v1', '0A'))).resolves.toMatchObject({ effect: 'superseded' });
  await expect(event.index(event.live(key, 'v3', '2F'))).resolves.toMatchObject({ effect: 'stored' });
  await expect(event.row(key)).resolves.toMatchObject({ object_version: 'v3', object_sequencer: '2F' });
});

test('a photo that the platform registered, and nothing more, is left', async () => {
  const event = anEvent();
  const key = event.newKey();
  await database.admin`INSERT INTO events (id) VALUES (${event.eventId})`;
  await database.admin`
    INSERT INTO photos (id, event_id, object_key)
    VALUES (${key.slice(-40, -4)}, ${event.eventId}, ${key})`;
  await expect(event.look(event.listed(key))).resolves.toMatchObject({ photos: [{ object: { key } }] });
});

test('a copy of a photo under another key is not indexed; other bytes are, and told that the id is taken', async () => {
  const event = anEvent();
  const key = event.newKey();
  await event.index(event.live(key, 'v1', '0A'));
  const other = key.replace(/jpg$/, 'JPG');
  await expect(event.look(event.listed(other, 'v1'))).resolves.toMatchObject({
    photos: [],
    skipped: { other_object: 1 },
  });
  await expect(event.look(event.listed(other, 'v9'))).resolves.toMatchObject({ photos: [{}], skipped: {} });
  await event.fail(event.live(other, 'v9', '03'), 'PhotoIdTaken');
  await expect(event.look(event.listed(other, 'v9'))).resolves.toMatchObject({
    photos: [],
    skipped: { permanently_failed: 1 },
  });
});

test('an event whose faces were erased stays erased, but for what was uploaded since', async () => {
  const event = anEvent();
  const key = event.newKey();
  await database.admin`
    INSERT INTO events (id, erasure_requested_at) VALUES (${event.eventId}, now() - interval '30 seconds')`;
  await expect(event.look(event.listed(key))).resolves.toMatchObject({ photos: [], skipped: { erased: 1 } });
  const later = { ...event.listed(key), LastModified: Math.ceil(Date.now() / 1000) };
  await expect(event.look(later)).resolves.toMatchObject({ photos: [{ object: { key } }] });
});

test('where the bucket has versions, the version is what counts', async () => {
  const event = anEvent();
  const key = event.newKey();
  const input = event.live(key, 'e1', '0A');
  await event.index({ ...input, object: { ...input.object, 'version-id': 'id-1' } });
  const look = (version: string | undefined) =>
    skipIndexed(
      { telemetry, withDatabase, currentVersion: async () => version },
      { Items: [event.listed(key, 'e1')], BatchInput: { bucket: 'photos' } },
    );
  await expect(look('id-1')).resolves.toMatchObject({ photos: [], skipped: { indexed: 1 } });
  await expect(look('id-2')).resolves.toMatchObject({
    photos: [{ object: { 'version-id': 'id-2', etag: 'e1', sequencer: sequencerAfter('0A') } }],
  });
});

test('versions are looked up ten at a time', async () => {
  const event = anEvent();
  const items = Array.from({ length: 25 }, () => event.listed(event.newKey()));
  const asked: string[] = [];
  let [atOnce, most] = [0, 0];
  const { photos } = await skipIndexed(
    {
      telemetry,
      withDatabase,
      async currentVersion(bucket, key) {
        asked.push(`${bucket} ${key}`);
        most = Math.max(most, ++atOnce);
        await new Promise(setImmediate);
        atOnce--;
        return `version of ${key}`;
      },
    },
    { Items: items, BatchInput: { bucket: 'photos' } },
  );
  expect(most).toBe(10);
  expect(asked).toEqual(items.map(({ Key }) => `photos ${Key}`));
  expect(photos.map(({ object }) => object['version-id'])).toEqual(
    items.map(({ Key }) => `version of ${Key}`),
  );
});

test('what was found is told in a line', async () => {
  const event = anEvent();
  recording.lines.length = 0;
  await event.look(event.listed(event.newKey()), event.listed('holiday.jpg'), event.listed(event.newKey()));
  expect(recording.lines).toEqual([
    {
      level: 'info',
      message: expect.any(String),
      event: logEvents.backlogRead,
      left: 2,
      skipped: { invalid_key: 1 },
    },
  ]);
});

test('a thousand objects are one question', async () => {
  const event = anEvent();
  let questions = 0;
  const items = Array.from({ length: 1000 }, () => event.listed(event.newKey()));
  const backlog = await skipIndexed(
    {
      telemetry,
      withDatabase: (work) => {
        questions++;
        return work(database.pipeline);
      },
    },
    { Items: items, BatchInput: { bucket: 'photos' } },
  );
  expect(backlog.photos).toHaveLength(1000);
  expect(questions).toBe(1);
});
