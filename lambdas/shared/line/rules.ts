/**
 * The slot ledger's rules: time and the ledger's state in, a decision out. No clock, no randomness, no I/O; the
 * DynamoDB side is `line/store.ts`, and the simulations run this very code.
 *
 * A photo passes two points:
 *
 * 1. **The line** (`nextPlace`, by JoinLine) tells it when its turn should come, so that it can wait in Step
 *    Functions for hours at no charge.
 * 2. **The gate** (`takeSlot`, by IndexFaces right before the call) gives it the slot: a moment that no other caller
 *    gets, at least one interval after the slot before.
 *
 * A burst stands in line within seconds, long before it is called. So the pace cannot be fixed in line: only the gate
 * can slow down, at once and for everyone, what is already waiting (docs/adr/0003-slots-at-the-gate.md).
 *
 * Both points are a chain in one DynamoDB item: whoever comes while the chain's end lies ahead adds one interval to
 * it, whatever its exact value, so that any number of callers do it at once without a conflict; whoever finds it in
 * the past restarts it at now. Nothing is ever released, so nothing can leak.
 */
import type { Lane } from '../contract/payloads.ts';
import { type Block, blockOf, blocksOf, roundAfter, type TurnBlock } from './turns.ts';

export interface LedgerConfig {
  /** The account's IndexFaces quota, calls per second. */
  perSecond: number;
  /** Whether the quota that was read into the item, where one was, holds instead. */
  readsQuota?: boolean;
  /** Slots per UTC day where the item says nothing else; no cap when absent. */
  dailyImageCap?: number;
}

/**
 * The ledger's item, without its key. Times are milliseconds since the epoch by the clock of whoever wrote them;
 * an absent attribute has never been written.
 */
export type LedgerState = Partial<Record<LedgerAttribute, number>>;

export type LedgerAttribute =
  /** The end of the live line, and of the backfill's. */
  | 'line_ms'
  | 'backfill_ms'
  /** The next free slot of the gate. */
  | 'next_ms'
  /** How often the pace was cut, when it last was, to which interval, and which interval was too short. */
  | 'cuts'
  | 'cut_ms'
  | 'interval_ms'
  | 'throttled_interval_ms'
  /** Since when an operator holds the pipeline; absent when nobody does. */
  | 'paused_ms'
  /** Slots per UTC day, set by an operator; absent when the configured number holds. */
  | 'daily_image_cap'
  /** IndexFaces calls per second that the account may make, as Service Quotas said; absent when it never did. */
  | 'quota_per_second'
  /** When a caller last undertook to ask for it. */
  | 'quota_asked_ms'
  /** When it last turned out to be another one. */
  | 'quota_changed_ms'
  /** The UTC day of `images`, as the number yyyymmdd, and the slots given on it. */
  | 'day'
  | 'images'
  /** The round that the line's turns had reached, and when (`line/turns.ts`). */
  | 'round'
  | 'round_ms'
  /** How far the turns at the gate may have got, in rounds of its own (`line/fairness.ts`). */
  | 'gate_round'
  /** Photos that have their turns in a block of rounds. */
  | TurnBlock;

/**
 * One write: what it changes, and what must still be true of the item when it arrives. Additions commute, so writes
 * of concurrent callers only conflict when a premise breaks.
 */
export interface Change<Attribute extends string = LedgerAttribute> {
  premises: Premise<Attribute>[];
  set?: Partial<Record<Attribute, number>>;
  add?: Partial<Record<Attribute, number>>;
  remove?: Attribute[];
}

export type Premise<Attribute extends string = LedgerAttribute> =
  | { attribute: Attribute; is: number | undefined }
  | { attribute: Attribute; atLeast: number }
  /** Also true of an absent attribute. */
  | { attribute: Attribute; below: number };

/** Images that were counted on one UTC day, the number yyyymmdd. */
export type DayCount = Pick<LedgerState, 'day' | 'images'>;

export type Refusal = 'IndexingPaused' | 'DailyImageCapReached' | 'BackfillWaits' | 'SlotExpired';

