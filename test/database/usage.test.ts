import { randomUUID } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import type postgres from 'postgres';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import type { Answers } from '../../lambdas/answer-operator/questions.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { IMAGE_USD } from '../../lambdas/shared/contract/prices.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import { recordPaidImage } from '../../lambdas/shared/photos/usage.ts';
import { fakeClient } from '../support/fake-client.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();

const NOON = Date.parse('2026-05-01T12:00:00Z');
const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline);

interface Call {
  eventId: string;
  photoId: string;
  /** Both the object's ETag and its place in the order of uploads. */
  version: number;
  calledMs?: number;
  faces?: number;
}

/** What persist-results does with the stored response of one billed call. */
async function persist({ eventId, photoId, version, calledMs = NOON, faces = 1 }: Call) {
  const photo = { event_id: eventId, photo_id: photoId };
  const calledAt = new Date(calledMs).toISOString();
  const body = JSON.stringify({
    ...photo,
    collection_id: `rollcall-${eventId}`,
    object_version: `v${version}`,
    called_at: calledAt,
    indexed_at: calledAt,
    face_model_version: '7.0',
    face_records: Array.from({ length: faces }, () => ({ Face: { FaceId: randomUUID() } })),
    unindexed_faces: [],
  });
  return persistResults(
    {
      s3: fakeClient<S3Client>({ GetObject: () => ({ Body: { transformToString: async () => body } }) })
        .client,
      telemetry: recordingTelemetry().telemetry,
      resultsBucket: 'results',
      withDatabase,
      now: () => calledMs,
    },
    {
      input: {
        lane: 'live',
        bucket: 'photos',
        object: {
          key: `events/${eventId}/${photoId}.jpg`,
          etag: `v${version}`,
          sequencer: version.toString(16),
        },
        photo: { ...photo, collection_id: `rollcall-${eventId}`, face_model_version: '7.0', recreations: 0 },
        result: { results_key: resultsKey(photo, `v${version}`), face_count: faces, unindexed_count: 0 },
      },
      execution_arn: 'arn',
      started_at: calledAt,
    },
  );
}

interface UsageRow {
  event_id: string;
  photographer_id: string | null;
  day: string;
  images: number;
  faces: number;
  usd: number;
}

function usageOf(eventId: string): Promise<UsageRow[]> {
  return database.pipeline<UsageRow[]>`
    SELECT event_id, photographer_id, day::text, images, faces, estimated_usd::float8 AS usd
    FROM usage WHERE event_id = ${eventId} ORDER BY day`;
}

test('adds up images, faces and dollars by event, photographer and UTC day', async () => {
  const [eventId, photographer] = [randomUUID(), randomUUID()];
  await database.admin`INSERT INTO events (id, photographer_id) VALUES (${eventId}, ${photographer})`;
  const last = NOON + 12 * 3_600_000 - 1;
  for (const [calledMs, faces] of [
    [NOON, 3],
    [last, 0],
    [last + 1, 4],
  ] as const) {
    await persist({ eventId, photoId: randomUUID(), version: 1, calledMs, faces });
  }
  const row = { event_id: eventId, photographer_id: photographer };
  await expect(usageOf(eventId)).resolves.toEqual([
    { ...row, day: '2026-05-01', images: 2, faces: 3, usd: 2 * IMAGE_USD },
    { ...row, day: '2026-05-02', images: 1, faces: 4, usd: IMAGE_USD },
  ]);
});

test('a call is one row, whoever tells of it; another moment is another call', async () => {
  const [event_id, photo_id] = [randomUUID(), randomUUID()];
  await database.admin`INSERT INTO events (id) VALUES (${event_id})`;
  for (const calledMs of [NOON, NOON, NOON + 1]) {
    await database.pipeline.begin((sql) => recordPaidImage(sql, { event_id, photo_id, calledMs, faces: 2 }));
  }
  await expect(usageOf(event_id)).resolves.toEqual([
    { event_id, photographer_id: null, day: '2026-05-01', images: 2, faces: 4, usd: 2 * IMAGE_USD },
  ]);
});

test('an event that comes again, ten times at once, is billed once', async () => {
  const call = { eventId: randomUUID(), photoId: randomUUID(), version: 1 };
  await Promise.all(Array.from({ length: 10 }, () => persist(call)));
  await persist(call);
  await expect(usageOf(call.eventId)).resolves.toMatchObject([{ images: 1, faces: 1 }]);
});

test('an upload that a newer one overtook was billed too', async () => {
  const photo = { eventId: randomUUID(), photoId: randomUUID() };
  await persist({ ...photo, version: 2, calledMs: NOON + 1 });
  await expect(persist({ ...photo, version: 1 })).resolves.toMatchObject({ effect: 'superseded' });
  await expect(usageOf(photo.eventId)).resolves.toMatchObject([{ images: 2 }]);
});

