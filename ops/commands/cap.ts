import { count } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import type { Context, Result } from '../context.ts';
import { type LedgerView, ledgerOf, readLedger } from '../ledger.ts';
import { atMost } from '../price.ts';

/** Shows how many images may be indexed a day, sets it, or goes back to the configured number. */
export async function cap(context: Context): Promise<Result> {
  const { args, deployment } = context;
  if (args.images !== undefined && args.default) {
    throw new UserError(
      '--images sets the number and --default goes back to the configured one: only one of them.',
    );
  }
  const before = await readLedger(deployment);
  if (args.images === undefined && !args.default) {
    return result(before, `${describe(before)}.`, context);
  }
  const images = args.images ?? Number(deployment.outputs.DailyImageCap);
  const after = { ...before, dailyImageCap: images, capIsSet: !args.default };
  const more = images - Math.max(before.imagesToday, before.dailyImageCap);
  const question = `Up to ${more.toLocaleString('en-US')} more images may be indexed today, which costs ${atMost(more)}. Go on?`;
  if (args.dryRun) {
    return result(before, `Would set the cap: ${describe(after)}.`, context);
  }
  if (more > 0 && !(await context.confirm(question))) {
    return result(before, 'Nothing was changed.', context);
  }
  await ledgerOf(deployment).setDailyImageCap(args.images);
  const waiting = more > 0 ? ' Photos that wait for it notice within the hour.' : '';
  return result(after, `${describe(after)}.${waiting}`, context);
}

function describe({ imagesToday, dailyImageCap, capIsSet }: LedgerView): string {
  const by = capIsSet ? 'set by an operator' : 'as configured';
  return `${count(dailyImageCap, 'image')} a day (UTC), ${by}; ${imagesToday.toLocaleString('en-US')} so far today`;
}

function result(ledger: LedgerView, line: string, { args }: Context): Result {
  return {
    data: {
      daily_image_cap: ledger.dailyImageCap,
      set_by_operator: ledger.capIsSet,
      images_today: ledger.imagesToday,
      dry_run: args.dryRun,
    },
    lines: [line],
    exitCode: 0,
  };
}
