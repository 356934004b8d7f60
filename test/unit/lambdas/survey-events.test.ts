/** What bucket and collection know of a batch of events, and collections that belong to none. */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import { logEvents } from '../../../lambdas/shared/contract/names.ts';
import {
  abandonedKey,
  batchKey,
  MEMORY_KEY,
  type Memory,
  type Plan,
  planKey,
  type Reconciliation,
  type SurveyEventsRequest,
} from '../../../lambdas/shared/reconciliation/contract.ts';
import { surveyEvents } from '../../../lambdas/survey-events/survey-events.ts';
import { failing, fakeClient } from '../../support/fake-client.ts';
import { AS_OF, memoryObjects, runPlan, runState } from '../../support/reconciliation-state.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const [EVENT, OTHER] = ['0b8f1c8e-5d0a-4b6e-9a51-000000000001', '0b8f1c8e-5d0a-4b6e-9a51-000000000002'];
const RUN = 'run-1';
const DAY = 24 * 3_600_000;
const ago = (ms: number) => new Date(Date.parse(AS_OF) - ms).toISOString();
type Handler = (input: Record<string, unknown>) => unknown;

async function survey(
  step: SurveyEventsRequest['step'],
  {
    plan = {},
    rekognition = {},
    s3 = {},
    versioned = false,
    memory,
    state = {},
  }: {
    plan?: Partial<Plan>;
    rekognition?: Record<string, Handler>;
    s3?: Record<string, Handler>;
    versioned?: boolean;
    memory?: Partial<Memory>;
    state?: Partial<Reconciliation>;
  } = {},
) {
  const { objects, content } = memoryObjects();
  content.set(
    planKey(RUN),
    runPlan({ batches: [[], [{ id: EVENT, folders: [`events/${EVENT}/`] }]], ...plan }),
  );
  if (memory) {
    content.set(MEMORY_KEY, memory);
  }
  const faces = fakeClient<RekognitionClient>({ ListFaces: () => ({}), ...rekognition });
  const bucket = fakeClient<S3Client>({ ListObjectsV2: () => ({}), ...s3 });
  const { telemetry, lines } = recordingTelemetry();
  let paced = 0;
  const input = runState({ batch: 1, batches: 2, ...state });
  const next = await surveyEvents(
    {
      rekognition: faces.client,
      s3: bucket.client,
      objects,
      telemetry,
      pace: async () => void paced++,
      photoBucket: 'photos',
      resultsBucket: 'results',
      versioned,
      collectionPrefix: 'rollcall-',
      abandonedDays: 7,
    },
    { step, input },
  );
  expect(paced).toBe(faces.calls.length);
  return {
    input,
    next,
    lines,
    survey: content.get(batchKey(RUN, 1, 'survey')),
    abandoned: content.get(abandonedKey(RUN)),
    rekognition: faces.calls,
    s3: bucket.calls,
  };
}

