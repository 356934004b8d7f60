/** What becomes of a slot while a photo sleeps until its moment; whether it gets one is for the rules. */
import type { LedgerState } from '../../../../../lambdas/shared/line/rules.ts';
import { slots } from '../../../../../lambdas/shared/line/slots.ts';
import { ledgerOf } from '../../../../support/known-ledger.ts';
import { config, NOW } from '../../../../support/line-in-numbers.ts';

const DAY = 20_260_501;

interface World {
  random?: number;
  /** Runs when the function wakes up. */
  wake?: (nth: number, world: { set(change: LedgerState): void; late(ms: number): void }) => void;
}

/** A function at the gate, with how long it slept each time, from now on. */
function at(state: LedgerState, { random = 0.5, wake = () => {} }: World = {}) {
  let nowMs = NOW;
  const sleeps: number[] = [];
  const ledger = ledgerOf(state);
  const set = (change: LedgerState) => {
    ledger.change((before) => ({ ...before, ...change }));
  };
  const deps = {
    dynamodb: undefined as never,
    table: 'ledger',
    now: () => nowMs,
    random: () => random,
    async sleep(ms: number) {
      sleeps.push(ms);
      nowMs += ms;
      wake(sleeps.length, { set, late: (lateMs) => (nowMs += lateMs) });
    },
  };
  return { gate: slots(deps, config, ledger), ledger, sleeps, set };
}

describe('the place in line', () => {
  test.each<[placeMs: number, sleeps: number[]]>([
    [-60_000, []],
    [500, []],
    [501, [1]],
    [5_500, [5_000]],
  ])('at %s ms is waited for until half a second before: %s', async (placeMs, expected) => {
    const { gate, sleeps } = at({});
    await gate.waitForPlace(NOW + placeMs);
    expect(sleeps).toEqual(expected);
  });

  test('further away than that is come back for', async () => {
    const { gate, sleeps } = at({});
    await expect(gate.waitForPlace(NOW + 5_501.4)).rejects.toMatchObject({
      name: 'SlotExpired',
      message: 'Came 5001 ms before its place in line',
    });
    expect(sleeps).toEqual([]);
  });
});

