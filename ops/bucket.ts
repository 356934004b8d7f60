import { type _Object, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../lambdas/shared/contract/errors.ts';
import { eventResultsFolder } from '../lambdas/shared/contract/stored-result.ts';
import type { StoredObject } from '../lambdas/shared/photos/execution-input.ts';
import type { StoredResponse } from '../lambdas/shared/reconciliation/compare.ts';
import { isMissingObject } from '../lambdas/shared/runtime/aws-errors.ts';
import { headObject as head } from '../lambdas/shared/storage/head-object.ts';
import type { Deployment } from './deployment.ts';

/** The photos under a prefix; without their version ids, which a listing does not tell. */
export async function* listObjects(
  { s3, outputs }: Deployment,
  prefix: string,
): AsyncGenerator<StoredObject> {
  for await (const object of listed(s3, outputs.PhotoBucketName, prefix)) {
    const { Key: key, ETag: etag, Size: size } = object;
    yield { key: key!, etag: etag!.replaceAll('"', ''), size: size ?? 0, uploadedAt: timeOf(object) };
  }
}

/** The stored responses of an event. */
export async function* listResponses(
  { s3, outputs }: Deployment,
  eventId: string,
): AsyncGenerator<StoredResponse> {
  for await (const object of listed(s3, outputs.ResultsBucketName, eventResultsFolder(eventId))) {
    yield { key: object.Key!, storedAt: timeOf(object) };
  }
}

async function* listed(client: S3Client, Bucket: string, Prefix: string): AsyncGenerator<_Object> {
  for await (const { Contents: contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix })) {
    yield* contents;
  }
}

function timeOf({ LastModified: modified }: _Object): string {
  return (modified ?? new Date(0)).toISOString();
}

/** The object as it is now; undefined when it is gone. */
export async function headObject(
  { s3, outputs }: Deployment,
  key: string,
): Promise<StoredObject | undefined> {
  try {
    const object = await head(s3, { bucket: outputs.PhotoBucketName, key }, 'InvalidS3Object');
    return {
      key,
      etag: object.ETag!.replaceAll('"', ''),
      size: object.ContentLength ?? 0,
      uploadedAt: (object.LastModified ?? new Date(0)).toISOString(),
      versionId: object.VersionId,
    };
  } catch (error) {
    if (isMissingObject(error)) {
      return undefined;
    }
    throw error;
  }
}

/** The same; undefined also where nobody can read it, whatever its key or owner. */
export async function readableObject(deployment: Deployment, key: string): Promise<StoredObject | undefined> {
  try {
    return await headObject(deployment, key);
  } catch (error) {
    if (error instanceof PipelineError && error.name === 'InvalidS3Object') {
      return undefined;
    }
    throw error;
  }
}

/** Whether the response of IndexFaces is stored, so that indexing the photo again pays nothing. */
export async function hasResult({ s3, outputs }: Deployment, key: string): Promise<boolean> {
  try {
    await head(s3, { bucket: outputs.ResultsBucketName, key }, 'ResultNotFound');
    return true;
  } catch (error) {
    if (isMissingObject(error)) {
      return false;
    }
    throw error;
  }
}
