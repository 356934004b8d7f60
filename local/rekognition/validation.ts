import { RekognitionError } from './model.ts';

/** The requests that the operations take, checked: what is optional in the API has its default here. */
export interface ImageInput {
  bytes?: Buffer;
  s3Object?: { bucket: string; key: string; version: string | undefined };
}
export type QualityFilter = (typeof QUALITY_FILTERS)[number];
export interface IndexFacesInput {
  collectionId: string;
  image: ImageInput;
  externalImageId: string | undefined;
  attributes: ReadonlySet<string>;
  maxFaces: number;
  qualityFilter: QualityFilter;
}
export interface SearchInput {
  collectionId: string;
  maxFaces: number;
  /** 0..100 */
  threshold: number;
}
export interface PageInput {
  maxResults: number;
  nextToken: string | undefined;
}

const QUALITY_FILTERS = ['NONE', 'AUTO', 'LOW', 'MEDIUM', 'HIGH'] as const;
const ATTRIBUTES = [
  'DEFAULT',
  'ALL',
  'AGE_RANGE',
  'BEARD',
  'EMOTIONS',
  'EYE_DIRECTION',
  'EYEGLASSES',
  'EYES_OPEN',
  'GENDER',
  'MOUTH_OPEN',
  'MUSTACHE',
  'FACE_OCCLUDED',
  'SMILE',
  'SUNGLASSES',
] as const;

const MAX_IMAGE_BYTES = 5 * 1024 * 1024;
const MAX_FACES_PER_IMAGE = 100;
const MAX_PAGE = 4096;
const MAX_MATCHES = 4096;
/** Rekognition's default of FaceMatchThreshold. */
const DEFAULT_THRESHOLD = 80;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const COLLECTION_ID = { min: 1, max: 255, pattern: /^[a-zA-Z0-9_.-]+$/, shown: '[a-zA-Z0-9_.\\-]+' };
const EXTERNAL_IMAGE_ID = { min: 1, max: 255, pattern: /^[a-zA-Z0-9_.:-]+$/, shown: '[a-zA-Z0-9_.\\-:]+' };
const USER_ID = { ...EXTERNAL_IMAGE_ID, max: 128 };
const FACE_ID = { pattern: UUID, shown: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}' };
const TAG_KEY = {
  min: 1,
  max: 128,
  pattern: /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u,
  shown: '^(?!aws:)[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*$',
};
const TAG_VALUE = {
  max: 256,
  pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u,
  shown: '^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$',
};
const S3_BUCKET = { min: 3, max: 255, pattern: /^[0-9A-Za-z._-]*$/, shown: '[0-9A-Za-z\\.\\-_]*' };
const S3_NAME = { min: 1, max: 1024 };

interface StringRule {
  min?: number;
  max?: number;
  pattern?: RegExp;
  /** The pattern as Rekognition's message shows it. */
  shown?: string;
}

type Json = Record<string, unknown>;

/**
 * Reads members off a request and collects what is wrong with them, in the words of AWS's services.
 * The constraints are those of the API model (2016-06-27): https://docs.aws.amazon.com/rekognition/latest/APIReference/
 */
class Reader {
  readonly #violations: string[] = [];

  /** @throws RekognitionError `InvalidParameterException` that names every violation */
  check(): void {
    const count = this.#violations.length;
    if (count > 0) {
      throw new RekognitionError(
        'InvalidParameterException',
        `${count} validation error${count > 1 ? 's' : ''} detected: ${this.#violations.join('; ')}`,
      );
    }
  }

