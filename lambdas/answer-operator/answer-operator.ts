import { failureKind } from '../shared/contract/errors.ts';
import { logEvents } from '../shared/contract/names.ts';
import { otherResults, resultsFolder } from '../shared/contract/stored-result.ts';
import type { Sql } from '../shared/database/connection.ts';
import type { Receipt } from '../shared/erasure/contract.ts';
import { lockEvent, removeOtherResponses, retireResult, retireVersion } from '../shared/erasure/outbox.ts';
import { forgetMisplaced, latestMisplaced } from '../shared/photos/misplaced-uploads.ts';
import { facePage, isoTime, latestFailures, leavingPage, photoPage } from '../shared/photos/row-pages.ts';
import type { EventRow, PhotoRow } from '../shared/photos/row-types.ts';
import { idList, loseFaces, reopenPhoto, type Transaction } from '../shared/photos/rows.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import {
  type Answers,
  MAX_USAGE_ROWS,
  PAGE_SIZE,
  type Question,
  type Summary,
  type Usage,
  type UsageRow,
} from './questions.ts';

export interface AnswerOperatorDeps {
  telemetry: Pick<Telemetry, 'logger'>;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
}

/** Of each kind, in the history of one photo. */
const HISTORY_ROWS = 20;

/** Who asks, in the records of what was changed. */
const OPERATOR = 'operator';

/**
 * Answers one question of the operator's commands; what it changes, it changes in a transaction that looks again.
 *
 * @throws PipelineError the errors of `withDatabase`
 */
export async function answerOperator(
  { telemetry, withDatabase }: AnswerOperatorDeps,
  question: Question,
): Promise<Answers[Question['ask']]> {
  telemetry.logger.info('The operator asked', { event: logEvents.operatorAsked, ask: question.ask });
  return withDatabase((sql) => answer(sql, question));
}

function answer(sql: Sql, question: Question): Promise<Answers[Question['ask']]> {
  switch (question.ask) {
    case 'summary':
      return summary(sql, question.event_id);
    case 'events':
      return events(sql, question);
    case 'photos':
      return photoPage(sql, question, { after: question.after, limit: PAGE_SIZE });
    case 'failures':
      return latestFailures(sql, question);
    case 'event_list':
      return eventList(sql, question);
    case 'photo_history':
      return photoHistory(sql, question);
    case 'faces':
      return facePage(sql, question.event_id, { after: question.after, limit: PAGE_SIZE });
    case 'leaving':
      return leavingPage(sql, question.event_id, { after: question.after, limit: PAGE_SIZE });
    case 'erasures':
      return erasures(sql, question);
    case 'misplaced':
      return latestMisplaced(sql, question.limit);
    case 'forget_misplaced':
      return forgetMisplaced(sql, question.keys).then((forgotten) => ({ forgotten }));
    case 'usage':
      return usage(sql, question);
    case 'lose_faces':
      return lose(sql, question);
    case 'reopen':
      return reopen(sql, question);
    case 'remove_faces':
      return removeFaces(sql, question);
    case 'remove_responses':
      return removeResponses(sql, question);
  }
}

async function summary(sql: Sql, eventId: string | undefined): Promise<Summary> {
  const ofEvent = (column: string) => (eventId ? sql`${sql(column)} = ${eventId}` : sql`true`);
  const states = await sql<{ status: PhotoRow['status']; photos: string; oldest: Date }[]>`
    SELECT status, count(*) AS photos, min(created_at) AS oldest
    FROM photos WHERE ${ofEvent('event_id')} GROUP BY status`;
  const failures = await sql<{ code: string; retryable: boolean; photos: string }[]>`
    SELECT failure_code AS code, failure_retryable AS retryable, count(*) AS photos
    FROM photos WHERE status = 'failed' AND ${ofEvent('event_id')}
    GROUP BY 1, 2 ORDER BY 3 DESC, 1`;
  const [counts] = await sql<{ events: string; faces: string; leaving: string; misplaced: string }[]>`
    SELECT
      ${eventId ? sql`0` : sql`(SELECT count(*) FROM misplaced_uploads)`} AS misplaced,
      (SELECT count(*) FROM events WHERE ${ofEvent('id')}) AS events,
      (SELECT count(*) FROM faces ${eventId ? sql`JOIN photos ON photos.id = photo_id WHERE event_id = ${eventId}` : sql``}) AS faces,
      (SELECT count(*) FROM face_removals JOIN erasures ON erasures.id = erasure_id WHERE ${ofEvent('event_id')}) AS leaving`;
  const processing = states.find(({ status }) => status === 'processing');
  return {
    events: Number(counts!.events),
    photos: Object.fromEntries(states.map(({ status, photos: count }) => [status, Number(count)])),
    faces: Number(counts!.faces),
    leaving: Number(counts!.leaving),
    misplaced: Number(counts!.misplaced),
    failures: failures.map((failure) => ({ ...failure, photos: Number(failure.photos) })),
    oldest_processing: processing?.oldest.toISOString() ?? null,
  };
}

