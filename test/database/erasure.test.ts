import { randomUUID } from 'node:crypto';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { erasureTasks } from '../support/erasure-machine.ts';
import { erasureWorld, FACE_RETENTION_DAYS } from '../support/erasure-world.ts';
import { awsError } from '../support/fake-client.ts';
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();
let world: ReturnType<typeof erasureWorld>;

beforeAll(() => {
  world = erasureWorld(database);
});

const GONE = { listed: 0, rows: 0, outbox: 0, results: 0 };
let executions = 0;
const anExecution = () => ({ executionArn: `arn:erase:${executions++}` });

const deletion = (photo: { object: { key: string } }, sequencer = '20', rest: object = {}) => ({
  request: 'photo_deleted',
  object: { key: photo.object.key, sequencer, ...rest },
  deletion_type: 'Permanently Deleted',
});

/** Events of three photos, and what erases something of them; a second photo is never concerned, but for its event. */
const cases: Record<
  string,
  {
    begin(): Promise<{ input: object; eventId: string; gone: string[]; left: string[]; faces: number }>;
    reason: string;
  }
> = {
  'a photo is deleted': {
    reason: 'photo_deleted',
    async begin() {
      const { eventId, photos } = await world.event(3, 2, 1);
      const [first, ...others] = photos;
      return {
        input: deletion(first!),
        eventId,
        gone: [first!.photo_id],
        left: others.map(({ photo_id }) => photo_id),
        faces: 3,
      };
    },
  },
  'a photo is replaced': {
    reason: 'photo_replaced',
    async begin() {
      const { eventId, photos } = await world.event(3, 2, 1);
      const [first, ...others] = photos;
      const next = await world.index(first!, { version: 'v2', sequencer: '11' }, 0);
      await next.persist();
      world.bucket.delete(next.results_key);
      return {
        input: { request: 'outbox' },
        eventId,
        gone: [first!.photo_id],
        left: others.map(({ photo_id }) => photo_id),
        faces: 3,
      };
    },
  },
  'a person asks': {
    reason: 'person_requested',
    async begin() {
      const { eventId, photos } = await world.event(1, 1, 2);
      const [first, second, other] = photos;
      return {
        input: {
          request: 'person',
          event_id: eventId,
          faces: [first!, second!].map(({ faceIds, photo_id }) => [faceIds[0], photo_id]),
        },
        eventId,
        gone: [first!.photo_id, second!.photo_id],
        left: [other!.photo_id],
        faces: 2,
      };
    },
  },
  'an event is erased': {
    reason: 'event_requested',
    async begin() {
      const { eventId, photos } = await world.event(3, 2, 1);
      return {
        input: { request: 'event', event_id: eventId },
        eventId,
        gone: photos.map(({ photo_id }) => photo_id),
        left: [],
        faces: 6,
      };
    },
  },
  'an event is over': {
    reason: 'event_expired',
    async begin() {
      const { eventId, photos } = await world.event(3, 2, 1);
      await database.admin`
        UPDATE events SET expires_at = now() - make_interval(days => ${FACE_RETENTION_DAYS + 1}) WHERE id = ${eventId}`;
      return {
        input: { request: 'retention', as_of: new Date().toISOString() },
        eventId,
        gone: photos.map(({ photo_id }) => photo_id),
        left: [],
        faces: 6,
      };
    },
  },
};

