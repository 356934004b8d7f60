/** What persist-results does to each table, says and counts, asked alone of a real PostgreSQL: once for each effect and each refusal. */
import { randomUUID } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import type postgres from 'postgres';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import type { PersistOutcome, PersistResultsRequest } from '../../lambdas/shared/contract/payloads.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { IMAGE_USD } from '../../lambdas/shared/contract/prices.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import { lockEvent } from '../../lambdas/shared/erasure/outbox.ts';
import { awsError, fakeClient } from '../support/fake-client.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { waitsForLock } from '../support/waiting.ts';

const database = useTestDatabase();

type Row = Record<string, unknown>;

const EVENT = randomUUID();
const OTHER_EVENT = randomUUID();
const PHOTOGRAPHER = randomUUID();
const PHOTO = randomUUID();
/** Of the same event, and of the other one: whatever becomes of the photo, nothing becomes of them. */
const BYSTANDERS = [
  [EVENT, randomUUID()],
  [OTHER_EVENT, randomUUID()],
] as const;

const KEY = `events/${EVENT}/${PHOTO}.jpg`;
/** Another key that names the same photo. */
const OTHER_KEY = `events/${EVENT}/${PHOTO}.png`;
const OWN_ID = parsePhotoKey(KEY).keyId;
const COLLECTION = 'the-collection';
const RESULT = resultsKey({ event_id: EVENT, photo_id: PHOTO }, 'v2');

const UPLOADED = new Date('2001-05-01T09:00:00.000Z');
const STARTED = new Date('2001-05-01T10:00:00.000Z');
const CALLED = new Date('2001-05-01T10:00:02.000Z');
const ANSWERED = new Date('2001-05-01T10:00:03.000Z');
const NOW = new Date('2001-05-01T10:00:05.000Z');
/** Before all of them. */
const EARLIER = new Date('2001-04-30T00:00:00.000Z');
const later = (moment: Date, ms = 1) => new Date(moment.getTime() + ms);

const BOX = { Left: 0.1, Top: 0.1, Width: 0.2, Height: 0.2 };
const OTHER_BOX = { Left: 0.6, Top: 0.5, Width: 0.2, Height: 0.3 };

const face = (FaceId: string, BoundingBox = BOX) => ({
  Face: { FaceId, BoundingBox, Confidence: 99.5, ImageId: 'image' },
  FaceDetail: { AgeRange: { Low: 20, High: 30 } },
});

/** The row that such a face becomes. */
const faceRow = (id: string, box = BOX): Row => ({
  photo_id: PHOTO,
  rekognition_face_id: id,
  bounding_box: box,
  confidence: 99.5,
  rekognition_response: face(id, box),
});

const insertFaces = (...rows: Row[]) => database.admin`INSERT INTO faces ${database.admin(rows)}`;

/** The row of an upload before the one that is persisted. */
const insertPhoto = (row: Row = {}) => database.admin`
  INSERT INTO photos ${database.admin({
    id: PHOTO,
    event_id: EVENT,
    object_key: KEY,
    object_version: 'v1',
    object_sequencer: '10',
    object_etag: 'e1',
    status: 'indexed',
    execution_arn: 'arn:before',
    created_at: EARLIER,
    face_count: row.status === 'indexed' || row.status === undefined ? 0 : null,
    unindexed_faces: null,
    ...(row.status === 'failed' && {
      failure_code: 'InvalidImageFormat',
      failure_message: 'because',
      failure_retryable: false,
      failed_at: EARLIER,
    }),
    ...row,
  })}`;

async function insertErasure(row: Row, faces: string[] = []): Promise<string> {
  const { admin } = database;
  const [erasure] = await admin<{ id: string }[]>`
    INSERT INTO erasures ${admin({
      event_id: EVENT,
      photo_id: PHOTO,
      reason: 'photo_deleted',
      execution_arn: 'arn:before',
      requested_at: EARLIER,
      not_before: EARLIER,
      ...row,
    })} RETURNING id`;
  for (const name of faces) {
    const [collection_id, rekognition_face_id] = name.split('/');
    await admin`INSERT INTO face_removals ${admin({ erasure_id: erasure!.id, collection_id, rekognition_face_id, photo_id: PHOTO })}`;
  }
  return erasure!.id;
}

/** A face of the photo that a person had erased, long before the upload unless it says otherwise. */
async function insertErasedFace(row: Row = {}): Promise<void> {
  const erasure_id = await insertErasure({
    photo_id: null,
    reason: 'person_requested',
    finished_at: EARLIER,
  });
  await database.admin`
    INSERT INTO erased_faces ${database.admin({
      erasure_id,
      event_id: EVENT,
      photo_id: PHOTO,
      bounding_box: BOX,
      etag: 'e1',
      requested_at: EARLIER,
      erased_at: EARLIER,
      ...row,
    })}`;
}

