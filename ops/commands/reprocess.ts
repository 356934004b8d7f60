import { count } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import { photoVersion } from '../../lambdas/shared/contract/payloads.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import { inputFor } from '../../lambdas/shared/photos/execution-input.ts';
import type { PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import { hasResult, readableObject } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { ask, askAll, collect } from '../database.ts';
import { checkEvent } from '../events.ts';
import { finish, type Job, startAll } from '../jobs.ts';
import { parallel } from '../parallel.ts';
import { atMost } from '../price.ts';
import { reindex } from './reindex.ts';

/** Failures after which a stored response is of no use: another call is billed. */
const RESULT_IS_VOID = new Set(['FacesLost', 'ResultLostTooOften']);

/** Indexes failed photos again, by executions of their own; or indexed ones, whose faces make room before. */
export async function reprocess(context: Context): Promise<Result> {
  return context.args.indexed ? reindex(context) : reprocessFailed(context);
}

async function reprocessFailed(context: Context): Promise<Result> {
  const { args, progress } = context;
  progress.step('Looking for the photos');
  const { chosen, permanent } = await choose(context);
  const left =
    permanent > 0
      ? [`${count(permanent, 'photo')} left alone: at fault themselves (--include-permanent)`]
      : [];
  if (chosen.length === 0) {
    return { data: { photos: 0, permanent }, lines: ['No photo to index again.', ...left], exitCode: 0 };
  }

  progress.start('Looking at their objects', chosen.length);
  const jobs = await parallel(chosen, async (row) => {
    const job = await prepare(context, row);
    progress.done();
    return job;
  });
  progress.stop();
  const paid = jobs.filter(({ isPaid }) => isPaid).length;
  const plan = planOf(jobs.length, paid);
  const data = { photos: jobs.length, to_pay: paid, permanent, dry_run: args.dryRun };
  if (args.dryRun) {
    return { data, lines: [`Would index ${plan} again; this costs ${atMost(paid)}.`, ...left], exitCode: 0 };
  }
  if (paid > 0 && !(await context.confirm(`This costs ${atMost(paid)}. Index ${plan} again?`))) {
    return { data: { ...data, started: 0 }, lines: ['Nothing was started.'], exitCode: 1 };
  }
  const executions = await startAll(context, jobs);
  return finish(context, data, jobs, { executions, left });
}

/** `3 photos, of which 2 are billed already` */
function planOf(photos: number, toPay: number): string {
  const paid = photos - toPay;
  return `${count(photos, 'photo')}${paid > 0 ? `, of which ${paid.toLocaleString('en-US')} ${paid === 1 ? 'is' : 'are'} billed already,` : ''}`;
}

async function choose({ args, deployment }: Context): Promise<{ chosen: PhotoRow[]; permanent: number }> {
  if (args.photo) {
    const [row] = await ask(deployment, { ask: 'photos', photo_ids: [args.photo] });
    if (!row) {
      throw new UserError(`The database knows no photo ${args.photo} in ${deployment.name}.`, 1);
    }
    if (row.status === 'deleted' || row.status === 'erased') {
      throw new UserError(`The photo ${args.photo} is ${row.status}: it cannot be indexed again.`, 1);
    }
    const isChosen =
      row.status === 'processing' ||
      (row.status === 'failed' && (row.failure_retryable || args.includePermanent));
    return {
      chosen: isChosen ? [row] : [],
      permanent: row.status === 'failed' && !isChosen ? 1 : 0,
    };
  }
  await checkEvent(deployment, args.event);
  const rows = await collect(
    askAll(deployment, { ask: 'photos', status: 'failed', ...(args.event && { event_id: args.event }) }),
  );
  const chosen = rows.filter((row) => row.failure_retryable || args.includePermanent);
  return { chosen, permanent: rows.length - chosen.length };
}

/** What has to be started for a photo's object as it is now; one that is gone, or unreadable, has to find that out itself. */
export async function prepare(
  { deployment, args }: Pick<Context, 'deployment' | 'args'>,
  row: PhotoRow,
): Promise<Job> {
  const object = (await readableObject(deployment, row.object_key)) ?? {
    key: row.object_key,
    etag: row.object_version ?? 'gone',
    size: 1,
    uploadedAt: row.created_at,
  };
  const lane = args.photo ? 'live' : 'backfill';
  const rows = { photo: row, own: undefined };
  const input = inputFor(deployment.outputs.PhotoBucketName, object, rows, lane);
  const key = resultsKey({ event_id: row.event_id, photo_id: row.id }, photoVersion(input.object));
  const isStored = !RESULT_IS_VOID.has(row.failure_code ?? '') && (await hasResult(deployment, key));
  return { row, input, isPaid: !isStored };
}
