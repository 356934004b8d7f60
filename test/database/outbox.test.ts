/** What the outbox of erasures holds after each question and each request, beside what other photos and events have in it. */
import { randomUUID } from 'node:crypto';
import { otherResults, resultsKey } from '../../lambdas/shared/contract/stored-result.ts';
import {
  type ErasureRequest,
  erasedFacesOf,
  erasureOfDeletion,
  hasOpenErasure,
  isBeingErased,
  lastErasureOfKey,
  lastSearch,
  lockEvent,
  noteErasedBytes,
  openErasure,
  readEventState,
  removeLate,
  removeOtherResponses,
  removeResults,
  replaceVersion,
  retireResult,
  retireVersion,
  searchForFaces,
} from '../../lambdas/shared/erasure/outbox.ts';
import type { PhotoRow, Transaction } from '../../lambdas/shared/photos/rows.ts';
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();

// A face that is leaving is not asked for again.
beforeEach(async () => {
  await database.admin`DELETE FROM face_removals`;
});

const EXECUTION = 'arn:execution:a';
const HOUR_MS = 3_600_000;
const ago = (hours: number) => new Date(Date.now() - hours * HOUR_MS);

/** One transaction with the pipeline's rights. */
const inTransaction = <Result>(work: (sql: Transaction) => Promise<Result>): Promise<Result> =>
  database.pipeline.begin(work) as Promise<Result>;

interface Photo {
  event_id: string;
  photo_id: string;
}

interface ErasureColumns {
  event_id: string;
  photo_id?: string;
  reason?: string;
  requested_at?: Date;
  finished_at?: Date;
  not_before?: Date;
  removed_at?: Date;
  search?: boolean;
  deleted_key_id?: string;
  deletion_sequencer?: string;
}

async function erasure(columns: ErasureColumns): Promise<string> {
  const { admin } = database;
  const [made] = await admin<{ id: string }[]>`
    INSERT INTO erasures ${admin({ reason: 'late_result', ...columns })} RETURNING id`;
  return made!.id;
}

async function newEvent(): Promise<string> {
  const id = randomUUID();
  await database.admin`INSERT INTO events (id, rekognition_collection_id) VALUES (${id}, 'c')`;
  return id;
}

/** An indexed photo of version `v1` with these faces, of a new event unless it is given. */
async function newPhoto(faceIds: string[] = [], event_id?: string): Promise<Photo> {
  const { admin } = database;
  const photo = { event_id: event_id ?? (await newEvent()), photo_id: randomUUID() };
  await admin`
    INSERT INTO photos (id, event_id, object_key, object_version, status, face_count)
    VALUES (${photo.photo_id}, ${photo.event_id}, ${`${photo.photo_id}.jpg`}, 'v1', 'indexed', ${faceIds.length})`;
  for (const rekognition_face_id of faceIds) {
    await admin`INSERT INTO faces ${admin({ photo_id: photo.photo_id, rekognition_face_id })}`;
  }
  return photo;
}

/** All that is to be removed for an event, and by which erasures. */
async function outboxOf(event_id: string) {
  const { admin } = database;
  const erasures = await admin<(ErasureRequest & { id: string })[]>`
    SELECT id, photo_id, reason, execution_arn, photos, search FROM erasures
    WHERE event_id = ${event_id} ORDER BY requested_at, id`;
  const faces = await admin`
    SELECT erasure_id, collection_id, rekognition_face_id, photo_id FROM face_removals
    WHERE erasure_id IN (SELECT id FROM erasures WHERE event_id = ${event_id}) ORDER BY rekognition_face_id`;
  const results = await admin`
    SELECT erasure_id, name, listed FROM result_removals
    WHERE erasure_id IN (SELECT id FROM erasures WHERE event_id = ${event_id}) ORDER BY name`;
  return { erasures: [...erasures], faces: [...faces], results: [...results] };
}

const NOTHING = { erasures: [], faces: [], results: [] };

