/** Words that the project gave up, in favour of one that means one thing: none of its files says them any more. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../../..');

interface Retired {
  /** What is not said. */
  word: RegExp;
  /** What is said instead, and why. */
  instead: string;
  /** How it was said, for the test of the test. */
  example: string;
  /** Files that say it all the same, each with its reason. */
  except?: Record<string, string>;
}

const retired: Retired[] = [
  {
    word: /reserve[-_ ]?slot/i,
    instead: 'JoinLine: a photo gets a place in line there, and its slot at the gate (docs/adr/0003)',
    example: 'ReserveSlot',
  },
  {
    word: /wait[-_ ]?for[-_ ]?slot(?!s)/i,
    instead: 'WaitInLine (docs/adr/0003)',
    example: 'WaitForSlot',
  },
  {
    word: /\bslot_ms\b/,
    instead: 'place_ms, or slotMs of a slot at the gate (docs/adr/0003)',
    example: 'slot_ms',
  },
  { word: /\bslot[-_ ]?delay/i, instead: 'LineDelay (docs/adr/0003)', example: 'SlotDelay' },
  { word: /\bgate[-_ ]?slots?\b/i, instead: 'slot: there is no other (docs/adr/0003)', example: 'GateSlot' },
  {
    // Not the ending of a file.
    word: /(?<![.,{|(\w])tsx\b(?![,}|)])/,
    instead: 'node: it runs TypeScript by itself',
    example: 'npx tsx bin/rollcall.ts',
  },
  {
    word: /esbuild-register|\bts-node\b|\bts-jest\b/,
    instead: 'node: it runs TypeScript by itself',
    example: 'esbuild-register',
  },
  { word: /bench\/faults/, instead: 'test/faults', example: 'bench/faults/main.ts' },
  {
    word: /\b(?:is|are|was|were|be|been|not|never|stays?) paid\b(?! (?:by|for)\b)/,
    instead: 'billed: AWS bills a call, and somebody pays the invoice later',
    example: 'it is not going to be paid',
    except: {
      'migrations/0002_usage.sql': 'a migration that has run somewhere is not edited',
    },
  },
  {
    word: /operator's way back|database is away|engineer has to act|\basks? \$\d/,
    instead: 'recovery commands; unavailable; needs an engineer; charges',
    example: "the operator's way back",
  },
];

/** This file says all of them, and the lock file names what others depend on. */
const NOT_READ = ['test/unit/house/retired-words.test.ts', 'package-lock.json'];
/** What an earlier version said stays as it was recorded. */
const RECORDED = /^test\/contract\/\d/;

const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\0')
  .filter(
    (file) =>
      /\.(?:md|m?ts|tsx|json|sql|ya?ml|sh|svg|css|html)$/.test(file) &&
      !NOT_READ.includes(file) &&
      !RECORDED.test(file),
  );
const texts = new Map(tracked.map((file) => [file, textOf(file)]));

/** Empty for a file that is deleted and not committed yet. */
function textOf(file: string): string {
  try {
    return readFileSync(path.join(ROOT, file), 'utf8');
  } catch {
    return '';
  }
}

/** Comments that are wrapped are read as one line. */
function saying(word: RegExp): string[] {
  return [...texts]
    .filter(
      ([file, text]) => word.test(file) || word.test(text.replaceAll(/\s*\n\s*(?:\*|\/\/|--)?\s*/g, ' ')),
    )
    .map(([file]) => file);
}

test('all of the project is read', () => {
  expect(tracked.length).toBeGreaterThan(500);
  expect(tracked).toEqual(
    expect.arrayContaining([
      'README.md',
      'state-machines/index-photo.asl.json',
      'local/cloud.ts',
      'package.json',
    ]),
  );
});

test.each(retired)('$word: $instead', ({ word, example, except = {} }) => {
  expect(example).toMatch(word);
  expect(saying(word).sort()).toEqual(Object.keys(except).sort());
});
