import { ListObjectsV2Command, type ListObjectsV2CommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { s3Error } from '../runtime/aws-errors.ts';

/**
 * A bucket's listing, page by page. A delimiter has the folders below the prefix listed instead of what lies in them.
 *
 * @throws PipelineError `StorageUnavailable`, `AccessDenied`, `MissingConfiguration`
 */
export async function* listPages(
  s3: S3Client,
  listing: { Bucket: string; Prefix: string; Delimiter?: string },
): AsyncGenerator<ListObjectsV2CommandOutput> {
  let ContinuationToken: string | undefined;
  do {
    const page = await s3
      .send(new ListObjectsV2Command({ ...listing, ...(ContinuationToken && { ContinuationToken }) }))
      .catch((error: unknown) => {
        throw s3Error(error, { operation: 'ListObjectsV2', bucket: listing.Bucket }, 'MissingConfiguration');
      });
    yield page;
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken);
}
