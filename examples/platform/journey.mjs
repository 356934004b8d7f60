/**
 * What your server and a phone do, from the upload to what is forgotten, against `npm run local:up -- --app examples/platform`:
 *
 *     node journey.mjs PHOTO.jpg
 *
 * On AWS the API's requests are signed (docs/integrate.md), and the two endpoints are left out.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

const {
  S3_ENDPOINT: endpoint = 'http://127.0.0.1:25433',
  API_URL: api = 'http://localhost:25435',
  BUCKET: bucket = 'platform-uploads4f6eb0fd',
} = process.env;
const s3 = new S3Client({
  endpoint,
  forcePathStyle: true,
  region: 'us-east-1',
  credentials: { accessKeyId: 'LOCAL-operator', secretAccessKey: 'local' },
  // Else a checksum of no body is signed into the address.
  requestChecksumCalculation: 'WHEN_REQUIRED',
});
const event = randomUUID();
const photo = randomUUID();
const key = `uploads/${event}/${photo}.jpg`;
const ask = async (path) => {
  const answer = await fetch(`${api}/events/${event}${path}`);
  const body = await answer.json();
  // An event begins with its first photo.
  return answer.status === 404 ? undefined : body;
};

// 1. Your server signs one upload for one key; the phone uses it.
const command = new PutObjectCommand({ Bucket: bucket, Key: key, ContentType: 'image/jpeg' });
const url = await getSignedUrl(s3, command, { expiresIn: 600, signableHeaders: new Set(['content-type']) });
const { status } = await fetch(url, {
  method: 'PUT',
  headers: { 'content-type': 'image/jpeg' },
  body: await readFile(process.argv[2]),
});
console.log(`uploaded ${key}: ${status}`);

// 2. How it goes. `notify` is told meanwhile.
let progress;
do {
  await sleep(200);
  progress = await ask('');
  console.log(progress?.time_left.sentence ?? 'not announced yet');
} while (!progress || progress.photos.processing > 0);

// 3. The gallery.
const { photos } = await ask('/photos?urls=1');
for (const { status: state, faces, failure, url: address } of photos) {
  console.log(`${state}: ${failure ? failure.message : `${faces.length} faces`}, ${address.split('?')[0]}`);
}
const { next } = await ask('/changes');

// 4. Forgotten.
await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
let changed;
do {
  await sleep(200);
  changed = await ask(`/changes?since=${next}`);
} while (changed.photos.length === 0);
console.log(`then ${changed.photos[0].status}`);
s3.destroy();
