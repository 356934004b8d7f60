import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { type Attribute, type QualityFilter, RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { environmentNames } from '../shared/contract/names.ts';
import { type IndexResult, indexFacesRequestSchema, parseRequest } from '../shared/contract/payloads.ts';
import { ledgerFromEnvironment, photographerCapFromEnvironment } from '../shared/line/environment.ts';
import { indexFacesPace } from '../shared/line/pace.ts';
import { followQuota } from '../shared/line/quota.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../shared/runtime/environment.ts';
import { idempotent } from '../shared/runtime/idempotency.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { indexFaces } from './index-faces.ts';

// One attempt: a throttled call has to take a new slot first.
const rekognition = new RekognitionClient(clientOptions(30_000, 1));
const s3 = new S3Client(clientOptions(10_000, 3));
const dynamodb = new DynamoDBClient(clientOptions(3_000, 3));
const once = idempotent<IndexResult>({
  dynamodb,
  table: requireEnv(environmentNames.idempotencyTable),
  prefix: 'photo',
});
const pace = indexFacesPace();
const ledger = ledgerFromEnvironment(pace, { dynamodb });
// One short attempt: there is another one soon, and a photo waits for it.
const quotas = pace.readsQuota ? new ServiceQuotasClient(clientOptions(2_000, 1)) : undefined;
const photographers = photographerCapFromEnvironment(dynamodb);
const settings = {
  resultsBucket: requireEnv(environmentNames.resultsBucket),
  qualityFilter: requireEnv(environmentNames.qualityFilter) as QualityFilter,
  maxFaces: requireNumberEnv(environmentNames.maxFaces),
  detectionAttributes: requireEnv(environmentNames.detectionAttributes).split(',') as Attribute[],
  rekognitionResponse: requireEnv(environmentNames.rekognitionResponse) as 'full' | 'minimal',
};

export const handler = lambdaHandler((request, context) =>
  indexFaces(
    {
      rekognition,
      s3,
      telemetry,
      ...settings,
      ledger,
      photographers,
      now: Date.now,
      followQuota: quotas && (() => followQuota({ quotas, ledger, telemetry })),
      once: (key, index) => once(context, key, index),
    },
    parseRequest(indexFacesRequestSchema, request),
  ),
);
