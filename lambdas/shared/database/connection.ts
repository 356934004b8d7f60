import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Signer } from '@aws-sdk/rds-signer';
import postgres from 'postgres';
import { awsErrorDetails, describeAwsError, type FailureName, PipelineError } from '../contract/errors.ts';
import { environmentNames, logEvents } from '../contract/names.ts';
import { clientOptions } from '../runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../runtime/environment.ts';
import { logger } from '../runtime/telemetry.ts';
import { databaseError, isLostConnection, isUsableAfter } from './errors.ts';
import { isWriteToLostConnection } from './lost-connection.ts';
import { type DatabaseTarget, parseDatabaseSecret } from './url.ts';

export type Sql = postgres.Sql;

/**
 * Waking from zero capacity takes Aurora up to 15 seconds, and 30 or more when it has slept for over a day. Together with a
 * statement's time less than the timeout of any function that uses this.
 * https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
 */
const CONNECT_TIMEOUT_SECONDS = 45;

/** Less than a Lambda's timeout, so that a stuck statement ends with PostgreSQL's own error. */
const STATEMENT_TIMEOUT_MS = 20_000;

/**
 * An open session keeps Aurora from pausing, and a frozen Lambda never closes its own: the server does, and a
 * connection that idled nearly as long is replaced before it is used.
 */
const IDLE_SESSION_TIMEOUT_MS = 60_000;
const REPLACE_AFTER_IDLE_MS = 45_000;

/**
 * For all of a piece of work, connecting included: a peer that went away in a failover says nothing, and no timeout of its own
 * ends that. Less than the timeout of any function that uses this.
 */
export const WORK_LIMIT_MS = 80_000;

/** Of functions that have five minutes, for many statements or long ones. */
export const LONG_WORK = { limitMs: 280_000 };

const APPLICATION_NAME = 'rollcall';

/** Of a connection that leads to the server itself. */
const auroraSession = {
  statement_timeout: STATEMENT_TIMEOUT_MS,
  idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
  idle_session_timeout: IDLE_SESSION_TIMEOUT_MS,
};

/** A Lambda serves one request at a time; no prepared statements and no type look-ups, so that a pooler may sit between. */
const connectionOptions = {
  max: 1,
  prepare: false,
  fetch_types: false,
  connect_timeout: CONNECT_TIMEOUT_SECONDS,
  onnotice: () => {},
};

/** Step Functions would be told of a TypeError, which is never retried; an environment that just ends is (`Runtime.ExitError`). */
process.prependListener('uncaughtException', (error: Error) => {
  if (isWriteToLostConnection(error)) {
    process.exit(1);
  }
});

export type WithDatabase = <Result>(
  work: (sql: Sql) => Promise<Result>,
  options?: { limitMs: number },
) => Promise<Result>;

/**
 * Keeps one connection, opened on first use, for one piece of work after the other. It is replaced when it idled so long
 * that the server may have closed it, and given up after every error that says something about the connection and not only
 * about a statement; and when the work takes longer than `limitMs`, as it does when the peer has just gone silent.
 *
 * The work's promise rejects with a PipelineError: `DatabaseUnavailable` (worth retrying), `DatabaseMisconfigured`,
 * `InternalError`, and what `open` and `work` throw of their own.
 */
export function keepConnection(deps: { open(): Promise<Sql>; now(): number }): WithDatabase {
  let current: { sql: Sql; lastUsedMs: number } | undefined;
  const giveUp = () => {
    current?.sql.end({ timeout: 0 }).catch(() => {});
    current = undefined;
  };
  return async (work, { limitMs } = { limitMs: WORK_LIMIT_MS }) => {
    if (current && deps.now() - current.lastUsedMs > REPLACE_AFTER_IDLE_MS) {
      giveUp();
    }
    try {
      const result = await within(limitMs, async () => {
        current ??= { sql: await deps.open(), lastUsedMs: deps.now() };
        return work(current.sql);
      });
      if (current) {
        current.lastUsedMs = deps.now();
      }
      return result;
    } catch (error) {
      if (!isUsableAfter(error)) {
        giveUp();
      }
      throw databaseError(error);
    }
  };
}

