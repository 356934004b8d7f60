import type { StoredPhoto } from './database.ts';
import type { NotSent, Photo } from './photo-list.ts';
import { describeFileError } from './scan.ts';
import { type Content, readContent } from './upload.ts';

/** Enough to keep every part of the pipeline busy, few enough that a folder of thousands fits into memory. */
const PHOTOS_IN_FLIGHT = 12;

/** How long a sent photo may be without an execution, while nothing else goes on, before it counts as lost. */
const LOST_AFTER_MS = 2_000;

/** The end of an execution, as far as it matters here. */
export interface PhotoExecutionEnd {
  status: 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';
  /** Faces indexed; missing when it did not succeed. */
  faceCount?: number | undefined;
  error?: string | undefined;
  cause?: string | undefined;
}

/** What a folder needs of the pipeline. */
export interface PhotoPipeline {
  /** The ETag of what lies under the key, undefined when nothing does. */
  storedEtag(key: string): Promise<string | undefined>;
  /** Puts the photo under its key, which starts an execution. Returns its ETag. */
  upload(photo: Photo, content: Content): Promise<string>;
  /** Sends the event of the object that lies under the key once more. */
  redeliver(key: string): Promise<void>;
  /** Calls the listener when an execution ends, with the key of its photo. Returns what takes the listener away. */
  onPhotoEnd(listener: (key: string, end: PhotoExecutionEnd) => void): () => void;
  /** Resolves when no event is under way and no execution runs. */
  idle(): Promise<void>;
}

/** What became of a photo that is in the pipeline. */
export interface Sent {
  photo: Photo;
  /** The ETag that was sent, or known. */
  version: string;
  /** Whether an earlier run had brought this version to its end, so that nothing was sent. */
  known: boolean;
  /** Missing for a known photo, and when no execution was seen to end. */
  end?: PhotoExecutionEnd | undefined;
}

/** What a photo needs, given what an earlier run left in S3 and in the database. */
export function nextStep(
  etag: string,
  etagInS3: string | undefined,
  stored: StoredPhoto | undefined,
): 'nothing' | 'redeliver' | 'upload' {
  if (etagInS3 !== etag) {
    return 'upload';
  }
  if (stored?.object_version !== etag) {
    return 'redeliver';
  }
  const ended =
    stored.status === 'indexed' || (stored.status === 'failed' && stored.failure_retryable === false);
  return ended ? 'nothing' : 'redeliver';
}

/**
 * Brings every photo to its end, a few at a time. Stops early when the signal says so: what was not done by then is in
 * neither list.
 *
 * @param onDone is called once for every photo, in the order in which they end
 */
export async function sendPhotos(
  photos: readonly Photo[],
  stored: ReadonlyMap<string, StoredPhoto>,
  pipeline: PhotoPipeline,
  signal: AbortSignal,
  onDone: (faceCount: number) => void,
): Promise<{ sent: Sent[]; notSent: NotSent[] }> {
  const sent: Sent[] = [];
  const notSent: NotSent[] = [];
  const ends = watchEnds(pipeline, signal);
  const queue = photos.values();

  /** Returns the number of its faces. */
  async function sendOne(photo: Photo): Promise<number> {
    const { file, photoId } = photo;
    const known = stored.get(photoId);
    if (known && known.event_id !== photo.eventId) {
      const reason = `its photo id is that of a photo of event ${known.event_id}`;
      notSent.push({ file, photoId, code: 'DuplicatePhoto', reason });
      return 0;
    }
    let content: Content;
    try {
      content = await readContent(photo.path);
    } catch (error) {
      notSent.push({ file, photoId, code: 'FileUnreadable', reason: describeFileError(error) });
      return 0;
    }
    try {
      const etagInS3 = await pipeline.storedEtag(photo.key);
      const step = nextStep(content.etag, etagInS3, known);
      if (step === 'nothing') {
        sent.push({ photo, version: content.etag, known: true });
        return known?.face_count ?? 0;
      }
      // Waiting begins before sending: an end that comes early is not missed.
      const ended = ends.of(photo.key);
      let version = content.etag;
      if (step === 'redeliver') {
        await pipeline.redeliver(photo.key);
      } else {
        version = await pipeline.upload(photo, content);
      }
      const end = await ended.afterSending();
      sent.push({ photo, version, known: false, end });
      return end?.faceCount ?? 0;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      notSent.push({ file, photoId, code: 'UploadFailed', reason });
      return 0;
    }
  }

  async function work(): Promise<void> {
    for (const photo of queue) {
      if (signal.aborted) {
        return;
      }
      const faceCount = await sendOne(photo);
      if (!signal.aborted) {
        onDone(faceCount);
      }
    }
  }

  try {
    await Promise.all(Array.from({ length: PHOTOS_IN_FLIGHT }, work));
  } finally {
    ends.close();
  }
  return { sent, notSent };
}

interface Waiting {
  resolve(end: PhotoExecutionEnd | undefined): void;
  /** Undefined while the photo is being sent. */
  sentAt: number | undefined;
}

/** Tells when a photo's execution has ended; also when there is none left that could. */
function watchEnds(pipeline: PhotoPipeline, signal: AbortSignal) {
  const waiting = new Map<string, Waiting>();
  const settle = (key: string, end: PhotoExecutionEnd | undefined): void => {
    waiting.get(key)?.resolve(end);
    waiting.delete(key);
  };
  const unsubscribe = pipeline.onPhotoEnd(settle);
  const settleAll = (): void => {
    for (const key of [...waiting.keys()]) {
      settle(key, undefined);
    }
  };
  signal.addEventListener('abort', settleAll);

  let asking = false;
  const timer = setInterval(async () => {
    const isOld = ({ sentAt }: Waiting) => sentAt !== undefined && performance.now() - sentAt > LOST_AFTER_MS;
    const old = [...waiting].filter(([, photo]) => isOld(photo));
    if (asking || old.length === 0) {
      return;
    }
    asking = true;
    await pipeline.idle().catch(() => {});
    asking = false;
    for (const [key, photo] of old) {
      if (waiting.get(key) === photo) {
        settle(key, undefined);
      }
    }
  }, LOST_AFTER_MS / 2);

  return {
    of(key: string): { afterSending(): Promise<PhotoExecutionEnd | undefined> } {
      const { promise, resolve } = Promise.withResolvers<PhotoExecutionEnd | undefined>();
      const photo: Waiting = { resolve, sentAt: undefined };
      waiting.set(key, photo);
      if (signal.aborted) {
        settle(key, undefined);
      }
      return {
        afterSending() {
          photo.sentAt = performance.now();
          return promise;
        },
      };
    },
    close(): void {
      clearInterval(timer);
      unsubscribe();
      signal.removeEventListener('abort', settleAll);
      settleAll();
    },
  };
}
