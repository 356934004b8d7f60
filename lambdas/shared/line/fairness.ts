/**
 * What an event's own item decides: where its next photo stands in line, and whether a photo of it may pass the gate now.
 * Pure; rounds and turns are `line/turns.ts`, the pace and the ledger's item `line/rules.ts`.
 *
 * A photo that waits in Step Functions cannot be called earlier than it was told, and calling it again costs three
 * transitions. So photos are told the moment at which their turn comes by what is known. When others come in between,
 * nobody is told anew: more photos than the gate lets through come to it, and an event that has had its turns sends the one
 * that comes back to the end of its own photos. As many are sent back as have passed others, and no more
 * (docs/adr/0021-turns-of-events.md).
 */
import {
  type Change,
  GATE_EARLY_MS,
  gateAhead,
  gateFull,
  intervalAt,
  type LedgerConfig,
  type LedgerState,
  type Turns,
  turnsAt,
} from './rules.ts';
import {
  type EventTurns,
  FIRST_PHOTOS,
  FIRST_TURNS_A_ROUND,
  photosBetween,
  roundOf,
  sharing,
} from './turns.ts';

type EventChange = Change<keyof EventTurns>;

export interface Turn {
  /** The round of the photo's turn. */
  round: number;
  change: EventChange;
  place:
    | { at: 'end of line' }
    /** Where the event's plan ended before, by how much the change has moved it. */
    | { at: 'end of plan'; spacingMs: number }
    | { at: 'moment'; ms: number };
}

/** The round of a turn that was written: other callers may have written theirs since this one looked. */
export function roundWritten(turn: Turn, after: EventTurns): number {
  const { start, photos } = after;
  const goesOn = turn.change.add?.photos === 1;
  return goesOn && start !== undefined && photos !== undefined ? roundOf(start, photos - 1) : turn.round;
}

/** A turn's place that its event gives, milliseconds since the epoch; undefined where it is the end of the line. */
export function ownPlace({ place }: Turn, after: EventTurns): number | undefined {
  switch (place.at) {
    case 'end of line':
      return undefined;
    case 'end of plan':
      return (after.planned_ms ?? 0) - place.spacingMs;
    default:
      return place.ms;
  }
}

/** A place that is later by this share of the wait, or by this time, is as good: at the end of the line nobody is passed. */
const AS_GOOD_SHARE = 0.2;
const AS_GOOD_MS = 1_000;

/** A plan that is later than its turns by this share of the wait is begun anew where they come. */
const PLAN_LATE_SHARE = 0.05;

/** One that is later by this time catches up: its photos stand closer by this factor. */
const CATCH_UP_MS = 250;
const CATCH_UP = 0.5;

/** Events that grow beside each other come by turns, but not exactly: so many rounds from one photo to the next are no gap. */
const BESIDE_ROUNDS = 15;

/** Slots that a plan may have too many before it counts as one with gaps. */
const GAP_SLOTS = 20;
const GAP_MS = 5_000;
const GAP_SHARE = 0.1;

/** Nobody asks again sooner than within this, while the quota moves. */
const SOON_AGAIN_MS = 20_000;

/** In a line longer than this, newcomers do not: those that come back are enough, and so many more would cost too much. */
const NEWCOMERS_SOON_MS = 300_000;

/** Its multiples, each without its whole part, are spread evenly, however many they are. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** How far ahead the gate is when photos that had no turn yet are sent back: as far as they come early, and a little. */
const GATE_CROWDED_MS = GATE_EARLY_MS + 250;

/** How far ahead of the gate's round an event may be at a crowded gate: so many rounds, and those of so much time. */
const AHEAD_ROUNDS = 2;
const AHEAD_MS = 1_000;

/** Where the gate had room for an event that was further ahead, this share of that remains. */
const STAYS_AHEAD = 0.6;

/** Of a gate at which no event has ever been further ahead than that. */
const FIRST_GATE_ROUND = 1;

/** An event that has had nobody in line for so long has first photos again. */
const PAUSE_MS = 60_000;

/** An event's item is of no use once its photos are through. */
const KEPT_AFTER_MS = 86_400_000;

/**
 * The turn of an event's next photo, or of one that comes back to the line.
 *
 * @param before the round of the turn that it had, if it stood in line before
 * @param random 0 to 1
 * @returns also whether the line has to count the turn
 */