type Of<Ask extends Question['ask']> = Extract<Question, { ask: Ask }>;

async function events(sql: Sql, { event_id, after }: Of<'events'>): Promise<EventRow[]> {
  return sql<EventRow[]>`
    SELECT id, rekognition_collection_id, ${isoTime(sql, sql`erasure_requested_at`)} AS erasure_requested_at
    FROM events
    WHERE ${event_id ? sql`id = ${event_id}` : sql`true`} AND ${after ? sql`id > ${after}` : sql`true`}
    ORDER BY id LIMIT ${PAGE_SIZE}`;
}

async function eventList(sql: Sql, { limit }: Of<'event_list'>): Promise<Answers['event_list']> {
  return sql<Answers['event_list']>`
    SELECT id, name, photographer_id, ${isoTime(sql, sql`created_at`)} AS created_at,
           ${isoTime(sql, sql`erased_at`)} AS erased_at, coalesce(counts.photos, '{}') AS photos,
           (SELECT count(*)::int FROM faces JOIN photos ON photos.id = photo_id WHERE event_id = latest.id) AS faces
    FROM (SELECT * FROM events ORDER BY created_at DESC, id LIMIT ${limit}) AS latest
    LEFT JOIN LATERAL (
      SELECT jsonb_object_agg(status, photos) AS photos
      FROM (SELECT status, count(*) AS photos FROM photos WHERE event_id = latest.id GROUP BY status) AS by_status
    ) AS counts ON true
    ORDER BY latest.created_at DESC, id`;
}

async function photoHistory(sql: Sql, { photo_id }: Of<'photo_history'>): Promise<Answers['photo_history']> {
  const paid = await sql<Answers['photo_history']['paid']>`
    SELECT ${isoTime(sql, sql`called_at`)} AS called_at, faces, estimated_usd::float8 AS estimated_usd
    FROM paid_images WHERE photo_id = ${photo_id}
    ORDER BY paid_images.called_at DESC LIMIT ${HISTORY_ROWS}`;
  const receipts = await sql<Receipt[]>`
    SELECT ${receiptColumns(sql)} FROM erasures WHERE photo_id = ${photo_id}
    ORDER BY erasures.requested_at DESC, id LIMIT ${HISTORY_ROWS}`;
  return { paid, erasures: receipts };
}

async function usage(sql: Sql, { by, since }: Of<'usage'>): Promise<Answers['usage']> {
  const key = { event: sql`event_id`, photographer: sql`photographer_id`, day: sql`day` }[by];
  const sums = sql`
    coalesce(sum(images), 0)::int AS images, coalesce(sum(faces), 0)::int AS faces,
    coalesce(sum(estimated_usd), 0)::float8 AS estimated_usd`;
  const wanted = since ? sql`day >= ${since}` : sql`true`;
  const rows = await sql<UsageRow[]>`
    SELECT ${key}::text AS key, ${by === 'event' ? sql`(SELECT name FROM events WHERE id = event_id)` : sql`NULL`} AS name,
           ${sums}
    FROM usage WHERE ${wanted}
    GROUP BY ${key} ORDER BY ${by === 'day' ? sql`1` : sql`5 DESC, 1`} LIMIT ${MAX_USAGE_ROWS}`;
  const [total] = await sql<Usage[]>`SELECT ${sums} FROM usage WHERE ${wanted}`;
  return { rows, total: total! };
}

