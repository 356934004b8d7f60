import type { BenchOptions } from './bench-options.ts';
import type { Photo, World, WorldOptions } from './world.ts';

export interface Strategy {
  name: string;
  /** Its settings, in a line. */
  settings(options: BenchOptions): string;
  /** Where the design comes from. */
  source: string;
  world: WorldOptions;
  start(world: World): RunningStrategy;
}

export interface RunningStrategy {
  /** An upload's event arrives. */
  take(photo: Photo): void;
  /** Resolves when every photo that was taken has ended, one way or the other. */
  idle(): Promise<void>;
  /** Ends what still runs, when the time is up. */
  stop(): void;
  /** States entered and retried, for each photo that ended. */
  transitionsPerPhoto(): number;
}

/**
 * Seconds that a call and what surrounds it take on average, as far as somebody who tunes a concurrency limit can know
 * them: the mean of the lognormal latency, and what the functions do before and after.
 */
export function meanSeconds({ latencyMs }: BenchOptions, aroundMs: number): number {
  const sigma = 0.35;
  return (latencyMs * Math.exp(sigma ** 2 / 2) + aroundMs) / 1_000;
}
