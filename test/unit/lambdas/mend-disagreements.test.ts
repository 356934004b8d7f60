/** A batch of a reconciliation as its function sees it: compared, mended, and the end of a run. */
import type { S3Client } from '@aws-sdk/client-s3';
import { ExecutionAlreadyExists, type SFNClient } from '@aws-sdk/client-sfn';
import {
  type MendDisagreementsDeps,
  mendDisagreements,
} from '../../../lambdas/mend-disagreements/mend-disagreements.ts';
import type { LedgerState } from '../../../lambdas/shared/line/rules.ts';
import {
  batchKey,
  type EventRows,
  MEMORY_KEY,
  type MendDisagreementsRequest,
  type Plan,
  planKey,
  type Reconciliation,
  runFolder,
  type SurveyedEvent,
} from '../../../lambdas/shared/reconciliation/contract.ts';
import {
  EVENT,
  face,
  keyOf,
  LONG_AGO,
  object,
  photoId,
  response,
  row,
} from '../../support/compared-world.ts';
import { failing, fakeClient } from '../../support/fake-client.ts';
import { AS_OF, memoryObjects, runPlan, runState } from '../../support/reconciliation-state.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const RUN = 'run-1';

interface Batch {
  before?: string[];
  survey?: Partial<SurveyedEvent>;
  rows?: Partial<EventRows>;
}

/** One event in which all agree on photo 1, but for what is given. */
function world(
  batch: Batch = {},
  {
    ledger = {},
    plan = {},
    answers = {},
  }: {
    ledger?: LedgerState;
    plan?: Partial<Plan>;
    answers?: Record<string, (input: Record<string, unknown>) => unknown>;
  } = {},
) {
  const { objects, content } = memoryObjects();
  const faces = batch.rows?.faces ?? [face(1)];
  content.set(planKey(RUN), runPlan({ batches: [[{ id: EVENT, folders: [] }]], ...plan }));
  content.set(batchKey(RUN, 0, 'before'), { [EVENT]: batch.before ?? faces.map(({ id }) => id) });
  content.set(batchKey(RUN, 0, 'survey'), {
    [EVENT]: {
      objects: [object(1)],
      collection: [['f1', photoId(1)]],
      responses: [response(1)],
      ...batch.survey,
    } satisfies SurveyedEvent,
  });
  content.set(batchKey(RUN, 0, 'rows'), {
    [EVENT]: { erased_before: null, photos: [row(1)], faces, leaving: [], ...batch.rows } satisfies EventRows,
  });
  const states = fakeClient<SFNClient>({
    StartExecution: ({ stateMachineArn, name }) => ({ executionArn: `${stateMachineArn}:${name}` }),
    ...answers,
  });
  const s3 = fakeClient<S3Client>({ HeadObject: () => ({}), ListObjectsV2: () => ({}), ...answers });
  const { telemetry, total } = recordingTelemetry();
  const deps: MendDisagreementsDeps = {
    states: states.client,
    s3: s3.client,
    objects,
    readLedger: async () => ledger,
    telemetry,
    now: () => Date.parse(AS_OF),
    photoBucket: 'photos',
    resultsBucket: 'results',
    collectionPrefix: 'rollcall-',
    dailyImageCap: 1_000,
    indexPhoto: 'index-photo',
    eraseFaces: 'erase-faces',
  };
  const run = (step: MendDisagreementsRequest['step'], state: Partial<Reconciliation> = {}) =>
    mendDisagreements(deps, { step, input: runState({ batches: 1, ...state }) });
  const part = (name: Parameters<typeof batchKey>[2]) => content.get(batchKey(RUN, 0, name));
  return { run, deps, content, part, states: states.calls, s3: s3.calls, total };
}

const lost = { survey: { collection: [] } } satisfies Batch;
const stray = {
  survey: {
    collection: [
      ['f1', photoId(1)],
      ['x', photoId(9)],
    ],
  },
} satisfies Batch;
const unseen = { survey: { objects: [object(1), object(2)] } } satisfies Batch;
const gone = { survey: { objects: [] } } satisfies Batch;

