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
