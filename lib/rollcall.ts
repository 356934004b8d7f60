import { CfnOutput, Stack } from 'aws-cdk-lib';
import type { IHttpRouteAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2';
import type { Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { type ITable, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { type IRuleTarget, Rule } from 'aws-cdk-lib/aws-events';
import type { Grant, IGrantable } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { metricNames, outputPrefix } from '../lambdas/shared/contract/names.ts';
import { DEFAULT_EVENTS_FOLDER } from '../lambdas/shared/contract/photo-key.ts';
import { Backfill } from './backfill/backfill.ts';
import { ConfigurationError, parseConfig, type RollcallConfig } from './config/config.ts';
import { type Claims, conflict } from './config/side-by-side.ts';
import { AuroraDatabase } from './database/aurora-database.ts';
import { ExternalDatabase } from './database/external-database.ts';
import type { FaceDatabase } from './database/face-database.ts';
import { IsolatedNetwork, type IsolatedNetworkProps } from './database/isolated-network.ts';
import { Schema } from './database/schema.ts';
import { VpcDatabase, type VpcDatabaseProps } from './database/vpc-database.ts';
import { CollectionsRemoval } from './erasure/collections-removal.ts';
import { Erasure } from './erasure/erasure.ts';
import { ErasureRules } from './erasure/erasure-rules.ts';
import { Gallery } from './gallery/gallery.ts';
import { Announcements } from './indexing/announcements.ts';
import { LastResort } from './indexing/last-resort.ts';
import { PhotoIndexing } from './indexing/photo-indexing.ts';
import { PhotographerCaps } from './indexing/photographer-caps.ts';
import { QuotaReading } from './indexing/quota-reading.ts';
import { UploadRule } from './indexing/upload-rule.ts';
import type { Severity } from './observability/alarm-topics.ts';
import { PipelineMetrics } from './observability/metrics.ts';
import { Observability } from './observability/observability.ts';
import { Operations } from './operations/operations.ts';
import { nameDeployment } from './parts/deployment-name.ts';
import type { FunctionNetwork } from './parts/pipeline-function.ts';
import { RECONCILIATIONS, Reconciliation } from './reconciliation/reconciliation.ts';
import { PersonSearch } from './search/person-search.ts';
import { PhotoBucket, ResultsBucket } from './storage/buckets.ts';
import { IdempotencyTable, SlotLedger } from './storage/tables.ts';

/** What an app of yours has already, and Rollcall makes by itself where nothing is given. */
export interface RollcallParts {
  /**
   * Your bucket. Rollcall turns on its EventBridge notifications, reads what is in `eventsFolder` and writes nothing. Say
   * `photoBucketVersioned` where it keeps versions; its KMS key, if it has one, is used.
   */
  readonly photoBucket?: IBucket;
  /** Your PostgreSQL in your VPC; or, as in `cdk.json`, `aurora` (default) or `external`. */
  readonly database?: RollcallConfig['database'] | VpcDatabaseProps;
  /** Your topics for alarms. Their policies have to let CloudWatch publish, and their keys let it use them. */
  readonly alarmTopics?: Readonly<Record<Severity, ITopic>>;
  /** Who may ask the HTTP API. Default: whom IAM allows `execute-api:Invoke`. */
  readonly apiAuthorizer?: IHttpRouteAuthorizer;
  /** The ledger of another Rollcall in this account and Region: both wait in one line for the one quota. */
  readonly slotLedger?: ITable;
}

/** Every option of `cdk.json`, by the same name and with the same default, but tags: those are the app's. */
export interface RollcallProps extends RollcallParts, Partial<Omit<RollcallConfig, 'database' | 'tags'>> {}

/**
 * Everything of Rollcall in one account and Region: photos come into a bucket, faces end up in Postgres. What has to have a name of its
 * own there, as alarms and metrics, has that of the stack and the id; so several live in one app, and in one stack.
 *
 * @throws ConfigurationError in one line that says what is allowed
 */
export class Rollcall extends Construct {
  /** Where photos are uploaded: yours, or the one that was made. */
  readonly photoBucket: IBucket;
  /** One execution for each photo. */
  readonly stateMachine: IStateMachine;
  /** The pace of IndexFaces, for another deployment in the account to share. */
  readonly slotLedger: ITable;
  /** Security groups and subnets from which the database can be reached; undefined where it is reached over the internet. */
  readonly databaseNetwork: FunctionNetwork | undefined;
  /** Finds the photos that show a person, for whoever would rather invoke a function than ask the API. */
  readonly findPerson: IFunction;
  /** Where the HTTP API is; undefined with `api: 'none'`. */
  readonly apiUrl: string | undefined;
  private readonly claims: Claims;
  private readonly config: RollcallConfig;
  private readonly eraseFaces: IStateMachine;
  private readonly gallery: Gallery | undefined;

  constructor(scope: Construct, id: string, props: RollcallProps = {}) {
    super(scope, id);
    const config = configOf(props, id);
    this.config = config;
    if (id !== ALONE) {
      nameDeployment(this);
    }

    const photoBucket = (props.photoBucket ?? new PhotoBucket(this, 'PhotoBucket', { config })) as IBucket;
    props.photoBucket?.enableEventBridgeNotification();
    // A bucket of its own has nothing else in it: what is uploaded elsewhere is a mistake to be told of.
    const folder = props.photoBucket && config.eventsFolder;
    const resultsBucket = new ResultsBucket(this, 'ResultsBucket', { config });
    const idempotencyTable = new IdempotencyTable(this, 'IdempotencyTable', { config });
    const slotLedger =
      props.slotLedger ??
      (config.slotLedgerTableArn === undefined
        ? (new SlotLedger(this, 'SlotLedger', { config }) as ITable)
        : Table.fromTableArn(this, 'SharedSlotLedger', config.slotLedgerTableArn));
    this.claims = {
      id,
      outputs: outputsPrefix(id),
      collectionPrefix: config.collectionPrefix,
      ledger: config.slotLedgerTableArn ?? slotLedger,
      hasOwnRate: config.indexFacesPerSecond !== undefined,
      database: databaseClaim(props, config),
    };
    this.refuseConflicts();
    const imagesPerDay = config.dailyImagesPerPhotographer;
    const photographerCaps =
      imagesPerDay === undefined
        ? undefined
        : new PhotographerCaps(this, 'PhotographerCaps', { config, imagesPerDay });
    const { database, resultsNetwork, tablesNetwork } = this.database(props, photoBucket, resultsBucket, [
      ...(config.api === 'none' ? [] : [{ table: slotLedger }]),
      ...(photographerCaps ? [{ table: photographerCaps.table, writable: true }] : []),
    ]);
    const schema = new Schema(this, 'Schema', { config, database });
    const erasure = new Erasure(this, 'Erasure', { config, resultsBucket, database });
    const indexing = new PhotoIndexing(this, 'PhotoIndexing', {
      config,
      photoBucket,
      resultsBucket,
      idempotencyTable,
      slotLedger,
      photographerCaps,
      database,
      resultsNetwork,
      eraseFaces: erasure.stateMachine,
    });
    const announcements = new Announcements(this, 'Announcements', {
      config,
      database,
      photographerCaps,
      tablesNetwork,
    });
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
    const search = new PersonSearch(this, 'PersonSearch', { config, slotLedger, database });
    if (config.removal === 'destroy') {
      // Created before whatever makes collections, so deleted after it.
      const removal = new CollectionsRemoval(this, 'CollectionsRemoval', { config });
      indexing.stateMachine.node.addDependency(removal);
    }
    const gallery =
      config.api === 'none'
        ? undefined
        : new Gallery(this, 'Gallery', {
            config,
            photoBucket,
            slotLedger,
            database,
            network: tablesNetwork,
            pace: indexing.pace,
            findPerson: search.findPerson,
            ...(props.apiAuthorizer && { authorizer: props.apiAuthorizer }),
          });
    const databaseClients = [
      ...indexing.databaseClients,
      announcements.announcePhotos,
      ...erasure.databaseClients,
      backfill.skipIndexed,
      operations.answerOperator,
      reconciliation.readRows,
      search.resolveFaces,
    ];
    schema.goesBefore(...databaseClients, ...(gallery ? [gallery.readGallery] : []));
    const lastResort = new LastResort(this, 'LastResort', {
      stateMachine: indexing.stateMachine,
      markFailed: indexing.markFailed,
    });
    new UploadRule(this, 'UploadRule', {
      photoBucket,
      folder,
      stateMachine: indexing.stateMachine,
      announcements: announcements.queue,
      lastResort: lastResort.queue,
    });
    const erasureRules = new ErasureRules(this, 'ErasureRules', {
      photoBucket,
      folder,
      indexPhoto: indexing.stateMachine,
      eraseFaces: erasure.stateMachine,
    });
    const observability = new Observability(this, 'Observability', {
      config,
      stateMachine: indexing.stateMachine,
      functions: indexing.functions,
      eraseFaces: erasure.stateMachine,
      reconcile: reconciliation.stateMachine,
      // An alarm watches ten metrics at most. Operators see for themselves what their questions fail with.
      databaseClients: databaseClients.filter((fn) => fn !== operations.answerOperator),
      deadLetterQueues: [erasureRules.deadLetters, lastResort.deadLetters],
      api: gallery?.api,
      rate: indexing.rate,
      topics: props.alarmTopics,
    });
    this.photoBucket = photoBucket;
    this.stateMachine = indexing.stateMachine as IStateMachine;
    this.eraseFaces = erasure.stateMachine as IStateMachine;
    this.slotLedger = slotLedger;
    this.databaseNetwork = database.network;
    this.findPerson = search.findPerson as IFunction;
    this.gallery = gallery;
    this.apiUrl = gallery?.api.apiEndpoint;

    const { region } = Stack.of(this);
    const stateMachineArn = indexing.stateMachine.stateMachineArn;
    this.outputs({
      PhotoBucketName: {
        value: photoBucket.bucketName,
        description: `Upload photos here, as ${config.eventsFolder}{event UUID}/{anything}.jpg`,
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
      FindPersonFunctionName: {
        value: search.findPerson.functionName,
        description: 'Finds the photos that show the person of a picture',
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
      ...(photographerCaps && {
        DailyImagesPerPhotographer: {
          value: String(config.dailyImagesPerPhotographer),
          description:
            'Images of one photographer that may be indexed in a UTC day, if no operator says otherwise',
        },
        PhotographersTableName: {
          value: photographerCaps.table.tableName,
          description: 'What photographers have indexed today',
        },
      }),
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
      ...(config.eventsFolder !== DEFAULT_EVENTS_FOLDER && {
        EventsFolder: { value: config.eventsFolder, description: 'Where the events are in the photo bucket' },
      }),
      ...(folder !== undefined && {
        UploadsFolder: {
          value: folder,
          description: 'Where uploads are looked for in the photo bucket, which has files of others too',
        },
      }),
      ...(gallery && {
        ApiUrl: {
          value: gallery.api.apiEndpoint,
          description: 'What happened: GET /events/{event}, its photos, its changes; and who is on them',
        },
      }),
      ...database.outputs,
    });
  }

  /**
   * Tells a consumer of each photo that is indexed: of this upload, or known from before. The consumer gets Step Functions' own event, which
   * `photoEnd` unpacks. AWS delivers at least once and on best effort, so the change feed is what misses nothing.
   */
  onPhotoIndexed(id: string, target: IRuleTarget): Rule {
    const output = ['stored', 'known'].map((effect) => ({ wildcard: `*"effect":"${effect}"*` }));
    return this.onEnd(id, 'A photo is indexed', this.stateMachine, { status: ['SUCCEEDED'], output }, target);
  }

  /** The same of each photo that failed, was stopped or timed out; of the last two the reason is written within minutes. */
  onPhotoFailed(id: string, target: IRuleTarget): Rule {
    const status = ['FAILED', 'TIMED_OUT', 'ABORTED'];
    return this.onEnd(id, 'A photo failed', this.stateMachine, { status }, target);
  }

  /** The same of each run of the erasure: faces of deleted photos, of persons, of events that are over. */
  onFacesErased(id: string, target: IRuleTarget): Rule {
    return this.onEnd(id, 'Faces were erased', this.eraseFaces, { status: ['SUCCEEDED'] }, target);
  }

  /**
   * Lets somebody ask the API what happened to every event: an application's role. What an event's guests may see is for the
   * application to decide.
   *
   * @throws ConfigurationError where there is no API, or an authorizer of yours decides
   */
  grantRead(grantee: IGrantable): Grant {
    return this.galleryToAsk().grantRead(grantee);
  }

  /**
   * Lets somebody ask the API who is on the photos of every event, and read nothing else of it. With `api: 'none'`, or for the
   * function itself, there is `findPerson.grantInvoke`.
   *
   * @throws ConfigurationError as `grantRead`
   */
  grantFind(grantee: IGrantable): Grant {
    return this.galleryToAsk().grantFind(grantee);
  }

  private galleryToAsk(): Gallery {
    if (!this.gallery) {
      throw new ConfigurationError("With api: 'none' there is no API that somebody could be allowed to ask");
    }
    return this.gallery;
  }

  /** Of the pipeline's own metrics one, summed over five minutes. */
  metric(name: keyof typeof metricNames, options: MetricOptions = {}): Metric {
    return new PipelineMetrics(this).of(metricNames[name], options);
  }

  private onEnd(
    id: string,
    description: string,
    stateMachine: IStateMachine,
    detail: Record<string, unknown[]>,
    target: IRuleTarget,
  ): Rule {
    return new Rule(this, id, {
      description,
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: { stateMachineArn: [stateMachine.stateMachineArn], ...detail },
      },
      targets: [target],
    });
  }

  /** @throws ConfigurationError in one line, where another Rollcall of the stack has what this one wants */
  private refuseConflicts(): void {
    for (const other of Stack.of(this).node.findAll()) {
      const why =
        other instanceof Rollcall && other !== this ? conflict(this.claims, other.claims) : undefined;
      if (why !== undefined) {
        throw new ConfigurationError(why);
      }
    }
  }

  private database(
    props: RollcallParts,
    photoBucket: IBucket,
    resultsBucket: ResultsBucket,
    tables: IsolatedNetworkProps['tables'],
  ): {
    database: FaceDatabase;
    /** Where a function with Postgres reads a bucket, and where it uses a table; undefined is Lambda's own network. */
    resultsNetwork: FunctionNetwork | undefined;
    tablesNetwork: FunctionNetwork | undefined;
  } {
    const { config } = this;
    if (typeof props.database === 'object') {
      const database = new VpcDatabase(this, 'Database', {
        ...props.database,
        schema: props.database.schema ?? config.databaseSchema,
      });
      return { database, resultsNetwork: database.network, tablesNetwork: database.network };
    }
    if (config.databaseSecretArn !== undefined) {
      return {
        database: new ExternalDatabase(config.databaseSecretArn, config),
        resultsNetwork: undefined,
        tablesNetwork: undefined,
      };
    }
    const network = new IsolatedNetwork(this, 'Network', {
      config,
      // Only the id of a photo's version has to be looked up from inside.
      buckets: config.photoBucketVersioned ? [resultsBucket, photoBucket] : [resultsBucket],
      writable: [resultsBucket.arnForObjects(RECONCILIATIONS)],
      tables,
    });
    const database = new AuroraDatabase(this, 'Database', { config, network });
    const withGroup = (group: SecurityGroup) => ({
      ...database.network,
      securityGroups: [...database.network.securityGroups, group],
    });
    return {
      database,
      resultsNetwork: withGroup(network.bucketClients),
      tablesNetwork: network.tableClients && withGroup(network.tableClients),
    };
  }

  private outputs(outputs: Record<string, { value: string; description: string }>): void {
    for (const [name, output] of Object.entries(outputs)) {
      const made = new CfnOutput(this, name, output);
      if (this.node.id !== ALONE) {
        // So that `ops --stack STACK/ID` finds them.
        made.overrideLogicalId(`${this.claims.outputs}${name}`);
      }
    }
  }
}

/** CDK leaves this id out of those of the resources. */
export const ALONE = 'Default';

function outputsPrefix(id: string): string {
  return id === ALONE ? '' : outputPrefix(id);
}

function databaseClaim(
  { database }: RollcallParts,
  { databaseSecretArn, databaseSchema }: RollcallConfig,
): Claims['database'] {
  return typeof database === 'object'
    ? { server: database.server, schema: database.schema ?? databaseSchema }
    : databaseSecretArn === undefined
      ? undefined
      : { server: databaseSecretArn, schema: databaseSchema };
}

/** Stands for a secret whose ARN is known only when it is deployed. */
const SECRET_TO_COME = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:to-come-AbCdEf';

/** The options, read as those of `cdk.json` are. */
function configOf(props: RollcallProps, id: string): RollcallConfig {
  const { photoBucket, alarmTopics, slotLedger, apiAuthorizer: _, database, ...options } = props;
  const inVpc = typeof database === 'object';
  const given: Record<string, unknown> = {
    ...options,
    ...(inVpc ? { database: 'external', databaseSecretArn: SECRET_TO_COME } : { database }),
    ...(inVpc && database.schema !== undefined && { databaseSchema: database.schema }),
  };
  const config = parseConfig(
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  );
  for (const [mine, yours, option] of [
    [photoBucket, config.uploadOrigins.length > 0, 'uploadOrigins'],
    [photoBucket, config.uploadAccounts.length > 0, 'uploadAccounts'],
    [photoBucket, config.photoBucketKeyArn !== undefined, 'photoBucketKeyArn'],
    [alarmTopics, config.criticalEmails.length > 0, 'criticalEmails'],
    [alarmTopics, config.warningEmails.length > 0, 'warningEmails'],
    [slotLedger, config.slotLedgerTableArn !== undefined, 'slotLedgerTableArn'],
    [inVpc || undefined, options.databaseSecretArn !== undefined, 'databaseSecretArn'],
  ] as const) {
    if (mine && yours) {
      throw new ConfigurationError(
        `${option} is for what Rollcall ${id} makes itself; it was given one of yours`,
      );
    }
  }
  return {
    ...config,
    ...(inVpc && { databaseSecretArn: undefined }),
    ...(photoBucket?.encryptionKey && { photoBucketKeyArn: photoBucket.encryptionKey.keyArn }),
  };
}
