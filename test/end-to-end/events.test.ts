import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeleteCollectionCommand,
  ListCollectionsCommand,
  ListFacesCommand,
} from '@aws-sdk/client-rekognition';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import postgres from 'postgres';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-events-'));
let cloud: Cloud;
let sql: postgres.Sql;
/** The collection of each call of IndexFaces that was billed. */
const indexed: string[] = [];

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    lambdaConcurrency: 1,
    rekognition: {
      findFaces: findMadeFaces,
      onCall(operation, { CollectionId }) {
        if (operation === 'IndexFaces') {
          indexed.push(String(CollectionId));
        }
      },
    },
  });
  sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
}, 120_000);

afterAll(async () => {
  await sql?.end();
  await cloud?.stop({ abort: true });
  rmSync(stateDir, { recursive: true, force: true });
});

const put = async (key: string, faces: number, shade?: number) =>
  cloud.s3.send(
    new PutObjectCommand({ Bucket: cloud.photoBucket, Key: key, Body: await madePhoto(faces, shade) }),
  );

const photosOf = (event: string) =>
  sql`SELECT object_key, status, face_count FROM photos WHERE event_id = ${event} ORDER BY object_key`;

const storedFaces = async (event: string) =>
  (
    await sql`SELECT rekognition_face_id AS id FROM faces JOIN photos ON photo_id = photos.id WHERE event_id = ${event}`
  )
    .map(({ id }) => id as string)
    .sort();

async function facesInCollection(event: string): Promise<string[]> {
  const { Faces = [] } = await cloud.rekognition.send(
    new ListFacesCommand({ CollectionId: `${cloud.collectionPrefix}${event}`, MaxResults: 4096 }),
  );
  return Faces.map(({ FaceId }) => FaceId!).sort();
}

const paidCalls = (event: string) => indexed.filter((id) => id.endsWith(event)).length;

test('twenty photos of a new event at once share one collection', async () => {
  const event = randomUUID();
  await Promise.all(Array.from({ length: 20 }, (_, i) => put(`events/${event}/${i}.jpg`, i % 3, 10 * i)));
  await cloud.idle();
  const photos = await photosOf(event);
  expect(photos).toHaveLength(20);
  expect(photos.every(({ status }) => status === 'indexed')).toBe(true);
  expect(paidCalls(event)).toBe(20);
  const { CollectionIds } = await cloud.rekognition.send(new ListCollectionsCommand({}));
  expect(CollectionIds!.filter((id) => id.includes(event))).toEqual([`${cloud.collectionPrefix}${event}`]);
  expect(await storedFaces(event)).toEqual(await facesInCollection(event));
}, 120_000);

test('one upload whose event comes ten times at once is billed and stored once', async () => {
  const event = randomUUID();
  const key = `events/${event}/photo.jpg`;
  await put(key, 2);
  await Promise.all(Array.from({ length: 9 }, () => cloud.redeliver(key)));
  await cloud.idle();
  expect(await photosOf(event)).toMatchObject([{ status: 'indexed', face_count: 2 }]);
  expect(paidCalls(event)).toBe(1);
  expect(await storedFaces(event)).toHaveLength(2);
  expect(await storedFaces(event)).toEqual(await facesInCollection(event));
}, 120_000);

test('a newer upload replaces the faces; the old event, delivered late, changes nothing', async () => {
  const event = randomUUID();
  const key = `events/${event}/photo.jpg`;
  await put(key, 3);
  const old = await cloud.currentEvent(key);
  await cloud.idle();
  const before = await storedFaces(event);
  expect(before).toHaveLength(3);
  await put(key, 1, 200);
  await cloud.idle();
  const after = await storedFaces(event);
  expect(after).toHaveLength(1);
  expect(before).not.toContain(after[0]);

  const paid = paidCalls(event);
  await cloud.deliver(old!);
  await cloud.idle();
  expect(paidCalls(event)).toBe(paid);
  expect(await storedFaces(event)).toEqual(after);
  expect(await photosOf(event)).toMatchObject([{ status: 'indexed', face_count: 1 }]);
}, 120_000);

test('a collection that was deleted behind the pipeline is there again after the next photo', async () => {
  const event = randomUUID();
  await put(`events/${event}/1.jpg`, 1);
  await cloud.idle();
  await cloud.rekognition.send(
    new DeleteCollectionCommand({ CollectionId: `${cloud.collectionPrefix}${event}` }),
  );
  await put(`events/${event}/2.jpg`, 2);
  await cloud.idle();
  expect(await photosOf(event)).toMatchObject([{ status: 'indexed' }, { status: 'indexed', face_count: 2 }]);
  expect(await facesInCollection(event)).toHaveLength(2);
}, 120_000);
