/** Many histories, and the shortest one for each kind of fault that they found. */
import { availableParallelism } from 'node:os';
import { check, type Violation } from './check.ts';
import { type HistoryDatabase, startHistoryDatabase } from './database.ts';
import { describe, generate, type History, shrink } from './history.ts';
import { runHistory } from './run.ts';

export interface CampaignOptions {
  seeds: Iterable<number>;
  onHistory?(done: number, violating: number): void;
}

export interface CampaignReport {
  histories: number;
  /** Histories in which something did not hold. */
  violations: number;
  /** Calls of IndexFaces that took effect. */
  paid: number;
  /** Faces that searches showed, and changes that followers of the feed were told. */
  shown: number;
  told: number;
  seconds: number;
  /** The seeds that found each class of violation. */
  classes: Map<string, number[]>;
}

export interface Campaign {
  run(options: CampaignOptions): Promise<CampaignReport>;
  /** What does not hold at the end of one history. */
  play(history: History): Promise<Violation[]>;
  /** The shortest history of a seed that still fails in this way, with what its steps did. */
  explain(
    seed: number,
    violation: string,
  ): Promise<{ history: History; violations: Violation[]; trace: string[] }>;
  stop(): Promise<void>;
}

export async function startCampaign(lanes = availableParallelism()): Promise<Campaign> {
  const databases = await Promise.all(Array.from({ length: lanes }, startHistoryDatabase));
  return {
    run: (options) => run(databases, options),
    async play(history) {
      return (await violationsOf(history, { database: databases[0]! })).violations;
    },
    async explain(seed, violation) {
      const options = { database: databases[0]! };
      const fails = async (history: History) =>
        (await violationsOf(history, options)).violations.some((one) => one.class === violation);
      const history = await shrink(generated(seed), fails);
      return { history, ...(await violationsOf(history, { ...options, trace: true })) };
    },
    async stop() {
      await Promise.all(databases.map((database) => database.stop()));
    },
  };
}

function generated(seed: number): History {
  return generate(seed, { loseEvents: true });
}

async function violationsOf(history: History, options: Parameters<typeof runHistory>[1]) {
  const chronicle = await runHistory(history, options);
  return {
    violations: check(chronicle),
    trace: chronicle.trace,
    paid: chronicle.world.paid.length,
    shown: chronicle.searches.reduce((sum, { faces }) => sum + faces.length, 0),
    told: chronicle.told,
  };
}

/** One history at a time in each database: the turn to erase, and what is over, are the whole database's. */
async function run(
  databases: readonly HistoryDatabase[],
  { seeds, onHistory }: CampaignOptions,
): Promise<CampaignReport> {
  const startedMs = Date.now();
  const report: CampaignReport = {
    histories: 0,
    violations: 0,
    paid: 0,
    shown: 0,
    told: 0,
    seconds: 0,
    classes: new Map(),
  };
  const queue = seeds[Symbol.iterator]();
  const lane = async (database: HistoryDatabase) => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      const seed = next.value;
      const history = generated(seed);
      const { violations, paid, shown, told } = await violationsOf(history, { database });
      report.histories += 1;
      report.violations += violations.length > 0 ? 1 : 0;
      report.paid += paid;
      report.shown += shown;
      report.told += told;
      for (const name of new Set(violations.map((violation) => violation.class))) {
        const found = report.classes.get(name) ?? [];
        found.push(seed);
        report.classes.set(name, found);
      }
      onHistory?.(report.histories, report.violations);
    }
  };
  await Promise.all(databases.map(lane));
  report.seconds = (Date.now() - startedMs) / 1_000;
  for (const found of report.classes.values()) {
    found.sort((a, b) => a - b);
  }
  return report;
}

/** A violating history as lines, with its seed. */
export function render(
  name: string,
  { history, violations, trace }: Awaited<ReturnType<Campaign['explain']>>,
): string {
  const own = violations.filter((violation) => violation.class === name);
  return [
    `${name} (seed ${history.seed}): ${own[0]?.detail ?? 'gone when run again'}`,
    `  sequencers ${history.sequencers}, the ${history.drain} execution comes to its end first`,
    ...history.steps.map((step) => `  ${describe(step)}`),
    '  what happened:',
    ...trace.map((line) => `    ${line}`),
  ].join('\n');
}

/** The same in one line. */
export function renderShort({ history }: Awaited<ReturnType<Campaign['explain']>>): string {
  return [
    ...history.steps.map(describe),
    ...(history.sequencers === 'varied' ? ['(varied sequencers)'] : []),
    ...(history.drain === 'newest' ? ['(the newest ends first)'] : []),
  ].join('; ');
}
