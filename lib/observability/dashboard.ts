import { Aws, Duration, Token } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Color,
  Dashboard,
  GraphWidget,
  GraphWidgetView,
  type IMetric,
  LogQueryWidget,
  MathExpression,
  type Metric,
  PeriodOverride,
  SingleValueWidget,
  Stats,
  TextWidget,
  TextWidgetBackground,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import { IMAGE_USD } from '../../lambdas/shared/contract/prices.ts';
import type { RollcallConfig } from '../config/config.ts';
import { deploymentName } from '../parts/deployment-name.ts';
import type { AlarmedParts, Alarms } from './alarms.ts';
import { logQueries } from './log-queries.ts';
import { openExecutions, PipelineMetrics } from './metrics.ts';

const MINUTE = Duration.minutes(1);
const FIVE_MINUTES = Duration.minutes(5);
const HOUR = Duration.hours(1);
const DAY = Duration.days(1);

/** The page is 24 columns wide. */
const PAGE = 24;

interface PipelineDashboardProps extends AlarmedParts {
  readonly config: RollcallConfig;
  /** IndexFaces calls per second that are aimed at, as text: CloudFormation may fill it in. */
  readonly rate: string;
  readonly logGroups: readonly ILogGroup[];
}

/**
 * One page that answers, from top to bottom: is it working now, how fast against the quota, what fails and why, do
 * people find their photos, what does it cost.
 */
export class PipelineDashboard extends Construct {
  readonly url: string;
  private readonly dashboard: Dashboard;
  private readonly props: PipelineDashboardProps;
  private readonly metrics: PipelineMetrics;

