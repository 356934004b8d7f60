/** Which failure an error of AWS's is: the states of the machine route by these names. */
import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import {
  idempotencyError,
  isMissingObject,
  lambdaError,
  ledgerError,
  rekognitionError,
  s3Error,
  statesError,
  undeleted,
} from '../../../../../lambdas/shared/runtime/aws-errors.ts';
import { awsError } from '../../../../support/fake-client.ts';

/** What may not be done, whatever service says it. */
const DENIED = [
  'AccessDenied',
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
  'CredentialsProviderError',
  'KMSAccessDeniedException',
  'KMS.AccessDeniedException',
  'Forbidden',
];
const cases = (names: readonly string[], known: string) =>
  names.map((name): [string, string] => [name, known]);

describe.each<[service: string, rename: (error: unknown) => PipelineError, known: [string, string][]]>([
  [
    'Rekognition',
    rekognitionError,
    [
      ...cases(['ProvisionedThroughputExceededException', 'ThrottlingException'], 'RekognitionThrottled'),
      ['ResourceNotFoundException', 'CollectionNotFound'],
      ['InvalidImageFormatException', 'InvalidImageFormat'],
      ['ImageTooLargeException', 'ImageTooLarge'],
      ['InvalidS3ObjectException', 'InvalidS3Object'],
      ...cases(['InvalidParameterException', 'ValidationException'], 'InvalidParameter'),
      ...cases(['ServiceQuotaExceededException', 'LimitExceededException'], 'QuotaExceeded'),
      ...cases(['InternalServerError', 'TimeoutError', 'Whatever'], 'RekognitionUnavailable'),
    ],
  ],
  [
    'DynamoDB',
    ledgerError,
    [
      ...cases(
        [
          'ProvisionedThroughputExceededException',
          'ThrottlingException',
          'RequestLimitExceeded',
          'InternalServerError',
          'ServiceUnavailable',
          'TimeoutError',
        ],
        'LedgerBusy',
      ),
      ['ResourceNotFoundException', 'MissingConfiguration'],
      ['Whatever', 'InternalError'],
    ],
  ],
  [
    'Lambda',
    lambdaError,
    [
      ['ResourceNotFoundException', 'MissingConfiguration'],
      ...cases(['TooManyRequestsException', 'Whatever'], 'DatabaseUnavailable'),
    ],
  ],
  [
    'Step Functions',
    statesError,
    [
      ['StateMachineDoesNotExist', 'MissingConfiguration'],
      ...cases(['ExecutionLimitExceeded', 'Whatever'], 'ExecutionNotStarted'),
    ],
  ],
])('%s', (service, rename, known) => {
  test.each([...known, ...cases(DENIED, 'AccessDenied')])('%s is %s', (name, failure) => {
    const error = awsError(name, 400, 'said so');
    const renamed = rename(error);
    expect(renamed).toBeInstanceOf(PipelineError);
    expect([renamed.name, renamed.cause]).toEqual([failure, error]);
    expect(renamed.message).toContain(`${service} ${name}: said so (request request-1)`);
  });

  test('a status of 401 or 403 is a refusal, whatever its name', () => {
    const names = [400, 401, 403].map((status) => rename(awsError('Whatever', status)).name);
    expect(names.map((name) => name === 'AccessDenied')).toEqual([false, true, true]);
  });
});

test('of an object that Rekognition cannot read, the message says what may be missing', () => {
  const advice = /deploy with photoBucketKeyArn$/;
  expect(rekognitionError(awsError('InvalidS3ObjectException')).message).toMatch(advice);
  expect(rekognitionError(awsError('ImageTooLargeException')).message).not.toMatch(advice);
});

