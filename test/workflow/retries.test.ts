/**
 * docs/retries.md says what the state machines have to say; here one is held against the other, so that neither changes by
 * accident. What a route is for, the other tests of this folder say.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { MAX_BACKOFF_MS } from '../../lambdas/shared/line/rules.ts';
import {
  type AnyState,
  definitionOf,
  longestDelay,
  machines,
  patience,
  retrierOf,
} from '../support/retries.ts';
import type { Retrier } from '../support/workflow.ts';

const docs = (name: string) => readFileSync(path.join(import.meta.dirname, '../../docs', name), 'utf8');

interface Task extends AnyState {
  TimeoutSeconds?: number;
  Catch?: { ErrorEquals: string[]; ResultPath: string | null; Next: string }[];
}

const ANYTHING_ELSE = 'anything else';
const SECONDS = { s: 1, min: 60, h: 3_600, d: 86_400 } as const;

/** `state error` -> what becomes of it, as a line of the table says. */
type Fates = Record<string, { attempts: number; waits: string; seconds: number; next: string }>;

function tableRows(markdown: string): string[][] {
  return markdown
    .split('\n')
    .filter((line) => /^\| (?!---|state|group|machine)/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

function writtenFates(): Map<string, Fates> {
  const [head = '', ...sections] = docs('retries.md').split(/^## /m);
  const groups = new Map(
    tableRows(head.split('How long an attempt')[0]!).map(([name, errors = '']) => [
      name,
      [...errors.matchAll(/`([^`]+)`/g)].map(([, error]) => error!),
    ]),
  );
  const fates = sections.map((section): [string, Fates] => {
    const entries = tableRows(section).flatMap(
      ([states = '', errors = '', attempts, waits = '', duration = '', next = '']) => {
        const [, amount, unit] = /^([\d.]+) (\w+)$/.exec(duration) ?? [];
        const fate = {
          attempts: Number(attempts),
          waits,
          seconds: amount ? Number(amount) * SECONDS[unit as keyof typeof SECONDS] : 0,
          next,
        };
        const names = errors.split(', ').flatMap((name) => groups.get(name) ?? [name.replaceAll('`', '')]);
        return states.split(', ').flatMap((state) => names.map((name) => [`${state} ${name}`, fate]));
      },
    );
    return [section.slice(0, section.indexOf('\n')), Object.fromEntries(entries)];
  });
  return new Map(fates);
}

function tasksOf(states: Record<string, AnyState>): [string, Task][] {
  return Object.entries(states).flatMap(([name, state]): [string, Task][] => [
    ...(state.Type === 'Task' ? [[name, state] as [string, Task]] : []),
    ...tasksOf(state.ItemProcessor?.States ?? {}),
  ]);
}

function waitsOf({ IntervalSeconds, BackoffRate, MaxDelaySeconds }: Retrier): string {
  const longest = MaxDelaySeconds === undefined ? '' : `, up to ${MaxDelaySeconds} s`;
  return `${IntervalSeconds} s, × ${BackoffRate}${longest}`;
}

/** As Step Functions reads the file: the first retrier, and the first catcher, that names the error. */
function realFates(machine: string): Fates {
  return Object.fromEntries(
    tasksOf(definitionOf(machine).States).flatMap(([name, { Retry = [], Catch = [] }]) => {
      const named = [...Retry, ...Catch].flatMap(({ ErrorEquals }) => ErrorEquals);
      return [...new Set([...named.filter((error) => error !== 'States.ALL'), ANYTHING_ELSE])].map(
        (error) => {
          const retrier = Retry.find(({ ErrorEquals }) => ErrorEquals.includes(error));
          const catcher = Catch.find(
            ({ ErrorEquals }) => ErrorEquals.includes(error) || ErrorEquals.includes('States.ALL'),
          );
          return [
            `${name} ${error}`,
            {
              attempts: retrier?.MaxAttempts ?? 0,
              waits: retrier ? waitsOf(retrier) : '',
              seconds: patience(retrier),
              next: catcher?.Next ?? 'fails',
            },
          ];
        },
      );
    }),
  );
}

describe.each(machines)('%s', (machine) => {
  const written = writtenFates().get(machine) ?? {};
  const real = realFates(machine);

  test('retries and catches what the page says, so often and no other', () => {
    const withoutTime = (fates: Fates) =>
      Object.fromEntries(Object.entries(fates).map(([of, { seconds, ...fate }]) => [of, fate]));
    expect(withoutTime(real)).toEqual(withoutTime(written));
  });

  test('rides out each error for as long as the page says', () => {
    const far = Object.entries(real).filter(
      ([of, { seconds }]) => Math.abs(seconds - (written[of]?.seconds ?? 0)) > 0.06 * seconds,
    );
    expect(far).toEqual([]);
  });

  test('gives an attempt, and an execution, as long as the page says', () => {
    const [head = ''] = docs('retries.md').split(/^## /m);
    const rows = tableRows(head.split('How long an attempt')[1]!).filter(([name]) => name === machine);
    const given = Object.fromEntries(
      rows.flatMap(([, states = '', seconds]) => states.split(', ').map((state) => [state, Number(seconds)])),
    );
    const definition = definitionOf(machine);
    const tasks = tasksOf(definition.States).filter(([, { TimeoutSeconds }]) => TimeoutSeconds !== undefined);
    expect(Object.fromEntries(tasks.map(([name, { TimeoutSeconds }]) => [name, TimeoutSeconds]))).toEqual(
      Object.fromEntries(Object.entries(given).filter(([state]) => state !== 'the whole of it')),
    );
    expect(definition.TimeoutSeconds).toBe(given['the whole of it']);
  });

  test('spreads its attempts, names no error twice, and asks again within minutes of the end of a trouble', () => {
    for (const [name, { Retry = [] }] of tasksOf(definitionOf(machine).States)) {
      const errors = Retry.flatMap(({ ErrorEquals }) => ErrorEquals);
      expect([name, new Set(errors).size]).toEqual([name, errors.length]);
      for (const retrier of Retry as Retrier[]) {
        expect(retrier.JitterStrategy).toBe('FULL');
        expect(longestDelay(retrier, retrier.MaxAttempts)).toBeLessThanOrEqual(3_600);
        expect(longestDelay(retrier, 0)).toBeLessThanOrEqual(10);
      }
    }
  });
});

describe('index-photo', () => {
  const { States: states } = definitionOf('index-photo');
  const parameters = (state: string) => states[state]!.Parameters;

  test('circles no more often than the page says', () => {
    const text = docs('retries.md').replaceAll(/\s+/g, ' ');
    expect(parameters('EnsureCollection')).toMatchObject({ max_recreations: 3 });
    expect(parameters('JoinLine')).toMatchObject({
      max_throttles: 40,
      max_reindexes: 2,
      max_returns: 200,
    });
    expect(text).toContain(
      'it may be throttled 40 times, which takes about half an hour of nothing but throttles; lose its stored response ' +
        'twice; lose its collection three times; and come back 200 times in all',
    );
    const waits = Array.from({ length: 40 }, (_, i) => Math.min(MAX_BACKOFF_MS, 500 * 2 ** (i + 1)) / 2_000);
    expect(waits.reduce((sum, seconds) => sum + seconds, 0) / 60).toBeGreaterThan(30);
  });

  test('waits for its place, and hands on what each state needs to know', () => {
    expect(states.WaitInLine).toMatchObject({ Type: 'Wait', TimestampPath: '$.place.wait_until' });
    const paths = Object.fromEntries(
      Object.entries(states).map(([name, state]) => {
        const {
          ResultPath,
          Next,
          End,
          Catch = [],
        } = state as Task & { ResultPath?: string; Next?: string; End?: true };
        return [name, [ResultPath, End ? 'End' : Next, ...Catch.map((to) => `${to.Next} ${to.ResultPath}`)]];
      }),
    );
    expect(paths).toEqual({
      EnsureCollection: ['$.photo', 'JoinLine', 'PhotoFailed $.failure', 'MarkFailed $.failure'],
      JoinLine: ['$.place', 'WaitInLine', 'MarkFailed $.failure'],
      WaitInLine: [undefined, 'IndexFaces'],
      IndexFaces: [
        '$.result',
        'PersistResults',
        'JoinLine $.returned',
        'EnsureCollection $.returned',
        'PhotoSuperseded $.returned',
        'MarkFailed $.failure',
      ],
      PersistResults: [
        '$.outcome',
        'End',
        'JoinLine $.returned',
        'StartErasure $.returned',
        'MarkFailed $.failure',
      ],
      StartErasure: [null, 'PersistResults', 'PersistResults null'],
      PhotoSuperseded: [undefined, undefined],
      MarkFailed: ['$.marked', 'AnyFacesLeft', 'PhotoFailed $.mark_failed_failure'],
      AnyFacesLeft: [undefined, undefined],
      PhotoSettled: [undefined, undefined],
      EraseLeftovers: [null, 'PhotoFailed', 'PhotoFailed null'],
      PhotoFailed: [undefined, undefined],
    });
    expect(states.PhotoFailed).toMatchObject({
      Type: 'Fail',
      ErrorPath: '$.failure.Error',
      CausePath: '$.failure.Cause',
    });
  });

  test('gives every function the whole of the execution, and its name', () => {
    for (const [name, { Type, Resource = '', Parameters }] of Object.entries(states)) {
      if (Type === 'Task' && Resource.endsWith('FunctionArn}')) {
        expect([name, Parameters]).toEqual([
          name,
          expect.objectContaining({ 'input.$': '$', 'execution_arn.$': '$$.Execution.Id' }),
        ]);
      }
    }
    expect(parameters('PersistResults')).toMatchObject({ 'started_at.$': '$$.Execution.StartTime' });
    expect(parameters('MarkFailed')).toMatchObject({ 'started_at.$': '$$.Execution.StartTime' });
    for (const state of ['StartErasure', 'EraseLeftovers']) {
      expect(parameters(state)).toEqual({
        StateMachineArn: expect.stringContaining('EraseFacesStateMachineArn'),
        Input: { request: 'outbox' },
      });
    }
  });
});

/** What a section of the runbook promises, and the state and error that keep it, within a quarter. */
test.each([
  ['RekognitionUnavailable', 'for ten minutes', 'IndexFaces', 10 * SECONDS.min],
  ['StorageUnavailable', 'for ten minutes', 'PersistResults', 10 * SECONDS.min],
  ['IdempotencyStoreUnavailable', 'for ten minutes', 'IndexFaces', 10 * SECONDS.min],
  ['LedgerBusy', 'for an hour', 'JoinLine', SECONDS.h],
  ['DatabaseUnavailable', 'for about an hour', 'PersistResults', SECONDS.h],
  ['IndexingPaused', 'longer than six days', 'JoinLine', 6 * SECONDS.d],
  ['RekognitionThrottled', 'for about eight hours', 'EnsureCollection', 8 * SECONDS.h],
  ['IdempotencyAlreadyInProgressError', 'half an hour', 'EnsureCollection', SECONDS.h / 2],
] as const)('the runbook on %s: %s', (error, promise, state, seconds) => {
  const [, section = ''] = docs('runbook.md').split(new RegExp(`^### ${error}$`, 'm'));
  expect(section.split(/^#/m)[0]?.replaceAll(/\s+/g, ' ')).toContain(promise);
  const real = patience(retrierOf(definitionOf('index-photo').States[state], error));
  expect(real / seconds).toBeGreaterThan(0.8);
  expect(real / seconds).toBeLessThan(1.25);
});
