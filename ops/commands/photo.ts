import {
  DescribeExecutionCommand,
  ExecutionDoesNotExist,
  type HistoryEvent,
  paginateGetExecutionHistory,
} from '@aws-sdk/client-sfn';
import { count, printable, wrap } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import type { PhotoHistory } from '../../lambdas/answer-operator/questions.ts';
import { eventsFolder, isUuid, parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import type { StoredObject } from '../../lambdas/shared/photos/execution-input.ts';
import type { PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import { headObject } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { hint } from '../hint.ts';
import { holdLines } from '../hold.ts';
import { type LedgerView, readLedger } from '../ledger.ts';
import { known, type Part, part, problemsOf } from '../parts.ts';
import { dollars } from '../price.ts';
import { table } from '../table.ts';
import { DATABASE } from '../time-limit.ts';

/** A state of an execution, how often it was tried, and what its tries ended with. */
export interface Attempt {
  state: string;
  tries: number;
  /** Each with how often it came, in the order in which it first did. */
  errors: Record<string, number>;
}

interface Execution {
  arn: string;
  console: string | null;
  status: string;
  started_at: string | null;
  ended_at: string | null;
  error: string | null;
  attempts: Attempt[];
}

/** One photo's history: its object, its row, what was billed, its last execution with every attempt, and what to do next. */
export async function photo(context: Context): Promise<Result> {
  const { args, deployment, now, columns, limit } = context;
  const subject = args.subject!;
  const ids = idsOf(subject, args);
  const [rows, history, ledger] = await Promise.all([
    part(ask(deployment, { ask: 'photos', photo_ids: ids }), limit.first, DATABASE),
    part(ask(deployment, { ask: 'photo_history', photo_id: ids[0]! }), limit.first, DATABASE),
    part(readLedger(deployment, now), limit.first, 'DynamoDB'),
  ]);
  const row = known(rows)?.[0] ?? null;
  const key = row?.object_key ?? (isUuid(subject) ? null : subject);
  const [object, execution] = await Promise.all([
    key === null ? undefined : part(headObject(deployment, key), limit.last, 'S3'),
    row?.execution_arn
      ? part(readExecution(deployment, row.execution_arn), limit.last, 'Step Functions')
      : undefined,
  ]);
  const stored = (object && known(object)) ?? null;
  if ('value' in rows && !row && !stored && (!object || 'value' in object)) {
    throw new UserError(
      `There is no photo ${subject} in ${deployment.name}: neither the database nor the bucket knows it.`,
      1,
    );
  }
  const parts = [rows, history, ledger, ...(object ? [object] : []), ...(execution ? [execution] : [])];
  const found: Found = {
    id: row?.id ?? ids[0]!,
    key,
    row,
    object: stored,
    history: known(history),
    execution: (execution && known(execution)) ?? null,
    ledger,
    nowMs: now(),
    problems: problemsOf(parts),
  };
  return {
    data: {
      photo_id: found.id,
      key,
      event_id: row?.event_id ?? (key === null ? null : parsePhotoKey(key).eventId),
      row,
      object: stored,
      paid: found.history?.paid ?? null,
      erasures: found.history?.erasures ?? null,
      execution: found.execution,
      next: nextStep(found, args),
      problems: found.problems,
    },
    lines: historyLines(found, args, columns),
    exitCode: found.problems.length > 0 ? 1 : 0,
  };
}

interface Found {
  id: string;
  key: string | null;
  row: PhotoRow | null;
  object: StoredObject | null;
  history: PhotoHistory | null;
  execution: Execution | null;
  ledger: Part<LedgerView>;
  nowMs: number;
  problems: string[];
}

/** Of a key, the id of the photo and the one that it has where another object is that photo. */
function idsOf(subject: string, args: Context['args']): string[] {
  if (isUuid(subject)) {
    return [subject.toLowerCase()];
  }
  try {
    const { photoId, keyId } = parsePhotoKey(subject);
    return [...new Set([photoId, keyId])];
  } catch {
    throw new UserError(
      `${JSON.stringify(subject)} is neither a photo's id nor a photo's key: keys read ${eventsFolder()}{event UUID}/{anything}.{ext}. What was uploaded under another key belongs to no event: ${hint(args, 'failed')} lists it.`,
    );
  }
}

async function readExecution(deployment: Deployment, executionArn: string): Promise<Execution | null> {
  const { states, console: link } = deployment;
  try {
    const { status, startDate, stopDate, error } = await states.send(
      new DescribeExecutionCommand({ executionArn }),
    );
    const events: HistoryEvent[] = [];
    for await (const page of paginateGetExecutionHistory({ client: states }, { executionArn })) {
      events.push(...(page.events ?? []));
    }
    return {
      arn: executionArn,
      console: link?.(executionArn) ?? null,
      status: status!,
      started_at: startDate?.toISOString() ?? null,
      ended_at: stopDate?.toISOString() ?? null,
      error: error ?? null,
      attempts: attemptsOf(events),
    };
  } catch (error) {
    // Ninety days after its end, or as an operator's own mark.
    if (error instanceof ExecutionDoesNotExist || (error as Error).name === 'InvalidArn') {
      return null;
    }
    throw error;
  }
}

/** The states in the order in which they were first entered. */
export function attemptsOf(events: readonly HistoryEvent[]): Attempt[] {
  const states = new Map<string, Attempt & { entered: number }>();
  let current: (Attempt & { entered: number }) | undefined;
  for (const event of events) {
    const name = event.stateEnteredEventDetails?.name;
    if (name !== undefined) {
      current = states.get(name) ?? { state: name, tries: 0, errors: {}, entered: 0 };
      states.set(name, current);
      current.entered++;
    }
    if (current && (event.type === 'LambdaFunctionScheduled' || event.type === 'TaskScheduled')) {
      current.tries++;
    }
    const error = errorOf(event);
    if (current && error !== undefined) {
      current.errors[error] = (current.errors[error] ?? 0) + 1;
    }
  }
  // A state that calls nothing is tried whenever it is entered.
  return [...states.values()].map(({ state, tries, errors, entered }) => ({
    state,
    tries: Math.max(tries, entered),
    errors,
  }));
}

function errorOf(event: HistoryEvent): string | undefined {
  return (
    event.lambdaFunctionFailedEventDetails?.error ??
    event.lambdaFunctionTimedOutEventDetails?.error ??
    event.lambdaFunctionScheduleFailedEventDetails?.error ??
    event.taskFailedEventDetails?.error ??
    event.taskTimedOutEventDetails?.error
  );
}

function historyLines(found: Found, args: Context['args'], columns: number | undefined): string[] {
  const { row, object, history, execution, problems } = found;
  const width = columns === undefined ? Number.POSITIVE_INFINITY : columns;
  const field = (name: string, text: string): string[] =>
    (columns === undefined ? [printable(text)] : wrap(printable(text), Math.max(width - 14, 20))).map(
      (line, i) => `  ${(i === 0 ? name : '').padEnd(10)}  ${line}`,
    );
  const state = row
    ? [
        row.status,
        ...(row.face_count === null ? [] : [count(row.face_count, 'face')]),
        ...(row.ended_at ? [`since ${row.ended_at}`] : [`registered ${row.created_at}`]),
      ].join(', ')
    : 'no row yet';
  return [
    ...field('photo', found.id),
    ...(found.key === null ? [] : [`  ${'key'.padEnd(10)}  ${printable(found.key)}`]),
    ...(row ? field('event', row.event_id) : []),
    ...(problems.length > 0 && !row ? [] : field('state', state)),
    ...(row?.failure_code ? field('failed', `${row.failure_code}: ${row.failure_message ?? ''}`) : []),
    ...field(
      'object',
      object
        ? `${object.size.toLocaleString('en-US')} bytes, uploaded ${object.uploadedAt}`
        : 'not in the bucket',
    ),
    ...(history ?? { paid: [] }).paid.flatMap(({ called_at, faces, estimated_usd }) =>
      field('paid', `${called_at}, ${count(faces, 'face')}, ${dollars(estimated_usd)}`),
    ),
    ...(history ?? { erasures: [] }).erasures.flatMap(({ requested_at, finished_at, reason }) =>
      field(
        'erasure',
        `${reason}, asked for ${requested_at}, ${finished_at ? `finished ${finished_at}` : 'not finished'}`,
      ),
    ),
    ...executionLines(row, execution, columns),
    ...problems.map((problem) => `Not known: ${problem}`),
    '',
    ...(columns === undefined ? [nextStep(found, args)] : wrap(nextStep(found, args), width)),
  ];
}

function executionLines(
  row: PhotoRow | null,
  execution: Execution | null,
  columns: number | undefined,
): string[] {
  if (!execution) {
    return row?.execution_arn
      ? [`  ${'execution'.padEnd(10)}  ${row.execution_arn} (its history is not kept any more)`]
      : [];
  }
  const { console: link, arn, status, error, attempts } = execution;
  return [
    `  ${'execution'.padEnd(10)}  ${status}${error ? ` ${error}` : ''}`,
    `  ${''.padEnd(10)}  ${link ?? arn}`,
    ...table(
      attempts.map(({ state, tries, errors }) => [
        '          ',
        state,
        tries,
        Object.entries(errors)
          .map(([name, times]) => (times > 1 ? `${times} ${name}` : name))
          .join(', '),
      ]),
      { columns },
    ),
  ];
}

/** What there is to do about the photo, in a sentence with the command. */
function nextStep({ id, row, object, ledger, problems, nowMs }: Found, args: Context['args']): string {
  const held =
    'value' in ledger
      ? holdLines(args, ledger.value, nowMs)
          .map((line) => ` ${line}`)
          .join('')
      : '';
  if (!row) {
    return problems.length > 0
      ? 'The database did not tell: run it again when it is back.'
      : `It is on its way, or its event was lost, which the hourly reconciliation finds.${held} All that wait: ${hint(args, 'status')}`;
  }
  switch (row.status) {
    case 'failed': {
      const about = `docs/runbook.md#${(row.failure_code ?? '').toLowerCase()}`;
      if (!object) {
        return `Its object is gone, so there is nothing to index. What happened: ${about}`;
      }
      return row.failure_retryable
        ? `Once the cause is mended (${about}): ${hint(args, `reprocess --photo ${id}`)}.${held}`
        : `The photo itself is at fault (${about}): upload a corrected one under the same key, or try this one again with ${hint(args, `reprocess --photo ${id} --include-permanent`)}.`;
    }
    case 'processing':
      return `It is on its way.${held} If it stays so: ${hint(args, `reprocess --photo ${id}`)}`;
    case 'indexed':
      return object
        ? 'Nothing to do.'
        : `Its object is gone from the bucket: ${hint(args, `reconcile --event ${row.event_id} --fix`)} erases its faces.`;
    default:
      return `Nothing to do: it was ${row.status}.`;
  }
}
