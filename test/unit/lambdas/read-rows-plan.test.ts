/** Which events a run compares, in numbers that a person can check. */
import { createHash } from 'node:crypto';
import { type KnownEvent, MAX_BATCHES, planEvents } from '../../../lambdas/read-rows/plan-events.ts';
import type { Candidates } from '../../../lambdas/shared/reconciliation/contract.ts';
import { AS_OF } from '../../support/reconciliation-state.ts';

const DAY = 24 * 3_600_000;
const id = (n: number) => `e${String(n).padStart(4, '0')}`;
const known = (n: number, rest: Partial<KnownEvent> = {}): KnownEvent => ({
  id: id(n),
  has_collection: false,
  photos: 10,
  faces: 40,
  live: 10,
  changed: false,
  ...rest,
});

function plan(
  events: KnownEvent[],
  {
    scope = 'all',
    run = 'r',
    as_of = AS_OF,
    ...candidates
  }: Partial<Candidates> & { scope?: 'all' | 'changed'; run?: string; as_of?: string } = {},
) {
  return planEvents(
    { folders: {}, unfinished: [], ...candidates },
    events,
    new Set(events.map((event) => event.id)),
    { scope, run, as_of },
  );
}
const idsOf = ({ batches }: ReturnType<typeof plan>) => batches.flat().map((event) => event.id);

test('an event is looked at while anything of it may be left', () => {
  const over = { live: 0, has_collection: false, changed: false };
  const looked = (rest: Partial<KnownEvent>, candidates: Partial<Candidates> = {}) =>
    idsOf(plan([known(1, { ...over, ...rest })], candidates)).length;
  expect([
    looked({}),
    looked({ live: 1 }),
    looked({ has_collection: true }),
    looked({ changed: true }),
    looked({}, { folders: { [id(1)]: ['events/e0001/'] } }),
    looked({}, { collections: [id(1)] }),
  ]).toEqual([0, 1, 1, 1, 1, 1]);
});

test('it is planned with its folders, and one of the bucket alone with its own', () => {
  const folders = { [id(1)]: ['events/a/', 'events/A/'], [id(9)]: ['events/b/'] };
  const { batches } = plan([known(1), known(2)], { folders });
  expect(batches.flat().toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
    { id: id(1), folders: folders[id(1)] },
    { id: id(2), folders: [] },
    { id: id(9), folders: folders[id(9)] },
  ]);
});

test('a run of the changed ones has those, the unfinished ones, and those of the bucket alone', () => {
  const events = [known(1, { changed: true }), known(2), known(3)];
  const planned = plan(events, { scope: 'changed', unfinished: [id(3)], folders: { [id(9)]: [] } });
  expect(idsOf(planned).toSorted()).toEqual([id(1), id(3), id(9)]);
});

test('the order is the run’s, so that another run has another', () => {
  const events = Array.from({ length: 20 }, (_, n) => known(n));
  const hash = (run: string, of: string) => createHash('sha256').update(`${run}/${of}`).digest('hex');
  for (const run of ['r', 's']) {
    expect(idsOf(plan(events, { run }))).toEqual(
      events.map((event) => event.id).toSorted((a, b) => (hash(run, a) < hash(run, b) ? -1 : 1)),
    );
  }
});

test('a batch has fifty events, and fifty thousand rows', () => {
  const sizes = (count: number, rows: number) =>
    plan(Array.from({ length: count }, (_, n) => known(n, { photos: 1, faces: rows - 1 }))).batches.map(
      ({ length }) => length,
    );
  expect(sizes(101, 10)).toEqual([50, 50, 1]);
  expect(sizes(6, 25_000)).toEqual([2, 2, 2]);
  expect(sizes(3, 25_001)).toEqual([1, 1, 1]);
  expect(sizes(11, 10_000)).toEqual([5, 5, 1]);
  // One that has more is a batch of its own.
  expect(sizes(2, 60_000)).toEqual([1, 1]);
});

test('an event that the database does not know counts for five thousand rows', () => {
  const folders = Object.fromEntries(Array.from({ length: 21 }, (_, n) => [id(n), []]));
  expect(plan([], { folders }).batches.map(({ length }) => length)).toEqual([10, 10, 1]);
});

test('an event of more than three hundred thousand rows is too large', () => {
  const of = (rows: number) => plan([known(1, { photos: 0, faces: rows })]);
  expect([of(300_000).too_large, idsOf(of(300_000))]).toEqual([[], [id(1)]]);
  expect([of(300_001).too_large, idsOf(of(300_001))]).toEqual([[id(1)], []]);
});

test('collections that nobody knows are abandoned', () => {
  const collections = [id(1), id(8), id(9)];
  expect(plan([known(1)], { collections, folders: { [id(8)]: ['events/b/'] } }).abandoned).toEqual([id(9)]);
});

describe('more than a run has room for', () => {
  /** Each a batch of its own. */
  const many = (count: number, changed = 0) =>
    Array.from({ length: count }, (_, n) => known(n, { photos: 0, faces: 40_000, changed: n < changed }));

  test('of changed ones is put off, and told', () => {
    const planned = plan(many(MAX_BATCHES + 7, MAX_BATCHES + 7), { scope: 'changed' });
    expect([planned.batches.length, planned.put_off]).toEqual([MAX_BATCHES, 7]);
    // A batch of the rest has more than one event.
    const small = Array.from({ length: 50 * MAX_BATCHES + 60 }, (_, n) => known(n, { changed: true }));
    expect(plan(small, { scope: 'changed' }).put_off).toBe(60);
    expect(plan(many(MAX_BATCHES, MAX_BATCHES), { scope: 'changed' }).put_off).toBe(0);
  });

  test('of changed ones alone is not waited for', () => {
    const planned = plan(many(MAX_BATCHES + 7, MAX_BATCHES + 7));
    expect([planned.batches.length, planned.put_off]).toEqual([MAX_BATCHES, 7]);
  });

  test('of unchanged ones is shared out by day, by their ids', () => {
    const share = (of: string) => createHash('sha256').update(of).digest().readUInt32BE();
    const events = many(MAX_BATCHES + 1, 1);
    const today = Math.floor(Date.parse(AS_OF) / DAY);
    for (const later of [0, 1, 2]) {
      const as_of = new Date(Date.parse(AS_OF) + later * DAY).toISOString();
      expect(idsOf(plan(events, { as_of })).toSorted()).toEqual(
        events
          .map((event) => event.id)
          .filter((of, n) => n === 0 || share(of) % 2 === (today + later) % 2)
          .toSorted(),
      );
    }
    // The share is of the day, at whatever hour.
    const at = (time: string) => idsOf(plan(events, { as_of: `2026-05-01T${time}Z` }));
    expect(at('00:00:00.000')).toEqual(at('23:59:59.999'));
    expect(idsOf(plan(many(MAX_BATCHES)))).toHaveLength(MAX_BATCHES);
  });
});
