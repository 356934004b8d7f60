/** The part of `docs/pacing.md` that the cases with goals are, between two marks, so that it can be made without the others. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { bestOf, type ContestReport, contestCases, type Point } from './contest.ts';
import { type Figure, type GoalsReport, goalsFile } from './goals.ts';
import { UsageError } from './options.ts';

const BEGIN = '<!-- goals: begin -->';
const END = '<!-- goals: end -->';
const PARTS = ['fairness', 'changing-quota', ...Object.keys(contestCases), 'first-photo'];

export type GoalsReports = ReadonlyMap<string, GoalsReport>;

/** @throws UsageError naming a case that has not been run */
export function readGoals(folder: string): GoalsReports {
  return new Map(
    PARTS.map((name) => {
      const file = path.join(folder, goalsFile(name));
      if (!existsSync(file)) {
        throw new UsageError(
          `${folder} has no results of ${name}: npm run bench:pacing -- --case ${name} first`,
        );
      }
      return [name, JSON.parse(readFileSync(file, 'utf8')) as GoalsReport];
    }),
  );
}

/** A page with this part anew; at its end, where it had none. */
export function withGoals(page: string, reports: GoalsReports): string {
  const part = `${BEGIN}\n\n${goalsPart(reports)}\n${END}\n`;
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  return from < 0 || to < from
    ? `${page.trimEnd()}\n\n${part}`
    : page.slice(0, from) + part.trimEnd() + page.slice(to + END.length);
}

export function contestsOf(reports: GoalsReports): ContestReport[] {
  return Object.keys(contestCases).map((name) => reports.get(name) as ContestReport);
}

function goalsPart(reports: GoalsReports): string {
  const contests = contestsOf(reports);
  return [
    fairnessSection(reports.get('fairness')!),
    changingSection(reports.get('changing-quota')!),
    `## Less than the quota, and nobody is told

What others do at their best settings, in virtual time (\`npm run bench:pacing -- --case neighbour\` and \`--case true-quota\`, ${contests[0]!.seeds} seeds):
only when each of them calls Rekognition counts here, everything else is a delay. "Steady" is the share of what is left between the first
twentieth of the photos and the last; in a short run it is above 1 by the second of calls that Rekognition's bucket holds at first. "Tail" is how much
longer the last twentieth takes than it would at what is left. "Alone" is the same setting where nobody takes anything. Of
each strategy, the setting is shown that uses most with at most 1.5 % of its calls throttled, or else the one with the fewest, and that uses at
least 0.95 of a whole quota: nobody is told of a neighbour beforehand.

![Share of the quota used against throttled calls](pacing-frontier.svg)

${contests.map(contestTables).join('\n')}
**As good as ours** is a fixed rate (an API destination, a GCRA item) that is set to what is left and never to more; set to the quota, it has
15 % of its calls throttled or more. One process with the same curve is better by what standing in line costs.
`,
    firstPhotoSection(reports.get('first-photo')!),
  ].join('\n');
}

export function fairnessSection({ seeds, goals }: GoalsReport): string {
  return `## Events beside each other

Events stand in line by turns ([ADR 21](adr/0021-turns-of-events.md)). \`npm run bench:pacing -- --case fairness\`, in virtual time with the
line's own rules, ${seeds} seeds. A wait is from the upload to Rekognition's answer. A fair share is what an event would have if each
call could be cut as fine as one likes (generalised processor sharing), of the calls that were made: how much of the quota they use is a
goal of its own.

${table(goals)}

What passes others is paid by them: a photo that comes to the gate when its event has had its turns goes back to the end of its event,
three transitions ($0.000075). An event alone pays nothing, nor do events that come at the same time.
`;
}

function changingSection({ seeds, goals }: GoalsReport): string {
  return `## A quota that changes

50, then 30, then 80 calls a second, a third of the run each, as Service Quotas may give it ([ADR 24](adr/0024-a-quota-that-changes.md)).
\`npm run bench:pacing -- --case changing-quota\`, in virtual time, ${seeds} seeds. "Used" is of what the quota allowed at each moment, from the first upload
to the last accepted call.

${table(goals)}

A photo that is told its moment at 50 a second cannot be called earlier at 80. Where all photos of a run are told before the change, the last of
them are the last of the run.
`;
}

function contestTables({ case: name, points }: ContestReport): string {
  const lengths = [...new Set(points.map(({ photos }) => photos))];
  return lengths
    .map((photos) => {
      const these = points.filter((each) => each.photos === photos);
      const best = [...new Set(these.map(({ strategy }) => strategy))].map((strategy) =>
        bestOf(these.filter((each) => each.strategy === strategy)),
      );
      return `### ${capital(contestCases[name]!.name)}, ${photos.toLocaleString('en-US')} photos

| strategy | setting | steady | tail | throttled calls | alone |
| --- | --- | --- | --- | --- | --- |
${best.map(contestRow).join('\n')}
`;
    })
    .join('\n');
}

function contestRow({ strategy, setting, steady, tail, throttled, alone, isOurs }: Point): string {
  const cells = [
    isOurs ? `**${strategy}**` : strategy,
    setting,
    range(steady, 1, 3),
    `${range(tail, 1, 1)} s`,
    `${range(throttled, 100, 2)} %`,
    alone.toFixed(3),
  ];
  return `| ${cells.join(' | ')} |`;
}

function firstPhotoSection({ seeds, goals }: GoalsReport): string {
  return `## The first photo

A photo that comes to an idle pipeline, by the clock, with the real handlers and their environments warm: \`npm run bench:pacing -- --case first-photo\`,
${seeds} seeds. No second is waited for: a place that is due now is past for the Wait state.

${table(goals)}

On AWS there is more between the parts than on one machine. What AWS says of it:

| part | documented | source |
| --- | --- | --- |
| S3's event | "typically in seconds", at times a minute or longer | <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html> |
| five states of a Standard workflow | nothing is promised | <https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html> |
| a cold start, once for each of four functions | under 100 ms to over 1 s each, of less than 1 % of invocations | <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html> |
| DynamoDB, some six requests | single-digit milliseconds each | <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html> |
| Aurora, where it is paused | about 15 s; more than a day paused, 30 s or longer | <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html> |

So a first photo that comes warm waits for S3's event more than for everything else together; cold it takes up to four seconds more, and up to half a
minute more where Aurora is asleep. Its call to Rekognition is made before Aurora is needed.
`;
}

function table(goals: GoalsReport['goals']): string {
  return `| goal | asked | median | least | most | holds |
| --- | --- | --- | --- | --- | --- |
${goals
  .map(
    ({ name, asked, median, least, most, holds }) =>
      `| ${[name, asked, ...[median, least, most].map((figure) => figure.toFixed(3)), holds ? 'yes' : '**no**'].join(' | ')} |`,
  )
  .join('\n')}`;
}

function range({ median, least, most }: Figure, times: number, digits: number): string {
  const text = (value: number) => (value * times).toFixed(digits);
  return `${text(median)} (${text(least)} to ${text(most)})`;
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}
