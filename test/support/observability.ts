/** What the synthesised template watches: alarms with their expressions, and every metric on the dashboard. */
import { type AlarmProperties, type Dimension, identity } from './metric-math.ts';
import type { ReadableTemplate } from './template.ts';

interface Watched {
  namespace: string;
  name: string;
  /** The names alone where a search finds the values. */
  dimensions: Record<string, string | undefined>;
  statistic: string;
}

export interface WatchedMetric extends Watched {
  /** The alarm or the widget. */
  by: string;
}

/** The alarms by their names, without the stack's; values that only a deployment knows are texts. */
export function alarmsOf(
  template: ReadableTemplate,
): Record<string, AlarmProperties & { AlarmDescription: string }> {
  return Object.fromEntries(
    Object.values(template.resources('AWS::CloudWatch::Alarm')).map(({ Properties }) => {
      const alarm = withTexts(Properties, template) as AlarmProperties & {
        AlarmName: string;
        AlarmDescription: string;
      };
      return [alarm.AlarmName.replace(/^Rollcall-/, ''), alarm];
    }),
  );
}

/** Every expression of CloudFormation in it as text. */
function withTexts(value: unknown, template: ReadableTemplate): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => withTexts(item, template));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const keys = Object.keys(value);
  if (keys.length === 1 && /^(Ref|Fn::\w+)$/.test(keys[0]!)) {
    return template.text(value);
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withTexts(item, template)]));
}

export interface Widget {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
  properties: {
    title?: string;
    markdown?: string;
    metrics?: unknown[][];
    alarms?: string[];
    query?: string;
    stat?: string;
    annotations?: unknown;
  };
}

/** The dashboard's body as CloudWatch gets it, but for what only a deployment knows. */
export function dashboardOf(template: ReadableTemplate): { widgets: Widget[] } {
  const body = template.text(template.only('AWS::CloudWatch::Dashboard').Properties.DashboardBody);
  // The configured quota may be CloudFormation's to choose: a number, but in quotes here.
  return JSON.parse(body.replaceAll(/:\{"Fn::If":\[[^\]]*\]\}/g, ':50')) as { widgets: Widget[] };
}

/** Every metric of an alarm or a widget. */
export function watchedMetrics(template: ReadableTemplate): WatchedMetric[] {
  const fromAlarms = Object.entries(alarmsOf(template)).flatMap(([by, alarm]) => {
    const stats = alarm.Metrics
      ? alarm.Metrics.flatMap(({ MetricStat }) => MetricStat ?? [])
      : [
          {
            Metric: {
              Namespace: alarm.Namespace!,
              MetricName: alarm.MetricName!,
              Dimensions: alarm.Dimensions ?? [],
            },
            Stat: alarm.Statistic ?? alarm.ExtendedStatistic!,
          },
        ];
    return stats.map(({ Metric, Stat }) => ({
      by,
      namespace: Metric.Namespace,
      name: Metric.MetricName,
      dimensions: Object.fromEntries(
        (Metric.Dimensions ?? []).map(({ Name, Value }: Dimension) => [Name, Value]),
      ),
      statistic: Stat,
    }));
  });
  const fromWidgets = dashboardOf(template).widgets.flatMap(({ properties }) =>
    (properties.metrics ?? []).flatMap((row) =>
      watchedIn(row, properties.stat).map((watched) => ({ by: properties.title ?? '', ...watched })),
    ),
  );
  return [...fromAlarms, ...fromWidgets];
}

/** A row of a widget: namespace, name, dimension pairs and options, or an expression. */
function watchedIn(row: unknown[], widgetStat = 'Average'): Watched[] {
  const last = row.at(-1);
  const options = (typeof last === 'object' && last !== null ? last : {}) as {
    expression?: string;
    stat?: string;
  };
  if (options.expression !== undefined) {
    const search = /^SEARCH\('\{([^}]+)\} MetricName="(\w+)" (\w+)="(\w+)"', '(\w+)', \d+\)$/.exec(
      options.expression,
    );
    if (!search) {
      return [];
    }
    const [, schema, name, filtered, value, statistic] = search as unknown as [string, ...string[]] &
      string[];
    const [namespace, ...dimensions] = schema!.split(',');
    return [
      {
        namespace: namespace!,
        name: name!,
        dimensions: Object.fromEntries(
          dimensions.map((dimension) => [dimension, dimension === filtered ? value : undefined]),
        ),
        statistic: statistic!,
      },
    ];
  }
  const texts = row.filter((item) => typeof item === 'string');
  const [namespace, name, ...pairs] = texts as [string, string, ...string[]];
  return [
    {
      namespace,
      name,
      dimensions: Object.fromEntries(
        Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i], pairs[2 * i + 1]]),
      ),
      statistic: options.stat ?? widgetStat,
    },
  ];
}

/** A line in CloudWatch's embedded metric format. */
interface EmbeddedMetrics {
  _aws: {
    Timestamp: number;
    CloudWatchMetrics: {
      Namespace: string;
      Dimensions: string[][];
      Metrics: { Name: string; Unit: string }[];
    }[];
  };
  [key: string]: unknown;
}

/** One metric that CloudWatch makes of what was printed. */
export interface PrintedMetric {
  namespace: string;
  name: string;
  unit: string;
  dimensions: Record<string, string>;
  value: number;
  atMs: number;
}

/**
 * The metrics that CloudWatch takes out of log lines.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export function printedMetrics(lines: readonly string[]): PrintedMetric[] {
  return lines.flatMap((line) => {
    if (!line.startsWith('{') || !line.includes('"_aws"')) {
      return [];
    }
    const printed = JSON.parse(line) as EmbeddedMetrics;
    return printed._aws.CloudWatchMetrics.flatMap(({ Namespace, Dimensions, Metrics }) =>
      Dimensions.flatMap((names) =>
        Metrics.flatMap(({ Name, Unit }) =>
          [printed[Name]].flat().map((value) => ({
            namespace: Namespace,
            name: Name,
            unit: Unit,
            dimensions: Object.fromEntries(names.map((name) => [name, printed[name] as string])),
            value: value as number,
            atMs: printed._aws.Timestamp,
          })),
        ),
      ),
    );
  });
}

/** Whether a metric was printed; a dimension that is searched for may have any value. */
export function wasPrinted(watched: Watched, printed: readonly PrintedMetric[]): boolean {
  return printed.some(
    (metric) =>
      identity(metric.namespace, metric.name, metric.dimensions) ===
      identity(
        watched.namespace,
        watched.name,
        Object.fromEntries(
          Object.entries(watched.dimensions).map(([name, value]) => [
            name,
            value ?? metric.dimensions[name] ?? 'not printed',
          ]),
        ),
      ),
  );
}
