import { listPrices } from '../../lambdas/shared/contract/prices.ts';

/** What of a synthesised template is counted. */
interface CountedTemplate {
  Resources: Record<string, { Type: string; Properties?: Record<string, unknown> }>;
}

export interface IdleItem {
  readonly item: string;
  readonly count: number;
  /** Of the count, what AWS gives every account each month for nothing. */
  readonly free: number;
  /** US dollars a month for one, at the list prices of us-east-1. */
  readonly usdEach: number;
}

const HOURS_A_MONTH = 730;

/**
 * Lambda polls a queue with five connections at least, each of which asks for up to 20 seconds.
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
 */
const POLLS_A_MONTH = 5 * (3_600 / 20) * HOURS_A_MONTH;

/** From the daily look for events that are over, by the reconciliation, until Aurora pauses: five idle minutes, about five before. */
const DAILY_WAKE_HOURS = 10 / 60;

/** The smallest capacity at which Aurora Serverless v2 is awake. */
const SMALLEST_CAPACITY = 0.5;

/** What a stack costs in a month in which nobody uploads, counted from its template; nothing is rounded. */
export function idleCost({ Resources: resources }: CountedTemplate): IdleItem[] {
  const all = Object.values(resources);
  const of = (type: string) => all.filter(({ Type }) => Type === type);
  const alarmMetrics = of('AWS::CloudWatch::Alarm')
    .map(({ Properties }) => watchedMetrics(Properties))
    .reduce((sum, count) => sum + count, 0);
  const clusters = of('AWS::RDS::DBCluster');
  const sleeping = clusters.filter((cluster) => minimumCapacity(cluster.Properties) === 0);
  const awake = clusters.filter((cluster) => minimumCapacity(cluster.Properties) > 0);
  const items: IdleItem[] = [
    {
      item: 'Metrics that the alarms watch',
      count: alarmMetrics,
      free: 10,
      usdEach: listPrices.alarmMetricMonth,
    },
    {
      item: 'Dashboard',
      count: of('AWS::CloudWatch::Dashboard').length,
      free: 3,
      usdEach: listPrices.dashboardMonth,
    },
    {
      item: "Key of the alarms' topics",
      count: of('AWS::KMS::Key').length,
      free: 0,
      usdEach: listPrices.kmsKeyMonth,
    },
    {
      item: "Secret with the database master's password",
      count: clusters.length,
      free: 0,
      usdEach: listPrices.secretMonth,
    },
    {
      item: 'Requests with which Lambda asks a queue for messages',
      count: of('AWS::Lambda::EventSourceMapping').length * POLLS_A_MONTH,
      free: 1_000_000,
      usdEach: listPrices.sqsRequest,
    },
    {
      item: 'Hours that Aurora is awake for the daily erasure and reconciliation',
      count: sleeping.length * DAILY_WAKE_HOURS * (HOURS_A_MONTH / 24),
      free: 0,
      usdEach: SMALLEST_CAPACITY * listPrices.auroraCapacityHour,
    },
    {
      item: 'Hours that Aurora is awake at `auroraMinCapacity`',
      count: awake.length * HOURS_A_MONTH,
      free: 0,
      usdEach:
        Math.max(0, ...awake.map(({ Properties }) => minimumCapacity(Properties))) *
        listPrices.auroraCapacityHour,
    },
    {
      item: 'Aurora storage, the first GB',
      count: clusters.length,
      free: 0,
      usdEach: listPrices.auroraGigabyteMonth,
    },
  ];
  return items.filter(({ count }) => count > 0);
}

/** US dollars a month, at list prices or after what every account gets for nothing. */
export function monthlyUsd(items: readonly IdleItem[], { withFreeTier }: { withFreeTier: boolean }): number {
  return items.reduce(
    (sum, { count, free, usdEach }) => sum + Math.max(0, count - (withFreeTier ? free : 0)) * usdEach,
    0,
  );
}

/** The items as a table in Markdown. */
export function idleTable(items: readonly IdleItem[]): string {
  const dollars = (usd: number) => `$${usd.toFixed(2)}`;
  const amount = (count: number) =>
    count.toLocaleString('en-US', { maximumFractionDigits: count < 100 ? 1 : 0 });
  return [
    '| | per month | list price | free in every account |',
    '| --- | --- | --- | --- |',
    ...items.map(
      ({ item, count, free, usdEach }) =>
        `| ${item} | ${amount(count)} | ${dollars(count * usdEach)} | ${free === 0 ? '' : `the first ${amount(free)}`} |`,
    ),
    `| **all of it** | | **${dollars(monthlyUsd(items, { withFreeTier: false }))}** | **${dollars(monthlyUsd(items, { withFreeTier: true }))} with that** |`,
  ].join('\n');
}

/** An alarm on an expression is billed by the metrics in it. https://aws.amazon.com/cloudwatch/pricing/ */
function watchedMetrics(properties: Record<string, unknown> | undefined): number {
  const metrics = properties?.Metrics as { MetricStat?: object }[] | undefined;
  return metrics === undefined ? 1 : metrics.filter(({ MetricStat }) => MetricStat !== undefined).length;
}

function minimumCapacity(properties: Record<string, unknown> | undefined): number {
  const scaling = properties?.ServerlessV2ScalingConfiguration as { MinCapacity: number } | undefined;
  return scaling?.MinCapacity ?? 0;
}
