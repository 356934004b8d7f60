/** Every command that the documents show is one that the program understands. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseOpsArguments } from '../../ops/arguments.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const ID = '0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60';

/** What stands for something in a command that is shown. */
const PLACEHOLDERS: [RegExp, string][] = [
  [/\{event UUID\}|\{key or id\}|\bKEY\b|\bID\b|…/g, ID],
  [/\bYESTERDAY\b/g, '2026-05-01'],
  [/\bSELFIE\b/g, 'me.jpg'],
  [/(--images|--limit) N\b/g, '$1 5'],
];

const documents = ['README.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: ROOT })];

const shown = documents.flatMap((file) =>
  [
    ...readFileSync(path.join(ROOT, file), 'utf8').matchAll(
      /npm run (?:--silent )?ops -- ([^`#|>]+?)(?=[`#|>]|\n\s{4}npm|\n\n|\n {4}\S|$)/g,
    ),
  ].map(([, command]) => [file, command!.trim().replaceAll(/\s+/g, ' ')] as const),
);

test('there are enough of them for this to mean something', () => {
  expect(shown.length).toBeGreaterThan(40);
});

test.each(shown)('%s: %s', (_, command) => {
  const text = PLACEHOLDERS.reduce(
    (sofar, [placeholder, value]) => sofar.replaceAll(placeholder, value),
    command,
  );
  if (text.startsWith('--help')) {
    return;
  }
  expect(() => parseOpsArguments(text.split(' '), {})).not.toThrow();
});
