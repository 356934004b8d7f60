import { createHash } from 'node:crypto';
import type { FaceRecord, UnindexedFace } from '@aws-sdk/client-rekognition';

/** The object in the results bucket: IndexFaces' whole response, with what is needed to make sense of it later. */
export interface StoredResult {
  photo_id: string;
  event_id: string;
  collection_id: string;
  object_version: string;
  /** When Rekognition was asked, ISO 8601: what was erased later may still be named here. Missing in old ones. */
  called_at?: string;
  /** When it had answered, ISO 8601. */
  indexed_at: string;
  face_model_version: string | null;
  face_records: FaceRecord[];
  unindexed_faces: UnindexedFace[];
}

/** The counts stand in the object's metadata too, so that a HEAD answers for the whole response. */
export const resultMetadata = {
  faceCount: 'face-count',
  unindexedCount: 'unindexed-count',
  /** As in the response itself: which call it answered. Missing in old ones. */
  calledAt: 'called-at',
} as const;

/**
 * `results/{eventId}/{photoId}/{version}.json`. A version that is not plainly an ETag or a version id goes in hashed,
 * so that it can never change the shape or the length of the key.
 */
export function resultsKey(photo: { event_id: string; photo_id: string }, version: string): string {
  const name = /^[\w.-]{1,128}$/.test(version) ? version : createHash('sha256').update(version).digest('hex');
  return `${resultsFolder(photo)}${name}.json`;
}

/**
 * What stands for a photo's stored responses except that of the version that its row is of: nobody needs them.
 *
 * @param before those that are stored later are of uploads that may be on their way
 */
export function otherResults(photo: { event_id: string; photo_id: string }, before: Date): string {
  return `${resultsFolder(photo)}*${before.toISOString()}`;
}

/** What such a name says; undefined for a key or a prefix. */
export function readOtherResults(
  name: string,
): { photo_id: string; folder: string; before: string } | undefined {
  const [folder = '', before] = name.split('*');
  return before === undefined ? undefined : { photo_id: folder.split('/')[2]!, folder, before };
}

/** The prefix of an event's stored responses. */
export function eventResultsFolder(eventId: string): string {
  return `results/${eventId}/`;
}

/** Whose response lies under a key below `eventResultsFolder`; undefined where none of ours does. */
export function photoOfResult(key: string): string | undefined {
  return /^results\/[^/]+\/([^/]+)\/[^/]+\.json$/.exec(key)?.[1];
}

/** The prefix of a photo's stored responses, of whatever version. */
export function resultsFolder(photo: { event_id: string; photo_id: string }): string {
  return `${eventResultsFolder(photo.event_id)}${photo.photo_id}/`;
}
