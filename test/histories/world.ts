/** S3 and Rekognition in memory, as the functions see them, with the rules that the order of things depends on. */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import { awsError, fakeClient } from '../support/fake-client.ts';
import type { ContentName, KeyName } from './history.ts';

export const PHOTO_BUCKET = 'photos';
export const RESULTS_BUCKET = 'results';
export const COLLECTION_PREFIX = 'rollcall-';

/** Who is on a photo, in the order of their boxes. */
const people: Record<ContentName, string[]> = {
  A: ['x', 'y'],
  B: ['x'],
  C: ['y', 'z'],
  nobody: [],
  empty: [],
  broken: [],
};

export interface Box {
  Left: number;
  Top: number;
  Width: number;
  Height: number;
}

export interface Face {
  faceId: string;
  /** ExternalImageId. */
  imageId: string;
  person: string;
  box: Box;
}

/** The faces of a content: always the same boxes, and none that overlaps with one of another content. */
export function facesOf(content: ContentName): { person: string; box: Box }[] {
  const row = Object.keys(people).indexOf(content);
  return people[content].map((person, column) => ({
    person,
    box: { Left: (column + 1) / 8, Top: (row + 1) / 8, Width: 1 / 16, Height: 1 / 16 },
  }));
}

export function boxName({ Left, Top }: Box): string {
  return `${Left}/${Top}`;
}

/** The beginning of a PNG, which is all that the pipeline looks at. */
const PICTURE = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]),
  Buffer.from('IHDR', 'latin1'),
  Buffer.from([0, 0, 1, 0, 0, 0, 1, 0, 8, 2, 0, 0, 0]),
]);

/** A picture that shows one person, in Base64. */
export function selfieOf(person: string): string {
  return Buffer.concat([PICTURE, Buffer.from(person)]).toString('base64');
}

function personOf(picture: Buffer): string {
  return picture.subarray(PICTURE.length).toString();
}

/** The same bytes have the same ETag, under whatever key. */
export function etagOf(content: ContentName): string {
  return Buffer.from(content.padEnd(16, '.')).toString('hex');
}

export function sizeOf(content: ContentName): number {
  return content === 'empty' ? 0 : 1_000;
}

/** A function's execution environment, as far as the world has to know it. */
export interface Caller {
  label: string;
  /** The key and the version that it is about, where it is about one. */
  photo: { key: KeyName; etag: string } | undefined;
  /** Lets others go first. */
  point(what: string): Promise<void>;
  /** Whether a fault of this kind was ordered for the next such place; takes the order. */
  takeFault(kind: 'rekognition' | 'put' | 'crash'): boolean;
  /** The environment dies: nothing that it awaits ever comes. */
  crash(): Promise<never>;
  /** The next attempt is one after a fault that was ordered, and not one that waits for something. */
  faulted(): void;
}

/** A call of IndexFaces that took effect. */
export interface PaidCall {
  key: KeyName;
  etag: string;
  label: string;
  /** Deletions and other contents of the key before. */
  life: number;
  faceIds: string[];
  /** A fault or an erasure took the response, or faces that it names. */
  isDestroyed: boolean;
  /** There was a good response for the same version in the same life. */
  isUnneeded: boolean;
}

interface StoredPhoto {
  content: ContentName;
  etag: string;
  life: number;
  /** ISO 8601. */
  uploadedAt: string;
}

interface StoredResponse {
  body: string;
  metadata: { [name: string]: string };
  call: PaidCall | undefined;
  storedMs: number;
}

interface OnceRecord {
  result: unknown;
  /** The function at work died: the record frees itself when the function would have timed out. */
  isDead: boolean;
  isDone: boolean;
}

