import { randomUUID } from 'node:crypto';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import {
  type Answers,
  PAGE_SIZE,
  type Question,
  questionSchema,
} from '../../lambdas/answer-operator/questions.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { lockEvent } from '../../lambdas/shared/erasure/outbox.ts';
import { answerFrom } from '../../ops/stored-answers.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { whileHeld } from '../support/waiting.ts';

const database = useTestDatabase();

let told = recordingTelemetry();
beforeEach(async () => {
  told = recordingTelemetry();
  const tables = [
    'paid_images',
    'face_removals',
    'result_removals',
    'erasures',
    'faces',
    'photos',
    'misplaced_uploads',
  ];
  await database.admin.unsafe([...tables, 'events'].map((table) => `DELETE FROM ${table};`).join(''));
});

/** Asks as the commands do: what is asked passes the schema, what is answered passes JSON. */
async function ask<Name extends Question['ask']>(
  question: Extract<Question, { ask: Name }>,
): Promise<Answers[Name]> {
  const answer = await answerOperator(
    { telemetry: told.telemetry, withDatabase: (work) => work(database.pipeline) },
    parseRequest(questionSchema, JSON.parse(JSON.stringify(question))),
  );
  return JSON.parse(JSON.stringify(answer)) as Answers[Name];
}

async function anEvent() {
  const id = randomUUID();
  await database.admin`INSERT INTO events (id, rekognition_collection_id) VALUES (${id}, ${`rollcall-${id}`})`;
  const photo = async (faces: string[], failure?: { code: string; retryable: boolean }) => {
    const photoId = randomUUID();
    await database.admin`
      INSERT INTO photos (id, event_id, object_key, object_version, object_sequencer, status, face_count,
                          failure_code, failure_message, failure_retryable, indexed_at, failed_at)
      VALUES (${photoId}, ${id}, ${`events/${id}/${photoId}.jpg`}, 'v1', '0A', ${failure ? 'failed' : 'indexed'},
              ${failure ? null : faces.length}, ${failure?.code ?? null}, ${failure ? 'because' : null},
              ${failure?.retryable ?? null}, ${failure ? null : new Date()}, ${failure ? new Date() : null})`;
    for (const face of faces) {
      await database.admin`INSERT INTO faces (photo_id, rekognition_face_id) VALUES (${photoId}, ${face})`;
    }
    return photoId;
  };
  return { id, photo };
}

type Row = Record<string, unknown>;

async function insertErasure(row: Row & { photo_id: string }, faces: string[] = []): Promise<string> {
  const { admin } = database;
  const [erasure] = await admin<{ id: string }[]>`INSERT INTO erasures ${admin(row)} RETURNING id`;
  for (const rekognition_face_id of faces) {
    const { photo_id } = row;
    await admin`
      INSERT INTO face_removals ${admin({ erasure_id: erasure!.id, collection_id: 'c', rekognition_face_id, photo_id })}`;
  }
  return erasure!.id;
}

const insertMisplaced = (...keys: string[]) =>
  database.admin`
    INSERT INTO misplaced_uploads ${database.admin(
      keys.map((object_key) => ({
        object_key,
        object_version: 'v1',
        object_sequencer: '10',
        failure_code: 'InvalidPhotoKey',
        failure_message: 'not of the form',
        execution_arn: 'arn:e',
      })),
    )}`;

