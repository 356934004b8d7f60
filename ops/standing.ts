/** What `ops status` says, made of what it found: pure, so that every state of the pipeline can be shown to a test. */

import { count, formatDuration } from '../cli/text.ts';
import type { Summary } from '../lambdas/answer-operator/questions.ts';
import { IMAGE_USD } from '../lambdas/shared/contract/prices.ts';
import type { TimeLeft } from '../lambdas/shared/contract/time-left.ts';
import { timeLeft } from '../lambdas/shared/line/time-left.ts';
import type { Arguments } from './arguments.ts';
import { hint } from './hint.ts';
import { holdLines, holdOf } from './hold.ts';
import type { LedgerView } from './ledger.ts';
import { known, type Part, problemsOf } from './parts.ts';
import { dollars } from './price.ts';
import { table } from './table.ts';

export interface QueueCounts {
  erasure_dead_letters: number;
  last_resort: number;
  last_resort_dead_letters: number;
}

/** Executions that are counted at most: one page of ListExecutions. */
export const COUNTED = 1_000;

/** Photos' executions that run. */
export interface Running {
  /** At most `COUNTED`. */
  executions: number;
  /** When the oldest of these started, milliseconds since the epoch. */
  oldestMs: number | null;
}

/** Within this an execution is at work or in line; one that is older waits for something. */
const PATIENCE_MS = 5 * 60_000;

export interface Facts {
  nowMs: number;
  args: Pick<Arguments, 'event' | 'local' | 'stack'>;
  /** See `Deployment`. */
  resting: number;
  summary: Part<Summary>;
  queues: Part<QueueCounts>;
  ledger: Part<LedgerView>;
  running: Part<Running>;
  backfills: Part<number>;
  /** Slots that were given in the last second or so, a second; null when nobody looked. */
  perSecond: number | null;
  /** Photos of the event in the bucket; undefined when it is about all events. */
  objects: Part<number> | undefined;
}

/** What `--json` prints; what could not be found out is null, and `problems` says why. */
export function standingData(facts: Facts): Record<string, unknown> {
  const { args, backfills } = facts;
  const running = known(facts.running);
  const summary = known(facts.summary);
  const ledger = known(facts.ledger);
  const time = timeLeftOf(facts);
  return {
    event_id: args.event ?? null,
    events: summary?.events ?? null,
    photos: summary?.photos ?? null,
    faces: summary?.faces ?? null,
    leaving: summary?.leaving ?? null,
    misplaced: summary?.misplaced ?? null,
    failures: summary?.failures ?? null,
    oldest_processing: summary?.oldest_processing ?? null,
    executions_running: running?.executions ?? null,
    oldest_execution: typeof running?.oldestMs === 'number' ? new Date(running.oldestMs).toISOString() : null,
    executions_resting: facts.resting,
    in_line: ledger ? photosInLine(facts, ledger) : null,
    wait_ms: ledger ? Math.round(ledger.lineMs) : null,
    backfills_running: known(backfills),
    queues: known(facts.queues),
    held: ledger ? (holdOf(ledger) ?? null) : null,
    paused_since: ledger?.pausedSince ?? null,
    images_today: ledger?.imagesToday ?? null,
    daily_image_cap: ledger?.dailyImageCap ?? null,
    spend_today_usd: ledger ? ledger.imagesToday * IMAGE_USD : null,
    images_per_second: facts.perSecond,
    allowed_per_second: ledger ? Math.round(ledger.allowedPerSecond * 100) / 100 : null,
    quota_per_second: ledger?.quotaPerSecond ?? null,
    ...(facts.objects && {
      objects: known(facts.objects),
      left: photosLeft(facts),
      time_left_ms: typeof time?.seconds === 'number' ? Math.round(time.seconds * 1_000) : null,
      time_left: time?.sentence ?? null,
    }),
    problems: problems(facts),
  };
}

export function problems({ summary, queues, ledger, running, backfills, objects }: Facts): string[] {
  return problemsOf([summary, queues, ledger, running, backfills, ...(objects ? [objects] : [])]);
}