export function standInLine(
  event: EventTurns,
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, before, random }: { nowMs: number; before: number | undefined; random: number },
): Turn & { isNew: boolean } {
  return before !== undefined && isCounted(event, state, config, { nowMs, before })
    ? { isNew: false, ...joinEventAgain(event, state, config, { nowMs, round: before, random }) }
    : { isNew: true, ...joinEvent(event, state, config, nowMs) };
}

/** Whether a turn is still to come for a photo that had this one: its own, or that of another photo of its event which passed before it. */
function isCounted(
  event: EventTurns,
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, before }: { nowMs: number; before: number },
): boolean {
  return (
    turnsAt(state, config, nowMs).round < before ||
    (isShared(state, config, nowMs) && aheadOfGate(event, state) > 0)
  );
}

/** Rounds that an event's turns at the gate are ahead of the gate's; below 0 where they are behind. */
function aheadOfGate({ head = 0 }: EventTurns, { gate_round = FIRST_GATE_ROUND }: LedgerState): number {
  return head - gate_round;
}

/** Undoes an event's new turn that the line could not count: the photo comes for another one. */
export function giveTurnBack({ change, place }: Turn): EventChange {
  const planned_ms = place.at === 'end of plan' ? place.spacingMs : (change.add?.planned_ms ?? 0);
  return { premises: [], add: { photos: -1, ...(planned_ms > 0 && { planned_ms: -planned_ms }) } };
}

/** The turn of an event's next photo. */
export function joinEvent(event: EventTurns, state: LedgerState, config: LedgerConfig, nowMs: number): Turn {
  const turns = turnsAt(state, config, nowMs);
  const { start, photos = 0, planned_ms = 0 } = event;
  const goesOn = start !== undefined && roundOf(start, photos) > turns.round;
  const round = goesOn ? roundOf(start, photos) : Math.floor(turns.round) + 1;
  // Who uploads slowly enough never has two photos in line, and has first photos only once.
  const earlier = goesOn || nowMs - planned_ms <= PAUSE_MS ? photos : 0;
  const joins: EventChange = goesOn
    ? { premises: [{ attribute: 'start', is: start }], add: { photos: 1 } }
    : {
        premises: [
          { attribute: 'start', is: start },
          { attribute: 'photos', is: event.photos },
        ],
        set: { start: round - roundOf(0, earlier), photos: earlier + 1 },
      };

  const dueMs = dueAt(turns, state, config, { nowMs, round });
  const lineMs = Math.max(state.line_ms ?? 0, nowMs);
  const waitMs = Math.min(lineMs, dueMs) - nowMs;
  const soonMs = waitMs < NEWCOMERS_SOON_MS ? soonAgain(state, nowMs, waitMs) : undefined;
  if (soonMs !== undefined) {
    const ms = nowMs + ((photos * GOLDEN) % 1) * soonMs;
    return {
      round,
      place: { at: 'moment', ms },
      change: { ...joins, set: { ...joins.set, ...kept(Math.max(planned_ms, ms)) } },
    };
  }
  const roundMs = spacing(turns, state, config, { atMs: nowMs, round });
  const isPlanned = goesOn && planned_ms > nowMs;
  if (isAsGood(lineMs, dueMs, nowMs) && !(isPlanned && lineMs - planned_ms > BESIDE_ROUNDS * roundMs)) {
    return {
      round,
      place: { at: 'end of line' },
      change: followLine(event, joins, { goesOn, lineMs, state, config }),
    };
  }
  const mostMs = Math.max(AS_GOOD_MS, PLAN_LATE_SHARE * (dueMs - nowMs), BESIDE_ROUNDS * roundMs);
  const atMs = isPlanned && planned_ms - dueMs <= mostMs ? planned_ms : dueMs;
  const first = earlier < FIRST_PHOTOS ? FIRST_TURNS_A_ROUND : 1;
  const closer = atMs - dueMs > CATCH_UP_MS ? CATCH_UP : 1;
  const spacingMs = hundredths((closer * spacing(turns, state, config, { atMs, round })) / first);
  return plan(event, joins, { nowMs, round, atMs, spacingMs });
}

function isAsGood(lineMs: number, dueMs: number, nowMs: number): boolean {
  return lineMs - dueMs <= Math.max(AS_GOOD_MS, AS_GOOD_SHARE * (lineMs - nowMs));
}

/**
 * The place of a photo that joined at the end of the line: there, or where its turn is due, if the line turned out to be
 * longer than was seen when its event's item was written.
 */
