import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import type { Context } from 'aws-lambda';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { answerFailure, answerHttp, httpEventSchema } from '../shared/http/http.ts';
import { readLedger } from '../shared/line/item.ts';
import { indexFacesPace } from '../shared/line/pace.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { photoUrls } from './photo-url.ts';
import { galleryRequestOf, readGallery } from './read-gallery.ts';

const dynamodb = new DynamoDBClient(clientOptions(1_000, 2));
const ledgerTable = requireEnv(environmentNames.ledgerTable);
const deps = {
  withDatabase,
  readLedger: () => readLedger(dynamodb, ledgerTable),
  line: indexFacesPace(),
  photoUrl: photoUrls(new S3Client({}), requireEnv(environmentNames.photoBucket)),
  now: Date.now,
  telemetry,
};

const answer = lambdaHandler((event) =>
  answerHttp({ telemetry }, () => readGallery(deps, galleryRequestOf(parseRequest(httpEventSchema, event)))),
);

export const handler = (event: unknown, context: Context) => answer(event, context).catch(answerFailure);
