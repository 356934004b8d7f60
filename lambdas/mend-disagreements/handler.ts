import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { readLedger } from '../shared/line/item.ts';
import { mendDisagreementsRequestSchema } from '../shared/reconciliation/contract.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { jsonObjects } from '../shared/storage/json-objects.ts';
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
