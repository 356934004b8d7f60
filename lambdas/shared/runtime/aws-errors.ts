/** Gives the SDK's errors the names that the state machine routes by, with the original name and request id kept. */
import { awsErrorDetails, describeAwsError, type FailureName, PipelineError } from '../contract/errors.ts';

const ACCESS_ERRORS = new Set([
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
]);

/** Rekognition's errors: https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html */
const REKOGNITION_ERRORS = new Map<string, FailureName>(
  Object.entries({
    ProvisionedThroughputExceededException: 'RekognitionThrottled',
    ThrottlingException: 'RekognitionThrottled',
    ResourceNotFoundException: 'CollectionNotFound',
    InvalidImageFormatException: 'InvalidImageFormat',
    ImageTooLargeException: 'ImageTooLarge',
    InvalidS3ObjectException: 'InvalidS3Object',
    InvalidParameterException: 'InvalidParameter',
    ValidationException: 'InvalidParameter',
    ServiceQuotaExceededException: 'QuotaExceeded',
    LimitExceededException: 'QuotaExceeded',
  } as const),
);

function isAccessError(name: string, httpStatus: number | undefined): boolean {
  return ACCESS_ERRORS.has(name) || httpStatus === 401 || httpStatus === 403;
}

/** The object is there, or the look at it before the call would have said so. */
const UNREADABLE =
  'If the photo is encrypted with a KMS key, index-faces needs the right to decrypt it: deploy with photoBucketKeyArn';

export function rekognitionError(error: unknown): PipelineError {
  const { name, httpStatus } = awsErrorDetails(error);
  const known =
    REKOGNITION_ERRORS.get(name) ??
    (isAccessError(name, httpStatus) ? 'AccessDenied' : 'RekognitionUnavailable');
  const message = describeAwsError('Rekognition', error);
  return new PipelineError(known, known === 'InvalidS3Object' ? `${message}. ${UNREADABLE}` : message, {
    cause: error,
  });
}

/** A call of S3's API: what was done with which object, or bucket. */
export interface S3Call {
  operation: keyof typeof S3_RIGHTS;
  bucket: string;
  /** Where it is about one object. */
  key?: string | undefined;
}

/** The right that each call takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html */
const S3_RIGHTS = {
  HeadObject: 's3:GetObject',
  GetObject: 's3:GetObject',
  PutObject: 's3:PutObject',
  ListObjectsV2: 's3:ListBucket',
  DeleteObjects: 's3:DeleteObject',
} as const;

/** What S3 says for a moment, though some of it with a status that means for good. */
const S3_PASSES = new Set([
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
]);
const PASSING_STATUS = new Set([307, 408, 409, 425, 429]);

/**
 * Whose trouble it is. The codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. A HEAD has no body and
 * so no code, which leaves the status. What is refused for good never counts as a moment's trouble.
 */
function s3Failure(
  { name, httpStatus = 0 }: { name: string; httpStatus: number | undefined },
  { operation }: S3Call,
  notFound: 'InvalidS3Object' | 'ResultNotFound' | 'MissingConfiguration',
): FailureName {
  const reads = operation === 'HeadObject' || operation === 'GetObject';
  if (S3_PASSES.has(name) || PASSING_STATUS.has(httpStatus) || httpStatus >= 500) {
    return 'StorageUnavailable';
  }
  if (name === 'NoSuchBucket') {
    return 'MissingConfiguration';
  }
  if (reads && isMissing(name, httpStatus)) {
    return notFound;
  }
  // A KMS key that is disabled, or about to be deleted, comes with status 400.
  if (isAccessError(name, httpStatus) || name.startsWith('KMS')) {
    return 'AccessDenied';
  }
  // Without a status nobody answered.
  if (httpStatus < 300) {
    return 'StorageUnavailable';
  }
  // The bucket is in another Region, or the request is none: of a photo that was read, the object itself is at fault.
  const isElsewhere = httpStatus < 400 || name === 'AuthorizationHeaderMalformed';
  return reads && notFound === 'InvalidS3Object' && !isElsewhere ? 'InvalidS3Object' : 'MissingConfiguration';
}

/** 405: the version that was asked for is the mark of a deletion. */
function isMissing(name: string, httpStatus: number | undefined): boolean {
  return (
    name === 'NoSuchKey' ||
    name === 'NotFound' ||
    name === 'NoSuchVersion' ||
    name === 'MethodNotAllowed' ||
    httpStatus === 404 ||
    httpStatus === 405
  );
}

