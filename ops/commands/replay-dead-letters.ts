import {
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { count } from '../../cli/text.ts';
import {
  type ExecutionInput,
  executionInputSchema,
  s3ObjectSchema,
} from '../../lambdas/shared/contract/payloads.ts';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { deletedObjectSchema, type EraseInput } from '../../lambdas/shared/erasure/contract.ts';
import type { Context, Result } from '../context.ts';
import type { Deployment } from '../deployment.ts';
import { startErasure } from '../erasures.ts';
import { startPhoto } from '../executions.ts';
import { atMost } from '../price.ts';
import { readQueues } from './status.ts';

/** Long enough to start what ten messages ask for. */
const HIDDEN_SECONDS = 60;

/**
 * Sends what rests in the dead-letter queues on its way again: uploads and erasures start their executions, ends of executions
 * go back to the last resort. A message is deleted when that has worked; one that cannot be understood stays.
 */
export async function replayDeadLetters(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
  const {
    dead_letters: uploads,
    erasure_dead_letters: erasures,
    last_resort_dead_letters: ends,
  } = await readQueues(deployment);
  const data = { uploads, erasures, ended_executions: ends, dry_run: args.dryRun };
  if (uploads + erasures + ends === 0) {
    return { data, lines: ['No dead letters.'], exitCode: 0 };
  }
  const plan = `${count(uploads, 'upload')}, ${count(erasures, 'erasure')} and ${count(ends, 'end of an execution', 'ends of executions')}`;
  const price = uploads > 0 ? ` (${atMost(uploads)}, less what is paid already)` : '';
  if (args.dryRun) {
    return { data, lines: [`Would replay ${plan}${price}.`], exitCode: 0 };
  }
  if (uploads > 0 && !(await context.confirm(`Replay ${plan}${price}?`))) {
    return { data: { ...data, replayed: 0 }, lines: ['Nothing was replayed.'], exitCode: 1 };
  }
  progress.start('Replaying', uploads + erasures + ends);
  const { outputs } = deployment;
  const replayed = await drain(deployment, outputs.DeadLetterQueueUrl, (message) =>
    startUpload(deployment, message).finally(() => progress.done()),
  );
  const erased = await drain(deployment, outputs.ErasureDeadLetterQueueUrl, (message) =>
    startErasureAgain(deployment, message).finally(() => progress.done()),
  );
  const returned = await drain(deployment, outputs.LastResortDeadLetterQueueUrl, async ({ Body: body }) => {
    progress.done();
    await deployment.sqs.send(
      new SendMessageCommand({ QueueUrl: outputs.LastResortQueueUrl, MessageBody: body ?? '' }),
    );
    return true;
  });
  progress.stop();
  const stayed = replayed.stayed + erased.stayed + returned.stayed;
  return {
    data: {
      ...data,
      replayed: replayed.gone,
      erased: erased.gone,
      returned: returned.gone,
      not_understood: stayed,
    },
    lines: [
      `${count(replayed.gone, 'upload')} and ${count(erased.gone, 'erasure')} started, ${count(returned.gone, 'end of an execution', 'ends of executions')} returned to the last resort.`,
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

/** S3's event as EventBridge keeps it, with what of it the rule makes the execution's input of. */
const uploadEventSchema = v.object({
  time: v.optional(v.string()),
  detail: v.object({ bucket: v.object({ name: v.string() }), object: s3ObjectSchema }),
});

/** The input that the rule would have made. */
export function inputOfDeadLetter(body: string): ExecutionInput | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  const event = v.safeParse(uploadEventSchema, parsed);
  if (event.success) {
    const { time, detail } = event.output;
    return {
      lane: 'live',
      bucket: detail.bucket.name,
      object: detail.object,
      ...(time && { event_time: time }),
    };
  }
  const input = v.safeParse(executionInputSchema, parsed);
  return input.success ? input.output : undefined;
}

async function startUpload(deployment: Deployment, { Body: body = '' }: Message): Promise<boolean> {
  const input = inputOfDeadLetter(body);
  if (!input) {
    return false;
  }
  await startPhoto(deployment, input, `ops-replay-${nameOf(input)}-${input.object.sequencer}`);
  return true;
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

/** A key that is no photo's starts an execution that says so. */
function nameOf({ object }: ExecutionInput): string {
  try {
    return parsePhotoKey(object.key).photoId;
  } catch {
    return object.etag;
  }
}
