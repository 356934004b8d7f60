import { setTimeout as sleep } from 'node:timers/promises';
import {
  DescribeExecutionCommand,
  DescribeMapRunCommand,
  ListExecutionsCommand,
  ListMapRunsCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { count } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import type {
  Backlog,
  ListedObject,
  SkipIndexedRequest,
  SkipReason,
} from '../../lambdas/shared/contract/payloads.ts';
import { eventsFolder, foldersByEvent } from '../../lambdas/shared/contract/photo-key.ts';
import { listObjects } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { chunksOf, collect, invoke } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { isHeld } from '../executions.ts';
import { hint } from '../hint.ts';
import { holdLines } from '../hold.ts';
import { readLedger } from '../ledger.ts';
import { parallel } from '../parallel.ts';
import { atMost } from '../price.ts';
import { readFolders } from '../reading.ts';

/** Objects that one question to Postgres is about, as in the state machine. */
const BATCH = 100;

const REASONS: Record<SkipReason, string> = {
  indexed: 'indexed already',
  permanently_failed: 'at fault themselves (reprocess --include-permanent tries them again)',
  erased: 'erased on request',
  other_object: 'another object is the photo',
  invalid_key: 'no photo by their key',
};

/** Indexes what lies under a prefix and is not indexed yet. Starting it again goes on where it was stopped. */
export async function backfill(context: Context): Promise<Result> {
  const { args, deployment, progress, now } = context;
  const prefix = args.prefix!;
  if (!prefix.startsWith(eventsFolder())) {
    throw new UserError(
      `--prefix takes a prefix of keys that begins with ${eventsFolder()}: nothing else is a photo of an event.`,
    );
  }
  await checkNoneRuns(deployment);

  progress.step('Listing the bucket');
  const objects = await collect(listObjects(deployment, prefix));
  if (objects.length === 0) {
    throw new UserError(
      `There are no objects under ${prefix} in ${deployment.outputs.PhotoBucketName}.${await otherSpellings(deployment, prefix)}`,
      1,
    );
  }
  progress.start('Asking what is left', objects.length);
  const { left, skipped } = await readBacklog(
    deployment,
    objects.map(({ key, etag, size, uploadedAt }) => ({
      Key: key,
      Etag: etag,
      Size: size,
      LastModified: Math.floor(Date.parse(uploadedAt) / 1_000),
    })),
    (parts) => progress.done(parts),
  );
  progress.stop();
  const lines = Object.entries(skipped).map(
    ([reason, photos]) => `  ${photos.toLocaleString('en-US')} ${REASONS[reason as SkipReason]}`,
  );
  const data = { prefix, objects: objects.length, left, skipped, dry_run: args.dryRun };
  if (left === 0) {
    return { data, lines: [`Nothing is left to index under ${prefix}:`, ...lines], exitCode: 0 };
  }
  const plan = `${count(left, 'photo')} of ${count(objects.length, 'object')}`;
  if (args.dryRun) {
    return { data, lines: [`Would index ${plan}; this costs ${atMost(left)}.`, ...lines], exitCode: 0 };
  }
  if (!(await context.confirm(`This costs ${atMost(left)}. Index ${plan}?`))) {
    return { data: { ...data, started: false }, lines: ['Nothing was started.'], exitCode: 1 };
  }

  const { executionArn } = await deployment.states.send(
    new StartExecutionCommand({
      stateMachineArn: deployment.outputs.BackfillStateMachineArn,
      name: `backfill-${now()}`,
      input: JSON.stringify({ prefix }),
    }),
  );
  const execution = executionArn!;
  const where = deployment.console?.(execution) ?? execution;
  if (!args.wait) {
    return { data: { ...data, started: true, execution }, lines: [`Started: ${where}`], exitCode: 0 };
  }
  progress.start('Indexing', objects.length);
  const end = await follow(deployment, execution, (parts) => progress.done(parts));
  progress.stop();
  if (end === 'held') {
    return {
      data: { ...data, started: true, execution, status: 'RUNNING' },
      lines: [
        `The backfill goes on without this command: ${where}`,
        ...holdLines(args, await readLedger(deployment), now()),
      ],
      exitCode: 0,
    };
  }
  const after = await readBacklog(
    deployment,
    objects.map(({ key, etag, size, uploadedAt }) => ({
      Key: key,
      Etag: etag,
      Size: size,
      LastModified: Math.floor(Date.parse(uploadedAt) / 1_000),
    })),
  );
  const indexed = (after.skipped.indexed ?? 0) - (skipped.indexed ?? 0);
  return {
    data: { ...data, started: true, execution, status: end.status, indexed, still_left: after.left },
    lines: [
      `${count(indexed, 'photo')} indexed, ${after.left} still left${after.left > 0 ? ` (${hint(args, 'failed')} says why)` : ''}.`,
      ...(end.status === 'SUCCEEDED'
        ? []
        : [`The backfill ended as ${end.status}: ${end.error ?? ''} ${where}`]),
    ],
    exitCode: end.status === 'SUCCEEDED' && after.left === 0 ? 0 : 1,
  };
}

async function checkNoneRuns({ states, outputs, console }: Deployment): Promise<void> {
  const { executions = [] } = await states.send(
    new ListExecutionsCommand({
      stateMachineArn: outputs.BackfillStateMachineArn,
      statusFilter: 'RUNNING',
      maxResults: 1,
    }),
  );
  const [running] = executions;
  if (running) {
    const arn = running.executionArn!;
    throw new UserError(`A backfill is running already: ${console?.(arn) ?? arn}`, 1);
  }
}

/** What the state machine itself would find, asked of the same function. */
async function readBacklog(
  deployment: Deployment,
  objects: readonly ListedObject[],
  onDone: (parts: number) => void = () => {},
): Promise<{ left: number; skipped: Backlog['skipped'] }> {
  const backlogs = await parallel(chunksOf(objects, BATCH), async (Items) => {
    const request: SkipIndexedRequest = {
      Items,
      BatchInput: { bucket: deployment.outputs.PhotoBucketName },
    };
    const backlog = (await invoke(
      deployment,
      deployment.outputs.SkipIndexedFunctionName,
      request,
    )) as Backlog;
    onDone(Items.length);
    return backlog;
  });
  const skipped: Backlog['skipped'] = {};
  for (const [reason, photos] of backlogs.flatMap((backlog) => Object.entries(backlog.skipped))) {
    const known = reason as SkipReason;
    skipped[known] = (skipped[known] ?? 0) + photos;
  }
  return { left: backlogs.reduce((sum, { photos }) => sum + photos.length, 0), skipped };
}

/** Until it ends, or a pause or the day's cap holds it. */
async function follow(
  deployment: Deployment,
  executionArn: string,
  onDone: (parts: number) => void,
): Promise<{ status: string; error: string | undefined } | 'held'> {
  const { states, isLocal } = deployment;
  let done = 0;
  let movedAt = performance.now();
  for (;;) {
    const { status, error } = await states.send(new DescribeExecutionCommand({ executionArn }));
    const { mapRuns = [] } = await states.send(new ListMapRunsCommand({ executionArn }));
    for (const { mapRunArn } of mapRuns) {
      const { itemCounts } = await states.send(new DescribeMapRunCommand({ mapRunArn }));
      const ended = (itemCounts?.succeeded ?? 0) + (itemCounts?.failed ?? 0) + (itemCounts?.aborted ?? 0);
      onDone(ended - done);
      if (ended > done) {
        movedAt = performance.now();
      }
      done = ended;
    }
    if (status !== 'RUNNING') {
      return { status: status!, error };
    }
    if (await isHeld(deployment, movedAt)) {
      return 'held';
    }
    await sleep(isLocal ? 200 : 3_000);
  }
}

/** Keys may spell an event's id in any case, a prefix matches one. */
async function otherSpellings(deployment: Deployment, prefix: string): Promise<string> {
  const [folder] = prefix.slice(eventsFolder().length).split('/');
  const [event] = foldersByEvent([`${eventsFolder()}${folder}/`]).keys();
  const spelled = event === undefined ? undefined : (await readFolders(deployment)).get(event);
  return spelled ? ` The bucket spells it ${spelled.join(' and ')}` : '';
}
