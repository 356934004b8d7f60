import {
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { count } from '../../cli/text.ts';
import { deletedObjectSchema, type EraseInput } from '../../lambdas/shared/erasure/contract.ts';
import type { Context, Result } from '../context.ts';
import type { Deployment } from '../deployment.ts';
import { startErasure } from '../erasures.ts';
import { readQueues } from './status.ts';

/** Long enough to start what ten messages ask for. */
const HIDDEN_SECONDS = 60;

/**
 * Sends what rests in the dead-letter queues on its way again: erasures start their executions, photos that could not be written
 * as failed go back to the last resort. A message is deleted when that has worked; one that cannot be understood stays.
 */
export async function replayDeadLetters(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
  const { erasure_dead_letters: erasures, last_resort_dead_letters: photos } = await readQueues(deployment);
  const data = { erasures, photos, dry_run: args.dryRun };
  if (erasures + photos === 0) {
    return { data, lines: ['No dead letters.'], exitCode: 0 };
  }
  if (args.dryRun) {
    const plan = `${count(erasures, 'erasure')} and ${count(photos, 'photo')} to be written as failed`;
    return { data, lines: [`Would replay ${plan}.`], exitCode: 0 };
  }
  progress.start('Replaying', erasures + photos);
  const { outputs } = deployment;
  const erased = await drain(deployment, outputs.ErasureDeadLetterQueueUrl, (message) =>
    startErasureAgain(deployment, message).finally(() => progress.done()),
  );
  const returned = await drain(
    deployment,
    outputs.LastResortDeadLetterQueueUrl,
    async ({ Body: body, MessageAttributes: attributes }) => {
      progress.done();
      await deployment.sqs.send(
        new SendMessageCommand({
          QueueUrl: outputs.LastResortQueueUrl,
          MessageBody: body ?? '',
          // Why an execution could not be started.
          ...(attributes && { MessageAttributes: attributes }),
        }),
      );
      return true;
    },
  );
  progress.stop();
  const stayed = erased.stayed + returned.stayed;
  return {
    data: { ...data, erased: erased.gone, returned: returned.gone, not_understood: stayed },
    lines: [
      `${count(erased.gone, 'erasure')} started, ${count(returned.gone, 'photo')} returned to the last resort.`,
      ...(stayed > 0
        ? [`${count(stayed, 'message')} stayed: not understood; look at them in the SQS console.`]
        : []),
    ],
    exitCode: stayed > 0 ? 1 : 0,
  };
}

/** Hands every message of the queue to `replay`, once; what it returns true for is deleted. */
async function drain(
  { sqs }: Deployment,
  QueueUrl: string,
  replay: (message: Message) => Promise<boolean>,
): Promise<{ gone: number; stayed: number }> {
  const seen = new Set<string>();
  const counts = { gone: 0, stayed: 0 };
  for (;;) {
    const { Messages: messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        VisibilityTimeout: HIDDEN_SECONDS,
        WaitTimeSeconds: 1,
      }),
    );
    const fresh = messages.filter(({ MessageId: id }) => !seen.has(id!));
    if (fresh.length === 0) {
      return counts;
    }
    for (const message of fresh) {
      seen.add(message.MessageId!);
      if (await replay(message)) {
        await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle! }));
        counts.gone++;
      } else {
        counts.stayed++;
      }
    }
  }
}

/** What the erasure's rules make an input of: a deletion, the end of a photo's execution, the daily tick. */
const erasureEventSchema = v.variant('detail-type', [
  v.object({
    'detail-type': v.literal('Object Deleted'),
    detail: v.object({ object: deletedObjectSchema, 'deletion-type': v.optional(v.string()) }),
  }),
  v.object({ 'detail-type': v.literal('Step Functions Execution Status Change') }),
  v.object({ 'detail-type': v.literal('Scheduled Event'), time: v.pipe(v.string(), v.isoTimestamp()) }),
]);

/** The input that the rule would have made. */
export function erasureOfDeadLetter(body: string): EraseInput | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  const read = v.safeParse(erasureEventSchema, parsed);
  if (!read.success) {
    return undefined;
  }
  const event = read.output;
  switch (event['detail-type']) {
    case 'Object Deleted': {
      const { object, 'deletion-type': deletion_type } = event.detail;
      return { request: 'photo_deleted', object, ...(deletion_type && { deletion_type }) };
    }
    case 'Scheduled Event':
      return { request: 'retention', as_of: event.time };
    default:
      return { request: 'outbox' };
  }
}

async function startErasureAgain(deployment: Deployment, { Body: body = '' }: Message): Promise<boolean> {
  const input = erasureOfDeadLetter(body);
  if (!input) {
    return false;
  }
  await startErasure(deployment, input);
  return true;
}
