/** Pages and answers of the API, with a database that says what it is told to. */
import { decodeFeed, decodePage, encodeFeed } from '../../../lambdas/read-gallery/cursor.ts';
import {
  type GalleryDeps,
  galleryRequestOf,
  readGallery,
} from '../../../lambdas/read-gallery/read-gallery.ts';
import type { PhotoRow } from '../../../lambdas/read-gallery/rows.ts';
import { galleryRoutes, type PhotoAnswer } from '../../../lambdas/shared/contract/gallery.ts';
import { logEvents } from '../../../lambdas/shared/contract/names.ts';
import type { Sql } from '../../../lambdas/shared/database/connection.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const EPOCH = '11111111-2222-3333-4444-555555555555';
const NOBODY = '00000000-0000-0000-0000-000000000000';
const NOON = Date.parse('2026-05-01T12:00:00Z');
const photoId = (n: number) => `9d2c4f60-71d4-4f5e-8a39-${String(n).padStart(12, '0')}`;

const row = (n: number, rest: Partial<PhotoRow> = {}): PhotoRow => ({
  photo_id: photoId(n),
  object_key: `events/${EVENT}/${n}.jpg`,
  status: 'indexed',
  faces: [],
  failure_code: null,
  failure_message: null,
  failure_retryable: null,
  created_at: '2026-05-01T11:00:00.000Z',
  created_us: String(1_000 + n),
  ended_at: null,
  changed_at: '2026-05-01T11:00:01.000Z',
  changed_xid: String(100 + n),
  ...rest,
});

/** What an answer of photos or of changes has. */
interface Page {
  photos: PhotoAnswer[];
  next: string | null;
  more?: boolean;
}

function gallery({
  photos = [],
  exists = true,
  horizon = '1000',
  event,
  readLedger = async () => ({}),
}: {
  photos?: PhotoRow[];
  exists?: boolean;
  horizon?: string;
  event?: object;
  readLedger?: GalleryDeps['readLedger'];
} = {}) {
  /** How many rows each statement asked for, and how long it may take. */
  const limits: unknown[] = [];
  /** The values of each statement's parts, in order. */
  const statements: unknown[][] = [[]];
  const patience: unknown[] = [];
  const sql = (parts: readonly string[], ...values: unknown[]) => {
    const text = parts.join('?');
    statements.at(-1)!.push(...values);
    const limit = Number(values.at(-1));
    if (text.includes('FROM gallery_events')) {
      return Promise.resolve(exists ? [{}] : []);
    }
    if (text.includes('FROM event_progress')) {
      return Promise.resolve(event ? [event] : []);
    }
    if (text.includes('FROM gallery_feed')) {
      limits.push(limit);
      const page = photos.slice(0, limit).map((photo) => ({ epoch: EPOCH, horizon, photo }));
      return Promise.resolve(page.length > 0 ? page : [{ epoch: EPOCH, horizon, photo: null }]);
    }
    if (text.includes('FROM gallery_photos')) {
      limits.push(limit);
      statements.push([]);
      return Promise.resolve(photos.slice(0, limit));
    }
    // A part of another statement.
    return {};
  };
  const recording = recordingTelemetry();
  const deps: GalleryDeps = {
    withDatabase: (work, options) => {
      patience.push(options);
      return work(sql as unknown as Sql);
    },
    readLedger,
    line: { perSecond: 50 },
    photoUrl: async (key) => `https://photos.example/${key}`,
    now: () => NOON,
    telemetry: recording.telemetry,
  };
  const ask = (route: keyof typeof galleryRoutes, query: Record<string, string> = {}) =>
    readGallery(deps, {
      route: galleryRoutes[route],
      event: EVENT,
      query,
    }) as Promise<unknown> as Promise<Page>;
  return { ask, deps, limits, patience, statements, lines: recording.lines };
}
const ids = ({ photos }: { photos?: { photo_id: string }[] }) =>
  (photos ?? []).map(({ photo_id }) => photo_id);
const many = (count: number) => Array.from({ length: count }, (_, n) => row(n));

