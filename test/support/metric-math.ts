/**
 * As much of CloudWatch as an alarm needs: statistics of samples by period, the metric math that the alarms use, and the
 * evaluation of an alarm, missing data and all. What it does not know it refuses.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */

/** One value that was sent, or that an AWS service would send. */
export interface Sample {
  namespace: string;
  name: string;
  dimensions: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  atMs: number;
  value: number;
}

/** A time series: one value, or none, for each period, the oldest first. */
export type Series = (number | undefined)[];
type Value = number | Series;

/** An alarm as CloudFormation has it, with every expression resolved to text. */
export interface AlarmProperties {
  Namespace?: string;
  MetricName?: string;
  Dimensions?: Dimension[];
  Statistic?: string;
  ExtendedStatistic?: string;
  Period?: number;
  Metrics?: MetricQuery[];
  Threshold: number;
  ComparisonOperator: string;
  EvaluationPeriods: number;
  DatapointsToAlarm?: number;
  TreatMissingData?: string;
}

export interface Dimension {
  Name: string;
  Value: string;
}

export interface MetricQuery {
  Id: string;
  Expression?: string;
  MetricStat?: {
    Metric: { Namespace: string; MetricName: string; Dimensions?: Dimension[] };
    Period: number;
    Stat: string;
  };
  ReturnData?: boolean;
}

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/**
 * What happens where a data point is missing. The documentation says that a missing one beside a value is 0, in arithmetic
 * and in comparisons; what becomes of a series without any data point it does not say. An alarm has to work whichever
 * way it is read.
 */
export interface Reading {
  /** Whether a missing operand of `+ - * /` counts as 0 beside a value; else the result is missing too. */
  arithmeticFills: boolean;
  /** The same for comparisons, AND and OR. */
  comparisonFills: boolean;
  /** Whether FILL makes data points of a series that has none at all. */
  fillsEmpty: boolean;
}

export const readings: Readonly<Record<'documented' | 'strict' | 'empty', Reading>> = {
  documented: { arithmeticFills: true, comparisonFills: true, fillsEmpty: true },
  strict: { arithmeticFills: false, comparisonFills: false, fillsEmpty: true },
  empty: { arithmeticFills: true, comparisonFills: false, fillsEmpty: false },
};

/** CloudWatch looks at some periods more than the alarm asks for; the exact number is its own. */
const MORE_PERIODS = 2;

/** The state of an alarm at a moment, if these are all the samples there ever were. */
export function evaluateAlarm(
  alarm: AlarmProperties,
  samples: readonly Sample[],
  nowMs: number,
  reading: Reading = readings.documented,
): AlarmState {
  const queries: MetricQuery[] = alarm.Metrics ?? [
    {
      Id: 'metric',
      MetricStat: {
        Metric: {
          Namespace: alarm.Namespace!,
          MetricName: alarm.MetricName!,
          Dimensions: alarm.Dimensions ?? [],
        },
        Period: alarm.Period!,
        Stat: alarm.Statistic ?? alarm.ExtendedStatistic!,
      },
      ReturnData: true,
    },
  ];
  const periods = alarm.EvaluationPeriods + MORE_PERIODS;
  const stats = queries.filter(({ MetricStat }) => MetricStat);
  if (new Set(stats.map(({ MetricStat }) => MetricStat!.Period)).size !== 1 || stats.length > 10) {
    throw new Error('An alarm takes at most ten metrics, of one period');
  }
  const series: Record<string, Series> = Object.fromEntries(
    stats.map(({ Id, MetricStat }) => [Id, statistic(MetricStat!, samples, nowMs, periods)]),
  );
  const returned = queries.filter(({ ReturnData }) => ReturnData !== false);
  if (returned.length !== 1) {
    throw new Error('An alarm watches one time series');
  }
  const [{ Id, Expression }] = returned as [MetricQuery];
  const watched = Expression === undefined ? series[Id]! : evaluateExpression(Expression, series, reading);
  if (typeof watched === 'number') {
    throw new Error(`${Expression} is no time series`);
  }
  return stateOf(alarm, watched);
}

