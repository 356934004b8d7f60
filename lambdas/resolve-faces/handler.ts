import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { resolveFacesRequestSchema } from '../shared/contract/search.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { requireNumberEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler } from '../shared/runtime/telemetry.ts';
import { resolveFaces } from './resolve-faces.ts';

const settings = {
  faceRetentionDays: requireNumberEnv(environmentNames.faceRetentionDays),
};

export const handler = lambdaHandler((request) =>
  resolveFaces(
    { withDatabase, now: Date.now, ...settings },
    parseRequest(resolveFacesRequestSchema, request),
  ),
);
