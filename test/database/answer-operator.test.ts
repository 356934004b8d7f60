import { randomUUID } from 'node:crypto';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import {
  type Answers,
  PAGE_SIZE,
  type Question,
  questionSchema,
} from '../../lambdas/answer-operator/questions.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { answerFrom } from '../../ops/stored-answers.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();

const { telemetry } = recordingTelemetry();

/** Asks as the commands do: what is asked passes the schema, what is answered passes JSON. */
async function ask<Name extends Question['ask']>(
  question: Extract<Question, { ask: Name }>,
): Promise<Answers[Name]> {
  const answer = await answerOperator(
    { telemetry, withDatabase: (work) => work(database.pipeline) },
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

test('counts photos by state and reason, of one event or of all', async () => {
  const event = await anEvent();
  await event.photo(['a', 'b'].map(() => randomUUID()));
  await event.photo([], { code: 'InvalidImageFormat', retryable: false });
  await event.photo([], { code: 'DatabaseUnavailable', retryable: true });
  await event.photo([], { code: 'DatabaseUnavailable', retryable: true });
  await database.admin`INSERT INTO photos (id, event_id, object_key) VALUES (${randomUUID()}, ${event.id}, 'k')`;
  await expect(ask({ ask: 'summary', event_id: event.id })).resolves.toEqual({
    events: 1,
    photos: { indexed: 1, failed: 3, processing: 1 },
    faces: 2,
    leaving: 0,
    misplaced: 0,
    failures: [
      { code: 'DatabaseUnavailable', retryable: true, photos: 2 },
      { code: 'InvalidImageFormat', retryable: false, photos: 1 },
    ],
    oldest_processing: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  const all = await ask({ ask: 'summary' });
  expect(all.events).toBeGreaterThanOrEqual(1);
  expect(all.photos.failed).toBeGreaterThanOrEqual(3);
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
