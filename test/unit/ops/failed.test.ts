import { displayWidth } from '../../../cli/text.ts';
import { parseOpsArguments } from '../../../ops/arguments.ts';
import { type Failure, failureLines } from '../../../ops/commands/failed.ts';
import { misplacedLines } from '../../../ops/misplaced.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const LINK = `https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:Photos:${EVENT}`;

const failure = (n: number): Failure => ({
  photo_id: EVENT,
  event_id: EVENT,
  key: `events/${EVENT}/second shooter/IMG_000${n}.jpg`,
  code: 'DatabaseUnavailable',
  message: 'PostgreSQL 08006: connection to server at port 5432 failed: ECONNREFUSED',
  retryable: true,
  failed_at: `2026-05-0${n}T10:00:00.000Z`,
  execution: 'arn',
  console: LINK,
});

const lines = (columns: number | undefined, argv: string[] = []) =>
  failureLines(
    { args: parseOpsArguments(['failed', ...argv], {}), columns },
    {
      failures: [{ code: 'DatabaseUnavailable', retryable: true, photos: 3 }],
      photos: [2, 1].map(failure),
      total: 3,
      letters: 4,
      misplaced: { total: 0, uploads: [] },
    },
  );

test.each([40, 80, 160])('at %d columns: file, reason and link are all there', (columns) => {
  const shown = lines(columns);
  const text = shown.join('\n');
  for (const n of [1, 2]) {
    expect(text).toContain(`IMG_000${n}.jpg`);
    expect(text).toContain(`2026-05-0${n}`);
  }
  // Wrapped, and not cut.
  expect(text.replaceAll(/\s+/g, ' ').match(/failed: ECONNREFUSED/g)).toHaveLength(2);
  expect(shown.filter((line) => line.trim() === LINK)).toHaveLength(2);
  const tables = shown.filter((line) => line.startsWith('  ') && !line.includes('https:'));
  for (const line of tables) {
    expect([line, displayWidth(line) <= columns]).toEqual([line, true]);
  }
});

test('in a pipe: a line for each photo, with all of it', () => {
  const shown = lines(undefined);
  for (const n of [1, 2]) {
    const { key, message } = failure(n);
    expect(shown.filter((line) => [key, message!, LINK].every((part) => line.includes(part)))).toHaveLength(
      n === 1 ? 1 : 1,
    );
  }
});

test.each([
  [1, /^1 upload of no event: its key is not .*\. Upload it again .* then delete it\.$/],
  [2, /^2 uploads of no event: their keys are not .*\. Upload them again .* then delete them\.$/],
])('%d uploads of no event, in a sentence', (total, sentence) => {
  expect(misplacedLines({ total, uploads: [] }, 80)[0]).toMatch(sentence);
});

test('what to do next operates what was looked at', () => {
  expect(lines(80).join('\n')).toContain('npm run ops -- reprocess --all-failed`\n');
  expect(lines(80, ['--local']).join('\n')).toContain('npm run ops -- reprocess --all-failed --local');
  expect(lines(80, ['--stack', 'Mine']).join('\n')).toContain('replay-dead-letters --stack Mine');
});
