import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StateMachine } from 'aws-local-stepfunctions';
import { isFailureName } from '../../lambdas/shared/contract/errors.ts';
import type { Reconciliation } from '../../lambdas/shared/reconciliation/contract.ts';
import { AS_OF, runState } from '../support/reconciliation-state.ts';
import { expectSensibleRetries, type State } from '../support/workflow.ts';

interface MapState extends State {
  ItemProcessor: { States: Record<string, State> };
}

const definition = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../../state-machines/reconcile.asl.json'), 'utf8').replaceAll(
    /\$\{(\w+)FunctionArn\}/g,
    'arn:aws:lambda:us-east-1:000000000000:function:$1',
  ),
) as { TimeoutSeconds: number; States: Record<string, State> };
const inside = (definition.States.AskOperator as MapState).ItemProcessor.States;
const tasks = Object.entries({ ...definition.States, ...inside }).filter(([, { Type }]) => Type === 'Task');
const machine = new StateMachine(definition as never);

type Answer = (request: { step?: string; input: Reconciliation }) => object;

/** Runs the real definition; a Task without an answer gives back the state that it got. */
async function run(answers: Record<string, Answer>) {
  const entered: string[] = [];
  const handlers = Object.fromEntries(
    tasks.map(([name]) => [
      name,
      async (request: Parameters<Answer>[0]) => (answers[name] ?? (({ input }) => input))(request),
    ]),
  );
  const execution = machine.run({ scope: 'all', as_of: AS_OF }, {
    overrides: {
      taskResourceLocalHandlers: handlers,
      retryIntervalOverrides: Object.fromEntries(tasks.map(([name]) => [name, 0])),
    },
    context: {
      Execution: { Id: 'arn:aws:states:us-east-1:000000000000:execution:reconcile:e', StartTime: AS_OF },
      StateMachine: { Id: 'arn:aws:states:us-east-1:000000000000:stateMachine:reconcile' },
    },
  } as never);
  let error: string | undefined;
  const logged = (async () => {
    for await (const event of execution.eventLogs) {
      if (event.type === 'StateEntered') {
        entered.push(event.state.name);
      } else if (event.type === 'ExecutionFailed') {
        error = event.Error;
      }
    }
  })();
  const output = await execution.result.catch(() => undefined);
  await logged;
  return { path: entered, error, output };
}

test('ends at once where nothing happened', async () => {
  const { path: way } = await run({ BeginReconciliation: () => runState({ next: 'skip' }) });
  expect(way).toEqual(['BeginReconciliation', 'AnythingToCompare', 'NothingToCompare']);
});

test('reads in the order that tells what is lost from what is under way, batch after batch', async () => {
  const BATCH = ['ReadFaces', 'SurveyEvents', 'ReadPhotos', 'CompareEvents', 'NextStep'];
  const { path: way } = await run({
    BeginReconciliation: () => runState(),
    ListEvents: ({ input }) => ({ ...input, batches: 2, next: 'read' }),
    CompareEvents: ({ input }) => ({
      ...input,
      batch: input.batch + 1,
      next: input.batch + 1 < input.batches ? 'read' : 'conclude',
    }),
  });
  expect(way).toEqual([
    'BeginReconciliation',
    'AnythingToCompare',
    'ListEvents',
    'NextStep',
    ...BATCH,
    ...BATCH,
    'Conclude',
  ]);
});

test('has rows written before executions are started, and goes on with what it had', async () => {
  const question = {
    ask: 'remove_faces' as const,
    event_id: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77',
    collection_id: 'c',
    faces: [],
  };
  const asked: object[] = [];
  const { path: way, output } = await run({
    BeginReconciliation: () => runState(),
    ListEvents: ({ input }) => ({ ...input, batches: 1, next: 'read' }),
    CompareEvents: ({ input }) => ({ ...input, batch: 1, questions: [question, question], next: 'ask' }),
    WriteRows: (request) => {
      asked.push(request);
      return { requested: 1 };
    },
    MendDisagreements: ({ input }) => ({ ...input, questions: [], abandoned: 1, next: 'collections' }),
  });
  expect(way.slice(way.indexOf('CompareEvents'))).toEqual([
    'CompareEvents',
    'NextStep',
    'AskOperator',
    'WriteRows',
    'WriteRows',
    'MendDisagreements',
    'NextStep',
    'RemoveAbandoned',
    'Conclude',
  ]);
  expect(asked).toEqual([question, question]);
  expect(output).toMatchObject({ run: 'run-1', batch: 1 });
});

test.each(tasks.map(([name, state]) => [name, state]))(
  '%s rides out what passes by itself, and only briefly what an engineer has to mend',
  (_, state) => {
    expectSensibleRetries(state, 30);
  },
);

test('a Task that fails past its retries fails the run', async () => {
  const { error } = await run({
    BeginReconciliation: () => {
      throw Object.assign(new Error('{}'), { name: 'InvalidInput' });
    },
  });
  expect(error).toBe('InvalidInput');
});

describe('the definition', () => {
  test('knows only names that the code throws', () => {
    const custom = tasks
      .flatMap(([, { Retry = [], Catch = [] }]) =>
        [...Retry, ...Catch].flatMap(({ ErrorEquals }) => ErrorEquals),
      )
      .filter((name) => !/^(States|Lambda|Sandbox|Runtime)\./.test(name));
    expect(custom.filter((name) => !isFailureName(name))).toEqual([]);
    expect(custom).toContain('ExecutionNotStarted');
  });

  test('cannot write more history than Step Functions keeps', () => {
    // A Task writes five events and a Choice two; a Map two, and eight for each of at most two questions.
    const batch = 4 * 5 + 2;
    const mending = 2 + 2 * 8 + 5 + 2;
    const retries = tasks.reduce(
      (sum, [, { Retry = [] }]) => sum + Retry.reduce((all, { MaxAttempts }) => all + MaxAttempts, 0),
      0,
    );
    expect(300 * (batch + mending) + 3 * retries).toBeLessThan(25_000);
  });
});