describe('a batch is compared', () => {
  test('where all agree nothing is stored, and the next one follows', async () => {
    const { run, content } = world();
    const before = [...content.keys()];
    const state = await run('compare', { batches: 2 });
    expect(state).toEqual(runState({ batches: 2, batch: 1, next: 'read' }));
    expect([...content.keys()]).toEqual(before);
    expect((await world().run('compare', { abandoned: 1 })).next).toBe('collections');
    expect((await world().run('compare')).next).toBe('conclude');
  });

  test('a plan without that batch has nothing to compare', async () => {
    const { run } = world(unseen, { plan: { batches: [] } });
    expect(await run('compare')).toMatchObject({ batch: 1, found_in: [], next: 'conclude' });
  });

  test('what is to be indexed is stored with what was found, and paid for', async () => {
    const { run, part } = world(unseen);
    expect(await run('compare', { found_in: [7] })).toEqual(
      runState({ batches: 1, batch: 1, images_left: 99, found_in: [7, 0], next: 'mend' }),
    );
    expect(part('disagreements')).toEqual([
      { kind: 'never_seen', event_id: EVENT, about: photoId(2), fate: 'mending' },
    ]);
    expect(part('mending')).toMatchObject({
      index: [{ input: { bucket: 'photos', object: { key: keyOf(2) } } }],
      deletions: [],
    });
  });

  test('lost faces are asked for first, and are nobody’s outbox', async () => {
    const state = await world(lost).run('compare');
    expect(state).toMatchObject({
      next: 'ask',
      outbox: false,
      questions: [{ ask: 'lose_faces', photos: [{ event_id: EVENT, photo_id: photoId(1), face_id: 'f1' }] }],
    });
    expect(await world(lost).run('compare', { outbox: true })).toMatchObject({ outbox: true });
  });

  test('stray faces are asked for, and leave by the outbox', async () => {
    expect(await world(stray).run('compare')).toMatchObject({
      next: 'ask',
      outbox: true,
      questions: [
        {
          ask: 'remove_faces',
          collection_id: `rollcall-${EVENT}`,
          faces: [{ photo_id: photoId(9), face_id: 'x' }],
        },
      ],
    });
  });

  test('a face of nobody’s is no disagreement, and one that is leaving is none', async () => {
    const foreign = world({
      survey: {
        collection: [
          ['f1', photoId(1)],
          ['x', null],
        ],
      },
    });
    expect(await foreign.run('compare')).toMatchObject({ next: 'conclude', found_in: [] });
    const leaving = world({ ...stray, rows: { leaving: ['x'] } });
    expect(await leaving.run('compare')).toMatchObject({ next: 'conclude' });
  });

  test('an event without a collection has lost its faces; of an erased one nothing is to be indexed', async () => {
    expect(await world({ survey: { collection: null } }).run('compare')).toMatchObject({ next: 'ask' });
    // Of a photo that was erased by itself the object is there as before.
    const alone = world({ rows: { photos: [row(1, { status: 'erased', face_count: null })], faces: [] } });
    expect(await alone.run('compare')).not.toMatchObject({ images_left: 99 });
    const erased = world({ ...unseen, rows: { erased_before: '2026-05-01T11:30:00.000Z' } });
    expect(await erased.run('compare')).toMatchObject({ next: 'conclude' });
  });

  test('a face that was written after the faces were read is not lost', async () => {
    expect(await world({ ...lost, before: [] }).run('compare')).toMatchObject({ next: 'conclude' });
  });

  test.each<[what: string, ledger: LedgerState, fate: string]>([
    ['a pipeline that is paused', { paused_ms: 1 }, 'waiting'],
    ['a day whose cap is reached', { day: 20260501, images: 1_000 }, 'waiting'],
    ['one image below it', { day: 20260501, images: 999 }, 'mending'],
    ['the cap of yesterday', { day: 20260430, images: 1_000 }, 'mending'],
    ['a cap of an operator’s', { day: 20260501, images: 10, daily_image_cap: 10 }, 'waiting'],
    ['a day that has counted nothing', { day: 20260501, daily_image_cap: 1 }, 'mending'],
    ['yesterday, with a cap of one image', { day: 20260430, images: 9, daily_image_cap: 1 }, 'mending'],
  ])('%s: %j', async (_, ledger, fate) => {
    const { run, part } = world(unseen, { ledger });
    await run('compare');
    expect(part('disagreements')).toEqual([expect.objectContaining({ fate })]);
  });
});

