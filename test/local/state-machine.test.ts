import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStateMachine, type ExecutionEnd, type LocalStateMachine } from '../../local/state-machine.ts';

const MACHINE = 'arn:aws:states:us-east-1:000000000000:stateMachine:Photos';
const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:work';
const LIMIT = 262_144;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-machine-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

type Invoke = (resource: string, payload: never, signal: AbortSignal) => Promise<unknown>;

function machine(invoke: Invoke, definition: object = {}, work: object = {}): LocalStateMachine {
  return createStateMachine({
    arn: MACHINE,
    folder,
    invoke: invoke as never,
    definition: JSON.stringify({
      StartAt: 'Work',
      States: {
        Work: {
          Type: 'Task',
          Resource: FUNCTION,
          Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.failure', Next: 'Failed' }],
          End: true,
          ...work,
        },
        Failed: { Type: 'Fail', ErrorPath: '$.failure.Error', CausePath: '$.failure.Cause' },
      },
      ...definition,
    }),
  });
}

async function run(photos: LocalStateMachine, input: unknown = {}): Promise<ExecutionEnd> {
  const end = new Promise<ExecutionEnd>((resolve) => {
    const off = photos.onEnd((ended) => {
      off();
      resolve(ended);
    });
  });
  photos.start(input);
  return end;
}

function failing(name: string, message = 'why'): Invoke {
  return async () => {
    throw Object.assign(new Error(message), { name });
  };
}

test('a Task gets its parameters, with the context object; the end is told and kept', async () => {
  const seen: unknown[] = [];
  const photos = machine(
    async (resource, payload) => {
      seen.push(resource, payload);
      return { done: true };
    },
    {},
    { Parameters: { 'input.$': '$', 'execution.$': '$$.Execution', 'machine.$': '$$.StateMachine' } },
  );
  const end = await run(photos, { key: 'a' });
  expect(end).toMatchObject({
    status: 'SUCCEEDED',
    input: { key: 'a' },
    output: { done: true },
    transitions: 1,
  });
  expect(end.executionArn).toMatch(/^arn:aws:states:us-east-1:000000000000:execution:Photos:[0-9a-f-]{36}$/);
  expect(seen).toEqual([
    FUNCTION,
    {
      input: { key: 'a' },
      execution: {
        Id: end.executionArn,
        Name: end.executionArn.split(':').at(-1),
        Input: { key: 'a' },
        StartTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      },
      machine: { Id: MACHINE, Name: 'Photos' },
    },
  ]);
  expect(JSON.parse(readFileSync(join(folder, 'executions.jsonl'), 'utf8'))).toMatchObject({
    executionArn: end.executionArn,
    status: 'SUCCEEDED',
  });
  expect(photos.describe(end.executionArn)).toMatchObject({
    status: 'SUCCEEDED',
    history: expect.arrayContaining([expect.objectContaining({ type: 'StateEntered', state: 'Work' })]),
  });
});

test('a failure goes through Retry and Catch to the Fail state, with its Error and Cause', async () => {
  const photos = machine(
    failing('Busy', '{"errorMessage":"x"}'),
    {},
    {
      Retry: [
        {
          ErrorEquals: ['Busy'],
          IntervalSeconds: 1,
          MaxAttempts: 2,
          MaxDelaySeconds: 1,
          JitterStrategy: 'FULL',
        },
      ],
    },
  );
  expect(await run(photos)).toMatchObject({
    status: 'FAILED',
    error: 'Busy',
    cause: '{"errorMessage":"x"}',
    // Work, two retries, Failed.
    transitions: 4,
  });
});

describe('payloads have 256 KiB', () => {
  const text = (bytes: number) => 'x'.repeat(bytes - 2);

  test('of input', async () => {
    const photos = machine(async () => null);
    expect((await run(photos, text(LIMIT))).status).toBe('SUCCEEDED');
    expect(() => photos.start(text(LIMIT + 1))).toThrow(
      expect.objectContaining({ name: 'States.DataLimitExceeded' }),
    );
    expect(() => photos.start('ü'.repeat(LIMIT / 2))).toThrow(/262146 bytes/);
  });

  test('of a result, which not even States.ALL catches', async () => {
    expect((await run(machine(async () => text(LIMIT)))).status).toBe('SUCCEEDED');
    const end = await run(machine(async () => text(LIMIT + 1)));
    expect(end).toMatchObject({ status: 'FAILED', error: 'States.DataLimitExceeded', transitions: 1 });
  });

  test('of what input and result add up to', async () => {
    const photos = machine(async () => text(LIMIT / 2), {}, { ResultPath: '$.result' });
    expect(await run(photos, { a: text(LIMIT / 2) })).toMatchObject({
      status: 'FAILED',
      error: 'States.DataLimitExceeded',
    });
  });
});

