/** What each statement that writes photos, or takes faces out of their rows, leaves: of the photo that it is about, and of those beside it. */
import { randomUUID } from 'node:crypto';
import { type PhotoKey, parsePhotoKey } from '../../lambdas/shared/contract/photo-key.ts';
import {
  deleteFacesOfEvent,
  facesOfPhotos,
  forgetFaces,
  lockOwnRow,
  lockRows,
  lockRowsToCome,
  loseFaces,
  markEventErased,
  markFacesErased,
  moveFence,
  moveToCopy,
  noteEnd,
  type PhotoRow,
  registerPhotos,
  rememberOther,
  reopenPhoto,
  retireFaces,
  type Transaction,
  takenMessage,
  writeDeleted,
  writeErased,
  writeFailed,
  writeIndexed,
  writeTaken,
} from '../../lambdas/shared/photos/rows.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { waitsForLock } from '../support/waiting.ts';

const database = useTestDatabase();

// Whoever reads the table would take JSON's null for a value.
afterEach(async () => {
  const written =
    await database.admin`SELECT FROM photos WHERE other_objects = 'null' OR unindexed_faces = 'null'`;
  expect(written).toHaveLength(0);
});

const EXECUTION = 'arn:execution:new';
const LONG_AGO = new Date('2026-01-02T03:04:05Z');
const NOW = expect.any(Date);

const inTransaction = <Result>(work: (sql: Transaction) => Promise<Result>): Promise<Result> =>
  database.pipeline.begin(work) as Promise<Result>;

type Columns = Omit<PhotoRow, 'object_key'> & {
  object_key: string;
  object_etag: string | null;
  failure_code: string | null;
  failure_message: string | null;
  failure_retryable: boolean | null;
  indexed_at: Date | null;
  failed_at: Date | null;
  deleted_at: Date | null;
};

async function newEvent(collection: string | null = 'c'): Promise<string> {
  const id = randomUUID();
  await database.admin`INSERT INTO events (id, rekognition_collection_id) VALUES (${id}, ${collection})`;
  return id;
}

const keyOf = (eventId: string, name: string = randomUUID()) => `events/${eventId}/${name}.jpg`;

/** A row in which every column says something, so that one that is left as it was shows. */
async function newRow(columns: Partial<Columns> = {}): Promise<Columns> {
  const { admin } = database;
  const event_id = columns.event_id ?? (await newEvent());
  const id = columns.id ?? randomUUID();
  const row: Columns = {
    ...{ id, event_id, status: 'indexed', object_key: keyOf(event_id, id), object_version: 'v1' },
    ...{
      object_sequencer: '01',
      other_objects: null,
      object_etag: 'etag1',
      face_count: 2,
      unindexed_faces: ['u'],
    },
    ...{
      failure_code: 'Old',
      failure_message: 'old',
      failure_retryable: true,
      execution_arn: 'arn:execution:old',
    },
    ...{ indexed_at: LONG_AGO, failed_at: LONG_AGO, deleted_at: LONG_AGO, faces_erased_at: LONG_AGO },
    ...columns,
  };
  const { unindexed_faces, other_objects } = row;
  await admin`INSERT INTO photos ${admin({
    ...row,
    unindexed_faces: unindexed_faces && admin.json(unindexed_faces as never),
    other_objects: other_objects && admin.json(other_objects as never),
  } as never)}`;
  return row;
}

async function rowOf(id: string): Promise<Columns | undefined> {
  const [row] = await database.admin<Columns[]>`
    SELECT id, event_id, status, object_key, object_version, object_sequencer, other_objects, object_etag, face_count,
           unindexed_faces, failure_code, failure_message, failure_retryable, execution_arn, indexed_at, failed_at,
           deleted_at, faces_erased_at
    FROM photos WHERE id = ${id}`;
  return row;
}

const NO_FAILURE = { failure_code: null, failure_message: null, failure_retryable: null };
const NO_FACES = { face_count: null, unindexed_faces: null };

/** What the work makes of the row, of nothing else. */
async function changed(
  columns: Partial<Columns>,
  work: (sql: Transaction, row: Columns) => Promise<unknown>,
): Promise<{ before: Columns; after: Columns }> {
  const before = await newRow(columns);
  const beside = await newRow({ event_id: before.event_id });
  await inTransaction((sql) => work(sql, before));
  await expect(rowOf(beside.id)).resolves.toEqual(beside);
  return { before, after: (await rowOf(before.id))! };
}
const object = { version: 'v2', sequencer: '02' };

