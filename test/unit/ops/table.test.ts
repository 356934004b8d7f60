import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { displayWidth } from '../../../cli/text.ts';
import { table } from '../../../ops/table.ts';

const ID = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const WIDTHS = [40, 80, 160] as const;

const cell = fc.oneof(
  fc.integer({ min: 0, max: 9_999_999 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constant(`events/${ID}/camera 2/IMG_${'0'.repeat(240)}7.jpg`),
);

const rows = fc
  .integer({ min: 1, max: 5 })
  .chain((columns) =>
    fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 6 }),
  );

test('no line is wider than the terminal, whatever stands in the cells', () => {
  fc.assert(
    fc.property(rows, fc.constantFrom(...WIDTHS), (given, columns) => {
      // Five numbers of nine digits have no room at 40; nobody shows so many.
      fc.pre((given[0]?.filter((one) => typeof one === 'number').length ?? 0) <= 2);
      const numbers = given[0]!.map((_, i) => given.some((row) => typeof row[i] === 'number'));
      fc.pre(numbers.filter(Boolean).length <= 2);
      fc.pre(given.every((row) => row.every((one, i) => !numbers[i] || typeof one === 'number')));
      for (const line of table(given, { columns })) {
        expect([line, displayWidth(line) <= columns]).toEqual([line, true]);
      }
    }),
  );
});

test('numbers and ids are never cut, in any terminal', () => {
  const other = randomUUID();
  for (const columns of WIDTHS) {
    const text = table(
      [
        ['photos', 'event', 'name'],
        [1_234_567, ID, 'a name of some length, to be cut first'],
        [1, other, 'b'],
      ],
      { columns },
    ).join('\n');
    expect(text).toContain('1,234,567');
    expect(text).toContain(ID);
    expect(text).toContain(other);
  }
});

test('in a pipe nothing is cut, and one long cell does not push all rows aside', () => {
  const long = 'x'.repeat(250);
  const lines = table(
    [
      [long, 'a'],
      ['short', 'b'],
    ],
    { columns: undefined },
  );
  expect(lines[0]).toContain(long);
  expect(lines[1]!.length).toBeLessThan(80);
});

test('a file name shows its end, and both its neighbors, at 80 columns', () => {
  const [line] = table(
    [[`events/${ID}/folder/IMG_0001.jpg`, 'InvalidImageFormat', 'it is a film and no picture']],
    {
      columns: 80,
    },
  );
  expect(line).toMatch(/IMG_0001\.jpg {2}Invalid.*picture$/);
});
