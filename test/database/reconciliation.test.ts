import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { readRows } from '../../lambdas/read-rows/read-rows.ts';
import { logEvents } from '../../lambdas/shared/contract/names.ts';
import {
  batchKey,
  candidatesKey,
  type EventRows,
  type Plan,
  planKey,
  type Reconciliation,
} from '../../lambdas/shared/reconciliation/contract.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { memoryObjects, runState } from '../support/reconciliation-state.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();
const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline);
const DAY = 24 * 3_600_000;

/** An event with a photo of these faces, paid so many days ago. */
async function anEvent(faces: string[], { paidDaysAgo = 30, status = 'indexed' } = {}) {
  const { admin } = database;
  const [id, photo] = [randomUUID(), randomUUID()];
  await admin`INSERT INTO events (id, rekognition_collection_id) VALUES (${id}, ${`rollcall-${id}`})`;
  await admin`
    INSERT INTO photos (id, event_id, object_key, object_version, status, face_count, indexed_at)
    VALUES (${photo}, ${id}, ${`events/${id}/${photo}.jpg`}, 'v1', ${status}, ${faces.length}, now())`;
  for (const face of faces) {
    await admin`INSERT INTO faces (photo_id, rekognition_face_id) VALUES (${photo}, ${face})`;
  }
  await admin`
    INSERT INTO paid_images (photo_id, called_at, event_id, faces, estimated_usd)
    VALUES (${photo}, ${new Date(Date.now() - paidDaysAgo * DAY)}, ${id}, ${faces.length}, 0.001)`;
  return { id, photo };
}

const now = () => new Date().toISOString();
const objectsWith = (candidates: object) => {
  const memory = memoryObjects();
  memory.content.set(candidatesKey('run-1'), { folders: {}, unfinished: [], ...candidates });
  return memory;
};
const read = (
  step: 'events' | 'faces' | 'rows',
  input: Reconciliation,
  { objects } = memoryObjects(),
  { telemetry } = recordingTelemetry(),
) => readRows({ withDatabase, objects, telemetry }, { step, input });

test('lists what was billed in the last days and what the database does not know, and daily every event', async () => {
  const [fresh, old] = [await anEvent(['a'], { paidDaysAgo: 1 }), await anEvent(['b'])];
  const unseen = randomUUID();
  const candidates = {
    folders: Object.fromEntries([fresh.id, old.id, unseen].map((id) => [id, [`events/${id}/`]])),
    collections: [old.id],
  };
  const listed = async (scope: 'changed' | 'all') => {
    const memory = objectsWith(candidates);
    const state = await read('events', runState({ scope, as_of: now(), settled: now() }), memory);
    const { batches, abandoned } = memory.content.get(planKey('run-1')) as Plan;
    expect(state).toMatchObject({ next: 'read', batches: batches.length, outbox: false });
    return { ids: batches.flat().map(({ id }) => id), abandoned };
  };
  const changed = await listed('changed');
  expect(changed.ids).toEqual(expect.arrayContaining([fresh.id, unseen]));
  expect(changed.ids).not.toContain(old.id);
  expect(changed.abandoned).toEqual([]);
  expect((await listed('all')).ids).toEqual(expect.arrayContaining([fresh.id, old.id, unseen]));
});

test('by the day every event that the database has, and in between what was billed in the last three days', async () => {
  const { admin } = database;
  // More than are counted at once.
  const many = await admin<{ id: string }[]>`
    INSERT INTO events (id, rekognition_collection_id)
    SELECT gen_random_uuid(), 'c' FROM generate_series(1, 1001) RETURNING id`;
  const [within, before] = [
    await anEvent(['c'], { paidDaysAgo: 2.999 }),
    await anEvent(['d'], { paidDaysAgo: 3.001 }),
  ];
  // The last of them end a page.
  await admin`
    INSERT INTO events (id, rekognition_collection_id)
    SELECT gen_random_uuid(), 'c' FROM generate_series(1, (SELECT 500 - count(*) % 500 FROM events))`;
  const listed = async (scope: 'changed' | 'all') => {
    const memory = objectsWith({ folders: { [within.id]: [`events/${within.id}/`] } });
    await read('events', runState({ scope, as_of: now(), settled: now() }), memory);
    const { batches } = memory.content.get(planKey('run-1')) as Plan;
    return batches.flat().map(({ id }) => id);
  };
  const all = await listed('all');
  const known = new Set(all);
  expect(all.length).toBe(known.size);
  expect([...many.map(({ id }) => id), within.id, before.id].filter((id) => !known.has(id))).toEqual([]);
  const changed = await listed('changed');
  expect([within.id, before.id, many[0]!.id].map((id) => changed.includes(id))).toEqual([true, false, false]);
  await admin`DELETE FROM events WHERE rekognition_collection_id = 'c'`;
});

