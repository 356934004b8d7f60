/** Uploads as clients make them: through the local S3, whose events go to the cores over a real PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import { facePage, photoPage } from '../../lambdas/shared/photos/row-pages.ts';
import { compare } from '../../lambdas/shared/reconciliation/compare.ts';
import { localClientOptions } from '../../local/clients.ts';
import type { BusEvent } from '../../local/event-router.ts';
import { readRequest } from '../../local/iam/requests.ts';
import { type ObjectStore, startObjectStore } from '../../local/object-store.ts';
import { anyCharacter } from '../support/any-text.ts';
import { erasureWorld } from '../support/erasure-world.ts';
import { useTestDatabase } from '../support/postgres.ts';

const BUCKET = 'photos';
const database = useTestDatabase();
const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-uploads-'));
let world: ReturnType<typeof erasureWorld>;
let store: ObjectStore;
let s3: S3Client;
let events: BusEvent[] = [];

beforeAll(async () => {
  world = erasureWorld(database);
  store = await startObjectStore(folder, (event) => events.push(event));
  store.createBucket(BUCKET, { events: true });
  s3 = new S3Client({ ...localClientOptions, endpoint: store.endpoint, forcePathStyle: true });
});
afterAll(async () => {
  s3.destroy();
  await store.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  events = [];
});

const put = (Key: string, Body: string) => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));

interface S3Object {
  key: string;
  etag: string;
  sequencer: string;
}

let executions = 0;

/** What an event starts, up to its end. An upload has one face, named after its bytes. */
async function handle(event: BusEvent): Promise<void> {
  const { object } = event.detail as unknown as { object: S3Object };
  const { eventId: event_id, photoId: photo_id } = parsePhotoKey(object.key);
  const erase = (request: object) =>
    world.erase(request, {
      executionArn: `arn:aws:states:us-east-1:000000000000:execution:erase:u${++executions}`,
    });
  if (event['detail-type'] === 'Object Deleted') {
    await erase({ request: 'photo_deleted', object: { key: object.key, sequencer: object.sequencer } });
    return;
  }
  const upload = { version: object.etag, sequencer: object.sequencer, key: object.key };
  for (let attempt = 0; ; attempt++) {
    const indexed = await world.index({ event_id, photo_id }, upload, [`${object.etag}-${photo_id}`]);
    try {
      const { erasure_requested } = await indexed.persist();
      if (erasure_requested) {
        await erase({ request: 'outbox' });
      }
      return;
    } catch (error) {
      // The two ways back that the state machine has.
      const { name } = error as Error;
      if (attempt > 2 || !['FacesBeingErased', 'ResultNotFound'].includes(name)) {
        throw error;
      }
      await erase({ request: 'outbox' });
    }
  }
}

/** What the reconciliation finds of the event, with nothing under way. */
async function findings(eventId: string) {
  const { Contents: listed = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `events/${eventId}/` }),
  );
  const sql = database.pipeline;
  const faces = await facePage(sql, eventId, { limit: 1_000 });
  return compare(
    {
      eventId,
      erasedBefore: null,
      facesBefore: faces,
      faces,
      photos: await photoPage(sql, { event_id: eventId }, { limit: 1_000 }),
      leaving: new Set(),
      objects: listed.map(({ Key, ETag, Size }) => ({
        key: Key!,
        etag: ETag!.replaceAll('"', ''),
        size: Size!,
        uploadedAt: '2026-05-01T10:00:00Z',
      })),
      responses: [],
      collection: faces.map(({ photo_id, rekognition_face_id }) => ({
        faceId: rekognition_face_id!,
        externalImageId: photo_id,
      })),
    },
    new Date(Date.now() + 60_000),
  );
}

