import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { PutObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { appOf } from './app-folder.ts';
import { localClientOptions } from './clients.ts';
import { startControlPlane } from './control-plane.ts';
import { startDataApi } from './data-api.ts';
import type { ListedObject, MapServices } from './distributed-map.ts';
import { type BusEvent, createEventRouter, type Rule, type RuleTarget, ruleArn } from './event-router.ts';
import { type Beside, httpRoutes, startHttpApi } from './http-api.ts';
import { type Authority, createAuthority, type PrivilegeReport } from './iam/authority.ts';
import { startDatabaseGate } from './iam/database-gate.ts';
import { type Disturber, startGateway } from './iam/gateway.ts';
import { admitsLogin, check, checkTask, checkWiring, principalOf } from './iam/guard.ts';
import { readPolicies } from './iam/policies.ts';
import type { Service } from './iam/requests.ts';
import {
  createLambdaRuntime,
  type InvocationUsage,
  type LambdaError,
  type LambdaFunction,
  type LambdaRuntime,
} from './lambda-runtime.ts';
import { LocalError } from './local-error.ts';
import { startObjectStore } from './object-store.ts';
import { createLogins } from './owner-logins.ts';
import { freeOr, type LocalPostgres, releasePort, startPostgres } from './postgres.ts';
import type { Queues, Subscription } from './queues.ts';
import { type RekognitionOptions, startRekognition } from './rekognition/server.ts';
import { localResources } from './resources.ts';
import { rollcallOutputs } from './rollcall-outputs.ts';
import { announce, type RunningCloud } from './running-cloud.ts';
import { type ScheduledRule, scheduledEvent, startClock } from './schedules.ts';
import { attachedSecrets, startSecrets } from './secrets.ts';
import { startServiceQuotas } from './service-quotas.ts';
import {
  createBucketsAndQueues,
  databaseOf,
  databaseResourceId,
  rekognitionOf,
  tableDefinitions,
} from './stand-ins.ts';
import { openStateFolder } from './state-folder.ts';
import {
  CUT_OFF,
  createStateMachine,
  type Execution,
  type ExecutionEnd,
  type LocalStateMachine,
  type StateMachineOptions,
} from './state-machine.ts';
import { type Assembly, synthesise } from './synthesis.ts';
import { startTables } from './tables.ts';
import { type ResolvedTemplate, resolveTemplate } from './template.ts';

export type { BusEvent } from './event-router.ts';
export type { Execution, ExecutionEnd } from './state-machine.ts';

export interface CloudOptions {
  /** Absolute path. Everything lives under it. */
  stateDir: string;
  /** Fixed, so that the database's URL is the same every time. */
  postgresPort: number;
  /** Where S3, Rekognition and the HTTP API listen, if nobody else does; default: anywhere. */
  ports?: { s3: number; rekognition: number; api: number };
  /** Told what is going on: 'Synthesising the app', 'Starting PostgreSQL', ... */
  onStep?: (step: string) => void;
  /** Everything that the Lambdas print: log lines as JSON, metrics in EMF. */
  onLambdaOutput?: (functionName: string, line: string) => void;
  /** What each invocation used of this machine. */
  onInvocation?: (functionName: string, used: InvocationUsage) => void;
  /** Execution environments of one function at most; default one more than there are cores. */
  lambdaConcurrency?: number;
  /** Quotas, faults and detector threads of the local Rekognition. */
  rekognition?: Pick<
    RekognitionOptions,
    'quotas' | 'intercept' | 'workers' | 'warmUp' | 'clock' | 'findFaces' | 'onCall'
  >;
  /** The IndexFaces quota that Service Quotas tells, at each question; default: the Region's. */
  appliedQuota?: () => number | undefined;
  /** CDK context beside cdk.json's, as `cdk synth --context` takes it. */
  context?: Readonly<Record<string, unknown>>;
  /** Folder of an app with a Rollcall in it, absolute; default: that of the state, else this project's own. */
  app?: string;
  /** What the template's times are multiplied by, to see hours of retries in a minute. Default 1 each. */
  time?: {
    /** Between two tries of a state. */
    retries?: number;
    /** Functions' timeouts. */
    lambdas?: number;
    /** Queues' visibility timeouts. */
    queues?: number;
    /** The time until a rule of a schedule is due. */
    schedules?: number;
  };
  /** Whether rules with a schedule are set off when they are due. Default: false, for runs of minutes. */
  schedules?: boolean;
  /**
   * What it works at: `all`, with what an earlier run could not finish, or `new`, only what is started from now on. What is not
   * worked at keeps. Default: `all`.
   */
  work?: 'all' | 'new';
  /**
   * Whether a run of another process may go on with what is in the folder. Without that nothing waits for the disk, and what S3 and
   * DynamoDB hold stays in memory. Default: true.
   */
  keeps?: boolean;
  /** What stands between the parts, to disturb them. */
  between?: Between;
}

/** `database` is asked once, at the start. */
export interface Between {
  /** What disturbs the Lambdas' way to a service. */
  services?: Partial<Record<'s3' | 'dynamodb', Disturber>>;
  /** On which port of localhost they look for PostgreSQL, given its own port and the folder of its TLS certificate and key. */
  database?(port: number, certificates: string): Promise<number>;
  /** Instead of an invocation; the runtime carries it out. */
  invoke?(fn: LambdaFunction, payload: unknown, lambdas: LambdaRuntime): Promise<unknown>;
  /** Instead of an event's way to the bus. */
  event?(event: BusEvent, publish: (event: BusEvent) => void): void;
}

export interface Cloud {
  /** URL of the superuser, for people and their tools. */
  databaseUrl: string;
  photoBucket: string;
  resultsBucket: string;
  collectionPrefix: string;
  /** Clients on the local endpoints. */
  s3: S3Client;
  rekognition: RekognitionClient;
  dynamodb: DynamoDBClient;
  /** The stack's outputs; `ApiUrl` is where its HTTP API is here. */
  outputs: Readonly<Record<string, string>>;
  /** Where its services are, for other clients. */
  services: RunningCloud;
  /** Hears of executions that end by themselves or are aborted. Returns what takes the listener away. */
  onExecutionEnd(listener: (end: ExecutionEnd) => void): () => void;
  /**
   * Starts an execution, as "Start execution" in the console does. Resolves to its ARN.
   *
   * @param stateMachineArn default: the photo pipeline
   */
  startExecution(input: unknown, stateMachineArn?: string): Promise<string>;
  /** Ends an execution as ABORTED, as "Stop" in the console does. */
  abortExecution(executionArn: string): void;
  /** Ends an execution as TIMED_OUT, as if its time were up. */
  timeOutExecution(executionArn: string): void;
  /** An execution that runs or ended not long ago, with its history. */
  describeExecution(executionArn: string): Execution | undefined;
  /** The photo pipeline's that run or ended not long ago, the latest first. */
  executions(): Execution[];
  /** Serves something else at the address of the HTTP API. */
  serveBeside(beside: Beside): void;
  /** The event of the object that lies under the key now, as it was when the object was created. */
  currentEvent(key: string): BusEvent;
  /** Puts an event on the bus. */
  deliver(event: BusEvent): void;
  /** The rules that have a schedule. */
  schedules: readonly ScheduledRule[];
  /** Sets off a rule by its name, as if it were due at this moment. */
  fireSchedule(rule: string, at?: Date): void;
  /** Runs a whole reconciliation, as of this moment, and resolves when it and what it started have ended. */
  reconcile(at?: Date): Promise<ExecutionEnd>;
  /** Delivers the current object's event once more, as EventBridge may. Rejects when there is no such object. */
  redeliver(key: string): Promise<void>;
  /** Calls within the quota since the start: those that AWS would charge. */
  rekognitionCalls(operation: string): number;
  /** What the policies of the stack's roles allowed and refused since the start; every call was judged by them. */
  privileges(): PrivilegeReport;
  /** The judge itself. */
  authority: Authority;
  /** Since the start, including those that an earlier run could not finish. */
  executionsStarted(): number;
  /** Executions that are open, and those of an earlier run that were not resumed. */
  unfinished(): number;
  /** The errors after which photos' executions wait for their next try. */
  waitingAfter(): Set<string>;
  /** Resolves when no execution is open. */
  idle(): Promise<void>;
  /** Resolves when a process that all of it needs ends by itself; there is one of them, PostgreSQL. */
  failed: Promise<LocalError>;
  /**
   * Ends all of it. Lambdas at work may finish first, within a moment if told to abort. Executions that are open then begin
   * anew with the next start, as after a crash.
   */
  stop(options?: { abort?: boolean }): Promise<void>;
}

/** Lambda's own file of certificate authorities, RDS's among them. */
const LAMBDA_CERTIFICATES = '/var/runtime/ca-cert.pem';

/**
 * Runs what `cdk synth` makes of the app, or of another one with a Rollcall in it, on this machine: the bundled Lambdas with their environment, the state machine
 * with its substitutions, the event rule with its pattern and transformer, on local stand-ins of the services.
 *
 * @throws LocalError in one line: the state folder or the port is in use, the app cannot be synthesised, ...
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { stateDir, postgresPort } = options;
  const step = options.onStep ?? (() => {});
  const inState = (...names: string[]) => join(stateDir, ...names);
  /** What ends what was started, in the order of its start. */
  const closers: ((abort: boolean) => Promise<void> | void)[] = [];
  const stop = async ({ abort = false } = {}) => {
    for (const close of closers.splice(0).reverse()) {
      await close(abort);
    }
  };

  try {
    const folder = openStateFolder(stateDir);
    closers.push(folder.release);
    mkdirSync(inState('logs'), { recursive: true });
    // A port that is taken is told before anything that takes time.
    await releasePort(inState('postgres'), postgresPort);

    step('Synthesising the app');
    const assembly = await synthesise({
      assembly: inState('cdk.out'),
      log: inState('logs', 'synth.log'),
      context: options.context,
      app: appOf(stateDir, options.app),
    });

    step('Starting S3 and Rekognition');
    const bus: { publish(event: BusEvent): void } = { publish() {} };
    const { between = {}, time = {}, keeps = true } = options;
    const publish = (event: BusEvent) =>
      between.event ? between.event(event, (other) => bus.publish(other)) : bus.publish(event);
    const objects = await startObjectStore(inState('s3'), publish, {
      port: await freeOr(options.ports?.s3),
      keeps,
    });
    closers.push(objects.stop);
    const s3 = new S3Client({ ...localClientOptions, endpoint: objects.endpoint, forcePathStyle: true });
    closers.push(() => s3.destroy());
    const rekognitionServer = await startRekognition({
      ...options.rekognition,
      port: await freeOr(options.ports?.rekognition),
      ...rekognitionOf(stateDir, s3),
    });
    closers.push(rekognitionServer.close);

    const httpApi = await startHttpApi(await freeOr(options.ports?.api));
    closers.push(httpApi.stop);

    const { database, master, login, isOwn } = databaseOf(assembly);
    const gate = await startDatabaseGate({
      certificates: inState('postgres', 'data'),
      certificateAuthority: () => postgres.certificateAuthority,
      port: postgresPort,
      admits: (user, password) => admitsLogin(authority, databaseResourceId(stack), user, password),
    });
    closers.push(gate.stop);
    const serverPort = login === 'iam' ? gate.port : postgresPort;
    const databaseAt = {
      host: 'localhost',
      port: (await between.database?.(serverPort, inState('postgres', 'data'))) ?? serverPort,
    };
    const stack = resolveTemplate(
      assembly.stackName,
      assembly.template,
      localResources(assembly.stackName, assembly.template, {
        queueUrl: objects.queues.urlOf,
        database: databaseAt,
        httpApi: httpApi.endpoint,
      }),
    );
    const authority = createAuthority(readPolicies(stack));
    const guarded = async (service: Service, target: string, disturber?: Disturber) => {
      const gateway = await startGateway({ service, target, authority, principalOf, disturber });
      closers.push(gateway.stop);
      return gateway.endpoint;
    };
    closers.push(() => writePrivileges(inState('logs', 'privileges.json'), authority.report()));
    await checkWiring(authority, stack);
    createBucketsAndQueues(stack, objects, time.queues ?? 1);

    step('Starting DynamoDB');
    const tables = await startTables(keeps ? inState('dynamodb') : undefined, tableDefinitions(stack));
    closers.push(tables.stop);

    step('Starting PostgreSQL');
    const postgres = await startPostgres({
      folder: inState('postgres'),
      log: inState('logs', 'postgres.log'),
      port: postgresPort,
      database,
      master,
      keeps,
    });
    closers.push(postgres.stop);
    if (login === 'iam' && !isOwn) {
      await createLogins(postgres.url, master);
    }
    const [cluster] = stack.resources('AWS::RDS::DBCluster');
    const dataApi = await startDataApi({
      masterUrl: postgres.masterUrl,
      // An instance has no Data API.
      clusterArn: String(cluster?.local.attributes.DBClusterArn),
      secretArn: String(cluster?.local.attributes['MasterUserSecret.SecretArn']),
    });
    closers.push(dataApi.stop);
    const secrets = await startSecrets(attachedSecrets(stack, postgres.masterUrl, databaseAt));
    closers.push(secrets.stop);

    const machines = new Map<string, LocalStateMachine>();
    const control = await startControlPlane({
      machines,
      invoke: (name, payload) => {
        const fn = [...functions.values()].find((other) => other.name === name || other.arn === name);
        return fn && invoke(fn.arn, payload);
      },
    });
    closers.push(control.stop);
    const quotas = await startServiceQuotas(() => options.appliedQuota?.());
    closers.push(quotas.stop);
    const functions = lambdaFunctions(stack, assembly, postgres, time.lambdas ?? 1);
    const lambdas = createLambdaRuntime({
      logs: inState('logs'),
      environment: {
        AWS_ENDPOINT_URL_S3: await guarded('s3', objects.endpoint, between.services?.s3),
        AWS_ENDPOINT_URL_SQS: await guarded('sqs', objects.endpoint),
        AWS_ENDPOINT_URL_DYNAMODB: await guarded('dynamodb', tables.endpoint, between.services?.dynamodb),
        AWS_ENDPOINT_URL_REKOGNITION: await guarded('rekognition', rekognitionServer.endpoint),
        AWS_ENDPOINT_URL_RDS_DATA: await guarded('rds-data', dataApi.endpoint),
        AWS_ENDPOINT_URL_SECRETS_MANAGER: await guarded('secretsmanager', secrets.endpoint),
        AWS_ENDPOINT_URL_SFN: await guarded('states', control.endpoint),
        AWS_ENDPOINT_URL_LAMBDA: await guarded('lambda', control.endpoint),
        AWS_ENDPOINT_URL_SERVICE_QUOTAS: await guarded('servicequotas', quotas.endpoint),
      },
      isPatient: (time.lambdas ?? 1) < 1,
      onOutput: options.onLambdaOutput,
      onInvocation: options.onInvocation,
      ...(options.lambdaConcurrency !== undefined && { concurrency: options.lambdaConcurrency }),
    });
    closers.push((abort) => lambdas.stop({ abort }));
    // What waits for Rekognition fails and frees its idempotency record, which the next run would have to wait for.
    closers.push((abort) => (abort ? rekognitionServer.close() : undefined));
    const invoke = invokerOf(machines, functions, lambdas, between);
    await runTriggers(stack, assembly, inState('triggers.json'), async (name, resource) => {
      step(name);
      await invoke(resource, {});
    });

    createStateMachines(stack, assembly, machines, {
      folder: stateDir,
      authority,
      invoke,
      publish,
      s3,
      ...(time.retries !== undefined && { retryScale: time.retries }),
    });
    closers.push(() => {
      for (const machine of machines.values()) {
        machine.stop();
      }
    });
    const background = backgroundCalls(invoke);
    const router = createRouter(
      stack,
      { machines, functions, call: background.call },
      objects.queues,
      inState('logs', 'dead-letters.log'),
    );
    bus.publish = router.publish;
    const { work = 'all' } = options;
    const subscriptions = subscribeFunctions(stack, objects.queues, invoke);
    closers.push(() => {
      for (const subscription of subscriptions) {
        subscription.stop();
      }
    });

    httpApi.serve(httpRoutes(stack), invoke);
    const outputs = rollcallOutputs(stack.outputs());
    const photoBucket = outputs.PhotoBucketName!;
    const rekognition = new RekognitionClient({
      ...localClientOptions,
      endpoint: rekognitionServer.endpoint,
    });
    closers.push(() => rekognition.destroy());
    const services: RunningCloud = {
      endpoints: {
        s3: objects.endpoint,
        sqs: objects.endpoint,
        dynamodb: tables.endpoint,
        rekognition: rekognitionServer.endpoint,
        states: control.endpoint,
        lambda: control.endpoint,
      },
      databaseUrl: postgres.url,
      outputs,
    };
    closers.push(announce(stateDir, services));
    if (work === 'all') {
      for (const machine of machines.values()) {
        machine.resumeInterrupted();
      }
    }
    const schedules = scheduledRules(stack);
    const fire = (rule: string, at: Date) => router.fire(rule, scheduledEvent(rule, at));
    if (options.schedules) {
      closers.push(startClock(schedules, fire, { scale: time.schedules }).stop);
    }
    const idle = () => untilIdle([...machines.values()], subscriptions, background.settled);

    function currentEvent(key: string): BusEvent {
      const event = objects.currentEvent(photoBucket, key);
      if (!event) {
        throw new Error(`There is no object ${key} in ${photoBucket}`);
      }
      return event;
    }

    return {
      databaseUrl: postgres.url,
      photoBucket,
      resultsBucket: outputs.ResultsBucketName!,
      collectionPrefix: outputs.CollectionPrefix!,
      s3,
      rekognition,
      dynamodb: tables.client,
      outputs,
      services,
      ...executionsOf(machines, outputs, idle),
      serveBeside: httpApi.serveBeside,
      currentEvent,
      deliver: router.publish,
      redeliver: async (key) => router.publish(currentEvent(key)),
      schedules,
      fireSchedule: (rule, at = new Date()) => fire(rule, at),
      rekognitionCalls: (operation) =>
        (rekognitionServer.calls() as Record<string, { accepted: number }>)[operation]?.accepted ?? 0,
      privileges: authority.report,
      authority,
      idle,
      failed: postgres.died,
      stop,
    };
  } catch (error) {
    await stop({ abort: true });
    throw error;
  }
}

