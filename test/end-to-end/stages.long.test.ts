/** Two stages run beside each other on one machine, and neither knows of the other. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { ask } from '../../ops/database.ts';
import { localDeployment } from '../../ops/deployment.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';

const folders: string[] = [];
const clouds: Cloud[] = [];

async function start(context: Record<string, string>): Promise<Cloud> {
  const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-stages-'));
  folders.push(stateDir);
  const cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    context,
    rekognition: { findFaces: findMadeFaces },
  });
  clouds.push(cloud);
  return cloud;
}

afterAll(async () => {
  await Promise.all(clouds.map((cloud) => cloud.stop({ abort: true })));
  for (const folder of folders) {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a photo in one is not a photo of the other', async () => {
  const [live, test] = [await start({}), await start({ 'rollcall.stage': 'test' })];
  expect(live.collectionPrefix).toBe('rollcall-');
  expect(test.collectionPrefix).toBe('rollcall.test-');
  expect(test.photoBucket).not.toBe(live.photoBucket);
  const event = randomUUID();
  const key = `events/${event}/${randomUUID()}.jpg`;
  await test.s3.send(
    new PutObjectCommand({ Bucket: test.photoBucket, Key: key, Body: await madePhoto(2, 10) }),
  );
  await Promise.all([live.idle(), test.idle()]);
  const photosOf = async (cloud: Cloud) => {
    const deployment = localDeployment(cloud.services);
    try {
      return await ask(deployment, { ask: 'photos', event_id: event });
    } finally {
      deployment.close();
    }
  };
  await expect(photosOf(test)).resolves.toMatchObject([
    { object_key: key, status: 'indexed', face_count: 2 },
  ]);
  await expect(photosOf(live)).resolves.toEqual([]);
  expect(test.rekognitionCalls('IndexFaces')).toBe(1);
  expect(live.rekognitionCalls('IndexFaces')).toBe(0);
}, 120_000);
