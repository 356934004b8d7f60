import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACCOUNT, REGION } from './template.ts';

const BOOTSTRAP = join(import.meta.dirname, 'lambda-bootstrap.mjs');

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB each way, synchronous. */
const PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024;
/** Lambda's own number in its message, a little over the documented 6 MB. */
const RESPONSE_LIMIT_BYTES = 6_291_556;

/** Lambda gives the code outside the handler ten seconds, and once more as long as the function's timeout. */
const INIT_LIMIT_MS = 10_000;

/** Longer than between any two seeds of the fault campaign, or two files of a run: a start costs more than a process that waits. */
const IDLE_LIMIT_MS = 300_000;

/** What is cut off in its middle has to be done again. Most are done at once; a busy machine takes seconds. */
const ABORT_GRACE_MS = 6_000;

/** As long as a start takes: whoever can be served by a warm environment before that is not worth another one. */
const WORTH_A_START_MS = 250;

export interface LambdaFunction {
  name: string;
  arn: string;
  /** Folder of the unpacked code asset. */
  code: string;
  /** `index.handler` */
  handler: string;
  /** The function's own variables. */
  environment: Readonly<Record<string, string>>;
  timeoutSeconds: number;
  memoryMegabytes: number;
}

/** What an invocation failed with, as Step Functions sees it: `name` is the Error, `message` the Cause. */
export class LambdaError extends Error {
  constructor(errorType: string, cause: string) {
    super(cause);
    this.name = errorType;
  }
}

export interface LambdaRuntimeOptions {
  /** Folder for one log file per function, emptied at start. */
  logs: string;
  /** What all functions get beside their own variables and Lambda's: endpoints of the local services. */
  environment: Readonly<Record<string, string>>;
  /** Execution environments of one function at most; further invocations wait. Default: one for each core, two at least. */
  concurrency?: number;
  /** Milliseconds since any moment, for what takes its time to be ready. Default: the system's. */
  now?: () => number;
  /**
   * Whether timeouts grow where others want this machine's cores: those that are a fraction of the template's are met by work that is
   * only slow, and each environment that dies of it has to be started anew, which makes all of it slower still. Default: false.
   */
  isPatient?: boolean;
  onOutput?: ((functionName: string, line: string) => void) | undefined;
  onInvocation?: ((functionName: string, used: InvocationUsage) => void) | undefined;
}

/** What an invocation used of this machine, whatever else that was doing. */
export interface InvocationUsage {
  /** CPU time, user and system, milliseconds. */
  cpuMs: number;
  /** Of the start of its environment; missing where that was warm. */
  initCpuMs?: number;
  megabytes: number;
}

export interface LambdaRuntime {
  /**
   * Invokes the function and waits for its result, as a Task with the function's ARN does.
   *
   * @param onStart gets what kills the execution environment that the invocation runs in
   * @param signal tells that nobody waits for the result any more: what waits for an environment gives up, what runs goes on
   * @throws LambdaError
   */
  invoke(
    fn: LambdaFunction,
    payload: unknown,
    onStart?: (kill: () => Promise<void>) => void,
    signal?: AbortSignal,
  ): Promise<unknown>;
  /** Starts an environment where the function has none, before anybody calls it. Resolves when it is ready, or will never be. */
  prepare(fn: LambdaFunction): Promise<void>;
  /** Ends the function's idle environments: the next invocations start cold. */
  recycle(fn: LambdaFunction): void;
  /**
   * Makes the function Inactive, as one in a VPC is after some idle weeks: its next invocation fails and begins to make its
   * network, and all fail until that is done.
   * https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
   */
  deactivate(fn: LambdaFunction, readyAfterMs: number): void;
  /** Ends all environments; those at work may finish their invocation first, within a moment if told to abort. */
  stop(options?: { abort?: boolean }): Promise<void>;
}

/**
 * Runs functions as Lambda does: each execution environment is a process of its own that serves one invocation at a
 * time, is used again while it is warm, and sees the function's variables and Lambda's, nothing of this process's.
 */
