import { ListExecutionsCommand } from '@aws-sdk/client-sfn';
import { displayWidth, printable, truncateMiddle, wrap } from '../../cli/text.ts';
import { type Answers, PAGE_SIZE, type Summary } from '../../lambdas/answer-operator/questions.ts';
import type { PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { checkEvent } from '../events.ts';
import { hint } from '../hint.ts';
import { misplacedLines } from '../misplaced.ts';
import { known, part, problemsOf } from '../parts.ts';
import { table } from '../table.ts';
import { DATABASE } from '../time-limit.ts';
import { readQueues } from './status.ts';

/** Why photos failed, and which, the latest first. Without the database: which executions failed, as Step Functions knows. */
export async function failed(context: Context): Promise<Result> {
  const { args, deployment, limit } = context;
  const event = args.event && { event_id: args.event };
  const [found, queues] = await Promise.all([
    part(readFailures(context), limit.first, DATABASE),
    part(readQueues(deployment), limit.first, 'SQS'),
  ]);
  const letters = known(queues)?.last_resort_dead_letters ?? null;
  if ('problem' in found) {
    return withoutDatabase(context, found.problem, letters);
  }
  const { failures, rows, misplaced } = found.value;
  const photos = rows.map((row) => failureOf(deployment, row));
  const total = failures.reduce((sum, { photos: count }) => sum + count, 0);
  const data = {
    event_id: event ? args.event : null,
    total,
    failures,
    photos,
    misplaced,
    dead_letters: letters,
    problems: problemsOf([queues]),
  };
  return {
    data,
    lines: failureLines(context, { failures, photos, total, letters, misplaced }),
    exitCode: 0,
  };
}

/** Those belong to no event. */
const NO_MISPLACED: Answers['misplaced'] = { total: 0, uploads: [] };

async function readFailures({
  args,
  deployment,
}: Context): Promise<{ failures: Summary['failures']; rows: PhotoRow[]; misplaced: Answers['misplaced'] }> {
  const event = args.event && { event_id: args.event };
  await checkEvent(deployment, args.event);
  const limit = Math.min(args.limit, PAGE_SIZE);
  const [{ failures }, rows, misplaced] = await Promise.all([
    ask(deployment, { ask: 'summary', ...event }),
    ask(deployment, { ask: 'failures', limit, ...event }),
    args.event ? NO_MISPLACED : ask(deployment, { ask: 'misplaced', limit }),
  ]);
  return { failures, rows, misplaced };
}

export interface Failure {
  photo_id: string;
  event_id: string;
  key: string;
  code: string | null;
  message: string | null;
  retryable: boolean | null;
  failed_at: string | null;
  execution: string | null;
  /** Where the execution can be looked at; null on this machine. */
  console: string | null;
}

function failureOf({ console: link }: Pick<Deployment, 'console'>, photo: PhotoRow): Failure {
  return {
    photo_id: photo.id,
    event_id: photo.event_id,
    key: photo.object_key,
    code: photo.failure_code,
    message: photo.failure_message,
    retryable: photo.failure_retryable,
    failed_at: photo.ended_at,
    execution: photo.execution_arn,
    console: photo.execution_arn && link ? link(photo.execution_arn) : null,
  };
}

/** The same for a terminal of any width; in a pipe a line for each photo, in which nothing is cut. */
export function failureLines(
  { args, columns }: Pick<Context, 'args' | 'columns'>,
  found: {
    failures: Summary['failures'];
    photos: readonly Failure[];
    total: number;
    letters: number | null;
    misplaced: Answers['misplaced'];
  },
): string[] {
  const { failures, photos, total, letters, misplaced } = found;
  const undelivered =
    letters === null || letters === 0
      ? []
      : [
          '',
          `${letters.toLocaleString('en-US')} more could not be written down as failed: ${hint(args, 'replay-dead-letters')}`,
        ];
  const others = misplacedLines(misplaced, columns);
  if (total === 0) {
    return others.length > 0 ? [...others, ...undelivered] : ['No photo failed.', ...undelivered];
  }
  return [
    ...table(
      [
        ['photos', 'reason', 'again?'],
        ...failures.map(({ code, retryable, photos: count }) => [
          count,
          code,
          retryable ? 'can be indexed again' : 'no: the photo itself is at fault',
        ]),
      ],
      { columns },
    ),
    '',
    ...(columns === undefined
      ? table(photos.map(cellsOf), { columns })
      : photos.flatMap((photo) => recordOf(photo, columns))),
    ...(total > photos.length ? [`  … and ${total - photos.length} more: --limit ${total}`] : []),
    ...(others.length > 0 ? ['', ...others] : []),
    ...undelivered,
    '',
    ...(failures.some(({ retryable }) => retryable)
      ? [
          `Those that can be indexed again: ${hint(args, args.event ? `reprocess --event ${args.event}` : 'reprocess --all-failed')}`,
        ]
      : []),
    'What each reason means, and how to mend it: docs/runbook.md#failure-codes',
  ];
}

function cellsOf({ failed_at, code, key, message, execution, console: link }: Failure): string[] {
  return [failed_at ?? '', code ?? '', key, message ?? '', link ?? execution ?? ''];
}

/** The file, then why and when, then where to look: the link stays whole, because it is copied. */
function recordOf({ failed_at, code, key, message, console: link }: Failure, columns: number): string[] {
  const width = Math.max(columns - 4, 12);
  const when = failed_at === null ? '' : ` at ${failed_at.slice(0, 16).replace('T', ' ')} UTC`;
  const text = printable(`${code ?? ''}${when}: ${message ?? ''}`);
  return [
    `  ${truncateMiddle(printable(key), columns - 2)}`,
    ...wrap(text, width).map((line) => `    ${line}`),
    ...(link ? [`    ${link}`] : []),
  ];
}

/** What Step Functions alone tells: which executions failed last. */
async function withoutDatabase(context: Context, problem: string, letters: number | null): Promise<Result> {
  const { args, deployment, columns, limit } = context;
  const executions = await part(
    failedExecutions(deployment, Math.min(args.limit, 1_000)),
    limit.last,
    'Step Functions',
  );
  const ended = known(executions) ?? [];
  return {
    data: {
      event_id: args.event ?? null,
      total: null,
      failures: null,
      photos: null,
      failed_executions: ended,
      dead_letters: letters,
      problems: [problem, ...problemsOf([executions])],
    },
    lines: [
      `Not known: ${problem}`,
      '',
      ended.length === 0
        ? 'Step Functions knows of no failed execution.'
        : 'The executions that failed last, of all events, as Step Functions knows:',
      ...ended.flatMap(({ ended_at, execution, console: link }) =>
        columns === undefined || displayWidth(execution) + 28 <= columns
          ? table([[ended_at, link ?? execution]], { columns: undefined })
          : [`  ${ended_at}`, `    ${link ?? execution}`],
      ),
    ],
    exitCode: 1,
  };
}

async function failedExecutions(
  { states, outputs, console: link }: Deployment,
  maxResults: number,
): Promise<{ execution: string; ended_at: string; console: string | null }[]> {
  if (maxResults === 0) {
    return [];
  }
  const { executions = [] } = await states.send(
    new ListExecutionsCommand({
      stateMachineArn: outputs.StateMachineArn,
      statusFilter: 'FAILED',
      maxResults,
    }),
  );
  // Step Functions lists them by their start; one that was retried for long failed later than it stands there.
  return executions
    .map(({ executionArn = '', stopDate }) => ({
      execution: executionArn,
      ended_at: stopDate?.toISOString() ?? '',
      console: link?.(executionArn) ?? null,
    }))
    .sort((a, b) => b.ended_at.localeCompare(a.ended_at));
}