export function placeAtEnd(
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, round, endMs }: { nowMs: number; round: number; endMs: number },
): number {
  const dueMs = dueAt(turnsAt(state, config, nowMs), state, config, { nowMs, round });
  return isAsGood(endMs, dueMs, nowMs) ? endMs : dueMs;
}

/** An event's plan goes as far as the line, whose end others may have moved on since this caller saw it. */
function followLine(
  { planned_ms = 0 }: EventTurns,
  joins: EventChange,
  {
    goesOn,
    lineMs,
    state,
    config,
  }: { goesOn: boolean; lineMs: number; state: LedgerState; config: LedgerConfig },
): EventChange {
  const intervalMs = intervalAt(state, config, lineMs);
  const endMs = lineMs + intervalMs;
  if (goesOn && planned_ms >= lineMs) {
    return { ...joins, set: kept(planned_ms), add: { ...joins.add, planned_ms: intervalMs } };
  }
  return {
    ...joins,
    premises: [...joins.premises, ...(goesOn ? [{ attribute: 'planned_ms' as const, below: endMs }] : [])],
    set: { ...joins.set, planned_ms: Math.max(planned_ms, endMs), ...kept(endMs) },
  };
}

/** Back to the end of its event's photos, for one whose turn is counted already. */
export function joinEventAgain(
  event: EventTurns,
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, round, random }: { nowMs: number; round: number; random: number },
): Turn {
  const turns = turnsAt(state, config, nowMs);
  const { start, photos = 0, planned_ms = 0 } = event;
  const ahead = turns.round + aheadOfGate(event, state);
  const last = Math.max(round, ahead, start === undefined ? round : roundOf(start, photos - 1));
  const leftMs = Math.max(0, dueAt(turns, state, config, { nowMs, round: last }) - nowMs);
  const soonMs = soonAgain(state, nowMs, leftMs);
  if (soonMs !== undefined) {
    const ms = nowMs + GATE_EARLY_MS + random * soonMs;
    return {
      round: last,
      place: { at: 'moment', ms },
      change: { premises: [], set: kept(Math.max(planned_ms, ms)) },
    };
  }
  const gapMs = Math.max(GAP_MS, GAP_SHARE * leftMs, GAP_SLOTS * intervalAt(state, config, nowMs));
  if (planned_ms - nowMs - leftMs > gapMs) {
    // The plan is longer than its photos need, by an estimate: there is room in half of that. Where nothing is left by it, as after
    // hours of a pace that was cut again and again, all that come back would come at once.
    const ms = nowMs + GATE_EARLY_MS + random * ((leftMs + planned_ms - nowMs) / 2);
    return {
      round: last,
      place: { at: 'moment', ms },
      change: { premises: [], set: kept(Math.max(planned_ms, ms)) },
    };
  }
  // Not at once: the gate is full, or it would not be here. Where the plan is far too short, not by small steps.
  const soonestMs = Math.round(nowMs + leftMs / 2);
  const spacingMs = spacing(turns, state, config, { atMs: Math.max(planned_ms, soonestMs), round: last });
  const atMs =
    planned_ms > nowMs && planned_ms >= soonestMs ? planned_ms : Math.max(soonestMs, nowMs + spacingMs);
  return plan(event, { premises: [] }, { nowMs, round: last, atMs, spacingMs });
}

/**
 * While the quota moves, within how many milliseconds a photo is to ask again: as long as it has been what it is. So, after a
 * rise, there are photos to use it, and each asks a few times, however long the new quota lasts.
 *
 * @param leftMs until the photos in line are done, at this quota
 * @returns undefined where the quota has been so for longer than the line is
 */
function soonAgain({ quota_changed_ms }: LedgerState, nowMs: number, leftMs: number): number | undefined {
  const sinceMs = Math.max(SOON_AGAIN_MS, nowMs - (quota_changed_ms ?? 0));
  return leftMs > Math.max(sinceMs, 2 * SOON_AGAIN_MS) ? Math.min(sinceMs, leftMs / 2) : undefined;
}

