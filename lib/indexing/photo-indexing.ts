import { Aws, Duration } from 'aws-cdk-lib';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { environmentNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { indexFacesRate } from '../config/index-faces-rate.ts';
import { DatabaseFunction } from '../database/database-function.ts';
import { DATABASE_CLIENT_TIMEOUT, type FaceDatabase } from '../database/face-database.ts';
import { acknowledge, objectsFinding } from '../parts/acknowledge.ts';
import { allow, allowCollections } from '../parts/grants.ts';
import { PipelineFunction, type PipelineFunctionProps } from '../parts/pipeline-function.ts';
import { PipelineStateMachine } from '../parts/pipeline-state-machine.ts';
import type { ResultsBucket } from '../storage/buckets.ts';
import type { IdempotencyTable } from '../storage/tables.ts';
import type { PhotographerCaps } from './photographer-caps.ts';
import { allowReadingQuota } from './quota-reading.ts';

/**
 * Of the functions that run for every photo and mostly wait: for S3, for the database, for their slot and for Rekognition. Waiting
 * is billed by memory, and what the others have would take three quarters of a percent more for a photo.
 */
const EACH_PHOTO_MEMORY_MEGABYTES = 256;

interface PhotoIndexingProps {
  readonly config: RollcallConfig;
  readonly photoBucket: IBucket;
  readonly resultsBucket: ResultsBucket;
  readonly idempotencyTable: IdempotencyTable;
  /** This stack's, or another's in the same account and Region. */
  readonly slotLedger: ITable;
  /** Where photographers have a cap of their own. */
  readonly photographerCaps: PhotographerCaps | undefined;
  readonly database: FaceDatabase;
  /** Functions with Postgres read the results bucket through this. */
  readonly resultsNetwork: PipelineFunctionProps['network'];
  /** Started when a photo leaves faces behind, or waits for some to be erased. */
  readonly eraseFaces: StateMachine;
}

/** The state machine that indexes one photo, and the five functions that it calls. */
export class PhotoIndexing extends Construct {
  readonly stateMachine: StateMachine;
  /** The functions that read and write the schema. */
  readonly databaseClients: PipelineFunction[];
  readonly markFailed: PipelineFunction;
  /** All of them, by the state that calls them. */
  readonly functions: Readonly<Record<string, PipelineFunction>>;
  /** IndexFaces calls per second that are aimed at, as text: CloudFormation may look it up. */
  readonly rate: string;
  /** The pace and the daily cap, as environment variables of whoever reads the slot ledger. */
  readonly pace: Readonly<Record<string, string>>;

  constructor(scope: Construct, id: string, props: PhotoIndexingProps) {
    super(scope, id);
    const { config, photoBucket, resultsBucket, idempotencyTable, slotLedger, photographerCaps, database } =
      props;
    const rate = indexFacesRate(this, config.indexFacesPerSecond);
    this.rate = rate;
    this.pace = {
      [environmentNames.indexFacesPerSecond]: rate,
      [environmentNames.readsIndexFacesQuota]: String(config.indexFacesPerSecond === undefined),
      [environmentNames.dailyImageCap]: String(config.dailyImageCap),
    };
    const results = resultsBucket.arnForObjects('results/*');
    const receipts = ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'].map((action) => `dynamodb:${action}`);
    const slots = ['dynamodb:GetItem', 'dynamodb:UpdateItem'];

    const ensureCollection = this.pipelineFunction('EnsureCollection', {
      config,
      name: 'ensure-collection',
      description: "Reads event and photo out of the key and creates the event's collection if need be",
      timeout: Duration.seconds(15),
      environment: {
        [environmentNames.idempotencyTable]: idempotencyTable.tableName,
        [environmentNames.collectionPrefix]: config.collectionPrefix,
      },
    });
    allow(ensureCollection, receipts, idempotencyTable.tableArn);
    allow(ensureCollection, ['rekognition:CreateCollection'], '*');
    allowCollections(ensureCollection, config, ['rekognition:DescribeCollection']);
    acknowledge(
      ensureCollection.role!,
      'CreateCollection knows no resource: https://docs.aws.amazon.com/rekognition/latest/dg/security_iam_service-with-iam.html',
      'AwsSolutions-IAM5[Resource::*]',
    );

    const joinLine = this.pipelineFunction('JoinLine', {
      config,
      name: 'join-line',
      description: "Takes the next slot of the account's IndexFaces rate",
      timeout: Duration.seconds(15),
      memorySize: EACH_PHOTO_MEMORY_MEGABYTES,
      environment: {
        [environmentNames.ledgerTable]: slotLedger.tableName,
        ...this.pace,
        ...photographerCaps?.counterEnvironment,
        [environmentNames.resultsBucket]: resultsBucket.bucketName,
      },
    });
    allow(joinLine, slots, slotLedger.tableArn);
    photographerCaps?.allowLooking(joinLine);
    allow(joinLine, ['s3:GetObject'], results);
    // Without the right to list, S3 calls a response that is not there "forbidden".
    allow(joinLine, ['s3:ListBucket'], resultsBucket.bucketArn);
    acknowledge(
      joinLine.role!,
      'One object a photo: only the folder that it lies in is known beforehand',
      objectsFinding(resultsBucket, 'results/*'),
    );

    const indexFaces = this.pipelineFunction('IndexFaces', {
      config,
      name: 'index-faces',
      description: "Calls IndexFaces at the slot's time and stores the response",
      timeout: Duration.seconds(60),
      memorySize: EACH_PHOTO_MEMORY_MEGABYTES,
      environment: {
        [environmentNames.idempotencyTable]: idempotencyTable.tableName,
        [environmentNames.ledgerTable]: slotLedger.tableName,
        ...this.pace,
        ...photographerCaps?.counterEnvironment,
        [environmentNames.resultsBucket]: resultsBucket.bucketName,
        [environmentNames.qualityFilter]: config.qualityFilter,
        [environmentNames.maxFaces]: String(config.maxFaces),
        [environmentNames.detectionAttributes]: config.detectionAttributes.join(','),
        [environmentNames.rekognitionResponse]: config.rekognitionResponse,
      },
    });
    allow(indexFaces, receipts, idempotencyTable.tableArn);
    if (config.indexFacesPerSecond === undefined) {
      allowReadingQuota(indexFaces);
    }
    allow(indexFaces, slots, slotLedger.tableArn);
    photographerCaps?.allowCounting(indexFaces);
    allowCollections(indexFaces, config, ['rekognition:IndexFaces']);
    // Rekognition reads the photo with the caller's right.
    const readPhoto = ['s3:GetObject', ...(config.photoBucketVersioned ? ['s3:GetObjectVersion'] : [])];
    allow(indexFaces, readPhoto, photoBucket.arnForObjects(`${config.eventsFolder}*`));
    if (config.photoBucketKeyArn !== undefined) {
      allow(indexFaces, ['kms:Decrypt'], config.photoBucketKeyArn);
    }
    allow(indexFaces, ['s3:GetObject', 's3:PutObject'], results);
    // Without the right to list, S3 calls an object that is gone "forbidden", and a deleted photo would look like a broken set-up.
    allow(indexFaces, ['s3:ListBucket'], photoBucket.bucketArn, resultsBucket.bucketArn);
    acknowledge(
      indexFaces.role!,
      'One object a photo: only the folder that it lies in is known beforehand',
      objectsFinding(photoBucket, `${config.eventsFolder}*`),
      objectsFinding(resultsBucket, 'results/*'),
    );

    const { lambdaReservedConcurrency: reservedConcurrentExecutions } = config;
    const persistResults = new DatabaseFunction(this, 'PersistResults', {
      config,
      database,
      name: 'persist-results',
      description: 'Writes a photo and its faces in one transaction',
      timeout: DATABASE_CLIENT_TIMEOUT,
      memorySize: EACH_PHOTO_MEMORY_MEGABYTES,
      environment: { [environmentNames.resultsBucket]: resultsBucket.bucketName },
      network: props.resultsNetwork,
      reservedConcurrentExecutions,
    });
    allow(persistResults, ['s3:GetObject'], results);
    allow(persistResults, ['s3:ListBucket'], resultsBucket.bucketArn);
    acknowledge(
      persistResults.role!,
      'One object a photo: only the folder that it lies in is known beforehand',
      objectsFinding(resultsBucket, 'results/*'),
    );

    const markFailed = new DatabaseFunction(this, 'MarkFailed', {
      config,
      database,
      name: 'mark-failed',
      description: 'Writes that a photo failed, why, and whether a later retry can help',
      timeout: DATABASE_CLIENT_TIMEOUT,
      reservedConcurrentExecutions,
    });

    this.databaseClients = [persistResults, markFailed];
    this.markFailed = markFailed;
    this.functions = {
      EnsureCollection: ensureCollection,
      JoinLine: joinLine,
      IndexFaces: indexFaces,
      PersistResults: persistResults,
      MarkFailed: markFailed,
    };
    this.stateMachine = this.machine(config, this.functions, props.eraseFaces);
  }

  private pipelineFunction(id: string, props: PipelineFunctionProps): PipelineFunction {
    return new PipelineFunction(this, id, {
      ...props,
      reservedConcurrentExecutions: props.config.lambdaReservedConcurrency,
    });
  }

  private machine(
    config: RollcallConfig,
    functions: Readonly<Record<string, PipelineFunction>>,
    eraseFaces: StateMachine,
  ): StateMachine {
    const machine = new PipelineStateMachine(this, 'StateMachine', {
      config,
      definition: 'index-photo.asl.json',
      substitutions: {
        ...Object.fromEntries(
          Object.entries(functions).map(([state, fn]) => [`${state}FunctionArn`, fn.functionArn]),
        ),
        Partition: Aws.PARTITION,
        EraseFacesStateMachineArn: eraseFaces.stateMachineArn,
      },
    });
    allow(machine, ['lambda:InvokeFunction'], ...Object.values(functions).map((fn) => fn.functionArn));
    allow(machine, ['states:StartExecution'], eraseFaces.stateMachineArn);
    return machine;
  }
}
