/** A function behind an HTTP API: API Gateway's payload format 2.0 in, a structured response out. */
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import * as v from 'valibot';
import { awsErrorDetails, failureKind, isFailureName, PipelineError } from '../contract/errors.ts';
import { logEvents } from '../contract/names.ts';
import { isUuid } from '../contract/photo-key.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { ProblemError } from './problems.ts';

const texts = v.optional(v.record(v.string(), v.optional(v.string())));

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html */
export const httpEventSchema = v.object({
  /** "GET /events/{event}" */
  routeKey: v.string(),
  pathParameters: texts,
  queryStringParameters: texts,
});
export type HttpEvent = v.InferOutput<typeof httpEventSchema>;

/** As a request has it, or does not. */
export type Query = Readonly<Record<string, string | undefined>>;

/** How long a caller should wait for a database that wakes up. */
const RETRY_AFTER_SECONDS = 5;

/**
 * Everything is an answer, also what went wrong. It is logged and not counted as an attempt that failed: no photo waits for it,
 * and API Gateway counts what it answers.
 */
export async function answerHttp(
  { telemetry }: { telemetry: Telemetry },
  work: () => Promise<object>,
): Promise<APIGatewayProxyStructuredResultV2> {
  try {
    return response(200, 'application/json', await work());
  } catch (error) {
    if (error instanceof ProblemError) {
      telemetry.logger.info(error.message, { event: logEvents.requestRefused, type: error.problem.type });
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
    const what =
      failureKind(name).class === 'database'
        ? 'The database does not answer, or is waking up'
        : 'A service in here does not answer';
    return problemResponse(
      new ProblemError(
        'not-now',
        `${what}: ask again in ${RETRY_AFTER_SECONDS} seconds`,
        RETRY_AFTER_SECONDS,
      ),
    );
  }
  return problemResponse(
    new ProblemError(
      'internal',
      `${name}: docs/runbook.md says what to do, and the function's log what happened`,
    ),
  );
}

function problemResponse({ problem, retryAfterSeconds }: ProblemError): APIGatewayProxyStructuredResultV2 {
  const { headers, ...rest } = response(problem.status, 'application/problem+json', problem);
  return {
    ...rest,
    headers: {
      ...headers,
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    },
  };
}

function response(statusCode: number, contentType: string, body: object) {
  return {
    statusCode,
    // Faces and signed addresses are nothing that a proxy should keep.
    headers: { 'content-type': contentType, 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  };
}

/** @throws ProblemError where it is not a UUID; in lower case where it is */
export function uuidOf(what: string, given: string | undefined): string {
  if (!isUuid(given)) {
    throw new ProblemError('bad-request', `The ${what} is ${shown(given ?? '')}, which is not a UUID`);
  }
  return given.toLowerCase();
}

/** A misspelt name would be a filter that does nothing. @throws ProblemError */
export function checkNames(query: Query, known: readonly string[]): void {
  const other = Object.keys(query).find((name) => !known.includes(name));
  if (other !== undefined) {
    const allowed = known.length > 0 ? `the parameters are ${known.join(', ')}` : 'this route takes none';
    throw new ProblemError('bad-request', `There is no parameter ${shown(other)}; ${allowed}`);
  }
}

/** In quotes, and not all of it: somebody may have sent a picture there. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
