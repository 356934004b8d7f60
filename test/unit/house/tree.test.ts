/** What the pages say of the tree is so: the folders that docs/architecture.md draws, and every file that any page names. */
import { existsSync, globSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { pages, ROOT, read } from '../../support/pages.ts';

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

/** Paths in backticks that begin with a folder of the project; placeholders stand for any name. */
function filesNamedIn(page: string): string[] {
  const top = foldersIn('.').map((folder) => folder.replaceAll('.', '\\.'));
  const names = read(page).matchAll(new RegExp(`\`((?:${top.join('|')})/[^\`\\s]*)\``, 'g'));
  return [...names].map(([, name]) => name!);
}

test('every file that a page names is there', () => {
  const named = pages.flatMap((page) => filesNamedIn(page).map((file) => ({ page, file })));
  expect(named.filter(({ page }) => page === 'CONTRIBUTING.md').length).toBeGreaterThan(30);
  const missing = named.filter(({ file }) => {
    const pattern = file.replaceAll(/<[^>]+>|\{[^},]+\}|NNNN_name/g, '*');
    // The threat model leaves the ending of a test out.
    return globSync([pattern, `${pattern}.test.ts`], { cwd: ROOT }).length === 0;
  });
  expect(missing).toEqual([]);
});

test('every link to a file leads to it', () => {
  const links = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target]) => ({
      page,
      target: target!,
    })),
  );
  expect(links.length).toBeGreaterThan(80);
  expect(
    links.filter(({ page, target }) => !existsSync(path.join(ROOT, path.dirname(page), target))),
  ).toEqual([]);
});
