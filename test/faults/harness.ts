import { createHash } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import * as v from 'valibot';
import { executionInputSchema } from '../../lambdas/shared/contract/payloads.ts';
import type { ErasureBatch } from '../../lambdas/shared/erasure/contract.ts';
import type { BusEvent, Cloud, ExecutionEnd } from '../../local/cloud.ts';
import { startCloud } from '../../local/cloud.ts';
import { LambdaError, type LambdaFunction, type LambdaRuntime } from '../../local/lambda-runtime.ts';
import type { RekognitionOptions } from '../../local/rekognition/server.ts';
import { type Disturbance, type ProxiedRequest, startServiceProxy } from '../support/service-proxy.ts';
import { inventedFaces } from './photos.ts';
import type { FaultPlan, LambdaFault } from './plan.ts';
import { type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts';

/** What happened to one photo, in order. */
export interface Incident {
  /** Milliseconds since the run began. */
  atMs: number;
  what: string;
  /** Whether a fault was put there, or it is only what came of it. */
  isFault: boolean;
}

/** What one run of a seed knows beside the faults: which photos there are, and what happens to them. */
export interface Run {
  eventIds: readonly string[];
  plan: FaultPlan;
  /** Whether Rekognition refuses the photo, however often it is asked. */
  refusalOf(photoId: string): string | undefined;
  /** Whether the photo is deleted from the bucket before its event arrives. */
  vanishes(photoId: string): boolean;
  /** A fault strikes. */
  struck(photoId: string, what: string): void;
  /** Something happens that what must hold depends on. */
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
  /** Whether a function removes faces just now, for whichever execution, or for one that was stopped. */
  isRemoving(): boolean;
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
  let removing = 0;
  /** Photos of faces that somebody asked to be removed, by face id. */
  const owners = new Map<string, string>();
  /** Events so far, by photo. */
  const told = new Map<string, number>();
  let drops = false;
  let postgres: PostgresProxy | undefined;
  const closers: (() => Promise<void>)[] = [];
  const functions = new Map<string, [LambdaFunction, LambdaRuntime]>();
  let cloud: Cloud | undefined;

  /** The photo that a key of either bucket is about, if it is one of this run. */
  const photoOf = (key: string): string | undefined => {
    const [, event, photo] = /(?:events|results)\/([^/]+)\/([^/.]+)/.exec(key) ?? [];
    return run && event !== undefined && run.eventIds.includes(event) ? photo : undefined;
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
    run.struck(photoId, `Rekognition ${operation}: ${JSON.stringify(fault)}`);
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
    const isRemoval = method === 'POST' && /[?&]delete\b/.test(url);
    const photoId = isRemoval ? '*' : photoOf(key);
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
    run.note(photoId, `stored ${versionOf(path)} ${String(headers['x-amz-meta-called-at'])}`);
    const fault = run.plan.result(photoId);
    if (!fault || !cloud) {
      return;
    }
    const [, Bucket, Key] = /^\/([^/]+)\/(.+)$/.exec(path)!;
    run.struck(photoId, `response stored, and ${fault}`);
    run.note(photoId, `void ${versionOf(path)}`);
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
    run?.struck('*', `DynamoDB ${operation}: ${fault}`);
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

  const invoke = async (fn: LambdaFunction, payload: unknown, lambdas: LambdaRuntime): Promise<unknown> => {
    functions.set(fn.arn, [fn, lambdas]);
    const request = (payload ?? {}) as Payload;
    const isBatch = Array.isArray(request.Records);
    const photoId = isBatch ? 'batch' : photoOf(request.input?.object?.key ?? '');
    const isErasure = ERASURE.test(fn.name);
    const fault = !run
      ? undefined
      : isErasure
        ? run.plan.erasureLambda(ERASURE.exec(fn.name)![0])
        : photoId === undefined
          ? undefined
          : run.plan.lambda(fn.name, photoId);
    const about = photoId ?? '*';
    if (fault) {
      run?.struck(about, `Lambda ${fn.name}: ${JSON.stringify(fault)}`);
    }
    removing += fn.name.includes('RemoveFaces') ? 1 : 0;
    noteVoids(fn, request);
    try {
      return await (fault ? disturbed(fault, fn, payload, lambdas) : lambdas.invoke(fn, payload));
    } catch (thrown) {
      const error = thrown as Error;
      // On a busy machine a function runs out of time without our doing.
      if (!fault && /^(Sandbox|Runtime)\./.test(error.name)) {
        run?.note(about, `by itself: Lambda ${fn.name} ${error.name}`);
      }
      if (error.name === 'ResultNotFound' && photoId !== undefined) {
        run?.note(photoId, `lost ${request.input?.object?.etag}`);
      }
      throw error;
    } finally {
      noteVoids(fn, request);
      removing -= fn.name.includes('RemoveFaces') ? 1 : 0;
    }
  };

  /** From when on a stored response is of no use any more, because faces that it names are being taken away. */
  const noteVoids = (fn: LambdaFunction, request: Payload): void => {
    if (fn.name.includes('AnswerOperator')) {
      const isLoss = request.ask === 'lose_faces';
      for (const { photo_id, face_id } of (isLoss ? request.photos : request.faces) ?? []) {
        owners.set(face_id, photo_id);
        if (isLoss) {
          run?.note(photo_id, 'void *');
        }
      }
      return;
    }
    if (fn.name.includes('RequestErasure')) {
      for (const [faceId, photoId] of (request.input?.faces as [string, string][] | undefined) ?? []) {
        owners.set(faceId, photoId);
      }
    }
    const batch = request.batch ?? request.input?.batch;
    if (!batch || !run?.eventIds.includes(batch.event_id)) {
      return;
    }
    const ofFaces = batch.face_ids.flatMap((faceId) => owners.get(faceId) ?? []);
    for (const photoId of new Set([...batch.deleted_photos, ...ofFaces])) {
      run.note(photoId, 'void *');
    }
    for (const name of batch.results) {
      const photoId = photoOf(name);
      if (photoId !== undefined) {
        run.note(photoId, `void ${name.endsWith('/') ? '*' : versionOf(name)}`);
      }
    }
    if (batch.kind === 'event') {
      run.note(batch.event_id, 'void *');
    }
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
    if (!run || photoId === undefined || event.source !== 'aws.s3') {
      publish(event);
      return;
    }
    const isDeletion = event['detail-type'] === 'Object Deleted';
    const number = told.get(photoId) ?? 0;
    told.set(photoId, number + 1);
    const { copies, delayMs, apartMs } = run.plan[isDeletion ? 'deletion' : 'event'](`${photoId}/${number}`);
    const gone =
      !isDeletion && run.vanishes(photoId)
        ? cloud!.s3.send(new DeleteObjectCommand({ Bucket: cloud!.photoBucket, Key: detail.object!.key! }))
        : undefined;
    if (gone) {
      run.struck(photoId, 'object deleted before its event arrives');
    }
    if (copies === 1 && delayMs === 0 && !gone) {
      publish(event);
      return;
    }
    const which = isDeletion ? 'deletion' : 'event';
    if (copies !== 1 || delayMs > 0) {
      const how = copies === 0 ? 'lost' : `${copies} times, ${Math.round(delayMs)} ms late`;
      run.struck(photoId, `${which}: ${how}`);
    }
    for (let copy = 0; copy < copies; copy++) {
      held++;
      setTimeout(
        async () => {
          await gone;
          publish(event);
          held--;
        },
        delayMs + copy * copy * apartMs,
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
    const fault = executionArn!.startsWith(executionPrefix(cloud!.outputs.EraseFacesStateMachineArn!))
      ? erasureFault()
      : indexingFault(input ?? '');
    if (!fault) {
      return;
    }
    setTimeout(() => {
      if (fault.kind === 'aborted') {
        cloud?.abortExecution(executionArn!);
      } else {
        cloud?.timeOutExecution(executionArn!);
      }
    }, fault.afterMs);
  };

  const erasureFault = () => {
    const fault = run!.plan.erasureExecution();
    if (fault) {
      run!.struck('*', `erasure: ${fault.kind} after ${Math.round(fault.afterMs)} ms`);
    }
    return fault;
  };

  const indexingFault = (input: string) => {
    const parsed = v.safeParse(executionInputSchema, safeJson(input));
    const photoId = parsed.success ? photoOf(parsed.output.object.key) : undefined;
    const fault = photoId === undefined ? undefined : run!.plan.execution(photoId);
    if (fault) {
      run!.struck(photoId!, `execution: ${fault.kind} after ${Math.round(fault.afterMs)} ms`);
    }
    return fault;
  };

  try {
    cloud = await startCloud({
      stateDir: options.stateDir,
      postgresPort: options.postgresPort,
      ...(options.onStep && { onStep: options.onStep }),
      time: options.time,
      // As fast as it goes: the pace has its own benchmark.
      appliedQuota: () => 1_000,
      rekognition: {
        quotas: {
          IndexFaces: Infinity,
          CreateCollection: Infinity,
          DescribeCollection: Infinity,
          ListFaces: Infinity,
          DeleteFaces: Infinity,
          SearchFaces: Infinity,
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
      run?.struck('*', `${what}: ${String(fault)}`);
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
    isRemoving: () => removing > 0,
    onExecutionEnd: started.onExecutionEnd,
    async stop() {
      run = undefined;
      await started.stop({ abort: true });
      await Promise.all(closers.map((close) => close()));
    },
  };
}

/** Functions of erase-faces. */
const ERASURE = /RequestErasure|ListErasures|RemoveFaces|ConfirmErasure/;

/** What functions are called with, as far as the campaign looks into it. */
interface Payload {
  Records?: unknown;
  input?: { object?: { key?: string; etag?: string }; faces?: unknown; batch?: Batch };
  batch?: Batch;
  ask?: string;
  photos?: { photo_id: string; face_id: string }[];
  faces?: { photo_id: string; face_id: string }[];
}

type Batch = Pick<ErasureBatch, 'kind' | 'event_id' | 'face_ids' | 'deleted_photos' | 'results'>;

/** The version that a stored response is of, given its key. */
function versionOf(resultsKey: string): string {
  return resultsKey.slice(resultsKey.lastIndexOf('/') + 1).replace(/\.json$/, '');
}

/** What the ARNs of a state machine's executions begin with. */
export function executionPrefix(stateMachineArn: string): string {
  return `${stateMachineArn.replace(':stateMachine:', ':execution:')}:`;
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
