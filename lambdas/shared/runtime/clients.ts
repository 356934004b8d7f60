/** Milliseconds to open a connection to an AWS service: a healthy one takes tens. */
const CONNECTION_TIMEOUT_MS = 3_000;

/**
 * SDK client options with the timeouts that the SDK lacks by default, so that a silent peer ends as an error with a
 * name and not as a Lambda timeout.
 *
 * @param requestTimeoutMs how long one attempt may wait for its answer
 * @param maxAttempts 1 where the state machine or the slot ledger decides about the next attempt
 */
export function clientOptions(requestTimeoutMs: number, maxAttempts: number) {
  return {
    maxAttempts,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    },
  };
}

/** A command of the SDK, as far as it matters here. */
interface Sendable {
  middlewareStack: {
    add(
      middleware: <Args, Output>(next: (args: Args) => Promise<Output>) => (args: Args) => Promise<Output>,
      options: { step: 'finalizeRequest'; priority: 'low'; name: string },
    ): void;
  };
}

/**
 * Has the SDK send a command once, whatever its client would do: where an answer is lost nobody knows whether the command was carried
 * out, and the SDK would send it again.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
 */
export function sendOnce(command: Sendable): void {
  let failure: unknown;
  // Within the SDK's own retries, which are of the same step.
  command.middlewareStack.add(
    (next) => async (args) => {
      if (failure !== undefined) {
        throw failure;
      }
      try {
        return await next(args);
      } catch (error) {
        failure = error;
        throw error;
      }
    },
    { step: 'finalizeRequest', priority: 'low', name: 'sendOnce' },
  );
}
