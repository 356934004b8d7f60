import { ExecuteStatementCommand, type RDSDataClient } from '@aws-sdk/client-rds-data';
import { awsErrorDetails, describeAwsError, PipelineError } from '../shared/contract/errors.ts';

export interface BootstrapDatabaseDeps {
  rdsData: RDSDataClient;
  /** Waits, in milliseconds. */
  sleep(ms: number): Promise<unknown>;
  /** Milliseconds since the epoch. */
  now(): number;
}

export interface BootstrapTarget {
  clusterArn: string;
  /** The secret of a user that may create roles. */
  secretArn: string;
  database: string;
}

/** Four times what Aurora may take to wake after a day. */
const WAKING_MS = 120_000;
const PAUSE_MS = 3_000;

/**
 * What the Data API answers while the cluster wakes from zero capacity; the SDK retries none of them.
 * https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_ExecuteStatement.html
 */
const WAKING = new Set([
  'DatabaseResumingException',
  'DatabaseUnavailableException',
  'StatementTimeoutException',
]);

/** PostgreSQL's class 28, "Invalid Authorization Specification", as the Data API passes it on. */
const LOGIN_REFUSED = /SQLState: 28\w{3}|authentication failed/i;

/**
 * Runs one idempotent statement over the RDS Data API, which reaches a database that no IAM login knows yet.
 *
 * Since PostgreSQL 16 the creator of a role is a member of it, so the master is one of rds_iam through the roles that the
 * statement creates; and who is that logs in with an IAM token only. Whether RDS makes an exception for the master is written
 * nowhere. A master that is refused has therefore run the statement before: the migration, which comes next and logs in as
 * one of its roles, fails where that is not so.
 *
 * @returns whether the statement ran; false when the master may not log in
 * @throws PipelineError `DatabaseUnavailable` when the cluster does not wake within two minutes, `DatabaseMisconfigured`
 *   for every other answer
 */
export async function bootstrapDatabase(
  { rdsData, sleep, now }: BootstrapDatabaseDeps,
  { clusterArn, secretArn, database }: BootstrapTarget,
  sql: string,
): Promise<boolean> {
  const deadline = now() + WAKING_MS;
  for (;;) {
    try {
      await rdsData.send(new ExecuteStatementCommand({ resourceArn: clusterArn, secretArn, database, sql }));
      return true;
    } catch (error) {
      const { name, message } = awsErrorDetails(error);
      if (LOGIN_REFUSED.test(message)) {
        return false;
      }
      const waking = WAKING.has(name);
      if (!waking || now() >= deadline) {
        throw new PipelineError(
          waking ? 'DatabaseUnavailable' : 'DatabaseMisconfigured',
          describeAwsError('The RDS Data API', error),
          { cause: error },
        );
      }
      await sleep(PAUSE_MS);
    }
  }
}
