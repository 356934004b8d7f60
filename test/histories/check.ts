/** What must hold when a history is over: a function of what happened and of what is left. */
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import type { PhotoState } from './database.ts';
import type { EventName, KeyName } from './history.ts';
import { type Ask, type Chronicle, eventOf, type Shown, type Upload, wholeKey } from './run.ts';
import { boxName, COLLECTION_PREFIX, type Face, facesOf } from './world.ts';

export interface Violation {
  /** Short, the same for faults of one kind. */
  class: string;
  detail: string;
}

/** Something mends what was lost, so nothing is excused by a loss. */
export function check(chronicle: Chronicle): Violation[] {
  const violations: Violation[] = [...chronicle.mishaps];
  const report = (kind: string, detail: string) => {
    violations.push({ class: kind, detail });
  };
  const context = { chronicle, report };
  checkObjects(context);
  checkGoneObjects(context);
  checkFaces(context);
  checkPersons(context);
  checkEvents(context);
  checkReceipts(context);
  checkSearches(context);
  checkResponses(context);
  for (const fault of chronicle.feedFaults) {
    report('feed', fault);
  }
  for (const { key, etag, label } of chronicle.world.paid.filter(({ isUnneeded }) => isUnneeded)) {
    report('billed-twice', `#${label} was billed again for ${contentOf(etag)} at ${key}`);
  }
  return violations;
}

interface Context {
  chronicle: Chronicle;
  report(kind: string, detail: string): void;
}

/** Of the keys that are named by one UUID. */
const named: readonly KeyName[] = ['P.jpg', 'P.JPG', 'other/P.jpg'];

function contentOf(etag: string): string {
  return Buffer.from(etag, 'hex').toString().replaceAll('.', '');
}

function current({ uploads }: Chronicle): Upload[] {
  return uploads.filter(({ overAt }) => overAt === Number.POSITIVE_INFINITY);
}

/** Accepted requests to erase the whole event, or everything that is over. */
function eventAsks({ asks }: Chronicle, event: EventName): Ask[] {
  return asks.filter((ask) => ask.kind !== 'person' && !ask.isRefused && ask.events.includes(event));
}

function checkObjects(context: Context): void {
  for (const upload of current(context.chronicle)) {
    checkObject(context, upload);
  }
}