/** What a person reads. */
export function standingLines(facts: Facts, columns: number | undefined): string[] {
  const ledger = known(facts.ledger);
  return [
    ...table([...photoRows(facts), ...(ledger ? paceRows(facts, ledger) : [])], { columns }),
    '',
    ...table(rest(facts), { columns }),
    ...section(problems(facts).map((problem) => `Not known: ${problem}`)),
    ...section(whyTheyWait(facts)),
  ];
}

function section(lines: readonly string[]): string[] {
  return lines.length > 0 ? ['', ...lines] : [];
}

type Row = [string, number | string, string];

function photoRows(facts: Facts): Row[] {
  const summary = known(facts.summary);
  const running = known(facts.running);
  const rows: Row[] = [];
  if (summary) {
    const { photos, faces, failures, oldest_processing: oldest } = summary;
    const waits = oldest ? `the oldest for ${formatDuration(facts.nowMs - Date.parse(oldest))}` : '';
    rows.push(
      ['indexed', photos.indexed ?? 0, count(faces, 'face')],
      ['processing', photos.processing ?? 0, waits],
      ['failed', photos.failed ?? 0, reasons(failures)],
      ...(['deleted', 'erased'] as const).flatMap((state): Row[] =>
        photos[state] ? [[state, photos[state], '']] : [],
      ),
    );
  }
  const left = photosLeft(facts);
  if (left !== undefined && facts.objects && 'value' in facts.objects) {
    const time = left === 0 ? undefined : timeLeftOf(facts);
    rows.push([
      'left',
      left,
      `of ${facts.objects.value.toLocaleString('en-US')} in the bucket${time === undefined ? '' : `. ${time.sentence}`}`,
    ]);
  }
  if (running !== null) {
    const all = facts.args.event ? ' of all events' : '';
    const { executions, oldestMs } = running;
    const oldest = oldestMs === null ? '' : `, the oldest for ${formatDuration(facts.nowMs - oldestMs)}`;
    rows.push([
      'on the way',
      executions,
      executions >= COUNTED ? `or more executions${all}` : `executions${all}${oldest}`,
    ]);
  }
  if (facts.resting > 0) {
    rows.push(['resting', facts.resting, 'executions that the last local run did not finish']);
  }
  return rows;
}

function paceRows(facts: Facts, ledger: LedgerView): Row[] {
  const inLine = photosInLine(facts, ledger);
  const { allowedPerSecond, quotaPerSecond } = ledger;
  const most = `${rounded(allowedPerSecond)} a second at most; the quota is ${quotaPerSecond}`;
  return [
    ['in line', inLine, inLine > 0 ? `the last one waits ${formatDuration(ledger.backfillLineMs)}` : ''],
    facts.perSecond === null ? ['pace', '', most] : ['pace', rounded(facts.perSecond), `of ${most}`],
    [
      'today',
      ledger.imagesToday,
      `of ${ledger.dailyImageCap.toLocaleString('en-US')} images (UTC), ${dollars(ledger.imagesToday * IMAGE_USD)}`,
    ],
  ];
}

function rest(facts: Facts): Row[] {
  const queues = known(facts.queues);
  const backfills = known(facts.backfills);
  const summary = known(facts.summary);
  return [
    ...(backfills === null ? [] : ([['backfills', backfills, 'running']] as Row[])),
    ...(queues === null
      ? []
      : ([
          ['last resort', queues.last_resort, 'photos still to be written as failed'],
          ['dead letters', queues.last_resort_dead_letters, 'of these, that could not be written'],
          ['', queues.erasure_dead_letters, 'deletions that started no erasure'],
        ] as Row[])),
    ...(summary?.misplaced
      ? ([['misplaced', summary.misplaced, `uploads of no event: ${hint(facts.args, 'failed')}`]] as Row[])
      : []),
    ...(summary === null ? [] : ([['leaving', summary.leaving, 'faces on their way out']] as Row[])),
  ];
}

function reasons(failures: readonly { code: string; photos: number }[]): string {
  const shown = failures.slice(0, 4).map(({ code, photos }) => `${photos} ${code}`);
  return [...shown, ...(failures.length > 4 ? ['…'] : [])].join(', ');
}

