/** What a person can get wrong before anything has started: one clear line each, at once. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { type Ended, run } from '../support/command.ts';

jest.setTimeout(30_000);

const base = mkdtempSync(join(tmpdir(), 'rollcall-mistakes-'));
const photos = join(base, 'photos');
const state = join(base, 'state');
const env = { ROLLCALL_STATE_DIR: state };

beforeAll(() => {
  mkdirSync(join(photos, 'empty'), { recursive: true });
  mkdirSync(join(photos, 'papers'));
  writeFileSync(join(photos, 'papers', 'notes.txt'), 'notes');
  writeFileSync(join(photos, 'papers', '.hidden.jpg'), 'hidden');
  writeFileSync(join(photos, 'a.jpg'), 'a');
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function expectOneLine({ code, stdout, stderr }: Ended, exitCode: number, told: RegExp): void {
  expect(stderr).toMatch(told);
  expect(stderr.trimEnd()).not.toContain('\n');
  expect(stdout).toBe('');
  expect(code).toBe(exitCode);
}

test.each<[string, string[], RegExp]>([
  ['a missing folder', [join(photos, 'missing')], /missing cannot be used: it does not exist/],
  ['a file instead of a folder', [join(photos, 'a.jpg')], /a\.jpg is a file: give the folder that holds it/],
  ['an empty folder', [join(photos, 'empty')], /no pictures in .*empty/],
  [
    'a folder without pictures',
    [join(photos, 'papers')],
    /no pictures in .*papers \(1 file is not a picture: notes\.txt\)/,
  ],
  ['an unknown option', ['--evnt'], /no option --evnt/],
  ['an event that is no UUID', [photos, '--event', 'party'], /--event takes a UUID .* not "party"/],
  ['two folders', [photos, base], /One folder at a time/],
  [
    'an impossible port',
    [photos, '--postgres-port', '99999'],
    /--postgres-port takes a number from 1 to 65535/,
  ],
])('%s', async (_, args, told) => {
  expectOneLine(await run('start', args, env).ended, 2, told);
});

test('a folder for local:up', async () => {
  expectOneLine(await run('up', [photos], env).ended, 2, /takes options only, but got .*--app FOLDER/);
});

test('local:reset with nothing to remove', async () => {
  const { code, stdout, stderr } = await run('reset', [], env).ended;
  expect([code, stdout.trimEnd().split('\n').length, stderr]).toEqual([0, 1, '']);
  expect(stdout).toContain('nothing to remove');
});

test('local:reset never removes what is not its own', async () => {
  expectOneLine(
    await run('reset', [], { ROLLCALL_STATE_DIR: photos }).ended,
    1,
    /is not the state of a local run/,
  );
  expect(readdirSync(photos).sort()).toEqual(['a.jpg', 'empty', 'papers']);
});

test('--help is help', async () => {
  const { code, stdout, stderr } = await run('start', ['--help'], env).ended;
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('--postgres-port N');
});

test('--help of what starts or removes does neither', async () => {
  const mine = { ROLLCALL_STATE_DIR: join(base, 'mine') };
  mkdirSync(mine.ROLLCALL_STATE_DIR);
  writeFileSync(join(mine.ROLLCALL_STATE_DIR, 'layout-version'), '1\n');
  for (const script of ['reset', 'up'] as const) {
    for (const args of [['--help'], ['-h'], ['--postgres-port', '6000', '--help']]) {
      const { code, stdout, stderr } = await run(script, args, mine).ended;
      expect([script, args, code, stderr]).toEqual([script, args, 0, '']);
      expect(stdout).toContain(`Usage: npm run local:${script}`);
    }
  }
  expect(readdirSync(mine.ROLLCALL_STATE_DIR)).toEqual(['layout-version']);
  rmSync(mine.ROLLCALL_STATE_DIR, { recursive: true });
});

test('a reader that leaves early, as head does, is not a mistake', async () => {
  const help = run('start', ['--help'], env);
  help.stopReading();
  expect(await help.ended).toMatchObject({ code: 0, stderr: '' });
});

test('no mistake leaves anything behind', () => {
  expect(readdirSync(base)).toEqual(['photos']);
});
