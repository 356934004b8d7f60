/** What RequestErasure writes down for each kind of request, and what it leaves as it is; what becomes of it, erasure.test.ts says. */
import { randomUUID } from 'node:crypto';
import { requestErasure } from '../../lambdas/request-erasure/request-erasure.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import {
  boxOf,
  type EraseInput,
  type ErasureProgress,
  type PersonRequest,
} from '../../lambdas/shared/erasure/contract.ts';
import { lockEvent } from '../../lambdas/shared/erasure/outbox.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { whileHeld } from '../support/waiting.ts';

const database = useTestDatabase();

const A = 'arn:execution:a';
const B = 'arn:execution:b';
const C = 'arn:execution:c';
const OTHERS = 'arn:execution:others';

const EVENT = randomUUID();
const PHOTO = randomUUID();
const NEIGHBOUR = randomUUID();
const ELSEWHERE = randomUUID();
const THEIRS = randomUUID();
const LATE = randomUUID();
const BYGONE = randomUUID();

const keyOf = (photoId: string, extension = 'jpg') => `events/${EVENT}/${photoId}.${extension}`;
const KEY = keyOf(PHOTO);
const KEY_ID = parsePhotoKey(KEY).keyId;

type Row = Record<string, unknown>;
type Box = [number, number, number, number];
/** A tenth of the picture wide and high. */
const box = (left: number): Box => [left, 0, 0.1, 0.1];

/** What tells a table's rows apart, after the tables that they refer to. */
const TABLES: Record<string, (row: Row) => unknown> = {
  events: ({ id }) => id,
  photos: ({ id }) => id,
  faces: ({ id, rekognition_face_id }) => rekognition_face_id ?? id,
  erasures: ({ id }) => id,
  face_removals: ({ erasure_id, rekognition_face_id }) => `${rekognition_face_id} of ${erasure_id}`,
  result_removals: ({ erasure_id, name }) => `${name} of ${erasure_id}`,
  erased_faces: ({ photo_id, bounding_box, etag }) =>
    `${photo_id} ${(bounding_box as { Left: number } | null)?.Left} ${etag}`,
  searches: ({ id }) => id,
  misplaced_uploads: ({ object_key }) => object_key,
};
const NAMES = Object.keys(TABLES);

/** Rows of the same columns. */
const insert = (table: string, ...rows: object[]) =>
  database.admin`INSERT INTO ${database.admin(table)} ${database.admin(rows as Row[])}`;
const photo = (...rows: ({ id: string } & Row)[]) =>
  insert(
    'photos',
    ...rows.map((row) => ({
      event_id: EVENT,
      object_key: keyOf(row.id),
      object_version: 'v1',
      object_sequencer: '10',
      object_etag: `bytes of ${row.id}`,
      status: 'indexed',
      face_count: 1,
      unindexed_faces: database.admin.json([]),
      ...row,
    })),
  );
/** Of each its photo, its name and its place, and whatever else there is to say. */
const faces = (...rows: [string, string | null, Box, Row?][]) =>
  insert(
    'faces',
    ...rows.map(([photo_id, rekognition_face_id, at, row]) => ({
      photo_id,
      rekognition_face_id,
      bounding_box: database.admin.json(boxOf(at)),
      ...row,
    })),
  );
const erasure = (row: { reason: string } & Row) =>
  insert('erasures', { id: randomUUID(), event_id: EVENT, execution_arn: OTHERS, ...row });
const ofPhoto = (row: Row) => database.admin`UPDATE photos SET ${database.admin(row)} WHERE id = ${PHOTO}`;
const ofEvent = (row: Row) => database.admin`UPDATE events SET ${database.admin(row)} WHERE id = ${EVENT}`;
const ofErasure = (id: string, row: Row) =>
  database.admin`UPDATE erasures SET ${database.admin(row)} WHERE id = ${id}`;

const misplaced = (object_key: string) => ({
  object_key,
  object_version: 'v1',
  object_sequencer: '10',
  failure_code: 'InvalidPhotoKey',
  failure_message: 'not of the form',
  execution_arn: OTHERS,
});

