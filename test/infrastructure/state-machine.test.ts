import { readFileSync } from 'node:fs';
import path from 'node:path';
import validate from 'asl-validator';
import { failureKinds } from '../../lambdas/shared/contract/errors.ts';
import { synthesisedStack } from '../support/synthesised.ts';
import { SERVICE_ERRORS } from '../support/workflow.ts';

/** https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html and what Lambda reports of itself */
const OF_AWS = new Set([
  'States.ALL',
  'States.Timeout',
  ...SERVICE_ERRORS,
  // https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
  'StepFunctions.ExecutionLimitExceededException',
  'StepFunctions.ThrottlingException',
  'StepFunctions.StepFunctionsException',
  'StepFunctions.AWSStepFunctionsException',
  'StepFunctions.SdkClientException',
]);

/** The machines of the stack: construct path and file. */
const MACHINES = [
  ['PhotoIndexing', 'index-photo'],
  ['Backfill', 'backfill'],
  ['Erasure', 'erase-faces'],
  ['Reconciliation', 'reconcile'],
] as const;

/** Functions of other constructs that a machine calls. */
const ELSEWHERE: Record<string, string> = { AnswerOperator: 'Operations/AnswerOperator' };

const { template, asset } = synthesisedStack();

interface State {
  Type: string;
  Resource?: string;
  TimeoutSeconds?: number;
  ItemProcessor?: { States: Record<string, State> };
}

/** The Tasks of a machine, those inside its Maps too. */
function tasksOf(states: Record<string, State>): [name: string, state: State][] {
  return Object.entries(states).flatMap(([name, state]) =>
    state.Type === 'Task' ? [[name, state] as [string, State]] : tasksOf(state.ItemProcessor?.States ?? {}),
  );
}

describe.each(MACHINES)('%s', (construct, name) => {
  let machine: Record<string, unknown>;
  /** The definition as it is uploaded. */
  let definition: string;
  let tasks: [name: string, state: State][];

  beforeAll(() => {
    machine = template.resources('AWS::StepFunctions::StateMachine')[`${construct}/StateMachine`]!.Properties;
    const { Key: key } = machine.DefinitionS3Location as { Key: string };
    definition = asset(key);
    tasks = tasksOf((JSON.parse(definition) as { States: Record<string, State> }).States);
  });

  test('what is uploaded is the file as it stands', () => {
    const file = path.join(import.meta.dirname, `../../state-machines/${name}.asl.json`);
    expect(definition).toBe(readFileSync(file, 'utf8'));
  });

  /** The construct path of the function that a Task calls; undefined when it calls none. */
  const calledBy = ({ Resource: resource }: State): string | undefined => {
    const called = /^\$\{(\w+)FunctionArn\}$/.exec(resource ?? '')?.[1];
    return called && (ELSEWHERE[called] ?? `${construct}/${called}`);
  };

  test('every placeholder is filled, functions by their names, and none is filled in vain', () => {
    const placeholders = new Set([...definition.matchAll(/\$\{(\w+)\}/g)].map(([, found]) => found!));
    const substitutions = machine.DefinitionSubstitutions as Record<string, unknown>;
    expect(Object.keys(substitutions).sort()).toEqual([...placeholders].sort());
    for (const [state, task] of tasks) {
      const called = calledBy(task);
      if (called !== undefined) {
        const placeholder = task.Resource!.slice(2, -1);
        expect([state, template.text(substitutions[placeholder])]).toEqual([state, `{${called}.Arn}`]);
      }
    }
  });

  test('the definition is valid Amazon States Language', () => {
    const filled = definition
      .replaceAll(/\$\{Partition\}/g, 'aws')
      .replaceAll(/\$\{(\w+)\}/g, 'arn:aws:lambda:us-east-1:123456789012:function:$1');
    const { isValid, errorsText } = validate(JSON.parse(filled));
    expect([isValid, errorsText()]).toEqual([true, expect.anything()]);
  });

  test('every Task with a function ends by itself, after that function', () => {
    const functions = template.resources('AWS::Lambda::Function');
    const { TimeoutSeconds: whole } = JSON.parse(definition) as { TimeoutSeconds: number };
    expect(whole).toBeGreaterThan(0);
    const calling = tasks.filter(([, { Resource: resource }]) => /FunctionArn\}$/.test(resource ?? ''));
    expect(calling.length).toBeGreaterThan(0);
    for (const [, task] of calling) {
      const { TimeoutSeconds: seconds } = task;
      const timeout = functions[calledBy(task)!]?.Properties.Timeout as number;
      expect(timeout).toBeGreaterThan(0);
      expect(seconds).toBeGreaterThan(timeout);
    }
  });

  test('only errors that exist are retried or caught', () => {
    const names = [...definition.matchAll(/"ErrorEquals":\s*\[([^\]]*)\]/g)].flatMap(
      ([, list]) => JSON.parse(`[${list}]`) as string[],
    );
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((found) => !OF_AWS.has(found) && !Object.hasOwn(failureKinds, found))).toEqual([]);
  });
});
