/** The functions behind the Tasks, by their names in the ASL: the one place that knows how they are called. */
import { announcePhotos } from '../../lambdas/announce-photos/announce-photos.ts';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import type { Question } from '../../lambdas/answer-operator/questions.ts';
import { confirmErasure } from '../../lambdas/confirm-erasure/confirm-erasure.ts';
import { type Collection, ensureCollection } from '../../lambdas/ensure-collection/ensure-collection.ts';
import { findPerson } from '../../lambdas/find-person/find-person.ts';
import { indexFaces } from '../../lambdas/index-faces/index-faces.ts';
import { joinLine } from '../../lambdas/join-line/join-line.ts';
import { listErasures } from '../../lambdas/list-erasures/list-erasures.ts';
import { markEnded } from '../../lambdas/mark-failed/mark-ended.ts';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { decide, type FoundEvent } from '../../lambdas/mend-disagreements/decide.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { readGallery } from '../../lambdas/read-gallery/read-gallery.ts';
import { removeFaces } from '../../lambdas/remove-faces/remove-faces.ts';
import { requestErasure } from '../../lambdas/request-erasure/request-erasure.ts';
import { resolveFaces } from '../../lambdas/resolve-faces/resolve-faces.ts';
import { type ChangesAnswer, galleryRoutes } from '../../lambdas/shared/contract/gallery.ts';
import {
  type ExecutionInput,
  ensureCollectionRequestSchema,
  indexFacesRequestSchema,
  joinLineRequestSchema,
  markFailedRequestSchema,
  parseRequest,
  persistResultsRequestSchema,
} from '../../lambdas/shared/contract/payloads.ts';
import {
  findPersonRequestSchema,
  type ResolvedFaces,
  resolveFacesRequestSchema,
} from '../../lambdas/shared/contract/search.ts';
import { eventResultsFolder } from '../../lambdas/shared/contract/stored-result.ts';
import {
  confirmErasureRequestSchema,
  listErasuresRequestSchema,
  removeFacesRequestSchema,
  requestErasureRequestSchema,
} from '../../lambdas/shared/erasure/contract.ts';
import { ProblemError } from '../../lambdas/shared/http/problems.ts';
import { facePage, leavingPage, photoPage } from '../../lambdas/shared/photos/row-pages.ts';
import { compare } from '../../lambdas/shared/reconciliation/compare.ts';
import type { Telemetry } from '../../lambdas/shared/runtime/telemetry.ts';
import type { HistoryDatabase } from './database.ts';
import {
  type Caller,
  COLLECTION_PREFIX,
  type Face,
  PHOTO_BUCKET,
  RESULTS_BUCKET,
  selfieOf,
  sizeOf,
  type World,
} from './world.ts';

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

/** More than a history has. */
const ALL = { limit: 1_000 };

/**
 * The scheduled reconciliation's comparison and decision, on what bucket, database and collections know of these events.
 *
 * @returns the inputs of the executions that it starts
 */
