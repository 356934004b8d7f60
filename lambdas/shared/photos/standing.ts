/**
 * Where something that happened to an object stands against the photo's row: the one rule that decides whether an upload,
 * a result, a failure, a deletion or an erasure changes the row. Pure; `photos/rows.ts` reads and writes for it, and nothing
 * else writes photos.
 *
 * A photo is the object at its row's key. Events of one key are ordered by S3's sequencer; events of different keys are
 * not ordered at all, so an event about another key never changes what the row says of its own (docs/adr/0013).
 */

export type PhotoStatus = 'processing' | 'indexed' | 'failed' | 'deleted' | 'erased';

/** What is known of a key that is not its photo's (any more): its last event, and what lies there; null for nothing. */
export interface OtherObject {
  sequencer: string;
  version: string | null;
}

/** What of a photo's row decides. */
export interface PhotoState {
  event_id: string;
  status: PhotoStatus;
  object_key: string;
  /** Null before the first upload was written, and after a deletion. */
  object_version: string | null;
  object_sequencer: string | null;
  /** Other keys with the same photo id, by key; null where there never was one. */
  other_objects: Readonly<Record<string, OtherObject>> | null;
}

/** The rows that a key can be about. */
export interface KeyRows<Row extends PhotoState = PhotoState> {
  /** Under the photo id that the key names. */
  photo: Row | undefined;
  /** Under the id of the key itself, where that is another one: there is one only after the photo id was taken. */
  own: Row | undefined;
}

/** The rows that a key can be about, out of those that were read. */
export function rowsAbout<Row extends PhotoState>(
  rows: ReadonlyMap<string, Row>,
  { photoId, keyId }: { photoId: string; keyId: string },
): KeyRows<Row> {
  return { photo: rows.get(photoId), own: keyId === photoId ? undefined : rows.get(keyId) };
}

export interface Upload {
  event_id: string;
  key: string;
  version: string;
  sequencer: string;
  uploadedAt: Date;
}

export interface EventErasure {
  /** What was uploaded before this is not to be indexed any more. */
  erasedBefore: Date | null;
  /** Whether an erasure of the whole event is under way. */
  erasing: boolean;
}

export const NEVER_ERASED: EventErasure = { erasedBefore: null, erasing: false };

/**
 * - `current`: to be written.
 * - `known`: the row holds the faces of this very version.
 * - `copy`: the row holds the faces of these bytes, for another key.
 * - `superseded`: a later event of the key is written.
 * - `deleted`: the key's deletion is written, and it is the later event.
 * - `erased`: the faces of the event were erased since the upload.
 * - `waits`: the event's faces are just being erased, and the upload is later than that was asked for.
 * - `taken`: the photo id is that of another photo.
 */
export type Standing = 'current' | 'known' | 'copy' | 'superseded' | 'deleted' | 'erased' | 'waits' | 'taken';

export interface Ruling {
  standing: Standing;
  /** Which of the rows it is about; the photo's own for `copy`. */
  row: keyof KeyRows;
}

/**
 * S3's order of the events of one key: the shorter sequencer is padded with zeros on the right, and the two are compared as
 * text. Sequencers of different keys must not be compared.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 *
 * @param a hexadecimal; null and the empty text come before all others
 * @returns negative, 0 or positive
 */
export function compareSequencers(a: string | null, b: string | null): number {
  const length = Math.max(a?.length ?? 0, b?.length ?? 0);
  const [left, right] = [a, b].map((sequencer) => (sequencer ?? '').toUpperCase().padEnd(length, '0'));
  return left! < right! ? -1 : left! > right! ? 1 : 0;
}

/** The sequencer as it is wherever it is looked up: two have the same text where they say the same place in the order. */
export function canonicalSequencer(sequencer: string): string {
  return sequencer.toUpperCase().replace(/0+$/, '');
}

/** Longer than any that S3 is known to send, so that what is added at the end comes before S3's next. */
const SYNTHETIC_LENGTH = 48;

