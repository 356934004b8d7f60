import { Readable } from 'node:stream';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { photoKeyOf } from '../../../lambdas/shared/contract/photo-key.ts';
import { compare } from '../../../lambdas/shared/reconciliation/compare.ts';
import type { Deployment } from '../../../ops/deployment.ts';
import { readMisplaced } from '../../../ops/misplaced.ts';
import { readEventIds, readFolders, readWorld } from '../../../ops/reading.ts';
import { fakeClient } from '../../support/fake-client.ts';

const LONG_AGO = '2026-05-01T10:00:00.000Z';

interface S3Request {
  method: string;
  path: string;
  query: Record<string, string>;
}

/** The SDK's clients over a bucket with these keys, a database that has indexed them without a face, and no collection. */
function deploymentOf(keys: readonly string[], misplaced: readonly string[] = []): Deployment {
  const answer = (statusCode: number, body: string, headers = {}) => ({
    response: { statusCode, headers, body: Readable.from([Buffer.from(body)]) },
  });
  const client = {
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
  };
  const s3 = new S3Client({
    ...client,
    requestHandler: {
      handle: async ({ method, path, query: { prefix, delimiter } }: S3Request) => {
        if (method === 'HEAD') {
          const isThere = keys.includes(decodeURIComponent(path.slice(1)));
          return answer(isThere ? 200 : 404, '', { etag: '"v1"' });
        }
        const found = keys.filter((key) => key.startsWith(prefix ?? ''));
        const below = (key: string) => key.slice((prefix ?? '').length);
        const folders = new Set(
          found.flatMap((key) =>
            below(key).includes('/') ? `${prefix ?? ''}${below(key).split('/')[0]}/` : [],
          ),
        );
        const files = found.filter((key) => delimiter === undefined || !below(key).includes('/'));
        const parts = [
          ...files.map(
            (key) =>
              `<Contents><Key>${key}</Key><ETag>"v1"</ETag><Size>9</Size><LastModified>${LONG_AGO}</LastModified></Contents>`,
          ),
          ...(delimiter === undefined ? [] : [...folders]).map(
            (folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`,
          ),
        ];
        return answer(200, `<ListBucketResult>${parts.join('')}</ListBucketResult>`);
      },
    } as never,
  });
  const rekognition = new RekognitionClient({
    ...client,
    requestHandler: {
      handle: async () => answer(400, '{"__type":"ResourceNotFoundException"}'),
    } as never,
  });
  const photos = keys.flatMap((key) => {
    const ids = photoKeyOf(key);
    if (!ids) {
      return [];
    }
    const { eventId, photoId } = ids;
    return {
      id: photoId,
      event_id: eventId,
      status: 'indexed',
      object_key: key,
      object_version: 'v1',
      object_sequencer: '0A',
      other_objects: null,
      face_count: 0,
      created_at: LONG_AGO,
      ended_at: LONG_AGO,
    };
  });
  const lambda = fakeClient<LambdaClient>({
    Invoke: ({ Payload }) => {
      const { ask, event_id } = JSON.parse(Buffer.from(Payload as Uint8Array).toString()) as {
        ask: string;
        event_id: string;
      };
      const rows = {
        misplaced: { total: misplaced.length, uploads: misplaced.map((object_key) => ({ object_key })) },
        photos: photos.filter((row) => row.event_id === event_id),
        events: [...new Set(photos.map((row) => row.event_id))].map((id) => ({ id })),
      };
      return { Payload: Buffer.from(JSON.stringify(rows[ask as keyof typeof rows] ?? [])) };
    },
  });
  const outputs = {
    PhotoBucketName: 'photos',
    ResultsBucketName: 'results',
    CollectionPrefix: 'rollcall-',
    OperatorFunctionName: 'ask',
  };
  return { s3, rekognition, lambda: lambda.client, outputs } as unknown as Deployment;
}

test.each([
  ['without a letter', '01234567-0123-4123-8123-012345678901', (id: string) => [id]],
  ['in one case', 'abcdefab-abcd-4bcd-abcd-abcdefabcdef', (id: string) => [id.toUpperCase()]],
  [
    'in every case',
    'abcdefab-abcd-4bcd-abcd-abcdefabcdef',
    (id: string) => [id, id.toUpperCase(), `A${id.slice(1)}`, `aB${id.slice(2)}`],
  ],
])('each object of an event counts once, its UUID spelled %s', async (_, event, spell) => {
  const keys = spell(event).map((id, n) => `events/${id}/IMG_${n}.jpg`);
  const deployment = deploymentOf(keys);
  const folders = await readFolders(deployment);
  await expect(readEventIds(deployment, folders)).resolves.toEqual([event]);
  const world = await readWorld(deployment, event);
  expect(world.objects.map(({ key }) => key).sort()).toEqual([...keys].sort());
  expect(compare(world, new Date('2026-05-02T00:00:00Z'))).toEqual([]);
});

test('uploads of no event are found in the bucket, told of or not, and rows of those that are gone', async () => {
  const event = 'abcdefab-abcd-4bcd-abcd-abcdefabcdef';
  const misplaced = [
    'top.jpg',
    'wrong/key.jpg',
    'wrong/deeper/key.jpg',
    `Events/${event}/x.jpg`,
    'events/notauuid/x.jpg',
    'events/x.jpg',
  ];
  const deployment = deploymentOf(
    // A folder that the console made is not an upload.
    [...misplaced, `events/${event}/x.jpg`, `events/${event}/no-extension`, 'empty/'],
    ['wrong/key.jpg', `events/${event}/no-extension`, 'gone/x.jpg'],
  );
  await expect(readMisplaced(deployment)).resolves.toEqual({
    there: [...misplaced, `events/${event}/no-extension`].sort(),
    gone: ['gone/x.jpg'],
  });
});
