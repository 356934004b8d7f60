import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createLambdaRuntime,
  type LambdaError,
  type LambdaFunction,
  type LambdaRuntime,
} from '../../local/lambda-runtime.ts';
import { waitForExit } from '../../local/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'rollcall-lambda-'));
const lines: string[] = [];
let runtime: LambdaRuntime;

beforeAll(() => {
  runtime = createLambdaRuntime({
    logs: join(folder, 'logs'),
    environment: { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' },
    concurrency: 2,
    onOutput: (name, line) => lines.push(`${name}: ${line}`),
  });
});

afterAll(async () => {
  await runtime.stop({ abort: true });
  rmSync(folder, { recursive: true });
});

let count = 0;

function lambda(source: string, overrides: Partial<LambdaFunction> = {}): LambdaFunction {
  const name = `function-${count++}`;
  const code = join(folder, name);
  mkdirSync(code);
  writeFileSync(join(code, 'index.mjs'), source);
  return {
    name,
    arn: `arn:aws:lambda:us-east-1:000000000000:function:${name}`,
    code,
    handler: 'index.handler',
    environment: { OWN: 'yes' },
    timeoutSeconds: 10,
    memoryMegabytes: 128,
    ...overrides,
  };
}

async function failure(fn: LambdaFunction, payload: unknown = {}): Promise<{ name: string; cause: unknown }> {
  const error = (await runtime.invoke(fn, payload).then(
    () => undefined,
    (e: unknown) => e,
  )) as LambdaError;
  expect(error).toBeInstanceOf(Error);
  return { name: error.name, cause: JSON.parse(error.message) };
}

describe('what the handler sees', () => {
  test('is its payload, its context and its own environment, not ours', async () => {
    process.env.LEAKED_FROM_THE_SHELL = 'secret';
    const fn = lambda(`export const handler = async (event, context) => ({
      event,
      environment: process.env,
      remaining: context.getRemainingTimeInMillis(),
      context,
      cwd: process.cwd(),
    });`);
    const seen = (await runtime.invoke(fn, { a: ['ü', null] })) as Record<string, never>;
    delete process.env.LEAKED_FROM_THE_SHELL;
    expect(seen.event).toEqual({ a: ['ü', null] });
    expect(seen.environment).toMatchObject({
      OWN: 'yes',
      AWS_LAMBDA_FUNCTION_NAME: fn.name,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1',
    });
    expect(seen.environment).not.toHaveProperty('LEAKED_FROM_THE_SHELL');
    expect(seen.environment).not.toHaveProperty('HOME');
    expect(seen.remaining).toBeGreaterThan(5_000);
    expect(seen.remaining).toBeLessThanOrEqual(10_000);
    expect(seen.context).toMatchObject({
      functionName: fn.name,
      invokedFunctionArn: fn.arn,
      memoryLimitInMB: '128',
      awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test('is a warm environment, one invocation at a time, when there was one before', async () => {
    const fn = lambda(`let calls = 0; let busy = false;
      export const handler = async () => {
        if (busy) throw new Error('two at once');
        busy = true;
        await new Promise((resolve) => setTimeout(resolve, 30));
        busy = false;
        return { pid: process.pid, calls: ++calls };
      };`);
    const results = (await Promise.all(Array.from({ length: 6 }, () => runtime.invoke(fn, {})))) as {
      pid: number;
      calls: number;
    }[];
    expect(new Set(results.map(({ pid }) => pid)).size).toBeLessThanOrEqual(2);
    expect(results.reduce((sum, { calls }) => Math.max(sum, calls), 0)).toBeGreaterThanOrEqual(3);
  });

  test('is an environment that was prepared, which has not run it before', async () => {
    const fn = lambda(`const startedAt = Date.now(); let calls = 0;
      export const handler = async () => ({ pid: process.pid, calls: ++calls, startedAt });`);
    await runtime.prepare(fn);
    const readyAt = Date.now();
    const first = (await runtime.invoke(fn, {})) as { pid: number; calls: number; startedAt: number };
    expect(first.calls).toBe(1);
    expect(first.startedAt).toBeLessThanOrEqual(readyAt);
    // There is one already.
    await runtime.prepare(fn);
    expect(await runtime.invoke(fn, {})).toMatchObject({ pid: first.pid, calls: 2 });
  });

  test('is another one where the prepared one died at once', async () => {
    const flag = join(folder, 'died-once');
    const fn = lambda(`import { existsSync, writeFileSync } from 'node:fs';
      if (!existsSync('${flag}')) { writeFileSync('${flag}', ''); process.exit(1); }
      export const handler = async () => 'here';`);
    await runtime.prepare(fn);
    expect(await runtime.invoke(fn, {})).toBe('here');
  });

  test('undefined becomes null, and what it prints is heard', async () => {
    const fn = lambda(`export const handler = async () => {
      process.stdout.write('{"a":1}\\n');
      console.error('trouble\\nof two lines');
    };`);
    expect(await runtime.invoke(fn, {})).toBeNull();
    await runtime.invoke(fn, {});
    expect(lines).toContain(`${fn.name}: {"a":1}`);
    expect(
      lines.some((line) => line.startsWith(fn.name) && /\tERROR\ttrouble\rof two lines$/.test(line)),
    ).toBe(true);
    // The file is written behind the answer's back.
    const log = () => readFileSync(join(folder, 'logs', `${fn.name}.log`), 'utf8');
    for (let i = 0; i < 500 && !log().includes('{"a":1}\n'); i++) {
      await sleep(10);
    }
    expect(log()).toContain('{"a":1}\n');
  });
});

test('Lambda itself writes when an invocation began, and what it is billed for, the start of the environment too', async () => {
  const fn = lambda(`export const handler = async () => {
    console.log('at work');
    await new Promise((resolve) => setTimeout(resolve, 100));
  };`);
  await runtime.invoke(fn, {});
  await runtime.invoke(fn, {});
  const own = lines.flatMap((line) =>
    line.startsWith(`${fn.name}: `) ? [line.slice(fn.name.length + 2)] : [],
  );
  expect(own.filter((line) => line.startsWith('START RequestId: '))).toHaveLength(2);
  const reports = own.flatMap((line) => {
    const found =
      /^REPORT RequestId: \S+\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\t(?:Init Duration: ([\d.]+) ms\t)?$/.exec(
        line,
      );
    return found ? [found.slice(1).map((text) => (text === undefined ? undefined : Number(text)))] : [];
  });
  expect(reports).toHaveLength(2);
  const [[cold, coldBilled, init], [warm, warmBilled, none]] = reports as [number[], number[]];
  expect(none).toBeUndefined();
  expect(warm).toBeGreaterThan(99);
  expect(warmBilled).toBe(Math.ceil(warm!));
  expect(init).toBeGreaterThan(5);
  expect(Math.abs(coldBilled! - cold! - init!)).toBeLessThan(1.1);
});

describe('failures are named as Lambda names them', () => {
  test('an Error by its name, with message and trace; the environment stays warm', async () => {
    const fn = lambda(`let calls = 0;
      class SlotExpired extends Error { name = 'SlotExpired'; }
      class Nameless extends Error {}
      export const handler = async (event) => {
        calls++;
        if (event.fail) throw event.nameless ? new Nameless('late') : new SlotExpired('late');
        return calls;
      };`);
    const { name, cause } = await failure(fn, { fail: true });
    expect(name).toBe('SlotExpired');
    expect(cause).toEqual({
      errorType: 'SlotExpired',
      errorMessage: 'late',
      trace: expect.arrayContaining([expect.stringMatching(/^SlotExpired: late|^Error: late/)]),
    });
    expect((await failure(fn, { fail: true, nameless: true })).name).toBe('Error');
    expect(await runtime.invoke(fn, {})).toBe(3);
  });

  test('what is no Error by its type', async () => {
    const fn = lambda(`export const handler = async () => { throw 'no'; };`);
    expect(await failure(fn)).toEqual({
      name: 'string',
      cause: { errorType: 'string', errorMessage: 'no', trace: [] },
    });
  });

  test('a process that exits or is killed, and the next invocation works', async () => {
    const fn = lambda(`export const handler = async (event) => {
      if (event.exit !== undefined) process.exit(event.exit);
      if (event.kill) process.kill(process.pid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, event.kill ? 5000 : 0));
      return 'alive';
    };`);
    expect(await failure(fn, { exit: 7 })).toEqual({
      name: 'Runtime.ExitError',
      cause: {
        errorType: 'Runtime.ExitError',
        errorMessage: expect.stringMatching(
          /^RequestId: \S+ Error: Runtime exited with error: exit status 7$/,
        ),
      },
    });
    expect(await failure(fn, { kill: true })).toMatchObject({
      name: 'Runtime.ExitError',
      cause: { errorMessage: expect.stringMatching(/signal: killed$/) },
    });
    expect(await runtime.invoke(fn, {})).toBe('alive');
  });

  test('errors that no one caught', async () => {
    const fn = lambda(`export const handler = async (event) => {
      if (event.how === 'rejection') { Promise.reject(new Error('lost')); }
      else { setTimeout(() => { throw new RangeError('thrown'); }); }
      await new Promise((resolve) => setTimeout(resolve, 2000));
    };`);
    expect((await failure(fn, { how: 'rejection' })).name).toBe('Runtime.UnhandledPromiseRejection');
    expect((await failure(fn, { how: 'exception' })).name).toBe('RangeError');
  });

  test('a timeout ends the process', async () => {
    const fn = lambda(
      `export const handler = async (event) => {
        if (event.pid) return process.pid;
        await new Promise((resolve) => setTimeout(resolve, 20000));
      };`,
      { timeoutSeconds: 1 },
    );
    const pid = (await runtime.invoke(fn, { pid: true })) as number;
    expect(await failure(fn)).toEqual({
      name: 'Sandbox.Timedout',
      cause: {
        errorType: 'Sandbox.Timedout',
        errorMessage: expect.stringMatching(/Task timed out after 1\.00 seconds$/),
      },
    });
    expect(await waitForExit(pid, 2000)).toBe(true);
  });

  test('memory', async () => {
    const fn = lambda(`export const handler = async () => {
      const kept = [];
      for (;;) kept.push(new Array(1e5).fill(1.5));
    };`);
    expect((await failure(fn)).name).toBe('Runtime.ExitError');
  }, 20_000);

  test('a module that does not load, each time it is tried', async () => {
    const missing = lambda(`import 'not-in-the-bundle';`);
    expect((await failure(missing)).name).toBe('Runtime.ImportModuleError');
    expect((await failure(lambda('export const other = 1;'))).name).toBe('Runtime.HandlerNotFound');
    expect((await failure(lambda('export const handler = ;'))).name).toBe('Runtime.UserCodeSyntaxError');
    const broken = lambda(`throw Object.assign(new Error('no table'), { name: 'MissingConfiguration' });`);
    expect((await failure(broken)).name).toBe('MissingConfiguration');
    expect((await failure(broken)).name).toBe('MissingConfiguration');
  });

  test('a result that cannot be sent', async () => {
    const fn = lambda(`export const handler = async (event) => {
      if (event.big) return 'x'.repeat(event.big);
      const loop = {}; loop.loop = loop; return loop;
    };`);
    expect(await failure(fn)).toMatchObject({
      name: 'Error',
      cause: { errorMessage: 'Unable to stringify response body' },
    });
    expect((await failure(fn, { big: 7_000_000 })).name).toBe('Function.ResponseSizeTooLarge');
    expect(await runtime.invoke(fn, { big: 5_000_000 })).toHaveLength(5_000_000);
    await expect(runtime.invoke(fn, 'x'.repeat(7_000_000))).rejects.toThrow(/must be smaller/);
  });
});

test('an environment ends when its parent is killed, also in the middle of an invocation', async () => {
  const fn = lambda(`import { writeFileSync } from 'node:fs';
    writeFileSync('pid', String(process.pid));
    export const handler = async () => { console.log('started'); await new Promise((r) => setTimeout(r, 60000)); };`);
  const parent: ChildProcess = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { createLambdaRuntime } from ${JSON.stringify(join(import.meta.dirname, '../../local/lambda-runtime.ts'))};
       const runtime = createLambdaRuntime({ logs: ${JSON.stringify(join(folder, 'orphans'))}, environment: {}, onOutput: () => console.log('output') });
       await runtime.invoke(${JSON.stringify(fn)}, {});`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise((resolve) => parent.stdout!.once('data', resolve));
  const pid = Number(readFileSync(join(fn.code, 'pid'), 'utf8'));
  parent.kill('SIGKILL');
  expect(await waitForExit(pid, 5000)).toBe(true);
}, 20_000);

test('stop waits for invocations at work, abort not for long', async () => {
  const lasting = (ms: number) =>
    lambda(`export const handler = async () => {
    console.log('at work');
    await new Promise((resolve) => setTimeout(resolve, ${ms}));
    return 'done';
  };`);
  for (const { abort, fn, outcome } of [
    { abort: false, fn: lasting(400), outcome: 'done' },
    { abort: true, fn: lasting(400), outcome: 'done' },
    { abort: true, fn: lasting(9_000), outcome: 'Runtime.ExitError' },
  ]) {
    const started = Promise.withResolvers<void>();
    const own = createLambdaRuntime({
      logs: join(folder, `stop-${fn.name}`),
      environment: {},
      onOutput: () => started.resolve(),
    });
    const result = own.invoke(fn, {}).catch((error: Error) => error.name);
    await started.promise;
    await own.stop({ abort });
    expect(await result).toBe(outcome);
    await expect(own.invoke(fn, {})).rejects.toThrow(/stopping/);
  }
});

test('a function that was idle for weeks is not ready at first, from its first call on', async () => {
  const fn = lambda('export const handler = async () => "awake";');
  let now = 0;
  const runtime = createLambdaRuntime({
    logs: join(folder, 'idle'),
    environment: {},
    now: () => now,
  });
  runtime.deactivate(fn, 1_000);
  now += 1_100;
  const notReady = { name: 'Lambda.ResourceNotReadyException', message: expect.stringContaining('inactive') };
  await expect(runtime.invoke(fn, {})).rejects.toMatchObject(notReady);
  now += 999;
  await expect(runtime.invoke(fn, {})).rejects.toMatchObject(notReady);
  now += 1;
  await expect(runtime.invoke(fn, {})).resolves.toBe('awake');
  await runtime.stop();
});

test('environments start a few at a time, whatever number of functions is called at once', async () => {
  const file = join(folder, 'starts');
  writeFileSync(file, '');
  const starting = `
    import { appendFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(file)}, '+');
    await new Promise((resolve) => setTimeout(resolve, 50));
    appendFileSync(${JSON.stringify(file)}, '-');
    export const handler = async () => 'done';`;
  const functions = Array.from({ length: 2 * availableParallelism() + 2 }, () => lambda(starting));
  const answers = await Promise.all(functions.map((fn) => runtime.invoke(fn, {})));
  expect(new Set(answers)).toEqual(new Set(['done']));
  let running = 0;
  let most = 0;
  for (const sign of readFileSync(file, 'utf8')) {
    running += sign === '+' ? 1 : -1;
    most = Math.max(most, running);
  }
  expect(most).toBeLessThanOrEqual(availableParallelism());
});

test('an invocation that nobody waits for any more gives up its place, and one that runs goes on', async () => {
  const told = join(folder, 'told');
  writeFileSync(told, '');
  const lines = () => readFileSync(told, 'utf8').trim().split('\n');
  const fn = lambda(`import { appendFileSync, existsSync } from 'node:fs';
    const tell = (line) => appendFileSync(${JSON.stringify(told)}, line + '\\n');
    export const handler = async ({ name }) => {
      tell(name + ' begins');
      while (!existsSync(${JSON.stringify(`${told}.go`)})) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      tell(name + ' ends');
    };`);
  const signals = Array.from({ length: 6 }, () => new AbortController());
  const calls = signals.map(({ signal }, i) => runtime.invoke(fn, { name: String(i) }, undefined, signal));
  const outcomes = Promise.allSettled(calls);
  while (lines().length < 2) {
    await sleep(10);
  }
  expect(lines().sort()).toEqual(['0 begins', '1 begins']);
  for (const abandoned of [0, 2, 4]) {
    signals[abandoned]!.abort(new Error('timed out'));
  }
  await expect(runtime.invoke(fn, { name: '6' }, undefined, signals[4]!.signal)).rejects.toThrow('timed out');
  writeFileSync(`${told}.go`, '');
  expect((await outcomes).map(({ status }) => status === 'fulfilled')).toEqual([
    true,
    true,
    false,
    true,
    false,
    true,
  ]);
  expect(
    lines()
      .filter((line) => line.endsWith('ends'))
      .sort(),
  ).toEqual(['0 ends', '1 ends', '3 ends', '5 ends']);
});
