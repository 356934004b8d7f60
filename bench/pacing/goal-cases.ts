/** The cases that say of each goal whether it holds: most in virtual time, by the line's own rules. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { changingQuotaGoals } from './changing-quota.ts';
import { type ContestReport, contest, contestCases } from './contest.ts';
import { fairnessGoals } from './fairness.ts';
import { firstPhotoGoals } from './first-photo.ts';
import { type Goal, type GoalsReport, goalsFile, goalsTable } from './goals.ts';
import { UsageError } from './options.ts';

type Outcome = Goal[] | Pick<ContestReport, 'goals' | 'points'>;
type Run = (options: { seeds: number; photos: number | undefined }) => Outcome | Promise<Outcome>;

const CONTEST_LENGTHS = [1_000, 3_000];

/** Of a contest by medians: its runs have few cuts, and differ by more than what is asked about. */
const CONTEST_SEEDS = 15;
const SEEDS = 5;

const runs: Readonly<Record<string, Run>> = {
  fairness: ({ seeds, photos: mixed = 50_000 }) => fairnessGoals({ seeds, mixed, lengths: [2_000, 10_000] }),
  'changing-quota': ({ seeds }) => changingQuotaGoals({ seeds, lengths: [9_600, 19_200] }),
  'first-photo': ({ seeds, photos = 30 }) => firstPhotoGoals({ seeds, photos }),
  ...Object.fromEntries(
    Object.entries(contestCases).map(([name, of]): [string, Run] => [
      name,
      ({ seeds }) => contest({ case: of, seeds, lengths: CONTEST_LENGTHS }),
    ]),
  ),
};

const USAGE = `npm run bench:pacing -- --case ${Object.keys(runs).join('|')} [options]

  --seeds N    ${SEEDS}; ${Object.keys(contestCases).join(' and ')}: ${CONTEST_SEEDS}
  --photos N   fairness: of 200 events of all sizes together, 50000; 1000000 takes minutes. first-photo: of each seed, 30
  --out FOLDER bench/results; docs/pacing.md is made of what lies there
  --json       the last line of stdout is one JSON object

  In virtual time, but first-photo. With --strategy, neighbour and true-quota run the real handlers by the clock instead.
`;

/** @returns undefined where the arguments name none of these cases */
export function goalsCase(args: readonly string[]): string | undefined {
  const at = args.indexOf('--case');
  const name = at < 0 ? undefined : args[at + 1];
  const isByTheClock = args.some((arg) => arg.split('=')[0] === '--strategy');
  return isByTheClock ? undefined : Object.keys(runs).find((each) => each === name);
}

/**
 * @returns what to print
 * @throws UsageError in one line that says what was wrong
 */
export async function runGoals(name: string, args: string[]): Promise<string> {
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
  const count = (option: 'seeds' | 'photos', least: number) => {
    if (values[option] === undefined) {
      return undefined;
    }
    const value = Number(values[option]);
    if (!Number.isInteger(value) || value < least) {
      throw new UsageError(`--${option} takes a whole number of at least ${least}, not "${values[option]}"`);
    }
    return value;
  };
  const seeds = count('seeds', 1) ?? (contestCases[name] ? CONTEST_SEEDS : SEEDS);
  const photos = count('photos', name === 'fairness' ? 2_000 : 1);
  const outcome = await runs[name]!({ seeds, photos });
  const result = Array.isArray(outcome) ? { goals: outcome } : outcome;
  const report: GoalsReport = {
    case: name,
    seeds,
    ...result,
    holds: result.goals.every(({ holds }) => holds),
  };
  const out = values.out ?? 'bench/results';
  mkdirSync(out, { recursive: true });
  writeFileSync(path.join(out, goalsFile(name)), `${JSON.stringify(report)}\n`);
  return `${goalsTable(result.goals)}\n${values.json ? `\n${JSON.stringify(report)}\n` : ''}`;
}
