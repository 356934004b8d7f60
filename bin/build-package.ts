/**
 * `npm run package`: the construct as a package, `dist/rollcall-VERSION.tgz`: JavaScript with its types, the Lambdas bundled, the state
 * machines and the migrations. Who installs it needs aws-cdk-lib and constructs, and no compiler.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { lambdaNames, PROJECT_ROOT, writeBundle } from '../lib/parts/bundle.ts';

const DIST = path.join(PROJECT_ROOT, 'dist');
const PACKAGE = path.join(DIST, 'package');

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: PROJECT_ROOT, stdio: ['ignore', 'inherit', 'inherit'] });

const own = JSON.parse(readFileSync(path.join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
  description: string;
  license: string;
  dependencies: Record<string, string>;
};

rmSync(DIST, { recursive: true, force: true });
run(process.execPath, path.join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.package.json');
for (const name of lambdaNames()) {
  const folder = path.join(PACKAGE, 'bundles', name);
  mkdirSync(folder, { recursive: true });
  writeBundle(name, folder);
}
for (const name of ['state-machines', 'migrations', 'LICENSE']) {
  cpSync(path.join(PROJECT_ROOT, name), path.join(PACKAGE, name), { recursive: true });
}
cpSync(path.join(PROJECT_ROOT, 'examples', 'platform', 'README.md'), path.join(PACKAGE, 'README.md'));

const of = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, `^${own.dependencies[name]}`]));
writeFileSync(
  path.join(PACKAGE, 'package.json'),
  `${JSON.stringify(
    {
      name: own.name,
      version: own.version,
      description: own.description,
      license: own.license,
      type: 'module',
      engines: { node: '>=20' },
      exports: { '.': { types: './lib/index.d.ts', default: './lib/index.js' } },
      dependencies: of('uuid'),
      peerDependencies: of('aws-cdk-lib', 'constructs'),
    },
    null,
    2,
  )}\n`,
);
run('npm', 'pack', '--silent', '--pack-destination', DIST, PACKAGE);
