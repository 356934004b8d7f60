/** What the stand-ins for AWS's services are made of, out of the synthesised stack. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
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
): Pick<RekognitionOptions, 'dataDir' | 'getObject' | 'onInternalError'> {
  return {
    dataDir: join(stateDir, 'rekognition'),
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

export function databaseOf({ template }: Assembly): { database: string; master: string } {
  const cluster = Object.values(template.Resources).find(({ Type }) => Type === 'AWS::RDS::DBCluster');
  const { DatabaseName: database, MasterUsername: master } = cluster?.Properties ?? {};
  if (typeof database !== 'string' || typeof master !== 'string') {
    throw new LocalError(
      'UnsupportedTemplateError',
      'The local run stands in for Aurora, but the app is configured for another database.',
    );
  }
  return { database, master };
}

export function createBucketsAndQueues(
  stack: ResolvedTemplate,
  objects: ObjectStore,
  timeScale: number,
): void {
  for (const { local, get } of stack.resources('AWS::S3::Bucket')) {
    const notifications = get<{ EventBridgeConfiguration?: { EventBridgeEnabled?: boolean } }>(
      'NotificationConfiguration',
    );
    objects.createBucket(local.ref, {
      events: notifications?.EventBridgeConfiguration?.EventBridgeEnabled ?? false,
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
