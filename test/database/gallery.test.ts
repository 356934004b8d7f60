import { randomUUID } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { photoUrls } from '../../lambdas/read-gallery/photo-url.ts';
import { type GalleryDeps, galleryRequestOf, readGallery } from '../../lambdas/read-gallery/read-gallery.ts';
import { photoRows } from '../../lambdas/read-gallery/rows.ts';
import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import {
  type ChangesAnswer,
  DEFAULT_PHOTOS,
  type EventAnswer,
  galleryRoutes,
  MAX_PHOTOS,
  PHOTO_STATES,
  PHOTO_URL_SECONDS,
  type PhotosAnswer,
  type Problem,
} from '../../lambdas/shared/contract/gallery.ts';
import { answerFailure, answerHttp } from '../../lambdas/shared/http/http.ts';
import type { LedgerState } from '../../lambdas/shared/line/rules.ts';
import { deviations, openapi } from '../support/openapi.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();
const { telemetry } = recordingTelemetry();

const s3 = new S3Client({
  region: 'eu-west-1',
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'session' },
});
let ledger: () => Promise<LedgerState>;
let gallery: ReturnType<typeof database.connectAs>;
beforeAll(() => {
  gallery = database.connectAs('rollcall_gallery');
});
beforeEach(() => {
  ledger = async () => ({});
});

const deps = (): GalleryDeps => ({
  withDatabase: (work) => work(gallery),
  readLedger: () => ledger(),
  line: { perSecond: 50, dailyImageCap: 10_000 },
  photoUrl: photoUrls(s3, 'photos'),
  now: Date.now,
  telemetry,
});

type Route = keyof typeof galleryRoutes;
type Query = Record<string, string>;

/** A request as API Gateway hands it on, and the answer, which has to be as the document says. */
async function request<Answer>(
  route: Route,
  event: string,
  query?: Query,
  given: GalleryDeps = deps(),
): Promise<{ status: number; body: Answer; headers: Record<string, unknown> }> {
  const path = galleryRoutes[route];
  const {
    statusCode,
    headers = {},
    body,
  } = await answerHttp({ telemetry }, () =>
    readGallery(
      given,
      galleryRequestOf({
        routeKey: `GET ${path}`,
        pathParameters: { event },
        ...(query && { queryStringParameters: query }),
      }),
    ),
  ).catch(answerFailure);
  const answer = {
    status: statusCode!,
    contentType: String(headers['content-type']),
    body: JSON.parse(body!) as Answer,
  };
  expect(deviations(`GET ${path}`, answer)).toEqual([]);
  expect(headers['cache-control']).toBe('no-store');
  return { ...answer, headers };
}

const read = async <Answer>(route: Route, event: string, query?: Query): Promise<Answer> => {
  const { status, body } = await request<Answer>(route, event, query);
  expect([status, body]).toEqual([200, body]);
  return body;
};

async function anEvent(name: string | null = null) {
  const id = randomUUID();
  await database.admin`INSERT INTO events (id, name) VALUES (${id}, ${name})`;
  const photo = async (
    status: string,
    { faces = [], at }: { faces?: (object | null)[]; at?: string } = {},
  ): Promise<string> => {
    const photoId = randomUUID();
    await database.pipeline.begin(async (sql) => {
      await sql`
        INSERT INTO photos (id, event_id, object_key, status, face_count, failure_code, failure_message, failure_retryable,
                            indexed_at, failed_at, deleted_at, created_at)
        VALUES (${photoId}, ${id}, ${`events/${id}/${photoId}.jpg`}, ${status}, ${status === 'indexed' ? faces.length : null},
                ${status === 'failed' ? 'ImageTooLarge' : null}, ${status === 'failed' ? 'It is too large' : null},
                ${status === 'failed' ? false : null}, ${status === 'indexed' ? new Date() : null},
                ${status === 'failed' ? new Date() : null}, ${status === 'deleted' ? new Date() : null},
                ${at ? sql`${at}::text::timestamptz` : sql`clock_timestamp()`})`;
      for (const box of faces) {
        await sql`
          INSERT INTO faces (photo_id, rekognition_face_id, bounding_box, confidence)
          VALUES (${photoId}, ${randomUUID()}, ${box ? sql.json(box as never) : null}, 99.5)`;
      }
    });
    return photoId;
  };
  return { id, photo };
}