  violation(path: string, value: unknown, constraint: string): void {
    const shown =
      value === undefined ? 'null' : `'${Array.isArray(value) ? `[${value.join(', ')}]` : value}'`;
    this.#violations.push(
      `Value ${shown} at '${path}' failed to satisfy constraint: Member must ${constraint}`,
    );
  }

  required<T>(path: string, value: T | undefined, otherwise: T): T {
    if (value === undefined) {
      this.violation(path, undefined, 'not be null');
    }
    return value ?? otherwise;
  }

  string(path: string, value: unknown, rule: StringRule): string | undefined {
    if (value === undefined || value === null) {
      return undefined;
    }
    if (typeof value !== 'string') {
      throw wrongType(path, 'a string');
    }
    if (rule.min !== undefined && value.length < rule.min) {
      this.violation(path, value, `have length greater than or equal to ${rule.min}`);
    } else if (rule.max !== undefined && value.length > rule.max) {
      this.violation(path, value, `have length less than or equal to ${rule.max}`);
    } else if (rule.pattern && !rule.pattern.test(value)) {
      this.violation(path, value, `satisfy regular expression pattern: ${rule.shown}`);
    }
    return value;
  }

  number(
    path: string,
    value: unknown,
    rule: { min: number; max?: number; integer?: boolean },
  ): number | undefined {
    if (value === undefined || value === null) {
      return undefined;
    }
    if (typeof value !== 'number' || (rule.integer && !Number.isInteger(value))) {
      throw wrongType(path, rule.integer ? 'an integer' : 'a number');
    }
    if (value < rule.min) {
      this.violation(path, value, `have value greater than or equal to ${rule.min}`);
    } else if (rule.max !== undefined && value > rule.max) {
      this.violation(path, value, `have value less than or equal to ${rule.max}`);
    }
    return value;
  }

  oneOf<T extends string>(path: string, value: unknown, allowed: readonly T[]): T | undefined {
    const text = this.string(path, value, {});
    if (text !== undefined && !allowed.includes(text as T)) {
      this.violation(path, text, `satisfy enum value set: [${allowed.join(', ')}]`);
    }
    return text as T | undefined;
  }

  list(path: string, value: unknown): unknown[] | undefined {
    if (value === undefined || value === null) {
      return undefined;
    }
    if (!Array.isArray(value)) {
      throw wrongType(path, 'a list');
    }
    return value;
  }

  structure(path: string, value: unknown): Json | undefined {
    if (value === undefined || value === null) {
      return undefined;
    }
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw wrongType(path, 'a structure');
    }
    return value as Json;
  }

  collectionId(input: Json): string {
    const value = this.string('collectionId', input.CollectionId, COLLECTION_ID);
    return this.required('collectionId', value, '');
  }

  faceIds(value: unknown): string[] | undefined {
    const ids = this.list('faceIds', value)?.map((id) => this.string('faceIds', id, {}) ?? '');
    if (ids && ids.length < 1) {
      this.violation('faceIds', ids, 'have length greater than or equal to 1');
    } else if (ids && ids.length > MAX_PAGE) {
      this.violation('faceIds', `${ids.length} ids`, `have length less than or equal to ${MAX_PAGE}`);
    }
    const bad = ids?.find((id) => !UUID.test(id));
    if (bad !== undefined) {
      this.violation(
        'faceIds',
        bad,
        `satisfy constraint: [Member must satisfy regular expression pattern: ${FACE_ID.shown}]`,
      );
    }
    return ids;
  }

  page(input: Json): PageInput {
    const maxResults = this.number('maxResults', input.MaxResults, { min: 0, max: MAX_PAGE, integer: true });
    const nextToken = this.string('nextToken', input.NextToken, { max: 255 });
    return { maxResults: maxResults || MAX_PAGE, nextToken };
  }

  search(input: Json): SearchInput {
    const maxFaces = this.number('maxFaces', input.MaxFaces, { min: 1, max: MAX_MATCHES, integer: true });
    const threshold = this.number('faceMatchThreshold', input.FaceMatchThreshold, { min: 0, max: 100 });
    return {
      collectionId: this.collectionId(input),
      maxFaces: maxFaces ?? MAX_MATCHES,
      threshold: threshold ?? DEFAULT_THRESHOLD,
    };
  }

  image(input: Json): ImageInput {
    const image = this.required('image', this.structure('image', input.Image), {});
    const bytes = this.#bytes(image.Bytes);
    const object = this.structure('image.s3Object', image.S3Object);
    const bucket = this.string('image.s3Object.bucket', object?.Bucket, S3_BUCKET);
    const key = this.string('image.s3Object.name', object?.Name, S3_NAME);
    const version = this.string('image.s3Object.version', object?.Version, S3_NAME);
    this.check();
    if ((bytes === undefined) === (object === undefined)) {
      throw new RekognitionError('InvalidParameterException');
    }
    if (bytes) {
      return { bytes };
    }
    if (bucket === undefined || key === undefined) {
      throw new RekognitionError('InvalidS3ObjectException', 'Request has invalid S3 object.');
    }
    return { s3Object: { bucket, key, version } };
  }

  #bytes(value: unknown): Buffer | undefined {
    const text = this.string('image.bytes', value, {});
    if (text === undefined) {
      return undefined;
    }
    const bytes = Buffer.from(text, 'base64');
    if (text.length === 0) {
      this.violation(
        'image.bytes',
        'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]',
        'have length greater than or equal to 1',
      );
    } else if (bytes.length === 0) {
      throw wrongType('image.bytes', 'Base64');
    } else if (bytes.length > MAX_IMAGE_BYTES) {
      throw new RekognitionError('ImageTooLargeException');
    }
    return bytes;
  }
}