type Machines = ReadonlyMap<string, LocalStateMachine>;

/** Carries out what a Task's resource names: a function, or an execution that is waited for or not. */
function invokerOf(
  machines: Machines,
  functions: ReadonlyMap<string, LambdaFunction>,
  lambdas: LambdaRuntime,
  between: Between,
) {
  return async (resource: string, payload: unknown, signal?: AbortSignal): Promise<unknown> => {
    if (resource.endsWith(':states:startExecution.sync:2')) {
      return startAndWait(machines, payload as StartRequest, signal);
    }
    if (resource.endsWith(':states:startExecution')) {
      const { StateMachineArn, Input, Name } = payload as StartRequest;
      const ExecutionArn = machines.get(StateMachineArn)!.start(Input, Name);
      return { ExecutionArn, StartDate: new Date().toISOString() };
    }
    const fn = functions.get(resource.split(':').slice(0, 7).join(':'));
    if (!fn) {
      throw new LocalError('UnsupportedTemplateError', `The local run cannot call ${resource}.`);
    }
    return between.invoke ? between.invoke(fn, payload, lambdas) : lambdas.invoke(fn, payload);
  };
}

/** Calls that a rule began: nobody waits for them, as with any asynchronous invocation, but for `idle`. */
function backgroundCalls(invoke: (resource: string, payload: unknown) => Promise<unknown>) {
  const called = new Set<Promise<unknown>>();
  return {
    call(fn: LambdaFunction, input: unknown): void {
      const running: Promise<unknown> = invoke(fn.arn, input)
        // What the function throws is in its own log.
        .catch(() => {})
        .finally(() => called.delete(running));
      called.add(running);
    },
    settled: async (): Promise<void> => {
      await Promise.all(called);
    },
  };
}