const BOX = { Left: 0.5, Top: 0.25, Width: 0.125, Height: 0.5 };

describe('an event', () => {
  test('is counted by state, with its faces, and says how long the rest will take', async () => {
    const event = await anEvent('Summer party');
    await event.photo('indexed', { faces: [BOX, BOX] });
    await event.photo('indexed');
    await event.photo('failed');
    await event.photo('deleted');
    await event.photo('erased');
    await event.photo('processing');
    const answer = await read<EventAnswer>('event', event.id);
    expect(answer).toMatchObject({
      event_id: event.id,
      name: 'Summer party',
      photos: { processing: 1, indexed: 2, failed: 1, deleted: 1, erased: 1 },
      faces: 2,
      time_left: { seconds: 0.1, reason: null, sentence: 'Detecting faces, a few seconds left' },
    });
    expect(Date.parse(answer.changed_at!)).toBeGreaterThanOrEqual(Date.parse(answer.started_at!));
  });

  test('is there before its first photo, and its id may be spelt in capitals', async () => {
    const event = await anEvent();
    await expect(read('event', event.id.toUpperCase())).resolves.toEqual({
      event_id: event.id,
      name: null,
      photos: { processing: 0, indexed: 0, failed: 0, deleted: 0, erased: 0 },
      faces: 0,
      started_at: null,
      changed_at: null,
      time_left: { seconds: 0, done_at: null, reason: null, sentence: 'No photo is waiting' },
    });
  });

  test('waits for those of other events that were announced before its last one', async () => {
    const [first, second] = [await anEvent(), await anEvent()];
    const before = (await read<EventAnswer>('event', first.id)).time_left.seconds!;
    expect(before).toBe(0);
    for (let photos = 0; photos < 100; photos++) {
      await first.photo('processing');
    }
    await second.photo('processing');
    await first.photo('processing');
    const ahead = await database.admin<{ ahead: number }[]>`
      SELECT count(*)::int AS ahead FROM photos WHERE status = 'processing'`;
    const ofSecond = (await read<EventAnswer>('event', second.id)).time_left.seconds!;
    const ofFirst = (await read<EventAnswer>('event', first.id)).time_left.seconds!;
    expect(ofFirst).toBeCloseTo(ahead[0]!.ahead / 50, 0);
    expect(ofSecond).toBeGreaterThan(1.9);
    expect(ofFirst).toBeGreaterThanOrEqual(ofSecond);
    await database.admin`UPDATE photos SET status = 'erased' WHERE status = 'processing'`;
  });

  test('says all but the time where the ledger cannot be read', async () => {
    const event = await anEvent();
    await event.photo('processing');
    ledger = () => Promise.reject(new PipelineError('LedgerBusy', 'hot'));
    await expect(read('event', event.id)).resolves.toMatchObject({
      photos: { processing: 1 },
      time_left: { seconds: null, done_at: null, reason: 'line_unknown' },
    });
  });
});

