import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { failureKind, type PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import { isMissingObject, s3Error } from '../../../../../lambdas/shared/runtime/aws-errors.ts';
import { headObject } from '../../../../../lambdas/shared/storage/head-object.ts';

const BUCKET = 'photos';
const KEY = 'events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/a b.jpg';

interface Answer {
  status: number;
  /** S3's code, in a body as it sends one; without one there is no body. */
  code?: string;
}

interface Request {
  method: string;
  query: Record<string, string>;
  headers: Record<string, string>;
}

/** The SDK's own client over what S3 answers, by method: what it throws is what it throws in production. */
function clientOf(answers: Record<string, Answer>): { s3: S3Client; asked: string[]; requests: Request[] } {
  const asked: string[] = [];
  const requests: Request[] = [];
  const s3 = new S3Client({
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
    requestHandler: {
      handle: async (request: Request) => {
        const { method } = request;
        requests.push(request);
        asked.push(method);
        const { status, code } = answers[method] ?? { status: 500 };
        const body =
          code === undefined ? '' : `<Error><Code>${code}</Code><Message>It said so</Message></Error>`;
        return {
          response: {
            statusCode: status,
            headers: { 'x-amz-request-id': 'request-1', 'content-type': 'application/xml' },
            body: Readable.from(body === '' ? [] : [Buffer.from(body)]),
          },
        };
      },
    } as never,
  });
  return { s3, asked, requests };
}

async function failureOf(work: Promise<unknown>): Promise<PipelineError> {
  return work.then(
    () => {
      throw new Error('It did not fail');
    },
    (error: unknown) => error as PipelineError,
  );
}

const head = (answers: Record<string, Answer>) =>
  failureOf(headObject(clientOf(answers).s3, { bucket: BUCKET, key: KEY }, 'InvalidS3Object'));

describe('a photo that S3 does not show', () => {
  test.each([
    ['is gone', 404, undefined, 'InvalidS3Object'],
    ['is the mark of a deletion', 405, undefined, 'InvalidS3Object'],
    ['must not be read', 403, 'AccessDenied', 'AccessDenied'],
    ['must not be read, and nobody says why', 403, undefined, 'AccessDenied'],
    ['is encrypted with its uploader’s key', 400, 'InvalidRequest', 'InvalidS3Object'],
    ['has a disabled KMS key', 400, 'KMS.DisabledException', 'AccessDenied'],
    ['has a KMS key that is deleted', 400, 'KMS.KMSInvalidStateException', 'AccessDenied'],
    ['is refused, and nobody says why', 400, undefined, 'InvalidS3Object'],
    ['needs a login that is over', 400, 'ExpiredToken', 'AccessDenied'],
    ['is in another Region', 301, 'PermanentRedirect', 'MissingConfiguration'],
    ['is in another Region, and nobody says so', 301, undefined, 'MissingConfiguration'],
    ['is in another Region, by its signature', 400, 'AuthorizationHeaderMalformed', 'MissingConfiguration'],
    ['is in no bucket', 400, 'NoSuchBucket', 'MissingConfiguration'],
    ['takes too long', 400, 'RequestTimeout', 'StorageUnavailable'],
    ['is asked for too often', 503, 'SlowDown', 'StorageUnavailable'],
    ['is asked for too often, and nobody says so', 503, undefined, 'StorageUnavailable'],
    ['waits for a new bucket’s name', 307, 'TemporaryRedirect', 'StorageUnavailable'],
  ])('because it %s', async (_, status, code, name) => {
    const error = await head({ HEAD: { status }, GET: { status, ...(code && { code }) } });
    expect(error).toMatchObject({ name });
    expect(error.message).toContain(`s3://${BUCKET}/${KEY}`);
    expect(error.message).toContain('s3:GetObject');
    const gaveReason = code !== undefined && error.message.startsWith('GetObject');
    expect(error.message).toContain(gaveReason ? code : `HTTP ${status}`);
    expect(gaveReason).toBe(code !== undefined && status !== 307 && status < 500);
    expect(error.message).not.toContain('UnknownError');
    expect(isMissingObject(error)).toBe(status === 404 || status === 405);
  });

  test('is asked for its first byte only where a HEAD was refused without a reason', async () => {
    for (const [status, asked] of [
      [404, ['HEAD']],
      [405, ['HEAD']],
      [403, ['HEAD', 'GET']],
      [500, ['HEAD']],
    ] as const) {
      const client = clientOf({ HEAD: { status }, GET: { status: 200 } });
      await failureOf(headObject(client.s3, { bucket: BUCKET, key: KEY }, 'InvalidS3Object'));
      expect([status, client.asked]).toEqual([status, asked]);
    }
  });
});

test.each([undefined, 'v1'])('what is asked for is the version that was meant: %s', async (versionId) => {
  const { s3, requests } = clientOf({ HEAD: { status: 403 }, GET: { status: 403 } });
  await failureOf(headObject(s3, { bucket: BUCKET, key: KEY, versionId }, 'InvalidS3Object'));
  expect(requests.map(({ method, query, headers }) => [method, query.versionId, headers.range])).toEqual([
    ['HEAD', versionId, undefined],
    ['GET', versionId, 'bytes=0-0'],
  ]);
});

test.each([
  ['that it is empty', 416, 'InvalidRange'],
  ['nothing', 403, undefined],
])('a refusal keeps its own words where the first byte says %s', async (_, status, code) => {
  const error = await head({ HEAD: { status: 403 }, GET: { status, ...(code && { code }) } });
  expect(error).toMatchObject({ name: 'AccessDenied', message: expect.stringMatching(/^HeadObject/) });
});

const operations = {
  HeadObject: (s3: S3Client) => headObject(s3, { bucket: BUCKET, key: KEY }, 'ResultNotFound'),
  GetObject: (s3: S3Client) => s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: KEY })),
  PutObject: (s3: S3Client) => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: KEY, Body: '{}' })),
  ListObjectsV2: (s3: S3Client) => s3.send(new ListObjectsV2Command({ Bucket: BUCKET })),
  DeleteObjects: (s3: S3Client) =>
    s3.send(new DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects: [{ Key: KEY }] } })),
};
/** What passes by itself has one of these; what S3 answers else stays as it is until somebody acts. */
const PASSING = [307, 408, 409, 425, 429, 500, 501, 502, 503, 504];
const STATUSES = [301, 400, 401, 403, 404, 405, 411, 412, 413, 416, 451, ...PASSING];

