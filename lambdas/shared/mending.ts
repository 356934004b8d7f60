/** How what a comparison found is mended: for the scheduled reconciliation and for `ops reconcile --fix` alike. */
import type { ExecutionInput } from './contract.ts';
import { inputFor, next } from './photo-input.ts';
import type { Finding } from './reconciliation.ts';

/** A finding that another execution of the photo mends; it may cost an image. */
export type Indexable = Extract<Finding, { kind: 'no_end' | 'never_seen' | 'faces_lost' }>;

export function isIndexable(finding: Finding): finding is Indexable {
  return finding.kind === 'no_end' || finding.kind === 'never_seen' || finding.kind === 'faces_lost';
}

/**
 * The execution that mends it. Its name is of the photo, the finding and the photo's last end, so that the same finding, by
 * whomever it is found, is the same execution. A photo whose object is gone finds that out, and says so in its row.
 */
export function indexingOf(bucket: string, finding: Indexable): { input: ExecutionInput; name: string } {
  const { row, photoId, key, kind } = finding;
  const object = finding.object ?? {
    key,
    etag: row?.object_version ?? 'gone',
    size: 1,
    uploadedAt: row?.created_at ?? new Date(0).toISOString(),
  };
  const since = Date.parse(row?.ended_at ?? row?.created_at ?? object.uploadedAt);
  return {
    input: inputFor(bucket, object, row, 'backfill'),
    name: `reconcile-${photoId}-${kind}-${since}`,
  };
}

/** What S3's event of the deletion would have started. */
export function deletionOf({ key, photoId, row }: Extract<Finding, { kind: 'object_gone' }>) {
  const sequencer = next(row.object_sequencer ?? '0');
  return {
    input: { request: 'photo_deleted' as const, object: { key, sequencer } },
    name: `reconcile-${photoId}-gone-${sequencer}`,
  };
}
