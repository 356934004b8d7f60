/** What ListErasures hands out, to whom, and how much of it; what becomes of it, test/database/erasure.test.ts says. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { listErasures } from '../../lambdas/list-erasures/list-erasures.ts';
import { otherResults, resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import type { ErasureBatch, ErasureProgress, ErasureStep } from '../../lambdas/shared/erasure/contract.ts';
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();
const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline);

const A = 'arn:execution:a';
const B = 'arn:execution:b';
const HOUR_MS = 3_600_000;

beforeEach(async () => {
  const { admin } = database;
  await admin`DELETE FROM face_removals`;
  await admin`DELETE FROM result_removals`;
  await admin`DELETE FROM erasures`;
  await admin`UPDATE erasure_turn SET execution_arn = NULL, until = '-infinity'`;
});

const list = (
  input: Partial<ErasureProgress> = {},
  { execution_arn = A, max_batches = 500 } = {},
): Promise<ErasureStep> =>
  listErasures(
    { withDatabase, collectionPrefix: 'rollcall-' },
    {
      input: {
        request: 'outbox',
        effect: 'none',
        erasure_id: null,
        erasures: 0,
        batches: 0,
        waits: 0,
        ...input,
      },
      execution_arn,
      max_batches,
    },
  );

async function batchOf(input?: Partial<ErasureProgress>): Promise<ErasureBatch> {
  const step = await list(input);
  if (step.next !== 'remove') {
    throw new Error(`${step.next} instead of a batch`);
  }
  return step.batch;
}

let opened = 0;
/** An erasure that is due, each a moment after the one before. */
async function erasure(row: {
  event_id: string;
  reason?: string;
  photo_id?: string;
  execution_arn?: string;
  finished_at?: Date;
  not_before?: Date;
  search?: boolean;
}): Promise<string> {
  const requested_at = new Date(Date.now() - HOUR_MS + opened++);
  const [made] = await database.admin<{ id: string }[]>`
    INSERT INTO erasures ${database.admin({ reason: 'late_result', requested_at, not_before: requested_at, ...row })}
    RETURNING id`;
  return made!.id;
}

/** Faces on their way out, in the order of their numbers. */
const faces = (erasure_id: string, from: number, to: number, collection_id = 'c') => database.admin`
  INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
  SELECT ${erasure_id}, ${collection_id}, 'f' || to_char(n, 'FM00000'), ${randomUUID()}
  FROM generate_series(${from}::int, ${to}::int) AS n`;
const face = (n: number) => `f${String(n).padStart(5, '0')}`;

const results = (erasure_id: string, names: string[]) => database.admin`
  INSERT INTO result_removals ${database.admin(names.map((name) => ({ erasure_id, name })))}`;

const turn = async () => (await database.admin`SELECT execution_arn, until, batch FROM erasure_turn`)[0]!;
const othersTurn = (until = new Date(Date.now() + HOUR_MS)) =>
  database.admin`UPDATE erasure_turn SET execution_arn = ${B}, until = ${until}`;

describe('while it is another execution’s turn', () => {
  test.each([
    [0, 1],
    [1, 2],
    [10, 1_024],
    [11, 1_800],
    [12, 1_800],
    [2_000, 1_800],
  ])('having waited %d times it waits for %d seconds', async (waits, wait_seconds) => {
    await erasure({ event_id: randomUUID(), execution_arn: A });
    await othersTurn();
    const asked = { request: 'person', effect: 'requested', erasures: 3, batches: 2 } as const;
    await expect(list({ ...asked, waits })).resolves.toEqual({
      ...asked,
      erasure_id: null,
      next: 'wait',
      waits: waits + 1,
      wait_seconds,
    });
    await expect(turn()).resolves.toMatchObject({ execution_arn: B });
  });

  test('it waits for what it asked for itself, or joined, as long as that is due', async () => {
    const event_id = randomUUID();
    const theirs = await erasure({ event_id, execution_arn: B });
    await othersTurn();
    await expect(list({ erasure_id: theirs })).resolves.toMatchObject({ next: 'wait' });
    await expect(list({ request: 'person' })).resolves.toMatchObject({
      request: 'person',
      next: 'done',
      receipts: [],
    });
    const later = await erasure({ event_id, execution_arn: A, not_before: new Date(Date.now() + HOUR_MS) });
    const finished = await erasure({ event_id, execution_arn: A, finished_at: new Date() });
    const done = await list();
    expect(done).toMatchObject({ next: 'done' });
    expect(done.next === 'done' && done.receipts.map(({ erasure_id }) => erasure_id)).toEqual([
      later,
      finished,
    ]);
  });
});

