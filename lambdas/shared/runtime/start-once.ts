import {
  DescribeExecutionCommand,
  ExecutionAlreadyExists,
  type SFNClient,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';

/**
 * Starts an execution under a name that says what it is about, unless one of that name is still running: so that whoever
 * asks for the same again does not start it twice.
 *
 * @param name what it is about; characters that a name must not have are left out
 * @param options.repetitions executions of one name that may have ended without changing anything
 * @param options.since one that was started since then is this one, even if it has ended: the caller is being retried
 * @returns the execution's ARN, and whether it was started just now; undefined when so many have ended in vain
 */
export async function startOnce(
  states: SFNClient,
  stateMachineArn: string,
  input: object,
  name: string,
  { repetitions, since }: { repetitions: number; since?: Date },
): Promise<{ executionArn: string; isNew: boolean } | undefined> {
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    const suffix = repetition > 1 ? `-${repetition}` : '';
    // https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    const tried = `${name.replaceAll(/[^\w-]/g, '').slice(0, 80 - suffix.length)}${suffix}`;
    try {
      const { executionArn } = await states.send(
        new StartExecutionCommand({ stateMachineArn, name: tried, input: JSON.stringify(input) }),
      );
      return { executionArn: executionArn!, isNew: true };
    } catch (error) {
      if (!(error instanceof ExecutionAlreadyExists)) {
        throw error;
      }
      const executionArn = `${stateMachineArn.replace(':stateMachine:', ':execution:')}:${tried}`;
      const { status, startDate } = await states.send(new DescribeExecutionCommand({ executionArn }));
      if (status === 'RUNNING' || (since && startDate && startDate >= since)) {
        return { executionArn, isNew: false };
      }
    }
  }
  return undefined;
}
