import { S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest, persistResultsRequestSchema } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { persistResults } from './persist-results.ts';

const s3 = new S3Client(clientOptions(10_000, 3));
const resultsBucket = requireEnv(environmentNames.resultsBucket);

export const handler = lambdaHandler((request) =>
  persistResults(
    { s3, telemetry, resultsBucket, withDatabase, now: Date.now },
    parseRequest(persistResultsRequestSchema, request),
  ),
);
