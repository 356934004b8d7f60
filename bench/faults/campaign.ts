import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteCollectionCommand } from '@aws-sdk/client-rekognition';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { failureKind, isFailureName } from '../../lambdas/shared/errors.ts';
import type { PhotoRow } from '../../lambdas/shared/event-rows.ts';
import { compare, type Finding, type FindingKind } from '../../lambdas/shared/reconciliation.ts';
import type { ExecutionEnd } from '../../local/cloud.ts';
import { parseOpsArguments } from '../../ops/arguments.ts';
import { reconcile } from '../../ops/commands/reconcile.ts';
import { reprocess } from '../../ops/commands/reprocess.ts';
import { readQueues } from '../../ops/commands/status.ts';
import type { Context, Result } from '../../ops/context.ts';
import { askAll, collect } from '../../ops/database.ts';
import { type Deployment, localDeployment } from '../../ops/deployment.ts';
import { silent } from '../../ops/progress.ts';
import { readWorld } from '../../ops/reading.ts';
import { etagOf, type Harness, type Incident, type Run } from './harness.ts';
import { brokenPhoto, photoWith } from './photos.ts';
import { type FaultPlan, faultPlan, type Outage, type Refusal } from './plan.ts';

/** Photos on their way up at once. */
const UPLOADS_AT_ONCE = 8;

/** Longer than every retry, scaled as the campaign scales them, on a machine that has other things to do. */
const SETTLE_LIMIT_MS = 900_000;

/** What the campaign knows to be true of a photo. */
interface Photo {
  id: string;
  key: string;
  /** The uploads in their order; the last one counts. */
  versions: { content: Buffer; etag: string; faces: number | 'broken' | 'small' }[];
  refusal: Refusal | undefined;
  vanishes: boolean;
}

export interface SeedReport {
  seed: number;
  photos: number;
  /** One sentence each, with the photo's history. */
  violations: string[];
  faults: Record<string, number>;
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
  /** Photos that the operator's commands indexed afterwards. */
  reprocessed: number;
  seconds: number;
}

/** Runs one seed: photos through the faults, then the operator's way back, and checks what must hold. */
export async function runSeed(
  harness: Harness,
  { seed, photos: count }: { seed: number; photos: number },
): Promise<SeedReport> {
  const campaign = new Campaign(harness, seed, count);
  try {
    return await campaign.run();
  } finally {
    harness.setRun(undefined);
    campaign.close();
  }
}

class Campaign {
  readonly #harness: Harness;
  readonly #seed: number;
  readonly #plan: FaultPlan;
  readonly #eventId = randomUUID();
  readonly #startedAt = Date.now();
  readonly #photos: Photo[] = [];
  readonly #byId = new Map<string, Photo>();
  readonly #count: number;
  readonly #incidents = new Map<string, Incident[]>();
  readonly #ends: ExecutionEnd[] = [];
  /** How often an execution found its stored response gone, by photo. */
  readonly #lost = new Map<string, number>();
  readonly #violations: string[] = [];
  /** Photos at least one of whose executions has ended. */
  readonly #ended = new Set<string>();
  readonly #outages: Outage[];
  readonly #striking: Promise<unknown>[] = [];
  readonly #deployment: Deployment;
  readonly #stopListening: () => void;

  constructor(harness: Harness, seed: number, count: number) {
    this.#harness = harness;
    this.#seed = seed;
    this.#count = count;
    this.#plan = faultPlan(seed, count);
    this.#outages = [...this.#plan.outages];
    this.#deployment = localDeployment(harness.cloud.services);
    this.#stopListening = harness.onExecutionEnd((end) => this.#onEnd(end));
  }

  close(): void {
    this.#stopListening();
    this.#deployment.close();
  }

