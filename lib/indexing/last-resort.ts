import { Duration } from 'aws-cdk-lib';
import { Rule } from 'aws-cdk-lib/aws-events';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { acknowledge } from '../parts/acknowledge.ts';
import { allow } from '../parts/grants.ts';
import { DeadLetterQueue, LastingQueue } from '../parts/lasting-queue.ts';
import type { PipelineFunction } from '../parts/pipeline-function.ts';

/**
 * A message that could not be written comes again after this. Longer than the function may take, six times over, as
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html advises; and as long as a photo may be without
 * its end state after the database is back.
 */
const TRY_AGAIN_AFTER = Duration.minutes(10);

/** The most that SQS allows: with ten minutes between two attempts that is a week. */
const ATTEMPTS = 1_000;

interface LastResortProps {
  readonly stateMachine: IStateMachine;
  readonly markFailed: PipelineFunction;
}

/**
 * Gives a photo its end state when its execution could not: it was stopped by hand, took too long, ended while the
 * database was unavailable, or could never be started. The event of the execution's end, or that of the upload, waits in a queue until
 * `mark-failed` has written it.
 *
 * Step Functions sends these events as best effort; what gets lost on the way, the reconciler finds.
 */
export class LastResort extends Construct {
  /** Ends of executions, and uploads that started none, that are still to be written. */
  readonly queue: Queue;
  /** Those that could not be written within a week. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { stateMachine, markFailed }: LastResortProps) {
    super(scope, id);
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters');
    this.queue = new LastingQueue(this, 'Queue', {
      visibilityTimeout: TRY_AGAIN_AFTER,
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: ATTEMPTS },
    });
    const rule = new Rule(this, 'Rule', {
      description: 'An execution ended without success: make sure that its photo has an end state',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: {
          stateMachineArn: [stateMachine.stateMachineArn],
          status: ['FAILED', 'TIMED_OUT', 'ABORTED'],
        },
      },
    });
    rule.addTarget(
      new SqsQueue(this.queue, {
        retryAttempts: 185,
        maxEventAge: Duration.hours(24),
        deadLetterQueue: this.deadLetters,
      }),
    );

    // What Lambda's own poller needs, with the function's role; the function itself never calls SQS.
    allow(
      markFailed,
      ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'],
      this.queue.queueArn,
    );
    const mapping = new EventSourceMapping(this, 'Mapping', {
      target: markFailed,
      eventSourceArn: this.queue.queueArn,
      batchSize: 10,
      reportBatchItemFailures: true,
      // After an outage thousands of them come at once, each with a connection; photos being indexed go first.
      maxConcurrency: 5,
    });
    acknowledge(
      mapping,
      'What fails goes back to the queue, and from there to its dead-letter queue: a destination is for streams',
      'Serverless-LambdaEventSourceMappingDestination',
    );
    // Lambda tries the right to read the queue when the mapping is made.
    mapping.node.addDependency(markFailed.role!);
  }
}
