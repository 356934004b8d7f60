/**
 * Every route of every definition is taken. The other tests of this folder say what a route is for; this one finds those that
 * nobody thought of: it enumerates states, catchers, retriers and choices out of the files, drives the real definition into
 * each, and fails for what was never taken.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StateMachine } from 'aws-local-stepfunctions';
import { attemptsOf, indexPhoto, runIndexPhoto, type State, wayTo } from '../support/workflow.ts';

type States = Record<
  string,
  State & { Choices?: { Next: string }[]; Default?: string; ItemProcessor?: { States: States } }
>;

/** `State -Error-> Next` of every catcher, `State -> Next` of every other way on, `State retries Error` of every retrier. */
function routesOf(states: States): string[] {
  return Object.entries(states).flatMap(([name, state]) => [
    ...(state.Next ? [`${name} -> ${state.Next}`] : []),
    ...(state.Default ? [`${name} -> ${state.Default}`] : []),
    ...(state.Choices ?? []).map(({ Next }) => `${name} -> ${Next}`),
    ...(state.Catch ?? []).flatMap(({ ErrorEquals, Next }) =>
      ErrorEquals.map((error) => `${name} -${error}-> ${Next}`),
    ),
    ...(state.Retry ?? []).flatMap(({ ErrorEquals }) =>
      ErrorEquals.map((error) => `${name} retries ${error}`),
    ),
  ]);
}

describe('index-photo', () => {
  const states = indexPhoto.States as States;
  const taken = new Set<string>();
  const entered = new Set<string>();

  /** Drives one Task into one error, as often as it takes to leave the state, and notes the ways that were taken. */
  async function drive(state: string, error: string, attempts: number): Promise<void> {
    const run = await runIndexPhoto({
      ...wayTo[state],
      [state]: Array.from({ length: attempts }, () => ({ error })),
    });
    const tries = run.requests[state]?.length ?? 0;
    for (const [i, name] of run.path.entries()) {
      entered.add(name);
      const next = run.path[i + 1];
      if (next !== undefined) {
        const catcher = states[name]?.Catch?.find(
          ({ ErrorEquals, Next }) =>
            Next === next && (ErrorEquals.includes(error) || ErrorEquals.includes('States.ALL')),
        );
        // A state that never succeeded was left by its catcher, also where that leads to the same place.
        const isCaught = name === state && catcher && (states[name]?.Next !== next || tries === attempts);
        taken.add(
          isCaught
            ? `${name} -${catcher.ErrorEquals.includes(error) ? error : 'States.ALL'}-> ${next}`
            : `${name} -> ${next}`,
        );
      }
    }
    if (tries > run.path.filter((name) => name === state).length) {
      taken.add(`${state} retries ${error}`);
    }
  }

  test('takes every route that the file names, and enters every state', async () => {
    const tasks = Object.entries(states).filter(([, { Type }]) => Type === 'Task');
    for (const [name, { Retry = [], Catch = [] }] of tasks) {
      for (const { ErrorEquals } of Retry) {
        for (const error of ErrorEquals) {
          await drive(name, error, 1);
        }
      }
      for (const { ErrorEquals } of Catch) {
        for (const error of ErrorEquals) {
          const known = error === 'States.ALL' ? 'SomethingElse' : error;
          await drive(name, known, attemptsOf(name, known));
        }
      }
    }
    await drive('MarkFailed', 'SomethingElse', 1);
    await drive('PhotoSettled', 'None', 0);
    expect(routesOf(states).filter((route) => !taken.has(route))).toEqual([]);
    expect(Object.keys(states).filter((name) => !entered.has(name))).toEqual([]);
  });
});

describe('backfill, one batch', () => {
  const { States } = JSON.parse(
    readFileSync(path.join(import.meta.dirname, '../../state-machines/backfill.asl.json'), 'utf8')
      .replaceAll(/\$\{Partition\}/g, 'aws')
      .replaceAll(/\$\{(\w+)\}/g, 'arn:aws:lambda:us-east-1:000000000000:function:$1'),
  ) as { States: { Backfill: { ItemProcessor: { StartAt: string; States: States } } } };
  const batch = States.Backfill.ItemProcessor;
  const inner = batch.States.IndexPhotos!.ItemProcessor!;
  const machine = new StateMachine({ StartAt: batch.StartAt, States: batch.States } as never, {
    validationOptions: { noValidate: true },
  });
  const taken = new Set<string>();
  const entered = new Set<string>();

  interface Script {
    /** Errors of SkipIndexed before it succeeds, and what it leaves. */
    skip?: string[];
    photos?: object[];
    /** Errors of one photo's execution before it succeeds. */
    photo?: string[];
  }

  async function run({ skip = [], photos = [{ key: 'a' }], photo = [] }: Script): Promise<string> {
    const attempts = { SkipIndexed: 0, IndexPhoto: 0 };
    const attempt = (name: keyof typeof attempts, errors: string[], result: object) => async () => {
      const error = errors[attempts[name]++];
      if (error) {
        throw Object.assign(new Error('scripted'), { name: error });
      }
      return result;
    };
    const execution = machine.run(
      { Items: [] } as never,
      {
        overrides: {
          taskResourceLocalHandlers: {
            SkipIndexed: attempt('SkipIndexed', skip, { photos, skipped: {} }),
            IndexPhoto: attempt('IndexPhoto', photo, {}),
          },
          retryIntervalOverrides: { SkipIndexed: 0, IndexPhoto: 0 },
        },
      } as never,
    );
    const paths: Record<string, string[]> = { outer: [], inner: [] };
    const logged = (async () => {
      for await (const event of execution.eventLogs) {
        if (event.type === 'StateEntered') {
          const level = event.state.name in inner.States ? 'inner' : 'outer';
          entered.add(event.state.name);
          paths[level]!.push(event.state.name);
        }
      }
    })();
    const outcome = await execution.result.then(
      () => 'done',
      (error: Error) => ((error as { cause?: Error }).cause ?? error).name,
    );
    await logged;
    for (const steps of Object.values(paths)) {
      for (const [i, name] of steps.entries()) {
        if (steps[i + 1] !== undefined) {
          taken.add(`${name} -> ${steps[i + 1]}`);
        }
      }
    }
    for (const [name, errors] of [
      ['SkipIndexed', skip],
      ['IndexPhoto', photo],
    ] as const) {
      if (attempts[name] > 1) {
        taken.add(`${name} retries ${errors[0]}`);
      }
    }
    if (paths.inner!.includes('PhotoFailed')) {
      taken.add('IndexPhoto -States.ALL-> PhotoFailed');
    }
    return outcome;
  }

  test('takes every route', async () => {
    await expect(run({})).resolves.toBe('done');
    await expect(run({ photos: [] })).resolves.toBe('done');
    for (const { ErrorEquals } of batch.States.SkipIndexed!.Retry!) {
      for (const error of ErrorEquals) {
        await expect(run({ skip: [error] })).resolves.toBe('done');
      }
    }
    for (const { ErrorEquals } of inner.States.IndexPhoto!.Retry!) {
      for (const error of ErrorEquals) {
        await expect(run({ photo: [error] })).resolves.toBe('done');
      }
    }
    // The photo's own failure is written by its own execution, and not repeated here.
    await expect(run({ photo: ['States.TaskFailed'] })).resolves.toBe('NothingIndexed');
    const routes = [...routesOf(batch.States), ...routesOf(inner.States)];
    expect(routes.filter((route) => !taken.has(route))).toEqual([]);
    const names = [...Object.keys(batch.States), ...Object.keys(inner.States)];
    expect(names.filter((name) => !entered.has(name))).toEqual([]);
  });
});
