import { jest } from '@jest/globals';
import { parseSchedule, scheduledEvent, startClock } from '../../local/schedules.ts';

afterEach(() => {
  jest.useRealTimers();
});

const next = (expression: string, after: string) =>
  new Date(parseSchedule(expression).next(Date.parse(after))).toISOString();

test.each([
  ['rate(5 minutes)', '2026-05-01T10:00:30Z', '2026-05-01T10:05:30.000Z'],
  ['rate(1 hour)', '2026-05-01T10:00:00Z', '2026-05-01T11:00:00.000Z'],
  ['rate(2 days)', '2026-05-01T10:00:00Z', '2026-05-03T10:00:00.000Z'],
  ['cron(30 3 * * ? *)', '2026-05-01T03:30:00Z', '2026-05-02T03:30:00.000Z'],
  ['cron(30 3 * * ? *)', '2026-05-01T03:29:59Z', '2026-05-01T03:30:00.000Z'],
  ['cron(15 * * * ? *)', '2026-12-31T23:20:00Z', '2027-01-01T00:15:00.000Z'],
  ['cron(0/20 9-17 ? * MON-FRI *)', '2026-05-01T17:41:00Z', '2026-05-04T09:00:00.000Z'],
  ['cron(0 12 1 JAN,JUL ? 2027)', '2026-05-01T00:00:00Z', '2027-01-01T12:00:00.000Z'],
  ['cron(0 0 29 2 ? *)', '2026-05-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
])('%s is due after %s at %s', (expression, after, due) => {
  expect(next(expression, after)).toBe(due);
});

test('what never comes is never due', () => {
  expect(parseSchedule('cron(0 0 30 2 ? *)').next(0)).toBe(Number.POSITIVE_INFINITY);
});

test.each([
  'rate(5 weeks)',
  'cron(0 0 L * ? *)',
  'cron(0 0 ? * 6#3 *)',
  'cron(61 0 * * ? *)',
  'cron(* *)',
  '',
])('%j is not understood', (expression) => {
  expect(() => parseSchedule(expression)).toThrow(
    expect.objectContaining({ name: 'UnsupportedTemplateError' }),
  );
});

test('an event of a schedule has the form and the whole seconds of EventBridge', () => {
  expect(scheduledEvent('R', new Date('2026-05-01T10:00:00.500Z'))).toMatchObject({
    source: 'aws.events',
    'detail-type': 'Scheduled Event',
    time: '2026-05-01T10:00:00Z',
    resources: [expect.stringMatching(/:rule\/R$/)],
  });
});

test('a clock that runs a hundred thousand times as fast sets rules off by their own times, until it is stopped', () => {
  jest.useFakeTimers({ now: Date.parse('2026-05-01T10:00:00Z') });
  const fired: [string, number][] = [];
  const clock = startClock(
    [
      { name: 'often', expression: 'rate(1 hour)' },
      { name: 'daily', expression: 'cron(30 3 * * ? *)' },
    ],
    (rule, at) => fired.push([rule, at.getTime()]),
    { scale: 0.00001 },
  );
  jest.advanceTimersByTime(1_500);
  clock.stop();
  const of = (name: string) => fired.filter(([rule]) => rule === name).map(([, at]) => at);
  expect(of('often')).toHaveLength(Math.floor(1_500 / 36));
  expect(of('daily')).toHaveLength(2);
  for (const [index, at] of of('often').entries()) {
    expect(at - of('often')[0]!).toBe(index * 3_600_000);
  }
  for (const at of of('daily')) {
    expect(new Date(at).toISOString()).toMatch(/T03:30:00\.000Z$/);
  }
  const count = fired.length;
  jest.advanceTimersByTime(200);
  expect(fired).toHaveLength(count);
});
