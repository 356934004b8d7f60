import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import {
  CollectionStore,
  type NewFace,
  type StoredFace,
  similarityOf,
} from '../../local/rekognition/collections.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'collections-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (facesPerCollection = 1_000_000) =>
  CollectionStore.open({ folder, facesPerCollection, now: () => 1_700_000_000_000 });

/** A face at a place of its own, with a descriptor of its own. */
function face(n: number): NewFace {
  return {
    boundingBox: { Left: (n % 50) / 50, Top: (Math.floor(n / 50) % 50) / 50, Width: 0.02, Height: 0.02 },
    confidence: 90,
    descriptor: Float32Array.from({ length: 128 }, (_, i) => Math.sin(n * 128 + i) / 10),
  };
}

const image = (name: string, externalImageId: string | undefined = name) => ({ hash: name, externalImageId });

async function journalOf(): Promise<string> {
  const [name] = await readdir(folder);
  return path.join(folder, name!);
}

test('what is stored is there again after a restart, to the last bit', async () => {
  const store = await open();
  await store.create('c', { team: 'photos' });
  const stored = await store.index('c', image('a'), [face(1), face(2)]);
  const [removed] = await store.index('c', { hash: 'b', externalImageId: undefined }, [face(3)]);
  await store.deleteFaces('c', [removed!.faceId]);

  const collection = (await open()).get('c');
  expect(collection.tags).toEqual({ team: 'photos' });
  expect(collection.createdAt).toBe(1_700_000_000_000);
  expect(new Set(collection.faces.values())).toEqual(new Set<StoredFace>(stored));
});

test('the same image under the same external id is stored once and keeps its ids', async () => {
  const store = await open();
  await store.create('c', {});
  const faces = [face(1), face(2)];
  const answers = await Promise.all(Array.from({ length: 10 }, () => store.index('c', image('a'), faces)));
  for (const answer of answers) {
    expect(answer).toEqual(answers[0]);
  }
  expect(store.get('c').faces.size).toBe(2);
  const reopened = await open();
  expect(await reopened.index('c', image('a'), faces)).toEqual(answers[0]);

  // A third face (say, a looser quality filter) joins the image; another id, another image or none is stored anew.
  const more = await reopened.index('c', image('a'), [...faces, face(3)]);
  expect(more.slice(0, 2)).toEqual(answers[0]);
  expect(more[2]!.imageId).toBe(more[0]!.imageId);
  await reopened.index('c', image('a', 'other'), faces);
  await reopened.index('c', image('b', 'a'), faces);
  await reopened.index('c', { hash: 'a', externalImageId: undefined }, faces);
  await reopened.index('c', { hash: 'a', externalImageId: undefined }, faces);
  expect(reopened.get('c').faces.size).toBe(3 + 4 * 2);
});

test('a face that was deleted gets a new id when its image comes again', async () => {
  const store = await open();
  await store.create('c', {});
  const [first, second] = await store.index('c', image('a'), [face(1), face(2)]);
  expect(await store.deleteFaces('c', [first!.faceId, first!.faceId, 'unknown'])).toEqual([first!.faceId]);
  const again = await store.index('c', image('a'), [face(1), face(2)]);
  expect(again[0]!.faceId).not.toBe(first!.faceId);
  expect(again[1]).toEqual(second);
});

