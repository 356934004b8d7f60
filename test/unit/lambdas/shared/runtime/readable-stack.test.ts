import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeReadable } from '../../../../../lambdas/shared/runtime/readable-stack.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'readable-stack-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A bundle whose first column is line 3, column 1 of `core.ts`; its map has a name that is not in ASCII. */
function bundle(name: string): string {
  const file = path.join(folder, name);
  const map = { version: 3, sources: ['kern-ä.ts'], names: [], mappings: 'AAEA' };
  writeFileSync(`${file}.map`, JSON.stringify(map));
  return pathToFileURL(file).href;
}

function stackOf(text: string): string | undefined {
  const error = new Error('what went wrong');
  error.stack = text;
  makeReadable(error);
  return error.stack;
}

test('each position in a bundle becomes that of its source', () => {
  const [one, other] = [bundle('one.mjs'), bundle('other.mjs')];
  expect(stackOf(`Error: x\n    at f (${one}:1:1)\n    at ${other}:1:1`)).toBe(
    'Error: x\n    at f (kern-ä.ts:3:1)\n    at kern-ä.ts:3:1',
  );
  // The map is read once: it is there no longer.
  rmSync(path.join(folder, 'one.mjs.map'));
  expect(stackOf(`at ${one}:1:1`)).toBe('at kern-ä.ts:3:1');
});

test('what has no map, or is not in it, stays', () => {
  const known = bundle('known.mjs');
  const broken = path.join(folder, 'broken.mjs');
  writeFileSync(`${broken}.map`, 'not JSON');
  const empty = path.join(folder, 'empty.mjs');
  writeFileSync(`${empty}.map`, JSON.stringify({ version: 3, sources: [], names: [], mappings: '' }));
  for (const stack of [
    `at ${pathToFileURL(path.join(folder, 'none.mjs')).href}:1:1`,
    `at ${pathToFileURL(broken).href}:1:1`,
    `at ${pathToFileURL(empty).href}:1:1`,
    `at ${known.replace('.mjs', '.cjs')}:1:1`,
    'at node:internal/process:1:1',
  ]) {
    expect(stackOf(stack)).toBe(stack);
  }
});

test('what caused an error is made readable too, each once, whatever causes what', () => {
  const file = bundle('cause.mjs');
  const cause = new Error('first');
  const error = new Error('second', { cause });
  cause.stack = `at ${file}:1:1`;
  error.stack = `at ${file}:1:1`;
  cause.cause = error;
  makeReadable(error);
  expect([error.stack, cause.stack]).toEqual(['at kern-ä.ts:3:1', 'at kern-ä.ts:3:1']);
});

test('an error without a stack has none afterwards, and what caused it may be anything', () => {
  const error = new Error('x', { cause: 'a text' });
  delete error.stack;
  makeReadable(error);
  expect('stack' in error).toBe(false);
});