test('a photo indexed again for a lost response was billed twice', async () => {
  const photo = { eventId: randomUUID(), photoId: randomUUID(), version: 1 };
  await persist(photo);
  await expect(persist({ ...photo, calledMs: NOON + 60_000 })).resolves.toMatchObject({ effect: 'known' });
  await expect(usageOf(photo.eventId)).resolves.toMatchObject([{ images: 2 }]);
});

test('a response that came before an erasure was billed, though it is not stored', async () => {
  const photo = { eventId: randomUUID(), photoId: randomUUID(), version: 1 };
  await database.admin`
    INSERT INTO events (id, faces_erased_at) VALUES (${photo.eventId}, ${new Date(NOON + 1_000)})`;
  await expect(persist(photo)).rejects.toMatchObject({ name: 'ResultNotFound' });
  await persist({ ...photo, calledMs: NOON + 2_000 });
  await expect(usageOf(photo.eventId)).resolves.toMatchObject([{ images: 2 }]);
});

test('an event that gets its photographer later has cost that photographer from the start', async () => {
  const [eventId, photographer] = [randomUUID(), randomUUID()];
  await persist({ eventId, photoId: randomUUID(), version: 1 });
  await expect(usageOf(eventId)).resolves.toMatchObject([{ photographer_id: null }]);
  await database.admin`UPDATE events SET photographer_id = ${photographer} WHERE id = ${eventId}`;
  await persist({ eventId, photoId: randomUUID(), version: 1 });
  await expect(usageOf(eventId)).resolves.toMatchObject([{ photographer_id: photographer, images: 2 }]);
});

test('whatever order calls and repetitions come in, each call is counted once', async () => {
  const call = fc.record({
    photo: fc.nat(2),
    version: fc.integer({ min: 1, max: 3 }),
    second: fc.nat(5),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), async (calls) => {
      const eventId = randomUUID();
      const photos = [randomUUID(), randomUUID(), randomUUID()];
      for (const { photo, version, second } of calls) {
        await persist({ eventId, photoId: photos[photo]!, version, calledMs: NOON + second * 1_000 });
      }
      const distinct = new Set(calls.map(({ photo, second }) => `${photo} ${second}`));
      await expect(usageOf(eventId)).resolves.toMatchObject([{ images: distinct.size }]);
    }),
    { numRuns: 20 },
  );
}, 30_000);

test('the operator is told what was billed by event, photographer and day', async () => {
  const photographer = randomUUID();
  const [small, large] = [randomUUID(), randomUUID()];
  await database.admin`INSERT INTO events (id, photographer_id, name) VALUES (${small}, ${photographer}, 'Small'), (${large}, ${photographer}, NULL)`;
  const day = Date.UTC(2031, 0, 1);
  for (const [eventId, calledMs] of [
    [small, day],
    [large, day],
    [large, day + 24 * 3_600_000],
  ] as const) {
    await persist({ eventId, photoId: randomUUID(), version: 1, calledMs, faces: 2 });
  }
  const asked = async (by: 'event' | 'photographer' | 'day', since = '2031-01-01') =>
    (await answerOperator(
      { telemetry: recordingTelemetry().telemetry, withDatabase },
      { ask: 'usage', by, since },
    )) as Answers['usage'];
  const one = { images: 1, faces: 2, estimated_usd: IMAGE_USD };
  const two = { images: 2, faces: 4, estimated_usd: 2 * IMAGE_USD };
  const total = { images: 3, faces: 6, estimated_usd: 3 * IMAGE_USD };
  await expect(asked('event')).resolves.toEqual({
    rows: [
      { key: large, name: null, ...two },
      { key: small, name: 'Small', ...one },
    ],
    total,
  });
  await expect(asked('photographer')).resolves.toEqual({
    rows: [{ key: photographer, name: null, ...total }],
    total,
  });
  await expect(asked('day')).resolves.toEqual({
    rows: [
      { key: '2031-01-01', name: null, ...two },
      { key: '2031-01-02', name: null, ...one },
    ],
    total,
  });
  await expect(asked('day', '2031-01-02')).resolves.toMatchObject({ total: one });
  await expect(asked('day', '2032-01-01')).resolves.toEqual({
    rows: [],
    total: { images: 0, faces: 0, estimated_usd: 0 },
  });
});

test('the pipeline can neither change nor take back what was billed', async () => {
  await expect(database.pipeline`UPDATE paid_images SET estimated_usd = 0`).rejects.toMatchObject({
    code: '42501',
  });
  await expect(database.pipeline`DELETE FROM paid_images`).rejects.toMatchObject({ code: '42501' });
});
