/** What a test must not depend on, because it would fail one day for no reason that anybody finds. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { freePort } from '../support/free-port.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const files = globSync('test/**/*.ts', { cwd: ROOT }).filter((file) => !file.endsWith('chance.test.ts'));
const using = (pattern: RegExp) =>
  files.filter((file) => pattern.test(readFileSync(path.join(ROOT, file), 'utf8')));

test('chance has a seed that is printed, and that can be given', () => {
  // The one names its tests by the seed that it draws, the other prints it first.
  expect(using(/Math\.random\(|random: Math\.random|randomInt\(/).sort()).toEqual([
    path.join('test', 'faults', 'main.ts'),
    path.join('test', 'histories', 'histories.test.ts'),
  ]);
  // A seed of its own would hide what others find.
  expect(using(/fc\.(assert|check)\([\s\S]*?\bseed:/)).toEqual([]);
});

test('a property that fails says with which seed, and another run takes it', () => {
  const failure = () => fc.assert(fc.property(fc.double(), Number.isInteger));
  expect(failure).toThrow(/seed: -?\d+/);
  const global = fc.readConfigureGlobal();
  expect(global.seed).toBe(
    process.env.FAST_CHECK_SEED === undefined ? undefined : Number(process.env.FAST_CHECK_SEED),
  );
});

test('ports are claimed: whoever asks gets one that nobody else has', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
  expect(new Set(ports).size).toBe(ports.length);
  // Systems give out higher ones to whoever asks for any.
  expect(Math.max(...ports)).toBeLessThan(32_768);
});
