import type { Cloud } from '../cloud.ts';
import type { PhotoPipeline } from './send.ts';
import { storedObject, upload } from './upload.ts';

/** The way of a folder's photos into a local cloud that has just started. */
export function pipelineOf(cloud: Cloud): PhotoPipeline {
  return {
    stored: (key) => storedObject(cloud.s3, cloud.photoBucket, key),
    upload: ({ key, path, folderId }, content) =>
      upload(cloud.s3, { bucket: cloud.photoBucket, key, folderId }, path, content),
    redeliver: (key) => cloud.redeliver(key),
    onPhotoEnd: (listener) =>
      cloud.onExecutionEnd(({ input, output, status, error, cause }) => {
        const { object } = input as { object?: { key?: unknown; etag?: unknown } };
        const { outcome } = (output ?? {}) as { outcome?: { face_count?: number } };
        if (typeof object?.key === 'string' && typeof object.etag === 'string') {
          const { key, etag } = object;
          listener({ key, etag }, { status, faceCount: outcome?.face_count, error, cause });
        }
      }),
    hasResumed: cloud.executionsStarted() > 0,
    idle: () => cloud.idle(),
  };
}
