/** The gallery behind an HTTP API: API Gateway's payload format 2.0 in, a structured response out. */
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import * as v from 'valibot';
import { awsErrorDetails, failureKind, isFailureName, PipelineError } from '../shared/contract/errors.ts';
import { logEvents } from '../shared/contract/names.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import { ProblemError } from './problems.ts';
import type { GalleryRequest } from './read-gallery.ts';

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html */
export const httpEventSchema = v.object({
  /** "GET /events/{event}" */
  routeKey: v.string(),
  pathParameters: v.optional(v.record(v.string(), v.optional(v.string()))),
  queryStringParameters: v.optional(v.record(v.string(), v.optional(v.string()))),
});

/** How long a caller should wait for a database that wakes up. */
const RETRY_AFTER_SECONDS = 5;

/**
 * Everything is an answer, also what went wrong. It is logged and not counted as an attempt that failed: no photo waits for it,
 * and API Gateway counts what it answers.
 */
export async function answerHttp(
  { read, telemetry }: { read(request: GalleryRequest): Promise<object>; telemetry: Telemetry },
  { routeKey, pathParameters, queryStringParameters }: v.InferOutput<typeof httpEventSchema>,
): Promise<APIGatewayProxyStructuredResultV2> {
  try {
    const answer = await read({
      route: routeKey.replace(/^GET /, ''),
      event: pathParameters?.event,
      query: queryStringParameters ?? {},
    });
    return response(200, 'application/json', answer);
  } catch (error) {
    if (error instanceof ProblemError) {
      telemetry.logger.info(error.message, { event: logEvents.galleryRefused, type: error.problem.type });
      return problemResponse(error);
    }
    const { name, message } = awsErrorDetails(error);
    telemetry.logger.warn(message, { event: logEvents.attemptFailed, error_type: name });
    return answerFailure(error);
  }
}

/** What a caller is told of an error in here: nothing of its inside, and whether to come back. */
export function answerFailure(error: unknown): APIGatewayProxyStructuredResultV2 {
  const name = error instanceof PipelineError && isFailureName(error.name) ? error.name : 'InternalError';
  if (name !== 'InternalError' && ['database', 'rate', 'transient'].includes(failureKind(name).class)) {
    const again = new ProblemError(
      'not-now',
      `The database does not answer, or is waking up: ask again in ${RETRY_AFTER_SECONDS} seconds`,
    );
    const { headers, ...rest } = problemResponse(again);
    return { ...rest, headers: { ...headers, 'retry-after': String(RETRY_AFTER_SECONDS) } };
  }
  return problemResponse(
    new ProblemError(
      'internal',
      `${name}: docs/runbook.md says what to do, and the function's log what happened`,
    ),
  );
}

function problemResponse({ problem }: ProblemError): APIGatewayProxyStructuredResultV2 {
  return response(problem.status, 'application/problem+json', problem);
}

function response(statusCode: number, contentType: string, body: object): APIGatewayProxyStructuredResultV2 {
  return {
    statusCode,
    // Faces and signed addresses are nothing that a proxy should keep.
    headers: { 'content-type': contentType, 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  };
}
