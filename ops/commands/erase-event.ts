import { count } from '../../cli/text.ts';
import type { Summary } from '../../lambdas/answer-operator/questions.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import { receiptLines, startErasure, waitForReceipts } from '../erasures.ts';
import { checkEvent } from '../events.ts';

/** Erases all faces of an event: its collection, its stored responses, its rows. The photos themselves stay. */
export async function eraseEvent(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
  const eventId = args.event!;
  await checkEvent(deployment, eventId);
  const { faces, photos }: Summary = await ask(deployment, { ask: 'summary', event_id: eventId });
  const total = Object.values(photos).reduce((sum, number) => sum + number, 0);
  const plan = `${count(faces, 'face')} of ${count(total, 'photo')} of the event ${eventId}, and its collection`;
  const data = { event_id: eventId, faces, photos: total, dry_run: args.dryRun };
  if (args.dryRun) {
    return { data, lines: [`Would erase ${plan}.`], exitCode: 0 };
  }
  if (!(await context.confirm(`Erase ${plan}, for good?`))) {
    return { data: { ...data, receipts: [] }, lines: ['Nothing was erased.'], exitCode: 1 };
  }
  progress.step('Erasing');
  const executionArn = await startErasure(deployment, { request: 'event', event_id: eventId });
  if (!args.wait) {
    return { data: { ...data, receipts: [] }, lines: [`Started ${executionArn}.`], exitCode: 0 };
  }
  const receipts = await waitForReceipts(deployment, executionArn);
  progress.stop();
  return { data: { ...data, receipts }, ...receiptLines(receipts, context.columns) };
}
