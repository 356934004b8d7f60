import { PAGE_SIZE } from '../../lambdas/answer-operator/questions.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import { receiptLines } from '../erasures.ts';
import { checkEvent } from '../events.ts';

/** The receipts of what was erased, the latest first, and what is still to be. */
export async function erasures({ args, deployment }: Context): Promise<Result> {
  await checkEvent(deployment, args.event);
  const receipts = await ask(deployment, {
    ask: 'erasures',
    limit: Math.min(args.limit, PAGE_SIZE),
    ...(args.event && { event_id: args.event }),
  });
  const data = { event_id: args.event ?? null, erasures: receipts };
  return receipts.length === 0
    ? { data, lines: ['Nothing was erased.'], exitCode: 0 }
    : { data, lines: receiptLines(receipts).lines, exitCode: 0 };
}
