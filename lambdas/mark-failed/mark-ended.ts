import type { SQSBatchResponse, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import {
  awsErrorDetails,
  cutOffFailures,
  failureKind,
  isTroubleForAll,
  PipelineError,
} from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  type ExecutionEnded,
  type ExecutionInput,
  executionEndedSchema,
  executionInputSchema,
  objectCreatedSchema,
  parseRequest,
} from '../shared/contract/payloads.ts';
import { countBy } from '../shared/runtime/telemetry.ts';
import {
  classifyFailure,
  type FailedPhoto,
  type Failure,
  type MarkFailedDeps,
  report,
  writeFailure,
} from './mark-failed.ts';

/** A message of the queue; EventBridge says in its attributes why it could not deliver what it sends there for that. */
type Message = Pick<SQSRecord, 'messageId' | 'body'> & {
  messageAttributes?: Record<string, { stringValue?: string | undefined }> | undefined;
};

/**
 * The last resort: gives the photos of executions that ended FAILED, TIMED_OUT or ABORTED an end state, where the
 * execution itself could not, and those whose execution could never be started. A photo that has one keeps it.
 *
 * What can be written only later (the database is unavailable) is reported as failed and comes again. What can never be
 * written, because it names no photo, is logged and counted, and is done.
 */
export async function markEnded(
  deps: MarkFailedDeps,
  records: readonly Message[],
): Promise<SQSBatchResponse> {
  const again: string[] = [];
  let databaseIsAway = false;
  for (const message of records) {
    const { messageId } = message;
    // One attempt can take as long as the whole function may: the others would only wait for the same.
    if (databaseIsAway) {
      again.push(messageId);
      continue;
    }
    try {
      await markOne(deps, message);
    } catch (thrown) {
      const error = thrown as PipelineError;
      deps.telemetry.logger.warn(error.message, {
        event: logEvents.lastResortFailed,
        error_type: awsErrorDetails(error).name,
        message_id: messageId,
      });
      countBy(deps.telemetry, metricNames.failedAttempts, awsErrorDetails(error).name);
      again.push(messageId);
      databaseIsAway = error instanceof PipelineError && isTroubleForAll(error.name);
    }
  }
  return { batchItemFailures: again.map((itemIdentifier) => ({ itemIdentifier })) };
}

async function markOne(deps: MarkFailedDeps, message: Message): Promise<void> {
  let failure: Failure = {
    code: 'InvalidInput',
    message: 'The message is neither an execution nor an upload',
    retryable: false,
  };
  let details: object = { body: message.body.slice(0, 1_000) };
  try {
    const end = endOf(message);
    failure = end.failure;
    details = { execution_arn: end.execution_arn };
    if (failure.code === 'StartFailed') {
      // EventBridge's own attempts print nothing, and an alarm waits for this name.
      countBy(deps.telemetry, metricNames.failedAttempts, failure.code);
    }
    await writeFailure(deps, { ...end, ...end.upload(), throttles: 0 }, { keepFirstReason: true });
  } catch (error) {
    if (!(error instanceof PipelineError) || failureKind(error.name).class !== 'photo') {
      throw error;
    }
    report(deps, { effect: 'unwritable' }, failure, { ...details, because: error.message });
  }
}

/** What a message tells; `upload` throws where it names none. */
interface End {
  failure: Failure;
  execution_arn: string;
  startedMs: number;
  upload(): Pick<FailedPhoto, 'object' | 'uploadedAt'>;
}

/** @throws PipelineError `InvalidInput` */
function endOf({ body, messageAttributes }: Message): End {
  const message = parseJson(body);
  const created = v.safeParse(objectCreatedSchema, message);
  if (created.success) {
    const { id, time, detail } = created.output;
    return {
      failure: startFailure(messageAttributes),
      // There is none; what asked for it tells one such end from another.
      execution_arn: `event:${id}`,
      startedMs: Date.parse(time),
      upload: () => ({ object: detail.object, uploadedAt: time }),
    };
  }
  const { detail } = parseRequest(executionEndedSchema, message);
  return {
    failure: failureOf(detail),
    execution_arn: detail.executionArn,
    startedMs: detail.startDate,
    upload() {
      const { object, event_time } = inputOf(detail);
      return { object, uploadedAt: event_time ?? new Date(detail.startDate).toISOString() };
    },
  };
}

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html */
function startFailure(attributes: Message['messageAttributes'] = {}): Failure {
  const why = ['ERROR_CODE', 'ERROR_MESSAGE'].flatMap((name) => attributes[name]?.stringValue ?? []);
  return classifyFailure({
    Error: 'StartFailed',
    Cause: ['EventBridge could not start an execution', ...why].join(': '),
  });
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
      return classifyFailure({
        Error: cutOffFailures.TIMED_OUT,
        Cause: cause ?? 'The execution took too long',
      });
    case 'ABORTED':
      return classifyFailure({
        Error: cutOffFailures.ABORTED,
        Cause: ['Somebody stopped the execution', error, cause].filter(Boolean).join(': '),
      });
  }
}