/** What nobody asked for is listed while it is under way only. */
async function erasures(sql: Sql, { event_id, limit }: Of<'erasures'>): Promise<Answers['erasures']> {
  return sql<Answers['erasures']>`
    SELECT ${receiptColumns(sql)}
    FROM erasures
    WHERE ${event_id ? sql`event_id = ${event_id}` : sql`true`}
      AND (finished_at IS NULL OR reason NOT IN ('photo_replaced', 'late_result'))
    ORDER BY erasures.requested_at DESC, id LIMIT ${limit}`;
}

function receiptColumns(sql: Sql) {
  return sql`
    id AS erasure_id, event_id, photo_id, reason, ${isoTime(sql, sql`requested_at`)} AS requested_at,
    ${isoTime(sql, sql`finished_at`)} AS finished_at, photos, faces, results`;
}

async function lose(sql: Sql, { photos }: Of<'lose_faces'>): Promise<Answers['lose_faces']> {
  const { retryable } = failureKind('FacesLost');
  return sql.begin(async (transaction) => {
    for (const eventId of [...new Set(photos.map(({ event_id }) => event_id))].sort()) {
      await lockEvent(transaction, eventId, 'shared');
    }
    return { changed: await loseFaces(transaction, photos, { retryable }) };
  });
}

async function reopen(sql: Sql, { event_id, photo_ids }: Of<'reopen'>): Promise<Answers['reopen']> {
  const reopened: string[] = [];
  for (const photo_id of photo_ids) {
    await sql.begin(async (transaction) => {
      await lockEvent(transaction, event_id, 'shared');
      const version = await reopenPhoto(transaction, { event_id, photo_id });
      if (version !== undefined) {
        await retireVersion(transaction, { event_id, photo_id }, { version, execution_arn: OPERATOR });
        reopened.push(photo_id);
      }
    });
  }
  return { photo_ids: reopened };
}

async function removeFaces(sql: Sql, question: Of<'remove_faces'>): Promise<Answers['remove_faces']> {
  const { event_id, collection_id } = question;
  let requested = 0;
  for (const [photo_id, ofPhoto] of Map.groupBy(question.faces, (face) => face.photo_id)) {
    await sql.begin(async (transaction) => {
      await lockEvent(transaction, event_id, 'shared');
      const face_ids = await strayFaces(
        transaction,
        ofPhoto.map(({ face_id }) => face_id),
      );
      const photo = { event_id, photo_id };
      const late = {
        collection_id,
        face_ids,
        // Whatever stored a response that late has its faces in the collection too.
        results_key: await needlessResults(transaction, photo),
        execution_arn: OPERATOR,
      };
      if (await retireResult(transaction, photo, late, { always: false })) {
        requested += face_ids.length;
      }
    });
  }
  return { requested };
}

async function removeResponses(
  sql: Sql,
  { event_id, photo_ids, before }: Of<'remove_responses'>,
): Promise<Answers['remove_responses']> {
  for (const photo_id of photo_ids) {
    await sql.begin(async (transaction) => {
      await lockEvent(transaction, event_id, 'shared');
      const options = { before: new Date(before), execution_arn: OPERATOR };
      await removeOtherResponses(transaction, { event_id, photo_id }, options);
    });
  }
  return { requested: photo_ids.length };
}

/** Of a photo that is gone nobody needs any response any more; of one that is there only that of its version. */
async function needlessResults(
  sql: Transaction,
  photo: { event_id: string; photo_id: string },
): Promise<string> {
  const [state] = await sql<{ is_there: boolean; now: Date }[]>`
    SELECT EXISTS (
      SELECT FROM photos WHERE id = ${photo.photo_id} AND status NOT IN ('deleted', 'erased')) AS is_there, now()`;
  return state!.is_there ? otherResults(photo, state!.now) : resultsFolder(photo);
}

/** Those that no photo's row knows. */
async function strayFaces(sql: Transaction, faceIds: string[]): Promise<string[]> {
  const rows = await sql<{ face_id: string }[]>`
    SELECT face_id FROM (${idList(sql, faceIds)}) AS ids (face_id)
    WHERE NOT EXISTS (SELECT FROM faces WHERE rekognition_face_id = face_id)
      AND NOT EXISTS (SELECT FROM face_removals WHERE rekognition_face_id = face_id)`;
  return rows.map(({ face_id }) => face_id);
}