describe.each(Object.entries(cases))('%s', (_, { begin, reason }) => {
  async function expectErased({ eventId, gone, left, faces }: Awaited<ReturnType<typeof begin>>) {
    for (const photoId of gone) {
      await expect(world.traces(eventId, photoId)).resolves.toEqual(GONE);
    }
    for (const photoId of left) {
      const { face_count } = await world.photoRow(photoId);
      await expect(world.traces(eventId, photoId)).resolves.toEqual({
        listed: face_count,
        rows: face_count,
        outbox: 0,
        results: 1,
      });
    }
    const receipts = await world.receipts(eventId);
    expect(receipts).toHaveLength(1);
    expect(receipts[0]).toMatchObject({
      reason,
      faces,
      photos: gone.length,
      finished_at: expect.any(Date),
    });
  }

  test('it is gone from all three places, there is a receipt, and the rest is untouched', async () => {
    const situation = await begin();
    const run = await world.erase(situation.input, anExecution());
    expect(run).toMatchObject({ status: 'SUCCEEDED' });
    await expectErased(situation);
  });

  const kills = [...erasureTasks.map((state) => [state, 1] as const), ['ListErasures', 2] as const].flatMap(
    ([state, nth]) => [['before', state, nth] as const, ['after', state, nth] as const],
  );
  test.each(kills)(
    'stopped %s %s (time %i) and started again, it ends the same',
    async (when, state, nth) => {
      const situation = await begin();
      const execution = anExecution();
      let seen = 0;
      await world.erase(situation.input, {
        ...execution,
        abort: (name, moment) => name === state && moment === when && ++seen === nth,
      });
      // Whoever had the turn is dead: its time runs out.
      await database.admin`UPDATE erasure_turn SET until = '-infinity'`;
      const again = await world.erase(situation.input, execution);
      expect(again.status).toBe('SUCCEEDED');
      await expectErased(situation);
    },
  );

  test('while Rekognition fails it waits, and finishes', async () => {
    const situation = await begin();
    for (const operation of [
      'DeleteFaces',
      'ListFaces',
      'DeleteCollection',
      'ListObjectsV2',
      'DeleteObjects',
    ]) {
      world.failures[operation] = [
        awsError('InternalServerError', 500),
        awsError('ProvisionedThroughputExceededException'),
        awsError('ThrottlingException'),
      ];
    }
    const run = await world.erase(situation.input, anExecution());
    expect(run.status).toBe('SUCCEEDED');
    for (const operation of Object.keys(world.failures)) {
      delete world.failures[operation];
    }
    await expectErased(situation);
  });

  test('five at once leave one receipt, or as many as were asked for', async () => {
    const situation = await begin();
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => world.erase(situation.input, anExecution())),
    );
    expect(runs.map(({ status }) => status)).toEqual(Array(5).fill('SUCCEEDED'));
    if (reason === 'person_requested' || reason === 'event_requested') {
      // Five requests are five requests: one of them finds the faces.
      const receipts = await world.receipts(situation.eventId);
      expect(receipts.every(({ finished_at }) => finished_at !== null)).toBe(true);
      expect(Math.max(...receipts.map(({ faces }) => faces))).toBe(situation.faces);
    } else {
      await expectErased(situation);
    }
  });
});

