/** What comes from outside and runs here, and what the checks and editors are told about files. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../../..');
const textOf = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const read = (file: string) => JSON.parse(textOf(file)) as Record<string, unknown>;

test('every package with an install script may run it, on whatever platform it is for', () => {
  const packages = read('package-lock.json').packages as Record<string, { hasInstallScript?: boolean }>;
  const withScripts = Object.entries(packages)
    // The project itself has the name ''.
    .filter(([name, { hasInstallScript }]) => hasInstallScript && name !== '')
    .map(([name]) => name.replace(/^.*node_modules\//, ''));
  expect(withScripts.length).toBeGreaterThan(5);
  expect(Object.keys(read('package.json').allowScripts as object).sort()).toEqual(
    [...new Set(withScripts)].sort(),
  );
});

test('every action of a workflow is pinned to a commit, with its version beside it', () => {
  const used = globSync('.github/workflows/*.yml', { cwd: ROOT }).flatMap((file) =>
    [...textOf(file).matchAll(/uses: (.*)/g)].map(([, action]) => action!),
  );
  expect(used.length).toBeGreaterThan(5);
  expect(used.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([]);
});

test('editors indent and wrap as the formatter does', () => {
  const { indentStyle, indentWidth, lineWidth } = read('biome.json').formatter as Record<string, unknown>;
  const [, everyFile = ''] = textOf('.editorconfig').split('[*]\n');
  expect(everyFile.split('\n\n')[0]!.split('\n')).toEqual(
    expect.arrayContaining([
      `indent_style = ${indentStyle}`,
      `indent_size = ${indentWidth}`,
      `max_line_length = ${lineWidth}`,
    ]),
  );
});
