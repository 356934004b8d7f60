import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { s3Error } from '../shared/aws-errors.ts';
import { clientOptions } from '../shared/clients.ts';
import { parseRequest, skipIndexedRequestSchema } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { requireEnv } from '../shared/environment.ts';
import { environmentNames } from '../shared/names.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { skipIndexed } from './skip-indexed.ts';

const s3 = new S3Client(clientOptions(10_000, 3));
const versioned = requireEnv(environmentNames.photoBucketVersioned) === 'true';

export const handler = lambdaHandler((request) =>
  skipIndexed(
    { telemetry, withDatabase, currentVersion: versioned ? currentVersion : undefined },
    parseRequest(skipIndexedRequestSchema, request),
  ),
);

async function currentVersion(bucket: string, key: string): Promise<string | undefined> {
  try {
    const { VersionId: version } = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return version;
  } catch (error) {
    const renamed = s3Error(error, 'InvalidS3Object');
    if (renamed.name === 'InvalidS3Object') {
      // Deleted since it was listed: its execution will say so.
      return undefined;
    }
    throw renamed;
  }
}
