/** `npm run faults`: photos through faults at every boundary, and what must hold. */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runCommand } from '../../cli/command.ts';
import { count, formatDuration } from '../../cli/text.ts';
import { exitCodes, UserError } from '../../cli/user-error.ts';
import { freePort } from '../support/free-port.ts';
import { runSeed, type SeedReport } from './campaign.ts';
import { CAMPAIGN_TIME, type Harness, type HarnessOptions, startHarness } from './harness.ts';
import { runHistories } from './histories.ts';
import {
  backfillInTwoGoes,
  CAPPED,
  databaseAway,
  databaseGone,
  IMAGES_OF_ONE,
  photographerCap,
  type ScenarioReport,
} from './scenarios.ts';

const usage = `Usage: npm run faults -- [--seed N] [--seeds N] [--photos N] [--json]
       npm run faults -- --scenario NAME [--photos N] [--seed N] [--json]
       npm run faults -- --histories N [--seed S] [--table] [--json]

Sends photos through the local pipeline, uploads them again, copies, renames and deletes them, erases people and an event,
while faults strike at every boundary; lets the scheduled reconciliation mend what it finds, then the operator's commands, and
checks what must hold. With --histories: random orders of uploads, deletions, erasures and faults through the state machines and functions alone.

  --seed N     the first seed (1, of histories a random one); the same seed strikes at the same places
  --seeds N    how many seeds (1)
  --photos N   photos a seed (200)
  --scenario   database-away (PostgreSQL for a minute, in real time), database-gone (for longer than all retries), backfill
               (stopped in its middle and started again) or photographer-cap (reached and raised while faults strike) instead
               of seeds
  --histories  how many histories, each of a seed of its own
  --table      the shortest history of each kind of violation in one line, and not only of the most frequent one in full
  --json       one line of JSON a seed; of histories one for all, as the last line
`;

const scenarios: Record<
  string,
  Pick<HarnessOptions, 'time' | 'context'> & {
    run(harness: Harness, photos: number, seed: number): Promise<ScenarioReport>;
  }
> = {
  'database-away': {
    time: { retries: 1, lambdas: 1, queues: 0.01 },
    run: (harness, photos) => databaseAway(harness, { photos, awayMs: 60_000 }),
  },
  'database-gone': {
    time: { retries: 0.01, lambdas: 1, queues: 0.01 },
    run: (harness, photos) => databaseGone(harness, { photos }),
  },
  backfill: {
    time: { retries: 1, lambdas: 1, queues: 0.01 },
    run: (harness, photos) =>
      backfillInTwoGoes(harness, { objects: photos, indexed: Math.round(photos * 0.4) }),
  },
  'photographer-cap': {
    ...CAPPED,
    run: (harness, photos, seed) => photographerCap(harness, { photos, seed }),
  },
};

await runCommand({ usage: () => usage, what: 'The campaign', run: strike });

async function strike(): Promise<number> {
  const options = readOptions();
  const { seed, seeds, photos, json, scenario, histories } = options;
  if (histories !== undefined) {
    const violations = await runHistories({ ...histories, json });
    return violations === 0 ? exitCodes.done : exitCodes.incomplete;
  }
  const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-faults-'));
  const harness = await startHarness({
    stateDir,
    postgresPort: await freePort(),
    time: CAMPAIGN_TIME,
    ...(scenario && scenarios[scenario]),
    onStep: (text) => process.stderr.write(`${text}\n`),
  });
  let violations = 0;
  try {
    if (scenario) {
      const report = await scenarios[scenario]!.run(harness, photos, seed);
      process.stdout.write(`${JSON.stringify(report, null, json ? 0 : 2)}\n`);
      return report.violations?.length ? exitCodes.incomplete : exitCodes.done;
    }
    for (let current = seed; current < seed + seeds; current++) {
      const report = await runSeed(harness, { seed: current, photos });
      violations += report.violations.length;
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : render(report));
    }
  } finally {
    await harness.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
  if (!json) {
    process.stdout.write(
      violations === 0
        ? `All invariants hold for ${count(seeds, 'seed')} of ${count(photos, 'photo')}.\n`
        : `${count(violations, 'violation')}.\n`,
    );
  }
  return violations === 0 ? exitCodes.done : exitCodes.incomplete;
}

interface Options {
  seed: number;
  seeds: number;
  photos: number;
  json: boolean;
  scenario: string | undefined;
  histories: { histories: number; seed: number; table: boolean } | undefined;
}

function readOptions(): Options {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string' },
        photos: { type: 'string' },
        scenario: { type: 'string' },
        histories: { type: 'string' },
        table: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('\n')[0]} npm run faults -- --help shows how.`);
  }
  const number = (name: string, fallback: number, least: number) => {
    const value = Number(values[name] ?? fallback);
    if (!Number.isInteger(value) || value < least) {
      throw new UserError(
        `--${name} takes a whole number from ${least}, not ${JSON.stringify(values[name])}.`,
      );
    }
    return value;
  };
  const scenario = values.scenario as string | undefined;
  if (scenario !== undefined && !Object.hasOwn(scenarios, scenario)) {
    throw new UserError(
      `--scenario takes one of ${Object.keys(scenarios).join(', ')}, not ${JSON.stringify(scenario)}.`,
    );
  }
  if (scenario === 'photographer-cap' && Number(values.photos ?? 200) <= 2 * IMAGES_OF_ONE) {
    throw new UserError(
      `--scenario photographer-cap takes more than ${2 * IMAGES_OF_ONE} photos: half of them have to come to the cap.`,
    );
  }
  return {
    seed: number('seed', 1, 0),
    seeds: number('seeds', 1, 1),
    photos: number('photos', 200, 1),
    json: values.json === true,
    scenario,
    histories:
      values.histories === undefined
        ? undefined
        : {
            histories: number('histories', 1, 1),
            seed: number('seed', randomInt(2 ** 31), 0),
            table: values.table === true,
          },
  };
}

function render(report: SeedReport): string {
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, n]) => `${n} ${name}`)
      .join(', ') || 'none';
  return [
    `seed ${report.seed}: ${count(report.photos, 'photo')}, ${formatDuration(report.seconds * 1000)}, ${count(report.executions, 'execution')}`,
    `  sent        ${list(report.stories)}; ${report.accepted} of ${report.asked} erasures asked for`,
    `  looked      ${count(report.searches, 'search', 'searches')} showed ${count(report.shown, 'photo')}; ${count(report.changes, 'change')} told`,
    `  struck      ${list(report.faults)}`,
    `  afterwards  ${report.indexed} indexed, ${report.failed} failed (${list(report.failures)})`,
    `  found       ${list(report.findings)}; ${count(report.reconciliations, 'reconciliation')}, ${report.reprocessed} indexed by the operator's commands`,
    `  paid        ${report.paid} calls, ${report.destroyed} answers destroyed by faults`,
    ...report.violations.map((violation) => `  VIOLATION   ${violation}`),
    '',
  ].join('\n');
}
