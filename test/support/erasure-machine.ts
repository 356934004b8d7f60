import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StateMachine } from 'aws-local-stepfunctions';
import type { State } from './workflow.ts';

export const eraseFaces = JSON.parse(
  readFileSync(
    path.join(import.meta.dirname, '../../state-machines/erase-faces.asl.json'),
    'utf8',
  ).replaceAll(/\$\{(\w+)FunctionArn\}/g, 'arn:aws:lambda:us-east-1:000000000000:function:$1'),
) as { StartAt: string; TimeoutSeconds: number; States: Record<string, State> };

export const erasureTasks = Object.entries(eraseFaces.States)
  .filter(([, state]) => state.Type === 'Task')
  .map(([name]) => name);

const machine = new StateMachine(eraseFaces as never);

export interface ErasureRun {
  /** The states entered, in order; retries stay in their state. */
  path: string[];
  status: 'SUCCEEDED' | 'FAILED' | 'ABORTED';
  error?: string;
  output?: Record<string, unknown>;
}

/**
 * Runs the real definition with these Tasks, without any pause. What a Task throws gets its name from `name`, as on
 * Lambda.
 *
 * @param abort called before each Task; true ends the execution there, as StopExecution does
 */
export async function runEraseFaces(
  input: object,
  tasks: Record<string, (request: never) => Promise<object>>,
  options: { executionArn?: string; abort?: (state: string, when: 'before' | 'after') => boolean } = {},
): Promise<ErasureRun> {
  const entered: string[] = [];
  const { executionArn = 'arn:aws:states:us-east-1:000000000000:execution:erase:e', abort } = options;
  let aborted = false;
  const end = (): never => {
    aborted = true;
    execution.abort();
    throw new Error('The execution was stopped');
  };
  const handlers = Object.fromEntries(
    erasureTasks.map((name) => [
      name,
      async (request: unknown) => {
        if (abort?.(name, 'before')) {
          end();
        }
        const result = await tasks[name]!(structuredClone(request) as never).catch((error: Error) => {
          const cause = JSON.stringify({ errorType: error.name, errorMessage: error.message });
          throw Object.assign(new Error(cause), { name: error.name });
        });
        if (abort?.(name, 'after')) {
          end();
        }
        return JSON.parse(JSON.stringify(result));
      },
    ]),
  );
  const execution = machine.run(
    input as never,
    {
      overrides: {
        taskResourceLocalHandlers: handlers,
        waitTimeOverrides: { WaitForTurn: 10 },
        retryIntervalOverrides: Object.fromEntries(erasureTasks.map((name) => [name, 0])),
      },
      context: { Execution: { Id: executionArn } },
    } as never,
  );
  let error: string | undefined;
  const logged = (async () => {
    for await (const event of execution.eventLogs) {
      if (event.type === 'StateEntered') {
        entered.push(event.state.name);
      } else if (event.type === 'ExecutionFailed') {
        error = event.Error;
      }
    }
  })();
  const output = await execution.result.catch(() => undefined);
  await logged;
  if (aborted) {
    return { path: entered, status: 'ABORTED' };
  }
  return error === undefined
    ? { path: entered, status: 'SUCCEEDED', output: output as Record<string, unknown> }
    : { path: entered, status: 'FAILED', error };
}
