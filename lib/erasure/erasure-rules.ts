import { Duration } from 'aws-cdk-lib';
import {
  EventField,
  type EventPattern,
  Match,
  Rule,
  RuleTargetInput,
  Schedule,
} from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { photoKeys } from '../indexing/upload-rule.ts';
import { DeadLetterQueue } from '../parts/lasting-queue.ts';

interface ErasureRulesProps {
  readonly photoBucket: IBucket;
  /** As for the uploads. */
  readonly folder?: string | undefined;
  readonly indexPhoto: IStateMachine;
  readonly eraseFaces: IStateMachine;
}

/**
 * What starts an erasure by itself: a deleted photo, an indexed photo that left faces behind, and once a day the events
 * whose time is over. The daily one also takes along what the other two may have missed.
 */
export class ErasureRules extends Construct {
  /** Events that started no erasure within a day, with the reason in their message attributes. */
  readonly deadLetters: Queue;
  private readonly eraseFaces: IStateMachine;

  constructor(
    scope: Construct,
    id: string,
    { photoBucket, folder, indexPhoto, eraseFaces }: ErasureRulesProps,
  ) {
    super(scope, id);
    this.eraseFaces = eraseFaces;
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters');
    this.onEvent(
      'Deletions',
      'A photo was deleted, or hidden by a delete marker: erase its faces',
      {
        source: ['aws.s3'],
        detailType: ['Object Deleted'],
        detail: {
          bucket: { name: [photoBucket.bucketName] },
          object: { key: photoKeys(folder) },
        },
      },
      {
        request: 'photo_deleted',
        object: EventField.fromPath('$.detail.object'),
        deletion_type: EventField.fromPath('$.detail.deletion-type'),
      },
    );
    this.onEvent(
      'Leftovers',
      'A photo left faces behind that belong to none any more: erase them',
      {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: {
          stateMachineArn: [indexPhoto.stateMachineArn],
          status: ['SUCCEEDED'],
          // The output is text in this event.
          output: Match.wildcard('*"erasure_requested":true*'),
        },
      },
      { request: 'outbox' },
    );
    new Rule(this, 'Daily', {
      description: 'Erase the faces of events whose time is over',
      // In the small hours of Europe, late evening in the Americas: an erasure takes from nobody but DeleteFaces.
      schedule: Schedule.cron({ hour: '3', minute: '30' }),
      targets: [this.target({ request: 'retention', as_of: EventField.fromPath('$.time') })],
    });
  }

  private onEvent(id: string, description: string, eventPattern: EventPattern, input: object): void {
    new Rule(this, id, { description, eventPattern, targets: [this.target(input)] });
  }

  private target(input: object): SfnStateMachine {
    return new SfnStateMachine(this.eraseFaces, {
      input: RuleTargetInput.fromObject(input),
      // All that EventBridge offers: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
      retryAttempts: 185,
      maxEventAge: Duration.hours(24),
      deadLetterQueue: this.deadLetters,
    });
  }
}
