import { Duration, Lazy, Stack } from 'aws-cdk-lib';
import { MathExpression, Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IConstruct } from 'constructs';
import {
  metricDimensions,
  metricNames,
  SERVICE_DIMENSION,
  SERVICE_NAME,
} from '../../lambdas/shared/contract/names.ts';
import { IMAGE_USD, SEARCH_USD } from '../../lambdas/shared/contract/prices.ts';

type MetricName = (typeof metricNames)[keyof typeof metricNames];
type DimensionedMetric = keyof typeof metricDimensions;

/**
 * The namespace of a stack's own metrics, by any construct in it: the stack's name, so that no deployment counts another's
 * photos.
 */
export function metricsNamespace(scope: IConstruct): string {
  return Stack.of(scope).stackName;
}

/** The same where no construct is at hand: the stack that the metric ends up in says it. */
const NAMESPACE = Lazy.uncachedString({ produce: ({ scope }) => metricsNamespace(scope) });

/** What the Lambdas print, added up over all of them. */
export function pipelineMetric(
  name: MetricName,
  options: MetricOptions & { readonly namespace?: string } = {},
): Metric {
  return new Metric({
    namespace: NAMESPACE,
    metricName: name,
    dimensionsMap: { [SERVICE_DIMENSION]: SERVICE_NAME },
    statistic: Stats.SUM,
    ...options,
  });
}

/** The part of a metric that has this value of its dimension. */
export function pipelineMetricOf(
  name: DimensionedMetric,
  value: string,
  options: MetricOptions = {},
): Metric {
  return pipelineMetric(name, {
    ...options,
    dimensionsMap: { [SERVICE_DIMENSION]: SERVICE_NAME, [metricDimensions[name]]: value },
  });
}

/** One line for each value of the metric's dimension that was seen. Alarms cannot watch it. */
export function pipelineMetricByValue(name: DimensionedMetric, period: Duration): MathExpression {
  const dimension = metricDimensions[name];
  return new MathExpression({
    expression: `SEARCH('{${NAMESPACE},${SERVICE_DIMENSION},${dimension}} MetricName="${name}" ${SERVICE_DIMENSION}="${SERVICE_NAME}"', '${Stats.SUM}', ${period.toSeconds()})`,
    usingMetrics: {},
    label: '',
    period,
  });
}

/**
 * Executions open in the account and Region: Step Functions knows this number for no single state machine.
 * https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
 */
export function openExecutions(period = Duration.minutes(5)): Metric {
  return new Metric({
    namespace: 'AWS/States',
    metricName: 'OpenExecutionCount',
    statistic: Stats.MAXIMUM,
    period,
  });
}

/** Images that were billed. */
export function imagesBilled(period: Duration): Metric {
  return pipelineMetric(metricNames.imagesBilled, { period, label: 'images billed' });
}

/** Searches for a person that were billed. */
export function searchesBilled(period: Duration): Metric {
  return pipelineMetric(metricNames.searchesBilled, { period, label: 'searches billed' });
}

/** Estimated US dollars for the images and the searches that were billed within each period. */
export function spend(period: Duration, label: string): MathExpression {
  return new MathExpression({
    // Where nobody searches, or nobody uploads, the other is still counted.
    expression: `FILL(billed, 0) * ${IMAGE_USD} + FILL(searches, 0) * ${SEARCH_USD}`,
    usingMetrics: { billed: imagesBilled(period), searches: searchesBilled(period) },
    label,
    period,
  });
}
