import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import postgres from 'postgres';
import { migrateDatabase } from '../../lambdas/migrate-database/migrate-database.ts';
import { databaseError } from '../../lambdas/shared/database/errors.ts';
import { type Pooler, startPooler } from '../support/pooler.ts';
import { MIGRATIONS, useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();
let pooler: Pooler;
const opened: postgres.Sql[] = [];

beforeAll(async () => {
  const { host, port } = database.admin.options;
  pooler = await startPooler({ host: host[0]!, port: port[0]! });
});
afterAll(async () => {
  await Promise.all(opened.map((sql) => sql.end({ timeout: 1 })));
  await pooler?.stop();
});

/** A function's connection, through the pooler. */
function through(name: string, more: object = {}): postgres.Sql {
  const sql = postgres({
    host: '127.0.0.1',
    port: pooler.port,
    user: 'postgres',
    database: name,
    max: 1,
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
    ...more,
  });
  opened.push(sql);
  return sql;
}

const heldLocks = async () => {
  const [row] = await database.admin`SELECT count(*)::int AS held FROM pg_locks WHERE locktype = 'advisory'`;
  return row!.held as number;
};

test('the pooler is one: the next statement has another session, and settings at the start are refused', async () => {
  const sql = through('rollcall');
  const pids: number[] = [];
  for (let turn = 0; turn < 8; turn++) {
    const [row] = await sql`SELECT pg_backend_pid() AS pid`;
    pids.push(row!.pid as number);
  }
  expect(pids.every((pid, turn) => pid !== pids[turn - 1])).toBe(true);
  const within = await sql.begin(async (transaction) => [
    (await transaction`SELECT pg_backend_pid() AS pid`)[0]!.pid,
    (await transaction`SELECT pg_backend_pid() AS pid`)[0]!.pid,
  ]);
  expect(within[0]).toBe(within[1]);
  const refused = through('rollcall', { connection: { statement_timeout: 1_000 } });
  const error = await refused`SELECT 1`.catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: '08P01' });
  // Not passing trouble: it would be retried for an hour.
  expect(databaseError(error)).toMatchObject({ name: 'DatabaseMisconfigured' });
});

test('deployments one after the other migrate, and leave no lock behind', async () => {
  await database.admin`CREATE DATABASE pooled`;
  const all = (await readdir(MIGRATIONS)).filter((file) => /^\d{4}_/.test(file)).sort();
  expect(await migrateDatabase(through('pooled'), MIGRATIONS)).toEqual(all);
  expect(await heldLocks()).toBe(0);
  for (let deployment = 0; deployment < 4; deployment++) {
    expect(await migrateDatabase(through('pooled'), MIGRATIONS)).toEqual([]);
  }
  expect(await heldLocks()).toBe(0);
});

test('deployments at once take turns, and each migration is applied once', async () => {
  await database.admin`CREATE DATABASE crowded`;
  const all = (await readdir(MIGRATIONS)).filter((file) => /^\d{4}_/.test(file)).sort();
  const applied = await Promise.all([1, 2, 3].map(() => migrateDatabase(through('crowded'), MIGRATIONS)));
  expect(applied.flat().sort()).toEqual(all);
  expect(await heldLocks()).toBe(0);
});

test('a migration is all or nothing, its record included', async () => {
  await database.admin`CREATE DATABASE halfway`;
  const sql = through('halfway');
  await sql`CREATE SCHEMA rollcall`;
  await sql`CREATE TABLE rollcall.paid_images (id int)`;
  const error = await migrateDatabase(sql, MIGRATIONS).catch((caught: unknown) => caught);
  expect(databaseError(error)).toMatchObject({
    name: 'DatabaseMisconfigured',
    message: expect.stringMatching(/^PostgreSQL 42P07: .*0002_usage\.sql.*"paid_images" already exists/),
  });
  expect(await sql`SELECT name FROM rollcall.schema_migrations`).toEqual([
    expect.objectContaining({ name: '0001_initial.sql' }),
  ]);
  expect(await heldLocks()).toBe(0);
  await sql`DROP TABLE rollcall.paid_images`;
  expect((await migrateDatabase(sql, MIGRATIONS))[0]).toBe('0002_usage.sql');
});

test('no statement of a function outlives its transaction in the session', async () => {
  const folders = ['../../lambdas', '../../migrations'].map((folder) =>
    path.join(import.meta.dirname, folder),
  );
  const files = (
    await Promise.all(
      folders.map(async (folder) =>
        (await readdir(folder, { recursive: true })).map((file) => path.join(folder, file)),
      ),
    )
  ).flat();
  for (const file of files.filter((name) => /\.(ts|sql)$/.test(name))) {
    const source = await readFile(file, 'utf8');
    const bound =
      /pg_(try_)?advisory_lock|\b(sql|session|connection)\.reserve\(|\bLISTEN\s+\w|CREATE\s+TEMP|\bPREPARE\s+\w|\bDECLARE\s+\w+\s+CURSOR\s+WITH\s+HOLD|[`;]\s*SET\s+(?!LOCAL\b)\w|set_config\([^)]*,\s*false\)/;
    expect([file, bound.exec(source)?.[0]]).toEqual([file, undefined]);
  }
});
