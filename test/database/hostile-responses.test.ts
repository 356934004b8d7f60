import { randomUUID } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import type postgres from 'postgres';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { persistResults } from '../../lambdas/persist-results/persist-results.ts';
import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import {
  markFailedRequestSchema,
  parseRequest,
  persistResultsRequestSchema,
} from '../../lambdas/shared/contract/payloads.ts';
import { databaseError } from '../../lambdas/shared/database/errors.ts';
import { anyCharacter } from '../support/any-text.ts';
import { cases } from '../support/effort.ts';
import { fakeClient } from '../support/fake-client.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

/** Each is a transaction, of up to a hundred faces. */
const CASES = cases(300);
/** Photos of one run at once, over ten connections. */
const AT_ONCE = 100;
const EVENT = randomUUID();

const database = useTestDatabase();

const withDatabase = async <Result>(work: (sql: postgres.Sql) => Promise<Result>) => {
  try {
    return await work(database.pipeline);
  } catch (error) {
    throw databaseError(error);
  }
};
const { telemetry } = recordingTelemetry();

/** Text with NUL, halves of surrogate pairs, every plane, and what SQL and JSON are tricked with. */
const text = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 30 }),
  fc.constantFrom('\0', '\ud800', 'a\0b', "'); DROP TABLE faces; --", '\\u0000', '__proto__', '\u2028', '🙂'),
);
const json = fc.jsonValue({ stringUnit: anyCharacter, maxDepth: 4 });
const number = fc.oneof(
  fc.double({ noNaN: false }),
  fc.constantFrom(
    1e308,
    -1e308,
    1e-320,
    5e-324,
    Number.MAX_SAFE_INTEGER,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ),
);
const faceId = fc.oneof(fc.uuid(), fc.constantFrom('twin', ''), text, json, fc.constant('x'.repeat(5_000)));
const box = fc.oneof(
  fc.record({ Left: number, Top: number, Width: number, Height: number }, { requiredKeys: [] }),
  json,
);
const record = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record(
      {
        Face: fc.oneof(
          fc.record(
            { FaceId: faceId, BoundingBox: box, Confidence: fc.oneof(number, json), ImageId: text },
            { requiredKeys: [] },
          ),
          json,
        ),
        FaceDetail: fc.oneof(fc.record({ Landmarks: fc.array(box, { maxLength: 3 }), Emotions: json }), json),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 1, arbitrary: fc.object({ key: text, maxDepth: 3 }) },
);
const unindexed = fc.record(
  { Reasons: fc.oneof(fc.array(text, { maxLength: 3 }), json), FaceDetail: fc.oneof(box, json) },
  { requiredKeys: [] },
);
/** A hundred faces of four kilobytes each. */
const crowd = fc.nat().map((seed) =>
  Array.from({ length: 100 }, (_, i) => ({
    Face: { FaceId: randomUUID(), Confidence: 99, BoundingBox: { Left: 0, Top: 0, Width: 1, Height: 1 } },
    FaceDetail: { Landmarks: 'x'.repeat(4_000) + seed + i },
  })),
);
const response = fc.record({
  face_records: fc.oneof(
    { weight: 40, arbitrary: fc.array(record, { maxLength: 5 }) },
    { weight: 1, arbitrary: crowd },
    { weight: 2, arbitrary: json },
  ),
  unindexed_faces: fc.oneof(
    { weight: 20, arbitrary: fc.array(unindexed, { maxLength: 3 }) },
    { weight: 1, arbitrary: json },
  ),
  face_model_version: fc.option(text),
});

/** What becomes of it: an effect, or the name of a failure. */
async function outcome(work: () => Promise<{ effect: string }>): Promise<string> {
  try {
    return (await work()).effect;
  } catch (error) {
    expect(error).toBeInstanceOf(PipelineError);
    // Not the name for what nobody thought of: PostgreSQL's complaint would be in there.
    expect((error as Error).message).not.toMatch(/PostgreSQL/);
    return (error as Error).name;
  }
}

test('hostile responses are stored, or have to be made again', async () => {
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(response, { minLength: AT_ONCE, maxLength: AT_ONCE, size: 'max' }),
      async (responses) => {
        await Promise.all(
          responses.map(async (hostile) => {
            const photoId = randomUUID();
            const body = JSON.stringify({
              collection_id: `rollcall-${EVENT}`,
              called_at: '2026-05-01T10:00:00.000Z',
              indexed_at: '2026-05-01T10:00:01.000Z',
              ...hostile,
            });
            const s3 = fakeClient<S3Client>({
              GetObject: () => ({ Body: { transformToString: async () => body } }),
            });
            const result = await outcome(async () =>
              persistResults(
                { s3: s3.client, telemetry, resultsBucket: 'results', withDatabase, now: Date.now },
                parseRequest(persistResultsRequestSchema, {
                  input: {
                    bucket: 'photos',
                    object: { key: `events/${EVENT}/${photoId}.jpg`, etag: 'e1', sequencer: '1' },
                    photo: {
                      event_id: EVENT,
                      photo_id: photoId,
                      collection_id: `rollcall-${EVENT}`,
                      face_model_version: null,
                      recreations: 0,
                    },
                    result: { results_key: 'results/1.json', face_count: 0, unindexed_count: 0 },
                  },
                  execution_arn: 'arn',
                  started_at: '2026-05-01T10:00:00.000Z',
                }),
              ),
            );
            outcomes.set(result, (outcomes.get(result) ?? 0) + 1);
          }),
        );
      },
    ),
    { numRuns: CASES / AT_ONCE, endOnFailure: true },
  );
  expect([...outcomes.keys()].sort()).toEqual(['ResultNotFound', 'stored']);
  expect(outcomes.get('stored')).toBeGreaterThan(CASES / 2);
  // What is counted is there.
  const [wrong] = await database.admin`
    SELECT count(*)::int AS photos FROM photos
    WHERE status = 'indexed' AND face_count <> (SELECT count(*) FROM faces WHERE photo_id = photos.id)`;
  expect(wrong).toEqual({ photos: 0 });
}, 180_000);

test('whatever failed, with whatever words, is written as failed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ Error: text, Cause: fc.oneof(text, fc.json({ stringUnit: anyCharacter })) }), {
        minLength: 20,
        maxLength: 20,
      }),
      async (failures) => {
        const results = await Promise.all(
          failures.map((failure) =>
            outcome(async () =>
              markFailed(
                { telemetry, withDatabase, now: Date.now },
                parseRequest(markFailedRequestSchema, {
                  input: {
                    bucket: 'photos',
                    object: { key: `events/${EVENT}/${randomUUID()}.jpg`, etag: 'e1', sequencer: '1' },
                    failure,
                  },
                  execution_arn: 'arn',
                  started_at: '2026-05-01T10:00:00.000Z',
                }),
              ),
            ),
          ),
        );
        expect(new Set(results)).toEqual(new Set(['written']));
      },
    ),
    { numRuns: cases(8), endOnFailure: true },
  );
}, 60_000);
