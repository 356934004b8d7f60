import { setTimeout as sleep } from 'node:timers/promises';
import { ListExecutionsCommand } from '@aws-sdk/client-sfn';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { UserError } from '../../cli/user-error.ts';
import type { Context, Result } from '../context.ts';
import { ask, LOOK_PATIENCE_MS } from '../database.ts';
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

/** Long enough to see how fast slots are given, short enough for who is called at night. */
const PACE_WINDOW_MS = 1_000;

/**
 * Photos by state, line, pace, cap, queues, and why photos wait. Answers within seconds whatever is away: each part on its
 * own, and the database within `LOOK_PATIENCE_MS`.
 */
export async function status(context: Context): Promise<Result> {
  const { args, deployment, now, columns } = context;
  const event = args.event && { event_id: args.event };
  const [summary, queues, { ledger, perSecond }, running, backfills, objects] = await Promise.all([
    part(ask(deployment, { ask: 'summary', ...event }, LOOK_PATIENCE_MS)),
    part(readQueues(deployment)),
    readPace(context),
    part(readRunning(deployment, deployment.outputs.StateMachineArn)),
    part(countRunning(deployment, deployment.outputs.BackfillStateMachineArn)),
    args.event ? part(readEventObjects(deployment, args.event).then((all) => all.length)) : undefined,
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
}: Context): Promise<{ ledger: Part<LedgerView>; perSecond: number | null }> {
  const first = await part(readLedger(deployment, now));
  const before = known(first);
  if (!before || deployment.resting > 0 || before.lineMs + before.backfillLineMs === 0) {
    return { ledger: first, perSecond: null };
  }
  const startedAt = performance.now();
  await sleep(PACE_WINDOW_MS);
  const second = await part(readLedger(deployment, now));
  const after = known(second);
  if (!after || after.imagesToday < before.imagesToday) {
    return { ledger: second, perSecond: null };
  }
  const seconds = (performance.now() - startedAt) / 1_000;
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
  const [dead_letters, erasure_dead_letters, last_resort, last_resort_dead_letters] = await Promise.all([
    count(outputs.DeadLetterQueueUrl),
    count(outputs.ErasureDeadLetterQueueUrl),
    count(outputs.LastResortQueueUrl),
    count(outputs.LastResortDeadLetterQueueUrl),
  ]);
  return { dead_letters, erasure_dead_letters, last_resort, last_resort_dead_letters };
}
