/** What a run tells at its end, and what it leaves to the next one. */
import { conclude } from '../../../lambdas/mend-disagreements/conclude.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import {
  abandonedKey,
  batchKey,
  type Disagreement,
  MEMORY_KEY,
  type Memory,
  type Plan,
  planKey,
  type Reconciliation,
} from '../../../lambdas/shared/reconciliation/contract.ts';
import { AS_OF, memoryObjects, runPlan, runState } from '../../support/reconciliation-state.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const RUN = 'run-1';
const before = (ms: number) => new Date(Date.parse(AS_OF) - ms).toISOString();
const one = (rest: Partial<Disagreement> = {}): Disagreement => ({
  kind: 'never_seen',
  event_id: 'e1',
  about: 'p1',
  fate: 'mending',
  ...rest,
});
const memoryOf = (rest: Partial<Memory> = {}): Memory => ({
  compared_until: before(5 * HOUR),
  unfinished: [],
  first_seen: {},
  abandoned: {},
  ...rest,
});

async function end({
  found = {},
  plan = {},
  memory,
  abandoned,
  state = {},
}: {
  /** By batch. */
  found?: Record<number, Disagreement[]>;
  plan?: Partial<Plan> | null;
  memory?: Memory;
  abandoned?: Memory['abandoned'];
  state?: Partial<Reconciliation>;
} = {}) {
  const { objects, content } = memoryObjects();
  if (plan) {
    content.set(
      planKey(RUN),
      runPlan({ batches: [[{ id: 'e1', folders: [] }], [{ id: 'e2', folders: [] }]], ...plan }),
    );
  }
  for (const [batch, disagreements] of Object.entries(found)) {
    content.set(batchKey(RUN, Number(batch), 'disagreements'), disagreements);
  }
  if (memory) {
    content.set(MEMORY_KEY, memory);
  }
  if (abandoned) {
    content.set(abandonedKey(RUN), abandoned);
  }
  const { telemetry, recorded, lines } = recordingTelemetry();
  await conclude({ objects, telemetry }, runState({ found_in: Object.keys(found).map(Number), ...state }));
  return {
    metrics: Object.fromEntries(recorded.map(({ name, value }) => [name, value])),
    memory: content.get(MEMORY_KEY) as Memory,
    lines,
  };
}

test('a run whose plan is gone has ended before: it is told once', async () => {
  const { metrics, memory, lines } = await end({ plan: null });
  expect([metrics, memory, lines]).toEqual([{}, undefined, []]);
});

test('a run in which all agree counts, and says nothing', async () => {
  const { metrics, lines, memory } = await end();
  expect(metrics).toEqual({
    [metricNames.reconciliations]: 1,
    [metricNames.disagreements]: 0,
    [metricNames.disagreementsLeft]: 0,
    [metricNames.disagreementAge]: 0,
  });
  expect(lines).toEqual([]);
  expect(memory).toMatchObject({ compared_until: runState().settled, unfinished: [], first_seen: {} });
});

test('what was found in all batches is counted, told by kind, and dated', async () => {
  const { metrics, lines, memory } = await end({
    found: {
      0: [one(), one({ about: 'p2', fate: 'left' }), one({ about: 'p3', fate: 'waiting' })],
      3: [one({ kind: 'object_gone', event_id: 'e2' }), one({ event_id: 'e2', about: 'p4', fate: 'left' })],
    },
  });
  expect(metrics).toEqual({
    [metricNames.reconciliations]: 1,
    [metricNames.disagreements]: 5,
    [metricNames.disagreementsLeft]: 2,
    [metricNames.disagreementAge]: 0,
  });
  const line = {
    level: 'warn',
    message: 'Bucket, database and collections disagree',
    event: logEvents.disagreed,
  };
  expect(lines).toEqual([
    { ...line, kind: 'never_seen', count: 4, left: 2, waiting: 1, events: ['e1', 'e2'] },
    { ...line, kind: 'object_gone', count: 1, left: 0, waiting: 0, events: ['e2'] },
  ]);
  expect(memory).toEqual({
    compared_until: runState().settled,
    unfinished: ['e1', 'e2'],
    first_seen: Object.fromEntries(
      [
        'e1 never_seen p1',
        'e1 never_seen p2',
        'e1 never_seen p3',
        'e2 object_gone p1',
        'e2 never_seen p4',
      ].map((name) => [name, AS_OF]),
    ),
    abandoned: {},
  });
});