/** Resolves when no execution is open, no call of a rule under way and no message of a queue at work. */
async function untilIdle(
  machines: readonly LocalStateMachine[],
  subscriptions: readonly Subscription[],
  callsSettled: () => Promise<void>,
): Promise<void> {
  do {
    await Promise.all(machines.map((machine) => machine.idle()));
    await callsSettled();
    while (subscriptions.some((subscription) => !subscription.isIdle)) {
      await sleep(20);
    }
  } while (machines.some((machine) => machine.isOpen));
}

/** What a cloud says and does of the executions of all its machines. */
function executionsOf(machines: Machines, outputs: Cloud['outputs'], idle: () => Promise<void>) {
  const all = [...machines.values()];
  return {
    onExecutionEnd(listener) {
      const removers = all.map((machine) => machine.onEnd(listener));
      return () => {
        for (const remove of removers) {
          remove();
        }
      };
    },
    async startExecution(input, stateMachineArn = outputs.StateMachineArn!) {
      const machine = machines.get(stateMachineArn);
      if (!machine) {
        throw new Error(`There is no state machine ${stateMachineArn}`);
      }
      return machine.start(input);
    },
    abortExecution: (arn) => machineOf(machines, arn)?.abort(arn),
    timeOutExecution: (arn) => machineOf(machines, arn)?.timeOut(arn),
    describeExecution: (arn) => machineOf(machines, arn)?.describe(arn),
    executions: () => machines.get(outputs.StateMachineArn!)!.list(),
    async reconcile(at = new Date()) {
      const machine = machines.get(outputs.ReconcileStateMachineArn!)!;
      const { promise, resolve } = Promise.withResolvers<ExecutionEnd>();
      const stopListening = machine.onEnd(resolve);
      machine.start({ scope: 'all', as_of: at.toISOString() });
      const end = await promise;
      stopListening();
      await idle();
      return end;
    },
    executionsStarted: () => all.reduce((started, machine) => started + machine.started, 0),
    waitingAfter: () => machines.get(outputs.StateMachineArn!)!.waitingAfter(),
    unfinished: () => all.reduce((sum, machine) => sum + machine.unfinished, 0),
  } satisfies Partial<Cloud>;
}

