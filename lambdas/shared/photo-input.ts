/** Executions that no event of S3 started: of backfill and of the operator. */
import type { ExecutionInput, Lane, SkipReason } from './contract.ts';
import { photoVersion } from './contract.ts';

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

/** What the database knows of the photo that the object is. */
export interface KnownPhoto {
  id: string;
  status: 'processing' | 'indexed' | 'failed' | 'deleted' | 'erased';
  object_key: string;
  object_version: string | null;
  object_sequencer: string | null;
  failure_retryable: boolean | null;
}

/**
 * The input of an execution that indexes the object.
 *
 * Only an event knows the object's own sequencer. The version that the database knows keeps the one it came with; any
 * other version must be later, because it is what lies in the bucket now, so it gets the next number: whatever S3 sent
 * for it is at least that large.
 */
export function inputFor(
  bucket: string,
  object: StoredObject,
  known: KnownPhoto | undefined,
  lane: Lane,
): ExecutionInput {
  const { key, etag, size, versionId } = object;
  const sequencer = known?.object_sequencer ?? '0';
  const version = { key, etag, size, ...(versionId !== undefined && { 'version-id': versionId }) };
  const isKnown =
    known?.object_version === photoVersion({ ...version, sequencer }) && known.status !== 'deleted';
  return {
    lane,
    bucket,
    object: { ...version, sequencer: isKnown || known?.object_version == null ? sequencer : next(sequencer) },
    event_time: object.uploadedAt,
  };
}

/** The smallest sequencer of whatever happened to the object later. */
export function next(sequencer: string): string {
  return (BigInt(`0x${sequencer || '0'}`) + 1n).toString(16).toUpperCase().padStart(sequencer.length, '0');
}

/**
 * Why there is nothing to do for the object; undefined when there is.
 *
 * @param erasedBefore what of the event was uploaded before this is not to be indexed
 */
export function skipReason(
  object: StoredObject,
  known: KnownPhoto | undefined,
  erasedBefore: Date | null,
): SkipReason | undefined {
  if (erasedBefore !== null && new Date(object.uploadedAt) < erasedBefore) {
    return 'erased';
  }
  if (!known) {
    return undefined;
  }
  if (known.object_key !== object.key && known.status === 'indexed') {
    return 'other_object';
  }
  if (known.object_version !== (object.versionId || object.etag)) {
    return undefined;
  }
  switch (known.status) {
    case 'indexed':
      return 'indexed';
    case 'erased':
      return 'erased';
    case 'failed':
      return known.failure_retryable ? undefined : 'permanently_failed';
    default:
      return undefined;
  }
}