  constructor(scope: Construct, id: string, props: PipelineDashboardProps) {
    super(scope, id);
    this.props = props;
    this.metrics = new PipelineMetrics(this);
    // Dashboards belong to the account and not to a Region.
    const dashboardName = `${deploymentName(this)}-${Aws.REGION}`;
    this.dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName,
      defaultInterval: Duration.hours(3),
      periodOverride: PeriodOverride.INHERIT,
    });
    this.url = `https://${Aws.REGION}.console.aws.amazon.com/cloudwatch/home?region=${Aws.REGION}#dashboards/dashboard/${dashboardName}`;
  }

  /** The alarms link to this page, so they are made after its address and before its content. */
  fill(alarms: Alarms): void {
    this.working(alarms);
    this.pace();
    this.failures();
    this.answers();
    this.searches();
    this.cost();
  }

  private working(alarms: Alarms): void {
    const { stateMachine, deadLetterQueues } = this.props;
    const options = { period: FIVE_MINUTES, statistic: Stats.SUM };
    this.heading('Is it working now?', this.links());
    this.dashboard.addWidgets(
      new AlarmStatusWidget({
        title: 'Critical alarms',
        alarms: [...alarms.bySeverity.critical],
        width: 12,
        height: 5,
      }),
      new AlarmStatusWidget({
        title: 'Warnings',
        alarms: [...alarms.bySeverity.warning],
        width: 12,
        height: 5,
      }),
    );
    this.dashboard.addWidgets(
      this.graph('Photos', [
        this.metrics.of(metricNames.photosIndexed, { ...options, label: 'indexed', color: Color.GREEN }),
        this.metrics.of(metricNames.photosFailed, { ...options, label: 'failed', color: Color.RED }),
        this.metrics.of(metricNames.uploadsMisplaced, {
          ...options,
          label: 'of them of no event',
          color: Color.PURPLE,
        }),
      ]),
      this.graph('Executions', [
        stateMachine.metricStarted({ ...options, label: 'started' }),
        stateMachine.metricSucceeded({ ...options, label: 'succeeded', color: Color.GREEN }),
        stateMachine.metricFailed({ ...options, label: 'failed', color: Color.RED }),
        openExecutions().with({ label: 'open in the account', color: Color.ORANGE }),
      ]),
      this.graph(
        'Messages in dead-letter queues',
        deadLetterQueues.map((queue) =>
          queue.metricApproximateNumberOfMessagesVisible({
            period: FIVE_MINUTES,
            statistic: Stats.MAXIMUM,
            label: queue.node.scope!.node.id,
          }),
        ),
      ),
    );
  }

  private pace(): void {
    const sum = { period: MINUTE, statistic: Stats.SUM };
    const perSecond = (metric: Metric, id: string, label: string, color: string) =>
      new MathExpression({
        expression: `${id} / PERIOD(${id})`,
        usingMetrics: { [id]: metric },
        label,
        color,
        period: MINUTE,
      });
    this.heading('How fast, against the quota?');
    this.dashboard.addWidgets(
      new GraphWidget({
        title: 'IndexFaces calls per second',
        width: 8,
        left: [
          perSecond(this.metrics.of(metricNames.rekognitionCalls, sum), 'calls', 'calls', Color.BLUE),
          perSecond(this.metrics.of(metricNames.throttles, sum), 'throttles', 'throttled', Color.ORANGE),
        ],
        leftAnnotations: [
          { value: Token.asNumber(this.props.rate), label: 'configured quota', color: Color.GREY },
        ],
        leftYAxis: { min: 0, label: 'per second', showUnits: false },
      }),
      this.graph('Wait in line', percentiles(this.metrics, metricNames.lineDelay)),
      this.graph('From the start to the rows', percentiles(this.metrics, metricNames.processingTime)),
    );
  }

  private failures(): void {
    this.heading('What fails, and why?');
    this.dashboard.addWidgets(
      this.graph(
        'Failed photos, by who has to act',
        [this.metrics.byValue('PhotosFailed', FIVE_MINUTES)],
        true,
      ),
      this.graph('Failed attempts, by error', [this.metrics.byValue('FailedAttempts', FIVE_MINUTES)], true),
      this.graph('Rekognition errors', [
        this.metrics.byValue('RekognitionErrors', FIVE_MINUTES),
        this.metrics.of(metricNames.collectionErrors, { period: FIVE_MINUTES, label: 'CreateCollection' }),
      ]),
    );
    const sum = { period: FIVE_MINUTES };
    this.dashboard.addWidgets(
      new LogQueryWidget({
        title: 'Errors by code',
        logGroupNames: this.props.logGroups.map((group) => group.logGroupName),
        queryString: logQueries['errors by code'],
        width: 16,
        height: 6,
      }),
      this.graph('Faces', [
        this.metrics.of(metricNames.facesIndexed, { ...sum, label: 'indexed' }),
        this.metrics.of(metricNames.facesUnindexed, { ...sum, label: 'seen, not indexed' }),
        this.metrics.of(metricNames.photosWithoutFaces, { ...sum, label: 'photos without any' }),
      ]),
    );
    const most = { period: HOUR, statistic: Stats.MAXIMUM };
    this.dashboard.addWidgets(
      this.graph('Disagreements of bucket, database and collections', [
        this.metrics.of(metricNames.disagreements, { ...most, label: 'found', color: Color.ORANGE }),
        this.metrics.of(metricNames.disagreementsLeft, {
          ...most,
          label: 'left to a person',
          color: Color.RED,
        }),
      ]),
      this.graph('Age of the oldest disagreement', [
        this.metrics.of(metricNames.disagreementAge, { ...most, label: 'seconds' }),
      ]),
      this.graph('Reconciliations', [
        this.metrics.of(metricNames.reconciliations, {
          period: HOUR,
          statistic: Stats.SUM,
          label: 'ended',
          color: Color.GREEN,
        }),
        this.props.reconcile.metricFailed({
          period: HOUR,
          statistic: Stats.SUM,
          label: 'failed',
          color: Color.RED,
        }),
      ]),
    );
  }

  private answers(): void {
    const { api } = this.props;
    if (!api) {
      return;
    }
    const sum = { period: FIVE_MINUTES, statistic: Stats.SUM };
    const latency = (percent: number) =>
      api.metricLatency({ period: FIVE_MINUTES, statistic: Stats.p(percent), label: `p${percent}` });
    this.heading('What do galleries get?');
    this.dashboard.addWidgets(
      this.graph('Answers of the API', [
        api.metricCount({ ...sum, label: 'requests' }),
        api.metricClientError({ ...sum, label: 'refused (4xx)', color: Color.ORANGE }),
        api.metricServerError({ ...sum, label: 'failed (5xx)', color: Color.RED }),
      ]),
      this.graph('Milliseconds to an answer', [latency(50), latency(95)]),
      this.graph('Of them in the function and the database', [
        api.metricIntegrationLatency({ period: FIVE_MINUTES, statistic: Stats.p(95), label: 'p95' }),
      ]),
    );
  }

  private searches(): void {
    const sum = { period: FIVE_MINUTES };
    this.heading('Do people find their photos?');
    this.dashboard.addWidgets(
      this.graph('Searches', [
        this.metrics.of(metricNames.searches, { ...sum, label: 'answered', color: Color.GREEN }),
        this.metrics.of(metricNames.searchesFailed, { ...sum, label: 'failed', color: Color.RED }),
      ]),
      this.graph(
        'Searches without photos, by reason',
        [this.metrics.byValue('SearchesWithoutPhotos', FIVE_MINUTES)],
        true,
      ),
      this.graph('From the question to the answer', percentiles(this.metrics, metricNames.searchTime)),
    );
  }

  private cost(): void {
    const { dailyImageCap, alarmThresholds } = this.props.config;
    this.heading('What does it cost?', [
      'Estimated at list prices, Rekognition with all that moves a photo through the pipeline. The bill comes from AWS Budgets and Cost Explorer.',
    ]);
    this.dashboard.addWidgets(
      new SingleValueWidget({
        title: 'Today (UTC)',
        metrics: [
          this.metrics.spend(DAY, 'US dollars'),
          this.metrics.imagesBilled(DAY),
          this.metrics.searchesBilled(DAY),
        ],
        width: 6,
        height: 6,
      }),
      new SingleValueWidget({
        title: 'Last 30 days',
        metrics: [
          this.metrics.spend(Duration.days(30), 'US dollars'),
          this.metrics.imagesBilled(Duration.days(30)),
          this.metrics.of(metricNames.facesIndexed, { period: Duration.days(30), label: 'faces indexed' }),
        ],
        start: '-P30D',
        setPeriodToTimeRange: true,
        width: 6,
        height: 6,
      }),
      new GraphWidget({
        title: 'US dollars a day',
        view: GraphWidgetView.BAR,
        left: [this.metrics.spend(DAY, 'US dollars')],
        leftAnnotations: [
          { value: alarmThresholds.spendTodayUsd, label: 'alarm', color: Color.ORANGE },
          { value: dailyImageCap * IMAGE_USD, label: 'daily cap', color: Color.RED },
        ],
        start: '-P30D',
        width: 12,
        height: 6,
      }),
    );
  }

  private graph(title: string, left: IMetric[], stacked = false): GraphWidget {
    return new GraphWidget({ title, left, stacked, width: 8, leftYAxis: { min: 0 } });
  }

  private heading(text: string, lines: readonly string[] = []): void {
    this.dashboard.addWidgets(
      new TextWidget({
        markdown: [`## ${text}`, ...lines].join('\n'),
        width: PAGE,
        height: lines.length > 0 ? 2 : 1,
        background: TextWidgetBackground.TRANSPARENT,
      }),
    );
  }

  private links(): string[] {
    const { stateMachine, config } = this.props;
    const console = `https://${Aws.REGION}.console.aws.amazon.com`;
    const runbook = /^https?:/.test(config.runbookUrl)
      ? `[runbook](${config.runbookUrl})`
      : `runbook: ${config.runbookUrl}`;
    return [
      [
        `[executions](${console}/states/home?region=${Aws.REGION}#/statemachines/view/${stateMachine.stateMachineArn})`,
        `[log queries](${console}/cloudwatch/home?region=${Aws.REGION}#logsV2:logs-insights)`,
        `[alarms](${console}/cloudwatch/home?region=${Aws.REGION}#alarmsV2:)`,
        runbook,
      ].join(' · '),
    ];
  }
}

function percentiles(metrics: PipelineMetrics, name: Parameters<PipelineMetrics['of']>[0]): Metric[] {
  return [50, 95].map((percent) =>
    metrics.of(name, { period: FIVE_MINUTES, statistic: Stats.p(percent), label: `p${percent}` }),
  );
}
