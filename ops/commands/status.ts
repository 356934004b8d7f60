import { ListExecutionsCommand } from '@aws-sdk/client-sfn';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { formatDuration } from '../../local/cli/text.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { readLedger } from '../ledger.ts';
import { table } from '../table.ts';

/** Photos by state, queues, pace, and what runs. */
export async function status({ args, deployment, now }: Context): Promise<Result> {
  const [summary, queues, ledger, running, backfills] = await Promise.all([
    ask(deployment, { ask: 'summary', ...(args.event && { event_id: args.event }) }),
    readQueues(deployment),
    readLedger(deployment),
    countRunning(deployment, deployment.outputs.StateMachineArn),
    countRunning(deployment, deployment.outputs.BackfillStateMachineArn),
  ]);
  const oldest = summary.oldest_processing && now() - Date.parse(summary.oldest_processing);
  const data = {
    event_id: args.event ?? null,
    ...summary,
    executions_running: running,
    backfills_running: backfills,
    queues,
    paused_since: ledger.pausedSince,
    images_today: ledger.imagesToday,
    quota_per_second: ledger.quotaPerSecond,
  };
  const lines = [
    ...table([
      ['indexed', summary.photos.indexed ?? 0, `${summary.faces.toLocaleString('en-US')} faces`],
      [
        'processing',
        summary.photos.processing ?? 0,
        oldest ? `the oldest for ${formatDuration(oldest)}` : '',
      ],
      ['failed', summary.photos.failed ?? 0, failures(summary.failures)],
      ...(['deleted', 'erased'] as const).flatMap((state): [string, number, string][] =>
        summary.photos[state] ? [[state, summary.photos[state], '']] : [],
      ),
    ]),
    '',
    ...table([
      ['executions', running, running >= PAGE ? 'or more are running' : 'are running'],
      ['backfills', backfills, 'are running'],
      ['dead letters', queues.dead_letters, 'uploads that started no execution'],
      ['', queues.erasure_dead_letters, 'deletions that started no erasure'],
      ['last resort', queues.last_resort, 'ended executions on their way to be written'],
      ['', queues.last_resort_dead_letters, 'that could not be written'],
      ...(summary.misplaced > 0
        ? [['misplaced', summary.misplaced, 'uploads of no event: npm run ops -- failed'] as const]
        : []),
      ['leaving', summary.leaving, 'faces on their way out of the collections'],
    ]),
    '',
    ...(ledger.quotaPerSecond === null
      ? []
      : [`The account may make ${ledger.quotaPerSecond} IndexFaces calls a second.`]),
    ledger.pausedSince ? `Paused since ${ledger.pausedSince}: npm run ops -- resume` : 'Not paused.',
  ];
  return { data, lines, exitCode: 0 };
}

function failures(reasons: { code: string; photos: number }[]): string {
  return reasons
    .slice(0, 4)
    .map(({ code, photos }) => `${photos} ${code}`)
    .join(', ');
}

const PAGE = 1_000;

async function countRunning({ states }: Deployment, stateMachineArn: string): Promise<number> {
  const { executions = [] } = await states.send(
    new ListExecutionsCommand({ stateMachineArn, statusFilter: 'RUNNING', maxResults: PAGE }),
  );
  return executions.length;
}

export interface QueueCounts {
  dead_letters: number;
  erasure_dead_letters: number;
  last_resort: number;
  last_resort_dead_letters: number;
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
