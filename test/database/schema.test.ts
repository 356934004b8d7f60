import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import postgres from 'postgres';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { migrateDatabase, READERS } from '../../lambdas/migrate-database/migrate-database.ts';
import { MIGRATIONS, useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const server = useTestDatabase();
const opened: postgres.Sql[] = [];
let databases = 0;
afterAll(() => Promise.all(opened.map((sql) => sql.end({ timeout: 1 }))));

const files = (await readdir(MIGRATIONS)).filter((file) => /^\d{4}_/.test(file)).sort();
const textOf = (file: string) => readFile(path.join(MIGRATIONS, file), 'utf8');

/** A database of its own, owned by the migrator, and connections to it that look where PostgreSQL looks by default. */
async function freshDatabase() {
  const name = `schemas_${++databases}`;
  await server.admin`CREATE DATABASE ${server.admin(name)} OWNER rollcall_migrator`;
  const { host, port } = server.admin.options;
  const connectAs = (user: string) => {
    const sql = postgres({
      host: host[0]!,
      port: port[0]!,
      user,
      database: name,
      max: 1,
      prepare: false,
      fetch_types: false,
      onnotice: () => {},
    });
    opened.push(sql);
    return sql;
  };
  const admin = connectAs('postgres');
  await admin`GRANT USAGE, CREATE ON SCHEMA public TO rollcall_migrator`;
  const migrator = connectAs('rollcall_migrator');
  return {
    admin,
    migrator,
    connectAs,
    migrate: (schema?: string) => migrateDatabase(migrator, MIGRATIONS, schema),
    /** What a version before had: everything in `public`, of the first so many migrations. */
    async installInPublic(migrations = files) {
      await migrator`CREATE TABLE schema_migrations (
        name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`;
      for (const file of migrations) {
        await migrator
          .unsafe(`${await textOf(file)}\n; INSERT INTO schema_migrations (name) VALUES ('${file}')`)
          .simple();
      }
    },
    /** Every table, view, type, function and index of a schema, by its kind and name. */
    async contents(schema: string): Promise<string[]> {
      const rows = await admin<{ what: string }[]>`
        SELECT relkind::text || ' ' || relname AS what FROM pg_class WHERE relnamespace = ${schema}::regnamespace
        UNION SELECT 'type ' || typname FROM pg_type
          WHERE typnamespace = ${schema}::regnamespace AND typtype IN ('e', 'd')
        UNION SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = ${schema}::regnamespace
        ORDER BY 1`;
      return rows.map(({ what }) => what);
    },
  };
}

const photoKey = (event: string, photo: string) => `events/${event}/${photo}.jpg`;

/** The function that was deployed before, with its own way to look names up. */
const failAsBefore = (sql: postgres.Sql, event: string, photo: string) =>
  markFailed(
    { telemetry: recordingTelemetry().telemetry, withDatabase: (work) => work(sql), now: Date.now },
    {
      input: {
        lane: 'live',
        bucket: 'photos',
        object: { key: photoKey(event, photo), etag: 'e1', sequencer: '01', size: 1 },
        failure: { Error: 'InvalidImageFormat', Cause: 'because' },
      },
      execution_arn: 'arn:execution',
      started_at: '2026-05-01T10:00:00.000Z',
    },
  );

test('a first deployment puts everything into its schema, and nothing into public', async () => {
  const { migrate, contents } = await freshDatabase();
  expect(await migrate()).toEqual(files);
  expect(await migrate()).toEqual([]);
  expect(await contents('public')).toEqual([]);
  expect(await contents('rollcall')).toEqual(
    expect.arrayContaining([
      'r events',
      'r schema_migrations',
      'v usage',
      'type photo_status',
      'function keep_receipt',
    ]),
  );
});

test('tables of others with our names stay what they are', async () => {
  const { admin, migrate, migrator, contents, connectAs } = await freshDatabase();
  // Another tool's record of migrations, and an application's own tables.
  await migrator`CREATE TABLE schema_migrations (version text PRIMARY KEY)`;
  await migrator`INSERT INTO schema_migrations VALUES ('20260501100000')`;
  await migrator`CREATE TABLE events (id serial PRIMARY KEY, title text)`;
  await migrator`CREATE TYPE photo_status AS ENUM ('draft')`;
  await migrator`CREATE TABLE photos (id int, status photo_status)`;
  const before = await contents('public');
  expect(await migrate()).toEqual(files);
  expect(await contents('public')).toEqual(before);
  expect(await admin`SELECT version FROM public.schema_migrations`).toHaveLength(1);
  const pipeline = connectAs('rollcall_pipeline');
  await pipeline`SET search_path = rollcall`;
  const [event, photo] = [randomUUID(), randomUUID()];
  await failAsBefore(pipeline, event, photo);
  expect(await admin`SELECT status::text FROM rollcall.photos`).toEqual([{ status: 'failed' }]);
});

describe('a deployment that had everything in public', () => {
  test('keeps its data, its rights and its receipts, and is moved once', async () => {
    const { admin, installInPublic, migrate, contents, connectAs } = await freshDatabase();
    await installInPublic();
    await admin`CREATE ROLE application LOGIN`;
    await admin`GRANT SELECT, INSERT ON public.photos TO application`;
    await admin`GRANT SELECT ON public.events, public.usage TO application`;
    const [event, photo] = [randomUUID(), randomUUID()];
    await failAsBefore(connectAs('rollcall_pipeline'), event, photo);
    const before = await contents('public');
    const rows = () => admin`SELECT * FROM rollcall.photos`;

    expect(await migrate()).toEqual([]);
    expect(await migrate()).toEqual([]);
    // All of it, indexes and types too: what no migration's text names would be left.
    expect(await contents('rollcall')).toEqual(before);
    expect(await contents('public')).toEqual(
      before
        .filter((what) => /^[rv] /.test(what))
        .map((what) => what.replace(/^r /, 'v '))
        .sort(),
    );
    expect(await rows()).toMatchObject([{ id: photo, status: 'failed' }]);

    // The application, with the rights that it had and no other.
    const application = connectAs('application');
    expect(await application`SELECT id FROM photos`).toEqual([{ id: photo }]);
    await application`INSERT INTO photos (id, event_id, object_key) VALUES (${randomUUID()}, ${event}, 'k')`;
    expect(await rows()).toHaveLength(2);
    await application`SELECT * FROM usage`;
    for (const statement of [
      'DELETE FROM photos',
      'SELECT * FROM faces',
      'INSERT INTO events (id) VALUES (gen_random_uuid())',
    ]) {
      await expect(application.unsafe(statement)).rejects.toMatchObject({ code: '42501' });
    }

    // The code of before, until the new one is there, or after it was rolled back.
    const other = randomUUID();
    await failAsBefore(connectAs('rollcall_pipeline'), event, other);
    expect(await admin`SELECT id FROM rollcall.photos WHERE id = ${other}`).toHaveLength(1);
    await expect(connectAs('rollcall_pipeline')`DELETE FROM photos`).rejects.toMatchObject({ code: '42501' });
    const old = connectAs('rollcall_migrator');
    await old`CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY)`;
    expect((await old`SELECT name FROM schema_migrations ORDER BY name`).map(({ name }) => name)).toEqual(
      files,
    );
    await admin`DROP OWNED BY application`;
    await admin`DROP ROLE application`;
  });

  test.each(files.slice(0, -1).map((_, index) => index + 1))(
    'is the same as a fresh one, when only %i of the migrations had been applied',
    async (count) => {
      const { installInPublic, migrate, contents } = await freshDatabase();
      await installInPublic(files.slice(0, count));
      expect(await migrate()).toEqual(files.slice(count));
      const fresh = await freshDatabase();
      await fresh.migrate();
      expect(await contents('rollcall')).toEqual(await fresh.contents('rollcall'));
      expect((await contents('public')).filter((what) => !what.startsWith('v '))).toEqual([]);
    },
  );

  test('is left alone where another schema is asked for, or public itself', async () => {
    const { installInPublic, migrate, contents } = await freshDatabase();
    await installInPublic();
    const before = await contents('public');
    await expect(migrate('second')).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
      message: expect.stringMatching(/^[^\n]*databaseSchema=rollcall[^\n]*databaseSchema=public[^\n]*$/),
    });
    expect(await migrate('public')).toEqual([]);
    expect(await contents('public')).toEqual(before);
    // Once it is moved, a second deployment may have a schema beside it.
    expect(await migrate()).toEqual([]);
    expect(await migrate('second')).toEqual(files);
  });

  test('is moved once by two deployments at once', async () => {
    const { installInPublic, connectAs, contents } = await freshDatabase();
    await installInPublic(files.slice(0, 2));
    const both = await Promise.all(
      [1, 2].map(() => migrateDatabase(connectAs('rollcall_migrator'), MIGRATIONS)),
    );
    expect(both.flat().sort()).toEqual(files.slice(2));
    expect((await contents('public')).every((what) => what.startsWith('v '))).toBe(true);
  });

  test('is moved as a whole or not at all', async () => {
    const { admin, installInPublic, migrate, contents } = await freshDatabase();
    await installInPublic();
    // Somebody else's, which may not be moved.
    await admin`ALTER TABLE public.erased_faces OWNER TO postgres`;
    const before = await contents('public');
    await expect(migrate()).rejects.toMatchObject({ code: '42501' });
    expect(await contents('public')).toEqual(before);
    await admin`ALTER TABLE public.erased_faces OWNER TO rollcall_migrator`;
    expect(await migrate()).toEqual([]);
  });
});

