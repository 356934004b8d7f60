import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteCollectionCommand, ListFacesCommand } from '@aws-sdk/client-rekognition';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import postgres from 'postgres';
import { UserError } from '../../cli/user-error.ts';
import { POSTPONED_HOURS } from '../../lambdas/confirm-erasure/confirm-erasure.ts';
import { failureKind, isFailureName } from '../../lambdas/shared/contract/errors.ts';
import { resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import type { Receipt } from '../../lambdas/shared/erasure/contract.ts';
import type { PhotoRow } from '../../lambdas/shared/photos/row-types.ts';
import { compare, type Finding, type FindingKind } from '../../lambdas/shared/reconciliation/compare.ts';
import type { ExecutionEnd } from '../../local/cloud.ts';
import { parseOpsArguments } from '../../ops/arguments.ts';
import { erasePerson } from '../../ops/commands/erase-person.ts';
import { reconcile } from '../../ops/commands/reconcile.ts';
import { reprocess } from '../../ops/commands/reprocess.ts';
import { readQueues } from '../../ops/commands/status.ts';
import type { Context, Result } from '../../ops/context.ts';
import { askAll, collect } from '../../ops/database.ts';
import { type Deployment, localDeployment } from '../../ops/deployment.ts';
import { startErasure } from '../../ops/erasures.ts';
import { silent } from '../../ops/progress.ts';
import { readWorld } from '../../ops/reading.ts';
import { UNLIMITED } from '../../ops/time-limit.ts';
import { cpuSeconds } from './cpu.ts';
import type { Harness } from './harness.ts';
import { brokenPhoto, faceAt, GROUPS, photoWith } from './photos.ts';
import { atRest, type FaultPlan, faultPlan, type Outage, type Refusal } from './plan.ts';
import { etagOf, executionPrefix, type Incident, type Run } from './scene.ts';
import { Follower, noteStates, Searcher } from './watchers.ts';

/** Photos on their way up at once. */
const UPLOADS_AT_ONCE = 8;

/** Longer than every retry, scaled as the campaign scales them, on a machine that has other things to do. */
const SETTLE_LIMIT_MS = 900_000;

/** How long the second half of a photo's story waits for its first execution. */
const STORY_LIMIT_MS = 60_000;

/** Of all photos, those in the event that is erased as a whole. */
const ERASED_EVENT_SHARE = 0.08;

/** How many searches of a photographer's day there are, for each photo; the more, the more of them fall into an erasure. */
const SEARCHES_A_PHOTO = 0.15;

/** Searches one after the other when somebody asked for an erasure, and when it was written down. */
const SEARCHES_AN_ASK = 3;

/** What is uploaded and deleted under a photo's names, one after the other. */
const STORIES = {
  plain: ['put 0 A'],
  again: ['put 0 A', 'put 0 B'],
  same: ['put 0 A', 'put 0 A'],
  there_and_back: ['put 0 A', 'put 0 B', 'put 0 A'],
  deleted: ['put 0 A', 'delete 0'],
  deleted_and_back: ['put 0 A', 'delete 0', 'put 0 A'],
  deleted_and_other: ['put 0 A', 'delete 0', 'put 0 B'],
  copy: ['put 0 A', 'put 1 A'],
  renamed: ['put 0 A', 'put 1 A', 'delete 0'],
  copy_deleted: ['put 0 A', 'put 1 A', 'delete 1'],
  all_deleted: ['put 0 A', 'put 1 A', 'delete 0', 'delete 1'],
} as const;
type Story = keyof typeof STORIES;

/** How often each is told; the rest is plain. */
const STORY_SHARES: [Exclude<Story, 'plain'>, number][] = [
  ['again', 0.06],
  ['same', 0.06],
  ['there_and_back', 0.02],
  ['deleted', 0.05],
  ['deleted_and_back', 0.03],
  ['deleted_and_other', 0.03],
  ['copy', 0.03],
  ['renamed', 0.03],
  ['copy_deleted', 0.02],
  ['all_deleted', 0.02],
];

interface Version {
  content: Buffer;
  etag: string;
  faces: number | 'broken' | 'small';
}

/** What the campaign knows to be true of a photo. */
interface Photo {
  id: string;
  eventId: string;
  isInErasedEvent: boolean;
  /** Spellings of its name, which make them objects of one photo. */
  keys: readonly string[];
  story: Story;
  versions: Record<'A' | 'B', Version>;
  refusal: Refusal | undefined;
  vanishes: boolean;
  /** What was uploaded, when; milliseconds since the epoch. */
  puts: { key: string; version: Version; fromMs: number; toMs: number }[];
  deletions: number;
  /** What lies in the bucket, by key. */
  lying: Map<string, Version>;
}

/** A person, or the second event, that was asked to be erased. */
interface Ask {
  kind: 'person' | 'event';
  executionArn: string;
  /** Which of their photos' faces were named, from the left. */
  faces: { faceId: string; photoId: string; at: number }[];
}

/** A row of `erasures`. */
interface ErasureRow {
  id: string;
  photo_id: string | null;
  reason: string;
  execution_arn: string;
  requested_at: Date;
  finished_at: Date | null;
  photos: number;
  faces: number;
  results: number;
}

/** An ask that was written down, with the moment that decides. */
interface Accepted extends Ask {
  requestedMs: number;
}

export interface SeedReport {
  seed: number;
  photos: number;
  /** One sentence each, with the photo's history. */
  violations: string[];
  faults: Record<string, number>;
  /** What was done to the photos themselves. */
  stories: Record<string, number>;
  /** Requests to erase a person or an event, and of those the ones that were written down. */
  asked: number;
  accepted: number;
  /** Searches that were answered, and the photos that they showed; changes that the followers of the feed were told. */
  searches: number;
  shown: number;
  changes: number;
  executions: number;
  transitions: number;
  /** Calls of IndexFaces that took effect, and those of them whose answer a fault destroyed. */
  paid: number;
  destroyed: number;
  /** After the faults, before anybody did anything. */
  indexed: number;
  failed: number;
  failures: Record<string, number>;
  findings: Partial<Record<FindingKind, number>>;
  /** What the scheduled reconciliation had to do with it: its runs. */
  reconciliations: number;
  /** Photos that the operator's commands indexed afterwards. */
  reprocessed: number;
  seconds: number;
  /** Of CPU, of all processes together; missing where the kernel does not tell. */
  cpuSeconds?: number;
  /** Seconds of each part of it, in their order. */
  phases: Record<string, number>;
}

/**
 * Runs one seed: photos, deletions and erasures through the faults, then the scheduled reconciliation, then the recovery
 * commands, and checks what must hold.
 */
export async function runSeed(
  harness: Harness,
  { seed, photos: count }: { seed: number; photos: number },
): Promise<SeedReport> {
  const campaign = new Campaign(harness, seed, count);
  try {
    return await campaign.run();
  } finally {
    harness.setRun(undefined);
    await campaign.close();
  }
}

class Campaign {
  readonly #harness: Harness;
  readonly #seed: number;
  readonly #plan: FaultPlan;
  readonly #eventId = randomUUID();
  readonly #startedAt = Date.now();
  readonly #startedCpu = cpuSeconds();
  readonly #photos: Photo[] = [];
  readonly #byId = new Map<string, Photo>();
  readonly #count: number;
  readonly #incidents = new Map<string, Incident[]>();
  readonly #ends: ExecutionEnd[] = [];
  /** The event that is erased as a whole. */
  readonly #erasedEventId = randomUUID();
  readonly #asks: Ask[] = [];
  /** After how many ended photos a person is asked to be erased. */
  readonly #askAfter: number[];
  /** Receipts that executions ended with. */
  readonly #receipts: Receipt[] = [];
  readonly #sql: postgres.Sql;
  readonly #followers: readonly Follower[];
  readonly #searcher: Searcher;
  /** After how many ended photos somebody searches. */
  #searchAfter: number;
  #searches = 0;
  #shown = 0;
  readonly #violations: string[] = [];
  /** Photos at least one of whose executions has ended. */
  readonly #ended = new Set<string>();
  readonly #outages: Outage[];
  readonly #striking: Promise<unknown>[] = [];
  readonly #phases: Record<string, number> = {};
  readonly #deployment: Deployment;
  readonly #stopListening: () => void;

  constructor(harness: Harness, seed: number, count: number) {
    this.#harness = harness;
    this.#seed = seed;
    this.#count = count;
    this.#plan = faultPlan(seed, count);
    this.#outages = [...this.#plan.outages];
    this.#deployment = localDeployment(harness.cloud.services);
    this.#sql = postgres(harness.cloud.databaseUrl, { max: 1, onnotice: () => {} });
    this.#askAfter = [0.3, 0.5].map((share, i) => count * (share + 0.3 * this.#plan.chance(`ask/${i}`)));
    this.#followers = [this.#eventId, this.#erasedEventId].map((id) => new Follower(harness.cloud, id));
    this.#searcher = new Searcher(harness.cloud);
    this.#searchAfter = 1 / SEARCHES_A_PHOTO;
    this.#stopListening = harness.onExecutionEnd((end) => this.#onEnd(end));
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#deployment.close();
    this.#searcher.close();
    await this.#sql.end();
  }

  async run(): Promise<SeedReport> {
    await this.#makePhotos();
    await noteStates(this.#sql);
    this.#harness.setRun(this.#asRun());
    let isOver = false;
    const beside = [
      this.#endTurns(() => isOver),
      ...this.#followers.map((follower) => follower.follow(() => isOver)),
    ];
    try {
      return await this.#runSeed();
    } finally {
      isOver = true;
      await Promise.all(beside);
    }
  }

  async #runSeed(): Promise<SeedReport> {
    await Promise.all([this.#upload(), this.#eraseEvent()]);
    this.#phase('uploads');
    await this.#settle('the faults');
    this.#phase('faults');
    this.#harness.setRun({ ...this.#asRun(), plan: atRest(this.#plan) });
    this.#outages.length = 0;
    this.#askAfter.length = 0;
    this.#searchAfter = Number.POSITIVE_INFINITY;

    const afterFaults = await this.#rows();
    const accepted = await this.#accepted();
    this.#checkEndStates(afterFaults, accepted);
    const raw = await this.#findings();
    this.#checkExplained(raw, afterFaults, await this.#erasures());

    const reconciliations = await this.#reconcile();
    this.#phase('reconciliation');
    for (const finding of await this.#findings()) {
      this.#violate(photoOf(finding), `the reconciliation left: ${JSON.stringify(finding)}`);
    }
    const healed = await this.#heal();
    this.#phase('operator');
    await this.#checkTruth(await this.#rows(), accepted);
    for (const finding of await this.#findings()) {
      this.#violate(
        photoOf(finding),
        `after the operator's commands there is still: ${JSON.stringify(finding)}`,
      );
    }
    await this.#checkErased(accepted);
    await this.#checkResponses(accepted);
    await this.#checkReceipts();
    await this.#searchOften('end');
    for (const follower of this.#followers) {
      for (const fault of await follower.faults(this.#sql)) {
        this.#violate(undefined, `the feed: ${fault}`);
      }
    }
    for (const { role, action, resource } of this.#harness.cloud.privileges().denied) {
      this.#violate(undefined, `${role} was refused ${action} on ${resource}`);
    }
    const payments = this.#checkPayments();

    const failed = afterFaults.filter(({ status }) => status === 'failed');
    return {
      seed: this.#seed,
      photos: this.#count,
      violations: this.#violations,
      faults: this.#faultCounts(),
      stories: countBy(this.#photos, ({ story }) => story),
      asked: this.#asks.length,
      accepted: accepted.length,
      searches: this.#searches,
      shown: this.#shown,
      changes: this.#followers.reduce((sum, { changes }) => sum + changes, 0),
      executions: this.#ends.length,
      transitions: this.#ends.reduce((sum, { transitions }) => sum + transitions, 0),
      ...payments,
      indexed: afterFaults.filter(({ status }) => status === 'indexed').length,
      failed: failed.length,
      failures: countBy(failed, ({ failure_code, failure_message }) =>
        failure_code === 'InternalError'
          ? `InternalError (${failure_message?.slice(0, 80)})`
          : (failure_code ?? ''),
      ),
      findings: countBy(raw, ({ kind }) => kind),
      reconciliations,
      reprocessed: healed,
      seconds: (Date.now() - this.#startedAt) / 1000,
      ...cpuSince(this.#startedCpu),
      phases: this.#phases,
    };
  }

  #phase(name: string): void {
    const before = Object.values(this.#phases).reduce((sum, seconds) => sum + seconds, 0);
    this.#phases[name] = Math.round((Date.now() - this.#startedAt) / 1000 - before);
  }

  #asRun(): Run {
    return {
      eventIds: [this.#eventId, this.#erasedEventId],
      plan: this.#plan,
      refusalOf: (photoId) => this.#byId.get(photoId)?.refusal,
      vanishes: (photoId) => this.#byId.get(photoId)?.vanishes ?? false,
      struck: (photoId, what) => this.#note(photoId, what, true),
      note: (photoId, what) => this.#note(photoId, what),
    };
  }

  async #makePhotos(): Promise<void> {
    const inErasedEvent = Math.max(4, Math.round(this.#count * ERASED_EVENT_SHARE));
    for (let i = 0; i < this.#count + inErasedEvent; i++) {
      const isMain = i < this.#count;
      const chance = (what: string) => this.#plan.chance(`photo/${i}/${what}`);
      const eventId = isMain ? this.#eventId : this.#erasedEventId;
      const id = uuidOf(this.#seed, i, this.#eventId);
      const kind = isMain ? chance('kind') : 1;
      const content = async (n: number): Promise<Version> => {
        const made =
          kind < 0.03
            ? { content: await brokenPhoto(), faces: 'broken' as const }
            : kind < 0.05
              ? { content: await photoWith(1, { side: 60 }), faces: 'small' as const }
              : await this.#facesOf(Math.floor(4 * chance(`faces/${n}`)), chance(`group/${n}`));
        return { ...made, etag: etagOf(made.content) };
      };
      const isPlain = kind < 0.05 || !isMain;
      const story = isPlain ? 'plain' : storyOf(chance('story'));
      const photo: Photo = {
        id,
        eventId,
        isInErasedEvent: !isMain,
        keys: [`events/${eventId}/${id}.jpg`, `events/${eventId}/${id}.JPG`],
        story,
        versions: { A: await content(0), B: await content(1) },
        refusal:
          isMain && story === 'plain' && chance('refused') < 0.04
            ? REFUSALS[Math.floor(chance('refusal') * REFUSALS.length)]
            : undefined,
        vanishes: isMain && story === 'plain' && chance('vanishes') < 0.03,
        puts: [],
        deletions: 0,
        lying: new Map(),
      };
      this.#photos.push(photo);
      this.#byId.set(id, photo);
    }
  }

  async #facesOf(faces: number, group: number): Promise<{ content: Buffer; faces: number }> {
    return { content: await photoWith(faces, { group: Math.floor(group * GROUPS) }), faces };
  }

  async #upload(): Promise<void> {
    let sent = 0;
    const queue = this.#photos.filter(({ eventId }) => eventId === this.#eventId).values();
    const stories: Promise<void>[] = [];
    await Promise.all(
      Array.from({ length: UPLOADS_AT_ONCE }, async () => {
        for (const photo of queue) {
          const [first, ...others] = STORIES[photo.story];
          await this.#act(photo, first);
          stories.push(this.#goOn(photo, others));
          sent++;
          if (photo.story === 'plain' && !photo.vanishes) {
            this.#sendNonsense(sent, photo);
          }
          await sleep(5);
        }
      }),
    );
    await Promise.all(stories);
  }

  /** What comes next comes while the photo is on its way, or after it. */
  async #goOn(photo: Photo, steps: readonly string[]): Promise<void> {
    for (const [i, step] of steps.entries()) {
      const chance = (what: string) => this.#plan.chance(`step/${i}/${what}/${photo.id}`);
      if (chance('after') < 0.5) {
        await this.#untilEnded(photo);
      }
      await sleep(1_500 * chance('pause'));
      await this.#act(photo, step);
    }
  }

  /** Nor is anything to be waited for where the event of the upload was lost. */
  async #untilEnded({ id }: Photo): Promise<void> {
    const deadline = Date.now() + STORY_LIMIT_MS;
    while (!this.#ended.has(id) && !this.#isLost(id, 'event') && Date.now() < deadline) {
      await sleep(50);
    }
  }

  /** A deletion is lost also with the execution that was stopped before it had written it down. */
  #isLost(photoId: string, what: 'event' | 'deletion'): boolean {
    return (this.#incidents.get(photoId) ?? []).some(
      (incident) =>
        incident.what === `${what}: lost` ||
        // However often it tried.
        (what === 'deletion' &&
          /^execution ABORTED : RequestErasure(?!.* > ListErasures)/.test(incident.what)),
    );
  }

  /** @param step `put` or `delete`, which of the names, which of the versions */
  async #act(photo: Photo, step: string): Promise<void> {
    const { s3, photoBucket } = this.#harness.cloud;
    const [what, name, versionName] = step.split(' ');
    const object = { Bucket: photoBucket, Key: photo.keys[Number(name)]! };
    const fromMs = Date.now();
    this.#note(photo.id, step);
    if (what === 'delete') {
      photo.deletions++;
      photo.lying.delete(object.Key);
      await s3.send(new DeleteObjectCommand(object));
      return;
    }
    const version = photo.versions[versionName as 'A' | 'B'];
    photo.lying.set(object.Key, version);
    await s3.send(new PutObjectCommand({ ...object, Body: version.content }));
    photo.puts.push({ key: object.Key, version, fromMs, toMs: Date.now() });
  }

  /** Photos of an event before it is asked to be erased, while that is under way, and after it. */
  async #eraseEvent(): Promise<void> {
    const photos = this.#photos.filter(({ eventId }) => eventId === this.#erasedEventId);
    const half = Math.ceil(photos.length / 2);
    for (const photo of photos.slice(0, half)) {
      await this.#act(photo, 'put 0 A');
    }
    await Promise.race(photos.slice(0, half).map((photo) => this.#untilEnded(photo)));
    await sleep(3_000 * this.#plan.chance('erase-event'));
    const executionArn = await startErasure(this.#deployment, {
      request: 'event',
      event_id: this.#erasedEventId,
    });
    this.#asks.push({ kind: 'event', executionArn, faces: [] });
    this.#striking.push(this.#searchOften('event'));
    for (const photo of photos.slice(half)) {
      await this.#act(photo, 'put 0 A');
      await sleep(1_500 * this.#plan.chance(`after-erasure/${photo.id}`));
    }
  }

  /** Asks for a person to be erased: whoever is in a face of the collection. */
  async #askPerson(number: number): Promise<void> {
    const { rekognition } = this.#harness.cloud;
    const { Faces: faces = [] } = await rekognition
      .send(new ListFacesCommand({ CollectionId: this.#collectionId, MaxResults: 4_096 }))
      .catch(() => ({ Faces: [] }));
    if (faces.length === 0) {
      return;
    }
    const face = faces[Math.floor(this.#plan.chance(`person/${number}`) * faces.length)]!.FaceId!;
    const asked = await this.#command(erasePerson, [
      ...['erase-person', '--event', this.#eventId, '--face', face, '--yes', '--no-wait'],
      // The database may be away just now, or the face.
    ]).catch((error: unknown) => {
      if (error instanceof UserError) {
        return undefined;
      }
      throw error;
    });
    const executionArn = /arn:\S+(?<!\.)/.exec(asked?.lines.join() ?? '')?.[0];
    if (!asked || !executionArn) {
      return;
    }
    const matches = asked.data.matches as { face_id: string; photo_id: string; box: { Left: number } }[];
    this.#asks.push({
      kind: 'person',
      executionArn,
      faces: matches.map(({ face_id, photo_id, box }) => ({
        faceId: face_id,
        photoId: photo_id,
        at: faceAt(box),
      })),
    });
    this.#striking.push(this.#searchOften(`person ${number}`));
    for (const { photo_id } of matches) {
      this.#note(photo_id, `a face is asked to be erased by ${executionArn.slice(-12)}`);
    }
  }

  async #searchOften(when: string): Promise<void> {
    for (let i = 0; i < SEARCHES_AN_ASK; i++) {
      await this.#search(`${when}/${i}`);
      await sleep(500 * this.#plan.chance(`search-pause/${when}/${i}`));
    }
  }

  /** Somebody searches one of the events; what was to be gone before that is not shown. */
  async #search(which: string): Promise<void> {
    const chance = (what: string) => this.#plan.chance(`search/${which}/${what}`);
    const eventId = chance('event') < 0.7 ? this.#eventId : this.#erasedEventId;
    const accepted = await this.#accepted();
    const named = accepted.flatMap(({ faces }) => faces.map(({ faceId }) => faceId));
    const deleted = new Map<string, number>();
    for (const { id } of await this.#sql<{ id: string }[]>`
      SELECT id FROM photos WHERE event_id = ${eventId} AND status = 'deleted'`) {
      const photo = this.#byId.get(id);
      if (photo?.lying.size === 0) {
        deleted.set(id, photo.puts.length);
      }
    }
    const photos = await this.#searcher.search(eventId, chance('who'), named);
    this.#searches += photos ? 1 : 0;
    this.#shown += photos?.length ?? 0;
    for (const { photo_id, face_id } of photos ?? []) {
      const photo = this.#byId.get(photo_id);
      const wasDeleted =
        photo?.lying.size === 0 && deleted.get(photo_id) === photo.puts.length && photo.puts.length > 0;
      if (photo?.eventId !== eventId) {
        this.#violate(photo_id, `is shown by a search of ${eventId}`);
      } else if (named.includes(face_id)) {
        this.#violate(photo_id, `is shown by the face ${face_id}, which was erased before the search`);
      } else if (wasDeleted || erasureOf(photo, accepted) === 'surely') {
        this.#violate(photo_id, 'is shown by a search, and was deleted or erased before it');
      }
    }
  }

  /**
   * An execution that was stopped in its turn holds up the others for 15 minutes. Here that time is over as soon as none of
   * its functions can be at work any more. What an error puts off for an hour is put off for ten seconds, and the daily run, which
   * tries it again, comes then: photos wait for it.
   */
  async #endTurns(isOver: () => boolean): Promise<void> {
    const { cloud } = this.#harness;
    while (!isOver()) {
      await sleep(300);
      try {
        const [turn] = await this.#sql<{ execution_arn: string }[]>`
          SELECT execution_arn FROM erasure_turn WHERE until > now()`;
        const holder = turn && cloud.describeExecution(turn.execution_arn);
        if (holder && holder.status !== 'RUNNING' && !this.#harness.isRemoving()) {
          await this.#sql`
            UPDATE erasure_turn SET until = now() - interval '1 second' WHERE execution_arn = ${turn.execution_arn}`;
        }
        const due = await this.#sql`
          UPDATE erasures SET not_before = now()
          WHERE finished_at IS NULL AND not_before > now()
            AND not_before < now() + make_interval(hours => ${POSTPONED_HOURS}) - interval '10 seconds'
          RETURNING id`;
        if (due.length > 0) {
          await startErasure(this.#deployment, { request: 'outbox' });
        }
      } catch {
        // PostgreSQL is unavailable just now: the turn ends when it is back.
      }
    }
  }

  /** @returns how many runs it took until one found nothing */
  async #reconcile(): Promise<number> {
    for (let run = 1; run <= 3; run++) {
      // Two hours later what was put off for one is due.
      await this
        .#sql`UPDATE erasures SET not_before = now() WHERE not_before > now() AND finished_at IS NULL`;
      const { status, output } = await this.#harness.cloud.reconcile(new Date(Date.now() + 2 * HOUR_MS));
      await this.#settle('the reconciliation');
      if (status !== 'SUCCEEDED') {
        this.#violate(undefined, `the reconciliation ended ${status}`);
      }
      const { found_in, outbox } = (output ?? {}) as { found_in?: unknown[]; outbox?: boolean };
      if (found_in?.length === 0 && outbox === false) {
        return run;
      }
    }
    return 3;
  }

  /** Strikes when so many photos are at their end. */
  #strikeInTime(): void {
    if (this.#searchAfter <= this.#ended.size) {
      this.#searchAfter += 1 / SEARCHES_A_PHOTO;
      this.#striking.push(this.#search(String(this.#ended.size)));
    }
    for (const [i, after] of this.#askAfter.entries()) {
      if (after <= this.#ended.size) {
        this.#askAfter[i] = Number.POSITIVE_INFINITY;
        this.#striking.push(this.#askPerson(i));
      }
    }
    for (const outage of this.#outages.filter(({ afterPhotos }) => afterPhotos <= this.#ended.size)) {
      this.#outages.splice(this.#outages.indexOf(outage), 1);
      this.#striking.push(this.#strike(outage));
    }
  }

  async #strike({ kind, ms }: Outage): Promise<void> {
    this.#note('*', `outage: ${kind} for ${ms} ms`, true);
    switch (kind) {
      case 'postgres_away':
      case 'postgres_restart':
        return this.#harness.postgres.leave(ms);
      case 'throttling_storm':
        return this.#harness.storm(ms);
      case 'cold_starts':
        return this.#harness.coldStarts();
      case 'collection_deleted':
        await this.#harness.cloud.rekognition
          .send(new DeleteCollectionCommand({ CollectionId: this.#collectionId }))
          .catch(() => {});
    }
  }

  /** Events that are none, made of one that is: they must end somewhere, and disturb nobody. */
  #sendNonsense(sent: number, { keys: [key = ''] }: Photo): void {
    if (this.#plan.chance(`nonsense/${sent}`) > 0.04) {
      return;
    }
    const { cloud } = this.#harness;
    const real = cloud.currentEvent(key);
    const { bucket } = real.detail as { bucket: object };
    const objects = [
      { key: 'not/a/photo.jpg', etag: 'x', size: 1, sequencer: '1' },
      { key: `events/${this.#eventId}/no-extension`, etag: 'x', size: 1, sequencer: '1' },
      { key: `events/${this.#eventId}/${randomUUID()}.jpg`, size: 'large' },
      { key: '' },
    ];
    this.#note('*', 'nonsense sent', true);
    cloud.deliver({ ...real, id: randomUUID(), detail: { bucket, object: objects[sent % objects.length] } });
  }

  /** Waits until nothing is under way any more. */
  async #settle(after: string): Promise<void> {
    const deadline = Date.now() + SETTLE_LIMIT_MS;
    for (let quiet = 0; quiet < 2; ) {
      await this.#harness.cloud.idle();
      await Promise.all(this.#striking);
      const { last_resort: ends } = await readQueues(this.#deployment);
      const isQuiet = ends === 0 && !this.#harness.holdsEvents() && !(await this.#hasPostponed());
      quiet = isQuiet ? quiet + 1 : 0;
      if (Date.now() > deadline) {
        this.#violate(undefined, `after ${after} it did not settle within ${SETTLE_LIMIT_MS / 1000} s`);
        return;
      }
      await sleep(150);
    }
  }

  /** Whether an erasure that an error put off has yet to be tried again. */
  async #hasPostponed(): Promise<boolean> {
    const postponed = await this.#sql`
      SELECT FROM erasures
      WHERE event_id IN (${this.#eventId}, ${this.#erasedEventId}) AND finished_at IS NULL AND not_before > now()
      LIMIT 1`;
    return postponed.length > 0;
  }

  async #rows(): Promise<PhotoRow[]> {
    const rows: PhotoRow[] = [];
    for (const event_id of [this.#eventId, this.#erasedEventId]) {
      rows.push(...(await collect(askAll(this.#deployment, { ask: 'photos', event_id }))));
    }
    return rows;
  }

  async #findings(): Promise<Finding[]> {
    const settled = new Date(Date.now() + 1_000);
    const main = compare(await readWorld(this.#deployment, this.#eventId), settled);
    return [...main, ...compare(await readWorld(this.#deployment, this.#erasedEventId), settled)];
  }

  #erasures(): Promise<ErasureRow[]> {
    return this.#sql<ErasureRow[]>`
      SELECT id, photo_id, reason, execution_arn, requested_at, finished_at, photos, faces, results
      FROM erasures WHERE event_id IN (${this.#eventId}, ${this.#erasedEventId})`;
  }

  /** The asks that were written down before their execution was stopped. */
  async #accepted(): Promise<Accepted[]> {
    const rows = await this.#erasures();
    const [event] = await this.#sql<{ at: Date | null }[]>`
      SELECT erasure_requested_at AS at FROM events WHERE id = ${this.#erasedEventId}`;
    return this.#asks.flatMap((ask) => {
      const row = rows.find(({ execution_arn }) => execution_arn === ask.executionArn);
      const at = ask.kind === 'event' ? event?.at : row?.requested_at;
      return row && at ? [{ ...ask, requestedMs: at.getTime() }] : [];
    });
  }

  #checkEndStates(rows: readonly PhotoRow[], accepted: readonly Accepted[]): void {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const photo of this.#photos) {
      const row = byId.get(photo.id);
      const isLost = this.#isLost(photo.id, 'event') || this.#isLost(photo.id, 'deletion');
      if (!row) {
        if (!isLost && photo.lying.size > 0 && !photo.vanishes && erasureOf(photo, accepted) === 'never') {
          this.#violate(photo.id, 'has no row');
        }
      } else if (row.status === 'processing') {
        if (photo.puts.length > 1 && this.#isLost(photo.id, 'event')) {
          // Announced with an upload that found itself replaced, by one that nobody told of.
          continue;
        }
        this.#violate(photo.id, 'has no end state');
      } else if (row.status === 'failed') {
        const code = row.failure_code ?? '';
        if (!isFailureName(code)) {
          this.#violate(photo.id, `failed with a code of no table: ${code}`);
        } else if (
          code === 'InternalError' &&
          !/^(Lambda|Runtime|Sandbox|States)\./.test(row.failure_message ?? '')
        ) {
          this.#violate(photo.id, `failed with an error that nobody named: ${row.failure_message}`);
        } else if (failureKind(code).retryable !== row.failure_retryable) {
          this.#violate(photo.id, `${code} says retryable=${row.failure_retryable}`);
        }
      }
    }
  }

  /** What is found right after the faults has to be explained by one of them. */
  #checkExplained(
    findings: readonly Finding[],
    rows: readonly PhotoRow[],
    erasures: readonly ErasureRow[],
  ): void {
    const leaving = new Set(
      erasures.filter(({ finished_at }) => finished_at === null).map(({ photo_id }) => photo_id),
    );
    const byId = new Map(rows.map((row) => [row.id, row]));
    const everywhere = (this.#incidents.get('*') ?? []).map(({ what }) => what);
    const collectionDeleted = everywhere.some((what) => what.includes('collection_deleted'));
    const erasureStopped = everywhere.some((what) => what.startsWith('erasure:'));
    for (const finding of findings) {
      const photo = this.#byId.get(photoOf(finding) ?? '');
      const row = byId.get(photo?.id ?? '');
      const faults = (this.#incidents.get(photo?.id ?? '') ?? []).filter(({ isFault }) => isFault);
      const isLost =
        photo !== undefined && (this.#isLost(photo.id, 'event') || this.#isLost(photo.id, 'deletion'));
      const isExplained =
        (finding.kind === 'faces_lost' && collectionDeleted) ||
        // Its answer, or its response, was lost before the photo was replaced, deleted, erased or refused, or failed.
        ((finding.kind === 'stray_faces' || finding.kind === 'needless_responses') &&
          photo !== undefined &&
          (photo.puts.length > 1 ||
            photo.deletions > 0 ||
            photo.vanishes ||
            // Asked for, and left to the daily run by the execution that was to remove it.
            (erasureStopped && leaving.has(photo.id)) ||
            ((row?.status === 'failed' || row?.status === 'erased') && faults.length > 0))) ||
        ((finding.kind === 'never_seen' || finding.kind === 'no_end') && isLost) ||
        (finding.kind === 'object_gone' && (isLost || erasureStopped));
      if (!isExplained) {
        this.#violate(photo?.id, `after the faults, unexplained: ${JSON.stringify(finding)}`);
      }
    }
  }

  /** The recovery commands: what failed for the moment is indexed again, what differs is mended. */
  async #heal(): Promise<number> {
    let reprocessed = 0;
    for (let round = 0; round < 3; round++) {
      let isMending = false;
      for (const event of [this.#eventId, this.#erasedEventId]) {
        const about = ['--event', event, '--yes'];
        const again = await this.#command(reprocess, ['reprocess', ...about]);
        reprocessed += Number(again.data.indexed ?? 0);
        const mended = await this.#command(reconcile, ['reconcile', ...about, '--fix', '--settle', '0']);
        await this.#settle('the commands');
        isMending ||= again.data.photos !== 0 || mended.data.mended === true;
      }
      if (!isMending) {
        break;
      }
    }
    return reprocessed;
  }

  #command(command: (context: Context) => Promise<Result>, argv: string[]): Promise<Result> {
    return command({
      args: parseOpsArguments([...argv, '--local'], {}),
      deployment: this.#deployment,
      progress: silent,
      limit: UNLIMITED,
      // What happened in this very second is settled too.
      now: () => Date.now() + 1_000,
      columns: undefined,
      confirm: async () => true,
      show() {},
    });
  }

  /** With the faults gone, every photo is what it is in truth. */
  async #checkTruth(rows: readonly PhotoRow[], accepted: readonly Accepted[]): Promise<void> {
    const byId = new Map(rows.map((row) => [row.id, row]));
    const faces = await this.#sql<{ photo_id: string; box: { Left: number } }[]>`
      SELECT photo_id, bounding_box AS box FROM faces JOIN photos ON photos.id = photo_id
      WHERE event_id IN (${this.#eventId}, ${this.#erasedEventId})`;
    const stored = Map.groupBy(faces, ({ photo_id }) => photo_id);
    for (const photo of this.#photos) {
      const row = byId.get(photo.id);
      const expected = truthOf(photo, accepted);
      if ((photo.vanishes || photo.lying.size === 0) && this.#isLost(photo.id, 'deletion')) {
        // Its execution found the object gone, and nobody was told of its deletion.
        expected.push('failed InvalidS3Object');
      }
      const is = row ? `${row.status} ${row.failure_code ?? ''}`.trim() : 'no row';
      if (!expected.includes(is)) {
        this.#violate(photo.id, `is ${is} in the end; in truth it is ${expected.join(' or ')}`);
      } else if (row?.status === 'indexed') {
        if (photo.lying.get(row.object_key)?.etag !== row.object_version) {
          this.#violate(photo.id, `is indexed for what does not lie at ${row.object_key}`);
        }
        const at = (stored.get(photo.id) ?? []).map(({ box }) => faceAt(box));
        this.#checkFaces(photo, at, accepted);
      }
    }
    const expectedIds = new Set<string>(this.#photos.map(({ id }) => id));
    for (const row of rows) {
      if (!expectedIds.has(row.id) && row.status !== 'deleted' && row.failure_code !== 'InvalidInput') {
        this.#violate(undefined, `there is a row of its own for ${row.object_key}: ${row.status}`);
      }
    }
  }

  /** Those of the bytes, each once, but for those that a person had erased. */
  #checkFaces(photo: Photo, stored: readonly number[], accepted: readonly Accepted[]): void {
    const [version] = photo.lying.values();
    const all = typeof version?.faces === 'number' ? version.faces : 0;
    const puts = photo.puts.filter((put) => put.version === version);
    const named = accepted.filter(({ faces }) => faces.some(({ photoId }) => photoId === photo.id));
    // Where a face had another id before, the one that was named may not have been the one that is stored.
    const hadOthers =
      !['plain', 'same', 'copy', 'copy_deleted'].includes(photo.story) || this.#hasLostCollection;
    for (let at = 0; at < Math.max(all, ...stored.map((face) => face + 1)); at++) {
      const asks = named.filter(({ faces }) =>
        faces.some((face) => face.photoId === photo.id && face.at === at),
      );
      const may = asks.some(({ requestedMs }) => puts.some(({ fromMs }) => seconds(fromMs) < requestedMs));
      const must =
        !hadOthers && asks.some(({ requestedMs }) => puts.every(({ toMs }) => seconds(toMs) < requestedMs));
      const count = stored.filter((face) => face === at).length;
      if (count > (at < all ? 1 : 0) || (must && count > 0)) {
        this.#violate(photo.id, `has face ${at} ${count} times${must ? ', which was erased' : ''}`);
      } else if (count === 0 && !may) {
        this.#violate(photo.id, `lacks face ${at}`);
      }
    }
  }

  /** No face that was erased is anywhere. */
  async #checkErased(accepted: readonly Accepted[]): Promise<void> {
    const worlds = [
      await readWorld(this.#deployment, this.#eventId),
      await readWorld(this.#deployment, this.#erasedEventId),
    ];
    const there = new Set(
      worlds.flatMap(({ collection = [], faces }) => [
        ...collection.map(({ faceId }) => faceId),
        ...faces.map(({ rekognition_face_id }) => rekognition_face_id),
      ]),
    );
    for (const { faces, executionArn } of accepted) {
      for (const { faceId, photoId } of faces.filter((face) => there.has(face.faceId))) {
        this.#violate(photoId, `still has the face ${faceId} that ${executionArn} erased`);
      }
    }
    for (const { externalImageId } of worlds.flatMap(({ collection = [] }) => collection)) {
      const photo = this.#byId.get(externalImageId ?? '');
      if (photo && (photo.lying.size === 0 || erasureOf(photo, accepted) === 'surely')) {
        this.#violate(photo.id, 'is deleted or erased, and the collection has a face of it');
      }
    }
  }

  /** No stored response names a face that was erased, and none is of a photo that is gone, or of a version that is. */
  async #checkResponses(accepted: readonly Accepted[]): Promise<void> {
    const { s3, resultsBucket: Bucket } = this.#harness.cloud;
    const erased = accepted.flatMap(({ faces }) => faces.map(({ faceId }) => faceId));
    const needed = (await this.#rows()).flatMap(({ id, event_id, object_version }) =>
      object_version === null ? [] : [resultsKey({ event_id, photo_id: id }, object_version)],
    );
    for (const eventId of [this.#eventId, this.#erasedEventId]) {
      for await (const { Contents = [] } of paginateListObjectsV2(
        { client: s3 },
        { Bucket, Prefix: `results/${eventId}/` },
      )) {
        for (const { Key = '' } of Contents) {
          const photo = this.#byId.get(Key.split('/')[2] ?? '');
          const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
          const text = (await Body?.transformToString()) ?? '';
          if (photo && (photo.lying.size === 0 || erasureOf(photo, accepted) === 'surely')) {
            this.#violate(photo.id, `is deleted or erased, and ${Key} is stored`);
          } else if (photo && !needed.includes(Key) && text.includes('"FaceId"')) {
            this.#violate(photo.id, `was replaced, and ${Key} is stored`);
          }
          for (const faceId of erased.filter((id) => text.includes(id))) {
            this.#violate(photo?.id, `${Key} names the face ${faceId}, which was erased`);
          }
        }
      }
    }
  }

  /** Each erasure has one receipt, which is final. */
  async #checkReceipts(): Promise<void> {
    const rows = await this.#erasures();
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const { id, reason, photo_id, finished_at } of rows) {
      if (finished_at === null) {
        this.#violate(photo_id ?? undefined, `the erasure ${id} (${reason}) has no receipt`);
      }
    }
    for (const { kind, executionArn } of this.#asks) {
      const asked = rows.filter(({ execution_arn }) => execution_arn === executionArn).length;
      const end = this.#ends.find((one) => one.executionArn === executionArn);
      if (asked > 1 || (asked === 0 && end?.status === 'SUCCEEDED')) {
        this.#violate(undefined, `${executionArn} (${kind}) ended ${end?.status} with ${asked} receipts`);
      }
    }
    for (const { erasure_id, ...receipt } of this.#receipts) {
      const { photos, faces, results, finished_at } = byId.get(erasure_id) ?? {};
      const now = { photos, faces, results, finished_at: finished_at?.toISOString() ?? null };
      const then = {
        photos: receipt.photos,
        faces: receipt.faces,
        results: receipt.results,
        finished_at: receipt.finished_at,
      };
      if (receipt.finished_at !== null && JSON.stringify(now) !== JSON.stringify(then)) {
        this.#violate(
          receipt.photo_id ?? undefined,
          `the receipt ${erasure_id} was ${JSON.stringify(then)} and is ${JSON.stringify(now)}`,
        );
      }
    }
    for (const photo of this.#photos) {
      const receipts = rows.filter(
        ({ reason, photo_id }) => reason === 'photo_deleted' && photo_id === photo.id,
      ).length;
      if (receipts > photo.deletions + (photo.vanishes ? 1 : 0)) {
        this.#violate(photo.id, `was deleted ${photo.deletions} times, and has ${receipts} receipts`);
      }
    }
    const [outbox] = await this.#sql<{ left: number }[]>`
      SELECT (SELECT count(*) FROM face_removals)::int + (SELECT count(*) FROM result_removals)::int AS left`;
    if (outbox!.left > 0) {
      this.#violate(undefined, `${outbox!.left} rows are left in the outbox`);
    }
  }

  /**
   * A version is billed again only if the response of the call before was not stored, or is void since: lost by a fault, or
   * older than an erasure of what it names.
   */
  #checkPayments(): { paid: number; destroyed: number } {
    let paid = 0;
    let destroyed = 0;
    for (const photo of this.#photos) {
      const billing = billingOf([
        ...(this.#incidents.get(photo.id) ?? []),
        ...(this.#incidents.get(photo.eventId) ?? []),
      ]);
      paid += billing.paid;
      destroyed += billing.unstored + billing.lost;
      for (const what of billing.violations) {
        this.#violate(photo.id, what);
      }
      const disturbances = (this.#incidents.get(photo.id) ?? []).filter(({ what }) =>
        /^(Lambda|Rekognition|S3|execution: |by itself)/.test(what),
      ).length;
      // An upload or a deletion in the middle of a call makes its answer one that nobody can rely on.
      const acts = photo.puts.length - 1 + photo.deletions;
      if (billing.unstored > disturbances + acts) {
        this.#violate(
          photo.id,
          `${billing.unstored} billed answers were not stored; ${disturbances} faults and ${acts} other acts explain fewer`,
        );
      }
    }
    return { paid, destroyed };
  }

  #onEnd(end: ExecutionEnd): void {
    const { object } = (end.input ?? {}) as { object?: { key?: string } };
    const photo = this.#photos.find(({ keys }) => keys.includes(object?.key ?? ''));
    const { outputs } = this.#harness.cloud;
    if (end.executionArn.startsWith(executionPrefix(outputs.EraseFacesStateMachineArn!))) {
      const { receipts = [] } = (end.output ?? {}) as { receipts?: Receipt[] };
      const ours: string[] = [this.#eventId, this.#erasedEventId];
      this.#receipts.push(...receipts.filter(({ event_id }) => ours.includes(event_id)));
      if (this.#asks.some(({ executionArn }) => executionArn === end.executionArn)) {
        this.#ends.push(end);
      }
    }
    if (!photo) {
      return;
    }
    this.#ends.push(end);
    if (end.executionArn.startsWith(executionPrefix(outputs.StateMachineArn!))) {
      this.#ended.add(photo.id);
      this.#strikeInTime();
    }
    const history = this.#harness.cloud.describeExecution(end.executionArn)?.history ?? [];
    const path = history
      .filter(({ type }) => ['StateEntered', 'StateFailed', 'StateRetried'].includes(type))
      .map(({ type, state, error }) => (type === 'StateEntered' ? state : `${error ?? type}`));
    this.#note(photo.id, `execution ${end.status} ${end.error ?? ''}: ${path.join(' > ')}`);
  }

  #note(photoId: string, what: string, isFault = false): void {
    const incidents = this.#incidents.get(photoId) ?? [];
    incidents.push({ atMs: Date.now() - this.#startedAt, what, isFault });
    this.#incidents.set(photoId, incidents);
  }

  #violate(photoId: string | undefined, what: string): void {
    const photo = photoId === undefined ? undefined : this.#byId.get(photoId);
    const about = photo
      ? `photo ${photo.id} (${photo.story}, ${photo.versions.A.faces} then ${photo.versions.B.faces} faces${photo.refusal ? `, refused: ${photo.refusal}` : ''}) `
      : '';
    const history = [
      ...(this.#incidents.get(photoId ?? '*') ?? []),
      ...(photo ? this.#globalIncidents() : []),
    ]
      .sort((a, b) => a.atMs - b.atMs)
      .map((incident) => `    ${(incident.atMs / 1000).toFixed(3)} s  ${incident.what}`);
    this.#violations.push([`seed ${this.#seed}: ${about}${what}`, ...history].join('\n'));
  }

  #globalIncidents(): Incident[] {
    return (this.#incidents.get('*') ?? []).filter(({ what }) => what.startsWith('outage'));
  }

  /** Only what was put there: neither what came of it, nor what a busy machine did by itself. */
  #faultCounts(): Record<string, number> {
    const faults = [...this.#incidents.values()].flat().filter(({ isFault }) => isFault);
    return countBy(faults, ({ what }) => what.split(/[ :]/)[0]!);
  }

  get #hasLostCollection(): boolean {
    return this.#globalIncidents().some(({ what }) => what.includes('collection_deleted'));
  }

  get #collectionId(): string {
    return `${this.#harness.cloud.collectionPrefix}${this.#eventId}`;
  }
}

const REFUSALS: Refusal[] = [
  'InvalidImageFormatException',
  'ImageTooLargeException',
  'InvalidParameterException',
  'InvalidS3ObjectException',
];

const HOUR_MS = 3_600_000;

/** S3 tells the time in whole seconds. */
function seconds(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

function storyOf(chance: number): Story {
  let below = 0;
  for (const [story, share] of STORY_SHARES) {
    below += share;
    if (chance < below) {
      return story;
    }
  }
  return 'plain';
}

/** Whether the erasure of its whole event took the photo. */
function erasureOf(photo: Photo, accepted: readonly Accepted[]): 'never' | 'maybe' | 'surely' {
  const ask = photo.isInErasedEvent ? accepted.find(({ kind }) => kind === 'event') : undefined;
  const put = photo.puts.at(-1);
  if (!ask || !put || seconds(put.fromMs) >= ask.requestedMs) {
    return 'never';
  }
  return seconds(put.toMs) < ask.requestedMs ? 'surely' : 'maybe';
}

/** The end states that are true of a photo once nothing disturbs it any more. */
function truthOf(photo: Photo, accepted: readonly Accepted[]): string[] {
  if (photo.vanishes || photo.lying.size === 0) {
    // A deletion that came first leaves no trace of the photo.
    return ['deleted', 'no row'];
  }
  if (photo.refusal) {
    return [`failed ${photo.refusal.replace('Exception', '')}`];
  }
  const erasure = erasureOf(photo, accepted);
  const [version] = photo.lying.values();
  return [
    ...(erasure === 'never'
      ? []
      : // Nobody needs a row to know that it is not to be indexed.
        ['erased', 'no row']),
    ...(erasure === 'surely'
      ? []
      : version!.faces === 'broken'
        ? ['failed InvalidImageFormat']
        : version!.faces === 'small'
          ? ['failed InvalidParameter']
          : ['indexed']),
  ];
}

/** So long after a response was stored, who read the one before may still tell of it: the time limit of PersistResults. */
const READ_BEFORE_MS = 90_000;

function wasJustStoredAgain(storedMs: readonly number[] = [], atMs: number): boolean {
  return storedMs.length > 1 && atMs - storedMs.at(-1)! < READ_BEFORE_MS;
}

/** What became of a photo's billed calls, as its history and that of its event tell. */
function billingOf(incidents: readonly Incident[]): {
  paid: number;
  unstored: number;
  lost: number;
  violations: string[];
} {
  const violations: string[] = [];
  const calls = new Set<string>();
  /** Versions whose stored response is of use, by how many calls stored one. */
  const stored = new Map<string, number>();
  /** Versions of which faces of their photo were erased since their response was stored: it is not trusted any more. */
  const doubtful = new Set<string>();
  /** When each response of a version was stored. */
  const storedMs = new Map<string, number[]>();
  // Two objects with the same bytes are two versions, where both are on their way at once.
  const objects = new Set(incidents.flatMap(({ what }) => /^put (\d+) /.exec(what)?.[1] ?? [])).size;
  let paid = 0;
  let lost = 0;
  for (const { what, atMs } of incidents.toSorted((a, b) => a.atMs - b.atMs)) {
    const [word, version = '', call = ''] = what.split(' ');
    if (what === 'paid') {
      paid++;
    } else if (word === 'stored' && !calls.has(call)) {
      // The same response may be sent twice, where the first answer was lost.
      calls.add(call);
      const count = (stored.get(version) ?? 0) + 1;
      if (count > Math.max(1, objects)) {
        violations.push(`was billed again for ${version}, whose response was stored`);
      }
      stored.set(version, count);
      doubtful.delete(version);
      storedMs.set(version, [...(storedMs.get(version) ?? []), atMs]);
    } else if (word === 'lost' && wasJustStoredAgain(storedMs.get(version), atMs)) {
      // Another execution of the same upload had read the one before, which was void.
      lost++;
    } else if (word === 'void') {
      if (version === '*') {
        stored.clear();
      } else {
        stored.delete(version);
        for (const other of stored.keys()) {
          doubtful.add(other);
        }
      }
    } else if (word === 'lost') {
      if (stored.delete(version) && !doubtful.has(version)) {
        violations.push(`took the response of ${version} for lost, and nothing explains it`);
      } else {
        lost++;
      }
    }
  }
  return { paid, unstored: Math.max(0, paid - calls.size), lost, violations };
}

function cpuSince(start: number | undefined): Pick<SeedReport, 'cpuSeconds'> {
  const now = cpuSeconds();
  return start === undefined || now === undefined ? {} : { cpuSeconds: Math.round(now - start) };
}

function photoOf(finding: Finding): string | undefined {
  return 'photoId' in finding ? finding.photoId : undefined;
}

function countBy<Item>(items: readonly Item[], key: (item: Item) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) {
    counts[key(item)] = (counts[key(item)] ?? 0) + 1;
  }
  return counts;
}

/** Names that the seed gives, so that each photo meets the same faults every time; but no photo of an earlier run. */
function uuidOf(seed: number, index: number, eventId: string): string {
  const tail = (seed * 100_000 + index).toString(16).padStart(12, '0').slice(-12);
  return `${eventId.slice(0, 8)}-0000-4000-8000-${tail}`;
}
