/** What an execution may be started with: what cannot be compared or stored is refused before anything is done. */
import fc from 'fast-check';
import {
  caughtErrorSchema,
  executionEndedSchema,
  executionInputSchema,
  parseRequest,
  photoVersion,
} from '../../../../../lambdas/shared/contract/payloads.ts';
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

test('an execution may be started in either lane, and is live where nobody says', () => {
  const lane = (given?: string) =>
    parseRequest(executionInputSchema, {
      ...input({}),
      ...(given === undefined ? { lane: undefined } : { lane: given }),
    }).lane;
  expect([lane('live'), lane('backfill'), lane()]).toEqual(['live', 'backfill', 'live']);
  expect(() => lane('fast')).toThrow('lane: ');
});

test('a bucket has a name of 3 to 63 characters, a key one at least, a version id 1,024 at most', () => {
  const bucket = (length: number) => () =>
    parseRequest(executionInputSchema, { ...input({}), bucket: 'b'.repeat(length) });
  expect(bucket(3)).not.toThrow();
  expect(bucket(63)).not.toThrow();
  for (const length of [2, 64]) {
    expect(bucket(length)).toThrow('bucket: ');
  }
  expect([accepts({ key: '' }), accepts({ key: 'a' })]).toEqual([false, true]);
  expect([1_024, 1_025].map((length) => accepts({ 'version-id': 'v'.repeat(length) }))).toEqual([
    true,
    false,
  ]);
});

test('what is wrong is said by its path, the first of it', () => {
  const refuse = (request: unknown) => () => parseRequest(executionInputSchema, request);
  expect(refuse({ ...input({ etag: 7 }), bucket: 'b' })).toThrow(/^bucket: /);
  expect(refuse(input({ etag: 7 }))).toThrow(/^object\.etag: /);
  expect(refuse(7)).toThrow(/^input: /);
});

test('an error that was caught may have no cause', () => {
  expect(parseRequest(caughtErrorSchema, { Error: 'States.Timeout' })).toEqual({
    Error: 'States.Timeout',
    Cause: '',
  });
});

test('an execution that ended otherwise than well has failed, timed out or was stopped', () => {
  const ended = (status: string) => ({ detail: { executionArn: 'a', status, startDate: 0 } });
  for (const status of ['FAILED', 'TIMED_OUT', 'ABORTED']) {
    expect(parseRequest(executionEndedSchema, ended(status)).detail.status).toBe(status);
  }
  expect(() => parseRequest(executionEndedSchema, ended('SUCCEEDED'))).toThrow('detail.status');
});

test('a photo is billed once by its version, which a bucket without versions calls null', () => {
  const version = (versionId?: string) =>
    photoVersion({
      key: 'k',
      etag: 'e',
      sequencer: '0',
      ...(versionId !== undefined && { 'version-id': versionId }),
    });
  expect([version(), version('null'), version(''), version('v')]).toEqual(['e', 'e', 'e', 'v']);
});