const TABLES = [
  'faces',
  'erased_faces',
  'face_removals',
  'result_removals',
  'erasures',
  'photos',
  'paid_images',
  'events',
];

/** As it is before each test. Sent as one text, like what is read: of so many statements the way to and fro is most of the time. */
const SEED = `
  ${TABLES.map((table) => `DELETE FROM ${table};`).join(' ')}
  INSERT INTO events (id, photographer_id, rekognition_collection_id, face_model_version, created_at) VALUES
    ('${EVENT}', '${PHOTOGRAPHER}', '${COLLECTION}', '7.0', '${EARLIER.toISOString()}'),
    ('${OTHER_EVENT}', NULL, 'another-collection', '7.0', '${EARLIER.toISOString()}');
  ${BYSTANDERS.map(
    ([event, id]) => `
      INSERT INTO photos (id, event_id, object_key, object_version, object_sequencer, status, face_count, created_at)
      VALUES ('${id}', '${event}', 'events/${event}/${id}.jpg', 'v1', '10', 'indexed', 1, '${EARLIER.toISOString()}');
      INSERT INTO faces (photo_id, rekognition_face_id) VALUES ('${id}', 'beside');
      INSERT INTO erasures (id, event_id, photo_id, reason, requested_at, not_before)
      VALUES ('${id}', '${event}', '${id}', 'late_result', '${EARLIER.toISOString()}', '-infinity');
      INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
      VALUES ('${id}', '${COLLECTION}', 'leaving', '${id}');
      INSERT INTO result_removals (erasure_id, name) VALUES ('${id}', 'results/beside.json');
      INSERT INTO erased_faces (erasure_id, event_id, photo_id, bounding_box, etag, requested_at)
      VALUES ('${id}', '${event}', '${id}', '${JSON.stringify(BOX)}', NULL, '${NOW.toISOString()}');
      INSERT INTO paid_images (photo_id, called_at, event_id, faces, estimated_usd)
      VALUES ('${id}', '${CALLED.toISOString()}', '${event}', 1, 0.001);`,
  ).join('')}`;

/** All rows of all tables that a result can change, in the order in which they were made, and last those of the photo. */
const WORLD = {
  // `xmin` changes whenever the row is written.
  events: `
    SELECT id, photographer_id, name, rekognition_collection_id, face_model_version, xmin::text FROM events
    ORDER BY created_at, id`,
  photos: `
    SELECT id, event_id, object_key, object_version, object_sequencer, object_etag, other_objects, status, face_count,
      unindexed_faces, failure_code, failure_message, failure_retryable, execution_arn, indexed_at, failed_at,
      deleted_at, faces_erased_at
    FROM photos ORDER BY created_at, id`,
  faces: `
    SELECT photo_id, rekognition_face_id, bounding_box, confidence, rekognition_response FROM faces
    ORDER BY photo_id = '${PHOTO}', photo_id, rekognition_face_id`,
  erasures: `
    SELECT event_id, photo_id, reason, execution_arn, photos, search, finished_at,
      (SELECT coalesce(jsonb_agg(collection_id || '/' || rekognition_face_id ORDER BY rekognition_face_id), '[]')
       FROM face_removals WHERE erasure_id = id AND photo_id = erasures.photo_id) AS faces,
      (SELECT coalesce(jsonb_agg(name ORDER BY name), '[]') FROM result_removals WHERE erasure_id = id) AS results
    FROM erasures ORDER BY requested_at, id`,
  erased_faces: `
    SELECT event_id, photo_id, bounding_box, etag, requested_at, erased_at FROM erased_faces
    ORDER BY requested_at, photo_id`,
  paid_images: `
    SELECT photo_id, event_id, photographer_id, called_at, faces, estimated_usd::float8 AS usd FROM paid_images
    ORDER BY photo_id = '${PHOTO}', photo_id, called_at`,
};
type World = Record<keyof typeof WORLD, Row[]>;

async function world(): Promise<World> {
  const results = await database.admin.unsafe<Row[][]>(Object.values(WORLD).join(';')).simple();
  return Object.fromEntries(Object.keys(WORLD).map((table, i) => [table, [...results[i]!]])) as World;
}

let told = recordingTelemetry();
let calls: unknown[] = [];
beforeEach(async () => {
  told = recordingTelemetry();
  calls = [];
  await database.admin.unsafe(SEED).simple();
});

const changed = (rows: Row[], id: string, changes: Row) =>
  rows.map((row) => (row.id === id ? { ...row, ...changes } : row));

/** The photo's row once the second upload is written. */
const indexedRow = (row: Row = {}): Row => ({
  id: PHOTO,
  event_id: EVENT,
  object_key: KEY,
  object_version: 'v2',
  object_sequencer: '20',
  object_etag: 'e2',
  other_objects: null,
  status: 'indexed',
  face_count: 0,
  unindexed_faces: [],
  failure_code: null,
  failure_message: null,
  failure_retryable: null,
  execution_arn: 'arn:now',
  indexed_at: expect.any(Date),
  failed_at: null,
  deleted_at: null,
  faces_erased_at: null,
  ...row,
});

