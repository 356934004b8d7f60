import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSeed } from '../../bench/faults/campaign.ts';
import {
  CAMPAIGN_TIME,
  type Harness,
  type HarnessOptions,
  startHarness,
} from '../../bench/faults/harness.ts';
import { backfillInTwoGoes, databaseAway, databaseGone } from '../../bench/faults/scenarios.ts';
import { freePort } from '../support/postgres.ts';

/** `npm run faults` does the same with more photos, more seeds, and PostgreSQL away for a whole minute. */
const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-faults-'));
let harness: Harness;

async function start(time: HarnessOptions['time']): Promise<void> {
  harness = await startHarness({ stateDir, postgresPort: await freePort(), time });
}
afterAll(() => rmSync(stateDir, { recursive: true, force: true }));

describe('with faults at every boundary', () => {
  beforeAll(() => start(CAMPAIGN_TIME), 180_000);
  afterAll(() => harness?.stop());

  test.each([1, 2, 3])(
    'seed %d: nothing is lost, nothing is doubled, and the way back leads back',
    async (seed) => {
      const report = await runSeed(harness, { seed, photos: 12 });
      expect(report.violations).toEqual([]);
      // It was no quiet day.
      expect(Object.keys(report.faults).length).toBeGreaterThan(3);
      expect(report.paid).toBeGreaterThan(5);
    },
    120_000,
  );
});

describe('on an operator’s day', () => {
  beforeAll(() => start({ retries: 0.003, lambdas: 1, queues: 0.002 }), 180_000);
  afterAll(() => harness?.stop());

  test('a database that is away for a while is waited for', async () => {
    // Two hours of retries take twenty seconds here, and the database is back long before.
    await expect(databaseAway(harness, { photos: 12, awayMs: 2_000 })).resolves.toMatchObject({
      states: { indexed: 12 },
      failures: {},
      calls: 12,
      findings: 0,
    });
  }, 120_000);

  test('a database that is away for too long: photos fail by themselves, and one command indexes them, unpaid', async () => {
    const report = await databaseGone(harness, { photos: 6 });
    expect(report).toMatchObject({
      states_when_back: { failed: 6 },
      failures_when_back: { DatabaseUnavailable: 6 },
      states: { indexed: 6 },
      reprocess: { photos: 6, to_pay: 0, indexed: 6 },
      calls_of_reprocess: 0,
      findings: 0,
    });
  }, 240_000);

  test('a backfill that is stopped in its middle and started again pays for what was left, once', async () => {
    const report = await backfillInTwoGoes(harness, { objects: 40, indexed: 16 });
    expect(report).toMatchObject({
      planned: { objects: 40, left: 24, skipped: { indexed: 16 } },
      states: { indexed: 40 },
      calls_of_backfill: 24,
      calls: 40,
      findings: 0,
    });
    // It was stopped in its middle.
    expect((report.second_go as { left: number }).left).toBeGreaterThan(0);
  }, 120_000);
});
