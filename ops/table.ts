import { displayWidth, pad, printable, truncateMiddle, wrap } from '../cli/text.ts';
import { isUuid } from '../lambdas/shared/contract/photo-key.ts';

const INDENT = '  ';
const GAP = '  ';

/** A text is not cut below this: less of it says nothing. */
const MIN_WIDTH = 12;

/** Where nothing is cut, a longer cell pushes the rest of its row aside, and not that of all others. */
const MAX_PAD = 60;

type Cell = string | number;

/**
 * Aligned columns: numbers to the right, texts to the left, the last as long as it is.
 *
 * In a terminal every line fits: texts are cut in their middle, the longest first; numbers and ids, which are copied, never. What
 * then has no room stands on lines of its own below its row.
 *
 * @param options.columns the terminal's width; undefined for a pipe, in which nothing is cut
 */
export function table(
  rows: readonly (readonly Cell[])[],
  { columns }: { columns: number | undefined },
): string[] {
  const texts = rows.map((row) => row.map(textOf));
  const count = Math.max(0, ...texts.map(({ length }) => length));
  const widths = Array.from({ length: count }, (_, i) =>
    Math.max(...texts.map((row) => displayWidth(row[i] ?? ''))),
  );
  const whole = widths.map((_, i) => rows.some((row) => isWhole(row[i])));
  const inRow = columns === undefined ? count : narrow(widths, whole, columns);
  return texts.flatMap((row, r) => {
    const cells = row.slice(0, inRow).map((text, i) => {
      const width = widths[i]!;
      const cut = columns === undefined || whole[i] ? text : truncateMiddle(text, width);
      const isNumber = typeof rows[r]![i] === 'number';
      if (i === row.length - 1 && !isNumber) {
        return cut;
      }
      return pad(cut, columns === undefined ? Math.min(width, MAX_PAD) : width, isNumber ? 'right' : 'left');
    });
    const below = row
      .slice(inRow)
      .filter((text) => text !== '')
      .flatMap((text) => (columns === undefined ? [text] : wrapped(text, columns - 2 * INDENT.length)));
    return [`${INDENT}${cells.join(GAP)}`.trimEnd(), ...below.map((text) => `${INDENT}${INDENT}${text}`)];
  });
}

/** Narrows texts until a row fits, in place; returns how many cells of a row stand on its line. */
function narrow(widths: number[], whole: readonly boolean[], columns: number): number {
  for (let inRow = widths.length; inRow > 1; inRow--) {
    const tried = widths.slice(0, inRow);
    const over = () =>
      INDENT.length + tried.reduce((sum, width) => sum + width, 0) + GAP.length * (inRow - 1) - columns;
    while (over() > 0) {
      const widest = tried.reduce(
        (found, width, i) => (!whole[i] && width > MIN_WIDTH && width > (tried[found] ?? 0) ? i : found),
        -1,
      );
      if (widest === -1) {
        break;
      }
      tried[widest]!--;
    }
    if (over() <= 0) {
      tried.forEach((width, i) => {
        widths[i] = width;
      });
      return inRow;
    }
  }
  widths[0] = whole[0] ? widths[0]! : Math.min(widths[0] ?? 0, columns - INDENT.length);
  return 1;
}

/** Over as many lines as it takes; an id stays whole even where it is wider than the terminal. */
function wrapped(text: string, width: number): string[] {
  return isUuid(text) ? [text] : wrap(text, Math.max(width, MIN_WIDTH));
}

function textOf(cell: Cell): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : printable(cell);
}

function isWhole(cell: Cell | undefined): boolean {
  return typeof cell === 'number' || isUuid(cell ?? '');
}