async function newFace(photo_id: string, rekognition_face_id: string | null, box: object | null = null) {
  const { admin } = database;
  await admin`
    INSERT INTO faces (photo_id, rekognition_face_id, bounding_box)
    VALUES (${photo_id}, ${rekognition_face_id}, ${box && admin.json(box as never)})`;
}
const facesOf = async (...photoIds: string[]) =>
  (
    await database.admin<{ face: string | null }[]>`
      SELECT rekognition_face_id AS face FROM faces WHERE photo_id IN ${database.admin(photoIds)} ORDER BY 1`
  ).map(({ face }) => face);

async function newErasure(event_id: string): Promise<string> {
  const [made] = await database.admin<{ id: string }[]>`
    INSERT INTO erasures (event_id, reason) VALUES (${event_id}, 'late_result') RETURNING id`;
  return made!.id;
}

describe('what a result, a failure, an erasure or a deletion writes', () => {
  test('of an indexed photo', async () => {
    const { before, after } = await changed({ status: 'failed', ...NO_FACES }, (sql, row) =>
      writeIndexed(
        sql,
        row,
        { key: row.object_key, ...object },
        { etag: 'etag2', faceCount: 3, unindexedFaces: ['w'], executionArn: EXECUTION },
      ),
    );
    expect(after).toEqual({
      ...{ ...before, ...NO_FAILURE, status: 'indexed', object_version: 'v2', object_sequencer: '02' },
      ...{ object_etag: 'etag2', face_count: 3, unindexed_faces: ['w'], execution_arn: EXECUTION },
      ...{ indexed_at: NOW, failed_at: null, deleted_at: null },
    });
    expect(after.indexed_at).not.toEqual(LONG_AGO);
  });

  test('of a failed one', async () => {
    const failure = { code: 'New', message: 'new', retryable: false, executionArn: EXECUTION };
    const { before, after } = await changed({}, (sql, row) =>
      writeFailed(sql, row, { key: row.object_key, ...object }, failure),
    );
    expect(after).toEqual({
      ...{ ...before, ...NO_FACES, status: 'failed', object_version: 'v2', object_sequencer: '02' },
      ...{ failure_code: 'New', failure_message: 'new', failure_retryable: false, execution_arn: EXECUTION },
      ...{ indexed_at: null, failed_at: NOW, deleted_at: null },
    });
    expect(after.failed_at).not.toEqual(LONG_AGO);
  });

  test('of a deleted one', async () => {
    const { before, after } = await changed({}, (sql, row) => writeDeleted(sql, row, '03'));
    expect(after).toEqual({
      ...{
        ...before,
        ...NO_FACES,
        ...NO_FAILURE,
        status: 'deleted',
        object_version: null,
        object_sequencer: '03',
      },
      deleted_at: NOW,
    });
    expect(after.deleted_at).not.toEqual(LONG_AGO);
  });

  test('of one that was uploaded before its event was erased', async () => {
    const { before, after } = await changed({ status: 'failed', ...NO_FACES }, (sql, row) =>
      writeErased(sql, row, { key: row.object_key, ...object }, EXECUTION),
    );
    expect(after).toEqual({
      ...{ ...before, ...NO_FAILURE, status: 'erased', object_version: 'v2', object_sequencer: '02' },
      execution_arn: EXECUTION,
    });
  });

  test('of one whose faces the erasure has still to come for: only that the object is there', async () => {
    const { before, after } = await changed({}, (sql, row) =>
      writeErased(sql, row, { key: row.object_key, ...object }, EXECUTION),
    );
    expect(after).toEqual({ ...before, object_sequencer: '02' });
  });

  test.each(['failed', 'deleted', 'processing'] as const)(
    'of a row that is %s and about another key: what became of that one stays',
    async (status) => {
      const { before, after } = await changed({ status, ...NO_FACES }, (sql, row) =>
        writeErased(sql, row, { key: 'other', ...object }, EXECUTION),
      );
      expect(after).toEqual({ ...before, other_objects: { other: object } });
    },
  );

  test('of a row that is about another key, at which nothing lies any more', async () => {
    const { before, after } = await changed(
      { status: 'deleted', ...NO_FACES, object_version: null },
      (sql, row) => writeErased(sql, row, { key: 'other', ...object }, EXECUTION),
    );
    expect(after).toEqual({
      ...{ ...before, ...NO_FAILURE, status: 'erased', object_key: 'other', object_version: 'v2' },
      ...{ object_sequencer: '02', execution_arn: EXECUTION },
      other_objects: { [before.object_key]: { version: null, sequencer: '01' } },
    });
  });

  test('of an execution that came to its end after the deletion', async () => {
    const { before, after } = await changed({ status: 'deleted' }, (sql, row) =>
      noteEnd(sql, row, EXECUTION),
    );
    expect(after).toEqual({ ...before, execution_arn: EXECUTION });
  });
});

