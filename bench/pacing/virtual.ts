/** The cases that are run in virtual time, by the line's own rules, and say of each goal whether it holds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fairnessGoals } from './fairness.ts';
import { type GoalsReport, goalsFile, goalsTable } from './goals.ts';
import { UsageError } from './options.ts';

export const virtualCases = ['fairness'] as const;

const USAGE = `npm run bench:pacing -- --case fairness [options]

  --seeds N    5
  --photos N   of 200 events of all sizes together, 50000; 1000000 takes minutes
  --out FOLDER bench/results; docs/pacing.md is made of what lies there
  --json       the last line of stdout is one JSON object
`;

/** @returns undefined where the arguments name none of these cases */
export function virtualCase(args: readonly string[]): string | undefined {
  const at = args.indexOf('--case');
  const name = at < 0 ? undefined : args[at + 1];
  return virtualCases.find((each) => each === name);
}

/**
 * @returns what to print
 * @throws UsageError in one line that says what was wrong
 */
export function runVirtual(args: string[]): string {
  const string = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  let values: { seeds?: string; photos?: string; out?: string; json?: boolean; help?: boolean };
  try {
    ({ values } = parseArgs({
      args,
      options: { case: string, seeds: string, photos: string, out: string, json: flag, help: flag },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]);
  }
  if (values.help) {
    return USAGE;
  }
  const count = (name: 'seeds' | 'photos', fallback: number, least: number) => {
    const value = values[name] === undefined ? fallback : Number(values[name]);
    if (!Number.isInteger(value) || value < least) {
      throw new UsageError(`--${name} takes a whole number of at least ${least}, not "${values[name]}"`);
    }
    return value;
  };
  const seeds = count('seeds', 5, 1);
  const mixed = count('photos', 50_000, 2_000);
  const goals = fairnessGoals({ seeds, mixed, lengths: [2_000, 10_000] });
  const report: GoalsReport = { case: 'fairness', seeds, goals, holds: goals.every(({ holds }) => holds) };
  const out = values.out ?? 'bench/results';
  mkdirSync(out, { recursive: true });
  writeFileSync(path.join(out, goalsFile('fairness')), `${JSON.stringify(report)}\n`);
  return `${goalsTable(goals)}\n${values.json ? `\n${JSON.stringify(report)}\n` : ''}`;
}
