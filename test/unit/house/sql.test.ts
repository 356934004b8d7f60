import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const LAMBDAS = path.join(import.meta.dirname, '../../../lambdas');

const sources = readdirSync(LAMBDAS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => [file, readFileSync(path.join(LAMBDAS, file), 'utf8')] as const);

test('no value becomes part of a statement: only migrations are text', () => {
  const unsafe = sources.filter(([, source]) => /\.unsafe\(/.test(source)).map(([file]) => file);
  expect(unsafe.sort()).toEqual(
    ['migrate-database.ts', 'move-from-public.ts'].map((file) => path.join('migrate-database', file)),
  );
});

test('every connection verifies whom it talks to', () => {
  const connecting = sources.filter(([, source]) => /\bpostgres\(/.test(source));
  expect(connecting.map(([file]) => file)).toEqual([path.join('shared', 'database', 'connection.ts')]);
  const [, source] = connecting[0]!;
  const calls = [...source.matchAll(/\bpostgres\(\{(.*?)\n {2}\}\)/gs)].map(([, options]) => options);
  expect(calls).toHaveLength(source.match(/\bpostgres\(/g)!.length);
  for (const options of calls) {
    // Last, so that nothing before it takes its place.
    expect(options!.trim()).toMatch(/ssl: \{ \.\.\.ssl, host, rejectUnauthorized: true \},$/);
  }
  const lax = sources.filter(([, text]) => /rejectUnauthorized: false|checkServerIdentity/.test(text));
  expect(lax.map(([file]) => file)).toEqual([]);
});

test('every function that is given anything checks it at its edge', () => {
  const handlers = sources.filter(([file]) => path.basename(file) === 'handler.ts');
  const unchecked = handlers
    .filter(([, source]) => !/parseRequest\(/.test(source))
    .map(([file]) => path.dirname(file));
  // The deployment, or the clock, calls these, with nothing that they look at.
  expect(unchecked.sort()).toEqual(['bootstrap-database', 'migrate-database', 'read-quota']);
});