function wrongType(path: string, expected: string): RekognitionError {
  return new RekognitionError('SerializationException', `The value at '${path}' is not ${expected}.`);
}

export function readCreateCollection(input: Json): { collectionId: string; tags: Record<string, string> } {
  const reader = new Reader();
  const collectionId = reader.collectionId(input);
  const tags: Record<string, string> = {};
  const entries = Object.entries(reader.structure('tags', input.Tags) ?? {});
  if (entries.length > 200) {
    reader.violation('tags', `${entries.length} tags`, 'have length less than or equal to 200');
  }
  for (const [key, value] of entries) {
    reader.string('tags', key, TAG_KEY);
    tags[key] = reader.string('tags', value, TAG_VALUE) ?? '';
  }
  reader.check();
  return { collectionId, tags };
}

/** For the operations that take nothing but a collection. */
export function readCollectionId(input: Json): string {
  const reader = new Reader();
  const collectionId = reader.collectionId(input);
  reader.check();
  return collectionId;
}

export function readListCollections(input: Json): PageInput {
  const reader = new Reader();
  const page = reader.page(input);
  reader.check();
  return page;
}

export function readIndexFaces(input: Json): IndexFacesInput {
  const reader = new Reader();
  const collectionId = reader.collectionId(input);
  const externalImageId = reader.string('externalImageId', input.ExternalImageId, EXTERNAL_IMAGE_ID);
  const attributes = (reader.list('detectionAttributes', input.DetectionAttributes) ?? []).map((value) =>
    reader.oneOf('detectionAttributes', value, ATTRIBUTES),
  );
  const maxFaces = reader.number('maxFaces', input.MaxFaces, { min: 1, integer: true });
  const qualityFilter = reader.oneOf('qualityFilter', input.QualityFilter, QUALITY_FILTERS);
  const image = reader.image(input);
  return {
    collectionId,
    image,
    externalImageId,
    attributes: new Set(attributes.filter((name) => name !== undefined)),
    maxFaces: Math.min(maxFaces ?? MAX_FACES_PER_IMAGE, MAX_FACES_PER_IMAGE),
    qualityFilter: qualityFilter ?? 'AUTO',
  };
}

export function readListFaces(
  input: Json,
): PageInput & { collectionId: string; faceIds: string[] | undefined; userId: string | undefined } {
  const reader = new Reader();
  const collectionId = reader.collectionId(input);
  const page = reader.page(input);
  const faceIds = reader.faceIds(input.FaceIds);
  const userId = reader.string('userId', input.UserId, USER_ID);
  reader.check();
  return { collectionId, ...page, faceIds, userId };
}

export function readDeleteFaces(input: Json): { collectionId: string; faceIds: string[] } {
  const reader = new Reader();
  const collectionId = reader.collectionId(input);
  const faceIds = reader.required('faceIds', reader.faceIds(input.FaceIds), []);
  reader.check();
  return { collectionId, faceIds };
}

export function readSearchFaces(input: Json): SearchInput & { faceId: string } {
  const reader = new Reader();
  const search = reader.search(input);
  const faceId = reader.required('faceId', reader.string('faceId', input.FaceId, FACE_ID), '');
  reader.check();
  return { ...search, faceId };
}

export function readSearchFacesByImage(
  input: Json,
): SearchInput & { image: ImageInput; qualityFilter: QualityFilter } {
  const reader = new Reader();
  const search = reader.search(input);
  const qualityFilter = reader.oneOf('qualityFilter', input.QualityFilter, QUALITY_FILTERS);
  const image = reader.image(input);
  return { ...search, image, qualityFilter: qualityFilter ?? 'NONE' };
}
