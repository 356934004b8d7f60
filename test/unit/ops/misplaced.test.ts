import { type ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { Deployment } from '../../../ops/deployment.ts';
import { readMisplaced } from '../../../ops/misplaced.ts';
import { awsError } from '../../support/fake-client.ts';

const EVENT = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';

/** A bucket of these keys, listed as S3 does, and a database that knows of these misplaced uploads. */
function deploymentOf(keys: readonly string[], known: readonly string[], outputs: object): Deployment {
  // The SDK's paginators ask no other than an S3Client.
  const s3 = Object.assign(Object.create(S3Client.prototype), {
    send: async ({ constructor: { name }, input }: ListObjectsV2Command) => {
      const { Prefix = '', Delimiter: delimiter } = input;
      if (name !== 'ListObjectsV2Command') {
        throw awsError('NotFound', 404);
      }
      const under = keys.filter((key) => key.startsWith(Prefix)).map((key) => key.slice(Prefix.length));
      const isFolder = (rest: string) => delimiter !== undefined && rest.includes(delimiter);
      const folders = new Set(under.filter(isFolder).map((rest) => rest.slice(0, rest.indexOf('/') + 1)));
      return {
        Contents: under.filter((rest) => !isFolder(rest)).map((rest) => ({ Key: Prefix + rest })),
        CommonPrefixes: [...folders].map((folder) => ({ Prefix: Prefix + folder })),
      };
    },
  });
  const uploads = known.map((object_key) => ({ object_key, failed_at: '2026-05-01T12:00:00Z' }));
  return {
    s3,
    lambda: {
      send: async () => ({ Payload: Buffer.from(JSON.stringify({ total: uploads.length, uploads })) }),
    },
    outputs: { PhotoBucketName: 'photos', OperatorFunctionName: 'operator', ...outputs },
  } as unknown as Deployment;
}

const KEYS = [
  'logo.png',
  'invoices/2026/1.pdf',
  `events/${EVENT}/a.jpg`,
  'events/no-event/b.jpg',
  'events/c.jpg',
  `Events/${EVENT}/d.jpg`,
];

test('in the bucket of the stack, whatever no event has is misplaced', async () => {
  await expect(readMisplaced(deploymentOf(KEYS, ['gone.jpg'], {}))).resolves.toEqual({
    there: [
      `Events/${EVENT}/d.jpg`,
      'events/c.jpg',
      'events/no-event/b.jpg',
      'invoices/2026/1.pdf',
      'logo.png',
    ].sort(),
    gone: ['gone.jpg'],
  });
});

test('in a bucket of a platform’s own, what lies beside the folder of uploads is the platform’s', async () => {
  const { there } = await readMisplaced(deploymentOf(KEYS, [], { UploadsFolder: 'events/' }));
  expect(there).toEqual(['events/c.jpg', 'events/no-event/b.jpg']);
});
