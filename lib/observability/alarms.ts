import { Duration } from 'aws-cdk-lib';
import type { IHttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { type FailureName, failureKinds } from '../../lambdas/shared/contract/errors.ts';
import { metricNames } from '../../lambdas/shared/contract/names.ts';
import type { RollcallConfig } from '../config/config.ts';
import { deploymentName } from '../parts/deployment-name.ts';
import type { PipelineFunction } from '../parts/pipeline-function.ts';
import type { AlarmThresholds } from './alarm-thresholds.ts';
import type { AlarmTopics, Severity } from './alarm-topics.ts';
import { openExecutions, PipelineMetrics } from './metrics.ts';

export interface AlarmedParts {
  readonly stateMachine: IStateMachine;
  readonly eraseFaces: IStateMachine;
  readonly reconcile: IStateMachine;
  /** The functions that the state machine calls, by state. */
  readonly functions: Readonly<Record<string, PipelineFunction>>;
  /** All that talk to Postgres for the pipeline: an alarm can add up ten metrics, and the API has alarms of its own. */
  readonly databaseClients: readonly PipelineFunction[];
  /** Every queue in which a message means that something was given up. */
  readonly deadLetterQueues: readonly IQueue[];
  /** Where there is one. */
  readonly api: IHttpApi | undefined;
}

interface AlarmsProps extends AlarmedParts {
  readonly config: RollcallConfig;
  readonly topics: AlarmTopics;
  readonly dashboardUrl: string;
}

interface AlarmDefinition {
  readonly severity: Severity;
  /** What happens, in a sentence or two; how to look and to mend is in the runbook. */
  readonly meaning: string;
  readonly metric: IMetric;
  /** The alarm goes off above it. */
  readonly threshold: number;
  /** Consecutive periods of the metric. Default: 1. */
  readonly periods?: number;
  /** How many of them have to be above the threshold. Default: all. */
  readonly datapoints?: number;
}

const FIVE_MINUTES = Duration.minutes(5);
const QUARTER = Duration.minutes(15);
const HOUR = Duration.hours(1);
/** The longest period that is looked at every minute. */
const DAY = Duration.days(1);

/** More than can be open at once: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const MANY = 1_000_000;

const HELD: FailureName[] = ['IndexingPaused', 'DailyImageCapReached'];

/** What one photo with a broken set-up takes until it is given up: the first attempt and two more. */
const SETUP_ATTEMPTS = 3;

/**
 * Every alarm, by its name, which is that of its section in the runbook.
 *
 * Expressions are written for gaps: nothing is counted while nothing happens. CloudWatch documents that it takes a missing
 * value for 0 beside one that is there, and not what it makes of a metric that has no value at all; so whatever an alarm
 * needs of a metric that may be missing is filled, and no comparison stands between two metrics.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
 */
function definitions(
  { config, ...parts }: AlarmsProps,
  metrics: PipelineMetrics,
): Record<string, AlarmDefinition> {
  const limits = config.alarmThresholds;
  const calls = metrics.of(metricNames.rekognitionCalls, { period: QUARTER });
  return {
    'rekognition-errors': {
      severity: 'critical',
      meaning: `More than ${limits.rekognitionErrorPercent} % of the IndexFaces calls failed for reasons other than throttling.`,
      metric: new MathExpression({
        expression: `IF(calls >= ${limits.minimumCalls}, 100 * errors / calls, 0)`,
        usingMetrics: {
          calls,
          errors: metrics.of(metricNames.rekognitionErrors, { period: QUARTER }),
        },
        label: 'failed calls, %',
        period: QUARTER,
      }),
      threshold: limits.rekognitionErrorPercent,
    },
    'dead-letters': {
      severity: 'critical',
      meaning:
        'A dead-letter queue has held messages for 15 minutes: photos whose end could not be recorded, or deletions that started no erasure.',
      metric: deadLetters(parts.deadLetterQueues, FIVE_MINUTES),
      threshold: 0,
      periods: 3,
    },
    'dead-letters-many': {
      severity: 'critical',
      meaning: `More than ${limits.deadLetters} messages lie in the dead-letter queues: this is not a single photo.`,
      metric: deadLetters(parts.deadLetterQueues, Duration.minutes(1)),
      threshold: limits.deadLetters,
      // The latest minute may not have been reported yet, and is filled.
      periods: 3,
      datapoints: 1,
    },
    'spend-today': {
      severity: 'critical',
      meaning: `The images and searches billed within the last 24 hours cost more than $${limits.spendTodayUsd} at list prices. Photos go on until the daily cap of ${config.dailyImageCap} images, searches until that of ${config.dailySearchCap}.`,
      metric: metrics.spend(DAY, 'US dollars in 24 hours'),
      threshold: limits.spendTodayUsd,
    },
    'daily-cap-reached': {
      severity: 'critical',
      meaning: `The day's images are used up (${config.dailyImageCap}, or what an operator set). Photos wait and nothing is billed until midnight UTC, or until an operator raises the number.`,
      // An hour, because a waiting photo asks about twice in one.
      metric: metrics.ofValue('FailedAttempts', 'DailyImageCapReached', { period: HOUR }),
      threshold: 0,
    },
    ...(config.dailyImagesPerPhotographer !== undefined && {
      'photographer-cap-reached': {
        severity: 'warning' as const,
        meaning: `A photographer's images of the day are used up (${config.dailyImagesPerPhotographer}). Those photos wait and nothing is billed for them until midnight UTC; everybody else's go on.`,
        metric: metrics.ofValue('FailedAttempts', 'PhotographerCapReached', { period: HOUR }),
        threshold: 0,
      },
    }),
    'setup-failures': {
      severity: 'critical',
      meaning:
        'Photos fail because of the set-up: a missing right, a full quota, a wrong secret. They stay failed until somebody mends it and sends them again.',
      metric: setupFailures(metrics),
      threshold: 0,
      periods: 3,
      datapoints: 1,
    },
    stalled: {
      severity: 'critical',
      meaning:
        'Executions are running, but none has finished for 15 minutes, and neither a pause nor a daily cap holds them.',
      metric: stalled(parts, config, metrics),
      threshold: 0,
      // Three of five minutes and not one of fifteen: a lone photo at the edge of a period is not a stall.
      periods: 3,
    },
    'database-unreachable': {
      severity: 'critical',
      meaning: `For ten minutes more than ${limits.databaseErrorPercent} % of the calls that need Postgres did not reach it. Photos wait for about an hour before they fail.`,
      metric: databaseErrors(parts.databaseClients, metrics),
      threshold: limits.databaseErrorPercent,
      // Waking from zero or a failover is over within one period.
      periods: 2,
    },
    'erasures-stuck': {
      severity: 'critical',
      meaning:
        'Faces that have to be erased are still there: an erasure was put off because Rekognition or the results bucket refused it, or its execution failed.',
      metric: new MathExpression({
        expression: sumOf(['postponed', 'failed']),
        usingMetrics: {
          postponed: metrics.of(metricNames.erasuresPostponed, { period: HOUR }),
          failed: parts.eraseFaces.metricFailed({ period: HOUR, statistic: Stats.SUM }),
        },
        label: 'erasures put off or failed',
        period: HOUR,
      }),
      threshold: 0,
    },
    'disagreements-left': {
      severity: 'critical',
      meaning: `Bucket, database and collections disagree, and nothing mends it by itself: it would cost more than the ${config.reconcileMaxImages} images that a reconciliation may start, several attempts were in vain, or it must never be.`,
      metric: metrics.of(metricNames.disagreementsLeft, { period: DAY, statistic: Stats.MAXIMUM }),
      threshold: 0,
    },
    'disagreements-old': {
      severity: 'critical',
      meaning: `Bucket, database and collections have disagreed about something for more than ${limits.disagreementHours} hours, although reconciliations mend it.`,
      metric: metrics.of(metricNames.disagreementAge, { period: DAY, statistic: Stats.MAXIMUM }),
      threshold: limits.disagreementHours * 3_600,
    },
    'searches-failing': {
      severity: 'critical',
      meaning: `More than ${limits.searchErrorPercent} % of the searches for a person had no answer within 15 minutes: Rekognition, the database or the set-up refused them. Whoever looks for their photos sees an error.`,
      metric: new MathExpression({
        expression: `IF(FILL(failed, 0) >= ${limits.minimumSearches}, 100 * FILL(failed, 0) / (FILL(failed, 0) + FILL(answered, 0)), 0)`,
        usingMetrics: {
          failed: metrics.of(metricNames.searchesFailed, { period: QUARTER }),
          answered: metrics.of(metricNames.searches, { period: QUARTER }),
        },
        label: 'failed searches, %',
        period: QUARTER,
      }),
      threshold: limits.searchErrorPercent,
    },
    'searches-refused': {
      severity: 'warning',
      meaning: `More than ${limits.searchesRefused} searches within an hour were sent away: the quota was full, an event or a caller searched too much, or the day's searches were used up. It may be a rush, or somebody who collects faces.`,
      metric: new MathExpression({
        expression: sumOf(['busy', 'limited', 'capped']),
        usingMetrics: {
          busy: metrics.ofValue('SearchesWithoutPhotos', 'SearchBusy', { period: HOUR }),
          limited: metrics.ofValue('SearchesWithoutPhotos', 'SearchLimitReached', { period: HOUR }),
          capped: metrics.ofValue('SearchesWithoutPhotos', 'DailySearchCapReached', { period: HOUR }),
        },
        label: 'refused searches',
        period: HOUR,
      }),
      threshold: limits.searchesRefused,
    },
    'reconciliation-failed': {
      severity: 'warning',
      meaning:
        'A reconciliation failed, or none ended in a day on which photos came in: what gets lost is not found by itself.',
      metric: reconciliationFailures(parts, metrics),
      threshold: 0,
    },
    'photos-without-faces': {
      severity: 'warning',
      meaning: `More than ${limits.withoutFacesPercent} % of the photos of the last hour have no face: wrong pictures, too small ones, or a quality filter that is too strict.`,
      metric: new MathExpression({
        expression: `IF(indexed >= ${limits.minimumPhotos}, 100 * without / indexed, 0)`,
        usingMetrics: {
          indexed: metrics.of(metricNames.photosIndexed, { period: HOUR }),
          without: metrics.of(metricNames.photosWithoutFaces, { period: HOUR }),
        },
        label: 'photos without faces, %',
        period: HOUR,
      }),
      threshold: limits.withoutFacesPercent,
    },
    'photos-at-fault': {
      severity: 'warning',
      meaning: `More than ${limits.photosAtFault} uploads of the last hour failed because of what they are: empty, too large, not a picture. Rekognition charges nothing for them and no cap counts them, but each costs an execution.`,
      metric: metrics.ofValue('PhotosFailed', 'photo', { period: HOUR }),
      threshold: limits.photosAtFault,
    },
    'photos-failed': {
      severity: 'warning',
      meaning: `More than ${limits.photosFailed} uploads of the last hour failed, for whatever reason.`,
      metric: metrics.of(metricNames.photosFailed, { period: HOUR }),
      threshold: limits.photosFailed,
    },
    'executions-failed': {
      severity: 'warning',
      meaning: `More than ${limits.failedPercent} % of the executions that ended within the last hour failed, for whatever reason: uploads under keys of no event, files that are no pictures, a set-up that never worked.`,
      metric: failedShare(parts.stateMachine, limits.minimumFailed),
      threshold: limits.failedPercent,
    },
    'collection-errors': {
      severity: 'warning',
      meaning: `Creating a collection failed more than ${limits.collectionErrors} times within an hour, throttling apart. The photos of those events wait or fail.`,
      metric: metrics.of(metricNames.collectionErrors, { period: HOUR }),
      threshold: limits.collectionErrors,
    },
    'open-executions': {
      severity: 'warning',
      meaning: `More than ${limits.openExecutions} executions have been open in this account and Region for 15 minutes: more comes in than the quota lets out.`,
      metric: openExecutions(FIVE_MINUTES),
      threshold: limits.openExecutions,
      periods: 3,
    },
    throttles: {
      severity: 'warning',
      meaning: `Rekognition throttled more than ${limits.throttlePercent} % of the IndexFaces calls: the quota is lower than configured, or somebody else uses it. The pace adapts; no photo is lost.`,
      metric: new MathExpression({
        // A single one says nothing.
        expression: `IF(calls >= ${limits.minimumCalls} AND throttles > 1, 100 * throttles / calls, 0)`,
        usingMetrics: { calls, throttles: metrics.of(metricNames.throttles, { period: QUARTER }) },
        label: 'throttled calls, %',
        period: QUARTER,
      }),
      threshold: limits.throttlePercent,
    },
    'function-throttles': {
      severity: 'warning',
      meaning: `Lambda refused more than ${limits.functionThrottles} calls of the pipeline's functions within 15 minutes: as many run as the account may run at once. They are tried again for hours; no photo is lost.`,
      metric: functionThrottles(Object.values(parts.functions)),
      threshold: limits.functionThrottles,
    },
    'quota-changed': {
      severity: 'warning',
      meaning:
        'Service Quotas says another number of IndexFaces calls a second than before. The pace follows it, unless indexFacesPerSecond is configured.',
      metric: metrics.of(metricNames.quotaChanges, { period: HOUR }),
      threshold: 0,
    },
    'processing-time': {
      severity: 'warning',
      meaning: `5 % of photos took longer than ${limits.processingSeconds} s to be stored, counted from the start of their execution, waiting in line included.`,
      metric: metrics.of(metricNames.processingTime, { period: QUARTER, statistic: Stats.p(95) }),
      threshold: limits.processingSeconds * 1_000,
    },
    ...(parts.api && apiAlarms(parts.api, limits)),
  };
}

function apiAlarms(api: IHttpApi, limits: AlarmThresholds): Record<string, AlarmDefinition> {
  return {
    'api-errors': {
      severity: 'warning',
      meaning: `For ten minutes more than ${limits.apiErrorPercent} % of the API's answers were errors of its own (5xx): galleries show nothing new. Photos are indexed all the same.`,
      metric: new MathExpression({
        expression: `IF(requests >= ${limits.minimumRequests}, 100 * errors / requests, 0)`,
        usingMetrics: {
          requests: api.metricCount({ period: FIVE_MINUTES, statistic: Stats.SUM }),
          errors: api.metricServerError({ period: FIVE_MINUTES, statistic: Stats.SUM }),
        },
        label: 'failed answers, %',
        period: FIVE_MINUTES,
      }),
      threshold: limits.apiErrorPercent,
      // Waking the database from zero is over within one period.
      periods: 2,
    },
    'api-latency': {
      severity: 'warning',
      meaning: `For half an hour one in twenty answers of the API took longer than ${limits.apiMilliseconds} ms.`,
      metric: new MathExpression({
        expression: `IF(requests >= ${limits.minimumRequests}, latency, 0)`,
        usingMetrics: {
          requests: api.metricCount({ period: QUARTER, statistic: Stats.SUM }),
          latency: api.metricLatency({ period: QUARTER, statistic: Stats.p(95) }),
        },
        label: 'milliseconds, p95',
        period: QUARTER,
      }),
      threshold: limits.apiMilliseconds,
      periods: 2,
    },
  };
}

/** The sum of metrics of which some may be missing. */
function sumOf(ids: readonly string[]): string {
  return ids.map((id) => `FILL(${id}, 0)`).join(' + ');
}

/** The queues' messages, all together. */
function deadLetters(queues: readonly IQueue[], period: Duration): IMetric {
  const usingMetrics = Object.fromEntries(
    queues.map((queue, index) => [
      `queue${index}`,
      queue.metricApproximateNumberOfMessagesVisible({ period, statistic: Stats.MAXIMUM }),
    ]),
  );
  return new MathExpression({
    expression: sumOf(Object.keys(usingMetrics)),
    usingMetrics,
    label: 'messages',
    period,
  });
}

/**
 * Photos that were marked failed for the set-up, and attempts that say that one will be: where the database is what is
 * set up wrong, no photo can be marked.
 */
function setupFailures(metrics: PipelineMetrics): IMetric {
  const names = Object.entries(failureKinds).flatMap(([name, kind]) =>
    kind.class === 'setup' ? [name] : [],
  );
  const attempts = names.map((_, index) => `attempts${index}`);
  return new MathExpression({
    expression: `FILL(photos, 0) + IF(${sumOf(attempts)} >= ${SETUP_ATTEMPTS}, 1, 0)`,
    usingMetrics: {
      photos: metrics.ofValue('PhotosFailed', 'setup', { period: FIVE_MINUTES }),
      ...Object.fromEntries(
        names.map((name, index) => [
          attempts[index],
          metrics.ofValue('FailedAttempts', name, { period: FIVE_MINUTES }),
        ]),
      ),
    },
    label: 'set-up failures',
    period: FIVE_MINUTES,
  });
}

/**
 * The calls of functions where nothing ended; below zero where something did. Calls, because they are this state machine's own, while open
 * executions are known only for the whole account: an open execution calls a function every few minutes, if only to be
 * told to wait.
 */
function stalled(
  { functions, stateMachine }: AlarmedParts,
  config: RollcallConfig,
  metrics: PipelineMetrics,
): IMetric {
  const options = { period: FIVE_MINUTES, statistic: Stats.SUM };
  const called = Object.entries(functions).map(
    ([state, fn]) => [`called${state}`, fn.metricInvocations(options)] as const,
  );
  const ended = [
    ['succeeded', stateMachine.metricSucceeded(options)],
    ['failed', stateMachine.metricFailed(options)],
  ] as const;
  const held = HELD.map((name) => [`held${name}`, metrics.ofValue('FailedAttempts', name, options)] as const);
  // Each of them is one of the calls; a photographer at the cap must not hide that nobody else's photos end.
  const capped =
    config.dailyImagesPerPhotographer === undefined
      ? []
      : [['capped', metrics.ofValue('FailedAttempts', 'PhotographerCapReached', options)] as const];
  const sum = (metrics: readonly (readonly [string, IMetric])[]) => sumOf(metrics.map(([id]) => id));
  return new MathExpression({
    // Arithmetic alone: a comparison with what has no value may have none either, and then the alarm would never go off.
    expression: `${sum(called)}${capped.map(([id]) => ` - FILL(${id}, 0)`).join('')} - ${MANY} * (${sum([...ended, ...held])})`,
    usingMetrics: Object.fromEntries([...called, ...capped, ...ended, ...held]),
    label: 'calls without an end',
    period: FIVE_MINUTES,
  });
}

/** In percent of what ended; what an operator stopped is neither. */
function failedShare(stateMachine: IStateMachine, minimum: number): IMetric {
  const options = { period: HOUR, statistic: Stats.SUM };
  const failed = sumOf(['failed', 'timedOut']);
  return new MathExpression({
    expression: `IF(${failed} >= ${minimum}, 100 * (${failed}) / (${failed} + FILL(succeeded, 0)), 0)`,
    usingMetrics: {
      failed: stateMachine.metricFailed(options),
      timedOut: stateMachine.metricTimedOut(options),
      succeeded: stateMachine.metricSucceeded(options),
    },
    label: 'failed executions, %',
    period: HOUR,
  });
}

/** Above 0 where a run failed, or executions of photos were started and not a single run ended. */
function reconciliationFailures(
  { reconcile, stateMachine }: AlarmedParts,
  metrics: PipelineMetrics,
): IMetric {
  const options = { period: DAY, statistic: Stats.SUM };
  return new MathExpression({
    // Arithmetic alone, as for `stalled`; and many ends do not hide one failure.
    expression: `${MANY * MANY} * (${sumOf(['failed', 'timedOut'])}) + FILL(photos, 0) - ${MANY} * FILL(ended, 0)`,
    usingMetrics: {
      failed: reconcile.metricFailed(options),
      timedOut: reconcile.metricTimedOut(options),
      photos: stateMachine.metricStarted(options),
      ended: metrics.of(metricNames.reconciliations, options),
    },
    label: 'failed or missing reconciliations',
    period: DAY,
  });
}

function functionThrottles(functions: readonly PipelineFunction[]): IMetric {
  const usingMetrics = Object.fromEntries(
    functions.map((fn, index) => [
      `throttles${index}`,
      fn.metricThrottles({ period: QUARTER, statistic: Stats.SUM }),
    ]),
  );
  return new MathExpression({
    expression: sumOf(Object.keys(usingMetrics)),
    usingMetrics,
    label: 'refused calls',
    period: QUARTER,
  });
}

function databaseErrors(clients: readonly PipelineFunction[], metrics: PipelineMetrics): IMetric {
  const calls = Object.fromEntries(
    clients.map((fn, index) => [
      `calls${index}`,
      fn.metricInvocations({ period: FIVE_MINUTES, statistic: Stats.SUM }),
    ]),
  );
  return new MathExpression({
    expression: `100 * errors / (${sumOf(Object.keys(calls))})`,
    usingMetrics: {
      errors: metrics.ofValue('FailedAttempts', 'DatabaseUnavailable', { period: FIVE_MINUTES }),
      ...calls,
    },
    label: 'failed calls, %',
    period: FIVE_MINUTES,
  });
}

/** Tells people when something is wrong, what, and where to read on. */
export class Alarms extends Construct {
  /** By severity, in the order of their definition. */
  readonly bySeverity: Readonly<Record<Severity, readonly Alarm[]>>;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const { config, topics, dashboardUrl } = props;
    const bySeverity: Record<Severity, Alarm[]> = { critical: [], warning: [] };
    for (const [name, definition] of Object.entries(definitions(props, new PipelineMetrics(this)))) {
      const alarm = new Alarm(this, name, {
        alarmName: `${deploymentName(this)}-${name}`,
        alarmDescription: `${definition.meaning} Runbook: ${config.runbookUrl}#${name} Dashboard: ${dashboardUrl}`,
        metric: definition.metric,
        threshold: definition.threshold,
        comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluationPeriods: definition.periods ?? 1,
        datapointsToAlarm: definition.datapoints ?? definition.periods ?? 1,
        // All of them count what goes wrong or how much is at work. Without photos there is nothing of either, and that is
        // most of the time: silence is never the trouble itself. Where it could be one (work, but no end of it), the
        // expression makes a value of it.
        treatMissingData: TreatMissingData.NOT_BREACHING,
      });
      const action = new SnsAction(topics[definition.severity]);
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
      bySeverity[definition.severity].push(alarm);
    }
    this.bySeverity = bySeverity;
  }
}
