/**
 * `npm run bench:scale`: what a burst of 10,000, 100,000 and 1,000,000 photos does to the account, in virtual time and
 * with the slot ledger's own decision code. With `--new-events`, what many new events at once do to CreateCollection.
 */
import { parseArgs } from 'node:util';
import { type SimulationResult, simulate } from '../test/support/line-simulation.ts';
import { simulateNewEvents } from './scale/new-events.ts';

const USAGE = `npm run bench:scale -- [options]

  --photos N[,N...]  10000,100000,1000000
  --quota TPS        50
  --neighbour TPS    calls of somebody else in the account, 0
  --latency-ms MEDIAN of IndexFaces, 600
  --starts TPS       StartExecution's refill rate, 300 (150 outside the three large Regions)
  --burst N          StartExecution's bucket, 1300 (800 outside)
  --new-events N[xPHOTOS][,...]  instead: so many new events at once, with so many photos each (1)
  --seed N           1
  --json             the last line of stdout is one JSON object
`;

/** Prices: https://aws.amazon.com/step-functions/pricing/ and https://aws.amazon.com/dynamodb/pricing/on-demand/ */
const DOLLARS_PER_TRANSITION = 25e-6;
const DOLLARS_PER_WRITE = 0.625e-6;

class UsageError extends Error {}

