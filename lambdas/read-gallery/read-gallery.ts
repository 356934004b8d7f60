import {
  type ChangesAnswer,
  DEFAULT_PHOTOS,
  type EventAnswer,
  type FaceAnswer,
  galleryRoutes,
  MAX_PHOTOS,
  PHOTO_STATES,
  type PhotoAnswer,
  type PhotoState,
  type PhotosAnswer,
} from '../shared/contract/gallery.ts';
import { logEvents } from '../shared/contract/names.ts';
import { type TimeLeft, timeNotKnown } from '../shared/contract/time-left.ts';
import type { WithDatabase } from '../shared/database/connection.ts';
import { checkNames, type HttpEvent, type Query, uuidOf } from '../shared/http/http.ts';
import { ProblemError } from '../shared/http/problems.ts';
import type { LedgerConfig, LedgerState } from '../shared/line/rules.ts';
import { timeLeft } from '../shared/line/time-left.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import { decodeFeed, decodePage, encodeFeed, encodePage } from './cursor.ts';
import { changedRows, type EventRow, eventExists, eventRow, type PhotoRow, photoRows } from './rows.ts';

export interface GalleryDeps {
  withDatabase: WithDatabase;
  /** The slot ledger's item as it is. */
  readLedger(): Promise<LedgerState>;
  line: LedgerConfig;
  /** The address under which a photo can be read for a while. */
  photoUrl(key: string): Promise<string>;
  now(): number;
  telemetry: Telemetry;
}

/** What of an HTTP request is looked at; `route` is one of `galleryRoutes`. */
export interface GalleryRequest {
  route: string;
  event: string | undefined;
  query: Query;
}

export function galleryRequestOf({
  routeKey,
  pathParameters,
  queryStringParameters,
}: HttpEvent): GalleryRequest {
  return {
    route: routeKey.replace(/^GET /, ''),
    event: pathParameters?.event,
    query: queryStringParameters ?? {},
  };
}

/** A connection, a wake-up of the database and the answer have to fit into the 30 s that API Gateway waits. */
export const DATABASE_LIMIT = { limitMs: 25_000 };

/**
 * What happened to an event and its photos.
 *
 * @throws ProblemError for what the caller has to change; PipelineError `DatabaseUnavailable`, `DatabaseMisconfigured`, ...
 */
export async function readGallery(
  deps: GalleryDeps,
  { route, event, query }: GalleryRequest,
): Promise<EventAnswer | PhotosAnswer | ChangesAnswer> {
  const read = routes[route];
  if (!read) {
    throw new Error(`The API has a route ${route} that the function does not know`);
  }
  return read(deps, uuidOf('event', event), query);
}

type Read = (
  deps: GalleryDeps,
  eventId: string,
  query: Query,
) => Promise<EventAnswer | PhotosAnswer | ChangesAnswer>;

const routes: Readonly<Record<string, Read>> = {
  [galleryRoutes.event]: readEvent,
  [galleryRoutes.photos]: readPhotos,
  [galleryRoutes.changes]: readChanges,
};

async function readEvent(deps: GalleryDeps, eventId: string, query: Query): Promise<EventAnswer> {
  checkNames(query, []);
  const [row, ledger] = await Promise.all([
    deps.withDatabase((sql) => eventRow(sql, eventId), DATABASE_LIMIT),
    ledgerOrNone(deps),
  ]);
  if (!row) {
    throw unknownEvent(eventId);
  }
  const { processing, indexed, failed, deleted, erased } = row;
  return {
    event_id: row.event_id,
    name: row.name,
    photos: { processing, indexed, failed, deleted, erased },
    faces: row.faces,
    started_at: row.started_at,
    changed_at: row.changed_at,
    time_left: timeLeftOf(deps, row, ledger),
  };
}

/** How it went counts for more than how long it will take: without the ledger the answer says all but that. */
async function ledgerOrNone({ readLedger, telemetry }: GalleryDeps): Promise<LedgerState | undefined> {
  try {
    return await readLedger();
  } catch (error) {
    telemetry.logger.warn((error as Error).message, { event: logEvents.lineUnknown });
    return undefined;
  }
}

function timeLeftOf({ line, now }: GalleryDeps, row: EventRow, ledger: LedgerState | undefined): TimeLeft {
  if (!ledger) {
    return timeNotKnown('line_unknown', 'How long it will take cannot be told at the moment');
  }
  const waiting = { photos: row.processing, ahead: row.ahead, lastAnnouncedMs: row.last_announced_ms };
  return timeLeft(ledger, line, waiting, now());
}

