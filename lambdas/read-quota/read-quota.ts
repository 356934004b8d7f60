import { metricNames } from '../shared/contract/names.ts';
import { askForQuota, type QuotaDeps, reportQuotaChange } from '../shared/line/quota.ts';
import type { SlotLedger } from '../shared/line/store.ts';

export interface ReadQuotaDeps extends QuotaDeps {
  ledger: Pick<SlotLedger, 'read' | 'setQuota'>;
}

export interface QuotaReading {
  /** IndexFaces calls a second that the account may make; null where Service Quotas did not say. */
  per_second: number | null;
  /** What was read before; null when nothing was. */
  before: number | null;
}

/**
 * Writes the account's IndexFaces quota into the slot ledger, where the functions that keep the pace read it anyway. While
 * calls are made, index-faces does so too, far more often.
 *
 * Where Service Quotas does not say, what was read before stays, else the default of the Region.
 *
 * @throws PipelineError `LedgerBusy`, `AccessDenied`
 */
export async function readQuota(deps: ReadQuotaDeps): Promise<QuotaReading> {
  const { quota_per_second: before } = await deps.ledger.read();
  const perSecond = await askForQuota(deps);
  if (perSecond !== null && perSecond !== before) {
    await deps.ledger.setQuota(perSecond);
    reportQuotaChange(deps, { perSecond, before });
  }
  // A 0 tells that it was looked at.
  deps.telemetry.metrics.addMetric(metricNames.quotaChanges, 'Count', 0);
  return { per_second: perSecond, before: before ?? null };
}
