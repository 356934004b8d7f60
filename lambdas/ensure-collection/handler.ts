import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import { environmentNames } from '../shared/contract/names.ts';
import { ensureCollectionRequestSchema, parseRequest } from '../shared/contract/payloads.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { idempotent } from '../shared/runtime/idempotency.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { type Collection, ensureCollection } from './ensure-collection.ts';

// One attempt: the state machine holds the retries.
const rekognition = new RekognitionClient(clientOptions(10_000, 1));
const once = idempotent<Collection>({
  dynamodb: new DynamoDBClient(clientOptions(3_000, 3)),
  table: requireEnv(environmentNames.idempotencyTable),
  prefix: 'collection',
});
const collectionPrefix = requireEnv(environmentNames.collectionPrefix);

export const handler = lambdaHandler((request, context) =>
  ensureCollection(
    {
      rekognition,
      telemetry,
      collectionPrefix,
      once: (eventId, create) => once(context, eventId, create),
    },
    parseRequest(ensureCollectionRequestSchema, request),
  ),
);