describe('other keys of a photo', () => {
  const other = { version: 'v9', sequencer: '09' };

  test('are remembered beside those that were', async () => {
    const known = { known: { version: null, sequencer: '05' }, other: { version: 'v8', sequencer: '08' } };
    const { before, after } = await changed({ other_objects: known }, (sql, row) =>
      rememberOther(sql, row, 'other', other),
    );
    expect(after).toEqual({ ...before, other_objects: { ...known, other } });
  });

  const ends = [
    [
      'indexed',
      (sql: Transaction, row: Columns) => {
        const result = { etag: 'e', faceCount: 0, unindexedFaces: [], executionArn: EXECUTION };
        return writeIndexed(sql, row, { key: row.object_key, ...object }, result);
      },
    ],
    [
      'failed',
      (sql: Transaction, row: Columns) => {
        const failure = { code: 'New', message: 'new', retryable: false, executionArn: EXECUTION };
        return writeFailed(sql, row, { key: row.object_key, ...object }, failure);
      },
    ],
    [
      'erased',
      (sql: Transaction, row: Columns) =>
        writeErased(sql, row, { key: row.object_key, ...object }, EXECUTION),
    ],
  ] as const;

  test.each(ends)('whose bytes are replaced by what is %s become photos of their own', async (_, write) => {
    const event_id = await newEvent();
    const photo = randomUUID();
    const keys = ['a', 'b', 'c'].map((folder) => keyOf(event_id, `${folder}/${photo}`));
    const [replaced, later, gone] = keys as [string, string, string];
    const laterId = parsePhotoKey(later).keyId;
    const taken = await newRow({ event_id, id: laterId, object_key: later, object_sequencer: '99' });
    const others = {
      [replaced]: { version: 'v1', sequencer: '07' },
      [later]: { version: 'v1', sequencer: '08' },
      [gone]: { version: null, sequencer: '05' },
    };
    const { after } = await changed(
      { event_id, id: photo, status: 'failed', ...NO_FACES, other_objects: others },
      write,
    );
    expect(after.other_objects).toEqual({ [gone]: others[gone] });
    const own = parsePhotoKey(replaced).keyId;
    await expect(rowOf(own)).resolves.toEqual({
      ...{
        id: own,
        event_id,
        status: 'failed',
        object_key: replaced,
        object_version: 'v1',
        object_sequencer: '07',
      },
      ...{ other_objects: null, object_etag: null, ...NO_FACES, faces_erased_at: null, execution_arn: null },
      ...{ failure_code: 'PhotoIdTaken', failure_message: takenMessage(photo), failure_retryable: false },
      ...{ indexed_at: null, failed_at: NOW, deleted_at: null },
    });
    // Something later is known of it.
    await expect(rowOf(laterId)).resolves.toEqual(taken);
    await expect(rowOf(parsePhotoKey(gone).keyId)).resolves.toBeUndefined();
  });

  test('a row of another event is not written for them', async () => {
    const event_id = await newEvent();
    const key = keyOf(event_id, 'folder/picture');
    const theirs = await newRow({ id: parsePhotoKey(key).keyId });
    const [, write] = ends[1];
    await changed({ event_id, other_objects: { [key]: { version: 'v1', sequencer: '07' } } }, write);
    await expect(rowOf(theirs.id)).resolves.toEqual(theirs);
  });

  test('a key that becomes a photo of its own anew has its row written again', async () => {
    const event_id = await newEvent();
    const key = keyOf(event_id, 'folder/picture');
    const own = parsePhotoKey(key).keyId;
    const before = await newRow({
      event_id,
      id: own,
      status: 'deleted',
      object_key: 'old',
      object_sequencer: '07',
    });
    const [, write] = ends[1];
    await changed({ event_id, other_objects: { [key]: { version: 'v1', sequencer: '07' } } }, write);
    await expect(rowOf(own)).resolves.toMatchObject({
      ...{
        status: 'failed',
        object_key: key,
        object_version: 'v1',
        object_sequencer: '07',
        deleted_at: null,
      },
      ...{ failure_code: 'PhotoIdTaken', failure_retryable: false, object_etag: before.object_etag },
    });
  });

  describe('a copy', () => {
    const copy = { key: 'copy', version: 'v1', sequencer: '0B' };
    const known = { copy: { version: 'v1', sequencer: '0B' }, further: { version: 'v1', sequencer: '0C' } };

    test('is what the row is about once its own object is gone', async () => {
      const { before, after } = await changed({ other_objects: known }, (sql, row) =>
        moveToCopy(sql, row, copy, '0F'),
      );
      expect(after).toEqual({
        ...{ ...before, object_key: 'copy', object_sequencer: '0B' },
        other_objects: { further: known.further, [before.object_key]: { version: null, sequencer: '0F' } },
      });
    });

    test.each([
      ['InvalidS3Object', true],
      ['FacesLost', false],
    ])('of a photo that failed with %s has no end yet: %s', async (failure_code, isOpen) => {
      const { before, after } = await changed(
        { status: 'failed', failure_code, other_objects: { copy: known.copy }, ...NO_FACES },
        (sql, row) => moveToCopy(sql, row, copy, '0F'),
      );
      expect(after).toEqual({
        ...{ ...before, object_key: 'copy', object_sequencer: '0B' },
        other_objects: { [before.object_key]: { version: null, sequencer: '0F' } },
        ...(isOpen && { ...NO_FAILURE, status: 'processing', failed_at: null }),
      });
    });

    test('of a photo that did not fail keeps its end', async () => {
      const { after } = await changed(
        { failure_code: 'InvalidS3Object', other_objects: { copy: known.copy } },
        (sql, row) => moveToCopy(sql, row, copy, '0F'),
      );
      expect(after).toMatchObject({
        status: 'indexed',
        failure_code: 'InvalidS3Object',
        failed_at: LONG_AGO,
      });
    });
  });

  test.each([
    ['its own, later', 'own', '02', { object_sequencer: '02' }],
    ['its own, told again', 'own', '01', {}],
    ['its own, earlier', 'own', '00', {}],
    [
      'another, for the first time',
      'other',
      '00F',
      { other_objects: { other: { version: 'v2', sequencer: '00F' } } },
    ],
  ])('an upload of %s moves the fence', async (_, whose, sequencer, expected) => {
    const { before, after } = await changed({}, (sql, row) =>
      moveFence(sql, row, { key: whose === 'own' ? row.object_key : whose, version: 'v2', sequencer }),
    );
    expect(after).toEqual({ ...before, ...expected });
  });

  test.each([
    ['02', false],
    ['03', false],
    ['04', true],
  ])('an upload of another key at %s, known at 03, is news: %s', async (sequencer, isNews) => {
    const other_objects = { other: { version: 'v3', sequencer: '03' } };
    const { before, after } = await changed({ other_objects }, (sql, row) =>
      moveFence(sql, row, { key: 'other', version: 'v4', sequencer }),
    );
    expect(after).toEqual({
      ...before,
      other_objects: isNews ? { other: { version: 'v4', sequencer } } : other_objects,
    });
  });
});