/** A photo to be erased, and beside it, in its event and in another one, a row of everything that has to stay as it is. */
beforeAll(async () => {
  const { admin } = database;
  await insert(
    'events',
    { id: EVENT, rekognition_collection_id: 'ours' },
    { id: ELSEWHERE, rekognition_collection_id: 'theirs' },
  );
  await photo({ id: PHOTO, face_count: 2 }, { id: NEIGHBOUR }, { id: THEIRS, event_id: ELSEWHERE });
  await faces(
    [PHOTO, 'first', box(0)],
    [PHOTO, 'second', box(0.2)],
    [NEIGHBOUR, 'neighbour', box(0.5)],
    [THEIRS, 'theirs', box(0)],
  );
  await erasure({ id: LATE, reason: 'late_result', photo_id: NEIGHBOUR, not_before: '2100-01-01' });
  await erasure({ id: BYGONE, reason: 'photo_replaced', photo_id: PHOTO, finished_at: '2020-01-01' });
  await insert('face_removals', {
    erasure_id: LATE,
    collection_id: 'ours',
    rekognition_face_id: 'late',
    photo_id: NEIGHBOUR,
  });
  await insert('result_removals', { erasure_id: LATE, name: 'results/late.json', listed: true });
  await insert('erased_faces', {
    erasure_id: BYGONE,
    event_id: EVENT,
    photo_id: NEIGHBOUR,
    bounding_box: admin.json(boxOf(box(0.3))),
  });
  await insert('searches', { event_id: EVENT, kind: 'image', found: 1 });
  await insert('misplaced_uploads', misplaced('bystander.jpg'));
  await admin.unsafe(NAMES.map((name) => `CREATE TABLE kept_${name} AS TABLE ${name};`).join(''));
});
/** Every test begins with these rows. */
beforeEach(() =>
  database.admin.unsafe(
    [
      ...NAMES.toReversed().map((name) => `DELETE FROM ${name};`),
      ...NAMES.map((name) => `INSERT INTO ${name} OVERRIDING SYSTEM VALUE TABLE kept_${name};`),
    ].join(''),
  ),
);

function request(input: EraseInput, execution_arn = A, { sql = database.pipeline } = {}) {
  const recording = recordingTelemetry();
  const answer = requestErasure(
    {
      telemetry: recording.telemetry,
      withDatabase: (work) => work(sql),
      collectionPrefix: 'rollcall-',
      faceRetentionDays: 30,
      searchRetentionDays: 10,
    },
    { input, execution_arn },
  );
  return { answer, recording };
}

/** A request, its answer, and what it did to the tables. */
async function ask(input: EraseInput, execution_arn = A) {
  const before = await tables();
  const answer = await request(input, execution_arn).answer;
  return { answer, effects: effectsOf(before, await tables()) };
}

/** Stands for any time within a minute of the test's. */
const NOW = 'now';
/** Stands for a row that is there no more. */
const GONE = 'gone';

/** All rows of all tables. When a photo changed its own trigger says. */
async function tables(): Promise<Record<string, Map<string, Row>>> {
  const { admin } = database;
  const found = await admin.unsafe<{ name: string; row: Row }[]>(
    NAMES.map(
      (name) =>
        `SELECT '${name}' AS name, to_jsonb(t) - '{changed_xid,changed_at}'::text[] AS row FROM ${name} AS t`,
    ).join(' UNION ALL '),
  );
  const read = Object.fromEntries(NAMES.map((name) => [name, new Map<string, Row>()]));
  for (const { name, row } of found) {
    const key = String(TABLES[name]!(row));
    if (read[name]!.has(key)) {
      throw new Error(`Two rows of ${name} are ${key}`);
    }
    read[name]!.set(key, row);
  }
  return read;
}

/** By table and row: the whole of what is new, the columns that changed, and what is gone. */
function effectsOf(
  before: Awaited<ReturnType<typeof tables>>,
  after: Awaited<ReturnType<typeof tables>>,
): Record<string, Record<string, unknown>> {
  const effects = NAMES.map((name) => {
    const [old, current] = [before[name]!, after[name]!];
    const gone = [...old.keys()].filter((key) => !current.has(key)).map((key) => [key, GONE] as const);
    const changed = [...current].flatMap(([key, row]) => {
      const was = old.get(key);
      const columns = Object.entries(row).filter(
        ([column, value]) => !was || JSON.stringify(value) !== JSON.stringify(was[column]),
      );
      return columns.length > 0 ? [[key, Object.fromEntries(columns.map(withoutTime))] as const] : [];
    });
    return [name, Object.fromEntries([...gone, ...changed])] as const;
  });
  return Object.fromEntries(effects.filter(([, rows]) => Object.keys(rows).length > 0));
}

function withoutTime([column, value]: [string, unknown]): [string, unknown] {
  const isTime = /_at$|^not_before$/.test(column) && typeof value === 'string';
  return [column, isTime && Math.abs(Date.parse(value) - Date.now()) < 60_000 ? NOW : value];
}

const answered = (
  request: string,
  effect: ErasureProgress['effect'],
  erasure_id: unknown = null,
  erasures = 0,
) => ({ request, effect, erasure_id, erasures, batches: 0, waits: 0 });

/** The row of an erasure that was just asked for. */
const opened = (id: string, row: { reason: string } & Row) => ({
  [id]: {
    id,
    event_id: EVENT,
    photo_id: null,
    execution_arn: A,
    requested_at: NOW,
    not_before: NOW,
    begun_at: null,
    removed_at: null,
    finished_at: null,
    photos: 0,
    faces: 0,
    results: 0,
    search: false,
    deleted_key_id: null,
    deletion_sequencer: null,
    joined_by: [],
    postponed: 0,
    last_error: null,
    ...row,
  },
});
/** Faces on their way out: of each its id and its photo's. */
const leaving = (erasure_id: string, collection_id: string, faces: [string, string][]) =>
  Object.fromEntries(
    faces.map(([rekognition_face_id, photo_id]) => [
      `${rekognition_face_id} of ${erasure_id}`,
      { erasure_id, collection_id, rekognition_face_id, photo_id },
    ]),
  );
