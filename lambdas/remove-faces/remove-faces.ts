import {
  DeleteCollectionCommand,
  DeleteFacesCommand,
  ListFacesCommand,
  type RekognitionClient,
} from '@aws-sdk/client-rekognition';
import {
  DeleteObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { PipelineError } from '../shared/contract/errors.ts';
import { logEvents } from '../shared/contract/names.ts';
import { readOtherResults } from '../shared/contract/stored-result.ts';
import { type ErasureBatch, isFaceId, type RemovedBatch } from '../shared/erasure/contract.ts';
import { unlessGone } from '../shared/rekognition/unless-gone.ts';
import { s3Error, undeleted } from '../shared/runtime/aws-errors.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

export interface RemoveFacesDeps {
  rekognition: RekognitionClient;
  s3: S3Client;
  telemetry: Telemetry;
  resultsBucket: string;
  /** Resolves when the next call to Rekognition may be made. */
  pace(): Promise<void>;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** This function ends within five minutes; and clocks may differ. */
const LONGEST_REMOVAL_MS = 6 * 60_000;

/** https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DeleteFaces.html; ListFaces takes and lists as many. */
const FACES_A_CALL = 4_096;
/** At five calls a second this is the better part of a minute, and a million faces. */
const MAX_SEARCHED_PAGES = 250;

/** Objects deleted in one step; the rest of a folder is left to the next. */
const MAX_OBJECTS = 50_000;
const OBJECTS_A_CALL = 1_000;
const FOLDERS_AT_ONCE = 10;

/**
 * Removes a batch from Rekognition, checks that it is gone, and then deletes the stored responses. Doing it again while the
 * batch is this execution's does the same; once it may be another's, it does nothing, because the photos may have been
 * indexed anew.
 *
 * @returns the batch, with what is gone
 * @throws PipelineError `TurnOver`, `FacesStillListed`, `RekognitionThrottled`, `RekognitionUnavailable`, `AccessDenied`,
 *   `StorageUnavailable`
 */
export async function removeFaces(deps: RemoveFacesDeps, batch: ErasureBatch): Promise<RemovedBatch> {
  if (deps.now() > Date.parse(batch.until) - LONGEST_REMOVAL_MS) {
    throw new PipelineError(
      'TurnOver',
      `The batch could be removed until ${batch.until}: it is another execution's turn`,
    );
  }
  const faces = batch.kind === 'event' ? await removeCollection(deps, batch) : await removeSome(deps, batch);
  const removed_at = new Date(deps.now()).toISOString();
  return { ...batch, ...faces, removed_at, ...(await deleteResults(deps, batch)) };
}

type RemovedFaces = Pick<RemovedBatch, 'face_ids' | 'kept' | 'kept_because' | 'unknown_faces'>;

async function removeCollection(deps: RemoveFacesDeps, batch: ErasureBatch): Promise<RemovedFaces> {
  const CollectionId = batch.collection_id;
  await unlessGone(deps, () => deps.rekognition.send(new DeleteCollectionCommand({ CollectionId })));
  const listed = await unlessGone(deps, () =>
    deps.rekognition.send(new ListFacesCommand({ CollectionId, MaxResults: 1 })),
  );
  if (listed) {
    throw new PipelineError('FacesStillListed', `The deleted collection ${CollectionId} is still there`);
  }
  return { face_ids: [], kept: [], kept_because: null, unknown_faces: [] };
}

async function removeSome(deps: RemoveFacesDeps, batch: ErasureBatch): Promise<RemovedFaces> {
  const named = new Set(batch.face_ids);
  const found = await facesOf(deps, batch.collection_id, new Set(batch.deleted_photos));
  const unknown = found.filter(({ faceId }) => !named.has(faceId));
  const faceIds = [...named].filter(isFaceId).concat(unknown.map(({ faceId }) => faceId));

  const kept = new Map<string, string>();
  for (const some of chunks(faceIds, FACES_A_CALL)) {
    await deleteFaces(deps, batch.collection_id, some, kept);
  }
  if (kept.size > 0) {
    deps.telemetry.logger.warn('Rekognition does not let some faces go', {
      event: logEvents.erasureKept,
      collection_id: batch.collection_id,
      count: kept.size,
      reason: [...kept.values()][0],
    });
  }
  return {
    face_ids: batch.face_ids.filter((faceId) => !kept.has(faceId)),
    kept: batch.face_ids.filter((faceId) => kept.has(faceId)),
    kept_because: [...kept.values()][0] ?? null,
    unknown_faces: batch.deleted_photos.map(
      (photo) => unknown.filter(({ faceId, photoId }) => photoId === photo && !kept.has(faceId)).length,
    ),
  };
}

/** Deletes faces and looks whether they are gone; those that Rekognition holds on to are added to `kept`. */
async function deleteFaces(
  deps: RemoveFacesDeps,
  CollectionId: string,
  FaceIds: string[],
  kept: Map<string, string>,
): Promise<void> {
  const deleted = await unlessGone(deps, () =>
    deps.rekognition.send(new DeleteFacesCommand({ CollectionId, FaceIds })),
  );
  if (!deleted) {
    return;
  }
  for (const { FaceId, Reasons } of deleted.UnsuccessfulFaceDeletions ?? []) {
    if (FaceId && !Reasons?.includes('FACE_NOT_FOUND')) {
      kept.set(FaceId, Reasons?.join() ?? 'no reason given');
    }
  }
  const listed = await unlessGone(deps, () =>
    deps.rekognition.send(new ListFacesCommand({ CollectionId, FaceIds, MaxResults: FACES_A_CALL })),
  );
  const still = (listed?.Faces ?? []).filter(({ FaceId }) => FaceId && !kept.has(FaceId));
  if (still.length > 0) {
    throw new PipelineError(
      'FacesStillListed',
      `${CollectionId} still lists ${still.length} of ${FaceIds.length} deleted faces`,
    );
  }
}

/** The faces of a collection that were indexed under the ids of these photos. */
async function facesOf(
  deps: RemoveFacesDeps,
  CollectionId: string,
  photoIds: ReadonlySet<string>,
): Promise<{ faceId: string; photoId: string }[]> {
  const found: { faceId: string; photoId: string }[] = [];
  let NextToken: string | undefined;
  for (let page = 0; photoIds.size > 0 && (page === 0 || NextToken); page++) {
    if (page === MAX_SEARCHED_PAGES) {
      deps.telemetry.logger.warn('The collection is too large to be searched for faces that no row knows', {
        event: logEvents.erasureSearchCut,
        collection_id: CollectionId,
      });
      break;
    }
    const listed = await unlessGone(deps, () =>
      deps.rekognition.send(
        new ListFacesCommand({ CollectionId, MaxResults: FACES_A_CALL, ...(NextToken && { NextToken }) }),
      ),
    );
    for (const { FaceId: faceId, ExternalImageId: photoId } of listed?.Faces ?? []) {
      if (faceId && photoId && photoIds.has(photoId)) {
        found.push({ faceId, photoId });
      }
    }
    NextToken = listed?.NextToken;
  }
  return found;
}

type RemovedResults = Pick<RemovedBatch, 'result_counts' | 'results_left'>;

async function deleteResults(
  deps: RemoveFacesDeps,
  { results, needed_results }: Pick<ErasureBatch, 'results' | 'needed_results'>,
): Promise<RemovedResults> {
  const counts = new Map<string, number>();
  const left: string[] = [];
  const keys = results.filter((name) => !name.endsWith('/') && !readOtherResults(name));
  for (const name of results) {
    const others = readOtherResults(name);
    if (others) {
      counts.set(name, await deleteOthers(deps, others, needed_results));
    }
  }
  for (const some of chunks(keys, OBJECTS_A_CALL)) {
    await deleteObjects(deps, some);
    for (const key of some) {
      counts.set(key, 1);
    }
  }
  for (const folders of chunks(
    results.filter((name) => name.endsWith('/')),
    FOLDERS_AT_ONCE,
  )) {
    await Promise.all(
      folders.map(async (folder) => {
        const { count, complete } = await deleteFolder(deps, folder);
        counts.set(folder, count);
        if (!complete) {
          left.push(folder);
        }
      }),
    );
  }
  return { result_counts: results.map((name) => counts.get(name) ?? 0), results_left: left };
}

/** Of one photo, which has a response for each of its versions. @returns how many were deleted */
async function deleteOthers(
  deps: RemoveFacesDeps,
  { folder, before }: { folder: string; before: string },
  needed: readonly string[],
): Promise<number> {
  const { Contents: objects = [] } = await list(deps, folder);
  const old = objects.filter(
    ({ Key, LastModified }) =>
      !needed.includes(Key ?? '') && (LastModified?.getTime() ?? 0) < Date.parse(before),
  );
  const keys = old.flatMap(({ Key }) => Key ?? []);
  if (keys.length > 0) {
    await deleteObjects(deps, keys);
  }
  return keys.length;
}

function list({ s3, resultsBucket }: RemoveFacesDeps, Prefix: string): Promise<ListObjectsV2CommandOutput> {
  return s3
    .send(new ListObjectsV2Command({ Bucket: resultsBucket, Prefix, MaxKeys: OBJECTS_A_CALL }))
    .catch((error: unknown) => {
      throw s3Error(error, { operation: 'ListObjectsV2', bucket: resultsBucket }, 'MissingConfiguration');
    });
}

async function deleteFolder(
  deps: RemoveFacesDeps,
  Prefix: string,
): Promise<{ count: number; complete: boolean }> {
  let count = 0;
  while (count < MAX_OBJECTS) {
    // From the start each time: what was listed is gone.
    const listed = await list(deps, Prefix);
    const keys = (listed.Contents ?? []).flatMap(({ Key }) => Key ?? []);
    if (keys.length > 0) {
      await deleteObjects(deps, keys);
      count += keys.length;
    }
    if (!listed.IsTruncated) {
      return { count, complete: true };
    }
  }
  return { count, complete: false };
}

async function deleteObjects({ s3, resultsBucket }: RemoveFacesDeps, keys: string[]): Promise<void> {
  const { Errors: errors = [] } = await s3
    .send(
      new DeleteObjectsCommand({
        Bucket: resultsBucket,
        Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
      }),
    )
    .catch((error: unknown) => {
      throw s3Error(error, { operation: 'DeleteObjects', bucket: resultsBucket }, 'MissingConfiguration');
    });
  const [first] = errors;
  if (first) {
    throw undeleted(first, resultsBucket);
  }
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(size * i, size * (i + 1)),
  );
}
