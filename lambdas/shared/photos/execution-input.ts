/** Inputs of executions that were not started by an S3 event: of backfill and of the operator. */
import { type ExecutionInput, type Lane, type SkipReason, versionIdOf } from '../contract/payloads.ts';
import { type KeyRows, type PhotoWithEnd, sequencerOfObject, standingOfObject } from './standing.ts';

/** An object of the photo bucket as it is now. */
export interface StoredObject {
  key: string;
  /** Without quotes. */
  etag: string;
  size: number;
  /** When it was uploaded, ISO 8601. */
  uploadedAt: string;
  /** Where the bucket has versions. */
  versionId?: string | undefined;
}

/** What the database knows of a photo. */
export interface KnownPhoto extends PhotoWithEnd {
  id: string;
}

/** What tells the object from earlier and later ones under its key. */
export function versionOf({ etag, versionId }: Pick<StoredObject, 'etag' | 'versionId'>): string {
  return versionIdOf(versionId) ?? etag;
}

/** The input of an execution that indexes the object. */
export function inputFor(
  bucket: string,
  object: StoredObject,
  rows: KeyRows<KnownPhoto>,
  lane: Lane,
): ExecutionInput {
  const { key, etag, size, versionId } = object;
  return {
    lane,
    bucket,
    object: {
      key,
      etag,
      size,
      ...(versionId !== undefined && { 'version-id': versionId }),
      sequencer: sequencerOfObject(rows, { key, version: versionOf(object) }),
    },
    event_time: object.uploadedAt,
  };
}

/**
 * Why there is nothing to do for the object; undefined when there is.
 *
 * @param erasedBefore what of the event was uploaded before this is not to be indexed
 */
export function skipReason(
  object: StoredObject,
  eventId: string,
  rows: KeyRows<KnownPhoto>,
  erasedBefore: Date | null,
): SkipReason | undefined {
  const seen = {
    event_id: eventId,
    key: object.key,
    version: versionOf(object),
    uploadedAt: new Date(object.uploadedAt),
  };
  const standing = standingOfObject(rows, seen, erasedBefore);
  switch (standing.is) {
    case 'indexed':
    case 'erased':
      return standing.is;
    case 'copy':
      return 'other_object';
    case 'failed':
      return standing.retryable ? undefined : 'permanently_failed';
    default:
      return undefined;
  }
}
