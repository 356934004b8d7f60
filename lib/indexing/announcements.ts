import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { RollcallConfig } from '../config/config.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import { DATABASE_CLIENT_TIMEOUT, type FaceDatabase } from '../database/face-database.ts';
import { acknowledge } from '../parts/acknowledge.ts';
import { allow } from '../parts/grants.ts';
import { LastingQueue } from '../parts/lasting-queue.ts';
import type { FunctionNetwork, PipelineFunction } from '../parts/pipeline-function.ts';
import type { PhotographerCaps } from './photographer-caps.ts';

/** A batch is written by the same few statements as one photo. Its locks have to fit PostgreSQL's lock table, 64 a connection. */
const BATCH_SIZE = 100;

/**
 * How long a batch is gathered. Where little comes in, Lambda may take up to 20 seconds all the same.
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
 */
const BATCH_WINDOW = Duration.seconds(1);

/** Longer than the function may take, six times over, and the window. */
const TRY_AGAIN_AFTER = Duration.minutes(10);

/** By then the photo's execution has long had its own say. */
const OF_USE_FOR = Duration.days(1);

interface AnnouncementsProps {
  readonly config: RollcallConfig;
  readonly database: FaceDatabase;
  /** Told whose each event is, where photographers have a cap of their own. */
  readonly photographerCaps: PhotographerCaps | undefined;
  /** Where database and tables can be reached; undefined is Lambda's own network. */
  readonly tablesNetwork: FunctionNetwork | undefined;
}

/**
 * Makes the rows of photos as they are uploaded, so that they can be seen as `processing` at once. Beside the executions and
 * not within them: it costs a request of a queue each instead of a transition and a function call, and holds up nobody.
 */
export class Announcements extends Construct {
  /** What the upload rule sends: inputs of executions. */
  readonly queue: Queue;
  readonly announcePhotos: PipelineFunction;

  constructor(scope: Construct, id: string, props: AnnouncementsProps) {
    super(scope, id);
    const { config, database, photographerCaps, tablesNetwork } = props;
    this.announcePhotos = new DatabaseFunction(this, 'AnnouncePhotos', {
      config,
      database,
      name: 'announce-photos',
      description: 'Makes the rows of photos that were just uploaded',
      timeout: DATABASE_CLIENT_TIMEOUT,
      ...(photographerCaps && { environment: photographerCaps.tellerEnvironment, network: tablesNetwork }),
    });
    photographerCaps?.allowCounting(this.announcePhotos);

    this.queue = new LastingQueue(this, 'Queue', {
      visibilityTimeout: TRY_AGAIN_AFTER,
      retentionPeriod: OF_USE_FOR,
    });
    acknowledge(
      this.queue,
      'An announcement that could not be written within a day is of no use to anybody: the execution writes the row',
      'AwsSolutions-SQS3',
      'Serverless-SQSRedrivePolicy',
    );
    // What Lambda's own poller needs, with the function's role; the function itself never calls SQS.
    allow(
      this.announcePhotos,
      ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'],
      this.queue.queueArn,
    );
    const mapping = new EventSourceMapping(this, 'Mapping', {
      target: this.announcePhotos,
      eventSourceArn: this.queue.queueArn,
      batchSize: BATCH_SIZE,
      maxBatchingWindow: BATCH_WINDOW,
      reportBatchItemFailures: true,
      // The least that Lambda takes: these connections are better spent on results.
      maxConcurrency: 2,
    });
    acknowledge(
      mapping,
      'What fails goes back to the queue: a destination is for streams',
      'Serverless-LambdaEventSourceMappingDestination',
    );
    // Lambda tries the right to read the queue when the mapping is made.
    mapping.node.addDependency(this.announcePhotos.role!);
  }
}
