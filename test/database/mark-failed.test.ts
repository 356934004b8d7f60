/** What MarkFailed does to each table, says and counts, asked alone of a real PostgreSQL: once for each effect. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { markFailed, writeFailure } from '../../lambdas/mark-failed/mark-failed.ts';
import type { MarkFailedRequest } from '../../lambdas/shared/contract/payloads.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import { lockEvent } from '../../lambdas/shared/erasure/outbox.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { whileHeld } from '../support/waiting.ts';

const database = useTestDatabase();

type Row = Record<string, unknown>;

const EVENT = randomUUID();
const OTHER_EVENT = randomUUID();
const PHOTO = randomUUID();
/** Of the same event: whatever becomes of the photo, nothing becomes of it. */
const BYSTANDER = randomUUID();

const KEY = `events/${EVENT}/${PHOTO}.jpg`;
/** Another key that names the same photo. */
const OTHER_KEY = `events/${EVENT}/${PHOTO}.png`;
const OWN_ID = parsePhotoKey(KEY).keyId;
const COLLECTION = 'the-collection';

const UPLOADED = new Date('2001-05-01T09:00:00.000Z');
const STARTED = new Date('2001-05-01T10:00:00.000Z');
const NOW = new Date('2001-05-01T10:00:05.000Z');
/** Before all of them. */
const EARLIER = new Date('2001-04-30T00:00:00.000Z');
const later = (moment: Date, ms = 1) => new Date(moment.getTime() + ms);

const insert = (table: string, ...rows: Row[]) =>
  database.admin`INSERT INTO ${database.admin(table)} ${database.admin(rows)}`;

const failed = {
  status: 'failed',
  failure_code: 'ImageTooLarge',
  failure_message: 'what it was before',
  failure_retryable: false,
  failed_at: EARLIER,
};
const indexed = { status: 'indexed', face_count: 0, indexed_at: EARLIER };
const deleted = {
  status: 'deleted',
  object_version: null,
  object_sequencer: '30',
  deleted_at: EARLIER,
};
const announced = { status: 'processing', object_version: null, object_sequencer: null };

/** What the row says before: of an upload before the one that fails, unless it says otherwise. */
const insertPhoto = (row: Row) =>
  insert('photos', {
    id: PHOTO,
    event_id: EVENT,
    object_key: KEY,
    object_version: 'v1',
    object_sequencer: '10',
    execution_arn: 'arn:before',
    created_at: EARLIER,
    ...row,
  });

/** Rows under the photo's id that are not the key's. */
const taken = {
  'of another event': {
    ...indexed,
    event_id: OTHER_EVENT,
    object_key: `events/${OTHER_EVENT}/${PHOTO}.jpg`,
  },
  'under another key': { ...indexed, object_key: OTHER_KEY },
};

const insertErasure = (row: Row = {}) =>
  insert('erasures', {
    event_id: EVENT,
    photo_id: PHOTO,
    reason: 'late_result',
    execution_arn: 'arn:before',
    requested_at: EARLIER,
    // Not due: what is asked for now gets an erasure of its own.
    not_before: new Date('2100-01-01'),
    ...row,
  });

/** All rows that a failure can change, the oldest first. */
const WORLD = {
  events: 'SELECT id, rekognition_collection_id FROM events ORDER BY id',
  photos: `
    SELECT id, event_id, object_key, object_version, object_sequencer, other_objects, status, face_count, unindexed_faces,
      failure_code, failure_message, failure_retryable, execution_arn, indexed_at, failed_at, deleted_at
    FROM photos ORDER BY created_at, id`,
  faces: 'SELECT photo_id, rekognition_face_id FROM faces ORDER BY rekognition_face_id',
  erasures: `
    SELECT event_id, photo_id, reason, execution_arn, photos, search, finished_at,
      array_to_json(ARRAY(SELECT rekognition_face_id FROM face_removals WHERE erasure_id = id ORDER BY 1)) AS faces,
      array_to_json(ARRAY(SELECT name FROM result_removals WHERE erasure_id = id ORDER BY 1)) AS results
    FROM erasures ORDER BY requested_at, id`,
  misplaced: `
    SELECT object_key, object_version, object_sequencer, failure_code, failure_message, execution_arn, failed_at
    FROM misplaced_uploads`,
};
type World = Record<keyof typeof WORLD, Row[]>;

