/**
 * Two designs that are well known, with the same work and the same prices. Their own runs are those of `bench:pacing`:
 * a burst of photos against a Rekognition that enforces its quota.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Measurement } from '../pacing/measure.ts';
import { type PerPhoto, perPhoto } from './items.ts';
import { gigabyteSeconds, LATENCY_MS, onItsShare } from './lambda-time.ts';
import type { FunctionQuantities, Quantities } from './quantities.ts';

export interface Design {
  name: string;
  /** What it does, and where it comes from. */
  description: string;
  source: string;
  photos: number;
  indexed: number;
  throttled_ratio: number;
  perPhoto: PerPhoto;
}

const BURST_PER_SECOND = 150;
const LIMIT_SECONDS = 600;

/**
 * Runs both; takes a few minutes, because one of them waits for two of them.
 *
 * @param quantities what was counted for this project: a function of theirs logs as much as one of ours, and computes and waits as
 *   long for the same work
 */
export async function measureDesigns(
  { photos, latencyMs, seed }: { photos: number; latencyMs: number; seed: number },
  quantities: Quantities,
): Promise<Design[]> {
  const ours: Ours = { ...perPhoto(quantities), functions: quantities.functions };
  const measurements = await runPacing(
    ['--photos', String(photos), '--latency-ms', String(latencyMs), '--seed', String(seed)],
    ['retry-only@defaults', 'retry-only'],
  );
  return measurements.map((measured) =>
    measured.strategy === 'retry-only'
      ? design(
          'Step Functions, retries instead of pacing',
          'the same states without a ledger; who is throttled backs off exponentially with jitter',
          measured,
          retried(measured, ours),
        )
      : design(
          'S3 event to one Lambda, no orchestration',
          "one function does it all; the SDK tries three times, Lambda's queue twice more, then the photo is dropped",
          measured,
          unorchestrated(measured, ours),
        ),
  );
}

function design(name: string, description: string, measured: Measurement, perPhoto: PerPhoto): Design {
  const { source, photos, indexed, throttled_ratio } = measured;
  return { name, description, source, photos, indexed, throttled_ratio, perPhoto };
}

/** Each attempt at IndexFaces looks at two objects, and writes its idempotency record and takes it back or completes it. */
function retried(measured: Measurement, ours: Ours): PerPhoto {
  const { transitions_per_photo: transitions } = measured;
  const attempts = measured.calls / measured.indexed;
  const index = ours.functions.IndexFaces!;
  const attemptMs = onItsShare(index.cpuMs, index.megabytes) + 2 * LATENCY_MS.s3 + 2 * LATENCY_MS.dynamodb;
  const lambdaGigabyteSeconds =
    each(ours.functions.EnsureCollection!) +
    each(ours.functions.PersistResults!) +
    // The one that is not throttled waits for Rekognition too, looks once more and stores the response.
    gigabyteSeconds(attempts * attemptMs + rekognitionMs(index) + 2 * LATENCY_MS.s3, index.megabytes);
  return {
    ...common(measured, ours, transitions),
    transitions,
    lambdaGigabyteSeconds,
    s3Writes: 1,
    s3Reads: 2 * attempts + 2,
    dynamodbWriteUnits: 2 * attempts,
    dynamodbReadUnits: 0,
    s3Events: 1,
    sqsRequests: 0,
  };
}

/** No state between two functions: no transition, no stored response, no records; S3 calls Lambda free of charge. */
function unorchestrated(measured: Measurement, ours: Ours): PerPhoto {
  const index = ours.functions.IndexFaces!;
  const persist = ours.functions.PersistResults!;
  const throttled = (measured.calls - measured.accepted) / measured.indexed;
  const ms =
    onItsShare(index.cpuMs + persist.cpuMs, index.megabytes) +
    rekognitionMs(index) +
    (persist.databaseTurns / persist.requests) * LATENCY_MS.database +
    throttled * SDK_BACKOFF_MS;
  return {
    ...common(measured, ours, 1),
    transitions: 0,
    lambdaGigabyteSeconds: gigabyteSeconds(ms, index.megabytes),
    s3Writes: 0,
    s3Reads: 1,
    dynamodbWriteUnits: 0,
    dynamodbReadUnits: 0,
    s3Events: 0,
    sqsRequests: 0,
  };
}

/** Of the SDK, before its second and third attempt at a throttled call: random between nothing and 500 ms, and 1,000 ms. */
const SDK_BACKOFF_MS = 375;

type Ours = PerPhoto & Pick<Quantities, 'functions'>;

function each({ gigabyteSeconds: all, requests }: FunctionQuantities): number {
  return all / requests;
}

function rekognitionMs(index: FunctionQuantities): number {
  return index.rekognitionMs / index.rekognitionCalls;
}

function common(measured: Measurement, ours: PerPhoto, lambdaRequests: number) {
  return {
    images: measured.accepted / measured.indexed,
    lambdaRequests,
    // As much as one of our functions logs, on average.
    logGigabytes: lambdaRequests * (ours.logGigabytes / ours.lambdaRequests),
  };
}

async function runPacing(args: string[], strategies: string[]): Promise<Measurement[]> {
  const out = mkdtempSync(path.join(tmpdir(), 'rollcall-cost-'));
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--disable-warning=TimeoutNegativeWarning',
        path.join(import.meta.dirname, '../pacing.ts'),
        ...args,
        ...['--starts', String(BURST_PER_SECOND), '--limit', String(LIMIT_SECONDS), '--out', out, '--json'],
        ...strategies.flatMap((name) => ['--strategy', name]),
      ],
      { maxBuffer: 64 * 1024 * 1024 },
    );
    const report = JSON.parse(stdout.trim().split('\n').at(-1)!) as { strategies: Measurement[] };
    return report.strategies;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
