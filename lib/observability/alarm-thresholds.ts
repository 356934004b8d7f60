/**
 * When the alarms go off. Each has a section in the runbook by its name, `docs/runbook.md#alarms`.
 *
 * Set single ones in `cdk.json`, `"rollcall": { "alarmThresholds": { "spendTodayUsd": 250 } }`, or on the command line,
 * `-c rollcall.alarmThresholds=spendTodayUsd=250,openExecutions=5000`.
 */
export interface AlarmThresholds {
  /** `rekognition-errors`: failed IndexFaces calls, throttles apart, in percent of all within 15 minutes. Default: 10. */
  readonly rekognitionErrorPercent: number;
  /**
   * Calls within 15 minutes below which a share of them says nothing, for `rekognition-errors` and `throttles`.
   *
   * Default: 50; one broken photo at night is not a reason to wake somebody.
   */
  readonly minimumCalls: number;
  /** `dead-letters-many`: messages in one dead-letter queue at once. Default: 100. */
  readonly deadLetters: number;
  /** `spend-today`: US dollars within 24 hours, at list prices. Default: 100, about 87,000 photos. */
  readonly spendTodayUsd: number;
  /** `database-unreachable`: failed database calls for want of a database, in percent, for ten minutes. Default: 90. */
  readonly databaseErrorPercent: number;
  /** `photos-without-faces`: in percent of the photos indexed within an hour. Default: 50. */
  readonly withoutFacesPercent: number;
  /** Photos within an hour below which `photos-without-faces` says nothing. Default: 50. */
  readonly minimumPhotos: number;
  /** `photos-at-fault`: uploads within an hour that failed because of what they are. Default: 1,000. */
  readonly photosAtFault: number;
  /** `photos-failed`: uploads within an hour that failed, for whatever reason. Default: 2,000. */
  readonly photosFailed: number;
  /** `executions-failed`: executions that failed, in percent of all that ended within an hour. Default: 20. */
  readonly failedPercent: number;
  /**
   * Failed executions within an hour below which their share says nothing.
   *
   * Default: 3, so that the first uploads of a new integration are noticed, and one broken photo is not.
   */
  readonly minimumFailed: number;
  /** `collection-errors`: collections that could not be created within an hour. Default: 5. */
  readonly collectionErrors: number;
  /**
   * `open-executions`: executions open in the account and Region, for 15 minutes.
   *
   * Default: 1,000, which 50 calls a second work off in 20 s and 5 a second in three minutes.
   */
  readonly openExecutions: number;
  /** `searches-failing`: searches without any answer, in percent of all within 15 minutes. Default: 10. */
  readonly searchErrorPercent: number;
  /** Failed searches within 15 minutes below which their share says nothing. Default: 5. */
  readonly minimumSearches: number;
  /** `searches-refused`: searches within an hour that were sent away. Default: 100. */
  readonly searchesRefused: number;
  /** `throttles`: throttled IndexFaces calls in percent of all within 15 minutes. Default: 1. */
  readonly throttlePercent: number;
  /** `function-throttles`: calls of the pipeline's functions that Lambda refused within 15 minutes. Default: 100. */
  readonly functionThrottles: number;
  /**
   * `processing-time`: seconds from the start of a photo's execution to its rows, for 95 of 100, for 15 minutes.
   *
   * Default: 900. A burst takes its size divided by the quota: 45,000 photos at 50 a second, 4,500 at 5.
   */
  readonly processingSeconds: number;
  /**
   * `disagreements-old`: hours since the reconciliation first saw something that bucket, database and collections still
   * disagree about. Default: 24.
   */
  readonly disagreementHours: number;
  /** `api-errors`: answers of the API that are errors of its own, in percent of all, for ten minutes. Default: 10. */
  readonly apiErrorPercent: number;
  /** `api-latency`: milliseconds that one in twenty answers of the API takes longer than, for half an hour. Default: 2,000. */
  readonly apiMilliseconds: number;
  /**
   * Requests of the API within a period (five minutes, a quarter of an hour) below which neither says anything.
   *
   * Default: 50; a single one that wakes the database takes as long as that does.
   */
  readonly minimumRequests: number;
}

export const defaultAlarmThresholds: AlarmThresholds = {
  rekognitionErrorPercent: 10,
  minimumCalls: 50,
  deadLetters: 100,
  spendTodayUsd: 100,
  databaseErrorPercent: 90,
  withoutFacesPercent: 50,
  minimumPhotos: 50,
  photosAtFault: 1_000,
  photosFailed: 2_000,
  failedPercent: 20,
  minimumFailed: 3,
  collectionErrors: 5,
  openExecutions: 1_000,
  searchErrorPercent: 10,
  minimumSearches: 5,
  searchesRefused: 100,
  throttlePercent: 1,
  functionThrottles: 100,
  processingSeconds: 900,
  disagreementHours: 24,
  apiErrorPercent: 10,
  apiMilliseconds: 2_000,
  minimumRequests: 50,
};

export const allowedAlarmThresholds = `an object of positive numbers (on the command line: name=number,name=number), of ${Object.keys(defaultAlarmThresholds).join(', ')}`;

/** Completes what was given with the defaults; undefined when it holds something else than these names and positive numbers. */
export function parseAlarmThresholds(value: unknown): AlarmThresholds | undefined {
  const given =
    typeof value === 'string'
      ? Object.fromEntries(value.split(',').map((pair) => pair.split(/=(.*)/s, 2)))
      : value;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return undefined;
  }
  const numbers = Object.entries(given as Record<string, unknown>).map(([name, number]) => [
    name,
    typeof number === 'string' && number.trim() !== '' ? Number(number) : number,
  ]);
  const fits = numbers.every(
    ([name, number]) =>
      Object.hasOwn(defaultAlarmThresholds, name as string) &&
      typeof number === 'number' &&
      Number.isFinite(number) &&
      number > 0,
  );
  return fits ? { ...defaultAlarmThresholds, ...Object.fromEntries(numbers) } : undefined;
}