describe('photos', () => {
  test('come the newest first, each once, on as many pages as it takes', async () => {
    const event = await anEvent();
    const photos: string[] = [];
    for (let i = 0; i < 7; i++) {
      // Two of each moment, which only their ids tell apart.
      photos.push(await event.photo('indexed', { at: `2026-05-01T12:00:0${i >> 1}.123456Z` }));
    }
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const page: PhotosAnswer = await read('photos', event.id, { limit: '3', ...(after && { after }) });
      seen.push(...page.photos.map(({ photo_id }) => photo_id));
      after = page.next;
      // What comes in the meantime is newer than what is still to be read.
      await event.photo('indexed');
    } while (after);
    expect(seen.toSorted()).toEqual(photos.toSorted());
    expect(seen[0]).toBe(photos[6]);
  });

  test('have their faces from left to right, in the coordinates of the upright picture', async () => {
    const event = await anEvent();
    const id = await event.photo('indexed', { faces: [BOX, { ...BOX, Left: -0.25 }, null, { Left: 0.1 }] });
    const { photos } = await read<PhotosAnswer>('photos', event.id);
    expect(photos).toHaveLength(1);
    expect(photos[0]).toMatchObject({ photo_id: id, key: `events/${event.id}/${id}.jpg`, failure: null });
    expect(photos[0]!.faces.map(({ box }) => box)).toEqual([
      { left: -0.25, top: 0.25, width: 0.125, height: 0.5 },
      null,
      { left: 0.5, top: 0.25, width: 0.125, height: 0.5 },
      null,
    ]);
    expect(photos[0]!.faces[0]).toMatchObject({ face_id: expect.any(String), confidence: 99.5 });
  });

  test('say why they failed, and are filtered by state; deleted ones only on demand', async () => {
    const event = await anEvent();
    const ids: Record<string, string> = {};
    for (const status of PHOTO_STATES) {
      ids[status] = await event.photo(status);
    }
    const all = await read<PhotosAnswer>('photos', event.id);
    expect(all.photos.map(({ status }) => status)).toEqual(['erased', 'failed', 'indexed', 'processing']);
    for (const status of PHOTO_STATES) {
      const { photos } = await read<PhotosAnswer>('photos', event.id, { status });
      expect(photos.map(({ photo_id, status }) => [photo_id, status])).toEqual([[ids[status], status]]);
      expect(photos[0]!.failure).toEqual(
        status === 'failed' ? { code: 'ImageTooLarge', message: 'It is too large', retryable: false } : null,
      );
    }
  });

  test('come page by page, each with what is older than the last of the one before', async () => {
    const event = await anEvent();
    const ids = [await event.photo('indexed'), await event.photo('failed'), await event.photo('indexed')];
    await event.photo('deleted');
    const page = { status: undefined, after: undefined, limit: 2 };
    const first = await photoRows(gallery, event.id, page);
    const { created_us: createdUs, photo_id: photoId } = first.at(-1)!;
    const rest = await photoRows(gallery, event.id, { ...page, after: { createdUs, photoId } });
    expect([first, rest].map((rows) => rows.map(({ photo_id }) => photo_id))).toEqual([
      [ids[2], ids[1]],
      [ids[0]],
    ]);
    const failed = await photoRows(gallery, event.id, { ...page, status: 'failed' });
    expect(failed.map(({ photo_id }) => photo_id)).toEqual([ids[1]]);
  });

  test('have an address on demand, signed for five minutes', async () => {
    const event = await anEvent();
    const [indexed, deleted] = [await event.photo('indexed'), await event.photo('deleted')];
    const { photos } = await read<ChangesAnswer>('changes', event.id, { urls: '1' });
    const urls = Object.fromEntries(photos.map(({ photo_id, url }) => [photo_id, url]));
    expect(urls[deleted]).toBeNull();
    const url = new URL(urls[indexed]!);
    expect(url.pathname).toBe(`/events/${event.id}/${indexed}.jpg`);
    expect(url.searchParams.get('X-Amz-Expires')).toBe(String(PHOTO_URL_SECONDS));
    const [plain] = (await read<PhotosAnswer>('photos', event.id, { urls: '0' })).photos;
    expect(plain).not.toHaveProperty('url');
  });

  test('are as many as asked for, and no more than fit an answer', async () => {
    const event = await anEvent();
    await Promise.all(Array.from({ length: MAX_PHOTOS + 1 }, () => event.photo('indexed')));
    const pages = await Promise.all(
      [undefined, '1', String(MAX_PHOTOS)].map((limit) =>
        read<PhotosAnswer>('photos', event.id, limit ? { limit } : undefined),
      ),
    );
    expect(pages.map(({ photos }) => photos.length)).toEqual([DEFAULT_PHOTOS, 1, MAX_PHOTOS]);
    expect(pages.every(({ next }) => next !== null)).toBe(true);
  });
});

