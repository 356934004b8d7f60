import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { answerOperator } from '../../lambdas/answer-operator/answer-operator.ts';
import { type Answers, type Question, questionSchema } from '../../lambdas/answer-operator/questions.ts';
import { markEnded } from '../../lambdas/mark-failed/mark-ended.ts';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { requestErasure } from '../../lambdas/request-erasure/request-erasure.ts';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { requestErasureRequestSchema } from '../../lambdas/shared/erasure/contract.ts';
import { anyCharacter } from '../support/any-text.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();

function world() {
  const recording = recordingTelemetry();
  const deps = {
    telemetry: recording.telemetry,
    now: Date.now,
    withDatabase: <Result>(work: (sql: typeof database.pipeline) => Promise<Result>) =>
      work(database.pipeline),
  };
  const fail = (key: string, upload: { etag?: string; sequencer?: string; code?: string } = {}) =>
    markFailed(deps, {
      input: {
        lane: 'live',
        bucket: 'photos',
        object: { key, etag: upload.etag ?? 'v1', sequencer: upload.sequencer ?? '1A' },
        failure: { Error: upload.code ?? 'InvalidPhotoKey', Cause: 'not of the form' },
      },
      execution_arn: `arn:${upload.etag ?? 'v1'}`,
      started_at: '2026-05-01T10:00:00Z',
    });
  const remove = (key: string, sequencer: string) =>
    requestErasure(
      { ...deps, collectionPrefix: 'rollcall-', faceRetentionDays: 30, searchRetentionDays: 30 },
      parseRequest(requestErasureRequestSchema, {
        input: { request: 'photo_deleted', object: { key, sequencer } },
        execution_arn: `arn:${randomUUID()}`,
      }),
    );
  const end = (key: string) =>
    markEnded(deps, [
      {
        messageId: 'm0',
        body: JSON.stringify({
          detail: {
            executionArn: 'arn:ended',
            status: 'FAILED',
            startDate: Date.parse('2026-05-01T10:00:00Z'),
            error: 'InvalidPhotoKey',
            cause: 'not of the form',
            input: JSON.stringify({
              bucket: 'photos',
              object: { key, etag: 'v1', sequencer: '1A' },
              event_time: 'a moment ago',
            }),
          },
        }),
      },
    ]);
  return { recording, fail, remove, end };
}

async function ask<Name extends Question['ask']>(
  question: Extract<Question, { ask: Name }>,
): Promise<Answers[Name]> {
  const answer = await answerOperator(
    { telemetry: recordingTelemetry().telemetry, withDatabase: (work) => work(database.pipeline) },
    parseRequest(questionSchema, JSON.parse(JSON.stringify(question))),
  );
  return JSON.parse(JSON.stringify(answer)) as Answers[Name];
}
const listed = async () => (await ask({ ask: 'misplaced', limit: 1_000 })).uploads;
const versionOf = async (key: string) =>
  (await database.admin`SELECT object_version FROM misplaced_uploads WHERE object_key = ${key}`)[0]
    ?.object_version as string | undefined;

test.each([
  'wrong/key.jpg',
  'events/notauuid/x.jpg',
  'Events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/x.jpg',
  'events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/no-extension',
  'x',
])('%s has its failure written, with the reason, and counts', async (key) => {
  const { recording, fail } = world();
  const photos = await database.admin`SELECT count(*) FROM photos`;
  await expect(fail(key)).resolves.toEqual({
    photo_id: null,
    effect: 'misplaced',
    failure_code: 'InvalidPhotoKey',
    erasure_requested: false,
  });
  expect(await listed()).toContainEqual({
    object_key: key,
    failure_code: 'InvalidPhotoKey',
    failure_message: 'not of the form',
    execution_arn: 'arn:v1',
    failed_at: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  expect(recording.total(metricNames.photosFailed)).toBe(1);
  expect(recording.total(metricNames.uploadsMisplaced)).toBe(1);
  expect(await database.admin`SELECT count(*) FROM photos`).toEqual(photos);
});

test('the operator gets the latest first, with how many there are', async () => {
  const { fail } = world();
  await fail('first.jpg');
  await fail('second.jpg');
  const { total, uploads } = await ask({ ask: 'misplaced', limit: 1 });
  expect(uploads.map(({ object_key }) => object_key)).toEqual(['second.jpg']);
  expect(total).toBeGreaterThan(1);
  await expect(ask({ ask: 'summary' })).resolves.toMatchObject({ misplaced: total });
});

test('the later upload of a key stays, in whatever order they fail, and a deletion takes it away', async () => {
  const { fail, remove } = world();
  await fail('order.jpg', { etag: 'v2', sequencer: '1B' });
  await expect(fail('order.jpg', { sequencer: '1A' })).resolves.toMatchObject({ effect: 'superseded' });
  await expect(versionOf('order.jpg')).resolves.toBe('v2');
  // Of the first one, told late.
  await remove('order.jpg', '1A0');
  await expect(versionOf('order.jpg')).resolves.toBe('v2');
  await expect(remove('order.jpg', '1C')).resolves.toMatchObject({ effect: 'ignored' });
  await expect(versionOf('order.jpg')).resolves.toBeUndefined();
});

test('the last resort writes one that no execution could write, and leaves the reason that is there', async () => {
  const { recording, fail, end } = world();
  await expect(end('late.jpg')).resolves.toEqual({ batchItemFailures: [] });
  expect(await listed()).toContainEqual(
    expect.objectContaining({ object_key: 'late.jpg', execution_arn: 'arn:ended' }),
  );
  await fail('early.jpg');
  await end('early.jpg');
  expect(await listed()).toContainEqual(
    expect.objectContaining({ object_key: 'early.jpg', execution_arn: 'arn:v1' }),
  );
  expect(recording.total(metricNames.uploadsMisplaced)).toBe(2);
});

test('what is gone from the bucket is forgotten when the operator says so', async () => {
  const { fail } = world();
  await fail('gone.jpg');
  await fail('there.jpg');
  await expect(ask({ ask: 'forget_misplaced', keys: ['gone.jpg', 'unknown.jpg'] })).resolves.toEqual({
    forgotten: 1,
  });
  await expect(versionOf('gone.jpg')).resolves.toBeUndefined();
  await expect(versionOf('there.jpg')).resolves.toBe('v1');
});

test('whatever the key holds, it is written and taken away again', async () => {
  const { fail, remove } = world();
  const before = (await ask({ ask: 'summary' })).misplaced;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: anyCharacter, minLength: 1, maxLength: 1_500 }),
        // Incompressible, and longer than what an index takes.
        fc
          .array(fc.integer({ min: 0x4e00, max: 0x9fff }), { minLength: 1_100, maxLength: 1_500 })
          .map((codes) => String.fromCodePoint(...codes)),
      ),
      async (key) => {
        await expect(fail(key)).resolves.toMatchObject({ effect: 'misplaced' });
        await remove(key, '1B');
      },
    ),
    { numRuns: 30 },
  );
  expect((await ask({ ask: 'summary' })).misplaced).toBe(before);
});