export function createLambdaRuntime(options: LambdaRuntimeOptions): LambdaRuntime {
  const concurrency = options.concurrency ?? Math.max(2, availableParallelism());
  const now = options.now ?? (() => performance.now());
  const starts = semaphore(availableParallelism());
  const patience = options.isPatient ? machinePatience() : { factor: () => 1, started: () => {} };
  const pools = new Map<string, Pool>();
  const inactive = new Map<string, { readyAfterMs: number; sinceMs?: number }>();
  mkdirSync(options.logs, { recursive: true });

  function poolOf(fn: LambdaFunction): Pool {
    let pool = pools.get(fn.arn);
    if (!pool) {
      pool = new Pool(fn, concurrency, options, starts, patience);
      pools.set(fn.arn, pool);
    }
    return pool;
  }

  /** @throws LambdaError while the function's network is being made */
  function checkActive(fn: LambdaFunction): void {
    const state = inactive.get(fn.arn);
    if (!state) {
      return;
    }
    state.sinceMs ??= now();
    if (now() - state.sinceMs >= state.readyAfterMs) {
      inactive.delete(fn.arn);
      return;
    }
    throw new LambdaError(
      'Lambda.ResourceNotReadyException',
      'The function is inactive and its VPC connection is no longer available. Wait for the VPC connection to reestablish and try again.',
    );
  }

  return {
    async invoke(fn, payload, onStart, signal) {
      checkActive(fn);
      const body = JSON.stringify(payload ?? null);
      if (Buffer.byteLength(body) > PAYLOAD_LIMIT_BYTES) {
        throw new LambdaError(
          'Lambda.RequestTooLargeException',
          `Request must be smaller than ${PAYLOAD_LIMIT_BYTES} bytes for the InvokeFunction operation`,
        );
      }
      return JSON.parse(await poolOf(fn).invoke(body, onStart, signal)) as unknown;
    },
    prepare: (fn) => poolOf(fn).prepare(),
    recycle: (fn) => pools.get(fn.arn)?.recycle(),
    deactivate(fn, readyAfterMs) {
      inactive.set(fn.arn, { readyAfterMs });
    },
    async stop({ abort = false } = {}) {
      await Promise.all([...pools.values()].map((pool) => pool.stop(abort)));
    },
  };
}

class Pool {
  readonly #fn: LambdaFunction;
  readonly #concurrency: number;
  readonly #options: LambdaRuntimeOptions;
  readonly #starts: Semaphore;
  readonly #patience: Patience;
  readonly #log: WriteStream;
  readonly #all = new Set<ExecutionEnvironment>();
  /** The one used last comes first, so that a quiet time leaves few of them warm. */
  readonly #idle: ExecutionEnvironment[] = [];
  readonly #waiting: PromiseWithResolvers<ExecutionEnvironment>[] = [];
  readonly #busy = new Set<Promise<string>>();
  #starting = 0;
  #stopped = false;

  constructor(
    fn: LambdaFunction,
    concurrency: number,
    options: LambdaRuntimeOptions,
    starts: Semaphore,
    patience: Patience,
  ) {
    this.#fn = fn;
    this.#concurrency = concurrency;
    this.#options = options;
    this.#starts = starts;
    this.#patience = patience;
    this.#log = createWriteStream(join(options.logs, `${fn.name}.log`));
    this.#log.on('error', () => {});
  }

  async invoke(
    payload: string,
    onStart: ((kill: () => Promise<void>) => void) | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const environment = await this.#take(signal);
    onStart?.(() => environment.kill());
    const invocation = environment.invoke(payload);
    this.#busy.add(invocation);
    try {
      return await invocation;
    } finally {
      this.#busy.delete(invocation);
      this.#giveBack(environment);
    }
  }

  async prepare(): Promise<void> {
    if (this.#all.size + this.#starting > 0) {
      return;
    }
    const environment = await this.#startInTurn(() => () => {});
    if (environment) {
      this.#giveBack(environment);
    }
  }

  recycle(): void {
    for (const environment of this.#idle.splice(0)) {
      void environment.kill();
    }
  }

