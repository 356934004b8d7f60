/** What RemoveFaces asks for, in which order and at which pace; what becomes of the rows, test/database/erasure.test.ts says. */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { removeFaces } from '../../../lambdas/remove-faces/remove-faces.ts';
import { logEvents } from '../../../lambdas/shared/contract/names.ts';
import { otherResults, resultsKey } from '../../../lambdas/shared/contract/stored-result.ts';
import type { ErasureBatch } from '../../../lambdas/shared/erasure/contract.ts';
import {
  DELETIONS_PER_SECOND,
  evenPace,
  LISTINGS_PER_SECOND,
} from '../../../lambdas/shared/rekognition/pace.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const NOW = Date.UTC(2026, 4, 1, 12);
const faceIds = (count: number) =>
  Array.from({ length: count }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`);

interface Setup {
  batch?: Partial<ErasureBatch>;
  /** Face id -> ExternalImageId of what the collection holds; null for none. */
  collection?: Map<string, string> | null;
  /** After so many calls of Rekognition somebody deletes the collection. */
  goneAfter?: number;
  /** Faces that DeleteFaces leaves, and what it says of them; undefined for nothing. */
  refused?: Record<string, string[] | undefined>;
  /** Whether each page that is listed names a next one. */
  isEndless?: boolean;
  /** Whether what is deleted stays listed. */
  isSticky?: boolean;
  objects?: string[];
  /** Of every call of Rekognition. */
  failure?: Error;
  /** Of a call of S3, by its name. */
  storageFailure?: Record<string, Error>;
  errors?: { Key: string; Code: string }[];
}

function setUp({
  batch,
  collection = new Map(),
  goneAfter = Number.POSITIVE_INFINITY,
  refused = {},
  isEndless = false,
  isSticky,
  objects = [],
  failure,
  storageFailure = {},
  errors,
}: Setup = {}) {
  const order: string[] = [];
  let faces = collection;
  let calls = 0;
  const bucket = new Set(objects);
  const there = () => {
    faces = calls++ < goneAfter ? faces : null;
    if (failure || !faces) {
      throw failure ?? awsError('ResourceNotFoundException');
    }
    return faces;
  };
  const noting =
    <Input>(name: string, work: (input: Input) => unknown) =>
    (input: Record<string, unknown>) => {
      order.push(name);
      if (storageFailure[name]) {
        throw storageFailure[name];
      }
      return work(input as Input);
    };
  const rekognition = fakeClient<RekognitionClient>({
    DeleteCollection: noting('DeleteCollection', () => {
      there();
      faces = isSticky ? faces : null;
      return {};
    }),
    DeleteFaces: noting('DeleteFaces', ({ FaceIds }: { FaceIds: string[] }) => {
      const listed = there();
      for (const id of isSticky ? [] : FaceIds.filter((id) => !(id in refused))) {
        listed.delete(id);
      }
      return {
        UnsuccessfulFaceDeletions: FaceIds.flatMap((FaceId) =>
          FaceId in refused ? { FaceId, Reasons: refused[FaceId] } : [],
        ),
      };
    }),
    ListFaces: noting(
      'ListFaces',
      ({
        FaceIds,
        NextToken = '0',
        MaxResults,
      }: {
        FaceIds?: string[];
        NextToken?: string;
        MaxResults: number;
      }) => {
        const asked = FaceIds && new Set(FaceIds);
        const listed = [...there()].filter(([id]) => asked?.has(id) ?? true);
        const from = Number(NextToken);
        return {
          Faces: listed
            .slice(from, from + MaxResults)
            .map(([FaceId, ExternalImageId]) => ({ FaceId, ExternalImageId })),
          ...((isEndless || from + MaxResults < listed.length) && { NextToken: String(from + MaxResults) }),
        };
      },
    ),
  });
  const s3 = fakeClient<S3Client>({
    ListObjectsV2: noting('ListObjectsV2', ({ Prefix, MaxKeys }: { Prefix: string; MaxKeys: number }) => {
      const keys = [...bucket].filter((key) => key.startsWith(Prefix));
      const Contents = keys.slice(0, MaxKeys).map((Key) => ({
        Key,
        LastModified: new Date(Key.includes('late') ? NOW : NOW - 60_000),
      }));
      return { Contents, IsTruncated: keys.length > MaxKeys };
    }),
    DeleteObjects: noting('DeleteObjects', ({ Delete }: { Delete: { Objects: { Key: string }[] } }) => {
      for (const { Key } of Delete.Objects) {
        bucket.delete(Key);
      }
      return { Errors: errors };
    }),
  });
  const recording = recordingTelemetry();
  let now = NOW;
  const run = () =>
    removeFaces(
      {
        rekognition: rekognition.client,
        s3: s3.client,
        telemetry: recording.telemetry,
        resultsBucket: 'results',
        pace: async () => {
          order.push('pace');
          now += 1_000 / DELETIONS_PER_SECOND;
        },
        now: () => now,
      },
      {
        number: 1,
        until: new Date(NOW + 15 * 60_000).toISOString(),
        kind: 'faces',
        event_id: 'event',
        collection_id: 'c',
        erasure_ids: [],
        face_ids: [],
        deleted_photos: [],
        results: [],
        needed_results: [],
        ...batch,
      },
    );
  const callsOf = (of: 'rekognition' | 's3', name: string) =>
    ({ rekognition, s3 })[of].calls.flatMap(([called, input]) => (called === name ? [input] : []));
  return { run, order, bucket, rekognition, callsOf, lines: recording.lines };
}

test('five calls a second and no more, whatever comes together', async () => {
  for (const perSecond of [DELETIONS_PER_SECOND, LISTINGS_PER_SECOND]) {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1_000), { minLength: 30, maxLength: 60 }), async (gaps) => {
        let now = NOW;
        const pace = evenPace(perSecond, {
          now: () => now,
          sleep: async (ms) => {
            now += ms;
          },
        });
        const calls: number[] = [];
        for (const gap of gaps) {
          now += gap < 800 ? 0 : gap;
          await pace();
          calls.push(now);
        }
        for (let i = 5; i < calls.length; i++) {
          expect(calls[i]! - calls[i - 5]!).toBeGreaterThanOrEqual(999.9);
        }
        // Nobody waits who need not.
        expect(calls.at(-1)! - NOW).toBeLessThanOrEqual(
          gaps.reduce((sum, gap) => sum + (gap < 800 ? 200 : gap), 0) + 200,
        );
      }),
      { numRuns: 30 },
    );
  }
});

test('every call of Rekognition waits for the pace, and what was stored goes after the faces are known to be gone', async () => {
  const ids = faceIds(9_000);
  const some = setUp({
    batch: { face_ids: ids, deleted_photos: ['p'], results: ['results/a.json', 'results/p/'] },
    collection: new Map(ids.map((id) => [id, 'q'])),
    objects: ['results/a.json', 'results/p/1.json'],
  });
  const whole = setUp({ batch: { kind: 'event', results: ['results/'] }, objects: ['results/a.json'] });
  await some.run();
  await whole.run();
  // The collection's three pages, then three times what one call deletes, each with a look.
  const paced = (...calls: string[]) => calls.flatMap((call) => ['pace', call]);
  const step = paced('DeleteFaces', 'ListFaces');
  const search = paced('ListFaces', 'ListFaces', 'ListFaces');
  expect(some.order.slice(0, 18)).toEqual([...search, ...step, ...step, ...step]);
  expect(some.order.slice(18)).toEqual(['DeleteObjects', 'ListObjectsV2', 'DeleteObjects']);
  expect(whole.order).toEqual([...paced('DeleteCollection', 'ListFaces'), 'ListObjectsV2', 'DeleteObjects']);
  const sizes = some.rekognition.calls.flatMap(([name, { FaceIds }]) =>
    name === 'DeleteFaces' ? (FaceIds as string[]).length : [],
  );
  expect(sizes).toEqual([4_096, 4_096, 808]);
});

test.each([['faces'], ['event']] as const)(
  '%s that are still listed are no receipt, and nothing else goes',
  async (kind) => {
    const ids = faceIds(2);
    const { run, order, bucket } = setUp({
      batch: { kind, face_ids: ids, results: ['results/a.json'] },
      collection: new Map(ids.map((id) => [id, 'p'])),
      isSticky: true,
      objects: ['results/a.json'],
    });
    await expect(run()).rejects.toMatchObject({ name: 'FacesStillListed' });
    expect(order).not.toContain('DeleteObjects');
    expect(bucket.size).toBe(1);
  },
);

test.each([
  ['ThrottlingException', 'RekognitionThrottled'],
  ['InternalServerError', 'RekognitionUnavailable'],
  ['AccessDeniedException', 'AccessDenied'],
])('%s of Rekognition is not a collection that is gone', async (name, expected) => {
  for (const kind of ['faces', 'event'] as const) {
    const { run, order } = setUp({
      batch: { kind, face_ids: faceIds(1), results: ['results/a.json'] },
      failure: awsError(name, name === 'InternalServerError' ? 500 : 400),
    });
    await expect(run()).rejects.toMatchObject({ name: expected });
    expect(order).not.toContain('DeleteObjects');
  }
});

test('a collection that is gone is as good as an empty one', async () => {
  for (const collection of [null, new Map<string, string>()]) {
    const { run } = setUp({ batch: { face_ids: faceIds(2), deleted_photos: ['p'] }, collection });
    await expect(run()).resolves.toMatchObject({ face_ids: faceIds(2), kept: [], unknown_faces: [0] });
  }
  // Also where it goes in the middle: after the search, or after the deletion.
  for (const goneAfter of [1, 2]) {
    const { run } = setUp({
      batch: { face_ids: faceIds(2), deleted_photos: ['p'] },
      collection: new Map(faceIds(2).map((id) => [id, 'p'])),
      goneAfter,
    });
    await expect(run()).resolves.toMatchObject({ face_ids: faceIds(2), kept: [], unknown_faces: [0] });
  }
});

test('takes along what no row knows of a deleted photo, and keeps apart what Rekognition holds on to', async () => {
  const [known, held, unknown, heldUnknown, missing] = faceIds(5) as [string, string, string, string, string];
  const { run, lines } = setUp({
    batch: { face_ids: [known, held, missing, 'none of Rekognition’s'], deleted_photos: ['q', 'p'] },
    collection: new Map([
      [known, 'p'],
      [held, 'p'],
      [unknown, 'p'],
      [heldUnknown, 'p'],
      ['00000000-0000-4000-8000-0000000000ff', 'another'],
    ]),
    refused: { [held]: ['ASSOCIATED'], [heldUnknown]: ['ASSOCIATED'], [missing]: ['FACE_NOT_FOUND'] },
  });
  await expect(run()).resolves.toMatchObject({
    face_ids: [known, missing, 'none of Rekognition’s'],
    kept: [held],
    kept_because: 'ASSOCIATED',
    unknown_faces: [0, 1],
  });
  expect(lines).toMatchObject([{ level: 'warn', count: 2, reason: 'ASSOCIATED' }]);
});

test('a folder that is too large for one step is told as left, with what went of it', async () => {
  const { run, bucket } = setUp({
    batch: { results: ['results/big/', 'results/small/', 'results/one.json'] },
    objects: [
      ...Array.from({ length: 50_001 }, (_, i) => `results/big/${i}`),
      'results/small/1',
      'results/one.json',
    ],
  });
  await expect(run()).resolves.toMatchObject({
    result_counts: [50_000, 1, 1],
    results_left: ['results/big/'],
  });
  expect(bucket.size).toBe(1);
});

test('of a photo that is there the response of its version stays, and what was stored since', async () => {
  const photo = { event_id: 'e', photo_id: 'p' };
  const name = otherResults(photo, new Date(NOW - 1_000));
  const objects = ['old', 'row', 'late'].map((version) => resultsKey(photo, version));
  const { run, bucket } = setUp({
    batch: { results: [name], needed_results: [resultsKey(photo, 'row')] },
    objects: [...objects, 'results/e/another/old.json'],
  });
  await expect(run()).resolves.toMatchObject({ result_counts: [1], results_left: [] });
  expect([...bucket]).toEqual([objects[1], objects[2], 'results/e/another/old.json']);
});

test('an object that S3 does not delete fails the step', async () => {
  const { run } = setUp({
    batch: { results: ['results/one.json'] },
    errors: [{ Key: 'results/one.json', Code: 'InternalError' }],
  });
  await expect(run()).rejects.toMatchObject({ name: 'StorageUnavailable' });
});

test('removes nothing in the last six minutes of its turn: it could still be at it in another’s', async () => {
  for (const [left, isOver] of [
    [6 * 60_000, false],
    [6 * 60_000 - 1, true],
  ] as const) {
    const { run, order } = setUp({
      batch: { kind: 'event', until: new Date(NOW + left).toISOString() },
      collection: null,
    });
    await (isOver
      ? expect(run()).rejects.toMatchObject({ name: 'TurnOver' })
      : expect(run()).resolves.toBeDefined());
    expect(order.length === 0).toBe(isOver);
  }
});

test('says when all faces were gone, not when it began', async () => {
  const { run } = setUp({ batch: { kind: 'event' } });
  await expect(run()).resolves.toMatchObject({ removed_at: new Date(NOW + 400).toISOString() });
});

test('Rekognition is asked for this collection, and for no face that is not its own or of another photo', async () => {
  const [named, unknown, elsewhere] = faceIds(3) as [string, string, string];
  const some = setUp({
    batch: { face_ids: [named, 'none of Rekognition’s'], deleted_photos: ['p'] },
    collection: new Map([
      [named, 'p'],
      [unknown, 'p'],
      [elsewhere, 'q'],
      ['', 'p'],
    ]),
  });
  const batch = { erasure_ids: ['e'], needed_results: [] };
  await expect(some.run()).resolves.toMatchObject({ number: 1, kind: 'faces', event_id: 'event' });
  const gone = { CollectionId: 'c', FaceIds: [named, unknown] };
  expect(some.callsOf('rekognition', 'DeleteFaces')).toEqual([gone]);
  expect(some.callsOf('rekognition', 'ListFaces')).toEqual([
    { CollectionId: 'c', MaxResults: 4_096 },
    { ...gone, MaxResults: 4_096 },
  ]);

  const whole = setUp({ batch: { ...batch, kind: 'event' } });
  await expect(whole.run()).resolves.toMatchObject(batch);
  expect(whole.callsOf('rekognition', 'DeleteCollection')).toEqual([{ CollectionId: 'c' }]);
  expect(whole.callsOf('rekognition', 'ListFaces')).toEqual([{ CollectionId: 'c', MaxResults: 1 }]);
});

test('without a deleted photo no collection is searched', async () => {
  const { run, order } = setUp({ batch: { face_ids: faceIds(1) }, collection: new Map([['x', 'p']]) });
  await run();
  expect(order).toEqual(['pace', 'DeleteFaces', 'pace', 'ListFaces']);
});

test('one face that is still listed is one too many', async () => {
  const { run } = setUp({
    batch: { face_ids: faceIds(2) },
    collection: new Map(faceIds(1).map((id) => [id, 'p'])),
    isSticky: true,
  });
  await expect(run()).rejects.toThrow('c still lists 1 of 2 deleted faces');
});

test('what Rekognition holds on to is told by the first reason, if it gives any; otherwise nothing is', async () => {
  const [first, second, third, fourth] = faceIds(4) as [string, string, string, string];
  const kept = setUp({
    batch: { face_ids: [first, second], deleted_photos: ['p'] },
    collection: new Map([first, second, third, fourth].map((id) => [id, 'p'])),
    refused: { [first]: undefined, [second]: ['ONE', 'OTHER'] },
  });
  await expect(kept.run()).resolves.toMatchObject({
    face_ids: [],
    kept: [first, second],
    kept_because: 'no reason given',
    unknown_faces: [2],
  });
  const line = { level: 'warn', event: logEvents.erasureKept, collection_id: 'c' };
  expect(kept.lines).toEqual([{ ...line, message: expect.any(String), count: 2, reason: 'no reason given' }]);
  const one = setUp({ batch: { face_ids: [first] }, refused: { [first]: ['ONE', 'OTHER'] } });
  await expect(one.run()).resolves.toMatchObject({ kept: [first], kept_because: 'ONE,OTHER' });
  expect(one.lines).toEqual([{ ...line, message: expect.any(String), count: 1, reason: 'ONE,OTHER' }]);
  const none = setUp({ batch: { face_ids: [first] }, collection: new Map([[first, 'p']]) });
  await expect(none.run()).resolves.toMatchObject({ kept: [], kept_because: null });
  expect(none.lines).toEqual([]);
});

test('a collection that does not end is searched for the better part of a minute, and that is told', async () => {
  const { run, order, lines } = setUp({ batch: { deleted_photos: ['p'] }, isEndless: true });
  await expect(run()).resolves.toMatchObject({ unknown_faces: [0] });
  expect(order.filter((call) => call === 'ListFaces')).toHaveLength(250);
  expect(lines).toEqual([
    { level: 'warn', message: expect.any(String), event: logEvents.erasureSearchCut, collection_id: 'c' },
  ]);
});

test('objects go a thousand at a time, folders ten, and what is not there is not asked to go', async () => {
  const keys = Array.from({ length: 1_001 }, (_, i) => `results/${i}.json`);
  const folders = Array.from({ length: 11 }, (_, i) => `results/folder-${i}/`);
  const { run, order, callsOf } = setUp({
    batch: {
      results: [
        ...keys,
        ...folders,
        'results/empty/',
        otherResults({ event_id: 'e', photo_id: 'p' }, new Date(NOW)),
      ],
    },
    objects: [...keys, ...folders.map((folder) => `${folder}1`)],
  });
  const { result_counts: counts } = await run();
  expect(counts).toEqual([...keys.map(() => 1), ...folders.map(() => 1), 0, 0]);
  const [list, remove] = ['ListObjectsV2', 'DeleteObjects'];
  const many = (call: string, times: number) => Array.from({ length: times }, () => call);
  expect(order).toEqual([list, remove, remove, ...many(list!, 10), ...many(remove!, 10), list, list, remove]);
  const deletions = callsOf('s3', 'DeleteObjects') as {
    Bucket: string;
    Delete: { Objects: { Key: string }[]; Quiet: boolean };
  }[];
  expect(deletions.slice(0, 2)).toEqual(
    [keys.slice(0, 1_000), keys.slice(1_000)].map((some) => ({
      Bucket: 'results',
      Delete: { Objects: some.map((Key) => ({ Key })), Quiet: true },
    })),
  );
  expect(callsOf('s3', 'ListObjectsV2').at(-1)).toEqual({
    Bucket: 'results',
    Prefix: 'results/empty/',
    MaxKeys: 1_000,
  });
});

test('a response that was stored at the very moment is one that was stored since', async () => {
  const photo = { event_id: 'e', photo_id: 'p' };
  const { run, bucket } = setUp({
    batch: { results: [otherResults(photo, new Date(NOW - 60_000))] },
    objects: [resultsKey(photo, 'old')],
  });
  await expect(run()).resolves.toMatchObject({ result_counts: [0] });
  expect(bucket.size).toBe(1);
});

test.each(['ListObjectsV2', 'DeleteObjects'])(
  'a bucket that is missing at %s is told as that',
  async (call) => {
    const { run } = setUp({
      batch: { results: ['results/p/'] },
      objects: ['results/p/1.json'],
      storageFailure: { [call]: awsError('NoSuchBucket', 404) },
    });
    const error = await run().catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ name: 'MissingConfiguration' });
    expect((error as Error).message).toMatch(
      new RegExp(`^${call} \\(.*\\) of s3://results/: S3 NoSuchBucket`),
    );
  },
);
