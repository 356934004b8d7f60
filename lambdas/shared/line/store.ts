/**
 * The slot ledger in DynamoDB: one item, whose rules are in `line/rules.ts`, and one for each event that has photos in line
 * (`line/fairness.ts`), which expires by itself.
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { PipelineError } from '../contract/errors.ts';
import type { Lane } from '../contract/payloads.ts';
import {
  isShared,
  joinEvent,
  joinEventAgain,
  passGate,
  placeAtEnd,
  roundWritten,
  type Turn,
} from './fairness.ts';
import { decodeLedger, type LedgerItem, readItem, readLedger, turnsItem } from './item.ts';
import { memory } from './memory.ts';
import {
  afterThrottle,
  type Change,
  claimQuotaReading,
  comeBack,
  type Decision,
  GATE_EARLY_MS,
  giveBack,
  keepSlot,
  type LedgerConfig,
  type LedgerState,
  learnQuota,
  nextPlace,
  type Slot,
  standAgain,
  takeSlot,
  turnsAt,
} from './rules.ts';
import type { EventTurns } from './turns.ts';
import { writeItem } from './write.ts';

/**
 * Every lost race means that another caller's write went through; a caller that loses this many in a row comes back
 * later (`LedgerBusy`, retried by the state machine).
 */
export const MAX_RACES = 20;

/** A sleep longer than this is followed by a second look at the ledger, so long before the slot. */
const RECHECK_AFTER_MS = 250;
const RECHECK_BEFORE_MS = 50;

/**
 * A slot older than this is given up once: calls held up together would come in a bunch, and the bucket holds a second.
 * Only once, because where DynamoDB itself takes so long every slot is as old, and all would try for ever.
 */
const SLOT_GOOD_FOR_MS = 500;

/** How often a photo takes another slot because the pace was cut while it slept. */
const MAX_SLOTS = 5;

/** A place in line further away than this is not waited for inside a function. */
const MAX_EARLY_MS = 5_000;

/** Whose turn it is, is decided on what was seen of the ledger's item no longer ago than this. */
const SEEN_GOOD_FOR_MS = 2_000;

/** Where Service Quotas does not say, it is not asked again for so long. */
const QUOTA_NOT_KNOWN_FOR_MS = 600_000;

