/**
 * `npm run bench:scale`: what a burst of 10,000, 100,000 and 1,000,000 photos does to the account, in virtual time and
 * with the slot ledger's own decision code.
 */
import { parseArgs } from 'node:util';
import { type SimulationResult, simulate } from './scale/simulation.ts';

const USAGE = `npm run bench:scale -- [options]

  --photos N[,N...]  10000,100000,1000000
  --quota TPS        50
  --neighbour TPS    calls of somebody else in the account, 0
  --latency-ms MEDIAN of IndexFaces, 600
  --starts TPS       StartExecution's refill rate, 300 (150 outside the three large Regions)
  --burst N          StartExecution's bucket, 1300 (800 outside)
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
    seed: number('seed', values.seed ?? '1', 0),
  };
}

interface Row {
  photos: number;
  simulated_s: number;
  wall_ms: number;
  memory_mb: number;
  quota_used: number;
  throttled: number;
  ledger_writes: number;
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
    peak_ledger_writes_per_s: result.peakLedgerWritesPerSecond,
    ledger_busy: result.ledgerBusy,
    transitions: result.transitions,
    sent_back: result.sentBack,
    max_history_events: result.maxHistoryEvents,
    peak_open_executions: result.peakExecutions,
    peak_concurrent_functions: result.peakIndexing,
    transitions_dollars: Number((result.transitions * DOLLARS_PER_TRANSITION).toFixed(2)),
    ledger_dollars: Number((result.ledgerWrites * DOLLARS_PER_WRITE).toFixed(2)),
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
  peak_ledger_writes_per_s: '  in the busiest second (limit 1,000)',
  ledger_busy: '  refused by DynamoDB and retried',
  transitions: 'state transitions',
  sent_back: 'sent back to the line',
  max_history_events: 'most history events of one execution (limit 25,000)',
  peak_open_executions: 'most open executions (limit 1,000,000)',
  peak_concurrent_functions: 'most IndexFaces functions at once (limit 1,000 or less)',
  transitions_dollars: 'transitions, $',
  ledger_dollars: 'ledger writes, $',
};

function show(key: keyof Row, value: number): string {
  if (key === 'simulated_s') {
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

function table(rows: readonly Row[]): string {
  const cells = (Object.keys(LABELS) as (keyof Row)[]).map((key) => [
    LABELS[key],
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

try {
  const { help, json, sizes, neighbour, ...shared } = options();
  if (help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const rows = sizes.map((photos) =>
    row(photos, () =>
      simulate({ ...shared, photos, ...(neighbour > 0 && { neighbour: { perSecond: neighbour } }) }),
    ),
  );
  const { perSecond, latencyMs, startsPerSecond, startBurst } = shared;
  process.stdout.write(
    `Quota ${perSecond}/s${neighbour > 0 ? `, neighbour ${neighbour}/s` : ''}, latency ${latencyMs} ms, ${startBurst} starts at once and then ${startsPerSecond}/s\n\n${table(rows)}\n`,
  );
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...shared, neighbour, sizes: rows })}\n`);
  }
} catch (error) {
  if (!(error instanceof UsageError)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}
