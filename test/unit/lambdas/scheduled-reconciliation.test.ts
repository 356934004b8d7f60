import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SFNClient } from '@aws-sdk/client-sfn';
import fc from 'fast-check';
import {
  type BeginReconciliationDeps,
  beginReconciliation,
} from '../../../lambdas/begin-reconciliation/begin-reconciliation.ts';
import { decide } from '../../../lambdas/mend-disagreements/decide.ts';
import { type KnownEvent, MAX_BATCHES, planEvents } from '../../../lambdas/read-rows/plan-events.ts';
import type { Finding } from '../../../lambdas/shared/reconciliation/compare.ts';
import { MAX_ASKED, MEMORY_KEY, type Memory } from '../../../lambdas/shared/reconciliation/contract.ts';
import { fakeClient } from '../../support/fake-client.ts';
import { AS_OF, memoryObjects } from '../../support/reconciliation-state.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const HOUR = 3_600_000;
const eventId = (n: number) => `0b8f1c8e-5d0a-4b6e-9a51-${String(n).padStart(12, '0')}`;
const photoId = (n: number) => `9d2c4f60-71d4-4f5e-8a39-${String(n).padStart(12, '0')}`;
const at = (hoursBefore: number) => new Date(Date.parse(AS_OF) - hoursBefore * HOUR);
const pace = async () => {};

describe('a run begins', () => {
  const MACHINE = 'arn:aws:states:us-east-1:000000000000:stateMachine:reconcile';
  const OWN = 'arn:aws:states:us-east-1:000000000000:execution:reconcile:own';
  const memory: Memory = {
    compared_until: at(5).toISOString(),
    unfinished: [],
    first_seen: {},
    abandoned: {},
  };

  async function begin(
    scope: 'changed' | 'all',
    options: {
      memory?: Memory | undefined;
      started?: Date[];
      running?: { executionArn: string; startDate: Date }[];
      ledger?: object;
    } = {},
  ) {
    const { objects, content } = memoryObjects();
    const remembered = 'memory' in options ? options.memory : memory;
    if (remembered) {
      content.set(MEMORY_KEY, remembered);
    }
    const states = fakeClient<SFNClient>({
      ListExecutions: ({ statusFilter }) => ({
        executions:
          statusFilter === 'RUNNING'
            ? (options.running ?? [{ executionArn: OWN, startDate: new Date(AS_OF) }])
            : (options.started ?? []).map((startDate, i) => ({ executionArn: `e${i}`, startDate })),
      }),
    });
    const s3 = fakeClient<S3Client>({
      ListObjectsV2: () => ({
        CommonPrefixes: [eventId(1), eventId(1).toUpperCase(), 'other'].map((id) => ({
          Prefix: `events/${id}/`,
        })),
      }),
    });
    const rekognition = fakeClient<RekognitionClient>({
      ListCollections: ({ NextToken }) =>
        NextToken
          ? { CollectionIds: [`rollcall-${eventId(3)}`, `rollcall-${eventId(4).toUpperCase()}`] }
          : {
              CollectionIds: [`rollcall-${eventId(2)}`, 'rollcall-staff', `other-${eventId(1)}`],
              NextToken: 'more',
            },
    });
    const { telemetry, total } = recordingTelemetry();
    const deps: BeginReconciliationDeps = {
      states: states.client,
      s3: s3.client,
      rekognition: rekognition.client,
      readLedger: async () => options.ledger ?? {},
      objects,
      telemetry,
      pace,
      photoBucket: 'photos',
      collectionPrefix: 'rollcall-',
      machines: ['index-photo', 'erase-faces'],
      maxImages: 100,
    };
    const state = await beginReconciliation(deps, {
      input: { scope, as_of: AS_OF },
      execution_arn: OWN,
      machine_arn: MACHINE,
      started_at: AS_OF,
    });
    return { state, content, runs: total('Reconciliations') };
  }

  test('only when something happened that is settled and not compared', async () => {
    const next = async (...started: Date[]) => (await begin('changed', { started })).state.next;
    await expect(next()).resolves.toBe('skip');
    await expect(next(at(6))).resolves.toBe('skip');
    await expect(next(at(0.5))).resolves.toBe('skip');
    await expect(next(at(0.5), at(3))).resolves.toBe('list');
    // More in the last hour than one call tells.
    await expect(next(...Array.from({ length: 1_000 }, () => at(0.5)))).resolves.toBe('list');
  });

  test('counts as a run even if nothing happened, because somebody looked', async () => {
    expect((await begin('changed')).runs).toBe(1);
  });

  test('also when it never ran, was not done, or is the daily one', async () => {
    expect((await begin('changed', { memory: undefined })).state.next).toBe('list');
    expect((await begin('changed', { memory: { ...memory, unfinished: [eventId(1)] } })).state.next).toBe(
      'list',
    );
    expect((await begin('all')).state.next).toBe('list');
  });

  test('not beside one that started earlier', async () => {
    const other = (startDate: Date) =>
      begin('all', { running: [{ executionArn: `${OWN}-2`, startDate }] }).then(({ state }) => state.next);
    await expect(other(at(1))).resolves.toBe('skip');
    await expect(other(at(-1))).resolves.toBe('list');
  });

  test('waits for an hour, and for as long as the line is', async () => {
    const settled = async (ledger: object) => (await begin('all', { ledger })).state.settled;
    await expect(settled({})).resolves.toBe(at(1).toISOString());
    await expect(settled({ line_ms: at(-2).getTime() })).resolves.toBe(at(3).toISOString());
    await expect(settled({ backfill_ms: at(-5).getTime(), line_ms: at(9).getTime() })).resolves.toBe(
      at(6).toISOString(),
    );
  });

  test('with the folders as they are spelled, and the collections of exactly the prefix and a UUID', async () => {
    const { content } = await begin('all');
    expect(content.get('reconciliations/runs/own/candidates.json')).toEqual({
      folders: { [eventId(1)]: [`events/${eventId(1)}/`, `events/${eventId(1).toUpperCase()}/`] },
      collections: [eventId(2), eventId(3)],
      unfinished: [],
    });
  });
});

