import { GetServiceQuotaCommand, type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { describeAwsError } from '../shared/contract/errors.ts';
import { logEvents, metricNames, rekognitionQuotas } from '../shared/contract/names.ts';
import type { SlotLedger } from '../shared/line/store.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';

export interface ReadQuotaDeps {
  quotas: ServiceQuotasClient;
  ledger: Pick<SlotLedger, 'read' | 'setQuota'>;
  telemetry: Telemetry;
}

export interface QuotaReading {
  /** IndexFaces calls a second that the account may make; null where Service Quotas did not say. */
  per_second: number | null;
  /** What was read the last time; null when nothing was. */
  before: number | null;
}

/**
 * Writes the account's IndexFaces quota into the slot ledger, where the functions that keep the pace read it anyway.
 *
 * Where Service Quotas does not answer, refuses, or does not know the quota (not every Region does), what was read before
 * stays, else the default of the Region.
 * https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
 *
 * @throws PipelineError `LedgerBusy`, `AccessDenied`
 */
export async function readQuota({ quotas, ledger, telemetry }: ReadQuotaDeps): Promise<QuotaReading> {
  const { quota_per_second: before = null } = await ledger.read();
  const perSecond = await askFor(quotas, telemetry);
  const changed = perSecond !== null && perSecond !== before;
  if (changed) {
    await ledger.setQuota(perSecond);
    telemetry.logger.info('IndexFaces has this quota', {
      event: logEvents.quotaRead,
      per_second: perSecond,
      before,
    });
  }
  // The first reading is not a change; a 0 tells that it was looked at.
  telemetry.metrics.addMetric(metricNames.quotaChanges, 'Count', changed && before !== null ? 1 : 0);
  return { per_second: perSecond, before };
}

async function askFor(quotas: ServiceQuotasClient, { logger }: Telemetry): Promise<number | null> {
  let because: string;
  try {
    const { Quota } = await quotas.send(
      new GetServiceQuotaCommand({
        ServiceCode: rekognitionQuotas.serviceCode,
        QuotaCode: rekognitionQuotas.indexFaces,
      }),
    );
    const value = Quota?.Value;
    if (value !== undefined && Number.isFinite(value) && value > 0) {
      return value;
    }
    because = `Service Quotas says ${value}`;
  } catch (error) {
    because = describeAwsError('Service Quotas', error);
  }
  logger.warn(because, { event: logEvents.quotaNotKnown });
  return null;
}