describe('a deleted photo', () => {
  test('stays as a row, without faces, in the state deleted', async () => {
    const { photos } = await world.event(2);
    const [photo] = photos;
    const run = await world.erase(deletion(photo!), anExecution());
    expect(run.output).toMatchObject({
      effect: 'requested',
      receipts: [{ reason: 'photo_deleted', photo_id: photo!.photo_id, photos: 1, faces: 2, results: 1 }],
    });
    await expect(world.photoRow(photo!.photo_id)).resolves.toMatchObject({
      status: 'deleted',
      face_count: null,
      unindexed_faces: null,
      object_key: photo!.object.key,
      deleted_at: expect.any(Date),
    });
  });

  test('whose deletion arrives after it was uploaded again is not deleted', async () => {
    const { eventId, photos } = await world.event(1);
    const [photo] = photos;
    const again = await world.index(photo!, { version: 'v2', sequencer: '30' }, 2);
    await again.persist();
    const run = await world.erase(deletion(photo!, '20'), anExecution());
    expect(run.output).toMatchObject({ effect: 'superseded', receipts: [] });
    await expect(world.photoRow(photo!.photo_id)).resolves.toMatchObject({
      status: 'indexed',
      face_count: 2,
    });
    await expect(world.traces(eventId, photo!.photo_id)).resolves.toMatchObject({ listed: 2, rows: 2 });
  });

  test('that is indexed late is not stored, and its faces are erased', async () => {
    const { eventId, photos } = await world.event(1);
    const [photo] = photos;
    await world.erase(deletion(photo!, '30'), anExecution());
    const late = await world.index(photo!, { version: 'v2', sequencer: '2f' }, 3);
    await expect(late.persist()).resolves.toMatchObject({ effect: 'deleted', erasure_requested: true });
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(world.traces(eventId)).resolves.toEqual(GONE);
    await expect(world.photoRow(photo!.photo_id)).resolves.toMatchObject({ status: 'deleted' });
    // Delivered once more, there is nothing left to erase.
    await expect(late.persist()).resolves.toMatchObject({ effect: 'deleted', erasure_requested: false });
  });

  test('that no row knew is not indexed afterwards either', async () => {
    const photo = { event_id: randomUUID(), photo_id: randomUUID() };
    const late = await world.index(photo, { version: 'v1', sequencer: '10' }, 2);
    await world.erase(deletion(late, '11'), anExecution());
    // Nobody was told of these faces: they were found by the photo's id.
    await expect(world.traces(photo.event_id)).resolves.toEqual(GONE);
    const [receipt] = await world.receipts(photo.event_id);
    expect(receipt).toMatchObject({ faces: 2, results: 1 });
    await expect(late.persist()).resolves.toMatchObject({ effect: 'deleted' });
    // The photo's id stays free for whoever uploads it.
    const { keyId } = parsePhotoKey(late.object.key);
    await expect(world.photoRow(keyId)).resolves.toMatchObject({ status: 'deleted' });
  });

  test('that is uploaded again waits for the end of its erasure, and is asked for anew', async () => {
    const { photos } = await world.event(2);
    const [photo] = photos;
    await world.erase(deletion(photo!, '20'), {
      ...anExecution(),
      abort: (state) => state === 'ListErasures',
    });
    // The same picture: Rekognition answers with the faces that it still has.
    const again = await world.index(photo!, { version: 'v1', sequencer: '30' }, photo!.faceIds);
    await expect(again.persist()).rejects.toMatchObject({ name: 'FacesBeingErased' });
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(again.persist()).rejects.toMatchObject({ name: 'ResultNotFound' });
    // Even if its response was written after the erasure: it was asked for before.
    const stale = await world.index(
      photo!,
      { version: 'v1', sequencer: '30', called_at: '2026-01-01T00:00:00Z' },
      2,
    );
    await expect(stale.persist()).rejects.toMatchObject({ name: 'ResultNotFound' });
    const fresh = await world.index(photo!, { version: 'v1', sequencer: '30' }, 2);
    await expect(fresh.persist()).resolves.toMatchObject({ effect: 'stored', face_count: 2 });
    await expect(world.photoRow(photo!.photo_id)).resolves.toMatchObject({
      status: 'indexed',
      deleted_at: null,
    });
  });

  test('whose deletion is delivered ten times is erased once', async () => {
    const { eventId, photos } = await world.event(1);
    await Promise.all(Array.from({ length: 10 }, () => world.erase(deletion(photos[0]!), anExecution())));
    await expect(world.receipts(eventId)).resolves.toHaveLength(1);
  });

  test('is told from one of its old versions, in a bucket with versions', async () => {
    const { photos } = await world.event(1);
    const [photo] = photos;
    for (const [version, effect] of [
      ['old', 'ignored'],
      ['v1', 'requested'],
    ]) {
      const run = await world.erase(deletion(photo!, '20', { 'version-id': version }), anExecution());
      expect(run.output).toMatchObject({ effect });
    }
    const { photos: marked } = await world.event(1);
    const marker = {
      ...deletion(marked[0]!, '20', { 'version-id': 'marker' }),
      deletion_type: 'Delete Marker Created',
    };
    await expect(world.erase(marker, anExecution())).resolves.toMatchObject({
      output: { effect: 'requested' },
    });
  });

  test('that never was one is ignored', async () => {
    const run = await world.erase(
      { request: 'photo_deleted', object: { key: 'notes.txt', sequencer: '1' } },
      anExecution(),
    );
    expect(run).toMatchObject({ status: 'SUCCEEDED', output: { effect: 'ignored', receipts: [] } });
  });
});

