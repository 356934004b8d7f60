import { createHash } from 'node:crypto';
import type {
  CreateCollectionResponse,
  DeleteCollectionResponse,
  DeleteFacesResponse,
  Face,
  FaceMatch,
  IndexFacesResponse,
  ListCollectionsResponse,
  ListFacesResponse,
  SearchFacesByImageResponse,
  SearchFacesResponse,
} from '@aws-sdk/client-rekognition';
import type { Collection, CollectionStore, StoredFace, FaceMatch as StoredMatch } from './collections.ts';
import { boundingBox, confidence, faceDetail, networkAttributes } from './face-details.ts';
import type { ImageSource } from './images.ts';
import { INDEX_FACES_MODEL_VERSION, type Operation, RekognitionError } from './model.ts';
import { selectFaces } from './quality.ts';
import * as read from './validation.ts';

const ACCOUNT = '000000000000';

export interface OperationDeps {
  store: CollectionStore;
  images: ImageSource;
  region: string;
}

type Json = Record<string, unknown>;

/** The operations by name: a parsed request in, a response for the wire out. All throw RekognitionErrors. */
export type Handlers = Record<Operation, (input: Json) => Promise<object>>;

export function createOperations({ store, images, region }: OperationDeps): Handlers {
  const arn = (id: string) => `aws:rekognition:${region}:${ACCOUNT}:collection/${id}`;

  return {
    async CreateCollection(input): Promise<CreateCollectionResponse> {
      const { collectionId, tags } = read.readCreateCollection(input);
      const collection = await store.create(collectionId, tags);
      // Here, unlike in DescribeCollection, Rekognition leaves the ARN's first part out.
      return {
        StatusCode: 200,
        CollectionArn: arn(collection.id),
        FaceModelVersion: collection.faceModelVersion,
      };
    },

    async DescribeCollection(input) {
      const collection = store.get(read.readCollectionId(input));
      return {
        FaceCount: collection.faces.size,
        FaceModelVersion: collection.faceModelVersion,
        CollectionARN: `arn:${arn(collection.id)}`,
        // Seconds, as AWS JSON 1.1 has it; the SDK makes a Date of them.
        CreationTimestamp: collection.createdAt / 1000,
        UserCount: 0,
      };
    },

    async ListCollections(input): Promise<ListCollectionsResponse> {
      const { maxResults, nextToken } = read.readListCollections(input);
      const collections = store.list();
      const after = nextToken === undefined ? undefined : parseToken('collections', nextToken);
      const [createdAt, token] = after?.split('.') ?? [];
      const rest = collections.filter(
        (other) =>
          after === undefined ||
          other.createdAt > Number(createdAt) ||
          (other.createdAt === Number(createdAt) && other.token > token!),
      );
      const page = rest.slice(0, maxResults);
      const last = page.at(-1);
      return {
        CollectionIds: page.map(({ id }) => id),
        FaceModelVersions: page.map(({ faceModelVersion }) => faceModelVersion),
        ...(last &&
          page.length < rest.length && {
            NextToken: makeToken('collections', `${last.createdAt}.${last.token}`),
          }),
      };
    },

    async DeleteCollection(input): Promise<DeleteCollectionResponse> {
      await store.delete(read.readCollectionId(input));
      return { StatusCode: 200 };
    },

    async IndexFaces(input): Promise<IndexFacesResponse> {
      const request = read.readIndexFaces(input);
      const collection = store.get(request.collectionId);
      const image = await analyse(collection.id, request.image, request.attributes);
      const { indexed, unindexed } = selectFaces(image, request.qualityFilter, request.maxFaces);
      const stored = await store.index(
        collection.id,
        { hash: image.hash, externalImageId: request.externalImageId },
        indexed.map((face) => ({
          boundingBox: boundingBox(face),
          confidence: confidence(face),
          descriptor: face.descriptor,
        })),
      );
      return {
        FaceRecords: indexed.map((face, i) => ({
          Face: describeFace(stored[i]!),
          FaceDetail: faceDetail(face, image, request.attributes),
        })),
        FaceModelVersion: collection.faceModelVersion,
        UnindexedFaces: unindexed.map(({ face, reasons }) => ({
          Reasons: reasons,
          FaceDetail: faceDetail(face, image, request.attributes),
        })),
      };
    },

    async ListFaces(input): Promise<ListFacesResponse> {
      const { collectionId, maxResults, nextToken, faceIds, userId } = read.readListFaces(input);
      const collection = store.get(collectionId);
      if (userId !== undefined) {
        throw new RekognitionError('ResourceNotFoundException', `The user id: ${userId} does not exist`);
      }
      const wanted = faceIds && new Set(faceIds);
      const scope = `faces/${collection.token}`;
      const after = nextToken === undefined ? '' : parseToken(scope, nextToken);
      const rest = collection
        .sortedFaces()
        .filter(({ faceId }) => faceId > after && (wanted?.has(faceId) ?? true));
      const page = rest.slice(0, maxResults);
      const last = page.at(-1);
      return {
        Faces: page.map(describeFace),
        FaceModelVersion: collection.faceModelVersion,
        ...(last && page.length < rest.length && { NextToken: makeToken(scope, last.faceId) }),
      };
    },

    async DeleteFaces(input): Promise<DeleteFacesResponse> {
      const { collectionId, faceIds } = read.readDeleteFaces(input);
      const deleted = await store.deleteFaces(collectionId, faceIds);
      const present = new Set(deleted);
      return {
        DeletedFaces: deleted,
        UnsuccessfulFaceDeletions: [...new Set(faceIds)]
          .filter((faceId) => !present.has(faceId))
          .map((faceId) => ({ FaceId: faceId, Reasons: ['FACE_NOT_FOUND'] })),
      };
    },

    async SearchFacesByImage(input): Promise<SearchFacesByImageResponse> {
      const request = read.readSearchFacesByImage(input);
      const collection = store.get(request.collectionId);
      const image = await analyse(collection.id, request.image, new Set());
      const [largest] = selectFaces(image, request.qualityFilter, 1).indexed;
      if (!largest) {
        throw new RekognitionError(
          'InvalidParameterException',
          'There are no faces in the image. Should be at least 1.',
        );
      }
      return {
        SearchedFaceBoundingBox: boundingBox(largest),
        SearchedFaceConfidence: confidence(largest),
        FaceMatches: collection
          .search(largest.descriptor, request.threshold, request.maxFaces)
          .map(describeMatch),
        FaceModelVersion: collection.faceModelVersion,
      };
    },

    async SearchFaces(input): Promise<SearchFacesResponse> {
      const { collectionId, faceId, threshold, maxFaces } = read.readSearchFaces(input);
      const collection: Collection = store.get(collectionId);
      const face = collection.faces.get(faceId);
      if (!face) {
        throw new RekognitionError('InvalidParameterException', 'faceId was not found in the collection.');
      }
      return {
        SearchedFaceId: faceId,
        FaceMatches: collection.search(face.descriptor, threshold, maxFaces, faceId).map(describeMatch),
        FaceModelVersion: collection.faceModelVersion,
      };
    },
  };

  function analyse(collectionId: string, image: read.ImageInput, attributes: ReadonlySet<string>) {
    return images.analyse(
      collectionId,
      image,
      networkAttributes.some((name) => attributes.has(name)),
    );
  }
}

function describeFace(face: StoredFace): Face {
  return {
    FaceId: face.faceId,
    BoundingBox: face.boundingBox,
    ImageId: face.imageId,
    ...(face.externalImageId !== undefined && { ExternalImageId: face.externalImageId }),
    Confidence: face.confidence,
    IndexFacesModelVersion: INDEX_FACES_MODEL_VERSION,
  };
}

function describeMatch({ face, similarity }: StoredMatch): FaceMatch {
  return { Similarity: Number(similarity.toFixed(4)), Face: describeFace(face) };
}

/** A page token says behind which item to go on, and for which list; a digest tells it from invented ones. */
function makeToken(scope: string, after: string): string {
  return Buffer.from(`${tokenDigest(scope, after)}.${after}`).toString('base64url');
}

function parseToken(scope: string, token: string): string {
  const [digest, ...after] = Buffer.from(token, 'base64url').toString('latin1').split('.');
  const value = after.join('.');
  if (digest !== tokenDigest(scope, value)) {
    throw new RekognitionError('InvalidPaginationTokenException');
  }
  return value;
}

function tokenDigest(scope: string, after: string): string {
  return createHash('sha256').update(`${scope}\n${after}`).digest('hex').slice(0, 16);
}