/** For whoever wants to see what the roles need, and what they are allowed and do not. */
function writePrivileges(file: string, { calls, denied, unused }: PrivilegeReport): void {
  const needless = unused.map(({ id, reason = 'not needed in this run' }) => ({ grant: id, reason }));
  writeFileSync(file, `${JSON.stringify({ denied, unused: needless, calls }, undefined, 2)}\n`);
}

/** Event source mappings: queues whose messages go to functions. */
function subscribeFunctions(
  stack: ResolvedTemplate,
  queues: Queues,
  invoke: (functionArn: string, payload: unknown) => Promise<unknown>,
): Subscription[] {
  const functions = stack.resources('AWS::Lambda::Function').map(({ local }) => local);
  return stack
    .resources('AWS::Lambda::EventSourceMapping')
    .filter(({ get }) => get('Enabled') !== false)
    .map(({ get }) => {
      const name = get<string>('FunctionName')!;
      const fn = functions.find(({ ref, attributes }) => ref === name || attributes.Arn === name)!;
      return queues.subscribe({
        queueArn: get('EventSourceArn')!,
        batchSize: get('BatchSize') ?? 10,
        windowSeconds: get('MaximumBatchingWindowInSeconds') ?? 0,
        concurrency: get<{ MaximumConcurrency: number }>('ScalingConfig')?.MaximumConcurrency ?? 5,
        reportsFailures: get<string[]>('FunctionResponseTypes')?.includes('ReportBatchItemFailures') ?? false,
        invoke: (event) => invoke(fn.attributes.Arn as string, event),
      });
    });
}

