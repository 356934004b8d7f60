/**
 * What bucket, database and collection of one event say of each other. No I/O: the scheduled reconciliation and `ops reconcile`
 * read, and the fault campaign proves its invariants with this very code.
 */

import { parsePhotoKey, photoKeyOf } from '../contract/photo-key.ts';
import { photoOfResult, resultsKey } from '../contract/stored-result.ts';
import { type StoredObject, versionOf } from '../photos/execution-input.ts';
import type { FaceRow, PhotoRow } from '../photos/row-types.ts';
import { isUploadedSince, type KeyRows, rowsAbout, standingOfObject } from '../photos/standing.ts';

/** An event as it was read: first the faces, then collection and bucket, then the rest of the database. */
export interface World {
  eventId: string;
  /** What was uploaded before this is not to be indexed any more. */
  erasedBefore: Date | null;
  /** Rows of `faces` before the collection was read, and after. */
  facesBefore: readonly FaceRow[];
  faces: readonly FaceRow[];
  photos: readonly PhotoRow[];
  /** Faces on their way out of the collection. */
  leaving: ReadonlySet<string>;
  objects: readonly StoredObject[];
  /** Undefined when there is no collection. */
  collection: readonly CollectionFace[] | undefined;
  /** What lies below the event's folder of the results bucket. */
  responses: readonly StoredResponse[];
}

export interface StoredResponse {
  key: string;
  /** ISO 8601. */
  storedAt: string;
}

export interface CollectionFace {
  faceId: string;
  /** The photo's id, if Rollcall put it there. */
  externalImageId: string | undefined;
}

export type Finding =
  /** A photo that is neither indexed nor failed, although its time is up. */
  | {
      kind: 'no_end';
      photoId: string;
      key: string;
      object: StoredObject | undefined;
      row: PhotoRow;
      rows: KeyRows<PhotoRow>;
    }
  /** An object that no row is about, or a later version than the row's. */
  | {
      kind: 'never_seen';
      photoId: string;
      key: string;
      object: StoredObject;
      row: PhotoRow | undefined;
      rows: KeyRows<PhotoRow>;
    }
  /** A photo some of whose faces the collection has no longer. */
  | {
      kind: 'faces_lost';
      photoId: string;
      key: string;
      faceIds: string[];
      row: PhotoRow;
      rows: KeyRows<PhotoRow>;
      object: StoredObject | undefined;
    }
  /** Faces in the collection that no row knows and no execution will ask for. */
  | { kind: 'stray_faces'; photoId: string; faceIds: string[] }
  /** Stored responses that no row is of and no execution will ask for: they name faces that nobody needs named. */
  | { kind: 'needless_responses'; photoId: string; keys: string[] }
  /** A face in the collection that Rollcall did not put there. */
  | { kind: 'foreign_face'; faceId: string; externalImageId: string | undefined }
  /** A photo whose object is no longer in the bucket. */
  | { kind: 'object_gone'; photoId: string; key: string; row: PhotoRow }
  /** Must never be: the number of an indexed photo's faces is not that of its rows. */
  | { kind: 'wrong_count'; photoId: string; key: string; faceCount: number | null; rows: number }
  /** Must never be: one face of the collection belongs to two photos. */
  | { kind: 'face_of_two_photos'; faceId: string; photoIds: string[] };

export type FindingKind = Finding['kind'];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * @param settled what happened after this may still be under way
 */
export function compare(world: World, settled: Date): Finding[] {
  const rows = new Map(world.photos.map((row) => [row.id, row]));
  const objects = objectsByPhoto(world);
  const isAwaited = (photoId: string) =>
    isUnfinished(rows.get(photoId), waitingObjects(photoId, rows, objects), settled, world.erasedBefore);
  return [
    ...withoutEnd(world, rows, objects, settled),
    ...neverSeen(world, rows, settled),
    ...lostFaces(world, rows, objects),
    ...strayFaces(world, isAwaited),
    ...needlessResponses(world, rows, settled, isAwaited),
    ...goneObjects(world, objects, settled),
    ...impossible(world),
  ];
}

interface Located {
  photoId: string;
  /** Under which the photo has its row if another event has its photo id. */
  keyId: string;
  object: StoredObject;
}

function located(world: World): Located[] {
  return world.objects.flatMap((object) => {
    const ids = photoKeyOf(object.key);
    // Another key fails as InvalidPhotoKey, and there is no photo's row to find.
    return ids ? [{ ...ids, object }] : [];
  });
}

