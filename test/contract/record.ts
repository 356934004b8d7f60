/**
 * Records what travels between the parts: `node test/contract/record.ts NAME`, at the version that is about
 * to be replaced, writes `test/contract/NAME/`. `payloads.test.ts` holds the code of today against it.
 *
 * Everything is taken from a run of the local pipeline in which each way through the state machines is gone once.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteCollectionCommand, ListFacesCommand } from '@aws-sdk/client-rekognition';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { type BusEvent, startCloud } from '../../local/cloud.ts';
import { LambdaError } from '../../local/lambda-runtime.ts';
import { freePort } from '../support/free-port.ts';
import { findMadeFaces, madePhoto } from '../support/made-photos.ts';

/** One of a kind is enough: a kind is a function and the keys that its input has, at any depth. */
const kinds = new Map<string, unknown>();

const name = process.argv[2];
if (!name || !/^[\w.-]+$/.test(name)) {
  throw new Error('Give the recording a name: that of the version that it is taken from');
}
const folder = join(import.meta.dirname, name);
const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-contract-'));

/** Faults that strike once, by the function that they strike in; `instead` of the call or after it. */
let faults: { fn: RegExp; error: string; instead: boolean }[] = [];
let throttle = false;

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length === 0 ? [] : [shapeOf(value[0])];
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .map(([key, item]): [string, unknown] => [key, key === 'Error' ? item : shapeOf(item)])
        .sort(([a], [b]) => a.localeCompare(b)),
    );
  }
  return value === null ? null : typeof value;
}

/** `PhotoIndexingEnsureCollection…` is a folder's `ensure-collection`. */
function folderOf(functionName: string): string {
  const names = [
    ...['ensure-collection', 'join-line', 'index-faces', 'persist-results', 'mark-failed'],
    ...['skip-indexed', 'request-erasure', 'list-erasures', 'remove-faces', 'confirm-erasure'],
    ...['answer-operator', 'bootstrap-database', 'migrate-database', 'read-quota', 'announce-photos'],
  ];
  const plain = functionName.toLowerCase().replaceAll(/[^a-z]/g, '');
  const found = names.find((folder) => plain.includes(folder.replaceAll('-', '')));
  return found ?? functionName;
}

function keep(kind: string, payload: unknown): void {
  const key = `${kind} ${JSON.stringify(shapeOf(payload))}`;
  if (!kinds.has(key)) {
    kinds.set(key, structuredClone(payload));
  }
}

/** Without the paths of this machine. */
function clean(text: string): string {
  return text.replaceAll(join(import.meta.dirname, '../..'), '/var/task').replaceAll(stateDir, '/tmp');
}

const cloud = await startCloud({
  stateDir,
  postgresPort: await freePort(),
  time: { retries: 0.01 },
  rekognition: {
    findFaces: findMadeFaces,
    intercept(operation) {
      if (operation === 'IndexFaces' && throttle) {
        throttle = false;
        return { error: { name: 'ProvisionedThroughputExceededException' } };
      }
      return undefined;
    },
  },
  between: {
    async invoke(fn, payload, lambdas) {
      const fault = faults.find(({ fn: pattern }) => pattern.test(fn.name));
      keep(`requests/${folderOf(fn.name)}`, payload);
      if (fault?.instead) {
        faults = faults.filter((other) => other !== fault);
        throw new LambdaError(
          fault.error,
          JSON.stringify({ errorType: fault.error, errorMessage: 'recorded' }),
        );
      }
      const result = await lambdas.invoke(fn, payload);
      keep(`results/${folderOf(fn.name)}`, result);
      return result;
    },
    event(event: BusEvent, publish) {
      keep(`events/${event['detail-type'].toLowerCase().replaceAll(/\W+/g, '-')}`, event);
      publish(event);
    },
  },
});
cloud.onExecutionEnd(({ executionArn, input }) => {
  const machine = /Backfill|Erasure|PhotoIndexing/.exec(executionArn)?.[0] ?? executionArn;
  keep(`inputs/${machine}`, input);
});

const event = randomUUID();
const keyOf = (name: string) => `events/${event}/${name}.jpg`;
const put = async (name: string, faces: number, body?: Buffer) => {
  await cloud.s3.send(
    new PutObjectCommand({
      Bucket: cloud.photoBucket,
      Key: keyOf(name),
      Body: body ?? (await madePhoto(faces, 10 * kinds.size + faces)),
    }),
  );
  await cloud.idle();
};

await put('indexed', 3);
throttle = true;
await put('throttled', 2);
await cloud.rekognition.send(
  new DeleteCollectionCommand({ CollectionId: `${cloud.collectionPrefix}${event}` }),
);
await put('collection-lost', 2);
faults = [{ fn: /PersistResults/, error: 'ResultNotFound', instead: true }];
await put('response-lost', 1);
await put('broken', 0, Buffer.from('no picture'));
await put('not-a-photo', 0, Buffer.alloc(0));
// The end of an execution that could not write it itself.
faults = Array.from({ length: 1_000 }, () => ({ fn: /MarkFailed/, error: 'AccessDenied', instead: true }));
const markFailedLater = put('last-resort', 0, Buffer.from('neither a picture'));
await new Promise((resolve) => setTimeout(resolve, 3_000));
faults = [];
await markFailedLater;
await cloud.startExecution({ prefix: `events/${event}/` }, cloud.outputs.BackfillStateMachineArn!);
await cloud.idle();

// Erasures: a photo, a photo that was replaced, a person, the daily one, an event; and a batch that is put off.
const erase = async (input: object) => {
  await cloud.startExecution(input, cloud.outputs.EraseFacesStateMachineArn!);
  await cloud.idle();
};
await put('indexed', 4);
faults = [{ fn: /RemoveFaces/, error: 'AccessDenied', instead: true }].flatMap((fault) => [
  fault,
  { ...fault },
  { ...fault },
]);
await cloud.s3.send(new DeleteObjectCommand({ Bucket: cloud.photoBucket, Key: keyOf('throttled') }));
await cloud.idle();
faults = [];
const { Faces: faces = [] } = await cloud.rekognition.send(
  new ListFacesCommand({ CollectionId: `${cloud.collectionPrefix}${event}` }),
);
await erase({
  request: 'person',
  event_id: event,
  faces: faces.slice(0, 2).map(({ FaceId, ExternalImageId }) => [FaceId, ExternalImageId]),
});
await erase({ request: 'outbox' });
await erase({ request: 'retention', as_of: new Date().toISOString() });
await erase({ request: 'event', event_id: event });
await cloud.idle();
await cloud.stop();

rmSync(folder, { recursive: true, force: true });
const files = new Map<string, unknown[]>();
for (const [key, payload] of kinds) {
  const file = key.split(' ')[0]!;
  files.set(file, [...(files.get(file) ?? []), payload]);
}
for (const [file, payloads] of files) {
  const path = join(folder, `${file}.json`);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `${clean(JSON.stringify(payloads, null, 2))}\n`);
  process.stdout.write(`${file}: ${payloads.length}\n`);
}
for (const machine of ['index-photo', 'erase-faces', 'backfill']) {
  const source = readFileSync(join(import.meta.dirname, '../../state-machines', `${machine}.asl.json`));
  mkdirSync(join(folder, 'state-machines'), { recursive: true });
  writeFileSync(join(folder, 'state-machines', `${machine}.asl.json`), source);
}
rmSync(stateDir, { recursive: true, force: true });