test.each([
  ['shared', 'ShareLock'],
  ['exclusive', 'ExclusiveLock'],
] as const)('an event is locked %s until the transaction ends, and no other event', async (mode, lock) => {
  const locks = (event_id: string) =>
    inTransaction(async (sql) => {
      await lockEvent(sql, event_id, mode);
      return sql<{ mode: string; id: string }[]>`
        SELECT mode, classid || '/' || objid AS id FROM pg_locks
        WHERE locktype = 'advisory' AND pid = pg_backend_pid()`;
    });
  const [event, other] = [randomUUID(), randomUUID()];
  const [first, again, others] = [await locks(event), await locks(event), await locks(other)];
  expect([...first]).toEqual([{ mode: lock, id: expect.any(String) }]);
  expect([...again]).toEqual([...first]);
  expect(others[0]!.id).not.toBe(first[0]!.id);
});

describe('the state of an event', () => {
  const state = (event_id: string) => inTransaction((sql) => readEventState(sql, event_id));

  test('of one that nobody registered, and of one that nobody asked to erase', async () => {
    const blank = { erasedBefore: null, facesErasedAt: null, erasing: false };
    await expect(state(randomUUID())).resolves.toEqual(blank);
    await expect(state(await newEvent())).resolves.toEqual(blank);
  });

  test('says when it was asked for, and when faces of it last left', async () => {
    const [asked, left] = [ago(2), ago(1)];
    const event_id = await newEvent();
    await database.admin`
      UPDATE events SET erasure_requested_at = ${asked}, faces_erased_at = ${left} WHERE id = ${event_id}`;
    await expect(state(event_id)).resolves.toEqual({
      erasedBefore: asked,
      facesErasedAt: left,
      erasing: false,
    });
  });

  test.each([
    ['open', 'event_requested', true],
    ['open', 'event_expired', true],
    ['finished', 'event_requested', false],
    ['open', 'person_requested', false],
    ['open', 'photo_deleted', false],
  ])('with one erasure, %s, for the reason %s it is being erased: %s', async (end, reason, erasing) => {
    const [event_id, other] = [await newEvent(), await newEvent()];
    await erasure({ event_id, reason, ...(end === 'finished' && { finished_at: ago(1) }) });
    await expect(state(event_id)).resolves.toMatchObject({ erasing });
    await expect(state(other)).resolves.toMatchObject({ erasing: false });
  });
});

test('an erasure is opened with what is asked, and nothing more', async () => {
  const photo = await newPhoto();
  const deletion = { key_id: randomUUID(), sequencer: '0a10' };
  const asked = { reason: 'photo_deleted', execution_arn: EXECUTION, photos: 3 } as const;
  const ids = [
    await inTransaction((sql) => openErasure(sql, { ...asked, ...photo, search: true }, deletion)),
    await inTransaction((sql) => openErasure(sql, { ...asked, event_id: photo.event_id })),
  ];
  const opened = await database.admin`
    SELECT id, event_id, photo_id, reason, execution_arn, photos, search, deleted_key_id, deletion_sequencer, finished_at
    FROM erasures WHERE event_id = ${photo.event_id} ORDER BY search DESC`;
  expect([...opened]).toEqual([
    {
      ...{ id: ids[0], ...photo, ...asked, search: true, finished_at: null },
      ...{ deleted_key_id: deletion.key_id, deletion_sequencer: '0A1' },
    },
    {
      ...{ id: ids[1], event_id: photo.event_id, photo_id: null, ...asked, search: false, finished_at: null },
      ...{ deleted_key_id: null, deletion_sequencer: null },
    },
  ]);
});

test('a deletion’s own erasure is that of its key and its place, however the place is written', async () => {
  const event_id = randomUUID();
  const key_id = randomUUID();
  const find = (sequencer: string, key = key_id) =>
    inTransaction((sql) => erasureOfDeletion(sql, { key_id: key, sequencer }));
  await expect(find('0A1')).resolves.toBeUndefined();
  const places = ['0A1', '0A2'];
  const ids = [];
  for (const deletion_sequencer of places) {
    ids.push(await erasure({ event_id, deleted_key_id: key_id, deletion_sequencer }));
  }
  await expect(find('0a1000')).resolves.toBe(ids[0]);
  await expect(find('0a2')).resolves.toBe(ids[1]);
  await expect(find('0A1', randomUUID())).resolves.toBeUndefined();
});

