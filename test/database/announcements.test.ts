/** Rows of photos that were just uploaded, on a real PostgreSQL. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { announcePhotos } from '../../lambdas/announce-photos/announce-photos.ts';
import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import { logEvents, metricNames } from '../../lambdas/shared/contract/names.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { databaseError } from '../../lambdas/shared/database/errors.ts';
import type { EventOwners } from '../../lambdas/shared/line/photographers.ts';
import { erasureWorld } from '../support/erasure-world.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { waitsForLock } from '../support/waiting.ts';

const database = useTestDatabase('pooled');
let world: ReturnType<typeof erasureWorld>;
beforeAll(() => {
  world = erasureWorld(database);
});

function announcer(failures: (Error | undefined)[] = [], owners?: EventOwners) {
  const recording = recordingTelemetry();
  let connections = 0;
  const withDatabase = async <Result>(work: (sql: postgres.Sql) => Promise<Result>): Promise<Result> => {
    const failure = failures[connections++];
    if (failure) {
      throw failure;
    }
    return work(database.pipeline).catch((error: unknown) => {
      throw databaseError(error);
    });
  };
  const announce = (...inputs: unknown[]) =>
    announcePhotos(
      { telemetry: recording.telemetry, withDatabase, owners },
      inputs.map((input, i) => ({
        messageId: `m${i}`,
        body: typeof input === 'string' ? input : JSON.stringify(input),
      })),
    );
  return { recording, announce, connections: () => connections };
}

let sequencers = 0x10;
/** What the upload rule sends. */
const uploadOf = (key: string, rest: object = {}) => ({
  lane: 'live',
  bucket: 'photos',
  object: { key, size: 1_000, etag: 'A', sequencer: (++sequencers).toString(16).toUpperCase(), ...rest },
  event_time: new Date().toISOString(),
});
const aPhoto = () => {
  const event_id = randomUUID();
  const photo_id = randomUUID();
  return { event_id, photo_id, key: `events/${event_id}/${photo_id}.jpg` };
};
const rowsOf = (eventId: string) =>
  database.admin`SELECT * FROM photos WHERE event_id = ${eventId} ORDER BY object_key`;
const DONE = { batchItemFailures: [] };

test('a batch of uploads: a processing row for each photo, in one transaction an event', async () => {
  const { announce, connections, recording } = announcer();
  const events = [randomUUID(), randomUUID()];
  const uploads = events.flatMap((event) =>
    Array.from({ length: 50 }, (_, i) => uploadOf(`events/${event}/IMG ${i}.jpg`)),
  );
  await expect(announce(...uploads)).resolves.toEqual(DONE);
  expect(connections()).toBe(2);
  for (const event of events) {
    const rows = await rowsOf(event);
    expect(rows).toHaveLength(50);
    expect(rows[0]).toMatchObject({
      id: parsePhotoKey(`events/${event}/IMG 0.jpg`).photoId,
      status: 'processing',
      object_key: `events/${event}/IMG 0.jpg`,
      object_version: null,
      object_sequencer: null,
      execution_arn: null,
    });
  }
  expect(recording.lines).toEqual([
    expect.objectContaining({ level: 'info', event: logEvents.photosAnnounced, photos: 100, messages: 100 }),
  ]);
  // As a queue delivers: again, in another order. Nothing new is nothing to tell.
  await expect(announce(...uploads.toReversed())).resolves.toEqual(DONE);
  await expect(rowsOf(events[0]!)).resolves.toHaveLength(50);
  expect(recording.lines).toHaveLength(1);
});

test('what is not a photo of an event has no row, and holds up nobody', async () => {
  const { announce } = announcer();
  const photo = aPhoto();
  const batch = [
    uploadOf('lost/IMG_1.jpg'),
    uploadOf(`events/${photo.event_id}/no-extension`),
    'no JSON',
    { lane: 'live' },
    uploadOf(photo.key),
  ];
  await expect(announce(...batch)).resolves.toEqual(DONE);
  await expect(rowsOf(photo.event_id)).resolves.toHaveLength(1);
});

