/**
 * Executions of the real state machines that go on only when they are told to: each Task, and each call of its function to S3
 * or Rekognition, waits for its turn. So the order of everything is decided by the history, whatever the machine's speed.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StateMachine } from 'aws-local-stepfunctions';
import type { FaultName } from './history.ts';
import type { Caller } from './world.ts';

export type MachineName = 'index-photo' | 'erase-faces';
export type EndStatus = 'SUCCEEDED' | 'FAILED' | 'ABORTED';

interface Definition {
  States: Record<string, { Type: string; Resource?: string }>;
}

function read(name: MachineName): Definition {
  const file = path.join(import.meta.dirname, `../../state-machines/${name}.asl.json`);
  return JSON.parse(
    readFileSync(file, 'utf8')
      .replaceAll(/\$\{(\w+)FunctionArn\}/g, 'arn:aws:lambda:us-east-1:000000000000:function:$1')
      .replaceAll(/\$\{AWS::Partition\}/g, 'aws')
      .replaceAll(/\$\{(\w+)\}/g, 'arn:aws:states:us-east-1:000000000000:stateMachine:$1'),
  );
}

function compile(name: MachineName) {
  const definition = read(name);
  const states = Object.entries(definition.States);
  const namesOf = (type: string) => states.filter(([, { Type }]) => Type === type).map(([state]) => state);
  const tasks = namesOf('Task');
  return {
    machine: new StateMachine(definition as never, { validationOptions: { checkArn: false } }),
    resources: new Map(tasks.map((state) => [state, definition.States[state]!.Resource!])),
    waitTimeOverrides: Object.fromEntries(namesOf('Wait').map((state) => [state, 0])),
    retryIntervalOverrides: Object.fromEntries(tasks.map((state) => [state, 0])),
  };
}

const machines = { 'index-photo': compile('index-photo'), 'erase-faces': compile('erase-faces') };

/** What surrounds an execution. */
export interface Surroundings {
  /** What a Task's function answers, by its name in the resource; throws errors as the function does. */
  invoke(execution: Execution, functionName: string, request: unknown): Promise<unknown>;
  /** A Task of `states:startExecution`. */
  start(execution: Execution, stateMachineArn: string, input: object): object;
  /** As EventBridge tells it. */
  ended(execution: Execution, end: ExecutionEnd): void;
}

export interface ExecutionEnd {
  status: EndStatus;
  error?: string;
  cause?: string;
  output?: unknown;
}

/** Something that goes on call by call. */
export abstract class Actor {
  readonly label: string;
  state: 'new' | 'running' | 'blocked' | 'ended' = 'new';
  /** It waits for others: trying again at once would only use up its attempts. */
  isSleeping = false;
  /** Where it waits for its turn. */
  at = 'its start';
  #go: (() => void) | undefined;
  #settled: (() => void) | undefined;

  constructor(label: string) {
    this.label = label;
  }

  protected abstract begin(): void;

  /** Lets it go on to its next call or its end. */
  async step(): Promise<void> {
    await this.settling(this.state === 'new' ? () => this.begin() : () => this.#go?.());
  }

  protected async settling(go: () => void): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
    this.isSleeping = false;
    this.state = 'running';
    go();
    await settled;
  }

  async point(what: string): Promise<void> {
    // Of calls that a function makes side by side only the first waits: they are one for the order of things.
    if (this.state === 'blocked') {
      return;
    }
    this.at = what;
    this.state = 'blocked';
    const turn = new Promise<void>((resolve) => {
      this.#go = resolve;
    });
    this.#settled?.();
    await turn;
  }

  protected finish(): void {
    this.state = 'ended';
    this.#settled?.();
  }

  /** Whatever waits in it ends too. */
  protected release(): void {
    this.#go?.();
  }
}

/** An invocation outside any execution. */
export class Invocation extends Actor implements Caller {
  readonly photo = undefined;
  readonly work: (caller: Caller) => Promise<void>;

  constructor(label: string, work: (caller: Caller) => Promise<void>) {
    super(label);
    this.work = work;
  }

  takeFault(): boolean {
    return false;
  }

  crash(): Promise<never> {
    return new Promise(() => {});
  }

  faulted(): void {}

  protected override begin(): void {
    void this.work(this).finally(() => this.finish());
  }
}

export class Execution extends Actor implements Caller {
  readonly machine: MachineName;
  readonly input: object;
  readonly arn: string;
  readonly photo: Caller['photo'];
  isStopped = false;
  end: ExecutionEnd | undefined;
  /** Tasks that were answered. */
  answers = 0;
  startedMs = 0;
  readonly #surroundings: Surroundings;
  readonly #faults: FaultName[] = [];
  #lastState: string | undefined;
  #wasFaulted = false;
  #running: { abort(): void } | undefined;
  #die: ((error: Error) => void) | undefined;

