/** How a run begins, or does not, in moments that a person can check. */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SFNClient } from '@aws-sdk/client-sfn';
import { beginReconciliation } from '../../../lambdas/begin-reconciliation/begin-reconciliation.ts';
import { metricNames } from '../../../lambdas/shared/contract/names.ts';
import type { LedgerState } from '../../../lambdas/shared/line/rules.ts';
import { candidatesKey, MEMORY_KEY, type Memory } from '../../../lambdas/shared/reconciliation/contract.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';
import { AS_OF, memoryObjects, runState } from '../../support/reconciliation-state.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const HOUR = 3_600_000;
const OWN = 'arn:aws:states:eu-west-1:1:execution:reconcile:run-1';
const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
/** Milliseconds after the run's clock. */
const at = (ms: number) => new Date(Date.parse(AS_OF) + ms);
const memory: Memory = {
  compared_until: at(-5 * HOUR).toISOString(),
  unfinished: [],
  first_seen: {},
  abandoned: {},
};

interface Execution {
  executionArn: string;
  startDate?: Date;
}

async function begin({
  scope = 'changed',
  remembered = memory,
  running,
  started = {},
  ledger = {},
  fails,
}: {
  scope?: 'changed' | 'all';
  remembered?: Memory | null;
  running?: Execution[];
  /** By machine. */
  started?: Record<string, (Date | undefined)[]>;
  ledger?: LedgerState;
  fails?: Error;
} = {}) {
  const { objects, content } = memoryObjects();
  if (remembered) {
    content.set(MEMORY_KEY, remembered);
  }
  const states = fakeClient<SFNClient>({
    ListExecutions: ({ statusFilter, stateMachineArn }) => {
      if (fails) {
        throw fails;
      }
      return statusFilter === 'RUNNING'
        ? running && { executions: running }
        : {
            executions: started[String(stateMachineArn)]?.map((startDate, n) => ({
              executionArn: `e${n}`,
              startDate,
            })),
          };
    },
  });
  const s3 = fakeClient<S3Client>({
    ListObjectsV2: ({ ContinuationToken }) =>
      ContinuationToken
        ? {}
        : { CommonPrefixes: [{ Prefix: `events/${EVENT}/` }], NextContinuationToken: 'more' },
  });
  const rekognition = fakeClient<RekognitionClient>({
    ListCollections: () => ({ CollectionIds: [`rollcall-${EVENT}`] }),
  });
  const { telemetry, recorded } = recordingTelemetry();
  const state = await beginReconciliation(
    {
      states: {
        send: (command: never) => states.client.send(command).then((answer) => answer ?? {}),
      } as never,
      s3: s3.client,
      rekognition: rekognition.client,
      readLedger: async () => ledger,
      objects,
      telemetry,
      pace: async () => {},
      photoBucket: 'photos',
      collectionPrefix: 'rollcall-',
      machines: ['index-photo', 'erase-faces'],
      maxImages: 7,
    },
    {
      input: { scope, as_of: AS_OF },
      execution_arn: OWN,
      machine_arn: 'reconcile',
      started_at: '2026-05-01T12:00:01.000Z',
    },
  );
  return {
    state,
    next: state.next,
    recorded,
    candidates: content.get(candidatesKey('run-1')),
    states: states.calls,
    s3: s3.calls,
    listed: rekognition.calls.length,
  };
}

const skipped = runState({
  next: 'skip',
  scope: 'changed',
  started_at: '2026-05-01T12:00:01.000Z',
  images_left: 7,
});

test('a run of the changed events that has nothing to do counts, and begins as every run does', async () => {
  const { state, recorded, candidates, states, s3 } = await begin();
  expect(state).toEqual(skipped);
  expect(recorded).toEqual([{ name: metricNames.reconciliations, value: 1, dimensions: {} }]);
  expect([candidates, s3]).toEqual([undefined, []]);
  expect(states.map(([, input]) => input)).toEqual([
    { stateMachineArn: 'reconcile', maxResults: 1_000, statusFilter: 'RUNNING' },
    { stateMachineArn: 'index-photo', maxResults: 1_000 },
    { stateMachineArn: 'erase-faces', maxResults: 1_000 },
  ]);
});

