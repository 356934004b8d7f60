import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { listErasuresRequestSchema } from '../shared/erasure/contract.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler } from '../shared/runtime/telemetry.ts';
import { listErasures } from './list-erasures.ts';

const collectionPrefix = requireEnv(environmentNames.collectionPrefix);

export const handler = lambdaHandler((request) =>
  listErasures({ withDatabase, collectionPrefix }, parseRequest(listErasuresRequestSchema, request)),
);
