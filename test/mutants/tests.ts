/** Which tests concern a file: those that import it, or by way of as few files as possible. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PROJECT_ROOT } from '../../local/synthesis.ts';

/**
 * Tests that need nothing but memory; those in `database` run beside them for the files that are tested nowhere else. Those in
 * `workflow` ask the state machines, which have them by themselves.
 */
const PURE = ['unit', 'contract'];

/**
 * Tests that cannot tell a mutant: they read files or start processes, which are those of the disk, or compare many orders
 * of events where another test looks at one.
 */
const OTHERS = new Set([
  'test/unit/house/dependencies.test.ts',
  'test/unit/support/lock.test.ts',
  'test/unit/house/ownership.test.ts',
  'test/unit/house/packages.test.ts',
  'test/unit/house/runbook.test.ts',
  'test/database/bootstrap.test.ts',
  'test/database/connections.test.ts',
  'test/database/erasure-at-scale.long.test.ts',
  'test/database/pooler.test.ts',
  'test/database/privileges.test.ts',
  'test/database/schema.test.ts',
]);

/** Tests of the commands: slow, and about more than one core. */
const OPERATORS = /\/(cli|ops)\//;

/** Slow tests, and the only files that they are asked about: what they say of others, quicker ones say too. */
const SLOW: Record<string, string[]> = {
  'test/unit/lambdas/shared/contract/hostile-input.test.ts': [],
  'test/database/hostile-responses.test.ts': [],
  'test/unit/lambdas/shared/line/line.test.ts': [],
  'test/unit/lambdas/shared/line/store.test.ts': [
    'lambdas/shared/line/store.ts',
    'lambdas/shared/line/item.ts',
    'lambdas/shared/line/write.ts',
  ],
};

const importsByFile = new Map<string, string[]>();

function importsOf(file: string): string[] {
  let found = importsByFile.get(file);
  if (!found) {
    const text = readFileSync(path.join(PROJECT_ROOT, file), 'utf8');
    found = [...text.matchAll(/^(?:import|export|\}) ?[^'\n]*'(\.[^']+\.ts)'/gm)].map(([, to]) =>
      path.join(path.dirname(file), to!),
    );
    importsByFile.set(file, found);
  }
  return found;
}

/** How many files lie between, plus one; undefined when it is not reached. */
function distance(from: string, to: string): number | undefined {
  let files = [from];
  const seen = new Set(files);
  for (let steps = 0; files.length > 0; steps++) {
    if (files.includes(to)) {
      return steps;
    }
    files = files.flatMap(importsOf).filter((file) => !seen.has(file));
    for (const file of files) {
      seen.add(file);
    }
  }
  return undefined;
}

/** Of more tests than this those that are named after the file are asked alone: they know best, and the rest take minutes. */
const MANY = 4;

/** The nearest; those that need no database first. */
export function testsOf(source: string, withDatabase: boolean): string[] {
  const folders = withDatabase ? [...PURE, 'database'] : PURE;
  const found = globSync(`test/{${folders.join(',')}}/**/*.test.ts`, { cwd: PROJECT_ROOT })
    .filter((test) => !OTHERS.has(test) && !OPERATORS.test(test) && (SLOW[test]?.includes(source) ?? true))
    .flatMap((test) => {
      const steps = distance(test, source);
      return steps === undefined ? [] : [{ test, steps, isPure: !test.startsWith('test/database/') }];
    });
  const far = Math.min(...found.map(({ steps }) => steps));
  const nearest = found.filter(({ steps }) => steps <= far);
  const name = path.basename(source, '.ts');
  const named = nearest.filter(({ test }) => `${path.basename(test, '.test.ts')}-`.startsWith(`${name}-`));
  return (nearest.length > MANY && named.length > 0 ? named : nearest)
    .sort((a, b) => Number(b.isPure) - Number(a.isPure) || (a.test < b.test ? -1 : 1))
    .map(({ test }) => test);
}
