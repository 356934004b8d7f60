/** Four days in an operator's life, with what has to come out of them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { ListExecutionsCommand, StopExecutionCommand } from '@aws-sdk/client-sfn';
import postgres from 'postgres';
import { photoKeyOf } from '../../lambdas/shared/contract/photo-key.ts';
import type { PhotoStatus } from '../../lambdas/shared/photos/standing.ts';
import { compare } from '../../lambdas/shared/reconciliation/compare.ts';
import { parseOpsArguments } from '../../ops/arguments.ts';
import { backfill } from '../../ops/commands/backfill.ts';
import { cap as capCommand } from '../../ops/commands/cap.ts';
import { reprocess } from '../../ops/commands/reprocess.ts';
import { readQueues } from '../../ops/commands/status.ts';
import type { Context, Result } from '../../ops/context.ts';
import { ask } from '../../ops/database.ts';
import { type Deployment, localDeployment } from '../../ops/deployment.ts';
import { silent } from '../../ops/progress.ts';
import { readWorld } from '../../ops/reading.ts';
import { UNLIMITED } from '../../ops/time-limit.ts';
import { withinOneDay } from '../support/midnight.ts';
import { type Harness, type HarnessOptions, SCALED_TO_WAIT } from './harness.ts';
import { photoWith } from './photos.ts';
import { atRest, faultPlan } from './plan.ts';

export interface ScenarioReport {
  scenario: string;
  photos: number;
  states: Partial<Record<PhotoStatus, number>>;
  /** Why photos failed. */
  failures: Record<string, number>;
  /** Calls of IndexFaces that were answered. */
  calls: number;
  /** What the reconciler finds in the end. */
  findings: number;
  seconds: number;
  /** What must hold and does not, a line each. */
  violations?: string[];
  [more: string]: unknown;
}

/** An event of its own, with a few words for what is done to it. */
class Day {
  readonly eventId = randomUUID();
  readonly deployment: Deployment;
  readonly #harness: Harness;
  readonly #startedAt = Date.now();
  readonly #callsBefore: number;

  constructor(harness: Harness) {
    this.#harness = harness;
    this.deployment = localDeployment(harness.cloud.services);
    this.#callsBefore = harness.cloud.rekognitionCalls('IndexFaces');
  }

  get calls(): number {
    return this.#harness.cloud.rekognitionCalls('IndexFaces') - this.#callsBefore;
  }

  /** @param onSent is told how many there are */
  async upload(count: number, onSent: (sent: number) => void = () => {}): Promise<void> {
    for (let sent = 1; sent <= count; sent++) {
      await this.put(this.eventId, 1 + (sent % 3));
      onSent(sent);
    }
  }

  /** @returns the photo's id */
  async put(eventId: string, faces: number): Promise<string> {
    const { s3, photoBucket } = this.#harness.cloud;
    const photoId = randomUUID();
    const Key = `events/${eventId}/${photoId}.jpg`;
    await s3.send(new PutObjectCommand({ Bucket: photoBucket, Key, Body: await photoWith(faces) }));
    return photoId;
  }

