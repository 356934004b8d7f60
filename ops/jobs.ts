import { count } from '../cli/text.ts';
import type { ExecutionInput } from '../lambdas/shared/contract/payloads.ts';
import type { PhotoRow } from '../lambdas/shared/photos/row-types.ts';
import type { Context, Result } from './context.ts';
import { ask, chunksOf } from './database.ts';
import type { Deployment } from './deployment.ts';
import { heldLines, startPhoto, waitForAll } from './executions.ts';
import { parallel } from './parallel.ts';
import { table } from './table.ts';

/** A photo that is to be indexed again. */
export interface Job {
  row: PhotoRow;
  input: ExecutionInput;
  /** Whether IndexFaces may have to be called. */
  isPaid: boolean;
}

/** Starts an execution for each. */
export async function startAll({ deployment, progress }: Context, jobs: readonly Job[]): Promise<string[]> {
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

/** Waits for what was started, unless nobody wants that or it is held, and tells what became of the photos. */
export async function finish(
  context: Context,
  data: Record<string, unknown>,
  jobs: readonly Job[],
  { executions, left }: { executions: readonly string[]; left: readonly string[] },
): Promise<Result> {
  const { args, deployment, progress } = context;
  if (!args.wait) {
    return {
      data: { ...data, started: executions.length },
      lines: [`${count(executions.length, 'execution')} started.`, ...left],
      exitCode: 0,
    };
  }
  progress.start('Indexing', executions.length);
  const { held } = await waitForAll(deployment, executions, () => progress.done());
  progress.stop();
  const outcome = await outcomeOf(
    deployment,
    jobs.map(({ row }) => row.id),
  );
  const other = Math.max(0, outcome.other - held);
  return {
    data: { ...data, started: executions.length, ...outcome, held },
    lines: [
      ...table(
        [
          ['indexed', outcome.indexed],
          ['failed', outcome.failed],
          ...(held > 0 ? [['waiting', held] as const] : []),
          ...(other > 0 ? [['other', other] as const] : []),
        ],
        { columns: context.columns },
      ),
      ...(await heldLines(context, held)),
      ...left,
    ],
    exitCode: outcome.failed + other > 0 ? 1 : 0,
  };
}
