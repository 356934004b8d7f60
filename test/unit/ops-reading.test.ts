import { Readable } from 'node:stream';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { parsePhotoKey } from '../../lambdas/shared/photo-key.ts';
import { compare } from '../../lambdas/shared/reconciliation.ts';
import type { Deployment } from '../../ops/deployment.ts';
import { readEventIds, readFolders, readWorld } from '../../ops/reading.ts';
import { fakeClient } from '../support/fake-client.ts';

const LONG_AGO = '2026-05-01T10:00:00.000Z';

/** The SDK's clients over a bucket with these keys, a database that has indexed them without a face, and no collection. */
function deploymentOf(keys: readonly string[]): Deployment {
  const answer = (statusCode: number, body: string) => ({
    response: { statusCode, headers: {}, body: Readable.from([Buffer.from(body)]) },
  });
  const client = {
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
  };
  const s3 = new S3Client({
    ...client,
    requestHandler: {
      handle: async ({ query: { prefix, delimiter } }: { query: Record<string, string> }) => {
        const found = keys.filter((key) => key.startsWith(prefix ?? ''));
        const folders = new Set(found.map((key) => `${key.split('/').slice(0, 2).join('/')}/`));
        const parts =
          delimiter === undefined
            ? found.map(
                (key) =>
                  `<Contents><Key>${key}</Key><ETag>"v1"</ETag><Size>9</Size><LastModified>${LONG_AGO}</LastModified></Contents>`,
              )
            : [...folders].map((folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`);
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
  const photos = keys.map((key) => {
    const { eventId, photoId } = parsePhotoKey(key);
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
        photos: photos.filter((row) => row.event_id === event_id),
        events: [...new Set(photos.map((row) => row.event_id))].map((id) => ({ id })),
      };
      return { Payload: Buffer.from(JSON.stringify(rows[ask as keyof typeof rows] ?? [])) };
    },
  });
  const outputs = { PhotoBucketName: 'photos', CollectionPrefix: 'rollcall-', OperatorFunctionName: 'ask' };
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
