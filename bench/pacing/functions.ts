/** AWS Lambda, as far as a pacing benchmark can tell: one request at a time in each environment, and cold starts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';

export type FunctionName =
  | 'EnsureCollection'
  | 'JoinLine'
  | 'IndexFaces'
  | 'PersistResults'
  | 'MarkFailed'
  /** All of it in one function, as the strategies without a state machine do. */
  | 'ProcessPhoto';

type Handler = (request: unknown, context: Context) => Promise<unknown>;

export interface Functions {
  invoke(name: FunctionName, request: unknown): Promise<unknown>;
  /** Counts work that was done outside of `invoke` as that of `ProcessPhoto`. */
  bill(ms: number): void;
  /** Seconds that functions ran, times their memory. */
  gigabyteSeconds(): number;
}

/** As deployed (a test holds it to the template); the one function of those without a state machine has what the calls of each photo have. */
export const MEGABYTES: Readonly<Record<FunctionName, number>> = {
  EnsureCollection: 512,
  JoinLine: 256,
  IndexFaces: 256,
  PersistResults: 256,
  MarkFailed: 512,
  ProcessPhoto: 256,
};
const TIMEOUT_MS = 60_000;
/** Until a new environment takes its first request (a bundle of half a megabyte), and a warm one its next. */
const COLD_START_MS = 250;
const WARM_START_MS = 10;

/** @param environments makes a new execution environment of each function */
export function createFunctions(environments: Record<FunctionName, () => Handler>): Functions {
  const idle: Record<FunctionName, Handler[]> = {
    EnsureCollection: [],
    JoinLine: [],
    IndexFaces: [],
    PersistResults: [],
    MarkFailed: [],
    ProcessPhoto: [],
  };
  let megabyteMs = 0;
  return {
    async invoke(name, request) {
      const startedMs = performance.now();
      let handler = idle[name].pop();
      await sleep(handler ? WARM_START_MS : COLD_START_MS);
      handler ??= environments[name]();
      const deadlineMs = performance.now() + TIMEOUT_MS;
      try {
        // Through JSON, as between Step Functions and Lambda.
        const result = await handler(JSON.parse(JSON.stringify(request)), {
          getRemainingTimeInMillis: () => Math.max(0, deadlineMs - performance.now()),
          functionName: name,
        } as Context);
        return JSON.parse(JSON.stringify(result));
      } finally {
        idle[name].push(handler);
        megabyteMs += (performance.now() - startedMs) * MEGABYTES[name];
      }
    },
    bill(ms) {
      megabyteMs += ms * MEGABYTES.ProcessPhoto;
    },
    gigabyteSeconds: () => megabyteMs / 1_000 / 1_024,
  };
}
