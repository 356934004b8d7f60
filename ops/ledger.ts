import {
  fullInterval,
  imagesToday,
  intervalAt,
  type LedgerConfig,
  type LedgerState,
} from '../lambdas/shared/line/rules.ts';
import { type SlotLedger, slotLedger } from '../lambdas/shared/line/store.ts';
import type { Deployment } from './deployment.ts';

/** The slot ledger as an operator uses it: to look and to hold, never for a slot, so it needs no pace. */
export function ledgerOf({
  dynamodb,
  outputs,
}: Pick<Deployment, 'dynamodb' | 'outputs'>): Pick<
  SlotLedger,
  'pause' | 'resume' | 'setDailyImageCap' | 'read'
> {
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
  /** IndexFaces calls a second that the account may make: read from Service Quotas where it could be, else configured. */
  quotaPerSecond: number;
  /** Calls a second that are made at most right now; less than the quota for a while after a throttled call. */
  allowedPerSecond: number;
  /** How long a photo that comes now waits for its turn, milliseconds. */
  lineMs: number;
  backfillLineMs: number;
  /** When the pace was last cut, milliseconds since the epoch; null when it has come back, or never was. */
  cutMs: number | null;
  /** What all of it was read from. */
  item: LedgerState;
  line: LedgerConfig;
}

export async function readLedger(deployment: Deployment, now = Date.now): Promise<LedgerView> {
  return viewOf(await ledgerOf(deployment).read(), deployment.outputs, now());
}

/** What an operator reads out of the ledger's item. */
export function viewOf(
  state: LedgerState,
  outputs: Pick<Deployment['outputs'], 'DailyImageCap' | 'IndexFacesPerSecond' | 'ReadsIndexFacesQuota'>,
  nowMs: number,
): LedgerView {
  const { paused_ms: paused, daily_image_cap: cap } = state;
  const config = {
    perSecond: Number(outputs.IndexFacesPerSecond),
    readsQuota: outputs.ReadsIndexFacesQuota === 'true',
  };
  const allowed = 1_000 / intervalAt(state, config, nowMs);
  const full = 1_000 / fullInterval(state, config);
  // The gate may be behind the line: slots are given in the order in which photos come to it.
  const ahead = (...ends: (number | undefined)[]) =>
    Math.max(0, ...ends.map((end) => (end === undefined ? 0 : end - nowMs)));
  return {
    pausedSince: paused === undefined ? null : new Date(paused).toISOString(),
    imagesToday: imagesToday(state, nowMs),
    dailyImageCap: cap ?? Number(outputs.DailyImageCap),
    capIsSet: cap !== undefined,
    quotaPerSecond: (config.readsQuota ? state.quota_per_second : undefined) ?? config.perSecond,
    allowedPerSecond: allowed,
    lineMs: ahead(state.line_ms, state.next_ms),
    backfillLineMs: ahead(state.backfill_ms, state.line_ms, state.next_ms),
    cutMs: allowed < full * 0.99 ? (state.cut_ms ?? null) : null,
    item: state,
    line: { ...config, dailyImageCap: Number(outputs.DailyImageCap) },
  };
}
