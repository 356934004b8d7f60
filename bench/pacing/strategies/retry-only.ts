import { setTimeout as sleep } from 'node:timers/promises';
import type { FunctionName } from '../functions.ts';
import { functionArn, startMachine } from '../machine.ts';
import { startQueue } from '../queue.ts';
import type { Strategy } from '../strategy.ts';
import { NO_PLACE } from '../world.ts';

/** Lambda retries a failed asynchronous invocation after one minute and after two more. */
const ASYNC_RETRIES_MS = [60_000, 120_000];

const pass = (next: string, resultPath: string) => ({
  Type: 'Task',
  TimeoutSeconds: 120,
  ResultPath: resultPath,
  Next: next,
});

/** The pipeline without a pace: whoever is throttled backs off, exponentially and with full jitter, for an hour. */
const definition = {
  StartAt: 'EnsureCollection',
  States: {
    EnsureCollection: {
      ...pass('IndexFaces', '$.photo'),
      Resource: functionArn('EnsureCollection'),
      Parameters: { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id', max_recreations: 3 },
      Retry: [
        {
          ErrorEquals: ['States.ALL'],
          IntervalSeconds: 2,
          BackoffRate: 2,
          MaxAttempts: 12,
          JitterStrategy: 'FULL',
        },
      ],
    },
    IndexFaces: {
      ...pass('PersistResults', '$.result'),
      Resource: functionArn('IndexFaces'),
      Parameters: { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id' },
      Retry: [
        {
          ErrorEquals: ['States.ALL'],
          IntervalSeconds: 2,
          BackoffRate: 2,
          MaxDelaySeconds: 60,
          MaxAttempts: 100,
          JitterStrategy: 'FULL',
        },
      ],
    },
    PersistResults: {
      Type: 'Task',
      TimeoutSeconds: 120,
      Resource: functionArn('PersistResults'),
      Parameters: {
        'input.$': '$',
        'execution_arn.$': '$$.Execution.Id',
        'started_at.$': '$$.Execution.StartTime',
      },
      ResultPath: '$.outcome',
      End: true,
    },
  },
};

export const retryOnly: readonly Strategy[] = [
  {
    name: 'retry-only',
    settings: () => 'Step Functions Retry: 2 s, doubling to 60 s, full jitter, 100 attempts; SDK 1 attempt',
    source: 'https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/',
    world: { ledger: false, sdkAttempts: 1 },
    start: (world) =>
      startMachine(
        world,
        JSON.stringify(definition),
        (name, payload) => world.functions.invoke(name as FunctionName, payload),
        { place: NO_PLACE },
      ),
  },
  {
    name: 'retry-only@defaults',
    settings: () => 'S3 event to function: SDK 3 attempts, then Lambda again after 1 and 2 minutes',
    source: 'https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html',
    world: { ledger: false, sdkAttempts: 3 },
    start(world) {
      return startQueue({
        batchSize: 1,
        batchWindowMs: 0,
        maxConcurrency: 1_000,
        maxReceives: 1,
        async consume([message]) {
          for (const delayMs of [...ASYNC_RETRIES_MS, undefined]) {
            try {
              await world.functions.invoke('ProcessPhoto', message!.photo.input);
              break;
            } catch {
              if (delayMs !== undefined) {
                await sleep(delayMs);
              }
            }
          }
          return new Map();
        },
      });
    },
  },
];
