import type { Context, Result } from '../context.ts';
import { hint } from '../hint.ts';
import { ledgerOf, readLedger } from '../ledger.ts';

/** Stops indexing for everyone; photos wait in their executions, and searches go on. */
export async function pause(context: Context): Promise<Result> {
  const { pausedSince } = await readLedger(context.deployment);
  if (pausedSince) {
    return result(pausedSince, `It has been paused since ${pausedSince}.`, context);
  }
  if (context.args.dryRun) {
    return result(null, 'Would stop indexing: photos would wait, for about six days at most.', context);
  }
  await ledgerOf(context.deployment).pause();
  return result(
    new Date(context.now()).toISOString(),
    `Paused: no billed call starts from now on, and photos wait, for about six days at most. ${hint(context.args, 'resume')} goes on.`,
    context,
  );
}

/** Resumes after a pause; waiting photos notice soon after a short pause, and within half an hour after any. */
export async function resume(context: Context): Promise<Result> {
  const { pausedSince } = await readLedger(context.deployment);
  if (!pausedSince) {
    return result(null, 'It is not paused.', context);
  }
  if (context.args.dryRun) {
    return result(pausedSince, `Would go on; it has been paused since ${pausedSince}.`, context);
  }
  await ledgerOf(context.deployment).resume();
  return result(
    null,
    'Resumed: waiting photos will notice soon after a short pause, and within half an hour after any.',
    context,
  );
}

function result(pausedSince: string | null, line: string, { args }: Context): Result {
  return { data: { paused_since: pausedSince, dry_run: args.dryRun }, lines: [line], exitCode: 0 };
}