function options() {
  const string = { type: 'string' } as const;
  let values: Partial<Record<string, string | boolean>>;
  try {
    ({ values } = parseArgs({
      options: {
        photos: string,
        quota: string,
        neighbour: string,
        'latency-ms': string,
        starts: string,
        burst: string,
        'new-events': string,
        seed: string,
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]);
  }
  const number = (name: string, text: string | boolean, least: number) => {
    const value = Number(text);
    if (!Number.isFinite(value) || value < least) {
      throw new UsageError(`--${name} takes a number of at least ${least}, not "${text}"`);
    }
    return value;
  };
  return {
    help: values.help === true,
    json: values.json === true,
    sizes: String(values.photos ?? '10000,100000,1000000')
      .split(',')
      .map((text) => Math.floor(number('photos', text, 1))),
    perSecond: number('quota', values.quota ?? '50', 0.5),
    neighbour: number('neighbour', values.neighbour ?? '0', 0),
    latencyMs: number('latency-ms', values['latency-ms'] ?? '600', 1),
    startsPerSecond: number('starts', values.starts ?? '300', 0.1),
    startBurst: number('burst', values.burst ?? '1300', 0),
    newEvents: values['new-events'] === undefined ? undefined : newEvents(String(values['new-events'])),
    seed: number('seed', values.seed ?? '1', 0),
  };
}

function newEvents(list: string): NewEvents[] {
  return list.split(',').map((text) => {
    const [, events, photos = '1'] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
    if (!(Number(events) >= 1 && Number(photos) >= 1)) {
      throw new UsageError(`--new-events takes numbers as 5000 or 500x20, not "${text}"`);
    }
    return { events: Number(events), photosPerEvent: Number(photos) };
  });
}

interface NewEvents {
  events: number;
  photosPerEvent: number;
}

interface NewEventsRow {
  events: number;
  photos_per_event: number;
  failed: number;
  collections_s: number;
  simulated_s: number;
  attempts_per_photo: number;
  max_attempts: number;
  calls_per_event: number;
  attempts_dollars: number;
}

function newEventsRow({ events, photosPerEvent }: NewEvents, seed: number): NewEventsRow {
  const result = simulateNewEvents({ events: Array<number>(events).fill(photosPerEvent), seed });
  return {
    events,
    photos_per_event: photosPerEvent,
    failed: result.failed,
    collections_s: Math.round(result.collectionsSeconds),
    simulated_s: Math.round(result.seconds),
    attempts_per_photo: Number((result.attempts / (events * photosPerEvent)).toFixed(1)),
    max_attempts: result.maxAttempts,
    calls_per_event: Number((result.calls / events).toFixed(1)),
    attempts_dollars: Number((result.attempts * DOLLARS_PER_TRANSITION).toFixed(2)),
  };
}

const NEW_EVENTS_LABELS: Record<keyof NewEventsRow, string> = {
  events: 'new events at once',
  photos_per_event: 'photos of each',
  failed: 'photos that failed',
  collections_s: 'time on AWS until the last collection',
  simulated_s: '  until the last photo went on',
  attempts_per_photo: 'attempts of EnsureCollection by photo',
  max_attempts: '  of the photo that had the most',
  calls_per_event: 'CreateCollection calls by event',
  attempts_dollars: 'attempts, $',
};

interface Row {
  photos: number;
  simulated_s: number;
  wall_ms: number;
  memory_mb: number;
  quota_used: number;
  throttled: number;
  ledger_writes: number;
  event_writes: number;
  peak_ledger_writes_per_s: number;
  ledger_busy: number;
  transitions: number;
  sent_back: number;
  max_history_events: number;
  peak_open_executions: number;
  peak_concurrent_functions: number;
  transitions_dollars: number;
  ledger_dollars: number;
}

function row(photos: number, run: () => SimulationResult): Row {
  const startedMs = performance.now();
  const result = run();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return {
    photos,
    simulated_s: Math.round(result.seconds),
    wall_ms: Math.round(performance.now() - startedMs),
    memory_mb: Math.round((heapUsed + arrayBuffers) / 1e6),
    quota_used: Number(result.quotaUsed.toFixed(3)),
    throttled: result.throttled,
    ledger_writes: result.ledgerWrites,
    event_writes: result.eventWrites,
    peak_ledger_writes_per_s: result.peakLedgerWritesPerSecond,
    ledger_busy: result.ledgerBusy,
    transitions: result.transitions,
    sent_back: result.sentBack,
    max_history_events: result.maxHistoryEvents,
    peak_open_executions: result.peakExecutions,
    peak_concurrent_functions: result.peakIndexing,
    transitions_dollars: Number((result.transitions * DOLLARS_PER_TRANSITION).toFixed(2)),
    ledger_dollars: Number(((result.ledgerWrites + result.eventWrites) * DOLLARS_PER_WRITE).toFixed(2)),
  };
}

const LABELS: Record<keyof Row, string> = {
  photos: 'photos',
  simulated_s: 'time on AWS',
  wall_ms: 'time to simulate',
  memory_mb: 'memory to simulate',
  quota_used: 'quota used',
  throttled: 'throttled calls',
  ledger_writes: 'ledger writes',
  event_writes: "  and of the event's item",
  peak_ledger_writes_per_s: '  of the ledger in the busiest second (limit 1,000)',
  ledger_busy: '  refused by DynamoDB and retried',
  transitions: 'state transitions',
  sent_back: 'sent back to the line',
  max_history_events: 'most history events of one execution (limit 25,000)',
  peak_open_executions: 'most open executions (limit 1,000,000)',
  peak_concurrent_functions: 'most IndexFaces functions at once (limit 1,000 or less)',
  transitions_dollars: 'transitions, $',
  ledger_dollars: 'all these writes, $',
};

const SECONDS = new Set<string>(['simulated_s', 'collections_s']);

function show(key: string, value: number): string {
  if (SECONDS.has(key)) {
    const [hours, minutes, seconds] = [
      Math.floor(value / 3_600),
      Math.floor((value % 3_600) / 60),
      value % 60,
    ];
    return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds} s`;
  }
  const text = value.toLocaleString('en-US');
  return key === 'wall_ms' ? `${text} ms` : key === 'memory_mb' ? `${text} MB` : text;
}

function table<Key extends string>(
  labels: Record<Key, string>,
  rows: readonly Record<Key, number>[],
): string {
  const cells = (Object.keys(labels) as Key[]).map((key) => [
    labels[key],
    ...rows.map((each) => show(key, each[key])),
  ]);
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  '),
    )
    .join('\n');
}

type Shared = Omit<ReturnType<typeof options>, 'help' | 'json' | 'sizes' | 'neighbour' | 'newEvents'>;

/** The table and the figures of it. */
type Report = [text: string, figures: object];

function reportBurst(sizes: readonly number[], neighbour: number, shared: Shared): Report {
  const rows = sizes.map((photos) =>
    row(photos, () =>
      simulate({ ...shared, photos, ...(neighbour > 0 && { neighbour: { perSecond: neighbour } }) }),
    ),
  );
  const { perSecond, latencyMs, startsPerSecond, startBurst } = shared;
  return [
    `Quota ${perSecond}/s${neighbour > 0 ? `, neighbour ${neighbour}/s` : ''}, latency ${latencyMs} ms, ${startBurst} starts at once and then ${startsPerSecond}/s\n\n${table(LABELS, rows)}`,
    { ...shared, neighbour, sizes: rows },
  ];
}

function reportNewEvents(cases: readonly NewEvents[], seed: number): Report {
  const rows = cases.map((each) => newEventsRow(each, seed));
  return [`CreateCollection 5/s\n\n${table(NEW_EVENTS_LABELS, rows)}`, { seed, new_events: rows }];
}

try {
  const { help, json, sizes, neighbour, newEvents, ...shared } = options();
  if (help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const [text, figures] = newEvents
    ? reportNewEvents(newEvents, shared.seed)
    : reportBurst(sizes, neighbour, shared);
  process.stdout.write(`${text}\n`);
  if (json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  }
} catch (error) {
  if (!(error instanceof UsageError)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}
