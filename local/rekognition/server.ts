import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CollectionStore } from './collections.ts';
import { Detector } from './detector.ts';
import type { AnalysedFace } from './face-analysis.ts';
import { type GetObject, ImageSource } from './images.ts';
import { type FaceFinder, keepAnalyses } from './kept-analyses.ts';
import {
  MAX_FACES_PER_COLLECTION,
  type Operation,
  operations,
  RekognitionError,
  type RekognitionErrorName,
} from './model.ts';
import { createOperations } from './operations.ts';
import type { RgbImage } from './pixels.ts';
import { defaultQuotas, type Quotas, TokenBucket } from './quota.ts';
import { readRequest, sendError, sendResult, type WireRequest } from './wire.ts';

/** What an interceptor can make of a call. */
type Fault =
  | { error: { name: RekognitionErrorName; message?: string; status?: number } }
  | { delayMs: number }
  /** `before`: the call never reaches Rekognition; `after`: it takes effect, and its answer is lost. */
  | { dropConnection: 'before' | 'after' };

/** Sees every call before the quota does. */
type Intercept = (
  operation: Operation,
  request: Record<string, unknown>,
  caller: { accessKeyId: string | undefined },
) => Fault | undefined | Promise<Fault | undefined>;

export interface RekognitionOptions {
  /** Folder of the collections; made if need be. Two endpoints must not share one. */
  dataDir: string;
  /** Default 0: any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Reads images out of S3, in bounded time. Rejects with the SDK's error (its name and HTTP status) if there is none. */
  getObject: GetObject;
  /** Default us-east-1. Gives the default quotas and the collections' ARNs. */
  region?: string;
  /** Calls per second; what is not named has the Region's default. */
  quotas?: Partial<Quotas>;
  /** Detector threads, one core and 400 MB each. Default: one a core, at most 4. */
  workers?: number;
  /** Loads the models right after the start, not with the first image. Default true. */
  warmUp?: boolean;
  /** Default 20 million, as on AWS. */
  facesPerCollection?: number;
  /** Milliseconds since the epoch; for the quota and for creation times. */
  clock?: () => number;
  intercept?: Intercept;
  /** Hears of every call within the quota once it has taken effect, whether its answer arrives or not. */
  onCall?: (
    operation: Operation,
    request: Record<string, unknown>,
    error: RekognitionErrorName | undefined,
  ) => void;
  /** Finds the faces instead of the models, for tests that are about anything but faces. */
  findFaces?: (image: RgbImage) => AnalysedFace[];
  /** Where what was found in an image is kept, for this endpoint and for others: biometric data. Default: nowhere. */
  analysesFolder?: string;
  /** Hears why a call was answered with InternalServerError. Default: one line on stderr. */
  onInternalError?: (operation: Operation, error: unknown) => void;
}

interface CallCounts {
  /** Calls within the quota: those that AWS would charge, if they are answered. */
  accepted: number;
  /** Calls over the quota, never charged. */
  throttled: number;
}

export interface RekognitionServer {
  endpoint: string;
  port: number;
  /** Since the start. */
  calls(): Record<Operation, CallCounts>;
  /** Lets running calls end; those that wait for the detector fail. */
  close(): Promise<void>;
}

/** Longer than any SDK keeps an idle connection, so that none is closed under a request. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Starts a local Amazon Rekognition: the face collections' part of its API, over real face detection and recognition. It
 * answers at once; the models load in the background.
 *
 * @throws Error in one line if the port is taken or a collection's file is damaged
 */
