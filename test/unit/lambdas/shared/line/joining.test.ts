/** What joining hands to the rules, and makes of what they decide; the rules have tests of their own. */
import { PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import { byTurns, firstComeFirstServed } from '../../../../../lambdas/shared/line/joining.ts';
import type { RememberedLedger } from '../../../../../lambdas/shared/line/remembered-item.ts';
import type { LedgerState } from '../../../../../lambdas/shared/line/rules.ts';
import { ledgerOf } from '../../../../support/known-ledger.ts';
import { config, NOW, sharedLine } from '../../../../support/line-in-numbers.ts';
import { memoryTable } from '../../../../support/memory-table.ts';

const deps = (random = 0.5, onWrite = () => {}) => ({
  dynamodb: memoryTable(undefined, onWrite),
  table: 'ledger',
  now: () => NOW,
  random: () => random,
  sleep: async () => {},
});

const shared = (over?: LedgerState) => sharedLine(40_960, over);

describe('first come, first served', () => {
  const line = (ledger: RememberedLedger, random?: number) =>
    firstComeFirstServed(deps(random), config, ledger);

  test('the live line goes on where it ends, and backfill waits for it', async () => {
    const ledger = ledgerOf({ line_ms: NOW + 40_960 });
    await expect(line(ledger).join('live')).resolves.toBe(NOW + 40_960);
    expect(ledger.state().line_ms).toBe(NOW + 40_980);
    await expect(line(ledger).join('backfill')).rejects.toMatchObject({ name: 'BackfillWaits' });
  });

  test('who had its turn comes at once, or within its backoff where it was throttled', async () => {
    const ledger = ledgerOf({ line_ms: NOW + 40_960 });
    await expect(line(ledger).joinAgain('live', 0)).resolves.toBe(NOW);
    await expect(line(ledger).joinAgain('live', 1)).resolves.toBe(NOW + 500);
    await expect(line(ledger, 0.25).joinAgain('live', 3)).resolves.toBe(NOW + 1_000);
    expect(ledger.state()).toEqual({ line_ms: NOW + 40_960 });
    // On what the ledger is, not on what is remembered.
    expect(ledger.loads).toHaveLength(3);
  });

  test('who had its turn is held as others are', async () => {
    await expect(line(ledgerOf({ line_ms: NOW + 40_960 })).joinAgain('backfill', 0)).rejects.toMatchObject({
      name: 'BackfillWaits',
    });
    await expect(line(ledgerOf({ paused_ms: NOW })).joinAgain('live', 0)).rejects.toMatchObject({
      name: 'IndexingPaused',
      message: expect.stringContaining('paused'),
    });
  });
});

describe('by turns', () => {
  const line = (ledger: RememberedLedger, own = deps()) => byTurns(own, config, ledger);

  test('alone at the end of the line, four turns a round', async () => {
    const ledger = ledgerOf({});
    const { join } = line(ledger);
    await expect(join({ key: 'event' })).resolves.toEqual({ placeMs: NOW, round: 1 });
    await expect(join({ key: 'event' })).resolves.toEqual({ placeMs: NOW + 20, round: 1.25 });
    expect(ledger.state()).toMatchObject({ line_ms: NOW + 40 });
    expect(ledger.loads).toEqual([]);
  });

  test('behind a long line where its plan ends, and the line is a photo longer all the same', async () => {
    const ledger = ledgerOf(shared());
    const { join } = line(ledger);
    await expect(join({ key: 'event' })).resolves.toEqual({ placeMs: NOW + 40, round: 1 });
    await expect(join({ key: 'event' })).resolves.toEqual({ placeMs: NOW + 50, round: 1.25 });
    expect(ledger.state()).toMatchObject({ line_ms: NOW + 41_000, t10_0: 2_048, t0_1: 2 });
    expect(ledger.loads).toEqual([]);
  });

  test('at a moment while the quota moves', async () => {
    const ledger = ledgerOf(
      shared({ t10_0: 1_024 * 3_000, line_ms: NOW + 2e6, quota_changed_ms: NOW - 100 }),
    );
    const { join } = line(ledger);
    await expect(join({ key: 'event' })).resolves.toEqual({ placeMs: NOW, round: 1 });
    const { placeMs, round } = await join({ key: 'event' });
    expect([placeMs - NOW, round]).toEqual([expect.closeTo(12_360.68, 0), 1.25]);
  });

  test('sent back before its round: to the end of its photos, which it is one of already', async () => {
    const own = deps();
    const ledger = ledgerOf(shared());
    const { join } = line(ledger, own);
    await join({ key: 'event' });
    const before = ledger.state();
    await expect(join({ key: 'event', round: 10 })).resolves.toEqual({ placeMs: NOW + 210, round: 10 });
    // No turn more is counted, and the line is as long as its last place.
    expect(ledger.state()).toEqual(before);
    await expect(join({ key: 'event', round: 10 })).resolves.toMatchObject({ round: 10 });
  });

  test('sent back while the quota moves: by chance', async () => {
    const state = () => shared({ t15_0: 2 ** 16, t10_0: 0, line_ms: NOW + 2e6, quota_changed_ms: NOW - 100 });
    for (const [random, ms] of [
      [0.5, 10_500],
      [0.25, 5_500],
    ] as const) {
      const { join } = line(ledgerOf(state()), deps(random));
      await expect(join({ key: 'event', round: 1_001 })).resolves.toEqual({
        placeMs: NOW + ms,
        round: 1_001,
      });
    }
  });

  test('sent back when its round has come: a new turn', async () => {
    const { join } = line(ledgerOf(shared({ round: 10 })));
    await expect(join({ key: 'event', round: 10 })).resolves.toMatchObject({ round: 11 });
    await expect(join({ key: 'other', round: 10.25 })).resolves.toMatchObject({ round: 10.25 });
  });

  test('sent back to after the line’s end, which it moves', async () => {
    const ledger = ledgerOf(shared({ line_ms: NOW }));
    const { placeMs } = await line(ledger).join({ key: 'event', round: 10 });
    expect(placeMs).toBe(NOW + 200);
    expect(ledger.state().line_ms).toBe(NOW + 220);
  });

  test('a line that is longer than was remembered is not stood in to its end', async () => {
    const ledger = ledgerOf(shared(), { round: 0, round_ms: NOW, line_ms: NOW });
    await expect(line(ledger).join({ key: 'event' })).resolves.toEqual({ placeMs: NOW + 40, round: 1 });
  });

  test('nobody is sent away on what is only remembered, nor put by it', async () => {
    const ledger = ledgerOf(shared({ t10_0: 4_096 }), shared({ paused_ms: NOW - 60_000 }));
    await expect(line(ledger).join({ key: 'event' })).resolves.toEqual({ placeMs: NOW + 80, round: 1 });
    expect(ledger.loads).toHaveLength(1);
  });

  test('no turn is lost where the line cannot count it: who comes again has the same one, and its place', async () => {
    const why = 'the line is busy';
    const own = deps();
    const ledger = ledgerOf(shared());
    const { join } = line(ledger, own);
    await join({ key: 'event' });
    const broken = ledgerOf(shared());
    broken.write = async () => {
      throw new PipelineError('LedgerBusy', why);
    };
    for (let attempt = 0; attempt < 5; attempt++) {
      await expect(line(broken, own).join({ key: 'event' })).rejects.toThrow(why);
    }
    await expect(join({ key: 'event' })).resolves.toEqual({ placeMs: NOW + 50, round: 1.25 });
  });

  test('a line that is held takes no turn', async () => {
    let writes = 0;
    const ledger = ledgerOf(shared({ paused_ms: NOW }));
    const own = deps(0.5, () => writes++);
    await expect(line(ledger, own).join({ key: 'event' })).rejects.toMatchObject({
      name: 'IndexingPaused',
      message: expect.stringContaining('paused'),
    });
    expect(ledger.state()).toEqual(shared({ paused_ms: NOW }));
    expect(writes).toBe(0);
  });

  describe('at the gate', () => {
    const crowded = (over: LedgerState = {}) => shared({ next_ms: NOW + 751, ...over });

    /** How many photos of one event pass, and what the next one is told. */
    async function passing(state: LedgerState, round: number | undefined) {
      let writes = 0;
      const { pass } = line(
        ledgerOf(state),
        deps(0.5, () => writes++),
      );
      for (let passed = 0; passed < 100; passed++) {
        const why = await pass({ key: 'event', round }).then(
          () => undefined,
          (error: Error) => error.name,
        );
        if (why) {
          return { passed, why, writes };
        }
      }
      return { passed: 100, why: undefined, writes };
    }

    test('an event passes by its turns, and then goes back', async () => {
      // One in the gate's round, and as many as it may be ahead: two rounds, and those of a second.
      await expect(passing(crowded({ round: 100, gate_round: 7 }), 107)).resolves.toEqual({
        passed: 28,
        why: 'SlotExpired',
        writes: 28,
      });
    });

    test('whoever was further ahead takes the gate’s round with it, where there is room', async () => {
      const { pass } = line(ledgerOf(shared({ round: 100, gate_round: 7 })));
      const moves: (number | undefined)[] = [];
      for (let photo = 0; photo < 20; photo++) {
        moves.push(await pass({ key: 'event', round: 107 }));
      }
      expect(moves.slice(0, 17)).toEqual(Array(17).fill(undefined));
      expect(moves.slice(17)).toEqual([7.8, 8.8, 9.8].map((round) => expect.closeTo(round, 6)));
    });

    test('whoever takes no turns is not asked, nor is anybody where there is nobody else', async () => {
      const freely = { passed: 100, why: undefined, writes: 0 };
      await expect(passing(crowded({ round: 1 }), undefined)).resolves.toEqual(freely);
      await expect(passing(crowded({ round: 1, t10_0: 1_024 }), 7)).resolves.toEqual(freely);
    });
  });
});
