import { IMAGE_USD, listPrices, PRICES_OF, SEARCH_USD } from '../../lambdas/shared/contract/prices.ts';
import { apiSection } from './api.ts';
import type { Design } from './designs.ts';
import { type Cost, costOf, FLOOR_USD_PER_1000 } from './items.ts';
import { LATENCY_MS, SLOT_WAIT_MS } from './lambda-time.ts';
import type { Quantities, RunOptions } from './quantities.ts';
import { reconciliationSection } from './reconciliation.ts';

/** Announcements that are batches of their own: three requests, and an invocation of 50 ms with 512 MB. */
const ALONE_USD_PER_1000 =
  1_000 * (3 * listPrices.sqsRequest + listPrices.lambdaRequest + 0.025 * listPrices.lambdaGigabyteSecond);

export interface CostReport {
  options: RunOptions;
  quantities: Quantities;
  cost: Cost;
  designs: Design[];
}

/** What `--json` prints. */
export function jsonOf({ options, quantities, cost, designs }: CostReport): object {
  return {
    usd_per_1000: round(cost.usd_per_1000),
    floor_usd_per_1000: FLOOR_USD_PER_1000,
    items: cost.items.map((item) => ({
      ...item,
      quantity_per_photo: Number(item.quantity_per_photo.toPrecision(4)),
      usd_per_1000: round(item.usd_per_1000),
    })),
    designs: designs.map(({ perPhoto, ...design }) => ({
      ...design,
      usd_per_1000: round(costOf(perPhoto).usd_per_1000),
    })),
    aurora: aurora(),
    faces_usd_per_1000_and_month: round(
      (1_000 * listPrices.faceMonth * quantities.faces) / quantities.indexed,
    ),
    prices: PRICES_OF,
    run: { ...options, ...quantities },
  };
}

/** Apart from the photos: it costs by the hour that it is awake. */
export function aurora(): {
  idle_usd_per_month: number;
  awake_usd_per_hour: number;
  storage_usd_per_gb_month: number;
} {
  return {
    idle_usd_per_month: 0,
    // The smallest capacity it works with is half a unit.
    awake_usd_per_hour: listPrices.auroraCapacityHour / 2,
    storage_usd_per_gb_month: listPrices.auroraGigabyteMonth,
  };
}

