/** Runs a history through the real state machines and functions, to the end of everything that it started. */

import { awsErrorDetails, PipelineError } from '../../lambdas/shared/contract/errors.ts';
import type { PhotoAnswer } from '../../lambdas/shared/contract/gallery.ts';
import type { ExecutionInput } from '../../lambdas/shared/contract/payloads.ts';
import { outOfOrder, unknownChanges, wrongReplay } from '../support/feed.ts';
import { seededRandom } from '../support/random.ts';
import {
  announce,
  cores,
  type Environment,
  find,
  lastResort,
  personRequest,
  readChanges,
  reconcile,
} from './cores.ts';
import type { HistoryDatabase, Rows } from './database.ts';
import {
  type Actor,
  Execution,
  type ExecutionEnd,
  Invocation,
  type MachineName,
  type Surroundings,
} from './execution.ts';
import {
  type ContentName,
  type EventName,
  type FaultName,
  type History,
  type KeyName,
  keyNames,
  type Step,
} from './history.ts';
import {
  type Caller,
  COLLECTION_PREFIX,
  etagOf,
  type Face,
  PHOTO_BUCKET,
  sequencers,
  sizeOf,
  World,
} from './world.ts';

/** Of all executions of a history together. */
const MAX_CALLS = 3_000;
/** How often minutes may pass while nothing else happens. */
const MAX_IDLE_ROUNDS = 6;

/** What one reconciliation starts may uncover something for the next, but not for ever. */
const MAX_RECONCILIATIONS = 5;

/** After how many of all calls somebody looks from outside. */
const LOOKS = 0.15;

/** Whoever does that is through before anything else happens. */
const PASSER_BY: Caller = {
  label: 'a passer-by',
  photo: undefined,
  point: async () => {},
  takeFault: () => false,
  crash: () => new Promise(() => {}),
  faulted() {},
};

/** When something happened: the order of things, and no time. */
export type Tick = number;

export interface Upload {
  id: string;
  key: KeyName;
  content: ContentName;
  etag: string;
  sequencer: string;
  at: Tick;
  /** When another took its place, or it was deleted. */
  overAt: Tick;
}

/** Somebody asks for an erasure of more than a photo. */
export interface Ask {
  label: string;
  kind: 'person' | 'event' | 'retention';
  /** Of retention: what it found. */
  events: EventName[];
  askedAt: Tick;
  /** When the database had it. */
  takenAt: Tick;
  /** There was no such event in the database. */
  isRefused: boolean;
  /** Of a person: what the search had found. */
  faces: Face[];
}

/** What a search showed. */
export interface Shown {
  label: string;
  event: EventName;
  person: string;
  at: Tick;
  /** Face and photo. */
  faces: readonly (readonly [faceId: string, photoId: string])[];
}

/** Somebody who reads the changes of an event. */
interface Follower {
  since: string | undefined;
  told: PhotoAnswer[];
}

/** What happened, as nobody but the test knows it. */
export interface Chronicle {
  history: History;
  eventIds: Record<EventName, string>;
  /** The UUID that is the stem of the keys. */
  stem: string;
  uploads: Upload[];
  /** With the moment from which on the database knows of it. */
  deletions: { id: string; key: KeyName; at: Tick; handledAt: Tick }[];
  asks: Ask[];
  searches: Shown[];
  /** Changes that followers of the feed were told. */
  told: number;
  /** What the feed of an event told wrongly, or not at all. */
  feedFaults: string[];
  /** Uploads of which an execution could not be started. */
  refused: Set<string>;
  /** Executions of index-photo, by the upload that they are about. */
  indexing: { upload: string; execution: Execution }[];
  executions: Execution[];
  /** Faults of the run itself: nothing came to an end, a function threw what it may not throw. */
  mishaps: { class: string; detail: string }[];
  /** Erasures that nobody had begun when all executions had ended. */
  unstarted: { reason: string; photo_id: string | null }[];
  world: World;
  rows: Rows;
  trace: string[];
}

export interface RunOptions {
  database: HistoryDatabase;
  /** Whether to note what each step did. */
  trace?: boolean;
}

export async function runHistory(history: History, options: RunOptions): Promise<Chronicle> {
  await options.database.reset();
  const run = new Run(history, options);
  return run.play();
}