export interface LedgerDeps {
  dynamodb: DynamoDBClient;
  table: string;
  /** Whose quota it keeps. Default: that of IndexFaces. */
  item?: LedgerItem;
  /** Milliseconds since the epoch. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  sleep(ms: number): Promise<void>;
}

/** What stands in line by turns with others. */
export interface Fair {
  /** Whose photos share their turns: the event's id. */
  key: string;
  /** The round of the photo's turn, where it stood in line before and was sent back. */
  round?: number | undefined;
}

export interface PlaceInLine {
  /** When the photo's turn should come, milliseconds since the epoch. */
  placeMs: number;
  /** The round of its turn. */
  round: number;
}

export interface QuotaChange {
  perSecond: number;
  /** Undefined where it had never been read. */
  before: number | undefined;
}

export interface SlotLedger {
  /**
   * A place in line, first come, first served, or near its head for a photo that had its turn already.
   *
   * @returns when the photo's turn should come, milliseconds since the epoch; one write unit, or none for `returning`
   * @throws PipelineError `IndexingPaused`, `DailyImageCapReached`, `BackfillWaits`, `LedgerBusy`, `AccessDenied`
   */
  joinLine(request: { lane: Lane; returning: boolean; throttles: number }): Promise<number>;
  /**
   * A place in the live line by turns with others. Two write units.
   *
   * @throws PipelineError `IndexingPaused`, `DailyImageCapReached`, `LedgerBusy`, `AccessDenied`
   */
  joinByTurns(request: Fair): Promise<PlaceInLine>;
  /**
   * Waits for the photo's place, takes a slot and sleeps until it comes: when this returns, the caller calls
   * IndexFaces at once. One or two write units, and one more while events share the line.
   *
   * @param request what `joinLine` or `joinByTurns` returned
   * @throws PipelineError `SlotExpired` (back to `joinLine`: the line is longer than thought, or held, or others' turn comes
   *   first), `LedgerBusy`, `AccessDenied`
   */
  takeSlot(request: { lane: Lane; placeMs: number; fair?: Fair }): Promise<Slot>;
  /**
   * Tells the ledger that the call made with this slot was throttled: cuts the pace for everyone, unless another
   * caller has reported the same congestion. At most two write units.
   *
   * @throws PipelineError `LedgerBusy`, `AccessDenied`
   */
  reportThrottle(slot: Slot): Promise<void>;
  /**
   * Tells the ledger that the call made with this slot is not going to be charged: it does not count for the day's cap.
   * One write unit.
   *
   * @throws PipelineError `LedgerBusy`, `AccessDenied`
   */
  giveBack(slot: Slot): Promise<void>;
  /** Stops the gate and the line for everyone. Calls whose slots are less than a moment away still happen. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Sets the number of images that may be indexed in a UTC day; undefined goes back to the configured one. */
  setDailyImageCap(cap: number | undefined): Promise<void>;
  /** Tells the ledger what Service Quotas says, calls per second. */
  setQuota(perSecond: number): Promise<void>;
  /**
   * By a caller that has taken a slot: has Service Quotas asked where nobody did so a moment ago. A write unit for each
   * question, and one for each new answer.
   *
   * @param ask calls per second; null where Service Quotas does not say
   * @returns the quota where it has turned out to be another one
   * @throws PipelineError `LedgerBusy`, `AccessDenied`
   */
  followQuota(ask: () => Promise<number | null>): Promise<QuotaChange | undefined>;
  /** The item as it is. */
  read(): Promise<LedgerState>;
}

/**
 * The ledger of one account and Region, as seen by one function. It remembers what it last saw of the item, so that
 * most decisions need no read; a write's premises catch what has changed since.
 */
export function slotLedger(deps: LedgerDeps, config: LedgerConfig): SlotLedger {
  let seen: LedgerState | undefined;
  let seenMs = Number.NEGATIVE_INFINITY;
  const seenTurns = memory<EventTurns>();

  function remember(state: LedgerState): LedgerState {
    seen = state;
    seenMs = deps.now();
    return state;
  }

  async function load(): Promise<LedgerState> {
    return remember(await readLedger(deps.dynamodb, deps.table, deps.item));
  }

  /** @returns the item after the write, or the item that broke a premise and so prevented it */
  async function write(change: Change): Promise<{ after: LedgerState } | { conflict: LedgerState }> {
    const written = await writeItem(deps, deps.item ?? 'index-faces', change);
    if ('item' in written) {
      return { after: remember(decodeLedger(written.item)) };
    }
    return { conflict: written.conflict ? remember(decodeLedger(written.conflict)) : await load() };
  }

  async function recent(): Promise<LedgerState> {
    return seen && deps.now() - seenMs < SEEN_GOOD_FOR_MS ? seen : load();
  }

  function rememberTurns(key: string, turns: EventTurns): EventTurns {
    seenTurns.set(key, turns);
    return turns;
  }

  /** Writes what `decide` makes of an event's item. */
  async function changeTurns<Decided extends { change: Change<keyof EventTurns> }>(
    key: string,
    decide: (event: EventTurns) => Decided | { refused: 'SlotExpired'; because: string },
  ): Promise<{ after: EventTurns; decided: Decided }> {
    const loadTurns = async () => rememberTurns(key, decodeLedger(await readItem(deps, turnsItem(key))));
    const remembered = seenTurns.get(key);
    let fresh = remembered === undefined;
    let event = remembered ?? (await loadTurns());
    for (let race = 0; race < MAX_RACES; race++) {
      const decided = decide(event);
      if ('refused' in decided) {
        if (fresh) {
          throw new PipelineError(decided.refused, decided.because);
        }
        event = await loadTurns();
        fresh = true;
        continue;
      }
      const written = await writeItem(deps, turnsItem(key), decided.change);
      if ('item' in written) {
        return { after: rememberTurns(key, decodeLedger(written.item)), decided };
      }
      event = written.conflict ? rememberTurns(key, decodeLedger(written.conflict)) : await loadTurns();
      fresh = true;
    }
    throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races for the item of ${key} in a row`);
  }

  /** A place of the event's own; undefined where it is the end of the line. */
  async function takeTurn(
    key: string,
    decide: (event: EventTurns) => Turn,
  ): Promise<{ round: number; ownMs: number | undefined }> {
    const { after, decided } = await changeTurns(key, decide);
    const { place } = decided;
    const round = roundWritten(decided, after);
    switch (place.at) {
      case 'end of line':
        return { round, ownMs: undefined };
      case 'end of plan':
        return { round, ownMs: (after.planned_ms ?? 0) - place.spacingMs };
      default:
        return { round, ownMs: place.ms };
    }
  }

  async function joinByTurns({ key, round: before }: Fair): Promise<PlaceInLine> {
    let state = await recent();
    const nowMs = deps.now();
    if ('refused' in nextPlace(state, config, { nowMs, lane: 'live' })) {
      state = await load();
      const decision = nextPlace(state, config, { nowMs, lane: 'live' });
      // No turn is taken while the line is held.
      if ('refused' in decision) {
        throw new PipelineError(decision.refused, decision.because);
      }
    }
    if (before !== undefined && turnsAt(state, config, nowMs).round < before) {
      const random = deps.random();
      const { round, ownMs } = await takeTurn(key, (event) =>
        joinEventAgain(event, state, config, { nowMs, round: before, random }),
      );
      const placeMs = ownMs ?? nowMs;
      await lengthenLine(state, { nowMs, placeMs });
      return { placeMs, round };
    }
    const { round, ownMs } = await takeTurn(key, (event) => joinEvent(event, state, config, nowMs));
    const line = await extend((ledger, arrivedMs) =>
      nextPlace(ledger, config, { nowMs: arrivedMs, lane: 'live', round }),
    );
    const placeMs = ownMs ?? placeAtEnd(line.state, config, { nowMs, round, endMs: line.atMs });
    return { placeMs, round };
  }

  async function lengthenLine(from: LedgerState, at: { nowMs: number; placeMs: number }): Promise<void> {
    let state = from;
    for (let race = 0; race < MAX_RACES; race++) {
      const again = standAgain(state, config, at);
      if ('refused' in again) {
        throw new PipelineError(again.refused, again.because);
      }
      if (!again.change) {
        return;
      }
      const written = await write(again.change);
      if ('after' in written) {
        return;
      }
      state = written.conflict;
    }
    throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races for the ledger's item in a row`);
  }

