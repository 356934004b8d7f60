import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { Disturbance } from '../../local/iam/gateway.ts';
import type { ServiceRequest } from '../../local/iam/requests.ts';
import type { DynamoFault, ResultFault, S3Fault } from './plan.ts';
import { type Scene, versionOf } from './scene.ts';

const S3_ERRORS = {
  unavailable: { status: 503, code: 'SlowDown' },
  internal: { status: 500, code: 'InternalError' },
} as const;

const DYNAMODB_ERRORS = {
  throttled: { status: 400, name: 'ProvisionedThroughputExceededException' },
  internal: { status: 500, name: 'InternalServerError' },
  conflict: { status: 400, name: 'ConditionalCheckFailedException' },
} as const;

/** What disturbs S3: refusals, connections that break, bodies that are cut, and stored responses that get lost. */
export function s3Faults(scene: Scene) {
  return {
    disturb({ method, path: url }: ServiceRequest): Disturbance | undefined {
      const key = pathOf(url);
      const isRemoval = method === 'POST' && /[?&]delete\b/.test(url);
      const photoId = isRemoval ? '*' : scene.photoOf(key);
      const { run } = scene;
      if (!run || photoId === undefined) {
        return undefined;
      }
      const operation = isRemoval
        ? 'POST delete'
        : `${method} ${key.includes('/results/') ? 'result' : 'photo'}`;
      const fault = run.plan.s3(operation, photoId);
      if (!fault) {
        return undefined;
      }
      run.struck(photoId, `S3 ${operation}: ${fault}`);
      return s3Disturbance(fault, method);
    },

    /** Sees what S3 answered, before the function does. */
    async onAnswer(
      { method, path: url, headers }: ServiceRequest,
      { status }: { status: number },
    ): Promise<void> {
      const path = pathOf(url);
      const photoId = scene.photoOf(path);
      const { run, cloud } = scene;
      if (
        !run ||
        photoId === undefined ||
        method !== 'PUT' ||
        status !== 200 ||
        !path.includes('/results/')
      ) {
        return;
      }
      run.note(photoId, `stored ${versionOf(path)} ${String(headers['x-amz-meta-called-at'])}`);
      const fault = run.plan.result(photoId);
      if (!fault || !cloud) {
        return;
      }
      run.struck(photoId, `response stored, and ${fault}`);
      run.note(photoId, `void ${versionOf(path)}`);
      await voidResult(scene, fault, path, headers);
    },
  };
}

function s3Disturbance(fault: S3Fault, method: string): Disturbance {
  switch (fault) {
    case 'unavailable':
    case 'internal': {
      const { status, code } = S3_ERRORS[fault];
      const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>injected</Message></Error>`;
      return { answer: { status, type: 'application/xml', body } };
    }
    case 'reset_before':
      return { reset: 'before' };
    case 'truncated':
      return method === 'GET' ? 'truncate' : { reset: 'after' };
    case 'reset_after':
      return { reset: 'after' };
  }
}

async function voidResult(
  { cloud }: Scene,
  fault: ResultFault,
  path: string,
  headers: ServiceRequest['headers'],
): Promise<void> {
  const [, Bucket, Key] = /^\/([^/]+)\/(.+)$/.exec(path)!;
  if (fault === 'deleted') {
    await cloud!.s3.send(new DeleteObjectCommand({ Bucket, Key }));
    return;
  }
  const Metadata = Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), String(value)]] : [],
    ),
  );
  await cloud!.s3.send(new PutObjectCommand({ Bucket, Key, Body: '{"face_records": [', Metadata }));
}

function pathOf(url: string): string {
  return decodeURIComponent(url.split('?')[0]!);
}

/** What disturbs DynamoDB: throttles, errors, conflicts and answers that get lost. */
export function dynamodbFaults(scene: Scene) {
  return {
    disturb({ headers, body }: ServiceRequest): Disturbance | undefined {
      const operation = String(headers['x-amz-target']).split('.').at(-1)!;
      const planned = scene.run?.plan.dynamodb(operation);
      if (!planned) {
        return undefined;
      }
      // A conflict nobody caused exists only where many write: on the ledger's item.
      const isLedger = operation === 'UpdateItem' && body.includes('SlotLedger');
      const fault = planned === 'conflict' && !isLedger ? 'throttled' : planned;
      scene.run?.struck('*', `DynamoDB ${operation}: ${fault}`);
      return dynamodbDisturbance(fault);
    },
  };
}

function dynamodbDisturbance(fault: DynamoFault): Disturbance {
  if (fault === 'reset_after') {
    return { reset: 'after' };
  }
  const { status, name } = DYNAMODB_ERRORS[fault];
  const body = JSON.stringify({
    __type: `com.amazonaws.dynamodb.v20120810#${name}`,
    message: 'injected',
  });
  return { answer: { status, type: 'application/x-amz-json-1.0', body } };
}
