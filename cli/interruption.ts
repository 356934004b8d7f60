import { exitCodes } from './user-error.ts';

/** npm passes on the signal that the terminal has already sent to everyone: those are one wish and not two. */
const SAME_WISH_MS = 500;

const PARENT_CHECK_MS = 1_000;

export interface Interruption {
  /** Aborted at the first signal; its reason is the exit code. */
  signal: AbortSignal;
  /** Resolves at the first signal. */
  happened: Promise<void>;
}

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into a wish to stop in order, and a second one into an immediate exit.
 *
 * The shell between npm and this process does not pass signals on, so the end of that shell is a SIGTERM too.
 */
export function watchInterruption(onForce: () => void): Interruption {
  const controller = new AbortController();
  const { promise: happened, resolve } = Promise.withResolvers<void>();
  let firstAt = 0;
  const stop = (exitCode: number): void => {
    if (controller.signal.aborted) {
      if (performance.now() - firstAt > SAME_WISH_MS) {
        onForce();
        process.exit(exitCode);
      }
      return;
    }
    firstAt = performance.now();
    controller.abort(exitCode);
    resolve();
  };
  process.on('SIGINT', () => stop(exitCodes.interrupted));
  process.on('SIGTERM', () => stop(exitCodes.terminated));
  process.on('SIGHUP', () => stop(exitCodes.hungUp));
  if (process.env.npm_lifecycle_event) {
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid !== parent) {
        clearInterval(timer);
        stop(exitCodes.terminated);
      }
    }, PARENT_CHECK_MS);
    timer.unref();
  }
  return { signal: controller.signal, happened };
}