describe('what is wrong is one clear problem', () => {
  const routes = Object.keys(galleryRoutes) as Route[];
  const good = { photos: 'after', changes: 'since' } as const;

  test.each(routes)(
    '%s: an id that is no UUID, an event that is not there, a parameter that there is not',
    async (route) => {
      const problem = async (event: string, query?: Query) => {
        const { status, body, headers } = await request<Problem>(route, event, query);
        expect(headers['content-type']).toBe('application/problem+json');
        expect(body.status).toBe(status);
        return body;
      };
      for (const event of ['1', 'undefined', `${randomUUID()}0`, "' OR true --", '../../..']) {
        await expect(problem(event)).resolves.toMatchObject({
          type: 'urn:problem-type:rollcall:bad-request',
          detail: `The event is ${JSON.stringify(event)}, which is not a UUID`,
        });
      }
      const unknown = randomUUID();
      await expect(problem(unknown)).resolves.toMatchObject({
        type: 'urn:problem-type:rollcall:unknown-event',
        status: 404,
        detail: expect.stringContaining(unknown),
      });
      const event = await anEvent();
      await expect(problem(event.id, { colour: 'red' })).resolves.toMatchObject({
        status: 400,
        detail: expect.stringContaining('"colour"'),
      });
    },
  );

  test.each(['photos', 'changes'] as const)('%s: limit, urls and cursor', async (route) => {
    const event = await anEvent();
    await event.photo('indexed');
    await event.photo('indexed');
    for (const limit of ['0', '-1', '101', '10000', '1.5', 'all', '', '1e1', '9'.repeat(30)]) {
      const { status, body } = await request<Problem>(route, event.id, { limit });
      expect([status, body.detail]).toEqual([
        400,
        `limit is ${JSON.stringify(limit)}; allowed is a whole number from 1 to 100`,
      ]);
    }
    const { status, body } = await request<Problem>(route, event.id, { urls: 'yes' });
    expect([status, body.detail]).toEqual([400, 'urls is "yes"; allowed is 1 or 0']);

    const cursorOf = async (which: 'photos' | 'changes') =>
      (await read<PhotosAnswer>(which, event.id, { limit: '1' })).next!;
    const own = await cursorOf(route);
    const others = await cursorOf(route === 'photos' ? 'changes' : 'photos');
    const tampered = Buffer.from(`${Buffer.from(own, 'base64url').toString()}0`).toString('base64url');
    for (const cursor of [
      '',
      'x',
      own.slice(1),
      `${own}=`,
      ` ${own}`,
      others,
      tampered,
      '🦆',
      'A'.repeat(5_000),
    ]) {
      const answer = await request<Problem>(route, event.id, { [good[route]]: cursor });
      expect([answer.status, answer.body.type]).toEqual([400, 'urn:problem-type:rollcall:bad-request']);
      expect(answer.body.detail.length).toBeLessThan(300);
    }
    await expect(request(route, event.id, { [good[route]]: own })).resolves.toMatchObject({ status: 200 });
  });

  test('photos: a status that there is not', async () => {
    const event = await anEvent();
    const { status, body } = await request<Problem>('photos', event.id, { status: 'done' });
    expect([status, body.detail]).toEqual([
      400,
      'status is "done"; allowed is one of processing, indexed, failed, deleted, erased',
    ]);
  });

  test('changes: a cursor of another database, or of a later state of this one', async () => {
    const event = await anEvent();
    await event.photo('indexed');
    const { next } = await read<ChangesAnswer>('changes', event.id);
    const [kind, epoch, , photo] = Buffer.from(next, 'base64url').toString().split('.');
    for (const parts of [
      [kind, randomUUID(), '1', photo],
      [kind, epoch, '9000000000000000000', photo],
    ]) {
      const since = Buffer.from(parts.join('.')).toString('base64url');
      const { status, body } = await request<Problem>('changes', event.id, { since });
      expect([status, body.type]).toEqual([410, 'urn:problem-type:rollcall:cursor-outdated']);
    }
  });

  test.each([
    ['DatabaseUnavailable', 503, 'not-now', '5'],
    ['LedgerBusy', 503, 'not-now', '5'],
    ['DatabaseMisconfigured', 500, 'internal', undefined],
    ['InternalError', 500, 'internal', undefined],
  ] as const)('%s is told as %d, and nothing of its inside', async (name, status, type, retryAfter) => {
    const broken: GalleryDeps = {
      ...deps(),
      withDatabase: () => Promise.reject(new PipelineError(name, 'secret host 10.0.0.1')),
    };
    const answer = await request<Problem>('event', randomUUID(), undefined, broken);
    expect(answer).toMatchObject({ status, body: { type: `urn:problem-type:rollcall:${type}` } });
    expect(answer.headers['retry-after']).toBe(retryAfter);
    expect(JSON.stringify(answer.body)).not.toContain('10.0.0.1');
  });
});

