import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { localClientOptions } from '../../local/clients.ts';
import type { BusEvent } from '../../local/event-router.ts';
import { type ObjectStore, startObjectStore } from '../../local/object-store.ts';

let folder: string;
let store: ObjectStore;
let s3: S3Client;
let events: BusEvent[];

async function start(): Promise<void> {
  events = [];
  store = await startObjectStore(folder, (event) => events.push(event));
  store.createBucket('photos', { events: true });
  store.createBucket('results', { events: false });
  s3 = new S3Client({ ...localClientOptions, endpoint: store.endpoint, forcePathStyle: true });
}

async function stop(): Promise<void> {
  s3.destroy();
  await store.stop();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rollcall-s3-'));
  await start();
});
afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => events.splice(0));

const put = (Key: string, Body: string | Buffer, Bucket = 'photos') =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body }));

interface Detail {
  object: { key: string; size: number; etag: string; sequencer: string };
  reason: string;
}
const details = () => events.map(({ detail }) => detail as unknown as Detail);

test('a stored object sends the event that S3 sends', async () => {
  const key = 'events/e/IMG 0001 +ä%20&<x>.JPG';
  const { ETag } = await put(key, 'hello');
  expect(events).toEqual([
    {
      version: '0',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      'detail-type': 'Object Created',
      source: 'aws.s3',
      account: '000000000000',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      region: 'us-east-1',
      resources: ['arn:aws:s3:::photos'],
      detail: {
        version: '0',
        bucket: { name: 'photos' },
        object: {
          key,
          size: 5,
          etag: ETag!.replaceAll('"', ''),
          sequencer: expect.stringMatching(/^[0-9A-F]{18}$/),
        },
        'request-id': expect.any(String),
        requester: '000000000000',
        'source-ip-address': '127.0.0.1',
        reason: 'PutObject',
      },
    },
  ]);
});

test('copies and multipart uploads send events, parts and other buckets do not', async () => {
  await put('a.jpg', 'a', 'results');
  await s3.send(new CopyObjectCommand({ Bucket: 'photos', Key: 'copy.jpg', CopySource: 'results/a.jpg' }));
  const at = { Bucket: 'photos', Key: 'large.jpg' };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(at));
  const Parts = [];
  for (const [index, bytes] of [5 * 1024 * 1024, 10].entries()) {
    const PartNumber = index + 1;
    const Body = Buffer.alloc(bytes, index);
    const { ETag } = await s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body }));
    Parts.push({ ETag, PartNumber });
  }
  await s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }));
  expect(details()).toMatchObject([
    { object: { key: 'copy.jpg', size: 1 }, reason: 'CopyObject' },
    {
      object: { key: 'large.jpg', size: 5 * 1024 * 1024 + 10, etag: expect.stringMatching(/-2$/) },
      reason: 'CompleteMultipartUpload',
    },
  ]);
});

test('one PUT takes the largest photo that Rekognition does', async () => {
  await put('huge.jpg', Buffer.alloc(15 * 1024 * 1024));
  expect(details()).toMatchObject([{ object: { size: 15 * 1024 * 1024 } }]);
});

test('every version has a larger sequencer, over restarts and at once', async () => {
  await Promise.all(Array.from({ length: 8 }, (_, i) => put('again.jpg', `version ${i}`)));
  const before = details().map(({ object }) => object.sequencer);
  const current = store.currentEvent('photos', 'again.jpg');
  expect(current?.detail).toMatchObject({ object: { sequencer: before.at(-1), key: 'again.jpg' } });
  await stop();
  await start();
  expect(store.currentEvent('photos', 'again.jpg')?.detail).toMatchObject({
    object: (current!.detail as unknown as Detail).object,
  });
  await put('again.jpg', 'after');
  const sequencers = [...before, details()[0]!.object.sequencer];
  expect(sequencers).toEqual([...new Set(sequencers)].sort());
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'photos', Key: 'again.jpg' }));
  expect(await Body!.transformToString()).toBe('after');
});

test('a deleted object sends one event, later than all of its versions', async () => {
  await put('one.jpg', '1');
  await put('two.jpg', '2');
  await s3.send(new DeleteObjectCommand({ Bucket: 'photos', Key: 'one.jpg' }));
  await s3.send(
    new DeleteObjectsCommand({
      Bucket: 'photos',
      Delete: { Objects: [{ Key: 'two.jpg' }, { Key: 'one.jpg' }, { Key: 'never.jpg' }] },
    }),
  );
  const deleted = events.filter((event) => event['detail-type'] === 'Object Deleted');
  expect(deleted.map(({ detail }) => detail)).toMatchObject(
    ['one.jpg', 'two.jpg'].map((key) => ({
      object: { key, etag: expect.stringMatching(/^[0-9a-f]{32}$/) },
      reason: 'DeleteObject',
      'deletion-type': 'Permanently Deleted',
    })),
  );
  const [stored, , gone] = details();
  expect(gone!.object).not.toHaveProperty('size');
  expect(gone!.object.sequencer > stored!.object.sequencer).toBe(true);
  expect(store.currentEvent('photos', 'one.jpg')).toBeUndefined();
});

test('an upload has one time, of whole seconds, whoever tells it', async () => {
  const Key = 'events/e/one-time.jpg';
  const listed = async () => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'photos', Prefix: Key }));
    return Contents[0]!.LastModified!.toISOString();
  };
  // Not in the first milliseconds of a second.
  await sleep(Math.max(0, 100 - (Date.now() % 1_000)));
  await put(Key, 'hello');
  const told = new Date(events[0]!.time).toISOString();
  const { LastModified } = await s3.send(new HeadObjectCommand({ Bucket: 'photos', Key }));
  expect(LastModified!.toISOString()).toBe(told);
  expect(await listed()).toBe(told);
  await stop();
  await start();
  expect(await listed()).toBe(told);
});

test('an object that is not there has no event', () => {
  expect(store.currentEvent('photos', 'nothing.jpg')).toBeUndefined();
});
