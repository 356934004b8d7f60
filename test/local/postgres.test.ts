import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RDSDataClient } from '@aws-sdk/client-rds-data';
import postgres, { type Options } from 'postgres';
import { bootstrapDatabase } from '../../lambdas/bootstrap-database/bootstrap-database.ts';
import { startDataApi } from '../../local/data-api.ts';
import { type LocalPostgres, startPostgres, stopLeftover } from '../../local/postgres.ts';
import { isPostgresOf, waitForExit } from '../../local/processes.ts';
import { freePort } from '../support/free-port.ts';

const folder = mkdtempSync(join(tmpdir(), 'rollcall-postgres-test-'));
const port = await freePort();
const options = {
  folder: join(folder, 'postgres'),
  log: join(folder, 'postgres.log'),
  port,
  database: 'rollcall',
  master: 'rollcall_admin',
};
const pidFile = join(options.folder, 'data', 'postmaster.pid');
let server: LocalPostgres;

beforeAll(async () => {
  server = await startPostgres(options);
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** The result of one statement, or the error's code. */
async function ask(url: string, statement: string, more: Options<never> = {}): Promise<unknown> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, ...more } as Options<never>);
  try {
    const [row] = await sql.unsafe(statement);
    return row ? Object.values(row)[0] : undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await sql.end();
  }
}

const urlOf = (user: string) => `postgresql://${user}:token@localhost:${port}/rollcall`;
const verified = () => ({
  ssl: { ca: readFileSync(server.certificateAuthority, 'utf8'), rejectUnauthorized: true },
});

