/** Runs photos through the local pipeline and counts what AWS would bill. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { type Cloud, type ExecutionEnd, startCloud } from '../../local/cloud.ts';
import type { InvocationUsage } from '../../local/lambda-runtime.ts';
import { freePort } from '../../test/support/free-port.ts';
import { findMadeFaces, madePhoto } from '../../test/support/made-photos.ts';
import { lognormal, seededRandom } from '../../test/support/random.ts';
import { type FunctionWork, invocationGigabyteSeconds, median, startGigabyteSeconds } from './lambda-time.ts';
import { countTurns } from './turns.ts';

export interface RunOptions {
  photos: number;
  /** Median of IndexFaces; lognormal. */
  latencyMs: number;
  /** IndexFaces calls per second: as many as this machine keeps up with, because nothing that is counted depends on it. */
  quota: number;
  /** Faces of a photo, on average. */
  faces: number;
  seed: number;
}

/** Everything that AWS bills by use, added up over all photos. */
export interface Quantities {
  photos: number;
  indexed: number;
  /** IndexFaces calls that were answered. */
  images: number;
  transitions: number;
  lambdaRequests: number;
  /** Seconds billed times memory, the start of environments included: see lambda-time.ts. */
  lambdaGigabyteSeconds: number;
  /** The part of it that is the start of environments. */
  coldGigabyteSeconds: number;
  coldStarts: number;
  dynamodbWriteUnits: number;
  dynamodbReadUnits: number;
  s3Writes: number;
  /** Rekognition's own reading of each photo included. */
  s3Reads: number;
  s3Events: number;
  /** Of the queue of announcements, its polling apart. */
  sqsRequests: number;
  logBytes: number;
  faces: number;
  /** The functions' parts of it, by state. */
  functions: Record<string, FunctionQuantities>;
}

export interface FunctionQuantities extends FunctionWork {
  gigabyteSeconds: number;
  logBytes: number;
}

const ARRIVALS_TO_CALLS = 1.5;

/** CloudWatch Logs bills each event's text and this. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html */
const LOG_EVENT_OVERHEAD_BYTES = 26;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAPI.html; what is neither is free (DELETE). */
const S3_WRITES = new Set(['PUT', 'POST']);
/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html */
const SQS_BATCH = 10;

const S3_READS = new Set(['GET', 'HEAD']);

export async function countRun(options: RunOptions, onStep: (text: string) => void): Promise<Quantities> {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'rollcall-cost-'));
  const random = seededRandom(options.seed);
  const meter = new Meter();
  const proxies: { stop(): Promise<void> }[] = [];
  let cloud: Cloud | undefined;
  try {
    cloud = await startCloud({
      stateDir,
      postgresPort: await freePort(),
      onStep,
      // Enough environments for the pace: each photo holds one for its slot and its call.
      lambdaConcurrency: Math.ceil(options.quota * (1.5 + options.latencyMs / 1_000)) + 4,
      context: { 'rollcall.indexFacesPerSecond': options.quota },
      onLambdaOutput: (name, line) => meter.log(name, line),
      onInvocation: (name, used) => meter.invocation(name, used),
      rekognition: {
        findFaces: findMadeFaces,
        quotas: { IndexFaces: options.quota },
        intercept(operation) {
          if (operation !== 'IndexFaces') {
            return undefined;
          }
          const delayMs = lognormal(random, options.latencyMs);
          meter.rekognition(delayMs);
          return { delayMs };
        },
      },
      between: {
        services: {
          s3: {
            disturb: () => undefined,
            onAnswer({ method, headers }) {
              meter.called('s3', headers.authorization);
              meter.s3(method);
            },
          },
          dynamodb: {
            disturb(request) {
              askForCapacity(request);
              return undefined;
            },
            onAnswer({ headers }, { status, body }) {
              meter.called('dynamodb', headers.authorization);
              meter.dynamodb(String(headers['x-amz-target']), status, body);
            },
          },
        },
        database: async (port) => {
          const proxy = await countTurns(port, () => meter.turn());
          proxies.push(proxy);
          return proxy.port;
        },
        invoke: (fn, payload, lambdas) => {
          meter.batch(payload);
          return lambdas.invoke(fn, payload);
        },
        event: (event, publish) => {
          meter.event(event);
          publish(event);
        },
      },
    });
    // The deployment's own work is not a photo's.
    meter.reset();
    cloud.onExecutionEnd((end) => meter.execution(end));
    onStep(`Indexing ${options.photos} photos`);
    await upload(cloud, options, random);
    await cloud.idle();
    const images = cloud.rekognitionCalls('IndexFaces');
    const { indexed, faces } = await stored(cloud);
    return { ...meter.quantities(options.photos, images), indexed, faces };
  } finally {
    await cloud?.stop({ abort: true });
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    rmSync(stateDir, { recursive: true, force: true });
  }
}

