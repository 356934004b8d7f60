/**
 * What a strategy runs in: Rekognition with its quota, DynamoDB, PostgreSQL, an object store, and functions that are
 * the pipeline's own cores with the wiring of their handlers.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import type { Context } from 'aws-lambda';
import { type Collection, ensureCollection } from '../../lambdas/ensure-collection/ensure-collection.ts';
import { indexFaces } from '../../lambdas/index-faces/index-faces.ts';
import { joinLine } from '../../lambdas/join-line/join-line.ts';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import {
  type ExecutionInput,
  ensureCollectionRequestSchema,
  type IndexResult,
  indexFacesRequestSchema,
  joinLineRequestSchema,
  type Lane,
  markFailedRequestSchema,
  type Place,
  parseRequest,
  persistResultsRequestSchema,
} from '../../lambdas/shared/contract/payloads.ts';
import { type SlotLedger, slotLedger } from '../../lambdas/shared/line/store.ts';
import { idempotent } from '../../lambdas/shared/runtime/idempotency.ts';
import type { Telemetry } from '../../lambdas/shared/runtime/telemetry.ts';
import { localClientOptions } from '../../local/clients.ts';
import { startTestDatabase } from '../../test/support/postgres.ts';
import { seededRandom } from '../../test/support/random.ts';
import type { BenchOptions } from './bench-options.ts';
import { answer, startChild, stopChild } from './child.ts';
import { createFunctions, type Functions } from './functions.ts';
import type { RekognitionReport } from './rekognition-server.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const IDEMPOTENCY_TABLE = 'idempotency';
export const LEDGER_TABLE = 'ledger';
export const SEMAPHORE_TABLE = 'semaphore';

export interface Photo {
  id: string;
  input: ExecutionInput;
}

export interface Stored {
  indexed: number;
  failed: number;
  faces: number;
  /** How often each failure code was written. */
  failures: Record<string, number>;
}

export interface World {
  options: BenchOptions;
  photos: Photo[];
  dynamodb: DynamoDBClient;
  functions: Functions;
  /** All that is done for a photo, in the caller's own function. */
  process(input: ExecutionInput): Promise<void>;
  /** The ledger, as an operator sees it. */
  operator: SlotLedger;
  random(): number;
  /** Folder for what a strategy has to keep. */
  folder: string;
  report(): Promise<RekognitionReport>;
  /** What PostgreSQL holds when all is over. */
  stored(): Promise<Stored>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  /** Whether index-faces takes its slot from the ledger; the other strategies call when they are called. */
  ledger: boolean;
  /** Attempts of the SDK at one IndexFaces call. */
  sdkAttempts: number;
}

/** For a strategy that has no JoinLine. */
export const NO_PLACE: Place = { place_ms: 0, wait_until: '', throttles: 0, reindexes: 0 };

const endless = { getRemainingTimeInMillis: () => 60_000 } as Context;

/** Nobody reads the logs and metrics of a benchmark: every method answers with the same nothing. */
const silence: Telemetry = new Proxy(
  {},
  {
    get(_, part) {
      const nothing: unknown = new Proxy(() => nothing, { get: () => nothing });
      return part === 'then' ? undefined : nothing;
    },
  },
) as Telemetry;

