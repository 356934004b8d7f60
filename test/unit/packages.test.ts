import { readFileSync } from 'node:fs';
import path from 'node:path';

const read = (file: string) =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, '../..', file), 'utf8')) as Record<string, unknown>;

test('every package with an install script may run it, on whatever platform it is for', () => {
  const packages = read('package-lock.json').packages as Record<string, { hasInstallScript?: boolean }>;
  const withScripts = Object.entries(packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([name]) => name.replace(/^.*node_modules\//, ''));
  expect(withScripts.length).toBeGreaterThan(5);
  expect(Object.keys(read('package.json').allowScripts as object).sort()).toEqual(
    [...new Set(withScripts)].sort(),
  );
});