  async run(): Promise<SeedReport> {
    await this.#makePhotos();
    this.#harness.setRun(this.#asRun());
    await this.#upload();
    await this.#settle('the faults');
    this.#harness.setRun({ ...this.#asRun(), plan: atRest(this.#plan) });
    this.#outages.length = 0;

    const afterFaults = await this.#rows();
    this.#checkEndStates(afterFaults);
    const raw = await this.#findings();
    this.#checkExplained(raw, afterFaults);

    const healed = await this.#heal();
    const rows = await this.#rows();
    this.#checkTruth(rows);
    for (const finding of await this.#findings()) {
      this.#violate(
        photoOf(finding),
        `after the operator's commands there is still: ${JSON.stringify(finding)}`,
      );
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
      reprocessed: healed,
      seconds: (Date.now() - this.#startedAt) / 1000,
    };
  }

  #asRun(): Run {
    return {
      eventId: this.#eventId,
      plan: this.#plan,
      refusalOf: (photoId) => this.#byId.get(photoId)?.refusal,
      vanishes: (photoId) => this.#byId.get(photoId)?.vanishes ?? false,
      note: (photoId, what) => this.#note(photoId, what),
    };
  }

  async #makePhotos(): Promise<void> {
    for (let i = 0; i < this.#count; i++) {
      const chance = (what: string) => this.#plan.chance(`photo/${i}/${what}`);
      const id = uuidOf(this.#seed, i, this.#eventId);
      const kind = chance('kind');
      const content = async (n: number): Promise<Photo['versions'][number]> => {
        const made =
          kind < 0.03
            ? { content: await brokenPhoto(), faces: 'broken' as const }
            : kind < 0.05
              ? { content: await photoWith(1, 60), faces: 'small' as const }
              : await this.#facesOf(Math.floor(4 * chance(`faces/${n}`)));
        return { ...made, etag: etagOf(made.content) };
      };
      const versions = [await content(0)];
      if (kind >= 0.05 && chance('again') < 0.08) {
        versions.push(await content(1));
      }
      const photo: Photo = {
        id,
        key: `events/${this.#eventId}/${id}.jpg`,
        versions,
        refusal:
          chance('refused') < 0.03 ? REFUSALS[Math.floor(chance('refusal') * REFUSALS.length)] : undefined,
        vanishes: versions.length === 1 && chance('vanishes') < 0.03,
      };
      this.#photos.push(photo);
      this.#byId.set(id, photo);
    }
  }

  async #facesOf(faces: number): Promise<{ content: Buffer; faces: number }> {
    return { content: await photoWith(faces), faces };
  }

  async #upload(): Promise<void> {
    let sent = 0;
    const queue = this.#photos.values();
    await Promise.all(
      Array.from({ length: UPLOADS_AT_ONCE }, async () => {
        for (const photo of queue) {
          for (const version of photo.versions) {
            await this.#put(photo, version.content);
            // The next version comes while the first is on its way, or after it.
            await sleep(photo.versions.length > 1 ? 600 * this.#plan.chance(`pause/${photo.id}`) : 5);
          }
          sent++;
          if (!photo.vanishes) {
            this.#sendNonsense(sent, photo);
          }
        }
      }),
    );
  }

  /** Strikes when so many photos are at their end: uploads are through long before. */
  #strikeInTime(): void {
    for (const outage of this.#outages.filter(({ afterPhotos }) => afterPhotos <= this.#ended.size)) {
      this.#outages.splice(this.#outages.indexOf(outage), 1);
      this.#striking.push(this.#strike(outage));
    }
  }

  async #put({ key }: Photo, content: Buffer): Promise<void> {
    const { s3, photoBucket } = this.#harness.cloud;
    await s3.send(new PutObjectCommand({ Bucket: photoBucket, Key: key, Body: content }));
  }

  async #strike({ kind, ms }: Outage): Promise<void> {
    this.#note('*', `outage: ${kind} for ${ms} ms`);
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
  #sendNonsense(sent: number, { key }: Photo): void {
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
    cloud.deliver({ ...real, id: randomUUID(), detail: { bucket, object: objects[sent % objects.length] } });
  }

  /** Waits until nothing is under way any more. */
  async #settle(after: string): Promise<void> {
    const deadline = Date.now() + SETTLE_LIMIT_MS;
    for (let quiet = 0; quiet < 2; ) {
      await this.#harness.cloud.idle();
      await Promise.all(this.#striking);
      const { last_resort: ends } = await readQueues(this.#deployment);
      quiet = ends === 0 && !this.#harness.holdsEvents() ? quiet + 1 : 0;
      if (Date.now() > deadline) {
        this.#violate(undefined, `after ${after} it did not settle within ${SETTLE_LIMIT_MS / 1000} s`);
        return;
      }
      await sleep(150);
    }
  }

  #rows(): Promise<PhotoRow[]> {
    return collect(askAll(this.#deployment, { ask: 'photos', event_id: this.#eventId }));
  }

  async #findings(): Promise<Finding[]> {
    return compare(await readWorld(this.#deployment, this.#eventId), new Date(Date.now() + 1_000));
  }

  #checkEndStates(rows: readonly PhotoRow[]): void {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const photo of this.#photos) {
      const row = byId.get(photo.id);
      if (row?.status !== 'indexed' && row?.status !== 'failed' && row?.status !== 'deleted') {
        this.#violate(photo.id, `has no end state: ${row?.status ?? 'no row'}`);
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

  /** What the reconciler finds right after the faults has to be explained by one of them. */
  #checkExplained(findings: readonly Finding[], rows: readonly PhotoRow[]): void {
    const byId = new Map(rows.map((row) => [row.id, row]));
    const collectionDeleted = (this.#incidents.get('*') ?? []).some(({ what }) =>
      what.includes('collection_deleted'),
    );
    for (const finding of findings) {
      const photo = this.#byId.get(photoOf(finding) ?? '');
      const row = byId.get(photo?.id ?? '');
      const isExplained =
        (finding.kind === 'faces_lost' && collectionDeleted) ||
        // Indexed, and its answer lost, before the photo was replaced, deleted or refused.
        (finding.kind === 'stray_faces' &&
          photo !== undefined &&
          (photo.versions.length > 1 || photo.vanishes || row?.failure_retryable === false));
      if (!isExplained) {
        this.#violate(photo?.id, `after the faults, unexplained: ${JSON.stringify(finding)}`);
      }
    }
  }

  /** The operator's way back: what failed for the moment is indexed again, what differs is mended. */
  async #heal(): Promise<number> {
    let reprocessed = 0;
    for (let round = 0; round < 3; round++) {
      const again = await this.#command(reprocess, ['reprocess', '--event', this.#eventId, '--yes']);
      reprocessed += Number(again.data.indexed ?? 0);
      const mended = await this.#command(reconcile, [
        'reconcile',
        '--event',
        this.#eventId,
        '--fix',
        '--yes',
        '--settle',
        '0',
      ]);
      await this.#settle('the commands');
      if ((again.data.photos ?? 0) === 0 && mended.data.mended !== true) {
        break;
      }
    }
    return reprocessed;
  }

  #command(command: (context: Context) => Promise<Result>, argv: string[]): Promise<Result> {
    return command({
      args: parseOpsArguments([...argv, '--local'], {})!,
      deployment: this.#deployment,
      progress: silent,
      // What happened in this very second is settled too.
      now: () => Date.now() + 1_000,
      confirm: async () => true,
      show() {},
    });
  }

  /** With the faults gone, every photo is what it is in truth. */
  #checkTruth(rows: readonly PhotoRow[]): void {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const photo of this.#photos) {
      const row = byId.get(photo.id);
      const expected = truthOf(photo);
      const is =
        row && `${row.status} ${row.status === 'indexed' ? row.face_count : (row.failure_code ?? '')}`.trim();
      if (!expected.includes(is ?? 'no row')) {
        this.#violate(photo.id, `is ${is ?? 'no row'} in the end; in truth it is ${expected.join(' or ')}`);
      } else if (row?.status === 'indexed' && row.object_version !== photo.versions.at(-1)!.etag) {
        this.#violate(photo.id, 'is indexed at a version that is not the last');
      }
    }
  }

  /** At most one paid call for each version, beyond those whose answer a fault destroyed. */
  #checkPayments(): { paid: number; destroyed: number } {
    let paid = 0;
    let destroyed = 0;
    for (const photo of this.#photos) {
      const incidents = this.#incidents.get(photo.id) ?? [];
      const calls = incidents.filter(({ what }) => what === 'paid').length;
      const unstored = unstoredCalls(incidents);
      const lost = this.#lost.get(photo.id) ?? 0;
      paid += calls;
      destroyed += unstored + lost;
      if (calls > photo.versions.length + unstored + lost) {
        this.#violate(
          photo.id,
          `was paid ${calls} times for ${photo.versions.length} versions; ${unstored} answers were not stored, ${lost} were lost`,
        );
      }
      if (unstored > 0 && !incidents.some(({ what }) => /^(Lambda|Rekognition|S3|execution)/.test(what))) {
        this.#violate(photo.id, `${unstored} paid answers were not stored, and no fault explains it`);
      }
    }
    return { paid, destroyed };
  }

  #onEnd(end: ExecutionEnd): void {
    const { object } = (end.input ?? {}) as { object?: { key?: string } };
    const photo = this.#photos.find(({ key }) => key === object?.key);
    if (!photo) {
      return;
    }
    this.#ends.push(end);
    this.#ended.add(photo.id);
    this.#strikeInTime();
    const history = this.#harness.cloud.describeExecution(end.executionArn)?.history ?? [];
    const path = history
      .filter(({ type }) => ['StateEntered', 'StateFailed', 'StateRetried'].includes(type))
      .map(({ type, state, error }) => (type === 'StateEntered' ? state : `${error ?? type}`));
    const lost = history.filter(
      ({ type, state, error }) =>
        type === 'StateFailed' && state === 'PersistResults' && error === 'ResultNotFound',
    ).length;
    this.#lost.set(photo.id, (this.#lost.get(photo.id) ?? 0) + lost);
    this.#note(photo.id, `execution ${end.status} ${end.error ?? ''}: ${path.join(' > ')}`);
  }

  #note(photoId: string, what: string): void {
    const incidents = this.#incidents.get(photoId) ?? [];
    incidents.push({ atMs: Date.now() - this.#startedAt, what });
    this.#incidents.set(photoId, incidents);
  }

  #violate(photoId: string | undefined, what: string): void {
    const photo = photoId === undefined ? undefined : this.#byId.get(photoId);
    const about = photo
      ? `photo ${photo.id} (${photo.versions.map(({ faces }) => faces).join(', then ')} faces${photo.refusal ? `, refused: ${photo.refusal}` : ''}) `
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

  #faultCounts(): Record<string, number> {
    const all = [...this.#incidents.values()].flat().map(({ what }) => what.split(/[ :]/)[0]!);
    return countBy(
      all.filter((part) => !['paid', 'stored'].includes(part)),
      (part) => part,
    );
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

/** The end states that are true of a photo once nothing disturbs it any more. */
function truthOf(photo: Photo): string[] {
  if (photo.vanishes) {
    return ['failed InvalidS3Object', 'deleted'];
  }
  if (photo.refusal) {
    return [`failed ${photo.refusal.replace('Exception', '')}`];
  }
  const { faces } = photo.versions.at(-1)!;
  return faces === 'broken'
    ? ['failed InvalidImageFormat']
    : faces === 'small'
      ? ['failed InvalidParameter']
      : [`indexed ${faces}`];
}

/** The same photos, and no fault. */
function atRest(plan: FaultPlan): FaultPlan {
  return {
    ...plan,
    rekognition: () => undefined,
    s3: () => undefined,
    dynamodb: () => undefined,
    statement: () => undefined,
    connect: () => undefined,
    afterCommit: () => false,
    lambda: () => undefined,
    execution: () => undefined,
    event: () => ({ copies: 1, delayMs: 0 }),
    result: () => undefined,
    outages: [],
  };
}

/** Paid calls that no stored response followed before the next one. */
function unstoredCalls(incidents: readonly Incident[]): number {
  let open = 0;
  let unstored = 0;
  for (const { what } of incidents) {
    if (what === 'paid') {
      unstored += open;
      open = 1;
    } else if (what === 'stored') {
      open = 0;
    }
  }
  return unstored + open;
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
