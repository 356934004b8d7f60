import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StateMachine } from 'aws-local-stepfunctions';
import { failureKinds, isFailureName } from '../../lambdas/shared/contract/errors.ts';

export interface Retrier {
  ErrorEquals: string[];
  MaxAttempts: number;
  IntervalSeconds: number;
  BackoffRate: number;
  MaxDelaySeconds?: number;
  JitterStrategy: string;
}

export interface State {
  Type: string;
  Resource?: string;
  TimeoutSeconds?: number;
  Retry?: Retrier[];
  Catch?: { ErrorEquals: string[]; ResultPath: string; Next: string }[];
  Next?: string;
  End?: boolean;
}

/**
 * What Lambda refuses a call for that passes by itself: too many at once, or a function that was idle for weeks and whose
 * network, or right to read its own code, is being made anew. Step Functions calls them by the names of a Java SDK, and
 * does not document of which: the older one spells EC2, ENI and IP in capitals, the newer one does not.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
 */
export const LAMBDA_WAITS = [
  'TooManyRequests',
  'ResourceNotReady',
  'CodeArtifactUserPending',
  'CodeArtifactUserDeleted',
  'ENINotReady',
  'EniNotReady',
  'ENILimitReached',
  'EniLimitReached',
  'SubnetIPAddressLimitReached',
  'SubnetIpAddressLimitReached',
  'EC2Throttled',
  'Ec2Throttled',
  'EC2Unexpected',
  'Ec2Unexpected',
].map((name) => `Lambda.${name}Exception`);

/** Errors that Lambda, its runtime and Step Functions report for a function; a name of none of ours. */
export const SERVICE_ERRORS = [
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.ClientExecutionTimeoutException',
  ...LAMBDA_WAITS,
  'Lambda.Unknown',
  'Sandbox.Timedout',
  'Runtime.ExitError',
  'Runtime.OutOfMemory',
];

/**
 * What passes by itself is tried at least so often, what an engineer has to mend a few times only, each apart from the
 * other; and no error of Lambda or Step Functions is left out.
 */
export function expectSensibleRetries(state: Pick<State, 'Retry'> | undefined, leastAttempts: number): void {
  const retriers = state?.Retry ?? [];
  for (const { ErrorEquals, MaxAttempts, JitterStrategy } of retriers) {
    const classes = new Set(
      ErrorEquals.map((name) => (isFailureName(name) ? failureKinds[name].class : 'transient')),
    );
    expect(JitterStrategy).toBe('FULL');
    if (classes.has('setup')) {
      expect([...classes]).toEqual(['setup']);
      expect(MaxAttempts).toBeLessThanOrEqual(3);
    } else {
      expect(MaxAttempts).toBeGreaterThanOrEqual(leastAttempts);
    }
  }
  const named = retriers.flatMap(({ ErrorEquals }) => ErrorEquals);
  expect(named).toEqual(expect.arrayContaining(SERVICE_ERRORS));
}

export const indexPhoto = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../../state-machines/index-photo.asl.json'), 'utf8')
    .replaceAll(/\$\{(\w+)FunctionArn\}/g, 'arn:aws:lambda:us-east-1:000000000000:function:$1')
    .replaceAll(/\$\{(\w+)StateMachineArn\}/g, 'arn:aws:states:us-east-1:000000000000:stateMachine:$1')
    .replaceAll(/\$\{Partition\}/g, 'aws'),
) as { StartAt: string; TimeoutSeconds: number; States: Record<string, State> };

export const taskStates = Object.entries(indexPhoto.States)
  .filter(([, state]) => state.Type === 'Task')
  .map(([name]) => name);

/** Those that call a function; the others start an execution. */
export const functionStates = taskStates.filter((name) =>
  indexPhoto.States[name]?.Resource?.includes(':lambda:'),
);

/** What an execution meets on its way to a state that it enters only then. */
export const wayTo: Record<string, Record<string, Attempt[]>> = {
  MarkFailed: { IndexFaces: [{ error: 'ImageTooLarge' }] },
  EraseLeftovers: {
    IndexFaces: [{ error: 'ImageTooLarge' }],
    MarkFailed: [{ result: { effect: 'written', erasure_requested: true } }],
  },
  PhotoSettled: {
    IndexFaces: [{ error: 'InvalidS3Object' }],
    MarkFailed: [{ result: { effect: 'deleted', erasure_requested: true } }],
  },
  StartErasure: {
    PersistResults: Array.from({ length: attemptsOf('PersistResults', 'FacesBeingErased') }, () => ({
      error: 'FacesBeingErased',
    })),
  },
};

