import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateCollectionCommand, IndexFacesCommand, RekognitionClient } from '@aws-sdk/client-rekognition';
import sharp from 'sharp';
import { localClientOptions } from '../../local/clients.ts';
import type { DetectorJob } from '../../local/rekognition/detector-worker.ts';
import type { AnalysedFace } from '../../local/rekognition/face-analysis.ts';
import { keepAnalyses } from '../../local/rekognition/kept-analyses.ts';
import { startRekognition } from '../../local/rekognition/server.ts';

const image = (shade: number, width = 2): DetectorJob['image'] => ({
  width,
  height: 8 / width,
  data: new Uint8Array(24).fill(shade),
});
const face = (n: number): AnalysedFace => ({
  box: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 },
  score: 0.9,
  landmarks: new Float32Array([n, 0.5]),
  brightness: 50,
  sharpness: 60,
  descriptor: new Float32Array([n, 1 / 3]),
});

let folder: string;
let asked: DetectorJob[];
const endpoint = () =>
  keepAnalyses(
    {
      analyse: async (job) => {
        asked.push(job);
        return [face(job.image.data[0]!)];
      },
      warmUp() {},
      async close() {},
    },
    folder,
  );

beforeEach(() => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'rollcall-analyses-')), 'new');
  asked = [];
});

test('an image is looked at once, whichever endpoint it comes to, and the faces are the same to the last bit', async () => {
  for (let i = 0; i < 3; i++) {
    expect(await endpoint().analyse({ image: image(7), attributes: false })).toEqual([face(7)]);
  }
  expect(asked).toHaveLength(1);
});

test('other pixels, another shape and other attributes are another question', async () => {
  const finder = endpoint();
  for (const job of [
    { image: image(7), attributes: false },
    { image: image(8), attributes: false },
    { image: image(7, 4), attributes: false },
    { image: image(7), attributes: true },
  ]) {
    await finder.analyse(job);
  }
  expect(asked).toHaveLength(4);
});

test('a failure is not kept', async () => {
  const failing = keepAnalyses(
    { analyse: () => Promise.reject(new Error('hung')), warmUp() {}, async close() {} },
    folder,
  );
  await expect(failing.analyse({ image: image(7), attributes: false })).rejects.toThrow('hung');
  expect(await endpoint().analyse({ image: image(7), attributes: false })).toEqual([face(7)]);
});

test('only its owner reads what is kept', async () => {
  await endpoint().analyse({ image: image(7), attributes: false });
  const [file] = readdirSync(folder);
  for (const kept of [folder, path.join(folder, file!)]) {
    expect(statSync(kept).mode & 0o077).toBe(0);
  }
});

test('what a test finds instead of the models is kept for nobody', async () => {
  const server = await startRekognition({
    dataDir: path.join(path.dirname(folder), 'collections'),
    analysesFolder: folder,
    findFaces: () => [face(1)],
    getObject: () => Promise.reject(new Error('There is no object')),
  });
  const client = new RekognitionClient({ ...localClientOptions, endpoint: server.endpoint });
  try {
    await client.send(new CreateCollectionCommand({ CollectionId: 'event' }));
    const Bytes = await sharp({ create: { width: 100, height: 100, channels: 3, background: 'grey' } })
      .png()
      .toBuffer();
    const { FaceRecords } = await client.send(
      new IndexFacesCommand({ CollectionId: 'event', Image: { Bytes }, QualityFilter: 'NONE' }),
    );
    expect(FaceRecords).toHaveLength(1);
    expect(existsSync(folder)).toBe(false);
  } finally {
    client.destroy();
    await server.close();
  }
});

test.each([
  ['was killed', () => String(spawnSync(process.execPath, ['--version']).pid), 0],
  ['was killed before it had written who it is', () => '', 0],
  ['has had it for an hour, under an id that is somebody else’s by now', () => String(process.ppid), 3_600],
])('who %s keeps nobody from an image', async (_, holder, ageSeconds) => {
  const job = { image: image(7), attributes: false };
  await endpoint().analyse(job);
  const [name] = readdirSync(folder);
  renameSync(path.join(folder, name!), path.join(folder, 'gone'));
  const claim = path.join(folder, `${name}.claim`);
  writeFileSync(claim, holder());
  const since = Date.now() / 1_000 - ageSeconds;
  utimesSync(claim, since, since);
  expect(await endpoint().analyse(job)).toEqual([face(7)]);
  expect(asked).toHaveLength(2);
  expect(readdirSync(folder).sort()).toEqual([name!, 'gone'].sort());
});

test('an image that another process is at is waited for', async () => {
  const job = { image: image(7), attributes: false };
  await endpoint().analyse(job);
  const [name] = readdirSync(folder);
  const [file, claim] = [path.join(folder, name!), path.join(folder, `${name}.claim`)];
  renameSync(file, `${file}.elsewhere`);
  writeFileSync(claim, String(process.ppid));
  const waiting = endpoint().analyse(job);
  renameSync(`${file}.elsewhere`, file);
  expect(await waiting).toEqual([face(7)]);
  expect(asked).toHaveLength(1);
});