describe('the turn', () => {
  test('is taken with a batch, for a quarter of an hour, and numbered', async () => {
    await erasure({ event_id: randomUUID() });
    const { batch: before } = await turn();
    for (const n of [1, 2]) {
      const began = Date.now();
      const step = await list({ request: 'person', batches: n });
      expect(step).toMatchObject({
        request: 'person',
        next: 'remove',
        batches: n + 1,
        batch: { number: Number(before) + n },
      });
      const until = Date.parse(step.next === 'remove' ? step.batch.until : '');
      expect(until - 900_000 >= began - 1_000 && until - 900_000 <= began + 60_000).toBe(true);
      await expect(turn()).resolves.toMatchObject({ execution_arn: A, until: new Date(until) });
    }
  });

  test('is taken by one, however many come at once', async () => {
    await erasure({ event_id: randomUUID() });
    const steps = await Promise.all(
      Array.from({ length: 8 }, (_, n) => list({}, { execution_arn: `arn:execution:${n}` })),
    );
    expect(steps.filter(({ next }) => next === 'remove')).toHaveLength(1);
  });

  test('is given back where nothing is due', async () => {
    await erasure({ event_id: randomUUID(), not_before: new Date(Date.now() + HOUR_MS) });
    await expect(list()).resolves.toMatchObject({ next: 'done' });
  });

  test('of whoever has it no more may be taken', async () => {
    await erasure({ event_id: randomUUID() });
    await othersTurn(new Date(Date.now() - 1_000));
    await expect(list()).resolves.toMatchObject({ next: 'remove' });
  });

  test.each([
    ['nothing is left', 0, 500],
    ['it has had as many batches as it may', 7, 7],
  ])('is given back when %s', async (_, batches, max_batches) => {
    const id = await erasure({
      event_id: randomUUID(),
      execution_arn: A,
      ...(batches === 0 && { finished_at: new Date('2026-05-01T12:00:00.123Z') }),
    });
    await database.admin`UPDATE erasure_turn SET execution_arn = ${A}, until = now() + interval '1 hour'`;
    const step = await list({ request: 'person', batches }, { max_batches });
    expect(step).toMatchObject({
      request: 'person',
      next: 'done',
      batches,
      receipts: [
        {
          erasure_id: id,
          requested_at: expect.stringMatching(/Z$/),
          finished_at: batches === 0 ? '2026-05-01T12:00:00.123Z' : null,
        },
      ],
    });
    await expect(turn()).resolves.toMatchObject({ execution_arn: null });
  });

  test('ends with a hundred receipts at most, the earliest first', async () => {
    const event_id = randomUUID();
    const ids: string[] = [];
    for (let n = 0; n < 101; n++) {
      ids.push(await erasure({ event_id, execution_arn: A, finished_at: new Date() }));
    }
    const step = await list();
    expect(step.next === 'done' && step.receipts.map(({ erasure_id }) => erasure_id)).toEqual(
      ids.slice(0, 100),
    );
  });
});

