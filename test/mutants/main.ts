/** `npm run mutants`: takes one thing after another away from the code, and asks the tests whether they notice. */
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runCommand } from '../../cli/command.ts';
import { exitCodes, UserError } from '../../cli/user-error.ts';
import { PROJECT_ROOT } from '../../local/synthesis.ts';
import { equivalentOf } from './equivalents.ts';
import { changesOf, describeChange } from './json-changes.ts';
import { describeMutation, mutated } from './mutations.ts';
import { type Outcome, poolOf } from './pool.ts';
import { mutationsIn } from './sql-changes.ts';
import { testsOf } from './tests.ts';
import type { Trial } from './worker.ts';

const usage = `Usage: npm run mutants -- [FILE...] [--asl] [--sql] [--fresh] [--workers N] [--verbose]

Takes one thing at a time away (a condition, a call, a number, an operator) and runs the tests that concern the file: a change
that no test notices is printed. Without files: all of the Lambdas' cores. What was tried before and has not changed since,
neither the file nor its tests, is not tried again.

  FILE         lambdas/…/*.ts, state-machines/*.asl.json or migrations/*.sql
  --asl        all state machines
  --sql        all migrations
  --fresh      try everything again
  --workers N  processes (one a core)
  --verbose    also the changes that were noticed, and by which test

Exits with 1 when the tests notice fewer than 95 % of the changes of a file, apart from those in test/mutants/equivalents.ts.
`;

const ENOUGH = 0.95;

/** Cores whose tests need a database: run beside the others. */
const WITH_DATABASE = new Set([
  'lambdas/answer-operator/answer-operator.ts',
  'lambdas/confirm-erasure/confirm-erasure.ts',
  'lambdas/list-erasures/list-erasures.ts',
  'lambdas/mark-failed/mark-ended.ts',
  'lambdas/mark-failed/mark-failed.ts',
  'lambdas/persist-results/persist-results.ts',
  'lambdas/read-gallery/rows.ts',
  'lambdas/read-rows/read-rows.ts',
  'lambdas/remove-faces/remove-faces.ts',
  'lambdas/request-erasure/request-erasure.ts',
  'lambdas/shared/erasure/outbox.ts',
  'lambdas/shared/photos/misplaced-uploads.ts',
  'lambdas/shared/photos/rows.ts',
  'lambdas/shared/photos/row-pages.ts',
  'lambdas/shared/photos/usage.ts',
  'lambdas/shared/storage/stored-counts.ts',
  'lambdas/skip-indexed/skip-indexed.ts',
]);

/**
 * Left to the tests of the whole: what only puts parts together, what is a list of names or prices, and what needs connections or the
 * folders of a deployment.
 */
const LEFT_OUT = [
  'lambdas/*/handler.ts',
  'lambdas/bootstrap-database/*.ts',
  'lambdas/migrate-database/*.ts',
  'lambdas/shared/database/connection.ts',
  'lambdas/shared/contract/{names,prices}.ts',
  'lambdas/shared/line/environment.ts',
  'lambdas/shared/rekognition/collections.ts',
  'lambdas/shared/runtime/{clients,environment,idempotency}.ts',
];

const CACHE = path.join(PROJECT_ROOT, 'node_modules/.cache/rollcall/mutants.json');

interface Change {
  text: string;
  /** `12: a < b -> a <= b`, as it is printed. */
  as: string;
  equivalent: boolean;
}

interface Result {
  tried: number;
  equivalent: number;
  survivors: string[];
}

await runCommand({ usage: () => usage, what: 'The mutants', run });

async function run(argv: readonly string[]): Promise<number> {
  const { files, fresh, workers, verbose } = readOptions(argv);
  const known = fresh ? {} : readCache();
  const pool = poolOf(workers);
  let isEnough = true;
  const all = { tried: 0, survivors: 0 };
  for (const file of files) {
    const source = readFileSync(path.join(PROJECT_ROOT, file), 'utf8');
    const tests = testsFor(file);
    if (tests.length === 0) {
      console.log(`${file}: no test imports it`);
      isEnough = false;
      continue;
    }
    const key = keyOf(file, tests);
    const result =
      known[file]?.key === key ? known[file].result : await tryAll(file, changesIn(file, source), tests);
    if (!result) {
      isEnough = false;
      continue;
    }
    writeCache({ ...readCache(), [file]: { key, result } });
    isEnough = tell(file, result) && isEnough;
    all.tried += result.tried;
    all.survivors += result.survivors.length;
  }
  if (files.length > 1) {
    console.log(
      `${percent(shareNoticed(all.tried, all.survivors))}  of ${all.tried} changes in ${files.length} files, ${all.survivors} not noticed`,
    );
  }
  return isEnough ? exitCodes.done : exitCodes.incomplete;

  async function tryAll(file: string, changes: Change[], tests: string[]): Promise<Result | undefined> {
    const baseline: Outcome[] = [];
    await pool.run(
      [{ trial: { file, tests, isHasty: true } satisfies Trial, patienceMs: 300_000 }],
      (_, outcome) => {
        baseline.push(outcome);
      },
    );
    const [untouched] = baseline;
    if (typeof untouched !== 'object' || untouched.failed) {
      const why = typeof untouched === 'object' ? JSON.stringify(untouched.failed) : untouched;
      console.log(`${file}: its tests fail without any change: ${why}`);
      return undefined;
    }
    // First the tests of the same name, then the quickest: most changes are noticed by any of them.
    const own = path.basename(file).replace(/\.ts$/, '.test.ts');
    const late = (test: string) => (path.basename(test) === own ? 0 : untouched.took[test]!);
    const ordered = tests.toSorted((a, b) => late(a) - late(b));
    const usualMs = Object.values(untouched.took).reduce((sum, ms) => sum + ms, 0);
    const patienceMs = 10_000 + 5 * usualMs;
    const left = changes.filter(({ equivalent }) => !equivalent);
    let survivors = left;
    for (const isHasty of [true, false]) {
      const trials = survivors.map((change) => ({
        change,
        trial: { file, text: change.text, tests: ordered, isHasty },
        patienceMs,
      }));
      survivors = [];
      let done = 0;
      await pool.run(trials, ({ change }, outcome) => {
        onProgress(`${file}: ${++done} of ${trials.length}`);
        if (typeof outcome === 'object' && !outcome.failed) {
          survivors.push(change);
        } else if (verbose) {
          const by =
            typeof outcome === 'object' ? `${outcome.failed!.file}: ${outcome.failed!.test}` : outcome;
          console.log(`  noticed ${file}:${change.as}   by ${by}`);
        }
      });
    }
    onProgress('');
    const byLine = (text: string) => Number.parseInt(text, 10);
    return {
      tried: left.length,
      equivalent: changes.length - left.length,
      survivors: survivors.map(({ as }) => as).sort((a, b) => byLine(a) - byLine(b)),
    };
  }
}