/** The row of the call that the response answered. */
const paid = (faces: number, row: Row = {}): Row => ({
  photo_id: PHOTO,
  event_id: EVENT,
  photographer_id: PHOTOGRAPHER,
  called_at: CALLED,
  faces,
  usd: IMAGE_USD,
  ...row,
});

/** The erasure that this execution asked for. */
const asked = (reason: string, faces: string[], results = [RESULT]): Row => ({
  event_id: EVENT,
  photo_id: PHOTO,
  reason,
  execution_arn: 'arn:now',
  photos: 1,
  search: false,
  finished_at: null,
  faces: faces.map((id) => `${COLLECTION}/${id}`),
  results,
});

/** As Rekognition's answer lies in the bucket, with what is put in its place. */
const response = (faces: unknown[], rest: Row = {}): string =>
  JSON.stringify({
    event_id: EVENT,
    photo_id: PHOTO,
    collection_id: COLLECTION,
    object_version: 'v2',
    called_at: CALLED,
    indexed_at: ANSWERED,
    face_model_version: '7.0',
    face_records: faces,
    unindexed_faces: [],
    ...rest,
  });

/** Persists what lies in the bucket: a text, an object without any (null), or an error. */
function persist(
  stored: string | null | Error,
  {
    object = {},
    started = STARTED,
    ...input
  }: Partial<Omit<PersistResultsRequest['input'], 'object' | 'event_time'>> & {
    event_time?: string | undefined;
    object?: Partial<PersistResultsRequest['input']['object']>;
    started?: Date;
  } = {},
): Promise<PersistOutcome> {
  const s3 = fakeClient<S3Client>({
    GetObject: () => {
      if (stored instanceof Error) {
        throw stored;
      }
      return stored === null ? {} : { Body: { transformToString: async () => stored } };
    },
  });
  calls = s3.calls;
  return persistResults(
    {
      s3: s3.client,
      telemetry: told.telemetry,
      resultsBucket: 'results',
      withDatabase: <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline),
      now: () => NOW.getTime(),
    },
    {
      input: {
        lane: 'live',
        bucket: 'photos',
        object: { key: KEY, etag: 'e2', 'version-id': 'v2', sequencer: '20', ...object },
        event_time: UPLOADED.toISOString(),
        photo: {
          event_id: EVENT,
          photo_id: PHOTO,
          collection_id: COLLECTION,
          face_model_version: '7.0',
          recreations: 0,
        },
        result: { results_key: RESULT, face_count: 0, unindexed_count: 0 },
        ...input,
      },
      execution_arn: 'arn:now',
      started_at: started.toISOString(),
    },
  );
}

const gone = () => awsError('NoSuchKey', 404);

const outcomeOf = (effect: PersistOutcome['effect'], rest: Partial<PersistOutcome> = {}): PersistOutcome => ({
  event_id: EVENT,
  photo_id: PHOTO,
  effect,
  face_count: 0,
  unindexed_count: 0,
  erasure_requested: false,
  ...rest,
});

const line = (effect: PersistOutcome['effect'], rest: Row = {}): Row => ({
  level: 'info',
  message: {
    stored: 'The photo is indexed',
    known: 'The photo was indexed before',
    copy: 'The same bytes are indexed under another key of the photo',
    superseded: 'A newer upload is already written',
    deleted: 'The photo is deleted: its faces are erased',
    erased: "The event's faces were erased since the upload",
  }[effect],
  event: ['stored', 'known', 'copy'].includes(effect) ? 'face_index.succeeded' : 'face_index.superseded',
  event_id: EVENT,
  photo_id: PHOTO,
  collection_id: COLLECTION,
  effect,
  face_count: 0,
  unindexed_count: 0,
  duration_ms: 5_000,
  attempt: 1,
  ...rest,
});

/** Values by name. */
const metrics = () => Object.fromEntries(told.recorded.map(({ name, value }) => [name, value]));

/** Nothing is told of what is tried again, or is somebody else's to tell. */
async function expectRefusal(
  running: Promise<unknown>,
  error: { name: string; message?: unknown },
  then: World,
): Promise<void> {
  await expect(running).rejects.toMatchObject(error);
  expect(told.lines).toEqual([]);
  expect(told.recorded).toEqual([]);
  await expect(world()).resolves.toEqual(then);
}