test('counts photos by state and reason, of one event or of all', async () => {
  const event = await anEvent();
  const photo = await event.photo(['a', 'b'].map(() => randomUUID()));
  await event.photo([], { code: 'InvalidImageFormat', retryable: false });
  await event.photo([], { code: 'DatabaseUnavailable', retryable: true });
  await event.photo([], { code: 'DatabaseUnavailable', retryable: true });
  for (const created_at of ['2026-05-02', '2026-05-01']) {
    await database.admin`
      INSERT INTO photos (id, event_id, object_key, created_at) VALUES (${randomUUID()}, ${event.id}, 'k', ${created_at})`;
  }
  await insertErasure({ event_id: event.id, photo_id: photo, reason: 'photo_replaced' }, ['leaving']);
  const other = await anEvent();
  const theirs = await other.photo(['c', 'd', 'e'].map(() => randomUUID()));
  await other.photo([], { code: 'ImageTooLarge', retryable: false });
  await insertErasure({ event_id: other.id, photo_id: theirs, reason: 'photo_replaced' }, ['theirs', 'too']);
  await insertMisplaced('1.jpg', '2.jpg');
  const ofEvent = {
    events: 1,
    photos: { indexed: 1, failed: 3, processing: 2 },
    faces: 2,
    leaving: 1,
    misplaced: 0,
    failures: [
      { code: 'DatabaseUnavailable', retryable: true, photos: 2 },
      { code: 'InvalidImageFormat', retryable: false, photos: 1 },
    ],
    oldest_processing: '2026-05-01T00:00:00.000Z',
  };
  await expect(ask({ ask: 'summary', event_id: event.id })).resolves.toEqual(ofEvent);
  await expect(ask({ ask: 'summary', event_id: other.id })).resolves.toEqual({
    ...ofEvent,
    photos: { indexed: 1, failed: 1 },
    faces: 3,
    leaving: 2,
    failures: [{ code: 'ImageTooLarge', retryable: false, photos: 1 }],
    oldest_processing: null,
  });
  await expect(ask({ ask: 'summary' })).resolves.toEqual({
    events: 2,
    photos: { indexed: 2, failed: 4, processing: 2 },
    faces: 5,
    leaving: 3,
    misplaced: 2,
    failures: [
      ofEvent.failures[0],
      { code: 'ImageTooLarge', retryable: false, photos: 1 },
      { code: 'InvalidImageFormat', retryable: false, photos: 1 },
    ],
    oldest_processing: '2026-05-01T00:00:00.000Z',
  });
});

test('says in the log what was asked', async () => {
  await ask({ ask: 'events' });
  expect(told.lines).toEqual([
    { level: 'info', message: 'The operator asked', event: 'operator.asked', ask: 'events' },
  ]);
});

test('tells an event, all of them, or those after one', async () => {
  const ids = [(await anEvent()).id, (await anEvent()).id, (await anEvent()).id].sort();
  await database.admin`UPDATE events SET erasure_requested_at = '2026-05-01' WHERE id = ${ids[0]!}`;
  const rows = ids.map((id, i) => ({
    id,
    rekognition_collection_id: `rollcall-${id}`,
    erasure_requested_at: i === 0 ? '2026-05-01T00:00:00.000Z' : null,
  }));
  await expect(ask({ ask: 'events' })).resolves.toEqual(rows);
  await expect(ask({ ask: 'events', event_id: ids[1]! })).resolves.toEqual([rows[1]]);
  await expect(ask({ ask: 'events', after: ids[0]! })).resolves.toEqual(rows.slice(1));
});

test('forgets the misplaced uploads that it is told of', async () => {
  await insertMisplaced('1.jpg', '2.jpg', '3.jpg');
  await expect(ask({ ask: 'forget_misplaced', keys: ['1.jpg', '3.jpg', 'another.jpg'] })).resolves.toEqual({
    forgotten: 2,
  });
  const { total, uploads } = await ask({ ask: 'misplaced', limit: 10 });
  expect([total, uploads.map(({ object_key }) => object_key)]).toEqual([1, ['2.jpg']]);
});

test('adds up what was billed, by event, photographer or day, from a day on', async () => {
  const [a, b] = [(await anEvent()).id, (await anEvent()).id];
  const photographer = randomUUID();
  await database.admin`UPDATE events SET name = 'A wedding' WHERE id = ${a}`;
  const paid = (event_id: string, called_at: string, usd: number, photographer_id: string | null = null) =>
    database.admin`
      INSERT INTO paid_images (photo_id, called_at, event_id, photographer_id, faces, estimated_usd)
      VALUES (${randomUUID()}, ${called_at}, ${event_id}, ${photographer_id}, 2, ${usd})`;
  await paid(a, '2026-05-01T10:00:00Z', 4);
  await paid(b, '2026-05-01T11:00:00Z', 1);
  await paid(b, '2026-05-02T10:00:00Z', 2, photographer);
  const row = (key: string | null, images: number, estimated_usd: number, name: string | null = null) => ({
    key,
    name,
    images,
    faces: 2 * images,
    estimated_usd,
  });
  const all = { images: 3, faces: 6, estimated_usd: 7 };
  const usage = (by: 'event' | 'photographer' | 'day', since?: string) =>
    ask({ ask: 'usage', by, ...(since && { since }) });
  // The costliest first, and the days in their order.
  await expect(usage('event')).resolves.toEqual({
    rows: [row(a, 1, 4, 'A wedding'), row(b, 2, 3)],
    total: all,
  });
  await expect(usage('photographer')).resolves.toEqual({
    rows: [row(null, 2, 5), row(photographer, 1, 2)],
    total: all,
  });
  await expect(usage('day')).resolves.toEqual({
    rows: [row('2026-05-01', 2, 5), row('2026-05-02', 1, 2)],
    total: all,
  });
  await paid(a, '2026-05-03T10:00:00Z', 9);
  await expect(usage('day', '2026-05-02')).resolves.toEqual({
    rows: [row('2026-05-02', 1, 2), row('2026-05-03', 1, 9)],
    total: { images: 2, faces: 4, estimated_usd: 11 },
  });
});

