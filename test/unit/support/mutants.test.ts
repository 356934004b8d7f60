/** The mutators of `npm run mutants` themselves: what they change, and that what is left out of the count still is a change. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { equivalents } from '../../mutants/equivalents.ts';
import { changesOf, describeChange } from '../../mutants/json-changes.ts';
import { describeMutation, mutated, mutationsOf } from '../../mutants/mutations.ts';
import { changesOfSql, mutationsIn } from '../../mutants/sql-changes.ts';
import { testsOf } from '../../mutants/tests.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

const changes = (source: string) =>
  mutationsOf('a.ts', source).map((mutation) => describeMutation(source, mutation));

test.each([
  ['if (a < b) { c(); }', ['a < b -> true', 'a < b -> false', '< -> <=', '< -> >=', 'c(); -> ;']],
  ['const a = (b?: string): b is string => !b;', ['!b -> undefined', '!b -> b']],
  ['f(a ?? 0, 15 * 1024);', ['f(a ?? 0, 15 * 1024); -> ;', '?? -> &&', '15 -> 16', '* -> /', '1024 -> 2048']],
  [
    "x.y?.('text', 'a text to read');",
    ["x.y?.('text', 'a text to read'); -> ;", '?. -> nothing', "'text' -> ''"],
  ],
  [
    'const a = { b, ...(c && { d: true }) };',
    ['b, -> nothing', '...(c && { d: true }) -> nothing', '&& -> ||', 'true -> false'],
  ],
  ['const a = /^b$/.test(c);', ['^ -> nothing', '$ -> nothing']],
  ['const a = sql`SELECT FROM b WHERE c AND d = 1 FOR UPDATE`;', ['AND d = 1 FOR UPDATE -> AND true']],
  ["import type { A } from 'a'; interface B { c: 'd' }", []],
])('%s', (source, expected) => {
  expect(changes(source).toSorted()).toEqual(expected.toSorted());
});

test.each(['lambdas/shared/line/rules.ts', 'lambdas/confirm-erasure/confirm-erasure.ts'])(
  'every change of %s is one, in its place',
  (file) => {
    const source = read(file);
    const wrong = mutationsOf(file, source).filter((mutation) => {
      const after = mutated(source, mutation);
      const before = source.slice(0, mutation.start);
      return after === source || !after.startsWith(before) || before.split('\n').length !== mutation.line;
    });
    expect(wrong).toEqual([]);
  },
);

test('everything in a state machine and in the migrations is taken away once', () => {
  const machine = JSON.parse(read('state-machines/erase-faces.asl.json'));
  const texts = changesOf(machine).map(({ definition, ...change }) => {
    expect(definition).not.toEqual(machine);
    return describeChange(change);
  });
  expect(new Set(texts).size).toBe(texts.length);
  expect(texts).toEqual(
    expect.arrayContaining([
      'StartAt: left out',
      'States.RemoveFaces.Retry[1].ErrorEquals[0]: left out',
      'States.RemoveFaces.Retry[1].MaxAttempts: 2 -> 4',
      'States.NextStep.Choices[0]: after the next',
    ]),
  );
  const migration = read('migrations/0001_initial.sql');
  expect(changesOfSql(migration).map((change) => describeMutation(migration, change))).toEqual(
    expect.arrayContaining(['NOT NULL -> nothing', 'ON DELETE RESTRICT -> ON DELETE CASCADE']),
  );
});

test('a file is tested by what imports it', () => {
  expect(testsOf('lambdas/shared/photos/upload-check.ts', false)).toEqual([
    'test/unit/lambdas/shared/photos/upload-check.test.ts',
  ]);
  expect(testsOf('lambdas/persist-results/persist-results.ts', true)).toContain(
    'test/database/usage.test.ts',
  );
  // Of many the one of its name.
  expect(testsOf('lambdas/confirm-erasure/confirm-erasure.ts', true)).toEqual([
    'test/database/confirm-erasure.test.ts',
  ]);
});

test.each(equivalents)('what is left out is a change: $file $change', ({ file, line, change }) => {
  const source = read(file);
  const lines = source.split('\n');
  const found = file.endsWith('.json')
    ? changesOf(JSON.parse(source)).map((one) => [describeChange(one), undefined])
    : mutationsIn(file, source).map((one) => [describeMutation(source, one), lines[one.line - 1]!.trim()]);
  expect(found).toContainEqual([change, line]);
});
