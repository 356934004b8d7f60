/** `npm start` and its neighbours as a person runs them: as processes, on state folders of their own. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListCollectionsCommand, paginateListFaces, RekognitionClient } from '@aws-sdk/client-rekognition';
import { jest } from '@jest/globals';
import postgres from 'postgres';
import sharp from 'sharp';
import { localClientOptions } from '../../local/clients.ts';
import { type Ended, run, survivors, tree } from '../support/command.ts';
import { freePort } from '../support/free-port.ts';
import { once } from '../support/stories.ts';

const samples = join(import.meta.dirname, '../../node_modules/@vladmandic/face-api/demo');
/** A loaded machine takes its time; most of these take a few seconds. */
jest.setTimeout(180_000);

const PHOTO = '3f2b8c1a-7d64-4e0b-8a59-1c6e2d9f4b70';

const base = mkdtempSync(join(tmpdir(), 'rollcall-cli-'));
const folder = join(base, 'Café photos');

/** A state folder and a port: as good as a machine of its own. */
interface Machine {
  state: string;
  port: number;
  env: Record<string, string>;
}

let first: Machine;
let second: Machine;

async function machine(name: string): Promise<Machine> {
  const state = join(base, name);
  const port = await freePort();
  return { state, port, env: { ROLLCALL_STATE_DIR: state, ROLLCALL_POSTGRES_PORT: String(port) } };
}

async function writeFolder(): Promise<void> {
  const copy = (sample: string, file: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(samples, sample), join(folder, file));
  };
  copy('sample1.jpg', 'IMG 0001.JPG');
  copy('sample2.jpg', 'Müller & Söhne/100% #1?.jpeg');
  copy('sample3.jpg', 'a/b/c/日本.jpg');
  copy('sample5.jpg', `${PHOTO}.jpg`);
  copy('sample6.jpg', `${PHOTO}.png`);
  await sharp(join(samples, 'sample4.jpg')).resize(800).toFile(join(folder, 'Fête.png'));
  writeFileSync(join(folder, 'text.jpg'), 'not a picture');
  writeFileSync(join(folder, 'large.tiff'), Buffer.alloc(16 * 1024 * 1024, 'large'));
  writeFileSync(join(folder, 'notes.txt'), 'notes');
  symlinkSync('gone.jpg', join(folder, 'link.jpg'));
  symlinkSync('.', join(folder, 'loop'));
}

/** How many executions have ended on the machine. */
function executionsEnded({ state }: Machine): number {
  const file = join(state, 'executions.jsonl');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
}

/** Resolves when so many executions have ended on the machine. */
async function untilEnded(on: Machine, count: number): Promise<void> {
  while (executionsEnded(on) < count) {
    await sleep(20);
  }
}

interface Result {
  event_id: string;
  database_url: string;
  photos: {
    file: string;
    photo_id: string | null;
    status: string;
    face_count: number | null;
    unindexed_count: number | null;
    failure_code: string | null;
  }[];
  indexed: number;
  failed: number;
  faces: number;
  rekognition_calls: number;
  executions: number;
  elapsed_ms: number;
}

function resultOf({ stdout }: Ended): Result {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Result;
}

/** The faces with their photos, as the database and as the collections have them, in the same order. */
async function storedFaces(upSays: string): Promise<{ database: string[]; collections: string[] }> {
  const databaseUrl = /psql '(.*)'/.exec(upSays)![1]!;
  const endpoint = /Rekognition +(http:\S+)/.exec(upSays)![1]!;
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const rekognition = new RekognitionClient({ ...localClientOptions, endpoint });
  try {
    const rows = await sql<{ face: string }[]>`
      SELECT photo_id || ' ' || rekognition_face_id AS face FROM faces ORDER BY 1`;
    const collections: string[] = [];
    const { CollectionIds = [] } = await rekognition.send(new ListCollectionsCommand({}));
    for (const CollectionId of CollectionIds) {
      for await (const { Faces = [] } of paginateListFaces({ client: rekognition }, { CollectionId })) {
        collections.push(...Faces.map(({ ExternalImageId, FaceId }) => `${ExternalImageId} ${FaceId}`));
      }
    }
    return { database: rows.map(({ face }) => face), collections: collections.sort() };
  } finally {
    rekognition.destroy();
    await sql.end();
  }
}

