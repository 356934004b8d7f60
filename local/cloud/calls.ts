/** How a function is called or an execution started: by a Task, a rule, a queue, a route or an operator. */
import type { LambdaFunction, LambdaRuntime } from '../lambda-runtime.ts';
import { LocalError } from '../local-error.ts';
import { CUT_OFF, type ExecutionEnd, type LocalStateMachine } from '../state-machine.ts';
import type { Between } from './contract.ts';

/** By ARN. */
export type Machines = ReadonlyMap<string, LocalStateMachine>;

/** @param resource a function's ARN, or what else the resource of a Task can be */
export type Invoke = (resource: string, payload: unknown, signal?: AbortSignal) => Promise<unknown>;

/** Carries out what a Task's resource names: a function, or an execution that is waited for or not. */
export function invokerOf(
  machines: Machines,
  functions: ReadonlyMap<string, LambdaFunction>,
  lambdas: LambdaRuntime,
  between: Between,
): Invoke {
  return async (resource, payload, signal) => {
    if (resource.endsWith(':states:startExecution.sync:2')) {
      return startAndWait(machines, payload as StartRequest, signal);
    }
    if (resource.endsWith(':states:startExecution')) {
      const { StateMachineArn, Input, Name } = payload as StartRequest;
      const ExecutionArn = machines.get(StateMachineArn)!.start(Input, Name);
      return { ExecutionArn, StartDate: new Date().toISOString() };
    }
    const fn = functions.get(resource.split(':').slice(0, 7).join(':'));
    if (!fn) {
      throw new LocalError('UnsupportedTemplateError', `The local run cannot call ${resource}.`);
    }
    const runtime = signal ? whileAwaited(lambdas, signal) : lambdas;
    return between.invoke ? between.invoke(fn, payload, runtime) : runtime.invoke(fn, payload);
  };
}

function whileAwaited(lambdas: LambdaRuntime, signal: AbortSignal): LambdaRuntime {
  return {
    ...lambdas,
    invoke: (fn, payload, onStart) => lambdas.invoke(fn, payload, onStart, signal),
  };
}

interface StartRequest {
  StateMachineArn: string;
  Input: unknown;
  Name?: string;
}

/**
 * `states:startExecution.sync:2`: fails when the execution fails, and stops it when nobody waits any more.
 * https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
 */
async function startAndWait(
  machines: Machines,
  { StateMachineArn, Input, Name }: StartRequest,
  signal: AbortSignal | undefined,
): Promise<object> {
  const machine = machines.get(StateMachineArn)!;
  const { promise, resolve } = Promise.withResolvers<ExecutionEnd>();
  const ends = new Map<string, ExecutionEnd>();
  let arn: string | undefined;
  const stopListening = machine.onEnd((end) => {
    if (arn === undefined) {
      ends.set(end.executionArn, end);
    } else if (end.executionArn === arn) {
      resolve(end);
    }
  });
  arn = machine.start(Input, Name);
  const early = ends.get(arn);
  if (early) {
    resolve(early);
  }
  const started = arn;
  const stop = () => {
    if (signal?.reason !== CUT_OFF) {
      machine.abort(started, { cause: 'The execution that started it was stopped' });
    }
  };
  signal?.addEventListener('abort', stop);
  const end = await promise;
  signal?.removeEventListener('abort', stop);
  stopListening();
  const description = {
    ExecutionArn: end.executionArn,
    StateMachineArn,
    Status: end.status,
    Input: end.input,
    StartDate: end.startedAt.getTime(),
    StopDate: end.endedAt.getTime(),
  };
  if (end.status !== 'SUCCEEDED') {
    const cause = JSON.stringify({ ...description, Error: end.error, Cause: end.cause });
    throw Object.assign(new Error(cause), { name: 'States.TaskFailed' });
  }
  return { ...description, Output: end.output };
}

export interface BackgroundCalls {
  call(fn: LambdaFunction, input: unknown): void;
  /** Resolves when none is under way. */
  settled(): Promise<void>;
}

/** Calls that a rule began: nobody waits for them, as with any asynchronous invocation, but for `idle`. */
export function backgroundCalls(invoke: Invoke): BackgroundCalls {
  const called = new Set<Promise<unknown>>();
  return {
    call(fn, input) {
      const running: Promise<unknown> = invoke(fn.arn, input)
        // What the function throws is in its own log.
        .catch(() => {})
        .finally(() => called.delete(running));
      called.add(running);
    },
    async settled() {
      await Promise.all(called);
    },
  };
}
