/**
 * What belongs together is written together: whichever table refuses to be written, nothing of the rest is there afterwards,
 * and the same again does all of it. Which tables a core writes is not listed here but found out by letting it.
 */
import { randomUUID } from 'node:crypto';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import type { Question } from '../../lambdas/answer-operator/questions.ts';
import { erasureWorld } from '../support/erasure-world.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();

type World = ReturnType<typeof erasureWorld>;
/** Prepares a situation, and returns what is done in it. */
type Situation = (world: World) => Promise<() => Promise<unknown>>;

const aPhoto = () => ({ event_id: randomUUID(), photo_id: randomUUID() });
const first = { version: 'v1', sequencer: '10', called_at: '2026-05-01T10:00:00.000Z' };
const second = { version: 'v2', sequencer: '20', called_at: '2026-05-01T10:00:05.000Z' };
const REPLACED_IN_PART = 2;

/** The photo as it was stored, and its deletion. */
async function stored(world: World) {
  const { eventId, photos } = await world.event(3);
  const [photo] = photos;
  const deletion = {
    request: 'photo_deleted',
    object: { key: photo!.object.key, sequencer: '30' },
  };
  return { eventId, photo: photo!, deletion };
}

const ask = (world: World, question: Question) =>
  answerOperator(
    { telemetry: recordingTelemetry().telemetry, withDatabase: (work) => work(world.pipeline) },
    question,
  );

const situations: Record<string, Situation> = {
  'a photo is stored': async (world) => {
    const { persist } = await world.index(aPhoto(), first, 3);
    return persist;
  },
  'a newer upload takes its place': async (world) => {
    const { photo } = await stored(world);
    const kept = photo.faceIds.slice(0, REPLACED_IN_PART);
    const { persist } = await world.index(photo, second, [...kept, randomUUID()]);
    return persist;
  },
  'a photo fails': async (world) => {
    const { object } = await world.index(aPhoto(), first, 0);
    return () => world.fail(object, 'InvalidImageFormat');
  },
  'a newer upload fails': async (world) => {
    const { photo } = await stored(world);
    const { object } = await world.index(photo, second, 0);
    return () => world.fail(object, 'InvalidImageFormat');
  },
  'the older of two uploads is stored late': async (world) => {
    const photo = aPhoto();
    const older = await world.index(photo, first, 2);
    const newer = await world.index(photo, second, 2);
    await newer.persist();
    return older.persist;
  },
  'the deletion of a photo is asked for': async (world) => {
    const { deletion } = await stored(world);
    return () => world.tasks.RequestErasure({ input: deletion, execution_arn: randomUUID() });
  },
  'the erasure of an event is asked for': async (world) => {
    const { eventId } = await stored(world);
    const input = { request: 'event', event_id: eventId };
    return () => world.tasks.RequestErasure({ input, execution_arn: randomUUID() });
  },
  'the erasure of a person is asked for': async (world) => {
    const { eventId, photo } = await stored(world);
    const input = { request: 'person', event_id: eventId, faces: [[photo.faceIds[0]!, photo.photo_id]] };
    return () => world.tasks.RequestErasure({ input, execution_arn: randomUUID() });
  },
  'an erasure is confirmed': async (world) => {
    const { deletion } = await stored(world);
    const execution_arn = randomUUID();
    const requested = await world.tasks.RequestErasure({ input: deletion, execution_arn });
    const listed = await world.tasks.ListErasures({ input: requested, execution_arn, max_batches: 10 });
    if (listed.next !== 'remove') {
      throw new Error(`Nothing to remove: ${listed.next}`);
    }
    const batch = await world.tasks.RemoveFaces({ batch: listed.batch });
    return () => world.tasks.ConfirmErasure({ input: { ...listed, batch } });
  },
  'faces are found to be lost': async (world) => {
    const { eventId, photo } = await stored(world);
    const photos = [{ event_id: eventId, photo_id: photo.photo_id, face_id: photo.faceIds[0]! }];
    return () => ask(world, { ask: 'lose_faces', photos });
  },
  'stray faces are asked to leave': async (world) => {
    const { eventId, photo } = await stored(world);
    const faces = [{ photo_id: photo.photo_id, face_id: randomUUID() }];
    return () =>
      ask(world, { ask: 'remove_faces', event_id: eventId, collection_id: `rollcall-${eventId}`, faces });
  },
};

async function everything(): Promise<Record<string, string>> {
  const tables = await database.admin<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'rollcall' AND table_type = 'BASE TABLE' ORDER BY 1`;
  const contents = await Promise.all(
    tables.map(async ({ name }) => {
      const [row] = await database.admin<{ content: string }[]>`
        SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text), '[]')::text AS content
        FROM ${database.admin(name)} t`;
      return [name, row!.content] as const;
    }),
  );
  return Object.fromEntries(contents);
}

async function empty(): Promise<void> {
  await database.admin`TRUNCATE events, photos, faces, paid_images, erasures, erased_faces CASCADE`;
  await database.admin`UPDATE erasure_turn SET until = '-infinity'`;
}

async function refuse(table: string): Promise<() => Promise<unknown>> {
  await database.admin.unsafe(`
    CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
    CREATE TRIGGER refused BEFORE INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse()`);
  return () => database.admin.unsafe(`DROP TRIGGER refused ON ${table}`);
}

test.each(Object.entries(situations))('%s: as a whole or not at all', async (_, prepare) => {
  const world = erasureWorld(database);
  await empty();
  const act = await prepare(world);
  const before = await everything();
  await act();
  const after = await everything();
  const written = Object.keys(after).filter((table) => after[table] !== before[table]);
  expect(written.length).toBeGreaterThan(0);

  for (const table of written) {
    await empty();
    const again = await prepare(world);
    const untouched = await everything();
    const allow = await refuse(table);
    try {
      await expect(again()).rejects.toThrow();
      expect([table, await everything()]).toEqual([table, untouched]);
    } finally {
      await allow();
    }
    await again();
    const whole = await everything();
    expect(Object.keys(whole).filter((name) => whole[name] !== untouched[name])).toEqual(written);
  }
});