/** The second machine is killed, and goes on, while the first one is tested. */
const killed = once(async (): Promise<{ rerun: Ended; logs: string }> => {
  const start = run('start', [folder, '--json'], second.env);
  await untilEnded(second, 2);
  const pids = await start.killTree();
  expect(await survivors(pids)).toEqual([]);
  const rerun = await run('start', [folder, '--json'], second.env).ended;
  return { rerun, logs: join(second.state, 'logs') };
});

/** The samples, on the first machine. */
const firstRun = once(async () => {
  const start = run('start', [], first.env);
  await start.says(/Indexing 6 photos/);
  const pids = tree(start.pid);
  return { ...(await start.ended), survivors: await survivors(pids) };
});

beforeAll(async () => {
  await writeFolder();
  first = await machine('first');
  second = await machine('second');
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

test('the first run: six photos indexed, in a table', async () => {
  const { code, stdout, survivors: left } = await firstRun();
  expect(code).toBe(0);
  expect(left).toEqual([]);
  expect(stdout).toMatch(/^ {2}Photo +Status +Faces +Reason\n {2}sample1\.jpg /m);
  const rows = [...stdout.matchAll(/^ {2}(sample\d\.jpg) +indexed +(\d+)$/gm)];
  expect(rows.map(([, file]) => file)).toEqual([1, 2, 3, 4, 5, 6].map((i) => `sample${i}.jpg`));
  const faces = rows.map(([, , count]) => Number(count));
  for (const [i, expected] of [3, 3, 3, 4, 5, 4].entries()) {
    expect(Math.abs(faces[i]! - expected)).toBeLessThanOrEqual(1);
  }
  const total = faces.reduce((sum, count) => sum + count);
  expect(stdout).toContain(`\n  6 photos · 6 indexed · ${total} faces · `);
  expect(stdout).toContain('npm run local:up');
  expect(stdout).not.toContain('\u001b');
  // Meanwhile; whoever needs it hears of what went wrong.
  killed().catch(() => {});
});

test('the same again: everything is known, nothing is billed', async () => {
  await firstRun();
  const ended = await run('start', ['--json'], first.env).ended;
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const result = resultOf(ended);
  expect(result.photos.map(({ file, status }) => `${file} ${status}`)).toEqual(
    [1, 2, 3, 4, 5, 6].map((i) => `sample${i}.jpg indexed`),
  );
  expect(result).toMatchObject({ indexed: 6, failed: 0, rekognition_calls: 0, executions: 0 });
  expect(result.faces).toBe(result.photos.reduce((sum, { face_count }) => sum + face_count!, 0));
  expect(result.database_url).toContain(`:${first.port}/`);
  expect(result.elapsed_ms).toBeGreaterThan(0);
});

test('Ctrl-C in the middle: one line, and nothing is left running', async () => {
  const before = executionsEnded(first);
  const start = run('start', [folder], first.env);
  await start.says(/Indexing 7 photos/);
  await untilEnded(first, before + 1);
  const pids = tree(start.pid);
  expect(pids.length).toBeGreaterThan(5);
  start.signal('SIGINT');
  const { code, stdout, stderr } = await start.ended;
  expect([code, stdout]).toEqual([130, '']);
  expect(stderr.split('Stopping\n')[1]).toMatch(
    /^Stopped\. [1-6] of 7 photos are done; run the same command to go on\.\n$/,
  );
  expect(await survivors(pids)).toEqual([]);
});

test('SIGTERM while it starts: the same', async () => {
  const start = run('start', [folder], first.env);
  await start.says(/Starting/);
  start.signal('SIGTERM');
  const { code, stderr } = await start.ended;
  expect(code).toBe(143);
  expect(stderr).toMatch(/\nStopped\. 0 of 7 photos are done; run the same command to go on\.\n$/);
});

test('kill -9 in the middle, then the same again: every photo ends, nothing is doubled', async () => {
  const { rerun, logs } = await killed();
  // It had nothing to wait for.
  const waited = (log: string) => readFileSync(join(logs, log), 'utf8').includes('AlreadyInProgress');
  expect(readdirSync(logs).filter(waited)).toEqual([]);
  // A link that leads nowhere and the second photo of one id have no end.
  expect(rerun).toMatchObject({ code: 1, stderr: '' });
  const result = resultOf(rerun);
  const indexed = { status: 'indexed', failure_code: null };
  expect(result.photos).toEqual(
    [
      { file: `${PHOTO}.jpg`, ...indexed, photo_id: PHOTO },
      { file: `${PHOTO}.png`, status: 'not_sent', failure_code: 'DuplicatePhoto', photo_id: PHOTO },
      { file: 'a/b/c/日本.jpg', ...indexed },
      { file: 'Fête.png', ...indexed },
      { file: 'IMG 0001.JPG', ...indexed },
      { file: 'large.tiff', status: 'failed', failure_code: 'ImageTooLarge' },
      { file: 'link.jpg', status: 'not_sent', failure_code: 'FileUnreadable', photo_id: null },
      { file: 'Müller & Söhne/100% #1?.jpeg', ...indexed },
      { file: 'text.jpg', status: 'failed', failure_code: 'InvalidImageFormat' },
    ]
      .sort((a, b) => new Intl.Collator('en', { numeric: true }).compare(a.file, b.file))
      .map((photo) => expect.objectContaining(photo)),
  );
  expect(result).toMatchObject({ indexed: 5, failed: 2 });
});

test('beside local:up: a second run, a reset and a run on the same port are refused in one line', async () => {
  const { rerun } = await killed();
  const up = run('up', [], second.env);
  const [says] = await up.says(/.*Ctrl-C stops it/s);
  const pids = tree(up.pid);
  const elsewhere = { ...second.env, ROLLCALL_STATE_DIR: join(base, 'elsewhere') };
  const [start, reset, port] = await Promise.all([
    run('start', ['--json'], second.env).ended,
    run('reset', [], second.env).ended,
    run('start', ['--json'], elsewhere).ended,
  ]);
  expect(start).toMatchObject({ code: 1, stdout: '' });
  expect(start.stderr).toMatch(/^Another local run \(process \d+\) is using .*\n$/);
  expect(reset).toMatchObject({ code: 1, stdout: '', stderr: start.stderr });
  expect(port).toMatchObject({ code: 1, stdout: '' });
  expect(port.stderr).toMatch(
    /^Port \d+, where the local PostgreSQL listens, is already in use: .*--postgres-port.*\n$/,
  );

  const { database, collections } = await storedFaces(says);
  expect(database).toHaveLength(resultOf(rerun).faces);
  expect(new Set(database).size).toBe(database.length);
  expect(collections).toEqual(database);
  const [, address] = /Page\s+(http:\/\/localhost:\d+\/)/.exec(says)!;
  const [page, events] = await Promise.all([fetch(address!), fetch(`${address}local/events`)]);
  expect(await page.text()).toContain('<title>Rollcall</title>');
  expect(await events.json()).toMatchObject({ folder: 'events/', events: [{ faces: database.length }] });
  up.signal('SIGINT');
  expect((await up.ended).code).toBe(0);
  expect(await survivors(pids)).toEqual([]);
});

test('local:reset removes it all', async () => {
  await killed();
  const { code, stdout, stderr } = await run('reset', [], second.env).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^Removed .*second: .*\n$/);
  expect(existsSync(second.state)).toBe(false);
});