describe("a photo whose id is another event's", () => {
  test('is refused and leaves no face behind, the other photo is untouched, and its deletion is written', async () => {
    const { eventId, photos } = await world.event(2);
    const [original] = photos;
    const before = await world.photoRow(original!.photo_id);
    const copy = { event_id: randomUUID(), photo_id: original!.photo_id };
    const indexed = await world.index(copy, { version: 'v1', sequencer: '30' }, 3);

    await expect(indexed.persist()).rejects.toMatchObject({ name: 'PhotoIdTaken' });
    await world.fail(indexed.object, 'PhotoIdTaken');
    await world.fail(indexed.object, 'PhotoIdTaken');
    await world.erase({ request: 'outbox' }, anExecution());

    await expect(world.traces(copy.event_id)).resolves.toEqual(GONE);
    const [row, ...others] = await database.admin`SELECT * FROM photos WHERE event_id = ${copy.event_id}`;
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      id: parsePhotoKey(indexed.object.key).keyId,
      object_key: indexed.object.key,
      status: 'failed',
      failure_code: 'PhotoIdTaken',
      failure_retryable: false,
    });
    const [paid] = await database.admin`SELECT * FROM usage WHERE event_id = ${copy.event_id}`;
    expect(paid).toMatchObject({ images: 1, faces: 3 });

    // Nobody was told of these.
    await world.index(copy, { version: 'v1', sequencer: '30' }, 1);
    await world.erase(deletion(indexed, '31'), anExecution());
    await expect(world.traces(copy.event_id)).resolves.toEqual(GONE);
    await expect(world.photoRow(row!.id)).resolves.toMatchObject({ status: 'deleted' });
    const again = await world.erase(deletion(indexed, '31'), anExecution());
    expect(again.output).toMatchObject({ effect: 'known' });

    const { faces_erased_at: _, ...after } = await world.photoRow(original!.photo_id);
    const { faces_erased_at: __, ...expected } = before;
    expect(after).toEqual(expected);
    await expect(world.traces(eventId)).resolves.toEqual({ listed: 2, rows: 2, outbox: 0, results: 1 });
  });

  test('that was stopped half-way is marked by the last resort', async () => {
    const { photos } = await world.event(1);
    const copy = { event_id: randomUUID(), photo_id: photos[0]!.photo_id };
    const { object } = await world.index(copy, { version: 'v1', sequencer: '30' }, 0);
    await expect(world.end(object, 'ABORTED')).resolves.toEqual({ batchItemFailures: [] });
    const [row] = await database.admin`SELECT * FROM photos WHERE event_id = ${copy.event_id}`;
    expect(row).toMatchObject({ status: 'failed', failure_code: 'ExecutionAborted' });
    await expect(world.photoRow(copy.photo_id)).resolves.toMatchObject({ status: 'indexed', face_count: 1 });
  });
});