function objectsByPhoto(world: World): Map<string, StoredObject[]> {
  const byPhoto = new Map<string, StoredObject[]>();
  for (const { photoId, keyId, object } of located(world)) {
    for (const id of new Set([photoId, keyId])) {
      byPhoto.set(id, [...(byPhoto.get(id) ?? []), object]);
    }
  }
  return byPhoto;
}

function objectOf(objects: ReadonlyMap<string, StoredObject[]>, row: PhotoRow): StoredObject | undefined {
  return objects.get(row.id)?.find(({ key }) => key === row.object_key);
}

function isAbout(row: PhotoRow, object: StoredObject): boolean {
  return row.object_version === versionOf(object);
}

/** The rows that the row's key can be about, itself among them. */
function rowsOfKey(rows: ReadonlyMap<string, PhotoRow>, row: PhotoRow): KeyRows<PhotoRow> {
  const ids = photoKeyOf(row.object_key);
  // A platform may have registered the photo under whatever key.
  return ids && (row.id === ids.photoId || row.id === ids.keyId)
    ? rowsAbout(rows, ids)
    : { photo: row, own: undefined };
}

function withoutEnd(
  { photos }: World,
  rows: ReadonlyMap<string, PhotoRow>,
  objects: ReadonlyMap<string, StoredObject[]>,
  settled: Date,
): Finding[] {
  return photos
    .filter(({ status, created_at }) => status === 'processing' && new Date(created_at) < settled)
    .map((row) => ({
      kind: 'no_end',
      photoId: row.id,
      key: row.object_key,
      object: objectOf(objects, row),
      row,
      rows: rowsOfKey(rows, row),
    }));
}

function neverSeen(world: World, rows: ReadonlyMap<string, PhotoRow>, settled: Date): Finding[] {
  return located(world).flatMap(({ photoId, keyId, object }): Finding[] => {
    const about = rowsAbout(rows, { photoId, keyId });
    const uploadedAt = new Date(object.uploadedAt);
    const seen = { event_id: world.eventId, key: object.key, version: versionOf(object), uploadedAt };
    const { is } = standingOfObject(about, seen, world.erasedBefore);
    return is !== 'unseen' || uploadedAt >= settled
      ? []
      : [
          {
            kind: 'never_seen',
            photoId,
            key: object.key,
            object,
            row: about.photo ?? about.own,
            rows: about,
          },
        ];
  });
}

/** A face counts as lost when its row was there before the collection was read, and still is. */
function lostFaces(
  { facesBefore, faces, collection, leaving }: World,
  rows: ReadonlyMap<string, PhotoRow>,
  objects: ReadonlyMap<string, StoredObject[]>,
): Finding[] {
  const there = new Set(collection?.map(({ faceId }) => faceId));
  const before = new Set(facesBefore.map(({ id }) => id));
  const lost = faces.filter(
    ({ id, rekognition_face_id: faceId }) =>
      faceId !== null && before.has(id) && !there.has(faceId) && !leaving.has(faceId),
  );
  return [...Map.groupBy(lost, ({ photo_id }) => photo_id)].flatMap(([photoId, ofPhoto]): Finding[] => {
    const row = rows.get(photoId);
    return row?.status === 'indexed'
      ? [
          {
            kind: 'faces_lost',
            photoId,
            key: row.object_key,
            faceIds: ofPhoto.map(({ rekognition_face_id }) => rekognition_face_id!),
            row,
            rows: rowsOfKey(rows, row),
            object: objectOf(objects, row),
          },
        ]
      : [];
  });
}

/** An object whose id is another photo's has a row of its own, and no execution stores faces for it. */
function waitingObjects(
  photoId: string,
  rows: ReadonlyMap<string, PhotoRow>,
  objects: ReadonlyMap<string, StoredObject[]>,
): StoredObject[] {
  return (objects.get(photoId) ?? []).filter((object) => {
    const own = rows.get(parsePhotoKey(object.key).keyId);
    return own === undefined || own.id === photoId || !isAbout(own, object);
  });
}

function strayFaces(
  { collection = [], faces, leaving }: World,
  isAwaited: (photoId: string) => boolean,
): Finding[] {
  const known = new Set(faces.map(({ rekognition_face_id }) => rekognition_face_id));
  const unknown = collection.filter(({ faceId }) => !known.has(faceId) && !leaving.has(faceId));
  const foreign = unknown.filter(({ externalImageId }) => !externalImageId || !UUID.test(externalImageId));
  const ours = unknown.filter(({ externalImageId }) => externalImageId && UUID.test(externalImageId));
  return [
    ...foreign.map(
      ({ faceId, externalImageId }): Finding => ({ kind: 'foreign_face', faceId, externalImageId }),
    ),
    ...[...Map.groupBy(ours, ({ externalImageId }) => externalImageId!)].flatMap(
      ([photoId, ofPhoto]): Finding[] =>
        isAwaited(photoId)
          ? []
          : [{ kind: 'stray_faces', photoId, faceIds: ofPhoto.map(({ faceId }) => faceId) }],
    ),
  ];
}

