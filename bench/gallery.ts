/**
 * `npm run bench:gallery`: how long the API's answers take with a million photos in a real PostgreSQL, and whether any of them reads
 * a table from one end to the other. Exits with 1 where one does, or where the 95th percentile of a route is 50 ms or more.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import type postgres from 'postgres';
import { encodeFeed, encodePage } from '../lambdas/read-gallery/cursor.ts';
import { photoUrls } from '../lambdas/read-gallery/photo-url.ts';
import { type GalleryDeps, readGallery } from '../lambdas/read-gallery/read-gallery.ts';
import { type ChangesAnswer, galleryRoutes } from '../lambdas/shared/contract/gallery.ts';
import { startTestDatabase } from '../test/support/postgres.ts';
import { seededRandom } from '../test/support/random.ts';

const { values } = parseArgs({ options: { photos: { type: 'string', default: '1000000' } } });
const share = Number(values.photos) / 1_000_000;

/** Events of so many photos each: one wedding fair, some festivals, and what most events are. */
const SIZES = [
  { events: 1, photos: Math.round(100_000 * share) },
  { events: 20, photos: Math.round(10_000 * share) },
  { events: 700, photos: Math.round(1_000 * share) },
];
const FACES = 1;
const REQUESTS = 200;
const LIMIT_MS = 50;
/** What autovacuum has not seen yet: a burst at work in the middle of one event. */
const BURST = Math.round(3_000 * share);

interface Event {
  id: string;
  photos: number;
}

const database = await startTestDatabase();
try {
  const events = await fill(database.admin);
  const slow = await measure(database.connectAs('rollcall_gallery'), database.admin, events);
  process.exitCode = slow ? 1 : 0;
} finally {
  await database.stop();
}

async function fill(sql: postgres.Sql): Promise<Event[]> {
  const startedAt = performance.now();
  const events: Event[] = [];
  for (const { events: count, photos } of SIZES) {
    for (let event = 0; event < count; event++) {
      const [row] = await sql<
        { id: string }[]
      >`INSERT INTO events (id) VALUES (gen_random_uuid()) RETURNING id`;
      events.push({ id: row!.id, photos });
    }
  }
  for (const { id, photos } of events) {
    for (let done = 0; done < photos; done += 10_000) {
      await sql`
        WITH added AS (
          INSERT INTO photos (id, event_id, object_key, status, face_count, failure_code, failure_message, failure_retryable,
                              indexed_at, failed_at, created_at)
          SELECT id, ${id}, 'events/' || ${id} || '/' || id || '.jpg', status::photo_status,
                 CASE status WHEN 'indexed' THEN ${FACES}::int END,
                 CASE status WHEN 'failed' THEN 'InvalidImageFormat' END,
                 CASE status WHEN 'failed' THEN 'Rekognition cannot read it' END,
                 CASE status WHEN 'failed' THEN false END,
                 CASE status WHEN 'indexed' THEN now() END, CASE status WHEN 'failed' THEN now() END,
                 timestamptz '2026-01-01' + (${done}::int + n) * interval '20 ms'
          FROM (SELECT n, gen_random_uuid() AS id,
                       CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 97 = 0 THEN 'deleted' ELSE 'indexed' END AS status
                FROM generate_series(1, ${Math.min(10_000, photos - done)}::int) AS n) AS made
          RETURNING id, status
        )
        INSERT INTO faces (photo_id, rekognition_face_id, bounding_box, confidence)
        SELECT id, gen_random_uuid()::text, '{"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4}', 99
        FROM added, generate_series(1, ${FACES}::int) WHERE status = 'indexed'`;
    }
  }
  await sql`VACUUM (ANALYZE) photos`;
  await sql`VACUUM (ANALYZE) faces`;
  await sql`ANALYZE events`;
  await sql`
    UPDATE photos SET status = 'processing', face_count = NULL, indexed_at = NULL
    WHERE id IN (SELECT id FROM photos WHERE event_id = ${events[1]!.id} AND status = 'indexed' LIMIT ${BURST})`;
  const [counted] = await sql<{ photos: string; faces: string; size: string }[]>`
    SELECT (SELECT count(*) FROM photos) AS photos, (SELECT count(*) FROM faces) AS faces,
           pg_size_pretty(pg_database_size(current_database())) AS size`;
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  process.stdout.write(
    `${Number(counted!.photos).toLocaleString('en-US')} photos and ${Number(counted!.faces).toLocaleString('en-US')} faces of ${events.length} events, ${counted!.size}, made in ${seconds} s\n\n`,
  );
  return events;
}

