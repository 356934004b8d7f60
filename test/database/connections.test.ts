import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import postgres from 'postgres';
import { generate } from 'selfsigned';
import { migrateDatabase } from '../../lambdas/migrate-database/migrate-database.ts';
import {
  keepConnection,
  openTarget,
  type Sql,
  withDatabase,
} from '../../lambdas/shared/database/connection.ts';
import { parseDatabaseUrl } from '../../lambdas/shared/database/url.ts';
import { logger } from '../../lambdas/shared/runtime/telemetry.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres.ts';
import { certificateAuthority } from '../support/certificate-authority.ts';
import { freePort } from '../support/free-port.ts';
import { MIGRATIONS } from '../support/postgres.ts';

const STATEMENT_TIMEOUT_MS = 300;

/** What a URL that was pasted without a thought has to get through. */
const PASSWORD = 'p%40ss/w#rd?&=:@[];" €';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-connections-'));
const data = path.join(folder, 'postgres', 'data');
let port: number;
let server: LocalPostgres;
let authority: string;
let admin: postgres.Sql;
const opened: Sql[] = [];

beforeAll(async () => {
  port = await freePort();
  server = await startPostgres({
    folder: path.join(folder, 'postgres'),
    log: path.join(folder, 'postgres.log'),
    port,
    database: 'rollcall',
    master: 'rollcall_admin',
  });
  authority = readFileSync(server.certificateAuthority, 'utf8');
  admin = postgres(server.url, { max: 1, fetch_types: false, onnotice: () => {} });
  await admin.unsafe(`ALTER ROLE rollcall_admin PASSWORD '${PASSWORD}'`);
}, 60_000);
afterAll(async () => {
  await Promise.all([admin, ...opened].map((sql) => sql?.end({ timeout: 1 })));
  await server?.stop();
  rmSync(folder, { recursive: true });
});

function urlTo(parameters = '', hosts = `localhost:${port}`): string {
  return `postgresql://rollcall_admin:${encodeURIComponent(PASSWORD)}@${hosts}/rollcall${parameters}`;
}

