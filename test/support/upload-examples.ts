/** The code of docs/uploads.md, which a test holds to be the same. */
import { randomUUID } from 'node:crypto';
import { PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

/** Without the option the SDK signs a checksum of no body into the address, and S3 then refuses the photo. */
export const s3ThatSigns = (options: S3ClientConfig = {}) =>
  new S3Client({ ...options, requestChecksumCalculation: 'WHEN_REQUIRED' });

/** An address that takes this one photo by PUT, for ten minutes. */
export async function presignPut(s3: S3Client, bucket: string, eventId: string) {
  const photoId = randomUUID();
  const Key = `events/${eventId}/${photoId}.jpg`;
  const command = new PutObjectCommand({ Bucket: bucket, Key, ContentType: 'image/jpeg' });
  const url = await getSignedUrl(s3, command, {
    expiresIn: 600,
    signableHeaders: new Set(['content-type']),
  });
  return { photoId, url };
}

/** The fields of a form that takes it by POST: S3 itself refuses more than 15 MB, and what does not call itself a JPEG. */
export async function presignPost(s3: S3Client, bucket: string, eventId: string) {
  const photoId = randomUUID();
  const form = await createPresignedPost(s3, {
    Bucket: bucket,
    Key: `events/${eventId}/${photoId}.jpg`,
    Conditions: [['content-length-range', 1, 15 * 1024 * 1024]],
    Fields: { 'Content-Type': 'image/jpeg' },
    Expires: 600,
  });
  return { photoId, ...form };
}

export async function uploadByPut({ url }: { url: string }, file: Blob) {
  const answer = await fetch(url, { method: 'PUT', headers: { 'Content-Type': 'image/jpeg' }, body: file });
  if (!answer.ok) {
    throw new Error(`The upload failed: ${answer.status}`);
  }
}

export async function uploadByPost(
  { url, fields }: { url: string; fields: Record<string, string> },
  file: Blob,
) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, value);
  }
  // What comes after the file is not read.
  form.append('file', file);
  const answer = await fetch(url, { method: 'POST', body: form });
  if (!answer.ok) {
    throw new Error(`The upload failed: ${answer.status}`);
  }
}

export const localS3 = (endpoint: string) =>
  s3ThatSigns({
    endpoint,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: 'LOCAL-operator', secretAccessKey: 'local' },
  });