export async function startRekognition(options: RekognitionOptions): Promise<RekognitionServer> {
  const { region = 'us-east-1', host = '127.0.0.1', clock = Date.now, intercept } = options;
  const workers = options.workers ?? Math.min(4, availableParallelism());
  const onInternalError = options.onInternalError ?? reportInternalError;

  const store = await CollectionStore.open({
    folder: options.dataDir,
    facesPerCollection: options.facesPerCollection ?? MAX_FACES_PER_COLLECTION,
    now: clock,
  });
  const detector = faceFinder(options, workers);
  const images = new ImageSource({ detector, getObject: options.getObject, concurrency: workers + 1 });
  const handlers = createOperations({ store, images, region });

  const quotas = { ...defaultQuotas(region), ...options.quotas };
  const buckets = byOperation((operation) => new TokenBucket(quotas[operation], clock));
  const counts = byOperation((): CallCounts => ({ accepted: 0, throttled: 0 }));

  async function answer(request: WireRequest): Promise<object> {
    const { operation, input } = request;
    if (!buckets[operation].take()) {
      counts[operation].throttled++;
      throw new RekognitionError('ProvisionedThroughputExceededException');
    }
    counts[operation].accepted++;
    try {
      return await handlers[operation](input);
    } catch (error) {
      if (error instanceof RekognitionError) {
        throw error;
      }
      onInternalError(operation, error);
      throw new RekognitionError('InternalServerError');
    }
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = randomUUID();
    try {
      const request = await readRequest(incoming);
      const fault = await intercept?.(request.operation, request.input, { accessKeyId: request.accessKeyId });
      if (fault && 'error' in fault) {
        const { name, message, status } = fault.error;
        if (name === 'ProvisionedThroughputExceededException' || name === 'ThrottlingException') {
          counts[request.operation].throttled++;
        }
        throw new RekognitionError(name, message, status);
      }
      if (fault && 'delayMs' in fault) {
        await sleep(fault.delayMs);
      }
      const drop = fault && 'dropConnection' in fault ? fault.dropConnection : undefined;
      if (drop === 'before') {
        incoming.socket.destroy();
        return;
      }
      const result = await answer(request).catch((error: RekognitionError) => error);
      options.onCall?.(
        request.operation,
        request.input,
        result instanceof RekognitionError ? result.name : undefined,
      );
      if (drop === 'after') {
        incoming.socket.destroy();
      } else if (result instanceof RekognitionError) {
        sendError(response, requestId, result);
      } else {
        sendResult(response, requestId, result);
      }
    } catch (error) {
      // A client that hung up in the middle of its request wants no answer.
      if (!response.destroyed) {
        const known = error instanceof RekognitionError ? error : new RekognitionError('InternalServerError');
        sendError(response, requestId, known);
      }
    }
  }

  const running = new Set<Promise<void>>();
  const server = createServer((incoming, response) => {
    const call = handle(incoming, response);
    running.add(call);
    void call.finally(() => running.delete(call));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 1000;

  const port = await listen(server, options.port ?? 0, host);
  if (options.warmUp ?? true) {
    detector.warmUp();
  }
  return {
    endpoint: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    calls: () => byOperation((operation) => ({ ...counts[operation] })),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await detector.close();
      await Promise.allSettled(running);
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What is kept is what the models find: what a test finds instead is nobody else's. */
function faceFinder({ findFaces, analysesFolder }: RekognitionOptions, workers: number): FaceFinder {
  if (findFaces) {
    return { analyse: async ({ image }) => findFaces(image), warmUp() {}, async close() {} };
  }
  const models = new Detector({ workers });
  return analysesFolder ? keepAnalyses(models, analysesFolder) : models;
}

function byOperation<T>(value: (operation: Operation) => T): Record<Operation, T> {
  return Object.fromEntries(operations.map((operation) => [operation, value(operation)])) as Record<
    Operation,
    T
  >;
}

function listen(server: ReturnType<typeof createServer>, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is already in use' : `cannot be used (${error.message})`;
      reject(new Error(`The local Rekognition endpoint cannot start: port ${port} on ${host} ${why}`));
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function reportInternalError(operation: Operation, error: unknown): void {
  process.stderr.write(
    `local Rekognition: ${operation}: ${error instanceof Error ? error.message : error}\n`,
  );
}