describe('a picture that comes back after another took its place', () => {
  test('waits for its old faces to go, and has new ones', async () => {
    const { eventId, photos } = await world.event(2);
    const [photo] = photos;
    const b = await world.index(photo!, { version: 'B', sequencer: '20' }, 1);
    await expect(b.persist()).resolves.toMatchObject({ effect: 'stored', erasure_requested: true });
    // The record of the first time answers: no second call, the old response.
    const a = await world.index(photo!, { version: 'v1', sequencer: '30' }, photo!.faceIds);
    await expect(a.persist()).rejects.toMatchObject({ name: 'FacesBeingErased' });
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(a.persist()).rejects.toMatchObject({ name: 'ResultNotFound' });
    const indexedAgain = await world.index(photo!, { version: 'v1', sequencer: '30' }, 2);
    await expect(indexedAgain.persist()).resolves.toMatchObject({ effect: 'stored' });
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(world.traces(eventId)).resolves.toEqual({ listed: 2, rows: 2, outbox: 0, results: 1 });
  });
});

describe('the erasure of a person', () => {
  test('keeps the count of each photo right, and does not touch other events', async () => {
    const { eventId, photos } = await world.event(3, 1);
    const elsewhere = await world.event(1);
    const [first] = photos;
    await world.erase(
      {
        request: 'person',
        event_id: eventId,
        faces: [
          [first!.faceIds[0], first!.photo_id],
          [elsewhere.photos[0]!.faceIds[0], elsewhere.photos[0]!.photo_id],
        ],
      },
      anExecution(),
    );
    await expect(world.photoRow(first!.photo_id)).resolves.toMatchObject({
      status: 'indexed',
      face_count: 2,
    });
    await expect(world.traces(eventId, first!.photo_id)).resolves.toEqual({
      listed: 2,
      rows: 2,
      outbox: 0,
      // It named the person too; everything that is read lies in the database.
      results: 0,
    });
    await expect(world.traces(elsewhere.eventId)).resolves.toMatchObject({ listed: 1, rows: 1 });
  });

  test('is not undone by a late event of the same upload', async () => {
    const { eventId, photos } = await world.event(2);
    const [photo] = photos;
    await world.erase(
      { request: 'person', event_id: eventId, faces: [[photo!.faceIds[0], photo!.photo_id]] },
      anExecution(),
    );
    // Its record has expired, so it is indexed again: Rekognition knows one face, and finds the other anew.
    const late = await world.index(photo!, { version: 'v1', sequencer: '10' }, [
      photo!.faceIds[1]!,
      randomUUID(),
    ]);
    await expect(late.persist()).resolves.toMatchObject({
      effect: 'known',
      face_count: 1,
      erasure_requested: true,
    });
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(world.traces(eventId)).resolves.toEqual({ listed: 1, rows: 1, outbox: 0, results: 0 });
  });

  test('a face in a photo that is just being indexed is not stored after it is gone', async () => {
    const { eventId } = await world.event(1);
    const photo = { event_id: eventId, photo_id: randomUUID() };
    const inFlight = await world.index(photo, { version: 'v1', sequencer: '1' }, 2);
    await world.erase(
      { request: 'person', event_id: eventId, faces: [[inFlight.faceIds[0], photo.photo_id]] },
      anExecution(),
    );
    await expect(inFlight.persist()).rejects.toMatchObject({ name: 'ResultNotFound' });
  });

  test('of an event that does not exist is refused', async () => {
    const run = await world.erase(
      { request: 'person', event_id: randomUUID(), faces: [[randomUUID(), randomUUID()]] },
      anExecution(),
    );
    expect(run).toMatchObject({ status: 'FAILED', error: 'InvalidInput' });
  });
});

