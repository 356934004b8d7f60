import type { Cloud } from '../cloud.ts';
import type { PhotoPipeline } from './send.ts';
import { storedEtag, upload } from './upload.ts';

/** The local cloud as the way of a folder's photos. */
export function pipelineOf(cloud: Cloud): PhotoPipeline {
  return {
    storedEtag: (key) => storedEtag(cloud.s3, cloud.photoBucket, key),
    upload: ({ key, path }, content) => upload(cloud.s3, { bucket: cloud.photoBucket, key }, path, content),
    redeliver: (key) => cloud.redeliver(key),
    onPhotoEnd: (listener) =>
      cloud.onExecutionEnd(({ input, output, status, error, cause }) => {
        const { object } = input as { object?: { key?: string } };
        const { outcome } = (output ?? {}) as { outcome?: { face_count?: number } };
        if (object?.key !== undefined) {
          listener(object.key, { status, faceCount: outcome?.face_count, error, cause });
        }
      }),
    idle: () => cloud.idle(),
  };
}
