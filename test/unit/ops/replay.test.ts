/** Dead letters are replayed before they are deleted: what could not be started is still there. */
import type { SFNClient } from '@aws-sdk/client-sfn';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { parseOpsArguments } from '../../../ops/arguments.ts';
import { replayDeadLetters } from '../../../ops/commands/replay-dead-letters.ts';
import type { Context } from '../../../ops/context.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const deletion = (name = 'a') =>
  JSON.stringify({
    'detail-type': 'Object Deleted',
    detail: { object: { key: `events/${EVENT}/${name}.jpg`, sequencer: '1B' } },
  });

interface Setup {
  queues?: Record<string, string[]>;
  /** What starting an execution, or sending a message, does. */
  start?: () => unknown;
  send?: () => unknown;
}

function setUp({ queues = {}, start = () => ({}), send = () => ({}) }: Setup) {
  const left = new Map(Object.entries(queues).map(([queue, bodies]) => [queue, [...bodies]]));
  const order: string[] = [];
  const sqs = fakeClient<SQSClient>({
    GetQueueAttributes: ({ QueueUrl }) => ({
      Attributes: { ApproximateNumberOfMessages: String(left.get(QueueUrl as string)?.length ?? 0) },
    }),
    // What is hidden comes back, as after a slow start.
    ReceiveMessage: ({ QueueUrl }) => ({
      Messages: (left.get(QueueUrl as string) ?? []).map((Body) => ({
        MessageId: Body,
        ReceiptHandle: Body,
        Body,
      })),
    }),
    DeleteMessage: ({ QueueUrl, ReceiptHandle }) => {
      order.push('delete');
      const bodies = left.get(QueueUrl as string)!;
      bodies.splice(bodies.indexOf(ReceiptHandle as string), 1);
      return {};
    },
    SendMessage: () => {
      const sent = send();
      order.push('send');
      return sent;
    },
  });
  const states = fakeClient<SFNClient>({
    StartExecution: () => {
      start();
      order.push('start');
      return { executionArn: 'arn' };
    },
  });
  const outputs = {
    ErasureDeadLetterQueueUrl: 'erasures',
    LastResortQueueUrl: 'last-resort',
    LastResortDeadLetterQueueUrl: 'ends',
    EraseFacesStateMachineArn: 'arn:erase-faces',
  };
  const progress = { start: () => {}, done: () => {}, stop: () => {} };
  const run = (argv: string[] = []) =>
    replayDeadLetters({
      args: parseOpsArguments(['replay-dead-letters', ...argv], {}),
      deployment: { sqs: sqs.client, states: states.client, outputs },
      progress,
      confirm: async () => true,
    } as unknown as Context);
  return { run, left, order };
}

test('starts what each letter asks for, and only then deletes it', async () => {
  const { run, left, order } = setUp({
    queues: { erasures: [deletion('a'), deletion('b')], ends: ['{}'] },
  });
  const result = await run();
  expect(order).toEqual(['start', 'delete', 'start', 'delete', 'send', 'delete']);
  expect([...left.values()].flat()).toEqual([]);
  expect(result).toMatchObject({ exitCode: 0, data: { erased: 2, returned: 1, not_understood: 0 } });
});

test.each([
  ['erasures', { erasures: [deletion()] }],
  ['ends', { ends: ['{}'] }],
])('of %s, what could not be replayed stays', async (queue, queues) => {
  const fail = () => {
    throw awsError('ThrottlingException');
  };
  const { run, left, order } = setUp({ queues, start: fail, send: fail });
  await expect(run()).rejects.toMatchObject({ name: 'ThrottlingException' });
  expect(order).toEqual([]);
  expect(left.get(queue)).toHaveLength(1);
});

test('what nobody understands stays, is looked at once, and is told', async () => {
  const { run, left } = setUp({ queues: { erasures: ['nonsense', deletion(), '{}'] } });
  const result = await run();
  expect(left.get('erasures')).toEqual(['nonsense', '{}']);
  expect(result).toMatchObject({ exitCode: 1, data: { erased: 1, not_understood: 2 } });
  expect(result.lines.at(-1)).toMatch(/^2 messages stayed/);
});

test('changes nothing with --dry-run', async () => {
  const { run, left, order } = setUp({ queues: { erasures: [deletion()] } });
  await run(['--dry-run']);
  expect([order, left.get('erasures')?.length]).toEqual([[], 1]);
});
