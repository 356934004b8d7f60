import { inputFor, skipReason, versionOf } from '../../../../../lambdas/shared/photos/execution-input.ts';
import { EVENT, keyOf, LONG_AGO, object, photoId, row } from '../../../../support/compared-world.ts';

const nobody = { photo: undefined, own: undefined };
const ERASED = new Date('2026-05-01T11:00:00Z');
const skip = (
  rest: Parameters<typeof row>[1] | undefined,
  of: Parameters<typeof object>[1] = {},
  erasedBefore: Date | null = null,
) => skipReason(object(1, of), EVENT, rest ? { photo: row(1, rest), own: undefined } : nobody, erasedBefore);

test('an object without a version is its bytes; a bucket without versions says "null"', () => {
  expect([
    versionOf({ etag: 'e' }),
    versionOf({ etag: 'e', versionId: 'v' }),
    versionOf({ etag: 'e', versionId: 'null' }),
  ]).toEqual(['e', 'v', 'e']);
});

test('an execution is told of the object as S3 would tell of it', () => {
  expect(inputFor('photos', object(1), nobody, 'backfill')).toEqual({
    lane: 'backfill',
    bucket: 'photos',
    object: { key: keyOf(1), etag: 'v1', size: 1_000, sequencer: '0' },
    event_time: LONG_AGO,
  });
  expect(inputFor('photos', object(1, { versionId: 'x' }), nobody, 'live')).toMatchObject({
    lane: 'live',
    object: { 'version-id': 'x' },
  });
  // Of the version that the row knows it is the row's sequencer, of another one a later one.
  const rows = { photo: row(1, { object_sequencer: '0A' }), own: undefined };
  expect(inputFor('photos', object(1), rows, 'live').object.sequencer).toBe('0A');
  expect(inputFor('photos', object(1, { etag: 'v2' }), rows, 'live').object.sequencer > '0A').toBe(true);
});

test.each([
  ['is not known', undefined, undefined],
  ['waits for just this object', { status: 'processing', object_version: null }, undefined],
  ['is indexed', {}, 'indexed'],
  ['failed for a moment', { status: 'failed', failure_retryable: true }, undefined],
  ['failed for good', { status: 'failed', failure_retryable: false }, 'permanently_failed'],
  ['was erased', { status: 'erased' }, 'erased'],
  ['was deleted, and is there again', { status: 'deleted' }, undefined],
] as const)('a photo that %s: %s -> %s', (_, of, reason) => {
  expect(skip(of)).toBe(reason);
});

test('what is there already under another key is another object; other bytes are a new one', () => {
  const copy = { key: `events/${EVENT}/${photoId(1)}.JPG` };
  expect([skip({}, copy), skip({}, { etag: 'v2' })]).toEqual(['other_object', undefined]);
});

test('what was uploaded before its event was erased stays erased', () => {
  expect(skip(undefined, {}, ERASED)).toBe('erased');
  expect(skip(undefined, { uploadedAt: ERASED.toISOString() }, ERASED)).toBeUndefined();
});