describe('the rows of a key', () => {
  const lock = (key: string, needsRow: Parameters<typeof lockRows>[3] = () => true) =>
    inTransaction((sql) => lockRows(sql, parsePhotoKey(key), key, needsRow));
  const waiting = { status: 'processing', object_version: null, object_sequencer: null } as const;

  test('are registered with their event where it is needed, about the key and no object yet', async () => {
    const key = keyOf(randomUUID());
    const { eventId, photoId } = parsePhotoKey(key);
    await expect(lock(key, () => false)).resolves.toEqual({ photo: undefined, own: undefined });
    await expect(rowOf(photoId)).resolves.toBeUndefined();
    const asked: unknown[] = [];
    const rows = await lock(key, (found) => asked.push(found) > 0);
    expect(asked).toStrictEqual([{ photo: undefined, own: undefined }]);
    const photo = { id: photoId, event_id: eventId, object_key: key, ...waiting };
    expect(rows).toEqual({ photo: expect.objectContaining(photo), own: undefined });
    await expect(rowOf(photoId)).resolves.toMatchObject(photo);
    await expect(lock(key, () => false)).resolves.toEqual(rows);
  });

  test.each([
    ['says all of the key', {}, false],
    ['was only announced', waiting, true],
    ['is about another key', { object_key: 'other' }, true],
  ])('the key’s own is looked for beside a photo’s that %s: %s', async (_, columns, isLookedFor) => {
    const event_id = await newEvent();
    const id = randomUUID();
    const key = keyOf(event_id, id);
    const photo = await newRow({ event_id, id, object_key: key, ...columns });
    const own = await newRow({ event_id, id: parsePhotoKey(key).keyId });
    const rows = await lock(key);
    expect(rows.photo).toMatchObject({
      id: photo.id,
      faces_erased_at: LONG_AGO,
      execution_arn: photo.execution_arn,
    });
    expect(rows.own?.id).toBe(isLookedFor ? own.id : undefined);
  });

  test('the key’s own is kept where the photo has none', async () => {
    const event_id = await newEvent();
    const key = keyOf(event_id);
    const own = await newRow({ event_id, id: parsePhotoKey(key).keyId });
    for (const needsRow of [() => false, () => true]) {
      const rows = await lock(key, needsRow);
      expect([rows.photo?.object_key, rows.own?.id]).toEqual([needsRow() ? key : undefined, own.id]);
    }
  });

  test('a key whose id is its photo’s has one row', async () => {
    const key = keyOf(await newEvent(), 'picture');
    const { keyId } = parsePhotoKey(key);
    for (const _ of ['first', 'again']) {
      await expect(lock(key)).resolves.toEqual({
        photo: expect.objectContaining({ id: keyId }),
        own: undefined,
      });
    }
  });

  test.each(['the photo’s', 'the key’s own'])(
    '%s is nobody else’s until the transaction ends',
    async (whose) => {
      const event_id = await newEvent();
      const key = keyOf(event_id);
      const { photoId, keyId } = parsePhotoKey(key);
      const { id } = await newRow({ event_id, id: whose === 'the photo’s' ? photoId : keyId });
      await inTransaction(async (sql) => {
        await lockRows(sql, parsePhotoKey(key), key, () => false);
        await expect(
          database.admin`SELECT FROM photos WHERE id = ${id} FOR UPDATE SKIP LOCKED`,
        ).resolves.toHaveLength(0);
      });
    },
  );

  test('are those of an execution that was faster', async () => {
    const event_id = await newEvent();
    const key = keyOf(event_id);
    const { photoId, keyId } = parsePhotoKey(key);
    let locking: ReturnType<typeof lock> | undefined;
    await database.admin.begin(async (sql) => {
      for (const id of [photoId, keyId]) {
        await sql`INSERT INTO photos (id, event_id, object_key) VALUES (${id}, ${event_id}, 'faster')`;
      }
      locking = lock(key);
      await expect(waitsForLock(database, locking)).resolves.toBe(true);
    });
    await expect(locking).resolves.toMatchObject({ photo: { id: photoId }, own: { id: keyId } });
  });

  test('to come are locked in the order of their ids', async () => {
    const ids = [randomUUID(), randomUUID()].sort();
    const event = randomUUID();
    const keys = ids.map((id) => parsePhotoKey(keyOf(event, id)));
    let locking: Promise<unknown> | undefined;
    await database.admin.begin(async (sql) => {
      await sql`SELECT pg_advisory_xact_lock(hashtextextended(${ids[0]!}, 1))`;
      locking = inTransaction((others) => lockRowsToCome(others, keys.toReversed()));
      await expect(waitsForLock(database, locking)).resolves.toBe(true);
      const [second] =
        await sql`SELECT pg_try_advisory_xact_lock(hashtextextended(${ids[1]!}, 1)) AS is_free`;
      expect(second).toEqual({ is_free: true });
    });
    await locking;
  });

  const advisory = async (sql: Transaction) =>
    (await sql`SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`).length;

  test.each([
    ['a file with an id that has no row', randomUUID(), false, 1],
    ['a file with an id that has a row', randomUUID(), true, 0],
    ['a file with another name', 'picture', false, 0],
  ])('%s is locked by its id: %s', async (_, name, exists, locks) => {
    const event_id = await newEvent();
    const key = keyOf(event_id, name);
    if (exists) {
      await newRow({ event_id, id: name });
    }
    await inTransaction(async (sql) => {
      await lockRows(sql, parsePhotoKey(key), key, () => false);
      expect(await advisory(sql)).toBe(locks);
    });
  });

  test('of many keys are read at once; photos that are to come are locked', async () => {
    const event_id = await newEvent();
    const [photo, copied] = [await newRow({ event_id }), randomUUID()];
    const named: PhotoKey = parsePhotoKey(keyOf(event_id, copied));
    const own = await newRow({ event_id, id: named.keyId });
    const plain = parsePhotoKey(keyOf(event_id, 'picture'));
    await inTransaction(async (sql) => {
      const rows = await lockRowsToCome(sql, [parsePhotoKey(photo.object_key), named, plain, named]);
      expect(rows(parsePhotoKey(photo.object_key))).toEqual({
        photo: expect.objectContaining({ id: photo.id, object_version: 'v1' }),
        own: undefined,
      });
      expect(rows(named)).toEqual({ photo: undefined, own: expect.objectContaining({ id: own.id }) });
      expect(rows(plain)).toEqual({ photo: undefined, own: undefined });
      expect(await advisory(sql)).toBe(2);
    });
    for (const [key, locks] of [
      [plain, 0],
      [named, 1],
    ] as const) {
      await inTransaction(async (sql) => {
        await lockRowsToCome(sql, [key]);
        expect(await advisory(sql)).toBe(locks);
      });
    }
  });

  test('are made for photos that have none, and counted', async () => {
    const event_id = randomUUID();
    const ids = [randomUUID(), randomUUID()];
    const register = (...photos: string[]) =>
      inTransaction((sql) =>
        registerPhotos(
          sql,
          event_id,
          photos.map((id) => ({ id, object_key: keyOf(event_id, id) })),
        ),
      );
    await expect(register()).resolves.toBe(0);
    await expect(database.admin`SELECT FROM events WHERE id = ${event_id}`).resolves.toHaveLength(0);
    await expect(register(ids[0]!)).resolves.toBe(1);
    await expect(register(...ids)).resolves.toBe(1);
    for (const id of ids) {
      await expect(rowOf(id)).resolves.toMatchObject({
        event_id,
        object_key: keyOf(event_id, id),
        ...waiting,
      });
    }
  });
});

