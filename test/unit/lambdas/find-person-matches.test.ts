import {
  cursorAfter,
  type Match,
  matchesOf,
  pageOf,
  photosOf,
  placeOf,
} from '../../../lambdas/find-person/matches.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const BOX = { Left: 0.1, Top: 0.2, Width: 0.3, Height: 0.4 };
const match = (face: number, similarity: number): Match => ({ face_id: id(face), similarity, box: null });

describe('what Rekognition found', () => {
  test('is its faces by lower-case ids, with their boxes', () => {
    const faceId = 'ABCDEF00-0000-4000-8000-000000000001';
    expect(
      matchesOf([
        { Similarity: 99.5, Face: { FaceId: faceId, BoundingBox: BOX } },
        { Similarity: 0, Face: { FaceId: id(2) } },
      ]),
    ).toEqual([
      {
        face_id: faceId.toLowerCase(),
        similarity: 99.5,
        box: { left: 0.1, top: 0.2, width: 0.3, height: 0.4 },
      },
      { face_id: id(2), similarity: 0, box: null },
    ]);
  });

  test.each<[what: string, found: unknown]>([
    ['nothing', undefined],
    ['no list', { 0: { Similarity: 1, Face: { FaceId: id(1) } } }],
    ['a list of nothing', []],
    ['a match of nothing', [undefined]],
    ['null', [null]],
    ['no face', [{ Similarity: 99 }]],
    ['a face without an id', [{ Similarity: 99, Face: {} }]],
    ['an id of something else', [{ Similarity: 99, Face: { FaceId: 'face-1' } }]],
    ['no similarity', [{ Face: { FaceId: id(1) } }]],
    ['a similarity in words', [{ Similarity: '99', Face: { FaceId: id(1) } }]],
    ['one that is no number', [{ Similarity: Number.NaN, Face: { FaceId: id(1) } }]],
    ['one without end', [{ Similarity: Number.POSITIVE_INFINITY, Face: { FaceId: id(1) } }]],
  ])('that cannot be named is left out: %s', (_, found) => {
    expect(matchesOf(found as never)).toEqual([]);
  });
});

describe('photos', () => {
  test('have their most similar face, whichever comes first, and the first of two alike', () => {
    const matches = [match(1, 80), match(2, 90), match(3, 85), match(4, 90)];
    const shown: [string, string][] = [
      [id(1), id(100)],
      [id(2), id(100)],
      [id(3), id(100)],
      [id(4), id(100)],
    ];
    expect(photosOf(matches, shown)).toEqual([{ photo_id: id(100), ...match(2, 90) }]);
    expect(photosOf(matches, shown.toReversed())).toEqual([{ photo_id: id(100), ...match(4, 90) }]);
  });

  test('of no match are not shown', () => {
    expect(photosOf([match(1, 80)], [[id(9), id(100)]])).toEqual([]);
  });

  test.each([[[200, 100, 300]], [[100, 200, 300]], [[300, 200, 100]], [[300, 100, 200]]])(
    'come by similarity, and of the same by id, in whatever order they were found: %s',
    (order) => {
      const similarityOf = (photo: number) => (photo === 300 ? 99 : 80);
      const matches = order.map((photo) => match(photo, similarityOf(photo)));
      const found = photosOf(
        matches,
        order.map((photo) => [id(photo), id(photo)]),
      );
      expect(found.map(({ photo_id }) => photo_id)).toEqual([300, 100, 200].map(id));
    },
  );
});

describe('pages', () => {
  const photos = [300, 100, 200].map((n) => ({ photo_id: id(n), ...match(n, n === 300 ? 99 : 80) }));

  test('go on after the last photo that was shown, and end', () => {
    const first = pageOf(photos, { after: undefined, limit: 2 });
    expect(first).toEqual({ photos: photos.slice(0, 2), cursor: cursorAfter(photos[1]!) });
    const after = placeOf(first.cursor!)!;
    expect(after).toEqual({ similarity: 80, photo_id: id(100) });
    expect(pageOf(photos, { after, limit: 2 })).toEqual({ photos: photos.slice(2), cursor: null });
    expect(pageOf(photos, { after: undefined, limit: 3 })).toEqual({ photos, cursor: null });
    expect(pageOf([], { after, limit: 2 })).toEqual({ photos: [], cursor: null });
  });

  const cursor = (text: string) => Buffer.from(text).toString('base64url');
  test.each([
    ['nothing', ''],
    ['no similarity', cursor(` ${id(1)}`)],
    ['words', cursor(`much ${id(1)}`)],
    ['no end', cursor(`Infinity ${id(1)}`)],
    ['no id', cursor('80')],
    ['another id', cursor('80 photo-1')],
    ['more', cursor(`80 ${id(1)} 3`)],
  ])('of a cursor that was invented there are none: %s', (_, invented) => {
    expect(placeOf(invented)).toBeUndefined();
  });

  test('of a similarity of zero there are', () => {
    expect(placeOf(cursor(`0 ${id(1)}`))).toEqual({ similarity: 0, photo_id: id(1) });
  });
});
