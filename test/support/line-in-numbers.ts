/** A line in numbers that can be checked by hand: a slot is 20 ms, two events share each round, so that round 200 is due in 8 s. */
import type { LedgerConfig, LedgerState } from '../../lambdas/shared/line/rules.ts';

export const NOW = Date.UTC(2026, 4, 1, 12);

/** A slot is 20 ms. */
export const config: LedgerConfig = { perSecond: 50.1005 };

/** @param endMs where it ends, milliseconds from now */
export function sharedLine(endMs: number, over: LedgerState = {}): LedgerState {
  return { round: 0, round_ms: NOW, t10_0: 2_048, line_ms: NOW + endMs, ...over };
}
