import type { SQSEvent } from 'aws-lambda';
import { markFailedRequestSchema, parseRequest } from '../shared/contract/payloads.ts';
import { withDatabase } from '../shared/database/connection.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { markEnded } from './mark-ended.ts';
import { markFailed } from './mark-failed.ts';

const deps = { telemetry, withDatabase, now: Date.now };

/** Called by the state MarkFailed with one photo, and by the queue of the last resort with ended executions. */
export const handler = lambdaHandler<object>((request) =>
  isBatch(request)
    ? markEnded(deps, request.Records)
    : markFailed(deps, parseRequest(markFailedRequestSchema, request)),
);

function isBatch(request: unknown): request is SQSEvent {
  return Array.isArray((request as Partial<SQSEvent> | null)?.Records);
}
