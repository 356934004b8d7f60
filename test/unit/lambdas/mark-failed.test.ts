import { classifyFailure } from '../../../lambdas/mark-failed/mark-failed.ts';
import { failureKinds, PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import { parseRequest, persistResultsRequestSchema } from '../../../lambdas/shared/contract/payloads.ts';
import { databaseError, isUsableAfter } from '../../../lambdas/shared/database/errors.ts';
import { idempotencyError } from '../../../lambdas/shared/runtime/aws-errors.ts';
import { awsError } from '../../support/fake-client.ts';

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
  test.each(['CONNECT_TIMEOUT', 'CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED'])(
    '%s of the driver is told in words',
    (code) => {
      const { message } = databaseError(
        Object.assign(new Error(`write ${code} undefined:undefined`), { code }),
      );
      expect(message).toMatch(new RegExp(`^PostgreSQL ${code}: the (server|connection) [a-z ]+$`));
    },
  );

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
    ['57P04', 'DatabaseMisconfigured'],
    ['25006', 'DatabaseUnavailable'],
    ['25P02', 'DatabaseUnavailable'],
    ['40002', 'DatabaseUnavailable'],
    ['40003', 'DatabaseUnavailable'],
    ['57P02', 'DatabaseUnavailable'],
    ['55P03', 'DatabaseUnavailable'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'DatabaseMisconfigured'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'DatabaseMisconfigured'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'DatabaseMisconfigured'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'DatabaseMisconfigured'],
    ['INVALID_CA', 'DatabaseMisconfigured'],
    ['HOSTNAME_MISMATCH', 'DatabaseMisconfigured'],
    ['CERT_HAS_EXPIRED', 'DatabaseMisconfigured'],
    ['CRL_HAS_EXPIRED', 'DatabaseMisconfigured'],
    ['INVALID_PURPOSE', 'DatabaseMisconfigured'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'DatabaseMisconfigured'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'DatabaseMisconfigured'],
    ['EPROTO', 'DatabaseMisconfigured'],
    // A server that is only slow.
    ['ERR_TLS_HANDSHAKE_TIMEOUT', 'DatabaseUnavailable'],
    ['SOMETHING_WITH_CERT_IN_IT', 'InternalError'],
    ['22P05', 'InternalError'],
    ['23503', 'InternalError'],
    [undefined, 'InternalError'],
  ])('%s is %s', (code, name) => {
    expect(databaseError(Object.assign(new Error('it broke'), { code }))).toMatchObject({ name });
  });

  /** https://nodejs.org/api/tls.html#x509-certificate-error-codes */
  const x509 = `UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_CRL UNABLE_TO_DECRYPT_CERT_SIGNATURE
    UNABLE_TO_DECRYPT_CRL_SIGNATURE UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY CERT_SIGNATURE_FAILURE CRL_SIGNATURE_FAILURE
    CERT_NOT_YET_VALID CERT_HAS_EXPIRED CRL_NOT_YET_VALID CRL_HAS_EXPIRED ERROR_IN_CERT_NOT_BEFORE_FIELD
    ERROR_IN_CERT_NOT_AFTER_FIELD ERROR_IN_CRL_LAST_UPDATE_FIELD ERROR_IN_CRL_NEXT_UPDATE_FIELD
    DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_CHAIN_TOO_LONG CERT_REVOKED INVALID_CA PATH_LENGTH_EXCEEDED INVALID_PURPOSE
    CERT_UNTRUSTED CERT_REJECTED HOSTNAME_MISMATCH`.split(/\s+/);

  test('every error of a certificate is one of the set-up, and says what to do', () => {
    for (const code of x509) {
      expect([code, databaseError(Object.assign(new Error('it broke'), { code }))]).toMatchObject([
        code,
        {
          name: 'DatabaseMisconfigured',
          message: expect.stringMatching(/^PostgreSQL \w+: it broke \(.{20,}\)$/),
        },
      ]);
    }
  });

  test.each([
    'Tenant or user not found',
    '(ENOTFOUND) tenant/user postgres.abcd not found',
    'unsupported startup parameter: statement_timeout',
    'no such database: faces',
  ])('what a pooler never takes is an error of the set-up, whatever its code: %s', (message) => {
    for (const code of ['XX000', '08P01']) {
      expect(databaseError(Object.assign(new Error(message), { code }))).toMatchObject({
        name: 'DatabaseMisconfigured',
      });
    }
  });

  test('a host with several addresses says what each of them answered', () => {
    const each = ['connect ECONNREFUSED ::1:5432', 'connect ECONNREFUSED 127.0.0.1:5432'].map(
      (text) => new Error(text),
    );
    const error = Object.assign(new AggregateError(each), { code: 'ECONNREFUSED' });
    expect(databaseError(error).message).toBe(
      'PostgreSQL ECONNREFUSED: connect ECONNREFUSED ::1:5432, connect ECONNREFUSED 127.0.0.1:5432',
    );
  });

  test('is named whatever is thrown, and lets our own errors pass', () => {
    for (const thrown of [null, undefined, 'text', 7, {}]) {
      expect(databaseError(thrown)).toMatchObject({ name: 'InternalError' });
    }
    const own = new PipelineError('ResultNotFound', 'gone');
    expect(databaseError(own)).toBe(own);
  });
});

describe('isUsableAfter', () => {
  const answered = (code: string, severity = 'ERROR') =>
    Object.assign(new Error('it broke'), { code, severity });

  test.each(['22P05', '23503', '23505', '40001', '40P01', '42P01', '42501', '55P03', '57014', 'P0001'])(
    'keeps the connection after %s, which is about a statement',
    (code) => {
      expect(isUsableAfter(answered(code))).toBe(true);
      expect(isUsableAfter(answered(code, 'FATAL'))).toBe(false);
    },
  );

  test('gives it up after every other code', () => {
    for (const code of [
      '08006',
      '25006',
      '25P02',
      '25P03',
      '26000',
      '40002',
      '40003',
      '53300',
      '57P01',
      '58030',
      'XX000',
    ]) {
      expect([code, isUsableAfter(answered(code))]).toEqual([code, false]);
    }
    for (const thrown of [null, undefined, 'text', 7, {}, new TypeError('of null')]) {
      expect(isUsableAfter(thrown)).toBe(false);
    }
  });

  test('keeps it after an error of ours, unless that is about the connection', () => {
    expect(isUsableAfter(new PipelineError('ResultNotFound', 'gone'))).toBe(true);
    expect(isUsableAfter(new PipelineError('DatabaseUnavailable', 'late'))).toBe(false);
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
