import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import validate from 'asl-validator';
import { failureKinds } from '../../lambdas/shared/errors.ts';
import { synthesise } from '../support/synth.ts';
import { ReadableTemplate } from '../support/template.ts';

let outdir: string;
let machine: Record<string, unknown>;
let template: ReadableTemplate;
/** The definition as it is uploaded. */
let definition: string;

beforeAll(async () => {
  outdir = await mkdtemp(path.join(tmpdir(), 'rollcall-synth-'));
  template = new ReadableTemplate(synthesise({ outdir }).toJSON());
  machine = template.only('AWS::StepFunctions::StateMachine').Properties;
  const { Key: key } = machine.DefinitionS3Location as { Key: string };
  definition = readFileSync(path.join(outdir, `asset.${key}`), 'utf8');
});
afterAll(() => rm(outdir, { recursive: true, force: true }));

test('what is uploaded is the file as it stands', () => {
  const file = path.join(import.meta.dirname, '../../state-machines/index-photo.asl.json');
  expect(definition).toBe(readFileSync(file, 'utf8'));
});

test('every placeholder is filled with the function of its state, and none is filled in vain', () => {
  const placeholders = [...definition.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name!);
  const substitutions = machine.DefinitionSubstitutions as Record<string, unknown>;
  expect(Object.keys(substitutions).sort()).toEqual([...placeholders].sort());
  const { States: states } = JSON.parse(definition) as {
    States: Record<string, { Type: string; Resource?: string }>;
  };
  for (const [name, state] of Object.entries(states).filter(([, { Type }]) => Type === 'Task')) {
    const placeholder = state.Resource?.replace(/^\$\{(\w+)\}$/, '$1') ?? '';
    expect([name, template.text(substitutions[placeholder])]).toEqual([name, `{PhotoIndexing/${name}.Arn}`]);
  }
});

test('the definition is valid Amazon States Language', () => {
  const filled = definition.replaceAll(/\$\{(\w+)\}/g, 'arn:aws:lambda:us-east-1:123456789012:function:$1');
  const { isValid, errorsText } = validate(JSON.parse(filled));
  expect([isValid, errorsText()]).toEqual([true, expect.anything()]);
});

test('every Task ends by itself, after the function that it calls', () => {
  const functions = template.resources('AWS::Lambda::Function');
  const { States: states, TimeoutSeconds: whole } = JSON.parse(definition) as {
    States: Record<string, { Type: string; TimeoutSeconds?: number }>;
    TimeoutSeconds: number;
  };
  expect(whole).toBeGreaterThan(0);
  for (const [name, state] of Object.entries(states).filter(([, { Type }]) => Type === 'Task')) {
    const timeout = functions[`PhotoIndexing/${name}`]?.Properties.Timeout as number;
    expect(timeout).toBeGreaterThan(0);
    expect(state.TimeoutSeconds).toBeGreaterThan(timeout);
  }
});

/** https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html and what Lambda reports of itself */
const OF_AWS = new Set([
  'States.ALL',
  'States.Timeout',
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.ClientExecutionTimeoutException',
  'Lambda.TooManyRequestsException',
  'Lambda.Unknown',
  'Sandbox.Timedout',
  'Runtime.ExitError',
  'Runtime.OutOfMemory',
]);

test('only errors that exist are retried or caught', () => {
  const names = [...definition.matchAll(/"ErrorEquals":\s*\[([^\]]*)\]/g)].flatMap(
    ([, list]) => JSON.parse(`[${list}]`) as string[],
  );
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !OF_AWS.has(name) && !Object.hasOwn(failureKinds, name))).toEqual([]);
});
