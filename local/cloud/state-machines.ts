/** The state machines of the stack. */
import { readFileSync } from 'node:fs';
import { PutObjectCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import type { ListedObject, MapServices } from '../distributed-map.ts';
import type { BusEvent } from '../event-router.ts';
import type { Authority } from '../iam/authority.ts';
import { check, checkTask } from '../iam/guard.ts';
import { createStateMachine, type LocalStateMachine } from '../state-machine.ts';
import type { Assembly } from '../synthesis.ts';
import type { ResolvedTemplate } from '../template.ts';
import type { Invoke } from './calls.ts';
import type { Setup } from './setup.ts';

export interface StateMachinesOptions {
  stack: ResolvedTemplate;
  assembly: Assembly;
  authority: Authority;
  invoke: Invoke;
  /** Gets the events of executions. */
  publish(event: BusEvent): void;
  /** For Distributed Maps. */
  s3: S3Client;
}

/** Adds the template's machines by their ARNs. */
export function createStateMachines(
  { options, onStop }: Setup,
  machines: Map<string, LocalStateMachine>,
  { stack, assembly, authority, invoke, publish, s3 }: StateMachinesOptions,
): void {
  const retryScale = options.time?.retries;
  for (const { local, get } of stack.resources('AWS::StepFunctions::StateMachine')) {
    const arn = local.ref;
    const substitutions = get<Record<string, unknown>>('DefinitionSubstitutions') ?? {};
    const location = get<{ Key: string }>('DefinitionS3Location');
    const source = location
      ? readFileSync(assembly.assetPath(location.Key), 'utf8')
      : get<string>('DefinitionString')!;
    const definition = source.replace(/\$\{(\w+)\}/g, (placeholder, name: string) =>
      String(substitutions[name] ?? placeholder),
    );
    const machine = createStateMachine({
      arn,
      definition,
      folder: options.stateDir,
      publish,
      ...(retryScale !== undefined && { retryScale }),
      validates: assembly.isNew,
      maps: mapServices(s3, authority, arn),
      async invoke(resource, payload, signal) {
        await checkTask(authority, arn, resource, payload);
        return invoke(resource, payload, signal);
      },
    });
    machines.set(arn, machine);
  }
  onStop('state machines', () => {
    for (const machine of machines.values()) {
      machine.stop();
    }
  });
}

function mapServices(s3: S3Client, authority: Authority, machineArn: string): MapServices {
  return {
    async *listObjects(bucket, prefix): AsyncIterable<ListedObject> {
      const listing = { action: 's3:ListBucket', resource: `arn:aws:s3:::${bucket}` };
      await check(authority, machineArn, listing, 'States.ItemReaderFailed');
      for await (const { Contents = [] } of paginateListObjectsV2(
        { client: s3 },
        { Bucket: bucket, Prefix: prefix },
      )) {
        for (const { Key, ETag, Size, LastModified } of Contents) {
          yield {
            Key: Key!,
            Etag: ETag!,
            Size: Size!,
            LastModified: Math.floor(LastModified!.getTime() / 1000),
            StorageClass: 'STANDARD',
          };
        }
      }
    },
    async putObject(bucket, key, body) {
      const writing = { action: 's3:PutObject', resource: `arn:aws:s3:::${bucket}/${key}` };
      await check(authority, machineArn, writing, 'States.ResultWriterFailed');
      await s3.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentType: 'application/json' }),
      );
    },
  };
}
