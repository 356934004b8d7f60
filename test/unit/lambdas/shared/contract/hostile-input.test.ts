import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import type * as v from 'valibot';
import { ensureCollection } from '../../../../../lambdas/ensure-collection/ensure-collection.ts';
import { indexFaces } from '../../../../../lambdas/index-faces/index-faces.ts';
import { markEnded } from '../../../../../lambdas/mark-failed/mark-ended.ts';
import { classifyFailure } from '../../../../../lambdas/mark-failed/mark-failed.ts';
import { requestErasure } from '../../../../../lambdas/request-erasure/request-erasure.ts';
import { isFailureName, PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import { metricNames } from '../../../../../lambdas/shared/contract/names.ts';
import {
  ensureCollectionRequestSchema,
  indexFacesRequestSchema,
  joinLineRequestSchema,
  markFailedRequestSchema,
  parseRequest,
  persistResultsRequestSchema,
} from '../../../../../lambdas/shared/contract/payloads.ts';
import { parsePhotoKey } from '../../../../../lambdas/shared/contract/photo-key.ts';
import { resultsKey } from '../../../../../lambdas/shared/contract/stored-result.ts';
import { databaseError } from '../../../../../lambdas/shared/database/errors.ts';
import {
  confirmErasureRequestSchema,
  listErasuresRequestSchema,
  removeFacesRequestSchema,
  requestErasureRequestSchema,
} from '../../../../../lambdas/shared/erasure/contract.ts';
import {
  idempotencyError,
  ledgerError,
  rekognitionError,
  s3Error,
} from '../../../../../lambdas/shared/runtime/aws-errors.ts';
import { anyCharacter } from '../../../../support/any-text.ts';
import { cases } from '../../../../support/effort.ts';
import { fakeClient } from '../../../../support/fake-client.ts';
import { recordingTelemetry } from '../../../../support/recording-telemetry.ts';

const RUNS = { numRuns: cases(500) };
const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Text of every plane of Unicode, with control characters, halves of surrogate pairs and what paths are tricked with. */
const text = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom('..', '/', '\\', '%2e%2e', '\0', '\r\n', "';--", '"', '\ud800', '\u202e', '\uffff'),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
);

const key = fc.oneof(
  text,
  fc.tuple(text, text).map(([name, extension]) => `events/${EVENT}/${name}.${extension}`),
  text.map((folder) => `events/${EVENT}/${folder}/${EVENT}.jpg`),
  fc.tuple(fc.integer({ min: 900, max: 1_100 }), text).map(([length, name]) => {
    const start = `events/${EVENT}/${name}`;
    return `${start}${'x'.repeat(Math.max(0, length - Buffer.byteLength(start) - 4))}.jpg`;
  }),
);

const json = fc.jsonValue({ stringUnit: anyCharacter });

/** Anything that JSON can hold, and things it cannot. */
const anything = fc.oneof(
  json,
  fc.anything({
    withNullPrototype: true,
    withBigInt: true,
    withDate: true,
    withMap: true,
    withTypedArray: true,
  }),
);

/** Mostly what is right, so that what is wrong elsewhere is come to. */
const nearly = <Good, Bad>(good: fc.Arbitrary<Good>, bad: fc.Arbitrary<Bad>) =>
  fc.oneof({ weight: 9, arbitrary: good }, { weight: 1, arbitrary: bad as fc.Arbitrary<unknown> });

const object = fc.record(
  {
    key: nearly(key, anything),
    size: nearly(fc.integer({ min: 0, max: 30_000_000 }), anything),
    etag: nearly(fc.stringMatching(/^[0-9a-f]{32}$/), fc.oneof(text, anything)),
    'version-id': nearly(fc.stringMatching(/^[\w.]{1,32}$/), fc.oneof(text, anything)),
    sequencer: nearly(fc.stringMatching(/^[0-9A-F]{1,18}$/), fc.oneof(text, anything)),
  },
  { requiredKeys: ['key', 'etag'] },
);

