import { HeadObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import type { StoredObject } from '../lambdas/shared/photo-input.ts';
import type { Deployment } from './deployment.ts';

/** The objects under a prefix; without their version ids, which a listing does not tell. */
export async function* listObjects(
  { s3, outputs }: Deployment,
  prefix: string,
): AsyncGenerator<StoredObject> {
  for await (const { Contents: contents = [] } of paginateListObjectsV2(
    { client: s3 },
    { Bucket: outputs.PhotoBucketName, Prefix: prefix },
  )) {
    for (const { Key: key, ETag: etag, Size: size, LastModified: modified } of contents) {
      yield {
        key: key!,
        etag: etag!.replaceAll('"', ''),
        size: size ?? 0,
        uploadedAt: (modified ?? new Date(0)).toISOString(),
      };
    }
  }
}

/** The object as it is now; undefined when it is gone. */
export async function headObject(
  { s3, outputs }: Deployment,
  key: string,
): Promise<StoredObject | undefined> {
  try {
    const head = await s3.send(new HeadObjectCommand({ Bucket: outputs.PhotoBucketName, Key: key }));
    return {
      key,
      etag: head.ETag!.replaceAll('"', ''),
      size: head.ContentLength ?? 0,
      uploadedAt: (head.LastModified ?? new Date(0)).toISOString(),
      versionId: head.VersionId,
    };
  } catch (error) {
    if (isGone(error)) {
      return undefined;
    }
    throw error;
  }
}

/** Whether the response of IndexFaces is stored, so that indexing the photo again pays nothing. */
export async function hasResult({ s3, outputs }: Deployment, key: string): Promise<boolean> {
  try {
    await s3.send(new HeadObjectCommand({ Bucket: outputs.ResultsBucketName, Key: key }));
    return true;
  } catch (error) {
    if (isGone(error)) {
      return false;
    }
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404;
}