describe('a batch is mended', () => {
  /** Compares first, as the run does. */
  async function mend(of: ReturnType<typeof world>, state: Partial<Reconciliation> = {}) {
    const compared = await of.run('compare', state);
    return mendDisagreements(of.deps, { step: 'mend', input: compared });
  }

  test('by an execution for each photo, of a name that says what it is about', async () => {
    const of = world({
      survey: { objects: [object(1), ...Array.from({ length: 12 }, (_, n) => object(n + 2))] },
    });
    const state = await mend(of, { started: 3, batches: 2 });
    expect(state).toMatchObject({ started: 15, questions: [], next: 'read', batch: 1 });
    expect(of.states).toHaveLength(12);
    for (const [command, { stateMachineArn, name, input }] of of.states) {
      const { object: indexed, lane } = JSON.parse(String(input));
      expect([command, stateMachineArn, lane]).toEqual(['StartExecution', 'index-photo', 'backfill']);
      expect(name).toMatch(new RegExp(`^reconcile-${/[^/]+(?=\.jpg$)/.exec(indexed.key)}-never_seen-`));
    }
  });

  test('at most five calls are made at once', async () => {
    let now = 0;
    let most = 0;
    const of = world(
      { survey: { objects: [object(1), ...Array.from({ length: 20 }, (_, n) => object(n + 2))] } },
      {
        answers: {
          async StartExecution() {
            most = Math.max(most, ++now);
            await new Promise((resolve) => setImmediate(resolve));
            now--;
            return { executionArn: 'e' };
          },
        },
      },
    );
    await mend(of);
    expect([most, of.states.length]).toEqual([5, 20]);
  });

  test('what was started before is not counted again', async () => {
    const of = world(unseen, {
      answers: {
        StartExecution: () => {
          throw new ExecutionAlreadyExists({ message: '', $metadata: {} });
        },
        DescribeExecution: () => ({ status: 'SUCCEEDED', startDate: new Date(AS_OF) }),
      },
    });
    expect(await mend(of)).toMatchObject({ started: 0 });
    expect(of.part('disagreements')).toEqual([expect.objectContaining({ fate: 'mending' })]);
  });

  test('what three executions did not mend is left to a person, and nothing else is', async () => {
    const of = world(
      { survey: { objects: [1, 2, 3, 4].map((n) => object(n)) } },
      {
        answers: {
          StartExecution: ({ name }) => {
            if ([2, 4].some((n) => String(name).includes(photoId(n)))) {
              throw new ExecutionAlreadyExists({ message: '', $metadata: {} });
            }
            return { executionArn: 'e' };
          },
          DescribeExecution: () => ({ status: 'FAILED', startDate: new Date(LONG_AGO) }),
        },
      },
    );
    expect(await mend(of)).toMatchObject({ started: 1 });
    expect(of.states.filter(([command]) => command === 'StartExecution')).toHaveLength(7);
    expect(of.part('disagreements')).toEqual(
      [
        [2, 'left'],
        [3, 'mending'],
        [4, 'left'],
      ].map(([n, fate]) => ({ kind: 'never_seen', event_id: EVENT, about: photoId(Number(n)), fate })),
    );
  });

  test('the faces of a photo whose object is gone are erased, once S3 has said so again', async () => {
    const said = (answer: () => unknown) => world(gone, { answers: { HeadObject: answer } });
    const missing = said(failing('NotFound', 404));
    expect(await mend(missing)).toMatchObject({ started: 1 });
    expect(missing.s3).toEqual([['HeadObject', { Bucket: 'photos', Key: keyOf(1) }]]);
    const [[, { stateMachineArn, input }]] = missing.states as [[string, Record<string, string>]];
    expect([stateMachineArn, JSON.parse(input!)]).toMatchObject([
      'erase-faces',
      { request: 'photo_deleted', object: { key: keyOf(1) } },
    ]);
    // Uploaded again, or not to be read by whoever wants to: either way it is there.
    for (const answer of [() => ({}), failing('InvalidRequest', 400)]) {
      const there = said(answer);
      expect(await mend(there)).toMatchObject({ started: 0 });
      expect(there.states).toEqual([]);
    }
    await expect(mend(said(failing('AccessDenied', 403)))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
  });

  test('Step Functions that do not answer are said so', async () => {
    const of = world(unseen, {
      answers: { StartExecution: failing('ThrottlingException') },
    });
    await expect(mend(of)).rejects.toMatchObject({ name: 'ExecutionNotStarted' });
  });
});

describe('a run ends', () => {
  test('with its metrics and what the next one has to know, and its folder goes', async () => {
    const pages = [
      { Contents: [{ Key: 'a' }, { Key: 'b' }], IsTruncated: true },
      { Contents: [{ Key: 'c' }], IsTruncated: false },
    ];
    const of = world({}, { answers: { ListObjectsV2: () => pages.shift(), DeleteObjects: () => ({}) } });
    const state = runState({ batches: 1, batch: 1, next: 'conclude' });
    expect(await of.run('conclude', state)).toEqual(state);
    expect([of.total('Reconciliations'), of.content.has(MEMORY_KEY), of.states]).toEqual([1, true, []]);
    const list = ['ListObjectsV2', { Bucket: 'results', Prefix: runFolder(RUN), MaxKeys: 1_000 }];
    const remove = (...keys: string[]) => [
      'DeleteObjects',
      { Bucket: 'results', Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true } },
    ];
    expect(of.s3).toEqual([list, remove('a', 'b'), list, remove('c')]);
  });

  test('with a folder that is empty already', async () => {
    const of = world();
    await of.run('conclude');
    expect(of.s3.map(([command]) => command)).toEqual(['ListObjectsV2']);
  });

  test('with the outbox worked off, where something was written to it', async () => {
    const of = world();
    await of.run('conclude', { outbox: true });
    expect(of.states).toEqual([
      [
        'StartExecution',
        {
          stateMachineArn: 'erase-faces',
          name: `reconcile-${RUN}`,
          input: JSON.stringify({ request: 'outbox' }),
        },
      ],
    ]);
    const again = world(
      {},
      {
        answers: {
          StartExecution: () => {
            throw new ExecutionAlreadyExists({ message: '', $metadata: {} });
          },
          DescribeExecution: () => ({ status: 'SUCCEEDED', startDate: new Date(AS_OF) }),
        },
      },
    );
    await again.run('conclude', { outbox: true });
    expect(again.states.filter(([command]) => command === 'StartExecution')).toHaveLength(1);
    const denied = world({}, { answers: { StartExecution: failing('AccessDeniedException') } });
    await expect(denied.run('conclude', { outbox: true })).rejects.toMatchObject({ name: 'AccessDenied' });
    expect(denied.total('Reconciliations')).toBe(0);
  });

  test.each<[what: string, answers: Record<string, () => unknown>, name: string, message: RegExp]>([
    [
      'cannot be listed',
      { ListObjectsV2: failing('NoSuchBucket', 404) },
      'MissingConfiguration',
      /^ListObjectsV2 \(s3:ListBucket\) of s3:\/\/results\//,
    ],
    [
      'cannot be removed',
      {
        ListObjectsV2: () => ({ Contents: [{ Key: 'a' }] }),
        DeleteObjects: failing('NoSuchBucket', 404),
      },
      'MissingConfiguration',
      /^DeleteObjects \(s3:DeleteObject\) of s3:\/\/results\//,
    ],
    [
      'is left in part',
      {
        ListObjectsV2: () => ({ Contents: [{ Key: 'a' }] }),
        DeleteObjects: () => ({ Errors: [{ Key: 'a', Code: 'AccessDenied', Message: 'no' }] }),
      },
      'AccessDenied',
      /of s3:\/\/results\/a: /,
    ],
  ])('a folder that %s is an error', async (_, answers, name, message) => {
    const of = world({}, { answers });
    await expect(of.run('conclude')).rejects.toMatchObject({ name, message: expect.stringMatching(message) });
  });
});
