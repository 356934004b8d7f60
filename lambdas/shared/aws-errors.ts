/** Gives the SDK's errors the names that the state machine routes by, with the original name and request id kept. */
import { awsErrorDetails, describeAwsError, type FailureName, PipelineError } from './errors.ts';

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

/**
 * @param notFound what a missing object means to the caller: the photo is gone (`InvalidS3Object`) or the stored
 *   response is (`ResultNotFound`); where no object is asked for, only the bucket can be missing (`MissingConfiguration`)
 */
export function s3Error(
  error: unknown,
  notFound: 'InvalidS3Object' | 'ResultNotFound' | 'MissingConfiguration',
): PipelineError {
  const { name, httpStatus } = awsErrorDetails(error);
  const missing =
    name === 'NoSuchKey' || name === 'NotFound' || name === 'NoSuchVersion' || httpStatus === 404;
  const known = missing ? notFound : isAccessError(name, httpStatus) ? 'AccessDenied' : 'StorageUnavailable';
  return new PipelineError(known, describeAwsError('S3', error), { cause: error });
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