/** An execution's state that is nearly right, or not at all. */
const state = nearly(
  fc.record(
    {
      lane: nearly(fc.constantFrom('live', 'backfill'), anything),
      bucket: nearly(fc.constant('photos'), text),
      object: nearly(object, anything),
      event_time: nearly(fc.constant('2026-05-01T10:00:00Z'), fc.oneof(text, anything)),
      photo: nearly(
        fc.record({
          event_id: fc.constant(EVENT),
          photo_id: fc.constant(EVENT),
          collection_id: nearly(fc.constant('rollcall-1'), text),
          face_model_version: fc.option(text),
          recreations: nearly(fc.nat(5), fc.double()),
        }),
        anything,
      ),
      slot: nearly(
        fc.record({ place_ms: fc.double(), wait_until: text, throttles: fc.nat(), reindexes: fc.nat(3) }),
        anything,
      ),
      result: nearly(
        fc.record({ results_key: text, face_count: fc.nat(), unindexed_count: fc.nat() }),
        anything,
      ),
      returned: nearly(fc.record({ Error: text, Cause: text }), anything),
      failure: nearly(fc.record({ Error: text, Cause: text }), anything),
    },
    { requiredKeys: ['bucket', 'object'] },
  ),
  anything,
);

const request = fc.oneof(
  anything,
  fc.record(
    {
      input: fc.oneof(
        state,
        fc.record({
          request: fc.constantFrom('photo_deleted', 'person', 'event', 'retention', 'outbox', 'other'),
          object,
          event_id: fc.oneof(fc.constant(EVENT), text),
          faces: fc.array(fc.array(fc.oneof(fc.constant(EVENT), text), { maxLength: 3 }), { maxLength: 3 }),
          as_of: fc.oneof(fc.constant('2026-05-01T10:00:00Z'), text),
        }),
      ),
      execution_arn: fc.oneof(fc.constant('arn:1'), text, anything),
      started_at: fc.oneof(fc.constant('2026-05-01T10:00:00Z'), text, anything),
      max_recreations: fc.constantFrom(3, -1, 'x'),
      max_throttles: fc.constantFrom(30, Number.NaN),
      max_reindexes: fc.constantFrom(2, null),
      max_batches: fc.constantFrom(1000, 0.5),
      batch: anything,
    },
    { requiredKeys: [] },
  ),
);

/** The name of what is thrown, if it is one that the state machines know; anything else fails the test. */
function classified(thrown: unknown): string {
  // `expect` would take most of the time that these tens of thousands of inputs take.
  const isKnown = thrown instanceof PipelineError && isFailureName(thrown.name);
  // The name for what nobody thought of.
  if (!isKnown || thrown.name === 'InternalError') {
    throw new Error('Not a failure with a name of its own', { cause: thrown });
  }
  return thrown.name;
}

test('every key is a photo of a UUID, or invalid', () => {
  fc.assert(
    fc.property(key, (hostile) => {
      try {
        const { eventId, photoId } = parsePhotoKey(hostile);
        expect(eventId).toMatch(UUID);
        expect(photoId).toMatch(UUID);
        // What can be stored, and what S3 allows.
        expect(hostile.includes('\0')).toBe(false);
        expect(Buffer.byteLength(hostile)).toBeLessThanOrEqual(1_024);
      } catch (error) {
        expect(classified(error)).toBe('InvalidPhotoKey');
      }
    }),
    RUNS,
  );
});

test('whatever the version of a photo is called, its response stays in its folder', () => {
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ maxLength: 2_000 })), (version) => {
      const stored = resultsKey({ event_id: EVENT, photo_id: EVENT }, version);
      expect(stored).toMatch(new RegExp(`^results/${EVENT}/${EVENT}/[\\w.-]{1,128}\\.json$`));
    }),
    RUNS,
  );
});

