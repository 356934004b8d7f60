/**
 * Names that more than one part must spell alike: metrics (emitted by the Lambdas, alarmed on by `lib`), log events and
 * environment variables. This module imports nothing, so that `lib` can use it without pulling in a Lambda's code.
 */

/** Where `lib` sets no other, `POWERTOOLS_METRICS_NAMESPACE`: that of a stack without a stage. */
export const METRICS_NAMESPACE = 'Rollcall';
export const SERVICE_NAME = 'rollcall';

/**
 * What the names of a stack's outputs begin with where Rollcall is a construct of somebody's stack: the construct's id, as far as
 * CloudFormation takes it.
 */
export function outputPrefix(constructId: string): string {
  return constructId.replaceAll(/[^A-Za-z0-9]/g, '');
}

/** Of the database: everything of the pipeline's is in it, where nothing else was chosen. */
export const DEFAULT_SCHEMA = 'rollcall';

export const metricNames = {
  collectionsCreated: 'CollectionsCreated',
  photosIndexed: 'PhotosIndexed',
  photosFailed: 'PhotosFailed',
  /** Uploads whose key belongs to no event; they count as failed photos too. */
  uploadsMisplaced: 'UploadsMisplaced',
  facesIndexed: 'FacesIndexed',
  facesUnindexed: 'FacesUnindexed',
  photosWithoutFaces: 'PhotosWithoutFaces',
  rekognitionCalls: 'RekognitionCalls',
  imagesBilled: 'ImagesBilled',
  rekognitionErrors: 'RekognitionErrors',
  collectionErrors: 'CollectionErrors',
  throttles: 'Throttles',
  lineDelay: 'LineDelay',
  processingTime: 'ProcessingTime',
  facesErased: 'FacesErased',
  erasuresFinished: 'ErasuresFinished',
  erasuresPostponed: 'ErasuresPostponed',
  failedAttempts: 'FailedAttempts',
  /** Runs that ended, with or without anything to compare. */
  reconciliations: 'Reconciliations',
  disagreements: 'Disagreements',
  /** Those that nothing mends by itself. */
  disagreementsLeft: 'DisagreementsLeft',
  /** Seconds since the oldest of them was seen first. */
  disagreementAge: 'DisagreementAge',
  quotaChanges: 'IndexFacesQuotaChanges',
  /** Searches for a person that were answered, with photos or with a reason. */
  searches: 'Searches',
  searchTime: 'SearchTime',
  searchesWithoutPhotos: 'SearchesWithoutPhotos',
  searchesBilled: 'SearchesBilled',
  /** Searches that had no answer at all. */
  searchesFailed: 'SearchesFailed',
} as const;

/** The dimension that Powertools gives every metric; its value is `SERVICE_NAME`. */
export const SERVICE_DIMENSION = 'service';

/**
 * Metrics that are counted as a whole and by one more dimension, of few values: an alarm cannot add up what it does not
 * know the values of.
 */
export const metricDimensions = {
  /** The failure's class (`photo`, `rate`, ...). */
  PhotosFailed: 'Class',
  /** The error's name, of `errors.ts`. */
  RekognitionErrors: 'Error',
  /** The same, of every attempt that a Lambda gave up, to be retried or not. */
  FailedAttempts: 'Error',
  /** Why, of `search.ts`. */
  SearchesWithoutPhotos: 'Reason',
} as const;

export const logEvents = {
  collectionCreated: 'collection.created',
  lineJoined: 'line.joined',
  lineNotNeeded: 'line.not_needed',
  /** S3 did not say whether the photo needs one. */
  lineNeedUnknown: 'line.need_unknown',
  facesIndexed: 'face_index.indexed',
  succeeded: 'face_index.succeeded',
  superseded: 'face_index.superseded',
  failed: 'face_index.failed',
  /** A failure of a photo that is indexed, superseded, or already failed. */
  failureWithoutEffect: 'face_index.failure_without_effect',
  lastResortFailed: 'last_resort.failed',
  photosAnnounced: 'photos.announced',
  announcementFailed: 'photos.announcement_failed',
  throttled: 'face_index.throttled',
  attemptFailed: 'attempt.failed',
  faceWithoutId: 'face_index.face_without_id',
  backlogRead: 'backfill.backlog_read',
  operatorAsked: 'operator.asked',
  /** Of the HTTP API: what the caller has to change, or to wait for. */
  requestRefused: 'api.refused',
  lineUnknown: 'gallery.line_unknown',
  erasureRequested: 'erasure.requested',
  erasureFinished: 'erasure.finished',
  erasurePostponed: 'erasure.postponed',
  erasureKept: 'erasure.face_kept',
  erasureSearchCut: 'erasure.search_cut',
  disagreed: 'reconciliation.disagreed',
  reconciliationCut: 'reconciliation.cut',
  collectionDeleted: 'reconciliation.collection_deleted',
  quotaRead: 'quota.read',
  quotaNotKnown: 'quota.not_known',
  personSearched: 'search.answered',
  bootstrapped: 'database.bootstrapped',
  bootstrapRefused: 'database.bootstrap_refused',
  migrated: 'database.migrated',
  urlParametersLeftOut: 'database.url_parameters_left_out',
} as const;

/**
 * Service Quotas knows the quotas of Rekognition's operations by these; the code of one is the same in every Region.
 * https://docs.aws.amazon.com/general/latest/gr/rekognition.html
 */
