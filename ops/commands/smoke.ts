import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { DescribeExecutionCommand, ListExecutionsCommand } from '@aws-sdk/client-sfn';
import { watchInterruption } from '../../cli/interruption.ts';
import { samplePhotos } from '../../cli/sample-photos.ts';
import { count, formatDuration } from '../../cli/text.ts';
import { UserError } from '../../cli/user-error.ts';
import { eventsFolder, parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import type { Receipt } from '../../lambdas/shared/erasure/contract.ts';
import type { PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import { headObject } from '../bucket.ts';
import type { Context, Result } from '../context.ts';
import { ask } from '../database.ts';
import type { Deployment } from '../deployment.ts';
import { startErasure, waitForReceipts } from '../erasures.ts';
import { hint } from '../hint.ts';
import { readLedger } from '../ledger.ts';
import { priceOf } from '../price.ts';

/** The smallest of the sample photos, of three people. */
const PHOTO = 'sample1.jpg';

/** A database that sleeps takes half a minute, a line of photos before this one as long as it is. */
const PATIENCE_MS = 10 * 60_000;

/** More may run while others are at work; an execution of this minute is among the first. */
const EXECUTIONS_LOOKED_AT = 50;

interface Step {
  step: string;
  /** Milliseconds. */
  ms: number;
  says: string;
}

/** Where to look when a step fails. */
const lookAt = (args: Context['args']) =>
  ({
    upload: 'the bucket of the output PhotoBucketName, and at your right to write to it (s3:PutObject)',
    index: `${hint(args, 'status')}; at the executions (output StateMachineConsole); and where there is none for the photo, at docs/runbook.md#dead-letters`,
    erase: 'the executions of the output EraseFacesStateMachineArn, and at docs/runbook.md#erasures-stuck',
  }) as const;

/** What is sent, and where. */
interface Sample {
  eventId: string;
  photoId: string;
  key: string;
  /** Of the object, where the bucket has versions. */
  version?: string | undefined;
}

/**
 * Sends a sample photo through the whole pipeline under an event of its own, waits until its faces are stored, and erases
 * all of it: the object, the event's faces, collection and responses. What stays are the rows of a deleted photo and of an
 * erased event, and the receipts.
 *
 * @param signal aborted when somebody does not want to wait any longer: what there is by then is erased too
 */
export async function smoke(
  context: Context,
  signal: AbortSignal = watchInterruption(() => {}).signal,
): Promise<Result> {
  const { args, deployment, progress, now } = context;
  const eventId = randomUUID();
  const photoId = randomUUID();
  const sample: Sample = { eventId, photoId, key: `${eventsFolder()}${eventId}/${photoId}.jpg` };
  const data = { event_id: eventId, key: sample.key, dry_run: args.dryRun };
  const plan = `one photo through ${deployment.name}, under the new event ${eventId} (${priceOf(1)})`;
  if (args.dryRun) {
    return { data, lines: [`Would send ${plan}, and erase it again.`], exitCode: 0 };
  }
  const { pausedSince } = await readLedger(deployment);
  if (pausedSince) {
    throw new UserError(`Indexing has been paused since ${pausedSince}: ${hint(context.args, 'resume')}`, 1);
  }
  if (!(await context.confirm(`Send ${plan}, and erase it again?`))) {
    return { data, lines: ['Nothing was sent.'], exitCode: 1 };
  }

  const steps: Step[] = [];
  const look = lookAt(context.args);
  let at: keyof typeof look = 'upload';
  /** Does a part of it, and says how long it took. */
  const step = async (name: string, doing: string, work: () => Promise<string>) => {
    progress.step(doing);
    const startedAt = now();
    const says = await work();
    const done = { step: name, ms: now() - startedAt, says };
    steps.push(done);
    context.show([stepLine(done)]);
  };
  let failure: string | undefined;
  try {
    await step('uploaded', 'Uploading', () => upload(deployment, sample));
    at = 'index';
    await step('indexed', 'Waiting for its faces', () => waitForFaces(deployment, sample, signal));
  } catch (error) {
    failure = signal.aborted ? 'Interrupted.' : told(error);
  }
  let receipts: Receipt[] = [];
  try {
    await step('erased', 'Erasing it again', async () => {
      receipts = await erase(deployment, sample);
      return receipts.length === 0
        ? 'nothing, there was nothing'
        : `photo and event, receipt ${receipts.map(({ erasure_id }) => erasure_id).join(', ')}`;
    });
  } catch (error) {
    throw new UserError(
      `${failure ? `${failure} And it` : 'It'} could not be erased again: ${told(error)} Look at ${look.erase}. To clean up, delete s3://${deployment.outputs.PhotoBucketName}/${sample.key}, then ${hint(context.args, `erase-event --event ${eventId}`)}`,
      1,
    );
  }
  if (failure !== undefined) {
    const interrupted = signal.aborted;
    return {
      data: { ...data, steps, receipts, failed: { at, because: failure, look_at: look[at] } },
      lines: [`${failure} What was sent is erased again.`, ...(interrupted ? [] : [`Look at ${look[at]}.`])],
      exitCode: interrupted ? Number(signal.reason) : 1,
    };
  }
  const total = steps.reduce((sum, { ms }) => sum + ms, 0);
  return {
    data: { ...data, steps, receipts },
    lines: [`It works: ${formatDuration(total)} from the upload until all of it was erased again.`],
    exitCode: 0,
  };
}

async function upload({ s3, outputs }: Deployment, sample: Sample): Promise<string> {
  const { VersionId: version } = await s3.send(
    new PutObjectCommand({
      Bucket: outputs.PhotoBucketName,
      Key: sample.key,
      Body: await readFile(join(samplePhotos().folder, PHOTO)),
    }),
  );
  sample.version = version;
  return sample.key;
}

async function waitForFaces(deployment: Deployment, sample: Sample, signal: AbortSignal): Promise<string> {
  const photo = await until(deployment, { patienceMs: PATIENCE_MS, signal }, async () => {
    const row = await rowOf(deployment, sample);
    return row && row.status !== 'processing' ? row : undefined;
  });
  if (photo.status !== 'indexed') {
    throw new UserError(
      `The photo is ${photo.status}: ${photo.failure_code ?? ''} ${photo.failure_message ?? ''}`.trim(),
      1,
    );
  }
  return count(photo.face_count ?? 0, 'face');
}

/** The object first, so that nothing is indexed any more; its event when nothing of it is under way. */
async function erase(deployment: Deployment, sample: Sample): Promise<Receipt[]> {
  const { s3, outputs } = deployment;
  const object = { Bucket: outputs.PhotoBucketName, Key: sample.key };
  if ((await headObject(deployment, sample.key)) === undefined) {
    return [];
  }
  const { VersionId: marker } = await s3.send(new DeleteObjectCommand(object));
  await until(deployment, { patienceMs: PATIENCE_MS }, async () =>
    (await rowOf(deployment, sample))?.status === 'deleted' && !(await isUnderWay(deployment, sample))
      ? true
      : undefined,
  );
  const receipts = await waitForReceipts(
    deployment,
    await startErasure(deployment, { request: 'event', event_id: sample.eventId }),
  );
  for (const VersionId of [sample.version, marker]) {
    if (VersionId !== undefined) {
      await s3.send(new DeleteObjectCommand({ ...object, VersionId }));
    }
  }
  const open = receipts.filter(({ finished_at }) => finished_at === null);
  if (open.length > 0) {
    throw new UserError('The erasure is put off, and is tried again by the daily one', 1);
  }
  return receipts;
}

/** A photo that is deleted before anything else is heard of it has its row under the id of its key. */
async function rowOf(deployment: Deployment, { photoId, key }: Sample): Promise<PhotoRow | undefined> {
  const { keyId } = parsePhotoKey(key);
  const rows = await ask(deployment, { ask: 'photos', photo_ids: [photoId, keyId] });
  const row = rows.find(({ id }) => id === photoId) ?? rows[0];
  return row;
}

/** Whether one of the latest executions that still run is this photo's. */
async function isUnderWay({ states, outputs }: Deployment, { key }: Sample): Promise<boolean> {
  const { executions = [] } = await states.send(
    new ListExecutionsCommand({
      stateMachineArn: outputs.StateMachineArn,
      statusFilter: 'RUNNING',
      maxResults: EXECUTIONS_LOOKED_AT,
    }),
  );
  for (const { executionArn } of executions) {
    const { input = '' } = await states.send(new DescribeExecutionCommand({ executionArn }));
    if (input.includes(key)) {
      return true;
    }
  }
  return false;
}

function stepLine({ step, ms, says }: Step): string {
  return `  ${step.padEnd(9)} ${formatDuration(ms).padStart(8)}  ${says}`;
}

function told(error: unknown): string {
  const { name, message } = error as Error;
  return name === 'UserError' ? `${message}.`.replace(/\.\.$/, '.') : `${name}: ${message}.`;
}

/** Asks again until there is an answer. */
async function until<Answer>(
  { isLocal }: Deployment,
  { patienceMs, signal }: { patienceMs: number; signal?: AbortSignal },
  look: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await look();
    if (answer !== undefined) {
      return answer;
    }
    if (performance.now() > deadline) {
      throw new UserError(`Nothing happened for ${formatDuration(patienceMs)}`, 1);
    }
    await sleep(isLocal ? 100 : 2_000, undefined, signal && { signal });
  }
}