async function open(url: string, trusted: string | undefined = authority): Promise<Sql> {
  const sql = await openTarget(parseDatabaseUrl(url), {
    schema: 'public',
    authority: trusted,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  opened.push(sql);
  return sql;
}

/** A function's environment, with a clock that only the test moves. */
function environment(url = urlTo(), trusted: string | undefined = authority) {
  let clock = 0;
  const withDatabase = keepConnection({ open: () => open(url, trusted), now: () => clock });
  return {
    withDatabase,
    /** The session that serves the next piece of work. */
    session: () => withDatabase(async (sql) => (await sql`SELECT pg_backend_pid() AS pid`)[0]!.pid as number),
    pass: (ms: number) => {
      clock += ms;
    },
  };
}

describe('the URL forms of the deployment guide', () => {
  const guide = readFileSync(path.join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
  const section = guide.split('## Any PostgreSQL')[1]!.split('\n## ')[0]!;
  const forms = [...section.matchAll(/^\| ([^|]+) \| `(postgres(?:ql)?:\/\/[^`]+)` \|/gm)].map(
    ([, provider, url]) => [provider!, url!] as const,
  );

  test('there is one for each kind of provider', () => {
    const providers = forms.map(([provider]) => provider).join();
    for (const name of ['Neon', 'Supabase', 'RDS', 'PgBouncer', 'Prisma']) {
      expect(providers).toContain(name);
    }
    expect(forms.length).toBeGreaterThanOrEqual(8);
  });

  test.each(forms)('%s connects, verified', async (_, form) => {
    const { hosts } = parseDatabaseUrl(form);
    const own = hosts.map(() => `localhost:${port}`).join();
    const sql = await open(urlTo(/\?.*$/.exec(form)?.[0], own));
    const [row] = await sql`
      SELECT ssl, current_user::text AS who, current_database() AS database
      FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;
    expect({ ...row }).toEqual({ ssl: true, who: 'rollcall_admin', database: 'rollcall' });
  });
});

test('the server’s version of TLS is as new as the URL asks for, and its address is verified too', async () => {
  const sql = await open(urlTo('?ssl_min_protocol_version=TLSv1.3', `127.0.0.1:${port}`));
  const [row] = await sql`SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;
  expect(row!.version).toBe('TLSv1.3');
});

test('of several hosts the first that takes writes is used', async () => {
  const nobody = await freePort();
  const sql = await open(urlTo('', `localhost:${nobody},localhost:${port}`));
  expect((await sql`SELECT 1 AS one`)[0]!.one).toBe(1);
  await admin`ALTER ROLE rollcall_admin SET default_transaction_read_only = on`;
  const { session } = environment(urlTo('', `localhost:${port},127.0.0.1:${port}`));
  await expect(session()).rejects.toMatchObject({
    name: 'DatabaseUnavailable',
    message: 'None of the 2 hosts takes writes',
  });
  await admin`ALTER ROLE rollcall_admin RESET default_transaction_read_only`;
  expect(await session()).toBeGreaterThan(0);
});

describe('a certificate that is not to be trusted is a set-up error that says what to do', () => {
  const NAME = [{ name: 'commonName', value: 'db.example.org' }];
  const leaf = [
    { name: 'basicConstraints', cA: false },
    { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
  ] as const;
  let original: { key: string; cert: string };
  let mine: { key: string; cert: string };

  beforeAll(async () => {
    original = { key: read('server.key'), cert: read('server.crt') };
    mine = await certificateAuthority();
  });
  afterAll(() => serve(original.key, original.cert));

  const read = (file: string) => readFileSync(path.join(data, file), 'utf8');

  /** Has the server show another certificate to whoever connects from now on. */
  async function serve(key: string, cert: string): Promise<void> {
    writeFileSync(path.join(data, 'server.key'), key);
    writeFileSync(path.join(data, 'server.crt'), cert);
    const loaded = async () => (await admin`SELECT pg_conf_load_time()::text AS at`)[0]!.at as string;
    const before = await loaded();
    await admin`SELECT pg_reload_conf()`;
    while ((await loaded()) === before) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  const signed = (more: object) =>
    generate(NAME, {
      keyType: 'ec',
      algorithm: 'sha256',
      ca: mine,
      extensions: leaf as never,
      ...more,
    });
  const YEAR_MS = 365 * 24 * 3600 * 1000;

  test('that of a private authority, until its certificate is given', async () => {
    const { private: key, cert } = await signed({});
    await serve(key, cert);
    // Node's own authorities, and another private one.
    for (const trusted of ['', authority]) {
      await expect(environment(urlTo(), trusted).session()).rejects.toMatchObject({
        name: 'DatabaseMisconfigured',
        message: expect.stringMatching(/^PostgreSQL UNABLE_TO_\w+: .*databaseCaCertificate/),
      });
    }
    expect(await environment(urlTo(), mine.cert).session()).toBeGreaterThan(0);
    // Two of them in one file, as while a provider changes it.
    expect(await environment(urlTo(), `${authority}\n${mine.cert}`).session()).toBeGreaterThan(0);
  });

  test('one that the server signed for itself', async () => {
    const { private: key, cert } = await generate(NAME, {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: leaf as never,
    });
    await serve(key, cert);
    await expect(environment(urlTo(), mine.cert).session()).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
      message: expect.stringMatching(/^PostgreSQL DEPTH_ZERO_SELF_SIGNED_CERT: .*databaseCaCertificate/),
    });
  });

  test('one that has expired', async () => {
    const { private: key, cert } = await signed({
      notBeforeDate: new Date(Date.now() - 2 * YEAR_MS),
      notAfterDate: new Date(Date.now() - YEAR_MS),
    });
    await serve(key, cert);
    await expect(environment(urlTo(), mine.cert).session()).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
      message: expect.stringMatching(/^PostgreSQL CERT_HAS_EXPIRED: .*replace it/),
    });
  });

  test('one for another host, by name and by address', async () => {
    const { private: key, cert } = await signed({});
    await serve(key, cert);
    // Whose certificate is "localhost"'s and not the address's.
    await expect(environment(urlTo('', `127.0.0.1:${port}`), mine.cert).session()).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
      message: expect.stringMatching(
        /^PostgreSQL ERR_TLS_CERT_ALTNAME_INVALID: .*127\.0\.0\.1.*as its certificate/,
      ),
    });
  });
});

describe('a function of an external database', () => {
  const before = { ...process.env };
  let secret: string;
  const secrets = createHttpServer((_, response) => {
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(JSON.stringify({ ARN: 'arn', Name: 'db', SecretString: secret }));
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => secrets.listen(0, '127.0.0.1', resolve));
    Object.assign(process.env, {
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(secrets.address() as { port: number }).port}`,
      DATABASE_AUTH: 'secret',
      DATABASE_SCHEMA: 'rollcall',
      DATABASE_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbC123',
      DATABASE_CA_FILE: path.relative(
        path.join(import.meta.dirname, '../../lambdas/shared/database'),
        server.certificateAuthority,
      ),
    });
  });
  afterAll(async () => {
    process.env = before;
    secrets.closeAllConnections();
    await new Promise((resolve) => secrets.close(resolve));
  });

  test('is told in one line that the secret cannot be used, and gets in when it was mended', async () => {
    const who = () => withDatabase(async (sql) => (await sql`SELECT current_user::text AS who`)[0]!.who);
    secret = '';
    await expect(who()).rejects.toMatchObject({ name: 'MissingConfiguration' });
    secret = `postgresql://rollcall_admin:${PASSWORD}@localhost:${port}/rollcall`;
    await expect(who()).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
      message: expect.stringMatching(/^The URL in the database secret cannot be used: .*%2F/),
    });
    secret = urlTo('?sslmode=disable');
    await expect(who()).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
      message: expect.stringContaining('sslmode'),
    });
    secret = urlTo('?sslmode=require&channel_binding=require');
    const told = jest.spyOn(logger, 'info').mockImplementation(() => {});
    expect(await who()).toBe('rollcall_admin');
    expect(told.mock.calls).toEqual([
      [expect.any(String), { event: 'database.url_parameters_left_out', parameters: ['channel_binding'] }],
    ]);
    told.mockRestore();
    await withDatabase((sql) => sql.end({ timeout: 1 }));
  });
});