test('a request is its route without the method, its event and its parameters', () => {
  expect(
    galleryRequestOf({
      routeKey: 'GET /events/{event}',
      pathParameters: { event: EVENT },
      queryStringParameters: { limit: '1' },
    }),
  ).toEqual({ route: galleryRoutes.event, event: EVENT, query: { limit: '1' } });
  expect(
    galleryRequestOf({ routeKey: '/GET /x', pathParameters: undefined, queryStringParameters: undefined }),
  ).toEqual({ route: '/GET /x', event: undefined, query: {} });
});

test('a route that the function does not know is a mistake of ours', async () => {
  await expect(readGallery(gallery().deps, { route: '/x', event: EVENT, query: {} })).rejects.toThrow(
    'The API has a route /x that the function does not know',
  );
});

test('each question has twenty-five seconds of the thirty that API Gateway waits', async () => {
  const { ask, patience } = gallery({ event: { processing: 0 } });
  await ask('event');
  await ask('photos');
  await ask('changes');
  expect(patience).toEqual(Array(3).fill({ limitMs: 25_000 }));
});

test('an event has its photos by state, and the time that is left to them', async () => {
  const states = { processing: 0, indexed: 2, failed: 3, deleted: 4, erased: 5 };
  const { ask } = gallery({
    event: { event_id: EVENT, name: 'n', ...states, faces: 7, started_at: 's', changed_at: 'c' },
  });
  expect(await ask('event')).toEqual({
    event_id: EVENT,
    name: 'n',
    photos: states,
    faces: 7,
    started_at: 's',
    changed_at: 'c',
    time_left: { seconds: 0, done_at: null, reason: null, sentence: 'No photo is waiting' },
  });
  await expect(ask('event', { limit: '1' })).rejects.toThrow('this route takes none');
});

test('an event that is not named by a UUID is a problem', async () => {
  const asked = readGallery(gallery().deps, { route: galleryRoutes.event, event: 'wedding', query: {} });
  await expect(asked).rejects.toThrow('The event is "wedding", which is not a UUID');
});

test('without the ledger an event says all but how long it takes, and the log why', async () => {
  const { ask, lines } = gallery({
    event: { event_id: EVENT, processing: 3, faces: 7 },
    readLedger: () => Promise.reject(new Error('no table')),
  });
  expect(await ask('event')).toMatchObject({
    event_id: EVENT,
    faces: 7,
    time_left: { reason: 'line_unknown' },
  });
  expect(lines).toEqual([{ level: 'warn', message: 'no table', event: logEvents.lineUnknown }]);
});

test('an event that there is not is a problem, whatever is asked of it', async () => {
  for (const route of ['event', 'photos', 'changes'] as const) {
    await expect(gallery({ exists: false }).ask(route)).rejects.toMatchObject({ problem: { status: 404 } });
  }
});

