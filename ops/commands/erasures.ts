import { PAGE_SIZE } from '../../lambdas/answer-operator/questions.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import { receiptLines } from '../erasures.ts';
import { checkEvent } from '../events.ts';
import { hint } from '../hint.ts';
import { known, part, problemsOf } from '../parts.ts';
import { DATABASE } from '../time-limit.ts';
import { countRunning, readQueues } from './status.ts';

/** The receipts of what was erased, the latest first, and what is still to be. */
export async function erasures(context: Context): Promise<Result> {
  const { args, deployment, columns, limit } = context;
  const [receipts, queues, running] = await Promise.all([
    part(readReceipts(context), limit.first, DATABASE),
    part(readQueues(deployment), limit.first, 'SQS'),
    part(
      countRunning(deployment, deployment.outputs.EraseFacesStateMachineArn),
      limit.first,
      'Step Functions',
    ),
  ]);
  const problems = problemsOf([receipts, queues, running]);
  const letters = known(queues)?.erasure_dead_letters ?? null;
  const found = known(receipts);
  const data = {
    event_id: args.event ?? null,
    erasures: found,
    running: known(running),
    dead_letters: letters,
    problems,
  };
  const lines = [
    ...problems.map((problem) => `Not known: ${problem}`),
    ...(found === null
      ? []
      : found.length === 0
        ? ['Nothing was erased.']
        : receiptLines(found, columns).lines),
    ...(known(running) ? ['An erasure is running.'] : []),
    ...(letters
      ? [
          `${letters} ${letters === 1 ? 'deletion' : 'deletions'} started no erasure: ${hint(args, 'replay-dead-letters')}`,
        ]
      : []),
  ];
  return { data, lines, exitCode: problems.length > 0 ? 1 : 0 };
}

async function readReceipts({ args, deployment }: Context) {
  await checkEvent(deployment, args.event);
  return ask(deployment, {
    ask: 'erasures',
    limit: Math.min(args.limit, PAGE_SIZE),
    ...(args.event && { event_id: args.event }),
  });
}
