import type { Strategy } from '../strategy.ts';
import { batchPacer } from './batch-pacer.ts';
import { concurrencyCap } from './concurrency-cap.ts';
import { retryOnly } from './retry-only.ts';
import { semaphore } from './semaphore.ts';
import { slotLedgerStrategy } from './slot-ledger.ts';

/** Ours, and the others at their best settings and, marked so, at the settings that they are published with. */
export const strategies: readonly Strategy[] = [
  slotLedgerStrategy,
  ...retryOnly,
  ...concurrencyCap,
  ...batchPacer,
  ...semaphore,
];

export const strategyNames: string[] = strategies.map(({ name }) => name);