describe('the erasure of an event', () => {
  test('leaves its photos as erased, and what arrives late is not stored', async () => {
    const { eventId, photos } = await world.event(2);
    const inFlight = { event_id: eventId, photo_id: randomUUID() };
    const before = new Date(Date.now() - 60_000).toISOString();
    await world.index(inFlight, { version: 'v1', sequencer: '1', event_time: before }, 2);
    const run = await world.erase({ request: 'event', event_id: eventId }, anExecution());
    expect(run.output).toMatchObject({
      receipts: [{ reason: 'event_requested', photos: 1, faces: 2, results: 2 }],
    });
    await expect(world.photoRow(photos[0]!.photo_id)).resolves.toMatchObject({
      status: 'erased',
      face_count: null,
    });
    // The collection was made again for it, as EnsureCollection does.
    const again = await world.index(inFlight, { version: 'v1', sequencer: '1', event_time: before }, 2);
    await expect(again.persist()).resolves.toMatchObject({ effect: 'erased', erasure_requested: true });
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(world.traces(eventId)).resolves.toEqual(GONE);
    await expect(world.photoRow(inFlight.photo_id)).resolves.toMatchObject({ status: 'erased' });
  });

  test('does not stop what is uploaded afterwards', async () => {
    const { eventId, photos } = await world.event(2);
    await world.erase(
      { request: 'event', event_id: eventId },
      { ...anExecution(), abort: (state) => state === 'RemoveFaces' },
    );
    const photo = { event_id: eventId, photo_id: randomUUID() };
    const upload = { version: 'v1', sequencer: '1', event_time: new Date(Date.now() + 1_000).toISOString() };
    const early = await world.index(photo, upload, 1);
    await expect(early.persist()).rejects.toMatchObject({ name: 'FacesBeingErased' });
    await database.admin`UPDATE erasure_turn SET until = '-infinity'`;
    await world.erase({ request: 'outbox' }, anExecution());
    await expect(early.persist()).rejects.toMatchObject({ name: 'ResultNotFound' });
    const fresh = await world.index(photo, upload, 1);
    await expect(fresh.persist()).resolves.toMatchObject({ effect: 'stored' });
    // The very photo that was erased, uploaded again.
    const same = await world.index(photos[0]!, { ...upload, sequencer: '99' }, 1);
    await expect(same.persist()).resolves.toMatchObject({ effect: 'stored' });
    await expect(world.traces(eventId)).resolves.toEqual({ listed: 2, rows: 2, outbox: 0, results: 2 });
  });

  test('asked for twice has two receipts: the second covers what was uploaded since, and the first is final', async () => {
    const { eventId, photos } = await world.event(1);
    await world.erase({ request: 'event', event_id: eventId }, anExecution());
    const second = await world.erase({ request: 'event', event_id: eventId }, anExecution());
    expect(second.output).toMatchObject({
      effect: 'requested',
      receipts: [{ faces: 0, finished_at: expect.any(String) }],
    });
    const again = await world.index(photos[0]!, { version: 'v1', sequencer: '99' }, 3);
    await again.persist();
    const third = await world.erase({ request: 'event', event_id: eventId }, anExecution());
    expect(third.output).toMatchObject({ effect: 'requested', receipts: [{ faces: 3 }] });
    const receipts = await world.receipts(eventId);
    expect(receipts.map(({ faces }) => faces)).toEqual([1, 0, 3]);
    await expect(database.admin`UPDATE erasures SET faces = 9 WHERE id = ${receipts[0]!.id}`).rejects.toThrow(
      /is final/,
    );
  });
});

describe('retention', () => {
  const inDays = (days: number) => ({
    request: 'retention',
    as_of: new Date(Date.now() + days * 24 * 3600 * 1000).toISOString(),
  });

  test('on a clock 31 days on, what ended is erased, the rest is not, and a second run does nothing', async () => {
    // The events of the other tests never end.
    await database.admin`UPDATE events SET expires_at = 'infinity'`;
    const expired = await world.event(2);
    const withoutExpiry = await world.event(1);
    const current = await world.event(1);
    await database.admin`UPDATE events SET expires_at = now() WHERE id = ${expired.eventId}`;
    await database.admin`UPDATE events SET expires_at = now() + interval '2 days' WHERE id = ${current.eventId}`;

    const early = await world.erase(inDays(29), anExecution());
    expect(early.output).toMatchObject({ effect: 'none', erasures: 0 });

    const run = await world.erase(inDays(31), anExecution());
    expect(run.output).toMatchObject({ effect: 'requested', erasures: 2 });
    expect(run.output?.receipts).toHaveLength(2);
    await expect(world.traces(expired.eventId)).resolves.toEqual(GONE);
    await expect(world.traces(withoutExpiry.eventId)).resolves.toEqual(GONE);
    await expect(world.traces(current.eventId)).resolves.toEqual({
      listed: 1,
      rows: 1,
      outbox: 0,
      results: 1,
    });

    const calls = world.rekognition.calls.length;
    const second = await world.erase(inDays(31), anExecution());
    expect(second.output).toMatchObject({ effect: 'none', erasures: 0, receipts: [] });
    expect(world.rekognition.calls.length).toBe(calls);
  });
});

