import { ExecuteStatementCommand, type RDSDataClient } from '@aws-sdk/client-rds-data';
import { awsErrorDetails, describeAwsError, PipelineError } from '../shared/errors.ts';

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

/** Four times what Aurora says it takes to wake. */
const WAKING_MS = 60_000;
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

/**
 * Runs one idempotent statement over the RDS Data API, which reaches a database that no IAM login knows yet.
 *
 * @throws PipelineError `DatabaseUnavailable` when the cluster does not wake within a minute, `DatabaseMisconfigured`
 *   for every other answer
 */
export async function bootstrapDatabase(
  { rdsData, sleep, now }: BootstrapDatabaseDeps,
  { clusterArn, secretArn, database }: BootstrapTarget,
  sql: string,
): Promise<void> {
  const deadline = now() + WAKING_MS;
  for (;;) {
    try {
      await rdsData.send(new ExecuteStatementCommand({ resourceArn: clusterArn, secretArn, database, sql }));
      return;
    } catch (error) {
      const waking = WAKING.has(awsErrorDetails(error).name);
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
