import type { S3Client } from '@aws-sdk/client-s3';
import { jsonObjects } from '../../../../../lambdas/shared/storage/json-objects.ts';
import { failing, fakeClient } from '../../../../support/fake-client.ts';

const content = { faces: [1, 2], of: 'ä' };

function bucket(answer: () => unknown) {
  const { client, calls } = fakeClient<S3Client>({ GetObject: answer, PutObject: answer });
  return { objects: jsonObjects(client, 'results'), calls };
}
const body = (text: string) => () => ({ Body: { transformToString: async () => text } });

test('what is put is got, as JSON', async () => {
  const written = bucket(() => ({}));
  await written.objects.put('a/b.json', content);
  expect(written.calls).toEqual([
    [
      'PutObject',
      { Bucket: 'results', Key: 'a/b.json', Body: JSON.stringify(content), ContentType: 'application/json' },
    ],
  ]);
  const read = bucket(body(JSON.stringify(content)));
  await expect(read.objects.get('a/b.json')).resolves.toEqual(content);
  await expect(read.objects.find('a/b.json')).resolves.toEqual(content);
  expect(read.calls).toEqual(Array(2).fill(['GetObject', { Bucket: 'results', Key: 'a/b.json' }]));
});

test('what is not there is not found, and an error to whoever needs it', async () => {
  const { objects } = bucket(failing('NoSuchKey', 404));
  await expect(objects.find('a/b.json')).resolves.toBeUndefined();
  await expect(objects.get('a/b.json')).rejects.toMatchObject({
    name: 'ResultNotFound',
    message: expect.stringMatching(/^GetObject \(s3:GetObject\) of s3:\/\/results\/a\/b\.json: /),
  });
});

test('what cannot be read is not the same as what is not there', async () => {
  const { objects } = bucket(failing('AccessDenied', 403));
  await expect(objects.find('a/b.json')).rejects.toMatchObject({ name: 'AccessDenied' });
});

test('what cannot be written says where', async () => {
  const { objects } = bucket(failing('NoSuchBucket', 404));
  await expect(objects.put('a/b.json', content)).rejects.toMatchObject({
    name: 'MissingConfiguration',
    message: expect.stringMatching(/^PutObject \(s3:PutObject\) of s3:\/\/results\/a\/b\.json: /),
  });
  const refused = bucket(failing('InvalidRequest', 400));
  await expect(refused.objects.put('a/b.json', content)).rejects.toMatchObject({
    name: 'MissingConfiguration',
  });
});
