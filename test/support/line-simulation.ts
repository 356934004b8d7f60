/**
 * The pipeline in virtual time: the slot ledger's own decision code, everything around it as a delay. A simulated
 * minute takes milliseconds, so that what takes a day on AWS can be looked at whole.
 */

import type { Lane } from '../../lambdas/shared/contract/payloads.ts';
import {
  giveTurnBack,
  isShared,
  ownPlace,
  passGate,
  placeAtEnd,
  standInLine,
  type Turn,
} from '../../lambdas/shared/line/fairness.ts';
import {
  afterThrottle,
  apply,
  claimQuotaReading,
  comeBack,
  type Decision,
  GATE_EARLY_MS,
  holds,
  keepSlot,
  type LedgerConfig,
  type LedgerState,
  learnQuota,
  nextPlace,
  type Slot,
  standAgain,
  takeSlot,
} from '../../lambdas/shared/line/rules.ts';
import { blocksOf, type EventTurns } from '../../lambdas/shared/line/turns.ts';
import { TokenBucket } from '../../local/rekognition/quota.ts';
import { EventQueue } from './event-queue.ts';
import { lognormal, seededRandom } from './random.ts';

/** Uploads by photo: of which event, and when (milliseconds of the run), in the order of time. */
export interface Arrivals {
  events: Int32Array;
  timesMs: Float64Array;
}

export interface SimulationOptions {
  photos: number;
  /** Default: all are of one event and there at once. */
  arrivals?: Arrivals;
  /** Whether events have turns; without, first come, first served. Default: they have. */
  fair?: boolean;
  /** The quota that the ledger is configured with, calls per second. */
  perSecond: number;
  /** What Rekognition really allows, calls per second; default: `perSecond`. */
  trueQuota?: number;
  /** What it allows from a moment on (milliseconds of the run, in order), which Service Quotas says too; before the first, `trueQuota`. */
  quotas?: readonly { fromMs: number; perSecond: number }[];
  /** Calls per second of somebody else in the account, and from when until when (milliseconds of the run). */
  neighbour?: { perSecond: number; fromMs?: number; untilMs?: number };
  /** While this lasts every call is throttled (`throttle`) or fails after the latency (`error`). */
  stop?: { fromMs: number; untilMs: number; how: 'throttle' | 'error' };
  /** Median of IndexFaces' lognormal latency. */
  latencyMs?: number;
  /** Until a throttled call returns: the service refuses before it works. */
  throttleLatencyMs?: number;
  /** Executions started per second, after a burst of so many at once; photos beyond it start later. */
  startsPerSecond?: number;
  startBurst?: number;
  /** Each function's clock is off by up to this much, either way. */
  clockSkewMs?: number;
  /** Every n-th photo is live, the others are backfill; default: all are live. */
  liveEvery?: number;
  seed?: number;
  /** Writes of somebody else to the same partition of the ledger's table, in each second of the run. */
  otherLedgerWrites?: readonly number[];
  /** Looks at the run every so many milliseconds of it. */
  watch?: { everyMs: number; look(moment: Moment): void };
}

/** What can be seen of a run at a moment. */
export interface Moment {
  /** Milliseconds since the epoch; `startedMs` is when the run began. */
  nowMs: number;
  startedMs: number;
  ledger: LedgerState;
  /** Photos whose executions have started, and those that are done. */
  started: number;
  done: number;
}

export interface SimulationResult {
  indexed: number;
  /** From the first start to the last call that was accepted, in seconds. */
  seconds: number;
  calls: number;
  throttled: number;
  /** Accepted calls over what the quota, less what the neighbour got, would have allowed in that time. */
  quotaUsed: number;
  neighbourAccepted: number;
  ledgerWrites: number;
  peakLedgerWritesPerSecond: number;
  /** Writes that DynamoDB refused because the ledger's item was hot. */
  ledgerBusy: number;
  transitions: number;
  /** History events of the photo that had the most. */
  maxHistoryEvents: number;
  /** Times a photo found the gate too far ahead and went back to the line. */
  sentBack: number;
  peakExecutions: number;
  /** Functions that sleep or wait for Rekognition at the same moment. */
  peakIndexing: number;
  /** Most calls in any window of a second. */
  busiestSecond: number;
  /** Slots in the order in which they were given; only kept for small runs. */
  slots: Slot[];
  /** Seconds from start to accepted call, by lane. */
  waits: Record<Lane, Float64Array>;
  /** When each photo was uploaded, its execution started, its call was accepted and answered, milliseconds of the run. */
  times: Record<'uploaded' | 'started' | 'accepted' | 'answered', Float64Array> & {
    /** When the neighbour's calls were accepted. */
    neighbour: number[];
  };
  /** Writes of the events' own items. */
  eventWrites: number;
  /** Most blocks of turns in the ledger's item. */
  peakBlocks: number;
  /** Calls accepted and throttled in each second of the run. */
  timeline: { accepted: number[]; throttled: number[] };
}

