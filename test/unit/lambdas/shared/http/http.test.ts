import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import { logEvents } from '../../../../../lambdas/shared/contract/names.ts';
import {
  answerFailure,
  answerHttp,
  checkNames,
  shown,
  uuidOf,
} from '../../../../../lambdas/shared/http/http.ts';
import { ProblemError } from '../../../../../lambdas/shared/http/problems.ts';
import { recordingTelemetry } from '../../../../support/recording-telemetry.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const headersOf = (type: string, more: object = {}) => ({
  'content-type': type,
  'cache-control': 'no-store',
  ...more,
});

async function answer(work: () => Promise<object>) {
  const { telemetry, lines, recorded } = recordingTelemetry();
  const { body, ...rest } = await answerHttp({ telemetry }, work);
  expect(recorded).toEqual([]);
  return { ...rest, body: JSON.parse(body!), lines };
}

test('an answer is JSON that no proxy keeps', async () => {
  expect(await answer(async () => ({ photos: [] }))).toEqual({
    statusCode: 200,
    headers: headersOf('application/json'),
    body: { photos: [] },
    lines: [],
  });
});

test('a mistake of the caller’s is a problem, and a line that is no failure', async () => {
  const refuse = (retryAfter?: number) => () =>
    Promise.reject(new ProblemError('unknown-event', 'There is none.', retryAfter));
  const problem = {
    type: 'urn:problem-type:rollcall:unknown-event',
    title: 'There is no such event',
    status: 404,
    detail: 'There is none.',
  };
  expect(await answer(refuse())).toEqual({
    statusCode: 404,
    headers: headersOf('application/problem+json'),
    body: problem,
    lines: [
      { level: 'info', message: 'There is none.', event: logEvents.requestRefused, type: problem.type },
    ],
  });
  expect((await answer(refuse(7))).headers).toEqual(
    headersOf('application/problem+json', { 'retry-after': '7' }),
  );
});

test.each<[thrown: Error, status: number, detail: string, type: string]>([
  [
    new PipelineError('DatabaseUnavailable', 'timeout'),
    503,
    'The database does not answer, or is waking up: ask again in 5 seconds',
    'DatabaseUnavailable',
  ],
  [
    new PipelineError('LedgerBusy', 'hot'),
    503,
    'A service in here does not answer: ask again in 5 seconds',
    'LedgerBusy',
  ],
  [
    new PipelineError('RekognitionThrottled', 'slow'),
    503,
    'A service in here does not answer: ask again in 5 seconds',
    'RekognitionThrottled',
  ],
  [
    new PipelineError('AccessDenied', 'no'),
    500,
    "AccessDenied: docs/runbook.md says what to do, and the function's log what happened",
    'AccessDenied',
  ],
  [
    new PipelineError('InternalError', 'a bug'),
    500,
    "InternalError: docs/runbook.md says what to do, and the function's log what happened",
    'InternalError',
  ],
  [
    new TypeError('x is not a function'),
    500,
    "InternalError: docs/runbook.md says what to do, and the function's log what happened",
    'TypeError',
  ],
  // Of a name that is ours by chance.
  [
    Object.assign(new Error('x'), { name: 'DatabaseUnavailable' }),
    500,
    "InternalError: docs/runbook.md says what to do, and the function's log what happened",
    'DatabaseUnavailable',
  ],
])('%s tells nothing of its inside, and whether to come back', async (thrown, status, detail, error_type) => {
  const told = await answer(() => Promise.reject(thrown));
  expect(told).toMatchObject({ statusCode: status, body: { status, detail } });
  expect(told.headers).toEqual(
    headersOf('application/problem+json', status === 503 ? { 'retry-after': '5' } : {}),
  );
  expect(told.lines).toEqual([
    { level: 'warn', message: thrown.message, event: logEvents.attemptFailed, error_type },
  ]);
  const { body, ...rest } = answerFailure(thrown);
  expect({ ...rest, body: JSON.parse(body!) }).toEqual({
    statusCode: told.statusCode,
    headers: told.headers,
    body: told.body,
  });
});

test('an id is a UUID, in lower case whatever it came in', () => {
  expect(uuidOf('event', EVENT.toUpperCase())).toBe(EVENT);
  expect(() => uuidOf('event', 'wedding')).toThrow('The event is "wedding", which is not a UUID');
  expect(() => uuidOf('event', undefined)).toThrow('The event is "", which is not a UUID');
});

test('a misspelt parameter is refused with those that there are', () => {
  expect(() => checkNames({ limit: '1', after: undefined }, ['limit', 'after'])).not.toThrow();
  expect(() => checkNames({ limit: '1', aftr: 'x' }, ['limit', 'after'])).toThrow(
    'There is no parameter "aftr"; the parameters are limit, after',
  );
  expect(() => checkNames({ limit: '1' }, [])).toThrow(
    'There is no parameter "limit"; this route takes none',
  );
});

test('of a text that was sent, sixty characters are shown, in quotes', () => {
  expect(shown('a "b"')).toBe('"a \\"b\\""');
  expect(shown('x'.repeat(60))).toBe(`"${'x'.repeat(60)}"`);
  expect(shown('x'.repeat(61))).toBe(`"${'x'.repeat(60)}…"`);
});
