import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ExecutionAbortedError,
  ExecutionError,
  StateMachine,
  type StateMachineDefinition,
} from 'aws-local-stepfunctions';
import {
  type DistributedMapState,
  type MapParameters,
  type MapRun,
  type MapServices,
  runDistributedMap,
  startMapRun,
} from './distributed-map.ts';
import type { BusEvent } from './event-router.ts';
import { type ExecutionEnd, type ExecutionStatus, nameOf, openJournal } from './execution-journal.ts';
import { ACCOUNT, REGION } from './template.ts';

export type { ExecutionEnd } from './execution-journal.ts';

/** https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 256 KiB of UTF-8, of every payload. */
const PAYLOAD_LIMIT_BYTES = 262_144;

/** Node's timers wait no longer: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Step Functions' own default is three years; the engine's is a minute. */
const NO_TASK_TIMEOUT_SECONDS = Math.floor(MAX_TIMER_MS / 1000);

/** Why nobody waits for a Task any more: the whole run ends, and the execution begins anew with the next one. */
export const CUT_OFF = Symbol('cut off');

/** How many ended executions are remembered with their history. */
const HISTORIES_KEPT = 1_000;

export interface HistoryEvent {
  type: string;
  /** Milliseconds since the epoch. */
  timestamp: number;
  state?: string;
  error?: string;
  cause?: string;
}

export interface Execution {
  executionArn: string;
  status: ExecutionStatus | 'RUNNING';
  history: readonly HistoryEvent[];
  input: unknown;
  startedAt: Date;
  /** Missing while it runs. */
  end?: ExecutionEnd;
  /** Of its Distributed Maps. */
  mapRuns: readonly MapRun[];
}

export interface StateMachineOptions {
  /** `arn:aws:states:REGION:ACCOUNT:stateMachine:NAME` */
  arn: string;
  /** Amazon States Language with its substitutions filled in. */
  definition: string;
  /** Whether the definition is held against the language's schema, which takes a second: once for each that is new. */
  validates?: boolean;
  /** Folder of `executions.jsonl` (all that ended, of all machines) and of this machine's journal of those that have not. */
  folder: string;
  /** Runs a Task; an error's name becomes the Error, its message the Cause. The signal tells that nobody waits any more. */
  invoke(resource: string, payload: unknown, signal: AbortSignal): Promise<unknown>;
  /** What Distributed Maps need; without it there can be none. */
  maps?: MapServices;
  /**
   * What the seconds between two tries of a state, and those of Wait states, are multiplied by, to see days of retries in a minute.
   * Default 1.
   */
  retryScale?: number;
  /** Gets the "Execution Status Change" events that Step Functions sends to EventBridge. */
  publish?(event: BusEvent): void;
}

export interface LocalStateMachine {
  arn: string;
  /** Starts an execution and returns its ARN. Throws when the input is too large, as StartExecution does. */
  start(input: unknown, name?: string): string;
  /** Ends the execution as ABORTED, as StopExecution does; a task at work goes on unheard. */
  abort(executionArn: string, reason?: { error?: string; cause?: string }): void;
  /** Ends the execution as TIMED_OUT, as if its time were up. */
  timeOut(executionArn: string): void;
  /** An execution that runs or ended not long ago. */
  describe(executionArn: string): Execution | undefined;
  /** Those that run and those that ended not long ago, the latest first. */
  list(): Execution[];
  /** Returns what takes the listener away. */
  onEnd(listener: (end: ExecutionEnd) => void): () => void;
  /** Whether an execution is open. */
  readonly isOpen: boolean;
  /** How many executions are open, or were cut off by the end of an earlier run and not resumed yet. */
  readonly unfinished: number;
  /** The errors after which open executions wait for their next try. */
  waitingAfter(): Set<string>;
  /** Resolves when none is. */
  idle(): Promise<void>;
  readonly started: number;
  /**
   * Starts again, under their own names, the executions that were cut off with the process they ran in. Step Functions
   * keeps a running execution through any crash; this engine cannot, so it begins anew with the same input.
   */
  resumeInterrupted(): number;
  /** Cuts off all open executions; they count as interrupted. */
  stop(): void;
}

