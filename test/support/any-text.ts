import fc from 'fast-check';

const SURROGATES = { from: 0xd800, count: 0x800 };

/**
 * Any character of Unicode, as the unit of a string. fast-check's own, `binary`, makes a table of all 1.1 million of them in
 * each file that asks for one, which takes a second.
 */
export const anyCharacter = fc
  .nat(0x10ffff - SURROGATES.count)
  .map(
    (index) => String.fromCodePoint(index < SURROGATES.from ? index : index + SURROGATES.count),
    indexOfCharacter,
  );

/** @throws where the value is not one character: fast-check tries it on parts of texts. */
function indexOfCharacter(value: unknown): number {
  const [character, ...others] = typeof value === 'string' ? value : [];
  const codePoint = character?.codePointAt(0) ?? -1;
  const isSurrogate = codePoint >= SURROGATES.from && codePoint < SURROGATES.from + SURROGATES.count;
  if (codePoint < 0 || others.length > 0 || isSurrogate) {
    throw new Error('Not a character');
  }
  return codePoint < SURROGATES.from ? codePoint : codePoint - SURROGATES.count;
}
