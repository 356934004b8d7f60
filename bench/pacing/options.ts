import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench-options.ts';
import { strategyNames } from './strategies/index.ts';

/** What the benchmark calls the strategy of Rollcall's own. */
export const OURS = 'slot-ledger';

export class UsageError extends Error {}

const USAGE = `npm run bench:pacing -- [options]

  --case NAME          one of the cases below; other options override it. fairness, changing-quota, first-photo and, without
                       --strategy, neighbour and true-quota say of each goal whether it holds, and have options of their
                       own (--case fairness --help)
  --photos N           3000
  --quota TPS          the configured quota, 50
  --true-quota TPS     what Rekognition really allows; default: the quota
  --latency-ms MEDIAN  of IndexFaces, 600
  --neighbour TPS      calls of somebody else in the account, 0
  --stop SECONDS       the service answers every call with a 500 for so long, in the middle
  --backfill N         photos of the backfill lane, started before the live ones; slot ledger only
  --pause SECONDS      an operator pauses indexing for so long, in the middle; slot ledger only
  --starts TPS         live photos uploaded per second, 150
  --strategy NAME      only this one (may be given more than once)
  --limit SECONDS      stops a strategy that takes longer; default: three times the ideal, at least 120
  --seed N             1
  --out FOLDER         bench/results
  --json               the last line of stdout is one JSON object
  --document           makes docs/pacing.md of the results in FOLDER: of all cases with --strategy slot-ledger, and of
                       those that were also run with other strategies. Its part of goals needs only the cases that have
                       them, whose results must be there
`;

/** The cases that the README shows. */
export const cases: Record<string, Partial<Record<string, string>>> = {
  'latency-200': { 'latency-ms': '200' },
  'latency-600': { 'latency-ms': '600' },
  'latency-2000': { 'latency-ms': '2000' },
  'quota-5': { quota: '5', photos: '300' },
  neighbour: { neighbour: '20' },
  'true-quota': { 'true-quota': '30' },
  stop: { stop: '20', strategy: 'slot-ledger' },
  lanes: { backfill: '5000', photos: '250', starts: '2.5', strategy: 'slot-ledger' },
  pause: { pause: '15', photos: '1500', strategy: 'slot-ledger' },
};

/** @throws UsageError in one line that says what was wrong */
export function parseOptions(args: string[]): BenchOptions | 'help' {
  const string = { type: 'string' } as const;
  let values: Partial<Record<string, string | boolean | string[]>>;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        case: string,
        photos: string,
        quota: string,
        'true-quota': string,
        'latency-ms': string,
        neighbour: string,
        stop: string,
        backfill: string,
        pause: string,
        starts: string,
        strategy: { type: 'string', multiple: true },
        limit: string,
        seed: string,
        out: string,
        json: { type: 'boolean' },
        document: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]);
  }
  if (values.help) {
    return 'help';
  }
  const preset = values.case === undefined ? {} : cases[String(values.case)];
  if (!preset) {
    throw new UsageError(`There is no case ${values.case}. There are: ${Object.keys(cases).join(', ')}`);
  }
  const number = (name: string, fallback: number, { least, whole }: { least: number; whole?: boolean }) => {
    const given = values[name] ?? preset[name];
    const value = given === undefined ? fallback : Number(given);
    if (!Number.isFinite(value) || value < least || (whole && !Number.isInteger(value))) {
      throw new UsageError(
        `--${name} takes a ${whole ? 'whole ' : ''}number of at least ${least}, not "${given}"`,
      );
    }
    return value;
  };
  const photos = number('photos', 3_000, { least: 1, whole: true });
  const quota = number('quota', 50, { least: 0.5 });
  const trueQuota = number('true-quota', quota, { least: 0.5 });
  const neighbour = number('neighbour', 0, { least: 0 });
  const backfill = number('backfill', 0, { least: 0, whole: true });
  const left = trueQuota - neighbour;
  if (left <= 0) {
    throw new UsageError(`A neighbour of ${neighbour}/s leaves nothing of a quota of ${trueQuota}/s`);
  }
  const idealS = (photos + backfill) / left;
  const middle = (name: string) => {
    const forS = number(name, 0, { least: 0 });
    return forS > 0 ? { afterS: Math.round(idealS / 2), forS } : undefined;
  };
  const strategies =
    (values.strategy as string[] | undefined) ?? (preset.strategy ? [preset.strategy] : strategyNames);
  for (const name of strategies) {
    if (!strategyNames.includes(name)) {
      throw new UsageError(`There is no strategy ${name}. There are: ${strategyNames.join(', ')}`);
    }
  }
  const [stop, pause] = [middle('stop'), middle('pause')];
  if ((pause || backfill > 0) && strategies.some((name) => name !== 'slot-ledger')) {
    throw new UsageError('Only the slot ledger knows lanes and pauses: add --strategy slot-ledger');
  }
  return {
    photos,
    quota,
    trueQuota,
    latencyMs: number('latency-ms', 600, { least: 1 }),
    neighbour,
    stop,
    backfill,
    startsPerSecond: number('starts', 150, { least: 0.1 }),
    pause,
    strategies,
    limitS: number('limit', Math.max(120, 3 * idealS) + (stop?.forS ?? 0) + (pause?.forS ?? 0) * 4, {
      least: 1,
    }),
    seed: number('seed', 1, { least: 0, whole: true }),
    json: values.json === true,
    document: values.document === true,
    out: String(values.out ?? 'bench/results'),
    name: fileName(String(values.case ?? 'custom'), strategies.length > 1),
  };
}

/** Ours by itself and beside the others are two results: the others are rarely run at full length. */
export function fileName(caseName: string, compared: boolean): string {
  return `pacing-${caseName}${compared ? '-compared' : ''}`;
}

export function usage(): string {
  return `${USAGE}\nCases: ${Object.keys(cases).join(', ')}\nStrategies: ${strategyNames.join(', ')}\n`;
}