test('the application’s role reads what is meant for it, and writes nothing but the rows that it promises', async () => {
  const { migrate, connectAs } = await freshDatabase();
  await migrate();
  const reader = connectAs('rollcall_application');
  const relations = await reader<{ name: string }[]>`
    SELECT relname AS name FROM pg_class
    WHERE relnamespace = 'rollcall'::regnamespace AND relkind IN ('r', 'v', 'm', 'p') ORDER BY 1`;
  const readable = new Set<string>(READERS.rollcall_reader);
  expect(relations.map(({ name }) => name)).toEqual(expect.arrayContaining([...readable, 'erased_faces']));
  for (const { name } of relations) {
    const refused = await reader`SELECT FROM ${reader(`rollcall.${name}`)}`.then(
      () => undefined,
      ({ code }) => code,
    );
    expect([name, refused]).toEqual([name, readable.has(name) ? undefined : '42501']);
    for (const statement of [`DELETE FROM rollcall.${name}`, `INSERT INTO rollcall.${name} DEFAULT VALUES`]) {
      const { code } = await reader.unsafe(statement).catch((error) => error);
      // A view that adds up, or joins, takes no rows from anybody.
      const promises = ['events', 'photos'].includes(name) && statement.startsWith('INSERT');
      expect([statement, code]).toEqual([
        statement,
        // Its columns alone make no row, because the id has no default.
        promises ? '23502' : expect.stringMatching(/^(42501|55000)$/),
      ]);
    }
  }
  for (const [statement, expected] of [
    ['INSERT INTO rollcall.events (id, name) VALUES (gen_random_uuid(), $$a$$)', undefined],
    ['UPDATE rollcall.events SET name = $$b$$, expires_at = now()', undefined],
    [
      'INSERT INTO rollcall.photos (id, event_id, object_key) SELECT gen_random_uuid(), id, $$events/a$$ FROM rollcall.events',
      undefined,
    ],
    ['INSERT INTO rollcall.events (id, created_at) VALUES (gen_random_uuid(), now())', '42501'],
    ['UPDATE rollcall.events SET rekognition_collection_id = NULL', '42501'],
    [
      'INSERT INTO rollcall.photos (id, event_id, object_key, status) SELECT id, event_id, object_key, $$indexed$$ FROM rollcall.photos',
      '42501',
    ],
    ['UPDATE rollcall.photos SET object_key = $$b$$', '42501'],
  ] as const) {
    const refused = await reader.unsafe(statement).then(
      () => undefined,
      ({ code }) => code,
    );
    expect([statement, refused]).toEqual([statement, expected]);
  }
  await expect(reader`CREATE TABLE rollcall.mine (id int)`).rejects.toMatchObject({ code: '42501' });
});

test('a user who may create nothing in the database takes a schema that somebody made for it', async () => {
  const { admin, connectAs } = await freshDatabase();
  await admin`CREATE ROLE limited LOGIN`;
  const limited = connectAs('limited');
  await expect(migrateDatabase(limited, MIGRATIONS)).rejects.toMatchObject({ code: '42501' });
  await admin`CREATE SCHEMA rollcall AUTHORIZATION limited`;
  expect(await migrateDatabase(limited, MIGRATIONS)).toEqual(files);
  await admin`DROP OWNED BY limited CASCADE`;
  await admin`DROP ROLE limited`;
});
