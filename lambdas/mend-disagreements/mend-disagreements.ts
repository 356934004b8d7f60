import { DeleteObjectsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { SFNClient } from '@aws-sdk/client-sfn';
import { PipelineError } from '../shared/contract/errors.ts';
import { dayOf, type LedgerState } from '../shared/line/rules.ts';
import { compare, type World } from '../shared/reconciliation/compare.ts';
import {
  afterBatch,
  batchKey,
  type Disagreement,
  type EventRows,
  type MendDisagreementsRequest,
  type Mending,
  type Plan,
  planKey,
  type Reconciliation,
  runFolder,
  type SurveyedEvent,
} from '../shared/reconciliation/contract.ts';
import { isMissingObject, s3Error, statesError, undeleted } from '../shared/runtime/aws-errors.ts';
import { startOnce } from '../shared/runtime/start-once.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import { headObject } from '../shared/storage/head-object.ts';
import type { JsonObjects } from '../shared/storage/json-objects.ts';
import { conclude } from './conclude.ts';
import { decide } from './decide.ts';

export interface MendDisagreementsDeps {
  states: SFNClient;
  s3: S3Client;
  objects: JsonObjects;
  readLedger(): Promise<LedgerState>;
  telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  now(): number;
  photoBucket: string;
  resultsBucket: string;
  collectionPrefix: string;
  dailyImageCap: number;
  indexPhoto: string;
  eraseFaces: string;
}

/** Executions for one finding: what those did not mend, another one will not either. */
const MAX_ATTEMPTS = 3;

/** Calls at once: StartExecution may be made 25 times a second in small Regions, after a first burst of 500. */
const AT_ONCE = 5;

const OBJECTS_A_CALL = 1_000;

/**
 * Compares a batch of events and decides what is mended; starts what mends it; or ends the run, with its metrics and with
 * what the next one has to know.
 *
 * @throws PipelineError `ExecutionNotStarted`, `StorageUnavailable`, `ResultNotFound`, `LedgerBusy`, `AccessDenied`,
 *   `MissingConfiguration`
 */
export async function mendDisagreements(
  deps: MendDisagreementsDeps,
  { step, input }: MendDisagreementsRequest,
): Promise<Reconciliation> {
  switch (step) {
    case 'compare':
      return compareBatch(deps, input);
    case 'mend':
      return mendBatch(deps, input);
    case 'conclude':
      return concludeRun(deps, input);
  }
}

async function compareBatch(deps: MendDisagreementsDeps, input: Reconciliation): Promise<Reconciliation> {
  const { run, batch, settled } = input;
  const part = <Content>(name: Parameters<typeof batchKey>[2]) =>
    deps.objects.get<Record<string, Content>>(batchKey(run, batch, name));
  const { batches } = await deps.objects.get<Plan>(planKey(run));
  const before = await part<string[]>('before');
  const survey = await part<SurveyedEvent>('survey');
  const rows = await part<EventRows>('rows');
  const found = (batches[batch] ?? []).map(({ id }) => ({
    eventId: id,
    findings: compare(worldOf(id, before[id]!, survey[id]!, rows[id]!), new Date(settled)),
  }));
  const { mending, questions, disagreements, ...left } = decide(found, input, {
    bucket: deps.photoBucket,
    collectionPrefix: deps.collectionPrefix,
    mayIndex: await mayIndex(deps),
  });
  const compared = { ...input, ...left, questions, batch: batch + 1 };
  if (disagreements.length === 0) {
    return { ...compared, next: afterBatch(compared) };
  }
  await deps.objects.put(batchKey(run, batch, 'disagreements'), disagreements);
  await deps.objects.put(batchKey(run, batch, 'mending'), mending);
  return {
    ...compared,
    found_in: [...input.found_in, batch],
    outbox: input.outbox || questions.some(({ ask }) => ask !== 'lose_faces'),
    next: questions.length > 0 ? 'ask' : 'mend',
  };
}

function worldOf(
  eventId: string,
  before: readonly string[],
  { objects, collection, responses }: SurveyedEvent,
  { erased_before, photos, faces, leaving }: EventRows,
): World {
  return {
    eventId,
    erasedBefore: erased_before === null ? null : new Date(erased_before),
    // Only their ids are asked for.
    facesBefore: before.map((id) => ({ id, photo_id: '', rekognition_face_id: null })),
    faces,
    photos,
    leaving: new Set(leaving),
    objects,
    responses,
    collection: collection?.map(([faceId, externalImageId]) => ({
      faceId,
      externalImageId: externalImageId ?? undefined,
    })),
  };
}

/** Not while an operator or the day's cap holds the pipeline: what is started would only wait. */
async function mayIndex({ readLedger, dailyImageCap, now }: MendDisagreementsDeps): Promise<boolean> {
  const { paused_ms, daily_image_cap: cap = dailyImageCap, day, images = 0 } = await readLedger();
  const today = day === dayOf(now()) ? images : 0;
  return paused_ms === undefined && today < cap;
}

async function mendBatch(deps: MendDisagreementsDeps, input: Reconciliation): Promise<Reconciliation> {
  const batch = input.batch - 1;
  const { index, deletions } = await deps.objects.get<Mending>(batchKey(input.run, batch, 'mending'));
  const since = new Date(input.started_at);
  const inVain: string[] = [];
  let started = 0;
  const start = async (machine: string, { input: of, name }: { input: object; name: string }) => {
    const execution = await startOnce(deps.states, machine, of, name, {
      repetitions: MAX_ATTEMPTS,
      since,
    }).catch((error: unknown) => {
      throw statesError(error);
    });
    started += execution?.isNew ? 1 : 0;
    if (!execution) {
      inVain.push(name);
    }
  };
  await aFewAtOnce(index, (indexing) => start(deps.indexPhoto, indexing));
  await aFewAtOnce(deletions, async (deletion) => {
    if (await isGone(deps, deletion.input.object.key)) {
      await start(deps.eraseFaces, deletion);
    }
  });
  if (inVain.length > 0) {
    await leaveToAPerson(deps, input.run, batch, inVain);
  }
  return {
    ...input,
    started: input.started + started,
    questions: [],
    next: afterBatch(input),
  };
}

/** What several executions did not mend is not tried again. */
async function leaveToAPerson(
  { objects }: MendDisagreementsDeps,
  run: string,
  batch: number,
  names: readonly string[],
): Promise<void> {
  const key = batchKey(run, batch, 'disagreements');
  const disagreements = await objects.get<Disagreement[]>(key);
  await objects.put(
    key,
    disagreements.map((one) =>
      names.some((name) => name.startsWith(`reconcile-${one.about}-${one.kind}-`))
        ? { ...one, fate: 'left' }
        : one,
    ),
  );
}

async function isGone({ s3, photoBucket }: MendDisagreementsDeps, key: string): Promise<boolean> {
  try {
    await headObject(s3, { bucket: photoBucket, key }, 'InvalidS3Object');
    return false;
  } catch (error) {
    if (error instanceof PipelineError && error.name === 'InvalidS3Object') {
      return isMissingObject(error);
    }
    throw error;
  }
}

async function concludeRun(deps: MendDisagreementsDeps, input: Reconciliation): Promise<Reconciliation> {
  const { run, started_at } = input;
  if (input.outbox) {
    await startOnce(deps.states, deps.eraseFaces, { request: 'outbox' }, `reconcile-${run}`, {
      repetitions: MAX_ATTEMPTS,
      since: new Date(started_at),
    }).catch((error: unknown) => {
      throw statesError(error);
    });
  }
  await conclude(deps, input);
  await removeFolder(deps, runFolder(run));
  return input;
}

/** The lifecycle rule would take it too, a day later. */
async function removeFolder({ s3, resultsBucket }: MendDisagreementsDeps, folder: string): Promise<void> {
  for (let more = true; more; ) {
    const listed = await s3
      .send(new ListObjectsV2Command({ Bucket: resultsBucket, Prefix: folder, MaxKeys: OBJECTS_A_CALL }))
      .catch((error: unknown) => {
        throw s3Error(error, { operation: 'ListObjectsV2', bucket: resultsBucket }, 'MissingConfiguration');
      });
    const keys = (listed.Contents ?? []).map(({ Key }) => ({ Key }));
    more = listed.IsTruncated ?? false;
    if (keys.length > 0) {
      const { Errors: [first] = [] } = await s3
        .send(new DeleteObjectsCommand({ Bucket: resultsBucket, Delete: { Objects: keys, Quiet: true } }))
        .catch((error: unknown) => {
          throw s3Error(error, { operation: 'DeleteObjects', bucket: resultsBucket }, 'MissingConfiguration');
        });
      if (first) {
        throw undeleted(first, resultsBucket);
      }
    }
  }
}

async function aFewAtOnce<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of queue) {
        await work(item);
      }
    }),
  );
}