/**
 * Of a photo that is settled only the response of its row's version is needed once more. Who replaces or erases it has the others
 * removed; who was stopped, or found the photo gone when its response was stored already, has not.
 */
function needlessResponses(
  { eventId, responses }: World,
  rows: ReadonlyMap<string, PhotoRow>,
  settled: Date,
  isAwaited: (photoId: string) => boolean,
): Finding[] {
  const ours = responses.filter(({ key }) => photoOfResult(key) !== undefined);
  return [...Map.groupBy(ours, ({ key }) => photoOfResult(key)!)].flatMap(([photoId, ofPhoto]): Finding[] => {
    const row = rows.get(photoId);
    // What its end replaced may still be on its way out.
    const isSettled = row === undefined || new Date(row.ended_at ?? row.created_at) < settled;
    if (!isSettled || isAwaited(photoId)) {
      return [];
    }
    const needed = neededResponse(eventId, row);
    const keys = ofPhoto
      .filter(({ key, storedAt }) => key !== needed && new Date(storedAt) < settled)
      .map(({ key }) => key);
    return keys.length > 0 ? [{ kind: 'needless_responses', photoId, keys }] : [];
  });
}

function neededResponse(eventId: string, row: PhotoRow | undefined): string | undefined {
  const isThere = row !== undefined && row.status !== 'deleted' && row.status !== 'erased';
  return isThere && row.object_version !== null
    ? resultsKey({ event_id: eventId, photo_id: row.id }, row.object_version)
    : undefined;
}

/** Whether an execution will, or may, still write faces of this photo that the collection has already. */
function isUnfinished(
  row: PhotoRow | undefined,
  objects: readonly StoredObject[],
  settled: Date,
  erasedBefore: Date | null,
): boolean {
  switch (row?.status) {
    case undefined:
    case 'deleted':
      return objects.length > 0;
    case 'processing':
      return true;
    case 'failed':
      // Whoever tries it again soon finds the faces; after that they are nobody's.
      return (
        new Date(row.ended_at ?? row.created_at) >= settled || objects.some((object) => !isAbout(row, object))
      );
    case 'indexed':
      return objects.some((object) => object.key === row.object_key && !isAbout(row, object));
    case 'erased':
      return objects.some((object) => {
        const uploadedAt = new Date(object.uploadedAt);
        return isAbout(row, object)
          ? isUploadedSince(uploadedAt, erasedBefore)
          : erasedBefore === null || uploadedAt >= erasedBefore;
      });
  }
}

/** One that was indexed since may have been uploaded after the bucket was read. */
function goneObjects(
  { photos }: World,
  objects: ReadonlyMap<string, StoredObject[]>,
  settled: Date,
): Finding[] {
  return photos
    .filter(
      (row) =>
        (row.status === 'indexed' ||
          // Whose execution found it gone says so already.
          (row.status === 'failed' && row.failure_code !== 'InvalidS3Object')) &&
        !objectOf(objects, row) &&
        new Date(row.ended_at ?? row.created_at) < settled,
    )
    .map((row) => ({ kind: 'object_gone', photoId: row.id, key: row.object_key, row }));
}

function impossible({ photos, faces }: World): Finding[] {
  const rowsOf = Map.groupBy(faces, ({ photo_id }) => photo_id);
  const photosOf = Map.groupBy(
    faces.filter(({ rekognition_face_id }) => rekognition_face_id !== null),
    ({ rekognition_face_id }) => rekognition_face_id!,
  );
  return [
    ...photos.flatMap((row): Finding[] => {
      const count = rowsOf.get(row.id)?.length ?? 0;
      const expected = row.status === 'indexed' ? row.face_count : 0;
      return count === expected || row.status === 'deleted' || row.status === 'erased'
        ? []
        : [
            {
              kind: 'wrong_count',
              photoId: row.id,
              key: row.object_key,
              faceCount: row.face_count,
              rows: count,
            },
          ];
    }),
    ...[...photosOf].flatMap(([faceId, rows]): Finding[] =>
      rows.length > 1
        ? [{ kind: 'face_of_two_photos', faceId, photoIds: rows.map(({ photo_id }) => photo_id) }]
        : [],
    ),
  ];
}
