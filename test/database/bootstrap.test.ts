import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type postgres from 'postgres';
import { migrateDatabase } from '../../lambdas/migrate-database/migrate-database.ts';
import {
  connectToDatabase,
  dropRoles,
  MIGRATIONS,
  startTestDatabase,
  type TestDatabase,
} from '../support/postgres.ts';

let server: TestDatabase;
let bootstrap: string;
const opened: postgres.Sql[] = [];

/** A connection to a database that the cluster's master owns, as on Aurora. */
function connect(user: string): postgres.Sql {
  const sql = connectToDatabase(server, user, 'faces of today');
  opened.push(sql);
  return sql;
}

beforeAll(async () => {
  bootstrap = await readFile(path.join(MIGRATIONS, 'bootstrap.sql'), 'utf8');
  server = await startTestDatabase();
  const { admin } = server;
  // Start over as RDS does: the master creates roles and owns the database, and is not a superuser.
  await dropRoles(server);
  await admin`CREATE ROLE master LOGIN CREATEROLE CREATEDB`;
  await admin`GRANT rds_iam TO master WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`;
  await admin`CREATE DATABASE "faces of today" OWNER master`;
}, 60_000);
afterAll(async () => {
  await Promise.all(opened.map((sql) => sql.end({ timeout: 1 })));
  await server?.stop();
});

test('is one statement that the Data API reads as it is meant', () => {
  const code = bootstrap.replaceAll(/^\s*--.*$/gm, '').trim();
  expect(code).toMatch(/^DO (\$\w+\$)[\s\S]*\1$/);
  // A colon would start a parameter, in a comment as well.
  expect(bootstrap).not.toContain(':');
});

test('a master without superuser rights can run it, and run it again', async () => {
  const master = connect('master');
  await master.unsafe(bootstrap);
  await master.unsafe(bootstrap);
  const members = await master`
    SELECT member::regrole::text AS member FROM pg_auth_members
    WHERE roleid = 'rds_iam'::regrole AND member <> 'master'::regrole ORDER BY 1`;
  expect(members.map(({ member }) => member)).toEqual([
    'rollcall_application',
    'rollcall_gallery',
    'rollcall_migrator',
    'rollcall_pipeline',
  ]);
});

test('nobody becomes a member of the roles, but for what PostgreSQL gives their creator', async () => {
  const memberships = await server.admin`
    SELECT member::regrole::text AS member, inherit_option, set_option FROM pg_auth_members
    WHERE roleid IN ('rollcall_migrator'::regrole, 'rollcall_pipeline'::regrole, 'rollcall_application'::regrole,
      'rollcall_reader'::regrole, 'rollcall_gallery'::regrole) AND member <> 'rollcall_application'::regrole`;
  expect(memberships.map((row) => ({ ...row }))).toEqual([
    { member: 'master', inherit_option: false, set_option: false },
    { member: 'master', inherit_option: false, set_option: false },
    { member: 'master', inherit_option: false, set_option: false },
    { member: 'master', inherit_option: false, set_option: false },
    { member: 'master', inherit_option: false, set_option: false },
  ]);
});

test('the migrator can build the schema, and the pipeline use it and not change it', async () => {
  const migrator = connect('rollcall_migrator');
  expect((await migrateDatabase(migrator, MIGRATIONS)).length).toBeGreaterThan(0);
  expect(await migrateDatabase(migrator, MIGRATIONS)).toEqual([]);
  const pipeline = connect('rollcall_pipeline');
  await pipeline`INSERT INTO events (id) VALUES ('0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77')`;
  await expect(pipeline`CREATE TABLE mine (id int)`).rejects.toMatchObject({ code: '42501' });
  await expect(pipeline`DROP TABLE faces`).rejects.toMatchObject({ code: '42501' });
  await expect(pipeline`DELETE FROM photos`).rejects.toMatchObject({ code: '42501' });
  await expect(pipeline`SELECT * FROM schema_migrations`).rejects.toMatchObject({ code: '42501' });
});

test('the master can make users of the Data API that read what an application may, and are no IAM logins', async () => {
  const guide = await readFile(path.join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
  const statement = /--sql "(CREATE ROLE gallery [^"]+)"/.exec(guide)![1]!;
  await connect('master').unsafe(statement);
  const gallery = connect('gallery');
  // The Data API's parameters are named.
  const query = /--sql "(SELECT [^"]+ :event::uuid)"/.exec(guide)![1]!.replace(':event', '$1');
  const event = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
  expect(await gallery.unsafe(query, [event])).toHaveLength(0);
  expect(await gallery`SELECT id FROM rollcall.events`).toEqual([{ id: event }]);
  await expect(gallery`DELETE FROM rollcall.faces`).rejects.toMatchObject({ code: '42501' });
  const [iam] = await gallery`SELECT pg_has_role('gallery', 'rds_iam', 'MEMBER') AS is_login`;
  expect(iam!.is_login).toBe(false);
  await server.admin`DROP OWNED BY gallery`;
});

test('a database that was bootstrapped leads people to the schema', async () => {
  expect(await connect('rollcall_pipeline')`SELECT id FROM events`).toHaveLength(1);
});
