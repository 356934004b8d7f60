import type { S3Client } from '@aws-sdk/client-s3';
import { listPages } from '../../../../../lambdas/shared/storage/list-pages.ts';
import { failing, fakeClient } from '../../../../support/fake-client.ts';

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const listed: Item[] = [];
  for await (const item of items) {
    listed.push(item);
  }
  return listed;
}

test('a listing goes on where its last page ended, until there is none', async () => {
  const pages = [
    { KeyCount: 2, NextContinuationToken: 'second' },
    { KeyCount: 2, NextContinuationToken: 'third' },
    { KeyCount: 1 },
  ];
  const left = [...pages];
  const { client, calls } = fakeClient<S3Client>({ ListObjectsV2: () => left.shift() });
  const listing = { Bucket: 'photos', Prefix: 'events/', Delimiter: '/' };
  expect(await all(listPages(client, listing))).toEqual(pages);
  expect(calls).toEqual([
    ['ListObjectsV2', listing],
    ['ListObjectsV2', { ...listing, ContinuationToken: 'second' }],
    ['ListObjectsV2', { ...listing, ContinuationToken: 'third' }],
  ]);
});

test('a bucket that is not there is a mistake of the deployment, said with the call and the bucket', async () => {
  const { client } = fakeClient<S3Client>({
    ListObjectsV2: failing('NoSuchBucket', 404),
  });
  await expect(all(listPages(client, { Bucket: 'photos', Prefix: '' }))).rejects.toMatchObject({
    name: 'MissingConfiguration',
    message: expect.stringMatching(/^ListObjectsV2 \(s3:ListBucket\) of s3:\/\/photos\//),
  });
});
