/** What the stand-ins for AWS's services are made of, out of the synthesised stack. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../lambdas/shared/contract/names.ts';
import type { CorsRule } from './cors.ts';
import { LocalError } from './local-error.ts';
import type { ObjectStore } from './object-store.ts';
import type { RekognitionOptions } from './rekognition/server.ts';
import type { Assembly } from './synthesis.ts';
import type { TableDefinition } from './tables.ts';
import type { ResolvedTemplate } from './template.ts';

/** Where the local Rekognition keeps its collections and its log, and how it reads the photos. */
export function rekognitionOf(
  stateDir: string,
  s3: S3Client,
): Pick<RekognitionOptions, 'dataDir' | 'analysesFolder' | 'getObject' | 'onInternalError'> {
  const { ROLLCALL_ANALYSES: analysesFolder } = process.env;
  return {
    dataDir: join(stateDir, 'rekognition'),
    // A run of the tests has one, where dozens of clouds see the same few pictures.
    ...(analysesFolder && { analysesFolder }),
    async getObject(bucket, key) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Buffer.from(await Body!.transformToByteArray());
    },
    onInternalError: (operation, error) =>
      appendFileSync(
        join(stateDir, 'logs', 'rekognition.log'),
        `${new Date().toISOString()} ${operation} ${error}\n`,
      ),
  };
}

/** What the one PostgreSQL of the local run stands in for. */
export interface ServedDatabase {
  database: string;
  /** The master user's name. */
  master: string;
  /** How functions log in. */
  login: 'iam' | 'password';
  /** Whether the database is Rollcall's own, which it makes ready by itself. */
  isOwn: boolean;
}

/** @throws LocalError `UnsupportedTemplateError` where the template makes no database */
export function databaseOf({ template }: Assembly): ServedDatabase {
  const resources = Object.values(template.Resources);
  const cluster = resources.find(({ Type }) => Type === 'AWS::RDS::DBCluster');
  const { Properties = {} } = cluster ?? resources.find(({ Type }) => Type === 'AWS::RDS::DBInstance') ?? {};
  const { DatabaseName, DBName, MasterUsername: master } = Properties;
  const database = DatabaseName ?? DBName;
  if (typeof database !== 'string' || typeof master !== 'string') {
    throw new LocalError(
      'UnsupportedTemplateError',
      'The local run stands in for a database that the app makes: an Aurora cluster or an RDS instance, with a name and a master user. This app has none.',
    );
  }
  const has = (name: string, value: string) =>
    resources.some(({ Properties: of }) => {
      const { Variables } = (of?.Environment ?? {}) as { Variables?: Record<string, unknown> };
      return Variables?.[name] === value;
    });
  return {
    database,
    master,
    login: has(environmentNames.databaseAuth, 'iam') ? 'iam' : 'password',
    isOwn: resources.some(({ Properties: of }) => of?.EnableHttpEndpoint === true),
  };
}

/** What IAM knows the database by, where its logins are tokens. */
export function databaseResourceId(stack: ResolvedTemplate): string {
  const [cluster] = stack.resources('AWS::RDS::DBCluster');
  const [instance] = stack.resources('AWS::RDS::DBInstance');
  return String(cluster?.local.attributes.DBClusterResourceId ?? instance?.local.attributes.DbiResourceId);
}

export function createBucketsAndQueues(
  stack: ResolvedTemplate,
  objects: ObjectStore,
  timeScale: number,
): void {
  // A bucket of somebody else's is told by the custom resource of the CDK.
  const told = stack
    .resources('Custom::S3BucketNotifications')
    .filter(({ get }) => 'EventBridgeConfiguration' in get<object>('NotificationConfiguration')!)
    .map(({ get }) => get<string>('BucketName'));
  for (const { local, get } of stack.resources('AWS::S3::Bucket')) {
    const notifications = get<{ EventBridgeConfiguration?: { EventBridgeEnabled?: boolean } }>(
      'NotificationConfiguration',
    );
    objects.createBucket(local.ref, {
      events: notifications?.EventBridgeConfiguration?.EventBridgeEnabled ?? told.includes(local.ref),
      cors: get<{ CorsRules: CorsRule[] }>('CorsConfiguration')?.CorsRules,
    });
  }
  for (const { local, get } of stack.resources('AWS::SQS::Queue')) {
    const attributes = ['DelaySeconds', 'MessageRetentionPeriod', 'RedrivePolicy', 'VisibilityTimeout']
      .map((name) => [name, get<object | number | string>(name)] as const)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [
        name,
        typeof value === 'object'
          ? JSON.stringify(value)
          : String(name === 'VisibilityTimeout' ? Math.max(1, Math.round(Number(value) * timeScale)) : value),
      ]);
    objects.queues.create(local.attributes.QueueName as string, Object.fromEntries(attributes));
  }
}

export function tableDefinitions(stack: ResolvedTemplate): TableDefinition[] {
  return stack.resources('AWS::DynamoDB::Table').map(({ local, get }) => ({
    name: local.ref,
    create: {
      AttributeDefinitions: get('AttributeDefinitions'),
      KeySchema: get('KeySchema'),
      GlobalSecondaryIndexes: get('GlobalSecondaryIndexes'),
      LocalSecondaryIndexes: get('LocalSecondaryIndexes'),
    },
    expiry: get<{ AttributeName: string; Enabled: boolean }>('TimeToLiveSpecification')?.AttributeName,
  }));
}
