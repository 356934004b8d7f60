/** What Service Quotas says of the account's IndexFaces calls a second. */
import { GetServiceQuotaCommand, type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { describeAwsError } from '../contract/errors.ts';
import { logEvents, metricNames, rekognitionQuotas } from '../contract/names.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { QuotaChange, SlotLedger } from './store.ts';

export interface QuotaDeps {
  quotas: ServiceQuotasClient;
  telemetry: Telemetry;
}

/**
 * Calls a second; null, and a line in the log, where Service Quotas does not answer, refuses, or does not know the quota (not
 * every Region does).
 * https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
 */
export async function askForQuota({ quotas, telemetry }: QuotaDeps): Promise<number | null> {
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
  telemetry.logger.warn(because, { event: logEvents.quotaNotKnown });
  return null;
}

/** Counts a change, with a line in the log. The first reading is not one. */
export function reportQuotaChange({ telemetry }: Pick<QuotaDeps, 'telemetry'>, change: QuotaChange): void {
  telemetry.logger.info('IndexFaces has this quota', {
    event: logEvents.quotaRead,
    per_second: change.perSecond,
    before: change.before ?? null,
  });
  if (change.before !== undefined) {
    telemetry.metrics.addMetric(metricNames.quotaChanges, 'Count', 1);
  }
}

/** Has the slot ledger follow the quota while calls are made. It fails without a word to the photo: it concerns the next ones. */
export async function followQuota(
  deps: QuotaDeps & { ledger: Pick<SlotLedger, 'followQuota'> },
): Promise<void> {
  try {
    const change = await deps.ledger.followQuota(() => askForQuota(deps));
    if (change) {
      reportQuotaChange(deps, change);
    }
  } catch (error) {
    deps.telemetry.logger.warn('The quota could not be followed', { error: error as Error });
  }
}