/** By ARN. */
function lambdaFunctions(
  stack: ResolvedTemplate,
  assembly: Assembly,
  { certificateAuthority }: LocalPostgres,
  timeScale: number,
): Map<string, LambdaFunction> {
  const functions = new Map<string, LambdaFunction>();
  for (const { local, get } of stack.resources('AWS::Lambda::Function')) {
    const key = get<{ S3Key?: string }>('Code')?.S3Key;
    if (key === undefined) {
      // Inline, as a custom resource of the CDK has it: what those do, the local run reads out of their properties.
      continue;
    }
    const variables = Object.entries(get<{ Variables?: object }>('Environment')?.Variables ?? {});
    const environment = Object.fromEntries(
      variables.map(([name, value]) => [
        name,
        value === LAMBDA_CERTIFICATES ? certificateAuthority : String(value),
      ]),
    );
    const arn = local.attributes.Arn as string;
    functions.set(arn, {
      name: local.ref,
      arn,
      code: assembly.assetPath(key),
      handler: get('Handler')!,
      environment,
      timeoutSeconds: scaledTimeout(get<number>('Timeout') ?? 3, timeScale),
      memoryMegabytes: get('MemorySize') ?? 128,
    });
  }
  return functions;
}

/** A function's time in seconds; when it is shortened, a cold start on a busy machine still fits into it. */
function scaledTimeout(seconds: number, scale: number): number {
  return scale < 1 ? Math.max(3, seconds * scale) : seconds * scale;
}

