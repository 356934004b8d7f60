/** What a test must not depend on, because it would fail one day for no reason that anybody finds. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { freePort } from '../../support/free-port.ts';
import { withinOneDay } from '../../support/midnight.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
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

test('no test holds anything against the machine’s clock, which says how busy the machine is', () => {
  expect(using(/expect\([^;]*?\bnow\(\) - \w+\)|expect\([^;]* - (Date|performance)\.now\(\)\)/)).toEqual([]);
  expect(using(/\.to\w+\((Date|performance)\.now\(\)/)).toEqual([]);
});

test('what is tested by itself is given its clock and its chance', () => {
  const cores = globSync('lambdas/**/*.ts', { cwd: ROOT });
  // Who puts a function together chooses the system's.
  const reading = cores.filter((file) =>
    /\b(Date|performance)\.now\b|new Date\(\)|Math\.random/.test(readFileSync(path.join(ROOT, file), 'utf8')),
  );
  expect(reading.filter((file) => path.basename(file) !== 'handler.ts').sort()).toEqual([
    path.join('lambdas', 'shared', 'database', 'connection.ts'),
    path.join('lambdas', 'shared', 'line', 'environment.ts'),
  ]);
});

test('a test of one day waits for midnight where it is near', async () => {
  const day = Date.parse('2026-05-02T00:00:00Z');
  const waited = async (nowMs: number) => {
    const waits: number[] = [];
    await withinOneDay(60_000, { now: () => nowMs, wait: async (ms) => waits.push(ms) });
    return waits;
  };
  await expect(waited(day - 60_001)).resolves.toEqual([]);
  await expect(waited(day - 60_000)).resolves.toEqual([60_010]);
  await expect(waited(day - 1)).resolves.toEqual([11]);
  await expect(waited(day)).resolves.toEqual([]);
});

test('ports are claimed: whoever asks gets one that nobody else has', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
  expect(new Set(ports).size).toBe(ports.length);
  // Systems give out higher ones to whoever asks for any.
  expect(Math.max(...ports)).toBeLessThan(32_768);
});