export type Decision =
  | { refused: Refusal; because: string }
  | {
      /** The chain that `change` extends, and by how many milliseconds: the caller's place is where it ended before. */
      chain: 'line_ms' | 'backfill_ms' | 'next_ms';
      intervalMs: number;
      change: Change;
    };

/** A slot of the gate, and the pace that it was given at. */
export interface Slot {
  /** When to call, milliseconds since the epoch. */
  slotMs: number;
  intervalMs: number;
  /** `cuts` of the ledger when it was given. */
  cuts: number;
  /** The UTC day that it counts for as an image, as the number yyyymmdd. */
  day: number;
}

/**
 * The share of the quota that is aimed at. It needs no reserve for calls that come in a bunch, for instance behind a cold
 * start: the lull before filled Rekognition's bucket by as much, or the bucket was full. What is left covers clocks
 * that run at different speeds.
 */
const TARGET_SHARE = 0.998;

/**
 * What a throttled call leaves of the pace. The way back (below) leaves 0.8 s of the quota unused, which is less than
 * Rekognition's bucket holds, so that probing for the true rate costs next to no throughput.
 */
const CUT = 0.8;

/** After a cut Rekognition's bucket is still empty: for this long a throttled call says nothing about the new pace. */
const SETTLE_MS = 500;

/** The pace is never cut below this share of the quota, so that somebody notices when the service is back. */
const FLOOR_SHARE = 0.02;

/**
 * How fast the pace comes back, as a share of the quota per second cubed: it follows CUBIC's curve
 * (https://www.rfc-editor.org/rfc/rfc9438), which is soon near the pace that was throttled, lingers there, and then
 * probes beyond it ever faster. From a single cut it is back after 16 s, from the floor after 27 s.
 */
const RECOVERY = 5e-5;

/**
 * How far ahead the gate gives slots. It bounds how long a function sleeps, and has to exceed the difference between
 * any two callers' clocks: a fast clock pulls the chain ahead of everybody else's now.
 */
export const GATE_AHEAD_MS: Readonly<Record<Lane, number>> = { live: 4_000, backfill: 1_000 };

/**
 * How long before its place in line a photo comes to the gate. A function that starts late, by less than this, leaves no
 * slot unused.
 */
export const GATE_EARLY_MS = 500;

/** Backfill stands back while the live line is longer than this. */
export const LIVE_LINE_SHORT_MS = 2_000;

const DAY_MS = 86_400_000;

/** The longest that a throttled photo stays away from the line. */
export const MAX_BACKOFF_MS = 120_000;

/** The interval at the whole pace, which it comes back to after a cut. */
export function fullInterval(state: LedgerState, config: LedgerConfig): number {
  return intervalOf(targetOf(state, config));
}

/** Milliseconds between two slots at a moment. */
export function intervalAt(state: LedgerState, config: LedgerConfig, atMs: number): number {
  return intervalOf(paceAt(state, config, atMs));
}

/** In hundredths rounded up: never faster than the pace. */
function intervalOf(pace: number): number {
  return Math.ceil(100_000 / pace) / 100;
}

/** The whole pace, slots per second. */
function targetOf(state: LedgerState, config: LedgerConfig): number {
  return quotaOf(state, config) * TARGET_SHARE;
}

function quotaOf(state: LedgerState, { perSecond, readsQuota = false }: LedgerConfig): number {
  return (readsQuota ? state.quota_per_second : undefined) ?? perSecond;
}

/** Slots per second at a moment, by the time since the last cut: success writes nothing. */
function paceAt(state: LedgerState, config: LedgerConfig, atMs: number): number {
  const target = targetOf(state, config);
  if (!state.interval_ms || !state.throttled_interval_ms) {
    return target;
  }
  const throttled = 1_000 / state.throttled_interval_ms;
  const cut = 1_000 / state.interval_ms;
  const growth = quotaOf(state, config) * RECOVERY;
  // Another caller's clock may have written a moment that lies ahead of ours.
  const seconds = Math.max(0, atMs - (state.cut_ms ?? 0)) / 1_000;
  const plateau = Math.cbrt((throttled - cut) / growth);
  return Math.min(target, Math.max(cut, throttled + growth * (seconds - plateau) ** 3));
}