class Meter {
  #counts = this.#none();

  #none() {
    return {
      transitions: 0,
      lambdaRequests: 0,
      dynamodbWriteUnits: 0,
      dynamodbReadUnits: 0,
      s3Writes: 0,
      s3Reads: 0,
      s3Events: 0,
      sqsRequests: 0,
      logBytes: 0,
      databaseTurns: 0,
      rekognitionCalls: 0,
      rekognitionMs: 0,
      functions: new Map<string, Counted>(),
    };
  }

  reset(): void {
    this.#counts = this.#none();
  }

  log(functionName: string, line: string): void {
    const bytes = Buffer.byteLength(line) + LOG_EVENT_OVERHEAD_BYTES;
    this.#counts.logBytes += bytes;
    this.#function(functionName).logBytes += bytes;
  }

  invocation(functionName: string, { cpuMs, initCpuMs, megabytes }: InvocationUsage): void {
    const fn = this.#function(functionName);
    this.#counts.lambdaRequests++;
    fn.megabytes = megabytes;
    fn.cpuMs.push(cpuMs);
    if (initCpuMs !== undefined) {
      fn.initCpuMs.push(initCpuMs);
    }
  }

  /** @param authorization names the role that calls, and with it the function */
  called(service: 's3' | 'dynamodb', authorization = ''): void {
    const [, functionName] = /Credential=LOCAL-([^/]+)\//.exec(authorization) ?? [];
    if (functionName !== undefined) {
      this.#function(functionName)[service === 's3' ? 's3Calls' : 'dynamodbCalls']++;
    }
  }

  turn(): void {
    this.#counts.databaseTurns++;
  }

  rekognition(delayMs: number): void {
    this.#counts.rekognitionCalls++;
    this.#counts.rekognitionMs += delayMs;
  }

  #function(functionName: string): Counted {
    // The stack's name and the construct's before it, a hash after it.
    const state = functionName.replace(/^.*(PhotoIndexing|Announcements)/, '').replace(/[0-9A-F]{8}$/, '');
    const { functions } = this.#counts;
    let counted = functions.get(state);
    if (!counted) {
      counted = { megabytes: 0, cpuMs: [], initCpuMs: [], s3Calls: 0, dynamodbCalls: 0, logBytes: 0 };
      functions.set(state, counted);
    }
    return counted;
  }

  s3(method: string): void {
    this.#counts.s3Writes += S3_WRITES.has(method) ? 1 : 0;
    this.#counts.s3Reads += S3_READS.has(method) ? 1 : 0;
  }

  dynamodb(target: string, status: number, body: Buffer): void {
    const { ConsumedCapacity: consumed } = (status === 200 ? JSON.parse(body.toString('utf8')) : {}) as {
      ConsumedCapacity?: { CapacityUnits: number };
    };
    // A write whose condition does not hold is billed all the same, and its answer does not say so.
    const units = consumed?.CapacityUnits ?? 1;
    if (/\.(Get|Query|Scan|BatchGet)/.test(target)) {
      this.#counts.dynamodbReadUnits += units;
    } else {
      this.#counts.dynamodbWriteUnits += units;
    }
  }

  event({ source, detail }: { source: string; detail: unknown }): void {
    // Up to 64 KB is one.
    this.#counts.s3Events += source === 'aws.s3' ? Math.ceil(JSON.stringify(detail).length / 65_536) : 0;
  }

  /** EventBridge sends one message after the other; Lambda receives and deletes ten at once. */
  batch(payload: unknown): void {
    const messages = (payload as { Records?: unknown[] }).Records?.length ?? 0;
    this.#counts.sqsRequests += messages + 2 * Math.ceil(messages / SQS_BATCH);
  }

  execution({ status, transitions, error, cause }: ExecutionEnd): void {
    if (status !== 'SUCCEEDED') {
      throw new Error(`A photo failed, so the others' price is not a price: ${status} ${error}: ${cause}`);
    }
    this.#counts.transitions += transitions;
  }

  quantities(photos: number, images: number): Omit<Quantities, 'indexed' | 'faces'> {
    const { functions, databaseTurns, rekognitionCalls, rekognitionMs, ...counts } = this.#counts;
    const works = [...functions].map(([state, counted]): [string, FunctionQuantities] => {
      const work: FunctionWork = {
        requests: counted.cpuMs.length,
        megabytes: counted.megabytes,
        cpuMs: median(counted.cpuMs),
        initCpuMs: median(counted.initCpuMs),
        coldStarts: counted.initCpuMs.length,
        s3Calls: counted.s3Calls,
        dynamodbCalls: counted.dynamodbCalls,
        // One function of a photo's way asks the database, and one Rekognition for what takes its time.
        databaseTurns: state === 'PersistResults' ? databaseTurns : 0,
        rekognitionCalls: state === 'IndexFaces' ? rekognitionCalls : 0,
        rekognitionMs: state === 'IndexFaces' ? rekognitionMs : 0,
      };
      const gigabyteSeconds = invocationGigabyteSeconds(work) + startGigabyteSeconds(work);
      return [state, { ...work, gigabyteSeconds, logBytes: counted.logBytes }];
    });
    const sum = (of: (work: FunctionQuantities) => number) =>
      works.reduce((total, [, work]) => total + of(work), 0);
    return {
      photos,
      images,
      ...counts,
      lambdaGigabyteSeconds: sum(({ gigabyteSeconds }) => gigabyteSeconds),
      coldGigabyteSeconds: sum(startGigabyteSeconds),
      coldStarts: sum(({ coldStarts }) => coldStarts),
      functions: Object.fromEntries(works),
      // Rekognition's own reading of each photo.
      s3Reads: counts.s3Reads + images,
    };
  }
}

