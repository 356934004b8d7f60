import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import { type ExecutionListItem, ListExecutionsCommand, type SFNClient } from '@aws-sdk/client-sfn';
import { metricNames } from '../shared/contract/names.ts';
import { eventsFolder, foldersByEvent } from '../shared/contract/photo-key.ts';
import type { LedgerState } from '../shared/line/rules.ts';
import {
  type BeginReconciliationRequest,
  type Candidates,
  candidatesKey,
  MEMORY_KEY,
  type Memory,
  type Reconciliation,
} from '../shared/reconciliation/contract.ts';
import { eventsWithCollection } from '../shared/rekognition/collections.ts';
import { statesError } from '../shared/runtime/aws-errors.ts';
import type { Telemetry } from '../shared/runtime/telemetry.ts';
import type { JsonObjects } from '../shared/storage/json-objects.ts';
import { listPages } from '../shared/storage/list-pages.ts';

export interface BeginReconciliationDeps {
  states: SFNClient;
  s3: S3Client;
  rekognition: RekognitionClient;
  readLedger(): Promise<LedgerState>;
  objects: JsonObjects;
  telemetry: Pick<Telemetry, 'metrics'>;
  /** Resolves when the next call to Rekognition may be made. */
  pace(): Promise<void>;
  photoBucket: string;
  collectionPrefix: string;
  /** ARNs of the state machines whose executions change what is compared. */
  machines: readonly string[];
  /** Images that a run may start. */
  maxImages: number;
}

/** What is younger than this, and than the line is long, may still be under way. */
const SETTLE_MS = 3_600_000;

/** Erasures of deleted photos that one run starts. */
const MAX_DELETIONS = 1_000;

/** https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html: the latest first. */
const EXECUTIONS_A_CALL = 1_000;

/**
 * Decides whether there is anything to compare, without a call to the database: it may be asleep. Then lists what is known
 * outside of it.
 *
 * @throws PipelineError `StorageUnavailable`, `RekognitionThrottled`, `RekognitionUnavailable`, `LedgerBusy`, `AccessDenied`,
 *   `MissingConfiguration`
 */
export async function beginReconciliation(
  deps: BeginReconciliationDeps,
  { input, execution_arn, machine_arn, started_at }: BeginReconciliationRequest,
): Promise<Reconciliation> {
  const asOf = Date.parse(input.as_of);
  const { line_ms = 0, backfill_ms = 0 } = await deps.readLedger();
  const line = Math.max(0, line_ms - asOf, backfill_ms - asOf);
  const settled = new Date(asOf - SETTLE_MS - line);
  const run: Reconciliation = {
    next: 'skip',
    run: execution_arn.slice(execution_arn.lastIndexOf(':') + 1),
    scope: input.scope,
    as_of: input.as_of,
    started_at,
    settled: settled.toISOString(),
    batch: 0,
    batches: 0,
    abandoned: 0,
    images_left: deps.maxImages,
    deletions_left: MAX_DELETIONS,
    started: 0,
    outbox: false,
    found_in: [],
    questions: [],
  };
  if (await isAnotherRunning(deps, machine_arn, execution_arn, started_at)) {
    return run;
  }
  const memory = await deps.objects.find<Memory>(MEMORY_KEY);
  if (input.scope === 'changed' && !(await hasWork(deps, memory, settled))) {
    deps.telemetry.metrics.addMetric(metricNames.reconciliations, 'Count', 1);
    return run;
  }
  const candidates: Candidates = {
    folders: Object.fromEntries(foldersByEvent(await listFolders(deps))),
    ...(input.scope === 'all' && {
      collections: await eventsWithCollection(deps.rekognition, deps.collectionPrefix, deps.pace),
    }),
    unfinished: memory?.unfinished ?? [],
  };
  await deps.objects.put(candidatesKey(run.run), candidates);
  return { ...run, next: 'list' };
}

/** Of two, the one that started first goes on. */
async function isAnotherRunning(
  deps: BeginReconciliationDeps,
  machineArn: string,
  own: string,
  startedAt: string,
): Promise<boolean> {
  const running = await latestExecutions(deps, machineArn, 'RUNNING');
  const started = Date.parse(startedAt);
  return running.some(({ executionArn, startDate }) => {
    const other = startDate?.getTime() ?? 0;
    return executionArn !== own && (other < started || (other === started && executionArn! < own));
  });
}

/**
 * Whether anything happened that is settled by now and was not compared yet. An object whose event was lost leaves no
 * execution: if it is the only thing that happened, the daily run finds it.
 */
async function hasWork(
  deps: BeginReconciliationDeps,
  memory: Memory | undefined,
  settled: Date,
): Promise<boolean> {
  if (!memory || memory.unfinished.length > 0) {
    return true;
  }
  const since = new Date(memory.compared_until);
  for (const machine of deps.machines) {
    const executions = await latestExecutions(deps, machine);
    const unseen = executions.filter(({ startDate }) => startDate && startDate >= since);
    // As many as one call tells, and all of them too young: what came before them is not known.
    if (
      unseen.some(({ startDate }) => startDate! < settled) ||
      (unseen.length === EXECUTIONS_A_CALL && since < settled)
    ) {
      return true;
    }
  }
  return false;
}

async function latestExecutions(
  { states }: BeginReconciliationDeps,
  stateMachineArn: string,
  statusFilter?: 'RUNNING',
): Promise<ExecutionListItem[]> {
  const { executions = [] } = await states
    .send(
      new ListExecutionsCommand({
        stateMachineArn,
        maxResults: EXECUTIONS_A_CALL,
        ...(statusFilter && { statusFilter }),
      }),
    )
    .catch((error: unknown) => {
      throw statesError(error);
    });
  return executions;
}

async function listFolders({ s3, photoBucket }: BeginReconciliationDeps): Promise<string[]> {
  const folders: string[] = [];
  const listing = { Bucket: photoBucket, Prefix: eventsFolder(), Delimiter: '/' };
  for await (const { CommonPrefixes: prefixes = [] } of listPages(s3, listing)) {
    folders.push(...prefixes.map(({ Prefix: folder }) => folder!));
  }
  return folders;
}