export class World {
  /** By whole key. */
  readonly photos = new Map<string, StoredPhoto>();
  readonly results = new Map<string, StoredResponse>();
  /** By collection and face id. */
  readonly collections = new Map<string, Map<string, Face>>();
  readonly paid: PaidCall[] = [];
  /** Every face that a collection ever had, by its id. */
  readonly known = new Map<string, Face & { collectionId: string }>();
  readonly clock = new Clock();
  /** When each execution says that it asked Rekognition: the moment before it does. */
  readonly asked = new Map<string, number>();
  /** When an erasure last removed something. */
  removedMs = 0;
  /** How often minutes had passed when a batch of an erasure was handed out, by its number. */
  readonly turns = new Map<number, number>();
  readonly #records = new Map<string, OnceRecord>();
  readonly #lives = new Map<string, number>();
  readonly #newId: () => string;

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  put(wholeKey: string, content: ContentName, uploadedAt: string): void {
    const etag = etagOf(content);
    const before = this.photos.get(wholeKey);
    const lives = this.#lives.get(wholeKey) ?? 0;
    const life = before?.etag === etag ? before.life : lives + 1;
    this.#lives.set(wholeKey, life);
    this.photos.set(wholeKey, { content, etag, life, uploadedAt });
  }

  /** Somebody deletes the collection behind the pipeline's back. */
  loseCollection(collectionId: string): void {
    this.#deleteCollection(collectionId);
  }

  /** A function died, perhaps with a response in its hands that it had not stored. */
  loseAnswer(caller: Caller): void {
    const call = this.#lastCall(caller);
    if (call && ![...this.results.values()].some((stored) => stored.call === call)) {
      call.isDestroyed = true;
    }
  }

  deleteResult(key: string): void {
    const call = this.results.get(key)?.call;
    if (call) {
      call.isDestroyed = true;
    }
    this.results.delete(key);
  }

  /** Powertools' idempotency: done once for a key, one at a time, and forgotten when it fails. */
  async once<Result>(caller: Caller, key: string, work: () => Promise<Result>): Promise<Result> {
    const known = this.#records.get(key);
    if (known && !known.isDead) {
      if (known.isDone) {
        return known.result as Result;
      }
      throw new PipelineError('IdempotencyAlreadyInProgressError', `${key} is in progress`);
    }
    const record: OnceRecord = { result: undefined, isDead: false, isDone: false };
    this.#records.set(key, record);
    const crash = caller.crash;
    caller.crash = () => {
      record.isDead = true;
      return crash.call(caller);
    };
    try {
      record.result = await work();
      record.isDone = true;
      return record.result as Result;
    } catch (error) {
      this.#records.delete(key);
      throw error;
    } finally {
      caller.crash = crash;
    }
  }

