import { randomUUID } from 'node:crypto';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import {
  type Answers,
  PAGE_SIZE,
  type Question,
  questionSchema,
} from '../../lambdas/answer-operator/questions.ts';
import { parseRequest } from '../../lambdas/shared/contract.ts';
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
  'a stray face takes the stored responses of its photo along, unless a row needs them: the photo is %s',
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
    expect(names).toEqual(status === 'indexed' ? [] : [{ name: `results/${event.id}/${photo}/` }]);
  },
);

test.each([{}, { ask: 'everything' }, { ask: 'faces' }, { ask: 'photos', event_id: "' OR true --" }])(
  '%j is no question',
  (question) => {
    expect(() => parseRequest(questionSchema, question)).toThrow(
      expect.objectContaining({ name: 'InvalidInput' }),
    );
  },
);