  /** Waits until no execution is open and every end of one is written. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await this.#harness.cloud.idle();
      const { last_resort: ends } = await readQueues(this.deployment);
      quiet = ends === 0 ? quiet + 1 : 0;
      await sleep(100);
    }
  }

  command(command: (context: Context) => Promise<Result>, ...argv: string[]): Promise<Result> {
    return command({
      args: parseOpsArguments([...argv, '--local', '--yes'], {}),
      deployment: this.deployment,
      progress: silent,
      limit: UNLIMITED,
      now: Date.now,
      columns: undefined,
      confirm: async () => true,
      show() {},
    });
  }

  async states(): Promise<Pick<ScenarioReport, 'states' | 'failures'>> {
    const { photos, failures } = await ask(this.deployment, { ask: 'summary', event_id: this.eventId });
    return {
      states: photos,
      failures: Object.fromEntries(failures.map(({ code, photos: count }) => [code, count])),
    };
  }

  async report(scenario: string, photos: number, more: object = {}): Promise<ScenarioReport> {
    const findings = compare(await readWorld(this.deployment, this.eventId), new Date(Date.now() + 1_000));
    const report = {
      scenario,
      photos,
      ...(await this.states()),
      calls: this.calls,
      findings: findings.length,
      seconds: (Date.now() - this.#startedAt) / 1000,
      ...more,
    };
    this.deployment.close();
    return report;
  }
}

/** PostgreSQL is unavailable while photos are on their way, for less long than they try. */
export async function databaseAway(
  harness: Harness,
  { photos, awayMs }: { photos: number; awayMs: number },
): Promise<ScenarioReport> {
  const day = new Day(harness);
  let returned: Promise<void> | undefined;
  await day.upload(photos, (sent) => {
    if (sent >= photos / 4) {
      returned ??= harness.postgres.leave(awayMs);
    }
  });
  await returned;
  await day.settle();
  return day.report('database-away', photos, { away_seconds: awayMs / 1000 });
}

/**
 * PostgreSQL is unavailable for longer than all retries: nobody can even write that photos failed. When it is back they become
 * failed by themselves, and one command indexes them, without a second paid call for what was stored.
 */
export async function databaseGone(
  harness: Harness,
  { photos }: { photos: number },
): Promise<ScenarioReport> {
  const day = new Day(harness);
  await day.upload(photos);
  const { cloud } = harness;
  let gone = true;
  const leaving = (async () => {
    while (gone) {
      await harness.postgres.leave(1_000);
    }
  })();
  // Until the last execution has given up, its own attempt to write so included.
  await cloud.idle();
  gone = false;
  await leaving;
  await day.settle();
  const after = await day.states();
  const callsBefore = day.calls;
  const again = await day.command(reprocess, 'reprocess', '--event', day.eventId);
  await day.settle();
  return day.report('database-gone', photos, {
    states_when_back: after.states,
    failures_when_back: after.failures,
    reprocess: again.data,
    calls_of_reprocess: day.calls - callsBefore,
  });
}

/** Objects lie in the bucket, some of them indexed; the backfill is stopped in its middle, and started again. */
export async function backfillInTwoGoes(
  harness: Harness,
  { objects, indexed }: { objects: number; indexed: number },
): Promise<ScenarioReport> {
  const day = new Day(harness);
  await day.upload(indexed);
  await day.settle();
  harness.dropUploads(true);
  await day.upload(objects - indexed);
  harness.dropUploads(false);
  const callsBefore = day.calls;
  const prefix = `events/${day.eventId}/`;
  const dry = await day.command(backfill, 'backfill', '--prefix', prefix, '--dry-run');

  await day.command(backfill, 'backfill', '--prefix', prefix, '--no-wait');
  while (day.calls - callsBefore < (objects - indexed) / 4) {
    await sleep(20);
  }
  await stopBackfills(day.deployment);
  const callsAtStop = day.calls - callsBefore;
  await day.settle();
  const second = await day.command(backfill, 'backfill', '--prefix', prefix);
  await day.settle();
  return day.report('backfill', objects, {
    planned: dry.data,
    calls_at_stop: callsAtStop,
    second_go: second.data,
    calls_of_backfill: day.calls - callsBefore,
  });
}

async function stopBackfills({ states, outputs }: Deployment): Promise<void> {
  const { executions = [] } = await states.send(
    new ListExecutionsCommand({ stateMachineArn: outputs.BackfillStateMachineArn, statusFilter: 'RUNNING' }),
  );
  for (const { executionArn } of executions) {
    await states.send(new StopExecutionCommand({ executionArn, cause: 'stopped in its middle' }));
  }
}

/** The images of one photographer a day, in the scenario of their cap. */
export const IMAGES_OF_ONE = 20;

/** What that scenario's harness is started with. */
export const CAPPED = {
  time: SCALED_TO_WAIT,
  context: { 'rollcall.dailyImagesPerPhotographer': String(IMAGES_OF_ONE) },
} as const satisfies Partial<HarnessOptions>;

const HELD_WITHIN_MS = 5 * 60_000;

/**
 * A photographer's photos, of two events, come to the cap among those of others, who stay below it, while functions die and calls fail.
 * Not one more than the cap is billed, everybody else's are indexed, and so are the rest when an operator raises the cap for that
 * photographer.
 *
 * @param options.photos more than twice `IMAGES_OF_ONE`: half of them are the photographer's
 */
export async function photographerCap(
  harness: Harness,
  { photos, seed }: { photos: number; seed: number },
): Promise<ScenarioReport> {
  await withinOneDay(2 * HELD_WITHIN_MS);
  const day = new Day(harness);
  const { cloud } = harness;
  const me = randomUUID();
  const mine: string[] = [day.eventId, randomUUID()];
  const theirs: string[] = Array.from({ length: Math.ceil(photos / IMAGES_OF_ONE) }, () => randomUUID());
  const sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
  const events = [
    ...mine.map((id) => ({ id, photographer_id: me })),
    ...theirs.map((id) => ({ id, photographer_id: randomUUID() })),
  ];
  await sql`INSERT INTO events ${sql(events)}`;
  const eventOf = new Map<string, string>();
  const billed = new Map<string, number>();
  let faults = 0;
  // Only what strikes a photo on its way: the database and the events have scenarios of their own.
  const plan = faultPlan(seed, photos);
  const { rekognition, dynamodb, lambda } = plan;
  harness.setRun({
    eventIds: events.map(({ id }) => id),
    plan: { ...atRest(plan), rekognition, dynamodb, lambda },
    refusalOf: () => undefined,
    vanishes: () => false,
    struck: () => faults++,
    note(photoId, what) {
      const event = eventOf.get(photoId);
      if (what === 'paid' && event !== undefined) {
        billed.set(event, (billed.get(event) ?? 0) + 1);
      }
    },
  });
  const billedOfMine = () => mine.reduce((sum, event) => sum + (billed.get(event) ?? 0), 0);
  const ended = new Set<string>();
  const stopListening = harness.onExecutionEnd(({ input }) => {
    const { object } = (input ?? {}) as { object?: { key?: string } };
    ended.add(photoKeyOf(object?.key ?? '')?.photoId ?? '');
  });
  for (let sent = 0; sent < photos; sent++) {
    const turn = Math.floor(sent / 2);
    const of = sent % 2 === 0 ? mine : theirs;
    const eventId = of[turn % of.length]!;
    eventOf.set(await day.put(eventId, 1 + (sent % 3)), eventId);
  }

  const violations: string[] = [];
  const theirPhotos = [...eventOf].filter(([, event]) => theirs.includes(event)).map(([photoId]) => photoId);
  const isHeld = () =>
    theirPhotos.every((photoId) => ended.has(photoId)) &&
    [...cloud.waitingAfter()].join() === 'PhotographerCapReached';
  const deadline = Date.now() + HELD_WITHIN_MS;
  for (let held = 0; held < 20; held = isHeld() ? held + 1 : 0) {
    if (Date.now() > deadline) {
      violations.push(
        `after ${HELD_WITHIN_MS / 1000} s ${cloud.unfinished()} executions are open, waiting after ${[...cloud.waitingAfter()].join()}`,
      );
      break;
    }
    await sleep(100);
  }
  const billedUntilCap = billedOfMine();
  const { data: cap } = await day.command(capCommand, 'cap', '--photographer', me);
  if (billedUntilCap > IMAGES_OF_ONE) {
    violations.push(`${billedUntilCap} images of the photographer were billed, of ${IMAGES_OF_ONE}`);
  }
  if (cap.images_today !== IMAGES_OF_ONE) {
    violations.push(`${cap.images_today} images of the photographer are counted, of ${IMAGES_OF_ONE}`);
  }
  const heldPhotos = cloud.unfinished();

  await day.command(capCommand, 'cap', '--photographer', me, '--images', String(10 * photos));
  await day.settle();
  const { data: raised } = await day.command(capCommand, 'cap', '--photographer', me);
  if (billedOfMine() > Number(raised.images_today)) {
    violations.push(`${billedOfMine()} images were billed, and ${raised.images_today} counted`);
  }
  harness.setRun(undefined);
  for (const { id } of events) {
    await day.command(reprocess, 'reprocess', '--event', id);
    await day.settle();
  }
  const rows = await sql<{ event_id: string; status: string; photos: number }[]>`
    SELECT event_id, status, count(*)::int AS photos FROM photos
    WHERE event_id IN ${sql(events.map(({ id }) => id))} GROUP BY 1, 2`;
  const indexed = rows.filter(({ status }) => status === 'indexed').reduce((sum, row) => sum + row.photos, 0);
  if (indexed !== photos) {
    violations.push(`${indexed} of ${photos} photos are indexed in the end`);
  }
  stopListening();
  await sql.end();
  return day.report('photographer-cap', photos, {
    seed,
    faults,
    cap: IMAGES_OF_ONE,
    billed_until_cap: billedUntilCap,
    held: heldPhotos,
    billed: billedOfMine(),
    counted: raised.images_today,
    indexed,
    violations,
  });
}
