import { setTimeout as sleep } from 'node:timers/promises';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { removeFacesRequestSchema } from '../shared/erasure/contract.ts';
import { DELETIONS_PER_SECOND, evenPace } from '../shared/rekognition/pace.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { removeFaces } from './remove-faces.ts';

// One attempt: the state machine holds the retries.
const rekognition = new RekognitionClient(clientOptions(30_000, 1));
const s3 = new S3Client(clientOptions(10_000, 3));
const resultsBucket = requireEnv(environmentNames.resultsBucket);
// Only one execution at a time removes.
const pace = evenPace(DELETIONS_PER_SECOND, { now: Date.now, sleep: (ms) => sleep(ms) });

export const handler = lambdaHandler((request) =>
  removeFaces(
    { rekognition, s3, telemetry, resultsBucket, pace, now: Date.now },
    parseRequest(removeFacesRequestSchema, request).batch,
  ),
);