export async function startWorld(
  options: BenchOptions,
  { ledger, sdkAttempts }: WorldOptions,
): Promise<World> {
  const folder = mkdtempSync(path.join(tmpdir(), 'rollcall-bench-'));
  const [rekognitionServer, dynamodbServer, database] = await Promise.all([
    startChild<{ port: number }>('rekognition-server.ts', {
      quota: options.trueQuota,
      latencyMs: options.latencyMs,
      neighbour: options.neighbour,
      stop: options.stop,
      seed: options.seed,
    }),
    startChild<{ endpoint: string }>('dynamodb-server.ts', {
      folder: path.join(folder, 'dynamodb'),
      tables: [IDEMPOTENCY_TABLE, LEDGER_TABLE, SEMAPHORE_TABLE].map((name) => ({
        name,
        create: {
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        },
      })),
    }),
    startTestDatabase(),
  ]);
  const requestHandler = { httpAgent: { maxSockets: 500 }, socketAcquisitionWarningTimeout: 60_000 };
  const dynamodb = new DynamoDBClient({
    ...localClientOptions,
    endpoint: dynamodbServer.greeting.endpoint,
    requestHandler,
    maxAttempts: 3,
  });
  const rekognition = new RekognitionClient({
    ...localClientOptions,
    endpoint: `http://127.0.0.1:${rekognitionServer.greeting.port}`,
    requestHandler: { ...requestHandler, requestTimeout: 30_000 },
    maxAttempts: sdkAttempts,
  });
  const random = seededRandom(options.seed + 1);
  const { photos, s3 } = objects(options, random);
  const sql = database.connectAs('rollcall_pipeline');
  const ledgerOf = () =>
    slotLedger(
      { dynamodb, table: LEDGER_TABLE, now: Date.now, random, sleep: (ms) => sleep(ms) },
      { perSecond: options.quota },
    );
  const unpaced: Pick<SlotLedger, 'takeSlot' | 'reportThrottle' | 'giveBack'> = {
    takeSlot: async () => ({ slotMs: Date.now(), intervalMs: 0, cuts: 0, day: 0 }),
    reportThrottle: async () => {},
    giveBack: async () => {},
  };

  const common = { telemetry: silence, now: Date.now };
  const withDatabase = <Result>(work: (connection: typeof sql) => Promise<Result>) => work(sql);
  const collections = idempotent<Collection>({ dynamodb, table: IDEMPOTENCY_TABLE, prefix: 'collection' });
  const versions = idempotent<IndexResult>({ dynamodb, table: IDEMPOTENCY_TABLE, prefix: 'photo' });
  const ensure = (request: unknown, context: Context) =>
    ensureCollection(
      {
        ...common,
        rekognition,
        collectionPrefix: 'rollcall-',
        once: (eventId, create) => collections(context, eventId, create),
      },
      parseRequest(ensureCollectionRequestSchema, request),
    );
  const index = (own: typeof unpaced, request: unknown, context: Context) =>
    indexFaces(
      {
        ...common,
        rekognition,
        s3,
        resultsBucket: 'results',
        qualityFilter: 'AUTO',
        maxFaces: 100,
        detectionAttributes: ['DEFAULT'],
        rekognitionResponse: 'full',
        ledger: own,
        once: (key, work) => versions(context, key, work),
      },
      parseRequest(indexFacesRequestSchema, request),
    );
  const persist = (request: unknown) =>
    persistResults(
      { ...common, s3, resultsBucket: 'results', withDatabase },
      parseRequest(persistResultsRequestSchema, request),
    );
  const process = async (input: ExecutionInput, context = endless) => {
    const execution_arn = input.object.key;
    const photo = await ensure({ input, execution_arn, max_recreations: 3 }, context);
    const result = await index(
      unpaced,
      { input: { ...input, photo, place: NO_PLACE }, execution_arn },
      context,
    );
    await persist({
      input: { ...input, photo, result },
      execution_arn,
      started_at: new Date().toISOString(),
    });
  };
  // As in the handlers, with one ledger for each execution environment.
  const functions = createFunctions({
    EnsureCollection: () => ensure,
    JoinLine: () => {
      const own = ledgerOf();
      return (request) =>
        joinLine(
          { ...common, s3, resultsBucket: 'results', ledger: own },
          parseRequest(joinLineRequestSchema, request),
        );
    },
    IndexFaces: () => {
      const own = ledger ? ledgerOf() : unpaced;
      return (request, context) => index(own, request, context);
    },
    PersistResults: () => persist,
    MarkFailed: () => (request) =>
      markFailed({ ...common, withDatabase }, parseRequest(markFailedRequestSchema, request)),
    ProcessPhoto: () => (request, context) => process(request as ExecutionInput, context),
  });

  // The event has had photos before: creating its collection is not part of what is measured.
  await ensure({ input: photos[0]!.input, execution_arn: 'before', max_recreations: 3 }, endless);

  return {
    options,
    photos,
    dynamodb,
    functions,
    process,
    operator: ledgerOf(),
    random,
    folder,
    async report() {
      rekognitionServer.child.send('report');
      return answer<RekognitionReport>(rekognitionServer.child);
    },
    async stored() {
      const [row] = await database.admin<Omit<Stored, 'failures'>[]>`
        SELECT count(*) FILTER (WHERE status = 'indexed')::int AS indexed,
               count(*) FILTER (WHERE status = 'failed')::int AS failed,
               (SELECT count(*)::int FROM faces) AS faces
        FROM photos`;
      const failures = await database.admin<{ failure_code: string; count: number }[]>`
        SELECT failure_code, count(*)::int AS count FROM photos WHERE status = 'failed' GROUP BY failure_code`;
      return {
        ...row!,
        failures: Object.fromEntries(failures.map(({ failure_code, count }) => [failure_code, count])),
      };
    },
    async stop() {
      rekognition.destroy();
      dynamodb.destroy();
      await Promise.all([
        stopChild(rekognitionServer.child),
        stopChild(dynamodbServer.child),
        database.stop(),
      ]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The photos, and a bucket that has them: an object store is not part of what is measured, so it is a map. */
function objects(options: BenchOptions, random: () => number): { photos: Photo[]; s3: S3Client } {
  const photo = (lane: Lane): Photo => {
    const hex = createHash('sha256').update(String(random())).digest('hex');
    const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
    return {
      id,
      input: {
        lane,
        bucket: 'photos',
        object: { key: `events/${EVENT}/${id}.jpg`, size: 2_000_000, etag: 'bench', sequencer: '1' },
      },
    };
  };
  const photos = [
    ...Array.from({ length: options.backfill }, () => photo('backfill')),
    ...Array.from({ length: options.photos }, () => photo('live')),
  ];
  const results = new Map<string, { Body: string; Metadata: Record<string, string> }>();
  type Command = {
    constructor: { name: string };
    input: { Bucket: string; Key: string; Body: string; Metadata: Record<string, string> };
  };
  const send = async ({ constructor: { name }, input }: Command) => {
    if (input.Bucket === 'photos') {
      return { ETag: '"bench"' };
    }
    if (name === 'PutObjectCommand') {
      results.set(input.Key, input);
      return {};
    }
    const result = results.get(input.Key);
    if (!result) {
      throw Object.assign(new Error('no such key'), { name: 'NotFound', $metadata: { httpStatusCode: 404 } });
    }
    return { Metadata: result.Metadata, Body: { transformToString: async () => result.Body } };
  };
  return { photos, s3: { send } as unknown as S3Client };
}