describe('the last erasure of a key', () => {
  const reason = 'photo_deleted';
  const last = (event_id: string, key_id: string, ...photoIds: string[]) =>
    inTransaction((sql) => lastErasureOfKey(sql, { event_id, key_id, photoIds }));

  test('is the latest that a deletion of it asked for', async () => {
    const [event_id, key_id] = [randomUUID(), randomUUID()];
    await expect(last(event_id, key_id)).resolves.toBeUndefined();
    const made = [];
    for (const [hours, columns] of [
      [5, { event_id, deleted_key_id: key_id }],
      [4, { event_id, deleted_key_id: key_id, finished_at: ago(1) }],
      [3, { event_id, deleted_key_id: randomUUID() }],
      [2, { event_id: randomUUID(), deleted_key_id: key_id }],
      [1, { event_id, deleted_key_id: key_id, reason: 'photo_replaced' }],
    ] as const) {
      made.push(await erasure({ reason, requested_at: ago(hours), ...columns }));
    }
    await expect(last(event_id, key_id)).resolves.toBe(made[1]);
  });

  test('is known by the photo where older code asked for it, and there alone', async () => {
    const [event_id, photo_id, other] = [randomUUID(), randomUUID(), randomUUID()];
    const older = await erasure({ event_id, photo_id, reason, requested_at: ago(3) });
    await erasure({ event_id, photo_id, reason, requested_at: ago(2), deleted_key_id: randomUUID() });
    await erasure({ event_id, photo_id: other, reason, requested_at: ago(1) });
    await expect(last(event_id, randomUUID(), randomUUID(), photo_id)).resolves.toBe(older);
    await expect(last(event_id, randomUUID(), randomUUID())).resolves.toBeUndefined();
  });
});

describe('what comes late for a photo', () => {
  test('joins the latest erasure of it that is open and due', async () => {
    const photo = await newPhoto();
    const { event_id, photo_id } = photo;
    const soon = new Date(Date.now() + HOUR_MS);
    await erasure({ event_id, photo_id, requested_at: ago(6), search: true });
    const due = await erasure({ event_id, photo_id, requested_at: ago(5) });
    await erasure({ event_id, photo_id, requested_at: ago(4), finished_at: ago(3) });
    await erasure({ event_id, photo_id, requested_at: ago(3), not_before: soon });
    await erasure({ event_id, photo_id: randomUUID(), requested_at: ago(2) });
    await erasure({ event_id: randomUUID(), photo_id, requested_at: ago(1) });
    const searched = async () =>
      (await outboxOf(event_id)).erasures.filter(({ id }) => id === due).map(({ search }) => search);
    const { erasures } = await outboxOf(event_id);
    await inTransaction((sql) =>
      removeOtherResponses(sql, photo, { before: ago(0), execution_arn: EXECUTION }),
    );
    await expect(outboxOf(event_id)).resolves.toMatchObject({ erasures, results: [{ erasure_id: due }] });
    // Once it is to search it stays so.
    await expect(searched()).resolves.toEqual([false]);
    await inTransaction((sql) => searchForFaces(sql, photo, EXECUTION));
    await expect(searched()).resolves.toEqual([true]);
    await inTransaction((sql) =>
      removeOtherResponses(sql, photo, { before: ago(1), execution_arn: EXECUTION }),
    );
    await expect(searched()).resolves.toEqual([true]);
    await expect(outboxOf(event_id)).resolves.toMatchObject({ erasures: { length: erasures.length } });
  });

  test('has the collection searched by an erasure of its own', async () => {
    const { event_id, photo_id } = await newPhoto();
    await inTransaction((sql) => searchForFaces(sql, { event_id, photo_id }, EXECUTION));
    await expect(outboxOf(event_id)).resolves.toEqual({
      ...NOTHING,
      erasures: [
        {
          ...{ id: expect.any(String), photo_id, reason: 'late_result', execution_arn: EXECUTION },
          ...{ photos: 1, search: true },
        },
      ],
    });
  });

  test('has the other responses that were stored before then deleted, by an erasure of its own', async () => {
    const { event_id, photo_id } = await newPhoto();
    const before = ago(1);
    await inTransaction((sql) =>
      removeOtherResponses(sql, { event_id, photo_id }, { before, execution_arn: EXECUTION }),
    );
    const id = expect.any(String);
    await expect(outboxOf(event_id)).resolves.toEqual({
      ...NOTHING,
      erasures: [{ id, photo_id, reason: 'late_result', execution_arn: EXECUTION, photos: 1, search: false }],
      results: [{ erasure_id: id, name: otherResults({ event_id, photo_id }, before), listed: false }],
    });
  });
});

