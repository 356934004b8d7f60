import type { UsageRow } from '../../lambdas/answer-operator/questions.ts';
import { listPrices, PRICES_OF } from '../../lambdas/shared/prices.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import { table } from '../table.ts';

/** Longer lists are for `--json`. */
const SHOWN = 50;

/** What was paid, by event, photographer or day, at list prices. */
export async function cost({ args, deployment }: Context): Promise<Result> {
  const { by, since } = args;
  const [{ rows, total }, { faces: storedFaces }] = await Promise.all([
    ask(deployment, { ask: 'usage', by, ...(since && { since }) }),
    ask(deployment, { ask: 'summary' }),
  ]);
  const facesUsdAMonth = storedFaces * listPrices.faceMonth;
  const data = {
    by,
    since: since ?? null,
    rows: rows.map(({ key, name, ...usage }) => ({ [by]: key, ...(by === 'event' && { name }), ...usage })),
    total,
    stored_faces: storedFaces,
    stored_faces_usd_per_month: facesUsdAMonth,
    prices: PRICES_OF,
  };
  const hidden = rows.length - SHOWN;
  // The latest days, the costliest of the others.
  const shown = by === 'day' ? rows.slice(-SHOWN) : rows.slice(0, SHOWN);
  const lines = [
    ...table([
      ['images', 'faces', 'dollars', by],
      ...shown.map((row) => [row.images, row.faces, dollars(row.estimated_usd), nameOf(row)]),
      [total.images, total.faces, dollars(total.estimated_usd), since ? `all since ${since}` : 'all'],
    ]),
    ...(hidden > 0 ? [`  ${hidden} more: --json has them.`] : []),
    '',
    `Stored faces: ${storedFaces.toLocaleString('en-US')}, ${dollars(facesUsdAMonth)} a month.`,
    `At the list prices of ${PRICES_OF.region}, ${PRICES_OF.date}; the database comes on top (docs/cost.md).`,
  ];
  return { data, lines, exitCode: 0 };
}

function nameOf({ key, name }: UsageRow): string {
  return [key ?? '(no photographer)', name].filter(Boolean).join(' ');
}

function dollars(usd: number): string {
  return `$${usd.toFixed(2)}`;
}