test('one that has lists the folders; one of all events the collections too', async () => {
  const changed = await begin({ started: { 'erase-faces': [at(-2 * HOUR)] } });
  expect(changed.state).toEqual({ ...skipped, next: 'list' });
  expect(changed.candidates).toEqual({ folders: { [EVENT]: [`events/${EVENT}/`] }, unfinished: [] });
  expect([changed.listed, changed.recorded]).toEqual([0, []]);
  expect(changed.s3[0]).toEqual(['ListObjectsV2', { Bucket: 'photos', Prefix: 'events/', Delimiter: '/' }]);
  const all = await begin({ scope: 'all', remembered: { ...memory, unfinished: ['e1'] } });
  expect(all.state).toEqual({ ...skipped, scope: 'all', next: 'list' });
  expect(all.candidates).toEqual({
    folders: { [EVENT]: [`events/${EVENT}/`] },
    collections: [EVENT],
    unfinished: ['e1'],
  });
  expect((await begin({ scope: 'all', remembered: null })).candidates).toMatchObject({ unfinished: [] });
});

test('what happened since the last run, and has settled, is work', async () => {
  const next = async (...dates: (Date | undefined)[]) =>
    (await begin({ started: { 'index-photo': dates } })).next;
  expect(await next(at(-5 * HOUR))).toBe('list');
  expect(await next(at(-5 * HOUR - 1))).toBe('skip');
  expect(await next(at(-HOUR - 1))).toBe('list');
  expect(await next(at(-HOUR))).toBe('skip');
  expect(await next(undefined)).toBe('skip');
  expect((await begin({ remembered: null })).next).toBe('list');
  expect((await begin({ remembered: { ...memory, unfinished: ['e1'] } })).next).toBe('list');
});

test('as many young ones as one call tells hide what came before them, unless all before is compared', async () => {
  const many = (count: number) => ({ 'index-photo': Array.from({ length: count }, () => at(-60_000)) });
  expect((await begin({ started: many(1_000) })).next).toBe('list');
  expect((await begin({ started: many(999) })).next).toBe('skip');
  const until = (ms: number) => ({ ...memory, compared_until: at(ms).toISOString() });
  expect((await begin({ started: many(1_000), remembered: until(-HOUR) })).next).toBe('skip');
  expect((await begin({ started: many(1_000), remembered: until(-HOUR - 1) })).next).toBe('list');
});

test('what may still be under way: an hour, and as long as the longer line is', async () => {
  const settled = async (ledger: LedgerState) => (await begin({ ledger })).state.settled;
  expect(await settled({})).toBe(at(-HOUR).toISOString());
  expect(await settled({ line_ms: at(-1).getTime(), backfill_ms: at(-1).getTime() })).toBe(
    at(-HOUR).toISOString(),
  );
  expect(await settled({ line_ms: at(5).getTime() })).toBe(at(-HOUR - 5).toISOString());
  expect(await settled({ line_ms: at(5).getTime(), backfill_ms: at(9).getTime() })).toBe(
    at(-HOUR - 9).toISOString(),
  );
});

test('of two runs the one that started first goes on, and of the same moment the one of the lesser name', async () => {
  const started = (ms: number) => new Date(Date.parse('2026-05-01T12:00:01.000Z') + ms);
  const beside = async (...running: Execution[]) => {
    const { next, recorded } = await begin({ scope: 'all', running });
    // Another one counts for itself.
    expect(recorded).toEqual([]);
    return next;
  };
  const own = { executionArn: OWN, startDate: started(0) };
  expect(await beside(own)).toBe('list');
  expect(await beside({ ...own, startDate: started(-1) })).toBe('list');
  expect(await beside(own, { executionArn: 'z', startDate: started(-1) })).toBe('skip');
  expect(await beside(own, { executionArn: 'z', startDate: started(1) })).toBe('list');
  expect(await beside(own, { executionArn: 'z', startDate: started(0) })).toBe('list');
  expect(await beside(own, { executionArn: 'a', startDate: started(0) })).toBe('skip');
  expect(await beside({ executionArn: 'a', startDate: started(1) })).toBe('list');
  // Of one that says not when, it is not known that it is the later one.
  expect(await beside(own, { executionArn: 'z' })).toBe('skip');
});

test('Step Functions that refuse are said so', async () => {
  await expect(begin({ fails: awsError('AccessDeniedException') })).rejects.toMatchObject({
    name: 'AccessDenied',
  });
});
