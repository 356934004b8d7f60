/**
 * `npm run bench:pacing -- --case neighbour` and `--case true-quota`: the account has less than its configured quota, and nobody
 * is told; in virtual time, ours beside the strongest that others do.
 */
import { simulate } from '../../test/support/line-simulation.ts';
import { type Figure, figureOf, type Goal, type GoalsReport } from './goals.ts';
import { type Calls, type Conditions, type Opponent, opponents, Race } from './opponents.ts';

export interface ContestCase {
  name: string;
  trueQuota: number;
  neighbour: number;
}

export const contestCases: Readonly<Record<string, ContestCase>> = {
  neighbour: { name: 'a neighbour takes 20/s', trueQuota: 50, neighbour: 20 },
  'true-quota': { name: 'configured 50/s, in truth 30/s', trueQuota: 30, neighbour: 0 },
};

/** One setting of one strategy, over all seeds, photos of one length. */
export interface Point {
  strategy: string;
  source: string;
  setting: string;
  photos: number;
  /** Share of what was left, between the first twentieth of the photos and the last. */
  steady: Figure;
  /** Seconds that the last twentieth took longer than at what was left. */
  tail: Figure;
  /** Share of what was left, from the first upload to the last accepted call. */
  whole: Figure;
  throttled: Figure;
  /** Share of the quota that the same setting uses where nobody takes anything from it. */
  alone: number;
  isOurs: boolean;
  isBound: boolean;
}

const PER_SECOND = 50;
const ASKED = { steady: 0.97, throttled: 0.015 };
/** A setting that leaves more than this of a whole quota unused is one for this case alone: nobody is told beforehand. */
export const ALONE_LEAST = 0.95;
const EDGE = 0.05;

export interface ContestReport extends GoalsReport {
  points: Point[];
}

export interface ContestOptions {
  case: ContestCase;
  seeds: number;
  lengths: readonly number[];
}

export function contest({ case: of, seeds, lengths }: ContestOptions): { points: Point[]; goals: Goal[] } {
  const seedList = Array.from({ length: seeds }, (_, i) => i + 1);
  const points = lengths.flatMap((photos) => {
    const conditions = seedList.map(
      (seed): Conditions => ({
        photos,
        perSecond: PER_SECOND,
        trueQuota: of.trueQuota,
        neighbour: of.neighbour,
        seed,
      }),
    );
    return [
      ours(conditions),
      ...opponents.flatMap((opponent) => opponent.shares.map((share) => point(opponent, share, conditions))),
    ];
  });
  return { points, goals: lengths.flatMap((photos) => goalsOf(points, photos, of)) };
}

/** The setting at which a strategy does most within the throttled calls that are asked for; else the one with the fewest. */
export function bestOf(points: readonly Point[]): Point {
  const general = points.filter(({ alone, isOurs }) => isOurs || alone >= ALONE_LEAST);
  const of = general.length > 0 ? general : points;
  const quiet = of.filter(({ throttled }) => throttled.median <= ASKED.throttled);
  return quiet.length > 0
    ? quiet.reduce((a, b) => (b.steady.median > a.steady.median ? b : a))
    : of.reduce((a, b) => (b.throttled.median < a.throttled.median ? b : a));
}

