import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { markEnded } from '../../lambdas/mark-failed/mark-ended.ts';
import { markFailed } from '../../lambdas/mark-failed/mark-failed.ts';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import { databaseError } from '../../lambdas/shared/database/errors.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const database = useTestDatabase();

function lastResort(options: { away?: () => boolean } = {}) {
  const recording = recordingTelemetry();
  let connections = 0;
  const deps = {
    telemetry: recording.telemetry,
    now: Date.now,
    withDatabase: async <Result>(work: (sql: postgres.Sql) => Promise<Result>): Promise<Result> => {
      connections++;
      if (options.away?.()) {
        throw databaseError(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }));
      }
      return work(database.pipeline).catch((error: unknown) => {
        throw databaseError(error);
      });
    },
  };
  const receive = (...messages: (string | { body: string; messageAttributes: Record<string, object> })[]) =>
    markEnded(
      deps,
      messages.map((message, i) => ({
        messageId: `m${i}`,
        ...(typeof message === 'string' ? { body: message } : message),
      })),
    );
  return { recording, deps, receive, connections: () => connections };
}

function aPhoto() {
  const eventId = randomUUID();
  const photoId = randomUUID();
  const object = { key: `events/${eventId}/${photoId}.jpg`, size: 1000, etag: 'v1', sequencer: '1A' };
  const row = async () => (await database.admin`SELECT * FROM photos WHERE id = ${photoId}`)[0];
  return { eventId, photoId, object, row };
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html */
function ended(status: string, input: unknown, rest: object = {}): string {
  return JSON.stringify({
    version: '0',
    id: randomUUID(),
    'detail-type': 'Step Functions Execution Status Change',
    source: 'aws.states',
    account: '123456789012',
    time: '2026-05-01T10:00:00Z',
    region: 'eu-west-1',
    resources: ['arn:aws:states:eu-west-1:123456789012:execution:index-photo:e1'],
    detail: {
      executionArn: 'arn:aws:states:eu-west-1:123456789012:execution:index-photo:e1',
      stateMachineArn: 'arn:aws:states:eu-west-1:123456789012:stateMachine:index-photo',
      name: 'e1',
      status,
      startDate: Date.now() - 1000,
      stopDate: Date.now(),
      input: typeof input === 'string' ? input : JSON.stringify(input),
      output: null,
      inputDetails: { included: true },
      outputDetails: null,
      error: null,
      cause: null,
      ...rest,
    },
  });
}
const inputFor = <Upload extends object>(object: Upload) => ({
  lane: 'live',
  bucket: 'photos',
  object,
  event_time: '2026-05-01T10:00:00Z',
});

test.each([
  ['ABORTED', { cause: 'wrong event' }, 'ExecutionAborted', 'Somebody stopped the execution: wrong event'],
  ['TIMED_OUT', {}, 'ExecutionTimedOut', 'The execution took too long'],
  [
    'FAILED',
    { error: 'RekognitionUnavailable', cause: '{"errorMessage":"503"}' },
    'RekognitionUnavailable',
    '503',
  ],
  ['FAILED', { error: 'States.Runtime', cause: 'a path' }, 'InternalError', 'States.Runtime: a path'],
])('%s %j: the photo is failed with %s', async (status, rest, code, message) => {
  const { recording, receive } = lastResort();
  const photo = aPhoto();
  await expect(receive(ended(status, inputFor(photo.object), rest))).resolves.toEqual({
    batchItemFailures: [],
  });
  await expect(photo.row()).resolves.toMatchObject({
    status: 'failed',
    failure_code: code,
    failure_message: message,
    failure_retryable: true,
    object_version: 'v1',
    execution_arn: expect.stringContaining(':execution:'),
  });
  expect(recording.total(metricNames.photosFailed)).toBe(1);
});

test('of an event that was erased since the upload no photo is failed, however late its execution began', async () => {
  const { receive } = lastResort();
  const [before, unknown] = [aPhoto(), aPhoto()];
  for (const { eventId } of [before, unknown]) {
    await database.admin`INSERT INTO events (id, erasure_requested_at) VALUES (${eventId}, '2026-06-01')`;
  }
  const { event_time: _, ...withoutTime } = inputFor(unknown.object);
  await receive(ended('ABORTED', inputFor(before.object)), ended('ABORTED', withoutTime));
  await expect(before.row()).resolves.toMatchObject({ status: 'erased' });
  await expect(unknown.row()).resolves.toMatchObject({ status: 'failed' });
});

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html */
function notStarted(object: object) {
  const body = JSON.stringify({
    version: '0',
    id: '0a02b288-57f7-452b-bf79-d31ff4e6a633',
    'detail-type': 'Object Created',
    source: 'aws.s3',
    time: '2026-05-01T10:00:00Z',
    detail: { version: '0', bucket: { name: 'photos' }, object, reason: 'PutObject' },
  });
  const attribute = (stringValue: string) => ({ stringValue, dataType: 'String' });
  return {
    body,
    messageAttributes: {
      ERROR_CODE: attribute('NO_PERMISSIONS'),
      ERROR_MESSAGE: attribute('not authorized to perform states:StartExecution'),
    },
  };
}

test('an upload of which no execution could be started is failed, and says why', async () => {
  const { recording, receive } = lastResort();
  const photo = aPhoto();
  await database.admin`INSERT INTO events (id) VALUES (${photo.eventId})`;
  // It was announced.
  await database.admin`
    INSERT INTO photos (id, event_id, object_key) VALUES (${photo.photoId}, ${photo.eventId}, ${photo.object.key})`;
  const lost = `lost/${photo.photoId}.jpg`;
  await expect(
    receive(notStarted(photo.object), notStarted({ ...photo.object, key: lost })),
  ).resolves.toEqual({ batchItemFailures: [] });
  const failure = {
    failure_code: 'StartFailed',
    failure_message:
      'EventBridge could not start an execution: NO_PERMISSIONS: not authorized to perform states:StartExecution',
  };
  await expect(photo.row()).resolves.toMatchObject({
    status: 'failed',
    ...failure,
    failure_retryable: true,
    object_version: 'v1',
    object_sequencer: '1A',
  });
  const misplaced = await database.admin`SELECT * FROM misplaced_uploads WHERE object_key = ${lost}`;
  expect(misplaced).toMatchObject([failure]);
  expect(recording.recorded).toContainEqual({
    name: metricNames.photosFailed,
    value: 1,
    dimensions: { Class: 'setup' },
  });
  expect(recording.recorded).toContainEqual({
    name: metricNames.failedAttempts,
    value: 1,
    dimensions: { Error: 'StartFailed' },
  });
  // It comes again, and something else has been uploaded since.
  await receive(notStarted({ ...photo.object, etag: 'v0', sequencer: '19' }));
  await expect(photo.row()).resolves.toMatchObject({ object_version: 'v1' });
});

test('a photo that the platform registered does not stay processing when its execution is stopped', async () => {
  const { receive } = lastResort();
  const photo = aPhoto();
  await database.admin`INSERT INTO events (id) VALUES (${photo.eventId})`;
  await database.admin`
    INSERT INTO photos (id, event_id, object_key) VALUES (${photo.photoId}, ${photo.eventId}, ${photo.object.key})`;
  await receive(ended('ABORTED', inputFor(photo.object)));
  await expect(photo.row()).resolves.toMatchObject({ status: 'failed', failure_code: 'ExecutionAborted' });
});

test('the reason that was written first stays, however often the message comes', async () => {
  const { recording, deps, receive } = lastResort();
  const photo = aPhoto();
  await markFailed(deps, {
    input: {
      ...inputFor(photo.object),
      lane: 'live',
      failure: { Error: 'InvalidImageFormat', Cause: 'not a picture' },
    },
    execution_arn: 'arn:first',
    started_at: new Date().toISOString(),
  });
  const end = ended('FAILED', inputFor(photo.object), {
    error: 'InvalidImageFormat',
    cause: 'not a picture',
  });
  await receive(end, end, ended('ABORTED', inputFor(photo.object)));
  await expect(photo.row()).resolves.toMatchObject({
    failure_code: 'InvalidImageFormat',
    execution_arn: 'arn:first',
  });
  expect(recording.total(metricNames.photosFailed)).toBe(1);
});

test('a newer version of the photo that failed for another reason is written', async () => {
  const { receive } = lastResort();
  const photo = aPhoto();
  await receive(ended('ABORTED', inputFor(photo.object)));
  await receive(ended('TIMED_OUT', inputFor({ ...photo.object, etag: 'v2', sequencer: '1B' })));
  await receive(ended('ABORTED', inputFor(photo.object)));
  await expect(photo.row()).resolves.toMatchObject({
    object_version: 'v2',
    failure_code: 'ExecutionTimedOut',
  });
});

test('what is indexed stays indexed', async () => {
  const { receive } = lastResort();
  const photo = aPhoto();
  await database.admin`INSERT INTO events (id) VALUES (${photo.eventId})`;
  await database.admin`
    INSERT INTO photos (id, event_id, object_key, object_version, object_sequencer, status, face_count)
    VALUES (${photo.photoId}, ${photo.eventId}, ${photo.object.key}, 'v1', '1A', 'indexed', 0)`;
  await receive(ended('ABORTED', inputFor(photo.object)));
  await expect(photo.row()).resolves.toMatchObject({ status: 'indexed', failure_code: null });
});

test('what names no photo is logged, counted and done: no message is poison', async () => {
  const { recording, receive } = lastResort();
  const bodies = [
    ended('FAILED', inputFor({ key: 'holiday.jpg', etag: 'v1' }), { error: 'InvalidPhotoKey' }),
    ended('FAILED', '{}', { error: 'InvalidInput' }),
    ended('ABORTED', 'not JSON'),
    ended('ABORTED', {}, { input: null, inputDetails: { included: false } }),
    'not JSON either',
    'null',
    '{}',
  ];
  await expect(receive(...bodies)).resolves.toEqual({ batchItemFailures: [] });
  expect(recording.total(metricNames.photosFailed)).toBe(bodies.length);
  expect(recording.lines.filter(({ level }) => level === 'error')).toHaveLength(bodies.length);
});

test('while the database is unavailable every message comes again, and one attempt tells it', async () => {
  let away = true;
  const { receive, connections } = lastResort({ away: () => away });
  const photos = [aPhoto(), aPhoto(), aPhoto()];
  const bodies = photos.map((photo) => ended('ABORTED', inputFor(photo.object)));
  await expect(receive(...bodies)).resolves.toEqual({
    batchItemFailures: [{ itemIdentifier: 'm0' }, { itemIdentifier: 'm1' }, { itemIdentifier: 'm2' }],
  });
  expect(connections()).toBe(1);
  away = false;
  await expect(receive(...bodies)).resolves.toEqual({ batchItemFailures: [] });
  for (const photo of photos) {
    await expect(photo.row()).resolves.toMatchObject({ status: 'failed' });
  }
});

test('a message that fails by itself does not hold the others up', async () => {
  const { receive } = lastResort();
  const photo = aPhoto();
  await database.admin`ALTER TABLE photos ADD CONSTRAINT refuses CHECK (object_version <> 'refused')`;
  const broken = ended('ABORTED', inputFor({ ...aPhoto().object, etag: 'refused' }));
  await expect(receive(broken, ended('ABORTED', inputFor(photo.object)))).resolves.toEqual({
    batchItemFailures: [{ itemIdentifier: 'm0' }],
  });
  await expect(photo.row()).resolves.toMatchObject({ status: 'failed' });
});