describe('a key whose photo id is taken', () => {
  const lockOwn = (key: string, photo: Columns | undefined, own?: Columns) =>
    inTransaction((sql) => lockOwnRow(sql, parsePhotoKey(key), key, { photo, own }));

  test('gets a row of its own, and is a copy no more', async () => {
    const event_id = await newEvent();
    const key = keyOf(event_id);
    const { keyId, photoId } = parsePhotoKey(key);
    const further = { further: { version: 'v1', sequencer: '0C' } };
    const copies = { [key]: { version: 'v1', sequencer: '0B' } };
    const photo = await newRow({
      event_id,
      id: photoId,
      object_key: 'other',
      other_objects: { ...copies, ...further },
    });
    await expect(lockOwn(key, photo)).resolves.toMatchObject({
      id: keyId,
      object_key: key,
      status: 'processing',
    });
    await expect(rowOf(photo.id)).resolves.toEqual({ ...photo, other_objects: further });
    const last = await newRow({ event_id, other_objects: copies });
    await lockOwn(key, last);
    await expect(rowOf(last.id)).resolves.toEqual({ ...last, other_objects: null });
  });

  test('keeps the row that it has, and what the photo knows of others', async () => {
    const event_id = await newEvent();
    const key = keyOf(event_id);
    const others = { [key]: { version: 'v1', sequencer: '0B' } };
    const [own, photo] = [await newRow({ event_id }), await newRow({ event_id, other_objects: null })];
    const elsewhere = await newRow({ other_objects: others });
    for (const taken of [photo, elsewhere, undefined]) {
      await expect(lockOwn(key, taken, own)).resolves.toBe(own);
    }
    await expect(rowOf(own.id)).resolves.toEqual(own);
    await expect(rowOf(photo.id)).resolves.toEqual(photo);
    // Another event's photo is not ours to write.
    await expect(rowOf(elsewhere.id)).resolves.toEqual(elsewhere);
  });

  test('is refused where even its own id is another event’s', async () => {
    const key = keyOf(await newEvent());
    const { keyId } = parsePhotoKey(key);
    const theirs = await newRow({ id: keyId });
    await expect(lockOwn(key, undefined)).rejects.toMatchObject({
      name: 'PhotoIdTaken',
      message: `The photo id ${keyId} is that of a photo of another event`,
    });
    await expect(rowOf(keyId)).resolves.toEqual(theirs);
  });

  test('ends as failed under its own id', async () => {
    const key = keyOf(await newEvent());
    const { keyId, photoId } = parsePhotoKey(key);
    await inTransaction((sql) =>
      writeTaken(
        sql,
        parsePhotoKey(key),
        { photo: undefined, own: undefined },
        { key, ...object },
        EXECUTION,
      ),
    );
    await expect(rowOf(keyId)).resolves.toMatchObject({
      ...{ status: 'failed', object_key: key, object_version: 'v2', object_sequencer: '02' },
      ...{ failure_code: 'PhotoIdTaken', failure_message: takenMessage(photoId), failure_retryable: false },
      execution_arn: EXECUTION,
    });
  });
});

