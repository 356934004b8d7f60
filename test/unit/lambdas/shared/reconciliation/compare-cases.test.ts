/** What bucket, database and collection say of each other, one difference at a time, and all that a finding says. */
import { parsePhotoKey } from '../../../../../lambdas/shared/contract/photo-key.ts';
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

/** The moment from which on all may still be under way, and the last one before it. */
const AT = SETTLED.toISOString();
const BEFORE = new Date(SETTLED.getTime() - 1).toISOString();

const { keyId } = parsePhotoKey(keyOf(2));
/** Photo 2 of this event, whose id is another event's photo: its row has an id of its own. */
const ownRow = (rest = {}) =>
  row(2, { id: keyId, status: 'failed', failure_code: 'PhotoIdTaken', face_count: null, ...rest });

describe('a photo without an end', () => {
  const processing = (rest = {}) =>
    row(1, { status: 'processing', object_version: null, face_count: null, ended_at: null, ...rest });

  test('is told with its object and the rows that its key can be about', () => {
    const of = processing();
    expect(compare(world({ photos: [of], faces: [], responses: [] }), SETTLED)).toEqual([
      {
        kind: 'no_end',
        photoId: photoId(1),
        key: keyOf(1),
        object: object(1),
        row: of,
        rows: { photo: of, own: undefined },
      },
    ]);
  });

  test('without an object of its key says so: one of another key of the photo is not it', () => {
    const copy = object(1, { key: `events/${EVENT}/${photoId(1)}.JPG` });
    const of = processing();
    const found = compare(world({ photos: [of], faces: [], responses: [], objects: [copy] }), SETTLED);
    expect(found.find(({ kind }) => kind === 'no_end')).toMatchObject({ object: undefined });
  });

  test('in time is none: from the settled moment on it may be under way', () => {
    const at = (created_at: string) => kinds(world({ photos: [processing({ created_at })], faces: [] }));
    expect([at(BEFORE), at(AT)]).toEqual([['no_end'], []]);
  });

  test('under a key of the platform’s own is about its own row alone', () => {
    const of = processing({ object_key: 'uploads/anything.jpg' });
    const other = processing({ object_key: keyOf(2) });
    for (const photo of [of, other]) {
      expect(compare(world({ photos: [photo], faces: [], objects: [] }), SETTLED)).toEqual([
        expect.objectContaining({ kind: 'no_end', rows: { photo, own: undefined } }),
      ]);
    }
  });

  test('whose key names no id has one row, whatever is asked', () => {
    const key = `events/${EVENT}/IMG_0001.JPG`;
    const { photoId: id } = parsePhotoKey(key);
    const of = processing({ id, object_key: key });
    const later = row(1, { id, object_key: key, face_count: 0 });
    for (const [photo, kind] of [
      [of, 'no_end'],
      [later, 'never_seen'],
    ] as const) {
      const there = object(1, { key, etag: 'v2' });
      const found = compare(
        world({ photos: [photo], faces: [], collection: undefined, responses: [], objects: [there] }),
        SETTLED,
      );
      expect(found).toEqual([
        expect.objectContaining({ kind, photoId: id, rows: { photo, own: undefined } }),
      ]);
    }
  });

  test('whose id another event has is about both rows', () => {
    const own = ownRow({ status: 'processing' });
    const found = compare(world({ photos: [row(1), own], objects: [object(1), object(2)] }), SETTLED);
    expect(found).toEqual([
      expect.objectContaining({
        kind: 'no_end',
        photoId: keyId,
        object: object(2),
        rows: { photo: undefined, own },
      }),
    ]);
  });
});

describe('an object that was never seen', () => {
  test('is told with the row that it would be the next version of', () => {
    const later = object(1, { etag: 'v2' });
    expect(compare(world({ objects: [later] }), SETTLED)).toEqual([
      {
        kind: 'never_seen',
        photoId: photoId(1),
        key: keyOf(1),
        object: later,
        row: row(1),
        rows: { photo: row(1), own: undefined },
      },
    ]);
    const first = world({ photos: [], faces: [], collection: undefined, responses: [] });
    expect(compare(first, SETTLED)).toEqual([
      expect.objectContaining({ row: undefined, rows: { photo: undefined, own: undefined } }),
    ]);
  });

  test('of an id that another event has is told with the row of its own', () => {
    const own = ownRow();
    const later = object(2, { etag: 'v2' });
    expect(compare(world({ photos: [row(1), own], objects: [object(1), later] }), SETTLED)).toEqual([
      expect.objectContaining({ kind: 'never_seen', row: own, rows: { photo: undefined, own } }),
    ]);
  });

  test('in time is none', () => {
    const at = (uploadedAt: string) => kinds(world({ objects: [object(1), object(2, { uploadedAt })] }));
    expect([at(BEFORE), at(AT)]).toEqual([['never_seen'], []]);
  });
});

