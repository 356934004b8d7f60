import { count, formatDuration } from '../cli/text.ts';
import { nextDay } from '../lambdas/shared/line/rules.ts';
import type { Arguments } from './arguments.ts';
import { hint } from './hint.ts';
import type { LedgerView } from './ledger.ts';

/** Why nothing is billed at the moment; undefined when nothing holds the photos. */
export function holdOf(ledger: LedgerView): 'paused' | 'cap' | undefined {
  if (ledger.imagesToday >= ledger.dailyImageCap) {
    return 'cap';
  }
  return ledger.pausedSince === null ? undefined : 'paused';
}

/** What holds the photos, and what lets them go on: a sentence for each. */
export function holdLines(
  args: Pick<Arguments, 'local' | 'stack'>,
  ledger: LedgerView,
  nowMs: number,
): string[] {
  const { pausedSince, imagesToday, dailyImageCap } = ledger;
  return [
    ...(pausedSince === null
      ? []
      : [`Indexing has been paused since ${pausedSince}. ${hint(args, 'resume')} goes on.`]),
    ...(imagesToday < dailyImageCap
      ? []
      : [
          `Today's ${count(dailyImageCap, 'image')} are used up. Indexing goes on at 00:00 UTC, in ${formatDuration(nextDay(nowMs) - nowMs)}, or with a larger cap: ${hint(args, 'cap --images N')}.`,
        ]),
  ];
}
