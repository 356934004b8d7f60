/**
 * `npm run package`: the construct as a package, `dist/rollcall-VERSION.tgz`: JavaScript with its types, the Lambdas bundled, the state
 * machines and the migrations. Who installs it needs aws-cdk-lib and constructs, and no compiler.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
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

const of = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, `^${own.dependencies[name]}`]));
const peers = ['aws-cdk-lib', 'constructs'];
const imported = await importedPackages(path.join(PACKAGE, 'lib', 'index.js'));
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
      dependencies: of(imported.filter((name) => !peers.includes(name))),
      peerDependencies: of(peers),
    },
    null,
    2,
  )}\n`,
);
run('npm', 'pack', '--silent', '--pack-destination', DIST, PACKAGE);

/** Every package that a module imports, or one of its own does: what has to be installed with it. */
async function importedPackages(module: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [module],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
  });
  const paths = Object.values(metafile.inputs)
    .flatMap(({ imports }) => imports)
    .filter(({ external, path: name }) => external && !name.startsWith('node:'))
    .map(({ path: name }) => /^(@[^/]+\/)?[^/]+/.exec(name)![0]);
  return [...new Set(paths)].sort();
}
