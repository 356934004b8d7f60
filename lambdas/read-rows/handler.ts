import { S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { LONG_WORK, withDatabase } from '../shared/database/connection.ts';
import { readRowsRequestSchema } from '../shared/reconciliation/contract.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { jsonObjects } from '../shared/storage/json-objects.ts';
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
