import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { paginateListFaces } from '@aws-sdk/client-rekognition';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import postgres from 'postgres';
import type { ChangesAnswer, EventAnswer, Problem } from '../../lambdas/shared/contract/gallery.ts';
import { type Cloud, type ExecutionEnd, startCloud } from '../../local/cloud.ts';
import { Sha256 } from '../../ops/doctor/account-plan.ts';
import { freePort } from '../support/free-port.ts';
import { deviations } from '../support/openapi.ts';
import { once } from '../support/stories.ts';

const root = resolve(import.meta.dirname, '../..');
const EVENT = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';
const SAMPLES = join(root, 'node_modules/@vladmandic/face-api/demo');
const sample = (n: number) => readFileSync(join(SAMPLES, `sample${n}.jpg`));
const keyOf = (name: string) => `events/${EVENT}/${name}`;

const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-cloud-'));
const postgresPort = await freePort();
const output: string[] = [];
let cloud: Cloud;
let ends: ExecutionEnd[];

async function start(): Promise<void> {
  ends = [];
  cloud = await startCloud({
    stateDir,
    postgresPort,
    lambdaConcurrency: 1,
    onLambdaOutput: (_, line) => output.push(line),
  });
  cloud.onExecutionEnd((end) => ends.push(end));
}

beforeAll(start, 120_000);
afterAll(async () => {
  await cloud?.stop({ abort: true });
  rmSync(stateDir, { recursive: true, force: true });
});

const put = (key: string, Body: Buffer | string) =>
  cloud.s3.send(
    new PutObjectCommand({ Bucket: cloud.photoBucket, Key: key, Body, ContentLength: Body.length }),
  );

async function query<Row extends object>(statement: string): Promise<Row[]> {
  const sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    return [...(await sql.unsafe<Row[]>(statement))];
  } finally {
    await sql.end();
  }
}

interface PhotoRow {
  object_key: string;
  status: string;
  face_count: number | null;
  failure_code: string | null;
  failure_retryable: boolean | null;
}

async function photoAt(key: string): Promise<PhotoRow | undefined> {
  const [row] = await query<PhotoRow>(`SELECT * FROM photos WHERE object_key = '${key}'`);
  return row;
}

const storedFaceIds = async () =>
  (await query<{ id: string }>('SELECT rekognition_face_id AS id FROM faces')).map(({ id }) => id).sort();

async function faceIdsInCollection(): Promise<string[]> {
  const ids: string[] = [];
  const CollectionId = `${cloud.collectionPrefix}${EVENT}`;
  for await (const { Faces = [] } of paginateListFaces({ client: cloud.rekognition }, { CollectionId })) {
    ids.push(...Faces.map(({ FaceId }) => FaceId!));
  }
  return ids.sort();
}

const GUESTS = keyOf('Erste Gäste (1).JPG');
const NOTES = keyOf('notes.jpg');

/** A photo, and the ends of its executions. */
const guests = once(async () => {
  await put(GUESTS, sample(1));
  await cloud.idle();
  return ends.filter(({ input }) => JSON.stringify(input).includes(GUESTS));
});

/** What is no photo, and the ends of its executions. */
const notPhotos = once(async () => {
  const before = ends.length;
  await put(NOTES, 'these are words');
  await put('not/an/event.jpg', sample(1));
  await put(keyOf('folder/'), '');
  await cloud.idle();
  return ends.slice(before);
});

test('a photo becomes rows in PostgreSQL and faces in the collection', async () => {
  const key = GUESTS;
  expect(await guests()).toMatchObject([
    { status: 'SUCCEEDED', input: { lane: 'live', object: { key } }, transitions: 5 },
  ]);
  const row = await photoAt(key);
  expect(row).toMatchObject({ status: 'indexed', failure_code: null });
  expect(Math.abs(row!.face_count! - 3)).toBeLessThanOrEqual(1);
  const stored = await storedFaceIds();
  expect(stored).toHaveLength(row!.face_count!);
  expect(await faceIdsInCollection()).toEqual(stored);
  expect(cloud.rekognitionCalls('IndexFaces')).toBe(1);
  expect(output.some((line) => line.includes('"_aws"') && line.includes('PhotosIndexed'))).toBe(true);
}, 60_000);

test('the same event ten times more pays nothing and changes nothing', async () => {
  await guests();
  const key = GUESTS;
  const before = await storedFaceIds();
  const paid = cloud.rekognitionCalls('IndexFaces');
  await Promise.all(Array.from({ length: 10 }, () => cloud.redeliver(key)));
  await cloud.idle();
  expect(ends.slice(-10).map(({ status }) => status)).toEqual(Array(10).fill('SUCCEEDED'));
  expect(cloud.rekognitionCalls('IndexFaces')).toBe(paid);
  expect(await storedFaceIds()).toEqual(before);
}, 60_000);

test('what is not a photo fails by its name, in the row and in the execution', async () => {
  const ended = await notPhotos();
  expect(await photoAt(NOTES)).toMatchObject({
    status: 'failed',
    failure_code: 'InvalidImageFormat',
    failure_retryable: false,
  });
  expect(ended.map(({ status, error }) => `${status} ${error}`).sort()).toEqual([
    'FAILED InvalidImageFormat',
    'FAILED InvalidPhotoKey',
  ]);
}, 60_000);

