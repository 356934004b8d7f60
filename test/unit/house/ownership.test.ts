/** Who may write what is said in one place: SQL that writes photos or deletes faces is in no other file. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../../..');
const OWNER = 'lambdas/shared/photos/rows.ts';
const WRITES = /\b(UPDATE\s+photos|INSERT\s+INTO\s+photos|DELETE\s+FROM\s+(photos|faces)|UPDATE\s+faces)\b/i;

const files = globSync('{bin,lib,lambdas,local,ops}/**/*.{ts,mjs}', { cwd: ROOT }).sort();

test('photos are written, and rows of faces deleted, by photos/rows.ts alone', () => {
  const writers = files.filter((file) => WRITES.test(readFileSync(path.join(ROOT, file), 'utf8')));
  expect(writers).toEqual([OWNER]);
});

test('uploads of no event are written by misplaced-uploads.ts alone', () => {
  const writes = /\b(UPDATE|INSERT\s+INTO|DELETE\s+FROM)\s+misplaced_uploads\b/i;
  const writers = files.filter((file) => writes.test(readFileSync(path.join(ROOT, file), 'utf8')));
  expect(writers).toEqual(['lambdas/shared/photos/misplaced-uploads.ts']);
});

test('searches are recorded and forgotten by searches.ts alone', () => {
  const writes = /\b(UPDATE|INSERT\s+INTO|DELETE\s+FROM)\s+searches\b/i;
  const writers = files.filter((file) => writes.test(readFileSync(path.join(ROOT, file), 'utf8')));
  expect(writers).toEqual(['lambdas/shared/search/searches.ts']);
});

test('what it writes is decided by photos/standing.ts, which knows of no database', () => {
  const rule = readFileSync(path.join(ROOT, 'lambdas/shared/photos/standing.ts'), 'utf8');
  expect(rule).not.toMatch(/^import/m);
});