describe.each(Object.keys(operations) as (keyof typeof operations)[])('%s of our own bucket', (operation) => {
  test.each(STATUSES)('answered with %i alone has its class, and says what and where', async (status) => {
    const answer = { status };
    const { s3 } = clientOf({ HEAD: answer, GET: answer, PUT: answer, POST: answer });
    const thrown = await failureOf(operations[operation](s3));
    const error =
      operation === 'HeadObject'
        ? thrown
        : s3Error(thrown, { operation, bucket: BUCKET, key: KEY }, 'ResultNotFound');
    expect([status, failureKind(error.name).class === 'transient']).toEqual([
      status,
      PASSING.includes(status) || error.name === 'ResultNotFound',
    ]);
    expect(error.name === 'ResultNotFound').toBe(
      (operation === 'HeadObject' || operation === 'GetObject') && (status === 404 || status === 405),
    );
    expect(error.message).toMatch(new RegExp(`^${operation} \\(s3:\\w+\\) of s3://photos/`));
  });
});

test.each([
  ['NoSuchKey', 400, true],
  ['NotFound', 400, true],
  ['NoSuchVersion', 400, true],
  ['MethodNotAllowed', 400, true],
  ['WhateverElse', 404, true],
  ['WhateverElse', 405, true],
  ['WhateverElse', 400, false],
  ['NoSuchBucket', 404, false],
])('%s with %i says that the object is missing: %s', async (code, status, isMissing) => {
  const { s3 } = clientOf({ GET: { status, code } });
  const context = { operation: 'GetObject', bucket: BUCKET, key: KEY } as const;
  const error = s3Error(await failureOf(operations.GetObject(s3)), context, 'ResultNotFound');
  expect([error.name === 'ResultNotFound', isMissingObject(error)]).toEqual([isMissing, isMissing]);
});

test('whom nobody answered tries again', () => {
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
  expect(
    s3Error(reset, { operation: 'GetObject', bucket: BUCKET, key: KEY }, 'InvalidS3Object'),
  ).toMatchObject({ name: 'StorageUnavailable' });
});