describe('a slot', () => {
  test('that is free is now', async () => {
    const { gate, ledger, sleeps } = at({});
    await expect(gate.take('live')).resolves.toEqual({ slotMs: NOW, intervalMs: 20, cuts: 0, day: DAY });
    expect(ledger.state()).toMatchObject({ next_ms: NOW + 20, images: 1 });
    expect([sleeps, ledger.loads]).toEqual([[], []]);
  });

  test('of a pace that was cut says by how many cuts', async () => {
    const { gate } = at({ cuts: 3, cut_ms: NOW, interval_ms: 40, throttled_interval_ms: 25 });
    await expect(gate.take('live')).resolves.toMatchObject({ intervalMs: 40, cuts: 3 });
  });

  test('of backfill is none where live photos wait', async () => {
    const { gate } = at({ line_ms: NOW + 60_000 });
    await expect(gate.take('backfill')).rejects.toMatchObject({ name: 'SlotExpired' });
  });

  test.each<[aheadMs: number, sleeps: number[], looks: number]>([
    [1, [1], 0],
    [250, [250], 0],
    [251, [201, 50], 1],
    [1_000, [950, 50], 1],
  ])('%s ms ahead is slept for: %s', async (aheadMs, expected, looks) => {
    const { gate, ledger, sleeps } = at({ next_ms: NOW + aheadMs });
    await expect(gate.take('live')).resolves.toMatchObject({ slotMs: NOW + aheadMs });
    expect(sleeps).toEqual(expected);
    expect(ledger.loads).toHaveLength(looks);
    expect(ledger.state().images).toBe(1);
  });

  test('in a pause that came meanwhile is given back', async () => {
    const { gate, ledger } = at(
      { next_ms: NOW + 1_000 },
      { wake: (_, { set }) => set({ paused_ms: NOW + 900 }) },
    );
    await expect(gate.take('live')).rejects.toMatchObject({
      name: 'SlotExpired',
      message: expect.stringContaining('paused'),
    });
    expect(ledger.state().images).toBe(0);
    // The refusal is the end: no other slot is looked for.
    expect(ledger.loads).toHaveLength(1);
  });

  const CUT = { cuts: 1, cut_ms: NOW + 950, interval_ms: 40, throttled_interval_ms: 20 };

  test.each([
    [0.49, 1],
    [0.5, 2],
  ])(
    'of the pace before a cut is kept by the odds of the new one (%s): the photo takes %s',
    async (random, taken) => {
      const { gate, ledger } = at(
        { next_ms: NOW + 1_000 },
        { random, wake: (nth, { set }) => nth === 1 && set(CUT) },
      );
      await expect(gate.take('live')).resolves.toMatchObject({ cuts: 1, intervalMs: 40 });
      expect(ledger.state()).toMatchObject({ images: 1, next_ms: NOW + 1_020 + (taken - 1) * 40 });
    },
  );

  test('is looked for five times, while the pace is cut again and again', async () => {
    let cuts = 0;
    const { gate, ledger } = at(
      { next_ms: NOW + 1_000 },
      {
        random: 1,
        wake(_, { set }) {
          cuts++;
          set({
            cuts,
            cut_ms: NOW + 1_000 * cuts - 50,
            interval_ms: 20 * 2 ** cuts,
            throttled_interval_ms: 20 * 2 ** (cuts - 1),
            next_ms: NOW + 1_000 * (cuts + 1),
          });
        },
      },
    );
    await expect(gate.take('live')).rejects.toMatchObject({
      name: 'SlotExpired',
      message: '5 slots in a row could not be used',
    });
    expect(cuts).toBe(5);
    expect(ledger.state().images).toBe(0);
  });

  test.each([
    [500, 1],
    [501, 2],
  ])('that is past by %s ms when the function wakes: it takes %s', async (lateMs, taken) => {
    const { gate, ledger } = at({ next_ms: NOW + 200 }, { wake: (_, { late }) => late(lateMs) });
    const { slotMs } = await gate.take('live');
    expect(slotMs).toBe(taken === 1 ? NOW + 200 : NOW + 701);
    expect(ledger.state().images).toBe(1);
  });

  test('is taken however late where it is the second', async () => {
    const { gate, ledger, sleeps } = at(
      { next_ms: NOW + 200 },
      {
        wake(_, { late, set }) {
          late(5_000);
          set({ next_ms: NOW + 5_400 });
        },
      },
    );
    await expect(gate.take('live')).resolves.toMatchObject({ slotMs: NOW + 5_400 });
    expect(sleeps).toEqual([200, 200]);
    expect(ledger.state().images).toBe(1);
  });

  test('that is past when the ledger was looked at again is not slept for', async () => {
    const { gate, sleeps } = at({ next_ms: NOW + 1_000 }, { wake: (_, { late }) => late(300) });
    await expect(gate.take('live')).resolves.toMatchObject({ slotMs: NOW + 1_000 });
    expect(sleeps).toEqual([950]);
  });
});

test('a throttled call cuts the pace, once for those of one congestion', async () => {
  const { gate, ledger } = at({ cuts: 1, cut_ms: NOW - 60_000 });
  const slot = { slotMs: NOW, intervalMs: 20, cuts: 1, day: DAY };
  await gate.reportThrottle(slot);
  await gate.reportThrottle(slot);
  expect(ledger.state()).toMatchObject({ cuts: 2, cut_ms: NOW, throttled_interval_ms: 20 });
});

test('an image is given back to its own day', async () => {
  const { gate, ledger } = at({ day: DAY, images: 7 });
  const slot = { slotMs: NOW, intervalMs: 20, cuts: 0, day: DAY };
  await gate.giveBack(slot);
  await gate.giveBack({ ...slot, day: DAY - 1 });
  expect(ledger.state().images).toBe(6);
});
