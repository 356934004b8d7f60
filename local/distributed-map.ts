import { randomUUID } from 'node:crypto';

/** https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html */
const DEFAULT_CONCURRENCY = 10_000;
const MAX_BATCH_BYTES = 262_144;

/** A Map state in DISTRIBUTED mode, as far as the local run understands it. */
export interface DistributedMapState {
  Type: 'Map';
  ItemReader: { Resource: string; Parameters: Record<string, unknown> };
  ItemBatcher?: { MaxItemsPerBatch?: number; MaxInputBytesPerBatch?: number; BatchInput?: object };
  ItemProcessor: {
    ProcessorConfig: { Mode: 'DISTRIBUTED'; ExecutionType: string };
    StartAt: string;
    States: Record<string, never>;
  };
  MaxConcurrency?: number;
  ToleratedFailurePercentage?: number;
  ToleratedFailureCount?: number;
  ResultWriter?: { Resource: string; Parameters: Record<string, unknown> };
}

/** What the state's templates became for one execution. */
export interface MapParameters {
  reader: { Bucket: string; Prefix?: string };
  batch_input: object;
  writer: { Bucket: string; Prefix?: string } | null;
}

type ItemStatus = 'pending' | 'running' | 'succeeded' | 'failed' | 'aborted';

export interface MapRun {
  mapRunArn: string;
  executionArn: string;
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED';
  startedAt: Date;
  endedAt?: Date;
  maxConcurrency: number;
  /** Items, and the executions that they are batched into. */
  items: Record<ItemStatus, number>;
  executions: Record<ItemStatus, number>;
}

/** What a Distributed Map reaches beside the engine. */
export interface MapServices {
  /** The objects of a bucket, a page at a time. */
  listObjects(bucket: string, prefix: string): AsyncIterable<ListedObject>;
  putObject(bucket: string, key: string, body: string): Promise<void>;
}

export interface ListedObject {
  Key: string;
  /** With quotes. */
  Etag: string;
  Size: number;
  /** Seconds since the epoch. */
  LastModified: number;
  StorageClass: string;
}

export class MapError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/**
 * Runs the items of a listing in batches, each as a child execution, at most as many at once as the state allows, until
 * more have failed than it tolerates.
 *
 * @param runChild runs one child to its end; rejects with an error of the name that it failed with
 * @returns the state's result: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
 */
export async function runDistributedMap(
  state: DistributedMapState,
  parameters: MapParameters,
  run: MapRun,
  services: MapServices,
  runChild: (name: string, input: object) => Promise<unknown>,
  signal: AbortSignal,
): Promise<object> {
  const items: ListedObject[] = [];
  for await (const item of services.listObjects(parameters.reader.Bucket, parameters.reader.Prefix ?? '')) {
    items.push(item);
  }
  const batches = makeBatches(items, state.ItemBatcher, parameters.batch_input);
  run.items.pending = items.length;
  run.executions.pending = batches.length;
  const tolerated = toleratedFailures(state, items.length);
  const results: { Name: string; Status: string; Output?: unknown; Error?: string; Cause?: string }[] = [];
  const queue = batches.values();

  async function work(): Promise<void> {
    for (const { size, input } of queue) {
      if (signal.aborted || run.items.failed > tolerated) {
        return;
      }
      const move = (from: ItemStatus, to: ItemStatus) => {
        run.items[from] -= size;
        run.items[to] += size;
        run.executions[from]--;
        run.executions[to]++;
      };
      move('pending', 'running');
      const name = randomUUID();
      try {
        const output = await runChild(name, input);
        results.push({ Name: name, Status: 'SUCCEEDED', Output: output });
        move('running', 'succeeded');
      } catch (error) {
        if (signal.aborted) {
          move('running', 'aborted');
          return;
        }
        const failure = error as Error;
        results.push({ Name: name, Status: 'FAILED', Error: failure.name, Cause: failure.message });
        move('running', 'failed');
      }
    }
  }

  const workers = Math.min(state.MaxConcurrency || DEFAULT_CONCURRENCY, batches.length);
  await Promise.all(Array.from({ length: workers }, work));
  if (signal.aborted) {
    throw new MapError('States.ExecutionAborted', 'The Map Run was aborted');
  }
  const details = await writeResults(parameters.writer, run.mapRunArn, results, services);
  if (run.items.failed > tolerated) {
    throw new MapError(
      'States.ExceedToleratedFailureThreshold',
      'The specified tolerated failure threshold was exceeded',
    );
  }
  return details
    ? { MapRunArn: run.mapRunArn, ResultWriterDetails: details }
    : (results.map(({ Output }) => Output) as object);
}

export function startMapRun(executionArn: string, stateName: string, maxConcurrency: number): MapRun {
  const counts = () => ({ pending: 0, running: 0, succeeded: 0, failed: 0, aborted: 0 });
  const [machine, execution] = executionArn.split(':').slice(6) as [string, string];
  return {
    mapRunArn: `${executionArn.split(':').slice(0, 5).join(':')}:mapRun:${machine}/${stateName}:${execution}-${randomUUID()}`,
    executionArn,
    status: 'RUNNING',
    startedAt: new Date(),
    maxConcurrency,
    items: counts(),
    executions: counts(),
  };
}

function makeBatches(
  items: readonly ListedObject[],
  batcher: DistributedMapState['ItemBatcher'],
  batchInput: object,
): { size: number; input: object }[] {
  if (!batcher) {
    return items.map((item) => ({ size: 1, input: item }));
  }
  const maxItems = batcher.MaxItemsPerBatch ?? Number.POSITIVE_INFINITY;
  const maxBytes = Math.min(batcher.MaxInputBytesPerBatch ?? MAX_BATCH_BYTES, MAX_BATCH_BYTES);
  const batches: ListedObject[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item));
    const current = batches.at(-1);
    if (current && current.length < maxItems && bytes + size <= maxBytes) {
      current.push(item);
      bytes += size;
    } else {
      batches.push([item]);
      bytes = size + Buffer.byteLength(JSON.stringify(batchInput));
    }
  }
  return batches.map((batch) => ({ size: batch.length, input: { BatchInput: batchInput, Items: batch } }));
}

function toleratedFailures(state: DistributedMapState, items: number): number {
  const { ToleratedFailurePercentage: percentage, ToleratedFailureCount: count } = state;
  const limits = [
    ...(percentage === undefined ? [] : [(items * percentage) / 100]),
    ...(count === undefined ? [] : [count]),
  ];
  return limits.length > 0 ? Math.min(...limits) : 0;
}

async function writeResults(
  writer: MapParameters['writer'],
  mapRunArn: string,
  results: readonly { Status: string }[],
  services: MapServices,
): Promise<{ Bucket: string; Key: string } | undefined> {
  if (!writer) {
    return undefined;
  }
  const folder = [writer.Prefix, mapRunArn.split(':').at(-1)].filter(Boolean).join('/');
  const files: Record<string, { Key: string; Size: number }[]> = { FAILED: [], PENDING: [], SUCCEEDED: [] };
  for (const [status, ofStatus] of Map.groupBy(results, (result) => result.Status)) {
    const Key = `${folder}/${status}_0.json`;
    const body = JSON.stringify(ofStatus);
    await services.putObject(writer.Bucket, Key, body);
    files[status]!.push({ Key, Size: Buffer.byteLength(body) });
  }
  const Key = `${folder}/manifest.json`;
  const manifest = { DestinationBucket: writer.Bucket, MapRunArn: mapRunArn, ResultFiles: files };
  await services.putObject(writer.Bucket, Key, JSON.stringify(manifest));
  return { Bucket: writer.Bucket, Key };
}
