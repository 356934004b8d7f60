/** A clock that stands still while code runs, and jumps to whoever wakes next: asynchronous code as it is, in virtual time. */
import { setImmediate } from 'node:timers/promises';
import { EventQueue } from './event-queue.ts';

export class VirtualTime {
  readonly #queue = new EventQueue();
  readonly #wake: (() => void)[] = [];
  #nowMs: number;

  /** @param nowMs milliseconds since the epoch */
  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now = (): number => this.#nowMs;

  sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      this.#queue.push(this.#nowMs + Math.max(0, ms), this.#wake.push(resolve) - 1, 0);
    });

  /** Resolves when nobody sleeps any more. What runs must wait for nothing but sleep. */
  async run(): Promise<void> {
    for (;;) {
      // All that can go on at this moment does.
      await setImmediate();
      const next = this.#queue.pop();
      if (!next) {
        return;
      }
      this.#nowMs = next.timeMs;
      this.#wake[next.subject]!();
    }
  }
}