class Run {
  readonly #history: History;
  readonly #options: RunOptions;
  readonly #random: () => number;
  readonly #looking: () => number;
  readonly #world: World;
  readonly #environment: Environment;
  readonly #actors = new Map<string, Actor>();
  readonly #ordered = new Map<string, FaultName[]>();
  readonly #dropped = new Set<string>();
  /** What each label was started with, to be delivered again. */
  readonly #deliveries = new Map<string, (label: string) => void>();
  readonly #sequencers = new Map<KeyName, () => string>();
  /** Inputs of executions, as the upload rule sends them to the queue of announcements. */
  readonly #announced: object[] = [];
  readonly #followers: Record<EventName, Follower> = {
    mine: { since: undefined, told: [] },
    other: { since: undefined, told: [] },
  };
  /** Deletions by the labels of the executions that tell of them. */
  readonly #deletionOf = new Map<string, Chronicle['deletions'][number]>();
  readonly #chronicle: Chronicle;
  #tick: Tick = 0;
  #calls = 0;

  constructor(history: History, options: RunOptions) {
    this.#history = history;
    this.#options = options;
    this.#random = seededRandom(history.seed ^ 0x2545f491);
    this.#looking = seededRandom(history.seed ^ 0x3c6ef372);
    this.#world = new World(() => this.#uuid());
    this.#environment = { world: this.#world, database: options.database };
    this.#chronicle = {
      history,
      eventIds: { mine: this.#uuid(), other: this.#uuid() },
      stem: this.#uuid(),
      uploads: [],
      deletions: [],
      asks: [],
      searches: [],
      told: 0,
      feedFaults: [],
      refused: new Set(),
      indexing: [],
      executions: [],
      mishaps: [],
      unstarted: [],
      world: this.#world,
      rows: undefined as unknown as Rows,
      trace: [],
    };
  }

  async play(): Promise<Chronicle> {
    const { database } = this.#options;
    for (const step of this.#history.steps) {
      this.#tick += 1;
      await this.#take(step);
    }
    await this.#settle();
    await this.#noteUnstarted();
    await this.#reconcile();
    // What was put off is due within the hour.
    for (let hour = 0; hour < 3; hour++) {
      this.#erase(`end${hour}`, { request: 'outbox' });
      await this.#settle();
      await database.timePasses();
      if ((await database.dueErasures()).length === 0) {
        break;
      }
    }
    for (const actor of this.#actors.values()) {
      if (actor instanceof Execution && actor.state !== 'ended') {
        actor.stop();
      }
    }
    this.#chronicle.rows = await database.read();
    await this.#checkFeed('mine');
    await this.#checkFeed('other');
    return this.#chronicle;
  }

  /** Reads a page of an event's changes, or all that there are. */
  async #follow(event: EventName, limit?: number): Promise<void> {
    const follower = this.#followers[event];
    const eventId = this.#chronicle.eventIds[event];
    for (let more = true; more; ) {
      const page = await readChanges(this.#environment, eventId, { since: follower.since, limit });
      follower.told.push(...(page?.photos ?? []));
      follower.since = page?.next ?? follower.since;
      more = limit === undefined && page?.more === true;
    }
    if (limit === undefined) {
      const rows = await this.#options.database.galleryOf(eventId);
      this.#chronicle.feedFaults.push(...unknownChanges(follower.told, rows));
    }
  }

  async #checkFeed(event: EventName): Promise<void> {
    const { eventIds, rows } = this.#chronicle;
    const ofEvent = <Row extends { event_id: string }>(all: readonly Row[]) =>
      all.filter(({ event_id }) => event_id === eventIds[event]);
    await this.#follow(event);
    const { told } = this.#followers[event];
    this.#chronicle.told += told.length;
    this.#followers[event] = { since: undefined, told: [] };
    await this.#follow(event);
    const replayed = this.#followers[event].told;
    this.#chronicle.feedFaults.push(
      ...wrongReplay(replayed, await this.#options.database.galleryOf(eventIds[event])),
      ...outOfOrder(told, ofEvent(rows.states)),
    );
  }

  /** The scheduled reconciliation, every hour until it finds nothing: what it starts may uncover the next. */
  async #reconcile(): Promise<void> {
    const { eventIds } = this.#chronicle;
    for (let round = 1; round <= MAX_RECONCILIATIONS; round++) {
      const { index, erase } = await reconcile(this.#environment, Object.values(eventIds));
      for (const [i, input] of index.entries()) {
        this.#execute(`reconciled${round}.${i}`, 'index-photo', input, this.#photoOf(input.object));
      }
      for (const [i, input] of erase.entries()) {
        this.#erase(`erased${round}.${i}`, input);
      }
      await this.#settle();
      if (index.length + erase.length === 0) {
        return;
      }
    }
  }

  #photoOf({ key, etag }: ExecutionInput['object']): Execution['photo'] {
    const name = keyNames.find((one) => this.#wholeKey(one) === key);
    return name && { key: name, etag };
  }

  async #take(step: Step): Promise<void> {
    const { eventIds } = this.#chronicle;
    switch (step.op) {
      case 'put':
        this.#put(step.id, step.key, step.content);
        return;
      case 'copy': {
        const original = this.#world.photos.get(this.#wholeKey(step.from));
        if (original) {
          this.#put(step.id, step.key, original.content);
        }
        return;
      }
      case 'delete':
        this.#delete(step.id, step.key);
        return;
      case 'again':
        this.#deliveries.get(step.of)?.(step.id);
        return;
      case 'lose':
        this.#lose(step.of);
        return;
      case 'refuse':
        this.#refuse(step.of);
        return;
      case 'person': {
        const collection = this.#world.collections.get(`${COLLECTION_PREFIX}${eventIds[step.event]}`);
        const faces = [...(collection?.values() ?? [])].filter(({ person }) => person === step.person);
        if (faces.length > 0) {
          this.#ask(step.id, 'person', [step.event], faces, personRequest(eventIds[step.event], faces));
        }
        return;
      }
      case 'event':
        this.#ask(step.id, 'event', [step.event], [], { request: 'event', event_id: eventIds[step.event] });
        return;
      case 'retention':
        this.#ask(step.id, 'retention', [], [], { request: 'retention', as_of: '2100-01-01T00:00:00Z' });
        return;
      case 'outbox':
        this.#erase(step.id, { request: 'outbox' });
        return;
      case 'find':
        this.#find(step.id, step.event, step.person);
        return;
      case 'follow':
        await this.#follow(step.event, step.limit);
        return;
      case 'stop': {
        const execution = this.#actors.get(step.of);
        // Whoever stops an erasure before it is written down has to ask for it again.
        if (
          execution instanceof Execution &&
          execution.state === 'blocked' &&
          !execution.isStopped &&
          (execution.machine === 'index-photo' || execution.answers > 0)
        ) {
          this.#note(`stop #${step.of} at ${execution.at}`);
          execution.stop();
        }
        return;
      }
      case 'fault': {
        const execution = this.#actors.get(step.of);
        if (execution instanceof Execution) {
          execution.order(step.fault);
        } else {
          this.#ordered.set(step.of, [...(this.#ordered.get(step.of) ?? []), step.fault]);
        }
        return;
      }
      case 'drop_collection':
        this.#world.loseCollection(`${COLLECTION_PREFIX}${eventIds[step.event]}`);
        return;
      case 'lose_results':
        for (const key of [...this.#world.results.keys()]) {
          if (key.startsWith(`results/${eventIds[step.event]}/`)) {
            this.#world.deleteResult(key);
          }
        }
        return;
      case 'time':
        for (const execution of this.#chronicle.executions) {
          if (execution.state === 'blocked' && !execution.at.startsWith('Task ')) {
            this.#world.loseAnswer(execution);
          }
          await execution.expire();
        }
        await this.#options.database.timePasses();
        return;
      case 'run':
        await this.#run(step.of, step.calls, step.until);
        return;
      case 'settle':
        await this.#settle();
        return;
    }
  }

  #put(id: string, key: KeyName, content: ContentName): void {
    const wholeKey = this.#wholeKey(key);
    this.#end(key);
    const etag = etagOf(content);
    const sequencer = this.#sequencer(key);
    // S3 tells whole seconds; here more happens in one than may be taken for the same moment.
    const event_time = new Date(this.#world.clock.stamp()).toISOString();
    this.#world.put(wholeKey, content, event_time);
    this.#chronicle.uploads.push({
      id,
      key,
      content,
      etag,
      sequencer,
      at: this.#tick,
      overAt: Number.POSITIVE_INFINITY,
    });
    const object = { key: wholeKey, size: sizeOf(content), etag, sequencer };
    this.#deliver(id, (label) => {
      const input = { lane: 'live', bucket: PHOTO_BUCKET, object, event_time };
      const execution = this.#execute(label, 'index-photo', input, { key, etag });
      this.#chronicle.indexing.push({ upload: id, execution });
      this.#announce(`${label}?`, input);
    });
  }

  /** A batch is one announcement, or takes all along that there were: a queue may hand over what it did before. */
  #announce(label: string, input: object): void {
    this.#announced.push(input);
    const isAlone = this.#random() < 0.5;
    this.#invoke(label, 'announcement', () =>
      announce(this.#environment, isAlone ? [input] : this.#announced),
    );
  }

  #find(label: string, event: EventName, person: string): void {
    const eventId = this.#chronicle.eventIds[event];
    this.#invoke(label, 'search', (caller) =>
      find(this.#environment, caller, { eventId, person }, (faces) => {
        this.#chronicle.searches.push({ label, event, person, at: this.#tick, faces });
      }),
    );
  }

  #invoke(label: string, what: string, work: (caller: Caller) => Promise<void>): void {
    const invocation = new Invocation(label, async (caller) => {
      try {
        await work(caller);
      } catch (thrown) {
        this.#chronicle.mishaps.push({ class: 'internal-error', detail: `${what}: ${thrown}` });
      }
    });
    this.#actors.set(label, invocation);
  }

  #delete(id: string, key: KeyName): void {
    const wholeKey = this.#wholeKey(key);
    const photo = this.#world.photos.get(wholeKey);
    if (!photo) {
      return;
    }
    this.#end(key);
    this.#world.photos.delete(wholeKey);
    const deletion = { id, key, at: this.#tick, handledAt: Number.POSITIVE_INFINITY };
    this.#chronicle.deletions.push(deletion);
    const object = { key: wholeKey, etag: photo.etag, sequencer: this.#sequencer(key) };
    this.#deliver(id, (label) => {
      this.#deletionOf.set(label, deletion);
      this.#erase(label, { request: 'photo_deleted', object, deletion_type: 'Permanently Deleted' });
    });
  }

  #end(key: KeyName): void {
    for (const upload of this.#chronicle.uploads) {
      if (upload.key === key) {
        upload.overAt = Math.min(upload.overAt, this.#tick);
      }
    }
  }

  #ask(id: string, kind: Ask['kind'], events: EventName[], faces: Face[], input: object): void {
    this.#deliver(id, (label) => {
      this.#chronicle.asks.push({
        label,
        kind,
        events: [...events],
        askedAt: this.#tick,
        takenAt: Number.POSITIVE_INFINITY,
        isRefused: false,
        faces,
      });
      this.#erase(label, input);
    });
  }

  #deliver(id: string, delivery: (label: string) => void): void {
    this.#deliveries.set(id, delivery);
    delivery(id);
  }

  #lose(label: string): void {
    const actor = this.#actors.get(label);
    if (label.endsWith('!')) {
      this.#dropped.add(label);
    } else if (!label.endsWith('?') && !(actor instanceof Execution && this.#isEventOfS3(label))) {
      return;
    }
    if (actor?.state === 'new') {
      this.#actors.delete(label);
    }
  }

  /** EventBridge gives the event of an upload up, and leaves it to the last resort. */
  #refuse(label: string): void {
    const upload = this.#chronicle.uploads.find(({ id }) => id === label);
    const execution = this.#actors.get(label);
    if (!upload || !(execution instanceof Execution) || execution.state !== 'new') {
      return;
    }
    this.#actors.delete(label);
    this.#chronicle.refused.add(label);
    const { object, event_time: time } = execution.input as ExecutionInput;
    const event = {
      id: this.#uuid(),
      'detail-type': 'Object Created',
      time,
      detail: { bucket: { name: PHOTO_BUCKET }, object },
    };
    this.#deliver(`${label}!`, (name) =>
      this.#invoke(name, 'last resort', () => lastResort(this.#environment, event)),
    );
  }

  #isEventOfS3(label: string): boolean {
    const { uploads, deletions } = this.#chronicle;
    return uploads.some(({ id }) => id === label) || deletions.some(({ id }) => id === label);
  }

  #erase(label: string, input: object): void {
    this.#execute(label, 'erase-faces', input, undefined);
  }

  #execute(label: string, machine: MachineName, input: object, photo: Execution['photo']): Execution {
    const execution = new Execution(label, machine, input, photo, this.#surroundings);
    for (const fault of this.#ordered.get(label) ?? []) {
      execution.order(fault);
    }
    this.#actors.set(label, execution);
    this.#chronicle.executions.push(execution);
    return execution;
  }

  readonly #surroundings: Surroundings = {
    invoke: async (execution, name, request) => {
      const core = cores[name];
      if (!core) {
        throw new Error(`No function ${name} is known`);
      }
      try {
        const answer = await core(this.#environment, execution, request);
        if (name === 'RequestErasure') {
          await this.#taken(execution);
        } else if (name === 'ConfirmErasure') {
          this.#confirmed(request);
        }
        return answer;
      } catch (thrown) {
        const error = thrown instanceof PipelineError ? thrown : internal(thrown);
        if (error.name === 'InternalError') {
          this.#chronicle.mishaps.push({ class: 'internal-error', detail: `${name}: ${error.message}` });
        }
        if (name === 'RequestErasure' && error.name === 'InvalidInput') {
          this.#refused(execution);
        }
        throw error;
      }
    },
    start: (execution, stateMachineArn, input) => {
      const label = this.#derived(execution.label);
      const machine = /index/i.test(stateMachineArn) ? 'index-photo' : 'erase-faces';
      const started = this.#execute(label, machine, input, undefined);
      return { ExecutionArn: started.arn, StartDate: new Date().toISOString() };
    },
    ended: (execution, end) => this.#ended(execution, end),
  };

  /** What the rules of EventBridge make of the end of an execution: lib/erasure/erasure-rules.ts, lib/indexing/last-resort.ts. */
  #ended(execution: Execution, { status, error, cause, output }: ExecutionEnd): void {
    if (execution.machine !== 'index-photo') {
      return;
    }
    if (status === 'SUCCEEDED') {
      if (JSON.stringify(output).includes('"erasure_requested":true')) {
        this.#erase(this.#derived(execution.label), { request: 'outbox' });
      }
      return;
    }
    const label = `${execution.label}!`;
    if (this.#dropped.has(label)) {
      return;
    }
    const detail = {
      executionArn: execution.arn,
      status,
      startDate: execution.startedMs,
      input: JSON.stringify(execution.input),
      ...(error !== undefined && { error }),
      ...(cause !== undefined && { cause }),
    };
    this.#deliver(label, (name) =>
      this.#invoke(name, 'last resort', () => lastResort(this.#environment, { detail })),
    );
  }

  #derived(label: string): string {
    let name = `${label}+`;
    while (this.#actors.has(name)) {
      name += '+';
    }
    return name;
  }

  async #taken({ label, arn }: Execution): Promise<void> {
    const deletion = this.#deletionOf.get(label);
    if (deletion) {
      deletion.handledAt = Math.min(deletion.handledAt, this.#tick);
    }
    const ask = this.#chronicle.asks.find((one) => one.label === label);
    if (!ask || ask.takenAt < Number.POSITIVE_INFINITY) {
      return;
    }
    ask.takenAt = this.#tick;
    if (ask.kind === 'retention') {
      const { eventIds } = this.#chronicle;
      const { erasures } = await this.#options.database.read();
      const ids = erasures
        .filter(({ execution_arn }) => execution_arn === arn)
        .map(({ event_id }) => event_id);
      ask.events = (['mine', 'other'] as const).filter((event) => ids.includes(eventIds[event]));
    }
  }

  /** A response that was asked for before an erasure was through may name what is gone, for all that anybody can know. */
  #confirmed(request: unknown): void {
    const eventId = (request as { input?: { batch?: { event_id?: string } } }).input?.batch?.event_id;
    for (const call of this.#world.paid) {
      call.isDestroyed ||= this.#chronicle.eventIds[eventOf(call.key)] === eventId;
    }
  }

  #refused({ label }: Execution): void {
    for (const ask of this.#chronicle.asks) {
      if (ask.label === label) {
        ask.isRefused = true;
      }
    }
  }

  async #run(label: string, calls: number, until?: string): Promise<void> {
    const actor = this.#actors.get(label);
    if (!actor) {
      return;
    }
    for (let call = 0; call < calls && actor.state !== 'ended'; call++) {
      await this.#step(actor);
      if (actor.isSleeping || actor.at === until) {
        return;
      }
    }
  }

  async #step(actor: Actor): Promise<void> {
    this.#tick += 1;
    this.#calls += 1;
    const from = actor.at;
    await actor.step();
    if (this.#options.trace) {
      const end = actor instanceof Execution && actor.end;
      this.#note(
        `#${actor.label}: ${from}${actor.state === 'ended' ? ` -> ${end ? `${end.status}${end.error ? ` ${end.error}` : ''}` : 'ended'}` : ''}`,
      );
    }
    if (this.#looking() < LOOKS) {
      await this.#look();
    }
  }

  /** Somebody searches, or reads on in the changes: which changes nothing. */
  async #look(): Promise<void> {
    const event: EventName = this.#looking() < 0.75 ? 'mine' : 'other';
    if (this.#looking() < 0.4) {
      await this.#follow(event, this.#looking() < 0.7 ? 1 : undefined);
      return;
    }
    const person = ['x', 'y', 'z'][Math.floor(3 * this.#looking() ** 2)]!;
    const eventId = this.#chronicle.eventIds[event];
    await find(this.#environment, PASSER_BY, { eventId, person }, (faces) => {
      this.#chronicle.searches.push({
        label: `search at ${this.#tick}`,
        event,
        person,
        at: this.#tick,
        faces,
      });
    });
  }

  #note(line: string): void {
    if (this.#options.trace) {
      this.#chronicle.trace.push(line);
    }
  }

  /** Brings everything to its end; what waits for others is woken when nobody else can go on. */
  async #settle(): Promise<void> {
    let idleRounds = 0;
    for (;;) {
      if (await this.#goOn()) {
        continue;
      }
      const sleepers = this.#unfinished();
      if (sleepers.length === 0) {
        return;
      }
      let woke = false;
      for (const sleeper of sleepers) {
        const { at } = sleeper;
        await this.#step(sleeper);
        while (sleeper.state !== 'ended' && !sleeper.isSleeping && this.#calls < MAX_CALLS) {
          await this.#step(sleeper);
        }
        woke ||= sleeper.state === 'ended' || sleeper.at !== at;
      }
      if (!woke) {
        idleRounds += 1;
        await this.#options.database.timePasses();
        if (idleRounds > 1) {
          // What is still waited for is what only the daily erasure takes along.
          await this.#noteUnstarted();
          this.#erase(`day ${idleRounds}`, { request: 'outbox' });
        }
      }
      if (idleRounds > MAX_IDLE_ROUNDS || this.#calls >= MAX_CALLS) {
        this.#chronicle.mishaps.push({
          class: 'livelock',
          detail: this.#unfinished()
            .map((actor) => `#${actor.label} at ${actor.at}`)
            .join(', '),
        });
        for (const actor of this.#unfinished()) {
          if (actor instanceof Execution) {
            actor.stop();
            this.#actors.delete(actor.label);
          }
        }
        return;
      }
    }
  }

  /** A stopped execution's erasures are left to the daily one; all others should have been begun by somebody. */
  async #noteUnstarted(): Promise<void> {
    if (this.#chronicle.executions.every(({ isStopped }) => !isStopped)) {
      const due = await this.#options.database.dueErasures();
      this.#chronicle.unstarted.push(...due.filter(({ postponed }) => postponed === 0));
    }
  }

  #unfinished(): Actor[] {
    return [...this.#actors.values()].filter(({ state }) => state !== 'ended');
  }

  async #goOn(): Promise<boolean> {
    const awake = this.#unfinished().filter(({ isSleeping }) => !isSleeping);
    const actor = this.#history.drain === 'oldest' ? awake[0] : awake.at(-1);
    if (!actor || this.#calls >= MAX_CALLS) {
      return false;
    }
    while (actor.state !== 'ended' && this.#calls < MAX_CALLS) {
      await this.#step(actor);
      if (actor.isSleeping) {
        break;
      }
    }
    return true;
  }

  #wholeKey(key: KeyName): string {
    return wholeKey(this.#chronicle, key);
  }

  #sequencer(key: KeyName): string {
    let next = this.#sequencers.get(key);
    if (!next) {
      next = sequencers(this.#random, this.#history.sequencers);
      this.#sequencers.set(key, next);
    }
    return next();
  }

  /** A UUID of the history's own randomness. */
  #uuid(): string {
    const digits = Array.from({ length: 32 }, () => Math.floor(this.#random() * 16).toString(16));
    digits[12] = '4';
    digits[16] = '8';
    return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }
}

export function wholeKey({ eventIds, stem }: Pick<Chronicle, 'eventIds' | 'stem'>, key: KeyName): string {
  return key.startsWith('other/')
    ? `events/${eventIds.other}/${key.slice('other/'.length).replace('P', stem)}`
    : `events/${eventIds.mine}/${key.replace(/P(?=\.)/, stem)}`;
}

export function eventOf(key: KeyName): EventName {
  return key.startsWith('other/') ? 'other' : 'mine';
}

function internal(thrown: unknown): PipelineError {
  const { name, message } = awsErrorDetails(thrown);
  return new PipelineError('InternalError', `${name}: ${message}`, { cause: thrown });
}
