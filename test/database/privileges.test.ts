import { useTestDatabase } from '../support/postgres.ts';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: insufficient_privilege */
const FORBIDDEN = '42501';

const database = useTestDatabase();
let tables: string[];

beforeAll(async () => {
  await database.admin`CREATE SCHEMA another`;
  await database.admin`CREATE TABLE another.secrets (secret text)`;
  const rows = await database.admin<{ name: string }[]>`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'rollcall' ORDER BY 1`;
  tables = rows.map(({ name }) => name);
}, 60_000);

const codeOf = (statement: string) =>
  database.pipeline.unsafe(statement).then(
    () => 'allowed',
    ({ code }: { code: string }) => code,
  );

test('no table can be dropped, emptied, altered, given away or locked against others', async () => {
  expect(tables).toEqual(
    expect.arrayContaining(['events', 'photos', 'faces', 'erasures', 'schema_migrations']),
  );
  for (const table of tables) {
    for (const statement of [
      `DROP TABLE ${table} CASCADE`,
      `TRUNCATE ${table} CASCADE`,
      `ALTER TABLE ${table} ADD COLUMN mine int`,
      `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
      `ALTER TABLE ${table} OWNER TO rollcall_pipeline`,
      `CREATE INDEX mine ON ${table} ((1))`,
      `GRANT ALL ON ${table} TO PUBLIC`,
      `CREATE TRIGGER mine BEFORE INSERT ON ${table} EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
    ]) {
      // Granting what one may not grant is a warning in PostgreSQL, and no grant.
      const expected = statement.startsWith('GRANT') ? ['01007', 'allowed', FORBIDDEN] : [FORBIDDEN];
      expect([statement, expected.includes(await codeOf(statement))]).toEqual([statement, true]);
    }
  }
  const grants = await database.admin`
    SELECT table_name FROM information_schema.role_table_grants
    WHERE grantee = 'PUBLIC' AND table_schema IN ('public', 'rollcall')`;
  expect(grants).toHaveLength(0);
});

test.each([
  ['another schema', 'SELECT * FROM another.secrets'],
  ['the record of the migrations', 'SELECT * FROM schema_migrations'],
  ['passwords', 'SELECT rolpassword FROM pg_authid'],
  ['files of the server', "SELECT pg_read_file('/etc/passwd')"],
  ['the output of a program', "COPY events FROM PROGRAM 'id'"],
  ['a file of the server, written', "COPY events TO '/tmp/events'"],
])('%s cannot be reached', async (_, statement) => {
  await expect(codeOf(statement)).resolves.toBe(FORBIDDEN);
});

test.each([
  ['a table', 'CREATE TABLE mine (id int)'],
  ['a temporary table', 'CREATE TEMPORARY TABLE mine (id int)'],
  ['a schema', 'CREATE SCHEMA mine'],
  ['a function', "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
  ['a role', 'CREATE ROLE mine'],
  ['a database', 'CREATE DATABASE mine'],
])('%s cannot be made', async (_, statement) => {
  await expect(codeOf(statement)).resolves.toBe(FORBIDDEN);
});

test.each([
  ['become the migrator', 'SET ROLE rollcall_migrator'],
  ['become a superuser', 'ALTER ROLE rollcall_pipeline SUPERUSER'],
  ['change a status that it does not know', "ALTER TYPE photo_status ADD VALUE 'mine'"],
  ['drop the schema', 'DROP SCHEMA rollcall CASCADE'],
  ['drop everybody’s schema', 'DROP SCHEMA public CASCADE'],
  ['drop the database', 'DROP DATABASE rollcall'],
  ['forget a photo', 'DELETE FROM photos'],
  ['forget an event', 'DELETE FROM events'],
  ['forget a receipt', 'DELETE FROM erasures'],
  ['rewrite a face', "UPDATE faces SET rekognition_face_id = 'another'"],
  ['write the record of the migrations', "INSERT INTO schema_migrations (name) VALUES ('9999_mine.sql')"],
])('it cannot %s', async (_, statement) => {
  await expect(codeOf(statement)).resolves.toBe(FORBIDDEN);
});

test('on each table it has these rights and no others', async () => {
  const rows = await database.admin<{ table: string; rights: string }[]>`
    SELECT table_name AS table, string_agg(privilege_type, ' ' ORDER BY privilege_type) AS rights
    FROM information_schema.role_table_grants
    WHERE grantee = 'rollcall_pipeline' GROUP BY 1 ORDER BY 1`;
  expect(Object.fromEntries(rows.map(({ table, rights }) => [table, rights]))).toEqual({
    erased_faces: 'DELETE INSERT SELECT UPDATE',
    erasure_turn: 'SELECT UPDATE',
    erasures: 'INSERT SELECT UPDATE',
    events: 'INSERT SELECT UPDATE',
    face_removals: 'DELETE INSERT SELECT',
    faces: 'DELETE INSERT SELECT',
    misplaced_uploads: 'DELETE INSERT SELECT UPDATE',
    paid_images: 'INSERT SELECT',
    photos: 'INSERT SELECT UPDATE',
    result_removals: 'DELETE INSERT SELECT',
    usage: 'SELECT',
  });
});

test('nobody else who can log in to the server gets in', async () => {
  await database.admin`CREATE ROLE stranger LOGIN`;
  const stranger = database.connectAs('stranger' as 'rollcall_pipeline');
  await expect(stranger`SELECT 1`).rejects.toMatchObject({ code: FORBIDDEN });
});
