import { setTimeout as sleep } from 'node:timers/promises';
import { count } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import { MAX_REOPENED } from '../../lambdas/answer-operator/questions.ts';
import { inputFor, versionOf } from '../../lambdas/shared/photos/execution-input.ts';
import type { PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import { headObject } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { ask, askAll, chunksOf, collect } from '../database.ts';
import { startErasure } from '../erasures.ts';
import { checkEvent } from '../events.ts';
import { hint } from '../hint.ts';
import { finish, type Job, startAll } from '../jobs.ts';
import { parallel } from '../parallel.ts';
import { atMost } from '../price.ts';

/** Five faces a second leave a collection; somebody else's erasure may come first. */
const LEAVE_PATIENCE_MS = 30 * 60_000;

/**
 * `reprocess --event ID --indexed`: indexes an event's indexed photos again, say after another `qualityFilter`, or because
 * what is stored is wrong. The old faces leave the collection first: asked before that, Rekognition would name those it has,
 * and the photo would be billed twice. Whoever stops it in the middle leaves photos in `processing`, which the scheduled
 * reconciliation indexes.
 */
export async function reindex(context: Context): Promise<Result> {
  const { args, deployment, progress } = context;
  const eventId = args.event!;
  await checkEvent(deployment, eventId);
  progress.step('Looking for the photos');
  const rows = await collect(askAll(deployment, { ask: 'photos', status: 'indexed', event_id: eventId }));
  progress.start('Looking at their objects', rows.length);
  const jobs = (
    await parallel(rows, async (row) => {
      const job = await jobOf(context, row);
      progress.done();
      return job;
    })
  ).filter((job) => job !== undefined);
  progress.stop();
  const leftAlone = rows.length - jobs.length;
  const left =
    leftAlone > 0
      ? [`${count(leftAlone, 'photo')} left alone: deleted from the bucket, or uploaded anew.`]
      : [];
  const data = { photos: jobs.length, to_pay: jobs.length, left_alone: leftAlone, dry_run: args.dryRun };
  if (jobs.length === 0) {
    return { data, lines: ['No indexed photo to index again.', ...left], exitCode: 0 };
  }
  const faces = jobs.reduce((sum, { row }) => sum + (row.face_count ?? 0), 0);
  const plan = `${count(jobs.length, 'indexed photo')} again and replace ${count(faces, 'face')}`;
  if (args.dryRun) {
    return { data, lines: [`Would index ${plan}; this costs ${atMost(jobs.length)}.`, ...left], exitCode: 0 };
  }
  if (!(await context.confirm(`This costs ${atMost(jobs.length)}. Index ${plan}?`))) {
    return { data: { ...data, started: 0 }, lines: ['Nothing was started.'], exitCode: 1 };
  }
  context.show([
    `Until they are indexed again, no search finds these photos. Whoever stops this in the middle: the scheduled reconciliation goes on with it, or at once ${hint(args, `reconcile --event ${eventId} --fix`)}.`,
  ]);
  // The hourly reconciliation looks only where executions ran: without this one, what is left by whoever stops this while the
  // faces are taken out of use would wait for the daily one.
  await startErasure(deployment, { request: 'outbox' });
  const reopened = await reopen(context, eventId, jobs);
  await untilFacesLeft(context, eventId);
  const executions = await startAll(context, reopened);
  return finish(context, data, reopened, { executions, left });
}

/** Undefined for a photo whose object is not the one that was indexed: what came of that is another execution's. */
async function jobOf({ deployment }: Context, row: PhotoRow): Promise<Job | undefined> {
  const object = await headObject(deployment, row.object_key);
  if (!object || versionOf(object) !== row.object_version) {
    return undefined;
  }
  const rows = { photo: row, own: undefined };
  return { row, input: inputFor(deployment.outputs.PhotoBucketName, object, rows, 'backfill'), isPaid: true };
}

async function reopen(
  { deployment, progress }: Context,
  eventId: string,
  jobs: readonly Job[],
): Promise<Job[]> {
  progress.start('Taking their faces out of use', jobs.length);
  const reopened = new Set<string>();
  for (const chunk of chunksOf(jobs, MAX_REOPENED)) {
    const photo_ids = chunk.map(({ row }) => row.id);
    const answer = await ask(deployment, { ask: 'reopen', event_id: eventId, photo_ids });
    for (const id of answer.photo_ids) {
      reopened.add(id);
    }
    progress.done(chunk.length);
  }
  progress.stop();
  return jobs.filter(({ row }) => reopened.has(row.id));
}

/** @throws UserError when they do not leave: nothing was billed by then */
async function untilFacesLeft({ args, deployment, progress }: Context, eventId: string): Promise<void> {
  await startErasure(deployment, { request: 'outbox' });
  const deadline = performance.now() + LEAVE_PATIENCE_MS;
  for (;;) {
    const { leaving } = await ask(deployment, { ask: 'summary', event_id: eventId });
    if (leaving === 0) {
      return;
    }
    progress.step(`Waiting for ${count(leaving, 'face')} to leave the collection`);
    if (performance.now() > deadline) {
      throw new UserError(
        `${count(leaving, 'face')} did not leave the collection yet (${hint(args, `erasures --event ${eventId}`)}). When they have, the scheduled reconciliation indexes the photos, or at once: ${hint(args, `reconcile --event ${eventId} --fix`)}`,
        1,
      );
    }
    await sleep(deployment.isLocal ? 100 : 3_000);
  }
}