describe('lost faces', () => {
  test('are told by photo, with all that a new indexing needs', () => {
    const faces = [face(1, 'a'), face(1, 'b'), face(2, 'c')];
    const of = world({
      faces,
      photos: [row(1, { face_count: 2 }), row(2)],
      objects: [object(1)],
      collection: [],
    });
    expect(compare(of, SETTLED).filter(({ kind }) => kind === 'faces_lost')).toEqual([
      {
        kind: 'faces_lost',
        photoId: photoId(1),
        key: keyOf(1),
        faceIds: ['a', 'b'],
        row: row(1, { face_count: 2 }),
        rows: { photo: row(1, { face_count: 2 }), own: undefined },
        object: object(1),
      },
      expect.objectContaining({ photoId: photoId(2), faceIds: ['c'], object: undefined }),
    ]);
  });

  test('are an indexed photo’s alone', () => {
    for (const photos of [[], [row(1, { status: 'failed' })], [row(1, { status: 'erased' })]]) {
      expect(kinds(world({ photos, collection: [] }))).not.toContain('faces_lost');
    }
  });
});

describe('stray faces', () => {
  /** A face of photo 2 that no row knows, with these rows and objects of the photo. */
  const stray = (photos: ReturnType<typeof row>[], objects: ReturnType<typeof object>[], rest = {}) =>
    compare(
      world({
        collection: [inCollection(1), inCollection(2, 'x'), inCollection(2, 'y')],
        photos: [row(1), ...photos],
        objects: [object(1), ...objects],
        ...rest,
      }),
      SETTLED,
    ).filter(({ kind }) => kind === 'stray_faces');
  const found = [{ kind: 'stray_faces', photoId: photoId(2), faceIds: ['x', 'y'] }];

  test('are told by photo', () => {
    expect(stray([], [])).toEqual(found);
  });

  test.each<
    [
      what: string,
      photos: Parameters<typeof row>[1][],
      objects: Parameters<typeof object>[1][],
      unless: boolean,
    ]
  >([
    ['an object without a row will ask for them', [], [{}], true],
    ['an execution under way will', [{ status: 'processing', face_count: null }], [], true],
    ['a failed one may, until it has settled', [{ status: 'failed', ended_at: AT }], [], true],
    ['and then not', [{ status: 'failed', ended_at: BEFORE }], [], false],
    [
      'without an end counts from its beginning',
      [{ status: 'failed', ended_at: null, created_at: AT }],
      [],
      true,
    ],
    ['and then not either', [{ status: 'failed', ended_at: null, created_at: BEFORE }], [], false],
    ['the object that failed will not', [{ status: 'failed' }], [{}], false],
    ['a later one will', [{ status: 'failed' }], [{ etag: 'v2' }], true],
    ['the object that is indexed will not', [{ face_count: 0 }], [{}], false],
    ['a later one will', [{ face_count: 0 }], [{ etag: 'v2' }], true],
    [
      'one of another key has its own end',
      [{ face_count: 0 }],
      [{ etag: 'v2', key: `events/${EVENT}/${photoId(2)}.JPG` }],
      false,
    ],
    ['a deleted photo that is there again will', [{ status: 'deleted', face_count: null }], [{}], true],
    ['what was erased will not', [{ status: 'erased', face_count: null }], [{}], false],
    ['what came after it will', [{ status: 'erased', face_count: null }], [{ etag: 'v2' }], true],
  ])('%s', (_, photos, objects, isAwaited) => {
    expect(
      stray(
        photos.map((of) => row(2, of)),
        objects.map((of) => object(2, of)),
      ),
    ).toEqual(isAwaited ? [] : found);
  });

  test('of an erased event: what is uploaded from that moment on will be indexed', () => {
    const erasedBefore = new Date('2026-05-01T11:00:00Z');
    const erased = [row(2, { status: 'erased', face_count: null })];
    const later = (uploadedAt: string) =>
      stray(erased, [object(2, { etag: 'v2', uploadedAt })], { erasedBefore });
    expect(later(new Date(erasedBefore.getTime() - 1).toISOString())).toEqual(found);
    expect(later(erasedBefore.toISOString())).toEqual([]);
  });

  test('an object of an id that another event has asks for none, but its next version', () => {
    expect(stray([ownRow()], [object(2)])).toEqual(found);
    expect(stray([ownRow()], [object(2, { etag: 'v2' })])).toEqual([]);
  });

  test('of a name that only holds a photo’s id are not ours', () => {
    for (const name of [`x${photoId(2)}`, `${photoId(2)}x`, photoId(2).replace('-', '')]) {
      const of = world({ collection: [inCollection(1), { faceId: 'x', externalImageId: name }] });
      expect(kinds(of)).toEqual(['foreign_face']);
    }
    const empty = world({ collection: [inCollection(1), { faceId: 'x', externalImageId: '' }] });
    expect(kinds(empty)).toEqual(['foreign_face']);
  });
});