test('a response that is asked for again is taken off the batch that may have deleted it', async () => {
  const event_id = randomUUID();
  const [asked, other] = [await erasure({ event_id }), await erasure({ event_id })];
  const names = ['a', 'b'];
  for (const id of [asked, other]) {
    await inTransaction((sql) => removeResults(sql, id, names));
  }
  await database.admin`UPDATE result_removals SET listed = true`;
  await inTransaction((sql) => removeResults(sql, asked, ['b', 'c']));
  await inTransaction((sql) => removeResults(sql, asked, []));
  const { results } = await outboxOf(event_id);
  expect(results.filter(({ erasure_id }) => erasure_id === asked)).toEqual([
    { erasure_id: asked, name: 'a', listed: true },
    { erasure_id: asked, name: 'b', listed: false },
    { erasure_id: asked, name: 'c', listed: false },
  ]);
  expect(results.filter(({ erasure_id }) => erasure_id === other)).toEqual(
    names.map((name) => ({ erasure_id: other, name, listed: true })),
  );
});

describe('the version before', () => {
  const row = (columns: Partial<PhotoRow>) =>
    ({ status: 'indexed', object_version: 'v1', ...columns }) as PhotoRow;
  const replace = (photo: Photo, columns: Partial<PhotoRow>, version = 'v2') =>
    inTransaction((sql) =>
      replaceVersion(sql, photo, row(columns), { version, keep: ['kept'], execution_arn: EXECUTION }),
    );

  test.each([
    ['indexed', 'v1', true],
    ['failed', 'v1', true],
    ['processing', 'v1', false],
    ['deleted', 'v1', false],
    ['erased', 'v1', false],
    ['indexed', null, false],
    ['failed', null, false],
    ['indexed', 'v2', false],
  ] as const)('of a row that is %s at version %s has something that leaves: %s', async (...example) => {
    const [status, object_version, leaves] = example;
    const photo = await newPhoto(['gone', 'kept']);
    await expect(replace(photo, { status, object_version })).resolves.toBe(leaves);
    const outbox = await outboxOf(photo.event_id);
    expect(outbox).toEqual(leaves ? expect.objectContaining({ faces: [expect.anything()] }) : NOTHING);
    expect(outbox.faces.map(({ rekognition_face_id }) => rekognition_face_id)).toEqual(
      leaves ? ['gone'] : [],
    );
  });

  test.each(['replaced', 'retired'])('of a photo that is %s leaves with its response', async (how) => {
    const [photo, other] = [await newPhoto(['gone', 'kept']), await newPhoto(['gone', 'kept'])];
    await (how === 'replaced'
      ? replace(photo, {})
      : inTransaction((sql) =>
          retireVersion(sql, photo, { version: 'v1', keep: ['kept'], execution_arn: EXECUTION }),
        ));
    const id = expect.any(String);
    const { photo_id } = photo;
    await expect(outboxOf(photo.event_id)).resolves.toEqual({
      erasures: [
        { id, photo_id, reason: 'photo_replaced', execution_arn: EXECUTION, photos: 1, search: false },
      ],
      faces: [{ erasure_id: id, collection_id: 'c', rekognition_face_id: 'gone', photo_id }],
      results: [{ erasure_id: id, name: resultsKey(photo, 'v1'), listed: false }],
    });
    await expect(outboxOf(other.event_id)).resolves.toEqual(NOTHING);
    const left = await database.admin`
      SELECT rekognition_face_id FROM faces WHERE photo_id IN (${photo_id}, ${other.photo_id}) ORDER BY 1`;
    expect(left.map(({ rekognition_face_id }) => rekognition_face_id)).toEqual(['gone', 'kept', 'kept']);
  });
});

