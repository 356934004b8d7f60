import { Stack } from 'aws-cdk-lib';
import { type ILogGroup, QueryDefinition, QueryString } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { logEvents } from '../lambdas/shared/names.ts';

/**
 * The questions that an operator asks of the logs, saved where CloudWatch lists them (Logs Insights, "Saved queries").
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
 */
export const logQueries = {
  "one photo's history": {
    fields: ['@timestamp', 'event', 'message', 'error_type', 'attempt', 'duration_ms', 'execution_arn'],
    // A key that cannot be parsed has no photo id.
    filterStatements: ['photo_id = "PUT-THE-PHOTO-ID-HERE" or key = "OR-THE-KEY"'],
    sort: '@timestamp asc',
    limit: 1_000,
  },
  'errors by code': {
    filterStatements: [`event in ["${logEvents.failed}", "${logEvents.attemptFailed}"]`],
    stats:
      'count(*) as times, count_distinct(photo_id) as photos, latest(@timestamp) as last by event, error_type',
    sort: 'photos desc',
    limit: 100,
  },
  'slowest photos': {
    fields: ['@timestamp', 'photo_id', 'event_id', 'duration_ms', 'attempt', 'face_count', 'execution_arn'],
    filterStatements: [`event = "${logEvents.succeeded}"`],
    sort: 'duration_ms desc',
    limit: 50,
  },
} as const satisfies Record<string, ConstructorParameters<typeof QueryString>[0]>;

interface LogQueriesProps {
  /** Of the functions that handle photos. */
  readonly logGroups: readonly ILogGroup[];
}

export class LogQueries extends Construct {
  constructor(scope: Construct, id: string, { logGroups }: LogQueriesProps) {
    super(scope, id);
    for (const [name, query] of Object.entries(logQueries)) {
      new QueryDefinition(this, name, {
        queryDefinitionName: `${Stack.of(this).stackName}/${name}`,
        queryString: new QueryString({ ...query } as ConstructorParameters<typeof QueryString>[0]),
        logGroups: [...logGroups],
      });
    }
  }
}
