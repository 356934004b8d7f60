import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeExecutionCommand, type DescribeExecutionOutput } from '@aws-sdk/client-sfn';
import type { ExecutionInput } from '../lambdas/shared/contract.ts';
import { startOnce } from '../lambdas/shared/start-once.ts';
import type { Deployment } from './deployment.ts';

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

/** Waits for executions to end, and tells of each that does. */
export async function waitForAll(
  { states, isLocal }: Deployment,
  executionArns: readonly string[],
  onEnd: (end: Ended) => void,
): Promise<void> {
  let open = [...new Set(executionArns)];
  while (open.length > 0) {
    const stillOpen: string[] = [];
    for (const executionArn of open) {
      const { status, error } = await states.send(new DescribeExecutionCommand({ executionArn }));
      if (status === 'RUNNING') {
        stillOpen.push(executionArn);
      } else {
        onEnd({ executionArn, status, error });
      }
      await sleep(isLocal ? 1 : 1_000 / DESCRIBES_PER_SECOND);
    }
    open = stillOpen;
    if (open.length > 0) {
      await sleep(isLocal ? 100 : 1_000);
    }
  }
}
