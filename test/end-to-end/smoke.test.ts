import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import { paginateListCollections } from '@aws-sdk/client-rekognition';
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import postgres from 'postgres';
import { type Cloud, startCloud } from '../../local/cloud.ts';
import { cases } from '../support/effort.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces } from '../support/made-photos.ts';

/** Of the retries' delays, and so of the 90 s for which a function that was idle is not ready. */
const RETRY_SCALE = 0.02;

const root = join(import.meta.dirname, '../..');
const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-smoke-'));
/** What Service Quotas says. */
let appliedQuota = 40;
let cloud: Cloud;
let sql: postgres.Sql;
/** Whatever IndexFaces waits for, and what it answers. */
let gate: Promise<void> | undefined;
let refused: string | undefined;
/** The function that nobody has called for weeks: part of its name. */
let idle: RegExp | undefined;

beforeAll(async () => {
  cloud = await startCloud({
    stateDir,
    postgresPort: await freePort(),
    time: { retries: RETRY_SCALE },
    between: {
      async invoke(fn, payload, lambdas) {
        if (idle?.test(fn.name)) {
          idle = undefined;
          lambdas.deactivate(fn, 90_000 * RETRY_SCALE);
        }
        return lambdas.invoke(fn, payload);
      },
    },
    appliedQuota: () => appliedQuota,
    rekognition: {
      // Which three people they are does not matter here.
      findFaces: () => findMadeFaces({ width: 630 }),
      async intercept(operation) {
        if (operation === 'IndexFaces') {
          await gate;
          return refused ? { error: { name: refused as 'InvalidImageFormatException' } } : undefined;
        }
        return undefined;
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

/** `npm run ops -- smoke --local`, which operates the run of this process. */
function smoke(...argv: string[]) {
  const child = spawn(process.execPath, [join(root, 'ops/main.ts'), 'smoke', '--local', ...argv], {
    cwd: root,
    env: { PATH: process.env.PATH!, ROLLCALL_STATE_DIR: stateDir, HOME: stateDir },
  });
  const told = { stdout: '', stderr: '' };
  const waiting = new Set<() => void>();
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      told[stream] += text;
      for (const look of waiting) {
        look();
      }
    });
  }
  const ended = new Promise<typeof told & { exitCode: number | null }>((resolve) => {
    child.on('close', (exitCode) => resolve({ ...told, exitCode }));
  });
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      const look = () => pattern.test(told.stderr) && resolve();
      waiting.add(look);
      look();
    });
  return { child, ended, says };
}

/** What of a photo is still there. */
async function traces() {
  await cloud.idle();
  const collections: string[] = [];
  for await (const { CollectionIds = [] } of paginateListCollections({ client: cloud.rekognition }, {})) {
    collections.push(...CollectionIds);
  }
  const objects: string[] = [];
  for (const Bucket of [cloud.photoBucket, cloud.resultsBucket]) {
    for await (const { Contents = [] } of paginateListObjectsV2({ client: cloud.s3 }, { Bucket })) {
      objects.push(...Contents.map(({ Key }) => Key!));
    }
  }
  const faces = await sql`SELECT FROM faces`;
  const photos = await sql<{ status: string }[]>`SELECT status FROM photos WHERE status <> 'deleted'`;
  return { collections, objects, faces: faces.length, photos: photos.map(({ status }) => status) };
}
const NOTHING = { collections: [], objects: [], faces: 0, photos: [] };

test('the quota of the account has been read by then, is the pace, and is read again every day', async () => {
  const quota = async () => {
    const { Item } = await cloud.dynamodb.send(
      new GetItemCommand({
        TableName: cloud.outputs.SlotLedgerTableName,
        Key: { id: { S: 'index-faces' } },
      }),
    );
    return Item?.quota_per_second?.N;
  };
  await expect(quota()).resolves.toBe('40');
  appliedQuota = 60;
  cloud.fireSchedule(cloud.schedules.find(({ name }) => /QuotaReadingDaily/.test(name))!.name);
  await cloud.idle();
  await expect(quota()).resolves.toBe('60');
});

test('a photo goes through and leaves nothing behind, step by step', async () => {
  const { exitCode, stdout, stderr } = await smoke('--yes').ended;
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  const steps = stderr.split('\n').filter(Boolean);
  expect(steps).toEqual([
    expect.stringMatching(/^ {2}uploaded +[\d.]+ m?s {2}events\/[0-9a-f-]{36}\/[0-9a-f-]{36}\.jpg$/),
    expect.stringMatching(/^ {2}indexed +[\d.]+ m?s {2}3 faces$/),
    expect.stringMatching(/^ {2}erased +[\d.]+ m?s {2}photo and event, receipt [0-9a-f-]{36}$/),
  ]);
  expect(stdout).toMatch(/^It works: [\d.]+ m?s from the upload until all of it was erased again\.\n$/);
  await expect(traces()).resolves.toEqual(NOTHING);
}, 60_000);

test('a look before it sends nothing', async () => {
  await expect(smoke('--dry-run').ended).resolves.toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^Would send one photo through the local run/),
  });
  await expect(smoke().ended).resolves.toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/--yes goes ahead/),
  });
  await expect(traces()).resolves.toEqual(NOTHING);
}, 60_000);

test('a photo that fails says where to look, and is erased all the same', async () => {
  refused = 'InvalidImageFormatException';
  const { exitCode, stdout } = await smoke('--yes').ended;
  refused = undefined;
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(
    /^The photo is failed: InvalidImageFormat .*\. What was sent is erased again\.\nLook at `npm run ops -- status --local`; /,
  );
  await expect(traces()).resolves.toEqual(NOTHING);
}, 60_000);

test('Ctrl-C in its middle erases what there is by then', async () => {
  const held = Promise.withResolvers<void>();
  gate = held.promise;
  const { child, ended, says } = smoke('--yes');
  await says(/uploaded/);
  child.kill('SIGINT');
  // It waits for the execution, which would bring the faces back.
  setTimeout(() => held.resolve(), 1_000);
  const { exitCode, stdout } = await ended;
  gate = undefined;
  expect(stdout).toBe('Interrupted. What was sent is erased again.\n');
  expect(exitCode).toBe(130);
  await expect(traces()).resolves.toEqual(NOTHING);
}, 60_000);

test.each(['PersistResults', 'RequestErasure', 'AnswerOperator', 'EnsureCollection'].slice(0, cases(2)))(
  'after idle weeks, with %s not ready for 90 s, a photo goes through all the same, and as JSON it has its receipt',
  async (name) => {
    idle = new RegExp(name);
    const { exitCode, stderr, stdout } = await smoke('--yes', '--json').ended;
    expect(idle).toBeUndefined();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      steps: [{ step: 'uploaded' }, { step: 'indexed', says: '3 faces' }, { step: 'erased' }],
      receipts: [{ reason: 'event_requested', finished_at: expect.any(String) }],
    });
    await expect(traces()).resolves.toEqual(NOTHING);
  },
  60_000,
);
