import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { requestErasureRequestSchema } from '../shared/erasure/contract.ts';
import { requireEnv, requireNumberEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { requestErasure } from './request-erasure.ts';

const settings = {
  collectionPrefix: requireEnv(environmentNames.collectionPrefix),
  faceRetentionDays: requireNumberEnv(environmentNames.faceRetentionDays),
  searchRetentionDays: requireNumberEnv(environmentNames.searchRetentionDays),
};

export const handler = lambdaHandler((request) =>
  requestErasure(
    { telemetry, withDatabase, ...settings },
    parseRequest(requestErasureRequestSchema, request),
  ),
);
