/** `npm run bench:pacing -- --case fairness`: events beside each other in one line, in virtual time. */
import { type SimulationResult, simulate } from '../../test/support/line-simulation.ts';
import { lognormal, seededRandom } from '../../test/support/random.ts';
import { type Upload, uploads } from '../../test/support/uploads.ts';
import { fairEnds } from './fluid.ts';
import { type Figure, figureOf, type Goal } from './goals.ts';

export interface FairnessOptions {
  seeds: number;
  /** Of the large event. */
  lengths: readonly number[];
  /** Of the 200 events together. */
  mixed: number;
}

const SMALL = 20;
const TEN = 10;
const MIXED_EVENTS = 200;
/** What a pipeline takes by itself, beside which ten per cent of a short wait are nothing. */
const ITSELF_S = 5;

export function fairnessGoals({ seeds, lengths, mixed }: FairnessOptions): Goal[] {
  const seedList = Array.from({ length: seeds }, (_, i) => i + 1);
  const goals: Goal[] = [];
  const ordinary: Run[] = [];
  for (const perSecond of [50, 5]) {
    for (const photos of lengths) {
      const runs = seedList.map((seed) => besideLarge(photos, perSecond, seed));
      ordinary.push(...runs.map(({ run }) => run));
      const of = `${SMALL} photos beside ${photos.toLocaleString('en-US')}, ${perSecond}/s`;
      goals.push(
        goal(
          `${of}: their p95, over alone`,
          runs.map(({ ratio }) => ratio),
          (most) => most <= 2,
          '<= 2',
        ),
        goal(
          `${of}: the large one's end, over what the work adds`,
          runs.map(({ largeOver }) => largeOver),
          (most) => most <= 1.01,
          '<= 1.01',
        ),
      );
    }
    const photos = Math.max(20, Math.round(lengths.at(-1)! / TEN));
    const runs = seedList.map((seed) => tenAtOnce(photos, perSecond, seed));
    ordinary.push(...runs.map(({ run }) => run));
    goals.push(
      goal(
        `ten events of ${photos.toLocaleString('en-US')} at once, ${perSecond}/s: the last end over the first`,
        runs.map(({ spread }) => spread),
        (most) => most <= 1.1,
        '<= 1.10',
      ),
    );
  }
  goals.push(
    goal(
      'quota used in all of these',
      ordinary.map(({ quotaUsed }) => quotaUsed),
      (_, least) => least >= 0.97,
      '>= 0.97',
    ),
    goal(
      'calls throttled',
      ordinary.map(({ throttled }) => throttled),
      (most) => most <= 0.001,
      '<= 0.1 %',
    ),
    goal(
      'transitions a photo',
      ordinary.map(({ transitions }) => transitions),
      (most) => most <= 5.2,
      '<= 5.2',
    ),
  );
  const all = manyEvents(mixed, 50, 1);
  const many = `${mixed.toLocaleString('en-US')} photos of ${MIXED_EVENTS} events, 50/s`;
  goals.push(
    goal(
      `${many}: events later than their fair share + 10 % and ${ITSELF_S} s`,
      [all.late],
      (most) => most === 0,
      '0',
    ),
    goal(`${many}: the worst of them, over its fair share`, [all.worst], (most) => most <= 1.1, '<= 1.10'),
    goal(
      `${many}: pairs of an hour that end in the order of size, over those by fair shares`,
      [all.inOrder],
      (_, least) => least >= 0.99,
      '>= 0.99',
    ),
    goal(`${many}: transitions a photo`, [all.run.transitions], () => true, 'said, no goal'),
  );
  return goals;
}

interface Run {
  quotaUsed: number;
  throttled: number;
  transitions: number;
}

function runOf(result: SimulationResult): Run {
  return {
    quotaUsed: result.quotaUsed,
    throttled: result.throttled / result.calls,
    transitions: result.transitions / result.indexed,
  };
}

/** Seconds from the upload to Rekognition's answer, sorted. */
function waits(of: readonly Upload[], event: number, perSecond: number, seed: number) {
  const arrivals = uploads(of, seed);
  const result = simulate({ photos: arrivals.events.length, arrivals, perSecond, seed });
  const mine = Array.from(arrivals.events.keys()).filter((photo) => arrivals.events[photo] === event);
  const { answered, uploaded } = result.times;
  return {
    result,
    sorted: mine.map((photo) => (answered[photo]! - uploaded[photo]!) / 1_000).sort((a, b) => a - b),
  };
}