describe('a photo is stored', () => {
  test('with its event, where nobody has written either', async () => {
    const event_id = randomUUID();
    const key = `events/${event_id}/${PHOTO}.jpg`;
    const of = { collection_id: 'new', face_model_version: '8.0' };
    const before = await world();
    await expect(
      persist(response([face('a'), face('b', OTHER_BOX)], of), {
        object: { key },
        photo: { event_id, photo_id: PHOTO, recreations: 0, ...of },
      }),
    ).resolves.toEqual(outcomeOf('stored', { event_id, face_count: 2 }));
    await expect(world()).resolves.toEqual({
      ...before,
      events: [
        ...before.events,
        {
          id: event_id,
          photographer_id: null,
          name: null,
          rekognition_collection_id: 'new',
          face_model_version: '8.0',
          xmin: expect.any(String),
        },
      ],
      photos: [...before.photos, indexedRow({ event_id, object_key: key, face_count: 2 })],
      faces: [...before.faces, faceRow('a'), faceRow('b', OTHER_BOX)],
      paid_images: [...before.paid_images, paid(2, { event_id, photographer_id: null })],
    });
    expect(calls).toEqual([['GetObject', { Bucket: 'results', Key: RESULT }]]);
    expect(told.lines).toEqual([
      line('stored', { event_id, collection_id: 'new', face_count: 2, unindexed_reasons: {} }),
    ]);
    expect(metrics()).toEqual({
      PhotosIndexed: 1,
      FacesIndexed: 2,
      FacesUnindexed: 0,
      PhotosWithoutFaces: 0,
      ProcessingTime: 5_000,
    });
  });

  test('with a warning of the faces that Rekognition saw and did not index, and the reasons that it gave', async () => {
    await insertPhoto({ status: 'processing', object_version: null, object_sequencer: null });
    const before = await world();
    const unindexed_faces = [
      { Reasons: ['LOW_SHARPNESS', 'SMALL_BOUNDING_BOX'], FaceDetail: { BoundingBox: BOX } },
      { Reasons: ['LOW_SHARPNESS', 7] },
      {},
    ];
    const place = { place_ms: 0, wait_until: '', throttles: 2, reindexes: 0 };
    await expect(persist(response([], { unindexed_faces }), { place, started: later(NOW) })).resolves.toEqual(
      outcomeOf('stored', { unindexed_count: 3 }),
    );
    await expect(world()).resolves.toEqual({
      ...before,
      photos: changed(before.photos, PHOTO, indexedRow({ unindexed_faces })),
      paid_images: [...before.paid_images, paid(0)],
    });
    expect(told.lines).toEqual([
      line('stored', {
        level: 'warn',
        message: 'The photo is indexed, without some of its faces',
        unindexed_count: 3,
        unindexed_reasons: { LOW_SHARPNESS: 2, SMALL_BOUNDING_BOX: 1 },
        // The clocks of two machines.
        duration_ms: 0,
        attempt: 3,
      }),
    ]);
    expect(metrics()).toEqual({
      PhotosIndexed: 1,
      FacesIndexed: 0,
      FacesUnindexed: 3,
      PhotosWithoutFaces: 1,
      ProcessingTime: 0,
    });
  });

  test('with each face once, and with those that have no id of use', async () => {
    const before = await world();
    const [long, longer] = ['x'.repeat(255), 'x'.repeat(256)];
    const without = [{}, { Face: 'none' }, face(''), face(longer), { Face: { FaceId: 7 } }];
    await persist(response([face('a'), ...without, face('a', OTHER_BOX), face(long)]));
    const { faces, photos, paid_images } = await world();
    const unnamed = faces.filter((row) => row.photo_id === PHOTO && row.rekognition_face_id === null);
    expect(faces.filter((row) => row.rekognition_face_id !== null)).toEqual([
      ...before.faces,
      faceRow('a'),
      faceRow(long),
    ]);
    const nothing = { bounding_box: null, confidence: null };
    const row = { photo_id: PHOTO, rekognition_face_id: null };
    expect(unnamed).toHaveLength(5);
    expect(unnamed).toEqual(
      expect.arrayContaining([
        { ...row, ...nothing, rekognition_response: { Face: {} } },
        { ...row, ...nothing, rekognition_response: { Face: { FaceId: 7 } } },
        { ...faceRow(''), rekognition_face_id: null },
        { ...faceRow(longer), rekognition_face_id: null },
      ]),
    );
    expect(photos).toContainEqual(indexedRow({ face_count: 7 }));
    expect(paid_images).toEqual([...before.paid_images, paid(7)]);
    expect(told.lines.slice(0, -1)).toEqual(
      Array.from({ length: 5 }, () => ({
        level: 'warn',
        message: 'Rekognition stored a face without a FaceId',
        event: 'face_index.face_without_id',
      })),
    );
  });

  test('in place of an earlier upload, whose other faces and whose response leave', async () => {
    await insertPhoto({ face_count: 3, unindexed_faces: [] });
    const nameless = { ...faceRow('c'), rekognition_face_id: null };
    await insertFaces(faceRow('a'), faceRow('b'), nameless);
    const before = await world();
    const stored = response([face('b', OTHER_BOX), face('d'), face('beside')]);
    await expect(persist(stored)).resolves.toEqual(
      outcomeOf('stored', { face_count: 3, erasure_requested: true }),
    );
    await expect(world()).resolves.toEqual({
      ...before,
      photos: changed(before.photos, PHOTO, indexedRow({ face_count: 3 })),
      faces: [
        ...before.faces.filter((row) => row.photo_id !== PHOTO),
        // As it was written first.
        faceRow('b'),
        faceRow('beside'),
        faceRow('d'),
      ],
      erasures: [
        ...before.erasures,
        asked('photo_replaced', ['a'], [resultsKey({ event_id: EVENT, photo_id: PHOTO }, 'v1')]),
      ],
      paid_images: [...before.paid_images, paid(3)],
    });
  });

  test('in place of its failure, of which nothing is left', async () => {
    await insertPhoto({ status: 'failed', object_version: 'v2', object_etag: null });
    const before = await world();
    const counts = { face_count: 1, unindexed_count: 1 };
    await expect(persist(response([face('a')], { unindexed_faces: [{}] }))).resolves.toEqual(
      outcomeOf('stored', counts),
    );
    await expect(world()).resolves.toEqual({
      ...before,
      photos: changed(before.photos, PHOTO, indexedRow({ face_count: 1, unindexed_faces: [{}] })),
      faces: [...before.faces, faceRow('a')],
      paid_images: [...before.paid_images, paid(1)],
    });
    expect(told.lines).toMatchObject([{ level: 'warn', effect: 'stored', ...counts, unindexed_reasons: {} }]);
  });

  test.each([
    ['the same', { collection_id: COLLECTION, face_model_version: '7.0' }, false],
    ['no version', { collection_id: COLLECTION, face_model_version: null }, false],
    ['another version', { collection_id: COLLECTION, face_model_version: '8.0' }, true],
    ['another collection', { collection_id: 'recreated', face_model_version: null }, true],
  ])('with what it says of the event’s collection, where that is new: %s', async (...[, says, isNew]) => {
    const before = await world();
    await persist(response([], says));
    await expect(world()).resolves.toMatchObject({
      events: changed(
        before.events,
        EVENT,
        isNew
          ? {
              rekognition_collection_id: says.collection_id,
              face_model_version: says.face_model_version ?? '7.0',
              xmin: expect.any(String),
            }
          : {},
      ),
    });
  });
});