/** By the folder in `lambdas/`. */
const schemas = {
  'ensure-collection': ensureCollectionRequestSchema,
  'join-line': joinLineRequestSchema,
  'index-faces': indexFacesRequestSchema,
  'persist-results': persistResultsRequestSchema,
  'mark-failed': markFailedRequestSchema,
  'request-erasure': requestErasureRequestSchema,
  'list-erasures': listErasuresRequestSchema,
  'remove-faces': removeFacesRequestSchema,
  'confirm-erasure': confirmErasureRequestSchema,
} as Record<string, v.GenericSchema>;

/** What the functions were really sent; batches of a queue apart. */
function recordedRequests(name: string): unknown[] {
  const file = path.join(import.meta.dirname, `../../../../contract/0.1.0/requests/${name}.json`);
  const requests = JSON.parse(readFileSync(file, 'utf8')) as object[];
  return requests.filter((one) => !('Records' in one));
}

/** The paths of everything in a value that holds nothing itself. */
function leaves(value: unknown, at: string[] = []): string[][] {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([name, item]) => leaves(item, [...at, name]))
    : [at];
}

/** A text; what JSON cannot hold is told by name. */
const asJson = (value: unknown) =>
  JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item));

function withLeaf(value: unknown, [name, ...rest]: string[], leaf: unknown): unknown {
  if (name === undefined) {
    return leaf;
  }
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[name] = withLeaf(copy[name], rest, leaf);
  return copy;
}

test.each(Object.entries(schemas))(
  '%s takes what it was sent, and nothing of another kind in the place of what it reads',
  (name, schema) => {
    const requests = recordedRequests(name);
    expect(requests.length).toBeGreaterThan(0);
    for (const request of requests) {
      const read = leaves(parseRequest(schema, request));
      expect(read.length).toBeGreaterThan(1);
      const takenThere: string[] = [];
      for (const at of read) {
        const wrong = withLeaf(request, at, { of: 'another kind' });
        // Where it is not refused, it is not read.
        const taken = refusal(schema, wrong) === undefined ? leaves(parseRequest(schema, wrong)) : [];
        const place = at.join('.');
        takenThere.push(
          ...taken.map((path) => path.join('.')).filter((path) => path.startsWith(`${place}.`)),
        );
      }
      expect(takenThere).toEqual([]);
    }
  },
);

function refusal(schema: v.GenericSchema, request: unknown): string | undefined {
  try {
    parseRequest(schema, request);
    return undefined;
  } catch (error) {
    return classified(error);
  }
}

test.each(Object.entries(schemas))(
  'whatever %s is sent, it is refused by that name or taken',
  (_, schema) => {
    fc.assert(
      fc.property(request, (hostile) => {
        return [undefined, 'InvalidInput'].includes(refusal(schema, hostile));
      }),
      { numRuns: cases(200) },
    );
  },
);

/** Asks a core with what its schema lets through. */
async function outcome(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'done';
  } catch (error) {
    return classified(error);
  }
}

test('an event ends in a collection or in a classified failure', async () => {
  const outcomes = new Set<string>();
  const { telemetry } = recordingTelemetry();
  const rekognition = fakeClient<RekognitionClient>({ CreateCollection: () => ({}) });
  await fc.assert(
    fc.asyncProperty(state, async (input) => {
      outcomes.add(
        await outcome(async () =>
          ensureCollection(
            {
              rekognition: rekognition.client,
              telemetry,
              collectionPrefix: 'rollcall-',
              once: (_, create) => create(),
            },
            parseRequest(ensureCollectionRequestSchema, { input, execution_arn: 'arn', max_recreations: 3 }),
          ),
        ),
      );
    }),
    RUNS,
  );
  expect([...outcomes].sort()).toEqual(expect.arrayContaining(['InvalidInput', 'InvalidPhotoKey', 'done']));
});