function checkObject({ chronicle, report }: Context, upload: Upload): void {
  const { rows, eventIds, stem } = chronicle;
  const key = wholeKey(chronicle, upload.key);
  const event = eventOf(upload.key);
  const mine = rows.photos.filter(({ object_key }) => object_key === key);
  const [own] = mine;
  if (upload.key === 'thumbs/P.jpg' && mine.some(({ id }) => id === stem)) {
    report('nested-id', `${upload.key} has the id of the photo that is named so itself`);
  }
  const executions = chronicle.indexing.filter((one) => one.upload === upload.id).map((one) => one.execution);
  const isStopped = executions.length > 0 && executions.every((execution) => execution.isStopped);
  const isUntold = executions.every(({ state }) => state === 'new');
  const asks = eventAsks(chronicle, event);
  const mustBeErased = asks.some(({ askedAt }) => askedAt > upload.at);
  const mayBeErased = asks.some(({ takenAt }) => takenAt > upload.at);
  const shared = named.includes(upload.key)
    ? rows.photos.filter(
        ({ id, event_id, object_version }) =>
          id === stem && event_id === eventIds[event] && object_version === upload.etag,
      )
    : [];
  const isTrue = (row: PhotoState): boolean => {
    switch (row.status) {
      case 'indexed':
        return row.object_version === upload.etag && !mustBeErased;
      case 'erased':
        // The same bytes again, of which nobody told: here all happens within what clocks may differ by.
        return mayBeErased || (isUntold && asks.length > 0 && row.object_version === upload.etag);
      case 'failed':
        return row.object_version === upload.etag && isTrueFailure(row.failure_code);
      default:
        return false;
    }
  };
  const isTrueFailure = (code: string | null): boolean => {
    switch (code) {
      case 'InvalidImageFormat':
        return upload.content === 'empty' || upload.content === 'broken';
      case 'PhotoIdTaken':
        return (
          named.includes(upload.key) &&
          chronicle.uploads.some((other) => other.key !== upload.key && named.includes(other.key))
        );
      case 'ExecutionAborted':
        return isStopped;
      case 'StartFailed':
        return chronicle.refused.has(upload.id);
      default:
        return false;
    }
  };
  const row = [...mine, ...shared].find(isTrue);
  if (row) {
    if (row.status === 'indexed') {
      checkFacesOf({ chronicle, report }, upload, row);
    }
    return;
  }
  const what = `${upload.key} with ${upload.content} (#${upload.id})`;
  if (!own && mayBeErased) {
    // It is not to be indexed, and nobody needs a row to know that.
    return;
  }
  if (!own) {
    const other = rows.photos.find(({ id }) => id === stem);
    const isHidden = other && upload.key !== 'IMG_1.jpg';
    report(isHidden ? 'row-of-another-key' : 'no-row', `${what} has no row`);
  } else if (own.status === 'deleted') {
    report('deleted-but-there', `${what} is there, its row says deleted`);
  } else if (own.status === 'erased') {
    report('erased-unasked', `${what} was uploaded after whatever was asked, its row says erased`);
  } else if (own.status === 'processing') {
    report('left-processing', `${what} has a row without an end`);
  } else if (own.object_version !== upload.etag) {
    report(
      'stale-version',
      `${what} has a row that is ${own.status} for ${contentOf(own.object_version ?? '')}`,
    );
  } else if (own.status === 'indexed') {
    report('event-undone', `${what} was uploaded before its event was to be erased, and is indexed`);
  } else if (own.failure_code === 'PhotoIdTaken') {
    report('taken-by-nobody', `${what} failed as PhotoIdTaken, and no other object has the id`);
  } else {
    report('untrue-failure', `${what} failed as ${own.failure_code}`);
  }
}

/** The faces of an indexed row are those of the bytes, but for those that a person had erased. */
function checkFacesOf({ chronicle, report }: Context, upload: Upload, row: PhotoState): void {
  const stored = chronicle.rows.faces
    .filter(({ photo_id }) => photo_id === row.id)
    .map(({ bounding_box }) => boxName(bounding_box));
  const erased = chronicle.asks
    .filter(({ kind, isRefused }) => kind === 'person' && !isRefused)
    // Also of the same bytes, uploaded again after that.
    .flatMap(({ faces }) => faces)
    .filter(({ imageId }) => imageId === row.id)
    .map(({ box }) => boxName(box));
  const all = facesOf(upload.content).map(({ box }) => boxName(box));
  const missing = all.filter((box) => !stored.includes(box) && !erased.includes(box));
  const foreign = stored.filter((box) => !all.includes(box));
  if (missing.length > 0 || foreign.length > 0) {
    report(
      'wrong-faces',
      `${upload.key} with ${upload.content} (#${upload.id}) lacks ${missing.length} faces and has ${foreign.length} of other bytes`,
    );
  }
}

function checkGoneObjects({ chronicle, report }: Context): void {
  const { rows, uploads } = chronicle;
  const live = current(chronicle);
  const gone = new Set(uploads.map(({ key }) => key).filter((key) => live.every((one) => one.key !== key)));
  for (const key of gone) {
    for (const row of rows.photos.filter(({ object_key }) => object_key === wholeKey(chronicle, key))) {
      const isShared = live.some(
        (one) =>
          named.includes(one.key) &&
          named.includes(key) &&
          eventOf(one.key) === eventOf(key) &&
          one.etag === row.object_version,
      );
      const isErased = row.status === 'erased' && eventAsks(chronicle, eventOf(key)).length > 0;
      const saysSo = row.status === 'failed' && row.failure_code === 'InvalidS3Object';
      if (row.status !== 'deleted' && !isErased && !isShared && !saysSo) {
        report('row-of-gone-object', `${key} is gone, its row says ${row.status} ${row.failure_code ?? ''}`);
      }
    }
  }
}

