import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { Context } from 'aws-lambda';
import { environmentNames } from '../shared/contract/names.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import { type FindPersonRequest, findPersonRequestSchema } from '../shared/contract/search.ts';
import { answerFailure } from '../shared/http/http.ts';
import { ledgerFromEnvironment } from '../shared/line/environment.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv, requireNumberEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { askToResolve } from './ask-to-resolve.ts';
import { findPerson } from './find-person.ts';
import { answerSearch, isHttpEvent, searchEventSchema } from './http.ts';
import { searchLimits } from './limits.ts';

// One attempt: a throttled call has to take a new slot first.
const rekognition = new RekognitionClient(clientOptions(8_000, 1));
const dynamodb = new DynamoDBClient(clientOptions(3_000, 3));
// Longer than the other function's timeout, so that it says itself what went wrong.
const lambda = new LambdaClient(clientOptions(95_000, 2));
const ledger = ledgerFromEnvironment(
  {
    perSecond: requireNumberEnv(environmentNames.searchFacesPerSecond),
    dailyImageCap: requireNumberEnv(environmentNames.dailySearchCap),
  },
  { dynamodb, item: 'search-faces' },
);
const limits = searchLimits({
  dynamodb,
  table: requireEnv(environmentNames.searchLimitsTable),
  now: Date.now,
  searchesPerEventHour: requireNumberEnv(environmentNames.searchesPerEventHour),
  searchesPerCallerHour: requireNumberEnv(environmentNames.searchesPerCallerHour),
});
const resolveFaces = askToResolve(lambda, requireEnv(environmentNames.resolveFacesFunction));
const collectionPrefix = requireEnv(environmentNames.collectionPrefix);

/** What is left of the 29 s that API Gateway waits, so that whoever asks is told what was slow. */
const ANSWER_WITHIN_MS = 27_000;

function find(request: FindPersonRequest, signal?: AbortSignal) {
  return findPerson(
    {
      rekognition,
      telemetry,
      ledger,
      limits,
      collectionPrefix,
      resolveFaces: (asked) => resolveFaces(asked, signal),
      now: Date.now,
    },
    request,
  );
}

const answer = lambdaHandler<unknown>((request) =>
  isHttpEvent(request)
    ? answerSearch(
        { find: (asked) => find(asked, AbortSignal.timeout(ANSWER_WITHIN_MS)), telemetry },
        parseRequest(searchEventSchema, request),
      )
    : find(parseRequest(findPersonRequestSchema, request)),
);

export const handler = (request: unknown, context: Context) =>
  isHttpEvent(request) ? answer(request, context).catch(answerFailure) : answer(request, context);
