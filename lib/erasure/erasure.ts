import { Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import { DATABASE_CLIENT_TIMEOUT, type FaceDatabase } from '../database/face-database.ts';
import { acknowledge, objectsFinding } from '../parts/acknowledge.ts';
import { allow, allowCollections } from '../parts/grants.ts';
import { PipelineFunction } from '../parts/pipeline-function.ts';
import { PipelineStateMachine } from '../parts/pipeline-state-machine.ts';
import type { ResultsBucket } from '../storage/buckets.ts';

interface ErasureProps {
  readonly config: RollcallConfig;
  readonly resultsBucket: ResultsBucket;
  readonly database: FaceDatabase;
}

/**
 * The state machine that erases faces, and its functions: three with the database, and one outside its network that
 * removes from Rekognition and from the results bucket.
 */
export class Erasure extends Construct {
  readonly stateMachine: StateMachine;
  /** The functions that read and write the schema. */
  readonly databaseClients: PipelineFunction[];

  constructor(scope: Construct, id: string, { config, resultsBucket, database }: ErasureProps) {
    super(scope, id);
    const requestErasure = new DatabaseFunction(this, 'RequestErasure', {
      config,
      database,
      name: 'request-erasure',
      description: 'Writes down what has to be erased and takes it out of use',
      // Some thousand events can expire on one day.
      timeout: Duration.minutes(2),
      environment: {
        [environmentNames.collectionPrefix]: config.collectionPrefix,
        [environmentNames.faceRetentionDays]: String(config.faceRetentionDays),
        [environmentNames.searchRetentionDays]: String(config.searchRetentionDays),
      },
    });
    const listErasures = new DatabaseFunction(this, 'ListErasures', {
      config,
      database,
      name: 'list-erasures',
      description: 'Tells what is to be removed next, and whose turn it is',
      timeout: DATABASE_CLIENT_TIMEOUT,
      environment: { [environmentNames.collectionPrefix]: config.collectionPrefix },
    });
    const confirmErasure = new DatabaseFunction(this, 'ConfirmErasure', {
      config,
      database,
      name: 'confirm-erasure',
      description: 'Forgets what is removed, and completes the receipts',
      timeout: DATABASE_CLIENT_TIMEOUT,
    });
    this.databaseClients = [requestErasure, listErasures, confirmErasure];

    const removeFaces = new PipelineFunction(this, 'RemoveFaces', {
      config,
      name: 'remove-faces',
      description: 'Removes faces and collections from Rekognition, and stored responses',
      // Searching a collection of a million faces takes 250 calls at 5 a second.
      timeout: Duration.minutes(5),
      environment: { [environmentNames.resultsBucket]: resultsBucket.bucketName },
    });
    allowCollections(removeFaces, config, [
      'rekognition:DeleteCollection',
      'rekognition:DeleteFaces',
      'rekognition:ListFaces',
    ]);
    allow(removeFaces, ['s3:DeleteObject'], resultsBucket.arnForObjects('results/*'));
    removeFaces.addToRolePolicy(
      new PolicyStatement({
        actions: ['s3:ListBucket'],
        resources: [resultsBucket.bucketArn],
        conditions: { StringLike: { 's3:prefix': 'results/*' } },
      }),
    );
    acknowledge(
      removeFaces.role!,
      'One object a photo: only the folder that it lies in is known beforehand',
      objectsFinding(resultsBucket, 'results/*'),
    );

    const functions = {
      RequestErasure: requestErasure,
      ListErasures: listErasures,
      RemoveFaces: removeFaces,
      ConfirmErasure: confirmErasure,
    };
    this.stateMachine = new PipelineStateMachine(this, 'StateMachine', {
      config,
      definition: 'erase-faces.asl.json',
      substitutions: Object.fromEntries(
        Object.entries(functions).map(([state, fn]) => [`${state}FunctionArn`, fn.functionArn]),
      ),
    });
    allow(
      this.stateMachine,
      ['lambda:InvokeFunction'],
      ...Object.values(functions).map((fn) => fn.functionArn),
    );
  }
}