/** A sequencer for what must have happened after `sequencer`, and before whatever S3 tells of next. */
export function sequencerAfter(sequencer: string | null): string {
  const digits = (sequencer ?? '').toUpperCase();
  const width = Math.max(SYNTHETIC_LENGTH, digits.length);
  return (BigInt(`0x${digits.padEnd(width, '0') || '0'}`) + 1n)
    .toString(16)
    .toUpperCase()
    .padStart(width, '0');
}

/**
 * Whether the photo's row alone says what is known of the key. One that was only announced knows of no event, and a deletion that
 * came before the upload is in the row of the key's own id.
 */
export function saysAll(
  photo: PhotoState | undefined,
  { event_id, key }: { event_id: string; key: string },
): boolean {
  return photo?.event_id === event_id && photo.object_key === key && photo.object_sequencer !== null;
}

/** What the rows know of the key's last event. */
export function fenceOf({ photo, own }: KeyRows, key: string): OtherObject | undefined {
  if (photo?.object_key === key && photo.object_sequencer !== null) {
    return { sequencer: photo.object_sequencer, version: photo.object_version };
  }
  const other = photo?.other_objects?.[key];
  const taken =
    own?.object_key === key && own.object_sequencer !== null
      ? { sequencer: own.object_sequencer, version: own.object_version }
      : undefined;
  return other && taken
    ? compareSequencers(other.sequencer, taken.sequencer) >= 0
      ? other
      : taken
    : (other ?? taken);
}

/**
 * Whether the row is the key's (`mine`), is free for it, holds the same bytes under another key, or is another photo's.
 *
 * @param key.version what lies at the key; undefined where nothing does
 */
function placeOf(
  { photo, own }: KeyRows,
  key: { event_id: string; key: string; version?: string },
): 'mine' | 'free' | 'same_bytes' | 'taken' {
  const hasOwn = own !== undefined && own.status !== 'deleted';
  if (photo === undefined) {
    return hasOwn ? 'taken' : 'free';
  }
  if (photo.event_id !== key.event_id) {
    return 'taken';
  }
  if (photo.object_key === key.key) {
    return 'mine';
  }
  // Once the id was taken, the key keeps the row of its own: whatever Rekognition was told, its faces are nobody's.
  if (hasOwn) {
    return 'taken';
  }
  // About no object yet, or about none any more.
  if (photo.status === 'deleted' || (photo.status === 'processing' && photo.object_version === null)) {
    return 'free';
  }
  return key.version !== undefined && photo.object_version === key.version ? 'same_bytes' : 'taken';
}

/**
 * Whether an upload needs a row of its photo, where there is none yet: not when a later event of its key is written already.
 */
export function needsRow(rows: KeyRows, upload: Upload): boolean {
  return standingOfUpload(rows, upload, NEVER_ERASED).standing === 'current';
}

/**
 * Whether an upload that was just announced gets a row: only where its photo has none at all, and would be given one by its
 * result. So an announcement changes nothing that is written, whenever it comes, and the row that it makes is the one that
 * the platform may make beforehand: about a key, and no object yet.
 */
export function needsAnnouncement(rows: KeyRows, upload: Upload, erasure: EventErasure): boolean {
  // An erasure that is under way is waited for by whatever stores faces; the photo comes all the same.
  const { standing } = standingOfUpload(rows, upload, { ...erasure, erasing: false });
  return rows.photo === undefined && standing === 'current';
}

/** Where the result or the failure of an upload stands. */
export function standingOfUpload(rows: KeyRows, upload: Upload, erasure: EventErasure): Ruling {
  const { photo } = rows;
  const place = placeOf(rows, upload);
  const row = place === 'taken' ? 'own' : 'photo';
  const isStored =
    (place === 'mine' || place === 'same_bytes') &&
    photo?.status === 'indexed' &&
    photo.object_version === upload.version;

  const fence = fenceOf(rows, upload.key);
  const order = compareSequencers(upload.sequencer, fence?.sequencer ?? null);
  if (fence?.version === null && order <= 0) {
    return { standing: 'deleted', row };
  }
  if (fence && order < 0) {
    return { standing: isStored && place === 'mine' ? 'known' : 'superseded', row };
  }
  if (place === 'taken') {
    return { standing: 'taken', row };
  }
  if (erasure.erasedBefore !== null && upload.uploadedAt < erasure.erasedBefore) {
    return { standing: 'erased', row };
  }
  if (erasure.erasing) {
    return { standing: 'waits', row };
  }
  if (isStored) {
    return { standing: place === 'mine' ? 'known' : 'copy', row };
  }
  return { standing: 'current', row };
}

