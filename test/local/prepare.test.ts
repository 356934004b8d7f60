/** What npm makes after an install: `npm start` and `npm test` find it. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PROJECT_ROOT, synthesise } from '../../local/synthesis.ts';

let base: string;
beforeAll(() => {
  base = mkdtempSync(path.join(tmpdir(), 'rollcall-prepare-test-'));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const prepare = (root: string) => {
  const temporary = mkdtempSync(path.join(base, 'tmp-'));
  const said = execFileSync(process.execPath, [path.join(root, 'bin/prepare.mjs')], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: temporary },
  });
  return { said, left: readdirSync(temporary) };
};

test('the app that npm start runs is synthesised beforehand', async () => {
  expect(prepare(PROJECT_ROOT)).toEqual({ said: '', left: [] });
  await expect(
    synthesise({ assembly: path.join(base, 'cdk.out'), log: path.join(base, 'synth.log') }),
  ).resolves.toMatchObject({ isNew: false, stackName: 'Rollcall' });
});

test('an install of what is deployed alone says in a line that it is not', () => {
  const root = path.join(base, 'root');
  mkdirSync(path.join(root, 'bin'), { recursive: true });
  cpSync(path.join(PROJECT_ROOT, 'bin/prepare.mjs'), path.join(root, 'bin/prepare.mjs'));
  const { said, left } = prepare(root);
  expect(said).toBe('The app is not synthesised yet: npm start and npm test do so when they need it\n');
  expect(left).toEqual([]);
});
