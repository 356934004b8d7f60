// The package hands out its server as a whole, but not the queues in it.
import { type SqsQueue, SqsStore } from '../node_modules/fauxqs/dist/sqs/sqsStore.js';
import { ACCOUNT, REGION } from './template.ts';

/** SQS hands out at most ten messages at a time. */
const MAX_BATCH = 10;

/** How long to wait for a message before looking again. */
const WAIT_SECONDS = 20;

export interface Queues {
  /** Creates the queue if it is not there, else gives it these attributes. */
  create(name: string, attributes: Readonly<Record<string, string>>): void;
  urlOf(name: string): string;
  send(queueArn: string, body: string, attributes?: Readonly<Record<string, string>>): void;
  /** Hands the queue's messages to a function, as an event source mapping does. */
  subscribe(options: SubscriptionOptions): Subscription;
}

export interface SubscriptionOptions {
  queueArn: string;
  batchSize: number;
  /** How long messages are gathered for a batch, in seconds. */
  windowSeconds?: number;
  /** Batches at work at once. */
  concurrency: number;
  /** Whether the function names the messages of the batch that failed; otherwise all of it fails or none. */
  reportsFailures: boolean;
  invoke(event: { Records: SqsRecord[] }): Promise<unknown>;
}

export interface Subscription {
  /** Whether no message is at work or ready to be. */
  readonly isIdle: boolean;
  stop(): void;
}

/** https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event */
interface SqsRecord {
  messageId: string;
  receiptHandle: string;
  body: string;
  attributes: Record<string, string>;
  messageAttributes: Record<string, { stringValue: string | undefined; dataType: string }>;
  md5OfBody: string;
  eventSource: 'aws:sqs';
  eventSourceARN: string;
  awsRegion: string;
}

/** The queues of fauxqs, as EventBridge and Lambda use them. */
export function openQueues(store: SqsStore, endpoint: string): Queues {
  const arnOf = (name: string) => `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;
  const urlOf = (name: string) => `${endpoint}/${ACCOUNT}/${name}`;

  function queueOf(arn: string): SqsQueue {
    const queue = store.getQueueByArn(arn);
    if (!queue) {
      throw new Error(`There is no queue ${arn}`);
    }
    return queue;
  }

  return {
    create(name, attributes) {
      const queue = store.getQueueByArn(arnOf(name));
      if (queue) {
        queue.setAttributes({ ...attributes });
      } else {
        store.createQueue(name, urlOf(name), arnOf(name), { ...attributes });
      }
    },
    urlOf,
    send(queueArn, body, attributes = {}) {
      const typed = Object.entries(attributes).map(
        ([name, StringValue]) => [name, { DataType: 'String', StringValue }] as const,
      );
      queueOf(queueArn).enqueue(SqsStore.createMessage(body, Object.fromEntries(typed)));
    },
    subscribe: (options) => subscribe(store, queueOf(options.queueArn), options),
  };
}

function subscribe(store: SqsStore, queue: SqsQueue, options: SubscriptionOptions): Subscription {
  const { batchSize, windowSeconds = 0, concurrency, reportsFailures, invoke } = options;
  const atWork = new Set<Promise<void>>();
  let isStopped = false;
  let isGathering = false;

  async function handle(records: SqsRecord[]): Promise<void> {
    let failed: Set<string>;
    try {
      const answer = (await invoke({ Records: records })) as {
        batchItemFailures?: { itemIdentifier: string }[];
      } | null;
      const failures = (reportsFailures && answer?.batchItemFailures) || [];
      failed = new Set(failures.map(({ itemIdentifier }) => itemIdentifier));
    } catch {
      // The whole batch comes back when its visibility timeout has passed.
      return;
    }
    for (const { messageId, receiptHandle } of records) {
      if (!failed.has(messageId) && !isStopped) {
        queue.deleteMessage(receiptHandle);
      }
    }
  }

  /** A batch: what is there, and what comes within the window of the first. */
  async function gather(): Promise<SqsRecord[]> {
    const records: SqsRecord[] = [];
    const untilMs = performance.now() + windowSeconds * 1_000;
    isGathering = true;
    try {
      for (;;) {
        const room = Math.min(batchSize - records.length, MAX_BATCH);
        records.push(...receive(store, queue, room, options.queueArn));
        const leftMs = untilMs - performance.now();
        if (isStopped || records.length === 0 || records.length === batchSize || leftMs <= 0) {
          return records;
        }
        if (queue.messages.length === 0) {
          await queue.waitForMessages(leftMs / 1_000);
        }
      }
    } finally {
      isGathering = false;
    }
  }

  async function poll(): Promise<void> {
    while (!isStopped) {
      if (atWork.size >= concurrency) {
        await Promise.race(atWork);
        continue;
      }
      const records = await gather();
      if (records.length === 0) {
        await queue.waitForMessages(WAIT_SECONDS);
        continue;
      }
      if (isStopped) {
        // They come again, to whoever works then.
        return;
      }
      const work = handle(records).finally(() => atWork.delete(work));
      atWork.add(work);
    }
  }

  void poll();
  return {
    get isIdle() {
      return atWork.size === 0 && !isGathering && queue.messages.length === 0;
    },
    stop() {
      isStopped = true;
      queue.cancelWaiters();
    },
  };
}

function receive(store: SqsStore, queue: SqsQueue, count: number, queueArn: string): SqsRecord[] {
  const messages = queue.dequeue(count, undefined, (arn) => store.getQueueByArn(arn));
  return messages.map((message) => {
    const { message: sent } = queue.inflightMessages.get(message.ReceiptHandle)!;
    const messageAttributes = Object.entries(message.MessageAttributes ?? {}).map(
      ([name, { StringValue, DataType }]) =>
        [name, { stringValue: StringValue, dataType: DataType }] as const,
    );
    return {
      messageId: message.MessageId,
      receiptHandle: message.ReceiptHandle,
      body: message.Body,
      attributes: {
        ApproximateReceiveCount: String(sent.approximateReceiveCount),
        ApproximateFirstReceiveTimestamp: String(sent.approximateFirstReceiveTimestamp),
        SentTimestamp: String(sent.sentTimestamp),
        SenderId: ACCOUNT,
      },
      messageAttributes: Object.fromEntries(messageAttributes),
      md5OfBody: message.MD5OfBody,
      eventSource: 'aws:sqs',
      eventSourceARN: queueArn,
      awsRegion: REGION,
    };
  });
}
