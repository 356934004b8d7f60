import { dayOf } from '../lambdas/shared/slot-ledger.ts';
import { type SlotLedger, slotLedger } from '../lambdas/shared/slot-ledger-store.ts';
import type { Deployment } from './deployment.ts';

/** The slot ledger as an operator uses it: to look and to hold, never for a slot, so it needs no pace. */
export function ledgerOf({
  dynamodb,
  outputs,
}: Deployment): Pick<SlotLedger, 'pause' | 'resume' | 'setDailyImageCap' | 'read'> {
  return slotLedger(
    {
      dynamodb,
      table: outputs.SlotLedgerTableName,
      now: Date.now,
      random: Math.random,
      sleep: async () => {},
    },
    { perSecond: 1 },
  );
}

export interface LedgerView {
  /** ISO 8601; null when nobody holds the pipeline. */
  pausedSince: string | null;
  /** Slots given on this UTC day. */
  imagesToday: number;
  /** Slots that may be given on this UTC day. */
  dailyImageCap: number;
  /** Whether an operator set it, and not the configuration. */
  capIsSet: boolean;
  /** IndexFaces calls a second that Service Quotas allows the account; null where that could not be read. */
  quotaPerSecond: number | null;
}

export async function readLedger(deployment: Deployment): Promise<LedgerView> {
  const state = await ledgerOf(deployment).read();
  const { paused_ms: paused, daily_image_cap: cap, day, images = 0, quota_per_second: quota } = state;
  return {
    pausedSince: paused === undefined ? null : new Date(paused).toISOString(),
    imagesToday: day === dayOf(Date.now()) ? images : 0,
    dailyImageCap: cap ?? Number(deployment.outputs.DailyImageCap),
    capIsSet: cap !== undefined,
    quotaPerSecond: quota ?? null,
  };
}
