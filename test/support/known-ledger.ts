import type { RememberedLedger } from '../../lambdas/shared/line/remembered-item.ts';
import { apply, holds, type LedgerState } from '../../lambdas/shared/line/rules.ts';

interface KnownLedger extends RememberedLedger {
  /** What is there. */
  state(): LedgerState;
  /** What others write, of which this function does not hear. */
  change(others: (state: LedgerState) => LedgerState): void;
  /** What was read of it. */
  loads: LedgerState[];
}

/** The ledger as one function knows it: what it remembers may not be what is there. */
export function ledgerOf(state: LedgerState, remembered: LedgerState | undefined = state) {
  let seen = remembered;
  const loads: LedgerState[] = [];
  const ledger: KnownLedger = {
    name: "the ledger's item",
    seen: () => seen,
    async load() {
      loads.push(state);
      seen = state;
      return state;
    },
    async recent() {
      return seen ?? ledger.load();
    },
    async write(change) {
      if (!holds(state, change)) {
        seen = state;
        return { conflict: state };
      }
      state = apply(state, change);
      seen = state;
      return { after: state };
    },
    state: () => state,
    change(others) {
      state = others(state);
    },
    loads,
  };
  return ledger;
}