/** Collection and rows name the same faces. */
function checkFaces({ chronicle, report }: Context): void {
  const { rows, world, eventIds } = chronicle;
  const photos = new Map(rows.photos.map((photo) => [photo.id, photo]));
  const rowOf = new Map(rows.faces.map((face) => [face.rekognition_face_id, face]));
  const hasStop = chronicle.executions.some(({ isStopped }) => isStopped);
  for (const eventId of Object.values(eventIds)) {
    for (const { faceId, imageId, person } of world.collections
      .get(`${COLLECTION_PREFIX}${eventId}`)
      ?.values() ?? []) {
      const row = rowOf.get(faceId);
      if (!row) {
        report(
          hasStop ? 'stray-face-after-stop' : 'stray-face',
          `the collection has a face of ${person} of photo ${imageId.slice(0, 8)} that no row knows`,
        );
      } else if (row.photo_id !== imageId) {
        report('face-of-another-photo', `a face of image ${imageId} is stored as one of ${row.photo_id}`);
      }
    }
  }
  for (const { photo_id, rekognition_face_id } of rows.faces) {
    const photo = photos.get(photo_id);
    const collection = world.collections.get(`${COLLECTION_PREFIX}${photo?.event_id}`);
    if (!collection?.has(rekognition_face_id ?? '')) {
      report('face-lost', `a row of ${photo?.object_key.slice(-20)} names a face that the collection lacks`);
    }
  }
  for (const photo of rows.photos) {
    const count = rows.faces.filter(({ photo_id }) => photo_id === photo.id).length;
    if ((photo.status === 'indexed' ? photo.face_count : 0) !== count) {
      report(
        'face-count',
        `${photo.object_key.slice(-20)} is ${photo.status} with ${photo.face_count} faces and has ${count}`,
      );
    }
  }
}

function checkPersons({ chronicle, report }: Context): void {
  const { asks, rows, world, uploads, eventIds } = chronicle;
  for (const { kind, isRefused, faces, askedAt, events, label } of asks) {
    if (kind !== 'person' || isRefused) {
      continue;
    }
    const collection = world.collections.get(`${COLLECTION_PREFIX}${eventIds[events[0]!]}`);
    for (const { faceId, imageId, box } of faces) {
      if (collection?.has(faceId) || rows.faces.some((row) => row.rekognition_face_id === faceId)) {
        report('person-face-kept', `a face that #${label} named is still there`);
      }
      const isUploadedAgain = uploads.some(
        (upload) =>
          upload.at > askedAt &&
          eventOf(upload.key) === events[0] &&
          facesOf(upload.content).some((face) => boxName(face.box) === boxName(box)),
      );
      const isBack =
        rows.faces.some(
          (row) =>
            row.photo_id === imageId &&
            boxName(row.bounding_box) === boxName(box) &&
            rows.photos.some(({ id, event_id }) => id === imageId && event_id === eventIds[events[0]!]),
        ) ||
        [...(collection?.values() ?? [])].some(
          (face) => face.imageId === imageId && boxName(face.box) === boxName(box),
        );
      if (isBack && !isUploadedAgain) {
        report('person-undone', `a face that #${label} named is there again, of the same upload`);
      }
    }
  }
}

/** From the moment on that the database knows of a deletion or an erasure, no search shows what goes by it. */
function checkSearches({ chronicle, report }: Context): void {
  const { searches, world, eventIds } = chronicle;
  for (const search of searches) {
    for (const [faceId, photoId] of search.faces) {
      const face = world.known.get(faceId);
      const isOfEvent =
        face?.collectionId === `${COLLECTION_PREFIX}${eventIds[search.event]}` && face.imageId === photoId;
      if (!isOfEvent) {
        report(
          'search-shows-foreign',
          `#${search.label} in ${search.event} shows a face of another event or photo`,
        );
      } else if (!mayBeShown(chronicle, search, face)) {
        report(
          'search-shows-gone',
          `#${search.label} in ${search.event} shows a face of ${face.person} in ${photoId.slice(0, 8)} that was to be gone`,
        );
      }
    }
  }
}