describe('photos', () => {
  test('come in pages, of which the last one says so', async () => {
    const { ask, limits } = gallery({ photos: many(3) });
    const page = await ask('photos', { limit: '2' });
    expect(ids(page)).toEqual([photoId(0), photoId(1)]);
    expect(decodePage(page.next!)).toEqual({ createdUs: '1001', photoId: photoId(1) });
    const whole = await ask('photos', { limit: '3' });
    expect([ids(whole).length, whole.next]).toEqual([3, null]);
    await ask('photos');
    expect(limits).toEqual([3, 4, 51]);
  });

  test('of an event that has none yet are none', async () => {
    expect(await gallery().ask('photos')).toEqual({ photos: [], next: null });
    // Of one that has some it is not asked whether it is there.
    expect(ids(await gallery({ photos: many(1), exists: false }).ask('photos'))).toHaveLength(1);
  });

  test('have their failure where they failed, and their address where it is asked for', async () => {
    const failed = {
      status: 'failed',
      failure_code: 'ImageTooLarge',
      failure_message: 'm',
      failure_retryable: false,
    } as const;
    const { ask } = gallery({ photos: [row(1), row(2, failed), row(3, { status: 'deleted' })] });
    const { photos } = await ask('photos', { urls: '1' });
    expect(photos).toMatchObject([
      { status: 'indexed', failure: null, url: `https://photos.example/events/${EVENT}/1.jpg` },
      { failure: { code: 'ImageTooLarge', message: 'm', retryable: false } },
      { status: 'deleted', url: null },
    ]);
    expect((await ask('photos', { urls: '0' })).photos[0]).not.toHaveProperty('url');
  });

  test('have boxes that are whole, or none', async () => {
    const face = { face_id: 'f', left: 0, top: 0, width: 1, height: 1, confidence: 99 };
    const { ask } = gallery({ photos: [row(1, { faces: [face, { ...face, top: null }] })] });
    const { photos } = await ask('photos');
    expect(photos[0]!.faces).toEqual([
      { face_id: 'f', box: { left: 0, top: 0, width: 1, height: 1 }, confidence: 99 },
      { face_id: 'f', box: null, confidence: 99 },
    ]);
  });

  test.each([
    [{ limit: '0' }, 'limit is "0"; allowed is a whole number from 1 to 100'],
    [{ limit: '101' }, 'limit is "101"'],
    [{ limit: 'x1' }, 'limit is "x1"'],
    [{ limit: '1x' }, 'limit is "1x"'],
    [{ status: 'gone' }, 'status is "gone"; allowed is one of processing, indexed, failed, deleted, erased'],
    [{ urls: 'yes' }, 'urls is "yes"; allowed is 1 or 0'],
    [{ since: 'x' }, 'There is no parameter "since"; the parameters are status, after, limit, urls'],
    [{ after: 'x' }, '"x" is not a cursor of this route'],
  ])('with %j are refused', async (query, message) => {
    await expect(gallery().ask('photos', query)).rejects.toThrow(message);
    await expect(gallery().ask('photos', query)).rejects.toMatchObject({ problem: { status: 400 } });
  });

  test('are filtered by a state that there is', async () => {
    const { ask, statements } = gallery();
    await ask('photos', { status: 'failed' });
    await ask('photos');
    expect(statements.slice(0, 2).map((values) => values.includes('failed'))).toEqual([true, false]);
  });

  test('are a hundred at most', async () => {
    const { ask, limits } = gallery();
    await ask('photos', { limit: '1' });
    await ask('photos', { limit: '100' });
    expect(limits).toEqual([2, 101]);
  });
});

describe('changes', () => {
  const since = (xid: string, epoch = EPOCH) => ({ since: encodeFeed({ epoch, xid, photoId: photoId(9) }) });

  test('go on where the last answer ended', async () => {
    const { ask, limits } = gallery({ photos: many(3) });
    const page = await ask('changes', { limit: '2' });
    expect([ids(page), page.more]).toEqual([[photoId(0), photoId(1)], true]);
    expect(decodeFeed(page.next!)).toEqual({ epoch: EPOCH, xid: '101', photoId: photoId(1) });
    const whole = await ask('changes', { limit: '3' });
    expect([ids(whole).length, whole.more]).toEqual([3, false]);
    expect(decodeFeed(whole.next!)).toMatchObject({ xid: '102', photoId: photoId(2) });
    expect(limits).toEqual([3, 4]);
  });

  test('where nothing changed, the next question is the same; the first one begins before everybody', async () => {
    const { ask, statements } = gallery();
    expect(await ask('changes', since('500'))).toEqual({ photos: [], next: since('500').since, more: false });
    expect(statements.flat()).toContain('500');
    expect(decodeFeed((await ask('changes')).next!)).toEqual({ epoch: EPOCH, xid: '0', photoId: NOBODY });
  });

  test('after a cursor of another database, or from beyond the horizon, are not known', async () => {
    const { ask } = gallery({ horizon: '1000' });
    const outdated = { problem: { status: 410, detail: expect.stringContaining('leave "since" out') } };
    await expect(ask('changes', since('999'))).resolves.toBeDefined();
    await expect(ask('changes', since('1000'))).rejects.toMatchObject(outdated);
    await expect(ask('changes', since('1', NOBODY))).rejects.toMatchObject(outdated);
  });

  test('with a parameter of the photos are refused', async () => {
    await expect(gallery().ask('changes', { status: 'failed' })).rejects.toThrow(
      'There is no parameter "status"; the parameters are since, limit, urls',
    );
  });
});
