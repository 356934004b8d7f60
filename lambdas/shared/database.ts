import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Signer } from '@aws-sdk/rds-signer';
import postgres from 'postgres';
import { clientOptions } from './clients.ts';
import { requireEnv, requireNumberEnv } from './environment.ts';
import { awsErrorDetails, describeAwsError, type FailureName, PipelineError, property } from './errors.ts';
import { isWriteToLostConnection } from './lost-connection.ts';
import { environmentNames } from './names.ts';

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

let current: { sql: Sql; lastUsedMs: number } | undefined;

/**
 * Runs `work` with this environment's one connection, opened on first use.
 *
 * @throws PipelineError `DatabaseUnavailable` (worth retrying), `DatabaseMisconfigured`, `AccessDenied` (the secret),
 *   `MissingConfiguration`, `InternalError`, and what `work` throws of its own
 */
export async function withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result> {
  try {
    if (current && Date.now() - current.lastUsedMs > REPLACE_AFTER_IDLE_MS) {
      const stale = current.sql;
      current = undefined;
      stale.end({ timeout: 0 }).catch(() => {});
    }
    current ??= { sql: await connect(), lastUsedMs: Date.now() };
    const result = await work(current.sql);
    current.lastUsedMs = Date.now();
    return result;
  } catch (error) {
    if (!isUsableAfter(error)) {
      current?.sql.end({ timeout: 0 }).catch(() => {});
      current = undefined;
    }
    throw databaseError(error);
  }
}

/**
 * Whether the connection can serve another invocation: after an error of our own or one that the server answered with. A
 * connection that broke inside a transaction leaves postgres.js in a state in which every later query fails too.
 */
function isUsableAfter(error: unknown): boolean {
  return error instanceof PipelineError || (error as { severity?: unknown } | null)?.severity === 'ERROR';
}

async function connect(): Promise<Sql> {
  if (requireEnv(environmentNames.databaseAuth) === 'secret') {
    // The URL's own sslmode may ask for less; the certificate is verified all the same. Poolers in front of hosted
    // databases refuse settings at start-up, so there are none.
    return postgres(await databaseUrl(), { ...connectionOptions, ssl: 'verify-full' });
  }
  const hostname = requireEnv(environmentNames.databaseHost);
  const port = requireNumberEnv(environmentNames.databasePort);
  const username = requireEnv(environmentNames.databaseUser);
  // A token is good for 15 minutes and made without a request, so each connection gets a fresh one.
  const signer = new Signer({ hostname, port, username });
  return postgres({
    ...connectionOptions,
    connection: auroraSession,
    host: hostname,
    port,
    user: username,
    database: requireEnv(environmentNames.databaseName),
    password: () => signer.getAuthToken(),
    ssl: 'verify-full',
  });
}

async function databaseUrl(): Promise<string> {
  const secrets = new SecretsManagerClient(clientOptions(5_000, 3));
  const secretId = requireEnv(environmentNames.databaseSecretArn);
  try {
    const { SecretString: url } = await secrets.send(new GetSecretValueCommand({ SecretId: secretId }));
    if (!url || !/^postgres(ql)?:\/\//.test(url)) {
      throw new PipelineError(
        'MissingConfiguration',
        'The database secret does not hold a URL of the form postgresql://user:password@host:port/database',
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

/**
 * What of PostgreSQL's errors passes by itself: connection trouble (class 08, 57P0x), conflicts between transactions
 * (40001, 40P01, 55P03), exhausted or failing server (53, 58, XX), timeouts (57014, 25P03).
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const PASSING_SQLSTATE = /^(08...|40001|40P01|55P03|53...|57P0.|57014|57P05|25P0[34]|58...|XX...)$/;

/** Authentication, a missing database, missing rights or tables: an engineer has to act. */
const SETUP_SQLSTATE = /^(28...|3D000|3F000|42...)$/;

const PASSING_CONNECTION_ERRORS = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Gives an error of postgres.js or PostgreSQL the name that the state machine routes by. */
export function databaseError(error: unknown): PipelineError {
  if (error instanceof PipelineError) {
    return error;
  }
  const { message } = awsErrorDetails(error);
  const found = property(error, 'code');
  const code = typeof found === 'string' ? found : '';
  const renamed = (name: FailureName) =>
    new PipelineError(name, `PostgreSQL ${code || 'error'}: ${message}`, { cause: error });
  if (PASSING_CONNECTION_ERRORS.has(code) || PASSING_SQLSTATE.test(code)) {
    return renamed('DatabaseUnavailable');
  }
  if (SETUP_SQLSTATE.test(code) || /CERT|TLS|SSL/.test(code)) {
    return renamed('DatabaseMisconfigured');
  }
  return renamed('InternalError');
}
