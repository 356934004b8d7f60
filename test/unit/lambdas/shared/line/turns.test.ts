import fc from 'fast-check';
import {
  blockOf,
  blocksOf,
  photosBetween,
  roundAfter,
  roundOf,
  sharing,
} from '../../../../../lambdas/shared/line/turns.ts';

/** Photos by the round of their turn, as an item knows them that `reached` is the round of. */
const anyLine = fc.record({
  reached: fc.nat({ max: 50 }),
  ahead: fc.array(fc.nat({ max: 400 }), { maxLength: 60 }),
});

function lineOf({ reached, ahead }: { reached: number; ahead: readonly number[] }) {
  const state: Record<string, number> = {};
  for (const distance of ahead) {
    const name = blockOf(reached + distance, reached);
    state[name] = (state[name] ?? 0) + 1;
  }
  return blocksOf(state);
}

/** Photos in each round: those of a block are spread evenly over its rounds. */
function spread(blocks: ReturnType<typeof blocksOf>): (round: number) => number {
  return (round) =>
    blocks
      .filter(({ from, end }) => from <= round && round < end)
      .reduce((sum, { photosARound }) => sum + photosARound, 0);
}

test('the first twenty photos of an event have four turns in a round, the others one each', () => {
  expect([0, 4, 19, 20, 21, 120].map((n) => roundOf(10, n))).toEqual([10, 11, 14.75, 15, 16, 115]);
});

test('a turn is counted in a block around it, at most a quarter as wide as it is far', () => {
  expect([0, 7, 8, 15, 16, 31, 32].map((round) => blockOf(round, 0))).toEqual([
    't0_0',
    't0_7',
    't1_4',
    't1_7',
    't2_4',
    't2_7',
    't3_4',
  ]);
  fc.assert(
    fc.property(fc.nat({ max: 1_000 }), fc.double({ min: 0, max: 1e6, noNaN: true }), (reached, distance) => {
      const round = reached + distance;
      const [block] = blocksOf({ [blockOf(round, reached)]: 1 });
      const { from, end } = block!;
      expect(from <= round && round < end).toBe(true);
      expect(end - from).toBeLessThanOrEqual(Math.max(1, distance / 4));
    }),
  );
});

test('what is no block is not read as one, and a block that holds nothing holds nothing', () => {
  const others = { total: 5, t: 1, t1: 1, xt0_1: 1, t0_1x: 1, at0_1: 1, T0_1: 1, t0_: 1 };
  expect(blocksOf(others)).toEqual([]);
  expect(blocksOf({ t1_3: 4, ...others })).toEqual([{ name: 't1_3', from: 6, end: 8, photosARound: 2 }]);
  expect(blocksOf({ t0_2: undefined } as never)).toEqual([
    { name: 't0_2', from: 2, end: 3, photosARound: 0 },
  ]);
});

test('photos of a round, and of several, are those of the blocks', () => {
  fc.assert(
    fc.property(anyLine, fc.nat({ max: 500 }), fc.nat({ max: 500 }), (line, from, length) => {
      const blocks = lineOf(line);
      const photosIn = spread(blocks);
      expect(sharing(blocks, from)).toBeCloseTo(photosIn(from), 6);
      const rounds = Array.from({ length }, (_, i) => photosIn(from + i));
      expect(photosBetween(blocks, from, from + length)).toBeCloseTo(
        rounds.reduce((sum, photos) => sum + photos, 0),
        6,
      );
      expect(photosBetween(blocks, 0, 10_000)).toBeCloseTo(line.ahead.length, 6);
    }),
  );
});

test('so many slots on, the round is the one up to which so many photos have their turns', () => {
  fc.assert(
    fc.property(anyLine, fc.nat({ max: 450 }), fc.nat({ max: 80 }), (line, from, slots) => {
      const blocks = lineOf(line);
      const { round, isOver } = roundAfter(blocks, from, slots);
      const left = photosBetween(blocks, from, 10_000);
      const last = Math.max(from, ...blocks.map(({ end }) => end));
      expect(isOver).toBe(slots >= left - 1e-9);
      if (isOver) {
        expect(round).toBe(last);
      } else {
        expect(photosBetween(blocks, from, round)).toBeCloseTo(slots, 6);
        // In a round with photos, and not in an empty one before it.
        expect(sharing(blocks, round)).toBeGreaterThan(0);
      }
    }),
  );
  expect(roundAfter([], 3, 5)).toEqual({ round: 3, isOver: true });
  expect(roundAfter(blocksOf({ t0_4: 2 }), 3, 0)).toEqual({ round: 4, isOver: false });
  expect(roundAfter(blocksOf({ t0_4: 2 }), 3, 2)).toEqual({ round: 5, isOver: true });
});
