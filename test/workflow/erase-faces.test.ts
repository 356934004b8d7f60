import { failureKinds, isFailureName } from '../../lambdas/shared/contract/errors.ts';
import { eraseFaces, erasureTasks, runEraseFaces } from '../support/erasure-machine.ts';
import { expectSensibleRetries, SERVICE_ERRORS } from '../support/workflow.ts';

type Attempt = object | { error: string };

const progress = { request: 'outbox', effect: 'none', erasure_id: null, erasures: 0, batches: 0, waits: 0 };
const batch = { kind: 'faces', erasure_ids: [], face_ids: [] };
const remove = { ...progress, next: 'remove', batch };
const wait = { ...progress, next: 'wait', wait_seconds: 300 };
const done = { ...progress, next: 'done', receipts: [] };

/** Runs the real definition; `script` holds the attempts of a Task in order, the last of which repeats. */
async function run(script: Record<string, Attempt[]> = {}) {
  const good: Record<string, Attempt[]> = {
    RequestErasure: [progress],
    ListErasures: [remove, done],
    RemoveFaces: [{ ...batch, kept: [] }],
    ConfirmErasure: [progress],
  };
  const requests: Record<string, Record<string, unknown>[]> = {};
  const tasks = Object.fromEntries(
    erasureTasks.map((name) => [
      name,
      async (request: Record<string, unknown>) => {
        const attempts = script[name] ?? good[name]!;
        const attempt = attempts[Math.min(requests[name]?.length ?? 0, attempts.length - 1)]!;
        requests[name] = [...(requests[name] ?? []), request];
        if ('error' in attempt) {
          throw Object.assign(new Error(`${name} said so`), { name: attempt.error });
        }
        return attempt;
      },
    ]),
  );
  return { ...(await runEraseFaces({ request: 'outbox' }, tasks as never)), requests };
}

const retrier = (state: string, error: string) =>
  eraseFaces.States[state]?.Retry?.find(({ ErrorEquals }) => ErrorEquals.includes(error));

const times = (attempt: Attempt, count: number) => Array.from({ length: count }, () => attempt);

test('asks, lists, removes, confirms, and looks again until nothing is left', async () => {
  const { path, status, output, requests } = await run({ ListErasures: [remove, remove, done] });
  const round = ['ListErasures', 'NextStep', 'RemoveFaces', 'ConfirmErasure'];
  expect(path).toEqual(['RequestErasure', ...round, ...round, 'ListErasures', 'NextStep', 'Erased']);
  expect([status, output]).toEqual(['SUCCEEDED', done]);
  expect(requests.RemoveFaces?.[0]).toEqual({ batch });
  expect(requests.ConfirmErasure?.[0]).toMatchObject({ input: { batch: { kept: [] } } });
});

test('waits for its turn, and looks again', async () => {
  const { path } = await run({ ListErasures: [wait, wait, done] });
  const waiting = ['ListErasures', 'NextStep', 'WaitForTurn'];
  expect(path).toEqual(['RequestErasure', ...waiting, ...waiting, 'ListErasures', 'NextStep', 'Erased']);
});

test('a batch that cannot be removed is confirmed as failed, and the others go on', async () => {
  const { path, requests } = await run({ RemoveFaces: [{ error: 'TypeError' }] });
  expect(path.slice(-5)).toEqual(['RemoveFaces', 'ConfirmErasure', 'ListErasures', 'NextStep', 'Erased']);
  expect(requests.ConfirmErasure?.[0]).toMatchObject({
    input: { batch, failure: { Error: 'TypeError', Cause: expect.stringContaining('said so') } },
  });
});

describe.each(erasureTasks)('%s', (state) => {
  const names = [...Object.keys(failureKinds), ...SERVICE_ERRORS, 'TypeError', 'States.DataLimitExceeded'];

  test.each(names)('%s: as many tries as the definition says, then the right way out', async (error) => {
    const attempts = 1 + (retrier(state, error)?.MaxAttempts ?? 0);
    const { path, status, requests, ...ended } = await run({
      [state]: [...times({ error }, attempts), ...(state === 'ListErasures' ? [done] : [progress])],
    });
    expect(requests[state]).toHaveLength(attempts);
    if (state === 'RemoveFaces') {
      expect(path[path.indexOf(state) + 1]).toBe('ConfirmErasure');
      expect(status).toBe('SUCCEEDED');
    } else {
      // Uncaught, so that a redrive goes on from here.
      expect([path.at(-1), status, ended.error]).toEqual([state, 'FAILED', error]);
    }
  });

  test('waits for what passes by itself for hours, and only briefly for what an engineer has to mend', () => {
    expectSensibleRetries(eraseFaces.States[state], 30);
  });
});

describe('the definition', () => {
  const states = Object.values(eraseFaces.States);

  test('knows only names that the code throws', () => {
    const custom = states
      .flatMap(({ Retry = [], Catch = [] }) => [...Retry, ...Catch].flatMap(({ ErrorEquals }) => ErrorEquals))
      .filter((name) => !/^(States|Lambda|Sandbox|Runtime)\./.test(name));
    expect(custom.filter((name) => !isFailureName(name))).toEqual([]);
    expect(custom).toContain('FacesStillListed');
  });

  test('cannot write more history than Step Functions keeps, however many batches one execution works off', () => {
    // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 25,000 events. A Task writes five, a
    // failed attempt three more, a choice two.
    const { max_batches: batches } = (
      eraseFaces.States.ListErasures as unknown as { Parameters: { max_batches: number } }
    ).Parameters;
    expect(batches * (3 * 5 + 2)).toBeLessThan(18_000);
    for (const { Retry = [] } of states) {
      expect(3 * Retry.reduce((sum, { MaxAttempts }) => sum + MaxAttempts, 0)).toBeLessThan(7_000);
    }
  });

  test.each([
    ['RequestErasure', 'DatabaseUnavailable', 24],
    // For longer than its turn: after that it is put off, and tried again every hour.
    ['RemoveFaces', 'RekognitionUnavailable', 0.3],
  ])('%s rides out %s for %f hours', (state, error, hours) => {
    const { IntervalSeconds, BackoffRate, MaxDelaySeconds, MaxAttempts } = retrier(state, error)!;
    let expected = 0;
    for (let attempt = 0; attempt < MaxAttempts; attempt++) {
      // Full jitter waits half of the delay on average.
      expected += Math.min(IntervalSeconds * BackoffRate ** attempt, MaxDelaySeconds!) / 2;
    }
    expect(expected).toBeGreaterThan(hours * 3600);
  });
});