  constructor(
    label: string,
    machine: MachineName,
    input: object,
    photo: Caller['photo'],
    surroundings: Surroundings,
  ) {
    super(label);
    this.machine = machine;
    this.input = input;
    this.photo = photo;
    this.#surroundings = surroundings;
    this.arn = `arn:aws:states:us-east-1:000000000000:execution:${machine}:${label}`;
  }

  order(fault: FaultName): void {
    this.#faults.push(fault);
  }

  takeFault(fault: FaultName): boolean {
    const index = this.#faults.indexOf(fault);
    if (index >= 0) {
      this.#faults.splice(index, 1);
    }
    return index >= 0;
  }

  faulted(): void {
    this.#wasFaulted = true;
  }

  crash(): Promise<never> {
    this.#wasFaulted = true;
    this.#die?.(named('Sandbox.Timedout', 'The environment died'));
    return new Promise(() => {});
  }

  /** Longer passes than any function may take: one that was at work timed out. */
  async expire(): Promise<void> {
    if (this.state === 'blocked' && !this.at.startsWith('Task ')) {
      await this.settling(() => void this.crash());
    }
  }

  /** Stops the execution. A function that it called runs on, as on Lambda; nobody hears its answer. */
  stop(): void {
    this.isStopped = true;
    this.#running?.abort();
    if (this.at.startsWith('Task ')) {
      this.state = 'ended';
      this.release();
    }
    this.end = { status: 'ABORTED' };
    this.#surroundings.ended(this, this.end);
  }

  protected override begin(): void {
    const { machine, resources, waitTimeOverrides, retryIntervalOverrides } = machines[this.machine];
    const handlers = Object.fromEntries(
      [...resources].map(([state, resource]) => [
        state,
        (request: unknown) => this.#task(state, resource, request),
      ]),
    );
    this.startedMs = Date.now();
    const running = machine.run(
      structuredClone(this.input) as never,
      {
        overrides: { taskResourceLocalHandlers: handlers, waitTimeOverrides, retryIntervalOverrides },
        context: { Execution: { Id: this.arn } },
      } as never,
    );
    this.#running = running;
    void running.result.then(
      (output) => this.#over({ status: 'SUCCEEDED', output }),
      async () => {
        let end: ExecutionEnd = { status: 'FAILED' };
        for await (const event of running.eventLogs) {
          if (event.type === 'ExecutionFailed') {
            end = { status: 'FAILED', error: event.Error, cause: String(event.Cause ?? '') };
          }
        }
        this.#over(end);
      },
    );
  }

  #over(end: ExecutionEnd): void {
    if (!this.isStopped) {
      this.end = end;
      this.#surroundings.ended(this, end);
      this.finish();
    }
  }

  async #task(state: string, resource: string, request: unknown): Promise<unknown> {
    if (this.isStopped) {
      throw stopped();
    }
    // The same state again is a retry, or a turn around a Wait state.
    this.isSleeping = this.#lastState === state && !this.#wasFaulted;
    this.#lastState = state;
    this.#wasFaulted = false;
    await this.point(`Task ${state}`);
    if (this.isStopped) {
      throw stopped();
    }
    try {
      const result = await this.#attempt(resource, request);
      this.answers += 1;
      if (this.takeFault('answer')) {
        this.faulted();
        throw named('Lambda.Unknown', 'The answer was lost');
      }
      return JSON.parse(JSON.stringify(result));
    } catch (error) {
      const { name, message } = error as Error;
      throw this.isStopped
        ? stopped()
        : named(name, JSON.stringify({ errorType: name, errorMessage: message }));
    } finally {
      if (this.isStopped) {
        this.finish();
      }
    }
  }

  #attempt(resource: string, request: unknown): Promise<unknown> {
    const functionName = /:function:(\w+)$/.exec(resource)?.[1];
    if (functionName) {
      return Promise.race([
        this.#surroundings.invoke(this, functionName, structuredClone(request)),
        new Promise<never>((_, reject) => {
          this.#die = reject;
        }),
      ]);
    }
    if (resource.includes(':states:startExecution')) {
      const { StateMachineArn, Input } = request as { StateMachineArn: string; Input: object | string };
      const input = typeof Input === 'string' ? JSON.parse(Input) : Input;
      return Promise.resolve(this.#surroundings.start(this, StateMachineArn, input));
    }
    throw new Error(`No such Task is known: ${resource}`);
  }
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** Neither retried nor caught: the execution is over. */
function stopped(): Error {
  return Object.assign(named('Stopped', 'The execution was stopped'), {
    isRetryable: false,
    isCatchable: false,
  });
}
