import { randomBytes, randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buildApp } from 'fauxqs';
// The package hands out its server as a whole, but not its parts, which are needed to build one that keeps its state.
import { PersistenceManager } from '../node_modules/fauxqs/dist/persistence.js';
import { S3Store } from '../node_modules/fauxqs/dist/s3/s3Store.js';
import { SnsStore } from '../node_modules/fauxqs/dist/sns/snsStore.js';
import { SqsStore } from '../node_modules/fauxqs/dist/sqs/sqsStore.js';
import { type CorsRule, corsHeaders } from './cors.ts';
import type { BusEvent } from './event-router.ts';
import { openQueues, type Queues } from './queues.ts';
import { ACCOUNT, REGION } from './template.ts';

/** S3 itself takes 5 GB in one PUT; this is four times the largest photo that Rekognition accepts. */
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

interface BrowserRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
}

interface BrowserReply {
  headers(headers: Record<string, string>): void;
  code(status: number): { send(): void };
}

/** What created or deleted the object, as S3 names it in the event. */
type Reason = 'PutObject' | 'CopyObject' | 'CompleteMultipartUpload' | 'POST Object' | 'DeleteObject';

interface StoredObject {
  key: string;
  /** With quotes. */
  etag: string;
  contentLength: number;
  lastModified: Date;
}

interface BucketOptions {
  events: boolean;
  /** Which pages may use it from a browser. Default: none. */
  cors?: readonly CorsRule[] | undefined;
}

export interface ObjectStore {
  /** Of S3 and of SQS. */
  endpoint: string;
  /** Creates the bucket if it is not there. Only with `events` does it send any to EventBridge. */
  createBucket(name: string, options: BucketOptions): void;
  queues: Queues;
  /** The event of the object that lies under the key now, with the sequencer of its creation; undefined without one. */
  currentEvent(bucket: string, key: string): BusEvent | undefined;
  stop(): Promise<void>;
}

/**
 * S3 and SQS in one server (fauxqs), kept in the folder.
 *
 * @param onEvent gets the event that S3 sends to EventBridge, before the client gets its answer: who was told that the photo is
 *   stored, or deleted, can rely on its event
 * @param options.port one that is free, or 0 for any
 * @param options.keeps whether what it holds is written into the folder
 */
