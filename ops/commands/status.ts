import { ListExecutionsCommand } from '@aws-sdk/client-sfn';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { UserError } from '../../cli/user-error.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { type LedgerView, readLedger } from '../ledger.ts';
import { known, type Part, part } from '../parts.ts';
import { readEventObjects } from '../reading.ts';
import {
  COUNTED,
  type Facts,
  problems,
  type QueueCounts,
  type Running,
  standingData,
  standingLines,
} from '../standing.ts';
import { DATABASE } from '../time-limit.ts';

/**
 * Photos by state, line, pace, cap, queues, and why photos wait. Answers within seconds whatever is unavailable, each part on its own.
 */
export async function status(context: Context): Promise<Result> {
  const { args, deployment, now, columns, limit } = context;
  const event = args.event && { event_id: args.event };
  const [summary, queues, { ledger, perSecond }, running, backfills, objects] = await Promise.all([
    part(ask(deployment, { ask: 'summary', ...event }), limit.first, DATABASE),
    part(readQueues(deployment), limit.first, 'SQS'),
    readPace(context),
    part(readRunning(deployment, deployment.outputs.StateMachineArn), limit.first, 'Step Functions'),
    part(countRunning(deployment, deployment.outputs.BackfillStateMachineArn), limit.first, 'Step Functions'),
    args.event
      ? part(
          readEventObjects(deployment, args.event).then((all) => all.length),
          limit.first,
          'S3',
        )
      : undefined,
  ]);
  if (args.event && known(summary)?.events === 0 && objects && known(objects) === 0) {
    throw new UserError(
      `There is no event ${args.event} in ${deployment.name}: neither the database nor the bucket knows it.`,
      1,
    );
  }
  const facts: Facts = {
    nowMs: now(),
    args,
    resting: deployment.resting,
    summary,
    queues,
    ledger,
    running,
    backfills,
    perSecond,
    objects,
  };
  return {
    data: standingData(facts),
    lines: standingLines(facts, columns),
    exitCode: problems(facts).length > 0 ? 1 : 0,
  };
}

/** Two looks at the ledger tell the pace, where anything is on its way. */
async function readPace({
  deployment,
  now,
  limit,
}: Context): Promise<{ ledger: Part<LedgerView>; perSecond: number | null }> {
  const first = await part(readLedger(deployment, now), limit.first, 'DynamoDB');
  const before = known(first);
  if (!before || deployment.resting > 0 || before.lineMs + before.backfillLineMs === 0) {
    return { ledger: first, perSecond: null };
  }
  const startedAt = limit.clock.now();
  await limit.pause();
  const second = await part(readLedger(deployment, now), limit.last, 'DynamoDB');
  const after = known(second);
  if (!after || after.imagesToday < before.imagesToday) {
    return { ledger: after ? second : first, perSecond: null };
  }
  const seconds = (limit.clock.now() - startedAt) / 1_000;
  return { ledger: second, perSecond: (after.imagesToday - before.imagesToday) / seconds };
}

export async function countRunning(deployment: Deployment, stateMachineArn: string): Promise<number> {
  return (await readRunning(deployment, stateMachineArn)).executions;
}

/** Executions that run, at most `COUNTED`, and when the oldest of these started. */
async function readRunning({ states }: Deployment, stateMachineArn: string): Promise<Running> {
  const { executions = [] } = await states.send(
    new ListExecutionsCommand({ stateMachineArn, statusFilter: 'RUNNING', maxResults: COUNTED }),
  );
  const starts = executions.flatMap(({ startDate }) => (startDate ? [startDate.getTime()] : []));
  return { executions: executions.length, oldestMs: starts.length > 0 ? Math.min(...starts) : null };
}

/** How many messages rest in each queue; approximate, as SQS counts. */
export async function readQueues({ sqs, outputs }: Deployment): Promise<QueueCounts> {
  const count = async (QueueUrl: string) => {
    const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
    const { Attributes: attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }),
    );
    return names.reduce((sum, name) => sum + Number(attributes[name] ?? 0), 0);
  };
  const [erasure_dead_letters, last_resort, last_resort_dead_letters] = await Promise.all([
    count(outputs.ErasureDeadLetterQueueUrl),
    count(outputs.LastResortQueueUrl),
    count(outputs.LastResortDeadLetterQueueUrl),
  ]);
  return { erasure_dead_letters, last_resort, last_resort_dead_letters };
}
