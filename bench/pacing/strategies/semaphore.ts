import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { FunctionName } from '../functions.ts';
import { functionArn, startMachine } from '../machine.ts';
import { meanSeconds, type Strategy } from '../strategy.ts';
import { NO_PLACE, SEMAPHORE_TABLE, type World } from '../world.ts';

const SOURCE =
  'https://github.com/aws-samples/aws-stepfunctions-examples/tree/main/sam/app-control-concurrency-with-dynamodb';

/** What happens between taking and releasing the lock beside the call, measured in this benchmark. */
const AROUND_MS = 60;

interface Settings {
  limit: number;
  /** Retry of the acquiring state itself, before it goes the long way round. */
  retry: { IntervalSeconds: number; BackoffRate: number; MaxAttempts: number; JitterStrategy?: 'FULL' };
  waitSeconds: number;
}

const input = { 'input.$': '$', 'execution_arn.$': '$$.Execution.Id' };

/**
 * The sample's machine around this pipeline's work: a counter in one DynamoDB item, incremented while it is below the
 * limit. Who does not get a lock retries; then looks whether it has one; then waits and starts over.
 */
function definition({ retry, waitSeconds }: Settings): string {
  const task = (name: string, rest: object) => ({
    Type: 'Task',
    Resource: functionArn(name),
    Parameters: input,
    TimeoutSeconds: 120,
    ...rest,
  });
  return JSON.stringify({
    StartAt: 'EnsureCollection',
    States: {
      EnsureCollection: task('EnsureCollection', {
        Parameters: { ...input, max_recreations: 3 },
        ResultPath: '$.photo',
        Retry: [
          {
            ErrorEquals: ['States.ALL'],
            IntervalSeconds: 2,
            BackoffRate: 2,
            MaxAttempts: 12,
            JitterStrategy: 'FULL',
          },
        ],
        Next: 'AcquireLock',
      }),
      AcquireLock: task('AcquireLock', {
        ResultPath: null,
        Retry: [{ ErrorEquals: ['States.ALL'], ...retry }],
        Catch: [
          {
            ErrorEquals: ['DynamoDB.ConditionalCheckFailedException'],
            ResultPath: null,
            Next: 'LookForLock',
          },
        ],
        Next: 'IndexFaces',
      }),
      LookForLock: task('LookForLock', { ResultPath: '$.lock', Next: 'HaveLock' }),
      HaveLock: {
        Type: 'Choice',
        Choices: [{ Variable: '$.lock.held', BooleanEquals: true, Next: 'IndexFaces' }],
        Default: 'WaitForLock',
      },
      WaitForLock: { Type: 'Wait', Seconds: waitSeconds, Next: 'AcquireLock' },
      IndexFaces: task('IndexFaces', {
        ResultPath: '$.result',
        Retry: [
          {
            ErrorEquals: ['States.ALL'],
            IntervalSeconds: 1,
            BackoffRate: 2,
            MaxDelaySeconds: 60,
            MaxAttempts: 30,
            JitterStrategy: 'FULL',
          },
        ],
        Next: 'ReleaseLock',
      }),
      ReleaseLock: task('ReleaseLock', {
        ResultPath: null,
        Retry: [{ ErrorEquals: ['States.ALL'], MaxAttempts: 5, BackoffRate: 1.5 }],
        Next: 'PersistResults',
      }),
      PersistResults: task('PersistResults', {
        Parameters: { ...input, 'started_at.$': '$$.Execution.StartTime' },
        ResultPath: '$.outcome',
        End: true,
      }),
    },
  });
}

function start(world: World, settings: Settings) {
  const lock = semaphoreLock(world.dynamodb, settings.limit);
  const invoke = async (name: string, payload: unknown) => {
    const { execution_arn: owner } = payload as { execution_arn: string };
    switch (name) {
      case 'AcquireLock':
        return lock.acquire(owner);
      case 'LookForLock':
        return lock.lookFor(owner);
      case 'ReleaseLock':
        return lock.release(owner);
      default:
        return world.functions.invoke(name as FunctionName, payload);
    }
  };
  return startMachine(world, definition(settings), invoke, { place: NO_PLACE });
}

/** The sample's updates: the counter, and an attribute for each holder. */
function semaphoreLock(dynamodb: DynamoDBClient, limit: number) {
  const Key = { id: { S: 'MySemaphore' } };
  const held = new Set<string>();
  const created = dynamodb.send(
    new PutItemCommand({ TableName: SEMAPHORE_TABLE, Item: { ...Key, currentlockcount: { N: '0' } } }),
  );
  const update = async (
    owner: string,
    expression: string,
    condition: string,
    values: Record<string, string>,
  ) => {
    await created;
    try {
      await dynamodb.send(
        new UpdateItemCommand({
          TableName: SEMAPHORE_TABLE,
          Key,
          UpdateExpression: expression,
          ConditionExpression: condition,
          ExpressionAttributeNames: { '#owner': owner },
          ExpressionAttributeValues: Object.fromEntries(
            Object.entries(values).map(([name, N]) => [name, { N }]),
          ),
        }),
      );
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) {
        throw Object.assign(new Error(error.message), { name: 'DynamoDB.ConditionalCheckFailedException' });
      }
      throw error;
    }
  };
  return {
    async acquire(owner: string) {
      await update(
        owner,
        'SET currentlockcount = currentlockcount + :one, #owner = :at',
        'currentlockcount <> :limit AND attribute_not_exists(#owner)',
        { ':one': '1', ':at': String(Date.now()), ':limit': String(limit) },
      );
      held.add(owner);
      return {};
    },
    lookFor: async (owner: string) => ({ held: held.has(owner) }),
    async release(owner: string) {
      await update(
        owner,
        'SET currentlockcount = currentlockcount - :one REMOVE #owner',
        'attribute_exists(#owner)',
        { ':one': '1' },
      );
      held.delete(owner);
      return {};
    },
  };
}

function bestLimit(options: World['options']): number {
  return Math.max(1, Math.round(options.quota * meanSeconds(options, AROUND_MS)));
}

export const semaphore: readonly Strategy[] = [
  {
    name: 'semaphore',
    settings: (options) =>
      `limit ${bestLimit(options)} = quota x mean time held; asks for a lock every 0 to 10 s`,
    source: SOURCE,
    world: { ledger: false, sdkAttempts: 1 },
    start: (world) =>
      start(world, {
        limit: bestLimit(world.options),
        retry: { IntervalSeconds: 10, BackoffRate: 1, MaxAttempts: 100_000, JitterStrategy: 'FULL' },
        waitSeconds: 3,
      }),
  },
  {
    name: 'semaphore@defaults',
    settings: () => 'limit 5; 6 retries from 1 s, doubling, then 3 s of waiting, and again',
    source: SOURCE,
    world: { ledger: false, sdkAttempts: 3 },
    start: (world) =>
      start(world, {
        limit: 5,
        retry: { IntervalSeconds: 1, BackoffRate: 2, MaxAttempts: 6 },
        waitSeconds: 3,
      }),
  },
];