  /** The clients of one function's environment. */
  clients(caller: Caller): { rekognition: RekognitionClient; s3: S3Client } {
    /** A call that others can come before, and that the environment can die in, once it took effect. */
    const call =
      <Input>(name: string, effect: (input: Input) => unknown) =>
      async (input: { [name: string]: unknown }) => {
        await caller.point(name);
        const answer = effect(input as Input);
        if (caller.takeFault('crash')) {
          this.loseAnswer(caller);
          return caller.crash();
        }
        return answer;
      };
    return {
      rekognition: fakeClient<RekognitionClient>({
        CreateCollection: ({ CollectionId: id }) => this.#createCollection(id as string),
        DescribeCollection: ({ CollectionId: id }) => {
          this.#collection(id as string);
          return { FaceModelVersion: '7.0' };
        },
        ListCollections: () => ({ CollectionIds: [...this.collections.keys()] }),
        DeleteCollection: call('DeleteCollection', ({ CollectionId }: { CollectionId: string }) => {
          this.#collection(CollectionId);
          this.#deleteCollection(CollectionId);
          return {};
        }),
        IndexFaces: call('IndexFaces', (input: IndexFacesInput) => this.#indexFaces(caller, input)),
        DeleteFaces: call('DeleteFaces', (input: { CollectionId: string; FaceIds: string[] }) => {
          const faces = this.#collection(input.CollectionId);
          const missing = input.FaceIds.filter((faceId) => !faces.delete(faceId));
          this.#destroyCallsOf(new Set(input.FaceIds));
          return {
            UnsuccessfulFaceDeletions: missing.map((FaceId) => ({ FaceId, Reasons: ['FACE_NOT_FOUND'] })),
          };
        }),
        ListFaces: call('ListFaces', (input: ListFacesInput) => this.#listFaces(input)),
        SearchFacesByImage: call('SearchFacesByImage', (input: SearchInput) => this.#search(input)),
      }).client,
      s3: fakeClient<S3Client>({
        HeadObject: call('HeadObject', ({ Bucket, Key }: { Bucket: string; Key: string }) => {
          if (Bucket === PHOTO_BUCKET) {
            const photo = found(this.photos.get(Key), 'NotFound');
            return { ETag: `"${photo.etag}"`, ContentLength: sizeOf(photo.content) };
          }
          return { Metadata: found(this.results.get(Key), 'NotFound').metadata };
        }),
        GetObject: call('GetObject', ({ Key }: { Key: string }) => {
          const { body } = found(this.results.get(Key), 'NoSuchKey');
          return { Body: { transformToString: async () => body } };
        }),
        PutObject: call(
          'PutObject',
          (input: { Key: string; Body: string; Metadata: { [name: string]: string } }) => {
            if (caller.takeFault('put')) {
              caller.faulted();
              this.loseAnswer(caller);
              throw networkError();
            }
            const paid = this.#lastCall(caller);
            this.deleteResult(input.Key);
            this.results.set(input.Key, {
              body: input.Body,
              metadata: input.Metadata,
              call: paid,
              storedMs: this.clock.stamp(),
            });
            return {};
          },
        ),
        ListObjectsV2: call('ListObjectsV2', ({ Prefix, MaxKeys }: { Prefix: string; MaxKeys: number }) => {
          const keys = [...this.results.keys()].filter((key) => key.startsWith(Prefix)).sort();
          return {
            Contents: keys
              .slice(0, MaxKeys)
              .map((Key) => ({ Key, LastModified: new Date(this.results.get(Key)!.storedMs) })),
            IsTruncated: keys.length > MaxKeys,
          };
        }),
        DeleteObjects: call('DeleteObjects', ({ Delete }: { Delete: { Objects: { Key: string }[] } }) => {
          for (const { Key } of Delete.Objects) {
            this.deleteResult(Key);
          }
          return {};
        }),
      }).client,
    };
  }

  #collection(id: string): Map<string, Face> {
    return found(this.collections.get(id), 'ResourceNotFoundException', 400);
  }

  #deleteCollection(id: string): void {
    this.#destroyCallsOf(new Set(this.collections.get(id)?.keys()));
    this.collections.delete(id);
  }

  #destroyCallsOf(faceIds: ReadonlySet<string>): void {
    for (const call of this.paid) {
      call.isDestroyed ||= call.faceIds.some((faceId) => faceIds.has(faceId));
    }
  }

