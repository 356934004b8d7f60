/** `docs/pacing.md`, made of what the benchmark left for each case. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { BenchOptions } from './bench-options.ts';
import type { Measurement } from './measure.ts';
import { cases, fileName, OURS, UsageError } from './options.ts';

/** What was measured, without what only says what to do with it. */
export type Conditions = Omit<BenchOptions, 'strategies' | 'json' | 'out' | 'name' | 'document'>;

export interface PacingReport extends Conditions {
  strategies: Measurement[];
}

const TITLES: Record<string, string> = {
  'latency-200': 'Latency 200 ms',
  'latency-600': 'Latency 600 ms',
  'latency-2000': 'Latency 2 s',
  'quota-5': 'A quota of 5/s',
  neighbour: 'A neighbour takes 20/s',
  'true-quota': 'Configured 50/s, in truth 30/s',
  stop: 'The service stops for 20 s in the middle',
  lanes: '5,000 backfill photos, and live ones among them',
  pause: 'An operator pauses for 15 s',
};

/** Within this of ours, another strategy is as good. */
const AS_GOOD = 0.99;

type Reports = ReadonlyMap<string, PacingReport>;

export interface PacingReports {
  ours: Reports;
  compared: Reports;
}

/** Whether any case was run by the clock. */
export function hasReports(folder: string): boolean {
  return Object.keys(cases).some((name) => existsSync(path.join(folder, `${fileName(name, false)}.json`)));
}

/** @throws UsageError naming a case that has not been run */
export function readReports(folder: string): PacingReports {
  const fileOf = (name: string, compared: boolean) => path.join(folder, `${fileName(name, compared)}.json`);
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as PacingReport;
  const names = Object.keys(cases);
  const missing = names.find((name) => !existsSync(fileOf(name, false)));
  if (missing) {
    throw new UsageError(
      `${folder} has no results of ${missing}: npm run bench:pacing -- --case ${missing} --strategy ${OURS} first`,
    );
  }
  return {
    ours: new Map(names.map((name) => [name, read(fileOf(name, false))])),
    compared: new Map(
      names.filter((name) => existsSync(fileOf(name, true))).map((name) => [name, read(fileOf(name, true))]),
    ),
  };
}

export function documentOf({ ours, compared }: PacingReports): string {
  return `# Pace

<!-- Made by \`npm run bench:pacing -- --document\`; change bench/pacing/document.ts instead. -->

How much of Rekognition's quota a burst of photos uses, and how many of its calls are throttled: the real state machine and
the real handlers on a real ledger, against a Rekognition that enforces its quota (a token bucket of one second) and answers
after a lognormal time. Each case is \`npm run bench:pacing -- --case NAME\`; the seeds are fixed.

## Rollcall

| case | indexed | billed twice | quota used | throttled calls | median wait | transitions a photo |
| --- | --- | --- | --- | --- | --- | --- |
${[...ours].map(([name, report]) => summary(name, oursIn(report))).join('\n')}

"Quota used" is indexed photos / seconds / what the quota leaves beside the neighbour, from the first event to the last
accepted call: the way to the first call, a stop and a pause are in it.
${[...ours].map(([name, report]) => extras(name, oursIn(report))).join('')}
## Beside what others do

Fair ports of the published designs, on the same handlers, Rekognition and photos, at their best settings found here and,
marked so, at the settings they are published with. "Ratio" is quota used, over Rollcall's. A strategy that has indexed
fewer than all photos was stopped after two and a half minutes at most. In a short run the first second, before the first
calls, weighs more.

![Calls per second over time](pacing.svg)

${[...compared].map(([name, report]) => comparison(name, report)).join('\n')}
${settings(compared)}`;
}

function oursIn(report: PacingReport): Measurement {
  return report.strategies.find(({ strategy }) => strategy === OURS)!;
}

function summary(name: string, ours: Measurement): string {
  return row(
    TITLES[name]!,
    `${ours.indexed} of ${ours.photos}`,
    String(ours.paid_twice),
    ours.quota_used.toFixed(3),
    percent(ours.throttled_ratio),
    seconds(ours.p50_wait_s),
    ours.transitions_per_photo.toFixed(1),
  );
}

function extras(name: string, { live, pause }: Measurement): string {
  return [
    ...(live
      ? [
          `With ${TITLES[name]!.replace(/, and.*/, '')} in the line, ${live.photos} live photos waited ${seconds(live.p50_wait_s)} (median) and at most
${seconds(live.p95_wait_s)} (95 % of them).\n`,
        ]
      : []),
    ...(pause
      ? [
          `After a pause the last call came within ${seconds(Math.max(0, pause.last_call_after_s))}, after the resume the first within ${seconds(pause.first_call_after_resume_s)}.\n`,
        ]
      : []),
  ].join('');
}

function comparison(name: string, report: PacingReport): string {
  const ours = oursIn(report);
  const asGood = report.strategies.filter(
    ({ strategy, indexed, quota_used, throttled_ratio, paid_twice }) =>
      strategy !== OURS &&
      indexed === ours.indexed &&
      quota_used >= AS_GOOD * ours.quota_used &&
      throttled_ratio <= Math.max(0.001, ours.throttled_ratio) &&
      paid_twice === 0,
  );
  return `### ${TITLES[name]}, ${report.photos.toLocaleString('en-US')} photos

| strategy | indexed | seconds | quota used | ratio | throttled calls | billed twice | transitions | GB-s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${report.strategies
  .map((each) =>
    row(
      each.strategy === OURS ? '**Rollcall**' : each.strategy,
      `${each.indexed} of ${each.photos}`,
      each.seconds.toFixed(1),
      each.quota_used.toFixed(3),
      (each.quota_used / ours.quota_used).toFixed(2),
      percent(each.throttled_ratio),
      String(each.paid_twice),
      each.transitions_per_photo.toFixed(1),
      each.lambda_gb_s_per_photo.toFixed(2),
    ),
  )
  .join('\n')}

${asGood.length > 0 ? `As good here: ${asGood.map(({ strategy }) => strategy).join(', ')}.` : 'None of the others is as good here.'}
`;
}

function settings(compared: Reports): string {
  const strategies = new Map(
    [...compared.values()].flatMap((report) =>
      report.strategies.map((each) => [each.strategy, each] as const),
    ),
  );
  return `### The strategies

${[...strategies.values()]
  .filter(({ strategy }) => strategy !== OURS)
  .map(({ strategy, settings: text, source }) => `- **${strategy}**: ${text} (<${source}>)`)
  .join('\n')}
`;
}

function row(...cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function seconds(value: number | null): string {
  return value === null ? '–' : `${value.toFixed(value < 1 ? 2 : 1)} s`;
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(2)} %`;
}
