/** `npm run local:rekognition`: the local Rekognition for whoever wants nothing else of the project. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateCollectionCommand,
  IndexFacesCommand,
  ListCollectionsCommand,
  RekognitionClient,
  SearchFacesByImageCommand,
} from '@aws-sdk/client-rekognition';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { samplePhotos } from '../../cli/sample-photos.ts';
import { fromWorkingDirectory } from '../../cli/working-directory.ts';
import { parseRekognitionArguments } from '../../local/cli/arguments.ts';
import { startObjectStore } from '../../local/object-store.ts';
import { type Command, run, survivors, tree } from '../support/command.ts';
import { freePort } from '../support/free-port.ts';

const base = mkdtempSync(join(tmpdir(), 'rollcall-rekognition-'));
const data = join(base, 'faces');
const sample = readFileSync(join(samplePhotos().folder, 'sample1.jpg'));
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
const running: Command[] = [];
afterAll(async () => {
  await Promise.all(running.map((command) => command.killTree()));
  rmSync(base, { recursive: true, force: true });
});

async function serve(args: readonly string[], { region = 'us-east-1' } = {}) {
  const command = run('rekognition', args, { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' });
  running.push(command);
  const [, endpoint] = await command.says(/Rekognition {2}(\S+).*Ctrl-C stops it/s);
  return { command, client: new RekognitionClient({ endpoint: endpoint!, region, credentials }) };
}

test('indexes and finds faces of a photo, keeps them, and ends on Ctrl-C without a trace', async () => {
  const port = await freePort();
  const objects = await startObjectStore(join(base, 's3'), () => {});
  objects.createBucket('pictures', { events: false });
  const s3 = new S3Client({
    endpoint: objects.endpoint,
    region: 'us-east-1',
    credentials,
    forcePathStyle: true,
  });
  await s3.send(new PutObjectCommand({ Bucket: 'pictures', Key: 'a/1.jpg', Body: sample }));

  const args = ['--port', String(port), '--data', data];
  const first = await serve([...args, '--s3-endpoint', objects.endpoint]);
  const pids = tree(first.command.pid);
  await first.client.send(new CreateCollectionCommand({ CollectionId: 'try' }));
  const { FaceRecords: faces = [] } = await first.client.send(
    new IndexFacesCommand({ CollectionId: 'try', ExternalImageId: 'one', Image: { Bytes: sample } }),
  );
  expect(faces).toHaveLength(3);
  const { FaceMatches: matches = [] } = await first.client.send(
    new SearchFacesByImageCommand({
      CollectionId: 'try',
      Image: { S3Object: { Bucket: 'pictures', Name: 'a/1.jpg' } },
    }),
  );
  expect(matches[0]).toMatchObject({ Similarity: 100, Face: { ExternalImageId: 'one' } });
  expect(faces.map(({ Face }) => Face?.FaceId)).toContain(matches[0]?.Face?.FaceId);

  // Beside it: the same port, and the same folder.
  const [samePort, sameFolder] = await Promise.all([
    run('rekognition', ['--port', String(port)]).ended,
    run('rekognition', ['--port', String(await freePort()), '--data', data]).ended,
  ]);
  expect(samePort).toMatchObject({ code: 1, stdout: '' });
  expect(samePort.stderr).toMatch(
    /^The local Rekognition .* port \d+ on 127\.0\.0\.1 is already in use.*--port.*\n$/,
  );
  expect(sameFolder).toMatchObject({ code: 1, stdout: '' });
  expect(sameFolder.stderr).toMatch(/^Another local run \(process \d+\) is using .*\n$/);

  first.command.signal('SIGINT');
  expect(await first.command.ended).toMatchObject({ code: 0, stderr: '' });
  expect(await survivors(pids)).toEqual([]);

  const second = await serve(args);
  const { CollectionIds } = await second.client.send(new ListCollectionsCommand({}));
  expect(CollectionIds).toEqual(['try']);
  await expect(
    second.client.send(
      new IndexFacesCommand({
        CollectionId: 'try',
        Image: { S3Object: { Bucket: 'pictures', Name: 'a/1.jpg' } },
      }),
    ),
  ).rejects.toThrow(expect.objectContaining({ name: 'InvalidS3ObjectException' }));
  second.command.signal('SIGTERM');
  expect(await second.command.ended).toMatchObject({ code: 143, stderr: '' });
  s3.destroy();
  await objects.stop();
});

test('--help is help', async () => {
  const { code, stdout, stderr } = await run('rekognition', ['--port', '--help']).ended;
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('Usage: npm run local:rekognition');
});

test('without any option: the usual port, us-east-1, nothing kept, images by bytes', () => {
  expect(parseRekognitionArguments([])).toEqual({
    port: 25500,
    data: undefined,
    s3Endpoint: undefined,
    region: 'us-east-1',
  });
});

test.each<[string[], RegExp]>([
  [['--port', '0'], /--port takes a number from 1 to 65535/],
  [['--port'], /--port needs a value/],
  [['9000'], /takes options only, but got 9000: npm needs --/],
  [['--s3-endpoint', 'localhost:9000'], /--s3-endpoint takes a URL/],
  [['--region', 'Europe'], /--region takes a Region/],
  [['--dta', 'x'], /no option --dta\. npm run local:rekognition -- --help/],
])('%j is one line', (argv, told) => {
  expect(() => parseRekognitionArguments(argv)).toThrow(told);
});

test('a folder that is given is relative to where the person is', () => {
  const typed = (npm_lifecycle_event: string) =>
    fromWorkingDirectory('faces', { npm_lifecycle_event, INIT_CWD: '/home/me' });
  expect(['start', 'ops', 'local:rekognition'].map(typed)).toEqual(Array(3).fill('/home/me/faces'));
  expect(typed('test')).toBe(join(process.cwd(), 'faces'));
});
