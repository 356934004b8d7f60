import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { clientOptions } from '../shared/clients.ts';
import { parseRequest } from '../shared/contract.ts';
import { requireEnv, requireNumberEnv } from '../shared/environment.ts';
import { jsonObjects } from '../shared/json-objects.ts';
import { readLedger } from '../shared/ledger-item.ts';
import { environmentNames } from '../shared/names.ts';
import { mendDisagreementsRequestSchema } from '../shared/reconciliation-contract.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { mendDisagreements } from './mend-disagreements.ts';

const s3 = new S3Client(clientOptions(30_000, 3));
const resultsBucket = requireEnv(environmentNames.resultsBucket);
const dynamodb = new DynamoDBClient(clientOptions(3_000, 3));
const ledgerTable = requireEnv(environmentNames.ledgerTable);
const deps = {
  states: new SFNClient(clientOptions(10_000, 5)),
  s3,
  objects: jsonObjects(s3, resultsBucket),
  readLedger: () => readLedger(dynamodb, ledgerTable),
  telemetry,
  now: Date.now,
  photoBucket: requireEnv(environmentNames.photoBucket),
  resultsBucket,
  collectionPrefix: requireEnv(environmentNames.collectionPrefix),
  dailyImageCap: requireNumberEnv(environmentNames.dailyImageCap),
  indexPhoto: requireEnv(environmentNames.indexPhotoStateMachine),
  eraseFaces: requireEnv(environmentNames.eraseFacesStateMachine),
};

export const handler = lambdaHandler((request) =>
  mendDisagreements(deps, parseRequest(mendDisagreementsRequestSchema, request)),
);
