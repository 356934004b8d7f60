import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../../support/lock.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-lock-'));
const lock = path.join(folder, 'lock');
afterAll(() => rmSync(folder, { recursive: true }));

test('processes that want it at once work one after the other', async () => {
  const file = path.join(folder, 'turns');
  writeFileSync(file, '');
  const script = `
    import { appendFileSync } from 'node:fs';
    import { withLock } from ${JSON.stringify(path.join(import.meta.dirname, '../../support/lock.ts'))};
    for (let turn = 0; turn < 20; turn++) {
      withLock(${JSON.stringify(lock)}, () => {
        appendFileSync(${JSON.stringify(file)}, 'a');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        appendFileSync(${JSON.stringify(file)}, 'b');
      });
    }`;
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  await Promise.all([run(), run(), run()]);
  expect(readFileSync(file, 'utf8')).toBe('ab'.repeat(60));
  expect(existsSync(lock)).toBe(false);
});

test('work that fails gives it back', () => {
  expect(() =>
    withLock(lock, () => {
      throw new Error('no template');
    }),
  ).toThrow('no template');
  expect(existsSync(lock)).toBe(false);
});

test.each([
  ['of a process that is gone', () => String(spawnSync(process.execPath, ['-e', '']).pid), 0],
  ['that nobody signed for minutes', () => undefined, 600],
  ['that a running process has had for minutes', () => String(process.pid), 600],
])('one %s is taken over', (_, holder, seconds) => {
  mkdirSync(lock);
  const signature = holder();
  if (signature !== undefined) {
    writeFileSync(path.join(lock, 'holder'), signature);
  }
  const at = Date.now() / 1_000 - seconds;
  utimesSync(lock, at, at);
  let worked = false;
  withLock(lock, () => {
    worked = true;
  });
  expect([worked, existsSync(lock)]).toEqual([true, false]);
});
