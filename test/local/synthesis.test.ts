import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { synthesise } from '../../local/synthesis.ts';

const base = mkdtempSync(join(tmpdir(), 'rollcall-synthesis-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const synthesiseAs = (name: string) =>
  synthesise({ assembly: join(base, name), log: join(base, `${name}.log`) });

test('what was synthesised once is there for another state folder, and is its own', async () => {
  const first = await synthesiseAs('first');
  const second = await synthesiseAs('second');
  // The log is the app's: it did not run a second time.
  expect(existsSync(join(base, 'second.log'))).toBe(false);
  expect(second).toMatchObject({ stackName: first.stackName, template: first.template });

  writeFileSync(join(base, 'second/manifest.json'), 'not what it was');
  await expect(synthesiseAs('first')).resolves.toMatchObject({ template: first.template });
  await expect(synthesiseAs('third')).resolves.toMatchObject({ template: first.template });
}, 120_000);

test('who miss the same assembly at once wait for the one that makes it', async () => {
  // Not one that an earlier run left.
  const context = { '@rollcall/made-for': randomUUID() };
  const names = ['a', 'b', 'c'];
  const all = await Promise.all(
    names.map((name) => synthesise({ assembly: join(base, name), log: join(base, `${name}.log`), context })),
  );
  expect(names.filter((name) => existsSync(join(base, `${name}.log`)))).toHaveLength(1);
  expect(new Set(all.map(({ template }) => JSON.stringify(template))).size).toBe(1);
}, 120_000);

test('an app that cannot be synthesised leaves nothing behind to use', async () => {
  const context = { rollcall: { indexFacesPerSecond: -1 } };
  const options = { assembly: join(base, 'bad'), log: join(base, 'bad.log'), context };
  await expect(synthesise(options)).rejects.toThrow(/indexFacesPerSecond/);
  await expect(synthesise(options)).rejects.toThrow(/indexFacesPerSecond/);
}, 120_000);
