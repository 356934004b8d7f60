/** Two stages run beside each other on one machine, and neither knows of the other. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import postgres from 'postgres';
import { logEvents } from '../../lambdas/shared/contract/names.ts';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { ask } from '../../ops/database.ts';
import { localDeployment } from '../../ops/deployment.ts';
import { startHarness } from '../faults/harness.ts';
import { CAPPED, IMAGES_OF_ONE, photographerCap } from '../faults/scenarios.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';
import { withinOneDay } from '../support/midnight.ts';

const folders: string[] = [];
const clouds: Cloud[] = [];
/** Everything that the Lambdas printed. */
const lines: string[] = [];

async function start(context: Record<string, string>): Promise<Cloud> {
  const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-stages-'));
  folders.push(stateDir);
  const cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    context,
    onLambdaOutput: (_, line) => lines.push(line),
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

test("of a photographer's photos exactly the cap is billed, whatever event they are of; everybody else's are indexed", async () => {
  const [CAP, EACH] = [4, 5];
  const cloud = await start({
    'rollcall.stage': 'capped',
    'rollcall.dailyImagesPerPhotographer': String(CAP),
    // Then nothing else needs the network's way to DynamoDB.
    'rollcall.api': 'none',
  });
  await withinOneDay(60_000);
  const admin = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const [mine, too, theirs, nobodys] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const [me, them] = [randomUUID(), randomUUID()];
    await admin`
      INSERT INTO events (id, photographer_id) VALUES (${mine}, ${me}), (${too}, ${me}), (${theirs}, ${them})`;
    const put = async (event: string) =>
      cloud.s3.send(
        new PutObjectCommand({
          Bucket: cloud.photoBucket,
          Key: `events/${event}/${randomUUID()}.jpg`,
          Body: await madePhoto(1),
        }),
      );
    const indexed = async () => {
      const rows = await admin<{ event_id: string; photos: number }[]>`
        SELECT event_id, count(*)::int AS photos FROM photos WHERE status = 'indexed' GROUP BY 1`;
      return new Map(rows.map(({ event_id, photos }) => [event_id, photos]));
    };
    const held = () =>
      new Set(
        lines
          .filter((line) => line.startsWith('{'))
          .map((line) => JSON.parse(line) as Record<string, unknown>)
          .filter(
            ({ event, error_type }) =>
              event === logEvents.attemptFailed && error_type === 'PhotographerCapReached',
          )
          .map(({ photo_id }) => photo_id),
      ).size;
    await Promise.all([mine, too].flatMap((event) => Array.from({ length: EACH }, () => put(event))));
    await Promise.all([theirs, nobodys].flatMap((event) => Array.from({ length: CAP }, () => put(event))));
    for (;;) {
      const of = await indexed();
      const others = [theirs, nobodys].every((event) => of.get(event) === CAP);
      if (others && held() === 2 * EACH - CAP) {
        break;
      }
      await sleep(200);
    }
    const of = await indexed();
    expect((of.get(mine) ?? 0) + (of.get(too) ?? 0)).toBe(CAP);
    expect(cloud.rekognitionCalls('IndexFaces')).toBe(3 * CAP);
    expect(cloud.waitingAfter()).toEqual(new Set(['PhotographerCapReached']));
  } finally {
    await admin.end();
  }
}, 180_000);

test('that holds while functions die and calls fail, and until an operator raises it for that photographer', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-capped-'));
  folders.push(stateDir);
  const photos = 3 * IMAGES_OF_ONE;
  // `npm run faults -- --scenario photographer-cap --seed N` strikes elsewhere.
  const seed = 7;
  const harness = await startHarness({
    stateDir,
    postgresPort: await freePort(),
    ...CAPPED,
  });
  try {
    const report = await photographerCap(harness, { photos, seed });
    expect(report).toMatchObject({ violations: [], indexed: photos });
    // An image whose answer was lost counts, and so holds one more.
    expect(report.held).toBeGreaterThanOrEqual(photos / 2 - IMAGES_OF_ONE);
  } finally {
    await harness.stop();
  }
}, 600_000);
