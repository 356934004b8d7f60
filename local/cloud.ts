/** The one-machine run: starts the stand-ins of AWS's services (each in `cloud/`) and what the app's template says. */
import { mkdirSync } from 'node:fs';
import { appOf } from './app-folder.ts';
import { backgroundCalls } from './cloud/calls.ts';
import type { Cloud, CloudOptions } from './cloud/contract.ts';
import { openDatabase } from './cloud/database.ts';
import { type Bus, createBus, createRouter, startSchedules } from './cloud/events.ts';
import { executionsOf, untilIdle } from './cloud/executions.ts';
import { startFunctions } from './cloud/functions.ts';
import { createJudge } from './cloud/privileges.ts';
import { startFaceService } from './cloud/rekognition.ts';
import { createSetup, type Setup, together } from './cloud/setup.ts';
import { createStateMachines } from './cloud/state-machines.ts';
import { startStorage } from './cloud/storage.ts';
import { subscribeFunctions } from './cloud/subscriptions.ts';
import { startDynamodb } from './cloud/tables.ts';
import { runTriggers } from './cloud/triggers.ts';
import type { BusEvent } from './event-router.ts';
import { type HttpApi, httpRoutes, startHttpApi } from './http-api.ts';
import { createOrCopyCluster } from './kept-cluster.ts';
import { freeOr, releasePort } from './postgres.ts';
import { localResources } from './resources.ts';
import { rollcallOutputs } from './rollcall-outputs.ts';
import { announce, type RunningCloud } from './running-cloud.ts';
import { createBucketsAndQueues } from './stand-ins.ts';
import { openStateFolder } from './state-folder.ts';
import type { LocalStateMachine } from './state-machine.ts';
import { synthesise } from './synthesis.ts';
import { type ResolvedTemplate, resolveTemplate } from './template.ts';

export type { Cloud, CloudOptions } from './cloud/contract.ts';
export type { BusEvent } from './event-router.ts';
export type { ExecutionEnd } from './state-machine.ts';

/**
 * Runs what `cdk synth` makes of the app, or of another one with a Rollcall in it, on this machine: the bundled Lambdas with
 * their environment, the state machine with its substitutions, the event rule with its pattern and transformer, on local
 * stand-ins of the services.
 *
 * @throws LocalError in one line: the state folder or the port is in use, the app cannot be synthesised, ...
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const setup = createSetup(options);
  try {
    return await start(setup);
  } catch (error) {
    await setup.stop({ abort: true });
    throw error;
  }
}

async function start(setup: Setup): Promise<Cloud> {
  await claimPlace(setup);
  const services = await startServices(setup);
  const app = await runStack(setup, services);
  return cloudOf(setup, services, app);
}

type Services = Awaited<ReturnType<typeof startServices>>;

/** The app as a template, and the services that it calls. */
async function startServices(setup: Setup) {
  const { options, step, inState } = setup;
  step('Synthesising the app');
  const bus = createBus(options.between ?? {});
  // Beside the synthesis, which takes seconds and the rest's names come from: what needs none of them.
  const [assembly, { objects, s3, faces }, httpApi] = await together(
    synthesise({
      assembly: inState('cdk.out'),
      log: inState('logs', 'synth.log'),
      context: options.context,
      app: appOf(options.stateDir, options.app),
    }),
    startPhotoServices(setup, bus),
    startApi(setup),
    createOrCopyCluster(inState('postgres')),
  );

  const address = await openDatabase(setup, assembly);
  const stack = resolveTemplate(
    assembly.stackName,
    assembly.template,
    localResources(assembly.stackName, assembly.template, {
      queueUrl: objects.queues.urlOf,
      database: address,
      httpApi: httpApi.endpoint,
    }),
  );
  const authority = await createJudge(setup, stack);
  createBucketsAndQueues(stack, objects, options.time?.queues ?? 1);

  step('Starting PostgreSQL and DynamoDB');
  const [{ postgres, dataApi, secrets }, tables] = await together(
    address.start(stack, authority),
    startDynamodb(setup, stack),
  );
  return { assembly, stack, authority, bus, objects, s3, faces, httpApi, postgres, dataApi, secrets, tables };
}

type App = Awaited<ReturnType<typeof runStack>>;

