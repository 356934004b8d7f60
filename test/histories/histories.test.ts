/**
 * Random histories of a few photos: uploads, deletions, erasures, redeliveries, stopped executions, lost answers, in any order
 * and with any interleaving. Whatever happened, bucket, rows and collection agree in the end.
 */
import { cases } from '../support/effort.ts';
import { type Campaign, render, startCampaign } from './campaign.ts';
import { known } from './known.ts';

/** The same in every run: `npm run faults -- --histories N` goes through more, from another seed. */
const FIXED_SEEDS = Array.from({ length: cases(60) }, (_, i) => i + 1);
const SHOWN = 3;

const randomSeed = Number(process.env.HISTORY_SEED ?? Math.floor(Math.random() * 2 ** 31));

let campaign: Campaign;

beforeAll(async () => {
  campaign = await startCampaign(2);
});
afterAll(() => campaign?.stop());

test.each([
  ['the fixed seeds', FIXED_SEEDS],
  [`HISTORY_SEED=${randomSeed}`, [randomSeed]],
])(
  'whatever the order, everything agrees in the end: %s',
  async (_name, seeds) => {
    const { histories, classes, ...looks } = await campaign.run({ seeds });
    expect(histories).toBe(seeds.length);
    if (seeds.length > 1) {
      // Whoever looks sees something.
      expect(looks.shown).toBeGreaterThan(seeds.length);
      expect(looks.told).toBeGreaterThan(seeds.length);
    }
    const shown: string[] = [];
    for (const [name, [seed]] of [...classes].slice(0, SHOWN)) {
      shown.push(render(name, await campaign.explain(seed!, name)));
    }
    const counts = [...classes].map(([name, found]) => `${name}: ${found.length}`);
    expect([...counts, ...shown].join('\n')).toBe('');
  },
  400_000,
);

test.each(Object.entries(known))('%s', async (_name, steps) => {
  for (const drain of ['oldest', 'newest'] as const) {
    const violations = await campaign.play({ seed: 1, sequencers: 'plain', drain, steps });
    expect(violations).toEqual([]);
  }
});
