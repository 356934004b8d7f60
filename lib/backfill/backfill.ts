import { Aws, Stack } from 'aws-cdk-lib';
import { Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import { DATABASE_CLIENT_TIMEOUT, type FaceDatabase } from '../database/face-database.ts';
import { acknowledge, objectsFinding } from '../parts/acknowledge.ts';
import { executionsOf } from '../parts/executions-of.ts';
import { allow } from '../parts/grants.ts';
import type { PipelineFunction, PipelineFunctionProps } from '../parts/pipeline-function.ts';
import { PipelineStateMachine } from '../parts/pipeline-state-machine.ts';
import type { ResultsBucket } from '../storage/buckets.ts';

interface BackfillProps {
  readonly config: RollcallConfig;
  readonly photoBucket: IBucket;
  readonly resultsBucket: ResultsBucket;
  readonly database: FaceDatabase;
  /** Reaches Postgres, and the photo bucket where that has versions. */
  readonly network: PipelineFunctionProps['network'];
  readonly indexPhoto: StateMachine;
}

/** Indexes what lies in the bucket already: a Distributed Map over its listing, and the function that skips what is indexed. */
export class Backfill extends Construct {
  readonly stateMachine: StateMachine;
  readonly skipIndexed: PipelineFunction;

  constructor(scope: Construct, id: string, props: BackfillProps) {
    super(scope, id);
    const { config, photoBucket, resultsBucket, database, indexPhoto } = props;
    this.skipIndexed = new DatabaseFunction(this, 'SkipIndexed', {
      config,
      database,
      name: 'skip-indexed',
      description: 'Tells which listed photos are left to index',
      timeout: DATABASE_CLIENT_TIMEOUT,
      environment: { [environmentNames.photoBucketVersioned]: String(config.photoBucketVersioned) },
      network: props.network,
    });
    if (config.photoBucketVersioned) {
      allow(this.skipIndexed, ['s3:GetObject'], photoBucket.arnForObjects(`${config.eventsFolder}*`));
      allow(this.skipIndexed, ['s3:ListBucket'], photoBucket.bucketArn);
      acknowledge(
        this.skipIndexed.role!,
        'One object a photo: only the folder that it lies in is known beforehand',
        objectsFinding(photoBucket, `${config.eventsFolder}*`),
      );
    }
    this.stateMachine = new PipelineStateMachine(this, 'StateMachine', {
      config,
      definition: 'backfill.asl.json',
      substitutions: {
        Partition: Aws.PARTITION,
        PhotoBucketName: photoBucket.bucketName,
        ResultsBucketName: resultsBucket.bucketName,
        SkipIndexedFunctionArn: this.skipIndexed.functionArn,
        IndexPhotoStateMachineArn: indexPhoto.stateMachineArn,
      },
    });
    allow(this.stateMachine, ['lambda:InvokeFunction'], this.skipIndexed.functionArn);
    allow(this.stateMachine, ['s3:ListBucket'], photoBucket.bucketArn);
    this.writeResults(resultsBucket);
    this.startPhotos(indexPhoto);
    this.startBatches();
  }

  /** https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html: to start an execution and wait for it. */
  private startPhotos(indexPhoto: StateMachine): void {
    const stack = Stack.of(this);
    const executions = executionsOf(indexPhoto);
    allow(this.stateMachine, ['states:StartExecution'], indexPhoto.stateMachineArn);
    allow(this.stateMachine, ['states:DescribeExecution', 'states:StopExecution'], executions.arn);
    allow(
      this.stateMachine,
      ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      stack.formatArn({
        service: 'events',
        resource: 'rule',
        resourceName: 'StepFunctionsGetEventsForStepFunctionsExecutionRule',
      }),
    );
    acknowledge(
      this.stateMachine.role,
      'Executions of one machine, which have no names beforehand',
      executions.finding,
    );
  }

  /**
   * https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html. In a policy of its own, because the
   * machine waits for its role's default policy, and that cannot name the machine.
   */
  private startBatches(): void {
    const executions = executionsOf(this.stateMachine);
    const policy = new Policy(this, 'BatchesPolicy', {
      roles: [this.stateMachine.role],
      statements: [
        new PolicyStatement({
          actions: ['states:StartExecution'],
          resources: [this.stateMachine.stateMachineArn],
        }),
        new PolicyStatement({
          actions: ['states:DescribeExecution', 'states:StopExecution'],
          resources: [executions.arn],
        }),
        // https://docs.aws.amazon.com/step-functions/latest/dg/redrive-map-run.html
        new PolicyStatement({ actions: ['states:RedriveExecution'], resources: [executions.batchesArn] }),
      ],
    });
    acknowledge(
      policy,
      'Executions of one machine, which have no names beforehand',
      executions.finding,
      executions.batchesFinding,
    );
  }

  /** https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html */
  private writeResults(resultsBucket: ResultsBucket): void {
    allow(
      this.stateMachine,
      ['s3:PutObject', 's3:GetObject', 's3:ListMultipartUploadParts', 's3:AbortMultipartUpload'],
      resultsBucket.arnForObjects('backfills/*'),
    );
    acknowledge(
      this.stateMachine.role,
      'Step Functions names the objects',
      objectsFinding(resultsBucket, 'backfills/*'),
    );
  }
}