async function world(): Promise<World> {
  const results = await database.admin.unsafe<Row[][]>(Object.values(WORLD).join(';')).simple();
  return Object.fromEntries(Object.keys(WORLD).map((table, i) => [table, [...results[i]!]])) as World;
}

let told = recordingTelemetry();
beforeEach(async () => {
  told = recordingTelemetry();
  const tables = ['face_removals', 'result_removals', 'erasures', 'faces', 'photos', 'misplaced_uploads'];
  await database.admin.unsafe([...tables, 'events'].map((table) => `DELETE FROM ${table};`).join(''));
  await insert(
    'events',
    { id: EVENT, rekognition_collection_id: COLLECTION },
    { id: OTHER_EVENT, rekognition_collection_id: 'another-collection' },
  );
  await insertPhoto({ ...indexed, id: BYSTANDER, object_key: `events/${EVENT}/${BYSTANDER}.jpg` });
  await insert('faces', { photo_id: BYSTANDER, rekognition_face_id: 'beside' });
  await insertErasure({ photo_id: BYSTANDER });
});

const changed = (rows: Row[], id: string, changes: Row) =>
  rows.map((row) => (row.id === id ? { ...row, ...changes } : row));

const FAILURE = { code: 'InvalidImageFormat', message: 'no picture', retryable: false } as const;

/** The row of a photo that has failed now. */
const failedRow = (row: Row = {}): Row => ({
  id: PHOTO,
  event_id: EVENT,
  object_key: KEY,
  object_version: 'v2',
  object_sequencer: '20',
  other_objects: null,
  status: 'failed',
  face_count: null,
  unindexed_faces: null,
  failure_code: FAILURE.code,
  failure_message: FAILURE.message,
  failure_retryable: false,
  execution_arn: 'arn:now',
  indexed_at: null,
  failed_at: expect.any(Date),
  deleted_at: null,
  ...row,
});

/** The erasure that this execution asked for. */
const asked = (row: Row): Row => ({
  event_id: EVENT,
  photo_id: PHOTO,
  execution_arn: 'arn:now',
  photos: 1,
  search: false,
  finished_at: null,
  faces: [],
  results: [],
  ...row,
});

const deps = () => ({
  telemetry: told.telemetry,
  withDatabase: <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline),
  now: () => NOW.getTime(),
});

/** As the catch path of an execution does. */
const fail = (
  { object, ...input }: Partial<Omit<MarkFailedRequest['input'], 'object'>> & { object?: Row } = {},
  started = STARTED,
) =>
  markFailed(deps(), {
    input: {
      lane: 'live',
      bucket: 'photos',
      object: { key: KEY, etag: 'e2', 'version-id': 'v2', sequencer: '20', ...object },
      event_time: UPLOADED.toISOString(),
      failure: { Error: FAILURE.code, Cause: FAILURE.message },
      ...input,
    },
    execution_arn: 'arn:now',
    started_at: started.toISOString(),
  });

/** As the last resort does, of an execution that has told nothing. */
const failLast = (object: Row = {}) =>
  writeFailure(
    deps(),
    {
      object: { key: KEY, etag: 'e2', 'version-id': 'v2', sequencer: '20', ...object },
      uploadedAt: UPLOADED.toISOString(),
      failure: FAILURE,
      execution_arn: 'arn:now',
      startedMs: STARTED.getTime(),
      throttles: 0,
    },
    { keepFirstReason: true },
  );

const outcomeOf = (effect: string, rest: Row = {}) => ({
  photo_id: PHOTO,
  effect,
  failure_code: FAILURE.code,
  erasure_requested: false,
  ...rest,
});

const counts = (effect: unknown) => effect === 'written' || effect === 'misplaced';

const line = (effect: string, rest: Row = {}): Row => ({
  level: counts(effect) ? 'error' : 'info',
  message: counts(effect) ? 'The photo failed' : 'The failure changes nothing',
  event: counts(effect) ? 'face_index.failed' : 'face_index.failure_without_effect',
  photo_id: PHOTO,
  event_id: EVENT,
  effect,
  erasure_requested: false,
  error_type: FAILURE.code,
  error_message: FAILURE.message,
  retryable: false,
  execution_arn: 'arn:now',
  duration_ms: 5_000,
  attempt: 1,
  ...rest,
});

