/** `migrations/logins.sql`: the logins of Rollcall's functions in a platform's own database. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type postgres from 'postgres';
import { migrateDatabase } from '../../lambdas/migrate-database/migrate-database.ts';
import { withLocalSettings } from '../../lambdas/shared/database/connection.ts';
import {
  connectToDatabase,
  dropRoles,
  MIGRATIONS,
  startTestDatabase,
  type TestDatabase,
} from '../support/postgres.ts';

const FORBIDDEN = { code: '42501' };

let server: TestDatabase;
const opened: postgres.Sql[] = [];

/** As a function behind a proxy has it, for the schema of this deployment. */
function connect(user: string, schema: string): postgres.Sql {
  const sql = connectToDatabase(server, user, 'platform');
  opened.push(sql);
  return withLocalSettings(sql, { schema, statementTimeoutMs: 20_000 });
}

beforeAll(async () => {
  server = await startTestDatabase();
  const { admin } = server;
  await dropRoles(server);
  await admin`CREATE ROLE owner LOGIN CREATEROLE`;
  await admin`GRANT rds_iam TO owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`;
  await admin`CREATE ROLE shop LOGIN`;
  await admin`CREATE DATABASE platform OWNER owner`;
  const owner = connect('owner', 'public');
  await owner`CREATE TABLE orders (id int)`;
  await owner`GRANT SELECT ON orders TO shop`;
  const logins = await readFile(path.join(MIGRATIONS, 'logins.sql'), 'utf8');
  await opened[0]!.unsafe(logins);
  await opened[0]!.unsafe(logins);
}, 60_000);
afterAll(async () => {
  await Promise.all(opened.map((sql) => sql.end({ timeout: 1 })));
  await server?.stop();
});

test('an owner without superuser rights makes three users that come by IAM, and may run it again', async () => {
  const members = await server.admin`
    SELECT member::regrole::text AS member FROM pg_auth_members
    WHERE roleid = 'rds_iam'::regrole AND member <> 'owner'::regrole ORDER BY 1`;
  expect(members.map(({ member }) => member)).toEqual([
    'rollcall_gallery',
    'rollcall_migrator',
    'rollcall_pipeline',
  ]);
});

test.each(['rollcall', 'faces_of_two'])('with them a deployment lives in the schema %s', async (schema) => {
  const migrator = connect('rollcall_migrator', schema);
  expect((await migrateDatabase(migrator, MIGRATIONS, schema)).length).toBeGreaterThan(0);
  expect(await migrateDatabase(migrator, MIGRATIONS, schema)).toEqual([]);
  const pipeline = connect('rollcall_pipeline', schema);
  const event = randomUUID();
  await pipeline`INSERT INTO events (id) VALUES (${event})`;
  await expect(pipeline`DROP TABLE faces`).rejects.toMatchObject(FORBIDDEN);
  const gallery = connect('rollcall_gallery', schema);
  expect(await gallery`SELECT event_id FROM event_progress`).toEqual([{ event_id: event }]);
  await expect(gallery`SELECT * FROM events`).rejects.toMatchObject(FORBIDDEN);
});

test('the platform keeps its rights, its search path and its tables to itself', async () => {
  const shop = connect('shop', 'public');
  expect(await shop`SELECT * FROM orders`).toEqual([]);
  for (const user of ['rollcall_migrator', 'rollcall_pipeline', 'rollcall_gallery']) {
    await expect(connect(user, 'public')`SELECT * FROM orders`).rejects.toMatchObject(FORBIDDEN);
  }
  const settings = await server.admin`SELECT setconfig FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'platform')`;
  expect(settings).toHaveLength(0);
});