describe('a response that the photo’s row has no use for', () => {
  const indexed = { face_count: 2, unindexed_faces: [{ Reasons: ['LOW_SHARPNESS'] }] };
  const counts = { face_count: 2, unindexed_count: 1 };

  interface Case {
    effect: PersistOutcome['effect'];
    when: string;
    row: Row;
    /** The row of the key's own id, where there is one beside. */
    own?: Row;
    /** What is new in the row. */
    becomes?: Row;
    counts?: Partial<PersistOutcome>;
    /** Whether the response has to go even where it names no face that nobody else knows. */
    always: boolean;
    erasedBefore?: Date;
    input?: Parameters<typeof persist>[1];
  }
  const cases: Case[] = [
    {
      effect: 'known',
      when: 'the same version was stored before',
      row: { ...indexed, object_version: 'v2' },
      becomes: { object_sequencer: '20' },
      counts,
      always: false,
    },
    {
      effect: 'known',
      when: 'the same version came again since',
      row: { ...indexed, object_version: 'v2', object_sequencer: '30' },
      counts,
      always: false,
    },
    {
      effect: 'copy',
      when: 'the same version is stored under another key',
      row: { ...indexed, object_version: 'v2', object_key: OTHER_KEY },
      becomes: { other_objects: { [KEY]: { sequencer: '20', version: 'v2' } } },
      counts,
      always: false,
    },
    {
      effect: 'superseded',
      when: 'a later upload is stored',
      row: { ...indexed, object_version: 'v3', object_sequencer: '30' },
      counts,
      always: true,
    },
    {
      effect: 'superseded',
      when: 'a later upload of the same version has failed',
      row: { status: 'failed', object_version: 'v2', object_sequencer: '30' },
      always: false,
    },
    {
      effect: 'superseded',
      when: 'a later upload of its key has a row of its own, and nobody has the photo id',
      row: { status: 'failed', id: OWN_ID, object_version: 'v3', object_sequencer: '30' },
      always: true,
    },
    {
      effect: 'superseded',
      when: 'a later upload of its key has a row of its own, and the photo id is that of a photo of another event',
      row: { ...indexed, event_id: OTHER_EVENT, object_version: 'v2', object_key: OTHER_KEY },
      own: { status: 'failed', id: OWN_ID, object_version: 'v3', object_sequencer: '30' },
      always: true,
    },
    {
      effect: 'deleted',
      when: 'the photo is deleted',
      row: { status: 'deleted', object_version: null, object_sequencer: '30', deleted_at: EARLIER },
      always: true,
    },
    {
      effect: 'deleted',
      when: 'its key is deleted, and the photo is under another one',
      row: {
        ...indexed,
        object_key: OTHER_KEY,
        other_objects: { [KEY]: { sequencer: '30', version: null } },
      },
      always: true,
    },
    {
      effect: 'deleted',
      when: 'its deletion came before the photo did, under another key',
      row: { ...indexed, object_key: OTHER_KEY },
      own: { status: 'deleted', id: OWN_ID, object_version: null, object_sequencer: '30' },
      always: true,
    },
    {
      effect: 'deleted',
      when: 'its deletion came before anything else of the photo',
      row: { status: 'deleted', id: OWN_ID, object_version: null, object_sequencer: '30' },
      always: true,
    },
    {
      effect: 'erased',
      when: 'its event is erased since the upload, though the execution began later',
      row: { status: 'processing', object_version: null, object_sequencer: null, object_etag: null },
      becomes: { status: 'erased', object_version: 'v2', object_sequencer: '20', execution_arn: 'arn:now' },
      erasedBefore: later(UPLOADED),
      always: true,
    },
    {
      effect: 'erased',
      when: 'its event is erased since the execution began, and nobody says when the upload was',
      row: indexed,
      becomes: { object_sequencer: '20' },
      erasedBefore: later(STARTED),
      input: { event_time: undefined },
      always: true,
    },
  ];

  test.each(cases)('is $effect when $when', async ({ effect, row, becomes = {}, always, ...rest }) => {
    const { counts = {}, own, erasedBefore, input } = rest;
    const hasFaces = row.face_count === 2;
    await insertPhoto(row);
    if (own) {
      await insertPhoto(own);
    }
    if (hasFaces) {
      await insertFaces(faceRow('a'), faceRow('b', OTHER_BOX));
    }
    // Over, and nothing to wait for.
    await insertErasure({ finished_at: EARLIER });
    if (erasedBefore) {
      await database.admin`UPDATE events SET erasure_requested_at = ${erasedBefore} WHERE id = ${EVENT}`;
    }
    const before = await world();
    const then = {
      ...before,
      photos: changed(before.photos, row.id === undefined ? PHOTO : OWN_ID, becomes),
    };

    // It may be gone.
    await expect(persist(gone(), input)).resolves.toEqual(outcomeOf(effect, counts));
    await expect(world()).resolves.toEqual(then);

    // It names no face.
    await expect(persist(response([]), input)).resolves.toEqual(
      outcomeOf(effect, { ...counts, erasure_requested: always }),
    );
    await expect(world()).resolves.toEqual({
      ...then,
      erasures: [...then.erasures, ...(always ? [asked('late_result', [])] : [])],
      paid_images: [...then.paid_images, paid(0)],
    });

    // It names faces that a row has, that are leaving, and that nobody knows: those go.
    const stored = response([face('a'), face('late'), face('later'), face('leaving')], {
      called_at: later(CALLED),
      unindexed_faces: [{ Reasons: ['LOW_QUALITY'] }],
    });
    await expect(persist(stored, input)).resolves.toEqual(
      outcomeOf(effect, { ...counts, erasure_requested: true }),
    );
    await expect(world()).resolves.toEqual({
      ...then,
      erasures: [...then.erasures, asked('late_result', [...(hasFaces ? [] : ['a']), 'late', 'later'])],
      paid_images: [...then.paid_images, paid(0), paid(4, { called_at: later(CALLED) })],
    });

    expect(told.lines).toEqual([
      line(effect, counts),
      line(effect, { ...counts, unindexed_reasons: {} }),
      line(effect, { ...counts, unindexed_reasons: { LOW_QUALITY: 1 } }),
    ]);
    expect(told.recorded).toEqual([]);
  });

  test('tells that an erasure of the photo is open, whoever asked for it', async () => {
    await insertPhoto({ object_version: 'v2' });
    await insertErasure({});
    await expect(persist(gone())).resolves.toEqual(outcomeOf('known', { erasure_requested: true }));
  });
});

