import { pad, printable, truncateMiddle } from '../local/cli/text.ts';

/** Aligned columns: numbers to the right, texts to the left, the last as long as it is. */
export function table(rows: readonly (readonly (string | number)[])[], columns = 120): string[] {
  const texts = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : printable(cell))),
  );
  const widths = (texts[0] ?? []).map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)));
  return texts.map((row, r) => {
    const cells = row.map((text, i) => {
      if (i === row.length - 1) {
        return text;
      }
      return pad(text, widths[i] ?? 0, typeof rows[r]?.[i] === 'number' ? 'right' : 'left');
    });
    return truncateMiddle(`  ${cells.join('  ')}`.trimEnd(), columns);
  });
}
