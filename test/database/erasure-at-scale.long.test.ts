import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListFacesCommand, RekognitionClient } from '@aws-sdk/client-rekognition';
import { removeFaces } from '../../lambdas/remove-faces/remove-faces.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { removeFacesRequestSchema } from '../../lambdas/shared/erasure/contract.ts';
import { evenPace } from '../../lambdas/shared/rekognition/pace.ts';
import { CollectionStore } from '../../local/rekognition/collections.ts';
import { type RekognitionServer, startRekognition } from '../../local/rekognition/server.ts';
import { erasureWorld } from '../support/erasure-world.ts';
import { startTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { seededRandom } from '../support/random.ts';

const random = seededRandom(1);

/** Where DeleteFaces, DeleteCollection and ListFaces all have five calls a second. */
const REGION = 'eu-central-1';
const PHOTOS = 400;
const FACES_A_PHOTO = 25;

let database: TestDatabase;
let folder: string;
let server: RekognitionServer | undefined;
let rekognition: RekognitionClient | undefined;

beforeAll(async () => {
  database = await startTestDatabase();
  folder = await mkdtemp(path.join(tmpdir(), 'rollcall-erasure-'));
}, 60_000);
afterEach(async () => {
  payloads = [];
  paced = 0;
  rekognition?.destroy();
  await server?.close();
});
afterAll(async () => {
  await database?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** An event of 10,000 faces: members of a collection behind the wire, with its quota, and rows. */
async function largeEvent() {
  const eventId = randomUUID();
  const collectionId = `rollcall-${eventId}`;
  const dataDir = path.join(folder, eventId);
  const store = await CollectionStore.open({
    folder: dataDir,
    facesPerCollection: 1_000_000,
    now: Date.now,
  });
  await store.create(collectionId, {});
  const photos: { photo_id: string; faces: string[] }[] = [];
  for (let i = 0; i < PHOTOS; i++) {
    const photo_id = randomUUID();
    const faces = await store.index(
      collectionId,
      { hash: photo_id, externalImageId: photo_id },
      Array.from({ length: FACES_A_PHOTO }, (_, face) => ({
        boundingBox: { Left: face / FACES_A_PHOTO, Top: 0, Width: 0.09, Height: 0.2 },
        confidence: 99,
        descriptor: Float32Array.from({ length: 128 }, random),
      })),
    );
    photos.push({ photo_id, faces: faces.map(({ faceId }) => faceId) });
  }
  await database.admin`
    INSERT INTO events (id, rekognition_collection_id) VALUES (${eventId}, ${collectionId})`;
  await database.admin`
    INSERT INTO photos (id, event_id, object_key, object_version, object_sequencer, status, face_count, indexed_at)
    SELECT (photo ->> 'photo_id')::uuid, ${eventId}, 'events/' || ${eventId} || '/' || (photo ->> 'photo_id') || '.jpg',
           'v1', '10', 'indexed', ${FACES_A_PHOTO}, now()
    FROM jsonb_array_elements(${database.admin.json(photos)}) AS photos (photo)`;
  await database.admin`
    INSERT INTO faces (photo_id, rekognition_face_id)
    SELECT (photo ->> 'photo_id')::uuid, face
    FROM jsonb_array_elements(${database.admin.json(photos)}) AS photos (photo),
         jsonb_array_elements_text(photo -> 'faces') AS faces (face)`;

  server = await startRekognition({
    dataDir,
    region: REGION,
    warmUp: false,
    getObject: () => Promise.reject(new Error('nothing is read here')),
  });
  rekognition = new RekognitionClient({
    endpoint: server.endpoint,
    region: REGION,
    maxAttempts: 1,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  return { eventId, collectionId, photos };
}

/** What travels through Step Functions, in bytes. */
let payloads: number[] = [];
/** Calls whose turn was waited for. */
let paced = 0;

/** The erasure as it is deployed, against that endpoint. */
function eraser() {
  const world = erasureWorld(database);
  const evenly = evenPace(5, { now: Date.now, sleep: (ms) => sleep(ms) });
  const pace = () => {
    paced += 1;
    return evenly();
  };
  world.tasks.RemoveFaces = async (request) => {
    const removed = await removeFaces(
      {
        rekognition: rekognition!,
        s3: world.s3.client,
        telemetry: world.recording.telemetry,
        resultsBucket: 'results',
        pace,
        now: Date.now,
      },
      parseRequest(removeFacesRequestSchema, request).batch,
    );
    payloads.push(Buffer.byteLength(JSON.stringify(request)), Buffer.byteLength(JSON.stringify(removed)));
    return removed;
  };
  return world;
}

test('an event of 10,000 faces is erased in two calls', async () => {
  const { eventId, collectionId } = await largeEvent();
  const world = eraser();
  const run = await world.erase({ request: 'event', event_id: eventId });
  expect(run.output).toMatchObject({ receipts: [{ faces: PHOTOS * FACES_A_PHOTO, photos: PHOTOS }] });
  expect(server!.calls()).toMatchObject({
    DeleteCollection: { accepted: 1, throttled: 0 },
    ListFaces: { accepted: 1, throttled: 0 },
  });
  expect(paced).toBe(2);
  await expect(rekognition!.send(new ListFacesCommand({ CollectionId: collectionId }))).rejects.toMatchObject(
    { name: 'ResourceNotFoundException' },
  );
}, 90_000);

test('10,000 faces of 400 deleted photos are erased in a few calls, each of which waits for its turn', async () => {
  const { eventId, collectionId, photos } = await largeEvent();
  const world = eraser();
  const deletions = photos.map(({ photo_id }, i) => ({
    executionArn: `arn:deletion:${i}`,
    input: {
      request: 'photo_deleted',
      object: { key: `events/${eventId}/${photo_id}.jpg`, sequencer: '20' },
    },
  }));
  // The deletions arrive together; the first execution that has its turn works off what all of them asked for.
  for (let i = 0; i < deletions.length; i += 50) {
    await Promise.all(
      deletions
        .slice(i, i + 50)
        .map(({ input, executionArn }) => world.tasks.RequestErasure({ input, execution_arn: executionArn })),
    );
  }
  const run = await world.erase({ request: 'outbox' });
  expect(run.status).toBe('SUCCEEDED');
  // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html, with room for the rest of the state
  expect(Math.max(...payloads)).toBeGreaterThan(150_000);
  expect(Math.max(...payloads)).toBeLessThan(250_000);
  const { DeleteFaces, ListFaces } = server!.calls();
  // So few would not be throttled in any case: the pace itself is in test/unit/lambdas/shared/rekognition/pace.test.ts.
  expect(paced).toBe(DeleteFaces.accepted + ListFaces.accepted);
  expect([DeleteFaces.throttled, ListFaces.throttled]).toEqual([0, 0]);
  expect(DeleteFaces.accepted).toBeLessThanOrEqual(5);
  const { Faces } = await rekognition!.send(new ListFacesCommand({ CollectionId: collectionId }));
  expect(Faces).toEqual([]);
  const receipts = await world.receipts(eventId);
  expect(receipts).toHaveLength(PHOTOS);
  expect(receipts.every(({ finished_at, faces }) => finished_at && faces === FACES_A_PHOTO)).toBe(true);
}, 120_000);