describe('a photo whose id is another photo’s', () => {
  const own = indexedRow({
    id: OWN_ID,
    object_etag: null,
    status: 'failed',
    face_count: null,
    unindexed_faces: null,
    failure_code: 'PhotoIdTaken',
    failure_message: `The photo id ${PHOTO} is that of another photo: give this file a name of its own`,
    failure_retryable: false,
    indexed_at: null,
    failed_at: expect.any(Date),
  });
  const refusal = { name: 'PhotoIdTaken', message: own.failure_message };

  beforeEach(async () => {
    await insertPhoto({ object_key: OTHER_KEY, face_count: 1 });
    await insertFaces(faceRow('a'));
  });

  test.each([
    ['with faces', ['a', 'b']],
    ['without faces', []],
  ])('has a row of its own that says so, and its response leaves, %s', async (...[, ids]) => {
    const before = await world();
    await expectRefusal(persist(response(ids.map((id) => face(id)))), refusal, {
      ...before,
      photos: [...before.photos, own],
      erasures: [...before.erasures, asked('late_result', ids.slice(1))],
      paid_images: [...before.paid_images, paid(ids.length)],
    });
  });

  test('needs no response for that', async () => {
    const before = await world();
    await expectRefusal(persist(gone()), refusal, { ...before, photos: [...before.photos, own] });
  });
});