test('the guide’s function reads what the pipeline found, with an IAM token over verified TLS', async () => {
  const guide = readFileSync(path.join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
  const [, source] = /<!-- example: a function that reads -->\n```js\n([\s\S]*?)```/.exec(guide)!;
  await admin.unsafe(readFileSync(path.join(MIGRATIONS, 'bootstrap.sql'), 'utf8'));
  await migrateDatabase(admin, MIGRATIONS);
  const [event, photo] = [randomUUID(), randomUUID()];
  await admin`INSERT INTO rollcall.events (id) VALUES (${event})`;
  await admin`
    INSERT INTO rollcall.photos (id, event_id, object_key, status, face_count)
    VALUES (${photo}, ${event}, 'k.jpg', 'indexed', 1)`;
  await admin`INSERT INTO rollcall.faces (photo_id, rekognition_face_id) VALUES (${photo}, 'f1')`;
  // Where it finds its packages.
  const cache = path.join(import.meta.dirname, '../../node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const file = path.join(mkdtempSync(path.join(cache, 'rollcall-example-')), 'index.mjs');
  writeFileSync(
    file,
    `${source}\nconsole.log(JSON.stringify(await handler({ eventId: '${event}' }))); process.exit(0);`,
  );
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], {
    env: {
      PATH: process.env.PATH,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      DATABASE_ENDPOINT: `localhost:${port}`,
      NODE_EXTRA_CA_CERTS: server.certificateAuthority,
    },
  }).finally(() => rmSync(path.dirname(file), { recursive: true }));
  expect({ rows: JSON.parse(stdout || '[]'), stderr }).toEqual({
    rows: [{ object_key: 'k.jpg', status: 'indexed', rekognition_face_id: 'f1', bounding_box: null }],
    stderr: '',
  });
});