/**
 * Calls the functions that a deployment calls (the triggers module of the CDK), in the order of their dependencies, where
 * another version of them was called the last time.
 *
 * @throws LocalError `DeploymentError`
 */
async function runTriggers(
  stack: ResolvedTemplate,
  { template }: Assembly,
  doneFile: string,
  call: (name: string, functionArn: string) => Promise<void>,
): Promise<void> {
  const done = existsSync(doneFile)
    ? (JSON.parse(readFileSync(doneFile, 'utf8')) as Record<string, string>)
    : {};
  const triggers = new Map(stack.resources('Custom::Trigger').map((trigger) => [trigger.logicalId, trigger]));
  const visited = new Set<string>();

  async function run(logicalId: string): Promise<void> {
    const trigger = triggers.get(logicalId);
    if (!trigger || visited.has(logicalId)) {
      return;
    }
    visited.add(logicalId);
    const { DependsOn = [], Properties } = template.Resources[logicalId]!;
    for (const dependency of [DependsOn].flat()) {
      await run(dependency);
    }
    // The logical id of a function's version holds a hash of its code and configuration.
    const { Ref: version } = Properties!.HandlerArn as { Ref: string };
    if (done[logicalId] === version) {
      return;
    }
    try {
      await call('Calling what a deployment calls', trigger.get<string>('HandlerArn')!);
    } catch (error) {
      const { name, message } = error as LambdaError;
      throw new LocalError('DeploymentError', `${trigger.logicalId} failed: ${name} ${message}`);
    }
    done[logicalId] = version;
    writeFileSync(`${doneFile}.new`, JSON.stringify(done));
    renameSync(`${doneFile}.new`, doneFile);
  }

  for (const logicalId of triggers.keys()) {
    await run(logicalId);
  }
}