const COUNTED = [{ name: 'PhotosFailed', value: 1, dimensions: { Class: 'photo' } }];

/** That the failure has this effect, says so once, and leaves the tables like this. */
async function expectEffect(
  failing: Promise<unknown>,
  effect: string,
  then: World,
  rest: { photo_id?: string; erasure_requested?: boolean } = {},
): Promise<void> {
  await expect(failing).resolves.toEqual(outcomeOf(effect, rest));
  await expect(world()).resolves.toEqual(then);
  expect(told.lines).toEqual([line(effect, rest)]);
  expect(told.recorded).toEqual(effect === 'written' ? COUNTED : []);
}

describe('a photo has failed', () => {
  test('with its event, where nobody has written either', async () => {
    const event_id = randomUUID();
    const before = await world();
    const key = `events/${event_id}/${PHOTO}.jpg`;
    await expect(fail({ object: { key } })).resolves.toEqual(outcomeOf('written'));
    const { events, ...after } = await world();
    expect(events).toHaveLength(3);
    expect(events).toContainEqual({ id: event_id, rekognition_collection_id: null });
    expect(after).toEqual({
      ...after,
      photos: [...before.photos, failedRow({ event_id, object_key: key })],
      erasures: before.erasures,
    });
    expect(told.lines).toEqual([line('written', { event_id })]);
  });

  test('at which attempt, in how long and whose trouble it was, is told', async () => {
    const place = { place_ms: 0, wait_until: '', throttles: 2, reindexes: 0 };
    const failure = { Error: 'RekognitionThrottled', Cause: '{"errorMessage": "slower"}' };
    // The clocks of two machines.
    await fail({ place, failure }, later(NOW));
    expect(told.lines).toEqual([
      line('written', {
        error_type: 'RekognitionThrottled',
        error_message: 'slower',
        retryable: true,
        attempt: 3,
        duration_ms: 0,
      }),
    ]);
    expect(told.recorded).toEqual([{ ...COUNTED[0], dimensions: { Class: 'rate' } }]);
  });

  test('at the version that its object has, which is the bytes where the bucket keeps none', async () => {
    await fail({ object: { 'version-id': undefined } });
    const { photos } = await world();
    expect(photos).toContainEqual(failedRow({ object_version: 'e2' }));
  });

  test('and the faces and the response of the upload before go', async () => {
    await insertPhoto({ ...indexed, face_count: 1 });
    await insert('faces', { photo_id: PHOTO, rekognition_face_id: 'a' });
    const before = await world();
    await expectEffect(
      fail(),
      'written',
      {
        ...before,
        photos: changed(before.photos, PHOTO, failedRow()),
        faces: before.faces.filter(({ photo_id }) => photo_id !== PHOTO),
        erasures: [
          ...before.erasures,
          asked({
            reason: 'photo_replaced',
            faces: ['a'],
            results: [resultsKey({ event_id: EVENT, photo_id: PHOTO }, 'v1')],
          }),
        ],
      },
      { erasure_requested: true },
    );
  });

  test.each([
    ['open', null, true],
    ['finished', EARLIER, false],
  ])('with an erasure that is %s already', async (...[, finished_at, erasure_requested]) => {
    await insertErasure({ finished_at });
    const before = await world();
    const photos = [...before.photos, failedRow()];
    await expectEffect(fail(), 'written', { ...before, photos }, { erasure_requested });
  });

  test('though its event is being erased, for it stores no face', async () => {
    await insertErasure({ photo_id: null, reason: 'event_requested' });
    const before = await world();
    await expectEffect(fail(), 'written', { ...before, photos: [...before.photos, failedRow()] });
  });
});

describe('a photo whose id is another’s', () => {
  test.each(Object.entries(taken))('fails under the id of its key: %s', async (...[, row]) => {
    await insertPhoto(row);
    await insert('faces', { photo_id: PHOTO, rekognition_face_id: 'theirs' });
    const before = await world();
    await expectEffect(
      fail(),
      'written',
      { ...before, photos: [...before.photos, failedRow({ id: OWN_ID })] },
      { photo_id: OWN_ID },
    );
  });

  test.each(Object.entries(taken))('and whatever is erased of it: %s', async (...[, row]) => {
    await insertPhoto(row);
    // Its own row never had faces, nor a response.
    await insertPhoto({ ...failed, id: OWN_ID });
    await insertErasure();
    const before = await world();
    await expectEffect(
      fail(),
      'written',
      { ...before, photos: changed(before.photos, OWN_ID, failedRow({ id: OWN_ID })) },
      { photo_id: OWN_ID, erasure_requested: true },
    );
  });

  test('has nothing to do with what is erased under the id in another event', async () => {
    await insertPhoto(taken['of another event']);
    await insertErasure({ event_id: OTHER_EVENT });
    await expect(fail()).resolves.toMatchObject({ erasure_requested: false });
  });
});

