import { isIP } from 'node:net';
import { PipelineError } from '../contract/errors.ts';

/** What a connection URL means to this pipeline, whoever wrote it for whichever client. */
export interface DatabaseTarget {
  /** In the order in which they are tried; more than one where the URL names several. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  /** Undefined where the URL has none. */
  readonly password: string | undefined;
  readonly database: string;
  /** What the server is told at the start; `options` is how Neon and Supabase name a project to clients of another host. */
  readonly startup: { readonly application_name?: string; readonly options?: string };
  /** TLS from the first byte (libpq's `sslnegotiation=direct`). */
  readonly directTls: boolean;
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Names of the parameters that mean something to another client and nothing here. */
  readonly leftOut: readonly string[];
}

/** What `sslmode` may ask for: all of them become verify-full. The others ask for no encryption, or make it a matter of luck. */
const SSL_MODES = new Set(['require', 'verify-ca', 'verify-full']);

const OFF = /^(0|false|off|no|disable|disabled)$/i;

/**
 * Parameters with which some client talks to a server unencrypted, or to one that it has not verified, by what they may not say.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS, and Prisma, JDBC, node-postgres
 */
const WEAKENING: Readonly<Record<string, (value: string) => boolean>> = {
  sslmode: (value) => !SSL_MODES.has(value.toLowerCase()),
  ssl: (value) =>
    OFF.test(value) || /rejectUnauthorized/i.test(value) || /^(prefer|allow|no-verify)$/i.test(value),
  requiressl: (value) => OFF.test(value),
  sslaccept: (value) => value.toLowerCase() !== 'strict',
  rejectunauthorized: (value) => OFF.test(value),
  ssl_max_protocol_version: (value) => !/^TLSv1\.[23]$/i.test(value),
  // A certificate that was taken back has to be refused, and that list is in a file of another machine.
  sslcrl: () => true,
  sslcrldir: () => true,
};

/** Where the pipeline writes, and a server that takes no writes is none. */
const WRITABLE = new Set(['any', 'read-write', 'primary', 'prefer-standby']);

/** The parts of a URL that parameters may name instead, as libpq has it. */
const PARTS = ['host', 'port', 'user', 'password', 'dbname'] as const;

/**
 * What Secrets Manager keeps of a database: a connection URL, or JSON as RDS writes it for its own.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
 *
 * @throws PipelineError `DatabaseMisconfigured`, in one line that says what to change and shows nothing of the password
 */
export function parseDatabaseSecret(text: string): DatabaseTarget {
  if (!text.trimStart().startsWith('{')) {
    return parseDatabaseUrl(text);
  }
  let secret: Record<string, unknown>;
  try {
    secret = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw malformed('it begins like JSON and is none');
  }
  const { host, port = 5432, username, password, dbname = 'postgres', engine = 'postgres' } = secret;
  for (const [name, value] of Object.entries({ host, username, password, dbname })) {
    if (typeof value !== 'string' || value === '') {
      throw malformed(`its JSON has no ${name}`);
    }
  }
  if (!/postgres/.test(String(engine))) {
    throw malformed(`it is of ${JSON.stringify(engine)}, which is not PostgreSQL`);
  }
  const encoded = [username, password, host, dbname].map((part) => encodeURIComponent(String(part)));
  return parseDatabaseUrl(
    `postgresql://${encoded[0]}:${encoded[1]}@${encoded[2]}:${Number(port)}/${encoded[3]}`,
  );
}

/**
 * Reads a connection URL: takes what is meant, leaves out what only another client understands, and refuses what would
 * weaken TLS. Nothing but what this returns ever reaches the driver, which sends every parameter that it does not know to
 * the server.
 *
 * @param text `postgresql://user:password@host:port/database?parameters`
 * @throws PipelineError `DatabaseMisconfigured`, in one line that says what to change and shows nothing of the password
 */
