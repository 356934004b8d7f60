import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { awsErrorDetails } from '../contract/errors.ts';
import { isMissingObject, s3Error, saysNothing } from '../runtime/aws-errors.ts';

/** An object, and which of its versions where one is meant. */
export interface ObjectName {
  bucket: string;
  key: string;
  versionId?: string | undefined;
}

/**
 * HeadObject. Where S3 refuses without a reason, which a HEAD has no room for, the first byte is asked for: the answer to that
 * tells an object with a key of its uploader from one whose KMS key is disabled, and either from a missing right.
 *
 * @param notFound as in `s3Error`
 * @throws PipelineError what `s3Error` makes of it
 */
export async function headObject(
  s3: S3Client,
  { bucket, key, versionId }: ObjectName,
  notFound: 'InvalidS3Object' | 'ResultNotFound',
): Promise<HeadObjectCommandOutput> {
  const name = { Bucket: bucket, Key: key, ...(versionId && { VersionId: versionId }) };
  try {
    return await s3.send(new HeadObjectCommand(name));
  } catch (error) {
    const renamed = s3Error(error, { operation: 'HeadObject', bucket, key }, notFound);
    const isRefused =
      saysNothing(error) && renamed.name !== 'StorageUnavailable' && !isMissingObject(renamed);
    const reason = isRefused ? await refusal(s3, name) : undefined;
    throw reason === undefined ? renamed : s3Error(reason, { operation: 'GetObject', bucket, key }, notFound);
  }
}

/** What S3 says to who wants the first byte; undefined where it says nothing either. */
async function refusal(
  s3: S3Client,
  name: { Bucket: string; Key: string; VersionId?: string },
): Promise<unknown> {
  try {
    const { Body: body } = await s3.send(new GetObjectCommand({ ...name, Range: 'bytes=0-0' }));
    await body?.transformToByteArray();
    return undefined;
  } catch (error) {
    const { httpStatus } = awsErrorDetails(error);
    // 416: the object is empty, which is not a refusal.
    return httpStatus === undefined || httpStatus === 416 || saysNothing(error) ? undefined : error;
  }
}
