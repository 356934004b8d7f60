import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeExecutionCommand, type DescribeExecutionOutput } from '@aws-sdk/client-sfn';
import { count } from '../cli/text.ts';
import type { ExecutionInput } from '../lambdas/shared/contract/payloads.ts';
import { startOnce } from '../lambdas/shared/runtime/start-once.ts';
import type { Context } from './context.ts';
import type { Deployment } from './deployment.ts';
import { holdLines, holdOf } from './hold.ts';
import { readLedger } from './ledger.ts';

/** Executions of one name that may have ended without changing anything, before a new name is refused. */
const MAX_REPETITIONS = 100;

/**
 * Starts an execution for one state of a photo, unless the one that was started for it is still running: so that the same
 * command twice does not start it twice.
 *
 * @param name what the execution is about; the same again is the same wish
 * @returns the execution's ARN
 */
export async function startPhoto(
  { states, outputs }: Deployment,
  input: ExecutionInput,
  name: string,
): Promise<string> {
  const execution = await startOnce(states, outputs.StateMachineArn, input, name, {
    repetitions: MAX_REPETITIONS,
  });
  if (!execution) {
    throw new Error(`${MAX_REPETITIONS} executions for ${name} ended before this one`);
  }
  return execution.executionArn;
}

export type Ended = Pick<DescribeExecutionOutput, 'executionArn' | 'status' | 'error'>;

/** Calls a second at most: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html allows 15 in small Regions. */
const DESCRIBES_PER_SECOND = 10;

/** How long nothing has to end, while a pause or the day's cap holds the photos, until nobody waits any more. */
const HELD_PATIENCE_MS = { local: 1_500, aws: 15_000 };

export interface Waited {
  ended: Ended[];
  /** Executions that are still open: a pause or the day's cap holds them, for hours perhaps. */
  held: number;
}

/** Waits for executions to end, and tells of each that does; not for those that a pause or the day's cap holds. */
export async function waitForAll(
  deployment: Deployment,
  executionArns: readonly string[],
  onEnd: (end: Ended) => void,
): Promise<Waited> {
  const { states, isLocal } = deployment;
  const ended: Ended[] = [];
  let open = [...new Set(executionArns)];
  let movedAt = performance.now();
  while (open.length > 0) {
    const stillOpen: string[] = [];
    for (const executionArn of open) {
      const { status, error } = await states.send(new DescribeExecutionCommand({ executionArn }));
      if (status === 'RUNNING') {
        stillOpen.push(executionArn);
      } else {
        const end = { executionArn, status, error };
        ended.push(end);
        onEnd(end);
        movedAt = performance.now();
      }
      await sleep(isLocal ? 1 : 1_000 / DESCRIBES_PER_SECOND);
    }
    open = stillOpen;
    if (open.length > 0) {
      if (await isHeld(deployment, movedAt)) {
        break;
      }
      await sleep(isLocal ? 100 : 1_000);
    }
  }
  return { ended, held: open.length };
}

/**
 * Whether a pause or the day's cap holds what does not move.
 *
 * @param movedAt when something last ended, by `performance.now()`
 */
export async function isHeld(deployment: Deployment, movedAt: number): Promise<boolean> {
  const patienceMs = deployment.isLocal ? HELD_PATIENCE_MS.local : HELD_PATIENCE_MS.aws;
  return performance.now() - movedAt > patienceMs && holdOf(await readLedger(deployment)) !== undefined;
}

/** What to say of executions that are held; nothing when none is. */
export async function heldLines({ args, deployment, now }: Context, held: number): Promise<string[]> {
  if (held === 0) {
    return [];
  }
  return [
    `${count(held, 'photo')} ${held === 1 ? 'waits and goes' : 'wait and go'} on without this command.`,
    ...holdLines(args, await readLedger(deployment), now()),
  ];
}
