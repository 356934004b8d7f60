import { displayWidth } from '../../../cli/text.ts';
import { parseOpsArguments } from '../../../ops/arguments.ts';
import type { LedgerView } from '../../../ops/ledger.ts';
import { viewOf } from '../../../ops/ledger.ts';
import { type Facts, standingData, standingLines } from '../../../ops/standing.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const NOW = Date.parse('2026-05-01T18:00:00Z');

const ledger: LedgerView = {
  pausedSince: null,
  imagesToday: 1_200,
  dailyImageCap: 200_000,
  capIsSet: false,
  quotaPerSecond: 50,
  allowedPerSecond: 49.9,
  lineMs: 0,
  item: {},
  line: { perSecond: 50 },
  backfillLineMs: 0,
  cutMs: null,
};

const summary = {
  events: 1,
  photos: { indexed: 300, failed: 2, processing: 0 },
  faces: 900,
  leaving: 0,
  misplaced: 0,
  failures: [{ code: 'InvalidImageFormat', retryable: false, photos: 2 }],
  oldest_processing: null,
};

function facts({
  argv = [],
  ...over
}: Partial<Facts> & { argv?: string[]; held?: Partial<LedgerView> } = {}): Facts {
  const { held, ...rest } = over;
  return {
    nowMs: NOW,
    args: parseOpsArguments(['status', ...argv], {}),
    resting: 0,
    summary: { value: summary },
    queues: {
      value: { erasure_dead_letters: 0, last_resort: 0, last_resort_dead_letters: 3 },
    },
    ledger: { value: { ...ledger, ...held } },
    running: { value: { executions: 0, oldestMs: null } },
    backfills: { value: 0 },
    perSecond: null,
    objects: undefined,
    ...rest,
  };
}

const text = (given: Facts, columns: number | undefined = undefined) =>
  standingLines(given, columns).join('\n');

test('53 photos in line: how many, how long, how fast', () => {
  const given = facts({
    running: { value: { executions: 60, oldestMs: null } },
    held: { lineMs: 1_062, backfillLineMs: 1_063 },
    perSecond: 48.04,
  });
  expect(text(given)).toMatch(/on the way\s+60/);
  expect(text(given)).toMatch(/in line\s+53 .*waits 1\.1 s/);
  expect(text(given)).toMatch(/pace\s+48 .*of 49\.9 a second at most; the quota is 50/);
  expect(text(given)).toContain('53 photos wait their turn');
  expect(standingData(given)).toMatchObject({
    executions_running: 60,
    in_line: 53,
    images_per_second: 48.04,
  });
});

test('the cap is reached: what it holds, and until when', () => {
  const given = facts({
    running: { value: { executions: 56, oldestMs: null } },
    held: { imagesToday: 30, dailyImageCap: 30 },
    argv: ['--local'],
  });
  expect(text(given)).toMatch(/today\s+30 {2}of 30 images \(UTC\), \$0\.03/);
  expect(text(given)).toContain("Today's 30 images are used up.");
  expect(text(given)).toContain('at 00:00 UTC, in 6 h 0 min');
  expect(text(given)).toContain('npm run ops -- cap --images N --local');
  expect(text(given)).toContain('56 photos wait.');
  expect(standingData(given)).toMatchObject({ held: 'cap', images_today: 30, daily_image_cap: 30 });
});

test('it is paused: since when, and how it goes on', () => {
  const given = facts({
    running: { value: { executions: 1, oldestMs: null } },
    held: { pausedSince: '2026-05-01T17:00:00.000Z' },
  });
  expect(text(given)).toContain('Indexing has been paused since 2026-05-01T17:00:00.000Z.');
  expect(text(given)).toContain('`npm run ops -- resume` goes on');
  expect(text(given)).toContain('1 photo waits.');
  expect(standingData(given)).toMatchObject({ held: 'paused' });
});

test('Rekognition throttled: the pace was cut', () => {
  const given = facts({
    running: { value: { executions: 9, oldestMs: null } },
    held: { allowedPerSecond: 20, cutMs: NOW - 4_000, lineMs: 400, backfillLineMs: 400 },
  });
  expect(text(given)).toContain('Rekognition throttled calls 4.0 s ago');
});

test('the database is unavailable: its own error, and all the rest', () => {
  const problem = 'The database did not answer: DatabaseUnavailable: PostgreSQL 08006: … ECONNREFUSED';
  const given = facts({ summary: { problem }, running: { value: { executions: 7, oldestMs: null } } });
  expect(text(given)).toContain(`Not known: ${problem}`);
  expect(text(given)).toMatch(/on the way\s+7/);
  expect(text(given)).toMatch(/dead letters\s+3/);
  expect(text(given)).toContain('7 photos wait for the database.');
  expect(text(given)).not.toMatch(/indexed\s+0/);
  expect(standingData(given)).toMatchObject({ photos: null, executions_running: 7, problems: [problem] });
});

