import { paginateListFaces, ResourceNotFoundException } from '@aws-sdk/client-rekognition';
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { eventsFolder, foldersByEvent } from '../lambdas/shared/contract/photo-key.ts';
import type { StoredObject } from '../lambdas/shared/photos/execution-input.ts';
import type { EventRow } from '../lambdas/shared/photos/row-types.ts';
import type { CollectionFace, World } from '../lambdas/shared/reconciliation/compare.ts';
import { listObjects, listResponses, readableObject } from './bucket.ts';
import { ask, askAll, collect } from './database.ts';
import type { Deployment } from './deployment.ts';
import { parallel } from './parallel.ts';

/**
 * Reads all that bucket, database and collection know of an event, in the order that tells what is lost from what is under
 * way: see `World`.
 *
 * @param folders as `readFolders` found them, where many events are read
 */
export async function readWorld(deployment: Deployment, eventId: string, folders?: Folders): Promise<World> {
  const facesBefore = await collect(askAll(deployment, { ask: 'faces', event_id: eventId }));
  const collection = await readCollection(deployment, eventId);
  const listed = await readEventObjects(deployment, eventId, folders);
  const responses = await collect(listResponses(deployment, eventId));
  const [event] = (await ask(deployment, { ask: 'events', event_id: eventId })) as EventRow[];
  const photos = await collect(askAll(deployment, { ask: 'photos', event_id: eventId }));
  const faces = await collect(askAll(deployment, { ask: 'faces', event_id: eventId }));
  const leaving = await collect(askAll(deployment, { ask: 'leaving', event_id: eventId }));

  // Only where the bucket has versions, a listing and a row about the same version differ.
  const known = new Set(photos.map(({ object_version }) => object_version));
  const objects = await parallel(listed, async (object) =>
    known.size === 0 || known.has(object.etag)
      ? object
      : ((await readableObject(deployment, object.key)) ?? object),
  );
  return {
    eventId,
    erasedBefore: event?.erasure_requested_at ? new Date(event.erasure_requested_at) : null,
    facesBefore,
    faces,
    photos,
    leaving: new Set(leaving.map(({ rekognition_face_id }) => rekognition_face_id)),
    objects,
    collection,
    responses,
  };
}

/** The photos of an event, whatever its keys spell the id like. */
export async function readEventObjects(
  deployment: Deployment,
  eventId: string,
  folders?: Folders,
): Promise<StoredObject[]> {
  const own = (folders ?? (await readFolders(deployment))).get(eventId) ?? [];
  const listed = await Promise.all(own.map((folder) => collect(listObjects(deployment, folder))));
  return listed.flat();
}

async function readCollection(
  { rekognition, outputs }: Deployment,
  eventId: string,
): Promise<CollectionFace[] | undefined> {
  const faces: CollectionFace[] = [];
  try {
    for await (const { Faces: page = [] } of paginateListFaces(
      { client: rekognition, pageSize: 4_096 },
      { CollectionId: collectionId(outputs, eventId) },
    )) {
      faces.push(
        ...page.map(({ FaceId: faceId, ExternalImageId: externalImageId }) => ({
          faceId: faceId!,
          externalImageId,
        })),
      );
    }
    return faces;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) {
      return undefined;
    }
    throw error;
  }
}

export function collectionId(outputs: Deployment['outputs'], eventId: string): string {
  return `${outputs.CollectionPrefix}${eventId}`;
}

/** The folders of the bucket that belong to events, by the event's id. */
export type Folders = ReadonlyMap<string, readonly string[]>;

export async function readFolders({ s3, outputs }: Deployment): Promise<Folders> {
  const folders: string[] = [];
  for await (const { CommonPrefixes: prefixes = [] } of paginateListObjectsV2(
    { client: s3 },
    { Bucket: outputs.PhotoBucketName, Prefix: eventsFolder(), Delimiter: '/' },
  )) {
    folders.push(...prefixes.map(({ Prefix: folder }) => folder!));
  }
  return foldersByEvent(folders);
}

/** The events that the database or the bucket know. */
export async function readEventIds(deployment: Deployment, folders: Folders): Promise<string[]> {
  const ids = new Set(folders.keys());
  for await (const { id } of askAll(deployment, { ask: 'events' })) {
    ids.add(id);
  }
  return [...ids].sort();
}
