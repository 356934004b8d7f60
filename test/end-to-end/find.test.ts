/** A selfie finds its photos through everything that is deployed, and is afterwards nowhere. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { jest } from '@jest/globals';
import postgres from 'postgres';
import sharp, { type Sharp } from 'sharp';
import type { Problem } from '../../lambdas/shared/contract/gallery.ts';
import { photoKeyOf } from '../../lambdas/shared/contract/photo-key.ts';
import {
  type FindPersonAnswer,
  MAX_SELFIE_BYTES,
  searchRoutes,
} from '../../lambdas/shared/contract/search.ts';
import { localClientOptions } from '../../local/clients.ts';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { deviations } from '../support/openapi.ts';
import { stories } from '../support/stories.ts';

jest.setTimeout(180_000);

const root = resolve(import.meta.dirname, '../..');
const EVENT = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';
const samples = join(root, 'node_modules/@vladmandic/face-api/demo');
const keyOf = (n: number) => `events/${EVENT}/sample${n}.jpg`;
const idOf = (n: number) => photoKeyOf(keyOf(n))!.photoId;

const base = mkdtempSync(join(tmpdir(), 'rollcall-find-'));
const stateDir = join(base, 'state');
const output: string[] = [];
const answers: string[] = [];
/** Every selfie that was sent, whole: none of them may be anywhere. */
const secrets: Buffer[] = [];
let cloud: Cloud;
let lambda: LambdaClient;

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    lambdaConcurrency: 1,
    onLambdaOutput: (_, line) => output.push(line),
  });
  lambda = new LambdaClient({ ...localClientOptions, endpoint: cloud.services.endpoints.lambda });
  for (const n of [1, 2, 3, 4, 5]) {
    const Body = readFileSync(join(samples, `sample${n}.jpg`));
    await cloud.s3.send(new PutObjectCommand({ Bucket: cloud.photoBucket, Key: keyOf(n), Body }));
  }
  await cloud.idle();
}, 180_000);
afterAll(async () => {
  lambda?.destroy();
  await cloud?.stop({ abort: true });
  rmSync(base, { recursive: true, force: true });
});

/** Another picture with every call, though it shows the same: what is kept of one of them is told by its bytes. */
async function selfie(image: Sharp): Promise<Buffer> {
  const noise = await sharp(randomBytes(48), { raw: { width: 4, height: 4, channels: 3 } })
    .png()
    .toBuffer();
  const secret = await image
    .composite([{ input: noise, left: 0, top: 0 }])
    .withExif({ IFD0: { Copyright: `copyright-${randomBytes(60).toString('hex')}` } })
    .jpeg()
    .toBuffer();
  secrets.push(secret);
  return secret;
}

/** The faces of a photo, the largest first, cut out with some of what is around them. */
async function facesOf(n: number): Promise<Sharp[]> {
  const sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
  const rows = await sql<{ box: Record<'Left' | 'Top' | 'Width' | 'Height', number> }[]>`
    SELECT bounding_box AS box FROM rollcall.faces WHERE photo_id = ${idOf(n)}
    ORDER BY (bounding_box ->> 'Width')::float * (bounding_box ->> 'Height')::float DESC`;
  await sql.end();
  const file = readFileSync(join(samples, `sample${n}.jpg`));
  const { width: w, height: h } = await sharp(file).metadata();
  return rows.map(({ box }) => {
    const left = Math.max(0, Math.floor((box.Left - box.Width * 0.6) * w));
    const top = Math.max(0, Math.floor((box.Top - box.Height * 0.6) * h));
    return sharp(file)
      .extract({
        left,
        top,
        width: Math.min(w - left, Math.ceil(box.Width * 2.2 * w)),
        height: Math.min(h - top, Math.ceil(box.Height * 2.2 * h)),
      })
      .resize(400, 400, { fit: 'inside' });
  });
}

async function find(request: object): Promise<FindPersonAnswer & { errorType?: string }> {
  const { Payload: payload } = await lambda.send(
    new InvokeCommand({
      FunctionName: cloud.outputs.FindPersonFunctionName,
      Payload: JSON.stringify({ event_id: EVENT, ...request }),
    }),
  );
  const text = Buffer.from(payload ?? []).toString('utf8');
  answers.push(text);
  return JSON.parse(text) as FindPersonAnswer;
}