/**
 * Runs one state machine on aws-local-stepfunctions, and enforces what that is laxer about than Step Functions: the
 * payload limit, the default timeout, a complete context object.
 */
export function createStateMachine(options: StateMachineOptions): LocalStateMachine {
  const { arn } = options;
  const program = readDefinition(options);
  const journal = openJournal(options.folder, nameOf(arn));
  const executions = new Executions();
  const listeners = new Set<(end: ExecutionEnd) => void>();
  let started = 0;
  let stopping = false;

  async function run(executionArn: string, input: unknown): Promise<void> {
    const startedAt = new Date();
    options.publish?.(statusChange(arn, { executionArn, status: 'RUNNING', input, startedAt }));
    const running = execute(program, options, { executionArn, input, startedAt });
    executions.opened(running);
    const outcome = await running.outcome;
    executions.closed(executionArn);
    // What is cut off has not ended: the journal has it begin anew.
    if (!stopping) {
      tellEnd(running.execution, outcome);
    }
    executions.settle();
  }

  function tellEnd({ executionArn, history, input, startedAt, mapRuns }: Execution, outcome: Outcome): void {
    const end: ExecutionEnd = {
      executionArn,
      input,
      ...outcome,
      startedAt,
      endedAt: new Date(),
      transitions: history.filter(({ type }) => type === 'StateEntered' || type === 'StateRetried').length,
    };
    journal.ended(end);
    executions.remember({ executionArn, status: end.status, history, input, startedAt, end, mapRuns });
    options.publish?.(statusChange(arn, end));
    for (const listener of listeners) {
      listener(end);
    }
  }

  function startNamed(name: string, input: unknown): string {
    const executionArn = `${arn.replace(':stateMachine:', ':execution:')}:${name}`;
    journal.started(name, input);
    started++;
    void run(executionArn, input);
    return executionArn;
  }

  return {
    arn,
    start(input, name = randomUUID()) {
      if (stopping) {
        throw new Error('The local run is stopping');
      }
      checkPayload(input, 'The execution input');
      return startNamed(name, input);
    },
    abort: (executionArn, reason = {}) =>
      executions.running(executionArn)?.stop({ status: 'ABORTED', ...reason }),
    timeOut: (executionArn) => executions.running(executionArn)?.stop(TIMED_OUT),
    describe: (executionArn) => executions.find(executionArn),
    list: () => executions.list(),
    onEnd(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get isOpen() {
      return executions.open > 0;
    },
    get unfinished() {
      return executions.open + journal.interruptedCount();
    },
    waitingAfter: () => executions.waitingAfter(),
    idle: () => executions.idle(),
    get started() {
      return started;
    },
    resumeInterrupted() {
      const interrupted = journal.interrupted();
      for (const { name, input } of interrupted) {
        startNamed(name, input);
      }
      return interrupted.length;
    },
    stop() {
      stopping = true;
      executions.cutOff();
    },
  };
}

/** A definition, as it is run. */
interface Program {
  engine: StateMachine;
  /** By state. */
  tasks: ReadonlyMap<string, Task>;
  /** By state; the engine takes them for Tasks. */
  maps: ReadonlyMap<string, DistributedMapState>;
  /** 0 for none. */
  timeoutMs: number;
}

function readDefinition(options: StateMachineOptions): Program {
  const definition = JSON.parse(options.definition) as StateMachineDefinition;
  const timeoutMs = (definition.TimeoutSeconds ?? 0) * 1000;
  delete definition.TimeoutSeconds;
  scaleRetries(definition.States, options.retryScale ?? 1);
  scaleWaits(definition.States, options.retryScale ?? 1);
  const maps = takeOutDistributedMaps(definition.States);
  const engine = new StateMachine(definition, {
    validationOptions: { noValidate: !options.validates || options.retryScale !== undefined },
  });
  return { engine, tasks: collectTasks(definition.States), maps, timeoutMs };
}

/** An execution at work. */
interface Running {
  /** Grows with it. */
  execution: Execution;
  /** Resolves to how it ended, or was ended from outside; never rejects. */
  outcome: Promise<Outcome>;
  /** Ends it from outside. */
  stop(outcome: Outcome): void;
  /** Lets nobody wait for it any more. */
  cutOff(reason?: symbol): void;
}

/** What a Task that stands for a Wait state is called with. */
const WAIT_RESOURCE = 'arn:aws:states:::wait';

/** A wait that is as long as the state before says becomes a Task, which can make it shorter; one for a moment is left alone. */
function scaleWaits(states: States, scale: number): void {
  if (scale === 1) {
    return;
  }
  for (const [name, state] of Object.entries(states)) {
    if (state.Type === 'Wait' && state.Seconds !== undefined) {
      state.Seconds *= scale;
    } else if (state.Type === 'Wait' && state.SecondsPath !== undefined) {
      const { Comment, Next, End, SecondsPath } = state as unknown as Record<string, unknown>;
      const common = { Comment, Next, End };
      states[name] = {
        ...Object.fromEntries(Object.entries(common).filter(([, value]) => value !== undefined)),
        Type: 'Task',
        Resource: WAIT_RESOURCE,
        Parameters: { 'seconds.$': SecondsPath, scale },
        ResultPath: null,
      } as never;
    }
  }
}

async function waitScaled(payload: unknown, signal: AbortSignal): Promise<null> {
  const { seconds, scale } = payload as { seconds: number; scale: number };
  await sleep(Math.min(seconds * scale * 1000, MAX_TIMER_MS), undefined, { signal });
  return null;
}

/** Begins an execution on the engine. */
function execute(
  { engine, tasks, maps, timeoutMs }: Program,
  { arn, invoke: invokeResource, maps: services }: StateMachineOptions,
  { executionArn, input, startedAt }: Pick<Execution, 'executionArn' | 'input' | 'startedAt'>,
): Running {
  const history: HistoryEvent[] = [];
  const mapRuns: MapRun[] = [];
  const over = new AbortController();
  /** How it was ended from outside. */
  let stopped: Outcome | undefined;
  const invoke: InvokeState = async (name, resource, payload, signal) => {
    if (resource === WAIT_RESOURCE) {
      return waitScaled(payload, signal);
    }
    const map = maps.get(name);
    return map
      ? runMap(map, name, payload as MapParameters, {
          arn,
          services,
          executionArn,
          mapRuns,
          invoke,
          signal,
        })
      : invokeResource(resource, payload, signal);
  };
  const running = engine.run(structuredClone(input) as Parameters<typeof engine.run>[0], {
    overrides: { taskResourceLocalHandlers: taskHandlers(tasks, invoke, over.signal) },
    context: contextOf(arn, executionArn, nameOf(executionArn)),
  });
  // The engine goes on with a state that is at work, and cuts the wait before its next try short: not here.
  const cutOff = (reason?: symbol) => {
    over.abort(reason);
    running.abort();
  };
  const stop = (outcome: Outcome) => {
    stopped ??= outcome;
    cutOff();
  };
  const timer = setTimeout(() => stop(TIMED_OUT), Math.min(timeoutMs || MAX_TIMER_MS, MAX_TIMER_MS));
  const recorded = recordHistory(running.eventLogs, history);
  const ended = async (): Promise<Outcome> => {
    const outcome = await running.result.then(succeeded, failed);
    clearTimeout(timer);
    await recorded;
    return stopped ?? outcome;
  };
  return {
    execution: { executionArn, status: 'RUNNING', history, input, startedAt, mapRuns },
    outcome: ended(),
    stop,
    cutOff,
  };
}

/** The engine adds Execution.Input and Execution.StartTime itself. */
function contextOf(arn: string, executionArn: string, name: string) {
  return {
    Execution: { Id: executionArn, Name: name },
    StateMachine: { Id: arn, Name: nameOf(arn) },
  };
}

/** What a Distributed Map is run with. */
interface MapSurroundings {
  /** Of the state machine. */
  arn: string;
  services: MapServices | undefined;
  executionArn: string;
  /** Gets the run. */
  mapRuns: MapRun[];
  invoke: InvokeState;
  signal: AbortSignal;
}

async function runMap(
  map: DistributedMapState,
  name: string,
  parameters: MapParameters,
  of: MapSurroundings,
): Promise<object> {
  if (!of.services) {
    throw new Error(`The local run has nothing to run the Distributed Map ${name} with`);
  }
  const run = startMapRun(of.executionArn, name, map.MaxConcurrency ?? 0);
  of.mapRuns.push(run);
  try {
    const result = await runDistributedMap(
      map,
      parameters,
      run,
      of.services,
      childRunner(map, name, of),
      of.signal,
    );
    run.status = 'SUCCEEDED';
    return result;
  } catch (error) {
    run.status = of.signal.aborted ? 'ABORTED' : 'FAILED';
    throw error;
  } finally {
    run.endedAt = new Date();
  }
}

/** What runs one child execution of a Distributed Map to its end. */
function childRunner(
  { ItemProcessor: { StartAt, States } }: DistributedMapState,
  mapName: string,
  { arn, executionArn, invoke, signal }: MapSurroundings,
): (name: string, input: object) => Promise<unknown> {
  const child = new StateMachine({ StartAt, States } as StateMachineDefinition, {
    validationOptions: { noValidate: true },
  });
  const tasks = collectTasks(States);
  const execution = executionArn.slice(0, executionArn.lastIndexOf(':'));
  return async (name, input) => {
    const running = child.run(input as never, {
      overrides: { taskResourceLocalHandlers: taskHandlers(tasks, invoke, signal) },
      context: contextOf(arn, `${execution}/${mapName}:${name}`, name),
    });
    const onAbort = () => running.abort();
    signal.addEventListener('abort', onAbort);
    try {
      return await running.result;
    } catch (error) {
      throw error instanceof ExecutionError ? error.cause : error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };
}

/** The executions of a machine: those that are open, and the last that ended. */
class Executions {
  readonly #open = new Map<string, Running>();
  readonly #ended = new Map<string, Execution>();
  readonly #waiting: (() => void)[] = [];

  get open(): number {
    return this.#open.size;
  }

  opened(running: Running): void {
    this.#open.set(running.execution.executionArn, running);
  }

  closed(executionArn: string): void {
    this.#open.delete(executionArn);
  }

  /** Tells those who wait for it that none is open. */
  settle(): void {
    if (this.#open.size === 0) {
      for (const resolve of this.#waiting.splice(0)) {
        resolve();
      }
    }
  }

  async idle(): Promise<void> {
    if (this.#open.size > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  remember(execution: Execution): void {
    this.#ended.set(execution.executionArn, execution);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > HISTORIES_KEPT && oldest !== undefined) {
      this.#ended.delete(oldest);
    }
  }

  running(executionArn: string): Running | undefined {
    return this.#open.get(executionArn);
  }

  find(executionArn: string): Execution | undefined {
    return this.#open.get(executionArn)?.execution ?? this.#ended.get(executionArn);
  }

  /** The latest first. */
  list(): Execution[] {
    return [...this.#ended.values(), ...[...this.#open.values()].map(({ execution }) => execution)].sort(
      (a, b) => b.startedAt.getTime() - a.startedAt.getTime(),
    );
  }

  waitingAfter(): Set<string> {
    return new Set(
      [...this.#open.values()].flatMap(({ execution }) => {
        const last = execution.history.at(-1);
        return last?.type === 'StateFailed' && last.error !== undefined ? [last.error] : [];
      }),
    );
  }

  cutOff(): void {
    for (const running of this.#open.values()) {
      running.cutOff(CUT_OFF);
    }
  }
}

/**
 * The engine waits for a moment that has passed by setting a timer with a negative time. That ends at once, as it should, but
 * Node.js tells the person at the keyboard about it.
 */
const { emitWarning } = process;
process.emitWarning = ((warning: string | Error, ...details: never[]) => {
  if (details[0] !== 'TimeoutNegativeWarning') {
    emitWarning.call(process, warning, ...details);
  }
}) as typeof process.emitWarning;

type Outcome = Pick<ExecutionEnd, 'status' | 'output' | 'error' | 'cause'>;

const TIMED_OUT: Outcome = { status: 'TIMED_OUT', error: 'States.Timeout' };

type InvokeState = (
  name: string,
  resource: string,
  payload: unknown,
  signal: AbortSignal,
) => Promise<unknown>;

/** What the engine calls for each Task, with Step Functions' limits around it, until the execution is over. */
function taskHandlers(tasks: ReadonlyMap<string, Task>, invoke: InvokeState, over: AbortSignal) {
  const ended = new Promise<never>((_, reject) => {
    over.addEventListener('abort', () => reject(new ExecutionIsOver()));
  });
  ended.catch(() => {});
  return Object.fromEntries(
    [...tasks].map(([name, { resource, timeoutMs }]) => [
      name,
      async (payload: unknown) => {
        if (over.aborted) {
          throw new ExecutionIsOver();
        }
        checkPayload(payload, `The input of ${name}`);
        // When its time is up, the engine goes on by itself; what has not begun by then need not begin any more.
        const timedOut = new AbortController();
        const timer = setTimeout(() => timedOut.abort(), timeoutMs).unref();
        const signal = AbortSignal.any([over, timedOut.signal]);
        try {
          const result = await Promise.race([invoke(name, resource, payload, signal), ended]);
          checkPayload(result, `The result of ${name}`);
          return result as never;
        } catch (error) {
          return timedOut.signal.aborted ? new Promise<never>(() => {}) : Promise.reject(error);
        } finally {
          clearTimeout(timer);
        }
      },
    ]),
  );
}

type States = StateMachineDefinition['States'];

/** Makes a Task of each Distributed Map, which the engine does not know: its templates are that Task's parameters. */
function takeOutDistributedMaps(states: States): Map<string, DistributedMapState> {
  const maps = new Map<string, DistributedMapState>();
  for (const [name, state] of Object.entries(states)) {
    const map = state as unknown as DistributedMapState;
    if (state.Type !== 'Map' || map.ItemProcessor?.ProcessorConfig?.Mode !== 'DISTRIBUTED') {
      continue;
    }
    maps.set(name, map);
    const { Comment, Next, End, Retry, Catch, ResultPath, ResultSelector } = state as unknown as Record<
      string,
      unknown
    >;
    const common = { Comment, Next, End, Retry, Catch, ResultPath, ResultSelector };
    const { ItemReader, ItemBatcher, ResultWriter } = map;
    states[name] = {
      ...Object.fromEntries(Object.entries(common).filter(([, value]) => value !== undefined)),
      Type: 'Task',
      Resource: 'arn:aws:states:::distributed-map',
      Parameters: {
        reader: ItemReader.Parameters,
        batch_input: ItemBatcher?.BatchInput ?? {},
        writer: ResultWriter?.Parameters ?? null,
      },
    } as never;
  }
  return maps;
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html: one second, when it says nothing. */
function scaleRetries(states: States, scale: number): void {
  if (scale === 1) {
    return;
  }
  for (const state of Object.values(states)) {
    if (state.Type === 'Map') {
      scaleRetries((state.ItemProcessor ?? state.Iterator)!.States, scale);
    }
    for (const retrier of ('Retry' in state && state.Retry) || []) {
      retrier.IntervalSeconds = (retrier.IntervalSeconds ?? 1) * scale;
      if (retrier.MaxDelaySeconds !== undefined) {
        retrier.MaxDelaySeconds *= scale;
      }
    }
  }
}

function succeeded(output: unknown): Outcome {
  try {
    checkPayload(output, "The state's output");
  } catch (error) {
    return failed(new ExecutionError(error as never));
  }
  return { status: 'SUCCEEDED', output };
}

function failed(error: unknown): Outcome {
  if (error instanceof ExecutionAbortedError) {
    return { status: 'ABORTED' };
  }
  const { name, message } = (error instanceof ExecutionError ? error.cause : error) as Error;
  return { status: 'FAILED', error: name, cause: message };
}

/** Not even States.ALL catches it: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html */
class DataLimitExceeded extends Error {
  override readonly name = 'States.DataLimitExceeded';
  readonly isRetryable = false;
  readonly isCatchable = false;
}

function checkPayload(payload: unknown, what: string): void {
  const bytes = Buffer.byteLength(JSON.stringify(payload ?? null));
  if (bytes > PAYLOAD_LIMIT_BYTES) {
    throw new DataLimitExceeded(`${what} has ${bytes} bytes, more than the ${PAYLOAD_LIMIT_BYTES} allowed`);
  }
}

class ExecutionIsOver extends Error {
  override readonly name = 'ExecutionIsOver';
  readonly isRetryable = false;
  readonly isCatchable = false;
}

interface Task {
  resource: string;
  timeoutMs: number;
}

/** The Tasks by state name, which is how the engine asks for them. Gives each its timeout. */
function collectTasks(states: StateMachineDefinition['States'], tasks = new Map<string, Task>()) {
  for (const [name, state] of Object.entries(states)) {
    if (state.Type === 'Map') {
      collectTasks((state.ItemProcessor ?? state.Iterator)!.States, tasks);
    } else if (state.Type === 'Parallel') {
      for (const branch of state.Branches) {
        collectTasks(branch.States, tasks);
      }
    } else if (state.Type === 'Task') {
      if (state.TimeoutSecondsPath === undefined) {
        state.TimeoutSeconds ??= NO_TASK_TIMEOUT_SECONDS;
      }
      const { Resource: resource, TimeoutSeconds: seconds = NO_TASK_TIMEOUT_SECONDS } = state;
      tasks.set(name, { resource, timeoutMs: seconds * 1_000 });
    }
  }
  return tasks;
}

async function recordHistory(
  log: AsyncIterable<{ type: string; timestamp: number }>,
  events: HistoryEvent[],
): Promise<void> {
  for await (const event of log) {
    const {
      state,
      Error: error,
      Cause: cause,
    } = event as { state?: { name: string }; Error?: string; Cause?: string };
    events.push({
      type: event.type,
      timestamp: event.timestamp,
      ...(state && { state: state.name }),
      ...(error !== undefined && { error }),
      ...(cause !== undefined && { cause }),
    });
  }
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html */
function statusChange(
  stateMachineArn: string,
  execution: Pick<ExecutionEnd, 'executionArn' | 'input' | 'startedAt'> &
    Partial<Omit<ExecutionEnd, 'status'>> & { status: Execution['status'] },
): BusEvent {
  const { executionArn, status, input, output, error, cause, startedAt, endedAt } = execution;
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Step Functions Execution Status Change',
    source: 'aws.states',
    account: ACCOUNT,
    time: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    region: REGION,
    resources: [executionArn],
    detail: {
      executionArn,
      stateMachineArn,
      name: nameOf(executionArn),
      status,
      startDate: startedAt.getTime(),
      stopDate: endedAt?.getTime() ?? null,
      input: JSON.stringify(input),
      inputDetails: { included: true },
      output: status === 'SUCCEEDED' ? JSON.stringify(output ?? null) : null,
      outputDetails: status === 'SUCCEEDED' ? { included: true } : null,
      error: error ?? null,
      cause: cause ?? null,
    },
  };
}
