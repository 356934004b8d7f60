import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../shared/contract/names.ts';
import { joinLineRequestSchema, parseRequest } from '../shared/contract/payloads.ts';
import { slotLedger } from '../shared/line/store.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { joinLine } from './join-line.ts';

// One short attempt: without an answer the photo takes a place in line, and the ledger needs the rest of the time.
const s3 = new S3Client(clientOptions(1_000, 1));
const resultsBucket = requireEnv(environmentNames.resultsBucket);
const ledger = slotLedger(
  {
    dynamodb: new DynamoDBClient(clientOptions(3_000, 3)),
    table: requireEnv(environmentNames.ledgerTable),
    now: Date.now,
    random: Math.random,
    sleep: (ms) => sleep(ms),
  },
  {
    perSecond: requireNumberEnv(environmentNames.indexFacesPerSecond),
    readsQuota: requireEnv(environmentNames.readsIndexFacesQuota) === 'true',
    dailyImageCap: requireNumberEnv(environmentNames.dailyImageCap),
  },
);

export const handler = lambdaHandler((request) =>
  joinLine(
    { s3, resultsBucket, ledger, telemetry, now: Date.now },
    parseRequest(joinLineRequestSchema, request),
  ),
);
