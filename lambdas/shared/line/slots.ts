/** Slots at the gate: taken when a photo's place in line comes, slept for, given back. */
import { PipelineError } from '../contract/errors.ts';
import type { Lane } from '../contract/payloads.ts';
import { extendChain } from './joining.ts';
import { type LedgerDeps, type RememberedLedger, settle } from './remembered-item.ts';
import {
  afterThrottle,
  GATE_EARLY_MS,
  giveBack,
  keepSlot,
  type LedgerConfig,
  type Slot,
  takeSlot,
} from './rules.ts';

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

export function slots(deps: LedgerDeps, config: LedgerConfig, ledger: RememberedLedger) {
  /** The image does not count for the day. */
  async function returnImage(slot: Slot): Promise<void> {
    // A conflict means that the slot's day is over, and its count with it.
    await ledger.write(giveBack(slot));
  }

  /** Sleeps until the slot comes; undefined when it is none any more by then. */
  async function sleepUntil(slot: Slot, goodForMs: number): Promise<Slot | undefined> {
    let kept: ReturnType<typeof keepSlot> = slot;
    const ahead = slot.slotMs - deps.now();
    if (ahead > RECHECK_AFTER_MS) {
      await deps.sleep(ahead - RECHECK_BEFORE_MS);
      kept = keepSlot(await ledger.load(), config, slot, { nowMs: deps.now(), random: deps.random() });
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
    /** Waits for the place in line. */
    async waitForPlace(placeMs: number): Promise<void> {
      const early = placeMs - GATE_EARLY_MS - deps.now();
      if (early > MAX_EARLY_MS) {
        throw new PipelineError('SlotExpired', `Came ${Math.round(early)} ms before its place in line`);
      }
      if (early > 0) {
        await deps.sleep(early);
      }
    },

    /**
     * A slot whose moment is now.
     *
     * @param gateRound where the gate's round moves to with it
     */
    async take(lane: Lane, gateRound?: number): Promise<Slot> {
      for (let taken = 0; taken < MAX_SLOTS; taken++) {
        const { atMs, intervalMs, state } = await extendChain(deps, ledger, (seen, nowMs) =>
          takeSlot(seen, config, { nowMs, lane, gateRound }),
        );
        const slot: Slot = { slotMs: atMs, intervalMs, cuts: state.cuts ?? 0, day: state.day ?? 0 };
        const kept = await sleepUntil(slot, taken === 0 ? SLOT_GOOD_FOR_MS : Number.POSITIVE_INFINITY);
        if (kept) {
          return kept;
        }
      }
      throw new PipelineError('SlotExpired', `${MAX_SLOTS} slots in a row could not be used`);
    },

    async reportThrottle(slot: Slot): Promise<void> {
      await settle(ledger, (state) => ({ change: afterThrottle(state, config, slot, deps.now()) }));
    },

    giveBack: returnImage,
  };
}