async function readPhotos(deps: GalleryDeps, eventId: string, query: Query): Promise<PhotosAnswer> {
  checkNames(query, ['status', 'after', 'limit', 'urls']);
  const limit = limitOf(query);
  const page = {
    status: statusOf(query),
    after: query.after === undefined ? undefined : decodePage(query.after),
    // One more tells whether there is another page.
    limit: limit + 1,
  };
  const rows = await deps.withDatabase(async (sql) => {
    const found = await photoRows(sql, eventId, page);
    return found.length > 0 || (await eventExists(sql, eventId)) ? found : undefined;
  }, DATABASE_LIMIT);
  if (!rows) {
    throw unknownEvent(eventId);
  }
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    photos: await photoAnswers(deps, shown, query),
    next:
      last && rows.length > limit ? encodePage({ createdUs: last.created_us, photoId: last.photo_id }) : null,
  };
}

const NOBODY = '00000000-0000-0000-0000-000000000000';

async function readChanges(deps: GalleryDeps, eventId: string, query: Query): Promise<ChangesAnswer> {
  checkNames(query, ['since', 'limit', 'urls']);
  const limit = limitOf(query);
  const since = query.since === undefined ? undefined : decodeFeed(query.since);
  const changed = await deps.withDatabase(async (sql) => {
    const found = await changedRows(sql, eventId, { since, limit: limit + 1 });
    return found.photos.length > 0 || (await eventExists(sql, eventId)) ? found : undefined;
  }, DATABASE_LIMIT);
  if (!changed) {
    throw unknownEvent(eventId);
  }
  const { epoch, horizon, photos } = changed;
  // A cursor from beyond the horizon is of a later state of this database than the one that was restored.
  if (since && (since.epoch !== epoch || BigInt(since.xid) >= BigInt(horizon))) {
    throw new ProblemError(
      'cursor-outdated',
      'The cursor was made before the database was moved or restored: leave "since" out and read everything again',
    );
  }
  const shown = photos.slice(0, limit);
  const last = shown.at(-1);
  const position = last
    ? { xid: last.changed_xid, photoId: last.photo_id }
    : (since ?? { xid: '0', photoId: NOBODY });
  return {
    photos: await photoAnswers(deps, shown, query),
    next: encodeFeed({ ...position, epoch }),
    more: photos.length > limit,
  };
}

function photoAnswers(
  { photoUrl }: GalleryDeps,
  rows: readonly PhotoRow[],
  query: Query,
): Promise<PhotoAnswer[]> {
  const withUrls = urlsOf(query);
  return Promise.all(
    rows.map(async (row) => ({
      photo_id: row.photo_id,
      key: row.object_key,
      status: row.status,
      faces: row.faces.map(faceAnswer),
      failure:
        row.status === 'failed'
          ? { code: row.failure_code!, message: row.failure_message, retryable: row.failure_retryable! }
          : null,
      created_at: row.created_at,
      ended_at: row.ended_at,
      changed_at: row.changed_at,
      ...(withUrls && { url: row.status === 'deleted' ? null : await photoUrl(row.object_key) }),
    })),
  );
}

function faceAnswer({
  face_id,
  left,
  top,
  width,
  height,
  confidence,
}: PhotoRow['faces'][number]): FaceAnswer {
  const box = { left, top, width, height };
  return {
    face_id,
    // Rekognition's API lets any part of a box be missing.
    box: Object.values(box).every((side) => typeof side === 'number') ? (box as FaceAnswer['box']) : null,
    confidence,
  };
}

function limitOf({ limit }: Query): number {
  if (limit === undefined) {
    return DEFAULT_PHOTOS;
  }
  const number = /^\d{1,9}$/.test(limit) ? Number(limit) : 0;
  if (number < 1 || number > MAX_PHOTOS) {
    throw new ProblemError(
      'bad-request',
      `limit is ${JSON.stringify(limit)}; allowed is a whole number from 1 to ${MAX_PHOTOS}`,
    );
  }
  return number;
}

function statusOf({ status }: Query): PhotoState | undefined {
  const known = PHOTO_STATES.find((state) => state === status);
  if (status !== undefined && !known) {
    throw new ProblemError(
      'bad-request',
      `status is ${JSON.stringify(status)}; allowed is one of ${PHOTO_STATES.join(', ')}`,
    );
  }
  return known;
}

function urlsOf({ urls }: Query): boolean {
  if (urls !== undefined && urls !== '1' && urls !== '0') {
    throw new ProblemError('bad-request', `urls is ${JSON.stringify(urls)}; allowed is 1 or 0`);
  }
  return urls === '1';
}

function unknownEvent(eventId: string): ProblemError {
  return new ProblemError(
    'unknown-event',
    `There is no event ${eventId}: it begins with its first photo, or with the row that its platform makes beforehand`,
  );
}