function stateOf(alarm: AlarmProperties, series: Series): AlarmState {
  const compare = comparisons[alarm.ComparisonOperator];
  if (!compare) {
    throw new Error(`Unknown comparison ${alarm.ComparisonOperator}`);
  }
  const { EvaluationPeriods: periods, DatapointsToAlarm: needed = periods } = alarm;
  const known = series.filter((value) => value !== undefined);
  const breaching = known.slice(-periods).filter((value) => compare(value, alarm.Threshold)).length;
  const missing = Math.max(0, periods - known.length);
  switch (alarm.TreatMissingData) {
    case 'notBreaching':
      return breaching >= needed ? 'ALARM' : 'OK';
    case 'breaching':
      return breaching + missing >= needed ? 'ALARM' : 'OK';
    default:
      return known.length === 0 ? 'INSUFFICIENT_DATA' : breaching >= needed ? 'ALARM' : 'OK';
  }
}

const comparisons: Record<string, (value: number, threshold: number) => boolean> = {
  GreaterThanThreshold: (value, threshold) => value > threshold,
  GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
  LessThanThreshold: (value, threshold) => value < threshold,
  LessThanOrEqualToThreshold: (value, threshold) => value <= threshold,
};

/** A metric by period, ending now. Only samples with exactly these dimensions are of the metric. */
function statistic(
  { Metric, Period, Stat }: NonNullable<MetricQuery['MetricStat']>,
  samples: readonly Sample[],
  nowMs: number,
  periods: number,
): Series {
  const wanted = identity(
    Metric.Namespace,
    Metric.MetricName,
    Object.fromEntries((Metric.Dimensions ?? []).map(({ Name, Value }) => [Name, Value])),
  );
  const buckets: number[][] = Array.from({ length: periods }, () => []);
  for (const { atMs, value } of byMetric(samples).get(wanted) ?? []) {
    const age = Math.floor((nowMs - atMs) / (Period * 1_000));
    if (age >= 0 && age < periods) {
      buckets[periods - 1 - age]!.push(value);
    }
  }
  return buckets.map((values) => (values.length === 0 ? undefined : aggregate(Stat, values)));
}

/** An alarm after the other looks through the same thousands of samples. */
const sorted = new WeakMap<readonly Sample[], ReadonlyMap<string, Sample[]>>();

function byMetric(samples: readonly Sample[]): ReadonlyMap<string, Sample[]> {
  const known = sorted.get(samples);
  if (known) {
    return known;
  }
  const made = Map.groupBy(samples, ({ namespace, name, dimensions }) =>
    identity(namespace, name, dimensions),
  );
  sorted.set(samples, made);
  return made;
}

/** What tells one metric from another. */
export function identity(
  namespace: string,
  name: string,
  dimensions: Readonly<Record<string, string>>,
): string {
  const pairs = Object.entries(dimensions).map(([dimension, value]) => `${dimension}=${value}`);
  return `${namespace} ${name} ${pairs.sort().join(' ')}`;
}

function aggregate(stat: string, values: readonly number[]): number {
  const percentile = /^p(\d+(?:\.\d+)?)$/.exec(stat)?.[1];
  if (percentile !== undefined) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil((Number(percentile) / 100) * sorted.length) - 1)]!;
  }
  switch (stat) {
    case 'Sum':
      return values.reduce((sum, value) => sum + value, 0);
    case 'Maximum':
      return Math.max(...values);
    default:
      throw new Error(`Unknown statistic ${stat}`);
  }
}

/**
 * Evaluates metric math: arithmetic, comparisons, AND, OR, IF, FILL.
 *
 * Where both operands are missing there is nothing; where one is, the reading decides. A division by zero drops the point.
 */