test('lists the erasures that somebody asked for, and of the others those under way, the latest first', async () => {
  const [event, other] = [await anEvent(), await anEvent()];
  const finished_at = '2026-05-04T00:00:00.000Z';
  const rows = [
    { event_id: event.id, reason: 'photo_deleted', finished_at },
    { event_id: event.id, reason: 'photo_replaced', finished_at: null },
    { event_id: event.id, reason: 'photo_replaced', finished_at },
    { event_id: event.id, reason: 'late_result', finished_at },
    { event_id: other.id, reason: 'late_result', finished_at: null },
  ];
  const receipts = [];
  for (const [i, row] of rows.entries()) {
    const requested_at = `2026-05-0${i + 1}T00:00:00.000Z`;
    const photo_id = randomUUID();
    const erasure_id = await insertErasure({
      ...row,
      photo_id,
      requested_at,
      photos: 1,
      faces: 2,
      results: 3,
    });
    receipts.push({ erasure_id, photo_id, ...row, requested_at, photos: 1, faces: 2, results: 3 });
  }
  const [deleted, open, , , theirs] = receipts;
  await expect(ask({ ask: 'erasures', limit: 10 })).resolves.toEqual([theirs, open, deleted]);
  await expect(ask({ ask: 'erasures', limit: 1 })).resolves.toEqual([theirs]);
  await expect(ask({ ask: 'erasures', event_id: event.id, limit: 10 })).resolves.toEqual([open, deleted]);
});

test('finds photos by event, id, state and whether they can be tried again', async () => {
  const event = await anEvent();
  const indexed = await event.photo([randomUUID()]);
  const permanent = await event.photo([], { code: 'ImageTooLarge', retryable: false });
  const passing = await event.photo([], { code: 'LedgerBusy', retryable: true });
  const ids = async (question: Partial<Extract<Question, { ask: 'photos' }>>) =>
    (await ask({ ask: 'photos', event_id: event.id, ...question })).map(({ id }) => id).sort();
  await expect(ids({})).resolves.toEqual([indexed, permanent, passing].sort());
  await expect(ids({ status: 'failed' })).resolves.toEqual([permanent, passing].sort());
  await expect(ids({ status: 'failed', retryable: true })).resolves.toEqual([passing]);
  await expect(ids({ photo_ids: [indexed, randomUUID()] })).resolves.toEqual([indexed]);
  const [row] = await ask({ ask: 'photos', photo_ids: [passing] });
  expect(row).toMatchObject({
    failure_code: 'LedgerBusy',
    failure_message: 'because',
    ended_at: expect.any(String),
  });
});

test('pages through more than fits one answer, each row once', async () => {
  const event = await anEvent();
  await database.admin`
    INSERT INTO photos (id, event_id, object_key)
    SELECT gen_random_uuid(), ${event.id}, 'k' FROM generate_series(1, ${PAGE_SIZE + 5})`;
  const first = await ask({ ask: 'photos', event_id: event.id });
  const second = await ask({ ask: 'photos', event_id: event.id, after: first.at(-1)!.id });
  expect([first.length, second.length]).toEqual([PAGE_SIZE, 5]);
  expect(new Set([...first, ...second].map(({ id }) => id)).size).toBe(PAGE_SIZE + 5);
});

test('a photo whose faces are lost is failed, its faces are forgotten, and an old response is void', async () => {
  const event = await anEvent();
  const [gone, left] = [randomUUID(), randomUUID()];
  const photo = await event.photo([gone, left]);
  const lose = (face_id: string) =>
    ask({ ask: 'lose_faces', photos: [{ event_id: event.id, photo_id: photo, face_id }] });
  // What was mended meanwhile is left alone.
  await expect(lose(randomUUID())).resolves.toEqual({ changed: 0 });
  await expect(lose(gone)).resolves.toEqual({ changed: 1 });
  await expect(lose(gone)).resolves.toEqual({ changed: 0 });
  const [row] = await database.admin`SELECT * FROM photos WHERE id = ${photo}`;
  expect(row).toMatchObject({
    status: 'failed',
    failure_code: 'FacesLost',
    failure_retryable: true,
    face_count: null,
  });
  expect(row?.faces_erased_at).toBeInstanceOf(Date);
  await expect(ask({ ask: 'faces', event_id: event.id })).resolves.toEqual([]);
});