  #lastCall({ label }: Caller): PaidCall | undefined {
    return this.paid.findLast((call) => call.label === label);
  }

  #createCollection(id: string): object {
    if (this.collections.has(id)) {
      throw awsError('ResourceAlreadyExistsException');
    }
    this.collections.set(id, new Map());
    return { FaceModelVersion: '7.0' };
  }

  /** The same image, under the same id, in the same collection: the faces that are there; else new ones. */
  #indexFaces(caller: Caller, { CollectionId, ExternalImageId: imageId, Image }: IndexFacesInput): object {
    const collection = this.#collection(CollectionId);
    const photo = found(this.photos.get(Image.S3Object.Name), 'InvalidS3ObjectException', 400);
    if (photo.content === 'empty' || photo.content === 'broken') {
      throw awsError('InvalidImageFormatException');
    }
    const faces = facesOf(photo.content).map(({ person, box }) => {
      const known = [...collection.values()].find(
        (face) => face.imageId === imageId && boxName(face.box) === boxName(box),
      );
      const face = known ?? { faceId: this.#newId(), imageId, person, box };
      collection.set(face.faceId, face);
      this.known.set(face.faceId, { ...face, collectionId: CollectionId });
      return face;
    });
    const isLost = caller.takeFault('rekognition');
    if (caller.photo) {
      const { key, etag } = caller.photo;
      this.paid.push({
        key,
        etag,
        label: caller.label,
        life: photo.life,
        faceIds: faces.map(({ faceId }) => faceId),
        // Asked before an erasure and answered after it: what it names may be gone, for all that anybody can know.
        isDestroyed: isLost || this.removedMs >= (this.asked.get(caller.label) ?? 0),
        isUnneeded: this.paid.some(
          (call) => call.key === key && call.etag === etag && call.life === photo.life && !call.isDestroyed,
        ),
      });
    }
    if (isLost) {
      caller.faulted();
      throw networkError();
    }
    return {
      FaceModelVersion: '7.0',
      FaceRecords: faces.map(({ faceId, box }) => ({
        Face: { FaceId: faceId, ExternalImageId: imageId, BoundingBox: box, Confidence: 99 },
        FaceDetail: { BoundingBox: box, Confidence: 99 },
      })),
      UnindexedFaces: [],
    };
  }

  #search({ CollectionId, Image: { Bytes } }: SearchInput): object {
    const person = personOf(Bytes);
    return {
      FaceMatches: [...this.#collection(CollectionId).values()]
        .filter((face) => face.person === person)
        .map(({ faceId, imageId }) => ({
          Similarity: 99,
          Face: { FaceId: faceId, ExternalImageId: imageId },
        })),
    };
  }

  #listFaces({ CollectionId, MaxResults, FaceIds, NextToken }: ListFacesInput): object {
    const faces = [...this.#collection(CollectionId).values()].filter(
      ({ faceId }) => FaceIds?.includes(faceId) ?? true,
    );
    // Pages as small as they are rare in the world: two faces a page.
    const from = Number(NextToken ?? 0);
    const to = from + Math.min(FaceIds ? MaxResults : 2, MaxResults);
    return {
      Faces: faces.slice(from, to).map(({ faceId, imageId, box }) => ({
        FaceId: faceId,
        ExternalImageId: imageId,
        BoundingBox: box,
        Confidence: 99,
      })),
      ...(to < faces.length && { NextToken: String(to) }),
    };
  }
}

interface IndexFacesInput {
  CollectionId: string;
  ExternalImageId: string;
  Image: { S3Object: { Name: string } };
}

interface SearchInput {
  CollectionId: string;
  Image: { Bytes: Buffer };
}

interface ListFacesInput {
  CollectionId: string;
  MaxResults: number;
  FaceIds?: string[];
  NextToken?: string;
}

function found<Value>(value: Value | undefined, error: string, status = 404): Value {
  if (value === undefined) {
    throw awsError(error, status);
  }
  return value;
}

/** What the SDK throws when the connection breaks before the answer. */
function networkError(): Error {
  return Object.assign(new Error('socket hang up'), { name: 'TimeoutError', code: 'ECONNRESET' });
}

/**
 * Here things follow each other within a millisecond that are seconds apart on AWS: what this process stamps and what the
 * database stamps is kept in different milliseconds, so that what came first is also told first.
 */
export class Clock {
  #stampedMs = 0;
  #writtenMs = 0;

  /** Milliseconds since the epoch; later than whatever the database has written. */
  stamp(): number {
    this.#stampedMs = waitPast(this.#writtenMs);
    return this.#stampedMs;
  }

  /** Before the database may stamp something. */
  beforeWriting(): void {
    waitPast(this.#stampedMs);
  }

  afterWriting(): void {
    this.#writtenMs = Date.now();
  }
}

function waitPast(ms: number): number {
  let now = Date.now();
  while (now <= ms) {
    now = Date.now();
  }
  return now;
}

/**
 * Sequencers as S3 makes them, for one key: strictly increasing once the shorter is right-padded with zeros. The varied ones
 * have lengths of their own, so that comparing them as numbers gives another order.
 */
export function sequencers(random: () => number, style: 'plain' | 'varied'): () => string {
  let last = 0x1000;
  return () => {
    last += 1 + Math.floor(random() * 40);
    const digits = last.toString(16).toUpperCase().padStart(5, '0');
    if (style === 'plain') {
      return `0061A5${digits}00`;
    }
    const tail = Array.from({ length: Math.floor(random() * 4) }, () =>
      Math.floor(random() * 16).toString(16),
    );
    return `0061A5${digits}${tail.join('')}`.toUpperCase().replace(random() < 0.5 ? /0+$/ : /$^/, '');
  };
}