describe('faces', () => {
  test('leave their photo for the outbox, except those to keep and those without a name', async () => {
    const event_id = await newEvent('collection');
    const [photo, other] = [await newRow({ event_id }), await newRow({ event_id })];
    for (const face of ['a', 'b', 'kept', null]) {
      await newFace(photo.id, face);
    }
    await newFace(other.id, 'c');
    const erasureId = await newErasure(event_id);
    const retire = () =>
      inTransaction((sql) => retireFaces(sql, erasureId, { event_id, photo_id: photo.id }, ['kept']));
    await expect(retire()).resolves.toBe(3);
    await expect(facesOf(photo.id, other.id)).resolves.toEqual(['c', 'kept']);
    const outbox =
      await database.admin`SELECT * FROM face_removals WHERE erasure_id = ${erasureId} ORDER BY 2, 3`;
    expect(outbox.map(({ rekognition_face_id }) => rekognition_face_id).sort()).toEqual(['a', 'b']);
    expect(outbox[0]).toMatchObject({ collection_id: 'collection', photo_id: photo.id });
    // Asked for once more, as by another execution of the same photo.
    await newFace(photo.id, 'a');
    await expect(retire()).resolves.toBe(1);
  });

  test('leave their photo, and nothing else, where its event has no collection', async () => {
    const event_id = await newEvent(null);
    const photo = await newRow({ event_id });
    await newFace(photo.id, 'a');
    const erasureId = await newErasure(event_id);
    await inTransaction((sql) => retireFaces(sql, erasureId, { event_id, photo_id: photo.id }, []));
    await expect(facesOf(photo.id)).resolves.toEqual([]);
    await expect(
      database.admin`SELECT FROM face_removals WHERE erasure_id = ${erasureId}`,
    ).resolves.toHaveLength(0);
  });

  test('of some photos of an event', async () => {
    const event_id = await newEvent();
    const [photo, other, elsewhere] = [
      await newRow({ event_id }),
      await newRow({ event_id }),
      await newRow(),
    ];
    const bounding_box = { Left: 0.5 };
    await newFace(photo.id, 'a', bounding_box);
    await newFace(other.id, 'b');
    await newFace(elsewhere.id, 'c');
    const found = await inTransaction((sql) => facesOfPhotos(sql, event_id, [photo.id, elsewhere.id]));
    expect([...found]).toEqual([{ photo_id: photo.id, rekognition_face_id: 'a', bounding_box }]);
  });

  test('are taken out of use one by one, with a note of where they were', async () => {
    const event_id = await newEvent();
    const [photo, other] = [await newRow({ event_id, face_count: 5 }), await newRow({ event_id })];
    const elsewhere = await newRow();
    const bounding_box = { Left: 0.5 };
    for (const [row, face] of [
      [photo, 'a'],
      [photo, 'b'],
      [photo, 'stays'],
      [other, 'stays too'],
      [elsewhere, 'a'],
    ] as const) {
      await newFace(row.id, face, bounding_box);
    }
    const erasure_id = await newErasure(event_id);
    await inTransaction((sql) => forgetFaces(sql, event_id, erasure_id, ['a', 'b']));
    await expect(facesOf(photo.id, other.id, elsewhere.id)).resolves.toEqual(['a', 'stays', 'stays too']);
    await expect(rowOf(photo.id)).resolves.toEqual({ ...photo, face_count: 3 });
    await expect(rowOf(other.id)).resolves.toEqual(other);
    await expect(rowOf(elsewhere.id)).resolves.toEqual(elsewhere);
    const noted = await database.admin`
      SELECT event_id, photo_id, bounding_box, etag FROM erased_faces WHERE erasure_id = ${erasure_id}`;
    const note = { event_id, photo_id: photo.id, bounding_box, etag: photo.object_etag };
    expect([...noted]).toEqual([note, note]);
  });

  test('that have left Rekognition are noted with the latest time', async () => {
    const event_id = await newEvent();
    const [later, earlier] = [new Date('2026-05-05'), new Date('2025-05-05')];
    const [photo, never, other] = [
      await newRow({ event_id }),
      await newRow({ event_id, faces_erased_at: null }),
      await newRow({ event_id }),
    ];
    const elsewhere = await newRow();
    const mark = (erasedAt: Date, ...ids: string[]) =>
      inTransaction((sql) => markFacesErased(sql, event_id, ids, erasedAt));
    await mark(earlier, photo.id);
    await expect(rowOf(photo.id)).resolves.toEqual(photo);
    await mark(later, photo.id, never.id, elsewhere.id);
    const faces_erased_at = later;
    await expect(rowOf(photo.id)).resolves.toEqual({ ...photo, faces_erased_at });
    await expect(rowOf(never.id)).resolves.toEqual({ ...never, faces_erased_at });
    await expect(rowOf(other.id)).resolves.toEqual(other);
    await expect(rowOf(elsewhere.id)).resolves.toEqual(elsewhere);
  });
});