export function evaluateExpression(
  expression: string,
  series: Readonly<Record<string, Series>>,
  reading: Reading = readings.documented,
): Value {
  const tokens = expression.match(/\d+(?:\.\d+)?|[A-Za-z_]\w*|[<>=!]=|&&|\|\||[-+*/()<>,]|\S/g) ?? [];
  let next = 0;
  const peek = () => tokens[next];
  const take = (expected?: string) => {
    const token = tokens[next++];
    if (token === undefined || (expected !== undefined && token !== expected)) {
      throw new Error(`${expression}: expected ${expected ?? 'more'}, found ${token ?? 'the end'}`);
    }
    return token;
  };

  function binary(
    operators: Record<string, (a: number, b: number) => number | undefined>,
    operand: () => Value,
    fills: boolean,
  ) {
    return (): Value => {
      let left = operand();
      for (let operator = operators[peek() ?? '']; operator; operator = operators[peek() ?? '']) {
        take();
        left = combine(left, operand(), operator, fills);
      }
      return left;
    };
  }

  function primary(): Value {
    const token = take();
    if (token === '(') {
      const value = or();
      take(')');
      return value;
    }
    if (token === '-') {
      return combine(0, primary(), (a, b) => a - b, reading.arithmeticFills);
    }
    if (/^\d/.test(token)) {
      return Number(token);
    }
    if (token === 'IF') {
      take('(');
      const condition = or();
      take(',');
      const whenTrue = or();
      take(',');
      const whenFalse = or();
      take(')');
      return choose(condition, whenTrue, whenFalse);
    }
    if (token === 'FILL') {
      take('(');
      const filled = or();
      take(',');
      const by = or();
      take(')');
      if (typeof filled === 'number' || typeof by !== 'number') {
        throw new Error(`${expression}: FILL is known here with a series and a number`);
      }
      const isEmpty = filled.every((value) => value === undefined);
      return isEmpty && !reading.fillsEmpty ? filled : filled.map((value) => value ?? by);
    }
    const found = series[token];
    if (!found) {
      throw new Error(`${expression}: there is no metric ${token}`);
    }
    return found;
  }

  const { arithmeticFills, comparisonFills } = reading;
  const product = binary(
    { '*': (a, b) => a * b, '/': (a, b) => (b === 0 ? undefined : a / b) },
    primary,
    arithmeticFills,
  );
  const sum = binary({ '+': (a, b) => a + b, '-': (a, b) => a - b }, product, arithmeticFills);
  const comparison = binary(
    {
      '>': (a, b) => Number(a > b),
      '>=': (a, b) => Number(a >= b),
      '<': (a, b) => Number(a < b),
      '<=': (a, b) => Number(a <= b),
      '==': (a, b) => Number(a === b),
      '!=': (a, b) => Number(a !== b),
    },
    sum,
    comparisonFills,
  );
  const and = binary(
    { AND: (a, b) => Number(a !== 0 && b !== 0), '&&': (a, b) => Number(a !== 0 && b !== 0) },
    comparison,
    comparisonFills,
  );
  const or = binary(
    { OR: (a, b) => Number(a !== 0 || b !== 0), '||': (a, b) => Number(a !== 0 || b !== 0) },
    and,
    comparisonFills,
  );

  const value = or();
  if (next < tokens.length) {
    throw new Error(`${expression}: did not understand ${tokens.slice(next).join(' ')}`);
  }
  return value;
}

function combine(
  left: Value,
  right: Value,
  operator: (a: number, b: number) => number | undefined,
  fills: boolean,
): Value {
  if (typeof left === 'number' && typeof right === 'number') {
    const value = operator(left, right);
    if (value === undefined) {
      throw new Error('A number is divided by zero');
    }
    return value;
  }
  const length = typeof left === 'number' ? (right as Series).length : left.length;
  return Array.from({ length }, (_, index) => {
    const a = typeof left === 'number' ? left : left[index];
    const b = typeof right === 'number' ? right : right[index];
    const series = [left, right].flatMap((side, i) => (typeof side === 'number' ? [] : [[a, b][i]]));
    const present = fills
      ? series.some((value) => value !== undefined)
      : series.every((value) => value !== undefined);
    return present ? operator(a ?? 0, b ?? 0) : undefined;
  });
}

function choose(condition: Value, whenTrue: Value, whenFalse: Value): Value {
  if (typeof condition === 'number') {
    return condition === 0 ? whenFalse : whenTrue;
  }
  return condition.map((truth, index) => {
    if (truth === undefined) {
      return undefined;
    }
    const chosen = truth === 0 ? whenFalse : whenTrue;
    const value = typeof chosen === 'number' ? chosen : chosen[index];
    // What is chosen and missing is 0 when the condition is true, and nothing when it is false.
    return truth === 0 ? value : (value ?? 0);
  });
}
