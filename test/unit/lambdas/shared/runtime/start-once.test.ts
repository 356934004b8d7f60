import { ExecutionAlreadyExists, type SFNClient } from '@aws-sdk/client-sfn';
import { startOnce } from '../../../../../lambdas/shared/runtime/start-once.ts';
import { failing, fakeClient } from '../../../../support/fake-client.ts';

const MACHINE = 'arn:aws:states:eu-west-1:123456789012:stateMachine:index';
const executionArn = (name: string) => `arn:aws:states:eu-west-1:123456789012:execution:index:${name}`;
const NOON = new Date('2026-05-01T12:00:00Z');

/** Starts it where these executions are there already. */
function starting(
  name: string,
  there: Record<string, { status: string; startDate?: Date }> = {},
  options: { repetitions?: number; since?: Date } = {},
) {
  const { client, calls } = fakeClient<SFNClient>({
    StartExecution: (input) => {
      if (there[String(input.name)]) {
        throw new ExecutionAlreadyExists({ message: '', $metadata: {} });
      }
      return { executionArn: executionArn(String(input.name)) };
    },
    DescribeExecution: (input) => there[String(input.executionArn).split(':').at(-1)!],
  });
  return { calls, started: startOnce(client, MACHINE, { a: 1 }, name, { repetitions: 3, ...options }) };
}

test('an execution is started under its name, with its input', async () => {
  const { calls, started } = starting('photo-1');
  await expect(started).resolves.toEqual({ executionArn: executionArn('photo-1'), isNew: true });
  expect(calls).toEqual([
    ['StartExecution', { stateMachineArn: MACHINE, name: 'photo-1', input: '{"a":1}' }],
  ]);
});

test('one that is running is this one', async () => {
  const { calls, started } = starting('photo-1', { 'photo-1': { status: 'RUNNING' } });
  await expect(started).resolves.toEqual({ executionArn: executionArn('photo-1'), isNew: false });
  expect(calls[1]).toEqual(['DescribeExecution', { executionArn: executionArn('photo-1') }]);
});

test.each([
  ['ended, and was started since then', NOON, false],
  ['was started before', new Date(NOON.getTime() - 1), true],
  ['has no start', undefined, true],
])('one that %s', async (_, startDate, isNew) => {
  const there = { x: { status: 'SUCCEEDED', ...(startDate && { startDate }) } };
  const { started } = starting('x', there, { since: NOON });
  await expect(started).resolves.toEqual({ executionArn: executionArn(isNew ? 'x-2' : 'x'), isNew });
});

test('without a moment since when, what has ended was in vain', async () => {
  const { started } = starting('x', { x: { status: 'SUCCEEDED', startDate: NOON } });
  await expect(started).resolves.toMatchObject({ executionArn: executionArn('x-2') });
});

test('after so many in vain there is none', async () => {
  const ended = { status: 'FAILED', startDate: NOON };
  const all = starting('x', { x: ended, 'x-2': ended, 'x-3': ended });
  await expect(all.started).resolves.toBeUndefined();
  const names = all.calls.filter(([call]) => call === 'StartExecution').map(([, { name }]) => name);
  expect(names).toEqual(['x', 'x-2', 'x-3']);
  await expect(starting('x', { x: ended }, { repetitions: 1 }).started).resolves.toBeUndefined();
});

test('a name is what Step Functions takes: 80 letters, digits, - and _, its number among them', async () => {
  const name = `a:b c/${'x'.repeat(100)}`;
  const first = `abc${'x'.repeat(77)}`;
  const second = `abc${'x'.repeat(75)}-2`;
  const { calls, started } = starting(name, { [first]: { status: 'FAILED' } });
  await expect(started).resolves.toEqual({ executionArn: executionArn(second), isNew: true });
  expect(calls.flatMap(([, input]) => input.name ?? [])).toEqual([first, second]);
  expect([first.length, second.length]).toEqual([80, 80]);
});

test('what else goes wrong is thrown', async () => {
  const { client } = fakeClient<SFNClient>({
    StartExecution: failing('ThrottlingException'),
  });
  await expect(startOnce(client, MACHINE, {}, 'x', { repetitions: 3 })).rejects.toMatchObject({
    name: 'ThrottlingException',
  });
});
