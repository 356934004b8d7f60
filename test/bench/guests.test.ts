import { goalsOf, renderGuests, simulateGuests } from '../../bench/find/guests.ts';
import { read } from '../support/pages.ts';

const given = process.env.GUESTS_SEED;
const seed = Number(given ?? 1);

test(`500 guests within a minute beside 3,000 photos: what is promised holds (seed ${seed})`, async () => {
  const results = [
    await simulateGuests({ perSecond: 50, seed }),
    await simulateGuests({ perSecond: 5, seed }),
  ];
  for (const result of results) {
    const broken = Object.entries(goalsOf(result)).filter(([, holds]) => !holds);
    expect([result, broken]).toEqual([result, []]);
  }
  // At five a second most have to come back, so that there is something to be true.
  expect(results[1]!.sent_away).toBeGreaterThan(300);
  if (given === undefined) {
    const printed = renderGuests(results).trim().split('\n');
    expect(printed.filter((line) => !read('docs/find.md').includes(line))).toEqual([]);
  }
});

test('whoever does not say who they are has no place kept, and is told wrong under a rush: the measure tells', async () => {
  const result = await simulateGuests({
    perSecond: 5,
    guests: 200,
    withinS: 20,
    photos: 10,
    areNamed: false,
  });
  expect(result.told_wrong).toBeGreaterThan(0);
  expect(goalsOf(result)['each Retry-After is true']).toBe(false);
  expect(renderGuests([result])).toContain(`| ${result.told_wrong} |`);
});
