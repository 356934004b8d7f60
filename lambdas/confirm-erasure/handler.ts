import { parseRequest } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { confirmErasureRequestSchema } from '../shared/erasure-contract.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { confirmErasure } from './confirm-erasure.ts';

export const handler = lambdaHandler((request) =>
  confirmErasure({ telemetry, withDatabase }, parseRequest(confirmErasureRequestSchema, request)),
);
