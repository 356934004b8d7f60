/**
 * `npm run bench:pacing`: how much of Rekognition's quota a burst of photos uses, and how many of its calls are
 * throttled, with the slot ledger and with what others do.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isWriteToLostConnection } from '../lambdas/shared/database/lost-connection.ts';
import { seededRandom } from '../test/support/random.ts';
import type { BenchOptions } from './pacing/bench-options.ts';
import { deliver } from './pacing/deliver.ts';
import {
  type Conditions,
  documentOf,
  hasReports,
  type PacingReport,
  readReports,
} from './pacing/document.ts';
import { frontier } from './pacing/frontier.ts';
import { goalsCase, runGoals } from './pacing/goal-cases.ts';
import { contestsOf, readGoals, withGoals } from './pacing/goals-document.ts';
import { type Measurement, measure } from './pacing/measure.ts';
import { parseOptions, UsageError, usage } from './pacing/options.ts';
import { type PlotOptions, plot, writePlot } from './pacing/plot.ts';
import { strategies } from './pacing/strategies/index.ts';
import type { Strategy } from './pacing/strategy.ts';
import { startWorld, type World } from './pacing/world.ts';

async function runStrategy(options: BenchOptions, strategy: Strategy): Promise<Measurement> {
  const world = await startWorld(options, strategy.world);
  try {
    return await runIn(world, strategy);
  } finally {
    await world.stop();
  }
}

async function runIn(world: World, strategy: Strategy): Promise<Measurement> {
  const { options } = world;
  // The engine's jitter is Math.random's.
  Math.random = seededRandom(options.seed + 2);
  const running = strategy.start(world);
  const started = new Map<string, number>();
  const backfill = world.photos.filter(({ input }) => input.lane === 'backfill');
  const live = world.photos.filter(({ input }) => input.lane === 'live');
  const take = (photo: (typeof live)[number]) => running.take(photo);
  const pausing = options.pause && pauseInTheMiddle(world, options.pause);
  const work = (async () => {
    await Promise.all([
      deliver(backfill, Math.max(options.startsPerSecond, 150), started, take),
      deliver(live, options.startsPerSecond, started, take),
    ]);
    await running.idle();
    return 'done' as const;
  })();
  const outcome = await Promise.race([
    work,
    sleep(options.limitS * 1_000, 'stopped' as const, { ref: false }),
  ]);
  const endedMs = Date.now();
  if (outcome === 'stopped') {
    running.stop();
  }
  return measure(
    options,
    { strategy: strategy.name, settings: strategy.settings(options), source: strategy.source },
    {
      photos: world.photos,
      started,
      endedMs,
      report: await world.report(),
      stored: await world.stored(),
      transitionsPerPhoto: running.transitionsPerPhoto(),
      gigabyteSeconds: world.functions.gigabyteSeconds(),
      pause: await pausing,
    },
  );
}

async function pauseInTheMiddle({ operator }: World, { afterS, forS }: { afterS: number; forS: number }) {
  await sleep(afterS * 1_000);
  await operator.pause();
  const fromMs = Date.now();
  await sleep(forS * 1_000);
  const untilMs = Date.now();
  await operator.resume();
  return { fromMs, untilMs };
}

function table(measurements: readonly Measurement[]): string {
  const ours = measurements.find(({ strategy }) => strategy === 'slot-ledger');
  const rows = [
    [
      'strategy',
      'indexed',
      'seconds',
      'quota used',
      'ratio',
      'calls',
      'throttled',
      'p50 wait',
      'p95 wait',
      'transitions',
      'GB-s',
    ],
    ...measurements.map((each) => [
      each.strategy,
      `${each.indexed}/${each.photos}${each.unfinished > 0 ? ' (stopped)' : ''}`,
      each.seconds.toFixed(1),
      each.quota_used.toFixed(3),
      ours ? (each.quota_used / ours.quota_used).toFixed(2) : '-',
      String(each.calls),
      `${(100 * each.throttled_ratio).toFixed(2)} %`,
      each.p50_wait_s === null ? '-' : `${each.p50_wait_s.toFixed(1)} s`,
      each.p95_wait_s === null ? '-' : `${each.p95_wait_s.toFixed(1)} s`,
      each.transitions_per_photo.toFixed(1),
      each.lambda_gb_s_per_photo.toFixed(2),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  '),
    )
    .join('\n');
}

function plotOptions(report: PacingReport): PlotOptions {
  const left = Math.min(...report.strategies.map(({ left_per_second }) => left_per_second));
  return { title: headline(report), quota: report.trueQuota, left };
}

function headline(conditions: Conditions): string {
  const { photos, backfill, quota, trueQuota, latencyMs, neighbour, stop, pause } = conditions;
  return [
    `${photos + backfill} photos${backfill > 0 ? ` (${backfill} backfill)` : ''}`,
    `quota ${quota}/s${trueQuota === quota ? '' : `, in truth ${trueQuota}/s`}`,
    `latency ${latencyMs} ms`,
    ...(neighbour > 0 ? [`neighbour ${neighbour}/s`] : []),
    ...(stop ? [`service stops for ${stop.forS} s`] : []),
    ...(pause ? [`paused for ${pause.forS} s`] : []),
  ].join(', ');
}

/** The cases by the clock take an hour: where none was run, their part of the page stays as it is. */
function writeDocument(folder: string): void {
  const docs = path.join(import.meta.dirname, '../docs');
  const page = path.join(docs, 'pacing.md');
  const goals = readGoals(folder);
  let text = readFileSync(page, 'utf8');
  if (hasReports(folder)) {
    const reports = readReports(folder);
    text = documentOf(reports);
    const pictured = reports.compared.get('latency-600');
    if (pictured) {
      writeFileSync(path.join(docs, 'pacing.svg'), plot(pictured.strategies, plotOptions(pictured)));
    }
  }
  writeFileSync(page, withGoals(text, goals));
  writeFileSync(path.join(docs, 'pacing-frontier.svg'), frontier(contestsOf(goals)));
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const ofGoals = goalsCase(args);
  if (ofGoals) {
    process.stdout.write(await runGoals(ofGoals, args));
    return;
  }
  const options = parseOptions(args);
  if (options === 'help') {
    process.stdout.write(usage());
    return;
  }
  if (options.document) {
    writeDocument(options.out);
    return;
  }
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  say(headline(options));
  const measurements: Measurement[] = [];
  for (const strategy of strategies.filter(({ name }) => options.strategies.includes(name))) {
    say(`${strategy.name}: ${strategy.settings(options)} ...`);
    measurements.push(await runStrategy(options, strategy));
  }
  mkdirSync(options.out, { recursive: true });
  const file = path.join(options.out, options.name);
  await writePlot(file, measurements, plotOptions({ ...options, strategies: measurements }));
  const { strategies: _, json: __, out: ___, name: ____, document: _____, ...conditions } = options;
  const report = { ...conditions, strategies: measurements };
  writeFileSync(`${file}.json`, `${JSON.stringify(report)}\n`);
  process.stdout.write(`${headline(options)}\n\n${table(measurements)}\n`);
  for (const { strategy, live, pause } of measurements) {
    if (live) {
      process.stdout.write(
        `\n${strategy}: ${live.photos} live photos waited ${live.p50_wait_s} s (p50), ${live.p95_wait_s} s (p95)\n`,
      );
    }
    if (pause) {
      process.stdout.write(
        `\n${strategy}: last call ${pause.last_call_after_s} s after the pause, first ${pause.first_call_after_resume_s} s after the resume\n`,
      );
    }
  }
  process.stdout.write(`\nPlot: ${file}.png\n`);
  if (options.json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
}

/** A strategy that was stopped leaves functions at work, whose connections go with its world. */
process.on('uncaughtException', (error) => {
  if (!isWriteToLostConnection(error)) {
    console.error(error);
    process.exit(1);
  }
});

try {
  await main();
  process.exit(0);
} catch (error) {
  if (!(error instanceof UsageError)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}