describe('an event', () => {
  test('loses so many of its faces at a time', async () => {
    const event_id = await newEvent();
    const [photo, elsewhere] = [await newRow({ event_id }), await newRow()];
    for (const face of ['a', 'b', 'c']) {
      await newFace(photo.id, face);
      await newFace(elsewhere.id, face);
    }
    const counts = [];
    for (const limit of [2, 2, 2]) {
      counts.push(await inTransaction((sql) => deleteFacesOfEvent(sql, event_id, limit)));
    }
    expect(counts).toEqual([2, 1, 0]);
    await expect(facesOf(photo.id)).resolves.toEqual([]);
    await expect(facesOf(elsewhere.id)).resolves.toEqual(['a', 'b', 'c']);
  });

  test('is erased with those of its photos that had faces', async () => {
    const event_id = await newEvent();
    const indexed = [await newRow({ event_id }), await newRow({ event_id })];
    const others = [await newRow()];
    for (const status of ['processing', 'failed', 'deleted', 'erased'] as const) {
      others.push(await newRow({ event_id, status }));
    }
    const erasedAt = new Date('2026-05-05');
    await expect(inTransaction((sql) => markEventErased(sql, event_id, erasedAt))).resolves.toBe(2);
    for (const row of indexed) {
      const erased = { ...row, ...NO_FACES, status: 'erased', faces_erased_at: erasedAt };
      await expect(rowOf(row.id)).resolves.toEqual(erased);
    }
    for (const row of others) {
      await expect(rowOf(row.id)).resolves.toEqual(row);
    }
  });
});