test('events that are too large are left, and erasures that are stuck are worked off', async () => {
  const { metrics, lines, memory } = await end({ plan: { too_large: ['e7'], erasures: ['x1'] } });
  expect(metrics).toMatchObject({ [metricNames.disagreements]: 2, [metricNames.disagreementsLeft]: 1 });
  expect(lines).toMatchObject([
    { kind: 'event_too_large', count: 1, left: 1, events: ['e7'] },
    { kind: 'erasure_stuck', count: 1, left: 0, events: [] },
  ]);
  // It is of no event that another run would look at.
  expect(memory.unfinished).toEqual([]);
  expect(memory.first_seen).toEqual({ 'e7 event_too_large e7': AS_OF, ' erasure_stuck x1': AS_OF });
});

test('no more than ten events are named, each once', async () => {
  const many = Array.from({ length: 24 }, (_, n) => one({ event_id: `e${n % 12}`, about: `p${n}` }));
  const { lines } = await end({ found: { 0: many } });
  expect(lines[0]!.events).toEqual(Array.from({ length: 10 }, (_, n) => `e${n}`));
});

test('what was there before keeps its date, and the oldest is told in seconds', async () => {
  const first = { 'e1 never_seen p1': before(30 * HOUR), 'e1 never_seen p2': before(2 * HOUR) };
  const { metrics, memory } = await end({
    found: { 0: [one(), one({ about: 'p2' }), one({ about: 'p3' })] },
    memory: memoryOf({ first_seen: first }),
  });
  // What is left to a person is no reason to wake the database every hour.
  expect((await end({ found: { 0: [one({ fate: 'left' })] } })).memory.unfinished).toEqual([]);
  expect(metrics).toMatchObject({ [metricNames.disagreementAge]: 30 * 3_600 });
  expect(memory.first_seen).toEqual({ ...first, 'e1 never_seen p3': AS_OF });
});

test('what is there no longer is forgotten, but for events that this run did not look at', async () => {
  const { memory } = await end({
    memory: memoryOf({
      first_seen: {
        'e1 never_seen p1': before(HOUR),
        ' erasure_stuck x1': before(HOUR),
        'e9 never_seen p1': before(60 * DAY - 1),
        'e9 never_seen p2': before(60 * DAY),
      },
    }),
  });
  expect(memory.first_seen).toEqual({ 'e9 never_seen p1': before(60 * DAY - 1) });
});

test('ten thousand dates are kept: those of other events first, and then the oldest', async () => {
  const others = Object.fromEntries(
    Array.from({ length: 9_998 }, (_, n) => [`e9 never_seen p${n}`, before(HOUR)]),
  );
  const known = { 'e1 never_seen p2': before(3 * HOUR), 'e1 never_seen p3': before(2 * HOUR) };
  const { memory, metrics } = await end({
    found: { 0: [1, 2, 3].map((n) => one({ about: `p${n}` })) },
    memory: memoryOf({ first_seen: { ...others, ...known } }),
  });
  expect(Object.keys(memory.first_seen)).toHaveLength(10_000);
  expect(memory.first_seen).toMatchObject(known);
  expect(memory.first_seen).not.toHaveProperty('e1 never_seen p1');
  expect(metrics).toMatchObject({ [metricNames.disagreementAge]: 3 * 3_600 });
});

test('a run that put events off leaves the moment up to which all was compared', async () => {
  const memory = memoryOf();
  const until = async (put_off: number, remembered?: Memory) =>
    (await end({ plan: { put_off }, ...(remembered && { memory: remembered }) })).memory.compared_until;
  expect(await until(1, memory)).toBe(memory.compared_until);
  expect(await until(0, memory)).toBe(runState().settled);
  expect(await until(1)).toBe(runState().settled);
});

test('a run of all events knows the collections without one; any other keeps what was known', async () => {
  const known = { c1: { since: before(DAY), faces: 3 } };
  const found = { c2: { since: AS_OF, faces: 1 } };
  const after = async (scope: 'all' | 'changed', memory?: Memory) =>
    (await end({ abandoned: found, state: { scope }, ...(memory && { memory }) })).memory.abandoned;
  expect(await after('all', memoryOf({ abandoned: known }))).toEqual(found);
  expect(await after('changed', memoryOf({ abandoned: known }))).toEqual(known);
  expect(await after('changed')).toEqual({});
});