test('whatever Rekognition answers is stored, or is a failure with a name', async () => {
  const outcomes = new Set<string>();
  const face = fc.oneof(
    json,
    fc.record(
      { Face: fc.oneof(json, fc.record({ FaceId: json, BoundingBox: json })), FaceDetail: json },
      { requiredKeys: [] },
    ),
  );
  const response = fc.oneof(
    json,
    fc.record(
      {
        FaceRecords: fc.oneof(json, fc.array(face, { maxLength: 4 })),
        UnindexedFaces: fc.oneof(json, fc.array(face, { maxLength: 4 })),
        FaceModelVersion: json,
      },
      { requiredKeys: [] },
    ),
  );
  const { telemetry } = recordingTelemetry();
  await fc.assert(
    fc.asyncProperty(response, fc.constantFrom('full', 'minimal'), async (hostile, rekognitionResponse) => {
      // The SDK takes any JSON, and puts its own beside it.
      const answer = { ...(hostile as object), $metadata: {} };
      const stored: string[] = [];
      const s3 = fakeClient<S3Client>({
        HeadObject: ({ Bucket }) => {
          if (Bucket === 'photos') {
            return { ETag: '"e1"' };
          }
          throw Object.assign(new Error('none'), { name: 'NotFound', $metadata: { httpStatusCode: 404 } });
        },
        PutObject: ({ Body }) => {
          stored.push(Body as string);
          return {};
        },
      });
      const result = await outcome(async () =>
        indexFaces(
          {
            rekognition: fakeClient<RekognitionClient>({ IndexFaces: () => answer }).client,
            s3: s3.client,
            telemetry,
            resultsBucket: 'results',
            qualityFilter: 'AUTO',
            maxFaces: 100,
            detectionAttributes: ['DEFAULT'],
            rekognitionResponse: rekognitionResponse as 'full' | 'minimal',
            now: () => 0,
            ledger: {
              takeSlot: async () => ({ slotMs: 0, intervalMs: 20, cuts: 0 }),
              reportThrottle: async () => {},
            } as never,
            once: (_, index) => index(),
          },
          parseRequest(indexFacesRequestSchema, {
            input: {
              bucket: 'photos',
              object: { key: `events/${EVENT}/a.jpg`, etag: 'e1' },
              photo: {
                event_id: EVENT,
                photo_id: EVENT,
                collection_id: 'c',
                face_model_version: null,
                recreations: 0,
              },
              place: { place_ms: 0, wait_until: '', throttles: 0, reindexes: 0 },
            },
            execution_arn: 'arn',
          }),
        ),
      );
      outcomes.add(result);
      if (result === 'done') {
        const parsed = JSON.parse(stored[0]!);
        expect(Array.isArray(parsed.face_records) && Array.isArray(parsed.unindexed_faces)).toBe(true);
      }
    }),
    RUNS,
  );
  expect([...outcomes]).toEqual(['done']);
});

/** Whatever can be thrown: also what has no text, or throws when it is looked at. */
const thrown = fc.oneof(
  anything,
  fc.record(
    {
      name: fc.oneof(
        text,
        anything,
        fc.constantFrom('AccessDeniedException', 'ThrottlingException', 'NoSuchKey'),
      ),
      message: fc.oneof(text, anything),
      code: fc.oneof(text, anything, fc.constantFrom('40001', '42501', 'ECONNRESET')),
      cause: anything,
      $metadata: anything,
    },
    { requiredKeys: [] },
  ),
  fc.constantFrom<unknown>(
    Object.create(null),
    Symbol('thrown'),
    { message: Symbol('message') },
    {
      toString() {
        throw new Error('no text');
      },
    },
    {
      get name() {
        throw new Error('no name');
      },
    },
    new Proxy(
      {},
      {
        get() {
          throw new Error('no property');
        },
      },
    ),
  ),
);

