import { PAGE_SIZE } from '../../lambdas/answer-operator/questions.ts';
import type { PhotoStatus } from '../../lambdas/shared/photos/standing.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import { hint } from '../hint.ts';
import { known, part, problemsOf } from '../parts.ts';
import { readFolders } from '../reading.ts';
import { table } from '../table.ts';
import { DATABASE } from '../time-limit.ts';

const STATES: readonly PhotoStatus[] = ['indexed', 'processing', 'failed', 'deleted', 'erased'];

/** Which events there are, the latest first; and those that only the bucket knows so far. */
export async function events({ args, deployment, columns, limit: time }: Context): Promise<Result> {
  const limit = Math.min(args.limit, PAGE_SIZE);
  const [listed, inBucket] = await Promise.all([
    part(ask(deployment, { ask: 'event_list', limit }), time.first, DATABASE),
    part(
      readFolders(deployment).then((folders) => [...folders.keys()].sort()),
      time.first,
      'S3',
    ),
  ]);
  const found = known(listed);
  const listedIds = new Set(found?.map(({ id }) => id));
  // Beyond the limit nobody knows which are new.
  const isAll = found !== null && found.length < limit;
  const unknown = isAll || found === null ? (known(inBucket) ?? []).filter((id) => !listedIds.has(id)) : [];
  const problems = problemsOf([listed, inBucket]);
  const rows = [
    ['event', 'indexed', 'processing', 'failed', 'faces', 'since', 'name'],
    ...(found ?? []).map(({ id, photos, faces, created_at, erased_at, name }) => [
      id,
      photos.indexed ?? 0,
      photos.processing ?? 0,
      photos.failed ?? 0,
      faces,
      created_at.slice(0, 10),
      `${name ?? ''}${erased_at ? ' (erased)' : ''}`.trim(),
    ]),
  ];
  const lines = [
    ...problems.map((problem) => `Not known: ${problem}`),
    ...(problems.length > 0 && (found?.length ?? 0) + unknown.length > 0 ? [''] : []),
    ...(found && found.length > 0 ? table(rows, { columns }) : []),
    ...(found?.length === limit && limit > 0
      ? [`  These are the latest ${limit}: --limit N shows more.`]
      : []),
    ...(unknown.length > 0
      ? [
          found === null ? 'Events in the bucket:' : 'In the bucket, and without a photo that is done:',
          ...unknown.map((id) => `  ${id}`),
        ]
      : []),
    ...(found?.length === 0 && unknown.length === 0 ? ['There are no events yet.'] : []),
    ...((found?.length ?? 0) > 0 ? ['', `One of them: ${hint(args, 'status --event ID')}`] : []),
  ];
  const data = {
    events: found?.map((event) => ({ ...event, photos: countsOf(event.photos) })) ?? null,
    only_in_bucket: unknown,
    problems,
  };
  return { data, lines, exitCode: problems.length > 0 ? 1 : 0 };
}

function countsOf(photos: Partial<Record<PhotoStatus, number>>): Record<string, number> {
  return Object.fromEntries(STATES.map((state) => [state, photos[state] ?? 0]));
}