describe('needless responses', () => {
  const needless = (rest: Parameters<typeof world>[0]) =>
    compare(world(rest), SETTLED).filter(({ kind }) => kind === 'needless_responses');

  test('are told by photo', () => {
    const old = [response(1, 'v0'), response(1, 'v00')];
    expect(needless({ responses: [...old, response(1)] })).toEqual([
      { kind: 'needless_responses', photoId: photoId(1), keys: old.map(({ key }) => key) },
    ]);
    expect(needless({ responses: [response(1)] })).toEqual([]);
  });

  test('are settled, as is their photo', () => {
    const stored = (at: string) => needless({ responses: [response(1, 'v0', at)] }).length;
    expect([stored(BEFORE), stored(AT)]).toEqual([1, 0]);
    const ended = (ended_at: string | null, created_at = LONG_AGO) =>
      needless({ photos: [row(1, { ended_at, created_at })], responses: [response(1, 'v0')] }).length;
    expect([ended(BEFORE), ended(AT), ended(null, BEFORE), ended(null, AT)]).toEqual([1, 0, 1, 0]);
  });

  test.each(['deleted', 'erased'] as const)('of a photo that is %s are all of them', (status) => {
    const photos = [row(1, { status, face_count: null })];
    expect(needless({ photos, objects: [], faces: [], collection: undefined })).toHaveLength(1);
  });

  test('of a row without a version are all of them', () => {
    const photos = [row(1, { status: 'failed', object_version: null, face_count: null })];
    expect(needless({ photos, objects: [], faces: [], collection: undefined })).toHaveLength(1);
  });
});

describe('a photo whose object is gone', () => {
  const gone = (rest: Parameters<typeof row>[1]) =>
    compare(world({ photos: [row(1, rest)], objects: [], faces: [], collection: undefined }), SETTLED).filter(
      ({ kind }) => kind === 'object_gone',
    );

  test('is told with its row', () => {
    expect(gone({ face_count: 0 })).toEqual([
      { kind: 'object_gone', photoId: photoId(1), key: keyOf(1), row: row(1, { face_count: 0 }) },
    ]);
  });

  test('has settled', () => {
    const lengths = [BEFORE, AT].map((ended_at) => gone({ face_count: 0, ended_at }).length);
    const started = [BEFORE, AT].map(
      (created_at) => gone({ face_count: 0, ended_at: null, created_at }).length,
    );
    expect([lengths, started]).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });

  test.each(['processing', 'deleted', 'erased'] as const)('is not one that is %s', (status) => {
    expect(gone({ status, face_count: null })).toEqual([]);
  });
});

describe('what must never be', () => {
  test('another number of faces than the row says is told with both', () => {
    expect(compare(world({ photos: [row(1, { face_count: 3 })] }), SETTLED)).toEqual([
      { kind: 'wrong_count', photoId: photoId(1), key: keyOf(1), faceCount: 3, rows: 1 },
    ]);
    const none = world({ photos: [row(1, { face_count: 1 })], faces: [], collection: [] });
    expect(compare(none, SETTLED)).toEqual([expect.objectContaining({ kind: 'wrong_count', rows: 0 })]);
  });

  test.each([
    ['processing', ['wrong_count']],
    ['failed', ['wrong_count']],
    ['deleted', []],
    ['erased', []],
  ] as const)('a face of a photo that is %s', (status, expected) => {
    const of = world({
      photos: [row(1, { status, face_count: null, created_at: JUST_NOW, ended_at: JUST_NOW })],
    });
    expect(kinds(of).filter((kind) => kind === 'wrong_count')).toEqual(expected);
  });

  test('one face of two photos is told with both; two without a name are two', () => {
    const twice = world({
      photos: [row(1), row(2)],
      objects: [object(1), object(2)],
      faces: [face(1), face(2, 'f1')],
    });
    expect(compare(twice, SETTLED)).toEqual([
      { kind: 'face_of_two_photos', faceId: 'f1', photoIds: [photoId(1), photoId(2)] },
    ]);
    const nameless = world({
      photos: [row(1), row(2)],
      objects: [object(1), object(2)],
      faces: [face(1, null), face(2, null)],
      collection: [],
    });
    expect(kinds(nameless)).toEqual([]);
  });
});
