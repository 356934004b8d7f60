import { createHash } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import * as v from 'valibot';
import { executionInputSchema } from '../../lambdas/shared/contract.ts';
import type { BusEvent, Cloud, ExecutionEnd } from '../../local/cloud.ts';
import { startCloud } from '../../local/cloud.ts';
import { LambdaError, type LambdaFunction, type LambdaRuntime } from '../../local/lambda-runtime.ts';
import type { RekognitionOptions } from '../../local/rekognition/server.ts';
import { inventedFaces } from './photos.ts';
import type { FaultPlan, LambdaFault } from './plan.ts';
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts';
import { type Disturbance, type ProxiedRequest, startServiceProxy } from './service-proxy.ts';

/** What happened to one photo, in order. */
export interface Incident {
  /** Milliseconds since the run began. */
  atMs: number;
  what: string;
}

/** What one run of a seed knows beside the faults: which photos there are, and what happens to them. */
export interface Run {
  eventId: string;
  plan: FaultPlan;
  /** Whether Rekognition refuses the photo, however often it is asked. */
  refusalOf(photoId: string): string | undefined;
  /** Whether the photo is deleted from the bucket before its event arrives. */
  vanishes(photoId: string): boolean;
  note(photoId: string, what: string): void;
}

export interface Harness {
  cloud: Cloud;
  postgres: PostgresProxy;
  /** Faults strike while there is a run. */
  setRun(run: Run | undefined): void;
  /** Throttles every call for so long. */
  storm(ms: number): void;
  /** Ends all idle execution environments. */
  coldStarts(): void;
  /** Whether the events of uploads get lost. */
  dropUploads(drop: boolean): void;
  /** Whether events are still held back. */
  holdsEvents(): boolean;
  onExecutionEnd(listener: (end: ExecutionEnd) => void): () => void;
  stop(): Promise<void>;
}

export interface HarnessOptions {
  stateDir: string;
  postgresPort: number;
  time: { retries: number; lambdas: number; queues: number };
  onStep?: (text: string) => void;
}

/** A minute of retries takes four seconds, and a function dies after a tenth of its time: record and retries stay in proportion. */
export const CAMPAIGN_TIME = { retries: 0.06, lambdas: 0.1, queues: 0.01 } as const;

const S3_ERRORS = {
  unavailable: { status: 503, code: 'SlowDown' },
  internal: { status: 500, code: 'InternalError' },
} as const;

const DYNAMODB_ERRORS = {
  throttled: { status: 400, name: 'ProvisionedThroughputExceededException' },
  internal: { status: 500, name: 'InternalServerError' },
  conflict: { status: 400, name: 'ConditionalCheckFailedException' },
} as const;

