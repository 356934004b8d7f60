import type { Cloud, ExecutionEnd } from '../../local/cloud.ts';
import { startCloud } from '../../local/cloud.ts';
import { eventFaults } from './event-faults.ts';
import { functionFaults } from './function-faults.ts';
import { inventedFaces } from './photos.ts';
import { type PostgresDisturber, type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts';
import { rekognitionFaults } from './rekognition-faults.ts';
import { type Run, Scene } from './scene.ts';
import { dynamodbFaults, s3Faults } from './service-faults.ts';

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
  /** CDK context beside cdk.json's. */
  context?: Readonly<Record<string, string>>;
  onStep?: (text: string) => void;
}

/** A minute of retries takes four seconds, and a function dies after a tenth of its time: record and retries stay in proportion. */
export const CAMPAIGN_TIME = { retries: 0.06, lambdas: 0.1, queues: 0.01 } as const;

/** Half an hour of waiting takes a quarter of a minute. */
export const SCALED_TO_WAIT = { ...CAMPAIGN_TIME, retries: 0.01 } as const;

/** As fast as it goes: the pace has its own benchmark. */
const NO_QUOTAS = {
  IndexFaces: Infinity,
  CreateCollection: Infinity,
  DescribeCollection: Infinity,
  ListFaces: Infinity,
  DeleteFaces: Infinity,
  SearchFaces: Infinity,
};

/** Starts the local pipeline with disturbers between all of its parts, at rest until there is a run. */
export async function startHarness(options: HarnessOptions): Promise<Harness> {
  const scene = new Scene();
  const rekognition = rekognitionFaults(scene);
  const functions = functionFaults(scene);
  const events = eventFaults(scene);
  const proxy = databaseProxy(scene);
  let cloud: Cloud;
  try {
    cloud = await startCloud({
      stateDir: options.stateDir,
      postgresPort: options.postgresPort,
      ...(options.onStep && { onStep: options.onStep }),
      time: options.time,
      ...(options.context && { context: options.context }),
      appliedQuota: () => 1_000,
      rekognition: {
        quotas: NO_QUOTAS,
        findFaces: inventedFaces,
        intercept: rekognition.intercept,
        onCall: rekognition.onCall,
      },
      keeps: false,
      // Enough for two of a kind to get in each other's way; each more has to be started, and killed.
      lambdaConcurrency: 2,
      between: {
        services: { s3: s3Faults(scene), dynamodb: dynamodbFaults(scene) },
        database: proxy.between,
        invoke: functions.invoke,
        event: events.publish,
      },
    });
  } catch (error) {
    await proxy.stop();
    throw error;
  }
  scene.cloud = cloud;
  return {
    cloud,
    postgres: proxy.postgres(),
    setRun(next) {
      scene.run = next;
      rekognition.calm();
    },
    storm: rekognition.storm,
    coldStarts: functions.coldStarts,
    dropUploads: events.dropUploads,
    holdsEvents: events.holdsEvents,
    isRemoving: functions.isRemoving,
    onExecutionEnd: cloud.onExecutionEnd,
    async stop() {
      scene.run = undefined;
      await cloud.stop({ abort: true });
      await proxy.stop();
    },
  };
}

/** The proxy before PostgreSQL, which starts as the cloud asks for it. */
function databaseProxy(scene: Scene) {
  let postgres: PostgresProxy | undefined;
  return {
    async between(port: number, certificates: string): Promise<number> {
      postgres = await startPostgresProxy(port, certificates, databaseFaults(scene));
      return postgres.port;
    },
    postgres: () => postgres!,
    async stop() {
      await postgres?.stop();
    },
  };
}

function databaseFaults(scene: Scene): PostgresDisturber {
  const noted = <Fault>(fault: Fault, what: string): Fault => {
    if (fault !== undefined) {
      scene.run?.struck('*', `${what}: ${String(fault)}`);
    }
    return fault;
  };
  return {
    connect: () => noted(scene.run?.plan.connect(), 'PostgreSQL connect'),
    statement: () => noted(scene.run?.plan.statement(), 'PostgreSQL statement'),
    afterCommit: () =>
      scene.run?.plan.afterCommit() === true && noted(true, 'PostgreSQL connection lost after COMMIT'),
  };
}
