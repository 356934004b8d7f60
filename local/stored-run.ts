import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { localClientOptions } from './clients.ts';
import { type OperatedMachine, startControlPlane } from './control-plane.ts';
import { nameOf, readInterrupted } from './execution-journal.ts';
import { startObjectStore } from './object-store.ts';
import { anyFreePort, hasDatabase, startPostgres } from './postgres.ts';
import { startRekognition } from './rekognition/server.ts';
import { localResources } from './resources.ts';
import { rollcallOutputs } from './rollcall-outputs.ts';
import type { RunningCloud } from './running-cloud.ts';
import { createBucketsAndQueues, databaseOf, rekognitionOf, tableDefinitions } from './stand-ins.ts';
import { openStateFolder } from './state-folder.ts';
import { storedAssembly } from './synthesis.ts';
import { startTables } from './tables.ts';
import { resolveTemplate } from './template.ts';

export interface StoredRunOptions {
  /** Absolute path; it is there. */
  stateDir: string;
  /** Where PostgreSQL listens if nobody else does, else anywhere. */
  postgresPort: number;
  /** Answers in place of a function, by its name; undefined where there is none to ask. Nothing else of the stack runs. */
  answer(functionName: string, payload: unknown, stored: StoredRun): Promise<unknown> | undefined;
  onStep?: (step: string) => void;
}

export interface StoredRun {
  services: RunningCloud;
  /** Executions that the run could not finish. */
  unfinished: number;
  stop(): Promise<void>;
}

/**
 * What an earlier run left, to be looked at and set: the stores, as they are, in front of what they keep. No function is there, no
 * state machine, no rule and no model, and the app is not synthesised: what the run was made of is stored beside its data.
 *
 * @returns undefined where no run ever got as far as to have data
 * @throws LocalError `StateFolderInUseError` while another process has the folder, `IncompatibleStateError`, `PostgresError`
 */
export async function openStoredRun(options: StoredRunOptions): Promise<StoredRun | undefined> {
  const { stateDir, onStep = () => {} } = options;
  const inState = (...names: string[]) => join(stateDir, ...names);
  const closers: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) {
      await close();
    }
  };
  try {
    closers.push(openStateFolder(stateDir).release);
    const assembly = storedAssembly(inState('cdk.out'));
    if (!assembly || !hasDatabase(inState('postgres'))) {
      await stop();
      return undefined;
    }
    onStep('Opening what is stored');
    // Most of the time PostgreSQL starts, and the rest of this does not need it.
    const starting = startPostgres({
      folder: inState('postgres'),
      log: inState('logs', 'postgres.log'),
      port: await anyFreePort(options.postgresPort),
      ...databaseOf(assembly),
    });
    closers.push(async () => (await starting.catch(() => undefined))?.stop());
    const objects = await startObjectStore(inState('s3'), () => {});
    closers.push(objects.stop);
    const s3 = new S3Client({ ...localClientOptions, endpoint: objects.endpoint, forcePathStyle: true });
    closers.push(() => s3.destroy());
    const rekognition = await startRekognition({ ...rekognitionOf(stateDir, s3), warmUp: false });
    closers.push(rekognition.close);
    const stack = resolveTemplate(
      assembly.stackName,
      assembly.template,
      localResources(assembly.stackName, assembly.template, {
        queueUrl: objects.queues.urlOf,
        database: { host: 'localhost', port: options.postgresPort },
        // Nobody answers at it: what is stored is only looked at.
        httpApi: '',
      }),
    );
    createBucketsAndQueues(stack, objects, 1);
    const tables = await startTables(inState('dynamodb'), tableDefinitions(stack));
    closers.push(tables.stop);
    const arns = stack.resources('AWS::StepFunctions::StateMachine').map(({ local }) => local.ref);
    const control = await startControlPlane({
      machines: new Map(arns.map((arn) => [arn, resting(arn)])),
      invoke: (name, payload) => options.answer(name, payload, stored),
    });
    closers.push(control.stop);
    const stored: StoredRun = {
      services: {
        endpoints: {
          s3: objects.endpoint,
          sqs: objects.endpoint,
          dynamodb: tables.endpoint,
          rekognition: rekognition.endpoint,
          states: control.endpoint,
          lambda: control.endpoint,
        },
        databaseUrl: (await starting).url,
        outputs: rollcallOutputs(stack.outputs()),
      },
      unfinished: arns.reduce((sum, arn) => sum + readInterrupted(stateDir, nameOf(arn)).size, 0),
      stop,
    };
    return stored;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A machine that runs nothing: what it has not finished is in its journal, for the next run. */
function resting(arn: string): OperatedMachine {
  return {
    arn,
    start() {
      throw new Error('Nothing is up that could run an execution: npm run local:up');
    },
    abort() {},
    describe: () => undefined,
    list: () => [],
  };
}
