/**
 * The end of a photo, as Step Functions tells it and Rollcall's rules hand it on. Stable: fields may come, none goes or changes its
 * meaning while `version` stays.
 */
import { cutOffFailures, failureKind, isFailureName } from './errors.ts';
import { eventsFolderOf, photoKeyOf } from './photo-key.ts';

/** Grows with a change that a consumer has to know of. */
export const PHOTO_END_VERSION = 1;

export interface PhotoEnd {
  version: typeof PHOTO_END_VERSION;
  /** `indexed`; `failed`; `settled` where the upload was replaced, deleted or erased before its turn, or another execution did it. */
  outcome: 'indexed' | 'failed' | 'settled';
  /** Null where the key belongs to no event. */
  event_id: string | null;
  photo_id: string | null;
  bucket: string;
  key: string;
  etag: string;
  version_id: string | null;
  /** What the end did to the photo's row, as the functions name it; null where the execution was cut off. */
  effect: string | null;
  /** Faces of this upload; null where it is not indexed. */
  face_count: number | null;
  /** A name of docs/retries.md; null where it is not failed. */
  failure_code: string | null;
  /** Whether `npm run ops -- reprocess`, or the same upload again, can help; null where it is not failed. */
  retryable: boolean | null;
  execution_arn: string;
  /** ISO 8601, in UTC. */
  ended_at: string;
}

/** EventBridge's "Step Functions Execution Status Change", as far as it is read here. */
export interface ExecutionStatusChange {
  detail: {
    executionArn: string;
    status: string;
    /** JSON; null where it is too long for the event. */
    input: string | null;
    output?: string | null;
    error?: string | null;
    stopDate: number | null;
  };
}

/**
 * Unpacks what `onPhotoIndexed` and `onPhotoFailed` hand to their targets.
 *
 * @param eventsFolder as it is configured; default: what is before the first UUID of the key, so only a folder that has a UUID in its
 *   own name has to be given
 * @throws TypeError in one line where it is not the end of a photo's execution
 */
export function photoEnd({ detail }: ExecutionStatusChange, eventsFolder?: string): PhotoEnd {
  const input = parse(detail.input) as Input | undefined;
  if (!input?.object?.key || detail.stopDate === null) {
    throw new TypeError(`${detail.executionArn} is not the end of a photo's execution`);
  }
  const output = (parse(detail.output) ?? {}) as Output;
  const { outcome, marked } = output;
  const isIndexed = outcome?.effect === 'stored' || outcome?.effect === 'known';
  const isFailed = detail.status !== 'SUCCEEDED';
  const code = isFailed
    ? (cutOffFailures[detail.status as keyof typeof cutOffFailures] ?? detail.error ?? 'InternalError')
    : null;
  const { key } = input.object;
  // A key in another folder may look like a photo's: the pipeline knows better.
  const ids =
    detail.error === 'InvalidPhotoKey' ? undefined : photoKeyOf(key, eventsFolder ?? eventsFolderOf(key));
  return {
    version: PHOTO_END_VERSION,
    outcome: isFailed ? 'failed' : isIndexed ? 'indexed' : 'settled',
    event_id: outcome?.event_id ?? ids?.eventId ?? null,
    photo_id: outcome?.photo_id ?? marked?.photo_id ?? ids?.photoId ?? null,
    bucket: input.bucket,
    key,
    etag: input.object.etag,
    version_id: input.object['version-id'] ?? null,
    effect: outcome?.effect ?? marked?.effect ?? null,
    face_count: isIndexed ? (outcome?.face_count ?? null) : null,
    failure_code: code,
    retryable: code === null ? null : !isFailureName(code) || failureKind(code).retryable,
    execution_arn: detail.executionArn,
    ended_at: new Date(detail.stopDate).toISOString(),
  };
}

interface Input {
  bucket: string;
  object: { key: string; etag: string; 'version-id'?: string };
}

interface Output {
  outcome?: { event_id: string; photo_id: string; effect: string; face_count: number };
  marked?: { photo_id: string | null; effect: string };
}

function parse(json: string | null | undefined): unknown {
  try {
    return json ? (JSON.parse(json) as unknown) : undefined;
  } catch {
    return undefined;
  }
}