/** Whether there is an upload with this face that nothing had taken away by the time of the search. */
function mayBeShown(chronicle: Chronicle, { event, at }: Shown, { imageId, box, faceId }: Face): boolean {
  const { uploads, deletions, asks } = chronicle;
  const taken = asks.filter((ask) => ask.takenAt <= at && !ask.isRefused && ask.events.includes(event));
  const persons = taken.filter(({ kind }) => kind === 'person');
  return (
    persons.every(({ faces }) => faces.every((named) => named.faceId !== faceId)) &&
    uploads.some(
      (upload) =>
        upload.at <= at &&
        eventOf(upload.key) === event &&
        parsePhotoKey(wholeKey(chronicle, upload.key)).photoId === imageId &&
        facesOf(upload.content).some((face) => boxName(face.box) === boxName(box)) &&
        deletions.every(
          (deletion) => deletion.key !== upload.key || deletion.at < upload.at || deletion.handledAt > at,
        ) &&
        taken.every(
          ({ kind, askedAt, faces }) =>
            askedAt < upload.at ||
            (kind === 'person' &&
              faces.every((named) => named.imageId !== imageId || boxName(named.box) !== boxName(box))),
        ),
    )
  );
}

/** A response that names faces is that of its photo's row: nobody needs any other. */
function checkResponses({ chronicle, report }: Context): void {
  const needed = new Set(
    chronicle.rows.photos
      .filter(
        ({ status, object_version }) =>
          status !== 'deleted' && status !== 'erased' && object_version !== null,
      )
      .map(({ id, event_id, object_version }) => resultsKey({ event_id, photo_id: id }, object_version!)),
  );
  for (const [key, { body }] of chronicle.world.results) {
    const { face_records } = JSON.parse(body) as { face_records: unknown[] };
    if (face_records.length > 0 && !needed.has(key)) {
      report('response-kept', `${key} names ${face_records.length} faces, and no row is of it`);
    }
  }
}

/** What was uploaded before an event was to be erased leaves no face. */
function checkEvents({ chronicle, report }: Context): void {
  const { eventIds, world, uploads, rows } = chronicle;
  for (const event of ['mine', 'other'] as const) {
    const asks = eventAsks(chronicle, event);
    if (asks.length === 0) {
      continue;
    }
    const last = Math.max(...asks.map(({ askedAt }) => askedAt));
    const allowed = new Set(
      uploads
        .filter(({ key, at }) => eventOf(key) === event && at > last)
        .flatMap(({ content }) => facesOf(content).map(({ box }) => boxName(box))),
    );
    const photos = new Set(
      rows.photos.filter(({ event_id }) => event_id === eventIds[event]).map(({ id }) => id),
    );
    const listed = [...(world.collections.get(`${COLLECTION_PREFIX}${eventIds[event]}`)?.values() ?? [])];
    const stored = rows.faces.filter(({ photo_id }) => photos.has(photo_id));
    if (
      listed.some(({ box }) => !allowed.has(boxName(box))) ||
      stored.some(({ bounding_box }) => !allowed.has(boxName(bounding_box)))
    ) {
      report('event-face-kept', `a face of ${event} from before its erasure is there`);
    }
  }
  for (const { before, after } of rows.overwritten) {
    report('end-overwritten', `${before.status} became ${after.status} ${after.failure_code ?? ''}`);
  }
}

