/** The functions behind the Tasks, by their names in the ASL: the one place that knows how they are called. */
import { confirmErasure } from '../../lambdas/confirm-erasure/confirm-erasure.ts';
import { type Collection, ensureCollection } from '../../lambdas/ensure-collection/ensure-collection.ts';
import { indexFaces } from '../../lambdas/index-faces/index-faces.ts';
import { listErasures } from '../../lambdas/list-erasures/list-erasures.ts';
import { markEnded } from '../../lambdas/mark-failed/mark-ended.ts';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { removeFaces } from '../../lambdas/remove-faces/remove-faces.ts';
import { requestErasure } from '../../lambdas/request-erasure/request-erasure.ts';
import { reserveSlot } from '../../lambdas/reserve-slot/reserve-slot.ts';
import {
  ensureCollectionRequestSchema,
  indexFacesRequestSchema,
  markFailedRequestSchema,
  parseRequest,
  persistResultsRequestSchema,
  reserveSlotRequestSchema,
} from '../../lambdas/shared/contract.ts';
import {
  confirmErasureRequestSchema,
  listErasuresRequestSchema,
  removeFacesRequestSchema,
  requestErasureRequestSchema,
} from '../../lambdas/shared/erasure-contract.ts';
import type { Telemetry } from '../../lambdas/shared/telemetry.ts';
import type { HistoryDatabase } from './database.ts';
import { type Caller, COLLECTION_PREFIX, type Face, RESULTS_BUCKET, type World } from './world.ts';

const FACE_RETENTION_DAYS = 30;

const silent = () => undefined;
const single = { addDimensions: () => single, addMetric: silent };
const telemetry = {
  logger: { info: silent, warn: silent, error: silent, appendKeys: silent },
  metrics: { addMetric: silent, singleMetric: () => single },
} as unknown as Telemetry;

export interface Environment {
  world: World;
  database: HistoryDatabase;
}

/**
 * What mends by itself, on a schedule, whatever was lost; undefined where nothing does. With it events of S3 are lost too, and
 * nothing that a lost event or a deleted collection left behind is excused.
 */
export const reconcile: ((environment: Environment) => Promise<void>) | undefined = undefined;

type Core = (environment: Environment, caller: Caller, request: unknown) => Promise<unknown>;

/** What a function with the database takes. */
function stores({ world, database }: Environment) {
  return {
    telemetry,
    now: Date.now,
    async withDatabase<Result>(work: Parameters<typeof database.withDatabase<Result>>[0]): Promise<Result> {
      world.clock.beforeWriting();
      try {
        return await database.withDatabase(work);
      } finally {
        world.clock.afterWriting();
      }
    },
  };
}

/** `X` of a Task whose resource is `${XFunctionArn}`. */
export const cores: Readonly<Record<string, Core>> = {
  EnsureCollection: ({ world }, caller, request) =>
    ensureCollection(
      {
        rekognition: world.clients(caller).rekognition,
        telemetry,
        collectionPrefix: COLLECTION_PREFIX,
        once: (eventId: string, create: () => Promise<Collection>) =>
          world.once(caller, `collection#${eventId}`, create),
      },
      parseRequest(ensureCollectionRequestSchema, request),
    ),
  ReserveSlot: ({ world }, caller, request) =>
    reserveSlot(
      {
        s3: world.clients(caller).s3,
        resultsBucket: RESULTS_BUCKET,
        ledger: { reserve: async () => Date.now() },
        telemetry,
        now: Date.now,
      },
      parseRequest(reserveSlotRequestSchema, request),
    ),
  IndexFaces: ({ world }, caller, request) =>
    indexFaces(
      {
        ...world.clients(caller),
        telemetry,
        resultsBucket: RESULTS_BUCKET,
        qualityFilter: 'AUTO',
        maxFaces: 100,
        detectionAttributes: ['DEFAULT'],
        rekognitionResponse: 'full',
        now() {
          const ms = world.clock.stamp();
          world.asked.set(caller.label, ms);
          return ms;
        },
        ledger: {
          takeSlot: async () => ({ slotMs: 0, intervalMs: 0, cuts: 0, day: 0 }),
          reportThrottle: async () => {},
          giveBack: async () => {},
        },
        once: (key, index) => world.once(caller, `photo#${key}`, index),
      },
      parseRequest(indexFacesRequestSchema, request),
    ),
  PersistResults: (environment, caller, request) =>
    persistResults(
      {
        ...stores(environment),
        s3: environment.world.clients(caller).s3,
        resultsBucket: RESULTS_BUCKET,
      },
      parseRequest(persistResultsRequestSchema, request),
    ),
  MarkFailed: (environment, _caller, request) =>
    markFailed(stores(environment), parseRequest(markFailedRequestSchema, request)),
  RequestErasure: (environment, _caller, request) =>
    requestErasure(
      { ...stores(environment), collectionPrefix: COLLECTION_PREFIX, faceRetentionDays: FACE_RETENTION_DAYS },
      parseRequest(requestErasureRequestSchema, request),
    ),
  async ListErasures(environment, _caller, request) {
    const step = await listErasures(
      { ...stores(environment), collectionPrefix: COLLECTION_PREFIX },
      parseRequest(listErasuresRequestSchema, request),
    );
    if (step.next === 'remove') {
      environment.world.turns.set(step.batch.number, environment.database.passed);
    }
    return step;
  },
  RemoveFaces({ world, database }, caller, request) {
    const { batch } = parseRequest(removeFacesRequestSchema, request);
    const isOver = world.turns.get(batch.number) !== database.passed;
    return removeFaces(
      {
        ...world.clients(caller),
        telemetry,
        resultsBucket: RESULTS_BUCKET,
        pace: async () => {},
        now() {
          world.removedMs = world.clock.stamp();
          return isOver ? Date.parse(batch.until) : world.removedMs;
        },
      },
      batch,
    );
  },
  ConfirmErasure: (environment, _caller, request) =>
    confirmErasure(stores(environment), parseRequest(confirmErasureRequestSchema, request)),
};

/** The queue of the last resort hands over the end of an execution. */
export async function lastResort(environment: Environment, event: object): Promise<void> {
  const body = JSON.stringify(event);
  const { batchItemFailures } = await markEnded(stores(environment), [{ messageId: 'message', body }]);
  if (batchItemFailures.length > 0) {
    throw new Error('The last resort wants the message again, with nothing in its way');
  }
}

/** What an operator sends for a person whose faces a search has found. */
export function personRequest(eventId: string, faces: readonly Face[]): object {
  return {
    request: 'person',
    event_id: eventId,
    faces: faces.map(({ faceId, imageId, box }) => [
      faceId,
      imageId,
      [box.Left, box.Top, box.Width, box.Height],
    ]),
  };
}
