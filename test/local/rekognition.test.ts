import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as sdk from '@aws-sdk/client-rekognition';
import sharp from 'sharp';
import { operations, type RekognitionErrorName } from '../../local/rekognition/model.ts';
import {
  type RekognitionOptions,
  type RekognitionServer,
  startRekognition,
} from '../../local/rekognition/server.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) {
    await cleanUp();
  }
});

async function start(
  options: Partial<RekognitionOptions> = {},
): Promise<{ server: RekognitionServer; client: sdk.RekognitionClient }> {
  const dataDir = options.dataDir ?? (await mkdtemp(path.join(tmpdir(), 'rekognition-')));
  const server = await startRekognition({
    getObject: () => Promise.reject(Object.assign(new Error('not there'), { name: 'NoSuchKey' })),
    warmUp: false,
    quotas: unlimited,
    ...options,
    dataDir,
  });
  const client = new sdk.RekognitionClient({
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
  });
  cleanUps.push(() => rm(dataDir, { recursive: true, force: true }));
  cleanUps.push(() => server.close());
  cleanUps.push(async () => client.destroy());
  return { server, client };
}

const unlimited = Object.fromEntries(operations.map((operation) => [operation, Number.POSITIVE_INFINITY]));
const UNKNOWN_FACE = '11111111-2222-3333-4444-555555555555';
const aPhoto = { S3Object: { Bucket: 'photos', Name: 'photo.jpg' } };

describe('collections', () => {
  test('are created, described, listed and deleted', async () => {
    const createdMs = Date.parse('2026-05-01T12:00:00Z');
    const { client } = await start({ region: 'eu-west-1', clock: () => createdMs });
    expect(await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'event-1' }))).toMatchObject({
      StatusCode: 200,
      CollectionArn: 'aws:rekognition:eu-west-1:000000000000:collection/event-1',
      FaceModelVersion: 'local-face-api-1.7',
    });
    const described = await client.send(new sdk.DescribeCollectionCommand({ CollectionId: 'event-1' }));
    expect(described).toMatchObject({
      FaceCount: 0,
      UserCount: 0,
      CollectionARN: 'arn:aws:rekognition:eu-west-1:000000000000:collection/event-1',
      FaceModelVersion: 'local-face-api-1.7',
    });
    expect(described.CreationTimestamp).toEqual(new Date(createdMs));
    expect(await client.send(new sdk.ListCollectionsCommand({}))).toMatchObject({
      CollectionIds: ['event-1'],
      FaceModelVersions: ['local-face-api-1.7'],
    });
    expect(await client.send(new sdk.DeleteCollectionCommand({ CollectionId: 'event-1' }))).toMatchObject({
      StatusCode: 200,
    });
    expect((await client.send(new sdk.ListCollectionsCommand({}))).CollectionIds).toEqual([]);
  });

  test('exist once: a second creation says so, also when both come at once', async () => {
    const { client } = await start();
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, () => client.send(new sdk.CreateCollectionCommand({ CollectionId: 'one' }))),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const answer of answers) {
      if (answer.status === 'rejected') {
        expect(answer.reason).toBeInstanceOf(sdk.ResourceAlreadyExistsException);
        expect(answer.reason.message).toBe('The collection id: one already exists');
      }
    }
  });

  test('keep their ids apart: case, and ids that are no file names', async () => {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'rekognition-'));
    const ids = ['Event', 'event', '..', '.', 'x'.repeat(255)];
    const { client, server } = await start({ dataDir });
    for (const CollectionId of ids) {
      await client.send(new sdk.CreateCollectionCommand({ CollectionId }));
    }
    await server.close();
    const again = await start({ dataDir });
    const { CollectionIds } = await again.client.send(new sdk.ListCollectionsCommand({}));
    expect(CollectionIds!.sort()).toEqual([...ids].sort());
  });

  test('are listed page by page, with the SDK`s paginator', async () => {
    const { client } = await start();
    const ids = Array.from({ length: 25 }, (_, i) => `event-${i}`);
    for (const CollectionId of ids) {
      await client.send(new sdk.CreateCollectionCommand({ CollectionId }));
    }
    const pages: string[][] = [];
    for await (const page of sdk.paginateListCollections({ client, pageSize: 10 }, {})) {
      expect(page.FaceModelVersions).toHaveLength(page.CollectionIds!.length);
      pages.push(page.CollectionIds!);
    }
    expect(pages.map((page) => page.length)).toEqual([10, 10, 5]);
    expect(new Set(pages.flat())).toEqual(new Set(ids));
  });

  test('that do not exist are named in every operation`s error', async () => {
    const { client, server } = await start();
    const CollectionId = 'gone';
    const calls = [
      new sdk.DescribeCollectionCommand({ CollectionId }),
      new sdk.DeleteCollectionCommand({ CollectionId }),
      new sdk.IndexFacesCommand({ CollectionId, Image: aPhoto }),
      new sdk.ListFacesCommand({ CollectionId }),
      new sdk.DeleteFacesCommand({ CollectionId, FaceIds: [UNKNOWN_FACE] }),
      new sdk.SearchFacesCommand({ CollectionId, FaceId: UNKNOWN_FACE }),
      new sdk.SearchFacesByImageCommand({ CollectionId, Image: aPhoto }),
    ];
    for (const call of calls) {
      const error = await client.send(call as sdk.DescribeCollectionCommand).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(sdk.ResourceNotFoundException);
      expect(error.message).toBe('The collection id: gone does not exist');
      expect(error.$metadata).toMatchObject({
        httpStatusCode: 400,
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
    }
    expect(server.calls().IndexFaces).toEqual({ accepted: 1, throttled: 0 });
  });
});

