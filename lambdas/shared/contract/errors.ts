/**
 * Every way in which the pipeline can fail, by the name under which Step Functions routes it, Postgres stores it
 * (`photos.failure_code`), the metrics count it and the runbook explains it.
 *
 * The names are ours and not the SDK's, because DynamoDB and Rekognition share names
 * (`ProvisionedThroughputExceededException`, `ResourceNotFoundException`, `ThrottlingException`) that mean
 * different things to the state machine.
 */

/** Who or what has to change before another try can succeed. */
export type FailureClass = 'photo' | 'rate' | 'collection' | 'transient' | 'database' | 'setup' | 'operator';

interface FailureKind {
  /** What has to change before another try can succeed. */
  readonly class: FailureClass;
  /** Whether the same photo version, sent again once the cause is gone, can be indexed. */
  readonly retryable: boolean;
}

export const failureKinds = {
  // The photo is at fault: no retry, ever.
  InvalidPhotoKey: { class: 'photo', retryable: false },
  InvalidImageFormat: { class: 'photo', retryable: false },
  ImageTooLarge: { class: 'photo', retryable: false },
  InvalidS3Object: { class: 'photo', retryable: false },
  InvalidParameter: { class: 'photo', retryable: false },
  InvalidInput: { class: 'photo', retryable: false },
  // Its file's name is the id of another photo, whose row it must not touch.
  PhotoIdTaken: { class: 'photo', retryable: false },
  // Not a failure: a newer upload took this one's place before it was indexed, and has an execution of its own.
  PhotoSuperseded: { class: 'photo', retryable: false },

  // The rate.
  RekognitionThrottled: { class: 'rate', retryable: true },
  SlotExpired: { class: 'rate', retryable: true },
  ThrottledTooOften: { class: 'rate', retryable: true },
  LedgerBusy: { class: 'rate', retryable: true },
  BackfillWaits: { class: 'rate', retryable: true },

  // An operator or a limit holds the pipeline.
  IndexingPaused: { class: 'operator', retryable: true },
  DailyImageCapReached: { class: 'operator', retryable: true },
  PhotographerCapReached: { class: 'operator', retryable: true },
  // Never thrown; written by mark-failed for an execution that was ended from outside.
  ExecutionAborted: { class: 'operator', retryable: true },
  ExecutionTimedOut: { class: 'transient', retryable: true },

  // The collection is gone or full.
  CollectionNotFound: { class: 'collection', retryable: true },
  CollectionLostTooOften: { class: 'collection', retryable: true },
  // Never thrown; written by the reconciliation.
  FacesLost: { class: 'collection', retryable: true },

  // Erasures.
  FacesBeingErased: { class: 'transient', retryable: true },
  FacesStillBeingErased: { class: 'transient', retryable: true },
  FacesStillListed: { class: 'transient', retryable: true },
  TurnOver: { class: 'transient', retryable: true },

  // The reconciliation, past what it tries itself: Step Functions takes no execution, or tells of none.
  ExecutionNotStarted: { class: 'transient', retryable: true },

  // A moment's trouble.
  RekognitionUnavailable: { class: 'transient', retryable: true },
  StorageUnavailable: { class: 'transient', retryable: true },
  IdempotencyAlreadyInProgressError: { class: 'transient', retryable: true },
  IdempotencyStoreUnavailable: { class: 'transient', retryable: true },
  ResultNotFound: { class: 'transient', retryable: true },
  ResultLostTooOften: { class: 'transient', retryable: true },
  InternalError: { class: 'transient', retryable: true },

  // The database.
  DatabaseUnavailable: { class: 'database', retryable: true },

  // The set-up: it needs an engineer.
  AccessDenied: { class: 'setup', retryable: true },
  QuotaExceeded: { class: 'setup', retryable: true },
  DatabaseMisconfigured: { class: 'setup', retryable: true },
  MissingConfiguration: { class: 'setup', retryable: true },
  // Never thrown; written by mark-failed for an upload of which EventBridge could start no execution.
  StartFailed: { class: 'setup', retryable: true },
} as const satisfies Record<string, FailureKind>;

export type FailureName = keyof typeof failureKinds;

/** What an execution that was ended from outside counts as, by its status. */
export const cutOffFailures = {
  ABORTED: 'ExecutionAborted',
  TIMED_OUT: 'ExecutionTimedOut',
} as const satisfies Record<string, FailureName>;

/** The error that a Lambda throws: its `name` is what Step Functions sees as `errorType` and routes by. */
export class PipelineError extends Error {
  override readonly name: FailureName;

  constructor(name: FailureName, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = name;
  }
}

export function isFailureName(name: string): name is FailureName {
  return Object.hasOwn(failureKinds, name);
}

export function failureKind(name: FailureName): FailureKind {
  return failureKinds[name];
}

/** Whether whoever comes next would meet the same: the database is unavailable, or something is set up wrong. */
export function isTroubleForAll(name: FailureName): boolean {
  const { class: failureClass } = failureKind(name);
  return failureClass === 'database' || failureClass === 'setup';
}

/** The fields of an AWS SDK error that say what happened; all optional, because anything can be thrown. */
interface AwsErrorDetails {
  name: string;
  message: string;
  requestId: string | undefined;
  httpStatus: number | undefined;
}

/** Reads name, message, request id and HTTP status off whatever was thrown, without ever throwing itself. */
export function awsErrorDetails(error: unknown): AwsErrorDetails {
  const name = property(error, 'name');
  const message = property(error, 'message');
  const metadata = property(error, '$metadata');
  const requestId = property(metadata, 'requestId');
  const httpStatus = property(metadata, 'httpStatusCode');
  return {
    name: typeof name === 'string' ? name : 'UnknownError',
    message: typeof message === 'string' ? message : textOf(error),
    requestId: typeof requestId === 'string' ? requestId : undefined,
    httpStatus: typeof httpStatus === 'number' ? httpStatus : undefined,
  };
}

/** A property of whatever was thrown; undefined where even looking at it throws. */
export function property(of: unknown, name: string): unknown {
  try {
    return (of as Record<string, unknown> | null | undefined)?.[name];
  } catch {
    return undefined;
  }
}

function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'Something without a text was thrown';
  }
}

/** One line that keeps the original error's name and request id, for the renamed error's message. */
export function describeAwsError(service: string, error: unknown): string {
  const { name, message, requestId } = awsErrorDetails(error);
  return `${service} ${name}: ${message}${requestId ? ` (request ${requestId})` : ''}`;
}
