import fc from 'fast-check';
import { parsePhotoKey } from '../../../../../lambdas/shared/contract/photo-key.ts';
import type { StoredObject } from '../../../../../lambdas/shared/photos/execution-input.ts';
import type { PhotoRow } from '../../../../../lambdas/shared/photos/row-types.ts';
import { compare } from '../../../../../lambdas/shared/reconciliation/compare.ts';
import {
  EVENT,
  face,
  inCollection,
  JUST_NOW,
  keyOf,
  findingKinds as kinds,
  LONG_AGO,
  object,
  photoId,
  response,
  row,
  SETTLED,
  world,
} from '../../../../support/compared-world.ts';

test('says nothing where all three agree', () => {
  expect(kinds(world())).toEqual([]);
  expect(kinds(world({ photos: [], objects: [], faces: [], collection: undefined, responses: [] }))).toEqual(
    [],
  );
});

test('finds a photo without an end, once its time is up', () => {
  const processing = (created_at: string) =>
    world({ photos: [row(1, { status: 'processing', object_version: null, created_at })], faces: [] });
  expect(compare(processing(LONG_AGO), SETTLED)).toEqual([
    expect.objectContaining({ kind: 'no_end', photoId: photoId(1), object: object(1) }),
  ]);
  expect(kinds(processing(JUST_NOW))).toEqual([]);
});

test('finds what was never seen: an object without a row, and a version that came later', () => {
  const unseen = (objects: StoredObject[], photos = [row(1)]) => kinds(world({ objects, photos }));
  expect(unseen([object(1), object(2)])).toEqual(['never_seen']);
  expect(unseen([object(1), object(2, { uploadedAt: JUST_NOW })])).toEqual([]);
  expect(unseen([object(1, { etag: 'v2' })])).toEqual(['never_seen']);
  expect(unseen([object(1, { etag: 'v2', versionId: 'v1' })])).toEqual([]);
  // A copy of the photo is the same photo, other bytes are not, and a file in a folder below never is.
  const beside = (key: string, rest = {}) => object(1, { key: `events/${EVENT}/${key}`, ...rest });
  expect(unseen([object(1), beside(`${photoId(1)}.JPG`)])).toEqual([]);
  expect(unseen([object(1), beside(`${photoId(1)}.JPG`, { etag: 'v2' })])).toEqual(['never_seen']);
  expect(unseen([object(1), beside(`copy/${photoId(1)}.jpg`)])).toEqual(['never_seen']);
  // A deleted photo whose object is there again is to be indexed.
  const deleted = row(1, { status: 'deleted', object_version: null });
  expect(kinds(world({ photos: [deleted], faces: [], collection: [] }))).toEqual(['never_seen']);
  expect(unseen([object(1), object(2, { key: `events/${EVENT}/readme` })])).toEqual([]);
});

test('finds the same bytes again, uploaded after their event was erased', () => {
  const erased = (uploadedAt: string) =>
    world({
      photos: [row(1, { status: 'erased', face_count: null })],
      faces: [],
      collection: undefined,
      responses: [],
      objects: [object(1, { uploadedAt })],
      erasedBefore: new Date('2026-05-01T11:00:00Z'),
    });
  expect(kinds(erased(LONG_AGO))).toEqual([]);
  expect(kinds(erased('2026-05-01T11:30:00.000Z'))).toEqual(['never_seen']);
  // By which of three clocks? In doubt it is what was erased, and its faces are nobody's.
  const inDoubt = erased('2026-05-01T11:00:30.000Z');
  expect(kinds(inDoubt)).toEqual([]);
  expect(kinds({ ...inDoubt, collection: [inCollection(1)] })).toEqual(['stray_faces']);
  const other = { ...inDoubt, objects: [object(1, { uploadedAt: '2026-05-01T11:00:30.000Z', etag: 'v2' })] };
  expect(kinds({ ...other, collection: [inCollection(1)] })).toEqual(['never_seen']);
});

test('leaves alone what was erased', () => {
  const erased = world({ objects: [object(1), object(2)], erasedBefore: new Date('2026-05-01T11:00:00Z') });
  expect(kinds(erased)).toEqual([]);
});

test('finds faces that the collection lost, and no face that was written or removed meanwhile', () => {
  const lost = { collection: [] };
  expect(compare(world(lost), SETTLED)).toEqual([
    expect.objectContaining({ kind: 'faces_lost', photoId: photoId(1), faceIds: ['f1'] }),
  ]);
  expect(kinds(world({ collection: undefined }))).toEqual(['faces_lost']);
  // Indexed while the collection was being read.
  expect(kinds(world({ ...lost, facesBefore: [] }))).toEqual([]);
  expect(kinds(world({ ...lost, leaving: new Set(['f1']) }))).toEqual([]);
  // Rekognition may store a face without naming it.
  expect(kinds(world({ faces: [face(1, null)], collection: [] }))).toEqual([]);
});