/** What happens next to a photo, or to the neighbour. */
const Stage = {
  start: 0,
  joinLine: 1,
  index: 2,
  gate: 3,
  call: 4,
  throttled: 5,
  accepted: 6,
  failed: 7,
  neighbour: 8,
  quota: 9,
  quotaRead: 10,
} as const;

/** From one state's end to the next one's first line of code: a transition, an invocation, a read or a write. */
const STEP_MS = 40;
const LEDGER_MS = 8;
/** Of one item: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html */
const LEDGER_WRITES_PER_SECOND = 1_000;
/** Keeping every slot of a run is for runs that are looked at slot by slot. */
const KEEP_SLOTS_UP_TO = 20_000;
/** Events that Step Functions writes into an execution's history. */
const HISTORY = { startAndEnd: 2, task: 5, wait: 2, retry: 3 };

/** Runs `photos` executions to their end. */
export function simulate(options: SimulationOptions): SimulationResult {
  return new Simulation(options).run();
}

type Absent = 'neighbour' | 'stop' | 'watch' | 'arrivals' | 'quotas';

class Simulation {
  readonly #options: Required<Omit<SimulationOptions, Absent>> & Pick<SimulationOptions, Absent>;
  readonly #config: LedgerConfig;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;
  readonly #events = new EventQueue();
  /** The run starts at noon, so that no day ends in it. */
  readonly #epochMs = Date.UTC(2026, 0, 1, 12);