test('people get in with the password of the URL, with and without TLS', async () => {
  expect(await ask(server.url, 'SELECT current_user')).toBe('postgres');
  expect(await ask(server.url, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', verified())).toBe(
    true,
  );
  expect(await ask(urlOf('postgres'), 'SELECT 1')).toBe('28P01');
  expect(statSync(join(options.folder, 'superuser-password')).mode & 0o077).toBe(0);
});

test('the master is what it is on RDS: owner of the database, no superuser, giver of IAM logins', async () => {
  expect(await ask(server.masterUrl, 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user')).toBe(
    false,
  );
  expect(await ask(server.masterUrl, 'CREATE TABLE mine (id int)')).toBeUndefined();
  expect(await ask(server.masterUrl, 'CREATE ROLE app LOGIN')).toBeUndefined();
  expect(await ask(server.masterUrl, 'GRANT rds_iam TO app')).toBeUndefined();
});

test('an IAM login takes a token for a password, over TLS that can be verified, and nobody else does', async () => {
  expect(await ask(urlOf('app'), 'SELECT current_user', verified())).toBe('app');
  expect(await ask(urlOf('app'), 'SELECT 1', { ssl: false })).toBe('28000');
  expect(await ask(server.masterUrl, 'CREATE ROLE other LOGIN')).toBeUndefined();
  expect(await ask(urlOf('other'), 'SELECT 1', verified())).toBe('28000');
});

test('the Data API runs one statement as the master, and takes a colon for a parameter', async () => {
  const [clusterArn, secretArn] = ['arn:cluster', 'arn:secret'];
  const api = await startDataApi({ masterUrl: server.masterUrl, clusterArn, secretArn });
  const execute = async (sql: string, more: object = {}) => {
    const response = await fetch(`${api.endpoint}/Execute`, {
      method: 'POST',
      body: JSON.stringify({ resourceArn: clusterArn, secretArn, database: 'rollcall', sql, ...more }),
    });
    return `${response.status} ${await response.text()}`;
  };
  expect(await execute('CREATE TABLE by_api (id int)')).toMatch(/^200 /);
  expect(await ask(server.url, "SELECT tableowner FROM pg_tables WHERE tablename = 'by_api'")).toBe(
    'rollcall_admin',
  );
  expect(await execute('SELECT 1; SELECT 2')).toMatch(/^400 .*multiple commands/);
  expect(await execute('SELECT :name')).toMatch(/^400 .*Cannot find parameter: name/);
  expect(await execute("SELECT '1'::int")).toMatch(/^200 /);
  expect(await execute('SELECT 1', { secretArn: 'arn:other' })).toMatch(/^400 /);
  await api.stop();
});

/** The bootstrap of a deployment, through a Data API of its own. */
async function bootstrap(): Promise<boolean> {
  const target = { clusterArn: 'arn:cluster', secretArn: 'arn:secret', database: 'rollcall' };
  const api = await startDataApi({ masterUrl: server.masterUrl, ...target });
  const rdsData = new RDSDataClient({
    endpoint: api.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  try {
    const statement = readFileSync(join(import.meta.dirname, '../../migrations/bootstrap.sql'), 'utf8');
    return await bootstrapDatabase({ rdsData, sleep, now: Date.now }, target, statement);
  } finally {
    rdsData.destroy();
    await api.stop();
  }
}

test('the first deployments create the roles, again and again', async () => {
  expect(await bootstrap()).toBe(true);
  expect(await bootstrap()).toBe(true);
  expect(await ask(urlOf('rollcall_migrator'), 'SELECT current_user', verified())).toBe('rollcall_migrator');
});

test('a later one needs no master that may log in, as one that created IAM logins may not', async () => {
  const through = `SELECT pg_has_role('rollcall_admin', 'rds_iam', 'MEMBER')`;
  expect(await ask(server.url, through)).toBe(true);
  await server.stop();
  server = await startPostgres(options);
  expect(await ask(server.masterUrl, 'SELECT 1')).toBe('28000');
  expect(await ask(server.masterUrl, 'SELECT 1', verified())).toBe('28000');
  expect(await bootstrap()).toBe(false);
  expect(await ask(urlOf('rollcall_migrator'), 'SELECT current_user', verified())).toBe('rollcall_migrator');
});

test('a restart keeps the data, the password and the certificate', async () => {
  const authority = readFileSync(server.certificateAuthority, 'utf8');
  const { url } = server;
  await server.stop();
  server = await startPostgres(options);
  expect(server.url).toBe(url);
  expect(readFileSync(server.certificateAuthority, 'utf8')).toBe(authority);
  expect(await ask(url, 'SELECT count(*)::int FROM mine')).toBe(0);
});

test('a server that ends by itself is told of in one line, one that is stopped is not', async () => {
  let told: Error | undefined;
  void server.died.then((error) => {
    told = error;
  });
  await server.stop();
  await sleep(50);
  expect(told).toBeUndefined();
  server = await startPostgres(options);
  process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGKILL');
  await expect(server.died).resolves.toMatchObject({
    name: 'PostgresError',
    message: expect.stringMatching(/^PostgreSQL ended by itself \(SIGKILL\)[^\n]*postgres\.log[^\n]*$/),
  });
  // What is gone can be stopped, and started again.
  await server.stop();
  server = await startPostgres(options);
  expect(await ask(server.url, 'SELECT 1')).toBe(1);
});

describe('when the process that started it was killed', () => {
  const module = (name: string) => JSON.stringify(join(import.meta.dirname, `../../local/${name}.ts`));

  /** Starts the server in another process, kills that process, and what the signals say; returns the server's id. */
  async function orphan(kill: (pid: number, guard: number) => void): Promise<number> {
    await server.stop();
    const owner = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { startPostgres } from ${module('postgres')};
         await startPostgres(${JSON.stringify(options)}); console.log('up'); setTimeout(() => {}, 60000);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => owner.stdout.once('data', resolve));
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    expect(isPostgresOf(pid, join(options.folder, 'data'))).toBe(true);
    kill(pid, guardOf(pid));
    owner.kill('SIGKILL');
    await new Promise((resolve) => owner.on('close', resolve));
    return pid;
  }

  function guardOf(pid: number): number {
    const children = readFileSync(`/proc/${ownerOf(pid)}/task/${ownerOf(pid)}/children`, 'utf8')
      .trim()
      .split(' ');
    return Number(children.find((child) => Number(child) !== pid));
  }

  function ownerOf(pid: number): number {
    return Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  }

  const onLinux = process.platform === 'linux' ? test : test.skip;

  onLinux(
    'the server ends by itself',
    async () => {
      const pid = await orphan(() => {});
      expect(await waitForExit(pid, 5_000)).toBe(true);
      server = await startPostgres(options);
    },
    30_000,
  );

  onLinux(
    'together with its guard, the next start ends the server',
    async () => {
      const pid = await orphan((_, guard) => process.kill(guard, 'SIGKILL'));
      expect(isPostgresOf(pid, join(options.folder, 'data'))).toBe(true);
      server = await startPostgres(options);
      expect(isPostgresOf(pid, join(options.folder, 'data'))).toBe(false);
      expect(await ask(server.url, 'SELECT count(*)::int FROM mine')).toBe(0);
    },
    30_000,
  );

  onLinux(
    'together with the server, the next start is not misled by what that left',
    async () => {
      await orphan((pid) => process.kill(pid, 'SIGKILL'));
      await stopLeftover(options.folder);
      server = await startPostgres(options);
      expect(await ask(server.url, 'SELECT count(*)::int FROM mine')).toBe(0);
    },
    30_000,
  );
});

test('a port that is taken, on either loopback address, is told in one line', async () => {
  await server.stop();
  for (const host of ['127.0.0.1', '::1']) {
    const other = createServer();
    const listens = await new Promise<boolean>((resolve) => {
      other.once('error', () => resolve(false));
      other.listen(port, host, () => resolve(true));
    });
    if (listens) {
      await expect(startPostgres(options)).rejects.toMatchObject({
        name: 'PortInUseError',
        message: expect.stringMatching(new RegExp(`^Port ${port}[^\\n]*--postgres-port[^\\n]*$`)),
      });
    }
    await new Promise((resolve) => other.close(resolve));
  }
  server = await startPostgres(options);
});