async function within<Result>(limitMs: number, work: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `The database did not finish within ${limitMs / 1000} seconds`;
      reject(new PipelineError('DatabaseUnavailable', message));
    }, limitMs);
  });
  const working = work();
  // Who is late fails too, when the connection is given up: that is told to nobody any more.
  working.catch(() => {});
  try {
    return await Promise.race([working, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `work` with this environment's one connection; see `keepConnection`. Also throws `AccessDenied` (the secret) and `MissingConfiguration`. */
export const withDatabase: WithDatabase = keepConnection({ open: connect, now: Date.now });

async function connect(): Promise<Sql> {
  const schema = requireEnv(environmentNames.databaseSchema);
  if (requireEnv(environmentNames.databaseAuth) === 'secret') {
    const target = parseDatabaseSecret(await databaseUrl());
    if (target.leftOut.length > 0) {
      logger.info('The database URL has parameters that mean nothing here', {
        event: logEvents.urlParametersLeftOut,
        parameters: target.leftOut,
      });
    }
    const file = process.env[environmentNames.databaseCaFile];
    const authority = file && (await readFile(path.join(import.meta.dirname, file), 'utf8'));
    return openTarget(target, { schema, authority });
  }
  const host = requireEnv(environmentNames.databaseHost);
  const port = requireNumberEnv(environmentNames.databasePort);
  const user = requireEnv(environmentNames.databaseUser);
  // A token is good for 15 minutes and made without a request, so each connection gets a fresh one.
  const signer = new Signer({ hostname: host, port, username: user });
  const isPooled = process.env[environmentNames.databaseSettings] === 'transaction';
  const sql = open(host, {
    port,
    user,
    password: () => signer.getAuthToken(),
    database: requireEnv(environmentNames.databaseName),
    connection: isPooled ? {} : { ...auroraSession, search_path: schema },
  });
  return isPooled ? withLocalSettings(sql, { schema, statementTimeoutMs: STATEMENT_TIMEOUT_MS }) : sql;
}

interface TargetOptions {
  /** The one that unqualified names are in. */
  schema: string;
  /** PEM of the one authority that is trusted; none for those of Node and NODE_EXTRA_CA_CERTS. */
  authority?: string | undefined;
  statementTimeoutMs?: number;
}

/**
 * Opens a connection to where a URL leads: with several hosts, to the first that takes writes.
 *
 * @throws PipelineError `DatabaseUnavailable` when none of several hosts takes writes; whatever the last of them failed with
 */
export async function openTarget(
  target: DatabaseTarget,
  { schema, authority, statementTimeoutMs = STATEMENT_TIMEOUT_MS }: TargetOptions,
): Promise<Sql> {
  const { hosts, user, password, database } = target;
  const openHost = ({ host, port }: DatabaseTarget['hosts'][number]) =>
    withLocalSettings(
      open(host, {
        port,
        user,
        // An empty one, because the driver looks for another elsewhere.
        password: password ?? '',
        database,
        // Poolers refuse every other setting at the start.
        connection: target.startup,
        connect_timeout: CONNECT_TIMEOUT_SECONDS / hosts.length,
        // The driver's types know neither.
        ...({ sslnegotiation: target.directTls ? 'direct' : null } as object),
        ssl: { minVersion: target.minTlsVersion, ...(authority && { ca: authority }) },
      }),
      { schema, statementTimeoutMs },
    );
  const [only, ...others] = hosts;
  if (only && others.length === 0) {
    return openHost(only);
  }
  let failure: unknown;
  for (const host of hosts) {
    const sql = openHost(host);
    try {
      const [server] = await sql`SELECT current_setting('transaction_read_only') = 'off' AS takes_writes`;
      if (server?.takes_writes) {
        return sql;
      }
      failure = new PipelineError('DatabaseUnavailable', `None of the ${hosts.length} hosts takes writes`);
    } catch (error) {
      failure = error;
    }
    sql.end({ timeout: 0 }).catch(() => {});
  }
  throw failure;
}

/** Every connection of the pipeline: over TLS, with a certificate that is verified and is the host's. */
function open(
  host: string,
  { ssl, ...options }: Omit<postgres.Options<Record<string, never>>, 'ssl'> & { ssl?: ConnectionOptions },
): Sql {
  const sql = postgres({
    ...connectionOptions,
    ...options,
    connection: { application_name: APPLICATION_NAME, ...options.connection },
    host,
    // The driver names no host where it is an address, and Node would look for "localhost" in the certificate.
    ssl: { ...ssl, host, rejectUnauthorized: true },
  });
  const begin = sql.begin.bind(sql) as unknown as Begin;
  return Object.assign(sql, {
    begin: ((...given) => {
      const [options, work] = given.length === 1 ? ['', given[0]] : given;
      return begin(options, async (transaction) => {
        try {
          return await work(transaction);
        } catch (error) {
          // The driver would write a ROLLBACK to what is gone, in a later tick, where nobody can catch what that throws.
          // It ends the transaction by itself when it hears that the connection is closed.
          return isLostConnection(error) ? new Promise(() => {}) : Promise.reject(error);
        }
      });
    }) as Begin as unknown as Sql['begin'],
  });
}

type Work = (transaction: postgres.TransactionSql) => unknown;
type Begin = (...given: [Work] | [options: string, work: Work]) => Promise<unknown>;

/**
 * Runs every statement in a transaction that sets where names are looked up and how long it may take. Behind a pooler a
 * transaction is the only thing that is one session throughout; there a setting of the session would be gone with the next
 * statement, and meet somebody else (docs/adr/0016). The settings go out together with the first statement.
 */
export function withLocalSettings(
  sql: Sql,
  { schema, statementTimeoutMs }: { schema: string; statementTimeoutMs: number },
): Sql {
  type Tagged = (strings: TemplateStringsArray, ...values: never[]) => Promise<unknown>;
  const limit = `${statementTimeoutMs}`;
  const plainBegin = sql.begin as unknown as Begin;
  const begin: Begin = (...given) => {
    const [options, work] = given.length === 1 ? ['', given[0]] : given;
    return plainBegin(options, (transaction) => {
      void transaction`
        SELECT set_config('search_path', ${schema}, true),
               set_config('statement_timeout', ${limit}, true),
               set_config('idle_in_transaction_session_timeout', ${limit}, true)`.execute();
      return work(transaction);
    });
  };
  const tagged: Tagged = (strings, ...values) => {
    const query = (sql as unknown as Tagged)(strings, ...values);
    if (!Array.isArray(strings.raw)) {
      // A name or a list of values, for a statement.
      return query;
    }
    // A part of another statement is never waited for; what is waited for is a statement of its own.
    let running: Promise<unknown> | undefined;
    const run = () => {
      running ??= begin((transaction) => (transaction as unknown as Tagged)(strings, ...values));
      return running;
    };
    return Object.assign(query, {
      // biome-ignore lint/suspicious/noThenProperty: the driver's queries are promises that begin when they are waited for
      then: (...given: Parameters<Promise<unknown>['then']>) => run().then(...given),
      catch: (...given: Parameters<Promise<unknown>['catch']>) => run().catch(...given),
      finally: (...given: Parameters<Promise<unknown>['finally']>) => run().finally(...given),
    });
  };
  return new Proxy(sql, {
    apply: (_, __, given) => tagged(...(given as Parameters<Tagged>)),
    get: (target, name) => (name === 'begin' ? begin : Reflect.get(target, name)),
  });
}

async function databaseUrl(): Promise<string> {
  const secrets = new SecretsManagerClient(clientOptions(5_000, 3));
  const secretId = requireEnv(environmentNames.databaseSecretArn);
  try {
    const { SecretString: url } = await secrets.send(new GetSecretValueCommand({ SecretId: secretId }));
    if (!url) {
      throw new PipelineError(
        'MissingConfiguration',
        'The database secret is empty: it has to be a URL of the form postgresql://user:password@host:port/database',
      );
    }
    return url;
  } catch (error) {
    if (error instanceof PipelineError) {
      throw error;
    }
    const { name, httpStatus } = awsErrorDetails(error);
    const code: FailureName =
      name === 'ResourceNotFoundException'
        ? 'MissingConfiguration'
        : name === 'AccessDeniedException'
          ? 'AccessDenied'
          : httpStatus === undefined || httpStatus >= 500
            ? 'DatabaseUnavailable'
            : 'MissingConfiguration';
    throw new PipelineError(code, describeAwsError('Secrets Manager', error), { cause: error });
  }
}
