import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';
import type { Context } from 'aws-lambda';
import { awsErrorDetails, failureKind, isFailureName, PipelineError, property } from '../contract/errors.ts';
import {
  logEvents,
  METRICS_NAMESPACE,
  metricDimensions,
  metricNames,
  SERVICE_NAME,
} from '../contract/names.ts';
import type { ExecutionState, Photo, Place } from '../contract/payloads.ts';
import { makeReadable } from './readable-stack.ts';

export const logger = new Logger({ serviceName: SERVICE_NAME });
export const metrics = new Metrics({
  serviceName: SERVICE_NAME,
  namespace: process.env.POWERTOOLS_METRICS_NAMESPACE ?? METRICS_NAMESPACE,
});

/** What the cores need of the logger and the metrics; tests pass their own. */
export interface Telemetry {
  logger: Pick<Logger, 'info' | 'warn' | 'error' | 'appendKeys'>;
  metrics: Pick<Metrics, 'addMetric' | 'singleMetric'>;
}

export const telemetry: Telemetry = { logger, metrics };

/** Adds one to a metric, as a whole and by its dimension, in one line. */
export function countBy(
  { metrics }: Pick<Telemetry, 'metrics'>,
  metric: keyof typeof metricDimensions,
  value: string,
): void {
  metrics
    .singleMetric()
    // Two sets of dimensions beside the ones that every metric has: none, and this one.
    .addDimensions({})
    .addDimensions({ [metricDimensions[metric]]: value })
    .addMetric(metric, 'Count', 1);
}

/**
 * What every Lambda does around its core: the log keys that correlate a photo's lines, the metrics flushed even when
 * the core throws, and no error leaves without a name that the state machine knows.
 */
export function lambdaHandler<Result>(
  core: (request: unknown, context: Context) => Promise<Result>,
): (request: unknown, context: Context) => Promise<Result> {
  return async (request, context) => {
    logger.resetKeys();
    // Not addContext: the log group says which function it is, and every byte of every line is billed.
    logger.appendKeys({ request_id: context.awsRequestId, ...correlation(request) });
    try {
      return await core(request, context);
    } catch (thrown) {
      const error = named(thrown);
      logger.warn(error.message, {
        event: logEvents.attemptFailed,
        error_type: error.name,
        retryable: failureKind(error.name).retryable,
        attempt: attemptOf(request),
      });
      countBy(telemetry, metricNames.failedAttempts, error.name);
      if (error.name === 'InternalError') {
        // Of all others nobody asks where in the code they come from.
        makeReadable(error);
      }
      throw error;
    } finally {
      // With nothing to print it would print that.
      if (metrics.hasStoredMetrics()) {
        metrics.publishStoredMetrics();
      }
    }
  };
}

/** An error of a name that the state machine routes by; whatever else is thrown becomes `InternalError`. */
function named(thrown: unknown): PipelineError {
  if (thrown instanceof PipelineError) {
    return thrown;
  }
  const { name, message } = awsErrorDetails(thrown);
  return isFailureName(name)
    ? new PipelineError(name, message, { cause: thrown })
    : new PipelineError('InternalError', `${name}: ${message}`, { cause: thrown });
}

/** Which attempt at its photo, counted by the throttled ones as everywhere; undefined where it is about no photo. */
function attemptOf(request: unknown): number | undefined {
  const throttles = property(fromState(request, 'place'), 'throttles' satisfies keyof Place);
  return fromState(request, 'object') === undefined
    ? undefined
    : (typeof throttles === 'number' ? throttles : 0) + 1;
}

function correlation(request: unknown): Record<string, unknown> {
  const photo = fromState(request, 'photo');
  return {
    execution_arn: property(request, 'execution_arn'),
    key: property(fromState(request, 'object'), 'key' satisfies keyof ExecutionState['object']),
    photo_id: property(photo, 'photo_id' satisfies keyof Photo),
    event_id: property(photo, 'event_id' satisfies keyof Photo),
  };
}

/** What an earlier state left there; nobody has looked at the request yet, and it may be anything. */
function fromState(request: unknown, name: keyof ExecutionState): unknown {
  return property(property(request, 'input'), name);
}
