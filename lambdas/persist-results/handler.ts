import { S3Client } from '@aws-sdk/client-s3';
import { clientOptions } from '../shared/clients.ts';
import { parseRequest, persistResultsRequestSchema } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { requireEnv } from '../shared/environment.ts';
import { environmentNames } from '../shared/names.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { persistResults } from './persist-results.ts';

const s3 = new S3Client(clientOptions(10_000, 3));
const resultsBucket = requireEnv(environmentNames.resultsBucket);

export const handler = lambdaHandler((request) =>
  persistResults(
    { s3, telemetry, resultsBucket, withDatabase, now: Date.now },
    parseRequest(persistResultsRequestSchema, request),
  ),
);
