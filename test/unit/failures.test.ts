import { classifyFailure } from '../../lambdas/mark-failed/mark-failed.ts';
import { idempotencyError } from '../../lambdas/shared/aws-errors.ts';
import { parseRequest, persistResultsRequestSchema } from '../../lambdas/shared/contract.ts';
import { databaseError } from '../../lambdas/shared/database.ts';
import { failureKinds, PipelineError } from '../../lambdas/shared/errors.ts';
import { awsError } from '../support/fake-client.ts';

describe('classifyFailure', () => {
  test('keeps our own names, with the message out of Lambda’s cause', () => {
    for (const [name, { retryable }] of Object.entries(failureKinds)) {
      const cause = JSON.stringify({ errorType: name, errorMessage: 'because', trace: [] });
      expect(classifyFailure({ Error: name, Cause: cause })).toEqual({
        code: name,
        message: 'because',
        retryable,
      });
    }
  });

  test.each([
    'States.Timeout',
    'Sandbox.Timedout',
    'Runtime.ExitError',
    'Lambda.Unknown',
    'States.DataLimitExceeded',
    'TypeError',
    'toString',
  ])('%s is our own trouble: worth another try', (name) => {
    expect(classifyFailure({ Error: name, Cause: 'it broke' })).toEqual({
      code: 'InternalError',
      message: `${name}: it broke`,
      retryable: true,
    });
  });

  test('makes any cause fit for PostgreSQL’s text', () => {
    for (const cause of [
      'null',
      '"x"',
      '{"errorMessage": 7}',
      '\ud800',
      `a\0b`,
      'x'.repeat(100_000),
      '😀'.repeat(1_500),
    ]) {
      const { message } = classifyFailure({ Error: 'InvalidImageFormat', Cause: cause });
      expect(message.length).toBeLessThanOrEqual(2_000);
      expect(message.isWellFormed()).toBe(true);
      expect(message).not.toContain('\0');
    }
  });
});

describe('databaseError', () => {
  test.each([
    ['ECONNREFUSED', 'DatabaseUnavailable'],
    ['CONNECT_TIMEOUT', 'DatabaseUnavailable'],
    ['CONNECTION_CLOSED', 'DatabaseUnavailable'],
    ['40001', 'DatabaseUnavailable'],
    ['40P01', 'DatabaseUnavailable'],
    ['53300', 'DatabaseUnavailable'],
    ['57P01', 'DatabaseUnavailable'],
    ['57P03', 'DatabaseUnavailable'],
    ['57014', 'DatabaseUnavailable'],
    ['25P03', 'DatabaseUnavailable'],
    ['28P01', 'DatabaseMisconfigured'],
    ['3D000', 'DatabaseMisconfigured'],
    ['42P01', 'DatabaseMisconfigured'],
    ['42501', 'DatabaseMisconfigured'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'DatabaseMisconfigured'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'DatabaseMisconfigured'],
    ['22P05', 'InternalError'],
    ['23503', 'InternalError'],
    [undefined, 'InternalError'],
  ])('%s is %s', (code, name) => {
    expect(databaseError(Object.assign(new Error('it broke'), { code }))).toMatchObject({ name });
  });

  test('is named whatever is thrown, and lets our own errors pass', () => {
    for (const thrown of [null, undefined, 'text', 7, {}]) {
      expect(databaseError(thrown)).toMatchObject({ name: 'InternalError' });
    }
    const own = new PipelineError('ResultNotFound', 'gone');
    expect(databaseError(own)).toBe(own);
  });
});

describe('idempotencyError', () => {
  const powertools = (name: string, cause?: Error) => Object.assign(new Error('store'), { name, cause });

  test('names the store’s trouble, and tells a missing right from it', () => {
    expect(idempotencyError(powertools('IdempotencyAlreadyInProgressError'))).toMatchObject({
      name: 'IdempotencyAlreadyInProgressError',
    });
    expect(
      idempotencyError(powertools('IdempotencyPersistenceLayerError', awsError('ThrottlingException'))),
    ).toMatchObject({ name: 'IdempotencyStoreUnavailable', message: expect.stringContaining('Throttling') });
    expect(
      idempotencyError(powertools('IdempotencyPersistenceLayerError', awsError('AccessDeniedException'))),
    ).toMatchObject({ name: 'AccessDenied' });
  });

  test('lets the function’s own errors pass', () => {
    const own = new PipelineError('SlotExpired', 'old');
    expect(idempotencyError(own)).toBe(own);
    const bug = new TypeError('x is undefined');
    expect(idempotencyError(bug)).toBe(bug);
  });
});

test('parseRequest says which field of a malformed input is wrong', () => {
  expect(() => parseRequest(persistResultsRequestSchema, { input: { bucket: 'photos' } })).toThrow(
    expect.objectContaining({ name: 'InvalidInput', message: expect.stringMatching(/^input\.object: /) }),
  );
  for (const input of [null, 7, 'x', [], {}]) {
    expect(() => parseRequest(persistResultsRequestSchema, input)).toThrow(
      expect.objectContaining({ name: 'InvalidInput' }),
    );
  }
});