/** Adds the template's machines by their ARNs. */
function createStateMachines(
  stack: ResolvedTemplate,
  assembly: Assembly,
  machines: Map<string, LocalStateMachine>,
  options: Omit<StateMachineOptions, 'arn' | 'definition' | 'maps'> & { authority: Authority; s3: S3Client },
): void {
  const { authority, s3, invoke, ...rest } = options;
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
      ...rest,
      arn,
      definition,
      validates: assembly.isNew,
      maps: mapServices(s3, authority, arn),
      async invoke(resource, payload, signal) {
        await checkTask(authority, arn, resource, payload);
        return invoke(resource, payload, signal);
      },
    });
    machines.set(arn, machine);
  }
}

interface StartRequest {
  StateMachineArn: string;
  Input: unknown;
  Name?: string;
}

/**
 * `states:startExecution.sync:2`: fails when the execution fails, and stops it when nobody waits any more.
 * https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
 */
async function startAndWait(
  machines: ReadonlyMap<string, LocalStateMachine>,
  { StateMachineArn, Input, Name }: StartRequest,
  signal: AbortSignal | undefined,
): Promise<object> {
  const machine = machines.get(StateMachineArn)!;
  const { promise, resolve } = Promise.withResolvers<ExecutionEnd>();
  const ends = new Map<string, ExecutionEnd>();
  let arn: string | undefined;
  const stopListening = machine.onEnd((end) => {
    if (arn === undefined) {
      ends.set(end.executionArn, end);
    } else if (end.executionArn === arn) {
      resolve(end);
    }
  });
  arn = machine.start(Input, Name);
  const early = ends.get(arn);
  if (early) {
    resolve(early);
  }
  const started = arn;
  const stop = () => {
    if (signal?.reason !== CUT_OFF) {
      machine.abort(started, { cause: 'The execution that started it was stopped' });
    }
  };
  signal?.addEventListener('abort', stop);
  const end = await promise;
  signal?.removeEventListener('abort', stop);
  stopListening();
  const description = {
    ExecutionArn: end.executionArn,
    StateMachineArn,
    Status: end.status,
    Input: end.input,
    StartDate: end.startedAt.getTime(),
    StopDate: end.endedAt.getTime(),
  };
  if (end.status !== 'SUCCEEDED') {
    const cause = JSON.stringify({ ...description, Error: end.error, Cause: end.cause });
    throw Object.assign(new Error(cause), { name: 'States.TaskFailed' });
  }
  return { ...description, Output: end.output };
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

function machineOf(
  machines: ReadonlyMap<string, LocalStateMachine>,
  executionArn: string,
): LocalStateMachine | undefined {
  return machines.get(executionArn.replace(':execution:', ':stateMachine:').replace(/:[^:]+$/, ''));
}

function scheduledRules(stack: ResolvedTemplate): ScheduledRule[] {
  return stack
    .resources('AWS::Events::Rule')
    .filter(({ get }) => get('State') !== 'DISABLED' && get('ScheduleExpression') !== undefined)
    .map(({ local, get }) => ({ name: local.ref, expression: get<string>('ScheduleExpression')! }));
}

/** The rules of the template; a target that cannot take its event has it sent to the dead-letter queue, and logged. */
function createRouter(
  stack: ResolvedTemplate,
  {
    machines,
    functions,
    call,
  }: {
    machines: ReadonlyMap<string, LocalStateMachine>;
    functions: ReadonlyMap<string, LambdaFunction>;
    call(fn: LambdaFunction, input: unknown): void;
  },
  queues: Queues,
  log: string,
) {
  const rules = stack
    .resources('AWS::Events::Rule')
    .filter(({ get }) => get('State') !== 'DISABLED')
    .map(
      ({ local, get }): Rule => ({
        name: local.ref,
        pattern: get('EventPattern'),
        targets: get<RuleTarget[]>('Targets') ?? [],
      }),
    );
  const deliveries = new Map(
    rules
      .flatMap(({ targets }) => targets)
      .map(({ Arn }): [string, (input: unknown) => void] => {
        const machine = machines.get(Arn);
        if (machine) {
          return [Arn, (input) => machine.start(input)];
        }
        if (Arn.startsWith('arn:aws:sqs:')) {
          return [Arn, (input) => queues.send(Arn, JSON.stringify(input))];
        }
        const fn = functions.get(Arn);
        if (fn) {
          return [Arn, (input) => call(fn, input)];
        }
        throw new LocalError('UnsupportedTemplateError', `The local run cannot deliver events to ${Arn}.`);
      }),
  );
  return createEventRouter(
    rules,
    ({ Arn }, input) => deliveries.get(Arn)!(input),
    ({ rule, target, event, error }) => {
      appendFileSync(log, `${new Date().toISOString()} ${rule.name}: ${error.message}\n`);
      if (target.DeadLetterConfig) {
        // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        queues.send(target.DeadLetterConfig.Arn, JSON.stringify(event), {
          RULE_ARN: ruleArn(rule.name),
          TARGET_ARN: target.Arn,
          ERROR_CODE: error.name,
          ERROR_MESSAGE: error.message,
        });
      }
    },
  );
}
