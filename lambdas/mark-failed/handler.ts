import { markFailedRequestSchema, parseRequest } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { markFailed } from './mark-failed.ts';

export const handler = lambdaHandler((request) =>
  markFailed({ telemetry, withDatabase, now: Date.now }, parseRequest(markFailedRequestSchema, request)),
);
