import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSeed } from '../../bench/faults/campaign.ts';
import { CAMPAIGN_TIME, type Harness, startHarness } from '../../bench/faults/harness.ts';
import { freePort } from '../../bench/support/free-port.ts';

/** `npm run faults` does the same with more photos and more seeds. */
const stateDir = mkdtempSync(join(tmpdir(), 'rollcall-faults-'));
let harness: Harness;

describe('with faults at every boundary', () => {
  beforeAll(async () => {
    harness = await startHarness({ stateDir, postgresPort: await freePort(), time: CAMPAIGN_TIME });
  }, 180_000);
  afterAll(async () => {
    await harness?.stop();
    rmSync(stateDir, { recursive: true, force: true });
  });

  test.each([1])(
    'seed %d: nothing is lost, nothing is doubled, and the way back leads back',
    async (seed) => {
      const report = await runSeed(harness, { seed, photos: 8 });
      expect(report.violations).toEqual([]);
      // It was no quiet day.
      expect(Object.keys(report.faults).length).toBeGreaterThan(3);
      expect(report.paid).toBeGreaterThan(5);
    },
    300_000,
  );
});