const results = (erasure_id: string, ...names: string[]) =>
  Object.fromEntries(names.map((name) => [`${name} of ${erasure_id}`, { erasure_id, name, listed: false }]));

test('the answer is logged, in one line', async () => {
  const deleted = request(deletion());
  const answer = await deleted.answer;
  const line = { level: 'info', message: 'An erasure was asked for', event: 'erasure.requested' };
  expect(deleted.recording.lines).toEqual([
    { ...line, request: 'photo_deleted', effect: 'requested', erasure_id: answer.erasure_id, erasures: 1 },
  ]);
  const outbox = request({ request: 'outbox' });
  await outbox.answer;
  expect(outbox.recording.lines).toEqual([
    { ...line, request: 'outbox', effect: 'none', erasure_id: null, erasures: 0 },
  ]);
});

test('the outbox is worked off without asking for anything', async () => {
  await ofEvent({ expires_at: '2020-01-01' });
  await expect(ask({ request: 'outbox' })).resolves.toEqual({
    answer: answered('outbox', 'none'),
    effects: {},
  });
});

/** S3's news that an object is gone. */
function deletion(object: Row = {}, deletion_type?: string): EraseInput {
  return {
    request: 'photo_deleted',
    object: { key: KEY, sequencer: '20', ...object },
    ...(deletion_type && { deletion_type }),
  };
}

