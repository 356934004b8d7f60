import { S3Client } from '@aws-sdk/client-s3';
import { PipelineError } from '../shared/contract/errors.ts';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest, skipIndexedRequestSchema } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { headObject } from '../shared/storage/head-object.ts';
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
    const { VersionId: version } = await headObject(s3, { bucket, key }, 'InvalidS3Object');
    return version;
  } catch (error) {
    if (error instanceof PipelineError && error.name === 'InvalidS3Object') {
      // Deleted since it was listed, or nobody can read it: its execution will say so.
      return undefined;
    }
    throw error;
  }
}