/** Photos that wait for their turn by the ledger's chains: each takes one interval of them. */
function photosInLine({ running }: Facts, ledger: LedgerView): number {
  // What is held stands in no line: it asks again now and then.
  const inLine = Math.floor((ledger.backfillLineMs / 1_000) * ledger.allowedPerSecond);
  const most = known(running)?.executions ?? null;
  return most === null || most >= COUNTED ? inLine : Math.min(inLine, most);
}

/** Photos of the event in the bucket without an end; undefined when that is not known. */
function photosLeft({ objects, summary }: Facts): number | undefined {
  const listed = objects && known(objects);
  const counts = known(summary)?.photos;
  if (listed === undefined || listed === null || !counts) {
    return undefined;
  }
  const { indexed = 0, failed = 0, erased = 0 } = counts;
  return Math.max(0, listed - indexed - failed - erased);
}

/** How long the event's photos will take, as the API says it; all that are in line may come before them. */
function timeLeftOf(facts: Facts): TimeLeft | undefined {
  const left = photosLeft(facts);
  const ledger = known(facts.ledger);
  if (left === undefined || !ledger || holdOf(ledger)) {
    return undefined;
  }
  const inLine = Math.floor((ledger.lineMs / 1_000) * ledger.allowedPerSecond);
  const waiting = { photos: left, ahead: Math.max(left, inLine), lastAnnouncedMs: facts.nowMs };
  return timeLeft(ledger.item, ledger.line, waiting, facts.nowMs);
}

/** Why a photo that is on its way is not done yet, the strongest reason first; nothing when none is on its way. */
export function whyTheyWait(facts: Facts): string[] {
  const { args, nowMs, resting } = facts;
  const ledger = known(facts.ledger);
  const { executions: running, oldestMs } = known(facts.running) ?? { executions: 0, oldestMs: null };
  const lines: string[] = [];
  if (resting > 0) {
    lines.push(
      `${count(resting, 'execution')} of an earlier local run ${resting === 1 ? 'rests' : 'rest'}: npm run local:up goes on with ${resting === 1 ? 'it' : 'them'}.`,
    );
  }
  if (!ledger) {
    return lines;
  }
  if (holdOf(ledger)) {
    const held = running > 0 ? [`${numberOf(running)} ${running === 1 ? 'waits' : 'wait'}.`] : [];
    return [...lines, ...held, ...holdLines(args, ledger, nowMs)];
  }
  if (running === 0) {
    const left = known(facts.summary)?.photos.processing ?? 0;
    return left === 0 || resting > 0 || 'problem' in facts.running
      ? lines
      : [...lines, nobodyAtWork(left, args)];
  }
  if (ledger.cutMs !== null) {
    lines.push(
      `Rekognition throttled calls ${formatDuration(Math.max(0, nowMs - ledger.cutMs))} ago: the pace was cut, and comes back by itself.`,
    );
  }
  const inLine = photosInLine(facts, ledger);
  if (inLine > 0) {
    lines.push(
      `${count(inLine, 'photo')} ${inLine === 1 ? 'waits its turn' : 'wait their turn'} at ${rounded(ledger.allowedPerSecond)} a second.`,
    );
  } else if ('problem' in facts.summary && running > 0) {
    lines.push(`${count(running, 'photo')} ${running === 1 ? 'waits' : 'wait'} for the database.`);
  } else if (oldestMs !== null && nowMs - oldestMs > PATIENCE_MS) {
    lines.push(
      'The oldest is being tried again and again, which docs/runbook.md#stalled is about; or it waited for a resume or a larger cap, and notices within the hour.',
    );
  }
  return lines;
}

/** Rows without an execution: promised and not uploaded, or left by something that was stopped in its middle. */
function nobodyAtWork(photos: number, args: Facts['args']): string {
  const one = photos === 1;
  const command = hint(args, `reconcile${args.event ? ` --event ${args.event}` : ''} --fix`);
  return `${count(photos, 'photo')} ${one ? 'is' : 'are'} processing, and no execution is at work on ${one ? 'it' : 'them'}: not uploaded yet, or left by a command that was stopped. The scheduled reconciliation sees to ${one ? 'it' : 'them'}; ${command} does at once.`;
}

function numberOf(running: number): string {
  return running >= COUNTED ? `${count(COUNTED, 'photo')} or more` : count(running, 'photo');
}

function rounded(perSecond: number): number {
  return Math.round(perSecond * 10) / 10;
}