describe('a deleted photo', () => {
  const ofDeletion = {
    reason: 'photo_deleted',
    photo_id: PHOTO,
    photos: 1,
    search: true,
    deleted_key_id: KEY_ID,
    deletion_sequencer: '2',
  };
  const deletedRow = { status: 'deleted', object_version: null, object_sequencer: '20', deleted_at: NOW };
  /** The row of a key that had none. */
  const newRow = (id: string, row: Row = {}) => ({
    [id]: {
      id,
      event_id: EVENT,
      object_key: KEY,
      object_etag: null,
      other_objects: null,
      face_count: null,
      unindexed_faces: null,
      failure_code: null,
      failure_message: null,
      failure_retryable: null,
      execution_arn: null,
      created_at: NOW,
      indexed_at: null,
      failed_at: null,
      faces_erased_at: null,
      ...deletedRow,
      ...row,
    },
  });

  test('is out of use at once, and its faces, its responses and whatever was indexed under its id are to go', async () => {
    const unnamed = randomUUID();
    await faces([PHOTO, null, box(0.4), { id: unnamed }]);
    const { answer, effects } = await ask(deletion());
    const id = answer.erasure_id!;
    expect(answer).toEqual(answered('photo_deleted', 'requested', expect.any(String), 1));
    expect(effects).toEqual({
      photos: { [PHOTO]: { ...deletedRow, face_count: null, unindexed_faces: null } },
      faces: { first: GONE, second: GONE, [unnamed]: GONE },
      erasures: opened(id, ofDeletion),
      face_removals: leaving(id, 'ours', [
        ['first', PHOTO],
        ['second', PHOTO],
      ]),
      result_removals: results(id, `results/${EVENT}/${PHOTO}/`),
    });
  });

  test('is asked for once, whoever tells of the same deletion again', async () => {
    const { answer: first } = await ask(deletion());
    const id = first.erasure_id!;
    for (const execution of [A, B]) {
      await ofErasure(id, { not_before: '2100-01-01' });
      await expect(ask(deletion(), execution)).resolves.toEqual({
        answer: answered('photo_deleted', 'known', id),
        // It was postponed, and is due again.
        effects: { erasures: { [id]: { not_before: NOW } } },
      });
    }
    await ofErasure(id, { finished_at: '2020-01-01' });
    await ofPhoto({ status: 'indexed', face_count: 0, object_version: 'v2', object_sequencer: '30' });
    await expect(ask(deletion(), B)).resolves.toEqual({
      answer: answered('photo_deleted', 'known', id),
      effects: {},
    });
  });

  test.each<[type: string | undefined, version: string | undefined, effect: string]>([
    ['Permanently Deleted', 'v0', 'ignored'],
    [undefined, 'v0', 'ignored'],
    ['Permanently Deleted', 'v1', 'requested'],
    ['Permanently Deleted', 'null', 'requested'],
    ['Permanently Deleted', undefined, 'requested'],
    ['Delete Marker Created', 'marker', 'requested'],
  ])('is told from one of its old versions: %s, version %s, is %s', async (type, version, effect) => {
    const { answer, effects } = await ask(deletion({ 'version-id': version }, type));
    const isAsked = effect === 'requested';
    expect(answer).toMatchObject({ effect, erasures: isAsked ? 1 : 0 });
    expect(Object.keys(effects)).toHaveLength(isAsked ? 5 : 0);
  });

  test('that was uploaded again since stays', async () => {
    await expect(ask(deletion({ sequencer: '0F' }))).resolves.toEqual({
      answer: answered('photo_deleted', 'superseded'),
      effects: {},
    });
  });

  test('under a key that is not its photo’s is remembered', async () => {
    const png = keyOf(PHOTO, 'png');
    await expect(ask(deletion({ key: png }))).resolves.toEqual({
      answer: answered('photo_deleted', 'ignored'),
      effects: { photos: { [PHOTO]: { other_objects: { [png]: { sequencer: '20', version: null } } } } },
    });
  });

  test('of which there is a copy keeps its faces, under the copy’s key', async () => {
    const png = keyOf(PHOTO, 'png');
    await ofPhoto({ other_objects: database.admin.json({ [png]: { sequencer: '5', version: 'v1' } }) });
    await expect(ask(deletion())).resolves.toEqual({
      answer: answered('photo_deleted', 'ignored'),
      effects: {
        photos: {
          [PHOTO]: {
            object_key: png,
            object_sequencer: '5',
            other_objects: { [KEY]: { sequencer: '20', version: null } },
          },
        },
      },
    });
  });

  test.each(['photograph', 'a UUID'])(
    'that nobody has heard of, named %s, leaves its id free',
    async (name) => {
      const event_id = randomUUID();
      const key = `events/${event_id}/${name === 'a UUID' ? PHOTO : name}.jpg`;
      const { photoId, keyId } = parsePhotoKey(key);
      await database.admin`DELETE FROM faces WHERE photo_id = ${PHOTO}`;
      await database.admin`DELETE FROM photos WHERE id = ${PHOTO}`;
      const { answer, effects } = await ask(deletion({ key }));
      const id = answer.erasure_id!;
      expect(answer).toEqual(answered('photo_deleted', 'requested', expect.any(String), 1));
      expect(effects).toEqual({
        events: { [event_id]: expect.objectContaining({ created_at: NOW, rekognition_collection_id: null }) },
        photos: newRow(keyId, { event_id, object_key: key }),
        erasures: opened(id, { ...ofDeletion, event_id, photo_id: photoId, deleted_key_id: keyId }),
        result_removals: results(id, `results/${event_id}/${photoId}/`),
      });
    },
  );

  test('that nobody has heard of is asked for once, though it is told twice at once', async () => {
    const key = keyOf('photograph');
    const { keyId } = parsePhotoKey(key);
    const first = randomUUID();
    const { waited, result } = await whileHeld(
      database,
      async (sql) => {
        await sql`
          INSERT INTO photos (id, event_id, object_key, object_sequencer, status)
          VALUES (${keyId}, ${EVENT}, ${key}, '20', 'deleted')`;
        await sql`
          INSERT INTO erasures (id, event_id, reason, deleted_key_id, deletion_sequencer)
          VALUES (${first}, ${EVENT}, 'photo_deleted', ${keyId}, '2')`;
      },
      () => request(deletion({ key })).answer,
    );
    expect(waited).toBe(true);
    expect(result).toEqual(answered('photo_deleted', 'known', first));
  });

  test('whose id is that of another event’s photo leaves that one alone', async () => {
    await ofPhoto({ event_id: ELSEWHERE, object_key: `events/${ELSEWHERE}/${PHOTO}.jpg` });
    const { answer, effects } = await ask(deletion());
    const id = answer.erasure_id!;
    expect(answer).toEqual(answered('photo_deleted', 'requested', expect.any(String), 1));
    expect(effects).toEqual({
      photos: newRow(KEY_ID),
      // Whatever is found under the id in this event's collection is nobody's.
      erasures: opened(id, ofDeletion),
      result_removals: results(id, `results/${EVENT}/${PHOTO}/`),
    });
  });

  test.each([
    ['its version’s', 'v2', ['v2.json']],
    ['no', null, []],
  ])(
    'whose id is that of another photo of the event asks for %s response, and for no face of that id',
    async (_, object_version, names) => {
      await ofPhoto({ object_key: keyOf(PHOTO, 'png') });
      await photo({
        id: KEY_ID,
        object_key: KEY,
        object_version,
        status: 'failed',
        failure_code: 'PhotoIdTaken',
        failure_message: 'taken',
        failure_retryable: false,
        face_count: null,
        unindexed_faces: null,
      });
      const { answer, effects } = await ask(deletion());
      const id = answer.erasure_id!;
      expect(answer).toEqual(answered('photo_deleted', 'requested', expect.any(String), 1));
      expect(effects).toEqual({
        photos: {
          [KEY_ID]: {
            status: 'deleted',
            object_sequencer: '20',
            deleted_at: NOW,
            failure_code: null,
            failure_message: null,
            failure_retryable: null,
            ...(object_version !== null && { object_version: null }),
          },
        },
        erasures: opened(id, { ...ofDeletion, photo_id: KEY_ID, search: false }),
        ...(names.length > 0 && {
          result_removals: results(id, ...names.map((name) => `results/${EVENT}/${PHOTO}/${name}`)),
        }),
      });
    },
  );

  describe('that is deleted already', () => {
    const [earlier, last] = [randomUUID(), randomUUID()];
    const isDeleted = { status: 'deleted', object_version: null, object_sequencer: '20' };

    test('was asked for by its last deletion, whichever is told', async () => {
      await ofPhoto(isDeleted);
      const asked = { reason: 'photo_deleted', deleted_key_id: KEY_ID, not_before: '2100-01-01' };
      await erasure({ ...asked, id: last, deletion_sequencer: '2', requested_at: '2020-01-02' });
      await erasure({ ...asked, id: earlier, deletion_sequencer: '1', requested_at: '2020-01-01' });
      await expect(ask(deletion({ sequencer: '1F' }))).resolves.toEqual({
        answer: answered('photo_deleted', 'known', last),
        effects: { erasures: { [last]: { not_before: NOW } } },
      });
    });

    test('by older code is known by its id, or by that of its key', async () => {
      await ofPhoto(isDeleted);
      await erasure({ id: earlier, reason: 'photo_deleted', photo_id: PHOTO });
      await expect(ask(deletion())).resolves.toMatchObject({
        answer: answered('photo_deleted', 'known', earlier),
      });
      await database.admin`DELETE FROM erasures WHERE id = ${earlier}`;
      await ofPhoto({ status: 'indexed', object_version: 'v1', object_key: keyOf(PHOTO, 'png') });
      await photo({ id: KEY_ID, object_key: KEY, ...isDeleted });
      await erasure({ id: last, reason: 'photo_deleted', photo_id: KEY_ID });
      await expect(ask(deletion())).resolves.toMatchObject({
        answer: answered('photo_deleted', 'known', last),
      });
    });

    test.each([
      ['without anyone having asked', {}],
      ['and is another event’s by now', { event_id: ELSEWHERE }],
    ])('%s is left so', async (_, row) => {
      await ofPhoto({ ...isDeleted, ...row });
      await expect(ask(deletion())).resolves.toEqual({
        answer: answered('photo_deleted', 'ignored'),
        effects: {},
      });
    });
  });

  test('that never could be one is forgotten as a misplaced upload', async () => {
    await insert('misplaced_uploads', misplaced('notes.txt'));
    await expect(ask(deletion({ key: 'notes.txt' }))).resolves.toEqual({
      answer: answered('photo_deleted', 'ignored'),
      effects: { misplaced_uploads: { 'notes.txt': GONE } },
    });
  });

  test.each([
    ['waits for what erases the whole event', 'exclusive', true],
    ['goes on beside the event’s other photos', 'shared', false],
  ] as const)('%s', async (_, mode, waited) => {
    await expect(
      whileHeld(
        database,
        (sql) => lockEvent(sql, EVENT, mode),
        () => request(deletion()).answer,
      ),
    ).resolves.toMatchObject({ waited, result: { effect: 'requested' } });
  });
});

