import { Duration } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import { EventField, Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import { Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import type { FaceDatabase } from '../database/face-database.ts';
import { acknowledge, objectsFinding } from '../parts/acknowledge.ts';
import { executionsOf } from '../parts/executions-of.ts';
import { allow, allowCollections } from '../parts/grants.ts';
import { PipelineFunction, type PipelineFunctionProps } from '../parts/pipeline-function.ts';
import { PipelineStateMachine } from '../parts/pipeline-state-machine.ts';
import type { ResultsBucket } from '../storage/buckets.ts';

/** Where its functions hand each other what they read, in the results bucket. */
export const RECONCILIATIONS = 'reconciliations/*';

interface ReconciliationProps {
  readonly config: RollcallConfig;
  readonly photoBucket: IBucket;
  readonly resultsBucket: ResultsBucket;
  readonly slotLedger: ITable;
  readonly database: FaceDatabase;
  /** Functions with Postgres use the results bucket through this. */
  readonly resultsNetwork: PipelineFunctionProps['network'];
  readonly indexPhoto: StateMachine;
  readonly eraseFaces: StateMachine;
  /** Writes what is mended in rows. */
  readonly answerOperator: PipelineFunction;
}

/**
 * Compares photo bucket, database and collections by itself, and mends: hourly if anything happened, daily in any case. One
 * function is in the network of the database, and three are outside.
 */
export class Reconciliation extends Construct {
  readonly stateMachine: StateMachine;
  /** The function with the database. */
  readonly readRows: PipelineFunction;

  constructor(scope: Construct, id: string, props: ReconciliationProps) {
    super(scope, id);
    const { config, photoBucket, resultsBucket, slotLedger, database, indexPhoto, eraseFaces } = props;
    const results = { [environmentNames.resultsBucket]: resultsBucket.bucketName };
    const photos = { [environmentNames.photoBucket]: photoBucket.bucketName };
    const prefix = { [environmentNames.collectionPrefix]: config.collectionPrefix };
    const ledger = { [environmentNames.ledgerTable]: slotLedger.tableName };
    const machines = {
      [environmentNames.indexPhotoStateMachine]: indexPhoto.stateMachineArn,
      [environmentNames.eraseFacesStateMachine]: eraseFaces.stateMachineArn,
    };

    const begin = new PipelineFunction(this, 'BeginReconciliation', {
      config,
      name: 'begin-reconciliation',
      description: 'Tells whether there is anything to compare, without waking the database',
      timeout: Duration.minutes(5),
      environment: {
        ...results,
        ...photos,
        ...prefix,
        ...ledger,
        ...machines,
        [environmentNames.reconcileMaxImages]: String(config.reconcileMaxImages),
      },
    });
    allow(begin, ['dynamodb:GetItem'], slotLedger.tableArn);
    allow(begin, ['s3:ListBucket'], photoBucket.bucketArn);
    allow(begin, ['rekognition:ListCollections'], '*');
    acknowledge(
      begin.role!,
      'ListCollections knows no resource: https://docs.aws.amazon.com/rekognition/latest/dg/security_iam_service-with-iam.html',
      'AwsSolutions-IAM5[Resource::*]',
    );

    this.readRows = new DatabaseFunction(this, 'ReadRows', {
      config,
      database,
      name: 'read-rows',
      description: 'Reads what the database knows of events, for their reconciliation',
      timeout: Duration.minutes(5),
      memorySize: 1_024,
      environment: results,
      network: props.resultsNetwork ?? database.network,
    });

    const survey = new PipelineFunction(this, 'SurveyEvents', {
      config,
      name: 'survey-events',
      description: 'Reads collections and photo bucket, and deletes collections without an event',
      timeout: Duration.minutes(10),
      memorySize: 1_024,
      environment: {
        ...results,
        ...photos,
        ...prefix,
        [environmentNames.photoBucketVersioned]: String(config.photoBucketVersioned),
        [environmentNames.abandonedCollectionDays]: String(config.abandonedCollectionDays),
      },
    });
    allowCollections(survey, config, [
      'rekognition:ListFaces',
      'rekognition:DescribeCollection',
      'rekognition:DeleteCollection',
    ]);
    allow(survey, ['s3:ListBucket'], photoBucket.bucketArn);
    if (config.photoBucketVersioned) {
      this.lookAtPhotos(survey, photoBucket, config);
    }

    const mend = new PipelineFunction(this, 'MendDisagreements', {
      config,
      name: 'mend-disagreements',
      description: 'Compares events, starts what mends them and tells of the rest',
      timeout: Duration.minutes(5),
      memorySize: 1_024,
      environment: {
        ...results,
        ...photos,
        ...prefix,
        ...ledger,
        ...machines,
        [environmentNames.dailyImageCap]: String(config.dailyImageCap),
      },
    });
    allow(mend, ['dynamodb:GetItem'], slotLedger.tableArn);
    allow(mend, ['s3:ListBucket'], photoBucket.bucketArn);
    this.lookAtPhotos(mend, photoBucket, config);
    allow(mend, ['s3:DeleteObject'], resultsBucket.arnForObjects(RECONCILIATIONS));
    allow(mend, ['states:StartExecution'], indexPhoto.stateMachineArn, eraseFaces.stateMachineArn);
    for (const machine of [indexPhoto, eraseFaces]) {
      const executions = executionsOf(machine);
      allow(mend, ['states:DescribeExecution'], executions.arn);
      acknowledge(mend.role!, 'Executions have no names beforehand', executions.finding);
    }

    const functions = [begin, this.readRows, survey, mend];
    for (const fn of functions) {
      const objects = resultsBucket.arnForObjects(RECONCILIATIONS);
      allow(fn, ['s3:GetObject', 's3:PutObject'], objects);
      allow(fn, ['s3:ListBucket'], resultsBucket.bucketArn);
      acknowledge(
        fn.role!,
        'Each run has a folder of its own below: only the one that they lie in is known beforehand',
        objectsFinding(resultsBucket, RECONCILIATIONS),
      );
    }

    const called = [...functions, props.answerOperator];
    this.stateMachine = new PipelineStateMachine(this, 'StateMachine', {
      config,
      definition: 'reconcile.asl.json',
      substitutions: Object.fromEntries(called.map((fn) => [`${fn.node.id}FunctionArn`, fn.functionArn])),
    });
    allow(this.stateMachine, ['lambda:InvokeFunction'], ...called.map((fn) => fn.functionArn));
    // In a policy of its own: the machine waits for its functions, and they for their roles' default policies.
    new Policy(this, 'ExecutionsPolicy', {
      roles: [begin.role!],
      statements: [
        new PolicyStatement({
          actions: ['states:ListExecutions'],
          resources: [this.stateMachine, indexPhoto, eraseFaces].map((machine) => machine.stateMachineArn),
        }),
      ],
    });
    this.schedule();
  }

  /** Metadata only; but S3 knows no right of its own for that. */
  private lookAtPhotos(fn: PipelineFunction, photoBucket: IBucket, config: RollcallConfig): void {
    allow(fn, ['s3:GetObject'], photoBucket.arnForObjects(`${config.eventsFolder}*`));
    acknowledge(
      fn.role!,
      'One object a photo: only the folder that it lies in is known beforehand',
      objectsFinding(photoBucket, `${config.eventsFolder}*`),
    );
  }

  private schedule(): void {
    const rule = (id: string, description: string, schedule: Schedule, scope: 'changed' | 'all') => {
      const target = new SfnStateMachine(this.stateMachine, {
        input: RuleTargetInput.fromObject({ scope, as_of: EventField.fromPath('$.time') }),
        // The next run finds what this one would have found.
        retryAttempts: 10,
        maxEventAge: Duration.hours(1),
      });
      acknowledge(
        new Rule(this, id, { description, schedule, targets: [target] }),
        'A run that could not be started is followed by the next one, and an alarm tells if none ends in a day',
        'Serverless-EventBusDLQ',
      );
    };
    rule(
      'Hourly',
      'Compare the events of the last days, if anything happened',
      Schedule.cron({ minute: '15' }),
      'changed',
    );
    // Right after the daily look for events that are over: Aurora wakes once for both.
    rule('Daily', 'Compare all events', Schedule.cron({ hour: '3', minute: '33' }), 'all');
  }
}
