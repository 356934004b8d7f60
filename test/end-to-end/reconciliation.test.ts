import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateCollectionCommand,
  IndexFacesCommand,
  paginateListCollections,
} from '@aws-sdk/client-rekognition';
import { DeleteObjectCommand, PutObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import postgres from 'postgres';
import { type BusEvent, type Cloud, type ExecutionEnd, startCloud } from '../../local/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';
import { printedMetrics } from '../support/observability.ts';
import { once } from '../support/stories.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-reconciliation-'));
const wedding = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';
const forgotten = '8a2e3b71-4c63-4c1f-8b64-3d4e5f6a7b8c';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let cloud: Cloud;
let sql: postgres.Sql;
/** Whether S3's events get lost. */
let drops = false;
let lines: string[] = [];
/** Functions that were called. */
let invoked: string[] = [];

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    lambdaConcurrency: 1,
    rekognition: { findFaces: findMadeFaces },
    time: { retries: 0.02 },
    between: {
      invoke: (fn, payload, lambdas) => {
        invoked.push(fn.name);
        return lambdas.invoke(fn, payload);
      },
      event: (event: BusEvent, publish) => {
        if (!drops || event.source !== 'aws.s3') {
          publish(event);
        }
      },
    },
    onLambdaOutput: (_, line) => lines.push(line),
  });
  sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
}, 120_000);
afterAll(async () => {
  await sql?.end();
  await cloud?.stop({ abort: true });
  rmSync(stateDir, { recursive: true, force: true });
});

const keyOf = (event: string, name: string) => `events/${event}/${name}.jpg`;
const upload = async (name: string, faces: number, shade: number) =>
  cloud.s3.send(
    new PutObjectCommand({
      Bucket: cloud.photoBucket,
      Key: keyOf(wedding, name),
      Body: await madePhoto(faces, shade),
    }),
  );
const photo = async (name: string) =>
  (await sql`SELECT * FROM photos WHERE object_key = ${keyOf(wedding, name)}`)[0];

async function responsesOf(photoId: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client: cloud.s3 },
    { Bucket: cloud.resultsBucket, Prefix: `results/${wedding}/${photoId}/` },
  )) {
    keys.push(...Contents.map(({ Key }) => Key!));
  }
  return keys;
}

async function collections(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { CollectionIds = [] } of paginateListCollections({ client: cloud.rekognition }, {})) {
    ids.push(...CollectionIds);
  }
  return ids.sort();
}

/** A run some time from now, when what happened is settled; with the metrics and the lines that it printed. */
async function reconcile(inMs: number) {
  lines = [];
  const end = await cloud.reconcile(new Date(Date.now() + inMs));
  const values = Object.fromEntries(printedMetrics(lines).map(({ name, value }) => [name, value]));
  const logged = lines.filter((line) => line.startsWith('{') && !line.includes('"_aws"'));
  return { status: end.status, path: end.output, values, logged };
}

/** Two photos, and a run that finds all in agreement. */
const agreed = once(async () => {
  await upload('a', 2, 10);
  await upload('b', 0, 20);
  await cloud.idle();
  return reconcile(HOUR);
});

test('prints one metric line and nothing else where all agree, and leaves nothing behind', async () => {
  const run = await agreed();
  expect(run).toMatchObject({
    status: 'SUCCEEDED',
    values: { Reconciliations: 1, Disagreements: 0, DisagreementsLeft: 0, DisagreementAge: 0 },
    logged: [],
  });
  const kept: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client: cloud.s3 },
    { Bucket: cloud.resultsBucket, Prefix: 'reconciliations/' },
  )) {
    kept.push(...Contents.map(({ Key }) => Key!));
  }
  expect(kept).toEqual(['reconciliations/memory.json']);
}, 120_000);

