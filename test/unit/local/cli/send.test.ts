import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { parsePhotoKey } from '../../../../lambdas/shared/contract/photo-key.ts';
import type { StoredPhoto } from '../../../../local/cli/database.ts';
import { listPhotos, type Photo } from '../../../../local/cli/photo-list.ts';
import { scanFolder } from '../../../../local/cli/scan.ts';
import {
  nextStep,
  type PhotoExecutionEnd,
  type PhotoObject,
  type PhotoPipeline,
  sendPhotos,
} from '../../../../local/cli/send.ts';
import { PART_BYTES, readContent, storedObject, upload } from '../../../../local/cli/upload.ts';
import { localClientOptions } from '../../../../local/clients.ts';
import { type ObjectStore, startObjectStore } from '../../../../local/object-store.ts';
import { seededRandom } from '../../../support/random.ts';

const EVENT = '0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60';
const BUCKET = 'photos';
const random = seededRandom(1);
const FOLDER = 'a folder';

const storedEtag = async (key: string) => (await storedObject(s3, BUCKET, key))?.etag;

let root: string;
let store: ObjectStore;
let s3: S3Client;
let state: string;
let onCreated: (key: string, etag: string) => void;

beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), 'rollcall-send-'));
  store = await startObjectStore(state, ({ detail }) => {
    const { key, etag } = detail.object as { key: string; etag: string };
    onCreated(key, etag);
  });
  store.createBucket(BUCKET, { events: true });
  s3 = new S3Client({ ...localClientOptions, endpoint: store.endpoint, forcePathStyle: true });
});
afterAll(async () => {
  s3.destroy();
  await store.stop();
  rmSync(state, { recursive: true, force: true });
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rollcall-send-'));
  onCreated = () => {};
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(file: string, content: Buffer | string): string {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

describe('readContent and upload', () => {
  test.each([0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 2 * PART_BYTES + 7])(
    'foretell the ETag of a file of %d bytes',
    async (size) => {
      const path = write('photo.jpg', randomBytes(size));
      const content = await readContent(path);
      const key = `events/${EVENT}/${size}.jpg`;
      const seen: string[] = [];
      onCreated = (created, etag) => seen.push(created, etag);
      expect(content.size).toBe(size);
      expect(await storedEtag(key)).toBeUndefined();
      expect(await upload(s3, { bucket: BUCKET, key, folderId: FOLDER }, path, content)).toBe(content.etag);
      expect(await storedEtag(key)).toBe(content.etag);
      expect(seen).toEqual([key, content.etag]);
    },
  );

  test.each([
    '100% #1?.jpg',
    'a+b & c=d.jpg',
    "it's (1) [2]!*.jpg",
    '日本/Müller.jpg',
    '%2F%20.jpg',
    'x'.repeat(200),
  ])('carry the name %s', async (name) => {
    const key = `events/${EVENT}/${name}`;
    const path = write('photo.jpg', name);
    const seen: string[] = [];
    onCreated = (created) => seen.push(created);
    const content = await readContent(path);
    await upload(s3, { bucket: BUCKET, key, folderId: FOLDER }, path, content);
    expect(seen).toEqual([key]);
    expect(await storedEtag(key)).toBe(content.etag);
  });
});

const row = (more: Partial<StoredPhoto>): StoredPhoto => ({
  id: 'id',
  event_id: EVENT,
  object_version: 'v1',
  status: 'indexed',
  face_count: 1,
  unindexed_count: 0,
  failure_code: null,
  failure_message: null,
  failure_retryable: null,
  ...more,
});

describe('nextStep', () => {
  test.each<[string, string | undefined, StoredPhoto | undefined, ReturnType<typeof nextStep>]>([
    ['nothing in S3', undefined, undefined, 'upload'],
    ['another version in S3, even if this one is stored', 'v0', row({}), 'upload'],
    ['in S3 but not stored', 'v1', undefined, 'redeliver'],
    ['stored in another version', 'v1', row({ object_version: 'v0' }), 'redeliver'],
    ['registered, but never at its end', 'v1', row({ status: 'processing' }), 'redeliver'],
    ['failed for a cause that passes', 'v1', row({ status: 'failed', failure_retryable: true }), 'redeliver'],
    ['failed for good', 'v1', row({ status: 'failed', failure_retryable: false }), 'nothing'],
    ['indexed', 'v1', row({}), 'nothing'],
    ['erased with its event', 'v1', row({ status: 'erased', face_count: null }), 'upload'],
  ])('%s', (_, inS3, stored, step) => {
    expect(nextStep('v1', inS3, stored)).toBe(step);
  });
});

describe('sendPhotos', () => {
  /** The real S3 and its events, with executions that only take time. */
  function startPipeline(
    execute: (key: string) => Promise<PhotoExecutionEnd | undefined>,
    resumed: readonly PhotoObject[] = [],
  ) {
    const listeners = new Set<(object: PhotoObject, end: PhotoExecutionEnd) => void>();
    const running = new Set<Promise<void>>();
    const redelivered: string[] = [];
    const uploaded: string[] = [];
    let most = 0;
    const start = (object: PhotoObject): void => {
      const execution = execute(object.key).then((end) => {
        running.delete(execution);
        if (end) {
          for (const listener of listeners) {
            listener(object, end);
          }
        }
      });
      running.add(execution);
      most = Math.max(most, running.size);
    };
    onCreated = (key, etag) => start({ key, etag });
    resumed.forEach(start);
    const pipeline: PhotoPipeline = {
      stored: (key) => storedObject(s3, BUCKET, key),
      upload: ({ key, path, folderId }, content) => {
        uploaded.push(key);
        return upload(s3, { bucket: BUCKET, key, folderId }, path, content);
      },
      async redeliver(key) {
        redelivered.push(key);
        start({ key, etag: (await storedEtag(key))! });
      },
      onPhotoEnd(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      async idle() {
        await Promise.all(running);
      },
      hasResumed: resumed.length > 0,
    };
    return { pipeline, uploaded, redelivered, listeners, most: () => most };
  }

  async function photosOf(event: string, files: Record<string, string>, folderId = FOLDER): Promise<Photo[]> {
    for (const [file, content] of Object.entries(files)) {
      write(file, content);
    }
    return listPhotos(event, await scanFolder(root), folderId).photos;
  }

  const never = new AbortController().signal;
  const done: PhotoExecutionEnd = { status: 'SUCCEEDED', faceCount: 2 };

  test('brings every photo to its end, a few at a time', async () => {
    const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${i}.jpg`, String(i)]));
    const photos = await photosOf('11111111-1111-1111-1111-111111111111', files);
    const { pipeline, uploaded, listeners, most } = startPipeline(async () => {
      await sleep(5 * random());
      return done;
    });
    let faces = 0;
    const { sent, notSent } = await sendPhotos(photos, new Map(), pipeline, never, (found) => {
      faces += found;
    });
    expect(notSent).toEqual([]);
    expect(new Set(sent.map(({ photo }) => photo.file))).toEqual(new Set(Object.keys(files)));
    expect(sent.every(({ known, end }) => !known && end === done)).toBe(true);
    expect(uploaded).toHaveLength(60);
    expect(faces).toBe(120);
    expect(most()).toBeGreaterThan(1);
    expect(most()).toBeLessThanOrEqual(12);
    expect(listeners.size).toBe(0);
  });

  test('sends nothing twice: what is at its end is known, what is not gets its event again, what changed is put', async () => {
    const event = '22222222-2222-2222-2222-222222222222';
    const first = await photosOf(event, { 'a.jpg': 'a', 'b.jpg': 'b', 'c.jpg': 'c' });
    const { pipeline, uploaded, redelivered } = startPipeline(async () => done);
    const { sent } = await sendPhotos(first, new Map(), pipeline, never, () => {});
    const stored = new Map(
      sent
        .filter(({ photo }) => photo.file !== 'b.jpg')
        .map(({ photo, version }) => [
          photo.photoId,
          row({ event_id: event, object_version: version, face_count: 7 }),
        ]),
    );
    uploaded.length = 0;

    const second = await photosOf(event, { 'c.jpg': 'another picture' });
    const faces: number[] = [];
    const again = await sendPhotos(second, stored, pipeline, never, (found) => faces.push(found));
    expect(again.sent.find(({ photo }) => photo.file === 'a.jpg')).toMatchObject({ known: true });
    expect(redelivered).toEqual([`events/${event}/b.jpg`]);
    expect(uploaded).toEqual([`events/${event}/c.jpg`]);
    expect(faces.sort()).toEqual([2, 2, 7]);
  });

  test('what cannot be sent is told, and stops nothing', async () => {
    const event = '33333333-3333-3333-3333-333333333333';
    const photos = await photosOf(event, {
      'gone.jpg': 'a',
      'ok.jpg': 'b',
      'refused.jpg': 'c',
      'taken.jpg': 'd',
    });
    rmSync(join(root, 'gone.jpg'));
    const { pipeline } = startPipeline(async () => done);
    const taken = photos.find(({ file }) => file === 'taken.jpg')!;
    const { sent, notSent } = await sendPhotos(
      photos,
      new Map([[taken.photoId, row({ event_id: EVENT })]]),
      {
        ...pipeline,
        upload: (photo, content) =>
          photo.file === 'refused.jpg'
            ? Promise.reject(new Error('Slow down'))
            : pipeline.upload(photo, content),
      },
      never,
      () => {},
    );
    expect(sent.map(({ photo }) => photo.file)).toEqual(['ok.jpg']);
    expect(notSent.map(({ file, code, reason }) => [file, code, reason]).sort()).toEqual([
      ['gone.jpg', 'FileUnreadable', 'it does not exist'],
      ['refused.jpg', 'UploadFailed', 'Slow down'],
      ['taken.jpg', 'DuplicatePhoto', `its photo id is that of a photo of event ${EVENT}`],
    ]);
  });

  test('an interruption ends the waiting, and nothing more is sent', async () => {
    const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}.jpg`, String(i)]));
    const photos = await photosOf('44444444-4444-4444-4444-444444444444', files);
    const controller = new AbortController();
    // Ten end, and with a dozen on their way no more can be sent.
    let executions = 0;
    const { pipeline, uploaded, listeners } = startPipeline(() =>
      ++executions <= 10 ? Promise.resolve(done) : new Promise(() => {}),
    );
    let ended = 0;
    const sending = sendPhotos(photos, new Map(), pipeline, controller.signal, () => {
      ended++;
    });
    while (ended < 10 || executions < 22) {
      await sleep(1);
    }
    controller.abort();
    await sending;
    expect(ended).toBe(10);
    expect(uploaded).toHaveLength(22);
    expect(listeners.size).toBe(0);
  });

  test('photos whose execution is under way again are waited for, and sent only if there is none', async () => {
    const event = '66666666-6666-6666-6666-666666666666';
    const photos = await photosOf(event, {
      'early.jpg': 'a',
      'late.jpg': 'b',
      'none.jpg': 'c',
      'old.jpg': 'd',
    });
    const objects: PhotoObject[] = [];
    for (const { key, path } of photos) {
      const content = await readContent(path);
      await upload(s3, { bucket: BUCKET, key, folderId: FOLDER }, path, content);
      objects.push({ key, etag: content.etag });
    }
    write('old.jpg', 'another picture');
    const [early, late, , old] = objects;
    let executions = 0;
    const { pipeline, redelivered, uploaded } = startPipeline(
      async (key) => {
        executions++;
        await sleep(key.endsWith('late.jpg') || key.endsWith('old.jpg') ? 200 : 0);
        return { ...done, faceCount: key.endsWith('old.jpg') ? executions : 2 };
      },
      [early!, late!, old!],
    );
    const { sent } = await sendPhotos(photos, new Map(), pipeline, never, () => {});
    expect(redelivered).toEqual([photos[2]!.key]);
    expect(uploaded).toEqual([photos[3]!.key]);
    expect(executions).toBe(5);
    expect(sent).toHaveLength(4);
    const changed = sent.find(({ photo }) => photo.file === 'old.jpg')!;
    expect(changed.version).not.toBe(old!.etag);
    expect(changed.end).toBeDefined();
  }, 20_000);

  test('two folders of one event do not replace each other’s photos, and one may replace its own', async () => {
    const event = randomUUID();
    const send = async (folderId: string, files: Record<string, string>) => {
      rmSync(root, { recursive: true });
      const photos = await photosOf(event, files, folderId);
      const { pipeline, uploaded } = startPipeline(async () => done);
      const { notSent } = await sendPhotos(photos, new Map(), pipeline, never, () => {});
      return { uploaded, notSent };
    };
    const keyOf = (name: string) => `events/${event}/${name}`;
    const large = (letter: string) => letter.repeat(PART_BYTES + 1);
    await send('first', { 'IMG_1.jpg': 'one', 'IMG_2.jpg': 'same', 'IMG_3.jpg': large('a') });
    const second = await send('second', {
      'IMG_1.jpg': 'another',
      'IMG_2.jpg': 'same',
      'IMG_3.jpg': large('b'),
      'IMG_4.jpg': 'four',
    });
    expect(second.notSent).toEqual(
      ['IMG_1.jpg', 'IMG_3.jpg'].map((file) => ({
        file,
        photoId: parsePhotoKey(keyOf(file)).photoId,
        code: 'NameTaken',
        reason: expect.stringContaining('--event'),
      })),
    );
    expect(second.uploaded).toEqual([keyOf('IMG_4.jpg')]);
    const edited = await send('first', { 'IMG_1.jpg': 'one, edited' });
    expect(edited).toEqual({ uploaded: [keyOf('IMG_1.jpg')], notSent: [] });
  });

  test('a photo whose event was lost does not hold up the others for ever', async () => {
    const photos = await photosOf('55555555-5555-5555-5555-555555555555', { 'a.jpg': 'a', 'lost.jpg': 'b' });
    const { pipeline } = startPipeline(async (key) => (key.endsWith('lost.jpg') ? undefined : done));
    const { sent } = await sendPhotos(photos, new Map(), pipeline, never, () => {});
    expect(sent.find(({ photo }) => photo.file === 'a.jpg')?.end).toBe(done);
    expect(sent.find(({ photo }) => photo.file === 'lost.jpg')?.end).toBeUndefined();
  }, 20_000);
});
