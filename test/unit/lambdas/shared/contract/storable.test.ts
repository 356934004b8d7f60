import fc from 'fast-check';
import * as v from 'valibot';
import {
  isStorable,
  storable,
  storableJson,
  storableReal,
  storableText,
} from '../../../../../lambdas/shared/contract/storable.ts';

const HALF = '\ud83d';
const REPLACED = '\ufffd';

test.each([
  ['a text', 'a text'],
  ['', ''],
  ['😀', '😀'],
  ['\0', ''],
  ['a\0b\0c', 'abc'],
  [HALF, REPLACED],
  [`${HALF}\0x`, `${REPLACED}x`],
])('%j becomes %j', (text, stored) => {
  expect(storableText(text)).toBe(stored);
  expect([isStorable(text), isStorable(stored)]).toEqual([text === stored, true]);
  expect(v.is(storable, text)).toBe(text === stored);
});

test('what is not a text, or cannot be stored, is refused with a reason', () => {
  expect(v.is(storable, 7)).toBe(false);
  expect(v.safeParse(storable, '\0').issues?.map(({ message }) => message)).toEqual([
    'holds characters that PostgreSQL cannot store',
  ]);
});

test('of a value out of JSON every text is made storable, names too; the rest stays', () => {
  expect(
    storableJson({ 'na\0me': ['\0a', 1, null, true, { inner: `${HALF}b` }], empty: {}, none: [] }),
  ).toEqual({ name: ['a', 1, null, true, { inner: `${REPLACED}b` }], empty: {}, none: [] });
  for (const value of ['text', 0, false, null]) {
    expect(storableJson(value)).toBe(value);
  }
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const stored = JSON.stringify(storableJson(value));
      expect(isStorable(JSON.stringify(JSON.parse(stored)).replaceAll('\\u0000', '\0'))).toBe(true);
    }),
  );
});

test('a hundred levels are kept, and what is below them is null', () => {
  const nested = (levels: number, innermost: unknown): unknown =>
    levels === 0
      ? innermost
      : levels % 2 === 0
        ? [nested(levels - 1, innermost)]
        : { a: nested(levels - 1, innermost) };
  expect(storableJson(nested(100, 'x'))).toEqual(nested(100, 'x'));
  expect(storableJson(nested(100, []))).toEqual(nested(100, null));
});

test.each([
  [0.1, Math.fround(0.1)],
  [-1.5, -1.5],
  [0, 0],
  [1e300, null],
  [Number.NaN, null],
  [Number.NEGATIVE_INFINITY, null],
  ['1', null],
  [null, null],
])('as a real, %j is %j', (value, stored) => {
  expect(storableReal(value)).toBe(stored);
});
