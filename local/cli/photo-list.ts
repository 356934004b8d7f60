import { v5 as uuidv5 } from 'uuid';
import { eventsFolder, parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import type { Picture, Scan } from './scan.ts';

/** Namespace of the event ids that are derived from folders; never change it, or every folder gets a second event. */
const EVENT_ID_NAMESPACE = '2b0e6d8a-93f4-5c17-8e6b-71d05a9c3f28';

/** S3's limit: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const MAX_KEY_BYTES = 1024;

/** A picture on its way into the pipeline. */
export interface Photo extends Picture {
  /** S3 key: `events/{eventId}/{file}`, in Unicode's composed form (NFC), which file systems do not agree on. */
  key: string;
  eventId: string;
  photoId: string;
  /** Which folder it is from: two of them may be given one event. */
  folderId: string;
}

/** Why a picture never reached the pipeline. */
export type NotSentCode = 'FileUnreadable' | 'KeyTooLong' | 'DuplicatePhoto' | 'NameTaken' | 'UploadFailed';

export interface NotSent {
  file: string;
  /** Null when the picture has no key of its own. */
  photoId: string | null;
  code: NotSentCode;
  /** A few words for the user. */
  reason: string;
}

/** The event of a folder that was given without one, and what the folder is known by: the same real path, the same id. */
export function eventIdOfFolder(realPath: string): string {
  return uuidv5(realPath, EVENT_ID_NAMESPACE);
}

/** Gives every picture its key and photo id, and sorts out those that cannot have one of their own. */
export function listPhotos(
  eventId: string,
  scan: Pick<Scan, 'pictures' | 'unreadable'>,
  folderId: string,
): { photos: Photo[]; notSent: NotSent[] } {
  const photos: Photo[] = [];
  const notSent: NotSent[] = scan.unreadable.map(({ file, reason }) => ({
    file,
    photoId: null,
    code: 'FileUnreadable',
    reason,
  }));
  const fileOfPhoto = new Map<string, string>();
  for (const picture of scan.pictures) {
    const { file } = picture;
    const key = `${eventsFolder()}${eventId}/${file.normalize('NFC')}`;
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes > MAX_KEY_BYTES) {
      const reason = `its S3 key would have ${keyBytes} bytes, and S3 allows ${MAX_KEY_BYTES}`;
      notSent.push({ file, photoId: null, code: 'KeyTooLong', reason });
      continue;
    }
    const { photoId } = parsePhotoKey(key);
    const other = fileOfPhoto.get(photoId);
    if (other !== undefined) {
      notSent.push({ file, photoId, code: 'DuplicatePhoto', reason: `its photo id is that of ${other}` });
      continue;
    }
    fileOfPhoto.set(photoId, file);
    photos.push({ ...picture, key, eventId, photoId, folderId });
  }
  return { photos, notSent };
}
