import type { Telemetry } from '../runtime/telemetry.ts';

/** Waits for a report to the slot ledger. One that cannot be told must not hide what Rekognition said. */
export async function tell(
  { telemetry }: { readonly telemetry: Telemetry },
  report: Promise<void>,
): Promise<void> {
  await report.catch((failure: unknown) => {
    telemetry.logger.warn('The slot ledger could not be told', { error: failure as Error });
  });
}