export interface Deletion {
  event_id: string;
  key: string;
  sequencer: string;
  /** The one version that was deleted for good, where the bucket has versions. */
  version?: string | undefined;
}

/**
 * - `current`: the row's object is gone, and its faces have to go.
 * - `moved`: the row's object is gone, and the same bytes lie under another key, which the row is about from now on.
 * - `remembered`: the key is not its photo's; only that nothing lies there is to be written down.
 * - `known`: the deletion, or a later one, is written.
 * - `superseded`: a later upload of the key is written.
 * - `old_version`: what was deleted is a version that is not the photo any more.
 */
export type DeletionStanding = 'current' | 'moved' | 'remembered' | 'known' | 'superseded' | 'old_version';

/** Where the deletion of an object stands. */
export function standingOfDeletion(
  rows: KeyRows,
  deletion: Deletion,
): { standing: DeletionStanding; row: keyof KeyRows } {
  const { photo, own } = rows;
  const place = placeOf(rows, { event_id: deletion.event_id, key: deletion.key });
  const isOthers = photo !== undefined && photo.event_id !== deletion.event_id;
  // A photo that nobody has heard of: what is written down is about this key alone, so that the id stays free.
  const isUnknown = photo === undefined;
  const about = place === 'mine' ? 'photo' : own || isOthers || isUnknown ? 'own' : undefined;
  const fence = fenceOf(rows, deletion.key);
  const order = compareSequencers(deletion.sequencer, fence?.sequencer ?? null);
  if (fence && (fence.version === null ? order <= 0 : order < 0)) {
    return { standing: fence.version === null ? 'known' : 'superseded', row: about ?? 'photo' };
  }
  if (about === undefined || (about === 'own' && own?.status === 'deleted' && !isOthers && !isUnknown)) {
    return { standing: 'remembered', row: 'photo' };
  }
  const row = rows[about];
  if (deletion.version !== undefined && row?.object_version !== deletion.version) {
    return { standing: 'old_version', row: about };
  }
  const hasCopy = about === 'photo' && photo !== undefined && copyOf(photo) !== undefined;
  return { standing: hasCopy ? 'moved' : 'current', row: about };
}

/** A key under which the row's bytes lie too. */
export function copyOf({
  object_version,
  other_objects,
}: PhotoState): (OtherObject & { key: string }) | undefined {
  const copies = Object.entries(other_objects ?? {})
    .filter(([, { version }]) => version !== null && version === object_version)
    .map(([key, other]) => ({ key, ...other }));
  return copies.sort((a, b) => (a.key < b.key ? -1 : 1))[0];
}

/**
 * What the row knows of other keys once it is about this object.
 *
 * @returns `evicted`: keys whose bytes were the photo's and are not any more: each is a photo whose id is taken
 */
export function othersAfter(
  row: PhotoState,
  object: { key: string; version: string | null },
): { others: Record<string, OtherObject> | null; evicted: (OtherObject & { key: string })[] } {
  const others = new Map(Object.entries(row.other_objects ?? {}));
  if (row.object_key !== object.key && row.object_sequencer !== null) {
    others.set(row.object_key, { sequencer: row.object_sequencer, version: row.object_version });
  }
  others.delete(object.key);
  const evicted = [...others].flatMap(([key, other]) =>
    other.version !== null && other.version !== object.version ? [{ key, ...other }] : [],
  );
  for (const { key } of evicted) {
    others.delete(key);
  }
  return { others: others.size > 0 ? Object.fromEntries(others) : null, evicted };
}

/** The same with one key more, or with later news of it. */
export function othersWith(
  { other_objects }: PhotoState,
  key: string,
  other: OtherObject,
): Record<string, OtherObject> {
  return { ...other_objects, [key]: other };
}

/** The same without one of the keys. */
export function othersWithout(
  { other_objects }: PhotoState,
  key: string,
): Record<string, OtherObject> | null {
  const { [key]: _, ...others } = other_objects ?? {};
  return Object.keys(others).length > 0 ? others : null;
}