describe('validation', () => {
  const tooMany = Array.from({ length: 4097 }, () => UNKNOWN_FACE);
  const index = (over: object) => new sdk.IndexFacesCommand({ CollectionId: 'c', Image: aPhoto, ...over });
  const bad: [string, object, RegExp][] = [
    [
      'no collection id',
      new sdk.DescribeCollectionCommand({} as never),
      /Value null at 'collectionId' .* not be null/,
    ],
    [
      'an empty one',
      new sdk.CreateCollectionCommand({ CollectionId: '' }),
      /length greater than or equal to 1/,
    ],
    [
      'a long one',
      new sdk.CreateCollectionCommand({ CollectionId: 'x'.repeat(256) }),
      /less than or equal to 255/,
    ],
    [
      'a wrong one',
      new sdk.CreateCollectionCommand({ CollectionId: 'a b' }),
      /'a b' at 'collectionId' .* expression pattern: \[a-zA-Z0-9_\.\\-\]\+/,
    ],
    ['a colon in one', new sdk.CreateCollectionCommand({ CollectionId: 'a:b' }), /regular expression/],
    [
      'a tag of AWS',
      new sdk.CreateCollectionCommand({ CollectionId: 'c', Tags: { 'aws:x': 'y' } }),
      /'tags'/,
    ],
    ['a wrong external id', index({ ExternalImageId: 'a/b' }), /'a\/b' at 'externalImageId'/],
    ['MaxFaces 0', index({ MaxFaces: 0 }), /'0' at 'maxFaces' .* greater than or equal to 1/],
    ['an unknown attribute', index({ DetectionAttributes: ['HAIR'] }), /enum value set: \[DEFAULT, ALL/],
    ['an unknown filter', index({ QualityFilter: 'BEST' }), /\[NONE, AUTO, LOW, MEDIUM, HIGH\]/],
    [
      'two mistakes',
      index({ MaxFaces: 0, ExternalImageId: '' }),
      /^2 validation errors detected: .*externalImageId.*; .*maxFaces/,
    ],
    ['no image', index({ Image: undefined }), /Value null at 'image'/],
    ['an image of nothing', index({ Image: {} }), /^Request has invalid parameters/],
    [
      'an image of both',
      index({ Image: { ...aPhoto, Bytes: Buffer.from('x') } }),
      /^Request has invalid parameters/,
    ],
    [
      'empty bytes',
      index({ Image: { Bytes: Buffer.alloc(0) } }),
      /'image.bytes' .* length greater than or equal to 1/,
    ],
    [
      'a short bucket',
      index({ Image: { S3Object: { Bucket: 'ab', Name: 'k' } } }),
      /'image.s3Object.bucket'/,
    ],
    [
      'a page too large',
      new sdk.ListFacesCommand({ CollectionId: 'c', MaxResults: 4097 }),
      /less than or equal to 4096/,
    ],
    ['a negative page', new sdk.ListCollectionsCommand({ MaxResults: -1 }), /greater than or equal to 0/],
    ['a token too long', new sdk.ListCollectionsCommand({ NextToken: 'x'.repeat(256) }), /'nextToken'/],
    [
      'no face ids',
      new sdk.DeleteFacesCommand({ CollectionId: 'c', FaceIds: [] }),
      /'faceIds' .* greater than or equal to 1/,
    ],
    [
      'too many face ids',
      new sdk.DeleteFacesCommand({ CollectionId: 'c', FaceIds: tooMany }),
      /less than or equal to 4096/,
    ],
    [
      'a wrong face id',
      new sdk.DeleteFacesCommand({ CollectionId: 'c', FaceIds: ['nobody'] }),
      /'nobody' at 'faceIds'/,
    ],
    [
      'a wrong face id',
      new sdk.SearchFacesCommand({ CollectionId: 'c', FaceId: 'nobody' }),
      /'nobody' at 'faceId'/,
    ],
    [
      'threshold 101',
      new sdk.SearchFacesByImageCommand({ CollectionId: 'c', Image: aPhoto, FaceMatchThreshold: 101 }),
      /faceMatchThreshold/,
    ],
    [
      'MaxFaces 4097',
      new sdk.SearchFacesCommand({ CollectionId: 'c', FaceId: UNKNOWN_FACE, MaxFaces: 4097 }),
      /'maxFaces'/,
    ],
  ];

  test('names each violated constraint', async () => {
    const { client } = await start();
    for (const [what, call, message] of bad) {
      const error = await client.send(call as sdk.CreateCollectionCommand).catch((thrown) => thrown);
      expect([what, error.name]).toEqual([what, 'InvalidParameterException']);
      expect(error).toBeInstanceOf(sdk.InvalidParameterException);
      expect(error.message).toMatch(message);
    }
  });

  test('an S3 object without a name is an invalid S3 object', async () => {
    const { client } = await start();
    const error = await client
      .send(index({ Image: { S3Object: { Bucket: 'photos' } } }))
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(sdk.InvalidS3ObjectException);
  });

  test('a face that is not in the collection cannot be searched for', async () => {
    const { client } = await start();
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'c' }));
    const error = await client
      .send(new sdk.SearchFacesCommand({ CollectionId: 'c', FaceId: UNKNOWN_FACE }))
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(sdk.InvalidParameterException);
    expect(error.message).toMatch('faceId was not found in the collection');
  });

  test('an invented page token is refused', async () => {
    const { client } = await start();
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'c' }));
    for (const call of [
      new sdk.ListFacesCommand({ CollectionId: 'c', NextToken: 'invented' }),
      new sdk.ListCollectionsCommand({ NextToken: 'invented' }),
    ]) {
      const error = await client.send(call as sdk.ListFacesCommand).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(sdk.InvalidPaginationTokenException);
    }
  });
});