describe('a response that is not going to be stored', () => {
  const late = (face_ids: string[], results_key = 'folder/response') => ({
    ...{ collection_id: 'c', face_ids, results_key, execution_arn: EXECUTION },
  });
  const retire = (photo: Photo, face_ids: string[], { always = false } = {}) =>
    inTransaction((sql) => retireResult(sql, photo, late(face_ids), { always }));

  test('leaves with the faces that no row knows and no other erasure has asked for', async () => {
    const photo = await newPhoto(['stored']);
    const other = await newPhoto(['of another photo'], photo.event_id);
    const open = await erasure({ event_id: randomUUID() });
    await database.admin`
      INSERT INTO face_removals ${database.admin(
        [
          { collection_id: 'c', rekognition_face_id: 'leaving' },
          { collection_id: 'another', rekognition_face_id: 'leaves another' },
        ].map((removal) => ({ erasure_id: open, photo_id: photo.photo_id, ...removal })),
      )}`;
    const faceIds = ['stored', 'of another photo', 'leaving', 'leaves another', 'new'];
    await expect(retire(photo, faceIds)).resolves.toBe(true);
    const id = expect.any(String);
    await expect(outboxOf(photo.event_id)).resolves.toEqual({
      erasures: [
        {
          ...{ id, photo_id: photo.photo_id, reason: 'late_result', execution_arn: EXECUTION },
          ...{ photos: 1, search: false },
        },
      ],
      faces: ['leaves another', 'new', 'of another photo'].map((rekognition_face_id) => ({
        ...{ erasure_id: id, collection_id: 'c', rekognition_face_id, photo_id: photo.photo_id },
      })),
      results: [{ erasure_id: id, name: 'folder/response', listed: false }],
    });
    const kept =
      await database.admin`SELECT FROM faces WHERE photo_id IN (${photo.photo_id}, ${other.photo_id})`;
    expect(kept).toHaveLength(2);
  });

  test.each([
    [[], false, false],
    [['stored'], false, false],
    [['stored'], true, true],
    [['stored', 'new'], false, true],
    [['stored', 'new'], true, true],
  ])('that names %j, to go in any case: %s, has something that leaves: %s', async (...row) => {
    const [faceIds, always, leaves] = row;
    const photo = await newPhoto(['stored']);
    await expect(retire(photo, faceIds, { always })).resolves.toBe(leaves);
    const { erasures, results } = await outboxOf(photo.event_id);
    expect([erasures.length, results.length]).toEqual(leaves ? [1, 1] : [0, 0]);
  });

  test('has a name only where there is one, and is asked for once', async () => {
    const photo = await newPhoto();
    for (const _ of ['', 'again']) {
      await inTransaction((sql) => removeLate(sql, photo, late(['new'], '')));
    }
    await expect(outboxOf(photo.event_id)).resolves.toMatchObject({
      erasures: { length: 1 },
      faces: [{ rekognition_face_id: 'new' }],
      results: { length: 0 },
    });
  });
});

describe('whether faces are leaving', () => {
  const erasing = (photo: Photo, face_ids: string[]) =>
    inTransaction((sql) => isBeingErased(sql, photo, { collection_id: 'c', face_ids }));

  test('any of them out of this collection', async () => {
    const photo = { event_id: randomUUID(), photo_id: randomUUID() };
    const erasure_id = await erasure({ event_id: photo.event_id });
    await database.admin`
      INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
      VALUES (${erasure_id}, 'c', 'a', ${randomUUID()}), (${erasure_id}, 'another', 'b', ${randomUUID()})`;
    await expect(erasing(photo, ['a', 'x'])).resolves.toBe(true);
    await expect(erasing(photo, ['b', 'x'])).resolves.toBe(false);
    await expect(erasing(photo, [])).resolves.toBe(false);
  });

  test.each([
    ['that searches', { search: true }, true],
    ['that does not search', { search: false }, false],
    ['that is finished', { search: true, finished_at: ago(1) }, false],
    ['of another event', { search: true, event_id: randomUUID() }, false],
    ['of another photo', { search: true, photo_id: randomUUID() }, false],
  ])('whatever was indexed under the photo’s id: an erasure %s', async (_, columns, expected) => {
    const photo = { event_id: randomUUID(), photo_id: randomUUID() };
    await erasure({ ...photo, ...columns });
    await expect(erasing(photo, ['of no removal'])).resolves.toBe(expected);
  });
});

