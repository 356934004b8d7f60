import type { S3Client } from '@aws-sdk/client-s3';
import { storedCounts } from '../../../../../lambdas/shared/storage/stored-counts.ts';
import { failing, fakeClient } from '../../../../support/fake-client.ts';

const counts = (head: () => unknown) => {
  const { client, calls } = fakeClient<S3Client>({ HeadObject: head });
  return { calls, answer: storedCounts({ s3: client, resultsBucket: 'results' }, 'k') };
};

test('a response that is stored has its counts, and its call where it says which', async () => {
  const Metadata = { 'face-count': '0', 'unindexed-count': '2' };
  const { calls, answer } = counts(() => ({ Metadata }));
  await expect(answer).resolves.toEqual({ results_key: 'k', face_count: 0, unindexed_count: 2 });
  expect(calls).toEqual([['HeadObject', { Bucket: 'results', Key: 'k' }]]);
  const called = counts(() => ({ Metadata: { ...Metadata, 'called-at': 'then' } }));
  await expect(called.answer).resolves.toMatchObject({ called_at: 'then' });
});

test.each([
  [undefined],
  [{}],
  [{ 'face-count': '1' }],
  [{ 'unindexed-count': '1' }],
  [{ 'face-count': 'x', 'unindexed-count': '1' }],
  [{ 'face-count': '1', 'unindexed-count': '0.5' }],
])('without its counts, %j, none is known', async (Metadata) => {
  await expect(counts(() => ({ Metadata })).answer).resolves.toBeUndefined();
});

test('one that is not there is none; one that cannot be looked for is not none', async () => {
  await expect(counts(failing('NotFound', 404)).answer).resolves.toBeUndefined();
  await expect(counts(failing('AccessDenied', 403)).answer).rejects.toMatchObject({ name: 'AccessDenied' });
});