describe('S3', () => {
  const failures: [string, object, string][] = [
    ['a missing key', { name: 'NoSuchKey', $metadata: { httpStatusCode: 404 } }, 'InvalidS3ObjectException'],
    ['a missing bucket', { name: 'NoSuchBucket' }, 'InvalidS3ObjectException'],
    [
      'a missing right',
      { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } },
      'InvalidS3ObjectException',
    ],
    [
      'a slow S3',
      { name: 'SlowDown', $metadata: { httpStatusCode: 503 } },
      'ProvisionedThroughputExceededException',
    ],
    ['a broken S3', { name: 'InternalError', $metadata: { httpStatusCode: 500 } }, 'InternalServerError'],
    ['a lost connection', { name: 'Error' }, 'InternalServerError'],
  ];

  test.each(failures)('%s', async (_what, failure, name) => {
    const { client } = await start({
      getObject: () => Promise.reject(Object.assign(new Error('S3'), failure)),
    });
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'c' }));
    const error = await client
      .send(new sdk.IndexFacesCommand({ CollectionId: 'c', Image: aPhoto }))
      .catch((thrown) => thrown);
    expect(error.name).toBe(name);
    if (name === 'InvalidS3ObjectException') {
      expect(error.message).toBe(
        'Unable to get object metadata from S3. Check object key, region and/or access permissions.',
      );
    }
  });

  test('is asked for the version', async () => {
    const asked: unknown[] = [];
    const { client } = await start({
      getObject: async (...request) => {
        asked.push(request);
        return Buffer.alloc(0);
      },
    });
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'c' }));
    const Image = { S3Object: { Bucket: 'photos', Name: 'events/ä b.jpg', Version: 'v1' } };
    const error = await client
      .send(new sdk.IndexFacesCommand({ CollectionId: 'c', Image }))
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(sdk.InvalidImageFormatException);
    expect(asked).toEqual([['photos', 'events/ä b.jpg', 'v1']]);
  });
});

