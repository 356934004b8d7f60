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
import { forgetDeleted, storableKey, writeMisplaced } from '../../lambdas/shared/photos/misplaced-uploads.ts';
import { anyCharacter } from '../support/any-text.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { waitsForLock } from '../support/waiting.ts';

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

describe('one key', () => {
  const KEY = () => `lost/${randomUUID()}.jpg`;
  const write = (key: string, sequencer: string, { version = 'v1', keepFirstReason = false } = {}) =>
    database.pipeline.begin((sql) =>
      writeMisplaced(
        sql,
        {
          key,
          version,
          sequencer,
          failure: { code: 'InvalidPhotoKey', message: 'not of the form' },
          executionArn: 'arn',
        },
        { keepFirstReason },
      ),
    );
  const remove = (key: string, sequencer: string) =>
    database.pipeline.begin((sql) => forgetDeleted(sql, key, sequencer));

  test('goes by the order of its events, of which each may come twice', async () => {
    const key = KEY();
    await expect(write(key, '0B')).resolves.toBe('written');
    await expect(write(key, '0B')).resolves.toBe('written');
    await expect(write(key, '0B', { keepFirstReason: true })).resolves.toBe('known');
    await expect(write(key, '0B', { keepFirstReason: true, version: 'v2' })).resolves.toBe('written');
    await expect(write(key, '0A')).resolves.toBe('superseded');
    await expect(remove(key, '0A')).resolves.toBe(false);
    await expect(remove(key, '0B')).resolves.toBe(true);
    await expect(remove(key, '0B')).resolves.toBe(false);
  });

  test('is written by one at a time', async () => {
    const key = KEY();
    await write(key, '0A');
    let writing: Promise<unknown> | undefined;
    await database.admin.begin(async (sql) => {
      await sql`UPDATE misplaced_uploads SET object_sequencer = '0C' WHERE object_key = ${key}`;
      writing = write(key, '0B');
      await expect(waitsForLock(database, writing)).resolves.toBe(true);
    });
    await expect(writing).resolves.toBe('superseded');
  });

  test('is stored as long as S3 lets it be, and no longer: in whole characters', () => {
    const long = `${'é'.repeat(511)}ab`;
    expect(Buffer.byteLength(long)).toBe(1024);
    expect(storableKey(long)).toBe(long);
    expect(storableKey(`${long}c`)).toBe(long);
    expect(storableKey(`a${long}`)).toBe(`a${'é'.repeat(511)}a`);
    expect(storableKey(`a${'é'.repeat(512)}`)).toBe(`a${'é'.repeat(511)}`);
    // What stood there already is no half of a character.
    expect(storableKey('\ufffdx\ufffd')).toBe('\ufffdx\ufffd');
    expect(storableKey(`\ufffd${'é'.repeat(512)}`)).toBe(`\ufffd${'é'.repeat(510)}`);
  });
});
