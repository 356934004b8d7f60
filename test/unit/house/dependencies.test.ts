import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../../..');

/** The files of this project that a file imports, as paths from the root. */
function importsOf(file: string): string[] {
  const source = readFileSync(path.join(ROOT, file), 'utf8');
  return [...source.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(([, target]) =>
    path.relative(ROOT, path.resolve(ROOT, path.dirname(file), target as string)),
  );
}

function filesBelow(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(m?ts|tsx)$/.test(file) && !file.endsWith('.d.ts'))
    .map((file) => path.join(folder, file));
}

/** The room of names and of the shape of what travels, without any behaviour of the pipeline. */
const CONTRACT = 'lambdas/shared/contract/';

describe('dependencies point one way', () => {
  test('a Lambda imports itself and what is shared', () => {
    const lambdas = filesBelow('lambdas');
    expect(lambdas.length).toBeGreaterThan(10);
    for (const file of lambdas) {
      const own = path.dirname(file);
      const foreign = importsOf(file).filter(
        (target) => !target.startsWith(`${own}/`) && !target.startsWith('lambdas/shared/'),
      );
      expect([file, foreign]).toEqual([file, []]);
    }
  });

  test('what is shared imports no Lambda, and a core no handler', () => {
    for (const file of filesBelow('lambdas')) {
      const handlers = importsOf(file).filter((target) => target.endsWith('handler.ts'));
      expect([file, handlers]).toEqual([file, []]);
    }
  });

  test.each(['lib', 'local', 'bin'])('%s takes only names and contract from the Lambdas', (folder) => {
    for (const file of filesBelow(folder)) {
      const cores = importsOf(file).filter(
        (target) => target.startsWith('lambdas/') && !target.startsWith(CONTRACT),
      );
      expect([file, cores]).toEqual([file, []]);
    }
  });

  test('the local run knows the app only as what was synthesised', () => {
    for (const file of filesBelow('local')) {
      const internals = importsOf(file).filter((target) => /^(lib|bin)\//.test(target));
      expect([file, internals]).toEqual([file, []]);
    }
  });

  test('what is deployed knows nothing of the local run, the benchmarks or the tests', () => {
    for (const file of [...filesBelow('lambdas'), ...filesBelow('lib'), ...filesBelow('bin')]) {
      const tools = importsOf(file).filter((target) => /^(local|bench|test|ops)\//.test(target));
      expect([file, tools]).toEqual([file, []]);
    }
  });

  test('the cli room knows nothing of those who use it', () => {
    for (const file of filesBelow('cli')) {
      const users = importsOf(file).filter((target) => !target.startsWith('cli/'));
      expect([file, users]).toEqual([file, []]);
    }
  });

  test('ops takes from local only how to find a run, to open a stored one, or to start it', () => {
    const allowed = ['local/where.ts', 'local/running-cloud.ts', 'local/stored-run.ts', 'local/cloud.ts'];
    const taken = new Set(
      filesBelow('ops')
        .flatMap(importsOf)
        .filter((target) => target.startsWith('local/')),
    );
    expect([...taken].filter((target) => !allowed.includes(target))).toEqual([]);
  });

  test('the page takes from the rest only types, of the contract and of what serves it', () => {
    for (const file of filesBelow('page')) {
      const foreign = importsOf(file).filter((target) => !target.startsWith('page/'));
      const allowed = foreign.filter(
        (target) => target.startsWith(CONTRACT) || target === 'local/page/answers.ts',
      );
      const types = [
        ...readFileSync(path.join(ROOT, file), 'utf8').matchAll(/^import type [^;]*?from '\.\.\/[^']+';$/gm),
      ];
      expect([file, foreign, types.length]).toEqual([file, allowed, foreign.length]);
    }
  });

  test('the local Rekognition stands on nothing of the project', () => {
    for (const file of filesBelow('local/rekognition')) {
      const project = importsOf(file).filter((target) => !target.startsWith('local/rekognition/'));
      expect([file, project]).toEqual([file, []]);
    }
  });

  test('tests take nothing from the benchmarks but what they test; benchmarks from the tests only their support', () => {
    for (const file of filesBelow('test').filter((file) => !file.startsWith('test/bench/'))) {
      const benchmarks = importsOf(file).filter((target) => target.startsWith('bench/'));
      expect([file, benchmarks]).toEqual([file, []]);
    }
    for (const file of filesBelow('bench')) {
      const tests = importsOf(file).filter((target) => /^test\/(?!support\/)/.test(target));
      expect([file, tests]).toEqual([file, []]);
    }
  });

  test('there is no circle', () => {
    const files = ['bin', 'cli', 'lib', 'lambdas', 'local', 'ops', 'page', 'bench', 'test'].flatMap(
      filesBelow,
    );
    const imports = new Map(files.map((file) => [file, importsOf(file)]));
    const done = new Set<string>();
    const circles: string[] = [];
    const walk = (file: string, way: readonly string[]): void => {
      if (way.includes(file)) {
        circles.push([...way.slice(way.indexOf(file)), file].join(' -> '));
      } else if (!done.has(file)) {
        for (const target of imports.get(file) ?? []) {
          walk(target, [...way, file]);
        }
        done.add(file);
      }
    };
    for (const file of files) {
      walk(file, []);
    }
    expect(circles).toEqual([]);
  });
});
