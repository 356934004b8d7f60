import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { MapRun } from './distributed-map.ts';
import type { LambdaError } from './lambda-runtime.ts';
import { listenOnLoopback } from './loopback.ts';
import type { Execution, LocalStateMachine } from './state-machine.ts';

/** What an operator's calls ask of a state machine. */
export type OperatedMachine = Pick<LocalStateMachine, 'arn' | 'start' | 'abort' | 'describe' | 'list'>;

export interface ControlPlaneOptions {
  /** By ARN. */
  machines: ReadonlyMap<string, OperatedMachine>;
  /** Invokes a function by its name or ARN; undefined when there is none. */
  invoke(functionName: string, payload: unknown): Promise<unknown> | undefined;
}

export interface ControlPlane {
  /** Of Step Functions and of Lambda. */
  endpoint: string;
  stop(): Promise<void>;
}

/** An error that the SDK shows by its name. */
class ServiceError extends Error {
  readonly status: number;

  constructor(name: string, message: string, status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

type Json = Record<string, unknown>;

/**
 * The calls of Step Functions and Lambda that an operator makes, over HTTP as the SDK speaks it: so that the same commands
 * work on AWS and on a run of this machine, in this process or in another one.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const operations = stepFunctions(options.machines);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const target = request.headers['x-amz-target'];
    if (typeof target === 'string' && target.startsWith('AWSStepFunctions.')) {
      const operation = operations[target.slice(target.indexOf('.') + 1)];
      if (!operation) {
        throw new ServiceError('UnknownOperationException', `The local run has no ${target}`);
      }
      send(response, 200, 'application/x-amz-json-1.0', operation(JSON.parse(body || '{}') as Json));
      return;
    }
    const [, name] = /^\/2015-03-31\/functions\/([^/]+)\/invocations/.exec(request.url ?? '') ?? [];
    const running =
      name === undefined ? undefined : options.invoke(decodeURIComponent(name), JSON.parse(body || 'null'));
    if (!running) {
      throw new ServiceError('ResourceNotFoundException', `There is no function ${name}`, 404);
    }
    try {
      send(response, 200, 'application/json', await running);
    } catch (error) {
      // What Lambda itself refuses is an error of the call; Step Functions puts its name behind Lambda's.
      const [, refusal] = /^Lambda\.(\w+)$/.exec((error as LambdaError).name) ?? [];
      if (refusal !== undefined) {
        throw new ServiceError(
          refusal,
          (error as LambdaError).message,
          refusal === 'TooManyRequestsException' ? 429 : 502,
        );
      }
      response.setHeader('X-Amz-Function-Error', 'Unhandled');
      send(response, 200, 'application/json', functionError(error as LambdaError));
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const { name, message, status = 500 } = error as ServiceError;
      response.setHeader('x-amzn-errortype', name);
      send(response, status, 'application/x-amz-json-1.0', { __type: name, message, Message: message });
    });
  });
  return listenOnLoopback(server);
}

function stepFunctions(
  machines: ReadonlyMap<string, OperatedMachine>,
): Record<string, (input: Json) => object> {
  const machineOf = (arn: unknown): OperatedMachine => {
    const machine = machines.get(arn as string);
    if (!machine) {
      throw new ServiceError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`);
    }
    return machine;
  };
  const find = (arn: unknown) => {
    const machine = machines.get(
      String(arn)
        .replace(':execution:', ':stateMachine:')
        .replace(/:[^:]+$/, ''),
    );
    const execution = machine?.describe(String(arn));
    if (!machine || !execution) {
      throw new ServiceError('ExecutionDoesNotExist', `Execution Does Not Exist: '${arn}'`);
    }
    return { machine, execution };
  };
  const mapRuns = () =>
    [...machines.values()].flatMap((machine) => machine.list().flatMap((execution) => execution.mapRuns));

  return {
    StartExecution(input) {
      const machine = machineOf(input.stateMachineArn);
      const { name = randomUUID() } = input as { name?: string };
      const arn = `${machine.arn.replace(':stateMachine:', ':execution:')}:${name}`;
      const given: unknown = JSON.parse((input.input as string | undefined) ?? '{}');
      const same = machine.describe(arn);
      // The same name and input of a running execution is the same request.
      if (same?.status === 'RUNNING' && JSON.stringify(same.input) === JSON.stringify(given)) {
        return { executionArn: arn, startDate: seconds(same.startedAt) };
      }
      if (same) {
        throw new ServiceError('ExecutionAlreadyExists', `Execution Already Exists: '${arn}'`);
      }
      return { executionArn: machine.start(given, name), startDate: seconds(new Date()) };
    },
    DescribeExecution: (input) => describeExecution(find(input.executionArn).execution),
    GetExecutionHistory: (input) => ({ events: historyOf(find(input.executionArn).execution) }),
    StopExecution(input) {
      const { machine, execution } = find(input.executionArn);
      const { error, cause } = input as { error?: string; cause?: string };
      machine.abort(execution.executionArn, {
        ...(error !== undefined && { error }),
        ...(cause !== undefined && { cause }),
      });
      return { stopDate: seconds(new Date()) };
    },
    ListExecutions(input) {
      const { statusFilter, maxResults = 1_000 } = input as { statusFilter?: string; maxResults?: number };
      const executions = machineOf(input.stateMachineArn)
        .list()
        .filter(({ status }) => statusFilter === undefined || status === statusFilter)
        .slice(0, maxResults || 1_000)
        .map((execution) => {
          const { executionArn, stateMachineArn, name, status, startDate, stopDate } =
            describeExecution(execution);
          return { executionArn, stateMachineArn, name, status, startDate, stopDate };
        });
      return { executions };
    },
    ListMapRuns: (input) => ({
      mapRuns: find(input.executionArn).execution.mapRuns.map(
        ({ mapRunArn, executionArn, startedAt, endedAt }) => ({
          executionArn,
          mapRunArn,
          stateMachineArn: executionArn.replace(':execution:', ':stateMachine:').replace(/:[^:]+$/, ''),
          startDate: seconds(startedAt),
          ...(endedAt && { stopDate: seconds(endedAt) }),
        }),
      ),
    }),
    DescribeMapRun(input) {
      const run = mapRuns().find(({ mapRunArn }) => mapRunArn === input.mapRunArn);
      if (!run) {
        throw new ServiceError('ResourceNotFound', `Resource not found: '${input.mapRunArn}'`);
      }
      return {
        mapRunArn: run.mapRunArn,
        executionArn: run.executionArn,
        status: run.status,
        startDate: seconds(run.startedAt),
        ...(run.endedAt && { stopDate: seconds(run.endedAt) }),
        maxConcurrency: run.maxConcurrency,
        toleratedFailurePercentage: 0,
        toleratedFailureCount: 0,
        itemCounts: counts(run.items),
        executionCounts: counts(run.executions),
      };
    },
  };
}

function counts(of: MapRun['items']): Record<string, number> {
  const total = Object.values(of).reduce((sum, count) => sum + count, 0);
  return { ...of, timedOut: 0, total, resultsWritten: of.succeeded + of.failed };
}

function describeExecution({ executionArn, status, startedAt, input, end }: Execution) {
  return {
    executionArn,
    stateMachineArn: executionArn.replace(':execution:', ':stateMachine:').replace(/:[^:]+$/, ''),
    name: executionArn.slice(executionArn.lastIndexOf(':') + 1),
    status,
    startDate: seconds(startedAt),
    stopDate: end && seconds(end.endedAt),
    input: JSON.stringify(input),
    ...(end?.output !== undefined && { output: JSON.stringify(end.output) }),
    error: end?.error,
    cause: end?.cause,
  };
}

/** Each try of a state, and what it ended with, as Step Functions tells it of a Task that calls a function. */
function historyOf({ history }: Execution): object[] {
  const scheduled = { type: 'LambdaFunctionScheduled' };
  const events = history.flatMap(({ type, timestamp, state, error }) => {
    const told =
      type === 'StateEntered'
        ? [{ type: 'TaskStateEntered', stateEnteredEventDetails: { name: state } }, scheduled]
        : type === 'StateRetried'
          ? [scheduled]
          : type === 'StateFailed'
            ? [{ type: 'LambdaFunctionFailed', lambdaFunctionFailedEventDetails: { error } }]
            : [];
    return told.map((event) => ({ ...event, timestamp: timestamp / 1000 }));
  });
  return events.map((event, i) => ({ ...event, id: i + 1, previousEventId: i }));
}

function seconds(date: Date): number {
  return date.getTime() / 1000;
}

/** Lambda's payload of a failed invocation is what the Cause of a Task's failure is too. */
function functionError({ name, message }: Error): object {
  try {
    return JSON.parse(message) as object;
  } catch {
    return { errorType: name, errorMessage: message };
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, type: string, body: unknown): void {
  response.writeHead(status, { 'Content-Type': type, 'x-amzn-RequestId': randomUUID() });
  response.end(JSON.stringify(body ?? null));
}
