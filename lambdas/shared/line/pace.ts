/** Apart from the ledger, for functions that only look at it. */
import { environmentNames } from '../contract/names.ts';
import { requireEnv, requireNumberEnv } from '../runtime/environment.ts';
import type { LedgerConfig } from './rules.ts';

/**
 * The pace of IndexFaces, and the day's cap.
 *
 * @throws PipelineError `MissingConfiguration`
 */
export function indexFacesPace(): LedgerConfig {
  return {
    perSecond: requireNumberEnv(environmentNames.indexFacesPerSecond),
    readsQuota: requireEnv(environmentNames.readsIndexFacesQuota) === 'true',
    dailyImageCap: requireNumberEnv(environmentNames.dailyImageCap),
  };
}