/** The app itself: its functions and state machines, and all that sets them off but the schedules. */
async function runStack(setup: Setup, services: Services) {
  const { step, inState } = setup;
  const { assembly, stack, authority, bus, objects, s3, faces, httpApi, tables } = services;
  const { postgres, dataApi, secrets } = services;
  const machines = new Map<string, LocalStateMachine>();
  const { byArn, invoke, prepare, controlEndpoint } = await startFunctions(setup, {
    stack,
    assembly,
    authority,
    machines,
    certificateAuthority: postgres.certificateAuthority,
    endpoints: {
      s3: objects.endpoint,
      sqs: objects.endpoint,
      dynamodb: tables.endpoint,
      rekognition: faces.endpoint,
      'rds-data': dataApi.endpoint,
      secretsmanager: secrets.endpoint,
    },
  });
  if (setup.options.preparesFunctions) {
    // Nothing waits for them.
    void prepare(calledByPipeline(stack, byArn));
  }
  await runTriggers(stack, assembly, inState('triggers.json'), async (name, resource) => {
    step(name);
    await invoke(resource, {});
  });

  createStateMachines(setup, machines, { stack, assembly, authority, invoke, publish: bus.publish, s3 });
  const background = backgroundCalls(invoke);
  const { queues } = objects;
  const router = createRouter(setup, stack, { machines, functions: byArn, queues, call: background.call });
  bus.connect(router);
  const subscriptions = subscribeFunctions(setup, stack, queues, invoke);
  httpApi.serve(httpRoutes(stack), invoke);
  const idle = () => untilIdle(machines, subscriptions, background);
  return { machines, router, idle, controlEndpoint };
}

/** The functions of the photo pipeline's states, in the order in which the template names them. */
function calledByPipeline(stack: ResolvedTemplate, byArn: ReadonlyMap<string, unknown>): string[] {
  const { StateMachineArn } = rollcallOutputs(stack.outputs());
  const pipeline = stack
    .resources('AWS::StepFunctions::StateMachine')
    .find(({ local }) => local.ref === StateMachineArn)!;
  return Object.values(pipeline.get<object>('DefinitionSubstitutions') ?? {}).filter((value) =>
    byArn.has(value),
  );
}

/** Tells others of it, resumes what an earlier run could not finish, and hands it out. */
function cloudOf(setup: Setup, services: Services, { machines, router, idle, controlEndpoint }: App): Cloud {
  const { options, onStop } = setup;
  const { stack, authority, objects, s3, faces, httpApi, postgres, tables } = services;
  const outputs = rollcallOutputs(stack.outputs());
  const running: RunningCloud = {
    endpoints: {
      s3: objects.endpoint,
      sqs: objects.endpoint,
      dynamodb: tables.endpoint,
      rekognition: faces.endpoint,
      states: controlEndpoint,
      lambda: controlEndpoint,
    },
    databaseUrl: postgres.url,
    outputs,
  };
  onStop('announcement', announce(options.stateDir, running));
  if ((options.work ?? 'all') === 'all') {
    for (const machine of machines.values()) {
      machine.resumeInterrupted();
    }
  }
  const schedules = startSchedules(setup, stack, router);
  const photoBucket = outputs.PhotoBucketName!;

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
    rekognition: faces.client,
    dynamodb: tables.client,
    outputs,
    services: running,
    ...executionsOf(machines, outputs, idle),
    serveBeside: httpApi.serveBeside,
    currentEvent,
    deliver: router.publish,
    redeliver: async (key) => router.publish(currentEvent(key)),
    schedules: schedules.rules,
    fireSchedule: (rule, at = new Date()) => schedules.fire(rule, at),
    rekognitionCalls: faces.acceptedCalls,
    privileges: authority.report,
    authority,
    idle,
    failed: postgres.died,
    stop: setup.stop,
  };
}

async function startPhotoServices(setup: Setup, bus: Bus) {
  const { objects, s3 } = await startStorage(setup, bus.publish);
  return { objects, s3, faces: await startFaceService(setup, s3) };
}

async function startApi({ options, onStop }: Setup): Promise<HttpApi> {
  const httpApi = await startHttpApi(await freeOr(options.ports?.api));
  onStop('services', httpApi.stop);
  return httpApi;
}

/** The state folder and the port; what is taken is told before anything that takes time. */
async function claimPlace({ options, inState, onStop }: Setup): Promise<void> {
  onStop('state folder', openStateFolder(options.stateDir).release);
  mkdirSync(inState('logs'), { recursive: true });
  await releasePort(inState('postgres'), options.postgresPort);
}