describe('a row that is there stays as it is', () => {
  test.each<[string, (photo: ReturnType<typeof aPhoto>) => Promise<unknown>]>([
    ['indexed', async (photo) => (await world.index(photo, { version: 'A', sequencer: '01' }, 2)).persist()],
    [
      'failed',
      (photo) => world.fail({ key: photo.key, etag: 'A', sequencer: '01', size: 0 }, 'InvalidImageFormat'),
    ],
    [
      'deleted',
      async (photo) => {
        await (await world.index(photo, { version: 'A', sequencer: '01' }, 1)).persist();
        await world.erase(
          { request: 'photo_deleted', object: { key: photo.key, sequencer: '02' } },
          {
            executionArn: 'arn:deleted',
          },
        );
      },
    ],
    [
      'erased',
      async (photo) => {
        await (await world.index(photo, { version: 'A', sequencer: '01' }, 1)).persist();
        await world.erase({ request: 'event', event_id: photo.event_id }, { executionArn: 'arn:erased' });
      },
    ],
    [
      'processing',
      (photo) => database.admin`
        WITH event AS (INSERT INTO events (id) VALUES (${photo.event_id}))
        INSERT INTO photos (id, event_id, object_key, created_at)
        VALUES (${photo.photo_id}, ${photo.event_id}, 'of the platform', '2026-01-01')`,
    ],
  ])('%s', async (status, make) => {
    const photo = aPhoto();
    await make(photo);
    const before = await rowsOf(photo.event_id);
    expect(before).toMatchObject([{ status }]);
    const { announce } = announcer();
    // Earlier, the same, and later.
    for (const [etag, sequencer] of [
      ['0', '00'],
      ['A', '01'],
      ['B', 'FF'],
    ]) {
      await expect(announce(uploadOf(photo.key, { etag, sequencer }))).resolves.toEqual(DONE);
    }
    await expect(rowsOf(photo.event_id)).resolves.toEqual(before);
  });
});

test('an upload whose deletion is known already, or whose event was erased since, gets no row', async () => {
  const { announce } = announcer();
  const gone = aPhoto();
  await world.erase(
    { request: 'photo_deleted', object: { key: gone.key, sequencer: 'F0' } },
    {
      executionArn: 'arn:gone',
    },
  );
  await announce(uploadOf(gone.key, { sequencer: 'E0' }));
  await expect(rowsOf(gone.event_id)).resolves.toMatchObject([{ status: 'deleted', object_key: gone.key }]);

  const late = aPhoto();
  await database.admin`INSERT INTO events (id, erasure_requested_at) VALUES (${late.event_id}, now())`;
  const before = { ...uploadOf(late.key), event_time: '2026-01-01T00:00:00Z' };
  await announce(before);
  await expect(rowsOf(late.event_id)).resolves.toEqual([]);
  await announce({ ...before, event_time: '2100-01-01T00:00:00Z' });
  await expect(rowsOf(late.event_id)).resolves.toMatchObject([{ status: 'processing' }]);
});

test("another event's photo with that id is not touched", async () => {
  const { announce } = announcer();
  const theirs = aPhoto();
  const mine = randomUUID();
  await announce(uploadOf(theirs.key), uploadOf(`events/${mine}/${theirs.photo_id}.jpg`));
  await expect(rowsOf(theirs.event_id)).resolves.toHaveLength(1);
  await expect(rowsOf(mine)).resolves.toEqual([]);
});

test('waits for whoever is just writing the first of a photo', async () => {
  const photo = aPhoto();
  const { keyId } = parsePhotoKey(photo.key);
  const { announce } = announcer();
  let announcing: Promise<unknown> | undefined;
  await database.admin.begin(async (sql) => {
    // What the deletion of a photo does that nobody has heard of.
    await sql`SELECT pg_advisory_xact_lock(hashtextextended(${photo.photo_id}, 1))`;
    await sql`INSERT INTO events (id) VALUES (${photo.event_id})`;
    await sql`
      INSERT INTO photos (id, event_id, object_key, object_sequencer, status, deleted_at)
      VALUES (${keyId}, ${photo.event_id}, ${photo.key}, 'F0', 'deleted', now())`;
    announcing = announce(uploadOf(photo.key, { sequencer: 'E0' }));
    await expect(waitsForLock(database, announcing)).resolves.toBe(true);
  });
  await expect(announcing).resolves.toEqual(DONE);
  await expect(rowsOf(photo.event_id)).resolves.toMatchObject([{ id: keyId, status: 'deleted' }]);
});

test('waits for an erasure of its event, and for no other announcement', async () => {
  const { announce } = announcer();
  const { event_id, key } = aPhoto();
  await database.admin.begin(async (sql) => {
    await sql`SELECT pg_advisory_xact_lock_shared(hashtextextended(${event_id}, 0))`;
    await expect(announce(uploadOf(key))).resolves.toEqual(DONE);
  });
  const another = key.replace('.jpg', '-2.jpg');
  let announcing: Promise<unknown> | undefined;
  await database.admin.begin(async (sql) => {
    await sql`SELECT pg_advisory_xact_lock(hashtextextended(${event_id}, 0))`;
    announcing = announce({ ...uploadOf(another), event_time: '2026-01-01T00:00:00Z' });
    await expect(waitsForLock(database, announcing)).resolves.toBe(true);
    await sql`UPDATE events SET erasure_requested_at = now() WHERE id = ${event_id}`;
  });
  await expect(announcing).resolves.toEqual(DONE);
  await expect(rowsOf(event_id)).resolves.toMatchObject([{ object_key: key }]);
});

