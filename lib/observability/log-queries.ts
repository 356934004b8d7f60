import { CfnQueryDefinition, type ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { logEvents } from '../../lambdas/shared/contract/names.ts';
import { deploymentName } from '../parts/deployment-name.ts';

/**
 * The questions that an operator asks of the logs, saved where CloudWatch lists them (Logs Insights, "Saved queries").
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
 */
export const logQueries = {
  // A key that cannot be parsed has no photo id.
  "one photo's history": `fields @timestamp, event, message, error_type, attempt, duration_ms, execution_arn
| filter photo_id = "PUT-THE-PHOTO-ID-HERE" or key = "OR-THE-KEY"
| sort @timestamp asc
| limit 1000`,
  'errors by code': `filter event in ["${logEvents.failed}", "${logEvents.attemptFailed}"]
| stats count(*) as times, count_distinct(photo_id) as photos, latest(@timestamp) as last by event, error_type
| sort photos desc
| limit 100`,
  'slowest photos': `filter event = "${logEvents.succeeded}"
| fields @timestamp, photo_id, event_id, duration_ms, attempt, face_count, execution_arn
| sort duration_ms desc
| limit 50`,
};

interface LogQueriesProps {
  /** Of the functions that handle photos. */
  readonly logGroups: readonly ILogGroup[];
}

export class LogQueries extends Construct {
  constructor(scope: Construct, id: string, { logGroups }: LogQueriesProps) {
    super(scope, id);
    for (const [name, queryString] of Object.entries(logQueries)) {
      new CfnQueryDefinition(this, name, {
        name: `${deploymentName(this)}/${name}`,
        queryString,
        logGroupNames: logGroups.map((group) => group.logGroupName),
      });
    }
  }
}