describe('the quota', () => {
  test('lets one second`s calls through at once, then as many a second as it allows', async () => {
    let now = 0;
    const { client, server } = await start({ quotas: {}, clock: () => now });
    const burst = async (calls: number) => {
      const answers = await Promise.allSettled(
        Array.from({ length: calls }, () => client.send(new sdk.ListCollectionsCommand({}))),
      );
      for (const answer of answers) {
        if (answer.status === 'rejected') {
          expect(answer.reason).toBeInstanceOf(sdk.ProvisionedThroughputExceededException);
          expect(answer.reason.$metadata.httpStatusCode).toBe(400);
        }
      }
      return answers.filter(({ status }) => status === 'fulfilled').length;
    };
    expect(await burst(12)).toBe(5);
    now += 400;
    expect(await burst(12)).toBe(2);
    now += 60_000;
    expect(await burst(12)).toBe(5);
    expect(server.calls().ListCollections).toEqual({ accepted: 12, throttled: 24 });
    expect(server.calls().CreateCollection).toEqual({ accepted: 0, throttled: 0 });
  });

  test('is the Region`s, unless it is given', async () => {
    const accepted = async (options: Partial<RekognitionOptions>) => {
      const { client, server } = await start({ clock: () => 0, quotas: {}, ...options });
      await Promise.allSettled(
        Array.from({ length: 60 }, () =>
          client.send(new sdk.IndexFacesCommand({ CollectionId: 'c', Image: aPhoto })),
        ),
      );
      return server.calls().IndexFaces;
    };
    expect(await accepted({ region: 'eu-west-1' })).toEqual({ accepted: 50, throttled: 10 });
    expect(await accepted({ region: 'ap-southeast-1' })).toEqual({ accepted: 5, throttled: 55 });
    expect(await accepted({ quotas: { IndexFaces: 20 } })).toEqual({ accepted: 20, throttled: 40 });
  });
});

describe('faults', () => {
  const names: RekognitionErrorName[] = [
    'AccessDeniedException',
    'ImageTooLargeException',
    'InternalServerError',
    'InvalidImageFormatException',
    'InvalidPaginationTokenException',
    'InvalidParameterException',
    'InvalidS3ObjectException',
    'ProvisionedThroughputExceededException',
    'ResourceAlreadyExistsException',
    'ResourceNotFoundException',
    'ServiceQuotaExceededException',
    'ThrottlingException',
  ];

  test('of every name arrive as the SDK`s class of that name', async () => {
    let name = names[0]!;
    const seen: unknown[] = [];
    const { client, server } = await start({
      intercept: (operation, request, { accessKeyId }) => {
        seen.push([operation, request, accessKeyId]);
        return { error: { name } };
      },
    });
    for (name of names) {
      const error = await client
        .send(new sdk.CreateCollectionCommand({ CollectionId: 'c' }))
        .catch((thrown) => thrown);
      expect(error.name).toBe(name);
      expect(error).toBeInstanceOf((sdk as unknown as Record<string, new () => Error>)[name]!);
      expect(error.message).not.toBe('');
      expect(error.Code).toBe(name);
      expect(error.$metadata.httpStatusCode).toBe(name === 'InternalServerError' ? 500 : 400);
    }
    expect(seen[0]).toEqual(['CreateCollection', { CollectionId: 'c' }, 'AKIDEXAMPLE']);
    // None of them reached Rekognition, so none is charged; throttles are counted as such.
    expect(server.calls().CreateCollection).toEqual({ accepted: 0, throttled: 2 });
  });

  test('can delay a call, or lose it before or after its effect', async () => {
    let fault: ReturnType<NonNullable<RekognitionOptions['intercept']>>;
    const held = Promise.withResolvers<void>();
    const holds = (input: Record<string, unknown>) => input.CollectionId === 'slow';
    const { client, server } = await start({
      intercept: async (_, input) => {
        await (holds(input) && held.promise);
        return fault;
      },
    });
    const answered: string[] = [];
    const slow = client
      .send(new sdk.CreateCollectionCommand({ CollectionId: 'slow' }))
      .then(() => answered.push('slow'));
    await client.send(new sdk.ListCollectionsCommand({}));
    answered.push('at once');
    held.resolve();
    await slow;
    expect(answered).toEqual(['at once', 'slow']);

    fault = { delayMs: 200 };
    const delayed = client.send(new sdk.CreateCollectionCommand({ CollectionId: 'late' }));
    await Promise.all([
      sleep(150).then(() => answered.push('a shorter while')),
      delayed.then(() => answered.push('late')),
    ]);
    expect(answered.slice(2)).toEqual(['a shorter while', 'late']);

    for (const when of ['before', 'after'] as const) {
      fault = { dropConnection: when };
      await expect(client.send(new sdk.CreateCollectionCommand({ CollectionId: when }))).rejects.toThrow(
        /ECONNRESET|socket hang up/,
      );
    }
    fault = undefined;
    const { CollectionIds } = await client.send(new sdk.ListCollectionsCommand({}));
    expect(CollectionIds!.sort()).toEqual(['after', 'late', 'slow']);
    expect(server.calls().CreateCollection).toEqual({ accepted: 3, throttled: 0 });
  });
});