describe('a person', () => {
  const person = (...faces: PersonRequest['faces']): PersonRequest => ({
    request: 'person',
    event_id: EVENT,
    faces,
  });
  const noted = (erasure_id: string, photo_id: string, at: Box | null, etag: string | null = null) => ({
    [`${photo_id} ${at?.[0]} ${etag}`]: {
      erasure_id,
      event_id: EVENT,
      photo_id,
      bounding_box: at && boxOf(at),
      etag,
      requested_at: NOW,
      erased_at: null,
    },
  });

  test('has the faces that were found taken out of use, and remembered where no row has them', async () => {
    const unseen = randomUUID();
    const { answer, effects } = await ask(
      person(
        ['first', PHOTO, box(0)],
        ['first', PHOTO],
        // Indexed again since.
        ['renamed', NEIGHBOUR, box(0.51)],
        ['boxless', NEIGHBOUR],
        ['theirs', THEIRS, box(0)],
        ['coming', unseen, box(0.9)],
      ),
    );
    const id = answer.erasure_id!;
    expect(answer).toEqual(answered('person', 'requested', expect.any(String), 1));
    expect(effects).toEqual({
      photos: { [PHOTO]: { face_count: 1 }, [NEIGHBOUR]: { face_count: 0 } },
      faces: { first: GONE, neighbour: GONE },
      erased_faces: {
        ...noted(id, PHOTO, box(0), `bytes of ${PHOTO}`),
        ...noted(id, NEIGHBOUR, box(0.5), `bytes of ${NEIGHBOUR}`),
        ...noted(id, NEIGHBOUR, box(0.51)),
        ...noted(id, NEIGHBOUR, null),
        ...noted(id, THEIRS, box(0)),
        ...noted(id, unseen, box(0.9)),
      },
      erasures: opened(id, { reason: 'person_requested', photos: 4 }),
      face_removals: leaving(id, 'ours', [
        ['first', PHOTO],
        ['renamed', NEIGHBOUR],
        ['neighbour', NEIGHBOUR],
        ['boxless', NEIGHBOUR],
        ['theirs', THEIRS],
        ['coming', unseen],
      ]),
      result_removals: results(
        id,
        ...[PHOTO, NEIGHBOUR, THEIRS, unseen].map((photoId) => `results/${EVENT}/${photoId}/`),
      ),
    });
  });

  test('is known in a photo by place, one face for each that was found', async () => {
    await ofEvent({ rekognition_collection_id: null });
    await faces([PHOTO, 'beside', box(0.02)], [PHOTO, null, box(0.4)], [PHOTO, 'alone', box(0.7)]);
    const { answer, effects } = await ask(
      person(
        ['one', PHOTO, box(0.01)],
        ['two', PHOTO, box(0.012)],
        ['of a face without a name', PHOTO, box(0.4)],
        ['of no face', PHOTO, box(0.85)],
        ['of no place', PHOTO],
        ['of another photo', NEIGHBOUR, box(0.7)],
      ),
    );
    expect(effects.faces).toEqual({ first: GONE, beside: GONE });
    expect(effects.face_removals).toEqual(
      leaving(answer.erasure_id!, `rollcall-${EVENT}`, [
        ['first', PHOTO],
        ['beside', PHOTO],
        ['one', PHOTO],
        ['two', PHOTO],
        ['of a face without a name', PHOTO],
        ['of no face', PHOTO],
        ['of no place', PHOTO],
        ['of another photo', NEIGHBOUR],
      ]),
    );
  });

  test('is erased once for an execution, and for another one once more', async () => {
    const input = person(['first', PHOTO, box(0)]);
    const { answer } = await ask(input);
    const id = answer.erasure_id!;
    await ofErasure(id, { not_before: '2100-01-01' });
    await expect(ask(input)).resolves.toEqual({
      answer: answered('person', 'known', id),
      effects: { erasures: { [id]: { not_before: NOW } } },
    });
    await ofErasure(id, { finished_at: '2020-01-01' });
    await expect(ask(input)).resolves.toEqual({ answer: answered('person', 'known', id), effects: {} });
    const another = await ask(input, B);
    expect(another.answer).toEqual(answered('person', 'requested', expect.any(String), 1));
    expect(another.answer.erasure_id).not.toBe(id);
  });
});

