import { parseRequest } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { requireEnv, requireNumberEnv } from '../shared/environment.ts';
import { requestErasureRequestSchema } from '../shared/erasure-contract.ts';
import { environmentNames } from '../shared/names.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { requestErasure } from './request-erasure.ts';

const settings = {
  collectionPrefix: requireEnv(environmentNames.collectionPrefix),
  faceRetentionDays: requireNumberEnv(environmentNames.faceRetentionDays),
};

export const handler = lambdaHandler((request) =>
  requestErasure(
    { telemetry, withDatabase, ...settings },
    parseRequest(requestErasureRequestSchema, request),
  ),
);