export async function startObjectStore(
  folder: string,
  onEvent: (event: BusEvent) => void,
  { port: listenAt = 0, keeps = true }: { port?: number; keeps?: boolean } = {},
): Promise<ObjectStore> {
  mkdirSync(folder, { recursive: true });
  const sequencers = openSequencers(keeps ? join(folder, 'sequencers.jsonl') : undefined);
  const stores = { s3Store: new S3Store(), sqsStore: new SqsStore(), snsStore: new SnsStore() };
  const { s3Store, sqsStore } = stores;
  const persistence = keeps ? keepIn(folder, stores) : undefined;

  const app = buildApp({ logger: false, defaultRegion: REGION, stores });
  app.removeContentTypeParser('*');
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (_request: unknown, body: Buffer, done: (error: null, body: Buffer) => void) => done(null, body),
  );
  // A request gets from here to the store without a pause, so this is the one that is being stored.
  let current: { method: string; headers: IncomingHttpHeaders; params: { bucket: string } };
  app.addHook('preHandler', (request: typeof current, _reply: unknown, done: () => void) => {
    current = request;
    done();
  });
  const buckets = new Map<string, BucketOptions>();
  app.addHook('onRequest', (request: BrowserRequest, reply: BrowserReply, done: () => void) => {
    const { origin } = request.headers;
    const bucket = new URL(request.url, 'http://s3').pathname.split('/')[1] ?? '';
    if (origin === undefined) {
      return done();
    }
    const isPreflight = request.method === 'OPTIONS';
    const allowed = corsHeaders(buckets.get(bucket)?.cors ?? [], {
      origin,
      method: isPreflight ? (request.headers['access-control-request-method'] ?? '') : request.method,
      headers: request.headers['access-control-request-headers'],
    });
    if (allowed) {
      reply.headers(allowed);
    }
    if (isPreflight) {
      reply.code(allowed ? 200 : 403).send();
      return;
    }
    done();
  });
  const happened = (bucket: string, object: StoredObject, reason: Reason): void => {
    const sequencer = sequencers.next(bucket, object.key);
    if (buckets.get(bucket)?.events) {
      onEvent(objectEvent(bucket, object, sequencer, reason));
    }
  };
  const putObject = s3Store.putObject.bind(s3Store);
  s3Store.putObject = (bucket, ...rest) => {
    const object = putObject(bucket, ...rest);
    const copied = current.headers['x-amz-copy-source'] !== undefined;
    happened(bucket, object, current.method === 'POST' ? 'POST Object' : copied ? 'CopyObject' : 'PutObject');
    return object;
  };
  const completeMultipartUpload = s3Store.completeMultipartUpload.bind(s3Store);
  s3Store.completeMultipartUpload = (uploadId, parts) => {
    const object = completeMultipartUpload(uploadId, parts);
    happened(current.params.bucket, object, 'CompleteMultipartUpload');
    return object;
  };

  const listObjects = s3Store.listObjects.bind(s3Store);
  s3Store.listObjects = (...about) => {
    const listing = listObjects(...about);
    // As S3 does, in a listing as in a header: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    return { ...listing, objects: listing.objects.map(inWholeSeconds) };
  };

  const stored = (bucket: string, key: string): StoredObject | undefined => {
    try {
      return s3Store.headObject(bucket, key);
    } catch {
      return undefined;
    }
  };
  const deleteObject = s3Store.deleteObject.bind(s3Store);
  s3Store.deleteObject = (bucket, key) => {
    const object = stored(bucket, key);
    deleteObject(bucket, key);
    if (object) {
      happened(bucket, { ...object, lastModified: new Date() }, 'DeleteObject');
    }
  };

  await app.listen({ host: '127.0.0.1', port: listenAt });
  const { port } = app.server.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}`;

  return {
    endpoint,
    createBucket(name, options) {
      s3Store.createBucket(name);
      buckets.set(name, options);
    },
    queues: openQueues(sqsStore, endpoint),
    currentEvent(bucket, key) {
      const object = stored(bucket, key);
      return object && objectEvent(bucket, object, sequencers.of(bucket, key), 'PutObject');
    },
    async stop() {
      await app.close();
      persistence?.close();
    },
  };
}

/** Reads what is in the folder, and writes into it from now on. */
function keepIn(
  folder: string,
  { s3Store, sqsStore, snsStore }: { s3Store: S3Store; sqsStore: SqsStore; snsStore: SnsStore },
): PersistenceManager {
  const persistence = new PersistenceManager(folder);
  // A process that is killed loses nothing by it, and no request waits for the disk.
  const { db } = persistence as unknown as { db: { exec(statement: string): void } };
  db.exec('PRAGMA synchronous = NORMAL');
  persistence.load(sqsStore, snsStore, s3Store);
  s3Store.persistence = persistence;
  sqsStore.persistence = persistence;
  for (const queue of sqsStore.allQueues()) {
    queue.persistence = persistence;
  }
  return persistence;
}

function inWholeSeconds<Stored extends StoredObject>(object: Stored): Stored {
  return { ...object, lastModified: new Date(Math.floor(object.lastModified.getTime() / 1_000) * 1_000) };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html */
function objectEvent(bucket: string, object: StoredObject, sequencer: string, reason: Reason): BusEvent {
  const deleted = reason === 'DeleteObject';
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': deleted ? 'Object Deleted' : 'Object Created',
    source: 'aws.s3',
    account: ACCOUNT,
    time: object.lastModified.toISOString().replace(/\.\d+Z$/, 'Z'),
    region: REGION,
    resources: [`arn:aws:s3:::${bucket}`],
    detail: {
      version: '0',
      bucket: { name: bucket },
      object: {
        key: object.key,
        ...(!deleted && { size: object.contentLength }),
        etag: object.etag.replaceAll('"', ''),
        sequencer,
      },
      'request-id': randomBytes(8).toString('hex').toUpperCase(),
      requester: ACCOUNT,
      'source-ip-address': '127.0.0.1',
      reason,
      // A bucket without versions keeps nothing: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
      ...(deleted && { 'deletion-type': 'Permanently Deleted' }),
    },
  };
}

/**
 * Hands out a sequencer for every version of an object: hex, and for one key always larger than the one before, after a
 * restart or when the clock was set back too.
 */
function openSequencers(file: string | undefined) {
  const latest = new Map<string, string>();
  let highest = 0n;
  for (const line of file && existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    try {
      const [object, sequencer] = JSON.parse(line) as [string, string];
      latest.set(object, sequencer);
      const value = BigInt(`0x${sequencer}`);
      highest = value > highest ? value : highest;
    } catch {
      // Empty, or cut off with the process that wrote it, before anyone saw it.
    }
  }
  if (file !== undefined) {
    const fresh = `${file}.new`;
    writeFileSync(fresh, [...latest].map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    renameSync(fresh, file);
  }

  const keyOf = (bucket: string, key: string) => `${bucket}/${key}`;
  return {
    next(bucket: string, key: string): string {
      const now = BigInt(Date.now()) << 20n;
      highest = now > highest ? now : highest + 1n;
      const sequencer = highest.toString(16).toUpperCase().padStart(18, '0');
      latest.set(keyOf(bucket, key), sequencer);
      if (file !== undefined) {
        appendFileSync(file, `${JSON.stringify([keyOf(bucket, key), sequencer])}\n`);
      }
      return sequencer;
    },
    of: (bucket: string, key: string) => latest.get(keyOf(bucket, key)) ?? '0',
  };
}
