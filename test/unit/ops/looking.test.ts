/** What the commands that look do while parts of the deployment are away. */
import { randomUUID } from 'node:crypto';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import type { Question } from '../../../lambdas/answer-operator/questions.ts';
import { LOOKING, parseOpsArguments } from '../../../ops/arguments.ts';
import { cost } from '../../../ops/commands/cost.ts';
import { erasures } from '../../../ops/commands/erasures.ts';
import { events } from '../../../ops/commands/events.ts';
import { failed } from '../../../ops/commands/failed.ts';
import { attemptsOf, photo } from '../../../ops/commands/photo.ts';
import { reconcile } from '../../../ops/commands/reconcile.ts';
import { reprocess } from '../../../ops/commands/reprocess.ts';
import { status } from '../../../ops/commands/status.ts';
import type { Context } from '../../../ops/context.ts';
import type { Deployment } from '../../../ops/deployment.ts';
import { silent } from '../../../ops/progress.ts';
import { type Clock, timeLimit, UNLIMITED } from '../../../ops/time-limit.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';

/** No letters: both spellings of the id are one. */
const EVENT = '11111111-1111-1111-1111-111111111111';

type Handlers = Record<string, (input: Record<string, unknown>) => unknown>;

const payload = (answer: unknown) => ({ Payload: Buffer.from(JSON.stringify(answer)) });

const away: Handlers = {
  Invoke: () => ({
    FunctionError: 'Unhandled',
    ...payload({
      errorType: 'DatabaseUnavailable',
      errorMessage: 'PostgreSQL ECONNREFUSED: connect ECONNREFUSED',
    }),
  }),
};

/** A deployment whose clients answer from this test. */
function deploymentOf(handlers: Handlers): Deployment {
  const { client } = fakeClient<object>({
    GetItem: () => ({ Item: { images: { N: '5' }, day: { N: '20260501' } } }),
    GetQueueAttributes: () => ({ Attributes: { ApproximateNumberOfMessages: '2' } }),
    ListExecutions: ({ statusFilter }) => ({
      executions: statusFilter === 'FAILED' ? [{ executionArn: 'arn:failed', stopDate: new Date(0) }] : [{}],
    }),
    ListObjectsV2: () => ({ Contents: [] }),
    ...handlers,
  });
  const as = (prototype: object) => Object.assign(Object.create(prototype) as object, client);
  return {
    name: 'the test',
    isLocal: true,
    resting: 0,
    console: (arn: string) => `https://console/${arn}`,
    outputs: new Proxy(
      {},
      { get: (_, name) => ({ IndexFacesPerSecond: '50', DailyImageCap: '200' })[String(name)] ?? name },
    ),
    s3: as(S3Client.prototype),
    rekognition: as(RekognitionClient.prototype),
    ...Object.fromEntries(['dynamodb', 'states', 'lambda', 'sqs'].map((name) => [name, client])),
    close() {},
  } as unknown as Deployment;
}

function context(argv: string[], handlers: Handlers): Context {
  return {
    args: parseOpsArguments(argv, {}),
    deployment: deploymentOf(handlers),
    progress: silent,
    limit: UNLIMITED,
    now: () => Date.parse('2026-05-01T12:00:00Z'),
    columns: 80,
    show() {},
    confirm: async () => true,
  };
}

