/** `examples/platform` on the local parts: its own bucket, its own PostgreSQL, its own function, as its template has them. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import postgres from 'postgres';
import type { ChangesAnswer, EventAnswer } from '../../lambdas/shared/contract/gallery.ts';
import { type Cloud, type ExecutionEnd, startCloud } from '../../local/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-platform-'));
let cloud: Cloud;
let sql: postgres.Sql;
const ends: ExecutionEnd[] = [];
/** What the platform's function said, and when. */
const told: { at: Date; said: Record<string, unknown> }[] = [];

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    lambdaConcurrency: 1,
    app: resolve(import.meta.dirname, '../../examples/platform'),
    keeps: false,
    rekognition: { findFaces: findMadeFaces },
    onLambdaOutput(name, line) {
      const [at, , , text] = line.split('\t');
      if (name.includes('Notify') && text?.startsWith('{')) {
        told.push({ at: new Date(at!), said: JSON.parse(text) });
      }
    },
  });
  cloud.onExecutionEnd((end) => ends.push(end));
  sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
}, 120_000);

afterAll(async () => {
  await sql?.end();
  await cloud?.stop({ abort: true });
  rmSync(stateDir, { recursive: true, force: true });
});

const event = randomUUID();
const keyOf = (photo: string) => `uploads/${event}/${photo}.jpg`;

/** As a phone does, with the address that the platform's API signed for it. */
async function upload(key: string, body: Buffer): Promise<void> {
  const put = new PutObjectCommand({ Bucket: cloud.photoBucket, Key: key, ContentType: 'image/jpeg' });
  const url = await getSignedUrl(cloud.s3, put, { expiresIn: 60 });
  const { status } = await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': 'image/jpeg' },
    body: new Uint8Array(body),
  });
  expect(status).toBe(200);
  await cloud.idle();
}

const ask = async <Answer>(path: string) =>
  (await (await fetch(`${cloud.outputs.ApiUrl}/events/${event}${path}`)).json()) as Answer;

test('from the upload to the gallery, told, and forgotten', async () => {
  const photos = [randomUUID(), randomUUID(), randomUUID()];
  for (const photo of photos) {
    await upload(keyOf(photo), await madePhoto(2));
  }
  const broken = randomUUID();
  await upload(keyOf(broken), Buffer.from('these are words'));
  // What else the platform keeps in its bucket is none of Rollcall's.
  await upload(`invoices/${event}/1.jpg`, await madePhoto(1));
  expect(ends).toHaveLength(4);

  // Rows in their own PostgreSQL, in a schema beside theirs.
  const [server] = await sql`SELECT current_database() AS database, pg_get_userbyid(datdba) AS owner
    FROM pg_database WHERE datname = current_database()`;
  expect(server).toEqual({ database: 'platform', owner: 'platform' });
  const tables = await sql`SELECT DISTINCT schemaname, tableowner FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
  expect([...tables]).toEqual([{ schemaname: 'rollcall', tableowner: 'platform' }]);
  const rows = await sql`SELECT object_key, status, face_count FROM rollcall.photos`;
  const row = (photo: string, status: string, faces: number | null) => ({
    object_key: keyOf(photo),
    status,
    face_count: faces,
  });
  expect(new Set(rows.map((found) => JSON.stringify(found)))).toEqual(
    new Set(
      [...photos.map((photo) => row(photo, 'indexed', 2)), row(broken, 'failed', null)].map((found) =>
        JSON.stringify(found),
      ),
    ),
  );

  // Their function hears of each end once.
  expect(told.map(({ said }) => said)).toEqual([
    ...photos.map((photo) => ({ key: keyOf(photo), photo, faces: 2 })),
    { key: keyOf(broken), failed: 'InvalidImageFormat' },
  ]);
  // Soon: of four, the first has to wait for the start of its process, and any may for a busy machine.
  const waits = told.map(({ at }, i) => at.getTime() - ends[i]!.endedAt.getTime());
  expect(Math.min(...waits)).toBeLessThan(1_000);

  // The gallery, and what is forgotten.
  expect(await ask<EventAnswer>('')).toMatchObject({ photos: { indexed: 3, failed: 1 }, faces: 6 });
  const { photos: listed, next } = await ask<ChangesAnswer>('/changes?urls=1');
  const shown = await fetch(listed.find(({ key }) => key === keyOf(photos[0]!))!.url!);
  expect(Buffer.from(await shown.arrayBuffer()).equals(await madePhoto(2))).toBe(true);
  await cloud.s3.send(new DeleteObjectCommand({ Bucket: cloud.photoBucket, Key: keyOf(photos[0]!) }));
  await cloud.idle();
  expect((await ask<ChangesAnswer>(`/changes?since=${next}`)).photos).toMatchObject([
    { key: keyOf(photos[0]!), status: 'deleted', faces: [] },
  ]);

  // By the template's own policies, and the login out of the secret that its functions may read.
  const { calls, denied } = cloud.privileges();
  expect(denied).toEqual([]);
  expect(calls.filter(({ action }) => action === 'secretsmanager:GetSecretValue').length).toBeGreaterThan(4);
}, 120_000);

test('the journey of the example, as it is written', async () => {
  const picture = join(stateDir, 'picture.jpg');
  writeFileSync(picture, await madePhoto(3));
  const journey = resolve(import.meta.dirname, '../../examples/platform/journey.mjs');
  const env = {
    ...process.env,
    S3_ENDPOINT: cloud.services.endpoints.s3,
    API_URL: cloud.outputs.ApiUrl,
    BUCKET: cloud.photoBucket,
  };
  const { stdout } = await promisify(execFile)(process.execPath, [journey, picture], { env });
  const lines = stdout.trim().split('\n');
  expect(lines[0]).toMatch(/^uploaded uploads\/.*: 200$/);
  expect(lines.at(-2)).toMatch(/^indexed: 3 faces, http:/);
  expect(lines.at(-1)).toBe('then deleted');
}, 60_000);
