/**
 * The part of Rekognition that the pacing benchmark needs, as a process of its own: a quota, latencies, and a record of
 * every call. It finds no faces; it answers with two per image. The wire format is that of the local Rekognition, so the
 * real SDK client talks to it.
 *
 * Started by `fork` with the options as its only argument; sends `{ port }` when it listens, answers the message
 * `'report'` with its record, and ends with its parent.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RekognitionError } from '../../local/rekognition/model.ts';
import { TokenBucket } from '../../local/rekognition/quota.ts';
import { readRequest, sendError, sendResult } from '../../local/rekognition/wire.ts';
import { lognormal, seededRandom } from '../../test/support/random.ts';

export interface RekognitionOptions {
  /** IndexFaces per second; a bucket of one second. */
  quota: number;
  /** Median of an accepted call; a refused one takes 30 ms: the service refuses before it works. */
  latencyMs: number;
  /** Calls per second of somebody else in the account. */
  neighbour: number;
  /** From this many seconds after the first call on, for so long, every call fails with a 500. */
  stop?: { afterS: number; forS: number };
  seed: number;
}

export interface RekognitionReport {
  /** One per IndexFaces call, in order. */
  calls: {
    atMs: number;
    /** Absent while it is under way. */
    answeredMs?: number;
    photo: string;
    outcome: 'accepted' | 'throttled' | 'failed';
  }[];
  neighbourAccepted: number[];
}

const REFUSAL_MS = 30;

const options = JSON.parse(process.argv[2]!) as RekognitionOptions;
const random = seededRandom(options.seed);
const bucket = new TokenBucket(options.quota, () => performance.now());
const report: RekognitionReport = { calls: [], neighbourAccepted: [] };
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function indexFaces(input: Record<string, unknown>): Promise<object> {
  const photo = String(input.ExternalImageId);
  const atMs = Date.now();
  if (report.calls.length === 0 && options.neighbour > 0) {
    neighbour();
  }
  const sinceFirstS = (atMs - (report.calls[0]?.atMs ?? atMs)) / 1_000;
  const { stop } = options;
  const stopped = stop && sinceFirstS >= stop.afterS && sinceFirstS < stop.afterS + stop.forS;
  const outcome = stopped ? 'failed' : bucket.take() ? 'accepted' : 'throttled';
  const call: RekognitionReport['calls'][number] = { atMs, photo, outcome };
  report.calls.push(call);
  await after(lognormal(random, outcome === 'accepted' ? options.latencyMs : REFUSAL_MS));
  call.answeredMs = Date.now();
  if (outcome === 'failed') {
    throw new RekognitionError('InternalServerError');
  }
  if (outcome === 'throttled') {
    throw new RekognitionError('ProvisionedThroughputExceededException');
  }
  return {
    FaceModelVersion: '7.0',
    FaceRecords: [0, 1].map((face) => ({
      Face: {
        FaceId: faceId(photo, face),
        BoundingBox: { Left: 0.1 + face / 2, Top: 0.2, Width: 0.3, Height: 0.4 },
        Confidence: 99.5,
        ExternalImageId: photo,
      },
    })),
    UnindexedFaces: [],
  };
}

/** The same image indexed twice keeps its faces, as in a real collection. */
function faceId(photo: string, face: number): string {
  const hex = createHash('sha256').update(`${photo}#${face}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Somebody else's calls, evenly but not exactly spaced. */
function neighbour(): void {
  setTimeout(
    () => {
      if (bucket.take()) {
        report.neighbourAccepted.push(Date.now());
      }
      neighbour();
    },
    (1_000 / options.neighbour) * (0.5 + random()),
  );
}

const server = createServer(async (request, response) => {
  const requestId = randomUUID();
  try {
    const { operation, input } = await readRequest(request);
    sendResult(
      response,
      requestId,
      operation === 'IndexFaces' ? await indexFaces(input) : { FaceModelVersion: '7.0', StatusCode: 200 },
    );
  } catch (error) {
    sendError(
      response,
      requestId,
      error instanceof RekognitionError ? error : new RekognitionError('InternalServerError', String(error)),
    );
  }
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('message', (message) => {
  if (message === 'report') {
    process.send?.(report);
  }
});
process.on('disconnect', () => process.exit());