describe('the plan', () => {
  const known = (n: number, rest: Partial<KnownEvent> = {}): KnownEvent => ({
    id: eventId(n),
    has_collection: true,
    photos: 10,
    faces: 40,
    live: 10,
    changed: false,
    ...rest,
  });
  const plan = (
    events: KnownEvent[],
    { scope = 'all', day = 0, ...candidates }: Record<string, unknown> = {},
  ) =>
    planEvents(
      { folders: {}, collections: [], unfinished: [], ...candidates },
      events,
      new Set(events.map(({ id }) => id)),
      {
        scope: scope as 'all' | 'changed',
        run: 'r',
        as_of: new Date(Date.parse(AS_OF) + (day as number) * 24 * HOUR).toISOString(),
      },
    );
  const idsOf = ({ batches }: ReturnType<typeof plan>) => batches.flat().map(({ id }) => id);

  test('is of what anybody knows, and leaves out events that are over', () => {
    const over = known(3, { has_collection: false, live: 0 });
    const found = plan([known(1), known(2), over], {
      folders: { [eventId(4)]: [`events/${eventId(4)}/`] },
      collections: [eventId(1), eventId(5)],
    });
    expect(idsOf(found).sort()).toEqual([eventId(1), eventId(2), eventId(4)]);
    expect(found.abandoned).toEqual([eventId(5)]);
    // It has faces again.
    expect(idsOf(plan([over], { collections: [eventId(3)] }))).toEqual([eventId(3)]);
  });

  test('of the changed ones holds those, what the last run was not done with, and what only the bucket knows', () => {
    const found = plan([known(1, { changed: true }), known(2), known(3)], {
      scope: 'changed',
      unfinished: [eventId(3)],
      folders: { [eventId(2)]: ['a'], [eventId(9)]: ['b'] },
    });
    expect(idsOf(found).sort()).toEqual([eventId(1), eventId(3), eventId(9)]);
  });

  test('never holds more in a batch than fits, and each event once', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 330_000 }), { maxLength: 200 }), (sizes) => {
        const { batches, too_large } = plan(sizes.map((faces, n) => known(n, { photos: 0, faces })));
        const ids = batches.flat().map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        expect([...ids, ...too_large].sort()).toEqual(sizes.map((_, n) => eventId(n)).sort());
        for (const batch of batches) {
          const rows = batch.reduce((sum, { id }) => sum + sizes[Number(id.slice(-12))]!, 0);
          expect(batch.length === 1 || (rows <= 50_000 && batch.length <= 50)).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('of too many spreads the unchanged ones over days, and holds every changed one each day', () => {
    const many = Array.from({ length: 1_000 }, (_, n) =>
      known(n, { photos: 10_000, faces: 40_000, changed: n < 20 }),
    );
    const days = Array.from({ length: 8 }, (_, day) => plan(many, { day }));
    for (const day of days) {
      expect(day.batches.length).toBeLessThanOrEqual(MAX_BATCHES);
      expect(idsOf(day)).toEqual(expect.arrayContaining(many.slice(0, 20).map(({ id }) => id)));
    }
    expect(new Set(days.flatMap(idsOf)).size).toBe(many.length);
  });
});