/** How often a state is tried before its catcher. */
export function attemptsOf(state: string, error: string): number {
  const retrier = indexPhoto.States[state]?.Retry?.find(({ ErrorEquals }) => ErrorEquals.includes(error));
  return 1 + (retrier?.MaxAttempts ?? 0);
}

const machine = new StateMachine(indexPhoto as never);

/** What one attempt of a Task does: answers with a result, or throws an error of that name, as Lambda reports it. */
export type Attempt = { result: object } | { error: string };

export interface Run {
  /** The states entered, in order; retries stay in their state. */
  path: string[];
  /** What the Tasks were given, by state. */
  requests: Record<string, Record<string, unknown>[]>;
  status: 'SUCCEEDED' | 'FAILED';
  error?: string;
  cause?: string;
  output?: Record<string, unknown>;
}

export const photo = {
  event_id: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77',
  photo_id: '9d2c4f60-71d4-4f5e-8a39-0f6f5b8f4c11',
  collection_id: 'rollcall-0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77',
  face_model_version: '7.0',
  recreations: 0,
};

const good: Record<string, object> = {
  EnsureCollection: photo,
  JoinLine: { place_ms: 0, wait_until: '2026-05-01T10:00:00Z', throttles: 0, reindexes: 0 },
  IndexFaces: { results_key: 'results/r.json', face_count: 2, unindexed_count: 0 },
  PersistResults: { photo_id: photo.photo_id, effect: 'stored', face_count: 2, unindexed_count: 0 },
  MarkFailed: { photo_id: photo.photo_id, effect: 'written', erasure_requested: false },
  StartErasure: {},
  EraseLeftovers: {},
};

/**
 * Runs the real definition. `script` holds the attempts of a Task state in order; when they run out, it succeeds. No
 * pause between retries and no waiting for the slot.
 */
export async function runIndexPhoto(
  script: Record<string, Attempt[] | ((attempt: number) => Attempt | undefined)> = {},
): Promise<Run> {
  const path: string[] = [];
  const requests: Run['requests'] = {};
  const handlers = Object.fromEntries(
    taskStates.map((name) => [
      name,
      async (request: Record<string, unknown>) => {
        const attempt = requests[name]?.length ?? 0;
        requests[name] = [...(requests[name] ?? []), structuredClone(request)];
        const scripted = script[name];
        const next = typeof scripted === 'function' ? scripted(attempt) : scripted?.[attempt];
        if (next && 'error' in next) {
          const cause = JSON.stringify({ errorType: next.error, errorMessage: `${name} said so` });
          throw Object.assign(new Error(cause), { name: next.error });
        }
        return next?.result ?? good[name];
      },
    ]),
  );
  const execution = machine.run(
    {
      lane: 'live',
      bucket: 'photos',
      object: { key: `events/${photo.event_id}/${photo.photo_id}.jpg`, size: 1, etag: 'e1', sequencer: '1' },
      event_time: '2026-05-01T10:00:00Z',
    },
    {
      overrides: {
        taskResourceLocalHandlers: handlers,
        waitTimeOverrides: { WaitInLine: 0 },
        retryIntervalOverrides: Object.fromEntries(taskStates.map((name) => [name, 0])),
      },
      context: {
        Execution: {
          Id: 'arn:aws:states:us-east-1:000000000000:execution:m:e',
          StartTime: '2026-05-01T10:00:01Z',
        },
      },
    } as never,
  );
  // The engine's own error says less than its log: there are the name and the cause that the Fail state gave.
  let failed: { Error: string; Cause: string } | undefined;
  const logged = (async () => {
    for await (const event of execution.eventLogs) {
      if (event.type === 'StateEntered') {
        path.push(event.state.name);
      } else if (event.type === 'ExecutionFailed') {
        failed = { Error: event.Error, Cause: String(event.Cause ?? '') };
      }
    }
  })();
  const output = await execution.result.catch(() => undefined);
  await logged;
  return failed
    ? { path, requests, status: 'FAILED', error: failed.Error, ...(failed.Cause && { cause: failed.Cause }) }
    : { path, requests, status: 'SUCCEEDED', output: output as Record<string, unknown> };
}