/** Of one function, as it is counted. */
interface Counted {
  megabytes: number;
  /** Of each invocation. */
  cpuMs: number[];
  /** Of each start. */
  initCpuMs: number[];
  s3Calls: number;
  dynamodbCalls: number;
  logBytes: number;
}

/** DynamoDB says what a request consumed when it is asked to. */
function askForCapacity(request: { headers: Record<string, unknown>; body: Buffer }): void {
  const asked = JSON.parse(request.body.toString('utf8')) as object;
  request.body = Buffer.from(JSON.stringify({ ...asked, ReturnConsumedCapacity: 'TOTAL' }));
  request.headers['content-length'] = String(request.body.length);
}

/**
 * Photos come somewhat faster than they are indexed, so that they stand in line as in a burst; but not all at once,
 * because the functions of this machine share its cores, and on Lambda each has its own.
 */
async function upload(
  cloud: Cloud,
  { photos, faces, quota }: RunOptions,
  random: () => number,
): Promise<void> {
  const eventId = crypto.randomUUID();
  // From none to twice the average, and different pictures, as far as their bytes.
  const pictures = await Promise.all(
    Array.from({ length: 2 * faces + 1 }, (_, count) => madePhoto(count, 40 + count)),
  );
  const startMs = performance.now();
  for (let photo = 0; photo < photos; photo++) {
    await sleep(startMs + (1_000 * photo) / (ARRIVALS_TO_CALLS * quota) - performance.now());
    const Key = `events/${eventId}/IMG_${String(photo).padStart(5, '0')}.jpg`;
    const Body = pictures[Math.floor(random() * pictures.length)]!;
    await cloud.s3.send(new PutObjectCommand({ Bucket: cloud.photoBucket, Key, Body }));
  }
}

async function stored(cloud: Cloud): Promise<{ indexed: number; faces: number }> {
  const { default: postgres } = await import('postgres');
  const sql = postgres(cloud.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql<{ indexed: number; faces: number }[]>`
      SELECT count(*)::int AS indexed, coalesce(sum(face_count), 0)::int AS faces FROM photos WHERE status = 'indexed'`;
    return row!;
  } finally {
    await sql.end();
  }
}
