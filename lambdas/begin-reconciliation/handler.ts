import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { readLedger } from '../shared/line/item.ts';
import { beginReconciliationRequestSchema } from '../shared/reconciliation/contract.ts';
import { evenPace, LISTINGS_PER_SECOND } from '../shared/rekognition/pace.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireCountEnv, requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { jsonObjects } from '../shared/storage/json-objects.ts';
import { beginReconciliation } from './begin-reconciliation.ts';

const s3 = new S3Client(clientOptions(10_000, 3));
const dynamodb = new DynamoDBClient(clientOptions(3_000, 3));
const ledgerTable = requireEnv(environmentNames.ledgerTable);
const deps = {
  states: new SFNClient(clientOptions(10_000, 5)),
  s3,
  rekognition: new RekognitionClient(clientOptions(30_000, 1)),
  readLedger: () => readLedger(dynamodb, ledgerTable),
  objects: jsonObjects(s3, requireEnv(environmentNames.resultsBucket)),
  telemetry,
  pace: evenPace(LISTINGS_PER_SECOND, { now: Date.now, sleep: (ms) => sleep(ms) }),
  photoBucket: requireEnv(environmentNames.photoBucket),
  collectionPrefix: requireEnv(environmentNames.collectionPrefix),
  machines: [
    requireEnv(environmentNames.indexPhotoStateMachine),
    requireEnv(environmentNames.eraseFacesStateMachine),
  ],
  maxImages: requireCountEnv(environmentNames.reconcileMaxImages),
};

export const handler = lambdaHandler((request) =>
  beginReconciliation(deps, parseRequest(beginReconciliationRequestSchema, request)),
);
