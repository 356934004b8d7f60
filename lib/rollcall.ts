import { CfnOutput, Stack } from 'aws-cdk-lib';
import { type ITable, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { Backfill } from './backfill/backfill.ts';
import type { RollcallConfig } from './config/config.ts';
import { AuroraDatabase } from './database/aurora-database.ts';
import { ExternalDatabase } from './database/external-database.ts';
import type { FaceDatabase } from './database/face-database.ts';
import { IsolatedNetwork } from './database/isolated-network.ts';
import { Schema } from './database/schema.ts';
import { CollectionsRemoval } from './erasure/collections-removal.ts';
import { Erasure } from './erasure/erasure.ts';
import { ErasureRules } from './erasure/erasure-rules.ts';
import { Announcements } from './indexing/announcements.ts';
import { LastResort } from './indexing/last-resort.ts';
import { PhotoIndexing } from './indexing/photo-indexing.ts';
import { QuotaReading } from './indexing/quota-reading.ts';
import { UploadRule } from './indexing/upload-rule.ts';
import { Observability } from './observability/observability.ts';
import { Operations } from './operations/operations.ts';
import type { FunctionNetwork } from './parts/pipeline-function.ts';
import { RECONCILIATIONS, Reconciliation } from './reconciliation/reconciliation.ts';
import { PhotoBucket, ResultsBucket } from './storage/buckets.ts';
import { IdempotencyTable, SlotLedger } from './storage/tables.ts';

export interface RollcallProps {
  readonly config: RollcallConfig;
}

/** Everything of Rollcall in one account and Region: photos come into a bucket, faces end up in Postgres. */
export class Rollcall extends Construct {
  constructor(scope: Construct, id: string, { config }: RollcallProps) {
    super(scope, id);

    const photoBucket = new PhotoBucket(this, 'PhotoBucket', { config });
    const resultsBucket = new ResultsBucket(this, 'ResultsBucket', { config });
    const idempotencyTable = new IdempotencyTable(this, 'IdempotencyTable', { config });
    const slotLedger =
      config.slotLedgerTableArn === undefined
        ? (new SlotLedger(this, 'SlotLedger', { config }) as ITable)
        : Table.fromTableArn(this, 'SharedSlotLedger', config.slotLedgerTableArn);
    const { database, resultsNetwork } = this.database(config, photoBucket, resultsBucket);
    const schema = new Schema(this, 'Schema', { config, database });
    const erasure = new Erasure(this, 'Erasure', { config, resultsBucket, database });
    const indexing = new PhotoIndexing(this, 'PhotoIndexing', {
      config,
      photoBucket,
      resultsBucket,
      idempotencyTable,
      slotLedger,
      database,
      resultsNetwork,
      eraseFaces: erasure.stateMachine,
    });
    const announcements = new Announcements(this, 'Announcements', { config, database });
    new QuotaReading(this, 'QuotaReading', { config, slotLedger });
    const backfill = new Backfill(this, 'Backfill', {
      config,
      photoBucket,
      resultsBucket,
      database,
      network: config.photoBucketVersioned ? resultsNetwork : database.network,
      indexPhoto: indexing.stateMachine,
    });
    const operations = new Operations(this, 'Operations', { config, database });
    const reconciliation = new Reconciliation(this, 'Reconciliation', {
      config,
      photoBucket,
      resultsBucket,
      slotLedger,
      database,
      resultsNetwork,
      indexPhoto: indexing.stateMachine,
      eraseFaces: erasure.stateMachine,
      answerOperator: operations.answerOperator,
    });
    if (config.removal === 'destroy') {
      // Created before whatever makes collections, so deleted after it.
      const removal = new CollectionsRemoval(this, 'CollectionsRemoval', { config });
      indexing.stateMachine.node.addDependency(removal);
    }
    const databaseClients = [
      ...indexing.databaseClients,
      announcements.announcePhotos,
      ...erasure.databaseClients,
      backfill.skipIndexed,
      operations.answerOperator,
      reconciliation.readRows,
    ];
    schema.goesBefore(...databaseClients);
    const lastResort = new LastResort(this, 'LastResort', {
      stateMachine: indexing.stateMachine,
      markFailed: indexing.markFailed,
    });
    new UploadRule(this, 'UploadRule', {
      photoBucket,
      stateMachine: indexing.stateMachine,
      announcements: announcements.queue,
      lastResort: lastResort.queue,
    });
    const erasureRules = new ErasureRules(this, 'ErasureRules', {
      photoBucket,
      indexPhoto: indexing.stateMachine,
      eraseFaces: erasure.stateMachine,
    });
    const observability = new Observability(this, 'Observability', {
      config,
      stateMachine: indexing.stateMachine,
      functions: indexing.functions,
      eraseFaces: erasure.stateMachine,
      reconcile: reconciliation.stateMachine,
      databaseClients,
      deadLetterQueues: [erasureRules.deadLetters, lastResort.deadLetters],
      rate: indexing.rate,
    });

    const { region } = Stack.of(this);
    const stateMachineArn = indexing.stateMachine.stateMachineArn;
    this.outputs({
      PhotoBucketName: {
        value: photoBucket.bucketName,
        description: 'Upload photos here, as events/{event UUID}/{anything}.jpg',
      },
      ResultsBucketName: { value: resultsBucket.bucketName, description: "Rekognition's stored responses" },
      StateMachineArn: { value: stateMachineArn, description: 'One execution for each uploaded photo' },
      StateMachineConsole: {
        value: `https://${region}.console.aws.amazon.com/states/home?region=${region}#/statemachines/view/${stateMachineArn}`,
        description: 'The executions in the Step Functions console',
      },
      Dashboard: {
        value: observability.dashboardUrl,
        description: 'Is it working, how fast, what fails, what does it cost: the dashboard in CloudWatch',
      },
      CriticalAlarmsTopicArn: {
        value: observability.topics.critical.topicArn,
        description: 'Subscribe whoever has to get up for it',
      },
      WarningsTopicArn: {
        value: observability.topics.warning.topicArn,
        description: 'Subscribe whoever looks after it in working hours',
      },
      EraseFacesStateMachineArn: {
        value: erasure.stateMachine.stateMachineArn,
        description: 'Erases faces: of deleted photos, of persons, of events that are over',
      },
      ErasureDeadLetterQueueUrl: {
        value: erasureRules.deadLetters.queueUrl,
        description: 'Deletions for which no erasure could be started within a day',
      },
      BackfillStateMachineArn: {
        value: backfill.stateMachine.stateMachineArn,
        description: 'Indexes what lies in the bucket already: npm run ops -- backfill',
      },
      ReconcileStateMachineArn: {
        value: reconciliation.stateMachine.stateMachineArn,
        description: 'Compares bucket, database and collections, and mends: every hour, if anything happened',
      },
      SkipIndexedFunctionName: {
        value: backfill.skipIndexed.functionName,
        description: 'Tells which photos are left to index',
      },
      OperatorFunctionName: {
        value: operations.answerOperator.functionName,
        description: 'Answers npm run ops from inside the network of the database',
      },
      LastResortQueueUrl: {
        value: lastResort.queue.queueUrl,
        description:
          'Photos that are still to be written as failed: their executions ended, or were never started',
      },
      LastResortDeadLetterQueueUrl: {
        value: lastResort.deadLetters.queueUrl,
        description: 'Those that could not be written within a week',
      },
      IdempotencyTableName: { value: idempotencyTable.tableName, description: 'What was already paid for' },
      SlotLedgerTableName: { value: slotLedger.tableName, description: 'The pace of IndexFaces' },
      DailyImageCap: {
        value: String(config.dailyImageCap),
        description: 'Images that may be indexed in a UTC day, if no operator says otherwise',
      },
      IndexFacesPerSecond: {
        value: indexing.rate,
        description: 'IndexFaces calls a second that are aimed at, until the quota was read',
      },
      ReadsIndexFacesQuota: {
        value: String(config.indexFacesPerSecond === undefined),
        description: 'Whether the quota that Service Quotas names takes its place',
      },
      CollectionPrefix: {
        value: config.collectionPrefix,
        description: 'A collection id is this and the event id',
      },
      ...database.outputs,
    });
  }

  private database(
    config: RollcallConfig,
    photoBucket: PhotoBucket,
    resultsBucket: ResultsBucket,
  ): { database: FaceDatabase; resultsNetwork: FunctionNetwork | undefined } {
    if (config.databaseSecretArn !== undefined) {
      return {
        database: new ExternalDatabase(config.databaseSecretArn, config),
        resultsNetwork: undefined,
      };
    }
    const network = new IsolatedNetwork(this, 'Network', {
      config,
      // Only the id of a photo's version has to be looked up from inside.
      buckets: config.photoBucketVersioned ? [resultsBucket, photoBucket] : [resultsBucket],
      writable: [resultsBucket.arnForObjects(RECONCILIATIONS)],
    });
    const database = new AuroraDatabase(this, 'Database', { config, network });
    const securityGroups = [...database.network.securityGroups, network.bucketClients];
    return { database, resultsNetwork: { ...database.network, securityGroups } };
  }

  private outputs(outputs: Record<string, { value: string; description: string }>): void {
    for (const [name, output] of Object.entries(outputs)) {
      new CfnOutput(this, name, output);
    }
  }
}
