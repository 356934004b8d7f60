import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption, type QueueProps } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** A queue that keeps its messages as long as SQS keeps anything: time to notice, mend and replay. */
export class LastingQueue extends Queue {
  constructor(scope: Construct, id: string, props: QueueProps = {}) {
    super(scope, id, {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
      ...props,
    });
  }
}

/** Where what cannot be delivered, or handled, waits for an operator. */
export class DeadLetterQueue extends LastingQueue {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    acknowledge(
      this,
      'This is a dead-letter queue, of rules too, which the pack does not look for: nothing reads from it by itself',
      'AwsSolutions-SQS3',
      'Serverless-SQSRedrivePolicy',
    );
  }
}
