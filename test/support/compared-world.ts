/** An event of one photo as bucket, database and collection have it, for what differs. */
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import type { StoredObject } from '../../lambdas/shared/photos/execution-input.ts';
import type { FaceRow, PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import { compare, type World } from '../../lambdas/shared/reconciliation/compare.ts';

export const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
export const SETTLED = new Date('2026-05-01T12:00:00Z');
export const LONG_AGO = '2026-05-01T10:00:00.000Z';
export const JUST_NOW = '2026-05-01T12:30:00.000Z';

export const photoId = (n: number) => `9d2c4f60-71d4-4f5e-8a39-${String(n).padStart(12, '0')}`;
export const keyOf = (n: number) => `events/${EVENT}/${photoId(n)}.jpg`;

export function row(n: number, rest: Partial<PhotoRow> = {}): PhotoRow {
  return {
    id: photoId(n),
    event_id: EVENT,
    status: 'indexed',
    object_key: keyOf(n),
    object_version: 'v1',
    object_sequencer: '0A',
    other_objects: null,
    face_count: rest.status === undefined || rest.status === 'indexed' ? 1 : null,
    failure_code: null,
    failure_message: null,
    failure_retryable: null,
    execution_arn: null,
    created_at: LONG_AGO,
    ended_at: LONG_AGO,
    ...rest,
  };
}
export const object = (n: number, rest: Partial<StoredObject> = {}): StoredObject => ({
  key: keyOf(n),
  etag: 'v1',
  size: 1000,
  uploadedAt: LONG_AGO,
  ...rest,
});
export const face = (n: number, faceId: string | null = `f${n}`): FaceRow => ({
  id: `row-${n}-${faceId}`,
  photo_id: photoId(n),
  rekognition_face_id: faceId,
});
export const inCollection = (n: number, faceId = `f${n}`) => ({ faceId, externalImageId: photoId(n) });

export const response = (n: number, version = 'v1', storedAt = LONG_AGO) => ({
  key: resultsKey({ event_id: EVENT, photo_id: photoId(n) }, version),
  storedAt,
});

/** One photo that all three agree on, and what differs. */
export function world(rest: Partial<World> = {}): World {
  const faces = rest.faces ?? [face(1)];
  return {
    eventId: EVENT,
    erasedBefore: null,
    facesBefore: faces,
    faces,
    photos: [row(1)],
    leaving: new Set(),
    objects: [object(1)],
    collection: [inCollection(1)],
    responses: [response(1)],
    ...rest,
  };
}
export const findingKinds = (of: World) => compare(of, SETTLED).map(({ kind }) => kind);