describe('the wire', () => {
  const post = (endpoint: string, target: string, body: string, headers: Record<string, string> = {}) =>
    fetch(endpoint, {
      method: 'POST',
      body,
      headers: { 'X-Amz-Target': target, 'Content-Type': 'application/x-amz-json-1.1', ...headers },
    });

  test('has AWS`s headers and fields', async () => {
    const { server } = await start();
    const ok = await post(server.endpoint, 'RekognitionService.ListCollections', '{}');
    expect(ok.status).toBe(200);
    expect(ok.headers.get('content-type')).toBe('application/x-amz-json-1.1');
    expect(ok.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/);
    const failed = await post(server.endpoint, 'RekognitionService.DeleteCollection', '{"CollectionId":"x"}');
    expect(failed.status).toBe(400);
    expect(failed.headers.get('x-amzn-errortype')).toBe('ResourceNotFoundException');
    expect(await failed.json()).toEqual({
      __type: 'ResourceNotFoundException',
      Code: 'ResourceNotFoundException',
      Logref: failed.headers.get('x-amzn-requestid'),
      Message: 'The collection id: x does not exist',
      message: 'The collection id: x does not exist',
    });
  });

  test('says clearly what it does not take', async () => {
    const { server, client } = await start();
    const cases: [Promise<Response>, number, RegExp][] = [
      [
        post(server.endpoint, 'RekognitionService.DetectLabels', '{}'),
        400,
        /DetectLabels is not supported .* IndexFaces/,
      ],
      [post(server.endpoint, 'DynamoDB_20120810.ListTables', '{}'), 404, /local Rekognition endpoint/],
      [fetch(server.endpoint), 404, /POST/],
      [
        post(server.endpoint, 'RekognitionService.ListFaces', '{"CollectionId"'),
        400,
        /SerializationException/,
      ],
      [post(server.endpoint, 'RekognitionService.ListFaces', '[]'), 400, /SerializationException/],
      [
        post(server.endpoint, 'RekognitionService.ListFaces', '{"CollectionId":7}'),
        400,
        /SerializationException/,
      ],
      [
        post(server.endpoint, 'RekognitionService.ListFaces', '{}', { 'Content-Type': 'application/cbor' }),
        415,
        /application\/cbor is not supported/,
      ],
    ];
    for (const [answer, status, text] of cases) {
      const response = await answer;
      expect(response.status).toBe(status);
      expect(await response.text()).toMatch(text);
    }
    await expect(client.send(new sdk.DetectFacesCommand({ Image: aPhoto }))).rejects.toMatchObject({
      name: 'UnknownOperationException',
      message: expect.stringMatching(/^DetectFaces is not supported by the local Rekognition endpoint/),
    });
  });

  test('a port that is taken is named in one line', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    cleanUps.push(() => new Promise((resolve) => other.close(resolve)));
    const { port } = other.address() as { port: number };
    await expect(start({ port })).rejects.toThrow(
      `The local Rekognition endpoint cannot start: port ${port} on 127.0.0.1 is already in use`,
    );
  });

  test('starts at once: the models load behind it', async () => {
    const { client } = await start({ warmUp: true });
    await client.send(new sdk.CreateCollectionCommand({ CollectionId: 'event' }));
    const image = await sharp({ create: { width: 80, height: 80, channels: 3, background: '#888' } })
      .png()
      .toBuffer();
    const answered: string[] = [];
    const note = (what: string) => () => {
      answered.push(what);
    };
    // Who waits for the models is the first image, and nobody else.
    await Promise.all([
      client
        .send(new sdk.IndexFacesCommand({ CollectionId: 'event', Image: { Bytes: image } }))
        .then(note('image')),
      client.send(new sdk.CreateCollectionCommand({ CollectionId: 'other' })).then(note('collection')),
    ]);
    expect(answered).toEqual(['collection', 'image']);
  });
});
