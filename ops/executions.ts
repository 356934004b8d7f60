import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeExecutionCommand,
  type DescribeExecutionOutput,
  ExecutionAlreadyExists,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { ExecutionInput } from '../lambdas/shared/contract.ts';
import type { Deployment } from './deployment.ts';

/** Executions of one name that may have ended without changing anything, before a new name is refused. */
const MAX_REPETITIONS = 100;

/**
 * Starts an execution for one state of a photo, unless the one that was started for it is still running: so that the same
 * command twice does not start it twice.
 *
 * @param occasion what the execution is about; the same again is the same wish
 * @returns the execution's ARN
 */
export async function startPhoto(
  { states, outputs }: Deployment,
  input: ExecutionInput,
  occasion: string,
): Promise<string> {
  for (let repetition = 1; repetition <= MAX_REPETITIONS; repetition++) {
    const name = `ops-${occasion}${repetition > 1 ? `-${repetition}` : ''}`
      .replaceAll(/[^\w-]/g, '')
      .slice(0, 80);
    try {
      const { executionArn } = await states.send(
        new StartExecutionCommand({
          stateMachineArn: outputs.StateMachineArn,
          name,
          input: JSON.stringify(input),
        }),
      );
      return executionArn!;
    } catch (error) {
      if (!(error instanceof ExecutionAlreadyExists)) {
        throw error;
      }
      const executionArn = `${outputs.StateMachineArn.replace(':stateMachine:', ':execution:')}:${name}`;
      const { status } = await states.send(new DescribeExecutionCommand({ executionArn }));
      if (status === 'RUNNING') {
        return executionArn;
      }
    }
  }
  throw new Error(`${MAX_REPETITIONS} executions for ${occasion} ended before this one`);
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
