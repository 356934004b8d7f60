/**
 * Lets at most `limit` tasks run at once. Waiting tasks take turns by key, so that one collection's thousand photos do not
 * hold up another collection's one.
 */
export class FairQueue {
  readonly #limit: number;
  readonly #waiting = new Map<string, (() => void)[]>();
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) {
      await new Promise<void>((resolve) => {
        const line = this.#waiting.get(key);
        if (line) {
          line.push(resolve);
        } else {
          this.#waiting.set(key, [resolve]);
        }
      });
    } else {
      this.#running++;
    }
    try {
      return await task();
    } finally {
      this.#next();
    }
  }

  /** Hands the place on: to the key that waited longest for its turn. */
  #next(): void {
    const [turn] = this.#waiting;
    if (!turn) {
      this.#running--;
      return;
    }
    const [key, line] = turn;
    const start = line.shift();
    this.#waiting.delete(key);
    if (line.length > 0) {
      // To the end of the round.
      this.#waiting.set(key, line);
    }
    start?.();
  }
}