/** The UTC day as the number yyyymmdd: reads well in the console and only grows. */
export function dayOf(ms: number): number {
  return Number(new Date(ms).toISOString().slice(0, 10).replaceAll('-', ''));
}

/** The day that an image of this moment counts for: the count's own, where that is later. */
export function countedDay({ day = 0 }: DayCount, nowMs: number): number {
  return Math.max(dayOf(nowMs), day);
}

/** Slots that were given on the UTC day of this moment; of the day that the ledger has reached, where that is later. */
export function imagesToday({ day = 0, images = 0 }: DayCount, nowMs: number): number {
  return day >= dayOf(nowMs) ? images : 0;
}

/** When the next UTC day begins, milliseconds since the epoch: the cap counts anew. */
export function nextDay(nowMs: number): number {
  return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS;
}

/** How long a write leaves the round alone that is written down: who computes it from further back is no less right. */
const ROUND_GOOD_FOR_MS = 1_000;

/** The line's turns at a moment. */
export interface Turns {
  blocks: readonly Block[];
  /** The round that is reached. */
  round: number;
  /** Whether no photo has a turn to come. */
  isOver: boolean;
}

export function turnsAt(state: LedgerState, config: LedgerConfig, nowMs: number): Turns {
  const blocks = blocksOf(state);
  // Another caller's clock may have written a moment that lies ahead of ours.
  const slots = Math.max(0, nowMs - (state.round_ms ?? nowMs)) / intervalAt(state, config, nowMs);
  return { blocks, ...roundAfter(blocks, state.round ?? 0, slots) };
}

/** Writes down the round that is reached: what comes next may change the pace, or the turns. */
function settleRound(
  { round_ms: before }: LedgerState,
  { blocks, round }: Turns,
  nowMs: number,
): Required<Pick<Change, 'premises' | 'set' | 'remove'>> {
  return {
    premises: [{ attribute: 'round_ms', is: before }],
    set: { round, round_ms: Math.max(nowMs, before ?? 0) },
    remove: blocks.filter(({ end }) => end <= round).map(({ name }) => name),
  };
}

/**
 * A place at the end of the line. The line moves at the pace that the gate will have by then if nothing is throttled: who
 * comes too early is sent back (`SlotExpired`) and no worse off, but a photo that sleeps too long leaves slots unused.
 *
 * @param round of the photo's turn, where it is not first come, first served: it is counted in, and its place is its event's
 *   to give (`line/fairness.ts`)
 */
export function nextPlace(
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, lane, round }: { nowMs: number; lane: Lane; round?: number | undefined },
): Decision {
  const held = hold(state, config, nowMs);
  if (held) {
    return held;
  }
  const premises: Premise[] = [{ attribute: 'paused_ms', is: undefined }];
  if (lane === 'backfill') {
    if (liveLine(state, nowMs) >= LIVE_LINE_SHORT_MS) {
      return liveFirst(state, nowMs);
    }
    premises.push({ attribute: 'line_ms', below: nowMs + LIVE_LINE_SHORT_MS });
  }
  const chain = lane === 'live' ? 'line_ms' : 'backfill_ms';
  const intervalMs = intervalAt(state, config, Math.max(nowMs, state[chain] ?? 0));
  const change = extend(state, chain, intervalMs, nowMs, premises);
  return {
    chain,
    intervalMs,
    change: round === undefined ? change : countTurn(state, config, { nowMs, round, change }),
  };
}

/** Counts a photo's turn; writes down the round that is reached where that is long ago, or nobody was in line. */
function countTurn(
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, round, change }: { nowMs: number; round: number; change: Change },
): Change {
  const turns = turnsAt(state, config, nowMs);
  const block = blockOf(Math.max(round, Math.floor(turns.round) + 1), turns.round);
  const counted = { ...change, add: { ...change.add, [block]: 1 } };
  if (!turns.isOver && nowMs - (state.round_ms ?? 0) < ROUND_GOOD_FOR_MS) {
    return counted;
  }
  const settled = settleRound(state, turns, nowMs);
  return {
    premises: [...counted.premises, ...settled.premises],
    set: { ...counted.set, ...settled.set },
    add: counted.add,
    remove: settled.remove,
  };
}

