/** What a run of the pacing benchmark is made of. */
export interface BenchOptions {
  photos: number;
  /** The quota that the strategies are configured with, calls per second. */
  quota: number;
  /** What Rekognition really allows. */
  trueQuota: number;
  latencyMs: number;
  neighbour: number;
  stop: { afterS: number; forS: number } | undefined;
  /** Photos of the backfill lane, started before the live ones. */
  backfill: number;
  /** Live photos started per second. */
  startsPerSecond: number;
  pause: { afterS: number; forS: number } | undefined;
  strategies: string[];
  /** A strategy that takes longer is stopped, and counts as far as it got. */
  limitS: number;
  seed: number;
  json: boolean;
  /** Makes docs/pacing.md of the results in `out`, and measures nothing. */
  document: boolean;
  /** Folder of the plot, the table and the JSON. */
  out: string;
  /** Names the files in it. */
  name: string;
}
