/** A figure over several runs. */
export interface Figure {
  median: number;
  least: number;
  most: number;
}

export interface Goal extends Figure {
  name: string;
  /** What is asked for. */
  asked: string;
  holds: boolean;
}

export interface GoalsReport {
  case: string;
  seeds: number;
  goals: Goal[];
  /** Whether all do. */
  holds: boolean;
}

export function goalsFile(name: string): string {
  return `pacing-${name}-goals.json`;
}

export function figureOf(figures: readonly number[]): Figure {
  const sorted = [...figures].sort((a, b) => a - b);
  const round = (value: number) => Number(value.toFixed(4));
  return {
    median: round(sorted[Math.floor(sorted.length / 2)]!),
    least: round(sorted[0]!),
    most: round(sorted.at(-1)!),
  };
}

export function goalsTable(goals: readonly Goal[]): string {
  const rows = [
    ['goal', 'asked', 'median', 'least', 'most', 'holds'],
    ...goals.map(({ name, asked, median, least, most, holds }) => [
      name,
      asked,
      ...[median, least, most].map((figure) => figure.toFixed(3)),
      holds ? 'yes' : 'NO',
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
