/** What an execution may be started with: what cannot be compared or stored is refused before anything is done. */
import fc from 'fast-check';
import { executionInputSchema, parseRequest } from '../../../../../lambdas/shared/contract/payloads.ts';
import { anyCharacter } from '../../../../support/any-text.ts';

const input = (object: object) => ({
  lane: 'live',
  bucket: 'photos',
  object: { key: 'events/e/a.jpg', etag: 'e', size: 1, sequencer: '0', ...object },
});
const accepts = (object: object) => {
  try {
    parseRequest(executionInputSchema, input(object));
    return true;
  } catch (error) {
    expect(error).toMatchObject({ name: 'InvalidInput' });
    return false;
  }
};

test('a sequencer is hexadecimal, of at most 64 digits, and zero where nobody says', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ maxLength: 70 }), fc.stringMatching(/^[0-9a-fA-F]{0,70}$/), fc.constant('0x1F')),
      (sequencer) => {
        expect(accepts({ sequencer })).toBe(/^[0-9a-f]{1,64}$/i.test(sequencer) && !sequencer.endsWith('\n'));
      },
    ),
    { numRuns: 500 },
  );
  expect(accepts({ sequencer: 7 })).toBe(false);
  expect(parseRequest(executionInputSchema, input({ sequencer: undefined })).object.sequencer).toBe('0');
});

test.each(['etag', 'version-id'])('the %s is a text that PostgreSQL can hold', (name) => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter, minLength: 1, maxLength: 255 }), (text) => {
      expect(accepts({ [name]: text })).toBe(!text.includes('\0') && text.isWellFormed());
    }),
    { numRuns: 500 },
  );
  for (const broken of ['a\0b', '\ud800', 'a\udc00']) {
    expect([broken, accepts({ [name]: broken })]).toEqual([broken, false]);
  }
});

test('an ETag has between 1 and 255 characters', () => {
  expect(['', 'x', 'x'.repeat(255), 'x'.repeat(256)].map((etag) => accepts({ etag }))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