test('an erasure is open until it is finished, for its own photo', async () => {
  const [event_id, photo_id] = [randomUUID(), randomUUID()];
  const open = (event: string, ...photoIds: string[]) =>
    inTransaction((sql) => hasOpenErasure(sql, event, photoIds));
  await erasure({ event_id, photo_id, finished_at: ago(1) });
  await expect(open(event_id, photo_id)).resolves.toBe(false);
  await erasure({ event_id, photo_id });
  await expect(open(event_id, randomUUID(), photo_id)).resolves.toBe(true);
  await expect(open(event_id, randomUUID())).resolves.toBe(false);
  await expect(open(randomUUID(), photo_id)).resolves.toBe(false);
});

test('the last search is the latest of the photo’s own that came to an end', async () => {
  const [event_id, photo_id] = [randomUUID(), randomUUID()];
  const last = () => inTransaction((sql) => lastSearch(sql, { event_id, photo_id }));
  await expect(last()).resolves.toBeNull();
  await erasure({ event_id, photo_id, search: true });
  await expect(last()).resolves.toBeNull();
  const latest = ago(4);
  for (const columns of [
    { search: true, removed_at: ago(5) },
    { search: true, removed_at: latest },
    { search: false, removed_at: ago(3) },
    { search: true, removed_at: ago(2), photo_id: randomUUID() },
    { search: true, removed_at: ago(1), event_id: randomUUID() },
  ]) {
    await erasure({ event_id, photo_id, ...columns });
  }
  await expect(last()).resolves.toEqual(latest);
});

describe('the erased faces of a photo', () => {
  test('are its own', async () => {
    const { admin } = database;
    const photo = { event_id: randomUUID(), photo_id: randomUUID() };
    const erasure_id = await erasure(photo);
    const face = { bounding_box: { Left: 0.1 }, etag: 'e', requested_at: ago(2), erased_at: ago(1) };
    for (const whose of [photo, { ...photo, event_id: randomUUID() }, { ...photo, photo_id: randomUUID() }]) {
      await admin`INSERT INTO erased_faces ${admin({ ...face, ...whose, erasure_id, bounding_box: admin.json(face.bounding_box) } as never)}`;
    }
    await expect(inTransaction((sql) => erasedFacesOf(sql, photo))).resolves.toEqual([face]);
  });

  test('that were erased before their photo arrived are of the bytes that came', async () => {
    const { admin } = database;
    const photo = { event_id: randomUUID(), photo_id: randomUUID() };
    const erasure_id = await erasure(photo);
    const uploadedAt = ago(2);
    const examples: [columns: Record<string, unknown>, etag: string | null][] = [
      [{}, 'new'],
      [{ etag: 'old' }, 'old'],
      [{ requested_at: uploadedAt }, null],
      [{ requested_at: ago(3) }, null],
      [{ event_id: randomUUID() }, null],
      [{ photo_id: randomUUID() }, null],
    ];
    for (const [n, [columns]] of examples.entries()) {
      await admin`
        INSERT INTO erased_faces ${admin({
          ...{ ...photo, erasure_id, requested_at: ago(1), erased_at: new Date(n) },
          ...columns,
        } as never)}`;
    }
    await inTransaction((sql) => noteErasedBytes(sql, photo, 'new', uploadedAt));
    const noted = await admin`
      SELECT etag FROM erased_faces WHERE erasure_id = ${erasure_id} ORDER BY erased_at`;
    expect(noted.map(({ etag }) => etag)).toEqual(examples.map(([, etag]) => etag));
  });
});