const ofUnknown = randomUUID();
test.each<EraseInput>([
  { request: 'person', event_id: ofUnknown, faces: [['first', PHOTO]] },
  { request: 'event', event_id: ofUnknown },
])('of an event that does not exist nothing is erased ($request)', async (input) => {
  const before = await tables();
  await expect(request(input).answer).rejects.toMatchObject({
    name: 'InvalidInput',
    message: `There is no event ${ofUnknown}`,
  });
  expect(effectsOf(before, await tables())).toEqual({});
});

describe('an event', () => {
  const input: EraseInput = { request: 'event', event_id: EVENT };

  async function expectErased(): Promise<void> {
    const { answer, effects } = await ask(input);
    const id = answer.erasure_id!;
    expect(answer).toEqual(answered('event', 'requested', expect.any(String), 1));
    expect(effects).toEqual({
      events: { [EVENT]: { erasure_requested_at: NOW } },
      erasures: opened(id, { reason: 'event_requested' }),
      result_removals: results(id, `results/${EVENT}/`),
    });
  }

  test('is erased as a whole, with what was uploaded until now', async () => {
    await expectErased();
  });

  test.each(['event_requested', 'event_expired'])(
    'whose erasure (%s) has not begun is erased with it, once for each that asks',
    async (reason) => {
      const id = randomUUID();
      const postponed = { not_before: '2100-01-01' };
      await erasure({ id, reason, execution_arn: C, ...postponed });
      await insert('result_removals', { erasure_id: id, name: `results/${EVENT}/`, listed: true });
      await expect(ask(input)).resolves.toEqual({
        answer: answered('event', 'known', id),
        effects: {
          events: { [EVENT]: { erasure_requested_at: NOW } },
          erasures: { [id]: { not_before: NOW, joined_by: [A] } },
          // A batch that has it may have been there before what came since.
          result_removals: { [`results/${EVENT}/ of ${id}`]: { listed: false } },
        },
      });
      await ofEvent({ erasure_requested_at: '2020-01-01' });
      for (const execution of [A, C]) {
        await ofErasure(id, postponed);
        await expect(ask(input, execution)).resolves.toEqual({
          answer: answered('event', 'known', id),
          effects: { erasures: { [id]: { not_before: NOW } } },
        });
      }
      await expect(ask(input, B)).resolves.toMatchObject({
        answer: answered('event', 'known', id),
        effects: { erasures: { [id]: { joined_by: [A, B] } } },
      });
      await ofErasure(id, { begun_at: '2020-01-01' });
      await expect(ask(input, B)).resolves.toMatchObject({ answer: answered('event', 'known', id) });
    },
  );

  test.each([
    ['has begun', { begun_at: '2020-01-01' }],
    ['is finished', { finished_at: '2020-01-01' }],
  ])('whose erasure %s is erased once more', async (_, row) => {
    await erasure({ reason: 'event_requested', ...row });
    await expectErased();
  });

  test('whose erasure is just beginning is erased once more', async () => {
    const id = randomUUID();
    await erasure({ id, reason: 'event_requested' });
    const { waited, result } = await whileHeld(
      database,
      (sql) => sql`UPDATE erasures SET begun_at = now() WHERE id = ${id}`,
      () => request(input).answer,
    );
    expect(waited).toBe(true);
    expect(result).toEqual(answered('event', 'requested', expect.any(String), 1));
  });

  test('waits for the photos that are just being written, and covers them', async () => {
    const { waited, until } = await whileHeld(
      database,
      (sql) => lockEvent(sql, EVENT, 'shared'),
      () => request(input).answer,
    );
    expect(waited).toBe(true);
    await expect(
      database.admin`SELECT FROM events WHERE id = ${EVENT} AND erasure_requested_at > ${until}::timestamptz`,
    ).resolves.toHaveLength(1);
  });
});