/**
 * What a photo does to the line that goes back to its event's end: its turn is counted already, and the line is at least so
 * long; undefined where it is.
 */
export function standAgain(
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, placeMs }: { nowMs: number; placeMs: number },
): { refused: Refusal; because: string } | { change: Change | undefined } {
  const held = hold(state, config, nowMs);
  if (held) {
    return held;
  }
  const endMs = placeMs + intervalAt(state, config, placeMs);
  return {
    change:
      (state.line_ms ?? 0) >= endMs
        ? undefined
        : {
            premises: [
              { attribute: 'line_ms', below: endMs },
              { attribute: 'paused_ms', is: undefined },
            ],
            set: { line_ms: endMs },
          },
  };
}

/**
 * A place for a photo that had its turn and lost it (throttled, collection gone, stored response gone): it does not
 * stand in line again, the gate still paces it. Repeated throttles back off up to two minutes, so that a photo survives
 * an outage that throttles everything.
 *
 * @param random 0 to 1: spreads photos that were throttled together
 */
export function comeBack(
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, lane, throttles, random }: { nowMs: number; lane: Lane; throttles: number; random: number },
): { placeMs: number } | { refused: Refusal; because: string } {
  const held = hold(state, config, nowMs);
  if (held) {
    return held;
  }
  if (lane === 'backfill' && liveLine(state, nowMs) >= LIVE_LINE_SHORT_MS) {
    return liveFirst(state, nowMs);
  }
  const backoff = Math.min(MAX_BACKOFF_MS, 500 * 2 ** throttles);
  return { placeMs: throttles > 0 ? nowMs + random * backoff : nowMs };
}

/** How far ahead the gate's next free slot is, in milliseconds. */
export function gateAhead({ next_ms = 0 }: LedgerState, nowMs: number): number {
  return next_ms - nowMs;
}

/** Why there is no slot of the gate: it gives none so far ahead. */
export function gateFull(
  state: LedgerState,
  { nowMs, lane }: { nowMs: number; lane: Lane },
): { refused: 'SlotExpired'; because: string } | undefined {
  const ahead = gateAhead(state, nowMs);
  return ahead >= GATE_AHEAD_MS[lane]
    ? { refused: 'SlotExpired', because: `the next free slot is ${Math.round(ahead)} ms away` }
    : undefined;
}

/**
 * A slot of the gate. Refused with `SlotExpired` when the gate is too far ahead: back to the line.
 *
 * @param gateRound where the gate's round moves to with it, unless it is there (`line/fairness.ts`)
 */
export function takeSlot(
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, lane, gateRound }: { nowMs: number; lane: Lane; gateRound?: number | undefined },
): Decision {
  const held = hold(state, config, nowMs);
  if (held) {
    return { refused: 'SlotExpired', because: held.because };
  }
  if (lane === 'backfill' && liveLine(state, nowMs) >= LIVE_LINE_SHORT_MS) {
    return { refused: 'SlotExpired', because: liveFirst(state, nowMs).because };
  }
  const full = gateFull(state, { nowMs, lane });
  if (full) {
    return full;
  }
  const image = countImages(state, 1, dailyImageCap(state, config), nowMs);
  const premises: Premise[] = [
    { attribute: 'next_ms', below: nowMs + GATE_AHEAD_MS[lane] },
    { attribute: 'paused_ms', is: undefined },
    { attribute: 'cuts', is: state.cuts },
    { attribute: 'daily_image_cap', is: state.daily_image_cap },
    ...image.premises,
  ];
  const intervalMs = intervalAt(state, config, nowMs);
  const moves = gateRound !== undefined && gateRound > (state.gate_round ?? 0) ? gateRound : undefined;
  if (moves !== undefined) {
    premises.push({ attribute: 'gate_round', below: moves });
  }
  const change = extend(state, 'next_ms', intervalMs, nowMs, premises);
  return {
    chain: 'next_ms',
    intervalMs,
    change: {
      ...change,
      add: { ...change.add, ...image.add },
      set: { ...change.set, ...image.set, ...(moves !== undefined && { gate_round: moves }) },
    },
  };
}