describe('while faces are being erased', () => {
  const wholeEvent = () => insertErasure({ photo_id: null, reason: 'event_requested' });
  const ofPhoto = () => insertErasure({ search: true });
  const itsFaces = () => insertErasure({}, [`${COLLECTION}/a`]);

  test.each([
    ['all of the event', wholeEvent, response([face('a')])],
    ['all of the event, the response with them', wholeEvent, gone()],
    ['whatever was indexed of the photo', ofPhoto, response([face('z')])],
    ['whatever was indexed of the photo, the response with it', ofPhoto, gone()],
    ['a face that the response names', itsFaces, response([face('z'), face('a')])],
  ])('a photo waits: %s', async (...[, erase, stored]) => {
    await erase();
    const before = await world();
    const message = 'Faces of this photo, or of its whole event, are just being erased';
    const wait = (name?: string) => persist(stored, name ? { returned: { Error: name, Cause: '' } } : {});
    for (const returned of [undefined, 'ResultNotFound']) {
      await expectRefusal(wait(returned), { name: 'FacesBeingErased', message }, before);
    }
    await expectRefusal(wait('FacesBeingErased'), { name: 'FacesStillBeingErased', message }, before);
  });

  test('a face of the same id in another collection is another one', async () => {
    await insertErasure({}, ['another-collection/a']);
    await expect(persist(response([face('a')]))).resolves.toMatchObject({ effect: 'stored' });
  });

  test('a photo waits for whoever is just asking for its event’s erasure, and heeds that', async () => {
    let running: Promise<PersistOutcome> | undefined;
    await database.admin.begin(async (sql) => {
      await lockEvent(sql, EVENT, 'exclusive');
      running = persist(response([]));
      await expect(waitsForLock(database, running)).resolves.toBe(true);
      await sql`UPDATE events SET erasure_requested_at = ${NOW} WHERE id = ${EVENT}`;
    });
    await expect(running).resolves.toMatchObject({ effect: 'erased' });
  });

  test('photos of one event do not wait for each other', async () => {
    await database.admin.begin(async (sql) => {
      await lockEvent(sql, EVENT, 'shared');
      await expect(waitsForLock(database, persist(response([])))).resolves.toBe(false);
    });
  });
});

describe('a response that came before an erasure', () => {
  /** Each with what was erased at that moment, and all else long before. */
  const erasures: [what: string, erasedAt: (moment: Date) => Promise<unknown>][] = [
    [
      'of faces of the photo',
      (moment) => database.admin`UPDATE photos SET faces_erased_at = ${moment} WHERE id = ${PHOTO}`,
    ],
    [
      'of faces of the event',
      (moment) => database.admin`UPDATE events SET faces_erased_at = ${moment} WHERE id = ${EVENT}`,
    ],
    [
      'of whatever was indexed of the photo',
      (moment) => insertErasure({ search: true, removed_at: moment, finished_at: moment }),
    ],
    ['of a face for a person', (moment) => insertErasedFace({ bounding_box: OTHER_BOX, erased_at: moment })],
  ];

  describe.each(erasures)('%s', (...[, erasedAt]) => {
    beforeEach(async () => {
      await insertPhoto({ status: 'failed', object_version: 'v2' });
      for (const [, erasedLongAgo] of erasures) {
        await erasedLongAgo(EARLIER);
      }
    });

    test('was billed, and has to be made again', async () => {
      await erasedAt(later(CALLED));
      const before = await world();
      const message = 'The stored response is older than an erasure of its faces';
      await expectRefusal(
        persist(response([face('a')])),
        { name: 'ResultNotFound', message },
        { ...before, paid_images: [...before.paid_images, paid(1)] },
      );
    });

    test('is stored where Rekognition was asked no earlier than that', async () => {
      await erasedAt(CALLED);
      await expect(persist(response([face('a')]))).resolves.toEqual(outcomeOf('stored', { face_count: 1 }));
    });
  });
});

