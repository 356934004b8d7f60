import { Duration } from 'aws-cdk-lib';
import { MathExpression, Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IConstruct } from 'constructs';
import {
  metricDimensions,
  metricNames,
  SERVICE_DIMENSION,
  SERVICE_NAME,
} from '../../lambdas/shared/contract/names.ts';
import { IMAGE_USD, SEARCH_USD } from '../../lambdas/shared/contract/prices.ts';
import { deploymentName } from '../parts/deployment-name.ts';

type MetricName = (typeof metricNames)[keyof typeof metricNames];
type DimensionedMetric = keyof typeof metricDimensions;

/** The namespace of a deployment's own metrics, by any construct in it: its name, so that none counts another's photos. */
export function metricsNamespace(scope: IConstruct): string {
  return deploymentName(scope);
}

/** What the Lambdas of one deployment print. */
export class PipelineMetrics {
  private readonly namespace: string;

  constructor(scope: IConstruct) {
    this.namespace = metricsNamespace(scope);
  }

  /** Added up over all of them. */
  of(name: MetricName, options: MetricOptions = {}): Metric {
    return new Metric({
      namespace: this.namespace,
      metricName: name,
      dimensionsMap: { [SERVICE_DIMENSION]: SERVICE_NAME },
      statistic: Stats.SUM,
      ...options,
    });
  }

  /** The part of a metric that has this value of its dimension. */
  ofValue(name: DimensionedMetric, value: string, options: MetricOptions = {}): Metric {
    return this.of(name, {
      ...options,
      dimensionsMap: { [SERVICE_DIMENSION]: SERVICE_NAME, [metricDimensions[name]]: value },
    });
  }

  /** One line for each value of the metric's dimension that was seen. Alarms cannot watch it. */
  byValue(name: DimensionedMetric, period: Duration): MathExpression {
    const dimension = metricDimensions[name];
    return new MathExpression({
      expression: `SEARCH('{${this.namespace},${SERVICE_DIMENSION},${dimension}} MetricName="${name}" ${SERVICE_DIMENSION}="${SERVICE_NAME}"', '${Stats.SUM}', ${period.toSeconds()})`,
      usingMetrics: {},
      label: '',
      period,
    });
  }

  /** Images that were billed. */
  imagesBilled(period: Duration): Metric {
    return this.of(metricNames.imagesBilled, { period, label: 'images billed' });
  }

  /** Searches for a person that were billed. */
  searchesBilled(period: Duration): Metric {
    return this.of(metricNames.searchesBilled, { period, label: 'searches billed' });
  }

  /** Estimated US dollars for the images and the searches that were billed within each period. */
  spend(period: Duration, label: string): MathExpression {
    return new MathExpression({
      // Where nobody searches, or nobody uploads, the other is still counted.
      expression: `FILL(billed, 0) * ${IMAGE_USD} + FILL(searches, 0) * ${SEARCH_USD}`,
      usingMetrics: { billed: this.imagesBilled(period), searches: this.searchesBilled(period) },
      label,
      period,
    });
  }
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