describe('S3', () => {
  const call = { operation: 'GetObject', bucket: 'photos', key: 'a/b' } as const;
  const nameOf = (name: string, status: number | undefined, of: Parameters<typeof s3Error>[1] = call) =>
    s3Error(
      status === undefined ? Object.assign(new Error('x'), { name }) : awsError(name, status, 'x'),
      of,
      'InvalidS3Object',
    ).name;

  test.each([
    'RequestTimeout',
    'RequestTimeTooSkewed',
    'IncompleteBody',
    'SlowDown',
    'ThrottlingException',
    'KMS.ThrottlingException',
    'InternalError',
    'ServiceUnavailable',
    'OperationAborted',
    'TemporaryRedirect',
  ])('%s passes by itself, though its status may mean for good', (name) => {
    expect(nameOf(name, 403)).toBe('StorageUnavailable');
  });

  test.each<[status: number | undefined, name: string]>([
    [307, 'StorageUnavailable'],
    [408, 'StorageUnavailable'],
    [409, 'StorageUnavailable'],
    [425, 'StorageUnavailable'],
    [429, 'StorageUnavailable'],
    [500, 'StorageUnavailable'],
    [503, 'StorageUnavailable'],
    // Nobody answered.
    [undefined, 'StorageUnavailable'],
    [299, 'StorageUnavailable'],
    [300, 'MissingConfiguration'],
    [301, 'MissingConfiguration'],
    [399, 'MissingConfiguration'],
    [400, 'InvalidS3Object'],
    [404, 'InvalidS3Object'],
    [405, 'InvalidS3Object'],
    [401, 'AccessDenied'],
    [403, 'AccessDenied'],
  ])('a status of %s is %s', (status, name) => {
    expect(nameOf('Whatever', status)).toBe(name);
  });

  test.each([
    ...cases(DENIED, 'AccessDenied'),
    ['KMS.DisabledException', 'AccessDenied'],
    ['NoSuchBucket', 'MissingConfiguration'],
    ['AuthorizationHeaderMalformed', 'MissingConfiguration'],
    ['NoSuchKey', 'InvalidS3Object'],
    ['NotFound', 'InvalidS3Object'],
    ['NoSuchVersion', 'InvalidS3Object'],
    ['MethodNotAllowed', 'InvalidS3Object'],
  ])('%s is %s', (name, failure) => {
    expect(nameOf(name, 400)).toBe(failure);
  });

  test('only a read can miss its object, and only of a photo the object itself is at fault', () => {
    expect(nameOf('NoSuchKey', 404, { ...call, operation: 'PutObject' })).toBe('MissingConfiguration');
    expect(nameOf('NoSuchKey', 404, { ...call, operation: 'HeadObject' })).toBe('InvalidS3Object');
    expect(s3Error(awsError('Whatever', 400), call, 'ResultNotFound').name).toBe('MissingConfiguration');
    expect(s3Error(awsError('NoSuchKey', 404), call, 'ResultNotFound').name).toBe('ResultNotFound');
  });

  test('the message names the call, its right and the object, and what S3 said, or that it said nothing', () => {
    expect(s3Error(awsError('AccessDenied', 403, 'no'), call, 'InvalidS3Object').message).toBe(
      'GetObject (s3:GetObject) of s3://photos/a/b: S3 AccessDenied: no (request request-1)',
    );
    const list = { operation: 'ListObjectsV2', bucket: 'photos' } as const;
    expect(s3Error(awsError('Unknown', 403, 'UnknownError'), list, 'MissingConfiguration').message).toBe(
      'ListObjectsV2 (s3:ListBucket) of s3://photos/: HTTP 403 without a reason (request request-1)',
    );
    const silent = Object.assign(new Error('UnknownError'), { $metadata: { httpStatusCode: 400 } });
    expect(s3Error(silent, list, 'MissingConfiguration').message).toMatch(/: HTTP 400 without a reason$/);
  });

  test('an object is missing where S3 says so of it, and not of its bucket', () => {
    const missing = (error: unknown) => isMissingObject(error);
    expect([
      missing(s3Error(awsError('NoSuchKey', 404), call, 'InvalidS3Object')),
      missing(s3Error(awsError('NoSuchBucket', 404), call, 'InvalidS3Object')),
      missing(s3Error(awsError('AccessDenied', 403), call, 'InvalidS3Object')),
      missing(awsError('NoSuchKey', 404)),
      missing(undefined),
    ]).toEqual([true, false, false, false, false]);
  });

  test('what stays of a deletion is said by object', () => {
    expect(undeleted({ Key: 'a/b', Code: 'AccessDenied', Message: 'no' }, 'results')).toMatchObject({
      name: 'AccessDenied',
      message: 'DeleteObjects (s3:DeleteObject) of s3://results/a/b: S3 AccessDenied: no',
    });
    expect(undeleted({}, 'results')).toMatchObject({
      name: 'StorageUnavailable',
      message: 'DeleteObjects (s3:DeleteObject) of s3://results/: S3 Unknown: ',
    });
  });
});

describe('Powertools', () => {
  const named = (name: string, cause?: unknown) => Object.assign(new Error('twice'), { name, cause });

  test('an error of ours, or of nobody, passes as it is', () => {
    const ours = new PipelineError('ImageTooLarge', 'x');
    const nobodys = new TypeError('x');
    expect([idempotencyError(ours), idempotencyError(nobodys)]).toEqual([ours, nobodys]);
    expect(idempotencyError(ours)).toBe(ours);
    expect(idempotencyError(nobodys)).toBe(nobodys);
    const late = new PipelineError('IdempotencyStoreUnavailable', 'x');
    expect(idempotencyError(late)).toBe(late);
  });

  test('what is under way elsewhere keeps its name', () => {
    expect(idempotencyError(named('IdempotencyAlreadyInProgressError'))).toMatchObject({
      name: 'IdempotencyAlreadyInProgressError',
      message: 'twice',
    });
  });

  test('a store that fails is a moment’s trouble, unless it may not be used', () => {
    expect(
      idempotencyError(named('IdempotencyPersistenceLayerError', awsError('Whatever', 500, 'down'))),
    ).toMatchObject({
      name: 'IdempotencyStoreUnavailable',
      message: 'twice (Whatever: down)',
    });
    expect(
      idempotencyError(named('IdempotencyPersistenceLayerError', awsError('AccessDeniedException'))),
    ).toMatchObject({ name: 'AccessDenied' });
    expect(
      idempotencyError(named('IdempotencyPersistenceLayerError', awsError('Whatever', 403))),
    ).toMatchObject({
      name: 'AccessDenied',
    });
  });
});