export const rekognitionQuotas = {
  serviceCode: 'rekognition',
  indexFaces: 'L-7C13EBAD',
  createCollection: 'L-CE977716',
  deleteFaces: 'L-220834FB',
  listFaces: 'L-970B5808',
} as const;

/** Environment variables of the Lambdas: set by `lib`, read by `lambdas/shared/runtime/environment.ts`. */
export const environmentNames = {
  /** DynamoDB table of the Powertools idempotency records (partition key `id`, TTL attribute `expiration`). */
  idempotencyTable: 'IDEMPOTENCY_TABLE',
  /** DynamoDB table of the slot ledger (partition key `id`). */
  ledgerTable: 'LEDGER_TABLE',
  /** Bucket of the stored IndexFaces responses. */
  resultsBucket: 'RESULTS_BUCKET',
  photoBucket: 'PHOTO_BUCKET',
  /** ARNs of the state machines. */
  indexPhotoStateMachine: 'INDEX_PHOTO_STATE_MACHINE',
  eraseFacesStateMachine: 'ERASE_FACES_STATE_MACHINE',
  /** Images that one reconciliation may start. */
  reconcileMaxImages: 'RECONCILE_MAX_IMAGES',
  /** Days that a collection has to be without an event before it is deleted. */
  abandonedCollectionDays: 'ABANDONED_COLLECTION_DAYS',
  /** `true` where the photo bucket has versions. */
  photoBucketVersioned: 'PHOTO_BUCKET_VERSIONED',
  eventsFolder: 'EVENTS_FOLDER',
  /** Collection ids are this prefix followed by the event id. */
  collectionPrefix: 'COLLECTION_PREFIX',
  /** The account's IndexFaces quota in calls per second. */
  indexFacesPerSecond: 'INDEX_FACES_PER_SECOND',
  /** `true` where the quota that was read into the slot ledger holds instead of that. */
  readsIndexFacesQuota: 'READS_INDEX_FACES_QUOTA',
  /** Images that may be indexed in a UTC day, where the ledger's item says nothing else. */
  dailyImageCap: 'DAILY_IMAGE_CAP',
  /** Images of one photographer that may be indexed in a UTC day; not set where there is no such cap. */
  dailyImagesPerPhotographer: 'DAILY_IMAGES_PER_PHOTOGRAPHER',
  /**
   * DynamoDB table of what photographers have indexed today, and of whose each event is (partition key `id`, TTL attribute
   * `expiration`); not set where there is no such cap.
   */
  photographersTable: 'PHOTOGRAPHERS_TABLE',
  /** IndexFaces QualityFilter: NONE, AUTO, LOW, MEDIUM or HIGH. */
  qualityFilter: 'QUALITY_FILTER',
  /** IndexFaces MaxFaces, 1 to 100. */
  maxFaces: 'MAX_FACES',
  /** IndexFaces DetectionAttributes, comma separated. */
  detectionAttributes: 'DETECTION_ATTRIBUTES',
  /** What is kept of Rekognition's response: `full` or `minimal`. */
  rekognitionResponse: 'REKOGNITION_RESPONSE',
  /** DynamoDB table of what events and callers have searched (partition key `id`, TTL attribute `expiration`). */
  searchLimitsTable: 'SEARCH_LIMITS_TABLE',
  /** The account's quota of SearchFacesByImage and SearchFaces in calls per second. */
  searchFacesPerSecond: 'SEARCH_FACES_PER_SECOND',
  /** Searches that may be billed in a UTC day. */
  dailySearchCap: 'DAILY_SEARCH_CAP',
  searchesPerEventHour: 'SEARCHES_PER_EVENT_HOUR',
  searchesPerCallerHour: 'SEARCHES_PER_CALLER_HOUR',
  /** ARN of the function that tells which faces are shown. */
  resolveFacesFunction: 'RESOLVE_FACES_FUNCTION',
  /** Days that the records of searches are kept. */
  searchRetentionDays: 'SEARCH_RETENTION_DAYS',
  /** Days that faces are kept after their event's expiry, or its last photo. */
  faceRetentionDays: 'FACE_RETENTION_DAYS',
  /** `iam` (RDS IAM authentication, host/port/name/user below) or `secret` (a connection URL in Secrets Manager). */
  databaseAuth: 'DATABASE_AUTH',
  databaseHost: 'DATABASE_HOST',
  databasePort: 'DATABASE_PORT',
  databaseName: 'DATABASE_NAME',
  databaseUser: 'DATABASE_USER',
  /**
   * Of `iam`: `transaction` where a pooler may be between, so that nothing may be set for a session; not set where every connection is
   * a session of its own.
   */
  databaseSettings: 'DATABASE_SETTINGS',
  /** ARN of the secret whose string is `postgresql://user:password@host:port/database`; for the Data API, the master's. */
  databaseSecretArn: 'DATABASE_SECRET_ARN',
  /** File beside the code: PEM of the authority that signed an external database's certificate. */
  databaseCaFile: 'DATABASE_CA_FILE',
  /** Schema that everything of the pipeline's is in. */
  databaseSchema: 'DATABASE_SCHEMA',
  /** ARN of the Aurora cluster, for the RDS Data API. */
  databaseClusterArn: 'DATABASE_CLUSTER_ARN',
} as const;