describe('while the database is unavailable', () => {
  const own = expect.stringContaining('connect ECONNREFUSED');

  test('status shows all the rest, and the own error of the database', async () => {
    const { data, lines, exitCode } = await status(context(['status'], away));
    expect(data).toMatchObject({ photos: null, executions_running: 1, images_today: 5, problems: [own] });
    expect(lines).toContainEqual(own);
    expect(exitCode).toBe(1);
  });

  test('failed shows which executions failed, with their links', async () => {
    const { data, lines, exitCode } = await failed(context(['failed'], away));
    expect(data).toMatchObject({ failed_executions: [{ execution: 'arn:failed' }], problems: [own] });
    expect(lines.join('\n')).toContain('https://console/arn:failed');
    expect(exitCode).toBe(1);
  });

  test('failed shows what failed last first, whenever it started', async () => {
    const ListExecutions = () => ({
      executions: [3, 1, 2].map((n) => ({ executionArn: `arn:${n}`, stopDate: new Date(n) })),
    });
    const { data } = await failed(context(['failed'], { ...away, ListExecutions }));
    const executions = data.failed_executions as { execution: string }[];
    expect(executions.map(({ execution }) => execution)).toEqual(['arn:3', 'arn:2', 'arn:1']);
  });

  test('events shows those of the bucket, apart from the error', async () => {
    const ListObjectsV2 = ({ Prefix }: Record<string, unknown>) => ({
      CommonPrefixes: Prefix === 'events/' ? [{ Prefix: `events/${EVENT}/` }] : [],
    });
    const { lines } = await events(context(['events'], { ...away, ListObjectsV2 }));
    expect(lines).toEqual([expect.stringMatching(/^Not known: /), '', 'Events in the bucket:', `  ${EVENT}`]);
  });

  test('cost shows what today costs, erasures what runs and rests', async () => {
    const paid = await cost(context(['cost'], away));
    expect(paid).toMatchObject({ data: { images_today: 5, rows: null, problems: [own] }, exitCode: 1 });
    expect(paid.lines.join('\n')).toContain('Today (UTC): 5 images, $0.01.');
    const erased = await erasures(context(['erasures'], away));
    expect(erased).toMatchObject({ data: { running: 1, dead_letters: 2, problems: [own] }, exitCode: 1 });
  });

  test('one part that is forbidden takes no other with it', async () => {
    const forbidden = {
      ...away,
      GetQueueAttributes: () => Promise.reject(awsError('AccessDenied', 403, 'not you')),
    };
    const { data } = await status(context(['status'], forbidden));
    expect(data).toMatchObject({
      queues: null,
      images_today: 5,
      problems: [own, 'AWS does not allow this: not you'],
    });
  });
});

/** A clock that goes on to whatever is waited for next when nothing else is left to do. */
function virtualClock(nowMs: number) {
  const waiting: { atMs: number; wake(): void }[] = [];
  const clock: Clock = {
    now: () => nowMs,
    sleep: (ms) => new Promise((wake) => void waiting.push({ atMs: nowMs + ms, wake })),
  };
  return {
    clock,
    async run<Result>(work: Promise<Result>): Promise<{ result: Result; endedMs: number }> {
      let ended: { result: Result; endedMs: number } | undefined;
      let failure: unknown;
      work.then(
        (result) => {
          ended = { result, endedMs: nowMs };
        },
        (error: unknown) => {
          failure = error;
        },
      );
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        if (failure !== undefined) {
          throw failure;
        }
        if (ended) {
          return ended;
        }
        waiting.sort((a, b) => a.atMs - b.atMs);
        const next = waiting.shift();
        if (!next) {
          throw new Error('The command waits for what never comes');
        }
        nowMs = Math.max(nowMs, next.atMs);
        next.wake();
      }
    },
  };
}