function onProgress(text: string): void {
  if (process.stderr.isTTY) {
    process.stderr.write(`\r${text}\x1b[K`);
  }
}

function tell(file: string, { tried, equivalent, survivors }: Result): boolean {
  const apart = equivalent > 0 ? `, ${equivalent} equivalent` : '';
  const noticed = shareNoticed(tried, survivors.length);
  console.log(`${percent(noticed)}  ${file} (${tried} changes${apart})`);
  for (const survivor of survivors) {
    console.log(`         ${file}:${survivor}`);
  }
  return noticed >= ENOUGH;
}

function shareNoticed(tried: number, survivors: number): number {
  return tried === 0 ? 1 : 1 - survivors / tried;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1).padStart(5)} %`;
}

function changesIn(file: string, source: string): Change[] {
  if (file.endsWith('.json')) {
    return changesOf(JSON.parse(source)).map(({ definition, ...change }) => ({
      text: JSON.stringify(definition),
      as: describeChange(change),
      equivalent: equivalentOf(file, describeChange(change)) !== undefined,
    }));
  }
  const lines = source.split('\n');
  const mutations = mutationsIn(file, source);
  return mutations.map((mutation) => {
    const described = describeMutation(source, mutation);
    return {
      text: mutated(source, mutation),
      as: `${mutation.line}: ${described}`,
      equivalent: equivalentOf(file, described, lines[mutation.line - 1]!.trim()) !== undefined,
    };
  });
}

function testsFor(file: string): string[] {
  if (file.endsWith('.json')) {
    return globSync('test/workflow/*.test.ts', { cwd: PROJECT_ROOT }).sort();
  }
  if (file.endsWith('.sql')) {
    return ['constraints', 'privileges', 'change-feed'].map((name) => `test/database/${name}.test.ts`);
  }
  const pure = testsOf(file, false);
  return WITH_DATABASE.has(file) || pure.length === 0 ? testsOf(file, true) : pure;
}

function readOptions(argv: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      asl: { type: 'boolean', default: false },
      sql: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      workers: { type: 'string', default: String(availableParallelism()) },
    },
  });
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1) {
    throw new UserError(`--workers is a number from 1, not ${values.workers}`);
  }
  const list = (pattern: string | string[]) => globSync(pattern, { cwd: PROJECT_ROOT });
  const others = [
    values.asl ? 'state-machines/*.asl.json' : [],
    values.sql ? 'migrations/0*.sql' : [],
  ].flat();
  const all = list(others.length > 0 ? others : 'lambdas/**/*.ts');
  const leftOut = new Set(list(LEFT_OUT));
  const files = positionals.length > 0 ? positionals : all.filter((file) => !leftOut.has(file)).sort();
  for (const file of files) {
    if (
      !/^(lambdas\/.*\.ts|state-machines\/.*\.asl\.json|migrations\/\d.*\.sql)$/.test(file) ||
      list(file).length === 0
    ) {
      throw new UserError(`${file} is not a file of lambdas/, state-machines/ or migrations/`);
    }
  }
  return { ...values, files, workers };
}

type Cache = Record<string, { key: string; result: Result }>;

function readCache(): Cache {
  try {
    return JSON.parse(readFileSync(CACHE, 'utf8')) as Cache;
  } catch {
    return {};
  }
}

function writeCache(cache: Cache): void {
  mkdirSync(path.dirname(CACHE), { recursive: true });
  writeFileSync(CACHE, JSON.stringify(cache));
}

/** Of the file, of its tests and what they stand on, and of the mutators. */
function keyOf(file: string, tests: string[]): string {
  const hash = createHash('sha256');
  const support = globSync(['test/support/*.ts', 'test/mutants/*.ts'], { cwd: PROJECT_ROOT }).sort();
  for (const input of [file, ...tests, ...support]) {
    hash.update(`${input}\n`).update(readFileSync(path.join(PROJECT_ROOT, input)));
  }
  return hash.digest('hex');
}