  /** Extends a chain by what `decide` makes of the ledger's state; returns the place where the chain ended before. */
  async function extend(
    decide: (state: LedgerState, nowMs: number) => Decision,
  ): Promise<{ atMs: number; intervalMs: number; state: LedgerState }> {
    let state = seen;
    let fresh = false;
    // The moment of arrival, for all attempts: a chain restarted by the winner of a race reaches only one interval
    // ahead, and may be over again when the losers come back to join it.
    const arrivedMs = deps.now();
    for (let race = 0; race < MAX_RACES; race++) {
      if (!state) {
        state = await load();
        fresh = true;
      }
      const decision = decide(state, arrivedMs);
      if ('refused' in decision) {
        if (fresh) {
          throw new PipelineError(decision.refused, decision.because);
        }
        // What is remembered may be long over: nobody is sent away without a look.
        state = undefined;
        continue;
      }
      const written = await write(decision.change);
      if ('after' in written) {
        const atMs = (written.after[decision.chain] ?? 0) - decision.intervalMs;
        return { atMs, intervalMs: decision.intervalMs, state: written.after };
      }
      state = written.conflict;
      fresh = true;
    }
    throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races for the ledger's item in a row`);
  }

  async function learn(from: LedgerState, perSecond: number): Promise<QuotaChange | undefined> {
    let state = from;
    for (let race = 0; race < MAX_RACES; race++) {
      const change = learnQuota(state, config, { perSecond, nowMs: deps.now() });
      if (!change) {
        return undefined;
      }
      const written = await write(change);
      if ('after' in written) {
        return { perSecond, before: state.quota_per_second };
      }
      state = written.conflict;
    }
    throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races for the ledger's item in a row`);
  }