describe('a face that a person had erased', () => {
  test('is not stored again of the same bytes, but leaves', async () => {
    await insertPhoto({ status: 'processing', object_version: null, object_sequencer: null });
    await insertErasedFace({ etag: 'e2' });
    const before = await world();
    await expect(persist(response([face('a'), face('b', OTHER_BOX)]))).resolves.toEqual(
      outcomeOf('stored', { face_count: 1, erasure_requested: true }),
    );
    await expect(world()).resolves.toEqual({
      ...before,
      photos: changed(before.photos, PHOTO, indexedRow({ face_count: 1 })),
      faces: [...before.faces, faceRow('b', OTHER_BOX)],
      erasures: [...before.erasures, asked('late_result', ['a'])],
      paid_images: [...before.paid_images, paid(2)],
    });
    expect(metrics()).toMatchObject({ FacesIndexed: 1, PhotosWithoutFaces: 0 });
  });

  test('is not stored of an upload before the request, whose bytes are noted where nobody knew them', async () => {
    const requested_at = later(UPLOADED);
    await insertErasedFace({ requested_at, etag: null });
    await insertErasedFace({ requested_at: later(requested_at), bounding_box: OTHER_BOX });
    const before = await world();
    await persist(response([face('a'), face('b', OTHER_BOX)]));
    await expect(world()).resolves.toEqual({
      ...before,
      photos: [...before.photos, indexedRow()],
      erasures: [...before.erasures, asked('late_result', ['a', 'b'])],
      erased_faces: before.erased_faces.map((row) =>
        row.photo_id === PHOTO && row.etag === null ? { ...row, etag: 'e2' } : row,
      ),
      paid_images: [...before.paid_images, paid(2)],
    });
  });

  test.each([
    ['other bytes', 'e1'],
    ['bytes that nobody knew', null],
  ])('is stored of an upload at or after the request, of %s', async (...[, etag]) => {
    await insertErasedFace({ etag, requested_at: UPLOADED });
    const before = await world();
    await expect(persist(response([face('a')]))).resolves.toEqual(outcomeOf('stored', { face_count: 1 }));
    await expect(world()).resolves.toEqual({
      ...before,
      photos: [...before.photos, indexedRow({ face_count: 1 })],
      faces: [...before.faces, faceRow('a')],
      paid_images: [...before.paid_images, paid(1)],
    });
  });

  test('is one for each that was erased, where faces overlap', async () => {
    for (const bounding_box of [BOX, BOX, OTHER_BOX]) {
      await insertErasedFace({ etag: 'e2', bounding_box });
    }
    const before = await world();
    const [a, b, c] = [0.1, 0.11, 0.12].map((Left) => ({ ...BOX, Left }));
    const stored = response([face('a', a), face('b', b), face('c', c)]);
    await expect(persist(stored)).resolves.toMatchObject({ face_count: 1 });
    const { faces, erasures } = await world();
    expect(faces).toEqual([...before.faces, faceRow('c', c)]);
    expect(erasures).toEqual([...before.erasures, asked('late_result', ['a', 'b'])]);
  });
});

describe('what is billed', () => {
  test.each([
    ['when Rekognition was asked', {}, CALLED],
    ['when it had answered, of old responses', { called_at: undefined }, ANSWERED],
    ['when the execution began, where the response does not say', { called_at: 'some day' }, STARTED],
  ])('is told by %s', async (...[, says, called_at]) => {
    await persist(response([], says));
    const { paid_images } = await world();
    expect(paid_images.filter((row) => row.photo_id === PHOTO)).toEqual([paid(0, { called_at })]);
  });
});

describe('a response that is not there', () => {
  const unreadable = expect.stringMatching(`^The stored response ${RESULT} cannot be read: .`);

  test.each([
    [
      'is gone',
      gone(),
      `GetObject (s3:GetObject) of s3://results/${RESULT}: S3 NoSuchKey: NoSuchKey said so (request request-1)`,
    ],
    ['is empty', null, expect.stringMatching(/cannot be read: .*\bend of JSON\b/)],
    ['is no JSON', '{"face_records": [', unreadable],
    ['is no object', 'null', unreadable],
    ['has no collection', response([], { collection_id: undefined }), unreadable],
    ['has no faces', response([], { face_records: undefined }), unreadable],
    ['has a face that is no object', response(['a']), unreadable],
    ['has no list of the faces that were not indexed', response([], { unindexed_faces: {} }), unreadable],
  ])('because it %s has to be made again, and nothing is written', async (...[, stored, message]) => {
    const before = await world();
    await expectRefusal(persist(stored), { name: 'ResultNotFound', message }, before);
  });

  test.each([
    ['AccessDenied', 403, 'AccessDenied'],
    ['SlowDown', 503, 'StorageUnavailable'],
  ])(
    'may be there after all where S3 says %s, though the photo needs none',
    async (...[code, status, name]) => {
      await insertPhoto({ object_version: 'v2' });
      const before = await world();
      await expectRefusal(persist(awsError(code, status)), { name }, before);
    },
  );

  test('does not have to say the version of the face model', async () => {
    await persist(response([], { face_model_version: undefined }));
    await expect(world()).resolves.toMatchObject({ photos: expect.arrayContaining([indexedRow()]) });
  });
});
