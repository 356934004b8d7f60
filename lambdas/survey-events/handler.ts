import { setTimeout as sleep } from 'node:timers/promises';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { surveyEventsRequestSchema } from '../shared/reconciliation/contract.ts';
import { evenPace, LISTINGS_PER_SECOND } from '../shared/rekognition/pace.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { jsonObjects } from '../shared/storage/json-objects.ts';
import { surveyEvents } from './survey-events.ts';

const s3 = new S3Client(clientOptions(30_000, 3));
const resultsBucket = requireEnv(environmentNames.resultsBucket);
const deps = {
  rekognition: new RekognitionClient(clientOptions(30_000, 3)),
  s3,
  objects: jsonObjects(s3, resultsBucket),
  telemetry,
  pace: evenPace(LISTINGS_PER_SECOND, { now: Date.now, sleep: (ms) => sleep(ms) }),
  photoBucket: requireEnv(environmentNames.photoBucket),
  resultsBucket,
  versioned: requireEnv(environmentNames.photoBucketVersioned) === 'true',
  collectionPrefix: requireEnv(environmentNames.collectionPrefix),
  abandonedDays: requireNumberEnv(environmentNames.abandonedCollectionDays),
};

export const handler = lambdaHandler((request) =>
  surveyEvents(deps, parseRequest(surveyEventsRequestSchema, request)),
);