test('faces that no row knows are asked to leave, once; a face that a row knows never', async () => {
  const event = await anEvent();
  const [known, stray] = [randomUUID(), randomUUID()];
  const photo = await event.photo([known]);
  const remove = () =>
    ask({
      ask: 'remove_faces',
      event_id: event.id,
      collection_id: `rollcall-${event.id}`,
      faces: [known, stray].map((face_id) => ({ photo_id: photo, face_id })),
    });
  await expect(remove()).resolves.toEqual({ requested: 1 });
  await expect(remove()).resolves.toEqual({ requested: 0 });
  // Not even the responses of the photo.
  await database.admin`DELETE FROM result_removals`;
  await remove();
  await expect(database.admin`SELECT FROM result_removals`).resolves.toHaveLength(0);
  await expect(ask({ ask: 'leaving', event_id: event.id })).resolves.toEqual([
    { rekognition_face_id: stray },
  ]);
  await expect(ask({ ask: 'faces', event_id: event.id })).resolves.toMatchObject([
    { rekognition_face_id: known },
  ]);
});

test.each(['indexed', 'deleted', 'erased', 'absent'])(
  'a stray face takes the stored responses of its photo along, except what its row needs: the photo is %s',
  async (status) => {
    const event = await anEvent();
    const [stored, stray] = [randomUUID(), randomUUID()];
    const photo = status === 'absent' ? randomUUID() : await event.photo([stored]);
    if (status === 'deleted' || status === 'erased') {
      await database.admin`DELETE FROM faces WHERE photo_id = ${photo}`;
      await database.admin`UPDATE photos SET status = ${status}, indexed_at = NULL, face_count = NULL WHERE id = ${photo}`;
    }
    const collection_id = `rollcall-${event.id}`;
    const faces = [{ photo_id: photo, face_id: stray }];
    await ask({ ask: 'remove_faces', event_id: event.id, collection_id, faces });
    const names = await database.admin`
      SELECT name FROM result_removals JOIN erasures ON erasures.id = erasure_id WHERE photo_id = ${photo}`;
    // Of a photo that is there all but that of its version, and but what is stored after this.
    const others = new RegExp(`^results/${event.id}/${photo}/\\*\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$`);
    const all = `results/${event.id}/${photo}/`;
    expect(names).toEqual([{ name: status === 'indexed' ? expect.stringMatching(others) : all }]);
  },
);

test('the responses of photos that nobody needs are asked to leave, once, but for those that are new', async () => {
  const event = await anEvent();
  const photo = await event.photo([]);
  const before = '2026-05-01T10:00:00.000Z';
  const remove = () => ask({ ask: 'remove_responses', event_id: event.id, photo_ids: [photo], before });
  await expect(remove()).resolves.toEqual({ requested: 1 });
  await expect(remove()).resolves.toEqual({ requested: 1 });
  await expect(database.admin`
    SELECT reason, search, name FROM erasures JOIN result_removals ON erasures.id = erasure_id
    WHERE photo_id = ${photo}`).resolves.toEqual([
    { reason: 'late_result', search: false, name: `results/${event.id}/${photo}/*${before}` },
  ]);
});

test.each([{}, { ask: 'everything' }, { ask: 'faces' }, { ask: 'photos', event_id: "' OR true --" }])(
  '%j is not a question',
  (question) => {
    expect(() => parseRequest(questionSchema, question)).toThrow(
      expect.objectContaining({ name: 'InvalidInput' }),
    );
  },
);

test('lists the photos that failed last first, of one event or of all', async () => {
  const event = await anEvent();
  const ids: string[] = [];
  for (const minute of [1, 3, 2]) {
    const id = await event.photo([], { code: 'LedgerBusy', retryable: true });
    await database.admin`UPDATE photos SET failed_at = ${new Date(Date.UTC(2040, 0, 1, 0, minute))} WHERE id = ${id}`;
    ids.push(id);
  }
  const [first, third, second] = ids;
  const failures = (limit: number, event_id?: string) =>
    ask({ ask: 'failures', limit, ...(event_id && { event_id }) }).then((rows) => rows.map(({ id }) => id));
  await expect(failures(10, event.id)).resolves.toEqual([third, second, first]);
  await expect(failures(2)).resolves.toEqual([third, second]);
});