/** @returns whether anything is too slow */
async function measure(
  gallery: postgres.Sql,
  admin: postgres.Sql,
  events: readonly Event[],
): Promise<boolean> {
  const random = seededRandom(1);
  const s3 = new S3Client({
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
  });
  const deps: GalleryDeps = {
    withDatabase: (work) => work(gallery),
    readLedger: async () => ({}),
    line: { perSecond: 50 },
    photoUrl: photoUrls(s3, 'photos'),
    now: Date.now,
    telemetry: { logger: console, metrics: {} } as never,
  };
  /** As often as it has photos: an event that more people look at. */
  const anyEvent = () => {
    let photo = Math.floor(random() * events.reduce((sum, { photos }) => sum + photos, 0));
    return events.find(({ photos }) => {
      photo -= photos;
      return photo < 0;
    })!.id;
  };
  const largest = () => events[0]!.id;
  const atWork = () => events[1]!.id;
  const { event, photos, changes } = galleryRoutes;
  const deep = await pageInTheMiddle(admin, largest());
  const late = await lastPage(admin, largest());
  const nothingNew = (
    (await readGallery(deps, {
      route: changes,
      event: largest(),
      query: { since: late, limit: '100' },
    })) as ChangesAnswer
  ).next;

  const rows: [string, string, () => string, Record<string, string>][] = [
    ['GET /events/{event}', 'any', anyEvent, {}],
    ['', 'the largest', largest, {}],
    ['', 'with a burst at work', atWork, {}],
    ['GET …/photos', 'any, first page', anyEvent, {}],
    ['', 'any, failed ones', anyEvent, { status: 'failed' }],
    ['', 'the largest, a page in the middle', largest, { after: deep, limit: '100' }],
    ['', 'any, with addresses', anyEvent, { urls: '1' }],
    ['GET …/changes', 'any, from the beginning', anyEvent, {}],
    ['', 'the largest, the last ones', largest, { since: late, limit: '100' }],
    ['', 'the largest, nothing new', largest, { since: nothingNew }],
    ['', 'with a burst at work', atWork, { limit: '100' }],
  ];
  const before = await sequentialScans(admin);
  let slow = false;
  let route = '';
  process.stdout.write(`${'route'.padEnd(22)}${'event'.padEnd(38)}   p50   p95   p99  ms\n`);
  for (const [name, what, eventOf, query] of rows) {
    route =
      name === 'GET /events/{event}'
        ? event
        : name === 'GET …/photos'
          ? photos
          : name === ''
            ? route
            : changes;
    const times: number[] = [];
    for (let request = 0; request < REQUESTS; request++) {
      const id = eventOf();
      const startedAt = performance.now();
      await readGallery(deps, { route, event: id, query });
      times.push(performance.now() - startedAt);
    }
    times.sort((a, b) => a - b);
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => times[Math.floor(share * times.length)]!);
    slow ||= p95! >= LIMIT_MS;
    const shown = [p50, p95, p99].map((ms) => ms!.toFixed(1).padStart(6)).join('');
    process.stdout.write(`${name.padEnd(22)}${what.padEnd(38)}${shown}\n`);
  }
  const after = await sequentialScans(admin);
  const scanned = Object.keys(after).filter((table) => after[table] !== before[table]);
  process.stdout.write(
    scanned.length === 0
      ? '\nNo answer read a table from one end to the other.\n'
      : `\nRead from one end to the other: ${scanned.join(', ')}\n`,
  );
  return slow || scanned.length > 0;
}

async function pageInTheMiddle(sql: postgres.Sql, eventId: string): Promise<string> {
  const [row] = await sql<{ created_us: string; id: string }[]>`
    SELECT (extract(epoch FROM created_at) * 1000000)::bigint::text AS created_us, id
    FROM photos WHERE event_id = ${eventId} AND status <> 'deleted'
    ORDER BY photos.created_at DESC, id DESC LIMIT 1
    OFFSET (SELECT count(*) / 2 FROM photos WHERE event_id = ${eventId})`;
  return encodePage({ createdUs: row!.created_us, photoId: row!.id });
}

async function lastPage(sql: postgres.Sql, eventId: string): Promise<string> {
  const [row] = await sql<{ epoch: string; xid: string; id: string }[]>`
    SELECT epoch, changed_xid::text AS xid, id FROM change_feed, photos WHERE event_id = ${eventId}
    ORDER BY photos.changed_xid DESC, id DESC LIMIT 1 OFFSET 100`;
  return encodeFeed({ epoch: row!.epoch, xid: row!.xid, photoId: row!.id });
}

/** How often PostgreSQL did so, by table; the one row of the feed's own table is not worth an index. */
async function sequentialScans(sql: postgres.Sql): Promise<Record<string, string>> {
  // A session that is idle tells the others within ten seconds what it counted.
  await sleep(12_000);
  const rows = await sql<{ name: string; scans: string }[]>`
    SELECT relname AS name, seq_scan::text AS scans FROM pg_stat_user_tables
    WHERE schemaname = 'rollcall' AND relname <> 'change_feed'`;
  return Object.fromEntries(rows.map(({ name, scans }) => [name, scans]));
}
