import { v5 as uuidv5 } from 'uuid';
import { PipelineError } from './errors.ts';
import { environmentNames } from './names.ts';

/** Namespace of the photo ids that are derived from keys; never change it, or every photo gets a second id. */
const PHOTO_ID_NAMESPACE = '6f1c9a52-4c0e-5b7d-9a3e-2d8f7c61b004';

/** Where the events' folders are in the photo bucket, unless the deployment says otherwise. */
export const DEFAULT_EVENTS_FOLDER = 'events/';

/**
 * The folder of all events. S3 tells `Events/` from it, and so do the policies of the functions: only UUIDs may be spelled in
 * whatever case.
 */
let folder = process.env[environmentNames.eventsFolder] ?? DEFAULT_EVENTS_FOLDER;

/** The folder of all events, with its trailing slash. */
export function eventsFolder(): string {
  return folder;
}

/** For a process that operates a deployment and learns from its outputs where its events are. */
export function setEventsFolder(other: string): void {
  folder = other;
}

const UUID = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
/** What follows on the folder of all events. */
const PHOTO_KEY = new RegExp(`^(${UUID})/(.*/)?([^/]+)\\.[^./]+$`, 's');
const EVENT_FOLDER = new RegExp(`^(${UUID})/$`);
const WHOLE_UUID = new RegExp(`^${UUID}$`);

/** Whatever is before the first folder that an event may have. */
const BEFORE_EVENT = new RegExp(`^(?:[^/]+/)*?(?=${UUID}/)`);

/** The folder of all events, where a key is all that is known of a deployment; undefined where no folder of it is a UUID. */
export function eventsFolderOf(key: string): string | undefined {
  return BEFORE_EVENT.exec(key)?.[0];
}

/** Whether it is a UUID, in whatever case. */
export function isUuid(text: string | undefined): text is string {
  return text !== undefined && WHOLE_UUID.test(text);
}

/** S3's limit: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const MAX_KEY_BYTES = 1024;

export interface PhotoKey {
  /** Lower-case UUID. */
  eventId: string;
  /**
   * Lower-case UUID: the file's stem if that is one and the file is directly in its event's folder, else the UUIDv5 of the
   * whole key. So a thumbnail in a folder of its own is another photo than the one that it is named after.
   */
  photoId: string;
  /** UUIDv5 of the whole key: no other object has it, whatever its file is called. */
  keyId: string;
}

/**
 * Reads event and photo id out of `events/{eventId}/{anything}.{ext}`, or of what stands in place of `events/`. The key comes raw, not URL-encoded.
 *
 * @param within the folder of all events, with its trailing slash; default: this deployment's
 * @throws PipelineError `InvalidPhotoKey`
 */
export function parsePhotoKey(key: string, within = folder): PhotoKey {
  const match = key.startsWith(within) ? PHOTO_KEY.exec(key.slice(within.length)) : null;
  // PostgreSQL's text holds neither NUL nor half a surrogate pair.
  if (!match || key.includes('\0') || !key.isWellFormed() || Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new PipelineError(
      'InvalidPhotoKey',
      `The key ${JSON.stringify(key.slice(0, 200))} is not of the form ${within}{event UUID}/{name}.{extension}`,
    );
  }
  const [, eventId, subfolder, stem] = match as unknown as [string, string, string | undefined, string];
  const keyId = uuidv5(key, PHOTO_ID_NAMESPACE);
  return {
    eventId: eventId.toLowerCase(),
    photoId: subfolder === undefined && isUuid(stem) ? stem.toLowerCase() : keyId,
    keyId,
  };
}

/** The same; undefined for a key that is not a photo's. */
export function photoKeyOf(key: string, within = folder): PhotoKey | undefined {
  try {
    return parsePhotoKey(key, within);
  } catch (error) {
    if (error instanceof PipelineError) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Which folders of the bucket are an event's: several where its keys spell it in more than one case.
 *
 * @param folders in the folder of all events, with their trailing slash; those of no event are left out
 * @returns by lower-case event id, each folder once, as keys spell it
 */
export function foldersByEvent(folders: Iterable<string>): Map<string, string[]> {
  const byEvent = new Map<string, string[]>();
  for (const one of new Set(folders)) {
    const match = one.startsWith(folder) ? EVENT_FOLDER.exec(one.slice(folder.length)) : null;
    if (match) {
      const event = match[1]!.toLowerCase();
      byEvent.set(event, [...(byEvent.get(event) ?? []), one]);
    }
  }
  return byEvent;
}
