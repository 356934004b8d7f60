/**
 * Orders of events that once ended wrong, each by its name, on a real PostgreSQL. They are single histories of the kinds that
 * `test/histories` makes at random.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import { photoVersion } from '../../lambdas/shared/contract/payloads.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { inputFor, type KnownPhoto } from '../../lambdas/shared/photos/execution-input.ts';
import { skipIndexed } from '../../lambdas/skip-indexed/skip-indexed.ts';
import { boxNumber, erasureWorld } from '../support/erasure-world.ts';
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase('pooled');
let world: ReturnType<typeof erasureWorld>;
beforeAll(() => {
  world = erasureWorld(database);
});

let executions = 0;
const anExecution = () => ({
  executionArn: `arn:aws:states:us-east-1:000000000000:execution:erase:o${++executions}`,
});
const aPhoto = () => ({ event_id: randomUUID(), photo_id: randomUUID() });
const outbox = () => world.erase({ request: 'outbox' }, anExecution());
const deletion = (key: string, sequencer: string) => ({
  request: 'photo_deleted',
  object: { key, sequencer },
});
const keyOf = (photo: { event_id: string; photo_id: string }, name = `${photo.photo_id}.jpg`) =>
  `events/${photo.event_id}/${name}`;
const NOTHING = { listed: 0, rows: 0, outbox: 0, results: 0 };

describe('the same bytes again', () => {
  test('after a deletion that is handled last: the photo stays', async () => {
    const photo = aPhoto();
    const first = await world.index(photo, { version: 'A', sequencer: '0A' }, ['f1']);
    await first.persist();
    const again = await world.index(photo, { version: 'A', sequencer: '0C' }, ['f1']);
    await expect(again.persist()).resolves.toMatchObject({ effect: 'known' });
    const run = await world.erase(deletion(keyOf(photo), '0B'), anExecution());
    expect(run.output).toMatchObject({ effect: 'superseded' });
    await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ status: 'indexed', face_count: 1 });
  });

  test('after other bytes whose result is stored last: the later upload counts', async () => {
    const photo = aPhoto();
    await (await world.index(photo, { version: 'A', sequencer: '0A' }, ['a1'])).persist();
    const other = await world.index(photo, { version: 'B', sequencer: '0B' }, ['b1']);
    await (await world.index(photo, { version: 'A', sequencer: '0C' }, ['a1'])).persist();
    await expect(other.persist()).resolves.toMatchObject({ effect: 'superseded' });
    await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ object_version: 'A' });
  });

  test('after an empty file whose failure is written last: the photo is not failed', async () => {
    const photo = aPhoto();
    await (await world.index(photo, { version: 'A', sequencer: '0A' }, ['a2'])).persist();
    const empty = { key: keyOf(photo), etag: 'empty', sequencer: '0B', size: 0 };
    await (await world.index(photo, { version: 'A', sequencer: '0C' }, ['a2'])).persist();
    await expect(world.fail(empty, 'InvalidImageFormat')).resolves.toMatchObject({ effect: 'superseded' });
    await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ status: 'indexed' });
  });
});

test('of two sequencers of unlike length the one that S3 says is later counts', async () => {
  const photo = aPhoto();
  const later = await world.index(photo, { version: 'B', sequencer: '0061A6' }, ['late']);
  const earlier = await world.index(photo, { version: 'A', sequencer: '0061A500' }, ['early']);
  await later.persist();
  await expect(earlier.persist()).resolves.toMatchObject({ effect: 'superseded' });
});

test('deleted is not the end: an object that is there again is indexed, by an execution that no event started', async () => {
  const photo = aPhoto();
  const first = await world.index(photo, { version: 'A', sequencer: '0A' }, ['d1']);
  await first.persist();
  await world.erase(deletion(keyOf(photo), '0B'), anExecution());
  const row = (await world.photoRow(photo.photo_id)) as unknown as KnownPhoto;
  const object = { key: keyOf(photo), etag: 'A', size: 1000, uploadedAt: new Date().toISOString() };
  const input = inputFor('photos', object, { photo: row, own: undefined }, 'backfill');
  const again = await world.index(photo, { version: 'A', sequencer: input.object.sequencer }, ['d2']);
  await expect(again.persist()).resolves.toMatchObject({ effect: 'stored' });
  await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ status: 'indexed' });
});

describe('a photo that has no row yet', () => {
  /** Resolves when so many statements wait for a lock. */
  async function untilWaiting(count: number): Promise<void> {
    for (let waiting = 0; waiting < count; await sleep(20)) {
      const [state] = await database.admin<{ waiting: number }[]>`
        SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      waiting = state!.waiting;
    }
  }

  /** Resolves when the table is locked, until `hold` is resolved. */
  async function lockTable(table: string) {
    const locked = Promise.withResolvers<void>();
    const hold = Promise.withResolvers<void>();
    const held = database.admin.begin(async (sql) => {
      await sql`LOCK TABLE ${sql(table)} IN EXCLUSIVE MODE`;
      locked.resolve();
      await hold.promise;
    });
    await Promise.race([locked.promise, held]);
    return { held, hold };
  }

  test('is deleted while its result is being written: the deletion waits, and its faces go', async () => {
    const photo = aPhoto();
    const upload = await world.index(photo, { version: 'A', sequencer: '0A' }, 2);
    const { held, hold } = await lockTable('faces');
    const persisted = upload.persist();
    await untilWaiting(1);
    const deleted = world.erase(deletion(keyOf(photo), '0B'), anExecution());
    await Promise.race([untilWaiting(2), deleted]);
    hold.resolve();
    await Promise.all([held, persisted, deleted]);
    await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ status: 'deleted' });
    await expect(world.traces(photo.event_id)).resolves.toEqual(NOTHING);
  });

  test('is deleted before its result is written: that changes nothing', async () => {
    const photo = aPhoto();
    const upload = await world.index(photo, { version: 'A', sequencer: '0A' }, 2);
    const { held, hold } = await lockTable('result_removals');
    const deleted = world.erase(deletion(keyOf(photo), '0B'), anExecution());
    await untilWaiting(1);
    const persisted = upload.persist();
    await Promise.race([untilWaiting(2), persisted]);
    hold.resolve();
    await Promise.all([held, deleted]);
    await expect(persisted).resolves.toMatchObject({ effect: 'deleted' });
    await outbox();
    await expect(world.photoRow(photo.photo_id)).resolves.toBeUndefined();
    await expect(world.traces(photo.event_id)).resolves.toEqual(NOTHING);
  });

  test('has one receipt of a deletion that is told twice at once', async () => {
    const photo = aPhoto();
    await Promise.all(
      Array.from({ length: 4 }, () => world.erase(deletion(keyOf(photo), '0B'), anExecution())),
    );
    await expect(world.receipts(photo.event_id)).resolves.toHaveLength(1);
  });
});

describe('one photo id, several keys', () => {
  test('a thumbnail in a folder below is a photo of its own, and its deletion touches no other', async () => {
    const photo = aPhoto();
    const thumbKey = keyOf(photo, `thumbs/${photo.photo_id}.jpg`);
    const thumb = { event_id: photo.event_id, photo_id: parsePhotoKey(thumbKey).photoId };
    expect(thumb.photo_id).not.toBe(photo.photo_id);
    await (await world.index(photo, { version: 'A', sequencer: '0A' }, 2)).persist();
    await (await world.index(thumb, { version: 'T', sequencer: '0A', key: thumbKey }, 2)).persist();
    await world.erase(deletion(thumbKey, '0B'), anExecution());
    await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ status: 'indexed', face_count: 2 });
    await expect(world.traces(photo.event_id)).resolves.toEqual({
      listed: 2,
      rows: 2,
      outbox: 0,
      results: 1,
    });
  });

  test('a rename is followed, whichever of its two events is handled first', async () => {
    for (const deletionFirst of [false, true]) {
      const photo = aPhoto();
      const [oldKey, newKey] = [keyOf(photo, `${photo.photo_id}.JPG`), keyOf(photo)];
      await (await world.index(photo, { version: 'A', sequencer: 'FF', key: oldKey }, 1)).persist();
      if (deletionFirst) {
        await world.erase(deletion(oldKey, 'FF01'), anExecution());
      }
      // Sequencers of two keys say nothing of each other.
      const copy = await world.index(
        photo,
        { version: 'A', sequencer: '01', key: newKey },
        deletionFirst ? 1 : [...world.collections.get(`rollcall-${photo.event_id}`)!.keys()],
      );
      await copy.persist();
      if (!deletionFirst) {
        await world.erase(deletion(oldKey, 'FF01'), anExecution());
      }
      await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({
        status: 'indexed',
        object_key: newKey,
        face_count: 1,
      });
      // The old key's upload, once more.
      await (await world.index(photo, { version: 'A', sequencer: 'FF', key: oldKey }, 0)).persist();
      await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ object_key: newKey });
    }
  });

  test('other bytes under another key fail as PhotoIdTaken, and their deletion erases nothing of the photo', async () => {
    const photo = aPhoto();
    const otherKey = keyOf(photo, `${photo.photo_id}.png`);
    await (await world.index(photo, { version: 'A', sequencer: '0A' }, 2)).persist();
    const other = await world.index(photo, { version: 'B', sequencer: '01', key: otherKey }, 1);
    await expect(other.persist()).rejects.toMatchObject({ name: 'PhotoIdTaken' });
    await world.fail(other.object, 'PhotoIdTaken');
    await outbox();
    await expect(world.photoRow(parsePhotoKey(otherKey).keyId)).resolves.toMatchObject({
      status: 'failed',
      failure_code: 'PhotoIdTaken',
    });
    await world.erase(deletion(otherKey, '02'), anExecution());
    await expect(world.photoRow(photo.photo_id)).resolves.toMatchObject({ status: 'indexed', face_count: 2 });
    await expect(world.traces(photo.event_id)).resolves.toEqual({
      listed: 2,
      rows: 2,
      outbox: 0,
      results: 1,
    });
  });

  test("a deletion in one event neither marks nor holds up another event's photo of that id", async () => {
    const yours = aPhoto();
    const upload = await world.index(yours, { version: 'A', sequencer: '0A' }, 1);
    const mine = keyOf({ ...yours, event_id: randomUUID() });
    await world.tasks.RequestErasure({ input: deletion(mine, 'FF'), ...stopped() });
    await expect(upload.persist()).resolves.toMatchObject({ effect: 'stored' });
    const before = await world.photoRow(yours.photo_id);
    await outbox();
    await expect(world.photoRow(yours.photo_id)).resolves.toEqual(before);
  });
});

/** An execution that asks and goes no further. */
const stopped = () => ({ execution_arn: anExecution().executionArn });

describe('an object that is older than the versions of its bucket', () => {
  test('is told from others by its bytes, as before', () => {
    const object = { key: 'k', etag: 'e1', sequencer: '1' };
    expect(photoVersion({ ...object, 'version-id': 'null' })).toBe('e1');
    expect(photoVersion({ ...object, 'version-id': 'v1' })).toBe('v1');
  });

  test('is not billed again by a backfill', async () => {
    const photo = aPhoto();
    await (await world.index(photo, { version: 'e1', sequencer: '0A' }, 1)).persist();
    const { telemetry } = world.recording;
    const backlog = await skipIndexed(
      { telemetry, withDatabase: (work) => work(database.pipeline), currentVersion: async () => 'null' },
      {
        Items: [{ Key: keyOf(photo), Etag: '"e1"', Size: 1, LastModified: 0 }],
        BatchInput: { bucket: 'photos' },
      },
    );
    expect(backlog).toMatchObject({ photos: [], skipped: { indexed: 1 } });
  });
});

test('a late failure does not overwrite that the photo is erased', async () => {
  const { eventId, photos } = await world.event(1);
  const [photo] = photos;
  await world.erase({ request: 'event', event_id: eventId }, anExecution());
  await world.end({ ...photo!.object, sequencer: '11', etag: 'v2' }, 'ABORTED', new Date(0).toISOString());
  await expect(world.photoRow(photo!.photo_id)).resolves.toMatchObject({ status: 'erased' });
});

test('a failing execution says that it left faces to be erased', async () => {
  const photo = aPhoto();
  const upload = await world.index(photo, { version: 'A', sequencer: '0A' }, 1);
  await upload.persist();
  const broken = { ...upload.object, etag: 'cut', sequencer: '0B' };
  await expect(world.fail(broken, 'InvalidImageFormat')).resolves.toMatchObject({
    effect: 'written',
    erasure_requested: true,
  });
  const again = await world.index(photo, { version: 'A', sequencer: '0C' }, upload.faceIds);
  await expect(again.persist()).rejects.toMatchObject({ name: 'FacesBeingErased' });
  await outbox();
});

describe('an answer of ConfirmErasure that is lost', () => {
  test.each([
    ['of an event', (eventId: string) => ({ request: 'event', event_id: eventId })],
    ['of a photo', (_: string, key: string) => deletion(key, '11')],
  ])('%s: what was stored since stays, and the receipt is final', async (_, request) => {
    const { eventId, photos } = await world.event(2);
    const [photo] = photos;
    let confirmed: object | undefined;
    const confirm = world.tasks.ConfirmErasure;
    world.tasks.ConfirmErasure = (asked: object) => {
      confirmed ??= structuredClone(asked);
      return confirm(asked);
    };
    await world.erase(request(eventId, keyOf(photo!)), anExecution());
    world.tasks.ConfirmErasure = confirm;
    const [receipt] = await world.receipts(eventId);
    expect(receipt).toMatchObject({ faces: 2, finished_at: expect.any(Date) });
    await (await world.index(photo!, { version: 'v1', sequencer: '99' }, 3)).persist();

    // Step Functions tries again, or an operator redrives the execution.
    await confirm(confirmed!);
    await expect(world.photoRow(photo!.photo_id)).resolves.toMatchObject({
      status: 'indexed',
      face_count: 3,
    });
    await expect(world.traces(eventId)).resolves.toMatchObject({ listed: 3, rows: 3 });
    await expect(world.receipts(eventId)).resolves.toEqual([receipt]);
  });
});

test('a face that a person had erased does not come back with a photo that was on its way', async () => {
  const photo = aPhoto();
  await (await world.index(aPhotoOf(photo), { version: 'v0', sequencer: '01' }, 1)).persist();
  const early = new Date(Date.now() - 60_000).toISOString();
  const onItsWay = await world.index(photo, { version: 'A', sequencer: '0A', event_time: early }, 3);
  const { Left, Top, Width, Height } = boxNumber(1);
  const faces = [[onItsWay.faceIds[1], photo.photo_id, [Left, Top, Width, Height]]];
  const run = await world.erase({ request: 'person', event_id: photo.event_id, faces }, anExecution());
  expect(run.output).toMatchObject({ receipts: [{ faces: 1, finished_at: expect.any(String) }] });

  await expect(onItsWay.persist()).rejects.toMatchObject({ name: 'ResultNotFound' });
  // Indexed again: the same picture, so the same boxes, and a new id for the face that is gone.
  const [first, , third] = onItsWay.faceIds;
  const again = await world.index(photo, { version: 'A', sequencer: '0A', event_time: early }, [
    first!,
    randomUUID(),
    third!,
  ]);
  await expect(again.persist()).resolves.toMatchObject({ face_count: 2, erasure_requested: true });
  await outbox();
  await expect(world.traces(photo.event_id, photo.photo_id)).resolves.toMatchObject({
    listed: 2,
    rows: 2,
    outbox: 0,
  });
});

const aPhotoOf = ({ event_id }: { event_id: string }) => ({ event_id, photo_id: randomUUID() });

test('an event that is erased again covers what is on its way, and has a receipt for each time', async () => {
  const { eventId } = await world.event(1);
  await world.erase({ request: 'event', event_id: eventId }, anExecution());
  const photo = aPhotoOf({ event_id: eventId });
  const event_time = new Date().toISOString();
  const onItsWay = await world.index(photo, { version: 'A', sequencer: '0A', event_time }, 3);
  await world.erase({ request: 'event', event_id: eventId }, anExecution());
  await expect(onItsWay.persist()).resolves.toMatchObject({ effect: 'erased' });
  await outbox();
  await expect(world.traces(eventId)).resolves.toEqual(NOTHING);
  const receipts = await world.receipts(eventId);
  expect(receipts.filter(({ reason }) => reason === 'event_requested')).toHaveLength(2);
});

test('a batch that is removed after its turn removes nothing: the photo was indexed anew', async () => {
  const { eventId, photos } = await world.event(2);
  const [photo] = photos;
  const request = { execution_arn: anExecution().executionArn };
  const progress = await world.tasks.RequestErasure({ input: deletion(keyOf(photo!), '11'), ...request });
  const step = await world.tasks.ListErasures({ input: progress, max_batches: 10, ...request });
  await database.admin`UPDATE erasure_turn SET until = '-infinity'`;
  await outbox();
  await (await world.index(photo!, { version: 'v1', sequencer: '12' }, 3)).persist();
  const { batch } = step as unknown as { batch: { until: string } };
  // A quarter of an hour later.
  const stale = { ...batch, until: new Date(Date.now() - 1).toISOString() };
  await expect(world.tasks.RemoveFaces({ batch: stale })).rejects.toMatchObject({ name: 'TurnOver' });
  await expect(world.traces(eventId)).resolves.toMatchObject({ listed: 3, rows: 3 });
});

test('a mass deletion of photos that are being indexed has one receipt for each photo', async () => {
  const eventId = randomUUID();
  const photos = await Promise.all(
    Array.from({ length: 8 }, () =>
      world.index(aPhotoOf({ event_id: eventId }), { version: 'A', sequencer: '0A' }, 1),
    ),
  );
  for (const { object, persist } of photos) {
    const asked = deletion(object.key, '0B');
    await world.erase(asked, anExecution());
    // Delivered twice; and of two executions one fails and one has an answer by then.
    await world.erase(asked, anExecution());
    await expect(world.fail(object, 'InvalidS3Object')).resolves.toMatchObject({ effect: 'deleted' });
    await persist().catch(() => {});
    await expect(world.fail(object, 'InvalidS3Object')).resolves.toMatchObject({ effect: 'deleted' });
  }
  await outbox();
  await expect(world.traces(eventId)).resolves.toEqual(NOTHING);
  const receipts = await answerOperator(
    { telemetry: world.recording.telemetry, withDatabase: (work) => work(database.pipeline) },
    { ask: 'erasures', event_id: eventId, limit: 100 },
  );
  expect(receipts).toHaveLength(photos.length);
});

test('a response that an erasure is just deleting is waited for, not asked for again', async () => {
  const { eventId, photos } = await world.event(2);
  const [photo] = photos;
  const request = { execution_arn: anExecution().executionArn };
  const progress = await world.tasks.RequestErasure({ input: deletion(keyOf(photo!), '11'), ...request });
  const step = await world.tasks.ListErasures({ input: progress, max_batches: 10, ...request });
  const removed = await world.tasks.RemoveFaces({ batch: (step as unknown as { batch: object }).batch });
  const again = { key: keyOf(photo!), etag: 'v1', sequencer: '12', size: 1000 };
  await expect(world.persist(photo!, again)).rejects.toMatchObject({ name: 'FacesBeingErased' });
  await world.tasks.ConfirmErasure({ input: { ...step, batch: removed } });
  await expect(world.persist(photo!, again)).rejects.toMatchObject({ name: 'ResultNotFound' });
  await expect(world.traces(eventId)).resolves.toEqual(NOTHING);
});
