/** What becomes of one finding at a time. */
import { decide, type FoundEvent } from '../../../lambdas/mend-disagreements/decide.ts';
import type { Finding } from '../../../lambdas/shared/reconciliation/compare.ts';
import { MAX_ASKED } from '../../../lambdas/shared/reconciliation/contract.ts';
import { deletionOf, type Indexable, indexingOf } from '../../../lambdas/shared/reconciliation/mending.ts';
import { EVENT, keyOf, object, photoId, row } from '../../support/compared-world.ts';
import { AS_OF } from '../../support/reconciliation-state.ts';

const OTHER = '0b8f1c8e-5d0a-4b6e-9a51-000000000002';
type Of<Kind extends Finding['kind']> = Extract<Finding, { kind: Kind }>;

const rows = { photo: undefined, own: undefined };
const unseen = (n = 1): Indexable => ({
  kind: 'never_seen',
  photoId: photoId(n),
  key: keyOf(n),
  object: object(n),
  row: undefined,
  rows,
});
const lost = (n = 1): Of<'faces_lost'> => ({
  kind: 'faces_lost',
  photoId: photoId(n),
  key: keyOf(n),
  faceIds: [`f${n}`, `g${n}`],
  row: row(n),
  rows,
  object: object(n),
});
const gone = (n = 1): Of<'object_gone'> => ({
  kind: 'object_gone',
  photoId: photoId(n),
  key: keyOf(n),
  row: row(n),
});
const stray = (n: number, faces: number): Of<'stray_faces'> => ({
  kind: 'stray_faces',
  photoId: photoId(n),
  faceIds: Array.from({ length: faces }, (_, i) => `f${n}-${i}`),
});
const needless = (n = 1): Of<'needless_responses'> => ({
  kind: 'needless_responses',
  photoId: photoId(n),
  keys: ['k'],
});

function decideOn(
  found: FoundEvent[] | Finding[],
  { images = 10, deletions = 10, mayIndex = true } = {},
): ReturnType<typeof decide> {
  const events = found.map((one) => ('eventId' in one ? one : { eventId: EVENT, findings: [one] }));
  return decide(
    events,
    { images_left: images, deletions_left: deletions, settled: AS_OF },
    { bucket: 'photos', collectionPrefix: 'rollcall-', mayIndex },
  );
}
const nothing = {
  mending: { index: [], deletions: [] },
  questions: [],
  disagreements: [],
  images_left: 10,
  deletions_left: 10,
};
const about = (kind: string, of: string, fate: string) => ({ kind, event_id: EVENT, about: of, fate });

test('nothing found is nothing to do', () => {
  expect(decideOn([])).toEqual(nothing);
});

test('a photo is indexed for one of the images that are left', () => {
  expect(decideOn([unseen()])).toEqual({
    ...nothing,
    mending: { index: [indexingOf('photos', unseen())], deletions: [] },
    disagreements: [about('never_seen', photoId(1), 'mending')],
    images_left: 9,
  });
  expect(decideOn([unseen()], { images: 1 }).images_left).toBe(0);
  expect(decideOn([unseen()], { images: 0 })).toMatchObject({
    disagreements: [about('never_seen', photoId(1), 'left')],
    images_left: 0,
  });
  expect(decideOn([unseen()], { mayIndex: false })).toEqual({
    ...nothing,
    disagreements: [about('never_seen', photoId(1), 'waiting')],
  });
});

test('lost faces are marked as lost by one of them for each photo, as many as one question holds', () => {
  expect(decideOn([lost(1), lost(2)]).questions).toEqual([
    {
      ask: 'lose_faces',
      photos: [1, 2].map((n) => ({ event_id: EVENT, photo_id: photoId(n), face_id: `f${n}` })),
    },
  ]);
  const many = Array.from({ length: MAX_ASKED + 1 }, (_, n) => lost(n));
  const decision = decideOn(many, { images: MAX_ASKED + 10 });
  expect(decision.disagreements.map(({ fate }) => fate)).toEqual([
    ...Array(MAX_ASKED).fill('mending'),
    'waiting',
  ]);
  expect(decision.images_left).toBe(10);
});

test('the faces of a photo that is gone are erased, as many as a run may', () => {
  expect(decideOn([gone()])).toEqual({
    ...nothing,
    mending: { index: [], deletions: [deletionOf(gone())] },
    disagreements: [about('object_gone', photoId(1), 'mending')],
    deletions_left: 9,
  });
  const limited = decideOn([gone(1), gone(2)], { deletions: 1 });
  expect(limited).toMatchObject({
    mending: { deletions: [deletionOf(gone(1))] },
    disagreements: [about('object_gone', photoId(1), 'mending'), about('object_gone', photoId(2), 'waiting')],
    deletions_left: 0,
  });
});

test('stray faces of one event are asked for with their photos; those of another event wait', () => {
  const decision = decideOn([
    { eventId: EVENT, findings: [stray(1, 2), stray(2, 1)] },
    { eventId: OTHER, findings: [stray(3, 1)] },
  ]);
  expect(decision).toEqual({
    ...nothing,
    questions: [
      {
        ask: 'remove_faces',
        event_id: EVENT,
        collection_id: `rollcall-${EVENT}`,
        faces: [
          { photo_id: photoId(1), face_id: 'f1-0' },
          { photo_id: photoId(1), face_id: 'f1-1' },
          { photo_id: photoId(2), face_id: 'f2-0' },
        ],
      },
    ],
    disagreements: [
      about('stray_faces', photoId(1), 'mending'),
      about('stray_faces', photoId(2), 'mending'),
      { ...about('stray_faces', photoId(3), 'waiting'), event_id: OTHER },
    ],
  });
});

test('a photo of which there is room for one face more is begun, and the next one waits', () => {
  const decision = decideOn([stray(1, MAX_ASKED - 1), stray(2, 2), stray(3, 1)]);
  expect(decision.disagreements.map(({ fate }) => fate)).toEqual(['mending', 'mending', 'waiting']);
  expect((decision.questions[0] as { faces: object[] }).faces.at(-1)).toEqual({
    photo_id: photoId(2),
    face_id: 'f2-0',
  });
});

test('needless responses of one event are asked for; those of another event wait', () => {
  const decision = decideOn([
    { eventId: EVENT, findings: [needless(1)] },
    { eventId: OTHER, findings: [needless(2)] },
  ]);
  expect(decision).toEqual({
    ...nothing,
    questions: [{ ask: 'remove_responses', event_id: EVENT, photo_ids: [photoId(1)], before: AS_OF }],
    disagreements: [
      about('needless_responses', photoId(1), 'mending'),
      { ...about('needless_responses', photoId(2), 'waiting'), event_id: OTHER },
    ],
  });
  const many = decideOn(Array.from({ length: MAX_ASKED + 1 }, (_, n) => needless(n)));
  expect(many.disagreements.map(({ fate }) => fate)).toEqual([
    ...Array(MAX_ASKED).fill('mending'),
    'waiting',
  ]);
});

test('what must never be is left to a person, by what it is about; a face of nobody’s is not told', () => {
  const decision = decideOn([
    { kind: 'foreign_face', faceId: 'x', externalImageId: undefined },
    { kind: 'wrong_count', photoId: photoId(1), key: keyOf(1), faceCount: 1, rows: 2 },
    { kind: 'face_of_two_photos', faceId: 'f1', photoIds: [photoId(1), photoId(2)] },
  ]);
  expect(decision).toEqual({
    ...nothing,
    disagreements: [about('wrong_count', photoId(1), 'left'), about('face_of_two_photos', 'f1', 'left')],
  });
});