export async function reconcile(
  environment: Environment,
  eventIds: readonly string[],
): Promise<{ index: ExecutionInput[]; erase: object[] }> {
  const { world, database } = environment;
  const found: FoundEvent[] = [];
  // What happened in this very moment is settled too.
  const settled = new Date(Date.now() + 1_000);
  for (const eventId of eventIds) {
    const collection = world.collections.get(`${COLLECTION_PREFIX}${eventId}`);
    const objects = [...world.photos]
      .filter(([key]) => key.startsWith(`events/${eventId}/`))
      .map(([key, { etag, content, uploadedAt }]) => ({ key, etag, size: sizeOf(content), uploadedAt }));
    const rows = await database.withDatabase(async (sql) => {
      const faces = [...(await facePage(sql, eventId, ALL))];
      const [event] = await sql<{ erased: string | null }[]>`
        SELECT erasure_requested_at::text AS erased FROM events WHERE id = ${eventId}`;
      const leaving = await leavingPage(sql, eventId, ALL);
      return {
        erasedBefore: event?.erased ? new Date(event.erased) : null,
        facesBefore: faces,
        faces,
        photos: [...(await photoPage(sql, { event_id: eventId }, ALL))],
        leaving: new Set(leaving.map(({ rekognition_face_id }) => rekognition_face_id)),
      };
    });
    const members = collection && [...collection.values()];
    const findings = compare(
      {
        eventId,
        ...rows,
        objects,
        collection: members?.map(({ faceId, imageId }) => ({ faceId, externalImageId: imageId })),
        responses: [...world.results]
          .filter(([key]) => key.startsWith(eventResultsFolder(eventId)))
          .map(([key, { storedMs }]) => ({ key, storedAt: new Date(storedMs).toISOString() })),
      },
      settled,
    );
    found.push({ eventId, findings });
  }
  const context = { bucket: PHOTO_BUCKET, collectionPrefix: COLLECTION_PREFIX, mayIndex: true };
  const left = { images_left: 100, deletions_left: 100, settled: settled.toISOString() };
  const { mending, questions } = decide(found, left, context);
  for (const question of questions) {
    await answerOperator(stores(environment), question as Question);
  }
  const erasures = mending.deletions.map(({ input }) => input as object);
  const isDue = (await database.dueErasures()).length > 0;
  return {
    index: mending.index.map(({ input }) => input),
    erase: isDue ? [...erasures, { request: 'outbox' }] : erasures,
  };
}

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
  JoinLine: ({ world }, caller, request) =>
    joinLine(
      {
        s3: world.clients(caller).s3,
        resultsBucket: RESULTS_BUCKET,
        ledger: {
          joinLine: async () => Date.now(),
          joinByTurns: async () => ({ placeMs: Date.now(), round: 0 }),
        },
        telemetry,
        now: Date.now,
      },
      parseRequest(joinLineRequestSchema, request),
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
      {
        ...stores(environment),
        collectionPrefix: COLLECTION_PREFIX,
        faceRetentionDays: FACE_RETENTION_DAYS,
        searchRetentionDays: FACE_RETENTION_DAYS,
      },
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

/** The queue of the last resort hands over the end of an execution, or an upload that started none. */
export async function lastResort(environment: Environment, event: object): Promise<void> {
  const body = JSON.stringify(event);
  const { batchItemFailures } = await markEnded(stores(environment), [{ messageId: 'message', body }]);
  if (batchItemFailures.length > 0) {
    throw new Error('The last resort wants the message again, with nothing in its way');
  }
}

/** The queue of announcements hands over a batch. */
export async function announce(environment: Environment, inputs: readonly object[]): Promise<void> {
  const records = inputs.map((input, i) => ({ messageId: String(i), body: JSON.stringify(input) }));
  const { batchItemFailures } = await announcePhotos(stores(environment), records);
  if (batchItemFailures.length > 0) {
    throw new Error('Announcements are wanted again, with nothing in their way');
  }
}

/**
 * Searches an event for a person. Between what Rekognition finds and what of it is shown, others can come.
 *
 * @param onShown is told at once which faces are shown, each with its photo
 */
export async function find(
  environment: Environment,
  caller: Caller,
  { eventId, person }: { eventId: string; person: string },
  onShown: (faces: ResolvedFaces['faces']) => void,
): Promise<void> {
  const slot = { slotMs: 0, intervalMs: 0, cuts: 0, day: 0 };
  await findPerson(
    {
      rekognition: environment.world.clients(caller).rekognition,
      telemetry,
      ledger: {
        takeSlot: async () => slot,
        joinLine: async () => 0,
        reportThrottle: async () => {},
        giveBack: async () => {},
      },
      limits: { take: async () => ({ placeMs: undefined }), keepPlace: async () => {} },
      collectionPrefix: COLLECTION_PREFIX,
      async resolveFaces(request) {
        await caller.point('ResolveFaces');
        const resolved = await resolveFaces(
          { ...stores(environment), faceRetentionDays: FACE_RETENTION_DAYS },
          parseRequest(resolveFacesRequestSchema, JSON.parse(JSON.stringify(request))),
        );
        onShown(resolved.faces);
        return resolved;
      },
      now: Date.now,
    },
    parseRequest(findPersonRequestSchema, { event_id: eventId, image: selfieOf(person) }),
  );
}

/** A page of an event's changes, as the API answers it; undefined of an event that nobody has heard of. */
export async function readChanges(
  { database }: Environment,
  eventId: string,
  { since, limit }: { since: string | undefined; limit: number | undefined },
): Promise<ChangesAnswer | undefined> {
  try {
    const answer = await readGallery(
      {
        withDatabase: (work) => work(database.gallery),
        readLedger: async () => ({}) as never,
        line: {} as never,
        photoUrl: async () => '',
        now: Date.now,
        telemetry,
      },
      {
        route: galleryRoutes.changes,
        event: eventId,
        query: {
          ...(since !== undefined && { since }),
          ...(limit !== undefined && { limit: String(limit) }),
        },
      },
    );
    return answer as ChangesAnswer;
  } catch (error) {
    if (error instanceof ProblemError && error.problem.status === 404) {
      return undefined;
    }
    throw error;
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
