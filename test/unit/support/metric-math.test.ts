import {
  type AlarmProperties,
  evaluateAlarm,
  evaluateExpression,
  readings,
  type Sample,
} from '../../support/metric-math.ts';

const _ = undefined;

/** The examples of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html */
describe('metric math, as documented', () => {
  const metrics = { metric1: [30, 20, 0, 0], metric2: [20, _, 20, _] };

  test.each([
    ['(metric1 < metric2)', [0, 0, 1, 0]],
    ['(metric1 >= 30)', [1, 0, 0, 0]],
    ['(metric1 > 15 AND metric2 > 15)', [1, 0, 0, 0]],
    ['5 * metric1', [150, 100, 0, 0]],
    ['metric1 - metric2', [10, 20, -20, 0]],
    ['100 / metric1', [100 / 30, 5, _, _]],
  ])('%s', (expression, result) => {
    expect(evaluateExpression(expression, metrics)).toEqual(result);
  });

  test.each([
    ['IF(metric1, metric2, metric3)', [30, 0, 20, _, _]],
    ['IF(metric1, 5, metric3)', [5, 5, 20, _, _]],
    ['IF(metric1, metric2, 5)', [30, 0, 5, 5, _]],
  ])('%s', (expression, result) => {
    const series = { metric1: [1, 1, 0, 0, _], metric2: [30, _, 0, 0, 30], metric3: [0, 0, 20, _, 20] };
    expect(evaluateExpression(expression, series)).toEqual(result);
  });

  test('binds as arithmetic does, and says what it does not know', () => {
    expect(evaluateExpression('1 + 2 * 3 - -4 / 2', {})).toBe(9);
    expect(evaluateExpression('a + b > 3 OR a == 0', { a: [1, 0, _], b: [2, 2, _] })).toEqual([0, 1, _]);
    for (const wrong of ['a', '1 +', 'IF(1, 2)', '1 ^ 2', 'FILL(a, 0)', 'FILL(1, 0)', 'FILL(b, c)', '1 2']) {
      expect(() => evaluateExpression(wrong, { b: [1], c: [1] })).toThrow();
    }
  });
});

test.each([
  ['a + b', [3, 1, _], [3, _, _], [3, 1, _]],
  ['a > b', [0, 1, _], [0, _, _], [0, _, _]],
  ['FILL(a, 0) + FILL(b, 0)', [3, 1, 0], [3, 1, 0], [3, 1, 0]],
  ['FILL(a, 0) - 9 * FILL(none, 0)', [1, 1, 0], [1, 1, 0], [1, 1, 0]],
  ['FILL(none, 7)', [7, 7, 7], [7, 7, 7], [_, _, _]],
])('%s, by each reading of missing data', (expression, documented, strict, empty) => {
  const series = { a: [1, 1, _], b: [2, _, _], none: [_, _, _] };
  expect(evaluateExpression(expression, series, readings.documented)).toEqual(documented);
  expect(evaluateExpression(expression, series, readings.strict)).toEqual(strict);
  expect(evaluateExpression(expression, series, readings.empty)).toEqual(empty);
});

/** The tables of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html */
describe('missing data, as documented', () => {
  const alarm: AlarmProperties = {
    Namespace: 'N',
    MetricName: 'M',
    Dimensions: [],
    Statistic: 'Sum',
    Period: 60,
    Threshold: 0,
    ComparisonOperator: 'GreaterThanThreshold',
    EvaluationPeriods: 3,
  };
  const now = Date.parse('2026-05-01T10:00:00Z');
  /** `X` breaches, `0` does not, `-` is missing. */
  const samples = (points: string): Sample[] =>
    [...points].flatMap((point, index) =>
      point === '-'
        ? []
        : [
            {
              namespace: 'N',
              name: 'M',
              dimensions: {},
              atMs: now - (points.length - index) * 60_000 + 1_000,
              value: point === 'X' ? 1 : 0,
            },
          ],
    );

  test.each([
    ['0-X-X', 'OK', 'OK'],
    ['0----', 'OK', 'OK'],
    ['-----', 'ALARM', 'OK'],
    ['0XX-X', 'ALARM', 'ALARM'],
    ['----X', 'ALARM', 'OK'],
    ['X----', 'ALARM', 'OK'],
  ])('%s: breaching is %s, notBreaching is %s', (points, breaching, notBreaching) => {
    expect(evaluateAlarm({ ...alarm, TreatMissingData: 'breaching' }, samples(points), now)).toBe(breaching);
    expect(evaluateAlarm({ ...alarm, TreatMissingData: 'notBreaching' }, samples(points), now)).toBe(
      notBreaching,
    );
  });
});