test('lists the events, the latest first, with what became of their photos', async () => {
  const [older, newer] = [await anEvent(), await anEvent()];
  await database.admin`UPDATE events SET created_at = '2040-01-01', name = 'A wedding' WHERE id = ${older.id}`;
  await database.admin`UPDATE events SET created_at = '2040-01-02' WHERE id = ${newer.id}`;
  await older.photo([randomUUID(), randomUUID()]);
  await older.photo([], { code: 'ImageTooLarge', retryable: false });
  const events = await ask({ ask: 'event_list', limit: 2 });
  expect(events).toMatchObject([
    { id: newer.id, name: null, photos: {}, faces: 0 },
    {
      id: older.id,
      name: 'A wedding',
      created_at: '2040-01-01T00:00:00.000Z',
      photos: { indexed: 1, failed: 1 },
      faces: 2,
    },
  ]);
});

test('knows what was billed for a photo, and what of it was erased', async () => {
  const event = await anEvent();
  const photo = await event.photo([randomUUID()]);
  await database.admin`
    INSERT INTO paid_images (photo_id, called_at, event_id, faces, estimated_usd)
    VALUES (${photo}, '2026-05-01T10:00:00Z', ${event.id}, 3, 0.00115), (${photo}, '2026-05-02T10:00:00Z', ${event.id}, 1, 0.00115)`;
  await database.admin`INSERT INTO erasures (event_id, photo_id, reason) VALUES (${event.id}, ${photo}, 'photo_replaced')`;
  await expect(ask({ ask: 'photo_history', photo_id: photo })).resolves.toMatchObject({
    paid: [
      { called_at: '2026-05-02T10:00:00.000Z', faces: 1, estimated_usd: 0.00115 },
      { called_at: '2026-05-01T10:00:00.000Z', faces: 3 },
    ],
    erasures: [{ reason: 'photo_replaced', finished_at: null }],
  });
});

test('tells the last twenty of each, of a photo that has a long history', async () => {
  const event = await anEvent();
  const photo = await event.photo([]);
  const day = '2026-05-01';
  await database.admin`
    INSERT INTO paid_images (photo_id, called_at, event_id, faces, estimated_usd)
    SELECT ${photo}, ${day}::timestamptz + n * interval '1 day', ${event.id}, n, 0.001 FROM generate_series(1, 21) AS n`;
  await database.admin`
    INSERT INTO erasures (event_id, photo_id, reason, requested_at, faces, finished_at)
    SELECT ${event.id}, ${photo}, 'photo_replaced', ${day}::timestamptz + n * interval '1 day', n, now()
    FROM generate_series(1, 21) AS n`;
  const { paid, erasures } = await ask({ ask: 'photo_history', photo_id: photo });
  const last = Array.from({ length: 20 }, (_, i) => 21 - i);
  expect(paid.map(({ faces }) => faces)).toEqual(last);
  expect(erasures.map(({ faces }) => faces)).toEqual(last);
});

describe('what changes an event', () => {
  const beside = (mode: 'shared' | 'exclusive', eventId: string, work: () => Promise<unknown>) =>
    whileHeld(database, (sql) => lockEvent(sql, eventId, mode), work);

  const changes = (event: string, photo: string): Record<string, Question> => ({
    lose_faces: { ask: 'lose_faces', photos: [{ event_id: event, photo_id: photo, face_id: 'f' }] },
    reopen: { ask: 'reopen', event_id: event, photo_ids: [photo] },
    remove_faces: {
      ask: 'remove_faces',
      event_id: event,
      collection_id: 'c',
      faces: [{ photo_id: photo, face_id: 'f' }],
    },
    remove_responses: {
      ask: 'remove_responses',
      event_id: event,
      photo_ids: [photo],
      before: '2026-05-01T10:00:00.000Z',
    },
  });

  test.each(Object.keys(changes('', '')))(
    'waits for what erases it, and not for its photos: %s',
    async (name) => {
      const event = await anEvent();
      const photo = await event.photo([]);
      const work = () => ask(changes(event.id, photo)[name]!);
      await expect(beside('exclusive', event.id, work)).resolves.toMatchObject({ waited: true });
      await expect(beside('shared', event.id, work)).resolves.toMatchObject({ waited: false });
    },
  );

  test('locks events in the order of their ids, whatever the order of their photos', async () => {
    const ids = [(await anEvent()).id, (await anEvent()).id].sort();
    const photos = ids.toReversed().map((event_id) => ({ event_id, photo_id: randomUUID(), face_id: 'f' }));
    const found = await beside('exclusive', ids[0]!, () => ask({ ask: 'lose_faces', photos }));
    expect(found).toMatchObject({ waited: true, locks: 1 });
  });
});