/** An object as a listing of the bucket tells of it. */
export interface SeenObject {
  event_id: string;
  key: string;
  version: string;
  uploadedAt: Date;
}

/** A photo's row with its last end. */
export interface PhotoWithEnd extends PhotoState {
  failure_code: string | null;
  failure_retryable: boolean | null;
  /** When it was indexed or failed. */
  ended_at: string | Date | null;
}

/**
 * What the rows say of an object that lies in the bucket now:
 * `indexed`; `erased`, and to be left so; `copy` of another key's photo; `failed`, with whether another try can help;
 * `unfinished`, where the row waits for just this object; `unseen`, where no row is about it.
 */
export type ObjectStanding =
  | { is: 'indexed' | 'erased' | 'copy' | 'unfinished' | 'unseen' }
  | { is: 'failed'; retryable: boolean };

export function standingOfObject(
  rows: KeyRows<PhotoWithEnd>,
  object: SeenObject,
  erasedBefore: Date | null,
): ObjectStanding {
  const place = placeOf(rows, object);
  const row = place === 'taken' ? rows.own : rows.photo;
  const isErased = erasedBefore !== null && object.uploadedAt < erasedBefore;
  if (isErased) {
    return { is: 'erased' };
  }
  if (row === undefined) {
    return { is: 'unseen' };
  }
  if (row.object_version !== object.version || row.status === 'deleted') {
    const waits = place === 'mine' && row.status === 'processing' && row.object_version === null;
    return { is: waits ? 'unfinished' : 'unseen' };
  }
  switch (row.status) {
    case 'indexed':
      return { is: place === 'same_bytes' ? 'copy' : 'indexed' };
    case 'erased':
      return { is: isUploadedSince(object.uploadedAt, erasedBefore) ? 'unseen' : 'erased' };
    case 'failed':
      return saysGone(row, place, object)
        ? { is: 'unseen' }
        : { is: 'failed', retryable: row.failure_retryable === true };
    default:
      return { is: 'unfinished' };
  }
}

/** The failure that says nothing of other objects of the same bytes; the others are those of the bytes, or of the moment. */
export const SAID_OF_ONE_OBJECT = 'InvalidS3Object';

/**
 * Whether the row failed because an object was gone, and this is another one of the same bytes: under another key, or uploaded since.
 * Other failures of the bytes are this object's too.
 */
function saysGone(row: PhotoWithEnd, place: ReturnType<typeof placeOf>, { uploadedAt }: SeenObject): boolean {
  if (row.failure_code !== SAID_OF_ONE_OBJECT) {
    return false;
  }
  const failedMs = row.ended_at === null ? Number.POSITIVE_INFINITY : new Date(row.ended_at).getTime();
  // S3's listing tells whole seconds. One more execution is what an upload in the second of the failure costs.
  const isWhole = uploadedAt.getTime() % 1_000 === 0;
  const sinceMs = isWhole ? Math.floor(failedMs / 1_000) * 1_000 : failedMs;
  return place === 'same_bytes' || uploadedAt.getTime() >= sinceMs;
}

/**
 * A listing and an event tell the same upload's time in whole seconds, each by a clock of its own, and the erasure's is a third. In
 * doubt the object is the one that went with its event.
 */
const CLOCKS_APART_MS = 60_000;

/** Whether an object of the bytes that were erased was uploaded again after that. */
export function isUploadedSince(uploadedAt: Date, erasedBefore: Date | null): boolean {
  return erasedBefore !== null && uploadedAt.getTime() >= erasedBefore.getTime() + CLOCKS_APART_MS;
}

/**
 * The place in its key's order of an object that lies in the bucket now, told by no event of its own. The version that
 * the rows know has the sequencer that it came with; any other must be later than all that they know of the key.
 */
export function sequencerOfObject(rows: KeyRows, { key, version }: { key: string; version: string }): string {
  const fence = fenceOf(rows, key);
  if (fence === undefined) {
    return '0';
  }
  return fence.version === version ? fence.sequencer : sequencerAfter(fence.sequencer);
}
