import { Duration } from 'aws-cdk-lib';
import { EventField, Match, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SfnStateMachine, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { acknowledge } from '../parts/acknowledge.ts';

/**
 * The keys that are looked at. The S3 console makes "folders" out of empty objects whose key ends with a slash; a pattern can ask for
 * one thing only, so in a bucket with other folders such an object counts as an upload of no event.
 */
export function photoKeys(folder: string | undefined) {
  return folder === undefined ? Match.anythingButSuffix('/') : Match.prefix(folder);
}

interface UploadRuleProps {
  readonly photoBucket: IBucket;
  /** What is in another folder is not looked at; undefined where all of the bucket is the pipeline's. */
  readonly folder?: string | undefined;
  readonly stateMachine: IStateMachine;
  readonly announcements: Queue;
  /** What started no execution within a day, with the reason in its message attributes. */
  readonly lastResort: Queue;
}

/**
 * Announces every object in the photo bucket and starts an execution for it. Where that does not work, the photo is failed by the
 * last resort.
 */
export class UploadRule extends Construct {
  constructor(
    scope: Construct,
    id: string,
    { photoBucket, folder, stateMachine, announcements, lastResort }: UploadRuleProps,
  ) {
    super(scope, id);
    const rule = new Rule(this, 'Rule', {
      description: 'A photo was uploaded: index its faces',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: {
          bucket: { name: [photoBucket.bucketName] },
          object: { key: photoKeys(folder) },
        },
      },
    });
    const input = RuleTargetInput.fromObject({
      lane: 'live',
      bucket: EventField.fromPath('$.detail.bucket.name'),
      // Whole, because an unversioned bucket sends no version-id, and a missing path would drop the event.
      object: EventField.fromPath('$.detail.object'),
      event_time: EventField.fromPath('$.time'),
    });
    rule.addTarget(
      new SfnStateMachine(stateMachine, {
        input,
        // All that EventBridge offers: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
        retryAttempts: 185,
        maxEventAge: Duration.hours(24),
        deadLetterQueue: lastResort,
      }),
    );
    rule.addTarget(new SqsQueue(announcements, { message: input, maxEventAge: Duration.hours(1) }));
    acknowledge(
      rule,
      'What starts no execution goes to the last resort. An announcement needs none: the photo is indexed all the same',
      'Serverless-EventBusDLQ',
    );
  }
}
