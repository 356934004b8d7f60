/**
 * What the page gets beside the HTTP API, at the same address: its own files, the pictures, what executions did, and a way to
 * upload. Everything that asks has been looked at before: it is of this machine, and of no other site (`local/http-api.ts`).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import sharp from 'sharp';
import { eventsFolder, photoKeyOf } from '../../lambdas/shared/contract/photo-key.ts';
import { readEvents } from '../cli/database.ts';
import type { Cloud } from '../cloud.ts';
import type { Beside } from '../http-api.ts';
import type { ExecutionAnswer, LocalEvents } from './answers.ts';
import { pageFiles } from './files.ts';
import { executionAnswer } from './history.ts';

type PageCloud = Pick<Cloud, 's3' | 'photoBucket' | 'databaseUrl' | 'executions'>;

/**
 * Nothing from another host, nothing inline, in no frame.
 * https://developer.mozilla.org/docs/Web/HTTP/Guides/CSP
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** What one request of the local S3 takes. */
const UPLOAD_LIMIT_BYTES = 64 * 1024 * 1024;

/** Pixels of a picture's longer side. */
const SIZES = ['480', '1600'];

/** As the local Rekognition has it: more than the largest cameras make. */
const MAX_PIXELS = 100_000_000;

/** In place of a file that is no picture. */
const NO_PICTURE = Buffer.from(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3" width="480" height="360"><rect width="4" height="3" fill="#8a8f98"/><path d="M1.6 1.1l.8.8m0-.8l-.8.8" stroke="#fff" stroke-width=".12"/></svg>',
);

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  content?: Buffer | object;
}

/** What serves the page of a cloud that is up. Builds the page's files first. */
export async function pageOf(cloud: PageCloud): Promise<Beside> {
  const files = await pageFiles();
  const routes: Readonly<
    Record<string, (query: URLSearchParams, request: IncomingMessage) => Promise<Answer>>
  > = {
    'GET /local/events': async () => ({ content: await events(cloud) }),
    'GET /local/picture': (query) => picture(cloud, query),
    'GET /local/executions': async (query) => ({ content: executions(cloud, query.get('key') ?? '') }),
    'PUT /local/photo': (query, request) => upload(cloud, query.get('key') ?? '', request),
  };
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    const file = request.method === 'GET' ? files.get(pathname) : undefined;
    if (file) {
      const { contentType, content } = file;
      send(response, { headers: { 'content-type': contentType, 'cache-control': 'no-cache' }, content });
      return true;
    }
    const route = routes[`${request.method} ${pathname}`];
    if (!route) {
      return false;
    }
    send(response, await route(searchParams, request));
    return true;
  };
}

function send(response: ServerResponse, { status = 200, headers = {}, content }: Answer): void {
  const isJson = content !== undefined && !Buffer.isBuffer(content);
  response.writeHead(status, {
    ...HEADERS,
    'cache-control': 'no-store',
    // What is left of a body that was not read goes with the connection.
    ...(status === 413 && { connection: 'close' }),
    ...(isJson && { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' }),
    ...headers,
  });
  response.end(isJson ? JSON.stringify(content) : content);
}

function refusal(status: number, detail: string): Answer {
  return {
    status,
    content: { type: 'about:blank', title: 'The request is not understood', status, detail },
  };
}

async function events({ databaseUrl }: PageCloud): Promise<LocalEvents> {
  const rows = await readEvents(databaseUrl);
  return {
    folder: eventsFolder(),
    events: rows.map(({ id, photos, faces }) => ({ event_id: id, photos, faces })),
  };
}

/** The photo, upright, as its faces' boxes are, and no larger than it is looked at. */
async function picture({ s3, photoBucket }: PageCloud, query: URLSearchParams): Promise<Answer> {
  const key = query.get('key') ?? '';
  const size = query.get('size') ?? '';
  if (!photoKeyOf(key) || !SIZES.includes(size)) {
    return refusal(400, `A picture has the key of a photo, and a size of ${SIZES.join(' or ')}`);
  }
  // An upload that takes a photo's place has another address, by its time.
  const headers = { 'cache-control': 'private, max-age=600' };
  try {
    const { Body: body } = await s3.send(new GetObjectCommand({ Bucket: photoBucket, Key: key }));
    const content = await sharp(await body!.transformToByteArray(), { limitInputPixels: MAX_PIXELS })
      .rotate()
      .resize({ width: Number(size), height: Number(size), fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#fff' })
      .jpeg({ quality: 80 })
      .toBuffer();
    return { headers: { ...headers, 'content-type': 'image/jpeg' }, content };
  } catch {
    return { headers: { ...headers, 'content-type': 'image/svg+xml' }, content: NO_PICTURE };
  }
}

/** Those of a photo's key that this process remembers, the latest first. */
function executions(cloud: PageCloud, key: string): ExecutionAnswer[] {
  return cloud
    .executions()
    .filter(({ input }) => (input as { object?: { key?: unknown } } | null)?.object?.key === key)
    .map(executionAnswer);
}

/** Into the photo bucket, and so into the pipeline. */
async function upload(
  { s3, photoBucket }: PageCloud,
  key: string,
  request: IncomingMessage,
): Promise<Answer> {
  if (!photoKeyOf(key)) {
    return refusal(400, `${eventsFolder()}{event UUID}/{name}.{extension} is the form of a photo's key`);
  }
  if (!(Number(request.headers['content-length']) <= UPLOAD_LIMIT_BYTES)) {
    return refusal(413, 'A photo says its length, and has at most 64 MB');
  }
  await s3.send(new PutObjectCommand({ Bucket: photoBucket, Key: key, Body: await buffer(request) }));
  return { status: 201 };
}