/** Of what `s3Error` made of a read: whether the object is not there, where it may also be that nobody can read it. */
export function isMissingObject(error: unknown): boolean {
  if (!(error instanceof PipelineError)) {
    return false;
  }
  const { name, httpStatus } = awsErrorDetails(error.cause);
  return name !== 'NoSuchBucket' && isMissing(name, httpStatus);
}

/**
 * @param notFound what a missing object means to the caller: the photo is gone (`InvalidS3Object`) or the stored
 *   response is (`ResultNotFound`); where no object is asked for, only the bucket can be missing (`MissingConfiguration`)
 */
export function s3Error(
  error: unknown,
  call: S3Call,
  notFound: 'InvalidS3Object' | 'ResultNotFound' | 'MissingConfiguration',
): PipelineError {
  const { operation, bucket, key } = call;
  const details = awsErrorDetails(error);
  const about = `${operation} (${S3_RIGHTS[operation]}) of s3://${bucket}/${key ?? ''}`;
  const said = saysNothing(error)
    ? `HTTP ${details.httpStatus} without a reason${details.requestId ? ` (request ${details.requestId})` : ''}`
    : describeAwsError('S3', error);
  return new PipelineError(s3Failure(details, call, notFound), `${about}: ${said}`, { cause: error });
}

/** Of an answer to DeleteObjects, which tells of each object that stayed. */
export function undeleted(
  {
    Key: key,
    Code: name = 'Unknown',
    Message: message = '',
  }: { Key?: string | undefined; Code?: string | undefined; Message?: string | undefined },
  bucket: string,
): PipelineError {
  return s3Error({ name, message }, { operation: 'DeleteObjects', bucket, key }, 'MissingConfiguration');
}

/** Whether S3 answered with a status alone, as it does to a HEAD: the SDK has no name for that. */
export function saysNothing(error: unknown): boolean {
  const { message, httpStatus } = awsErrorDetails(error);
  return httpStatus !== undefined && message === 'UnknownError';
}

const DYNAMODB_BUSY = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'RequestLimitExceeded',
  'InternalServerError',
  'ServiceUnavailable',
  'TimeoutError',
]);

/** Of the slot ledger's table: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html */
export function ledgerError(error: unknown): PipelineError {
  const { name, httpStatus } = awsErrorDetails(error);
  const known = DYNAMODB_BUSY.has(name)
    ? 'LedgerBusy'
    : isAccessError(name, httpStatus)
      ? 'AccessDenied'
      : name === 'ResourceNotFoundException'
        ? 'MissingConfiguration'
        : 'InternalError';
  return new PipelineError(known, describeAwsError('DynamoDB', error), { cause: error });
}

/** Of Lambda, where a function calls another one: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html */
export function lambdaError(error: unknown): PipelineError {
  const { name, httpStatus } = awsErrorDetails(error);
  const known = isAccessError(name, httpStatus)
    ? 'AccessDenied'
    : name === 'ResourceNotFoundException'
      ? 'MissingConfiguration'
      : 'DatabaseUnavailable';
  return new PipelineError(known, describeAwsError('Lambda', error), { cause: error });
}

/** Of Step Functions: https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html */
export function statesError(error: unknown): PipelineError {
  const { name, httpStatus } = awsErrorDetails(error);
  const known = isAccessError(name, httpStatus)
    ? 'AccessDenied'
    : name === 'StateMachineDoesNotExist'
      ? 'MissingConfiguration'
      : 'ExecutionNotStarted';
  return new PipelineError(known, describeAwsError('Step Functions', error), { cause: error });
}

/**
 * Powertools' errors around an idempotent function: the function's own errors pass through, the store's are renamed.
 * A failing store hides the SDK's error in `cause`.
 */
export function idempotencyError(error: unknown): unknown {
  if (error instanceof PipelineError) {
    return error;
  }
  const { name, message } = awsErrorDetails(error);
  if (name === 'IdempotencyAlreadyInProgressError') {
    return new PipelineError('IdempotencyAlreadyInProgressError', message, { cause: error });
  }
  if (name.startsWith('Idempotency')) {
    const cause = awsErrorDetails((error as { cause?: unknown }).cause);
    return new PipelineError(
      isAccessError(cause.name, cause.httpStatus) ? 'AccessDenied' : 'IdempotencyStoreUnavailable',
      `${message} (${cause.name}: ${cause.message})`,
      { cause: error },
    );
  }
  return error;
}
