/** How what a comparison found is mended: for the scheduled reconciliation and for `ops reconcile --fix` alike. */
import { createHash } from 'node:crypto';
import type { ExecutionInput } from '../contract/payloads.ts';
import { inputFor } from '../photos/execution-input.ts';
import { sequencerAfter } from '../photos/standing.ts';
import type { Finding } from './compare.ts';

/** A finding that another execution of the photo mends; it may cost an image. */
export type Indexable = Extract<Finding, { kind: 'no_end' | 'never_seen' | 'faces_lost' }>;

export function isIndexable(finding: Finding): finding is Indexable {
  return finding.kind === 'no_end' || finding.kind === 'never_seen' || finding.kind === 'faces_lost';
}

/**
 * The execution that mends it. Its name is of the photo, the object's version and the photo's last end, so that the same
 * finding, by whomever it is found, is the same execution. A photo whose object is gone finds that out, and says so in its row.
 */
export function indexingOf(bucket: string, finding: Indexable): { input: ExecutionInput; name: string } {
  const { row, rows, photoId, key, kind } = finding;
  const object = finding.object ?? {
    key,
    etag: row?.object_version ?? 'gone',
    size: 1,
    uploadedAt: row?.created_at ?? new Date(0).toISOString(),
  };
  const input = inputFor(bucket, object, rows, 'backfill');
  return { input, name: nameOf(photoId, kind, [input.object, row?.ended_at ?? row?.created_at]) };
}

/** What S3's event of the deletion would have started. */
export function deletionOf({ key, photoId, row }: Extract<Finding, { kind: 'object_gone' }>) {
  const object = { key, sequencer: sequencerAfter(row.object_sequencer) };
  return {
    input: { request: 'photo_deleted' as const, object },
    name: nameOf(photoId, 'object_gone', object),
  };
}

/** Within the 80 characters of an execution's name, with room for a number at its end. */
function nameOf(photoId: string, kind: Finding['kind'], of: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 16);
  return `reconcile-${photoId}-${kind}-${hash}`;
}
