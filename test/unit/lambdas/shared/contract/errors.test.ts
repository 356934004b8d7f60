import {
  awsErrorDetails,
  cutOffFailures,
  describeAwsError,
  type FailureClass,
  type FailureName,
  failureKind,
  failureKinds,
  isFailureName,
  isTroubleForAll,
  PipelineError,
  property,
} from '../../../../../lambdas/shared/contract/errors.ts';

/** Who or what has to change, and which failures wait for that. */
const byClass: Record<FailureClass, FailureName[]> = {
  photo: [
    'ImageTooLarge',
    'InvalidImageFormat',
    'InvalidInput',
    'InvalidParameter',
    'InvalidPhotoKey',
    'InvalidS3Object',
    'PhotoIdTaken',
    'PhotoSuperseded',
  ],
  rate: ['BackfillWaits', 'LedgerBusy', 'RekognitionThrottled', 'SlotExpired', 'ThrottledTooOften'],
  operator: ['DailyImageCapReached', 'ExecutionAborted', 'IndexingPaused', 'PhotographerCapReached'],
  collection: ['CollectionLostTooOften', 'CollectionNotFound', 'FacesLost'],
  transient: [
    'ExecutionNotStarted',
    'ExecutionTimedOut',
    'FacesBeingErased',
    'FacesStillBeingErased',
    'FacesStillListed',
    'IdempotencyAlreadyInProgressError',
    'IdempotencyStoreUnavailable',
    'InternalError',
    'RekognitionUnavailable',
    'ResultLostTooOften',
    'ResultNotFound',
    'StorageUnavailable',
    'TurnOver',
  ],
  database: ['DatabaseUnavailable'],
  setup: ['AccessDenied', 'DatabaseMisconfigured', 'MissingConfiguration', 'QuotaExceeded', 'StartFailed'],
};
const names = Object.keys(failureKinds) as FailureName[];
const classes = Object.keys(byClass) as FailureClass[];

test.each(classes)('of the class %s', (of) => {
  expect(names.filter((name) => failureKind(name).class === of).sort()).toEqual(byClass[of]);
});

test('only a photo that is at fault itself is not worth another try', () => {
  expect(names.filter((name) => !failureKind(name).retryable).sort()).toEqual(byClass.photo);
});

test('trouble with the database or the set-up meets everybody', () => {
  expect(names.filter(isTroubleForAll).sort()).toEqual([...byClass.database, ...byClass.setup].sort());
});

test('a name is one of these, and none that every object has', () => {
  expect(names.every(isFailureName)).toBe(true);
  expect(['toString', 'constructor', 'NoSuchKey', ''].filter(isFailureName)).toEqual([]);
});

test('an execution that was cut off counts by how', () => {
  expect(cutOffFailures).toEqual({ ABORTED: 'ExecutionAborted', TIMED_OUT: 'ExecutionTimedOut' });
});

test('an error has its name, its message and its cause', () => {
  const cause = new TypeError('why');
  const error = new PipelineError('AccessDenied', 'what', { cause });
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.message, error.cause]).toEqual(['AccessDenied', 'what', cause]);
});

/** Whoever looks at it is thrown at. */
const forbidden = new Proxy(
  {},
  {
    get() {
      throw new Error('forbidden');
    },
  },
);
const UNKNOWN = { name: 'UnknownError', requestId: undefined, httpStatus: undefined };

test.each<[thrown: unknown, details: ReturnType<typeof awsErrorDetails>]>([
  [
    Object.assign(new Error('Slow down'), {
      name: 'ThrottlingException',
      $metadata: { requestId: 'r-1', httpStatusCode: 400 },
    }),
    { name: 'ThrottlingException', message: 'Slow down', requestId: 'r-1', httpStatus: 400 },
  ],
  [
    new RangeError('far'),
    { name: 'RangeError', message: 'far', requestId: undefined, httpStatus: undefined },
  ],
  [
    { name: 1, message: 2, $metadata: { requestId: 3, httpStatusCode: '4' } },
    { ...UNKNOWN, message: '[object Object]' },
  ],
  ['a text', { ...UNKNOWN, message: 'a text' }],
  [undefined, { ...UNKNOWN, message: 'undefined' }],
  [null, { ...UNKNOWN, message: 'null' }],
  [forbidden, { ...UNKNOWN, message: 'Something without a text was thrown' }],
])('whatever is thrown is told: %#', (thrown, details) => {
  expect(awsErrorDetails(thrown)).toEqual(details);
});

test('a property of what may have none', () => {
  expect(property({ name: 'x' }, 'name')).toBe('x');
  expect([property(null, 'name'), property(undefined, 'name'), property(forbidden, 'name')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('in one line, with the request where there is one', () => {
  const error = Object.assign(new Error('Slow down'), { name: 'ThrottlingException' });
  expect(describeAwsError('Rekognition', error)).toBe('Rekognition ThrottlingException: Slow down');
  expect(describeAwsError('Rekognition', Object.assign(error, { $metadata: { requestId: 'r-1' } }))).toBe(
    'Rekognition ThrottlingException: Slow down (request r-1)',
  );
});