test('a journal cut at any byte opens as it was after its last whole line, and can be written on', async () => {
  const store = await open();
  await store.create('c', {});
  const journal = await journalOf();
  /** How many bytes the journal had, and which faces the collection, after each step. */
  const steps: { size: number; faceIds: string[] }[] = [];
  const remember = async () =>
    steps.push({ size: (await stat(journal)).size, faceIds: [...store.get('c').faces.keys()].sort() });
  await remember();
  for (let n = 0; n < 8; n++) {
    const [first] = await store.index('c', image(`${n}`), [face(2 * n), face(2 * n + 1)]);
    await remember();
    if (n % 3 === 0) {
      await store.deleteFaces('c', [first!.faceId]);
      await remember();
    }
  }
  const whole = await readFile(journal);

  await fc.assert(
    fc.asyncProperty(fc.integer({ min: steps[0]!.size, max: whole.length }), async (cut) => {
      await writeFile(journal, whole.subarray(0, cut));
      const expected = steps.findLast(({ size }) => size <= cut)!;
      const reopened = await open();
      expect([...reopened.get('c').faces.keys()].sort()).toEqual(expected.faceIds);
      const [added] = await reopened.index('c', image('after the crash'), [face(99)]);
      expect((await open()).get('c').faces.has(added!.faceId)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('a torn last line may hold anything; a damaged line before it is not a crash, and is named', async () => {
  const store = await open();
  await store.create('c', {});
  await store.index('c', image('a'), [face(1)]);
  const journal = await journalOf();
  const { size } = await stat(journal);
  await appendFile(journal, Buffer.from([0, 0, 0, 0x0a]));
  expect((await open()).get('c').faces.size).toBe(1);
  expect((await stat(journal)).size).toBe(size);

  await appendFile(journal, 'not json\n{"deleted":[]}\n');
  await expect(open()).rejects.toThrow(`${journal}: line 3 is damaged`);
  await truncate(journal, size);
  expect((await open()).get('c').faces.size).toBe(1);
});

test('what an interrupted creation left behind is not a collection', async () => {
  await writeFile(path.join(folder, 'abc.jsonl.tmp'), '{"collection":"c"');
  const store = await open();
  expect(store.list()).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('a deleted collection is gone for good, also for who was about to write to it', async () => {
  const store = await open();
  await store.create('c', {});
  const deleting = store.delete('c');
  // Now the deletion holds the collection, and the file is not gone yet.
  for (let turn = 0; turn < 5; turn++) {
    await null;
  }
  await expect(store.index('c', image('a'), [face(1)])).rejects.toThrow(
    'The collection id: c does not exist',
  );
  await deleting;
  expect(await readdir(folder)).toEqual([]);
  await store.create('c', {});
  expect(store.get('c').faces.size).toBe(0);
});

test('a full collection takes no more, and nothing of an image that would overfill it', async () => {
  const store = await open(3);
  await store.create('c', {});
  await store.index('c', image('a'), [face(1), face(2)]);
  await expect(store.index('c', image('b'), [face(3), face(4)])).rejects.toMatchObject({
    name: 'ServiceQuotaExceededException',
  });
  expect(store.get('c').faces.size).toBe(2);
  await store.index('c', image('b'), [face(3)]);
});

test('a journal of mostly deleted faces is rewritten on load', async () => {
  const store = await open();
  await store.create('c', {});
  const ids: string[] = [];
  for (let n = 0; n < 15; n++) {
    const stored = await store.index(
      'c',
      image(`${n}`),
      Array.from({ length: 100 }, (_, i) => face(n * 100 + i)),
    );
    ids.push(...stored.map(({ faceId }) => faceId));
  }
  await store.deleteFaces('c', ids.slice(0, 1400));
  const journal = await journalOf();
  const before = (await stat(journal)).size;
  const kept = [...store.get('c').faces.values()];

  for (const reopened of [await open(), await open()]) {
    // By id: sets of objects are compared pair by pair.
    expect(reopened.get('c').faces).toEqual(new Map(kept.map((one) => [one.faceId, one])));
    expect((await stat(journal)).size).toBeLessThan(before / 10);
    expect(await reopened.index('c', image('14'), [face(1400)])).toEqual([kept[0]]);
  }
});

test('a search finds what is alike, most alike first, and not the face itself', async () => {
  const store = await open();
  await store.create('c', {});
  const near = (distance: number): NewFace => {
    const descriptor = new Float32Array(128);
    descriptor[0] = distance;
    return { ...face(Math.round(distance * 100)), descriptor };
  };
  const stored = await store.index('c', image('a'), [0, 0.3, 0.5, 0.54, 0.56, 0.9].map(near));
  const matches = store.get('c').search(new Float32Array(128), 80, 10, stored[0]!.faceId);
  expect(matches.map(({ face: { faceId } }) => faceId)).toEqual(
    stored.slice(1, 4).map(({ faceId }) => faceId),
  );
  expect(
    store
      .get('c')
      .search(new Float32Array(128), 80, 2)
      .map(({ face: { faceId } }) => faceId),
  ).toEqual(stored.slice(0, 2).map(({ faceId }) => faceId));
  expect(store.get('c').search(new Float32Array(128), 0, 10)).toHaveLength(6);
});

test('similarity is symmetric, between 0 and 100, and falls with the distance', () => {
  const descriptor = fc.float32Array({ minLength: 128, maxLength: 128, min: -1, max: 1, noNaN: true });
  fc.assert(
    fc.property(descriptor, descriptor, (a, b) => {
      expect(similarityOf(a, b)).toBe(similarityOf(b, a));
      expect(similarityOf(a, b)).toBeGreaterThanOrEqual(0);
      expect(similarityOf(a, b)).toBeLessThanOrEqual(similarityOf(a, a));
      const halfway = a.map((value, i) => (value + b[i]!) / 2);
      expect(similarityOf(a, halfway)).toBeGreaterThanOrEqual(similarityOf(a, b));
    }),
  );
});