describe('a key is what its uploader wrote, everywhere', () => {
  const room = 1_024 - `events/${randomUUID()}/.jpg`.length;

  test.each([
    ['two slashes', '//a.jpg'],
    ['a folder above', 'x/../a.jpg'],
    ['only folders above', '../../a.jpg'],
    ['a folder that is this one', './a.jpg'],
    ['what looks encoded', 'a+b c%20d%2Fe.jpg'],
    ['a blank at its end', 'a.jpg '],
    ['a blank before its extension', ' a .jpg'],
    ['a newline', 'a\nb.jpg'],
    ['control characters', 'a\x01\x1f\x7f\tb.jpg'],
    ['markup', '<tag>&amp;"q"\'.jpg'],
    ['a question and a number', '?list-type=2#1&versionId=x.jpg'],
    ['composed letters', 'Müller é.jpg'.normalize('NFC')],
    ['the same, taken apart', 'Müller é.jpg'.normalize('NFD')],
    ['what lies beyond 16 bits', '😀🎉.jpg'],
    ['1,024 bytes', `${'ü'.repeat(Math.floor(room / 2))}${'x'.repeat(room % 2)}.jpg`],
  ])('%s', async (_, name) => {
    const eventId = randomUUID();
    const key = `events/${eventId}/${name}`;
    await put(key, name);
    expect(events.map(({ detail }) => (detail as unknown as { object: S3Object }).object.key)).toEqual([key]);
    const stored = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    await expect(stored.Body!.transformToString()).resolves.toBe(name);
    await handle(events[0]!);
    const [row] = await photoPage(database.pipeline, { event_id: eventId }, { limit: 10 });
    expect(row).toMatchObject({ object_key: key, status: 'indexed', id: parsePhotoKey(key).photoId });
    await expect(findings(eventId)).resolves.toEqual([]);
  });

  test('also for the local IAM, which judges the key and no other', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc
            .string({ unit: anyCharacter, minLength: 1, maxLength: 20 })
            .filter((text) => text.isWellFormed()),
          fc
            .array(fc.constantFrom('..', '.', '', 'a', '?', '#', '%2e%2e', '\\'))
            .map((parts) => parts.join('/')),
        ),
        (name) => {
          const key = `events/${name}`;
          const url = `/${BUCKET}/${key.split('/').map(encodeURIComponent).join('/')}?x-id=GetObject`;
          const { calls } = readRequest.s3({ method: 'GET', path: url, headers: {}, body: Buffer.alloc(0) });
          expect(calls).toEqual([{ action: 's3:GetObject', resource: `arn:aws:s3:::${BUCKET}/${key}` }]);
        },
      ),
    );
  });

  test('two spellings of one name are two photos', async () => {
    const eventId = randomUUID();
    for (const form of ['NFC', 'NFD']) {
      await put(`events/${eventId}/Müller.jpg`.normalize(form), form);
    }
    for (const event of events) {
      await handle(event);
    }
    await expect(photoPage(database.pipeline, { event_id: eventId }, { limit: 10 })).resolves.toHaveLength(2);
    await expect(findings(eventId)).resolves.toEqual([]);
  });
});

describe('whatever way and order', () => {
  const anEvent = () => {
    const eventId = randomUUID();
    return { eventId, key: `events/${eventId}/${randomUUID()}.jpg` };
  };
  const row = async (key: string) =>
    (await database.admin`SELECT * FROM photos WHERE id = ${parsePhotoKey(key).photoId}`)[0];
  const etagOf = async (key: string) =>
    (await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))).ETag!.replaceAll('"', '');

  test('five uploads of one key at once: the one that lies there is indexed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }), async (order) => {
        events = [];
        const { eventId, key } = anEvent();
        await Promise.all([0, 1, 2, 3, 4].map((n) => put(key, `picture ${n}`)));
        expect(events).toHaveLength(5);
        await Promise.all(order.map((n) => handle(events[n]!)));
        expect(await row(key)).toMatchObject({ status: 'indexed', object_version: await etagOf(key) });
        expect(await findings(eventId)).toEqual([]);
      }),
      { numRuns: 4 },
    );
  });

  test('in parts: one event, with the ETag of all of them', async () => {
    const { eventId, key } = anEvent();
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: key }));
    const Parts = [];
    for (const [n, Body] of ['x'.repeat(5 * 1024 * 1024), 'end'].entries()) {
      const part = { Bucket: BUCKET, Key: key, UploadId, PartNumber: n + 1 };
      const { ETag } = await s3.send(new UploadPartCommand({ ...part, Body }));
      Parts.push({ ETag, PartNumber: n + 1 });
    }
    await s3.send(
      new CompleteMultipartUploadCommand({ Bucket: BUCKET, Key: key, UploadId, MultipartUpload: { Parts } }),
    );
    expect(events).toHaveLength(1);
    await handle(events[0]!);
    expect(await row(key)).toMatchObject({ object_version: expect.stringMatching(/^[0-9a-f]{32}-2$/) });
    expect(await findings(eventId)).toEqual([]);
  });

  test('copied onto itself: the same photo, not a second one', async () => {
    const { eventId, key } = anEvent();
    await put(key, 'picture');
    const CopySource = `${BUCKET}/${key}`;
    await s3.send(
      new CopyObjectCommand({ Bucket: BUCKET, Key: key, CopySource, MetadataDirective: 'REPLACE' }),
    );
    expect(events).toHaveLength(2);
    for (const event of events.toReversed()) {
      await handle(event);
    }
    expect(await row(key)).toMatchObject({ status: 'indexed', face_count: 1 });
    expect(await findings(eventId)).toEqual([]);
  });

  test.each([
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ])('copied to another key, and the first one deleted, told in the order %i %i %i', async (...order) => {
    const { eventId, key } = anEvent();
    const renamed = key.replace('.jpg', '.JPG');
    await put(key, 'picture');
    await s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: renamed, CopySource: `${BUCKET}/${key}` }));
    await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(events).toHaveLength(3);
    for (const n of order) {
      await handle(events[n]!);
    }
    expect(await row(renamed)).toMatchObject({ status: 'indexed', object_key: renamed, face_count: 1 });
    expect(await findings(eventId)).toEqual([]);
  });
});
