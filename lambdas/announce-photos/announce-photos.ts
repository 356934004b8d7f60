import type { SQSBatchResponse, SQSRecord } from 'aws-lambda';
import { awsErrorDetails, isTroubleForAll, PipelineError } from '../shared/contract/errors.ts';
import { logEvents, metricNames } from '../shared/contract/names.ts';
import {
  type ExecutionInput,
  executionInputSchema,
  parseRequest,
  photoVersion,
} from '../shared/contract/payloads.ts';
import { type PhotoKey, photoKeyOf } from '../shared/contract/photo-key.ts';
import type { Sql } from '../shared/database/connection.ts';
import { lockEvent, readEventState } from '../shared/erasure/outbox.ts';
import type { EventOwners } from '../shared/line/photographers.ts';
import { lockRowsToCome, registerPhotos, type Transaction } from '../shared/photos/rows.ts';
import { needsAnnouncement, type Upload } from '../shared/photos/standing.ts';
import { countBy, type Telemetry } from '../shared/runtime/telemetry.ts';

export interface AnnouncePhotosDeps {
  telemetry: Telemetry;
  withDatabase<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** Told whose each event is, where photographers have a cap. */
  owners?: EventOwners | undefined;
}

interface Announcement {
  messageId: string;
  key: PhotoKey;
  upload: Upload;
}

/**
 * Makes the rows of photos that were just uploaded, `processing`, so that they can be seen before their executions end.
 *
 * Nothing depends on it: whatever ends a photo makes the row that it misses. So an announcement may come late, more than
 * once or never, and changes no row that is there; what is not a photo of an event is left to its execution, which says so.
 *
 * One transaction an event, with the same few statements for one photo as for all of a batch. What can be written only
 * later (the database is unavailable) is reported as failed and comes again.
 *
 * Where photographers have a cap, the gate hears from here whose the event is: it cannot ask the database itself.
 */
export async function announcePhotos(
  deps: AnnouncePhotosDeps,
  records: readonly Pick<SQSRecord, 'messageId' | 'body'>[],
): Promise<SQSBatchResponse> {
  const announcements = records.flatMap(announcementOf);
  const again: string[] = [];
  let announced = 0;
  let isAway = false;
  for (const [eventId, photos] of Map.groupBy(announcements, ({ key }) => key.eventId)) {
    // Another event would only wait for the same.
    if (!isAway) {
      try {
        announced += await deps.withDatabase((sql) =>
          sql.begin((transaction) => announceEvent(transaction, eventId, photos)),
        );
        await tellOwner(deps, eventId);
        continue;
      } catch (thrown) {
        isAway = report(deps.telemetry, thrown, eventId);
      }
    }
    again.push(...photos.map(({ messageId }) => messageId));
  }
  if (announced > 0) {
    deps.telemetry.logger.info('Photos are announced', {
      event: logEvents.photosAnnounced,
      photos: announced,
      messages: records.length,
    });
  }
  return { batchItemFailures: again.map((itemIdentifier) => ({ itemIdentifier })) };
}

/** What names no photo is nobody's to announce. */
function announcementOf({ messageId, body }: Pick<SQSRecord, 'messageId' | 'body'>): Announcement[] {
  const input = inputOf(body);
  const key = input && photoKeyOf(input.object.key);
  if (!key || input.event_time === undefined) {
    return [];
  }
  const { object, event_time } = input;
  return [
    {
      messageId,
      key,
      upload: {
        event_id: key.eventId,
        key: object.key,
        version: photoVersion(object),
        sequencer: object.sequencer,
        uploadedAt: new Date(event_time),
      },
    },
  ];
}

function inputOf(body: string): ExecutionInput | undefined {
  try {
    return parseRequest(executionInputSchema, JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** @returns how many rows were made */
async function announceEvent(
  sql: Transaction,
  eventId: string,
  photos: readonly Announcement[],
): Promise<number> {
  await lockEvent(sql, eventId, 'shared');
  const event = await readEventState(sql, eventId);
  const rowsOf = await lockRowsToCome(
    sql,
    photos.map(({ key }) => key),
  );
  const missing = photos.filter(({ key, upload }) => needsAnnouncement(rowsOf(key), upload, event));
  return registerPhotos(
    sql,
    eventId,
    missing.map(({ key, upload }) => ({ id: key.photoId, object_key: upload.key })),
  );
}

/** An event that has no photographer, or none yet, is told of when it has one. */
async function tellOwner({ owners, withDatabase }: AnnouncePhotosDeps, eventId: string): Promise<void> {
  if (!owners) {
    return;
  }
  const [event] = await withDatabase(
    (sql) =>
      sql<{ photographer_id: string | null }[]>`SELECT photographer_id FROM events WHERE id = ${eventId}`,
  );
  if (event?.photographer_id) {
    await owners.tell(eventId, event.photographer_id);
  }
}

/** @returns whether other events would meet the same */
function report(telemetry: Telemetry, thrown: unknown, eventId: string): boolean {
  const { name, message } = awsErrorDetails(thrown);
  telemetry.logger.warn(message, {
    event: logEvents.announcementFailed,
    error_type: name,
    event_id: eventId,
  });
  countBy(telemetry, metricNames.failedAttempts, name);
  return thrown instanceof PipelineError && isTroubleForAll(thrown.name);
}
