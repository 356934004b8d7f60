import { parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { confirmErasureRequestSchema } from '../shared/erasure/contract.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { confirmErasure } from './confirm-erasure.ts';

export const handler = lambdaHandler((request) =>
  confirmErasure(
    { telemetry, withDatabase, now: Date.now },
    parseRequest(confirmErasureRequestSchema, request),
  ),
);