function p95(sorted: readonly number[]): number {
  return sorted[Math.floor(0.95 * (sorted.length - 1))]!;
}

function besideLarge(photos: number, perSecond: number, seed: number) {
  // While most of the large one's photos are still waiting.
  const small: Upload = { event: 1, photos: SMALL, atMs: (photos / perSecond) * 300 };
  const large: Upload = { event: 0, photos, atMs: 0 };
  const alone = waits([small], 1, perSecond, seed).sorted;
  const { result, sorted } = waits([large, small], 1, perSecond, seed);
  const largeAlone = waits([large], 0, perSecond, seed).result.seconds;
  return {
    ratio: p95(sorted) / p95(alone),
    largeOver: result.seconds / (largeAlone + SMALL / perSecond),
    run: runOf(result),
  };
}

function tenAtOnce(photos: number, perSecond: number, seed: number) {
  const of = Array.from({ length: TEN }, (_, event): Upload => ({ event, photos, atMs: 0 }));
  const arrivals = uploads(of, seed);
  const result = simulate({ photos: arrivals.events.length, arrivals, perSecond, seed });
  const ends = endsOf(arrivals.events, result.times.accepted);
  return { spread: Math.max(...ends.values()) / Math.min(...ends.values()), run: runOf(result) };
}

/** Six hours, each with a sixth of the events within its first ten minutes, by photographers who upload 20 photos a second. */
function manyEvents(photos: number, perSecond: number, seed: number) {
  const random = seededRandom(seed);
  const sizes = Array.from({ length: MIXED_EVENTS }, () => lognormal(random, 1, 1.4));
  const sum = sizes.reduce((a, b) => a + b, 0);
  const hourMs = (3_600_000 * photos) / 1_000_000;
  const of = sizes.map(
    (size, event): Upload => ({
      event,
      photos: Math.max(5, Math.round((size / sum) * photos)),
      atMs: Math.floor((event / MIXED_EVENTS) * 6) * hourMs + (random() * hourMs) / 6,
      perSecond: 20,
    }),
  );
  const arrivals = uploads(of, seed);
  const result = simulate({ photos: arrivals.events.length, arrivals, perSecond, seed, startBurst: 1_300 });
  const ends = endsOf(arrivals.events, result.times.accepted);
  const fair = fairEnds(arrivals, result.times);
  const over = of.map(({ event, atMs }) => ({
    took: (ends.get(event)! - atMs) / 1_000,
    fair: (fair.get(event)! - atMs) / 1_000,
  }));
  const late = over.filter(({ took, fair: share }) => took > 1.1 * share + ITSELF_S);
  return {
    late: late.length,
    worst: Math.max(1, ...late.map(({ took, fair: share }) => took / share)),
    inOrder: ordered(of, ends, hourMs) / ordered(of, fair, hourMs),
    run: runOf(result),
  };
}

/** Of the pairs of one hour of which one is twice as large, those in which the smaller one ends first. */
function ordered(of: readonly Upload[], ends: ReadonlyMap<number, number>, hourMs: number): number {
  let pairs = 0;
  let right = 0;
  for (const a of of) {
    for (const b of of) {
      if (Math.floor(a.atMs / hourMs) === Math.floor(b.atMs / hourMs) && a.photos >= 2 * b.photos) {
        pairs++;
        right += ends.get(b.event)! <= ends.get(a.event)! ? 1 : 0;
      }
    }
  }
  return right / Math.max(1, pairs);
}

function endsOf(events: Int32Array, acceptedMs: Float64Array): Map<number, number> {
  const ends = new Map<number, number>();
  for (const [photo, event] of events.entries()) {
    ends.set(event, Math.max(ends.get(event) ?? 0, acceptedMs[photo]!));
  }
  return ends;
}

/** @param holds of the most and the least of the figures: every run counts, not their median */
function goal(
  name: string,
  figures: readonly number[],
  holds: (most: number, least: number) => boolean,
  asked: string,
): Goal {
  const figure: Figure = figureOf(figures);
  return { name, asked, ...figure, holds: holds(figure.most, figure.least) };
}
