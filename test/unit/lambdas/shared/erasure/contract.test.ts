import * as v from 'valibot';
import {
  boxOf,
  eraseInputSchema,
  erasureBatchSchema,
  erasureProgressSchema,
  isFaceId,
} from '../../../../../lambdas/shared/erasure/contract.ts';

const UUID = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const box = [0.1, 0.2, 0.3, 0.4];
const person = (faces: unknown) =>
  v.safeParse(eraseInputSchema, { request: 'person', event_id: UUID, faces });

test('a face id is one that Rekognition could have given, and nothing around it', () => {
  expect(isFaceId(UUID)).toBe(true);
  for (const id of [`x${UUID}`, `${UUID}x`, UUID.toUpperCase(), UUID.replaceAll('-', ''), '']) {
    expect([id, isFaceId(id)]).toEqual([id, false]);
  }
});

test('the faces of a person come with their photos, and with boxes of four numbers where they are known', () => {
  expect(person([[UUID, UUID.toUpperCase(), box]]).output).toMatchObject({ faces: [[UUID, UUID, box]] });
  expect(person([[UUID, UUID]]).success).toBe(true);
  for (const face of [[UUID], ['face', UUID], [UUID, 'photo'], UUID]) {
    expect([face, person([face]).success]).toEqual([face, false]);
  }
  // A box that is none is left out, and the face is erased all the same.
  expect(person([[UUID, UUID, [0.1, 0.2, 0.3]]]).output).toMatchObject({ faces: [[UUID, UUID]] });
  expect(person([[UUID, UUID, [0.1, 0.2, 0.3, 'x']]]).output).toMatchObject({ faces: [[UUID, UUID]] });
});

test('a person has one face at least, and two thousand at most', () => {
  const faces = (count: number) => person(Array.from({ length: count }, () => [UUID, UUID])).success;
  expect([faces(0), faces(1), faces(2_000), faces(2_001)]).toEqual([false, true, true, false]);
});

test('a box has the names that Rekognition gives it', () => {
  expect(boxOf([0.1, 0.2, 0.3, 0.4])).toEqual({ Left: 0.1, Top: 0.2, Width: 0.3, Height: 0.4 });
});

test('every request that there is can be made, and no other', () => {
  const requests: object[] = [
    { request: 'photo_deleted', object: { key: 'events/e/p.jpg' }, deletion_type: 'Permanently Deleted' },
    { request: 'event', event_id: UUID },
    { request: 'retention', as_of: '2026-05-01T12:00:00Z' },
    { request: 'outbox' },
  ];
  expect(requests.filter((request) => !v.is(eraseInputSchema, request))).toEqual([]);
  for (const request of [{ request: 'all' }, { request: 'event' }, { request: 'retention', as_of: 'now' }]) {
    expect(v.is(eraseInputSchema, request)).toBe(false);
  }
});

test('what a request came to is one of five, with counts', () => {
  const progress = {
    request: 'event',
    effect: 'requested',
    erasure_id: null,
    erasures: 0,
    batches: 0,
    waits: 0,
  };
  for (const effect of ['requested', 'known', 'superseded', 'ignored', 'none']) {
    expect([effect, v.is(erasureProgressSchema, { ...progress, effect })]).toEqual([effect, true]);
  }
  expect(v.is(erasureProgressSchema, { ...progress, effect: 'done' })).toBe(false);
  expect(v.is(erasureProgressSchema, { ...progress, waits: -1 })).toBe(false);
  expect(v.is(erasureProgressSchema, { ...progress, waits: 0.5 })).toBe(false);
});

test('a batch of older code is the first of all, is nobody’s any more, and keeps no response', () => {
  const batch = {
    kind: 'faces',
    event_id: UUID,
    collection_id: 'c',
    erasure_ids: [],
    face_ids: [],
    deleted_photos: [],
    results: [],
  };
  expect(v.parse(erasureBatchSchema, batch)).toEqual({
    ...batch,
    number: 0,
    until: '1970-01-01T00:00:00.000Z',
    needed_results: [],
  });
  expect(v.is(erasureBatchSchema, { ...batch, kind: 'event' })).toBe(true);
  expect(v.is(erasureBatchSchema, { ...batch, kind: 'photo' })).toBe(false);
});
