/**
 * For tests of one running cloud that build on each other: what one needs of another it asks for, and whoever asks first runs it. So
 * each can be run by itself, and all of them together do everything once.
 */
export function once<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => {
    result ??= run();
    return result;
  };
}

/** Tests that others look back at. */
export function stories() {
  const told: (() => Promise<void>)[] = [];
  return {
    /** A test; returns what has run it. */
    it(name: string, run: () => Promise<void>, timeoutMs?: number): () => Promise<void> {
      const tell = once(run);
      told.push(tell);
      test(name, tell, timeoutMs);
      return tell;
    },
    /** Resolves when all have run that were told of by now. */
    async all(): Promise<void> {
      for (const tell of told) {
        await tell();
      }
    },
  };
}