describe('the connection', () => {
  test('serves one piece of work after the other, and survives errors of ours and of a statement', async () => {
    const { session, withDatabase } = environment();
    const first = await session();
    expect(await session()).toBe(first);
    await expect(withDatabase((sql) => sql`SELECT * FROM nothing_of_that_name`)).rejects.toMatchObject({
      name: 'DatabaseMisconfigured',
    });
    await expect(withDatabase((sql) => sql`SELECT 1 / 0`)).rejects.toMatchObject({ name: 'InternalError' });
    expect(await session()).toBe(first);
  });

  test('is replaced when the server has cut it, in the midst of a transaction or at rest', async () => {
    const { session, withDatabase } = environment();
    const first = await session();
    await expect(
      withDatabase((sql) =>
        sql.begin(async (transaction) => {
          await transaction`SELECT 1`;
          await admin`SELECT pg_terminate_backend(${first})`;
          await transaction`SELECT pg_sleep(10)`;
        }),
      ),
    ).rejects.toMatchObject({ name: 'DatabaseUnavailable' });
    const second = await session();
    expect(second).not.toBe(first);
    await admin`SELECT pg_terminate_backend(${second})`;
    // The driver may or may not have heard of it.
    const third = await session().catch(() => session());
    expect(third).not.toBe(second);
  });

  test('is replaced when it idled as long as a server may keep one', async () => {
    const { session, pass } = environment();
    const first = await session();
    pass(40_000);
    expect(await session()).toBe(first);
    pass(50_000);
    expect(await session()).not.toBe(first);
  });

  test('ends a statement of a transaction in time, and is used on', async () => {
    const { session, withDatabase } = environment();
    const first = await session();
    await expect(
      withDatabase((sql) => sql.begin((transaction) => transaction`SELECT pg_sleep(30)`)),
    ).rejects.toMatchObject({ name: 'DatabaseUnavailable', message: expect.stringMatching(/57014/) });
    expect(await session()).toBe(first);
    // As does a transaction that is left open: its server ends the session.
    await expect(
      withDatabase((sql) =>
        sql.begin(async (transaction) => {
          await transaction`SELECT 1`;
          await new Promise((resolve) => setTimeout(resolve, 3 * STATEMENT_TIMEOUT_MS));
          await transaction`SELECT 1`;
        }),
      ),
    ).rejects.toMatchObject({ name: 'DatabaseUnavailable' });
    expect(await session()).not.toBe(first);
  });

  test('is kept when a lock is not to be had (55P03), which is worth a retry', async () => {
    const { session, withDatabase } = environment();
    const first = await session();
    await admin`CREATE TABLE locked (id int)`;
    await admin`GRANT SELECT, UPDATE ON locked TO rollcall_admin`;
    await admin`INSERT INTO locked VALUES (1)`;
    await admin.begin(async (other) => {
      await other`SELECT FROM locked FOR UPDATE`;
      await expect(withDatabase((sql) => sql`SELECT FROM locked FOR UPDATE NOWAIT`)).rejects.toMatchObject({
        name: 'DatabaseUnavailable',
        message: expect.stringContaining('55P03'),
      });
    });
    expect(await session()).toBe(first);
  });

  test('is given up when it leads to a server that takes no writes any more, which is worth a retry', async () => {
    const { session, withDatabase } = environment();
    await admin`CREATE TABLE written (id int)`;
    await admin`GRANT INSERT ON written TO rollcall_admin`;
    const first = await session();
    // What a primary that was demoted answers on connections that it kept.
    await withDatabase((sql) => sql`SELECT set_config('default_transaction_read_only', 'on', false)`);
    const write = () => withDatabase((sql) => sql`INSERT INTO written VALUES (1)`);
    await expect(write()).rejects.toMatchObject({
      name: 'DatabaseUnavailable',
      message: expect.stringContaining('25006'),
    });
    await write();
    expect(await session()).not.toBe(first);
  });

  test.each(['25P02', '40002', '40003', '57P01', '57P02', '57P03', '08006', '53300', 'XX000'])(
    'is given up after %s, which is worth a retry',
    async (code) => {
      const { session, withDatabase } = environment();
      const first = await session();
      await expect(
        withDatabase((sql) =>
          sql.unsafe(`DO $$ BEGIN RAISE EXCEPTION 'moved' USING ERRCODE = '${code}'; END $$`),
        ),
      ).rejects.toMatchObject({ name: 'DatabaseUnavailable', message: `PostgreSQL ${code}: moved` });
      expect(await session()).not.toBe(first);
    },
  );

  test('is given up when the peer has gone silent', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port: nobody } = silent.address() as { port: number };
    let isSilent = true;
    const withDatabase = keepConnection({
      open: () => open(urlTo('', `localhost:${isSilent ? nobody : port}`)),
      now: Date.now,
    });
    await expect(withDatabase((sql) => sql`SELECT 1`, { limitMs: 100 })).rejects.toMatchObject({
      name: 'DatabaseUnavailable',
      message: 'The database did not finish within 0.1 seconds',
    });
    isSilent = false;
    expect(await withDatabase((sql) => sql`SELECT 1 AS one`)).toHaveLength(1);
    for (const socket of sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => silent.close(resolve));
  });

  test('that is gone when the driver writes to it ends the environment, and not as a TypeError', () => {
    const module = JSON.stringify(
      path.join(import.meta.dirname, '../../lambdas/shared/database/connection.ts'),
    );
    const url = JSON.stringify(path.join(import.meta.dirname, '../../lambdas/shared/database/url.ts'));
    const script = `
      import { connect, createServer } from 'node:net';
      import { openTarget } from ${module};
      import { parseDatabaseUrl } from ${url};
      const sockets = [];
      const relay = createServer((client) => {
        const server = connect(${port}, 'localhost');
        sockets.push(client, server);
        client.on('error', () => {}).pipe(server.on('error', () => {})).pipe(client);
      });
      await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
      const sql = await openTarget(
        { ...parseDatabaseUrl(process.env.URL), hosts: [{ host: 'localhost', port: relay.address().port }] },
        { schema: 'public', authority: process.env.AUTHORITY },
      );
      process.on('uncaughtException', (error) => { console.log('told to somebody', error.name); process.exit(2); });
      await sql.begin(async (transaction) => {
        await transaction\`SELECT 1\`;
        const sleeping = transaction\`SELECT pg_sleep(30)\`.catch(() => {});
        setTimeout(() => sockets.forEach((socket) => socket.destroy()), 50);
        await sleeping;
        // The connection is gone, and nobody has heard of it yet.
        await transaction\`SELECT 1\`;
      }).catch(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
      console.log('nothing was written');
      process.exit(0);`;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: path.join(import.meta.dirname, '../..'),
      encoding: 'utf8',
      env: { ...process.env, URL: urlTo(), AUTHORITY: authority },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  });
});
