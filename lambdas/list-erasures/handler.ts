import { parseRequest } from '../shared/contract.ts';
import { withDatabase } from '../shared/database.ts';
import { requireEnv } from '../shared/environment.ts';
import { listErasuresRequestSchema } from '../shared/erasure-contract.ts';
import { environmentNames } from '../shared/names.ts';
import { lambdaHandler } from '../shared/telemetry.ts';
import { listErasures } from './list-erasures.ts';

const collectionPrefix = requireEnv(environmentNames.collectionPrefix);

export const handler = lambdaHandler((request) =>
  listErasures({ withDatabase, collectionPrefix }, parseRequest(listErasuresRequestSchema, request)),
);