describe('the outbox', () => {
  test('an erasure that cannot be done is put off, and does not hold up the others', async () => {
    const stuck = await world.event(1);
    const fine = await world.event(1);
    const denied = () => awsError('AccessDeniedException', 400);
    world.failures.DeleteFaces = [denied(), denied(), denied()];
    const inputs = [stuck, fine].map(({ photos }) => deletion(photos[0]!));
    await world.erase(inputs[0]!, { ...anExecution(), abort: (state) => state === 'ListErasures' });
    await expect(world.erase(inputs[1]!, anExecution())).resolves.toMatchObject({ status: 'SUCCEEDED' });
    await expect(world.traces(fine.eventId)).resolves.toEqual(GONE);
    const [receipt] = await world.receipts(stuck.eventId);
    expect(receipt).toMatchObject({
      finished_at: null,
      postponed: 1,
      last_error: expect.stringMatching(/^AccessDenied/),
    });
    expect(world.recording.total(metricNames.erasuresPostponed)).toBeGreaterThan(0);
    // Asked for again, it is tried again at once.
    await world.erase(inputs[0]!, anExecution());
    await expect(world.traces(stuck.eventId)).resolves.toEqual(GONE);
  });

  test('a face that Rekognition holds on to keeps its place, and only that', async () => {
    const { eventId, photos } = await world.event(3);
    const [photo] = photos;
    world.associated.add(photo!.faceIds[0]!);
    await world.erase(deletion(photo!), anExecution());
    await expect(world.traces(eventId)).resolves.toEqual({ listed: 1, rows: 0, outbox: 1, results: 0 });
    await expect(world.receipts(eventId)).resolves.toMatchObject([
      { finished_at: null, faces: 2, last_error: expect.stringContaining('ASSOCIATED_TO_AN_EXISTING_USER') },
    ]);
    world.associated.clear();
    await world.erase(deletion(photo!), anExecution());
    await expect(world.receipts(eventId)).resolves.toMatchObject([
      { finished_at: expect.any(Date), faces: 3, last_error: null },
    ]);
  });

  test('faces that are still listed are not forgotten', async () => {
    const { eventId, photos } = await world.event(2);
    const members = world.collections.get(`rollcall-${eventId}`)!;
    const remove = members.delete.bind(members);
    let lag = 3;
    members.delete = (faceId) => (lag-- > 0 ? true : remove(faceId));
    await world.erase(deletion(photos[0]!), anExecution());
    expect(lag).toBeLessThan(0);
    await expect(world.traces(eventId)).resolves.toEqual(GONE);
  });

  test('the receipts cannot be taken away, and hold nothing biometric', async () => {
    await expect(world.pipeline`DELETE FROM erasures`).rejects.toMatchObject({ code: '42501' });
    const columns = await database.admin`
      SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'erasures' ORDER BY 1`;
    expect(columns.map(({ name }) => name)).toEqual([
      'begun_at',
      'deleted_key_id',
      'deletion_sequencer',
      'event_id',
      'execution_arn',
      'faces',
      'finished_at',
      'id',
      'joined_by',
      'last_error',
      'not_before',
      'photo_id',
      'photos',
      'postponed',
      'reason',
      'removed_at',
      'requested_at',
      'results',
      'search',
    ]);
  });
});