/** Starts the local pipeline with disturbers between all of its parts, at rest until there is a run. */
export async function startHarness(options: HarnessOptions): Promise<Harness> {
  let run: Run | undefined;
  let stormUntil = 0;
  let held = 0;
  let drops = false;
  let postgres: PostgresProxy | undefined;
  const closers: (() => Promise<void>)[] = [];
  const functions = new Map<string, [LambdaFunction, LambdaRuntime]>();
  let cloud: Cloud | undefined;

  /** The photo that a key of either bucket is about, if it is one of this run. */
  const photoOf = (key: string): string | undefined => {
    const [, event, photo] = /(?:events|results)\/([^/]+)\/([^/.]+)/.exec(key) ?? [];
    return run && event === run.eventId ? photo : undefined;
  };

  const intercept: RekognitionOptions['intercept'] = (operation, request, { accessKeyId }) => {
    if (!run || accessKeyId === 'LOCAL-operator') {
      return undefined;
    }
    const photoId = operation === 'IndexFaces' ? (request.ExternalImageId as string) : '*';
    if (operation === 'IndexFaces') {
      const refusal = run.refusalOf(photoId);
      if (refusal) {
        return { error: { name: refusal as 'InvalidImageFormatException' } };
      }
      if (Date.now() < stormUntil) {
        return { error: { name: 'ProvisionedThroughputExceededException' } };
      }
    }
    const fault = run.plan.rekognition(`${operation}/${photoId}`);
    if (!fault) {
      return undefined;
    }
    run.note(photoId, `Rekognition ${operation}: ${JSON.stringify(fault)}`);
    if ('drop' in fault) {
      return { dropConnection: fault.drop };
    }
    if ('delayMs' in fault) {
      return fault;
    }
    const name =
      operation === 'IndexFaces' || fault.error !== 'ResourceNotFoundException'
        ? fault.error
        : 'InternalServerError';
    return { error: { name } };
  };

  const disturbS3 = ({ method, url }: ProxiedRequest): Disturbance | undefined => {
    const key = decodeURIComponent(url.split('?')[0]!);
    const photoId = photoOf(key);
    if (!run || photoId === undefined) {
      return undefined;
    }
    const operation = `${method} ${key.includes('/results/') ? 'result' : 'photo'}`;
    const fault = run.plan.s3(operation, photoId);
    if (!fault) {
      return undefined;
    }
    run.note(photoId, `S3 ${operation}: ${fault}`);
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
  };

  const loseResult = async ({ method, url, headers }: ProxiedRequest, status: number): Promise<void> => {
    const path = decodeURIComponent(url.split('?')[0]!);
    const photoId = photoOf(path);
    if (!run || photoId === undefined || method !== 'PUT' || status !== 200 || !path.includes('/results/')) {
      return;
    }
    run.note(photoId, 'stored');
    const fault = run.plan.result(photoId);
    if (!fault || !cloud) {
      return;
    }
    const [, Bucket, Key] = /^\/([^/]+)\/(.+)$/.exec(path)!;
    run.note(photoId, `the stored response is ${fault}`);
    if (fault === 'deleted') {
      await cloud.s3.send(new DeleteObjectCommand({ Bucket, Key }));
    } else {
      const Metadata = Object.fromEntries(
        Object.entries(headers).flatMap(([name, value]) =>
          name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), String(value)]] : [],
        ),
      );
      await cloud.s3.send(new PutObjectCommand({ Bucket, Key, Body: '{"face_records": [', Metadata }));
    }
  };

  const disturbDynamodb = ({ headers, body }: ProxiedRequest): Disturbance | undefined => {
    const operation = String(headers['x-amz-target']).split('.').at(-1)!;
    let fault = run?.plan.dynamodb(operation);
    if (!fault) {
      return undefined;
    }
    // A conflict nobody caused exists only where many write: on the ledger's item.
    if (fault === 'conflict' && !(operation === 'UpdateItem' && body.includes('SlotLedger'))) {
      fault = 'throttled';
    }
    run?.note('*', `DynamoDB ${operation}: ${fault}`);
    if (fault === 'reset_after') {
      return { reset: 'after' };
    }
    const { status, name } = DYNAMODB_ERRORS[fault];
    const answer = JSON.stringify({
      __type: `com.amazonaws.dynamodb.v20120810#${name}`,
      message: 'injected',
    });
    return { answer: { status, type: 'application/x-amz-json-1.0', body: answer } };
  };

  const invoke = (fn: LambdaFunction, payload: unknown, lambdas: LambdaRuntime): Promise<unknown> => {
    functions.set(fn.arn, [fn, lambdas]);
    const { input } = (payload ?? {}) as { input?: { object?: { key?: string } } };
    const isBatch = Array.isArray((payload as { Records?: unknown } | null)?.Records);
    const photoId = isBatch ? 'batch' : photoOf(input?.object?.key ?? '');
    const fault = run && photoId !== undefined ? run.plan.lambda(fn.name, photoId) : undefined;
    if (!fault) {
      return lambdas.invoke(fn, payload).catch((error: Error) => {
        // On a busy machine a function runs out of time without our doing.
        if (photoId !== undefined && /^(Sandbox|Runtime)\./.test(error.name)) {
          run?.note(photoId, `Lambda ${fn.name}: ${error.name} by itself`);
        }
        throw error;
      });
    }
    run?.note(photoId!, `Lambda ${fn.name}: ${JSON.stringify(fault)}`);
    return disturbed(fault, fn, payload, lambdas);
  };

  const publishEvent = (event: BusEvent, publish: (event: BusEvent) => void): void => {
    const { detail } = event as {
      detail: { object?: { key?: string }; input?: string; status?: string; executionArn?: string };
    };
    if (event.source === 'aws.states') {
      stopSometimes(detail);
      // At least once, also for what becomes of executions.
      const twice =
        run && detail.status !== 'RUNNING' && run.plan.chance(`twice/${detail.executionArn}`) < 0.05;
      publish(event);
      if (twice) {
        publish(event);
      }
      return;
    }
    if (drops && event.source === 'aws.s3') {
      return;
    }
    const photoId = photoOf(detail.object?.key ?? '');
    if (!run || photoId === undefined || event['detail-type'] !== 'Object Created') {
      publish(event);
      return;
    }
    const { copies, delayMs } = run.plan.event(
      `${photoId}/${event.id.length}/${(detail.object as { etag?: string }).etag}`,
    );
    const gone = run.vanishes(photoId)
      ? cloud!.s3.send(new DeleteObjectCommand({ Bucket: cloud!.photoBucket, Key: detail.object!.key! }))
      : undefined;
    if (gone) {
      run.note(photoId, 'the object is deleted before its event arrives');
    }
    if (copies === 1 && delayMs === 0 && !gone) {
      publish(event);
      return;
    }
    run.note(photoId, `event: ${copies} times, ${Math.round(delayMs)} ms late`);
    for (let copy = 0; copy < copies; copy++) {
      held++;
      setTimeout(
        async () => {
          await gone;
          publish(event);
          held--;
        },
        delayMs + copy * copy * 40,
      );
    }
  };

  const stopSometimes = ({
    input,
    status,
    executionArn,
  }: {
    input?: string;
    status?: string;
    executionArn?: string;
  }) => {
    if (status !== 'RUNNING' || !run) {
      return;
    }
    const parsed = v.safeParse(executionInputSchema, safeJson(input ?? ''));
    const photoId = parsed.success ? photoOf(parsed.output.object.key) : undefined;
    const fault = photoId === undefined ? undefined : run.plan.execution(photoId);
    if (!fault) {
      return;
    }
    run.note(photoId!, `execution: ${fault.kind} after ${Math.round(fault.afterMs)} ms`);
    setTimeout(() => {
      if (fault.kind === 'aborted') {
        cloud?.abortExecution(executionArn!);
      } else {
        cloud?.timeOutExecution(executionArn!);
      }
    }, fault.afterMs);
  };

  try {
    cloud = await startCloud({
      stateDir: options.stateDir,
      postgresPort: options.postgresPort,
      ...(options.onStep && { onStep: options.onStep }),
      time: options.time,
      // As fast as it goes: the pace has its own benchmark.
      context: { 'rollcall.indexFacesPerSecond': '1000' },
      rekognition: {
        quotas: {
          IndexFaces: Infinity,
          CreateCollection: Infinity,
          DescribeCollection: Infinity,
          ListFaces: Infinity,
          DeleteFaces: Infinity,
        },
        findFaces: inventedFaces,
        intercept,
        onCall(operation, request, error) {
          if (operation === 'IndexFaces' && error === undefined) {
            run?.note(request.ExternalImageId as string, 'paid');
          }
        },
      },
      between: {
        async service(name, endpoint) {
          const proxy = await startServiceProxy(
            endpoint,
            name === 's3' ? disturbS3 : disturbDynamodb,
            (request, { status }) => (name === 's3' ? loseResult(request, status) : undefined),
          );
          closers.push(proxy.stop);
          return proxy.endpoint;
        },
        async database(port, certificates) {
          postgres = await startPostgresProxy(port, certificates, {
            connect: () => noted(run?.plan.connect(), 'PostgreSQL connect'),
            statement: () => noted(run?.plan.statement(), 'PostgreSQL statement'),
            afterCommit: () =>
              run?.plan.afterCommit() === true && noted(true, 'PostgreSQL connection lost after COMMIT'),
          });
          closers.push(postgres.stop);
          return postgres.port;
        },
        invoke,
        event: publishEvent,
      },
    });
  } catch (error) {
    await Promise.all(closers.map((close) => close()));
    throw error;
  }

  function noted<Fault>(fault: Fault, what: string): Fault {
    if (fault !== undefined) {
      run?.note('*', `${what}: ${String(fault)}`);
    }
    return fault;
  }

  const started = cloud;
  return {
    cloud: started,
    postgres: postgres!,
    setRun(next) {
      run = next;
      stormUntil = 0;
    },
    storm(ms) {
      stormUntil = Date.now() + ms;
    },
    coldStarts() {
      for (const [fn, lambdas] of functions.values()) {
        lambdas.recycle(fn);
      }
    },
    dropUploads(drop) {
      drops = drop;
    },
    holdsEvents: () => held > 0,
    onExecutionEnd: started.onExecutionEnd,
    async stop() {
      run = undefined;
      await started.stop({ abort: true });
      await Promise.all(closers.map((close) => close()));
    },
  };
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failure(errorType: string): LambdaError {
  return new LambdaError(errorType, JSON.stringify({ errorType, errorMessage: 'injected' }));
}