  async stop(abort: boolean): Promise<void> {
    this.#stopped = true;
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(stopping());
    }
    const atWork = Promise.allSettled(this.#busy);
    await (abort ? Promise.race([atWork, sleep(ABORT_GRACE_MS, undefined, { ref: false })]) : atWork);
    await Promise.all([...this.#all].map((environment) => environment.kill()));
    await new Promise((resolve) => this.#log.end(resolve));
  }

  async #take(signal: AbortSignal | undefined): Promise<ExecutionEnvironment> {
    if (this.#stopped) {
      throw stopping();
    }
    signal?.throwIfAborted();
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      clearTimeout(idle.reaper);
      if (idle.isAlive) {
        return idle;
      }
    }
    const waiting = Promise.withResolvers<ExecutionEnvironment>();
    this.#waiting.push(waiting);
    if (this.#all.size + this.#starting === 0) {
      this.#supply();
    } else {
      setTimeout(() => {
        if (this.#waiting.includes(waiting)) {
          this.#supply();
        }
      }, WORTH_A_START_MS).unref();
    }
    const giveUp = () => {
      const at = this.#waiting.indexOf(waiting);
      if (at >= 0) {
        this.#waiting.splice(at, 1);
        waiting.reject(signal!.reason);
      }
    };
    signal?.addEventListener('abort', giveUp);
    return waiting.promise.finally(() => signal?.removeEventListener('abort', giveUp));
  }

  /** Starts environments for those who wait, as many as there may be. */
  #supply(): void {
    while (
      !this.#stopped &&
      this.#starting < this.#waiting.length &&
      this.#all.size + this.#starting < this.#concurrency
    ) {
      // Unless one that was at work has been given back meanwhile.
      void this.#startInTurn(() => this.#waiting.shift()?.resolve);
    }
  }

  /**
   * Starts an environment when it is this function's turn, and hands it to whom `takerOf` names then.
   *
   * @returns it, when it is ready or will never be; undefined where nobody is named
   */
  async #startInTurn(
    takerOf: () => ((environment: ExecutionEnvironment) => void) | undefined,
  ): Promise<ExecutionEnvironment | undefined> {
    this.#starting++;
    const giveBack = await this.#starts.take();
    this.#starting--;
    const take = this.#stopped ? undefined : takerOf();
    if (!take) {
      giveBack();
      return undefined;
    }
    const environment = this.#start();
    take(environment);
    await environment.started.finally(giveBack);
    return environment;
  }

  #start(): ExecutionEnvironment {
    const environment = new ExecutionEnvironment(
      this.#fn,
      this.#options.environment,
      (line) => {
        this.#log.write(`${line}\n`);
        this.#options.onOutput?.(this.#fn.name, line);
      },
      (used) => this.#options.onInvocation?.(this.#fn.name, used),
      this.#patience,
    );
    this.#all.add(environment);
    void environment.closed.then(() => {
      this.#all.delete(environment);
      this.#supply();
    });
    return environment;
  }

  #giveBack(environment: ExecutionEnvironment): void {
    if (!environment.isAlive) {
      return;
    }
    const next = this.#waiting.shift();
    if (next) {
      next.resolve(environment);
    } else if (!this.#stopped) {
      environment.reaper = setTimeout(() => {
        this.#idle.splice(this.#idle.indexOf(environment), 1);
        void environment.kill();
      }, IDLE_LIMIT_MS).unref();
      this.#idle.push(environment);
    }
  }
}

interface Patience {
  /** What timeouts are multiplied by now. */
  factor(): number;
  /** An environment has started. */
  started(init: { ms: number; cpuMs: number }): void;
}

/** How much longer than its work a start takes where nobody disturbs it, and the most that timeouts are multiplied by. */
const UNDISTURBED_RATIO = 1.5;
const MOST_PATIENCE = 8;

/** Starts tell how busy the machine is: they take as much time more than their work as others take of the cores. */
function machinePatience(): Patience {
  let ratio = UNDISTURBED_RATIO;
  return {
    factor: () => Math.min(MOST_PATIENCE, Math.max(1, ratio / UNDISTURBED_RATIO)),
    started({ ms, cpuMs }) {
      ratio = 0.7 * ratio + 0.3 * (ms / cpuMs);
    },
  };
}

