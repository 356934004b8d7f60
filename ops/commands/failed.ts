import { PAGE_SIZE } from '../../lambdas/answer-operator/questions.ts';
import { printable } from '../../local/cli/text.ts';
import type { Context, Result } from '../context.ts';
import { ask, askAll } from '../database.ts';
import { checkEvent } from '../events.ts';
import { misplacedLines } from '../misplaced.ts';
import { table } from '../table.ts';

/** Why photos failed, and which. */
export async function failed({ args, deployment }: Context): Promise<Result> {
  const event = args.event && { event_id: args.event };
  await checkEvent(deployment, args.event);
  const { failures } = await ask(deployment, { ask: 'summary', ...event });
  const photos = [];
  if (args.limit > 0) {
    for await (const photo of askAll(deployment, { ask: 'photos', status: 'failed', ...event })) {
      photos.push({
        photo_id: photo.id,
        event_id: photo.event_id,
        key: photo.object_key,
        code: photo.failure_code,
        message: photo.failure_message,
        retryable: photo.failure_retryable,
        failed_at: photo.ended_at,
        execution: photo.execution_arn,
      });
      if (photos.length >= args.limit) {
        break;
      }
    }
  }
  const misplaced = args.event
    ? { total: 0, uploads: [] }
    : await ask(deployment, { ask: 'misplaced', limit: Math.min(args.limit, PAGE_SIZE) });
  const total = failures.reduce((sum, { photos: count }) => sum + count, 0);
  const lines =
    total === 0
      ? misplaced.total === 0
        ? ['No photo failed.']
        : []
      : [
          ...table([
            ['photos', 'reason', 'again?'],
            ...failures.map(({ code, retryable, photos: count }) => [
              count,
              code,
              retryable ? 'can be indexed: npm run ops -- reprocess' : 'no: the photo itself is at fault',
            ]),
          ]),
          '',
          ...table(
            photos.map(({ key, code, message }) => [key, code ?? '', printable(message ?? '')]),
            Math.max(80, process.stdout.columns ?? 160),
          ),
          ...(total > photos.length ? [`  … and ${total - photos.length} more (--limit ${total})`] : []),
          '',
          'What each reason means, and how to mend it: docs/runbook.md#failure-codes',
        ];
  const others = misplacedLines(misplaced);
  return {
    data: { event_id: args.event ?? null, total, failures, photos, misplaced },
    lines: [...lines, ...(lines.length > 0 && others.length > 0 ? ['', ...others] : others)],
    exitCode: 0,
  };
}