describe('whoever is silent or slow', () => {
  const answers: Handlers = {
    Invoke: ({ Payload }) => {
      const { ask: asked } = JSON.parse(String(Payload)) as Question;
      const summary = { events: 1, photos: {}, faces: 0, leaving: 0, failures: [], oldest_processing: null };
      const photoRow = {
        id: EVENT,
        event_id: EVENT,
        status: 'indexed',
        object_key: `events/${EVENT}/1.jpg`,
        face_count: 0,
        execution_arn: 'arn:execution',
        created_at: '2026-05-01T10:00:00Z',
      };
      const known: Partial<Record<Question['ask'], unknown>> = {
        summary,
        events: [{ id: EVENT }],
        photos: [photoRow],
        photo_history: { paid: [], erasures: [] },
        misplaced: { total: 0, uploads: [] },
        usage: { rows: [], total: { images: 0, faces: 0, estimated_usd: 0 } },
      };
      return payload(known[asked] ?? []);
    },
    // Photos are in line, so that the pace is looked at.
    GetItem: () => ({
      Item: { images: { N: '5' }, day: { N: '20260501' }, line_ms: { N: '99999999999999' } },
    }),
    GetQueueAttributes: () => ({ Attributes: {} }),
    ListExecutions: () => ({ executions: [] }),
    DescribeExecution: () => ({ status: 'SUCCEEDED' }),
    GetExecutionHistory: () => ({ events: [] }),
    ListObjectsV2: () => ({ Contents: [] }),
    HeadObject: () => ({ ETag: '"e1"', ContentLength: 5, LastModified: new Date(0) }),
  };
  const argvOf: Record<(typeof LOOKING)[number], string[]> = {
    status: ['status', '--event', EVENT],
    events: ['events'],
    photo: ['photo', `events/${EVENT}/1.jpg`],
    failed: ['failed', '--event', EVENT],
    cost: ['cost'],
    erasures: ['erasures', '--event', EVENT],
  };
  const commands = { status, events, photo, failed, cost, erasures };
  /** Milliseconds until an answer; undefined for none, ever. */
  const delay = fc.option(fc.integer({ min: 0, max: 6_000 }), { nil: undefined, freq: 3 });

  test.each(LOOKING)('%s ends within 4.5 s of its process, and shows the rest', async (name) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(delay, { minLength: 40, maxLength: 40 }),
        fc.integer({ min: 0, max: 2_000 }),
        async (delays, startMs) => {
          const time = virtualClock(startMs);
          let call = 0;
          const slow = Object.fromEntries(
            Object.entries(answers).map(([command, answer]) => [
              command,
              async (input: Record<string, unknown>) => {
                const ms = delays[call++ % delays.length];
                await (ms === undefined ? new Promise(() => {}) : time.clock.sleep(ms));
                return answer(input);
              },
            ]),
          );
          const { endedMs, result } = await time.run(
            commands[name]({ ...context(argvOf[name], slow), limit: timeLimit(time.clock) }),
          );
          expect(endedMs).toBeLessThanOrEqual(4_500);
          expect(result.lines.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is named, and a busy machine has a moment to ask all the same', async () => {
    const time = virtualClock(9_000);
    const mute = { ...answers, Invoke: () => new Promise(() => {}) };
    const { endedMs, result } = await time.run(
      status({ ...context(['status'], mute), limit: timeLimit(time.clock) }),
    );
    expect(endedMs).toBe(9_000 + 1_500);
    expect(result.data.problems).toEqual([
      'The database has not answered in time. If it is waking, which takes up to 30 s, the same command answers then.',
    ]);
  });
});

test('an event that nobody knows is said to be unknown', async () => {
  const id = randomUUID();
  const answers: Handlers = {
    Invoke: ({ Payload }) => {
      const { ask: asked } = JSON.parse(String(Payload)) as Question;
      return payload(
        asked === 'summary'
          ? { events: 0, photos: {}, faces: 0, leaving: 0, failures: [], oldest_processing: null }
          : [],
      );
    },
  };
  await expect(status(context(['status', '--event', id], answers))).rejects.toThrow(
    `There is no event ${id}`,
  );
  await expect(failed(context(['failed', '--event', id], answers))).rejects.toThrow(`knows no event ${id}`);
});

test('a key of no event: where such uploads are listed', async () => {
  await expect(photo(context(['photo', 'wrong/key.jpg', '--local'], {}))).rejects.toThrow(
    '`npm run ops -- failed --local` lists it.',
  );
});

test('reprocess --indexed says how it is gone on with when it is stopped, and lets the reconciliation know, before it begins', async () => {
  const id = randomUUID();
  const row = { id, event_id: EVENT, status: 'indexed', object_key: `events/${EVENT}/1.jpg`, face_count: 2 };
  const order: string[] = [];
  const rows = [{ ...row, object_version: 'e1', created_at: '2026-05-01T10:00:00Z' }];
  const answers: Handlers = {
    Invoke: ({ Payload }) => {
      const { ask: asked } = JSON.parse(String(Payload)) as Question;
      order.push(asked);
      return payload(
        { summary: { events: 1, leaving: 0 }, reopen: { photo_ids: [id] } }[asked as 'summary'] ?? rows,
      );
    },
    HeadObject: () => ({ ETag: '"e1"', ContentLength: 5, LastModified: new Date(0) }),
    StartExecution: ({ name, stateMachineArn }) => {
      order.push(String(stateMachineArn));
      return { executionArn: String(name) };
    },
  };
  const argv = ['reprocess', '--event', EVENT, '--indexed', '--yes', '--no-wait', '--local'];
  const show = (lines: readonly string[]) => order.push(...lines);
  await reprocess({ ...context(argv, answers), show });
  const said = order.findIndex((line) => line.includes(`\`npm run ops -- reconcile --event ${EVENT} --fix`));
  expect(said).toBeGreaterThan(-1);
  expect(said).toBeLessThan(order.indexOf('reopen'));
  // By its execution the hourly reconciliation knows that something happened.
  expect(order.indexOf('EraseFacesStateMachineArn')).toBeGreaterThan(said);
  expect(order.indexOf('EraseFacesStateMachineArn')).toBeLessThan(order.indexOf('reopen'));
});

describe('reconcile', () => {
  const event = EVENT;
  const key = `events/${event}/IMG_1.jpg`;
  const answers = (end: string): Handlers => ({
    Invoke: () => payload([]),
    ListObjectsV2: ({ Prefix, Delimiter }) =>
      Delimiter
        ? { CommonPrefixes: Prefix === 'events/' ? [{ Prefix: `events/${event}/` }] : [] }
        : {
            Contents: key.startsWith(String(Prefix))
              ? [{ Key: key, ETag: '"e1"', Size: 5, LastModified: new Date(0) }]
              : [],
          },
    HeadObject: () => ({ ETag: '"e1"', ContentLength: 5, LastModified: new Date(0) }),
    ListFaces: () => ({ Faces: [] }),
    StartExecution: ({ name }) => ({ executionArn: String(name) }),
    DescribeExecution: () => ({ status: end }),
  });

  test('counts an object once when the id of its event has no letters', async () => {
    const { data } = await reconcile(context(['reconcile', '--event', event], answers('SUCCEEDED')));
    expect(data.findings).toEqual({ never_seen: 1 });
  });

  test('--fix says what failed, and ends with 1', async () => {
    const argv = ['reconcile', '--event', event, '--fix', '--yes'];
    const good = await reconcile(context(argv, answers('SUCCEEDED')));
    expect(good).toMatchObject({ exitCode: 0, data: { succeeded: 1, failed: 0 } });
    expect(good.lines.join('\n')).toContain('1 photo indexed again.');
    const bad = await reconcile(context(argv, answers('FAILED')));
    expect(bad).toMatchObject({ exitCode: 1, data: { mended: false, succeeded: 0, failed: 1 } });
    expect(bad.lines.join('\n')).toContain('0 photos indexed again, 1 failed');
  });

  test('says what it does, and of nothing that it does not', async () => {
    const argv = ['reconcile', '--event', event, '--local', '--fix'];
    const dry = await reconcile(context([...argv, '--dry-run'], answers('SUCCEEDED')));
    expect(dry.lines.at(-1)).toBe('Would index 1 photo (less than a cent).');
    const { lines } = await reconcile(context([...argv, '--yes'], answers('SUCCEEDED')));
    expect(lines.slice(-2)).toEqual([
      '1 photo indexed again.',
      `\`npm run ops -- reconcile --event ${event} --local\` shows what is left.`,
    ]);
  });

  test('the command that it tells to go on with looks at the same minutes', async () => {
    const argv = ['reconcile', '--event', event, '--settle', '0'];
    const looked = await reconcile(context(argv, answers('SUCCEEDED')));
    expect(looked.lines).toContain(
      `\`npm run ops -- reconcile --event ${event} --settle 0 --fix\` mends it.`,
    );
    const mended = await reconcile(context([...argv, '--fix', '--yes'], answers('SUCCEEDED')));
    expect(mended.lines.at(-1)).toContain(`reconcile --event ${event} --settle 0\` shows what is left.`);
  });

  test('says which minutes it leaves out', async () => {
    const nothing = { ...answers('SUCCEEDED'), ListObjectsV2: () => ({ Contents: [] }) };
    const looked = async (...argv: string[]) =>
      (await reconcile(context(['reconcile', '--event', event, ...argv], nothing))).lines;
    await expect(looked()).resolves.toEqual([
      'Bucket, database and collections of 1 event agree.',
      expect.stringContaining('in the last 15 minutes may still be under way'),
    ]);
    await expect(looked('--settle', '0')).resolves.toHaveLength(1);
  });
});

test("an execution's history: how often each state was tried, and why it failed", () => {
  const entered = (name: string) => ({ type: 'TaskStateEntered', stateEnteredEventDetails: { name } });
  const scheduled = { type: 'LambdaFunctionScheduled' };
  const failure = (error: string) => ({
    type: 'LambdaFunctionFailed',
    lambdaFunctionFailedEventDetails: { error },
  });
  const events = [
    entered('JoinLine'),
    scheduled,
    failure('LedgerBusy'),
    scheduled,
    failure('LedgerBusy'),
    scheduled,
    { type: 'WaitStateEntered', stateEnteredEventDetails: { name: 'WaitInLine' } },
    entered('IndexFaces'),
    scheduled,
    failure('RekognitionThrottled'),
    entered('JoinLine'),
    scheduled,
  ];
  expect(attemptsOf(events as never)).toEqual([
    { state: 'JoinLine', tries: 4, errors: { LedgerBusy: 2 } },
    { state: 'WaitInLine', tries: 1, errors: {} },
    { state: 'IndexFaces', tries: 1, errors: { RekognitionThrottled: 1 } },
  ]);
});