/** A place at a moment that the event's plan then ends after; at its end already, any number of callers do it at once. */
function plan(
  event: EventTurns,
  joins: EventChange,
  { nowMs, round, atMs, spacingMs }: { nowMs: number; round: number; atMs: number; spacingMs: number },
): Turn {
  const isItsEnd = atMs === event.planned_ms;
  return {
    round,
    place: { at: 'end of plan', spacingMs },
    change: {
      premises: [
        ...joins.premises,
        isItsEnd
          ? { attribute: 'planned_ms', atLeast: nowMs }
          : { attribute: 'planned_ms', is: event.planned_ms },
      ],
      set: { ...joins.set, ...(!isItsEnd && { planned_ms: atMs + spacingMs }), ...kept(atMs) },
      add: { ...joins.add, ...(isItsEnd && { planned_ms: spacingMs }) },
    },
  };
}

/** Whether there is anybody to be fair to. */
export function isShared(state: LedgerState, config: LedgerConfig, nowMs: number): boolean {
  const { blocks, round } = turnsAt(state, config, nowMs);
  return sharing(blocks, round) > 1.5;
}

/**
 * One turn at the gate, for an event that shares the line. Each event counts the turns that it has had there (`head`), and the
 * gate how far they may be (`gate_round`): by turns, as a round-robin does, whatever was known when the photos were told to
 * come. Who has had its turns may pass all the same while the gate has room: a slot that nobody takes is lost. The gate's
 * round then follows, for nobody is waiting who comes first.
 *
 * @returns what the event's item becomes, and where the gate's round moves to, if it does
 */
export function passGate(
  event: EventTurns,
  state: LedgerState,
  config: LedgerConfig,
  nowMs: number,
): { refused: 'SlotExpired'; because: string } | { change: EventChange; gateRound: number | undefined } {
  const full = gateFull(state, { nowMs, lane: 'live' });
  if (full) {
    return full;
  }
  const { blocks, round } = turnsAt(state, config, nowMs);
  const { gate_round = FIRST_GATE_ROUND } = state;
  const isCrowded = gateAhead(state, nowMs) > GATE_CROWDED_MS;
  const roundMs = intervalAt(state, config, nowMs) * Math.max(1, sharing(blocks, round));
  const most = AHEAD_ROUNDS + AHEAD_MS / roundMs;
  const ahead = aheadOfGate(event, state);
  if (isCrowded && ahead > most) {
    return {
      refused: 'SlotExpired',
      because: `its event has had its turns up to round ${Math.floor(gate_round + ahead)} of the gate, which is at ${Math.floor(gate_round)}`,
    };
  }
  const gateRound =
    !isCrowded && ahead > STAYS_AHEAD * most ? gate_round + ahead - STAYS_AHEAD * most : undefined;
  const isFirst = round - (event.start ?? 0) < FIRST_PHOTOS / FIRST_TURNS_A_ROUND;
  const turn = isFirst ? 1 / FIRST_TURNS_A_ROUND : 1;
  if (ahead < 0) {
    return {
      gateRound,
      change: { premises: [{ attribute: 'head', below: gate_round }], set: { head: gate_round + turn } },
    };
  }
  return {
    gateRound,
    change: {
      premises: [
        { attribute: 'head', atLeast: gate_round },
        ...(isCrowded ? [{ attribute: 'head' as const, below: gate_round + most + 1 }] : []),
      ],
      add: { head: turn },
    },
  };
}

/** When a round's turn comes by what is known now, milliseconds since the epoch. */
function dueAt(
  { blocks, round: reached }: Turns,
  state: LedgerState,
  config: LedgerConfig,
  { nowMs, round }: { nowMs: number; round: number },
): number {
  const photos = photosBetween(blocks, reached, round);
  const soonestMs = nowMs + photos * intervalAt(state, config, Number.POSITIVE_INFINITY);
  return Math.round(nowMs + photos * intervalAt(state, config, soonestMs));
}

/** From one photo of an event to its next at a round: as many slots as events come on the second half of the way there. */
function spacing(
  { blocks, round: reached }: Turns,
  state: LedgerState,
  config: LedgerConfig,
  { atMs, round }: { atMs: number; round: number },
): number {
  const to = Math.max(round, reached + 1);
  const half = (reached + to) / 2;
  const events = photosBetween(blocks, half, to) / (to - half);
  return hundredths(Math.max(1, events) * intervalAt(state, config, atMs));
}

/** DynamoDB adds decimals: a sum with more digits than a double holds would equal nothing that a caller can name. */
function hundredths(ms: number): number {
  return Math.ceil(ms * 100) / 100;
}

function kept(atMs: number): Pick<EventTurns, 'expiration'> {
  return { expiration: Math.ceil((atMs + KEPT_AFTER_MS) / 1_000) };
}
