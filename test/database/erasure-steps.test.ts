/** The steps of an erasure one at a time, where test/database/erasure.test.ts runs them to the end: what each leaves for the next. */
import { randomUUID } from 'node:crypto';
import type { ErasureBatch, ErasureStep, RemovedBatch } from '../../lambdas/shared/erasure/contract.ts';
import { removeResults } from '../../lambdas/shared/erasure/outbox.ts';
import { erasureWorld } from '../support/erasure-world.ts';
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();
let world: ReturnType<typeof erasureWorld>;
/** Two executions of each test: one asks once, whatever it is asked. */
let A: string;
let B: string;

beforeAll(() => {
  world = erasureWorld(database);
});
// Whatever the test before left is done, and nobody has the turn.
beforeEach(async () => {
  A = `arn:execution:${randomUUID()}`;
  B = `arn:execution:${randomUUID()}`;
  await database.admin`DELETE FROM face_removals`;
  await database.admin`DELETE FROM result_removals`;
  await database.admin`UPDATE erasures SET finished_at = now() WHERE finished_at IS NULL`;
  await database.admin`UPDATE erasure_turn SET execution_arn = NULL, until = '-infinity'`;
});

const request = (input: object, execution_arn = A) => world.tasks.RequestErasure({ input, execution_arn });
const list = (input: object, execution_arn = A): Promise<ErasureStep> =>
  world.tasks.ListErasures({ input, execution_arn, max_batches: 500 });

/** The batch that the execution is to remove. */
async function batchOf(input: object, execution_arn = A): Promise<{ input: object; batch: ErasureBatch }> {
  const step = await list(input, execution_arn);
  if (step.next !== 'remove') {
    throw new Error(`${step.next} instead of a batch`);
  }
  return { input: step, batch: step.batch };
}

const confirm = (input: object, batch: RemovedBatch) =>
  world.tasks.ConfirmErasure({ input: { ...input, batch } });

async function begin(kind: 'faces' | 'event') {
  const { eventId, photos } = await world.event(2, 1);
  const [photo] = photos;
  const progress = await request(
    kind === 'event'
      ? { request: 'event', event_id: eventId }
      : {
          request: 'photo_deleted',
          object: { key: photo!.object.key, sequencer: '20' },
          deletion_type: 'Permanently Deleted',
        },
  );
  return { eventId, photos, photo: photo!, progress };
}

describe.each(['faces', 'event'] as const)('of %s', (kind) => {
  test('there is no receipt while stored responses are left, and the count of all of them in the end', async () => {
    const { eventId, progress } = await begin(kind);
    const first = await batchOf(progress);
    const removed = await world.tasks.RemoveFaces({ batch: first.batch });
    const [folder] = removed.results;
    await confirm(first.input, {
      ...removed,
      result_counts: removed.results.map(() => 7),
      results_left: [folder!],
    });
    const [open] = await world.receipts(eventId);
    expect(open).toMatchObject({ finished_at: null, results: 7 * removed.results.length });
    expect(await world.traces(eventId)).toMatchObject({ outbox: 1 });
    if (kind === 'event') {
      // Erased is an event of which nothing is left.
      const [event] = await database.admin`SELECT erased_at FROM events WHERE id = ${eventId}`;
      expect(event).toEqual({ erased_at: null });
    }

    const second = await batchOf(first.input);
    expect(second.batch.results).toEqual([folder]);
    const rest = await world.tasks.RemoveFaces({ batch: second.batch });
    await confirm(second.input, { ...rest, result_counts: [1], results_left: [] });
    expect((await world.receipts(eventId))[0]).toMatchObject({
      finished_at: expect.any(Date),
      results: 7 * removed.results.length + 1,
    });
  });

  test('a response that is asked for while its removal is under way is removed once more', async () => {
    const { eventId, progress } = await begin(kind);
    const first = await batchOf(progress);
    const removed = await world.tasks.RemoveFaces({ batch: first.batch });
    // It was stored anew under the same name, after the old one had been deleted.
    await database.pipeline.begin((sql) =>
      removeResults(sql, first.batch.erasure_ids[0]!, [removed.results[0]!]),
    );
    await confirm(first.input, removed);
    expect((await world.receipts(eventId))[0]).toMatchObject({ finished_at: null });

    const second = await batchOf(first.input);
    expect(second.batch.results).toEqual([removed.results[0]]);
    await confirm(second.input, await world.tasks.RemoveFaces({ batch: second.batch }));
    expect((await world.receipts(eventId))[0]).toMatchObject({ finished_at: expect.any(Date) });
  });

  test('a batch is confirmed once, and not after another was handed out', async () => {
    const { eventId, progress } = await begin(kind);
    const late = await batchOf(progress);
    const removed = await world.tasks.RemoveFaces({ batch: late.batch });
    await database.admin`UPDATE erasure_turn SET until = now() - interval '1 second'`;
    const current = await batchOf({ ...progress, request: 'outbox' }, B);
    const before = [await world.traces(eventId), await world.receipts(eventId)];
    await confirm(late.input, removed);
    await world.tasks.ConfirmErasure({
      input: { ...late.input, batch: late.batch, failure: { Error: 'RekognitionUnavailable', Cause: '' } },
    });
    expect([await world.traces(eventId), await world.receipts(eventId)]).toEqual(before);

    const again = await world.tasks.RemoveFaces({ batch: current.batch });
    await confirm(current.input, again);
    const [receipt] = await world.receipts(eventId);
    expect(receipt).toMatchObject({ finished_at: expect.any(Date) });
    await confirm(current.input, again);
    expect((await world.receipts(eventId))[0]).toEqual(receipt);
  });

  test('whose faces are gone is written where a late response looks for it', async () => {
    const { eventId, photo, photos, progress } = await begin(kind);
    const { input, batch } = await batchOf(progress);
    const removed_at = '2026-05-01T12:00:00.123Z';
    await confirm(input, { ...(await world.tasks.RemoveFaces({ batch })), removed_at });
    const [event] = await database.admin`SELECT faces_erased_at FROM events WHERE id = ${eventId}`;
    const rows = await Promise.all(photos.map(({ photo_id }) => world.photoRow(photo_id)));
    if (kind === 'event') {
      expect(event!.faces_erased_at).toEqual(new Date(removed_at));
      expect(rows.map(({ status }) => status)).toEqual(['erased', 'erased']);
    } else {
      expect(rows.map(({ id, faces_erased_at }) => [id === photo.photo_id, faces_erased_at])).toEqual([
        [true, new Date(removed_at)],
        [false, null],
      ]);
      const [{ removed_at: written } = {}] = await world.receipts(eventId);
      expect(written).toEqual(new Date(removed_at));
    }
  });
});