/** Over HTTP, as an application asks, and as the document says. */
async function post<Answer = FindPersonAnswer>(
  path: string,
  body?: Buffer,
  headers: Record<string, string> = { 'content-type': 'image/jpeg' },
): Promise<{ status: number; body: Answer }> {
  const answer = await fetch(`${cloud.outputs.ApiUrl}/events/${EVENT}${path}`, {
    method: 'POST',
    headers,
    ...(body && { body: new Uint8Array(body) }),
  });
  const text = await answer.text();
  answers.push(text);
  const told = {
    status: answer.status,
    contentType: answer.headers.get('content-type')!,
    body: JSON.parse(text) as Answer,
  };
  const route = path.startsWith('/faces/') ? searchRoutes.findFace : searchRoutes.find;
  expect(deviations(`POST ${route}`, told)).toEqual([]);
  return told;
}

const byPicture = async (image: Sharp, request: object = {}) =>
  find({ image: (await selfie(image)).toString('base64'), ...request });

function ops(argv: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [join(root, 'ops/main.ts'), ...argv, '--local'],
      { cwd: root, env: { PATH: process.env.PATH!, HOME: base, ROLLCALL_STATE_DIR: stateDir } },
      (error, stdout, stderr) => done({ exitCode: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const { it, all } = stories();

it('everybody in a photo finds it, first of all', async () => {
  for (const n of [1, 5]) {
    for (const face of (await facesOf(n)).slice(0, 2)) {
      const { photos, searched } = await byPicture(face, { reference: 'guest' });
      expect(photos[0]).toMatchObject({ photo_id: idOf(n) });
      expect(photos[0]!.similarity).toBeGreaterThan(95);
      expect(searched).toMatchObject({ face: 'largest_of_image', box: { width: expect.any(Number) } });
    }
  }
});

it('a face of an answer finds what its picture found', async () => {
  const [face] = await facesOf(1);
  const { photos } = await byPicture(face!);
  const again = await find({ face_id: photos[0]!.face_id });
  expect(again.photos[0]).toMatchObject({ photo_id: idOf(1), similarity: 100, face_id: photos[0]!.face_id });
});

it('over HTTP a picture and a face find the same, and what cannot be searched with is a problem', async () => {
  const [face] = await facesOf(5);
  const image = await selfie(face!);
  const found = await post('/find?reference=guest&caller=guest-7&limit=1', image);
  expect(found.status).toBe(200);
  expect(found.body.photos).toMatchObject([{ photo_id: idOf(5) }]);
  expect(found.body.searched).toMatchObject({ face: 'largest_of_image', box: { width: expect.any(Number) } });
  const again = await post(`/faces/${found.body.photos[0]!.face_id}/find`, undefined, {});
  expect(again).toMatchObject({ status: 200, body: { photos: [{ photo_id: idOf(5), similarity: 100 }] } });
  const plain = sharp({ create: { width: 400, height: 400, channels: 3, background: '#a98' } });
  expect(await post<Problem>('/find', await selfie(plain))).toMatchObject({
    status: 422,
    body: { type: 'urn:problem-type:rollcall:no-face' },
  });
  const tooSmall = await sharp(image).resize(79).png().toBuffer();
  secrets.push(tooSmall);
  for (const [body, type, status] of [
    [tooSmall, 'image/png', 422],
    [image.subarray(0, 90), 'image/jpeg', 400],
    [image, 'application/octet-stream', 415],
    [Buffer.concat([image, Buffer.alloc(MAX_SELFIE_BYTES)]), 'image/jpeg', 413],
    // More than Lambda takes, and than API Gateway does.
    [Buffer.concat([image, Buffer.alloc(5_000_000)]), 'image/jpeg', 413],
    [Buffer.concat([image, Buffer.alloc(11_000_000)]), 'image/jpeg', 413],
  ] as const) {
    expect(await post('/find', body, { 'content-type': type })).toMatchObject({ status });
  }
  const stranger = `/faces/${EVENT}/find`;
  expect(await post<Problem>(stranger)).toMatchObject({
    status: 404,
    body: { type: 'urn:problem-type:rollcall:unknown-face' },
  });
  // No page of another site, or of another port, has it done in its name.
  for (const headers of [{ origin: 'http://localhost:1' }, { 'sec-fetch-site': 'cross-site' }]) {
    expect(await post<Problem>(stranger, undefined, headers as Record<string, string>)).toMatchObject({
      status: 403,
      body: { type: 'urn:problem-type:rollcall:wrong-origin' },
    });
  }
});

it('whoever cannot be found is told why', async () => {
  const [face] = await facesOf(1);
  expect(await byPicture(face!, { event_id: EVENT.replace('7f', '8f') })).toMatchObject({
    reason: 'EventUnknown',
  });
  const whole = await selfie(face!);
  const broken = whole.subarray(0, whole.length / 2);
  expect(await find({ image: broken.toString('base64') })).toMatchObject({ reason: 'InvalidImage' });
  // What is thrown, and logged for it, repeats nothing of what was sent.
  const image = whole.toString('base64');
  for (const wrong of [
    { image: [image] },
    { face_id: image },
    { image, cursor: image },
    { image, reference: image },
  ]) {
    expect(await find(wrong)).toMatchObject({ errorType: 'InvalidInput' });
  }
});

it('an operator finds, and copies, and a mistake is one line', async () => {
  const file = join(base, 'selfie.jpg');
  const [face] = await facesOf(2);
  writeFileSync(file, await selfie(face!));
  const found = await ops([
    'find',
    '--event',
    EVENT,
    '--photo',
    file,
    '--copy-to',
    join(base, 'found'),
    '--json',
  ]);
  expect(found).toMatchObject({ exitCode: 0, stderr: '' });
  const { photos, copied } = JSON.parse(found.stdout) as {
    photos: { object_key: string }[];
    copied: { file: string }[];
  };
  expect(photos[0]).toMatchObject({ object_key: keyOf(2) });
  expect(readFileSync(copied[0]!.file)).toEqual(readFileSync(join(samples, 'sample2.jpg')));
  expect(await ops(['find', '--event', EVENT, '--photo', join(base, 'nobody.jpg')])).toMatchObject({
    exitCode: 2,
    stdout: '',
    stderr: expect.stringMatching(/^There is no picture [^\n]*\n$/),
  });
  writeFileSync(file, 'not a picture');
  expect(await ops(['find', '--event', EVENT, '--photo', file])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/^[^\n]*The picture is not a JPEG or PNG\.\n$/),
  });
  rmSync(file);
});

it('who was erased is found no more', async () => {
  const file = join(base, 'erase.jpg');
  const [face] = await facesOf(3);
  writeFileSync(file, await selfie(face!));
  const erased = await ops(['erase-person', '--event', EVENT, '--photo', file, '--yes', '--json']);
  expect(erased).toMatchObject({ exitCode: 0 });
  rmSync(file);
  const { photos } = await byPicture(face!);
  expect(photos.map(({ photo_id }) => photo_id)).not.toContain(idOf(3));
});

test('nothing of any selfie is in what the run stored, printed or answered', async () => {
  await all();
  await cloud.stop();
  expect(secrets.length).toBeGreaterThan(8);
  // Of each picture what is in nothing else, as it is, in hex, and in Base64 at each of its three beginnings.
  const needles = secrets.flatMap((secret) => {
    const text = secret.indexOf('copyright-');
    const parts = [text, secret.length >> 1].map((at) => secret.subarray(at, at + 60));
    // The middle of an empty picture is like that of any other.
    return parts
      .filter((part) => new Set(part).size > 12)
      .flatMap((part) => [
        part,
        Buffer.from(part.toString('hex')),
        ...[0, 1, 2].map((skip) => Buffer.from(part.subarray(skip, skip + 57).toString('base64'))),
      ]);
  });
  expect(needles.length).toBeGreaterThanOrEqual(5 * secrets.length);
  const holds = (content: Buffer) => needles.some((needle) => content.includes(needle));
  // The search does find what is there.
  expect(holds(Buffer.concat([Buffer.alloc(100), secrets[0]!]))).toBe(true);
  expect(holds(Buffer.from(JSON.stringify({ image: secrets.at(-1)!.toString('base64') })))).toBe(true);

  const files = readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((file) => existsSync(file) && holds(readFileSync(file)))).toEqual([]);
  expect(holds(Buffer.from(output.join('\n')))).toBe(false);
  expect(holds(Buffer.from(answers.join('\n')))).toBe(false);
});
