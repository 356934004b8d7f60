/** docs/uploads.md, done: its code against the local S3, its SQL against the database. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import type { BusEvent } from '../../local/event-router.ts';
import { type ObjectStore, startObjectStore } from '../../local/object-store.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { localS3, presignPost, presignPut, uploadByPost, uploadByPut } from '../support/upload-examples.ts';

const ORIGIN = 'https://app.example.org';
const page = readFileSync(path.join(import.meta.dirname, '../../docs/uploads.md'), 'utf8');
const code = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block]) => block!);

const database = useTestDatabase();
const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-uploads-'));
let store: ObjectStore;
let events: BusEvent[];

beforeAll(async () => {
  events = [];
  store = await startObjectStore(folder, (event) => events.push(event));
  store.createBucket('photos', {
    events: true,
    cors: [
      {
        AllowedOrigins: [ORIGIN],
        AllowedMethods: ['PUT', 'POST'],
        AllowedHeaders: ['*'],
        ExposedHeaders: ['ETag'],
        MaxAge: 3600,
      },
    ],
  });
});
afterAll(async () => {
  await store.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => events.splice(0));

test('the page shows the code that is tried here', () => {
  const source = readFileSync(path.join(import.meta.dirname, '../support/upload-examples.ts'), 'utf8');
  const blocks = code('ts');
  expect(blocks).toHaveLength(3);
  for (const block of blocks) {
    expect(source).toContain(block);
  }
});

const photo = new Blob([Buffer.from([0xff, 0xd8, 0xff, 0xd9])], { type: 'image/jpeg' });

test('a signed PUT uploads the photo that it names', async () => {
  const eventId = randomUUID();
  const s3 = localS3(store.endpoint);
  const { photoId, url } = await presignPut(s3, 'photos', eventId);
  const { searchParams } = new URL(url);
  expect(searchParams.get('X-Amz-SignedHeaders')).toBe('content-type;host');
  // S3 would refuse every body but the one that it was computed of: none.
  expect([...searchParams.keys()].filter((name) => /checksum/i.test(name))).toEqual([]);
  await uploadByPut({ url }, photo);
  expectUpload(eventId, photoId);
  s3.destroy();
});

test('a signed POST uploads the photo that it names', async () => {
  const eventId = randomUUID();
  const s3 = localS3(store.endpoint);
  const signed = await presignPost(s3, 'photos', eventId);
  const policy = JSON.parse(Buffer.from(signed.fields.Policy!, 'base64').toString()) as {
    conditions: unknown[];
  };
  expect(policy.conditions).toContainEqual(['content-length-range', 1, 15 * 1024 * 1024]);
  expect(policy.conditions).toContainEqual({ 'Content-Type': 'image/jpeg' });
  await uploadByPost(signed, photo);
  expectUpload(eventId, signed.photoId);
  s3.destroy();
});

function expectUpload(eventId: string, photoId: string): void {
  expect(events).toHaveLength(1);
  const { object } = events[0]!.detail as unknown as { object: { key: string; size: number } };
  expect(parsePhotoKey(object.key)).toMatchObject({ eventId, photoId });
  expect(object.size).toBe(4);
}

test('a page of the configured origin may upload, and no other', async () => {
  const preflight = (origin: string, method: string) =>
    fetch(`${store.endpoint}/photos/events/x.jpg`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'content-type',
      },
    });
  const allowed = await preflight(ORIGIN, 'PUT');
  expect(allowed.status).toBe(200);
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-methods': 'PUT, POST',
    'access-control-allow-headers': 'content-type',
    'access-control-max-age': '3600',
  });
  for (const [origin, method] of [
    [ORIGIN, 'DELETE'],
    ['https://app.example.org.evil.example', 'PUT'],
  ] as const) {
    const refused = await preflight(origin, method);
    expect(refused.status).toBe(403);
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
  }
  const put = await fetch(`${store.endpoint}/photos/events/x.jpg`, {
    method: 'PUT',
    headers: { origin: ORIGIN },
    body: 'x',
  });
  expect(put.headers.get('access-control-allow-origin')).toBe(ORIGIN);
  expect(put.headers.get('access-control-expose-headers')).toBe('ETag');
});

test('the rows that the page inserts beforehand are those that the upload finds, in either order', async () => {
  const [event, inserted] = [randomUUID(), randomUUID()];
  const [sql] = code('sql');
  const statements = sql!.split(/;\s*/).filter((statement) => statement.trim() !== '');
  const values = (statement: string) => (statement.includes('$2') ? [event, inserted] : [event]);
  for (let times = 0; times < 2; times++) {
    for (const statement of statements) {
      await database.admin.unsafe(statement, values(statement));
    }
  }
  const [row] = await database.admin`SELECT * FROM photos WHERE id = ${inserted}`;
  expect(row).toMatchObject({ event_id: event, status: 'processing' });
  expect(parsePhotoKey(row!.object_key)).toMatchObject({ eventId: event, photoId: inserted });
});