describe('a failure comes after the end of its upload', () => {
  test('where a newer one is written', async () => {
    await insertPhoto({ ...indexed, object_version: 'v3', object_sequencer: '30' });
    await expectEffect(fail(), 'superseded', await world());
  });

  test('where a newer one is written under the id of its key, because the other is another’s', async () => {
    await insertPhoto(taken['of another event']);
    await insertPhoto({ ...failed, id: OWN_ID, object_version: 'v3', object_sequencer: '30' });
    await expectEffect(fail(), 'superseded', await world(), { photo_id: OWN_ID });
  });

  test('where it was indexed, and the row learns that it was uploaded once more', async () => {
    await insertPhoto({ ...indexed, object_version: 'v2' });
    const before = await world();
    await expectEffect(fail(), 'indexed', {
      ...before,
      photos: changed(before.photos, PHOTO, { object_sequencer: '20' }),
    });
  });

  test('where the same bytes were indexed under another key, which the row remembers', async () => {
    await insertPhoto({ ...indexed, object_key: OTHER_KEY, object_version: 'v2' });
    const before = await world();
    await expectEffect(fail(), 'indexed', {
      ...before,
      photos: changed(before.photos, PHOTO, { other_objects: { [KEY]: { sequencer: '20', version: 'v2' } } }),
    });
  });

  describe('where its event was erased', () => {
    const erasedSince = async (moment: Date) => {
      await insertPhoto(announced);
      await database.admin`UPDATE events SET erasure_requested_at = ${moment} WHERE id = ${EVENT}`;
      return world();
    };

    test('since the upload', async () => {
      const before = await erasedSince(later(UPLOADED));
      await expectEffect(fail(), 'erased', {
        ...before,
        photos: changed(before.photos, PHOTO, {
          status: 'erased',
          object_version: 'v2',
          object_sequencer: '20',
          execution_arn: 'arn:now',
        }),
      });
    });

    test.each([
      ['before the upload', { event_time: UPLOADED.toISOString() }, UPLOADED, 'written'],
      [
        'since the execution began, which is all that is known',
        { event_time: undefined },
        later(STARTED),
        'erased',
      ],
      ['before the execution began', { event_time: undefined }, STARTED, 'written'],
    ])('%s', async (...[, input, moment, effect]) => {
      await erasedSince(moment);
      await expect(fail(input)).resolves.toMatchObject({ effect });
    });
  });
});

describe('a failure comes after the deletion of its photo', () => {
  /** Of what may have been indexed without anyone being told. */
  const search = () => asked({ reason: 'late_result', search: true });

  test('and its faces are looked for, once for each execution', async () => {
    await insertPhoto(deleted);
    const before = await world();
    const then = {
      ...before,
      photos: changed(before.photos, PHOTO, { execution_arn: 'arn:now' }),
      erasures: [...before.erasures, search()],
    };
    await expectEffect(fail(), 'deleted', then, { erasure_requested: true });
    await database.admin`UPDATE erasures SET finished_at = now() WHERE execution_arn = 'arn:now'`;
    const finished = await world();
    await expect(fail()).resolves.toEqual(outcomeOf('deleted'));
    await expect(world()).resolves.toEqual(finished);
  });

  test.each([
    ['is of another event', taken['of another event']],
    ['was never heard of', undefined],
  ])('under the id of its key, where the photo of the other id %s', async (...[, row]) => {
    if (row) {
      await insertPhoto(row);
    }
    await insertPhoto({ ...deleted, id: OWN_ID });
    const before = await world();
    await expectEffect(
      fail(),
      'deleted',
      {
        ...before,
        photos: changed(before.photos, OWN_ID, { execution_arn: 'arn:now' }),
        erasures: [...before.erasures, search()],
      },
      { photo_id: OWN_ID, erasure_requested: true },
    );
  });

  test('and no face is looked for where another key is the photo by now', async () => {
    const other_objects = database.admin.json({ [KEY]: { sequencer: '30', version: null } });
    await insertPhoto({ ...indexed, object_key: OTHER_KEY, other_objects });
    await expectEffect(fail(), 'deleted', await world());
  });
});