describe('retention', () => {
  const input: EraseInput = { request: 'retention', as_of: '2020-03-31T12:00:00.000Z' };
  /** 30 days before. */
  const DEADLINE = '2020-03-01T12:00:00.000Z';
  const BEFORE = '2020-03-01T11:59:59.999Z';
  const LONG_AGO = '2020-01-01T00:00:00.000Z';
  const OVER = { expires_at: BEFORE, rekognition_collection_id: 'c' };
  const WITHOUT_COLLECTION = { expires_at: BEFORE };

  const event = async (row: Row = OVER, photos: Row[] = [], erasures: ({ reason: string } & Row)[] = []) => {
    const id = randomUUID();
    await insert('events', { id, created_at: LONG_AGO, ...row });
    for (const one of photos) {
      await photo({
        id: randomUUID(),
        event_id: id,
        created_at: LONG_AGO,
        failure_code: 'InternalError',
        failure_retryable: true,
        ...one,
      });
    }
    for (const one of erasures) {
      await erasure({ event_id: id, ...one });
    }
    return id;
  };

  test('has an event that is over erased, once', async () => {
    const id = await event(OVER, [{}]);
    const { answer, effects } = await ask(input);
    const [erasureId] = Object.keys(effects.erasures ?? {}) as [string];
    expect(answer).toEqual(answered('retention', 'requested', null, 1));
    expect(effects).toEqual({
      events: { [id]: { erasure_requested_at: NOW } },
      erasures: opened(erasureId, { event_id: id, reason: 'event_expired' }),
      result_removals: results(erasureId, `results/${id}/`),
    });
    for (const execution of [A, B]) {
      await expect(ask(input, execution)).resolves.toEqual({
        answer: answered('retention', 'none'),
        effects: {},
      });
    }
  });

  const used = (status: string) => ({ status, created_at: LONG_AGO });
  const over: Record<string, Parameters<typeof event>> = {
    'expired a moment ago': [OVER],
    'expired, though a photo came since': [OVER, [{ created_at: DEADLINE }]],
    'without an expiry, its only photo announced before': [
      { rekognition_collection_id: 'c' },
      [{ created_at: BEFORE }],
    ],
    'without an expiry, its last photo indexed before': [
      { rekognition_collection_id: 'c' },
      [{ indexed_at: BEFORE }, {}],
    ],
    'without an expiry or a photo, begun before': [{ created_at: BEFORE, rekognition_collection_id: 'c' }],
    'without a collection, a photo processing': [WITHOUT_COLLECTION, [used('processing')]],
    'without a collection, a photo indexed': [WITHOUT_COLLECTION, [used('indexed'), used('deleted')]],
    'without a collection, a photo failed': [WITHOUT_COLLECTION, [used('failed')]],
    'without a collection, a photo indexed since it was erased': [
      { ...WITHOUT_COLLECTION, erased_at: LONG_AGO },
      [{ indexed_at: '2020-01-01T00:00:00.001Z' }],
    ],
    'without a collection, a photo failed since it was erased': [
      { ...WITHOUT_COLLECTION, erased_at: LONG_AGO },
      [{ status: 'failed', failed_at: '2020-01-01T00:00:00.001Z' }],
    ],
    'with a collection again since it was erased': [{ ...OVER, erased_at: DEADLINE }],
    'erased before on request': [OVER, [], [{ reason: 'event_requested', finished_at: LONG_AGO }]],
    'erased before by retention': [OVER, [], [{ reason: 'event_expired', finished_at: LONG_AGO }]],
    'a photo of which is being erased': [OVER, [], [{ reason: 'photo_deleted' }]],
  };
  const kept: Record<string, Parameters<typeof event>> = {
    'expires at the deadline': [{ ...OVER, expires_at: DEADLINE }, [{ created_at: LONG_AGO }]],
    'without an expiry, its last photo announced at the deadline': [
      { rekognition_collection_id: 'c' },
      [{ created_at: DEADLINE }, {}],
    ],
    'without an expiry, its last photo indexed at the deadline': [
      { rekognition_collection_id: 'c' },
      [{ indexed_at: DEADLINE }, {}],
    ],
    'without an expiry, its last photo failed at the deadline': [
      { rekognition_collection_id: 'c' },
      [{ failed_at: DEADLINE }, {}],
    ],
    'without an expiry or a photo, begun at the deadline': [
      { created_at: DEADLINE, rekognition_collection_id: 'c' },
    ],
    'without anything': [WITHOUT_COLLECTION],
    'without a collection, its photos deleted or erased': [
      WITHOUT_COLLECTION,
      [used('deleted'), used('erased')],
    ],
    'without a collection, without a photo since it was erased': [
      { ...WITHOUT_COLLECTION, erased_at: LONG_AGO },
      [{ created_at: LONG_AGO }],
    ],
    'being erased on request': [OVER, [], [{ reason: 'event_requested' }]],
    'being erased by retention': [OVER, [], [{ reason: 'event_expired', begun_at: LONG_AGO }]],
  };

  test('has every event erased that is over, and of which anything is left', async () => {
    for (const [name, [row, ...rest]] of Object.entries({ ...over, ...kept })) {
      await event({ name, ...row }, ...rest);
    }
    const { answer } = await ask(input);
    const erased = await database.admin<{ name: string }[]>`
      SELECT name FROM erasures JOIN events ON events.id = event_id WHERE execution_arn = ${A}`;
    expect(erased.map(({ name }) => name).sort()).toEqual(Object.keys(over).sort());
    expect(answer).toEqual(answered('retention', 'requested', null, Object.keys(over).length));
  });

  test('begins with the events that have been over for longest, and leaves more than 5,000 to the next time', async () => {
    const late = await event();
    const early = await event({ ...OVER, expires_at: LONG_AGO });
    await ask(input);
    const asked = await database.admin<{ event_id: string }[]>`
      SELECT event_id FROM erasures WHERE execution_arn = ${A} ORDER BY xmin::text::bigint`;
    expect(asked.map(({ event_id }) => event_id)).toEqual([early, late]);

    await database.admin`
      INSERT INTO events (id, rekognition_collection_id, expires_at)
      SELECT gen_random_uuid(), 'c', ${LONG_AGO} FROM generate_series(1, 5001)`;
    // Each event has a transaction of its own: 5,000 of them would take longer than all other tests of this file.
    const sql = new Proxy(database.pipeline, {
      get: (target, name) =>
        name === 'begin' ? async () => ({ effect: 'requested' }) : Reflect.get(target, name),
    });
    await expect(request(input, A, { sql }).answer).resolves.toMatchObject({ erasures: 5_000 });
  });

  test('leaves an event alone that is used again while it waits for its photos', async () => {
    const again = await event({ ...OVER, expires_at: LONG_AGO });
    const id = await event();
    const { waited, result } = await whileHeld(
      database,
      async (sql) => {
        await lockEvent(sql, again, 'shared');
        await sql`UPDATE events SET expires_at = ${DEADLINE} WHERE id = ${again}`;
      },
      () => request(input).answer,
    );
    expect(waited).toBe(true);
    expect(result).toEqual(answered('retention', 'requested', null, 1));
    await expect(database.admin`SELECT event_id FROM erasures WHERE execution_arn = ${A}`).resolves.toEqual([
      { event_id: id },
    ]);
  });

  test('forgets the searches that are older than they may be', async () => {
    await insert(
      'searches',
      ...['2020-03-21T11:59:59.999Z', '2020-03-21T12:00:00.000Z'].map((searched_at) => ({
        event_id: EVENT,
        kind: 'face',
        found: 1,
        searched_at,
      })),
    );
    const { answer, effects } = await ask(input);
    const old = await database.admin`SELECT searched_at FROM searches WHERE searched_at < '2021-01-01'`;
    expect(answer).toEqual(answered('retention', 'none'));
    expect(effects).toEqual({ searches: { [Object.keys(effects.searches ?? {})[0]!]: GONE } });
    expect(old).toEqual([{ searched_at: new Date('2020-03-21T12:00:00.000Z') }]);
  });
});