test('asks nothing of the database while nothing happens, and asks again when something did', async () => {
  await agreed();
  const hourly = async (inMs: number) => {
    const rule = cloud.schedules.find(({ name }) => /ReconciliationHourly/.test(name))!;
    const ended = new Promise<ExecutionEnd>((resolve) => {
      const stop = cloud.onExecutionEnd((end) => {
        if (end.executionArn.includes('Reconciliation')) {
          stop();
          resolve(end);
        }
      });
    });
    invoked = [];
    cloud.fireSchedule(rule.name, new Date(Date.now() + inMs));
    return {
      ...(await ended),
      invoked: invoked.map((name) => /Reconciliation\w*?(?=[0-9A-F]{8}$)/.exec(name)?.[0]),
    };
  };
  const quiet = await hourly(HOUR);
  expect(quiet).toMatchObject({ status: 'SUCCEEDED', output: { next: 'skip' }, transitions: 3 });
  expect(quiet.invoked).toEqual(['ReconciliationBeginReconciliation']);

  await upload('c', 1, 25);
  await cloud.idle();
  // Too young to be judged.
  await expect(hourly(0)).resolves.toMatchObject({ output: { next: 'skip' } });
  // The time of an event is in whole seconds.
  const busy = await hourly(HOUR + 1_000);
  expect(busy.invoked).toContain('ReconciliationReadRows');
  await expect(hourly(HOUR + 1_000)).resolves.toMatchObject({ output: { next: 'skip' } });
}, 60_000);

test('mends what was lost by itself', async () => {
  await agreed();
  const collection = `${cloud.collectionPrefix}${wedding}`;
  drops = true;
  await upload('unseen', 3, 30);
  await cloud.s3.send(new DeleteObjectCommand({ Bucket: cloud.photoBucket, Key: keyOf(wedding, 'b') }));
  drops = false;
  // A photo that nobody knows.
  const stray = await cloud.rekognition.send(
    new IndexFacesCommand({
      CollectionId: collection,
      ExternalImageId: '9d2c4f60-71d4-4f5e-8a39-0f6f5b8f4c11',
      Image: { Bytes: await madePhoto(1, 40) },
    }),
  );
  expect(stray.FaceRecords).toHaveLength(1);
  for (const id of [`${cloud.collectionPrefix}${forgotten}`, `${cloud.collectionPrefix}staff`]) {
    await cloud.rekognition.send(new CreateCollectionCommand({ CollectionId: id }));
  }

  // A response that was stored when its execution had been stopped.
  const { id } = (await photo('a'))!;
  const stored = await responsesOf(id);
  expect(stored).toHaveLength(1);
  const late = stored[0]!.replace(/[^/]+$/, 'late.json');
  await cloud.s3.send(new PutObjectCommand({ Bucket: cloud.resultsBucket, Key: late, Body: '{}' }));

  const first = await reconcile(HOUR + 2_000);
  expect(first).toMatchObject({ status: 'SUCCEEDED', values: { Disagreements: 4, DisagreementsLeft: 0 } });
  expect(await responsesOf(id)).toEqual(stored);
  expect(await photo('unseen')).toMatchObject({ status: 'indexed', face_count: 3 });
  expect(await photo('b')).toMatchObject({ status: 'deleted' });
  const outbox =
    await sql`SELECT reason, faces FROM erasures WHERE finished_at IS NOT NULL ORDER BY reason, faces`;
  expect(outbox).toEqual([
    { reason: 'late_result', faces: 0 },
    { reason: 'late_result', faces: 1 },
    { reason: 'photo_deleted', faces: 0 },
  ]);
  // A collection without an event is waited for; one that is not an event's is somebody else's.
  expect(await collections()).toContain(`${cloud.collectionPrefix}${forgotten}`);

  const calls = cloud.rekognitionCalls('IndexFaces');
  const second = await reconcile(8 * DAY);
  expect(second).toMatchObject({ status: 'SUCCEEDED', values: { Disagreements: 0, DisagreementAge: 0 } });
  expect(await collections()).toEqual([collection, `${cloud.collectionPrefix}staff`].sort());
  expect(cloud.rekognitionCalls('IndexFaces')).toBe(calls);
  expect(cloud.privileges().denied).toEqual([]);
}, 180_000);
