/** The tree that docs/architecture.md draws is the tree on disk, so that no room is forgotten. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

/** Folders of the checkout that git does not keep. */
const ignored = new Set([
  '.git',
  ...read('.gitignore')
    .split('\n')
    .filter((line) => line.endsWith('/'))
    .map((line) => line.slice(0, -1)),
]);

function foldersIn(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => path.join(folder, name))
    .filter((found) => !ignored.has(found));
}

/** Each line is a folder, at the root or, indented, in the folder above it. */
function drawn(): string[] {
  const [, tree = ''] = /## The tree\n\n((?: {4}.*\n)+)/.exec(read('docs/architecture.md')) ?? [];
  let above = '';
  return [...tree.matchAll(/^ {4}( *)(\S+)\/ /gm)].map(([, indent, name]) => {
    above = indent === '' ? name! : above;
    return indent === '' ? name! : `${above}/${name}`;
  });
}

/** The one line that stands for folders that are all made alike. */
const LAMBDA = 'lambdas/<verb-noun>';

test('docs/architecture.md draws every folder and every room, and no other', () => {
  const top = foldersIn('.');
  const rooms = [...top.filter((folder) => folder !== 'lambdas'), 'lambdas/shared'].flatMap(foldersIn);
  const expected = [...top.filter((folder) => folder !== 'lambdas'), LAMBDA, 'lambdas/shared', ...rooms];
  expect(drawn().sort()).toEqual(expected.sort());
});

test('a Lambda is a verb and a noun, with a handler', () => {
  const lambdas = foldersIn('lambdas').filter((folder) => folder !== 'lambdas/shared');
  expect(lambdas.length).toBeGreaterThan(10);
  for (const folder of lambdas) {
    expect(folder).toMatch(/^lambdas\/[a-z]+-[a-z-]+$/);
    expect(readdirSync(path.join(ROOT, folder))).toContain('handler.ts');
    expect(foldersIn(folder)).toEqual([]);
  }
});
