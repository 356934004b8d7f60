import type { BenchOptions } from './bench-options.ts';
import type { RekognitionReport } from './rekognition-server.ts';
import type { Photo, Stored } from './world.ts';

export interface Waits {
  photos: number;
  p50_wait_s: number | null;
  p95_wait_s: number | null;
}

export interface Measurement {
  strategy: string;
  settings: string;
  source: string;
  photos: number;
  /** As PostgreSQL has it at the end. */
  indexed: number;
  failed: number;
  failures: Record<string, number>;
  /** Neither indexed nor given up when the strategy was stopped. */
  unfinished: number;
  /** From the first event to the last call that Rekognition accepted. */
  seconds: number;
  /** From the first event to the end of the last photo. */
  elapsed_s: number;
  /** indexed / seconds / what the quota left beside the neighbour. */
  quota_used: number;
  left_per_second: number;
  calls: number;
  accepted: number;
  throttled: number;
  throttled_ratio: number;
  /** Accepted calls for a photo that had one already. */
  paid_twice: number;
  /** Rows in the database; two for each photo that is indexed. */
  faces: number;
  /** From a photo's event to its accepted call. */
  p50_wait_s: number | null;
  p95_wait_s: number | null;
  /** 0 for strategies without a state machine. */
  transitions_per_photo: number;
  lambda_gb_s_per_photo: number;
  /** Of the live photos, when there is a backfill. */
  live?: Waits;
  pause?: PauseMeasurement;
  /** Calls in each second since the first event. */
  timeline: { accepted: number[]; throttled: number[]; failed: number[] };
}

export interface PauseMeasurement {
  /** From the pause to the last call before the resume; negative when none came after it. */
  last_call_after_s: number;
  calls_after_2_s: number;
  /** From the resume to the first call. */
  first_call_after_resume_s: number | null;
}

export interface Run {
  photos: readonly Photo[];
  /** When each photo's event came, by photo id. */
  started: ReadonlyMap<string, number>;
  endedMs: number;
  report: RekognitionReport;
  stored: Stored;
  transitionsPerPhoto: number;
  gigabyteSeconds: number;
  pause: { fromMs: number; untilMs: number } | undefined;
}

export function measure(
  options: BenchOptions,
  strategy: Pick<Measurement, 'strategy' | 'settings' | 'source'>,
  run: Run,
): Measurement {
  const { calls, neighbourAccepted } = run.report;
  const startMs = Math.min(...run.started.values());
  const acceptedMs = new Map<string, number>();
  let accepted = 0;
  let throttled = 0;
  let lastMs = startMs;
  const timeline: Measurement['timeline'] = { accepted: [], throttled: [], failed: [] };
  for (const { atMs, photo, outcome } of calls) {
    const second = Math.max(0, Math.floor((atMs - startMs) / 1_000));
    timeline[outcome][second] = (timeline[outcome][second] ?? 0) + 1;
    if (outcome === 'throttled') {
      throttled++;
    } else if (outcome === 'accepted') {
      accepted++;
      lastMs = atMs;
      if (!acceptedMs.has(photo)) {
        acceptedMs.set(photo, atMs);
      }
    }
  }
  const seconds = (lastMs - startMs) / 1_000;
  const neighbourPerSecond = neighbourAccepted.filter((atMs) => atMs <= lastMs).length / seconds;
  const left = options.trueQuota - neighbourPerSecond;
  const { indexed, failed, faces, failures } = run.stored;
  const total = run.photos.length;
  return {
    ...strategy,
    indexed,
    failed,
    failures,
    unfinished: total - indexed - failed,
    seconds: round(seconds, 2),
    elapsed_s: round((run.endedMs - startMs) / 1_000, 2),
    quota_used: round(indexed / seconds / left, 4),
    left_per_second: round(left, 2),
    calls: calls.length,
    accepted,
    throttled,
    throttled_ratio: round(calls.length > 0 ? throttled / calls.length : 0, 5),
    paid_twice: accepted - acceptedMs.size,
    faces,
    ...waits(run.photos, run.started, acceptedMs),
    transitions_per_photo: round(run.transitionsPerPhoto, 2),
    lambda_gb_s_per_photo: round(run.gigabyteSeconds / Math.max(1, indexed), 4),
    ...(options.backfill > 0 && {
      live: waits(
        run.photos.filter(({ input }) => input.lane === 'live'),
        run.started,
        acceptedMs,
      ),
    }),
    ...(run.pause && { pause: pauseMeasurement(run.pause, calls) }),
    timeline: {
      accepted: filled(timeline.accepted),
      throttled: filled(timeline.throttled),
      failed: filled(timeline.failed),
    },
  };
}

function waits(
  photos: readonly Photo[],
  started: ReadonlyMap<string, number>,
  acceptedMs: ReadonlyMap<string, number>,
): Waits {
  const sorted = photos
    .flatMap(({ id }) => (acceptedMs.has(id) ? [acceptedMs.get(id)! - started.get(id)!] : []))
    .sort((a, b) => a - b);
  const percentile = (share: number) =>
    sorted.length > 0
      ? round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! / 1_000, 3)
      : null;
  return { photos: photos.length, p50_wait_s: percentile(0.5), p95_wait_s: percentile(0.95) };
}

function pauseMeasurement(
  { fromMs, untilMs }: { fromMs: number; untilMs: number },
  calls: RekognitionReport['calls'],
): PauseMeasurement {
  const before = calls.filter(({ atMs }) => atMs < untilMs);
  const firstAfter = calls.find(({ atMs }) => atMs >= untilMs);
  return {
    last_call_after_s: round(((before.at(-1)?.atMs ?? fromMs) - fromMs) / 1_000, 3),
    calls_after_2_s: before.filter(({ atMs }) => atMs > fromMs + 2_000).length,
    first_call_after_resume_s: firstAfter ? round((firstAfter.atMs - untilMs) / 1_000, 3) : null,
  };
}

function filled(counts: number[]): number[] {
  return Array.from(counts, (count) => count ?? 0);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
