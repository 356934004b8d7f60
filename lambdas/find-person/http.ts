/** A search behind the HTTP API: the picture is the request's body, everything else a parameter. */
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import * as v from 'valibot';
import { PipelineError, property } from '../shared/contract/errors.ts';
import { parseRequest } from '../shared/contract/payloads.ts';
import {
  type FindPersonAnswer,
  type FindPersonRequest,
  findPersonRequestSchema,
  MAX_SELFIE_BYTES,
  SELFIE_TYPES,
  type SearchReason,
  searchReasons,
  searchRoutes,
} from '../shared/contract/search.ts';
import { answerHttp, checkNames, httpEventSchema, type Query, uuidOf } from '../shared/http/http.ts';
import { ProblemError } from '../shared/http/problems.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

/** No message repeats what was sent: it may be somebody's picture. */
export const searchEventSchema = v.object({
  ...httpEventSchema.entries,
  headers: v.optional(
    v.record(v.string(), v.optional(v.string('a header is not a text')), 'headers is not an object'),
  ),
  body: v.optional(v.string('body is not a text')),
  isBase64Encoded: v.optional(v.boolean('isBase64Encoded is not a boolean'), false),
  requestContext: v.optional(
    v.object({ authorizer: v.optional(v.unknown()) }, 'requestContext is not an object'),
  ),
});
type SearchEvent = v.InferOutput<typeof searchEventSchema>;

/** Whether API Gateway sent it, and not somebody who invokes the function. */
export function isHttpEvent(request: unknown): boolean {
  return property(request, 'routeKey') !== undefined;
}

/** The answer of a search as it is, or a problem where there is none. Nobody found is an answer. */
export async function answerSearch(
  { find, telemetry }: { find(request: FindPersonRequest): Promise<FindPersonAnswer>; telemetry: Telemetry },
  event: SearchEvent,
): Promise<APIGatewayProxyStructuredResultV2> {
  return answerHttp({ telemetry }, async () => {
    const answer = await find(searchRequestOf(event)).catch((error: unknown) => {
      throw asProblem(error);
    });
    if (answer.reason !== null && searchReasons[answer.reason].status !== 200) {
      throw problemOf(answer.reason, answer.retry_after_seconds ?? undefined);
    }
    return answer;
  });
}

function problemOf(reason: SearchReason, retryAfterSeconds?: number): ProblemError {
  const { status, type, says } = searchReasons[reason];
  const again =
    retryAfterSeconds === undefined
      ? ''
      : ` Ask again in ${retryAfterSeconds === 1 ? 'a second' : `${retryAfterSeconds} seconds`}.`;
  return new ProblemError({ type, status, title: says }, `${says}${again}`, retryAfterSeconds);
}

/** What is malformed, the cursor of an answer that there was not included. */
function asProblem(error: unknown): unknown {
  return error instanceof PipelineError && error.name === 'InvalidInput'
    ? new ProblemError('bad-request', error.message)
    : error;
}

const PARAMETERS = ['similarity', 'limit', 'cursor', 'reference', 'caller'];

/** @throws ProblemError */
export function searchRequestOf(event: SearchEvent): FindPersonRequest {
  const { routeKey, pathParameters, queryStringParameters: query = {} } = event;
  const route = routeKey.replace(/^POST /, '');
  // The size first: whatever is too long is not looked at.
  const image = route === searchRoutes.find ? imageOf(event) : undefined;
  checkNames(query, PARAMETERS);
  const { cursor, reference } = query;
  const caller = callerOf(event.requestContext?.authorizer, query);
  const request = {
    event_id: uuidOf('event', pathParameters?.event),
    ...(image === undefined ? { face_id: uuidOf('face', pathParameters?.face) } : { image }),
    similarity: numberOf(query.similarity),
    limit: numberOf(query.limit),
    cursor,
    reference,
    caller,
  };
  try {
    return parseRequest(findPersonRequestSchema, request);
  } catch (error) {
    throw asProblem(error);
  }
}

/** The picture in Base64. @throws ProblemError */
function imageOf({ body = '', isBase64Encoded, headers = {} }: SearchEvent): string {
  const bytes = isBase64Encoded ? Math.floor((body.length * 3) / 4) - padding(body) : Buffer.byteLength(body);
  if (bytes > MAX_SELFIE_BYTES) {
    throw problemOf('ImageTooLarge');
  }
  const type = headers['content-type']?.replace(/;.*/s, '').trim().toLowerCase();
  if (!SELFIE_TYPES.some((known) => known === type)) {
    throw new ProblemError(
      'unsupported-media-type',
      `The body is a picture, as it is: say content-type ${SELFIE_TYPES.join(' or ')}`,
    );
  }
  return isBase64Encoded ? body : Buffer.from(body).toString('base64');
}

function padding(base64: string): number {
  return base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
}

/**
 * Who asks, for the limit of one caller. A token says it by its subject, and a Lambda authorizer by `caller` in its context: then
 * nobody can say it for themselves. With IAM the platform's server asks, and says for whom.
 *
 * @throws ProblemError
 */
export function callerOf(authorizer: unknown, { caller: given }: Query): string | undefined {
  const jwt = property(authorizer, 'jwt');
  const lambda = property(authorizer, 'lambda');
  if (jwt === undefined && lambda === undefined) {
    return given;
  }
  if (given !== undefined) {
    throw new ProblemError('bad-request', 'The API knows by itself who asks: leave "caller" out');
  }
  const caller = property(property(jwt, 'claims'), 'sub') ?? property(lambda, 'caller');
  return typeof caller === 'string' && caller !== '' ? caller : undefined;
}

/** A number as a number; anything else as it is, which the schema names. */
function numberOf(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : text;
}