describe('a batch of events', () => {
  test('is read page by page: faces, objects and stored responses', async () => {
    const key = (n: number) => `events/${EVENT}/${n}.jpg`;
    const uploaded = new Date('2026-05-01T09:00:00Z');
    const {
      survey: found,
      next,
      input,
      rekognition,
      s3,
    } = await survey('events', {
      plan: {
        batches: [
          [],
          [
            { id: EVENT, folders: ['events/a/', 'events/A/'] },
            { id: OTHER, folders: [] },
          ],
        ],
      },
      rekognition: {
        ListFaces: ({ CollectionId, NextToken }) =>
          CollectionId === `rollcall-${OTHER}`
            ? {}
            : NextToken
              ? { Faces: [{ FaceId: 'f2' }] }
              : { Faces: [{ FaceId: 'f1', ExternalImageId: 'p1' }], NextToken: 'more' },
      },
      s3: {
        ListObjectsV2: ({ Prefix, ContinuationToken }) => {
          switch (Prefix) {
            case 'events/a/':
              return ContinuationToken
                ? { Contents: [{ Key: key(2), ETag: '"e2"' }] }
                : {
                    Contents: [{ Key: key(1), ETag: '"e1"', Size: 10, LastModified: uploaded }],
                    NextContinuationToken: 'more',
                  };
            case 'events/A/':
              return { Contents: [{ Key: key(3), ETag: 'e3', Size: 0 }] };
            case `results/${EVENT}/`:
              return { Contents: [{ Key: 'r1', LastModified: uploaded }, { Key: 'r2' }] };
            default:
              return {};
          }
        },
      },
    });
    const never = '1970-01-01T00:00:00.000Z';
    expect(found).toEqual({
      [EVENT]: {
        collection: [
          ['f1', 'p1'],
          ['f2', null],
        ],
        objects: [
          { key: key(1), etag: 'e1', size: 10, uploadedAt: uploaded.toISOString() },
          { key: key(2), etag: 'e2', size: 0, uploadedAt: never },
          { key: key(3), etag: 'e3', size: 0, uploadedAt: never },
        ],
        responses: [
          { key: 'r1', storedAt: uploaded.toISOString() },
          { key: 'r2', storedAt: never },
        ],
      },
      [OTHER]: { collection: [], objects: [], responses: [] },
    });
    expect(next).toEqual(input);
    const list = { CollectionId: `rollcall-${EVENT}`, MaxResults: 4_096 };
    expect(rekognition.slice(0, 2)).toEqual([
      ['ListFaces', list],
      ['ListFaces', { ...list, NextToken: 'more' }],
    ]);
    expect(s3.map(([, { Bucket, Prefix }]) => [Bucket, Prefix])).toEqual([
      ['photos', 'events/a/'],
      ['photos', 'events/a/'],
      ['photos', 'events/A/'],
      ['results', `results/${EVENT}/`],
      ['results', `results/${OTHER}/`],
    ]);
  });

  test('without a collection has none, which is not an empty one', async () => {
    const { survey: found } = await survey('events', {
      rekognition: { ListFaces: failing('ResourceNotFoundException') },
    });
    expect(found).toMatchObject({ [EVENT]: { collection: null } });
  });

  test('that the plan has no room for is nothing', async () => {
    expect((await survey('events', { plan: { batches: [] } })).survey).toEqual({});
  });

  describe('of a bucket with versions', () => {
    const listed = Array.from({ length: 40 }, (_, n) => ({ Key: `k${n}`, ETag: `"e${n}"`, Size: n }));
    const ListObjectsV2: Handler = ({ Bucket }) => (Bucket === 'photos' ? { Contents: listed } : {});
    const versions = ({ survey: found }: Awaited<ReturnType<typeof survey>>) =>
      (found as Record<string, { objects: { key: string; versionId?: string }[] }>)[EVENT!]!.objects;

    test('has the versions that a listing does not tell, asked for sixteen at once', async () => {
      let now = 0;
      let most = 0;
      const result = await survey('events', {
        versioned: true,
        s3: {
          ListObjectsV2,
          async HeadObject({ Key }) {
            most = Math.max(most, ++now);
            await new Promise((resolve) => setImmediate(resolve));
            now--;
            return Key === 'k7' ? {} : { VersionId: `v-${Key}` };
          },
        },
      });
      expect(versions(result)).toEqual(
        listed.map(({ Key, Size }, n) => ({
          key: Key,
          etag: `e${n}`,
          size: Size,
          uploadedAt: '1970-01-01T00:00:00.000Z',
          ...(Key !== 'k7' && { versionId: `v-${Key}` }),
        })),
      );
      expect(most).toBe(16);
      expect(result.s3.filter(([call]) => call === 'HeadObject')[0]).toEqual([
        'HeadObject',
        { Bucket: 'photos', Key: 'k0' },
      ]);
    });

    test('leaves one that is gone, or that nobody can read, as it was listed', async () => {
      const result = await survey('events', {
        versioned: true,
        s3: {
          ListObjectsV2,
          HeadObject: ({ Key }) =>
            Key === 'k1'
              ? failing('NotFound', 404)()
              : Key === 'k2'
                ? failing('InvalidRequest')()
                : { VersionId: 'v' },
        },
      });
      expect(versions(result).flatMap(({ key, versionId }) => (versionId ? [] : [key]))).toEqual([
        'k1',
        'k2',
      ]);
    });

    test('is not read where S3 does not answer', async () => {
      const s3 = { ListObjectsV2, HeadObject: failing('SlowDown', 503) };
      await expect(survey('events', { versioned: true, s3 })).rejects.toMatchObject({
        name: 'StorageUnavailable',
      });
    });

    test('is not asked object by object where there are none', async () => {
      const result = await survey('events', { s3: { ListObjectsV2 } });
      expect(result.s3.map(([call]) => call)).not.toContain('HeadObject');
    });
  });
});

