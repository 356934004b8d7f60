import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../contract/errors.ts';
import { s3Error } from '../runtime/aws-errors.ts';

/** Objects of the results bucket that functions hand to each other, because they are too large for Step Functions. */
export interface JsonObjects {
  /** @throws PipelineError `ResultNotFound`, `StorageUnavailable`, `AccessDenied`, `MissingConfiguration` */
  get<Content>(key: string): Promise<Content>;
  /** The same; undefined where there is none. */
  find<Content>(key: string): Promise<Content | undefined>;
  put(key: string, content: unknown): Promise<void>;
}

export function jsonObjects(s3: S3Client, bucket: string): JsonObjects {
  async function get<Content>(key: string): Promise<Content> {
    try {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return JSON.parse(await Body!.transformToString()) as Content;
    } catch (error) {
      throw s3Error(error, { operation: 'GetObject', bucket, key }, 'ResultNotFound');
    }
  }
  return {
    get,
    async find(key) {
      try {
        return await get(key);
      } catch (error) {
        if (error instanceof PipelineError && error.name === 'ResultNotFound') {
          return undefined;
        }
        throw error;
      }
    },
    async put(key, content) {
      try {
        await s3.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: key,
            Body: JSON.stringify(content),
            ContentType: 'application/json',
          }),
        );
      } catch (error) {
        throw s3Error(error, { operation: 'PutObject', bucket, key }, 'MissingConfiguration');
      }
    },
  };
}
