/**
 * The slot ledger in DynamoDB: one item, whose rules are in `line/rules.ts`, and one for each event that has photos in line
 * (`line/fairness.ts`), which expires by itself. How a function sees and writes an item is in `line/remembered-item.ts`.
 */
import type { Lane } from '../contract/payloads.ts';
import { byTurns, type Fair, firstComeFirstServed, type PlaceInLine } from './joining.ts';
import { type LedgerDeps, type RememberedLedger, rememberedLedger, settle } from './remembered-item.ts';
import { claimQuotaReading, type LedgerConfig, type LedgerState, learnQuota, type Slot } from './rules.ts';
import { slots } from './slots.ts';

/** Where Service Quotas does not say, it is not asked again for so long. */
const QUOTA_NOT_KNOWN_FOR_MS = 600_000;

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
      return gate.take(lane, fair && lane === 'live' ? await turns.pass(fair) : undefined);
    },
    reportThrottle: gate.reportThrottle,
    giveBack: gate.giveBack,
    ...switches(deps, ledger),
    ...quotaReadings(deps, config, ledger),
    read: ledger.load,
  };
}

/** What an operator sets. */
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
  } satisfies Partial<SlotLedger>;
}

/** What Service Quotas says. */
function quotaReadings({ now }: LedgerDeps, config: LedgerConfig, ledger: RememberedLedger) {
  async function learn(looked: LedgerState, perSecond: number): Promise<QuotaChange | undefined> {
    const { decided } = await settle(
      ledger,
      (state) => ({
        change: learnQuota(state, config, { perSecond, nowMs: now() }),
        before: state.quota_per_second,
      }),
      { looked },
    );
    return decided.change && { perSecond, before: decided.before };
  }

  return {
    async setQuota(perSecond) {
      await learn(await ledger.load(), perSecond);
    },
    async followQuota(ask) {
      const claim = claimQuotaReading(ledger.seen() ?? (await ledger.load()), config, now());
      const claimed = claim && (await ledger.write(claim));
      if (!claimed || 'conflict' in claimed) {
        return undefined;
      }
      const perSecond = await ask();
      if (perSecond === null) {
        await ledger.write({ premises: [], set: { quota_asked_ms: now() + QUOTA_NOT_KNOWN_FOR_MS } });
        return undefined;
      }
      return learn(claimed.after, perSecond);
    },
  } satisfies Partial<SlotLedger>;
}