export function tableOf({ quantities, cost, designs }: CostReport): string {
  const rows = [
    ...cost.items.map(({ name, quantity_per_photo, unit, usd_per_1000 }) => [
      name,
      `${quantity_per_photo.toPrecision(3)} ${unit}`,
      dollars(usd_per_1000),
    ]),
    ['All of it', '', dollars(cost.usd_per_1000)],
    ['Rekognition alone', '', dollars(FLOOR_USD_PER_1000)],
    ...designs.map(({ name, indexed, photos, perPhoto }) => [
      name,
      indexed < photos ? `${photos - indexed} of ${photos} lost` : '',
      dollars(costOf(perPhoto).usd_per_1000),
    ]),
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return [
    `${quantities.indexed} of ${quantities.photos} photos indexed, ${quantities.faces} faces. US dollars per 1,000 photos, ${PRICES_OF.region}, ${PRICES_OF.date}:`,
    '',
    ...rows.map(
      ([name, quantity, usd]) =>
        `  ${name!.padEnd(widths[0]!)}  ${quantity!.padEnd(widths[1]!)}  ${usd!.padStart(8)}`,
    ),
    '',
    `Aurora apart: nothing while it is paused, $${aurora().awake_usd_per_hour.toFixed(2)} an hour awake.`,
  ].join('\n');
}

/** `docs/cost.md`, all of it. */
export function documentOf(report: CostReport): string {
  const { options, quantities, cost, designs } = report;
  const overhead = cost.usd_per_1000 - FLOOR_USD_PER_1000;
  const coldShare = quantities.coldGigabyteSeconds / quantities.lambdaGigabyteSeconds;
  const facesPerPhoto = quantities.faces / quantities.indexed;
  const { awake_usd_per_hour, storage_usd_per_gb_month } = aurora();
  const tail = (5.5 / 60) * awake_usd_per_hour;
  return `# What it costs

<!-- Made by \`npm run bench:cost -- --write\`; change bench/cost/report.ts instead. -->

**$${cost.usd_per_1000.toFixed(3)} per 1,000 photos**, of which $${FLOOR_USD_PER_1000.toFixed(2)} is Rekognition's own price. Everything else (state machine, functions, records, logs)
adds $${overhead.toFixed(3)}, or ${((100 * overhead) / FLOOR_USD_PER_1000).toFixed(0)} %.

List prices of ${PRICES_OF.region}, ${PRICES_OF.date}, without any free tier. The table of prices is
[\`lambdas/shared/contract/prices.ts\`](../lambdas/shared/contract/prices.ts); the spend alarm and \`ops cost\` count $${IMAGE_USD} an image by it.

## By item

| item | for each photo | price | per 1,000 photos |
| --- | --- | --- | --- |
${cost.items
  .map(
    ({ name, unit, quantity_per_photo, usd_per_1000 }) =>
      `| ${name} | ${quantityText(quantity_per_photo)} ${unit} | ${priceText(usd_per_1000 / 1_000 / quantity_per_photo, unit)} | ${dollars(usd_per_1000)} |`,
  )
  .join('\n')}
| **all of it** | | | **${dollars(cost.usd_per_1000)}** |

How it was counted: ${quantities.photos} photos of ${facesPerPhoto.toFixed(1)} faces on average, sent in one burst through the whole pipeline on one
machine. The state machine's transitions, each function's invocations, DynamoDB's consumed capacity as the table reports it,
S3's requests as they pass, and every byte that is logged. Of the [announcements](adr/0017-announced-before-it-is-indexed.md), SQS
is asked once to send each, and twice for ten of a batch; photos that come one by one cost about $${ALONE_USD_PER_1000.toFixed(4)} per 1,000 for that. Rekognition answers after ${options.latencyMs} ms (median, lognormal), which is
what the functions mostly wait for; with another latency, "Lambda, time" moves by
$${(1_000 * 0.1 * listPrices.lambdaGigabyteSecond * indexFacesMemoryGb(report) || 0).toFixed(4)} for each 100 ms.

### Where Lambda's time comes from

Not from the clock: on a machine that others use too, a function waits for a core, and the same photos took two and a half times as
long from one day to another. It is made of what does not depend on that:

| function | CPU time, ms | memory, MB | S3 | DynamoDB | database | GB-s a photo |
| --- | --- | --- | --- | --- | --- | --- |
${functionRows(quantities)}

CPU time is the median of the invocations, as the process itself counts it (user and system), and becomes as much longer as the
function's memory gives it less than a CPU ([one at 1,769 MB](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)). The other
columns count calls, each waited for as long as it takes on AWS: ${LATENCY_MS.s3} ms for S3
([the lower end for small objects](https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html)),
${LATENCY_MS.dynamodb} ms for DynamoDB ([single-digit milliseconds](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html)),
${LATENCY_MS.database} ms for a round trip to PostgreSQL. IndexFaces waits for Rekognition besides, and up to a second for its slot: ${SLOT_WAIT_MS.toFixed(0)} ms on average after what it asks before.
The start of environments is ${(100 * coldShare).toFixed(0)} % of it.

### What S3 is read for

Each of the six reads of a photo has its reason, and together they cost $${(6_000 * listPrices.s3Read).toFixed(4)} per 1,000 photos. JoinLine looks for a stored
response (who has one waits in no line, and through no pause); IndexFaces looks for it again (an attempt may have died after it
was stored: not billed twice), at the photo before its call (nothing is billed for one that is gone) and after it (the faces of a newer upload are
not kept as this one's); Rekognition reads the photo, and PersistResults the response.

Not counted, because it depends on the operator or on others: the upload's own PUT ($0.005 per 1,000), keeping photos and
logs, X-Ray (off by default).

## Beside other designs

The same work at the same prices, for a burst of ${(designs[0]?.photos ?? 0).toLocaleString('en-US')} photos against a quota of 50 calls a second, as
\`bench:pacing\` runs them:

| design | per 1,000 photos | calls throttled | photos lost |
| --- | --- | --- | --- |
| Rekognition alone: the floor of any design | ${dollars(FLOOR_USD_PER_1000)} | | |
${designs
  .map(
    ({ name, perPhoto, throttled_ratio, photos, indexed }) =>
      `| ${name} | ${dollars(costOf(perPhoto).usd_per_1000)} | ${(100 * throttled_ratio).toFixed(1)} % | ${photos - indexed} of ${photos} |`,
  )
  .join('\n')}
| **Rollcall** | **${dollars(cost.usd_per_1000)}** | at most 0.1 % | 0 |

${designs.map(({ name, description, source }) => `- **${name}**: ${description} (<${source}>).`).join('\n')}

The design without orchestration is the cheapest, by the price of the transitions. What the difference buys: no photo is
dropped by a burst, each is billed once, every attempt of every photo can be looked at, and a failed photo says why.
Retries instead of pacing save two states, and pay a transition and a function call for each throttled attempt: cheaper for
a handful of photos, dearer the larger the burst is, and slower, because a photo that backs off leaves quota unused. A place
in line costs the same for the first photo and the ten thousandth.

## What does not depend on the number of photos

| | a month |
| --- | --- |
| Aurora, paused | $0 |
| Aurora, awake | $${awake_usd_per_hour.toFixed(2)} an hour at its smallest (0.5 ACU); a burst keeps it up for five minutes more than it lasts, about $${tail.toFixed(3)} |
| Aurora, storage | $${storage_usd_per_gb_month.toFixed(2)} a GB; a million faces with their responses are about 2 GB |
| Faces in the collections | $${(1_000_000 * listPrices.faceMonth).toFixed(2)} a million; these photos' ${facesPerPhoto.toFixed(1)} faces each: $${(1_000 * facesPerPhoto * listPrices.faceMonth).toFixed(3)} per 1,000 photos |
| Alarms, the daily wake-up, polling | counted from the template in [deploy.md](deploy.md#what-it-costs-idle) |
| Metrics | $${listPrices.metricMonth.toFixed(2)} each while they are sent to, about 30 of them; the first ten are free |
| Dashboard | $${listPrices.dashboardMonth}; the first three are free |
| Key of the alarm topics | $${listPrices.kmsKeyMonth} |
| Secret of the database's master | $${listPrices.secretMonth.toFixed(2)} |
| Budget | free |

With \`database: 'external'\` the Aurora lines are whatever that database costs, and there is no VPC; with \`aurora\` there is
one, but neither a NAT gateway nor a paid endpoint in it.

${apiSection(awake_usd_per_hour)}
${reconciliationSection(awake_usd_per_hour)}
## Searches

A search for a person costs about $1.02 per 1,000: Rekognition's price of an image ($1.00, SearchFacesByImage and SearchFaces
alike), and both functions, their logs and three to five writes of DynamoDB. A picture in which no face passes the quality filter
is asked about twice; what Rekognition refuses is free. The next page of an answer is another search. It is not measured but
reckoned from the functions' times; the spend alarm counts $${SEARCH_USD} a search.

With the defaults, searches end a day at 50,000 (\`dailySearchCap\`), about $${(50_000 * SEARCH_USD).toFixed(0)}, and an event's hour at $${(5_000 * SEARCH_USD).toFixed(0)}.

## Keeping it down

- **The daily cap** (\`dailyImageCap\`, 200,000 images) ends the day's spending at about $${(200_000 * IMAGE_USD).toFixed(0)}. Photos wait until midnight UTC, or
  until \`npm run ops -- cap --images N\`. Waiting costs about $0.0012 a photo and day: it asks twice an hour.
- **A photographer's daily cap** (\`dailyImagesPerPhotographer\`, off) ends the day of one photographer, and of nobody else. Counting takes a
  write and one or two reads of DynamoDB for each photo, about $0.0009 per 1,000; off, nothing.
- **Two alarms**: \`spend-today\` within minutes, from the pipeline's own count of billed images; AWS Budgets within hours,
  from the bill. See the [runbook](runbook.md#spend-today).
- **Who costs what**: \`npm run ops -- cost --by event\` (or \`photographer\`, \`day\`), from one row for each billed call.
- **More than a million images a month** are cheaper: $0.0008 an image, then $0.0006 and $0.0004. The estimates stay at the
  first million's price.
`;
}

function functionRows({ functions, indexed }: Quantities): string {
  return Object.entries(functions)
    .filter(([, { requests }]) => requests > 0)
    .map(([name, work]) => {
      const each = (calls: number) => (calls / work.requests).toFixed(1);
      const { cpuMs, megabytes, s3Calls, dynamodbCalls, databaseTurns, gigabyteSeconds } = work;
      return `| ${name} | ${cpuMs.toFixed(0)} | ${megabytes} | ${each(s3Calls)} | ${each(dynamodbCalls)} | ${each(databaseTurns)} | ${(gigabyteSeconds / indexed).toFixed(3)} |`;
    })
    .join('\n');
}

function indexFacesMemoryGb({ quantities }: CostReport): number {
  return (quantities.functions.IndexFaces?.megabytes ?? 0) / 1_024;
}

function dollars(usd: number): string {
  return `$${usd.toFixed(usd < 0.01 ? 4 : 3)}`;
}

function quantityText(quantity: number): string {
  return quantity < 0.001 ? quantity.toExponential(2) : String(Number(quantity.toPrecision(3)));
}

function priceText(price: number, unit: string): string {
  return price >= 0.1
    ? `$${price.toFixed(2)} a ${unit.replace(/s$/, '')}`
    : `$${Number((1e6 * price).toPrecision(6))} a million`;
}

function round(usd: number): number {
  return Math.round(usd * 1e6) / 1e6;
}