test('finds faces that no row knows, but for those that an execution will still ask for', () => {
  const extra = [inCollection(1), inCollection(2, 'x')];
  const stray = (photos: PhotoRow[], objects: StoredObject[]) =>
    kinds(world({ collection: extra, photos, objects })).filter((kind) => kind === 'stray_faces');
  const other = (rest: Partial<PhotoRow>) => [row(1), row(2, { face_count: 0, ...rest })];
  // Nobody knows the photo, and there is none.
  expect(stray([row(1)], [object(1)])).toEqual(['stray_faces']);
  expect(stray(other({}), [object(1), object(2)])).toEqual(['stray_faces']);
  expect(stray(other({ status: 'failed', failure_retryable: false }), [object(1), object(2)])).toEqual([
    'stray_faces',
  ]);
  expect(stray(other({ status: 'deleted' }), [object(1)])).toEqual(['stray_faces']);
  // It is on its way, or will be.
  expect(stray([row(1)], [object(1), object(2)])).toEqual([]);
  expect(stray(other({ status: 'processing' }), [object(1), object(2)])).toEqual([]);
  const passing = { status: 'failed', failure_retryable: true } as const;
  expect(stray(other({ ...passing, ended_at: JUST_NOW }), [object(1), object(2)])).toEqual([]);
  expect(stray(other(passing), [object(1), object(2)])).toEqual(['stray_faces']);
  // There again, and to be indexed.
  const deleted = other({ status: 'deleted', object_version: null });
  expect(stray(deleted, [object(1), object(2)])).toEqual([]);
  expect(stray(other({}), [object(1), object(2, { etag: 'v2' })])).toEqual([]);
  // It is leaving already.
  expect(kinds(world({ collection: extra, leaving: new Set(['x']) }))).toEqual([]);
});

test('finds the responses that nobody needs: none of a row, none that an execution will ask for, none that is new', () => {
  const versions = ['v1', 'v2', 'v3'] as const;
  const anyVersion = fc.constantFrom(...versions);
  const at = fc.constantFrom(LONG_AGO, JUST_NOW);
  const anyRow = fc.record({
    status: fc.constantFrom('processing', 'indexed', 'failed', 'deleted', 'erased'),
    version: anyVersion,
    ended_at: at,
  });
  const anyPhoto = fc.record({
    row: fc.option(anyRow, { nil: undefined }),
    object: fc.option(anyVersion, { nil: undefined }),
    responses: fc.uniqueArray(fc.tuple(anyVersion, at), { selector: ([version]) => version }),
  });
  const seen = new Set<string>();
  fc.assert(
    fc.property(anyPhoto, ({ row: of, object: version, responses }) => {
      const photos = of
        ? [row(2, { status: of.status, object_version: of.version, ended_at: of.ended_at, face_count: 0 })]
        : [];
      const objects = version ? [object(2, { etag: version })] : [];
      const found = compare(
        world({
          photos: [row(1), ...photos],
          objects: [object(1), ...objects],
          responses: [
            response(1),
            ...responses.map(([stored, storedAt]) => response(2, stored, storedAt)),
            { key: `results/${EVENT}/notes.txt`, storedAt: LONG_AGO },
          ],
        }),
        SETTLED,
      ).flatMap((finding) => (finding.kind === 'needless_responses' ? [finding] : []));
      const keys = found.flatMap((finding) => finding.keys);
      const isThere = of?.status === 'indexed' || of?.status === 'failed';
      for (const [stored, storedAt] of responses) {
        const { key } = response(2, stored);
        const isOfRow = isThere && of.version === stored;
        const isOfObject = version === stored;
        // What is neither the row's nor the bucket's goes once all of it is over.
        const isOver = storedAt === LONG_AGO && (of === undefined || of.ended_at === LONG_AGO);
        const isPlain = of?.status !== 'processing' && (version === undefined || of?.version === version);
        if (isOfRow || (isOfObject && of?.status !== 'erased') || !isOver) {
          expect(keys).not.toContain(key);
          seen.add('kept');
        } else if (isPlain && (isThere || version === undefined)) {
          expect(keys).toContain(key);
          seen.add('found');
        }
      }
      expect(found.every((finding) => finding.photoId === photoId(2))).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect([...seen].sort()).toEqual(['found', 'kept']);
});

test('does not touch faces that somebody else put there', () => {
  for (const externalImageId of [undefined, 'staff-7']) {
    const found = compare(
      world({ collection: [inCollection(1), { faceId: 'x', externalImageId }] }),
      SETTLED,
    );
    expect(found).toEqual([{ kind: 'foreign_face', faceId: 'x', externalImageId }]);
  }
});

test('finds what must never be', () => {
  expect(kinds(world({ photos: [row(1, { face_count: 2 })] }))).toEqual(['wrong_count']);
  expect(kinds(world({ photos: [row(1, { status: 'failed', failure_retryable: true })] }))).toEqual([
    'wrong_count',
  ]);
  const shared = [face(1), face(2, 'f1')];
  expect(kinds(world({ photos: [row(1), row(2)], objects: [object(1), object(2)], faces: shared }))).toEqual([
    'face_of_two_photos',
  ]);
});

test('tells of a photo whose object is gone, unless it says so itself', () => {
  const failed = (failure_code: string) =>
    world({ objects: [], photos: [row(1, { status: 'failed', failure_code, face_count: null })], faces: [] });
  expect(kinds(failed('InvalidImageFormat'))).toContain('object_gone');
  expect(kinds(failed('InvalidS3Object'))).not.toContain('object_gone');
  expect(kinds(world({ objects: [] }))).toEqual(['object_gone']);
  // Uploaded and indexed after the bucket was read.
  expect(kinds(world({ objects: [], photos: [row(1, { ended_at: JUST_NOW })] }))).toEqual([]);
});

test('a photo that failed because another event has its id is not an object that was never seen', () => {
  const { keyId } = parsePhotoKey(keyOf(2));
  const refused = row(2, {
    id: keyId,
    status: 'failed',
    failure_code: 'PhotoIdTaken',
    failure_retryable: false,
  });
  const of = world({ photos: [row(1), refused], objects: [object(1), object(2)] });
  expect(kinds(of)).toEqual([]);
});
