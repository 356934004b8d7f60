import type { SQSBatchResponse, SQSRecord } from 'aws-lambda';
import { awsErrorDetails, failureKind, PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  type ExecutionEnded,
  type ExecutionInput,
  executionEndedSchema,
  executionInputSchema,
  parseRequest,
} from '../shared/contract/payloads.ts';
import { countBy } from '../shared/runtime/telemetry.ts';
import { classifyFailure, type Failure, type MarkFailedDeps, report, writeFailure } from './mark-failed.ts';

/**
 * The last resort: gives the photos of executions that ended FAILED, TIMED_OUT or ABORTED an end state, where the
 * execution itself could not. A photo that has one keeps it.
 *
 * What can be written only later (the database is away) is reported as failed and comes again. What can never be
 * written, because it names no photo, is logged and counted, and is done.
 */
export async function markEnded(
  deps: MarkFailedDeps,
  records: readonly Pick<SQSRecord, 'messageId' | 'body'>[],
): Promise<SQSBatchResponse> {
  const again: string[] = [];
  let databaseIsAway = false;
  for (const { messageId, body } of records) {
    // One attempt can take as long as the whole function may: the others would only wait for the same.
    if (databaseIsAway) {
      again.push(messageId);
      continue;
    }
    try {
      await markOne(deps, body);
    } catch (thrown) {
      const error = thrown as PipelineError;
      deps.telemetry.logger.warn(error.message, {
        event: logEvents.lastResortFailed,
        error_type: awsErrorDetails(error).name,
        message_id: messageId,
      });
      countBy(deps.telemetry, metricNames.failedAttempts, awsErrorDetails(error).name);
      again.push(messageId);
      databaseIsAway = error instanceof PipelineError && isDatabaseTrouble(error);
    }
  }
  return { batchItemFailures: again.map((itemIdentifier) => ({ itemIdentifier })) };
}

function isDatabaseTrouble(error: PipelineError): boolean {
  const { class: failureClass } = failureKind(error.name);
  return failureClass === 'database' || failureClass === 'setup';
}

async function markOne(deps: MarkFailedDeps, body: string): Promise<void> {
  let failure: Failure = { code: 'InvalidInput', message: 'The message is no execution', retryable: false };
  let details: object = { body: body.slice(0, 1_000) };
  try {
    const { detail } = parseRequest(executionEndedSchema, parseJson(body));
    failure = failureOf(detail);
    details = { execution_arn: detail.executionArn };
    const { object, event_time } = inputOf(detail);
    await writeFailure(
      deps,
      {
        object,
        uploadedAt: event_time ?? new Date(detail.startDate).toISOString(),
        failure,
        execution_arn: detail.executionArn,
        startedMs: detail.startDate,
        throttles: 0,
      },
      { keepFirstReason: true },
    );
  } catch (error) {
    if (!(error instanceof PipelineError) || failureKind(error.name).class !== 'photo') {
      throw error;
    }
    report(deps, { effect: 'unwritable' }, failure, { ...details, because: error.message });
  }
}

function inputOf({ input }: ExecutionEnded['detail']): ExecutionInput {
  return parseRequest(executionInputSchema, parseJson(input ?? ''));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failureOf({ status, error, cause }: ExecutionEnded['detail']): Failure {
  switch (status) {
    case 'FAILED':
      return classifyFailure({ Error: error ?? 'Unknown', Cause: cause ?? '' });
    case 'TIMED_OUT':
      return classifyFailure({ Error: 'ExecutionTimedOut', Cause: cause ?? 'The execution took too long' });
    case 'ABORTED':
      return classifyFailure({
        Error: 'ExecutionAborted',
        Cause: ['Somebody stopped the execution', error, cause].filter(Boolean).join(': '),
      });
  }
}