/**
 * Images more on the day's count, by the day that the count has reached: callers whose clocks differ at midnight must not count it
 * back and forth.
 *
 * @param cap what the count must be below; undefined where there is none
 */
export function countImages(
  state: DayCount,
  images: number,
  cap: number | undefined,
  nowMs: number,
): Change<'day' | 'images'> {
  const day = countedDay(state, nowMs);
  const premises: Premise<'day' | 'images'>[] = [{ attribute: 'day', is: state.day }];
  if (day !== state.day) {
    return { premises, set: { day, images } };
  }
  if (cap !== undefined) {
    premises.push({ attribute: 'images', below: cap });
  }
  return { premises, add: { images } };
}

/**
 * What is left of a slot that was slept on: the slot, a refusal, or undefined when another one is to be taken.
 *
 * Slots that were given before a cut are too dense. Each is kept by the odds of new pace to old, so that a cut thins
 * out at once what the gate has already given; those that are kept are slots of the new pace.
 *
 * @param random 0 to 1
 */
export function keepSlot(
  state: LedgerState,
  config: LedgerConfig,
  slot: Slot,
  { nowMs, random }: { nowMs: number; random: number },
): Slot | { refused: Refusal; because: string } | undefined {
  // The day's cap was met when the slot was given.
  const held = paused(state);
  if (held) {
    return { refused: 'SlotExpired', because: held.because };
  }
  const cuts = state.cuts ?? 0;
  if (cuts === slot.cuts) {
    return slot;
  }
  const intervalMs = intervalAt(state, config, nowMs);
  return random < slot.intervalMs / intervalMs ? { ...slot, intervalMs, cuts } : undefined;
}

/**
 * Cuts the pace for everyone after a throttled call, once for each congestion: calls whose slots are of the pace before
 * the last cut tell nothing about the pace since, however late they report.
 *
 * @returns undefined when another caller has already reported this congestion
 */
export function afterThrottle(
  state: LedgerState,
  config: LedgerConfig,
  slot: Slot,
  nowMs: number,
): Change | undefined {
  const cuts = state.cuts ?? 0;
  if (cuts !== slot.cuts || nowMs - (state.cut_ms ?? 0) < SETTLE_MS) {
    return undefined;
  }
  const floorMs = 1_000 / (quotaOf(state, config) * FLOOR_SHARE);
  return {
    premises: [{ attribute: 'cuts', is: state.cuts }],
    set: {
      cuts: cuts + 1,
      cut_ms: nowMs,
      interval_ms: Math.min(floorMs, slot.intervalMs / CUT),
      throttled_interval_ms: Math.min(floorMs, slot.intervalMs),
    },
  };
}

/** While calls are made, Service Quotas is asked so often. */
export const QUOTA_GOOD_FOR_MS = 10_000;

/** What makes a caller the one that asks Service Quotas; undefined while somebody did so a moment ago. */
export function claimQuotaReading(
  state: LedgerState,
  { readsQuota = false }: LedgerConfig,
  nowMs: number,
): Change | undefined {
  const { quota_asked_ms: asked } = state;
  return readsQuota && nowMs - (asked ?? 0) >= QUOTA_GOOD_FOR_MS
    ? { premises: [{ attribute: 'quota_asked_ms', is: asked }], set: { quota_asked_ms: nowMs } }
    : undefined;
}

/**
 * What Service Quotas says; undefined where that is known. With a larger quota, what an earlier cut said of the pace is
 * void: it was of the smaller one.
 */
