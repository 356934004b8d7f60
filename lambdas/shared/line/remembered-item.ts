/**
 * An item of the ledger's table as one function sees it: it remembers what it last saw, so that most decisions need no
 * read; a write's premises catch what has changed since.
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { PipelineError } from '../contract/errors.ts';
import { decodeLedger, type LedgerItem, readItem, turnsItem } from './item.ts';
import type { memory } from './memory.ts';
import type { Change, LedgerState, Refusal } from './rules.ts';
import type { EventTurns } from './turns.ts';
import { writeItem } from './write.ts';

/**
 * Every lost race means that another caller's write went through; a caller that loses this many in a row comes back
 * later (`LedgerBusy`, retried by the state machine).
 */
export const MAX_RACES = 20;

/** Whose turn it is, is decided on what was seen of the ledger's item no longer ago than this. */
const SEEN_GOOD_FOR_MS = 2_000;

export interface LedgerDeps {
  dynamodb: DynamoDBClient;
  table: string;
  /** Whose quota it keeps. Default: that of IndexFaces. */
  item?: LedgerItem;
  /** Milliseconds since the epoch. */
  now(): number;
  /** 0 to 1. */
  random(): number;
  sleep(ms: number): Promise<void>;
}

export interface RememberedItem<State> {
  /** For errors. */
  name: string;
  /** As it was seen last; undefined where it never was. */
  seen(): State | undefined;
  /** As it is now. One read. */
  load(): Promise<State>;
  /**
   * One write, and a read where DynamoDB does not say what prevented it.
   *
   * @returns the item after the write, or the item that broke a premise and so prevented it
   */
  write(change: Change<keyof State & string>): Promise<{ after: State } | { conflict: State }>;
}

type TableDeps = Pick<LedgerDeps, 'dynamodb' | 'table'>;

function rememberedItem<State extends object>(
  deps: TableDeps,
  item: { id: string; name: string; seen(): State | undefined; remember(state: State): void },
): RememberedItem<State> {
  const remember = (state: object): State => {
    item.remember(state as State);
    return state as State;
  };
  const load = async () => remember(decodeLedger(await readItem(deps, item.id)));
  return {
    name: item.name,
    seen: item.seen,
    load,
    async write(change) {
      const written = await writeItem(deps, item.id, change);
      if ('item' in written) {
        return { after: remember(decodeLedger(written.item)) };
      }
      return { conflict: written.conflict ? remember(decodeLedger(written.conflict)) : await load() };
    },
  };
}

export interface RememberedLedger extends RememberedItem<LedgerState> {
  /** As it was a moment ago, or is now. */
  recent(): Promise<LedgerState>;
}

export function rememberedLedger(deps: TableDeps & Pick<LedgerDeps, 'item' | 'now'>): RememberedLedger {
  let seen: LedgerState | undefined;
  let seenMs = Number.NEGATIVE_INFINITY;
  const item = rememberedItem<LedgerState>(deps, {
    id: deps.item ?? 'index-faces',
    name: "the ledger's item",
    seen: () => seen,
    remember(state) {
      seen = state;
      seenMs = deps.now();
    },
  });
  return {
    ...item,
    recent: async () => (seen && deps.now() - seenMs < SEEN_GOOD_FOR_MS ? seen : item.load()),
  };
}

/** The item of those whose key it is, who take turns with others. */
export function rememberedTurns(
  deps: TableDeps,
  turns: ReturnType<typeof memory<EventTurns>>,
  key: string,
): RememberedItem<EventTurns> {
  return rememberedItem<EventTurns>(deps, {
    id: turnsItem(key),
    name: `the item of ${key}`,
    seen: () => turns.get(key),
    remember: (state) => turns.set(key, state),
  });
}

/** What a rule makes of an item: a change, if one is needed, or the reason why there is to be none. */
type Decided<State> = { change: Change<keyof State & string> | undefined } | Refused;

interface Refused {
  refused: Refusal;
  because: string;
}

/**
 * Writes what `decide` makes of the item, as often as others come in between.
 *
 * @param first what it decides on first: what is remembered, or what the caller has just looked at. Nobody is sent away on what is
 *   only remembered, which may be long over.
 * @returns what was decided, and the item after its write, or as it is where nothing was to be written
 * @throws PipelineError the refusal; `LedgerBusy`, `AccessDenied`
 */
export async function settle<State, Decision extends Decided<State>>(
  item: RememberedItem<State>,
  decide: (state: State) => Decision,
  first: { looked?: State } = {},
): Promise<{ decided: Exclude<Decision, Refused>; state: State }> {
  let state = first.looked ?? item.seen();
  let isFresh = first.looked !== undefined;
  for (let race = 0; race < MAX_RACES; race++) {
    if (state === undefined) {
      state = await item.load();
      isFresh = true;
    }
    const decision = decide(state);
    if ('refused' in decision) {
      if (isFresh) {
        throw new PipelineError(decision.refused, decision.because);
      }
      state = undefined;
      continue;
    }
    const decided = decision as Exclude<Decision, Refused>;
    if (!decision.change) {
      return { decided, state };
    }
    const written = await item.write(decision.change);
    if ('after' in written) {
      return { decided, state: written.after };
    }
    state = written.conflict;
    isFresh = true;
  }
  throw new PipelineError('LedgerBusy', `Lost ${MAX_RACES} races for ${item.name} in a row`);
}
