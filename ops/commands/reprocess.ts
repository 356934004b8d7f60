import type { ExecutionInput } from '../../lambdas/shared/contract.ts';
import { photoVersion } from '../../lambdas/shared/contract.ts';
import type { PhotoRow } from '../../lambdas/shared/event-rows.ts';
import { inputFor } from '../../lambdas/shared/photo-input.ts';
import { resultsKey } from '../../lambdas/shared/stored-result.ts';
import { count } from '../../local/cli/text.ts';
import { UserError } from '../../local/cli/user-error.ts';
import { hasResult, readableObject } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { ask, askAll, chunksOf, collect } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { checkEvent } from '../events.ts';
import { startPhoto, waitForAll } from '../executions.ts';
import { parallel } from '../parallel.ts';
import { priceOf } from '../price.ts';
import { table } from '../table.ts';

/** Failures after which a stored response is of no use: another call is paid. */
const RESULT_IS_VOID = new Set(['FacesLost', 'ResultLostTooOften']);

/** Indexes failed photos again, by executions of their own. */
export async function reprocess(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
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
  const plan = `${count(jobs.length, 'photo')}, of which ${jobs.length - paid} are paid already: at most ${priceOf(paid)}`;
  const data = { photos: jobs.length, to_pay: paid, permanent, dry_run: args.dryRun };
  if (args.dryRun) {
    return { data, lines: [`Would index again ${plan}.`, ...left], exitCode: 0 };
  }
  if (paid > 0 && !(await context.confirm(`Index again ${plan}?`))) {
    return { data: { ...data, started: 0 }, lines: ['Nothing was started.'], exitCode: 1 };
  }
  const executions = await startAll(context, jobs);
  if (!args.wait) {
    return {
      data: { ...data, started: executions.length },
      lines: [`Started ${executions.length}.`],
      exitCode: 0,
    };
  }
  progress.start('Indexing', executions.length);
  await waitForAll(deployment, executions, () => progress.done());
  progress.stop();
  const outcome = await outcomeOf(
    deployment,
    jobs.map(({ row }) => row.id),
  );
  return {
    data: { ...data, started: executions.length, ...outcome },
    lines: [
      ...table([
        ['indexed', outcome.indexed],
        ['failed', outcome.failed],
        ...(outcome.other > 0 ? [['other', outcome.other] as const] : []),
      ]),
      ...left,
    ],
    exitCode: outcome.failed + outcome.other > 0 ? 1 : 0,
  };
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

export interface Job {
  row: PhotoRow;
  input: ExecutionInput;
  /** Whether IndexFaces may have to be called. */
  isPaid: boolean;
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

async function startAll({ deployment, progress }: Context, jobs: readonly Job[]): Promise<string[]> {
  progress.start('Starting', jobs.length);
  return parallel(jobs, async ({ row, input }) => {
    const executionArn = await startPhoto(
      deployment,
      input,
      `ops-${row.id}-${Date.parse(row.ended_at ?? row.created_at)}`,
    );
    progress.done();
    return executionArn;
  });
}

export interface Outcome {
  indexed: number;
  failed: number;
  other: number;
}

export async function outcomeOf(deployment: Deployment, photoIds: readonly string[]): Promise<Outcome> {
  const outcome = { indexed: 0, failed: 0, other: 0 };
  for (const ids of chunksOf(photoIds)) {
    for (const { status } of await ask(deployment, { ask: 'photos', photo_ids: ids })) {
      outcome[status === 'indexed' || status === 'failed' ? status : 'other']++;
    }
  }
  return outcome;
}