const SERVICE_FAILURES = {
  too_many_requests: 'Lambda.TooManyRequestsException',
  service: 'Lambda.ServiceException',
  unknown: 'Lambda.Unknown',
} as const;

/** What Step Functions is told when the environment is killed. */
const KILLS = {
  killed: undefined,
  timeout: 'Sandbox.Timedout',
  out_of_memory: 'Runtime.OutOfMemory',
} as const;

async function disturbed(
  fault: LambdaFault,
  fn: LambdaFunction,
  payload: unknown,
  lambdas: LambdaRuntime,
): Promise<unknown> {
  switch (fault.kind) {
    case 'crash_before':
      throw failure('Runtime.ExitError');
    case 'crash_after': {
      let kill: (() => Promise<void>) | undefined;
      await lambdas
        .invoke(fn, payload, (killer) => {
          kill = killer;
        })
        .catch(() => {});
      await kill?.();
      throw failure('Runtime.ExitError');
    }
    case 'too_many_requests':
    case 'service':
    case 'unknown':
      throw failure(SERVICE_FAILURES[fault.kind]);
    case 'cold':
      lambdas.recycle(fn);
      return lambdas.invoke(fn, payload);
    default: {
      let timer: NodeJS.Timeout | undefined;
      let isKilled = false;
      try {
        return await lambdas.invoke(fn, payload, (kill) => {
          timer = setTimeout(() => {
            isKilled = true;
            void kill();
          }, fault.afterMs);
        });
      } catch (error) {
        const name = KILLS[fault.kind];
        throw isKilled && name ? failure(name) : error;
      } finally {
        clearTimeout(timer);
      }
    }
  }
}

export function etagOf(content: Buffer): string {
  return createHash('md5').update(content).digest('hex');
}