test('tells of events that are too large to be compared, and of nothing where there are none', async () => {
  const { admin } = database;
  const { id, photo } = await anEvent([]);
  const recording = recordingTelemetry();
  const look = () => read('events', runState({ as_of: now(), settled: now() }), objectsWith({}), recording);
  await look();
  expect(recording.lines).toEqual([]);
  await admin`UPDATE photos SET face_count = 300001 WHERE id = ${photo}`;
  await look();
  expect(recording.lines).toEqual([
    {
      level: 'warn',
      message: expect.any(String),
      event: logEvents.reconciliationCut,
      too_large: 1,
      put_off: 0,
    },
  ]);
  await admin`UPDATE photos SET status = 'deleted', face_count = 0 WHERE id = ${photo}`;
  await admin`UPDATE events SET rekognition_collection_id = NULL WHERE id = ${id}`;
});

test('finds erasures that nobody works off: due for long, and not while somebody does', async () => {
  const { id } = await anEvent([]);
  const { admin } = database;
  const open = async (ago: string, notBefore: string) =>
    (
      await admin<{ id: string }[]>`
        INSERT INTO erasures (event_id, reason, requested_at, not_before)
        VALUES (${id}, 'late_result', now() - ${ago}::interval, now() + ${notBefore}::interval) RETURNING id`
    )[0]!.id;
  const stuck = await open('3 hours', '-2 hours');
  await open('3 hours', '1 hour');
  await open('1 minute', '-1 minute');
  const settled = new Date(Date.now() - 3_600_000).toISOString();
  const found = async () => {
    const memory = objectsWith({});
    const { outbox } = await read('events', runState({ as_of: now(), settled }), memory);
    return { outbox, erasures: (memory.content.get(planKey('run-1')) as Plan).erasures };
  };
  await expect(found()).resolves.toEqual({ outbox: true, erasures: [stuck] });
  await admin`
    INSERT INTO erasures (event_id, reason, requested_at, not_before)
    SELECT ${id}, 'late_result', at, at
    FROM (SELECT now() - interval '2 hours' AS at FROM generate_series(1, 1000)) AS due`;
  expect((await found()).erasures).toHaveLength(1_000);
  await admin`UPDATE erasure_turn SET execution_arn = 'e', until = now() + interval '15 minutes'`;
  await expect(found()).resolves.toEqual({ outbox: false, erasures: [] });
  await admin`UPDATE erasure_turn SET execution_arn = NULL, until = '-infinity'`;
  await admin`DELETE FROM erasures`;
});

test('reads all of an event, however many pages that takes, and changes nothing', async () => {
  const { admin } = database;
  const { id, photo } = await anEvent([]);
  await admin`
    INSERT INTO faces (photo_id, rekognition_face_id) SELECT ${photo}, 'f' || n FROM generate_series(1, 10001) AS n`;
  const [erasure] = await admin<{ id: string }[]>`
    INSERT INTO erasures (event_id, reason) VALUES (${id}, 'late_result') RETURNING id`;
  await admin`
    INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
    SELECT ${erasure!.id}, 'c', 'leaving ' || n, ${photo} FROM generate_series(1, 5001) AS n`;
  await admin`
    INSERT INTO photos (id, event_id, object_key)
    SELECT gen_random_uuid(), ${id}, 'key ' || n FROM generate_series(1, 5000) AS n`;
  await admin`UPDATE events SET erasure_requested_at = '2026-05-01T10:00:00Z' WHERE id = ${id}`;
  const memory = objectsWith({});
  memory.content.set(planKey('run-1'), { batches: [[{ id, folders: [] }]] });
  const input = runState({ next: 'read', batches: 1 });
  const before = await admin`SELECT xmin::text, * FROM photos ORDER BY id`;
  await expect(read('faces', input, memory)).resolves.toEqual(input);
  await expect(read('rows', input, memory)).resolves.toEqual(input);
  const faces = memory.content.get(batchKey('run-1', 0, 'before')) as Record<string, string[]>;
  expect(new Set(faces[id])).toHaveProperty('size', 10_001);
  const rows = (memory.content.get(batchKey('run-1', 0, 'rows')) as Record<string, EventRows>)[id]!;
  expect(rows.erased_before).toBe('2026-05-01T10:00:00.000Z');
  expect(rows.photos).toContainEqual(
    expect.objectContaining({ id: photo, status: 'indexed', object_version: 'v1' }),
  );
  expect(new Set(rows.photos.map((row) => row.id)).size).toBe(5_001);
  expect(new Set(rows.leaving)).toEqual(new Set(Array.from({ length: 5_001 }, (_, n) => `leaving ${n + 1}`)));
  expect(new Set(rows.faces.map(({ rekognition_face_id }) => rekognition_face_id)).size).toBe(10_001);
  expect(await admin`SELECT xmin::text, * FROM photos ORDER BY id`).toEqual(before);
});

test('an event that the database does not know has no rows', async () => {
  const memory = objectsWith({});
  const id = randomUUID();
  memory.content.set(planKey('run-1'), { batches: [[{ id, folders: [] }]] });
  await read('rows', runState({ batches: 1 }), memory);
  expect(memory.content.get(batchKey('run-1', 0, 'rows'))).toEqual({
    [id]: { erased_before: null, photos: [], faces: [], leaving: [] },
  });
});