  readonly #stages: readonly ((photo: number) => void)[] = [
    (photo) => this.#start(photo),
    (photo) => this.#reserve(photo),
    (photo) => this.#index(photo),
    (photo) => this.#gate(photo),
    (photo) => this.#call(photo),
    (photo) => this.#throttled(photo),
    (photo) => this.#accepted(photo),
    (photo) => this.#failed(photo),
    () => this.#neighbour(),
    (index) => this.#bucket.change(this.#options.quotas![index]!.perSecond),
    (perSecond) => this.#readQuota(perSecond),
  ];

  #ledger: LedgerState = {};
  #nowMs = 0;
  #done = 0;
  #running = 0;
  #indexing = 0;
  #lastAcceptedMs = 0;
  readonly #writesBySecond: number[] = [];
  readonly #callTimes: number[] = [];

  readonly #uploadedMs: Float64Array;
  readonly #startMs: Float64Array;
  readonly #acceptedMs: Float64Array;
  readonly #answeredMs: Float64Array;
  readonly #eventOf: Int32Array;
  readonly #eventTurns = new Map<number, EventTurns>();
  /** Of each photo's turn; below 0 where it has none. */
  readonly #round: Float64Array;
  readonly #placeMs: Float64Array;
  readonly #skewMs: Float64Array;
  readonly #waited: Float64Array;
  readonly #throttles: Uint16Array;
  readonly #attempts: Uint16Array;
  readonly #history: Uint32Array;
  readonly #returning: Uint8Array;
  readonly #slots: Slot[];
  readonly #result: SimulationResult;

  constructor(options: SimulationOptions) {
    this.#options = {
      trueQuota: options.perSecond,
      latencyMs: 600,
      throttleLatencyMs: 40,
      startsPerSecond: 300,
      startBurst: 0,
      clockSkewMs: 0,
      liveEvery: 1,
      fair: true,
      seed: 1,
      otherLedgerWrites: [],
      ...options,
    };
    const { photos, perSecond, trueQuota, seed } = this.#options;
    this.#config = { perSecond, readsQuota: options.quotas !== undefined };
    this.#random = seededRandom(seed);
    this.#bucket = new TokenBucket(trueQuota, () => this.#nowMs);
    this.#uploadedMs = options.arrivals?.timesMs ?? new Float64Array(photos);
    this.#eventOf = options.arrivals?.events ?? new Int32Array(photos);
    this.#round = new Float64Array(photos).fill(-1);
    this.#acceptedMs = new Float64Array(photos);
    this.#answeredMs = new Float64Array(photos);
    this.#startMs = new Float64Array(photos);
    this.#placeMs = new Float64Array(photos);
    this.#skewMs = new Float64Array(photos);
    this.#waited = new Float64Array(photos);
    this.#throttles = new Uint16Array(photos);
    this.#attempts = new Uint16Array(photos);
    this.#history = new Uint32Array(photos).fill(HISTORY.startAndEnd);
    this.#returning = new Uint8Array(photos);
    this.#slots = new Array<Slot>(photos);
    this.#result = {
      indexed: 0,
      seconds: 0,
      calls: 0,
      throttled: 0,
      quotaUsed: 0,
      neighbourAccepted: 0,
      ledgerWrites: 0,
      peakLedgerWritesPerSecond: 0,
      ledgerBusy: 0,
      transitions: 0,
      maxHistoryEvents: 0,
      sentBack: 0,
      peakExecutions: 0,
      peakIndexing: 0,
      busiestSecond: 0,
      slots: [],
      waits: { live: new Float64Array(), backfill: new Float64Array() },
      times: {
        uploaded: this.#uploadedMs,
        started: this.#startMs,
        accepted: this.#acceptedMs,
        answered: this.#answeredMs,
        neighbour: [],
      },
      eventWrites: 0,
      peakBlocks: 0,
      timeline: { accepted: [], throttled: [] },
    };
  }

  run(): SimulationResult {
    const { photos, startsPerSecond, startBurst, neighbour, watch } = this.#options;
    let nextLookMs = 0;
    const betweenMs = 1_000 / startsPerSecond;
    // StartExecution's bucket as a chain: so far behind now that a whole burst fits.
    let nextStartMs = -startBurst * betweenMs;
    for (let photo = 0; photo < photos; photo++) {
      const uploadedMs = this.#uploadedMs[photo]!;
      nextStartMs = Math.max(nextStartMs, uploadedMs - startBurst * betweenMs);
      this.#events.push(Math.max(uploadedMs, nextStartMs), photo, Stage.start);
      nextStartMs += betweenMs;
    }
    if (neighbour) {
      this.#events.push(neighbour.fromMs ?? 0, 0, Stage.neighbour);
    }
    for (const [index, { fromMs }] of (this.#options.quotas ?? []).entries()) {
      this.#events.push(fromMs, index, Stage.quota);
    }
    for (let event = this.#events.pop(); event && this.#done < photos; event = this.#events.pop()) {
      for (; watch && nextLookMs <= event.timeMs; nextLookMs += watch.everyMs) {
        watch.look({
          nowMs: this.#epochMs + nextLookMs,
          startedMs: this.#epochMs,
          ledger: this.#ledger,
          started: this.#done + this.#running,
          done: this.#done,
        });
      }
      this.#nowMs = event.timeMs;
      this.#stages[event.stage]!(event.subject);
    }
    return this.#finish();
  }

  #start(photo: number): void {
    this.#startMs[photo] = this.#nowMs;
    this.#running++;
    this.#result.peakExecutions = Math.max(this.#result.peakExecutions, this.#running);
    this.#pass(photo, HISTORY.task);
    this.#after(STEP_MS, photo, Stage.joinLine);
  }

  #reserve(photo: number): void {
    this.#newFunction(photo);
    const nowMs = this.#clock(photo);
    const lane = this.#lane(photo);
    if (this.#returning[photo]) {
      const place = comeBack(this.#ledger, this.#config, {
        nowMs,
        lane,
        throttles: this.#throttles[photo]!,
        random: this.#random(),
      });
      this.#wait(photo, 'refused' in place ? 'refused' : place.placeMs);
    } else if (lane === 'live' && this.#options.fair) {
      this.#wait(photo, this.#takeTurn(photo, nowMs));
    } else {
      const place = this.#extend((state) => nextPlace(state, this.#config, { nowMs, lane }));
      this.#wait(photo, typeof place === 'object' ? place.slotMs : place);
    }
  }

  #takeTurn(photo: number, nowMs: number): number | 'refused' | 'busy' {
    const event = this.#eventTurns.get(this.#eventOf[photo]!) ?? {};
    const before = this.#round[photo]! < 0 ? undefined : this.#round[photo]!;
    const turn = standInLine(event, this.#ledger, this.#config, { nowMs, before, random: this.#random() });
    const ownMs = ownPlace(turn, this.#writeEvent(photo, turn.change));
    if (!turn.isNew) {
      this.#round[photo] = turn.round;
      const again = standAgain(this.#ledger, this.#config, { nowMs, placeMs: ownMs! });
      if ('refused' in again) {
        return 'refused';
      }
      if (again.change) {
        this.#ledger = apply(this.#ledger, again.change);
        this.#countWrite();
      }
      return ownMs!;
    }
    const place = this.#extend((state) =>
      nextPlace(state, this.#config, { nowMs, lane: 'live', round: turn.round }),
    );
    this.#result.peakBlocks = Math.max(this.#result.peakBlocks, blocksOf(this.#ledger).length);
    if (typeof place === 'string') {
      // The state machine knows nothing of a turn that JoinLine could not tell it.
      this.#writeEvent(photo, giveTurnBack(turn));
      return place;
    }
    this.#round[photo] = turn.round;
    const endMs = place.slotMs;
    return ownMs ?? placeAtEnd(this.#ledger, this.#config, { nowMs, round: turn.round, endMs });
  }

  #writeEvent(photo: number, change: Turn['change']): EventTurns {
    const event = this.#eventTurns.get(this.#eventOf[photo]!) ?? {};
    if (!holds(event, change)) {
      throw new Error('A decision does not meet its own premises');
    }
    const after: EventTurns = apply(event, change);
    this.#eventTurns.set(this.#eventOf[photo]!, after);
    this.#result.eventWrites++;
    return after;
  }

  /** @returns where the gate's round moves to with the photo's slot */
  #passGate(photo: number, nowMs: number): { gateRound?: number | undefined } | 'refused' {
    if (this.#round[photo]! < 0 || !isShared(this.#ledger, this.#config, nowMs)) {
      return {};
    }
    const event = this.#eventTurns.get(this.#eventOf[photo]!) ?? {};
    const pass = passGate(event, this.#ledger, this.#config, nowMs);
    if ('refused' in pass) {
      return 'refused';
    }
    this.#writeEvent(photo, pass.change);
    return { gateRound: pass.gateRound };
  }

  /** The state machine's Retry, with full jitter, of `LedgerBusy` (to 60 s) and `BackfillWaits` (to 120 s). */
  #retryReserve(photo: number, why: 'refused' | 'busy'): void {
    const attempt = Math.min(10, this.#attempts[photo]!++);
    const [firstMs, mostMs] = why === 'busy' ? [1_000, 60_000] : [2_000, 120_000];
    this.#pass(photo, HISTORY.retry);
    this.#after(this.#random() * Math.min(mostMs, firstMs * 2 ** attempt), photo, Stage.joinLine);
  }

  #wait(photo: number, placeMs: number | 'refused' | 'busy'): void {
    if (typeof placeMs === 'string') {
      this.#retryReserve(photo, placeMs);
      return;
    }
    this.#attempts[photo] = 0;
    this.#placeMs[photo] = placeMs;
    this.#pass(photo, HISTORY.task);
    this.#pass(photo, HISTORY.wait);
    const wakesMs = Math.floor(placeMs / 1_000) * 1_000 - this.#epochMs;
    this.#events.push(Math.max(this.#nowMs + LEDGER_MS, wakesMs) + STEP_MS, photo, Stage.index);
  }

  #index(photo: number): void {
    this.#newFunction(photo);
    this.#indexing++;
    this.#result.peakIndexing = Math.max(this.#result.peakIndexing, this.#indexing);
    this.#pass(photo, HISTORY.task);
    const early = this.#placeMs[photo]! - GATE_EARLY_MS - this.#clock(photo);
    this.#after(Math.max(0, early), photo, Stage.gate);
  }

  /** @param passed whether this visit to the gate has taken its event's turn already */
  #gate(photo: number, passed = false): void {
    const nowMs = this.#clock(photo);
    const lane = this.#lane(photo);
    const pass = passed ? {} : this.#passGate(photo, nowMs);
    const slot =
      pass === 'refused'
        ? 'refused'
        : this.#extend((state) => takeSlot(state, this.#config, { nowMs, lane, gateRound: pass.gateRound }));
    if (slot === 'busy') {
      this.#failed(photo);
      return;
    }
    if (slot === 'refused') {
      this.#result.sentBack++;
      this.#returning[photo] = 0;
      this.#indexing--;
      this.#after(STEP_MS, photo, Stage.joinLine);
      return;
    }
    this.#askForQuota(nowMs);
    this.#slots[photo] = slot;
    if (this.#options.photos <= KEEP_SLOTS_UP_TO) {
      this.#result.slots.push(slot);
    }
    this.#after(Math.max(LEDGER_MS, slot.slotMs - nowMs), photo, Stage.call);
  }

  #call(photo: number): void {
    const random = this.#random();
    const slot = keepSlot(this.#ledger, this.#config, this.#slots[photo]!, {
      nowMs: this.#clock(photo),
      random,
    });
    if (!slot || 'refused' in slot) {
      this.#gate(photo, true);
      return;
    }
    this.#slots[photo] = slot;
    const { latencyMs, throttleLatencyMs, stop } = this.#options;
    this.#result.calls++;
    this.#callTimes.push(this.#nowMs);
    const stopped = stop && this.#nowMs >= stop.fromMs && this.#nowMs < stop.untilMs ? stop.how : undefined;
    if (stopped === 'error') {
      this.#after(lognormal(this.#random, latencyMs), photo, Stage.failed);
    } else if (stopped === 'throttle' || !this.#bucket.take()) {
      this.#result.throttled++;
      this.#count(this.#result.timeline.throttled);
      this.#after(lognormal(this.#random, throttleLatencyMs), photo, Stage.throttled);
    } else {
      this.#count(this.#result.timeline.accepted);
      this.#lastAcceptedMs = this.#nowMs;
      this.#acceptedMs[photo] = this.#nowMs;
      this.#waited[photo] = (this.#nowMs - this.#startMs[photo]!) / 1_000;
      this.#after(lognormal(this.#random, latencyMs), photo, Stage.accepted);
    }
  }

  #throttled(photo: number): void {
    const change = afterThrottle(this.#ledger, this.#config, this.#slots[photo]!, this.#clock(photo));
    if (change) {
      this.#ledger = apply(this.#ledger, change);
      this.#countWrite();
    }
    this.#throttles[photo]!++;
    this.#returning[photo] = 1;
    this.#indexing--;
    this.#after(STEP_MS, photo, Stage.joinLine);
  }

  /** The state machine's Retry of IndexFaces: 2 s, doubling to 60 s, full jitter. */
  #failed(photo: number): void {
    const attempt = this.#attempts[photo]!++;
    this.#pass(photo, HISTORY.retry);
    this.#indexing--;
    this.#after(this.#random() * Math.min(60_000, 2_000 * 2 ** attempt), photo, Stage.index);
  }

  #accepted(photo: number): void {
    this.#answeredMs[photo] = this.#nowMs;
    this.#indexing--;
    this.#pass(photo, HISTORY.task);
    this.#running--;
    this.#done++;
    this.#result.indexed++;
  }

  /** By the caller that has just taken a slot. */
  #askForQuota(nowMs: number): void {
    const claim = claimQuotaReading(this.#ledger, this.#config, nowMs);
    if (claim) {
      this.#ledger = apply(this.#ledger, claim);
      this.#countWrite();
      this.#events.push(this.#nowMs + STEP_MS, this.#quotaAt(this.#nowMs), Stage.quotaRead);
    }
  }

  #readQuota(perSecond: number): void {
    const change = learnQuota(this.#ledger, this.#config, {
      perSecond,
      nowMs: this.#epochMs + this.#nowMs,
    });
    if (change) {
      this.#ledger = apply(this.#ledger, change);
      this.#countWrite();
    }
  }

  #quotaAt(ms: number): number {
    const { quotas = [], trueQuota } = this.#options;
    return quotas.findLast(({ fromMs }) => fromMs <= ms)?.perSecond ?? trueQuota;
  }

  /** Calls that the quota allowed until a moment of the run. */
  #allowedUntil(ms: number): number {
    const { quotas = [], trueQuota } = this.#options;
    const steps = [{ fromMs: 0, perSecond: trueQuota }, ...quotas];
    return steps.reduce((sum, { fromMs, perSecond }, i) => {
      const forMs = Math.min(ms, steps[i + 1]?.fromMs ?? ms) - fromMs;
      return sum + (Math.max(0, forMs) / 1_000) * perSecond;
    }, 0);
  }

  #neighbour(): void {
    const { perSecond, untilMs = Number.POSITIVE_INFINITY } = this.#options.neighbour!;
    if (this.#bucket.take()) {
      this.#result.neighbourAccepted++;
      this.#result.times.neighbour.push(this.#nowMs);
    }
    const next = this.#nowMs + (1_000 / perSecond) * (0.5 + this.#random());
    if (next < untilMs) {
      this.#events.push(next, 0, Stage.neighbour);
    }
  }

  #extend(decide: (state: LedgerState) => Decision): Slot | 'refused' | 'busy' {
    const decision = decide(this.#ledger);
    if ('refused' in decision) {
      return 'refused';
    }
    const second = Math.floor(this.#nowMs / 1_000);
    const others = this.#options.otherLedgerWrites[second] ?? 0;
    if ((this.#writesBySecond[second] ?? 0) + others >= LEDGER_WRITES_PER_SECOND) {
      this.#result.ledgerBusy++;
      return 'busy';
    }
    if (!holds(this.#ledger, decision.change)) {
      throw new Error('A decision does not meet its own premises');
    }
    this.#ledger = apply(this.#ledger, decision.change);
    this.#countWrite();
    return {
      slotMs: this.#ledger[decision.chain]! - decision.intervalMs,
      intervalMs: decision.intervalMs,
      cuts: this.#ledger.cuts ?? 0,
      day: this.#ledger.day ?? 0,
    };
  }

  #lane(photo: number): Lane {
    return photo % this.#options.liveEvery === 0 ? 'live' : 'backfill';
  }

  #clock(photo: number): number {
    return this.#epochMs + this.#nowMs + this.#skewMs[photo]!;
  }

  /** Another invocation, another machine, another clock. */
  #newFunction(photo: number): void {
    this.#skewMs[photo] = (2 * this.#random() - 1) * this.#options.clockSkewMs;
  }

  #pass(photo: number, historyEvents: number): void {
    this.#result.transitions++;
    this.#history[photo]! += historyEvents;
  }

  #after(ms: number, photo: number, stage: number): void {
    this.#events.push(this.#nowMs + ms, photo, stage);
  }

  #count(seconds: number[]): void {
    const second = Math.floor(this.#nowMs / 1_000);
    seconds[second] = (seconds[second] ?? 0) + 1;
  }

  #countWrite(): void {
    this.#result.ledgerWrites++;
    this.#count(this.#writesBySecond);
  }

  #finish(): SimulationResult {
    const result = this.#result;
    const { photos, liveEvery } = this.#options;
    result.seconds = this.#lastAcceptedMs / 1_000;
    result.quotaUsed = result.indexed / (this.#allowedUntil(this.#lastAcceptedMs) - result.neighbourAccepted);
    result.peakLedgerWritesPerSecond = this.#writesBySecond.reduce((a, b) => Math.max(a, b ?? 0), 0);
    result.maxHistoryEvents = this.#history.reduce((a, b) => Math.max(a, b), 0);
    result.busiestSecond = busiest(this.#callTimes, 1_000);
    for (const lane of ['live', 'backfill'] as const) {
      const mine = Array.from({ length: photos }, (_, photo) => photo).filter(
        (photo) => (photo % liveEvery === 0 ? 'live' : 'backfill') === lane,
      );
      result.waits[lane] = Float64Array.from(mine, (photo) => this.#waited[photo]!).sort();
    }
    return result;
  }
}

/** The most of these moments, in order, in any window of this length. */
export function busiest(timesMs: readonly number[], windowMs: number): number {
  let most = 0;
  let first = 0;
  for (let last = 0; last < timesMs.length; last++) {
    while (timesMs[last]! - timesMs[first]! >= windowMs) {
      first++;
    }
    most = Math.max(most, last - first + 1);
  }
  return most;
}
