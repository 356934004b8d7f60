/** What the scheduled reconciliation costs a month, reckoned from what its state machine does. */
import { MAX_BATCHES } from '../../lambdas/read-rows/plan-events.ts';
import { listPrices } from '../../lambdas/shared/contract/prices.ts';

/** An event as this is reckoned for, and how long its faces are kept. */
const PHOTOS = 1_000;
const FACES_A_PHOTO = 4;
const KEPT_DAYS = 30;
const CHANGED_DAYS = 3;
const ROWS_A_BATCH = 50_000;

const HOURS = 24 * 30;
const DAYS = 30;
/** Hours of a day in which a run finds something to compare, at most. */
const BUSY_HOURS = 12;

/** Gigabyte-seconds: two readings of the rows, the survey (two paced calls an event) and the comparison. */
const BATCH_GIGABYTE_SECONDS = 10;
/** A function call that finds nothing to do. */
const LOOK_GIGABYTE_SECONDS = 0.3;
/** Aurora's smallest capacity for the five idle minutes that it stays awake, and half a minute of work. */
const WAKE_HOURS = 5.5 / 60;

export interface ReconciliationCost {
  eventsAMonth: number;
  /** What nothing happens for, and what is compared. */
  usd: number;
  /** Aurora awake for it, if it was asleep each time. */
  auroraUsd: number;
  batches: number;
}

/** @param awakeUsdPerHour Aurora at its smallest */
export function reconciliationCost(eventsAMonth: number, awakeUsdPerHour: number): ReconciliationCost {
  const eventsABatch = ROWS_A_BATCH / (PHOTOS * (1 + FACES_A_PHOTO));
  const batchesOf = (events: number) => Math.min(MAX_BATCHES, Math.ceil(events / eventsABatch));
  // A burst is found once it is over, and in its middle if it is long.
  const busyRuns = Math.min(1.5 * eventsAMonth, BUSY_HOURS * DAYS);
  const changed = (eventsAMonth / DAYS) * CHANGED_DAYS;
  const live = (eventsAMonth / DAYS) * KEPT_DAYS;
  const batches = busyRuns * batchesOf(changed) + DAYS * batchesOf(live);

  const { stateTransition, lambdaGigabyteSecond, lambdaRequest, s3Read, s3Write, dynamodbReadUnit } =
    listPrices;
  // Who lists is billed like who writes.
  const list = s3Write;
  const look =
    3 * stateTransition +
    LOOK_GIGABYTE_SECONDS * lambdaGigabyteSecond +
    lambdaRequest +
    s3Read +
    dynamodbReadUnit;
  const run = 4 * stateTransition + 2 * lambdaRequest + 6 * s3Write + Math.ceil(live / 1_000) * list;
  const batch =
    5 * stateTransition +
    BATCH_GIGABYTE_SECONDS * lambdaGigabyteSecond +
    4 * lambdaRequest +
    3 * s3Write +
    7 * s3Read +
    // Photos, and their stored responses.
    2 * eventsABatch * Math.ceil(PHOTOS / 1_000) * list;
  return {
    eventsAMonth,
    usd: (HOURS + DAYS) * look + (busyRuns + DAYS) * run + batches * batch,
    auroraUsd: (busyRuns + DAYS) * WAKE_HOURS * awakeUsdPerHour,
    batches: Math.round(batches),
  };
}

/** The section of docs/cost.md. */
export function reconciliationSection(awakeUsdPerHour: number): string {
  const rows = [0, 100, 1_000, 10_000].map((events) => {
    const { usd, auroraUsd, batches } = reconciliationCost(events, awakeUsdPerHour);
    return `| ${events.toLocaleString('en-US')} | ${batches.toLocaleString('en-US')} | $${usd.toFixed(2)} | $${auroraUsd.toFixed(2)} |`;
  });
  return `## The reconciliation

| events a month | batches compared | Step Functions, Lambda, S3 | Aurora, if it was asleep each time |
| --- | --- | --- | --- |
${rows.join('\n')}

Reckoned, not measured, for events of ${PHOTOS.toLocaleString('en-US')} photos with ${FACES_A_PHOTO} faces each, kept for ${KEPT_DAYS} days, with photos coming in for at most ${BUSY_HOURS} hours
of a day; a batch is ${ROWS_A_BATCH.toLocaleString('en-US')} rows. An hourly run that finds nothing to compare ends after three transitions, one call of a
function, and without a call to the database. Listing faces and collections is free. What it indexes again costs as any
photo does, at most \`reconcileMaxImages\` (100) a run.
`;
}