  async function waitForPlace(placeMs: number): Promise<void> {
    const early = placeMs - GATE_EARLY_MS - deps.now();
    if (early > MAX_EARLY_MS) {
      throw new PipelineError('SlotExpired', `Came ${Math.round(early)} ms before its place in line`);
    }
    if (early > 0) {
      await deps.sleep(early);
    }
  }

  async function returnImage(slot: Slot): Promise<void> {
    // A conflict means that the slot's day is over, and its count with it.
    await write(giveBack(slot));
  }

  /** Sleeps until the slot comes; undefined when it is none any more by then. */
  async function sleepUntil(slot: Slot, goodForMs: number): Promise<Slot | undefined> {
    let kept: ReturnType<typeof keepSlot> = slot;
    const ahead = slot.slotMs - deps.now();
    if (ahead > RECHECK_AFTER_MS) {
      await deps.sleep(ahead - RECHECK_BEFORE_MS);
      kept = keepSlot(await load(), config, slot, { nowMs: deps.now(), random: deps.random() });
    }
    if (kept && 'slotMs' in kept) {
      const rest = slot.slotMs - deps.now();
      if (rest > 0) {
        await deps.sleep(rest);
      }
      if (deps.now() - slot.slotMs <= goodForMs) {
        return kept;
      }
    }
    await returnImage(slot);
    if (kept && 'refused' in kept) {
      throw new PipelineError(kept.refused, kept.because);
    }
    return undefined;
  }

  return {
    async joinLine({ lane, returning, throttles }) {
      if (!returning) {
        const { atMs } = await extend((state, nowMs) => nextPlace(state, config, { nowMs, lane }));
        return atMs;
      }
      const place = comeBack(await load(), config, {
        nowMs: deps.now(),
        lane,
        throttles,
        random: deps.random(),
      });
      if ('refused' in place) {
        throw new PipelineError(place.refused, place.because);
      }
      return place.placeMs;
    },

    joinByTurns,

    async takeSlot({ lane, placeMs, fair }) {
      await waitForPlace(placeMs);
      if (fair && lane === 'live' && fair.round !== undefined) {
        const state = await recent();
        if (isShared(state, config, deps.now())) {
          await changeTurns(fair.key, (event) => passGate(event, state, config, deps.now()));
        }
      }
      for (let slots = 0; slots < MAX_SLOTS; slots++) {
        const { atMs, intervalMs, state } = await extend((state, nowMs) =>
          takeSlot(state, config, { nowMs, lane }),
        );
        const slot: Slot = { slotMs: atMs, intervalMs, cuts: state.cuts ?? 0, day: state.day ?? 0 };
        const kept = await sleepUntil(slot, slots === 0 ? SLOT_GOOD_FOR_MS : Number.POSITIVE_INFINITY);
        if (kept) {
          return kept;
        }
      }
      throw new PipelineError('SlotExpired', `${MAX_SLOTS} slots in a row could not be used`);
    },

    async reportThrottle(slot) {
      let state = seen ?? (await load());
      for (let race = 0; race < MAX_RACES; race++) {
        const change = afterThrottle(state, config, slot, deps.now());
        if (!change) {
          return;
        }
        const written = await write(change);
        if ('after' in written) {
          return;
        }
        state = written.conflict;
      }
      throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races to report a throttle`);
    },

    giveBack: returnImage,

    async pause() {
      await write({ premises: [], set: { paused_ms: deps.now() } });
    },
    async resume() {
      await write({ premises: [], remove: ['paused_ms'] });
    },
    async setDailyImageCap(cap) {
      await write(
        cap === undefined
          ? { premises: [], remove: ['daily_image_cap'] }
          : { premises: [], set: { daily_image_cap: cap } },
      );
    },
    async setQuota(perSecond) {
      await learn(await load(), perSecond);
    },
    async followQuota(ask) {
      const claim = claimQuotaReading(seen ?? (await load()), config, deps.now());
      const claimed = claim && (await write(claim));
      if (!claimed || 'conflict' in claimed) {
        return undefined;
      }
      const perSecond = await ask();
      if (perSecond === null) {
        await write({ premises: [], set: { quota_asked_ms: deps.now() + QUOTA_NOT_KNOWN_FOR_MS } });
        return undefined;
      }
      return learn(claimed.after, perSecond);
    },
    read: load,
  };
}
