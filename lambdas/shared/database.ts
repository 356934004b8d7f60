import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Signer } from '@aws-sdk/rds-signer';
import postgres from 'postgres';
import { clientOptions } from './clients.ts';
import { databaseError, isUsableAfter } from './database-errors.ts';
import { type DatabaseTarget, parseDatabaseUrl } from './database-url.ts';
import { requireEnv, requireNumberEnv } from './environment.ts';
import { awsErrorDetails, describeAwsError, type FailureName, PipelineError } from './errors.ts';
import { isWriteToLostConnection } from './lost-connection.ts';
import { environmentNames, logEvents } from './names.ts';
import { logger } from './telemetry.ts';

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

const auroraSession = {
  application_name: 'rollcall',
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
  if (requireEnv(environmentNames.databaseAuth) === 'secret') {
    const target = parseDatabaseUrl(await databaseUrl());
    if (target.leftOut.length > 0) {
      logger.info('The database URL has parameters that mean nothing here', {
        event: logEvents.urlParametersLeftOut,
        parameters: target.leftOut,
      });
    }
    const authority = process.env[environmentNames.databaseCaFile];
    return openTarget(
      target,
      authority && (await readFile(path.join(import.meta.dirname, authority), 'utf8')),
    );
  }
  const host = requireEnv(environmentNames.databaseHost);
  const port = requireNumberEnv(environmentNames.databasePort);
  const user = requireEnv(environmentNames.databaseUser);
  // A token is good for 15 minutes and made without a request, so each connection gets a fresh one.
  const signer = new Signer({ hostname: host, port, username: user });
  return open(host, {
    port,
    user,
    password: () => signer.getAuthToken(),
    database: requireEnv(environmentNames.databaseName),
    connection: auroraSession,
  });
}

/**
 * Opens a connection to where a URL leads: with several hosts, to the first that takes writes.
 *
 * @param authority PEM of the one authority that is trusted; undefined for those of Node and NODE_EXTRA_CA_CERTS
 * @throws PipelineError `DatabaseUnavailable` when none of several hosts takes writes; whatever the last of them failed with
 */
export async function openTarget(
  target: DatabaseTarget,
  authority: string | undefined,
  statementTimeoutMs = STATEMENT_TIMEOUT_MS,
): Promise<Sql> {
  const { hosts, user, password, database } = target;
  const openHost = ({ host, port }: DatabaseTarget['hosts'][number]) =>
    withLocalTimeouts(
      open(host, {
        port,
        user,
        // An empty one, because the driver looks for another elsewhere.
        password: password ?? '',
        database,
        // Poolers refuse every other setting at the start.
        connection: { application_name: auroraSession.application_name, ...target.startup },
        connect_timeout: CONNECT_TIMEOUT_SECONDS / hosts.length,
        // The driver's types know neither.
        ...({ sslnegotiation: target.directTls ? 'direct' : null } as object),
        ssl: { minVersion: target.minTlsVersion, ...(authority && { ca: authority }) },
      }),
      statementTimeoutMs,
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
  return postgres({
    ...connectionOptions,
    ...options,
    host,
    // The driver names no host where it is an address, and Node would look for "localhost" in the certificate.
    ssl: { ...ssl, host, rejectUnauthorized: true },
  });
}

/**
 * Limits the statements of every transaction from within it: behind a pooler that is the only place that is the same
 * connection throughout. It goes out together with the transaction's first statement, so it costs no time.
 */
function withLocalTimeouts(sql: Sql, statementTimeoutMs: number): Sql {
  type Work = (transaction: postgres.TransactionSql) => unknown;
  const limit = `${statementTimeoutMs}`;
  const begin = sql.begin.bind(sql) as unknown as (options: string, work: Work) => Promise<unknown>;
  const beginWithin = (...given: [Work] | [string, Work]) => {
    const [options, work] = given.length === 1 ? ['', given[0]] : given;
    return begin(options, (transaction) => {
      void transaction`
        SELECT set_config('statement_timeout', ${limit}, true),
               set_config('idle_in_transaction_session_timeout', ${limit}, true)`.execute();
      return work(transaction);
    });
  };
  return Object.assign(sql, { begin: beginWithin as unknown as Sql['begin'] });
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