describe('collections of no event', () => {
  const look = (known: Memory['abandoned'] | undefined, more: Parameters<typeof survey>[1] = {}) =>
    survey('collections', {
      plan: { abandoned: [EVENT!] },
      ...(known && { memory: { abandoned: known } }),
      ...more,
      rekognition: {
        DescribeCollection: () => ({ FaceCount: 5 }),
        DeleteCollection: () => ({}),
        ...more.rekognition,
      },
    });
  const deleted = ({ rekognition }: Awaited<ReturnType<typeof survey>>) =>
    rekognition.flatMap(([call, { CollectionId }]) => (call === 'DeleteCollection' ? [CollectionId] : []));
  const since = (ms: number, faces = 5) => ({ [EVENT!]: { since: ago(ms), faces } });

  test('are remembered from when they were first seen, and the run goes on to its end', async () => {
    const first = await look(undefined);
    expect(first.next).toEqual({ ...first.input, next: 'conclude' });
    expect([first.abandoned, deleted(first), first.lines]).toEqual([since(0), [], []]);
    expect((await look({})).abandoned).toEqual(since(0));
    expect((await look(undefined, { rekognition: { DescribeCollection: () => ({}) } })).abandoned).toEqual(
      since(0, 0),
    );
  });

  test('are deleted after a week in which nothing changed, and that is said', async () => {
    const early = await look(since(7 * DAY - 1));
    expect([early.abandoned, deleted(early)]).toEqual([since(7 * DAY - 1), []]);
    const late = await look(since(7 * DAY));
    expect([late.abandoned, deleted(late)]).toEqual([{}, [`rollcall-${EVENT}`]]);
    expect(late.lines).toEqual([
      {
        level: 'warn',
        message: 'A collection without an event was deleted',
        event: logEvents.collectionDeleted,
        collection_id: `rollcall-${EVENT}`,
        count: 5,
        since: ago(7 * DAY),
      },
    ]);
  });

  test('whose faces change are somebody’s: the days begin anew', async () => {
    const used = await look(since(8 * DAY, 4));
    expect([used.abandoned, deleted(used)]).toEqual([since(0), []]);
  });

  test('that are gone meanwhile are forgotten', async () => {
    const gone = failing('ResourceNotFoundException');
    const first = await look(since(DAY), { rekognition: { DescribeCollection: gone } });
    expect([first.abandoned, deleted(first)]).toEqual([{}, []]);
    const later = await look(since(8 * DAY), { rekognition: { DeleteCollection: gone } });
    expect(later.abandoned).toEqual({});
  });

  test('are looked at three hundred a run; what was known of the others is kept', async () => {
    const ids = Array.from({ length: 302 }, (_, n) => `c${n}`);
    const known = { c300: { since: ago(9 * DAY), faces: 1 } };
    const { abandoned, rekognition } = await look(known, { plan: { abandoned: ids } });
    expect(rekognition).toHaveLength(300);
    expect(abandoned).toEqual({
      ...Object.fromEntries(ids.slice(0, 300).map((id) => [id, { since: AS_OF, faces: 5 }])),
      ...known,
    });
  });
});
