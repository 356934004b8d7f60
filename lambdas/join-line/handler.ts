import { S3Client } from '@aws-sdk/client-s3';
import { environmentNames } from '../shared/contract/names.ts';
import { joinLineRequestSchema, parseRequest } from '../shared/contract/payloads.ts';
import { ledgerFromEnvironment, photographerCapFromEnvironment } from '../shared/line/environment.ts';
import { indexFacesPace } from '../shared/line/pace.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { joinLine } from './join-line.ts';

// One short attempt: without an answer the photo takes a place in line, and the ledger needs the rest of the time.
const s3 = new S3Client(clientOptions(1_000, 1));
const resultsBucket = requireEnv(environmentNames.resultsBucket);
const ledger = ledgerFromEnvironment(indexFacesPace());
const photographers = photographerCapFromEnvironment();

export const handler = lambdaHandler((request) =>
  joinLine(
    { s3, resultsBucket, ledger, photographers, telemetry, now: Date.now },
    parseRequest(joinLineRequestSchema, request),
  ),
);
