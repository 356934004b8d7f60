/** What the last resort makes of its messages, and tells; what it writes, test/database/last-resort.test.ts says. */
import { markEnded } from '../../../lambdas/mark-failed/mark-ended.ts';
import { PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const EVENT = '7f1d2a60-3b52-4b0e-9a53-2c3d4e5f6a7b';
const ARN = 'arn:aws:states:eu-west-1:123456789012:execution:index-photo:e1';
const object = { key: `events/${EVENT}/IMG 1.jpg`, size: 1000, etag: 'v1', sequencer: '1A' };

interface Message {
  body: string;
  messageAttributes?: Record<string, { stringValue?: string }>;
}

/** @param failures what the database's calls throw, one after the other; undefined lets one through */
function lastResort(...failures: (Error | undefined)[]) {
  const recording = recordingTelemetry();
  let connections = 0;
  const receive = (...messages: Message[]) =>
    markEnded(
      {
        telemetry: recording.telemetry,
        now: () => NOW,
        withDatabase: async <Result>() => {
          const failure = failures[connections++];
          if (failure) {
            throw failure;
          }
          return { photo_id: 'p', effect: 'written', erasure_requested: false } as Result;
        },
      },
      messages.map((message, i) => ({ messageId: `m${i}`, ...message })),
    );
  return { ...recording, receive, connections: () => connections };
}

const ended = (detail: object): Message => ({
  body: JSON.stringify({
    detail: {
      executionArn: ARN,
      status: 'FAILED',
      startDate: NOW - 5_000,
      input: JSON.stringify({ lane: 'live', bucket: 'photos', object }),
      ...detail,
    },
  }),
});
const notStarted: Message = {
  body: JSON.stringify({
    'detail-type': 'Object Created',
    id: 'e-1',
    time: '2026-05-01T11:59:00Z',
    detail: { bucket: { name: 'photos' }, object },
  }),
  messageAttributes: { ERROR_CODE: { stringValue: 'NO_PERMISSIONS' }, ERROR_MESSAGE: {} },
};
const failedAttempt = (error: string) => ({
  name: metricNames.failedAttempts,
  value: 1,
  dimensions: { Error: error },
});
const again = (...ids: string[]) => ({
  batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })),
});

test.each([
  [{ error: 'TypeError', cause: 'a is undefined' }, 'InternalError', 'TypeError: a is undefined'],
  [{}, 'InternalError', 'Unknown: '],
  [{ error: 'DatabaseUnavailable' }, 'DatabaseUnavailable', ''],
  [{ status: 'TIMED_OUT' }, 'ExecutionTimedOut', 'The execution took too long'],
  [{ status: 'TIMED_OUT', cause: 'an hour' }, 'ExecutionTimedOut', 'an hour'],
  [{ status: 'ABORTED' }, 'ExecutionAborted', 'Somebody stopped the execution'],
  [
    { status: 'ABORTED', error: 'me', cause: 'why' },
    'ExecutionAborted',
    'Somebody stopped the execution: me: why',
  ],
])('an execution that ended %j', async (detail, error_type, error_message) => {
  const { receive, lines, recorded } = lastResort();
  await expect(receive(ended(detail))).resolves.toEqual(again());
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'error',
      event: logEvents.failed,
      error_type,
      error_message,
      retryable: true,
      execution_arn: ARN,
      duration_ms: 5_000,
      attempt: 1,
    }),
  ]);
  expect(recorded.filter(({ name }) => name === metricNames.failedAttempts)).toEqual([]);
});

test('an upload of which no execution could be started: by the event that asked for it, and counted', async () => {
  const { receive, lines, recorded } = lastResort();
  await expect(receive(notStarted)).resolves.toEqual(again());
  expect(lines).toEqual([
    expect.objectContaining({
      error_type: 'StartFailed',
      error_message: 'EventBridge could not start an execution: NO_PERMISSIONS',
      execution_arn: 'event:e-1',
      duration_ms: 60_000,
    }),
  ]);
  expect(recorded).toContainEqual(failedAttempt('StartFailed'));
});

test('whoever sends it again need not say why', async () => {
  const { receive, lines } = lastResort();
  await receive({ body: notStarted.body });
  expect(lines).toMatchObject([{ error_message: 'EventBridge could not start an execution' }]);
});

test('while the database is unavailable all of them come again, after one attempt', async () => {
  const { receive, lines, recorded, connections } = lastResort(
    undefined,
    new PipelineError('DatabaseUnavailable', 'away'),
  );
  await expect(receive(ended({}), ended({}), ended({}))).resolves.toEqual(again('m1', 'm2'));
  expect(connections()).toBe(2);
  expect(lines.slice(1)).toEqual([
    {
      level: 'warn',
      message: 'away',
      event: logEvents.lastResortFailed,
      error_type: 'DatabaseUnavailable',
      message_id: 'm1',
    },
  ]);
  expect(recorded).toContainEqual(failedAttempt('DatabaseUnavailable'));
});

test.each([new PipelineError('InternalError', 'a moment'), new TypeError('a bug')])(
  'what only one of them meets holds up no other: %s',
  async (error) => {
    const { receive, lines, recorded } = lastResort(error);
    await expect(receive(ended({}), ended({}))).resolves.toEqual(again('m0'));
    expect(lines).toMatchObject([{ level: 'warn', error_type: error.name }, { level: 'error' }]);
    expect(recorded).toContainEqual(failedAttempt(error.name));
  },
);

test('what names no photo is told with its beginning, and is done', async () => {
  const body = `{"what": "${'x'.repeat(2_000)}`;
  const { receive, lines, recorded, connections } = lastResort();
  await expect(receive({ body })).resolves.toEqual(again());
  expect(connections()).toBe(0);
  expect(lines).toEqual([
    {
      level: 'error',
      message: 'The photo failed',
      event: logEvents.failed,
      effect: 'unwritable',
      error_type: 'InvalidInput',
      error_message: 'The message is neither an execution nor an upload',
      retryable: false,
      body: body.slice(0, 1_000),
      because: expect.any(String),
    },
  ]);
  expect(recorded).toEqual([{ name: metricNames.photosFailed, value: 1, dimensions: { Class: 'photo' } }]);
});

test.each([[null], ['no JSON'], ['{}']])(
  'an execution whose input is %j is told by its ARN',
  async (input) => {
    const { receive, lines, connections } = lastResort();
    await expect(receive(ended({ input, error: 'AccessDenied' }))).resolves.toEqual(again());
    expect(connections()).toBe(0);
    expect(lines).toMatchObject([
      { effect: 'unwritable', error_type: 'AccessDenied', execution_arn: ARN, because: expect.any(String) },
    ]);
    expect(lines[0]).not.toHaveProperty('body');
  },
);