/** By medians: a short run has few cuts, and one more or less shows. The ranges are said. */
function goalsOf(points: readonly Point[], photos: number, { name }: ContestCase): Goal[] {
  const these = points.filter((each) => each.photos === photos);
  const mine = these.find(({ isOurs }) => isOurs)!;
  const of = `${photos.toLocaleString('en-US')} photos, ${name}`;
  const rivals = [...new Set(these.filter((each) => !each.isOurs).map(({ strategy }) => strategy))];
  return [
    {
      name: `${of}: steady share of what is left`,
      asked: '>= 0.97',
      ...mine.steady,
      holds: mine.steady.median >= ASKED.steady,
    },
    {
      name: `${of}: calls throttled`,
      asked: '<= 1.5 %',
      ...mine.throttled,
      holds: mine.throttled.median <= ASKED.throttled,
    },
    { name: `${of}: seconds of tail`, asked: 'said, no goal', ...mine.tail, holds: true },
    ...rivals.map((strategy): Goal => {
      const best = bestOf(these.filter((each) => each.strategy === strategy));
      const throttled = `${(100 * best.throttled.median).toFixed(1)} % throttled`;
      // Who is throttled more than is asked for is no further, whatever it uses.
      const isBehind = best.throttled.median > ASKED.throttled || best.steady.median < mine.steady.median;
      return {
        name: `${of}: steady share of ${strategy}, ${throttled}`,
        asked: best.isBound ? 'the bound' : 'below ours at <= 1.5 % throttled',
        ...best.steady,
        holds: best.isBound || isBehind,
      };
    }),
  ];
}

function point(opponent: Opponent, share: number, conditions: readonly Conditions[]): Point {
  const { name: strategy, source, isBound = false } = opponent;
  const run = (of: Conditions) => new Race(of).run((race) => opponent.start(race, share));
  const [first] = conditions;
  const alone = { ...first!, trueQuota: first!.perSecond, neighbour: 0 };
  return {
    strategy,
    source,
    setting: `${share} of ${opponent.setting.split(', of ')[1] ?? opponent.setting}`,
    isOurs: false,
    isBound,
    alone: figuresOf(run(alone), alone).steady,
    ...over(conditions, run),
  };
}

function ours(conditions: readonly Conditions[]): Point {
  const [first] = conditions;
  const alone = { ...first!, trueQuota: first!.perSecond, neighbour: 0 };
  return {
    strategy: 'Rollcall',
    source: '',
    setting: 'the quota',
    isOurs: true,
    isBound: false,
    alone: figuresOf(ourCalls(alone), alone).steady,
    ...over(conditions, ourCalls),
  };
}

function ourCalls({ photos, perSecond, trueQuota, neighbour, seed }: Conditions): Calls {
  const result = simulate({
    photos,
    perSecond,
    trueQuota,
    seed,
    startBurst: 1_300,
    ...(neighbour > 0 && { neighbour: { perSecond: neighbour } }),
  });
  return {
    acceptedMs: [...result.times.accepted].sort((a, b) => a - b),
    calls: result.calls,
    throttled: result.throttled,
    neighbourMs: result.times.neighbour,
  };
}

function over(conditions: readonly Conditions[], run: (of: Conditions) => Calls) {
  const all = conditions.map((of) => figuresOf(run(of), of));
  const figure = (name: keyof Figures) => figureOf(all.map((each) => each[name]));
  return {
    photos: conditions[0]!.photos,
    steady: figure('steady'),
    tail: figure('tail'),
    whole: figure('whole'),
    throttled: figure('throttled'),
  };
}

interface Figures {
  steady: number;
  tail: number;
  whole: number;
  throttled: number;
}

function figuresOf({ acceptedMs, calls, throttled, neighbourMs }: Calls, { trueQuota }: Conditions): Figures {
  const at = (share: number) => Math.min(acceptedMs.length - 1, Math.floor(acceptedMs.length * share));
  const left = (fromMs: number, toMs: number) =>
    ((toMs - fromMs) / 1_000) * trueQuota - neighbourMs.filter((ms) => ms > fromMs && ms <= toMs).length;
  const [from, to, end] = [at(EDGE), at(1 - EDGE), acceptedMs.length - 1];
  const [fromMs, toMs, endMs] = [acceptedMs[from]!, acceptedMs[to]!, acceptedMs[end]!];
  const leftPerSecond = left(0, endMs) / (endMs / 1_000);
  return {
    steady: (to - from) / left(fromMs, toMs),
    tail: (endMs - toMs) / 1_000 - (end - to) / leftPerSecond,
    whole: acceptedMs.length / left(0, endMs),
    throttled: throttled / calls,
  };
}