describe('a batch', () => {
  test('is of the event that waits longest, and of all that is due of it', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    await database.admin`INSERT INTO events (id, rekognition_collection_id) VALUES (${second}, 'theirs')`;
    const one = await erasure({ event_id: first });
    const theirs = await erasure({ event_id: second });
    const two = await erasure({ event_id: first });
    await erasure({ event_id: first, not_before: new Date(Date.now() + HOUR_MS) });
    await erasure({ event_id: first, finished_at: new Date() });
    await erasure({ event_id: first, reason: 'event_requested' });
    await faces(two, 1, 2);
    await faces(one, 8, 9);
    await expect(batchOf()).resolves.toMatchObject({
      kind: 'faces',
      event_id: first,
      collection_id: 'c',
      erasure_ids: [one, two],
      face_ids: [8, 9, 1, 2].map(face),
      deleted_photos: [],
      results: [],
      needed_results: [],
    });
    await database.admin`UPDATE erasures SET finished_at = now() WHERE event_id = ${first} AND finished_at IS NULL`;
    await expect(batchOf()).resolves.toMatchObject({
      event_id: second,
      // Without a face to name one: the event's own.
      collection_id: 'theirs',
      erasure_ids: [theirs],
    });
  });

  test('of an event that nobody has a row of is of the collection that it would have', async () => {
    const event_id = randomUUID();
    await erasure({ event_id });
    await expect(batchOf()).resolves.toMatchObject({ collection_id: `rollcall-${event_id}` });
  });

  test.each(['event_requested', 'event_expired'])('of a whole event (%s) is that alone', async (reason) => {
    const event_id = randomUUID();
    const id = await erasure({ event_id, reason });
    await erasure({ event_id });
    await results(id, ['results/e/']);
    const begunAt = async () =>
      (await database.admin`SELECT begun_at FROM erasures WHERE id = ${id}`)[0]!.begun_at as Date | null;
    await expect(begunAt()).resolves.toBeNull();
    await expect(batchOf()).resolves.toMatchObject({
      kind: 'event',
      event_id,
      collection_id: `rollcall-${event_id}`,
      erasure_ids: [id],
      face_ids: [],
      deleted_photos: [],
      results: ['results/e/'],
      needed_results: [],
    });
    const begun = await begunAt();
    expect(begun).not.toBeNull();
    await batchOf();
    await expect(begunAt()).resolves.toEqual(begun);
  });

  test('looks for whatever was indexed of a photo once all that is known of it is in the batch', async () => {
    const event_id = randomUUID();
    const [whole, empty, cut, unsearched] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const one = await erasure({ event_id, photo_id: whole, search: true });
    await erasure({ event_id, photo_id: whole, search: true });
    await erasure({ event_id, photo_id: unsearched });
    await erasure({ event_id, photo_id: empty, search: true });
    const two = await erasure({ event_id, photo_id: cut, search: true });
    await faces(one, 1, 4_000);
    await faces(two, 4_001, 4_097);
    const batch = await batchOf();
    expect(batch.face_ids).toHaveLength(4_096);
    expect(batch.deleted_photos).toEqual([whole, empty]);
    await database.admin`DELETE FROM face_removals WHERE erasure_id = ${one}`;
    await expect(batchOf()).resolves.toMatchObject({ deleted_photos: [whole, empty, cut] });
  });

  test('is of one collection: of another one what comes after it', async () => {
    const event_id = randomUUID();
    const photo_id = randomUUID();
    const one = await erasure({ event_id });
    const two = await erasure({ event_id, photo_id, search: true });
    await faces(one, 1, 1, 'old');
    await faces(two, 2, 3, 'new');
    await expect(batchOf()).resolves.toMatchObject({
      collection_id: 'old',
      erasure_ids: [one, two],
      face_ids: [face(1)],
      deleted_photos: [],
    });
  });

  test('names a face once, and has 300 erasures and 300 responses at most', async () => {
    const event_id = randomUUID();
    const ids: string[] = [];
    for (let n = 0; n < 301; n++) {
      ids.push(await erasure({ event_id }));
    }
    await faces(ids[0]!, 1, 1);
    await faces(ids[1]!, 1, 1);
    await results(
      ids[0]!,
      Array.from({ length: 301 }, (_, n) => `results/${n}.json`),
    );
    await results(ids[1]!, ['results/0.json']);
    const batch = await batchOf();
    expect(batch.erasure_ids).toEqual(ids.slice(0, 300));
    expect(batch.face_ids).toEqual([face(1)]);
    expect(new Set(batch.results).size).toBe(300);
    expect(batch.results).toHaveLength(300);
    // What is handed out is told from what is asked for meanwhile.
    const listed = await database.admin<{ name: string }[]>`
      SELECT DISTINCT name FROM result_removals WHERE listed ORDER BY name`;
    expect(listed.map(({ name }) => name)).toEqual(batch.results.toSorted());
  });

  test('says which responses the photos need as they are now', async () => {
    const { admin } = database;
    const event_id = randomUUID();
    await admin`INSERT INTO events (id) VALUES (${event_id}), (${randomUUID()})`;
    const photo = async (status: string, object_version: string | null) => {
      const id = randomUUID();
      await admin`INSERT INTO photos ${admin({ id, event_id, object_key: id, status, object_version, face_count: 0 })}`;
      return { event_id, photo_id: id };
    };
    const [here, announced, deleted, erased] = [
      await photo('indexed', 'v1'),
      await photo('processing', null),
      await photo('deleted', 'v2'),
      await photo('erased', 'v3'),
    ];
    const unasked = await photo('indexed', 'v4');
    const id = await erasure({ event_id });
    const at = new Date();
    await results(id, [
      ...[here, announced, deleted, erased].map((of) => otherResults(of, at)),
      resultsKey(unasked, 'v4'),
    ]);
    await expect(batchOf()).resolves.toMatchObject({ needed_results: [resultsKey(here, 'v1')] });
    await admin`DELETE FROM result_removals WHERE name <> ${otherResults(here, at)}`;
    await expect(batchOf()).resolves.toMatchObject({ needed_results: [resultsKey(here, 'v1')] });
  });
});