test('an event is read out of indexes of its own, also where it is most of the table', async () => {
  const event = randomUUID();
  await database.admin`INSERT INTO events (id) VALUES (${event})`;
  await database.admin`
    INSERT INTO photos (id, event_id, object_key, status, face_count, indexed_at)
    SELECT gen_random_uuid(), ${event}, 'events/counted/' || n || '.jpg', 'indexed', n % 5, now()
    FROM generate_series(1, 20000) AS n`;
  await database.admin`VACUUM (ANALYZE) photos`;
  const plan = await gallery.unsafe(`EXPLAIN SELECT * FROM event_progress WHERE event_id = '${event}'`);
  const scans = plan
    .map((row) => String(row['QUERY PLAN']))
    .filter((line) => / on photos\b/.test(line))
    .map((line) => line.replace(/^[\s>-]*|\s+on photos.*$/g, ''));
  expect(scans).toContain('Index Only Scan using photos_counted');
  expect(scans.filter((scan) => /Seq Scan/.test(scan))).toEqual([]);
  // Others' photos in line are counted, and not searched for one of the event's.
  expect(scans.filter((scan) => scan.includes('photos_in_line'))).toEqual([
    'Index Only Scan using photos_in_line',
  ]);
  await database.admin`DELETE FROM photos WHERE event_id = ${event}`;
});

test('the document describes these routes, parameters and states', () => {
  expect(openapi.openapi).toBe('3.1.0');
  const paths = Object.entries(openapi.paths).filter(([, { get }]) => get);
  expect(paths.map(([path]) => path).toSorted()).toEqual(Object.values(galleryRoutes).toSorted());
  expect(openapi.components.schemas.Status!.enum).toEqual([...PHOTO_STATES]);
  const parameters = Object.fromEntries(
    paths.map(([path, { get }]) => [
      path,
      Object.fromEntries(get!.parameters.map(({ name, schema }) => [name, schema])),
    ]),
  );
  expect(Object.keys(parameters[galleryRoutes.photos]!)).toEqual([
    'event',
    'status',
    'after',
    'limit',
    'urls',
  ]);
  expect(Object.keys(parameters[galleryRoutes.changes]!)).toEqual(['event', 'since', 'limit', 'urls']);
  expect(parameters[galleryRoutes.photos]!.limit).toMatchObject({
    maximum: MAX_PHOTOS,
    default: DEFAULT_PHOTOS,
  });
});
