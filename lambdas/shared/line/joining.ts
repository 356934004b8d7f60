/** A place in line: first come, first served, or by turns with other events. */
import { PipelineError } from '../contract/errors.ts';
import type { Lane } from '../contract/payloads.ts';
import {
  giveTurnBack,
  isShared,
  ownPlace,
  passGate,
  placeAtEnd,
  roundWritten,
  standInLine,
} from './fairness.ts';
import { memory } from './memory.ts';
import { type LedgerDeps, type RememberedLedger, rememberedTurns, settle } from './remembered-item.ts';
import {
  comeBack,
  type Decision,
  type LedgerConfig,
  type LedgerState,
  nextPlace,
  standAgain,
} from './rules.ts';
import type { EventTurns } from './turns.ts';

/** What stands in line by turns with others. */
export interface Fair {
  /** Whose photos share their turns: the event's id. */
  key: string;
  /** The round of the photo's turn, where it stood in line before and was sent back. */
  round?: number | undefined;
}

export interface PlaceInLine {
  /** When the photo's turn should come, milliseconds since the epoch. */
  placeMs: number;
  /** The round of its turn. */
  round: number;
}

export interface Extended {
  /** Where the chain ended before, milliseconds since the epoch. */
  atMs: number;
  intervalMs: number;
  state: LedgerState;
}

/** Extends a chain by what `decide` makes of the ledger's state, as of the caller's arrival. */
export async function extendChain(
  { now }: Pick<LedgerDeps, 'now'>,
  ledger: RememberedLedger,
  decide: (state: LedgerState, nowMs: number) => Decision,
): Promise<Extended> {
  // The moment of arrival, for all attempts: a chain restarted by the winner of a race reaches only one interval
  // ahead, and may be over again when the losers come back to join it.
  const arrivedMs = now();
  const { decided, state } = await settle(ledger, (seen) => decide(seen, arrivedMs));
  return {
    atMs: (state[decided.chain] ?? 0) - decided.intervalMs,
    intervalMs: decided.intervalMs,
    state,
  };
}

/** First come, first served. */
export function firstComeFirstServed(deps: LedgerDeps, config: LedgerConfig, ledger: RememberedLedger) {
  return {
    /** The place at the end of the lane's line. */
    async join(lane: Lane): Promise<number> {
      const { atMs } = await extendChain(deps, ledger, (state, nowMs) =>
        nextPlace(state, config, { nowMs, lane }),
      );
      return atMs;
    },
    /** A place near the head, for a photo that had its turn already. Writes nothing. */
    async joinAgain(lane: Lane, throttles: number): Promise<number> {
      const place = comeBack(await ledger.load(), config, {
        nowMs: deps.now(),
        lane,
        throttles,
        random: deps.random(),
      });
      if ('refused' in place) {
        throw new PipelineError(place.refused, place.because);
      }
      return place.placeMs;
    },
  };
}

/** By turns with others, in the live line. */
export function byTurns(deps: LedgerDeps, config: LedgerConfig, ledger: RememberedLedger) {
  const seenTurns = memory<EventTurns>();
  const itemOf = (key: string) => rememberedTurns(deps, seenTurns, key);

  /** The ledger's state while the line is open: no turn is taken while it is held. */
  async function openLine(): Promise<{ state: LedgerState; nowMs: number }> {
    const seen = await ledger.recent();
    const nowMs = deps.now();
    if (!('refused' in nextPlace(seen, config, { nowMs, lane: 'live' }))) {
      return { state: seen, nowMs };
    }
    const state = await ledger.load();
    const decision = nextPlace(state, config, { nowMs, lane: 'live' });
    if ('refused' in decision) {
      throw new PipelineError(decision.refused, decision.because);
    }
    return { state, nowMs };
  }

  return {
    /** The event's next turn, and with it the line's next place; or a place for a photo that was sent back. */
    async join({ key, round: before }: Fair): Promise<PlaceInLine> {
      const { state, nowMs } = await openLine();
      const random = deps.random();
      const event = itemOf(key);
      const { state: after, decided: turn } = await settle(event, (seen) =>
        standInLine(seen, state, config, { nowMs, before, random }),
      );
      const round = roundWritten(turn, after);
      const ownMs = ownPlace(turn, after);
      if (!turn.isNew) {
        const placeMs = ownMs ?? nowMs;
        await settle(ledger, (seen) => standAgain(seen, config, { nowMs, placeMs }), { looked: state });
        return { placeMs, round };
      }
      try {
        const line = await extendChain(deps, ledger, (seen, arrivedMs) =>
          nextPlace(seen, config, { nowMs: arrivedMs, lane: 'live', round }),
        );
        return {
          placeMs: ownMs ?? placeAtEnd(line.state, config, { nowMs, round, endMs: line.atMs }),
          round,
        };
      } catch (error) {
        // It comes again for another turn. One that is not given back leaves a gap in its event's plan, and no more.
        await event.write(giveTurnBack(turn)).catch(() => undefined);
        throw error;
      }
    },

    /**
     * Counts the photo among its event's that passed the gate, while events share the line.
     *
     * @returns where the gate's round moves to with its slot
     */
    async pass({ key, round }: Fair): Promise<number | undefined> {
      if (round === undefined) {
        return undefined;
      }
      const state = await ledger.recent();
      if (!isShared(state, config, deps.now())) {
        return undefined;
      }
      const { decided } = await settle(itemOf(key), (event) => passGate(event, state, config, deps.now()));
      return decided.gateRound;
    },
  };
}
