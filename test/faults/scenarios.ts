/** Three days in an operator's life, with what has to come out of them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { ListExecutionsCommand, StopExecutionCommand } from '@aws-sdk/client-sfn';
import type { PhotoStatus } from '../../lambdas/shared/photos/standing.ts';
import { compare } from '../../lambdas/shared/reconciliation/compare.ts';
import { parseOpsArguments } from '../../ops/arguments.ts';
import { backfill } from '../../ops/commands/backfill.ts';
import { reprocess } from '../../ops/commands/reprocess.ts';
import { readQueues } from '../../ops/commands/status.ts';
import type { Context, Result } from '../../ops/context.ts';
import { ask } from '../../ops/database.ts';
import { type Deployment, localDeployment } from '../../ops/deployment.ts';
import { silent } from '../../ops/progress.ts';
import { readWorld } from '../../ops/reading.ts';
import { UNLIMITED } from '../../ops/time-limit.ts';
import type { Harness } from './harness.ts';
import { photoWith } from './photos.ts';

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
    const { s3, photoBucket } = this.#harness.cloud;
    for (let sent = 1; sent <= count; sent++) {
      await s3.send(
        new PutObjectCommand({
          Bucket: photoBucket,
          Key: `events/${this.eventId}/${randomUUID()}.jpg`,
          Body: await photoWith(1 + (sent % 3)),
        }),
      );
      onSent(sent);
    }
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
