import { S3Client } from '@aws-sdk/client-s3';
import { clientOptions } from '../shared/clients.ts';
import { parseRequest } from '../shared/contract.ts';
import { LONG_WORK, withDatabase } from '../shared/database.ts';
import { requireEnv } from '../shared/environment.ts';
import { jsonObjects } from '../shared/json-objects.ts';
import { environmentNames } from '../shared/names.ts';
import { readRowsRequestSchema } from '../shared/reconciliation-contract.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { readRows } from './read-rows.ts';

const objects = jsonObjects(
  new S3Client(clientOptions(30_000, 3)),
  requireEnv(environmentNames.resultsBucket),
);

export const handler = lambdaHandler((request) =>
  readRows(
    { withDatabase: (work) => withDatabase(work, LONG_WORK), objects, telemetry },
    parseRequest(readRowsRequestSchema, request),
  ),
);
