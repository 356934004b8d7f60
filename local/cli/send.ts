import type { StoredPhoto } from './database.ts';
import type { NotSent, Photo } from './photo-list.ts';
import { describeFileError } from './scan.ts';
import { type Content, readContent, type StoredPhotoObject } from './upload.ts';

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

/** One version of a photo in S3. */
export interface PhotoObject {
  key: string;
  /** Without quotes. */
  etag: string;
}

/** What a folder needs of the pipeline. */
export interface PhotoPipeline {
  /** What lies under the key, undefined when nothing does. */
  stored(key: string): Promise<StoredPhotoObject | undefined>;
  /** Puts the photo under its key, which starts an execution. Returns its ETag. */
  upload(photo: Photo, content: Content): Promise<string>;
  /** Sends the event of the object that lies under the key once more. */
  redeliver(key: string): Promise<void>;
  /** Calls the listener when an execution ends, with the photo that it was about. Returns what takes the listener away. */
  onPhotoEnd(listener: (object: PhotoObject, end: PhotoExecutionEnd) => void): () => void;
  /** Whether executions that an earlier run could not finish are under way again. */
  hasResumed: boolean;
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
  // Only a new upload brings a photo back whose faces were erased.
  if (etagInS3 !== etag || stored?.status === 'erased') {
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
  /** Photos whose execution may be under way again, and those of them that turn out to have none. */
  const resumed: Promise<void>[] = [];
  const withoutExecution: { photo: Photo; etag: string }[] = [];

  function done(one: Sent, faceCount: number | null | undefined): void {
    if (!signal.aborted) {
      sent.push(one);
      onDone(faceCount ?? 0);
    }
  }

  function failed({ file, photoId }: Photo, code: NotSent['code'], reason: string): void {
    if (!signal.aborted) {
      notSent.push({ file, photoId, code, reason });
      onDone(0);
    }
  }

  async function bringToItsEnd(photo: Photo): Promise<void> {
    const known = stored.get(photo.photoId);
    if (known && known.event_id !== photo.eventId) {
      failed(photo, 'DuplicatePhoto', `its photo id is that of a photo of event ${known.event_id}`);
      return;
    }
    let content: Content;
    try {
      content = await readContent(photo.path);
    } catch (error) {
      failed(photo, 'FileUnreadable', describeFileError(error));
      return;
    }
    const { etag } = content;
    const there = await pipeline.stored(photo.key);
    // Edited in its own folder, a photo replaces what it was.
    if (there?.folderId !== undefined && there.etag !== etag && there.folderId !== photo.folderId) {
      failed(
        photo,
        'NameTaken',
        'another folder has given this event a different photo of that name; rename it, or give the folder another --event',
      );
      return;
    }
    const step = nextStep(etag, there?.etag, known);
    if (step === 'nothing') {
      done({ photo, version: etag, known: true }, known?.face_count);
    } else if (step === 'upload') {
      await upload(photo, content);
    } else if (pipeline.hasResumed) {
      resumed.push(awaitResumed(photo, etag));
    } else {
      await redeliver(photo, etag);
    }
  }

  async function upload(photo: Photo, content: Content): Promise<void> {
    // Waiting begins before sending: an end that comes early is not missed.
    const ended = ends.of({ key: photo.key, etag: content.etag });
    const version = await pipeline.upload(photo, content);
    const end = await ended.afterSending();
    done({ photo, version, known: false, end }, end?.faceCount);
  }

  async function redeliver(photo: Photo, etag: string): Promise<void> {
    const ended = ends.of({ key: photo.key, etag });
    await pipeline.redeliver(photo.key);
    const end = await ended.afterSending();
    done({ photo, version: etag, known: false, end }, end?.faceCount);
  }

  async function awaitResumed(photo: Photo, etag: string): Promise<void> {
    const end = await ends.of({ key: photo.key, etag }).afterSending();
    if (end) {
      done({ photo, version: etag, known: false, end }, end.faceCount);
    } else {
      withoutExecution.push({ photo, etag });
    }
  }

  async function eachInTurn<Item>(
    items: readonly Item[],
    photoOf: (item: Item) => Photo,
    bring: (item: Item) => Promise<void>,
  ): Promise<void> {
    const queue = items.values();
    const work = async (): Promise<void> => {
      for (const item of queue) {
        if (signal.aborted) {
          return;
        }
        await bring(item).catch((error: unknown) =>
          failed(photoOf(item), 'UploadFailed', error instanceof Error ? error.message : String(error)),
        );
      }
    };
    await Promise.all(Array.from({ length: PHOTOS_IN_FLIGHT }, work));
  }

  try {
    await eachInTurn(photos, (photo) => photo, bringToItsEnd);
    await Promise.all(resumed);
    await eachInTurn(
      withoutExecution,
      ({ photo }) => photo,
      ({ photo, etag }) => redeliver(photo, etag),
    );
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
  /** Ends of resumed executions that nobody had asked for yet. */
  const early = new Map<string, PhotoExecutionEnd>();
  const idOf = ({ key, etag }: PhotoObject): string => `${etag} ${key}`;

  const settle = (id: string, end: PhotoExecutionEnd | undefined): void => {
    waiting.get(id)?.resolve(end);
    waiting.delete(id);
  };
  const settleAll = (): void => {
    for (const id of [...waiting.keys()]) {
      settle(id, undefined);
    }
  };
  const unsubscribe = pipeline.onPhotoEnd((object, end) => {
    const id = idOf(object);
    if (waiting.has(id)) {
      settle(id, end);
    } else {
      early.set(id, end);
    }
  });
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
    for (const [id, photo] of old) {
      if (waiting.get(id) === photo) {
        settle(id, undefined);
      }
    }
  }, LOST_AFTER_MS / 2);

  return {
    of(object: PhotoObject): { afterSending(): Promise<PhotoExecutionEnd | undefined> } {
      const id = idOf(object);
      const { promise, resolve } = Promise.withResolvers<PhotoExecutionEnd | undefined>();
      const photo: Waiting = { resolve, sentAt: undefined };
      waiting.set(id, photo);
      if (signal.aborted || early.has(id)) {
        settle(id, early.get(id));
        early.delete(id);
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