test.each([
  ['Rekognition', rekognitionError],
  [
    'S3',
    (error: unknown) =>
      s3Error(error, { operation: 'GetObject', bucket: 'results', key: 'key' }, 'ResultNotFound'),
  ],
  ['the ledger', ledgerError],
  ['PostgreSQL', databaseError],
])('whatever %s throws gets a name that the state machine knows', (_, rename) => {
  fc.assert(
    fc.property(thrown, (error) => {
      const renamed = rename(error);
      expect(renamed).toBeInstanceOf(PipelineError);
      expect(isFailureName(renamed.name)).toBe(true);
      expect(typeof renamed.message).toBe('string');
    }),
    RUNS,
  );
});

test('whatever the idempotency store throws passes, or gets a name', () => {
  fc.assert(
    fc.property(thrown, (error) => {
      const renamed = idempotencyError(error);
      expect(Object.is(renamed, error) || renamed instanceof PipelineError).toBe(true);
    }),
    RUNS,
  );
});

test('whatever a state machine caught becomes a failure that can be stored', () => {
  fc.assert(
    fc.property(text, fc.oneof(text, fc.json({ stringUnit: anyCharacter })), (name, cause) => {
      const { code, message } = classifyFailure({ Error: name, Cause: cause });
      expect(isFailureName(code)).toBe(true);
      expect(message.includes('\0')).toBe(false);
      expect(message.isWellFormed()).toBe(true);
      expect(message.length).toBeLessThanOrEqual(2_000);
    }),
    RUNS,
  );
});

test('whatever is in the queue of the last resort is asked for once and comes again, or is counted and done with', async () => {
  const hostileBody = fc.oneof(
    text,
    fc.json(),
    fc
      .record({
        id: fc.oneof(fc.constant('1'), text),
        time: fc.constantFrom('2026-05-01T10:00:00Z', 'now'),
        object,
      })
      .map(({ id, time, object: created }) =>
        asJson({
          'detail-type': 'Object Created',
          id,
          time,
          detail: { bucket: { name: 'photos' }, object: created },
        }),
      ),
    fc
      .record({
        executionArn: text,
        status: fc.constantFrom('FAILED', 'ABORTED', 'OTHER'),
        startDate: fc.nat(),
        input: fc.oneof(
          text,
          fc.json(),
          object.map((uploaded) => asJson({ bucket: 'photos', object: uploaded })),
        ),
        error: text,
        cause: text,
      })
      .map((detail) => JSON.stringify({ detail })),
  );
  let again = 0;
  let done = 0;
  await fc.assert(
    fc.asyncProperty(hostileBody, async (body) => {
      const recording = recordingTelemetry();
      let asked = 0;
      const withDatabase = async () => {
        asked++;
        throw new PipelineError('DatabaseUnavailable', 'away');
      };
      const deps = { telemetry: recording.telemetry, withDatabase, now: () => 0 };
      const { batchItemFailures } = await markEnded(deps, [{ messageId: 'm1', body }]);
      expect(batchItemFailures).toEqual(asked > 0 ? [{ itemIdentifier: 'm1' }] : []);
      expect(asked).toBeLessThanOrEqual(1);
      // As a whole and by its class, in one entry.
      expect(recording.total(metricNames.photosFailed)).toBe(1 - asked);
      again += asked;
      done += 1 - asked;
    }),
    RUNS,
  );
  // Both happen.
  expect(Math.min(again, done)).toBeGreaterThan(RUNS.numRuns / 20);
});

test('an erasure that is asked for wrongly is refused before the database is asked', async () => {
  const { telemetry } = recordingTelemetry();
  await fc.assert(
    fc.asyncProperty(request, async (hostile) => {
      const result = await outcome(async () =>
        requestErasure(
          {
            telemetry,
            collectionPrefix: 'rollcall-',
            faceRetentionDays: 30,
            searchRetentionDays: 30,
            withDatabase: async () => {
              throw new PipelineError('DatabaseUnavailable', 'away');
            },
          },
          parseRequest(requestErasureRequestSchema, hostile),
        ),
      );
      expect(['InvalidInput', 'DatabaseUnavailable']).toContain(result);
    }),
    { numRuns: cases(300) },
  );
});