describe('a decision', () => {
  const row = { ended_at: null, created_at: AS_OF, object_version: 'v', object_sequencer: '0A' };
  const finding = (kind: string, n: number, rest: object = {}) =>
    ({
      kind,
      photoId: photoId(n),
      key: `events/e/${n}.jpg`,
      row,
      rows: { photo: row, own: undefined },
      ...rest,
    }) as never as Finding;
  const decideOn = (findings: Finding[], { images = 100, deletions = 1_000, mayIndex = true } = {}) =>
    decide(
      [{ eventId: eventId(1), findings }],
      { images_left: images, deletions_left: deletions, settled: AS_OF },
      { bucket: 'photos', collectionPrefix: 'rollcall-', mayIndex },
    );
  const fates = (decision: ReturnType<typeof decide>) => decision.disagreements.map(({ fate }) => fate);

  test('spends no more images than there are left, and tells what is beyond', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('no_end', 'never_seen', 'faces_lost'), { maxLength: 50 }),
        fc.nat({ max: 60 }),
        (kinds, images) => {
          const findings = kinds.map((kind, n) => finding(kind, n, { faceIds: ['f'] }));
          const decision = decideOn(findings, { images });
          const spent = Math.min(images, kinds.length);
          expect(decision.mending.index).toHaveLength(spent);
          expect(decision.images_left).toBe(images - spent);
          expect(fates(decision).filter((fate) => fate === 'left')).toHaveLength(kinds.length - spent);
          // Nothing is marked as lost that is not indexed again.
          const asked = decision.questions.flatMap((q) => (q.ask === 'lose_faces' ? q.photos : []));
          expect(asked).toHaveLength(kinds.slice(0, spent).filter((kind) => kind === 'faces_lost').length);
        },
      ),
    );
  });

  test('waits while the pipeline is held, and erases all the same', () => {
    const decision = decideOn([finding('never_seen', 1), finding('object_gone', 2)], { mayIndex: false });
    expect(fates(decision)).toEqual(['waiting', 'mending']);
    expect(decision.mending).toMatchObject({
      index: [],
      deletions: [{ input: { object: { sequencer: expect.stringMatching(/^0A0+1$/) } } }],
    });
  });

  test('asks for stray faces in questions of bounded size', () => {
    const strays = Array.from({ length: 20 }, (_, n) =>
      finding('stray_faces', n, { faceIds: Array.from({ length: 60 }, (_, i) => `f${n}-${i}`) }),
    );
    const decision = decideOn(strays);
    expect(decision.questions).toMatchObject([
      { ask: 'remove_faces', collection_id: `rollcall-${eventId(1)}` },
    ]);
    expect((decision.questions[0] as { faces: unknown[] }).faces).toHaveLength(MAX_ASKED);
    expect(fates(decision)).toContain('waiting');
  });

  test('asks for needless responses of one event, and for all that it asks within what a state may hold', () => {
    const many = Array.from({ length: MAX_ASKED + 50 }, (_, n) => n);
    const decision = decide(
      [
        {
          eventId: eventId(1),
          findings: many.flatMap((n) => [
            finding('needless_responses', n, { keys: ['k'] }),
            finding('stray_faces', n, { faceIds: [photoId(n)] }),
            finding('faces_lost', n, { faceIds: [photoId(n)] }),
          ]),
        },
        { eventId: eventId(2), findings: [finding('needless_responses', 1, { keys: ['k'] })] },
      ],
      { images_left: 10_000, deletions_left: 0, settled: AS_OF },
      { bucket: 'photos', collectionPrefix: 'rollcall-', mayIndex: true },
    );
    expect(decision.questions.map(({ ask }) => ask).sort()).toEqual([
      'lose_faces',
      'remove_faces',
      'remove_responses',
    ]);
    const asked = decision.questions.flatMap((one) => (one.ask === 'remove_responses' ? [one] : []));
    expect(asked).toEqual([
      {
        ask: 'remove_responses',
        event_id: eventId(1),
        photo_ids: many.slice(0, MAX_ASKED).map(photoId),
        before: AS_OF,
      },
    ]);
    const ofResponses = decision.disagreements.filter(({ kind }) => kind === 'needless_responses');
    expect(ofResponses.filter(({ fate }) => fate === 'waiting')).toHaveLength(51);
    // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 256 KiB, with the rest of the state.
    expect(Buffer.byteLength(JSON.stringify(decision.questions))).toBeLessThan(200 * 1_024);
  });

  test('leaves alone what is not Rollcall’s, and to a person what must never be', () => {
    const decision = decideOn([
      { kind: 'foreign_face', faceId: 'x', externalImageId: undefined },
      { kind: 'wrong_count', photoId: photoId(1), key: 'k', faceCount: 1, rows: 2 },
      { kind: 'face_of_two_photos', faceId: 'f', photoIds: [] },
    ]);
    expect(fates(decision)).toEqual(['left', 'left']);
    expect(decision.mending).toEqual({ index: [], deletions: [] });
  });
});
