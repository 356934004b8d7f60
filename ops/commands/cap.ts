import { count } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import { type CountedBy, photographerCapSwitch } from '../../lambdas/shared/line/photographers.ts';
import type { Context, Result } from '../context.ts';
import { ledgerOf, readLedger } from '../ledger.ts';
import { atMost } from '../price.ts';

/** A day's images against what is allowed of them: of the account, of a photographer, or of an event without one. */
interface Cap {
  /** Whose it is, as it reads after a number of images; empty for the account's. */
  whose: string;
  /** What JSON says of it; null for the account's. */
  of: { photographer?: string; event?: string } | null;
  imagesToday: number;
  /** Images that may be indexed on this UTC day, as set or as configured. */
  now: number;
  configured: number;
  isSet: boolean;
  /** Undefined goes back to the configured number. */
  set(images: number | undefined): Promise<void>;
}

/** Shows how many images may be indexed a day, sets it, or goes back to the configured number. */
export async function cap(context: Context): Promise<Result> {
  const { args } = context;
  if (args.images !== undefined && args.default) {
    throw new UserError(
      '--images sets the number and --default goes back to the configured one: only one of them.',
    );
  }
  const before = await read(context);
  if (args.images === undefined && !args.default) {
    return result(before, `${describe(before)}.`, context);
  }
  const images = args.images ?? before.configured;
  const after = { ...before, now: images, isSet: !args.default };
  const more = images - Math.max(before.imagesToday, before.now);
  const question = `Up to ${more.toLocaleString('en-US')} more images${before.whose} may be indexed today, which costs ${atMost(more)}. Go on?`;
  if (args.dryRun) {
    return result(before, `Would set the cap: ${describe(after)}.`, context);
  }
  if (more > 0 && !(await context.confirm(question))) {
    return result(before, 'Nothing was changed.', context);
  }
  await before.set(args.images);
  const waiting = more > 0 ? ' Photos that wait for it notice within the hour.' : '';
  return result(after, `${describe(after)}.${waiting}`, context);
}

function read(context: Context): Promise<Cap> {
  const { photographer, event } = context.args;
  if (photographer !== undefined && event !== undefined) {
    throw new UserError(
      '--photographer has the cap of all events of one, and --event of one that has none: only one of them.',
    );
  }
  if (photographer !== undefined) {
    return readOne(context, { photographer });
  }
  return event === undefined ? readAccount(context) : readOne(context, { event });
}

async function readAccount({ deployment }: Context): Promise<Cap> {
  const { imagesToday, dailyImageCap, capIsSet } = await readLedger(deployment);
  return {
    whose: '',
    of: null,
    imagesToday,
    now: dailyImageCap,
    configured: Number(deployment.outputs.DailyImageCap),
    isSet: capIsSet,
    set: (images) => ledgerOf(deployment).setDailyImageCap(images),
  };
}

async function readOne({ deployment }: Context, by: CountedBy): Promise<Cap> {
  const { PhotographersTableName: table, DailyImagesPerPhotographer: configured } = deployment.outputs;
  if (table === undefined || configured === undefined) {
    throw new UserError(
      'There is no cap for a photographer here: deploy with dailyImagesPerPhotographer, or leave --photographer and --event out.',
    );
  }
  const caps = photographerCapSwitch({ dynamodb: deployment.dynamodb, table, now: Date.now });
  const view = await caps.read(by);
  if (view.photographer !== undefined) {
    throw new UserError(
      `The event is photographer ${view.photographer}'s: say --photographer ${view.photographer}.`,
    );
  }
  return {
    whose: 'event' in by ? ` of event ${by.event}` : ` of photographer ${by.photographer}`,
    of: by,
    imagesToday: view.imagesToday,
    now: view.cap ?? Number(configured),
    configured: Number(configured),
    isSet: view.cap !== undefined,
    set: (images) => caps.set(by, images),
  };
}

function describe({ whose, imagesToday, now, isSet }: Cap): string {
  const by = isSet ? 'set by an operator' : 'as configured';
  return `${count(now, 'image')}${whose} a day (UTC), ${by}; ${imagesToday.toLocaleString('en-US')} so far today`;
}

function result(cap: Cap, line: string, { args }: Context): Result {
  return {
    data: {
      ...cap.of,
      daily_image_cap: cap.now,
      set_by_operator: cap.isSet,
      images_today: cap.imagesToday,
      dry_run: args.dryRun,
    },
    lines: [line],
    exitCode: 0,
  };
}