describe('the HTTP API', () => {
  const url = (path: string) => `${cloud.outputs.ApiUrl}/events/${EVENT}${path}`;
  const get = async <Answer>(path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(url(path), { headers });
    const body = (await answer.json()) as Answer;
    const contentType = answer.headers.get('content-type')!;
    const route = `GET /events/{event}${path.replace(/\?.*/, '')}`;
    expect(deviations(route, { status: answer.status, contentType, body })).toEqual([]);
    return { status: answer.status, body };
  };
  const signed = async (path: string, credentials: { accessKeyId: string; secretAccessKey: string }) => {
    const { hostname, port, pathname, searchParams } = new URL(url(path));
    const signer = new SignatureV4({
      credentials,
      region: 'us-east-1',
      service: 'execute-api',
      sha256: Sha256,
    });
    const { headers } = await signer.sign({
      method: 'GET',
      protocol: 'http:',
      hostname,
      port: Number(port),
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: { host: `${hostname}:${port}` },
    });
    return headers;
  };

  beforeAll(async () => {
    await guests();
    await notPhotos();
  }, 60_000);

  test('says what happened to the photos', async () => {
    const { body: event } = await get<EventAnswer>('');
    expect(event).toMatchObject({
      event_id: EVENT,
      photos: { indexed: 1, failed: 1, processing: 0 },
      time_left: { seconds: 0, reason: null },
    });
    const { body } = await get<ChangesAnswer>('/changes?urls=1');
    expect(body.photos.map(({ key, status }) => [key, status])).toEqual([
      [GUESTS, 'indexed'],
      [NOTES, 'failed'],
    ]);
    const [indexed, failed] = body.photos;
    expect(indexed!.faces).toHaveLength(event.faces);
    expect(indexed!.faces.map(({ face_id }) => face_id).sort()).toEqual(await storedFaceIds());
    expect(failed!.failure).toMatchObject({ code: 'InvalidImageFormat', retryable: false });
    // The address is signed by the function, whose right it is that S3 looks at.
    const picture = await fetch(indexed!.url!);
    expect([picture.status, Buffer.from(await picture.arrayBuffer()).equals(sample(1))]).toEqual([200, true]);
    await expect(get(`/changes?since=${body.next}`)).resolves.toMatchObject({
      body: { photos: [], next: body.next, more: false },
    });
    await expect(get('/photos?limit=0')).resolves.toMatchObject({ status: 400 });
  }, 30_000);

  test('takes a right signature or none, and says what is wrong with any other', async () => {
    const own = { accessKeyId: 'LOCAL-operator', secretAccessKey: 'local' };
    const path = '/photos?limit=2&status=indexed';
    await expect(get(path, await signed(path, own))).resolves.toMatchObject({ status: 200 });
    const stranger = await signed(path, { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'local' });
    const forged = await signed(path, { ...own, secretAccessKey: 'guessed' });
    const ofAnother = await signed('/photos?limit=1', own);
    for (const [headers, why] of [
      [stranger, 'The access key AKIDEXAMPLE is not one of this local run'],
      [forged, 'The signature does not fit the request'],
      [ofAnother, 'The signature does not fit the request'],
      [{ authorization: 'Bearer token' }, 'is no signature of version 4'],
      [{ ...forged, 'x-amz-date': '20260101T000000Z' }, 'older than five minutes'],
    ] as const) {
      const { status, body } = await get<Problem>(path, headers);
      expect([status, body.type]).toEqual([403, 'urn:problem-type:rollcall:wrong-signature']);
      expect(body.detail).toContain(why);
    }
  });

  test('has no other routes, and answers to no other name', async () => {
    for (const path of ['', '/', '/events', `/events/${EVENT}/`, `/events/${EVENT}/faces`]) {
      expect((await fetch(`${cloud.outputs.ApiUrl}${path}`)).status).toBe(404);
    }
    expect((await fetch(url(''), { method: 'DELETE' })).status).toBe(404);
    const { hostname, port } = new URL(cloud.outputs.ApiUrl!);
    const status = await new Promise((resolve, reject) => {
      request({ hostname, port, path: `/events/${EVENT}`, headers: { host: 'evil.example.org' } }, (answer) =>
        resolve(answer.resume().statusCode),
      )
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });
});

test('after a restart everything is still there, and the app is not synthesised again', async () => {
  await guests();
  const synthesised = statSync(join(stateDir, 'cdk.out/manifest.json')).mtimeMs;
  const { databaseUrl } = cloud;
  const faces = await storedFaceIds();
  await cloud.stop();
  await start();
  expect(statSync(join(stateDir, 'cdk.out/manifest.json')).mtimeMs).toBe(synthesised);
  expect(cloud.databaseUrl).toBe(databaseUrl);
  await cloud.redeliver(GUESTS);
  await cloud.idle();
  expect(ends).toMatchObject([{ status: 'SUCCEEDED' }]);
  expect(cloud.rekognitionCalls('IndexFaces')).toBe(0);
  expect(await faceIdsInCollection()).toEqual(faces);
}, 60_000);

test('no call was refused', async () => {
  await guests();
  expect(cloud.privileges().calls.length).toBeGreaterThan(10);
  expect(cloud.privileges().denied).toEqual([]);
});
