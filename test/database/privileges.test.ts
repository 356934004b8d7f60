import { useTestDatabase } from '../support/postgres.ts';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: insufficient_privilege */
const FORBIDDEN = '42501';

const database = useTestDatabase();
let tables: string[];
let gallery: ReturnType<typeof database.connectAs>;

beforeAll(async () => {
  await database.admin`CREATE SCHEMA another`;
  await database.admin`CREATE TABLE another.secrets (secret text)`;
  const rows = await database.admin<{ name: string }[]>`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'rollcall' ORDER BY 1`;
  tables = rows.map(({ name }) => name);
  gallery = database.connectAs('rollcall_gallery');
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
    result_removals: 'DELETE INSERT SELECT UPDATE',
    searches: 'DELETE INSERT SELECT',
    usage: 'SELECT',
  });
});

describe('the role of the API', () => {
  const codeOfGallery = (statement: string) =>
    gallery.unsafe(statement).then(
      () => 'allowed',
      ({ code }: { code: string }) => code,
    );
  const VIEWS = ['event_progress', 'gallery_events', 'gallery_feed', 'gallery_photos'];

  test('reads its views and nothing else of the schema, and writes nowhere', async () => {
    const relations = await database.admin<{ name: string }[]>`
      SELECT relname AS name FROM pg_class
      WHERE relnamespace = 'rollcall'::regnamespace AND relkind IN ('r', 'v', 'm', 'S', 'p')`;
    expect(relations.map(({ name }) => name)).toEqual(expect.arrayContaining([...VIEWS, 'faces', 'usage']));
    const readable: string[] = [];
    for (const { name } of relations) {
      if ((await codeOfGallery(`SELECT * FROM ${name} LIMIT 1`)) === 'allowed') {
        readable.push(name);
      }
      for (const statement of [`DELETE FROM ${name}`, `INSERT INTO ${name} DEFAULT VALUES`]) {
        expect([statement, await codeOfGallery(statement)]).toEqual([
          statement,
          // A view that cannot be written by anybody says so before it asks who it is.
          expect.stringMatching(/^(42501|55000)$/),
        ]);
      }
    }
    expect(readable.sort()).toEqual(VIEWS);
    const columns = await database.admin`
      SELECT FROM information_schema.column_privileges
      WHERE grantee = 'rollcall_gallery' AND NOT (table_name = ANY (string_to_array(${VIEWS.join()}, ',')))`;
    expect(columns).toHaveLength(0);
  });

  test.each([
    ['another schema', 'SELECT * FROM another.secrets'],
    ['a photo’s row, to change it', "UPDATE gallery_photos SET failure_message = 'mine'"],
    ['a photo’s row, to lock it', 'SELECT * FROM gallery_photos FOR UPDATE'],
    ['a table of its own', 'CREATE TABLE mine (id int)'],
    ['a temporary table', 'CREATE TEMPORARY TABLE mine (id int)'],
    ['the role of the pipeline', 'SET ROLE rollcall_pipeline'],
    ['files of the server', "SELECT pg_read_file('/etc/passwd')"],
  ])('does not reach %s', async (_, statement) => {
    await expect(codeOfGallery(statement)).resolves.toBe(FORBIDDEN);
  });
});

test('nobody else who can log in to the server gets in', async () => {
  await database.admin`CREATE ROLE stranger LOGIN`;
  const stranger = database.connectAs('stranger' as 'rollcall_pipeline');
  await expect(stranger`SELECT 1`).rejects.toMatchObject({ code: FORBIDDEN });
});
