import { Duration } from 'aws-cdk-lib';
import { EventField, Match, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { DeadLetterQueue } from '../parts/lasting-queue.ts';
import type { PhotoBucket } from '../storage/buckets.ts';

interface UploadRuleProps {
  readonly photoBucket: PhotoBucket;
  readonly stateMachine: IStateMachine;
}

/** Starts an execution for every object in the photo bucket, and keeps the events for which that did not work. */
export class UploadRule extends Construct {
  /** Events that started no execution within a day, with the reason in their message attributes. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { photoBucket, stateMachine }: UploadRuleProps) {
    super(scope, id);
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters');
    const rule = new Rule(this, 'Rule', {
      description: 'A photo was uploaded: index its faces',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: {
          bucket: { name: [photoBucket.bucketName] },
          // The S3 console makes "folders" out of empty objects whose key ends so.
          object: { key: Match.anythingButSuffix('/') },
        },
      },
    });
    rule.addTarget(
      new SfnStateMachine(stateMachine, {
        input: RuleTargetInput.fromObject({
          lane: 'live',
          bucket: EventField.fromPath('$.detail.bucket.name'),
          // Whole, because an unversioned bucket sends no version-id, and a missing path would drop the event.
          object: EventField.fromPath('$.detail.object'),
          event_time: EventField.fromPath('$.time'),
        }),
        // All that EventBridge offers: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
        retryAttempts: 185,
        maxEventAge: Duration.hours(24),
        deadLetterQueue: this.deadLetters,
      }),
    );
  }
}
