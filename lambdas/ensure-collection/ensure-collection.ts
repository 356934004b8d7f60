import {
  CreateCollectionCommand,
  DescribeCollectionCommand,
  type RekognitionClient,
} from '@aws-sdk/client-rekognition';
import { awsErrorDetails, PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import type { EnsureCollectionRequest, Photo } from '../shared/contract/payloads.ts';
import { parsePhotoKey } from '../shared/contract/photo-key.ts';
import { checkUpload } from '../shared/photos/upload-check.ts';
import { rekognitionError } from '../shared/runtime/aws-errors.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

/** What is remembered of an event's collection. */
export type Collection = {
  collection_id: string;
  /** Null when Rekognition did not say. */
  face_model_version: string | null;
};

export interface EnsureCollectionDeps {
  rekognition: RekognitionClient;
  telemetry: Telemetry;
  collectionPrefix: string;
  /** Runs `create` once an event, by way of the idempotency record. */
  once(eventId: string, create: () => Promise<Collection>): Promise<Collection>;
}

/**
 * Reads event and photo id out of the key and makes sure that the event's collection exists. An upload that can be no
 * photo ends here: before it makes a collection, and before it stands in anybody's way in line.
 *
 * When IndexFaces found the collection gone, it is created whatever the idempotency record says.
 *
 * @throws PipelineError `InvalidPhotoKey`, `InvalidImageFormat`, `ImageTooLarge`, `CollectionLostTooOften`,
 *   `RekognitionThrottled`, `RekognitionUnavailable`, `QuotaExceeded`, `AccessDenied` and the errors of `once`
 */
export async function ensureCollection(
  deps: EnsureCollectionDeps,
  request: EnsureCollectionRequest,
): Promise<Photo> {
  const { input, max_recreations } = request;
  const { eventId, photoId } = parsePhotoKey(input.object.key);
  deps.telemetry.logger.appendKeys({ event_id: eventId, photo_id: photoId });
  checkUpload(input.object);

  // The only way back into this state with a caught error is a collection that IndexFaces did not find.
  const lost = input.returned?.Error === 'CollectionNotFound';
  const recreations = (input.photo?.recreations ?? 0) + (lost ? 1 : 0);
  if (recreations > max_recreations) {
    throw new PipelineError(
      'CollectionLostTooOften',
      `The collection of event ${eventId} was deleted ${recreations} times while this photo was being indexed`,
    );
  }
  const create = () => createCollection(deps, eventId);
  const collection = lost ? await create() : await deps.once(eventId, create);
  return { event_id: eventId, photo_id: photoId, ...collection, recreations };
}

/** Creates the collection of an event; one that exists is as good. */
async function createCollection(deps: EnsureCollectionDeps, eventId: string): Promise<Collection> {
  const collectionId = `${deps.collectionPrefix}${eventId}`;
  const { telemetry, rekognition } = deps;
  try {
    const created = await rekognition.send(new CreateCollectionCommand({ CollectionId: collectionId }));
    telemetry.metrics.addMetric(metricNames.collectionsCreated, 'Count', 1);
    telemetry.logger.info('Created the collection', {
      event: logEvents.collectionCreated,
      collection_id: collectionId,
    });
    return { collection_id: collectionId, face_model_version: created.FaceModelVersion ?? null };
  } catch (error) {
    if (awsErrorDetails(error).name !== 'ResourceAlreadyExistsException') {
      const renamed = rekognitionError(error);
      // CreateCollection is 5/s in every Region: being throttled is how many new events at once spread out.
      if (renamed.name !== 'RekognitionThrottled') {
        telemetry.metrics.addMetric(metricNames.collectionErrors, 'Count', 1);
      }
      throw renamed;
    }
  }
  try {
    const existing = await rekognition.send(new DescribeCollectionCommand({ CollectionId: collectionId }));
    return { collection_id: collectionId, face_model_version: existing.FaceModelVersion ?? null };
  } catch (error) {
    // Deleted between the two calls: IndexFaces would find it gone and come back here.
    const renamed = rekognitionError(error);
    throw renamed.name === 'CollectionNotFound'
      ? new PipelineError('RekognitionUnavailable', renamed.message, { cause: error })
      : renamed;
  }
}