export function parseDatabaseUrl(text: string): DatabaseTarget {
  const [, authority, rest] = /^(?:postgres|postgresql):\/\/([^/?#]*)(.*)$/s.exec(text.trim()) ?? [];
  if (authority === undefined || rest === undefined) {
    throw malformed('it does not have the form postgresql://user:password@host:port/database');
  }
  // The first of these ends the host, wherever it stands; so an @ behind it was meant to stand before it.
  if (/[@#]/.test(rest)) {
    throw malformed(
      'it has a raw /, ?, # or @ where none may be: write %2F, %3F, %23 or %40 for those of the password',
    );
  }
  const [path = '', query = ''] = rest.split(/\?(.*)/s);
  if (path.slice(1).includes('/')) {
    throw malformed('the name of its database has a raw /: write %2F');
  }
  const parameters = readParameters(query);
  const at = authority.lastIndexOf('@');
  const [user, password] = authority.slice(0, Math.max(at, 0)).split(/:(.*)/s);
  const part = (name: (typeof PARTS)[number], own: string | undefined, what: string) =>
    parameters.get(name) ?? (own ? decode(own, what) : undefined);

  const name = part('user', user, 'user');
  if (!name) {
    throw malformed('it names no user');
  }
  refuseWeakening(parameters);
  const minTlsVersion = /^TLSv1\.3$/i.test(parameters.get('ssl_min_protocol_version') ?? '')
    ? 'TLSv1.3'
    : 'TLSv1.2';
  const { application_name, options } = Object.fromEntries(parameters);
  return {
    hosts: readHosts(authority.slice(at + 1), parameters.get('host'), parameters.get('port')),
    user: name,
    password: part('password', password, 'password'),
    database: part('dbname', path.slice(1), 'database') ?? name,
    startup: { ...(application_name && { application_name }), ...(options && { options }) },
    directTls: parameters.get('sslnegotiation') === 'direct',
    minTlsVersion,
    leftOut: [...parameters.keys()].filter((parameter) => !TAKEN.has(parameter)),
  };
}

const TAKEN = new Set<string>([
  ...PARTS,
  ...Object.keys(WEAKENING),
  'application_name',
  'options',
  'sslnegotiation',
  'ssl_min_protocol_version',
  'target_session_attrs',
]);

/** By their names in lower case; of one that stands twice the last counts, as in libpq. */
function readParameters(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split('&').filter(Boolean)) {
    const [name = '', value] = pair.split(/=(.*)/s);
    if (!name || value === undefined) {
      throw malformed('behind its ? stands something without name=value');
    }
    parameters.set(decode(name, 'parameters').toLowerCase(), decode(value, 'parameters'));
  }
  return parameters;
}

function refuseWeakening(parameters: ReadonlyMap<string, string>): void {
  const weakening = [...parameters].filter(([name, value]) =>
    Object.hasOwn(WEAKENING, name) ? WEAKENING[name]!(value) : false,
  );
  if (weakening.length > 0) {
    throw malformed(
      `${weakening.map(([name]) => name).join(' and ')} would let it talk to a server that is not verified: take that out, every connection is made as with sslmode=verify-full`,
    );
  }
  const attributes = parameters.get('target_session_attrs');
  if (attributes !== undefined && !WRITABLE.has(attributes)) {
    throw malformed('target_session_attrs asks for a server that takes no writes: take that out');
  }
}

/** `host`, `host:port`, `[IPv6]:port`, or several of them with commas between. */
function readHosts(authority: string, host: string | undefined, port: string | undefined) {
  const ports = port?.split(',') ?? [];
  const names = host?.split(',') ?? decode(authority, 'host').split(',');
  return names.map((name, index) => {
    const inAuthority = /^(\[[\da-f:.]+\]|[^:]*)(?::(.*))?$/i.exec(name);
    // As a parameter an IPv6 address stands without brackets.
    const found = isIP(name) ? name : (inAuthority?.[1] ?? '').replace(/^\[(.*)\]$/, '$1');
    const given = (isIP(name) ? undefined : inAuthority?.[2]) || ports[index] || ports[0] || '5432';
    if (!isIP(found) && !/^[a-z\d_]([\w.-]*[\w.])?$/i.test(found)) {
      throw malformed('it names no host, or one that is neither a name nor an address');
    }
    if (!/^\d{1,5}$/.test(given) || Number(given) < 1 || Number(given) > 65_535) {
      throw malformed('its port is not a number from 1 to 65535');
    }
    return { host: found, port: Number(given) };
  });
}

/** Like decodeURIComponent; the server ends a text at a NUL, so that what follows it would be read as something else. */
function decode(text: string, what: string): string {
  let decoded: string | undefined;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // Said below, without the text.
  }
  if (decoded === undefined || decoded.includes('\0')) {
    throw malformed(`its ${what} has a % that encodes nothing: write %25 for a %`);
  }
  return decoded;
}

function malformed(why: string): PipelineError {
  return new PipelineError('DatabaseMisconfigured', `The URL in the database secret cannot be used: ${why}`);
}
