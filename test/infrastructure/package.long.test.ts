/** The package in a folder that has nothing else: no compiler, no bundler, no sources of this repository. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { synthesise } from '../../local/synthesis.ts';

const root = path.resolve(import.meta.dirname, '../..');
const base = mkdtempSync(path.join(tmpdir(), 'rollcall-package-'));
const app = path.join(base, 'platform');
const installed = path.join(app, 'node_modules', 'rollcall');
afterAll(() => rmSync(base, { recursive: true, force: true }));

function run(command: string, args: string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  expect([command, args, status, status === 0 || `${stdout}${stderr}`]).toEqual([command, args, 0, true]);
}

beforeAll(() => {
  run(process.execPath, ['bin/build-package.ts'], root);
  cpSync(path.join(root, 'examples/platform'), app, { recursive: true });
  const [tarball] = readdirSync(path.join(root, 'dist')).filter((name) => name.endsWith('.tgz'));
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', path.join(root, 'dist', tarball!), '--strip-components=1', '-C', installed], base);
  // What npm would install with it, and nothing that is only here.
  const { dependencies, peerDependencies } = JSON.parse(
    readFileSync(path.join(installed, 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'peerDependencies', Record<string, string>>;
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
    symlinkSync(path.join(root, 'node_modules', name), path.join(app, 'node_modules', name));
  }
}, 300_000);

test('synthesises the very template that the sources make', async () => {
  const made = async (name: string, folder: string) => {
    const log = path.join(base, `${name}.log`);
    const { stackName, template } = await synthesise({ assembly: path.join(base, name), log, app: folder });
    return { stackName, template: JSON.stringify(template) };
  };
  const own = await made('own', path.join(root, 'examples/platform'));
  const theirs = await made('theirs', app);
  // Of the code's hashes, those of the functions' versions are part of names too.
  const plain = ({ template, ...rest }: typeof own) => ({
    ...rest,
    template: JSON.parse(template.replaceAll(/[0-9a-f]{64}|(?<=CurrentVersion)[0-9a-f]{32,}/gi, 'HASH')),
  });
  expect(plain(theirs)).toEqual(plain(own));
}, 300_000);

test('says its types to whoever compiles', () => {
  writeFileSync(
    path.join(app, 'app.ts'),
    `import type { Construct } from 'constructs';
import { photoEnd, Rollcall, type RollcallProps } from 'rollcall';
export const make = (scope: Construct, props: RollcallProps): string => new Rollcall(scope, 'Faces', props).photoBucket.bucketName;
export const outcome = photoEnd({ detail: { executionArn: '', status: 'FAILED', input: null, stopDate: null } }).outcome;
// @ts-expect-error: there is no such option
export const wrong: RollcallProps = { maxFace: 3 };
`,
  );
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022'];
  run(path.join(root, 'node_modules/.bin/tsc'), [...options, 'app.ts'], app);
}, 300_000);