function checkReceipts({ chronicle, report }: Context): void {
  const { rows, asks, executions, deletions, uploads, world, eventIds, unstarted } = chronicle;
  for (const { before, after } of rows.changedReceipts) {
    const { id, reason } = before as { id: string; reason: string };
    report('receipt-changed', `${reason} ${id}: ${difference(before, after)}`);
  }
  for (const [table, count] of Object.entries(rows.outbox)) {
    if (count > 0) {
      report('outbox-left', `${table} has ${count} rows`);
    }
  }
  for (const { reason, finished_at } of rows.erasures) {
    if (finished_at === null) {
      report('erasure-unfinished', reason);
    }
  }
  // The last resort can start nothing: what it asks for is begun within the hour.
  const failed = chronicle.indexing.filter(({ execution }) => execution.end?.status !== 'SUCCEEDED').length;
  // MarkFailed found them deleted, replaced, erased or indexed.
  const settled = chronicle.indexing.filter(({ execution: { end } }) => {
    return end?.status === 'SUCCEEDED' && (end.output as { marked?: object }).marked !== undefined;
  }).length;
  const isOfLastResort = (reason: string) =>
    (reason === 'late_result' && failed > 0) || (reason === 'photo_replaced' && chronicle.refused.size > 0);
  const left = unstarted.filter(({ reason }) => !isOfLastResort(reason));
  if (left.length > 0) {
    report('erasure-unstarted', `nobody began ${left.map(({ reason }) => reason).join(', ')}`);
  }
  for (const { label, kind, isRefused } of asks.filter((ask) => ask.kind === 'person')) {
    const arn = executions.find((execution) => execution.label === label)?.arn;
    const count = rows.erasures.filter(
      ({ execution_arn, reason }) => execution_arn === arn && reason === 'person_requested',
    ).length;
    if (count !== (isRefused ? 0 : 1)) {
      report('receipt-count', `#${label} asked for a ${kind}, and has ${count} receipts`);
    }
  }
  for (const event of ['mine', 'other'] as const) {
    const count = (reason: string) =>
      rows.erasures.filter((one) => one.event_id === eventIds[event] && one.reason === reason).length;
    const ofEvent = <Item extends { key: KeyName }>(items: readonly Item[]) =>
      items.filter(({ key }) => eventOf(key) === event).length;
    const asked = eventAsks(chronicle, event).filter(({ kind }) => kind === 'event').length;
    const saysGone = (key: KeyName) =>
      rows.photos.some(
        ({ object_key, status, failure_code }) =>
          object_key === wholeKey(chronicle, key) &&
          status === 'failed' &&
          failure_code === 'InvalidS3Object',
      );
    const most: [string, number][] = [
      ['photo_deleted', ofEvent(deletions)],
      ['photo_replaced', ofEvent(uploads)],
      // Nobody asks for these: a response that came late, an execution that found its photo deleted, or one that failed before
      // the photo was deleted, once by itself and once by the last resort.
      ['late_result', ofEvent(world.paid) + settled + 2 * failed],
      ['event_requested', asked],
    ];
    for (const [reason, limit] of most) {
      if (count(reason) > limit) {
        report('receipts-multiply', `${count(reason)} receipts ${reason} of ${event}, for at most ${limit}`);
      }
    }
    if (asked > 0 && count('event_requested') + count('event_expired') === 0) {
      report('receipt-count', `${event} was to be erased, and has no receipt`);
    }
    const isDeleted = deletions.some(
      ({ key, handledAt }) =>
        eventOf(key) === event &&
        // Where nobody told of it, the execution that found the object gone says so in its photo's row.
        (handledAt < Number.POSITIVE_INFINITY || !saysGone(key)) &&
        world.paid.some((call) => call.key === key) &&
        current(chronicle).every(
          (upload) =>
            upload.key !== key &&
            // A copy of it is the photo from then on.
            !(named.includes(upload.key) && eventOf(upload.key) === event),
        ),
    );
    if (isDeleted && count('photo_deleted') === 0 && eventAsks(chronicle, event).length === 0) {
      report('receipt-count', `an indexed photo of ${event} was deleted, and there is no receipt`);
    }
  }
}

function difference(before: object, after: object | null): string {
  if (!after) {
    return 'deleted';
  }
  return Object.entries(before)
    .filter(([name, value]) => value !== (after as { [name: string]: unknown })[name])
    .map(([name, value]) => `${name} ${value} -> ${(after as { [name: string]: unknown })[name]}`)
    .join(', ');
}