test('nobody but the operator is told to have asked for what leaves', async () => {
  const event = await anEvent();
  const photos = [await event.photo([randomUUID()]), await event.photo([]), await event.photo([])];
  const [reopened, strays, responses] = photos as [string, string, string];
  const { id: event_id } = event;
  await ask({ ask: 'reopen', event_id, photo_ids: [reopened] });
  const faces = [{ photo_id: strays, face_id: randomUUID() }];
  await ask({ ask: 'remove_faces', event_id, collection_id: 'c', faces });
  const before = '2026-05-01T10:00:00.000Z';
  await ask({ ask: 'remove_responses', event_id, photo_ids: [responses], before });
  const rows = await database.admin`SELECT photo_id, execution_arn FROM erasures`;
  expect(new Map(rows.map((row) => [row.photo_id, row.execution_arn]))).toEqual(
    new Map(photos.map((id) => [id, 'operator'])),
  );
});

test('indexed photos wait again, and their faces and responses leave by way of the outbox', async () => {
  const event = await anEvent();
  const faces = [randomUUID(), randomUUID()];
  const indexed = await event.photo(faces);
  const failed = await event.photo([], { code: 'LedgerBusy', retryable: true });
  const elsewhere = await (await anEvent()).photo([randomUUID()]);
  const question = {
    ask: 'reopen',
    event_id: event.id,
    photo_ids: [indexed, failed, elsewhere, randomUUID()],
  } as const;
  await expect(ask({ ...question, photo_ids: [...question.photo_ids] })).resolves.toEqual({
    photo_ids: [indexed],
  });
  await expect(
    database.admin`SELECT status, face_count, object_version, faces_erased_at IS NOT NULL AS fenced FROM photos WHERE id = ${indexed}`,
  ).resolves.toEqual([{ status: 'processing', face_count: null, object_version: 'v1', fenced: true }]);
  await expect(database.admin`SELECT FROM faces WHERE photo_id = ${indexed}`).resolves.toHaveLength(0);
  const leaving = await ask({ ask: 'leaving', event_id: event.id });
  expect(leaving.map(({ rekognition_face_id }) => rekognition_face_id).sort()).toEqual([...faces].sort());
  await expect(
    database.admin`SELECT name FROM result_removals JOIN erasures ON id = erasure_id WHERE photo_id = ${indexed}`,
  ).resolves.toEqual([{ name: `results/${event.id}/${indexed}/v1.json` }]);
  await expect(database.admin`SELECT status FROM photos WHERE id = ${elsewhere}`).resolves.toEqual([
    { status: 'indexed' },
  ]);
  // Asked a second time there is nothing to do.
  await expect(ask({ ask: 'reopen', event_id: event.id, photo_ids: [indexed] })).resolves.toEqual({
    photo_ids: [],
  });
});

describe('a local run that is not up', () => {
  const asked = (name: string, question: Question) => {
    const { options } = database.admin;
    return answerFrom(
      {
        databaseUrl: `postgresql://postgres:postgres@127.0.0.1:${options.port[0]}/${name}`,
        outputs: { OperatorFunctionName: 'Operator', SkipIndexedFunctionName: 'SkipIndexed' },
      },
      'Operator',
      question,
    );
  };
  const name = () => database.admin.options.database;

  test('answers who looks, and takes no change', async () => {
    const event = await anEvent();
    const photo = await event.photo([randomUUID()]);
    await expect(asked(name(), { ask: 'photos', photo_ids: [photo] })).resolves.toMatchObject([
      { id: photo, status: 'indexed' },
    ]);
    await expect(
      asked(name(), {
        ask: 'reopen',
        event_id: event.id,
        photo_ids: [photo],
      }),
    ).rejects.toThrow(/read-only transaction/);
  });

  test('of another version says what brings it up to date', async () => {
    await expect(asked('template1', { ask: 'summary' })).rejects.toThrow(
      'npm run local:up brings it up to date',
    );
  });

  test('runs no function that does more than look', () => {
    expect(answerFrom({ databaseUrl: '', outputs: {} }, 'IndexFaces', {})).toBeUndefined();
  });
});
