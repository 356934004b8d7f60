/** Names of the local Rekognition: operations, errors, versions. */

export const operations = [
  'CreateCollection',
  'DescribeCollection',
  'ListCollections',
  'DeleteCollection',
  'IndexFaces',
  'ListFaces',
  'DeleteFaces',
  'SearchFacesByImage',
  'SearchFaces',
] as const;
export type Operation = (typeof operations)[number];

/** The version that collections are pinned to. It names the local models, because Rekognition's would be a lie. */
export const FACE_MODEL_VERSION = 'local-face-api-1.7';
/** Rekognition's pattern for this one allows digits and dots only. */
export const INDEX_FACES_MODEL_VERSION = '1.7';

/** Faces in one collection: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html */
export const MAX_FACES_PER_COLLECTION = 20_000_000;

/**
 * Rekognition's errors, with the HTTP status and the message it sends:
 * https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html. The last four are those of AWS's JSON protocol.
 */
const errorKinds = {
  AccessDeniedException: { status: 400, message: 'User is not authorized to perform this operation.' },
  ImageTooLargeException: { status: 400, message: 'Image size is too large.' },
  InternalServerError: { status: 500, message: 'Internal server error' },
  InvalidImageFormatException: { status: 400, message: 'Request has invalid image format.' },
  InvalidPaginationTokenException: { status: 400, message: 'Invalid Pagination Token' },
  InvalidParameterException: { status: 400, message: 'Request has invalid parameters.' },
  InvalidS3ObjectException: {
    status: 400,
    message: 'Unable to get object metadata from S3. Check object key, region and/or access permissions.',
  },
  ProvisionedThroughputExceededException: { status: 400, message: 'Provisioned Rate exceeded.' },
  ResourceAlreadyExistsException: { status: 400, message: 'The resource already exists.' },
  ResourceNotFoundException: { status: 400, message: 'The resource does not exist.' },
  ServiceQuotaExceededException: { status: 400, message: 'The collection is full.' },
  ThrottlingException: { status: 400, message: 'Slow down; sudden increase in rate of requests.' },
  RequestEntityTooLargeException: { status: 413, message: 'The request is too large.' },
  SerializationException: { status: 400, message: 'The request is not valid JSON of the expected types.' },
  UnknownOperationException: { status: 400, message: 'The operation is not known.' },
  UnsupportedProtocolException: { status: 415, message: 'The request is not in AWS JSON 1.1.' },
} as const;
export type RekognitionErrorName = keyof typeof errorKinds;

/** An error that the client gets to see under Rekognition's name for it. */
export class RekognitionError extends Error {
  override readonly name: RekognitionErrorName;
  readonly status: number;

  constructor(name: RekognitionErrorName, message: string = errorKinds[name].message, status?: number) {
    super(message);
    this.name = name;
    this.status = status ?? errorKinds[name].status;
  }
}