/** By the database's clock, whole milliseconds. */
async function databaseNow(): Promise<number> {
  const [row] = await database.admin<
    { now: Date }[]
  >`SELECT date_trunc('milliseconds', clock_timestamp()) AS now`;
  return row!.now.getTime();
}

test('one execution at a time has the turn, and the next one only when it is over', async () => {
  const first = await begin('faces');
  const before = await databaseNow();
  const { batch } = await batchOf(first.progress, A);
  const until = Date.parse(batch.until);
  expect(until).toBeGreaterThanOrEqual(before + 15 * 60_000);
  expect(until).toBeLessThanOrEqual((await databaseNow()) + 15 * 60_000);
  const other = await begin('faces');
  const asked = await request({ request: 'event', event_id: other.eventId }, B);
  const waiting = await list(asked, B);
  expect(waiting).toMatchObject({ next: 'wait', wait_seconds: 1, waits: 1 });
  expect(await list({ ...asked, waits: 5 }, B)).toMatchObject({ wait_seconds: 32 });
  expect(await list({ ...asked, waits: 40 }, B)).toMatchObject({ wait_seconds: 1_800 });
  // Whoever asked for nothing of its own need not wait for it.
  expect(await list({ ...asked, erasure_id: null }, 'arn:execution:c')).toMatchObject({ next: 'done' });
  const more = await batchOf(first.progress, A);
  expect(more.batch.number).toBeGreaterThan(batch.number);
  await database.admin`UPDATE erasure_turn SET until = now() - interval '1 second'`;
  expect(await list(asked, B)).toMatchObject({ next: 'remove' });
  expect(await list(first.progress, A)).toMatchObject({ next: 'wait' });
});

test('what failed past its retries is put off for an hour, says why, and is tried again then', async () => {
  const { eventId, progress } = await begin('faces');
  const { input, batch } = await batchOf(progress);
  const before = world.recording.recorded.length;
  const beforeMs = await databaseNow();
  await world.tasks.ConfirmErasure({
    input: { ...input, batch, failure: { Error: 'RekognitionUnavailable', Cause: 'x'.repeat(1_000) } },
  });
  const [receipt] = await world.receipts(eventId);
  expect(receipt).toMatchObject({ finished_at: null, postponed: 1 });
  expect(receipt!.last_error).toMatch(/^RekognitionUnavailable: x+$/);
  expect(receipt!.last_error).toHaveLength(500);
  const notBefore = receipt!.not_before.getTime();
  expect(notBefore).toBeGreaterThanOrEqual(beforeMs + 3_600_000);
  expect(notBefore).toBeLessThanOrEqual((await databaseNow()) + 3_600_000);
  expect(world.recording.recorded.slice(before)).toEqual([
    { name: 'ErasuresPostponed', value: 1, dimensions: {} },
  ]);
  expect(await list(input)).toMatchObject({ next: 'done' });
  await database.admin`UPDATE erasures SET not_before = now() WHERE event_id = ${eventId}`;
  expect(await list(input)).toMatchObject({ next: 'remove', batch: { erasure_ids: [receipt!.id] } });
});

test('a deletion that only the end of an execution told of has the collection searched', async () => {
  const { photo } = await begin('faces');
  // What was asked for is done by now; then an execution ends that had indexed the photo once more.
  await database.admin`DELETE FROM face_removals`;
  await database.admin`DELETE FROM result_removals`;
  await database.admin`UPDATE erasures SET finished_at = now() WHERE finished_at IS NULL`;
  const ended = { ...photo.object, sequencer: '15' };
  await world.fail(ended, 'RekognitionUnavailable');
  const open = await database.admin`
    SELECT photo_id, search, reason FROM erasures WHERE photo_id = ${photo.photo_id} AND finished_at IS NULL`;
  expect([...open]).toEqual([{ photo_id: photo.photo_id, search: true, reason: 'late_result' }]);
});