interface Semaphore {
  /** Resolves when it is one's turn, to what ends it. */
  take(): Promise<() => void>;
}

/**
 * Environments that are started at once, of all functions: each is a second's work of a core, and dozens side by side would all
 * run out of their time.
 */
function semaphore(places: number): Semaphore {
  const waiting: (() => void)[] = [];
  let free = places;
  return {
    async take() {
      if (free > 0) {
        free--;
      } else {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      let isGivenBack = false;
      return () => {
        if (isGivenBack) {
          return;
        }
        isGivenBack = true;
        const next = waiting.shift();
        if (next) {
          next();
        } else {
          free++;
        }
      };
    },
  };
}

function stopping(): LambdaError {
  return new LambdaError('Lambda.ServiceException', 'The local run is stopping');
}

interface Usage {
  durationMs: number;
  cpuMs: number;
  maxMemoryMegabytes: number;
}

type Answer =
  | { ready: true; initMs: number; initCpuMs: number }
  | ({ result: string } & Usage)
  | ({ error: string; fatal: boolean } & Usage);

class ExecutionEnvironment {
  readonly closed: Promise<void>;
  /** Resolves when it is ready, or will never be. */
  readonly started: Promise<unknown>;
  isAlive = true;
  reaper: NodeJS.Timeout | undefined;

  readonly #fn: LambdaFunction;
  readonly #process: ChildProcess;
  readonly #onLine: (line: string) => void;
  readonly #onInvocation: (used: InvocationUsage) => void;
  readonly #patience: Patience;
  readonly #ready = Promise.withResolvers<void>();
  #initialised = false;
  /** Until the first invocation has reported it. */
  #init: { ms: number; cpuMs: number } | undefined;
  #pending:
    | { requestId: string; resolve(result: string): void; reject(error: LambdaError): void }
    | undefined;

  constructor(
    fn: LambdaFunction,
    environment: Readonly<Record<string, string>>,
    onLine: (line: string) => void,
    onInvocation: (used: InvocationUsage) => void,
    patience: Patience,
  ) {
    this.#patience = patience;
    this.#fn = fn;
    this.#onLine = onLine;
    this.#onInvocation = onInvocation;
    this.#process = spawn(
      process.execPath,
      // V8 aborts before the process as a whole reaches the function's memory.
      [`--max-old-space-size=${Math.floor(fn.memoryMegabytes * 0.9)}`, BOOTSTRAP],
      {
        cwd: fn.code,
        env: { ...lambdaVariables(fn), ...keptCode(), ...environment, ...fn.environment },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    );
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      readLines(stream, onLine);
    }
    this.#ready.promise.catch(() => {});
    this.#process.on('message', (answer: Answer) => this.#receive(answer));
    this.#process.on('error', () => {});
    this.#process.on('exit', () => {
      this.isAlive = false;
    });
    this.closed = new Promise((resolve) => {
      // Not `exit`: by `close` all output and all messages have been read.
      this.#process.on('close', (code, signal) => {
        const why = signal ? `signal: ${signalNames[signal] ?? signal}` : `exit status ${code}`;
        this.#fail(
          'Runtime.ExitError',
          `RequestId: ${this.#pending?.requestId} Error: Runtime exited with error: ${why}`,
        );
        resolve();
      });
    });
    this.started = Promise.race([this.#ready.promise, this.closed]);
  }

  async invoke(payload: string): Promise<string> {
    const requestId = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#pending = { requestId, resolve, reject };
    const timeoutMs = this.#fn.timeoutSeconds * 1000 * this.#patience.factor();
    const timeout = () => {
      this.#fail(
        'Sandbox.Timedout',
        `RequestId: ${requestId} Error: Task timed out after ${(timeoutMs / 1000).toFixed(2)} seconds`,
      );
      void this.kill();
    };
    let timer = setTimeout(timeout, (this.#initialised ? 0 : INIT_LIMIT_MS) + timeoutMs);
    try {
      await Promise.race([this.#ready.promise, promise]);
      clearTimeout(timer);
      timer = setTimeout(timeout, timeoutMs);
      this.#onLine(`START RequestId: ${requestId} Version: $LATEST`);
      this.#process.send({
        requestId,
        payload,
        functionArn: this.#fn.arn,
        deadlineMs: Date.now() + timeoutMs,
      });
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#pending = undefined;
    }
  }

  async kill(): Promise<void> {
    this.isAlive = false;
    clearTimeout(this.reaper);
    this.#process.kill('SIGKILL');
    await this.closed;
  }

  #receive(answer: Answer): void {
    if ('ready' in answer) {
      this.#initialised = true;
      this.#init = { ms: answer.initMs, cpuMs: answer.initCpuMs };
      this.#patience.started(this.#init);
      this.#ready.resolve();
      return;
    }
    this.#report(answer);
    if ('result' in answer) {
      const bytes = Buffer.byteLength(answer.result);
      if (bytes > RESPONSE_LIMIT_BYTES) {
        this.#fail(
          'Function.ResponseSizeTooLarge',
          `Response payload size (${bytes} bytes) exceeded maximum allowed payload size (${RESPONSE_LIMIT_BYTES} bytes).`,
        );
      }
      this.#pending?.resolve(answer.result);
    } else {
      const { errorType } = JSON.parse(answer.error) as { errorType: string };
      this.isAlive &&= !answer.fatal;
      this.#pending?.reject(new LambdaError(errorType, answer.error));
    }
  }

  /**
   * The last lines of an invocation, as Lambda itself writes them; Init is billed too.
   * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-logging.html
   */
  #report({ durationMs, cpuMs, maxMemoryMegabytes }: Usage): void {
    const requestId = this.#pending?.requestId;
    const init = this.#init;
    this.#init = undefined;
    this.#onInvocation({
      cpuMs,
      ...(init && { initCpuMs: init.cpuMs }),
      megabytes: this.#fn.memoryMegabytes,
    });
    this.#onLine(`END RequestId: ${requestId}`);
    this.#onLine(
      [
        `REPORT RequestId: ${requestId}`,
        `Duration: ${durationMs.toFixed(2)} ms`,
        `Billed Duration: ${Math.ceil(durationMs + (init?.ms ?? 0))} ms`,
        `Memory Size: ${this.#fn.memoryMegabytes} MB`,
        `Max Memory Used: ${maxMemoryMegabytes} MB`,
        ...(init === undefined ? [] : [`Init Duration: ${init.ms.toFixed(2)} ms`]),
        '',
      ].join('\t'),
    );
  }

  /** Fails the invocation at hand, if there is one, with what Lambda itself and not the function says. */
  #fail(errorType: string, errorMessage: string): void {
    this.#pending?.reject(new LambdaError(errorType, JSON.stringify({ errorType, errorMessage })));
  }
}