describe('time', () => {
  const never: Invoke = () => new Promise(() => {});

  test('of a Task', async () => {
    expect(await run(machine(never, {}, { TimeoutSeconds: 1 }))).toMatchObject({
      status: 'FAILED',
      error: 'States.Timeout',
    });
  });

  test('of a Task: whoever carries it out hears that nobody waits any more', async () => {
    const heard = Promise.withResolvers<void>();
    const waits = (_resource: string, _payload: unknown, signal: AbortSignal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason);
          heard.resolve();
        });
      });
    await expect(run(machine(waits, {}, { TimeoutSeconds: 1 }))).resolves.toMatchObject({
      error: 'States.Timeout',
    });
    await heard.promise;
  });

  test('of the machine', async () => {
    expect(await run(machine(never, { TimeoutSeconds: 1 }))).toMatchObject({
      status: 'TIMED_OUT',
      error: 'States.Timeout',
    });
  });

  test('an abort', async () => {
    const photos = machine(never);
    const ended = run(photos);
    const idle = photos.idle();
    await new Promise((resolve) => setTimeout(resolve, 20));
    photos.abort(photos.start({}));
    expect((await ended).status).toBe('ABORTED');
    let isIdle = false;
    void idle.then(() => {
      isIdle = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isIdle).toBe(false);
    photos.stop();
    await idle;
    expect(photos.started).toBe(2);
  });
});

test('an aborted execution is not tried again', async () => {
  let calls = 0;
  const photos = machine(
    async () => {
      calls++;
      throw Object.assign(new Error(), { name: 'Busy' });
    },
    {},
    { Retry: [{ ErrorEquals: ['Busy'], IntervalSeconds: 60, MaxAttempts: 99 }] },
  );
  const ended = run(photos);
  const arn = photos.start({});
  while (calls < 2) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(photos.describe(arn)?.status).toBe('RUNNING');
  photos.stop();
  photos.abort(arn);
  await photos.idle();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(calls).toBe(2);
  void ended;
});

test('what was cut off begins anew under its own name, and only that', async () => {
  const first = machine((_, payload: { key: string }) =>
    payload.key === 'quick' ? Promise.resolve(null) : new Promise(() => {}),
  );
  await run(first, { key: 'quick' });
  const arn = first.start({ key: 'slow' });
  first.stop();
  await first.idle();
  // A process killed while it wrote the next line.
  writeFileSync(join(folder, 'open-executions-Photos.jsonl'), '{"name":"half', { flag: 'a' });

  const second = machine(async () => 'again');
  const ends: ExecutionEnd[] = [];
  second.onEnd((end) => ends.push(end));
  expect(second.resumeInterrupted()).toBe(1);
  await second.idle();
  expect(ends).toMatchObject([{ executionArn: arn, input: { key: 'slow' }, output: 'again' }]);
  expect(machine(async () => null).resumeInterrupted()).toBe(0);
});

test('where retries are shortened, a wait that a state asks for is too, and what comes after it sees the same', async () => {
  const waiting = createStateMachine({
    arn: MACHINE,
    folder,
    retryScale: 0.01,
    invoke: (async (_resource: string, payload: unknown) => payload) as never,
    definition: JSON.stringify({
      StartAt: 'Wait',
      States: {
        Wait: { Type: 'Wait', SecondsPath: '$.seconds', Next: 'Work' },
        Work: { Type: 'Task', Resource: FUNCTION, End: true },
      },
    }),
  });
  const startedMs = performance.now();
  await expect(run(waiting, { seconds: 30 })).resolves.toMatchObject({
    status: 'SUCCEEDED',
    output: { seconds: 30 },
  });
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeGreaterThanOrEqual(290);
  expect(tookMs).toBeLessThan(20_000);

  const stopped = run(waiting, { seconds: 3_000 });
  waiting.abort(waiting.list()[0]!.executionArn);
  await expect(stopped).resolves.toMatchObject({ status: 'ABORTED' });
});
