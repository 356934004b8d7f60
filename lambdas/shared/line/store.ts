/**
 * The slot ledger in DynamoDB: one item, whose rules are in `line/rules.ts`, and one for each event that has photos in line
 * (`line/fairness.ts`), which expires by itself. How a function sees and writes an item is in `line/remembered-item.ts`.
 */
import type { Lane } from '../contract/payloads.ts';
import { byTurns, type Fair, firstComeFirstServed, type PlaceInLine } from './joining.ts';
import { type LedgerDeps, type RememberedLedger, rememberedLedger } from './remembered-item.ts';
import type { LedgerConfig, LedgerState, Slot } from './rules.ts';
import { slots } from './slots.ts';

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
  /** Sets the IndexFaces quota of the account, calls per second. */
  setQuota(perSecond: number): Promise<void>;
  /** The item as it is. */
  read(): Promise<LedgerState>;
}

/**
 * The ledger of one account and Region, as seen by one function. It remembers what it last saw of the item, so that
 * most decisions need no read; a write's premises catch what has changed since.
 */
export function slotLedger(deps: LedgerDeps, config: LedgerConfig): SlotLedger {
  const ledger = rememberedLedger(deps);
  const line = firstComeFirstServed(deps, config, ledger);
  const turns = byTurns(deps, config, ledger);
  const gate = slots(deps, config, ledger);
  return {
    joinLine: ({ lane, returning, throttles }) =>
      returning ? line.joinAgain(lane, throttles) : line.join(lane),
    joinByTurns: turns.join,
    async takeSlot({ lane, placeMs, fair }) {
      await gate.waitForPlace(placeMs);
      if (fair && lane === 'live') {
        await turns.pass(fair);
      }
      return gate.take(lane);
    },
    reportThrottle: gate.reportThrottle,
    giveBack: gate.giveBack,
    ...switches(deps, ledger),
    read: ledger.load,
  };
}

/** What an operator, or the account's quota, sets. */
function switches({ now }: LedgerDeps, ledger: RememberedLedger) {
  return {
    async pause() {
      await ledger.write({ premises: [], set: { paused_ms: now() } });
    },
    async resume() {
      await ledger.write({ premises: [], remove: ['paused_ms'] });
    },
    async setDailyImageCap(cap) {
      await ledger.write(
        cap === undefined
          ? { premises: [], remove: ['daily_image_cap'] }
          : { premises: [], set: { daily_image_cap: cap } },
      );
    },
    async setQuota(perSecond) {
      await ledger.write({ premises: [], set: { quota_per_second: perSecond } });
    },
  } satisfies Partial<SlotLedger>;
}
