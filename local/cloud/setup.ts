/** What every part of a cloud gets when it starts: the options, its place on the disk, and when it is to stop. */
import { join } from 'node:path';
import type { CloudOptions } from './contract.ts';

/**
 * The order in which the parts stop: what sets work off before what carries it out, and that before what it needs. Within a
 * stage the last to start is the first to stop.
 */
const STAGES = [
  'schedules',
  'announcement',
  'queues',
  'state machines',
  'functions',
  'gateways',
  'services',
  'report',
  'state folder',
] as const;

type Stage = (typeof STAGES)[number];

/** @param abort whether what is at work is cut off rather than waited for */
type Stop = (abort: boolean) => Promise<void> | void;

export interface Setup {
  options: CloudOptions;
  /** Tells the person who waits what is going on. */
  step(text: string): void;
  /** A path in the state folder. */
  inState(...names: string[]): string;
  onStop(stage: Stage, stop: Stop): void;
  /** Stops all that has started, once. */
  stop(options?: { abort?: boolean }): Promise<void>;
}

/** Waits for all that has begun, also where some of it fails: only then can all that started be stopped. */
export async function together<const Starts extends readonly unknown[]>(
  ...starts: Starts
): Promise<{ -readonly [Index in keyof Starts]: Awaited<Starts[Index]> }> {
  await Promise.allSettled(starts);
  return Promise.all(starts);
}

export function createSetup(options: CloudOptions): Setup {
  const stops: { stage: Stage; stop: Stop }[] = [];
  return {
    options,
    step: options.onStep ?? (() => {}),
    inState: (...names) => join(options.stateDir, ...names),
    onStop: (stage, stop) => {
      stops.push({ stage, stop });
    },
    async stop({ abort = false } = {}) {
      const lastFirst = stops.splice(0).reverse();
      for (const stage of STAGES) {
        for (const { stop } of lastFirst.filter((other) => other.stage === stage)) {
          await stop(abort);
        }
      }
    },
  };
}
