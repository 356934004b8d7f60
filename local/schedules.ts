import { randomUUID } from 'node:crypto';
import { type BusEvent, ruleArn } from './event-router.ts';
import { LocalError } from './local-error.ts';
import { ACCOUNT, REGION } from './template.ts';

/** When a rule of a schedule is due. */
export interface Schedule {
  /** The first moment after this one at which it is due, milliseconds since the epoch. */
  next(afterMs: number): number;
}

const MINUTE_MS = 60_000;
const UNITS: Record<string, number> = { minute: MINUTE_MS, hour: 60 * MINUTE_MS, day: 24 * 60 * MINUTE_MS };

/** A cron expression that is due at no minute of four years never is. */
const MINUTES_SEARCHED = 4 * 366 * 24 * 60;

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/**
 * `rate(5 minutes)` or `cron(30 3 * * ? *)`, in UTC.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
 *
 * @throws LocalError `UnsupportedTemplateError` for what it does not understand (`L`, `W`, `#`)
 */
export function parseSchedule(expression: string): Schedule {
  const [, amount, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  if (amount && unit) {
    const everyMs = Number(amount) * UNITS[unit]!;
    return { next: (afterMs) => afterMs + everyMs };
  }
  const fields = /^cron\((.+)\)$/.exec(expression)?.[1]?.split(' ') ?? [];
  if (fields.length !== 6) {
    throw unsupported(expression);
  }
  const [minutes, hours, days, months, weekdays, years] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const field = (text: string, from: number, to: number, names: readonly string[] = []) =>
    parseField(text, { from, to, names }, expression);
  const isDue = [
    [field(minutes, 0, 59), (date: Date) => date.getUTCMinutes()],
    [field(hours, 0, 23), (date: Date) => date.getUTCHours()],
    [field(days, 1, 31), (date: Date) => date.getUTCDate()],
    [field(months, 1, 12, ['', ...MONTHS]), (date: Date) => date.getUTCMonth() + 1],
    // Sunday is 1.
    [field(weekdays, 1, 7, ['', ...DAYS]), (date: Date) => date.getUTCDay() + 1],
    [field(years, 1970, 2199), (date: Date) => date.getUTCFullYear()],
  ] as const;
  return {
    next(afterMs) {
      let at = Math.floor(afterMs / MINUTE_MS) * MINUTE_MS;
      for (let minute = 0; minute < MINUTES_SEARCHED; minute++) {
        at += MINUTE_MS;
        const date = new Date(at);
        if (isDue.every(([matches, partOf]) => matches(partOf(date)))) {
          return at;
        }
      }
      return Number.POSITIVE_INFINITY;
    },
  };
}

function parseField(
  text: string,
  { from, to, names }: { from: number; to: number; names: readonly string[] },
  expression: string,
): (value: number) => boolean {
  const number = (part: string): number => {
    const named = names.indexOf(part.toUpperCase());
    const value = named >= 0 && part !== '' ? named : Number(part);
    if (!Number.isInteger(value) || value < from || value > to) {
      throw unsupported(expression);
    }
    return value;
  };
  const parts = text.split(',').map((part) => {
    const [range = '', step] = part.split('/');
    const every = step === undefined ? 1 : number(step);
    const [first, last] =
      range === '*' || range === '?'
        ? [from, to]
        : range.includes('-')
          ? (range.split('-').map(number) as [number, number])
          : [number(range), step === undefined ? number(range) : to];
    return (value: number) => value >= first && value <= last && (value - first) % every === 0;
  });
  return (value) => parts.some((matches) => matches(value));
}

function unsupported(expression: string): LocalError {
  return new LocalError(
    'UnsupportedTemplateError',
    `The local run does not understand the schedule ${expression}.`,
  );
}

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html */
export function scheduledEvent(rule: string, at: Date): BusEvent {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: ACCOUNT,
    time: at.toISOString().replace(/\.\d+Z$/, 'Z'),
    region: REGION,
    resources: [ruleArn(rule)],
    detail: {},
  };
}

export interface ScheduledRule {
  name: string;
  expression: string;
}

/** Node's timers wait no longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Lets rules be due, one after the other, until it is stopped. What was due while nothing ran is not made up for.
 *
 * @param options.scale what the time until a rule is due is multiplied by: with 0.001 an hour takes 3.6 s, and the events
 *   tell the time that it would be
 */
export function startClock(
  rules: readonly ScheduledRule[],
  fire: (rule: string, at: Date) => void,
  { scale = 1 }: { scale?: number | undefined } = {},
): { stop(): void } {
  const startedMs = Date.now();
  const nowMs = () => startedMs + (Date.now() - startedMs) / scale;
  const timers = new Map<string, NodeJS.Timeout>();
  for (const { name, expression } of rules) {
    const schedule = parseSchedule(expression);
    const wait = (dueMs: number) => {
      const timer = setTimeout(
        () => {
          if (nowMs() < dueMs) {
            wait(dueMs);
            return;
          }
          wait(schedule.next(dueMs));
          fire(name, new Date(dueMs));
        },
        Math.min(MAX_TIMER_MS, Math.max(0, (dueMs - nowMs()) * scale)),
      );
      timers.set(name, timer);
    };
    wait(schedule.next(startedMs));
  }
  return {
    stop() {
      for (const timer of timers.values()) {
        clearTimeout(timer);
      }
    },
  };
}
