import type { UsageRow } from '../../lambdas/answer-operator/questions.ts';
import { IMAGE_USD, listPrices, PRICES_OF } from '../../lambdas/shared/contract/prices.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import { type LedgerView, readLedger } from '../ledger.ts';
import { known, type Part, part, problemsOf } from '../parts.ts';
import { dollars } from '../price.ts';
import { table } from '../table.ts';
import { DATABASE } from '../time-limit.ts';

/** Longer lists are for `--json`. */
const SHOWN = 50;

/** What was billed, by event, photographer or day, at list prices. Today's images are known without the database. */
export async function cost({ args, deployment, columns, now, limit }: Context): Promise<Result> {
  const { by, since } = args;
  const [usage, summary, ledger] = await Promise.all([
    part(ask(deployment, { ask: 'usage', by, ...(since && { since }) }), limit.first, DATABASE),
    part(ask(deployment, { ask: 'summary' }), limit.first, DATABASE),
    part(readLedger(deployment, now), limit.first, 'DynamoDB'),
  ]);
  const problems = problemsOf([usage, summary, ledger]);
  const { rows, total } = known(usage) ?? { rows: null, total: null };
  const storedFaces = known(summary)?.faces ?? null;
  const facesUsdAMonth = storedFaces === null ? null : storedFaces * listPrices.faceMonth;
  const data = {
    by,
    since: since ?? null,
    rows:
      rows?.map(({ key, name, ...paid }) => ({ [by]: key, ...(by === 'event' && { name }), ...paid })) ??
      null,
    total,
    images_today: known(ledger)?.imagesToday ?? null,
    stored_faces: storedFaces,
    stored_faces_usd_per_month: facesUsdAMonth,
    prices: PRICES_OF,
    problems,
  };
  const hidden = (rows?.length ?? 0) - SHOWN;
  // The latest days, the costliest of the others.
  const shown = by === 'day' ? rows?.slice(-SHOWN) : rows?.slice(0, SHOWN);
  const lines = [
    ...(shown && total
      ? [
          ...table(
            [
              ['images', 'faces', 'dollars', by],
              ...shown.map((row) => [row.images, row.faces, dollars(row.estimated_usd), ...nameOf(row)]),
              [total.images, total.faces, dollars(total.estimated_usd), since ? `all since ${since}` : 'all'],
            ],
            { columns },
          ),
          ...(hidden > 0 ? [`  ${hidden} more: --json has them.`] : []),
          '',
        ]
      : []),
    ...problems.map((problem) => `Not known: ${problem}`),
    ...todayLine(ledger),
    ...(storedFaces === null || facesUsdAMonth === null
      ? []
      : [`Stored faces: ${storedFaces.toLocaleString('en-US')}, ${dollars(facesUsdAMonth)} a month.`]),
    `At the list prices of ${PRICES_OF.region}, ${PRICES_OF.date}; the database comes on top (docs/cost.md).`,
  ];
  return { data, lines, exitCode: problems.length > 0 ? 1 : 0 };
}

function todayLine(ledger: Part<LedgerView>): string[] {
  const view = known(ledger);
  return view
    ? [
        `Today (UTC): ${view.imagesToday.toLocaleString('en-US')} images, ${dollars(view.imagesToday * IMAGE_USD)}.`,
      ]
    : [];
}

function nameOf({ key, name }: UsageRow): string[] {
  return [key ?? '(no photographer)', ...(name ? [name] : [])];
}