export function learnQuota(
  state: LedgerState,
  config: LedgerConfig,
  { perSecond, nowMs }: { perSecond: number; nowMs: number },
): Change | undefined {
  const { quota_per_second: before } = state;
  if (before === perSecond) {
    return undefined;
  }
  const change: Change = {
    premises: [{ attribute: 'quota_per_second', is: before }],
    set: {
      quota_per_second: perSecond,
      ...(perSecond !== (before ?? config.perSecond) && { quota_changed_ms: nowMs }),
    },
    ...(perSecond > (before ?? config.perSecond) && { remove: ['interval_ms', 'throttled_interval_ms'] }),
  };
  const turns = turnsAt(state, config, nowMs);
  if (turns.isOver) {
    return change;
  }
  // The rounds until now passed at the pace until now.
  const settled = settleRound(state, turns, nowMs);
  return {
    premises: [...change.premises, ...settled.premises],
    set: { ...change.set, ...settled.set },
    remove: [...(change.remove ?? []), ...settled.remove],
  };
}

/**
 * Takes an image off the day's count: the slot led to no billed call. Its place in the chain is gone; the cap counts what
 * is billed or may still be. A slot whose holder died counts for ever, which errs on the cheap side.
 */
export function giveBack(slot: Pick<Slot, 'day'>): Change<'day' | 'images'> {
  return { premises: [{ attribute: 'day', is: slot.day }], add: { images: -1 } };
}

/** Whether the item, as it is, meets a write's premises: DynamoDB's condition, for the simulations. */
export function holds<Attribute extends string>(
  state: Partial<Record<Attribute, number>>,
  change: Change<Attribute>,
): boolean {
  return change.premises.every((premise) => {
    const value: number | undefined = state[premise.attribute];
    if ('is' in premise) {
      return value === premise.is;
    }
    return 'atLeast' in premise
      ? value !== undefined && value >= premise.atLeast
      : value === undefined || value < premise.below;
  });
}

/** The item after a write: DynamoDB's update, for the simulations. */
export function apply<Attribute extends string>(
  state: Partial<Record<Attribute, number>>,
  change: Change<Attribute>,
): Partial<Record<Attribute, number>> {
  const after: Partial<Record<Attribute, number>> = { ...state, ...change.set };
  for (const [attribute, amount] of Object.entries(change.add ?? {}) as [Attribute, number][]) {
    after[attribute] = (after[attribute] ?? 0) + amount;
  }
  for (const attribute of change.remove ?? []) {
    delete after[attribute];
  }
  return after;
}

function extend(
  state: LedgerState,
  chain: LedgerAttribute,
  intervalMs: number,
  nowMs: number,
  premises: Premise[],
): Change {
  return (state[chain] ?? 0) >= nowMs
    ? { premises: [{ attribute: chain, atLeast: nowMs }, ...premises], add: { [chain]: intervalMs } }
    : { premises: [{ attribute: chain, below: nowMs }, ...premises], set: { [chain]: nowMs + intervalMs } };
}

function hold(
  state: LedgerState,
  config: LedgerConfig,
  nowMs: number,
): { refused: Refusal; because: string } | undefined {
  const cap = dailyImageCap(state, config);
  const images = imagesToday(state, nowMs);
  if (cap !== undefined && images >= cap) {
    return { refused: 'DailyImageCapReached', because: `${images} of ${cap} images are indexed today (UTC)` };
  }
  return paused(state);
}

/** Slots that may be given in a UTC day; undefined where there is no cap. */
export function dailyImageCap(
  state: LedgerState,
  config: Pick<LedgerConfig, 'dailyImageCap'>,
): number | undefined {
  return state.daily_image_cap ?? config.dailyImageCap;
}

function paused({ paused_ms: since }: LedgerState): { refused: Refusal; because: string } | undefined {
  return since === undefined
    ? undefined
    : {
        refused: 'IndexingPaused',
        because: `an operator paused indexing at ${new Date(since).toISOString()}`,
      };
}

function liveLine(state: LedgerState, nowMs: number): number {
  return (state.line_ms ?? 0) - nowMs;
}

function liveFirst(state: LedgerState, nowMs: number): { refused: Refusal; because: string } {
  return {
    refused: 'BackfillWaits',
    because: `live photos go first, their line is ${Math.round(liveLine(state, nowMs))} ms long`,
  };
}