describe('the last resort', () => {
  test('leaves the reason that a photo has at this version, and moves only its place in the order', async () => {
    await insertPhoto({ ...failed, object_version: 'v2' });
    const before = await world();
    await expectEffect(failLast(), 'known', {
      ...before,
      photos: changed(before.photos, PHOTO, { object_sequencer: '20' }),
    });
  });

  test.each([
    ['failed at another', failed],
    ['has no end', { status: 'processing', object_version: 'v2' }],
  ])('writes one of a photo that %s', async (...[, row]) => {
    await insertPhoto(row);
    await expect(failLast()).resolves.toMatchObject({ effect: 'written' });
    await expect(world()).resolves.toMatchObject({ photos: expect.arrayContaining([failedRow()]) });
  });

  test('is the only one that leaves it', async () => {
    await insertPhoto({ ...failed, object_version: 'v2' });
    const before = await world();
    await expectEffect(fail(), 'written', { ...before, photos: changed(before.photos, PHOTO, failedRow()) });
  });
});

describe('an upload of no event', () => {
  const key = 'elsewhere/photo.jpg';
  const of = { photo_id: null, event_id: null, key };
  const row = {
    object_key: key,
    object_version: 'v2',
    object_sequencer: '20',
    failure_code: FAILURE.code,
    failure_message: FAILURE.message,
    execution_arn: 'arn:now',
    failed_at: expect.any(Date),
  };
  const insertMisplaced = (changes: Row) =>
    insert('misplaced_uploads', {
      ...row,
      failure_message: 'what it was before',
      execution_arn: 'arn:before',
      failed_at: EARLIER,
      ...changes,
    });

  test('has a row of its own, and a metric', async () => {
    const before = await world();
    await expect(fail({ object: { key } })).resolves.toEqual(outcomeOf('misplaced', { photo_id: null }));
    await expect(world()).resolves.toEqual({ ...before, misplaced: [row] });
    expect(told.lines).toEqual([line('misplaced', of)]);
    expect(told.recorded).toEqual([...COUNTED, { name: 'UploadsMisplaced', value: 1, dimensions: {} }]);
  });

  test.each([
    ['superseded', 'a newer upload of the key is written', { object_sequencer: '30' }],
    ['known', 'this one has a reason', {}],
  ])('is %s to the last resort where %s', async (...[effect, , changes]) => {
    await insertMisplaced(changes);
    const before = await world();
    await expect(failLast({ key })).resolves.toEqual(outcomeOf(effect, { photo_id: null }));
    await expect(world()).resolves.toEqual(before);
    expect(told.lines).toEqual([line(effect, of)]);
    expect(told.recorded).toEqual([]);
  });
});

test.each([
  ['shared', false],
  ['exclusive', true],
] as const)('a photo whose event is locked %s by somebody else waits: %s', async (mode, waits) => {
  await expect(whileHeld(database, (sql) => lockEvent(sql, EVENT, mode), fail)).resolves.toMatchObject({
    waited: waits,
    result: { effect: 'written' },
  });
});

test('a failure that cannot be written whole changes nothing, and is not told', async () => {
  await insertPhoto({ ...indexed, face_count: 1 });
  await insert('faces', { photo_id: PHOTO, rekognition_face_id: 'a' });
  const before = await world();
  // The last of its statements.
  const message = 'x\0';
  await expect(
    writeFailure(
      deps(),
      {
        object: { key: KEY, etag: 'e2', 'version-id': 'v2', sequencer: '20' },
        uploadedAt: UPLOADED.toISOString(),
        failure: { ...FAILURE, message },
        execution_arn: 'arn:now',
        startedMs: 0,
        throttles: 0,
      },
      { keepFirstReason: false },
    ),
  ).rejects.toThrow();
  await expect(world()).resolves.toEqual(before);
  expect(told.lines).toEqual([]);
  expect(told.recorded).toEqual([]);
});
