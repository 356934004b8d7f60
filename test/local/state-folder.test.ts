import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processIdentity } from '../../local/processes.ts';
import { openStateFolder } from '../../local/state-folder.ts';

const MODULE = JSON.stringify(join(import.meta.dirname, '../../local/state-folder.ts'));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the code in another process; resolves with what it prints, or once it printed a line when it stays. */
function otherProcess(code: string) {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `import { openStateFolder } from ${MODULE};\n${code}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return {
    child,
    line: new Promise<void>((resolve) => child.stdout.once('data', () => resolve())),
    output: new Promise<string>((resolve) => child.on('close', () => resolve(output))),
  };
}

const OPEN = (path: string) => `openStateFolder(${JSON.stringify(path)})`;

test('is created, taken, and free again after release', () => {
  const path = join(folder, 'new', 'state');
  const state = openStateFolder(path);
  expect(() => openStateFolder(path)).toThrow(/this process/);
  state.release();
  openStateFolder(path).release();
  expect(readdirSync(path)).toEqual(['layout-version']);
});

test('is for nobody else on the machine, also when an earlier version made it', () => {
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
  const fresh = join(folder, 'fresh');
  openStateFolder(fresh).release();
  const old = join(folder, 'old');
  mkdirSync(old);
  chmodSync(old, 0o755);
  openStateFolder(old).release();
  const own = process.getuid?.() === 0 && process.platform !== 'linux' ? '711' : '700';
  expect([mode(fresh), mode(old)]).toEqual([own, own]);
});

test('another live process keeps it, and a killed one does not', async () => {
  const owner = otherProcess(`${OPEN(folder)}; console.log('open'); setTimeout(() => {}, 60000);`);
  await owner.line;
  expect(() => openStateFolder(folder)).toThrow(
    expect.objectContaining({
      name: 'StateFolderInUseError',
      message: expect.stringMatching(new RegExp(`^[^\\n]*process ${owner.child.pid}[^\\n]*$`)),
    }),
  );
  owner.child.kill('SIGKILL');
  await owner.output;
  openStateFolder(folder).release();
});

test('a later process with the same id is not the owner', () => {
  const identity = processIdentity(process.pid)!;
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: process.pid, identity: `${identity}1` }));
  openStateFolder(folder).release();
});

test.each(['', '{"pid":'])('a lock that says nothing is stale: %j', (text) => {
  writeFileSync(join(folder, 'lock'), text);
  openStateFolder(folder).release();
});

test('of many that find a stale lock, one gets the folder', async () => {
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, identity: 'gone' }));
  const rivals = Array.from({ length: 6 }, () =>
    otherProcess(`
      const start = Date.now() + 150 - (Date.now() % 100);
      while (Date.now() < start);
      try { ${OPEN(folder)}; console.log('mine'); setTimeout(() => {}, 60000); }
      catch (error) { console.log(error.name); }`),
  );
  // The one that has it keeps it until all have tried.
  await Promise.all(rivals.map(({ line }) => line));
  for (const { child } of rivals) {
    child.kill('SIGKILL');
  }
  const outputs = await Promise.all(rivals.map(({ output }) => output));
  expect(outputs.filter((output) => output === 'mine\n')).toHaveLength(1);
  expect(outputs.filter((output) => output === 'StateFolderInUseError\n')).toHaveLength(5);
}, 20_000);

test('state of another layout is refused with the way out, and left alone', () => {
  openStateFolder(folder).release();
  writeFileSync(join(folder, 'layout-version'), '999\n');
  for (let time = 0; time < 2; time++) {
    expect(() => openStateFolder(folder)).toThrow(
      expect.objectContaining({
        name: 'IncompatibleStateError',
        message: expect.stringMatching(/npm run local:reset$/),
      }),
    );
  }
  expect(existsSync(join(folder, 'lock'))).toBe(false);
});

test("somebody else's folder is not taken", () => {
  writeFileSync(join(folder, 'holiday.jpg'), '');
  expect(() => openStateFolder(folder)).toThrow(/holiday\.jpg/);
});