test('one event: what is left of it, and how long that takes at least', () => {
  const given = facts({ argv: ['--event', EVENT], objects: { value: 801 }, held: { lineMs: 2_000 } });
  expect(text(given)).toMatch(/left\s+499 {2}of 801 in the bucket\. Detecting faces, about 10 seconds left/);
  expect(standingData(given)).toMatchObject({
    objects: 801,
    left: 499,
    time_left_ms: 10_100,
    time_left: 'Detecting faces, about 10 seconds left',
  });
  // Held for nobody knows how long.
  const held = { ...given, ledger: { value: { ...ledger, pausedSince: '2026-05-01T17:00:00.000Z' } } };
  expect(standingData(held)).toMatchObject({ left: 499, time_left_ms: null });
});

test('photos that nobody is at work on: what takes them up', () => {
  const processing = { value: { ...summary, photos: { processing: 26 } } };
  const given = facts({ summary: processing, argv: ['--event', EVENT] });
  expect(text(given)).toContain('26 photos are processing, and no execution is at work on them');
  expect(text(given)).toContain(`\`npm run ops -- reconcile --event ${EVENT} --fix\` does at once`);
  // Nothing of the kind where somebody is at work, will be, or may be for all that is known.
  for (const other of [
    { running: { value: { executions: 1, oldestMs: NOW } } },
    { running: { problem: 'Step Functions did not answer' } },
    { resting: 3 },
    { held: { pausedSince: '2026-05-01T17:00:00.000Z' } },
  ]) {
    expect(text(facts({ summary: processing, ...other }))).not.toContain('no execution is at work');
  }
});

test.each([
  [4, false],
  [12, true],
])('an execution of %d minutes: how old it is, and what it may wait for: %s', (minutes, isOld) => {
  const running = { value: { executions: 5, oldestMs: NOW - minutes * 60_000 } };
  expect(text(facts({ running }))).toMatch(new RegExp(`on the way\\s+5 .*the oldest for ${minutes} min 0 s`));
  expect(text(facts({ running })).includes('notices within the hour')).toBe(isOld);
  expect(standingData(facts({ running }))).toMatchObject({
    oldest_execution: new Date(NOW - minutes * 60_000).toISOString(),
  });
});

test('a local run that was stopped: what rests, and how it goes on', () => {
  const given = facts({ resting: 53, argv: ['--local'] });
  expect(text(given)).toMatch(/resting\s+53/);
  expect(text(given)).toContain(
    '53 executions of an earlier local run rest: npm run local:up goes on with them.',
  );
});

test.each([40, 80, 160])('at %d columns no row is wider than the terminal', (columns) => {
  const rows = standingLines(
    facts({
      running: { value: { executions: 1_000, oldestMs: null } },
      argv: ['--event', EVENT],
      objects: { value: 9_999 },
    }),
    columns,
  );
  for (const row of rows.filter((line) => line.startsWith('  '))) {
    expect([row, displayWidth(row) <= columns]).toEqual([row, true]);
  }
});

test("the ledger's item as an operator reads it", () => {
  const outputs = { DailyImageCap: '200', IndexFacesPerSecond: '5', ReadsIndexFacesQuota: 'true' };
  expect(viewOf({}, outputs, NOW)).toMatchObject({
    imagesToday: 0,
    dailyImageCap: 200,
    quotaPerSecond: 5,
    cutMs: null,
  });
  const state = {
    quota_per_second: 50,
    line_ms: NOW + 3_000,
    next_ms: NOW + 500,
    backfill_ms: NOW - 1,
    images: 7,
    day: 20_260_501,
  };
  expect(viewOf(state, outputs, NOW)).toMatchObject({
    imagesToday: 7,
    quotaPerSecond: 50,
    lineMs: 3_000,
    backfillLineMs: 3_000,
  });
  // Configured: what was read is beside the point. Yesterday's images are.
  const configured = { ...outputs, ReadsIndexFacesQuota: 'false' };
  expect(viewOf({ ...state, day: 20_260_430 }, configured, NOW)).toMatchObject({
    imagesToday: 0,
    quotaPerSecond: 5,
  });
  const cut = viewOf(
    { ...state, cuts: 1, cut_ms: NOW - 100, interval_ms: 25, throttled_interval_ms: 20 },
    outputs,
    NOW,
  );
  expect(cut.cutMs).toBe(NOW - 100);
  expect(cut.allowedPerSecond).toBeLessThan(45);
});
