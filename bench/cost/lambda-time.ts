/**
 * How long a function runs on Lambda, made of what it does and not of how long that took here: on a machine with other work a
 * function waits for the cores, and its wall-clock time says more about the neighbours than about the function.
 */

/** What was counted of one function, all its invocations together. */
export interface FunctionWork {
  requests: number;
  megabytes: number;
  /** CPU time of an invocation, user and system, milliseconds: the median, which a busy machine hardly moves. */
  cpuMs: number;
  /** CPU time of the start of an environment, likewise. */
  initCpuMs: number;
  coldStarts: number;
  s3Calls: number;
  dynamodbCalls: number;
  /** Round trips to PostgreSQL. */
  databaseTurns: number;
  /** IndexFaces calls, and the milliseconds that Rekognition took for them: simulated, and known to the millisecond. */
  rekognitionCalls: number;
  rekognitionMs: number;
}

/** What a call of another service is waited for, milliseconds. */
export const LATENCY_MS = {
  /** https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html: small objects take 100 to 200 ms. */
  s3: 100,
  /** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html: single-digit milliseconds. */
  dynamodb: 9,
  /** Between two zones of a Region, and a statement that reads or writes by keys. */
  database: 3,
} as const;

/** What IndexFaces asks before it waits for its slot: for a stored response and for the photo; for its receipt and for the ledger. */
const BEFORE_SLOT_MS = 2 * LATENCY_MS.s3 + 2 * LATENCY_MS.dynamodb;

/**
 * IndexFaces is entered at the whole second in which the photo's slot lies, and sleeps what is left of the time until then, milliseconds
 * on average: the slot may lie anywhere in the second, and before it comes the function has asked its questions.
 */
export const SLOT_WAIT_MS = (1_000 - BEFORE_SLOT_MS) ** 2 / (2 * 1_000);

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html: at 1,769 MB a function has one vCPU. */
const MEGABYTES_OF_A_CPU = 1_769;

/** CPU time becomes as much longer as the function's share of a CPU is smaller. */
export function onItsShare(cpuMs: number, megabytes: number): number {
  return cpuMs / Math.min(1, megabytes / MEGABYTES_OF_A_CPU);
}

/** Gigabyte-seconds of one function's invocations, the start of environments apart. */
export function invocationGigabyteSeconds(work: FunctionWork): number {
  const waitedMs =
    work.s3Calls * LATENCY_MS.s3 +
    work.dynamodbCalls * LATENCY_MS.dynamodb +
    work.databaseTurns * LATENCY_MS.database +
    work.rekognitionMs +
    work.rekognitionCalls * SLOT_WAIT_MS;
  return gigabyteSeconds(work.requests * onItsShare(work.cpuMs, work.megabytes) + waitedMs, work.megabytes);
}

/** Gigabyte-seconds of the starts: with a whole CPU, which is how Lambda starts an environment. */
export function startGigabyteSeconds({ coldStarts, initCpuMs, megabytes }: FunctionWork): number {
  return gigabyteSeconds(coldStarts * initCpuMs, megabytes);
}

export function gigabyteSeconds(ms: number, megabytes: number): number {
  return (ms / 1_000) * (megabytes / 1_024);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length === 0 ? 0 : (sorted[Math.ceil(middle - 0.5)]! + sorted[Math.floor(middle - 0.5)]!) / 2;
}
