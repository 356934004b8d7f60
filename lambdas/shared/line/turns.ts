/**
 * Whose turn it is: fairness between events in the live line, by start-time fair queueing
 * (https://doi.org/10.1109/90.649569). Pure, as the line's rules are.
 *
 * The line goes in rounds: in each one, every event that has photos in line has one turn. The n-th photo of an event that
 * came in at round r has its turn in round r + n, whoever else is there; how long a round takes says how many events share
 * it. So an event that is alone has every slot, and one of 20 photos is done after 20 rounds, however many photos others
 * have.
 *
 * The ledger's item holds the round that was reached, when, and how many photos have their turns in which block of rounds
 * ahead: the further ahead, the wider the block. Which round it is now follows from the time and the pace, so that nobody
 * has to report that a photo is done, and photos that never come take their turns with them. Each event has an item of its
 * own with its chain of turns, which only its own photos write.
 */
/** `t<level>_<index>`: photos that have their turns in the 2^level rounds from index * 2^level on. */
export type TurnBlock = `t${number}_${number}`;

/** The ledger's item, of which only the blocks are read here. */
type Attributes = Readonly<Partial<Record<string, number>>>;

interface Rounds {
  name: TurnBlock;
  from: number;
  /** The first round after it. */
  end: number;
}

export interface Block extends Rounds {
  photosARound: number;
}

/** An event's own item, without its key; an absent attribute has never been written. */
export interface EventTurns {
  /** The round of its first photo since it last had none in line, and how many have joined since. */
  start?: number;
  photos?: number;
  /** Where its last place in line ends, milliseconds since the epoch. */
  planned_ms?: number;
  /** Where its turns at the gate have got to, in the gate's rounds (`gate_round` of the ledger). */
  head?: number;
  /** For DynamoDB's time to live, seconds since the epoch. */
  expiration?: number;
}

/**
 * The first photos of an event have so many turns in a round: somebody looks at a screen for them. Those of a small event are
 * soon through, and a large one is by no more than this ahead of its share.
 */
export const FIRST_PHOTOS = 20;
export const FIRST_TURNS_A_ROUND = 4;

/** Blocks are at most this part of the distance to them: a million photos ahead are some eighty blocks, a thousand thirty. */
const BLOCK_SHARE = 1 / 4;

/** Which round an event's n-th photo has its turn in, n from 0. */
export function roundOf(start: number, n: number): number {
  const first = Math.min(n, FIRST_PHOTOS);
  return start + first / FIRST_TURNS_A_ROUND + (n - first);
}

/** The block that a turn in this round is counted in, seen from the round that is reached. */
export function blockOf(round: number, reached: number): TurnBlock {
  const widest = (round - reached) * BLOCK_SHARE;
  const level = widest < 2 ? 0 : Math.floor(Math.log2(widest));
  return `t${level}_${Math.floor(round / 2 ** level)}`;
}

/** States are not changed but replaced, and each is looked at several times. */
const read = new WeakMap<Attributes, readonly Block[]>();

/** The blocks of an item, in no order. */
export function blocksOf(state: Attributes): readonly Block[] {
  const before = read.get(state);
  if (before) {
    return before;
  }
  const blocks: Block[] = [];
  for (const name in state) {
    const rounds = name.charCodeAt(0) === T ? roundsOf(name) : undefined;
    if (rounds) {
      const photos = state[rounds.name] ?? 0;
      blocks.push({ ...rounds, photosARound: photos / (rounds.end - rounds.from) });
    }
  }
  read.set(state, blocks);
  return blocks;
}

const T = 't'.charCodeAt(0);

/** What names mean: the same ones come with every write of a busy line. */
const known = new Map<string, Rounds | undefined>();
const KNOWN_AT_MOST = 4_096;

function roundsOf(name: string): Rounds | undefined {
  if (!known.has(name)) {
    if (known.size >= KNOWN_AT_MOST) {
      known.clear();
    }
    const [, level, index] = /^t(\d+)_(\d+)$/.exec(name) ?? [];
    const width = 2 ** Number(level);
    const from = Number(index) * width;
    known.set(name, level === undefined ? undefined : { name: name as TurnBlock, from, end: from + width });
  }
  return known.get(name);
}

/** Photos in one round, which is as many events as share it. */
export function sharing(blocks: readonly Block[], round: number): number {
  let photos = 0;
  for (const block of blocks) {
    if (block.from <= round && round < block.end) {
      photos += block.photosARound;
    }
  }
  return photos;
}

/** Photos whose turns come from one round to another. */
export function photosBetween(blocks: readonly Block[], from: number, to: number): number {
  let photos = 0;
  for (const block of blocks) {
    const rounds = Math.min(to, block.end) - Math.max(from, block.from);
    if (rounds > 0) {
      photos += block.photosARound * rounds;
    }
  }
  return photos;
}

/** The round that so many slots after `from` belong to, and whether any photo has its turn there or later. */
export function roundAfter(
  blocks: readonly Block[],
  from: number,
  slots: number,
): { round: number; isOver: boolean } {
  let round = from;
  let left = slots;
  for (;;) {
    let next = Number.POSITIVE_INFINITY;
    let photosARound = 0;
    for (const block of blocks) {
      if (block.from > round) {
        next = Math.min(next, block.from);
      } else if (block.end > round) {
        next = Math.min(next, block.end);
        photosARound += block.photosARound;
      }
    }
    if (next === Number.POSITIVE_INFINITY) {
      return { round, isOver: true };
    }
    const photos = (next - round) * photosARound;
    if (photosARound > 0 && photos > left) {
      return { round: round + left / photosARound, isOver: false };
    }
    left -= photos;
    round = next;
  }
}
