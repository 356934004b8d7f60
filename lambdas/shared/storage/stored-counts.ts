import type { S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../contract/errors.ts';
import type { IndexResult } from '../contract/payloads.ts';
import { resultMetadata } from '../contract/stored-result.ts';
import { headObject } from './head-object.ts';

/**
 * The counts of a response that is stored, and which call it answered; undefined where none is.
 *
 * @param key as `resultsKey` makes it
 * @throws PipelineError `StorageUnavailable`, `AccessDenied`, `MissingConfiguration`
 */
export async function storedCounts(
  { s3, resultsBucket }: { s3: S3Client; resultsBucket: string },
  key: string,
): Promise<IndexResult | undefined> {
  try {
    const { Metadata: metadata } = await headObject(s3, { bucket: resultsBucket, key }, 'ResultNotFound');
    const faceCount = Number(metadata?.[resultMetadata.faceCount] ?? Number.NaN);
    const unindexedCount = Number(metadata?.[resultMetadata.unindexedCount] ?? Number.NaN);
    const calledAt = metadata?.[resultMetadata.calledAt];
    return Number.isInteger(faceCount) && Number.isInteger(unindexedCount)
      ? {
          results_key: key,
          face_count: faceCount,
          unindexed_count: unindexedCount,
          ...(calledAt !== undefined && { called_at: calledAt }),
        }
      : undefined;
  } catch (error) {
    if (error instanceof PipelineError && error.name === 'ResultNotFound') {
      return undefined;
    }
    throw error;
  }
}
