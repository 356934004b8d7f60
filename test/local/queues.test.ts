import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { localClientOptions } from '../../local/clients.ts';
import { type ObjectStore, startObjectStore } from '../../local/object-store.ts';

const arn = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
const folder = mkdtempSync(join(tmpdir(), 'rollcall-sqs-'));
let store: ObjectStore;
let sqs: SQSClient;

const attributes = {
  VisibilityTimeout: '1',
  RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arn('dead'), maxReceiveCount: 2 }),
};

async function start(): Promise<void> {
  store = await startObjectStore(folder, () => {});
  store.queues.create('dead', {});
  store.queues.create('work', attributes);
  sqs = new SQSClient({ ...localClientOptions, endpoint: store.endpoint });
}
beforeAll(start);
afterAll(async () => {
  sqs.destroy();
  await store.stop();
  rmSync(folder, { recursive: true });
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function count(name: string): Promise<number> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: store.queues.urlOf(name), AttributeNames: ['All'] }),
  );
  return (
    Number(Attributes?.ApproximateNumberOfMessages) +
    Number(Attributes?.ApproximateNumberOfMessagesNotVisible)
  );
}

test('what the function takes is gone, what it names as failed comes back, until the dead-letter queue', async () => {
  const tries: Record<string, number> = {};
  const subscription = store.queues.subscribe({
    queueArn: arn('work'),
    batchSize: 10,
    concurrency: 2,
    reportsFailures: true,
    async invoke({ Records }) {
      for (const { body } of Records) {
        tries[body] = (tries[body] ?? 0) + 1;
      }
      const bad = Records.filter(({ body }) => body === 'bad');
      return { batchItemFailures: bad.map(({ messageId }) => ({ itemIdentifier: messageId })) };
    },
  });
  store.queues.send(arn('work'), 'good');
  store.queues.send(arn('work'), 'bad', { WHY: 'test' });
  await until(async () => (await count('dead')) === 1);
  await until(() => subscription.isIdle);
  subscription.stop();
  expect(tries).toEqual({ good: 1, bad: 2 });
  expect(await count('work')).toBe(0);
  const { Messages } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: store.queues.urlOf('dead'), MessageAttributeNames: ['All'] }),
  );
  expect(Messages).toMatchObject([{ Body: 'bad', MessageAttributes: { WHY: { StringValue: 'test' } } }]);
}, 15_000);

test('a function that fails keeps its whole batch for later; messages survive a restart', async () => {
  let calls = 0;
  const options = { queueArn: arn('work'), batchSize: 10, concurrency: 1, reportsFailures: false };
  const failing = store.queues.subscribe({
    ...options,
    async invoke() {
      calls++;
      throw new Error('no');
    },
  });
  store.queues.send(arn('work'), 'kept');
  await until(() => calls > 0);
  failing.stop();
  sqs.destroy();
  await store.stop();
  await start();
  const seen: string[] = [];
  const working = store.queues.subscribe({
    ...options,
    async invoke({ Records }) {
      seen.push(...Records.map(({ body, attributes }) => `${body} ${attributes.ApproximateReceiveCount}`));
      return null;
    },
  });
  await until(() => seen.length > 0);
  await until(async () => (await count('work')) === 0);
  working.stop();
  expect(seen).toEqual(['kept 2']);
}, 15_000);

test('a batch is gathered for as long as its window, and beyond what SQS hands out at once', async () => {
  const batches: string[][] = [];
  for (let i = 0; i < 24; i++) {
    store.queues.send(arn('work'), `m${i}`);
  }
  const subscription = store.queues.subscribe({
    queueArn: arn('work'),
    batchSize: 25,
    windowSeconds: 600,
    concurrency: 1,
    reportsFailures: true,
    async invoke({ Records }) {
      batches.push(Records.map(({ body }) => body));
      return null;
    },
  });
  expect(subscription.isIdle).toBe(false);
  // The last one fills the batch: nobody waits for the window.
  store.queues.send(arn('work'), 'm24');
  await until(() => batches.length > 0 && subscription.isIdle);
  subscription.stop();
  expect(batches.map((batch) => batch.length)).toEqual([25]);
}, 15_000);