/** Not node:readline: for it a line ends at a carriage return too, which Lambda puts into its console's lines. */
function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    lines.forEach(onLine);
  });
  stream.on('end', () => {
    if (rest) {
      onLine(rest);
    }
  });
}

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime */
function lambdaVariables(fn: LambdaFunction): Record<string, string> {
  return {
    _HANDLER: fn.handler,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: fn.name,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(fn.memoryMegabytes),
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${fn.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `${new Date().toISOString().slice(0, 10).replaceAll('-', '/')}/[$LATEST]${randomUUID().replaceAll('-', '')}`,
    LAMBDA_TASK_ROOT: fn.code,
    LANG: 'en_US.UTF-8',
    PATH: '/usr/local/bin:/usr/bin:/bin',
    TZ: 'UTC',
    ...localCredentials(fn.name),
  };
}

/**
 * Where a run of the tests keeps compiled code, which many processes load again: a fifth of a cold start. No other run has it,
 * so that what is measured of a cold start stays true.
 */
function keptCode(): Record<string, string> {
  const { ROLLCALL_FUNCTIONS_CODE: folder } = process.env;
  return folder ? { NODE_COMPILE_CACHE: folder } : {};
}

/** No service here checks a signature; the key id tells whose call it is. */
function localCredentials(principal: string): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: `LOCAL-${principal}`,
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_SESSION_TOKEN: `local-${ACCOUNT}`,
  };
}

/** As in Lambda's messages. */
const signalNames: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};