test('while the database is unavailable everything comes again, without an attempt for each event', async () => {
  const away = new PipelineError('DatabaseUnavailable', 'away');
  const { announce, recording, connections } = announcer([away]);
  const [one, other] = [aPhoto(), aPhoto()];
  await expect(announce(uploadOf(one.key), uploadOf('lost/a.jpg'), uploadOf(other.key))).resolves.toEqual({
    batchItemFailures: [{ itemIdentifier: 'm0' }, { itemIdentifier: 'm2' }],
  });
  expect(connections()).toBe(1);
  expect(recording.recorded).toEqual([
    { name: metricNames.failedAttempts, value: 1, dimensions: { Error: 'DatabaseUnavailable' } },
  ]);
  expect(recording.lines).toEqual([
    expect.objectContaining({ level: 'warn', event: logEvents.announcementFailed }),
  ]);
});

test('an event that cannot be written does not hold up the others', async () => {
  const { announce } = announcer([new PipelineError('InternalError', 'only this one')]);
  const [one, other] = [aPhoto(), aPhoto()];
  await expect(announce(uploadOf(one.key), uploadOf(other.key))).resolves.toEqual({
    batchItemFailures: [{ itemIdentifier: 'm0' }],
  });
  await expect(rowsOf(other.event_id)).resolves.toMatchObject([{ status: 'processing' }]);
});

describe('where photographers have a cap', () => {
  function teller(fails = false) {
    const told: [string, string][] = [];
    const owners: EventOwners = {
      async tell(...whose) {
        told.push(whose);
        if (fails) {
          throw new PipelineError('LedgerBusy', 'busy');
        }
      },
    };
    return { told, owners };
  }

  test('the gate is told whose an event is, as soon as anybody knows', async () => {
    const { told, owners } = teller();
    const { announce } = announcer([], owners);
    const [mine, nobodys] = [aPhoto(), aPhoto()];
    const photographer = randomUUID();
    await database.admin`INSERT INTO events (id, photographer_id) VALUES (${mine.event_id}, ${photographer})`;
    await expect(announce(uploadOf(nobodys.key), uploadOf(mine.key))).resolves.toEqual(DONE);
    expect(told).toEqual([[mine.event_id, photographer]]);
    // A platform may say so later, and a photo that has its row already tells too.
    await database.admin`UPDATE events SET photographer_id = ${photographer} WHERE id = ${nobodys.event_id}`;
    await expect(announce(uploadOf(nobodys.key))).resolves.toEqual(DONE);
    expect(told.at(-1)).toEqual([nobodys.event_id, photographer]);
  });

  test('of an event that nothing was written of, nothing is told', async () => {
    const { told, owners } = teller();
    const { announce } = announcer([], owners);
    const theirs = aPhoto();
    await announce(uploadOf(theirs.key));
    await expect(announce(uploadOf(`events/${randomUUID()}/${theirs.photo_id}.jpg`))).resolves.toEqual(DONE);
    expect(told).toEqual([]);
  });

  test('what could not be told comes again, with its rows made', async () => {
    const { owners } = teller(true);
    const { announce, recording } = announcer([], owners);
    const [mine, nobodys] = [aPhoto(), aPhoto()];
    await database.admin`INSERT INTO events (id, photographer_id) VALUES (${mine.event_id}, ${randomUUID()})`;
    await expect(announce(uploadOf(mine.key), uploadOf(nobodys.key))).resolves.toEqual({
      batchItemFailures: [{ itemIdentifier: 'm0' }],
    });
    await expect(rowsOf(mine.event_id)).resolves.toMatchObject([{ status: 'processing' }]);
    await expect(rowsOf(nobodys.event_id)).resolves.toMatchObject([{ status: 'processing' }]);
    expect(recording.recorded).toEqual([
      { name: metricNames.failedAttempts, value: 1, dimensions: { Error: 'LedgerBusy' } },
    ]);
  });
});

test('a deletion that is told again once the next upload is announced is the same one, and an earlier one is known', async () => {
  const { announce } = announcer();
  const { event_id, photo_id, key } = aPhoto();
  const tell = (sequencer: string, execution: string) =>
    world.erase(
      { request: 'photo_deleted', object: { key, sequencer } },
      { executionArn: `arn:aws:states:us-east-1:000000000000:execution:erase:${execution}` },
    );
  // Of no photo that anybody has heard of.
  await expect(tell('0B', 'first')).resolves.toMatchObject({ output: { effect: 'requested' } });
  await announce(uploadOf(key, { sequencer: '0D' }));
  for (const [sequencer, execution] of [
    ['0B', 'again'],
    ['0A', 'earlier'],
  ] as const) {
    await expect(tell(sequencer, execution)).resolves.toMatchObject({ output: { effect: 'known' } });
  }
  await expect(world.receipts(event_id)).resolves.toHaveLength(1);
  await expect(world.photoRow(photo_id)).resolves.toMatchObject({ status: 'processing' });

  await expect(tell('0E', 'later')).resolves.toMatchObject({ output: { effect: 'requested' } });
  await expect(tell('0E00', 'later again')).resolves.toMatchObject({ output: { effect: 'known' } });
  await expect(world.receipts(event_id)).resolves.toHaveLength(2);
  await expect(world.photoRow(photo_id)).resolves.toMatchObject({ status: 'deleted' });
});