test.each([true, false])(
  'a photo whose face the collection lost fails, to be retried: %s',
  async (retryable) => {
    const event_id = await newEvent();
    const photo = await newRow({ event_id });
    const beside = [
      await newRow({ event_id }),
      await newRow({ event_id, status: 'erased' }),
      await newRow({ event_id }),
      await newRow(),
    ];
    const [unnamed, erased, without, elsewhere] = beside.map(({ id }) => id) as [
      string,
      string,
      string,
      string,
    ];
    for (const id of [photo.id, unnamed, erased, elsewhere]) {
      await newFace(id, 'lost');
    }
    await newFace(photo.id, 'other');
    await newFace(without, 'other');
    const missed = [photo.id, erased, without, elsewhere].map((photo_id) => ({
      event_id,
      photo_id,
      face_id: 'lost',
    }));
    await expect(inTransaction((sql) => loseFaces(sql, missed, { retryable }))).resolves.toBe(1);
    const after = (await rowOf(photo.id))!;
    expect(after).toEqual({
      ...{ ...photo, ...NO_FACES, status: 'failed', faces_erased_at: NOW, indexed_at: null, failed_at: NOW },
      ...{ failure_code: 'FacesLost', failure_message: 'The collection no longer holds the face lost' },
      failure_retryable: retryable,
    });
    expect([after.faces_erased_at, after.failed_at]).not.toContainEqual(LONG_AGO);
    await expect(facesOf(photo.id)).resolves.toEqual([]);
    for (const row of beside) {
      await expect(rowOf(row.id)).resolves.toEqual(row);
    }
    await expect(facesOf(unnamed, erased, without, elsewhere)).resolves.toHaveLength(4);
  },
);

test('an indexed photo, and no other, waits to be indexed again', async () => {
  const photo = await newRow();
  const { event_id } = photo;
  const beside = [
    await newRow({ event_id, status: 'failed' }),
    await newRow({ event_id, object_version: null }),
    await newRow(),
  ];
  const reopen = (photo_id: string) => inTransaction((sql) => reopenPhoto(sql, { event_id, photo_id }));
  for (const row of beside) {
    await expect(reopen(row.id)).resolves.toBeUndefined();
    await expect(rowOf(row.id)).resolves.toEqual(row);
  }
  await expect(reopen(photo.id)).resolves.toBe('v1');
  const after = (await rowOf(photo.id))!;
  expect(after).toEqual({
    ...{ ...photo, ...NO_FACES, status: 'processing', faces_erased_at: NOW, indexed_at: null },
  });
  expect(after.faces_erased_at).not.toEqual(LONG_AGO);
});
