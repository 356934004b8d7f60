import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { type DatabaseGate, startDatabaseGate } from '../../local/iam/database-gate.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres.ts';
import { freePort } from '../support/free-port.ts';

const folder = mkdtempSync(join(tmpdir(), 'rollcall-gate-'));
let server: LocalPostgres;
let gate: DatabaseGate;
const asked: [user: string, password: string][] = [];

beforeAll(async () => {
  const port = await freePort();
  server = await startPostgres({
    folder: join(folder, 'postgres'),
    log: join(folder, 'postgres.log'),
    port,
    database: 'rollcall',
    master: 'rollcall_admin',
  });
  const admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await admin`CREATE ROLE somebody LOGIN IN ROLE rds_iam`;
  await admin`GRANT CONNECT ON DATABASE rollcall TO somebody`;
  await admin.end();
  gate = await startDatabaseGate({
    certificates: join(folder, 'postgres', 'data'),
    certificateAuthority: () => server.certificateAuthority,
    port,
    admits: async (user, password) => {
      asked.push([user, password]);
      return password === 'a good token';
    },
  });
}, 60_000);
afterAll(async () => {
  await gate?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

async function login(password: string, ssl: object | false): Promise<unknown> {
  const sql = postgres({
    host: 'localhost',
    port: gate.port,
    user: 'somebody',
    database: 'rollcall',
    password,
    ssl,
    max: 1,
    fetch_types: false,
    connect_timeout: 5,
  } as never);
  try {
    // More than one packet, both ways.
    const [row] =
      await sql`SELECT current_user AS who, length(${'x'.repeat(200_000)}) AS sent, repeat('y', 200000) AS got`;
    return [row!.who, row!.sent, (row!.got as string).length];
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const verified = () => ({ ca: readFileSync(server.certificateAuthority, 'utf8') });

test('who is admitted talks to the server, over TLS that can be verified', async () => {
  await expect(login('a good token', verified())).resolves.toEqual(['somebody', 200_000, 200_000]);
  expect(asked).toEqual([['somebody', 'a good token']]);
});

test('who is not admitted is told what RDS says', async () => {
  await expect(login('a password', verified())).resolves.toBe('28000');
});

test('nobody gets in without TLS, and nobody else can pretend to be the server', async () => {
  await expect(login('a good token', false)).resolves.toBe('28000');
  await expect(login('a good token', { ca: [] as string[] })).resolves.toMatch(/CERT|SELF_SIGNED|UNABLE/);
});

test('what speaks another language is hung up on', async () => {
  const socket = connect(gate.port, 'localhost');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'close');
});

test('a server that is away is told of in the words of the connection, at once', async () => {
  const away = await startDatabaseGate({
    certificates: join(folder, 'postgres', 'data'),
    certificateAuthority: () => server.certificateAuthority,
    port: await freePort(),
    admits: async () => true,
  });
  const sql = postgres({
    host: 'localhost',
    port: away.port,
    user: 'somebody',
    password: 'a good token',
    ssl: verified(),
    max: 1,
    fetch_types: false,
    connect_timeout: 20,
  } as never);
  try {
    await expect(sql`SELECT 1`).rejects.toMatchObject({
      code: '08006',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  } finally {
    await sql.end({ timeout: 0 });
    await away.stop();
  }
});
