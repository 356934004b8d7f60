import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type postgres from 'postgres';
import { changedRows } from '../../lambdas/read-gallery/rows.ts';
import { useTestDatabase } from '../support/postgres.ts';
import '../support/seed.ts';

const database = useTestDatabase();
const WRITERS = 4;
const PHOTOS = 6;

/** What one writer, or the reader, does next. A writer that has no transaction begins one with its first write. */
type Step =
  | { who: number; does: 'write'; photo: number; faces: number }
  | { who: number; does: 'fail'; photo: number }
  | { who: number; does: 'commit' | 'rollback' }
  /** Takes a transaction id long before it writes, as any other work in the same transaction does. */
  | { who: number; does: 'begin' }
  | { does: 'read'; limit: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      who: fc.nat(WRITERS - 1),
      does: fc.constant('write' as const),
      photo: fc.nat(PHOTOS - 1),
      faces: fc.nat(3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      who: fc.nat(WRITERS - 1),
      does: fc.constant('fail' as const),
      photo: fc.nat(PHOTOS - 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      who: fc.nat(WRITERS - 1),
      does: fc.constantFrom('commit' as const, 'commit' as const, 'rollback' as const, 'begin' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 4 }) }),
  },
);

/** A transaction that is stepped from outside, on a connection of its own. */
class Writer {
  readonly #sql: postgres.ReservedSql;
  #open = false;

  constructor(sql: postgres.ReservedSql) {
    this.#sql = sql;
  }

  async begin(): Promise<void> {
    if (!this.#open) {
      await this.#sql`BEGIN`;
      await this.#sql`SELECT pg_current_xact_id()`;
      this.#open = true;
    }
  }

  /** Nothing where another writer has the photo: nobody waits here, so that the steps decide the order and not a lock. */
  async write(id: string, faces: number | undefined): Promise<void> {
    if (!this.#open) {
      await this.#sql`BEGIN`;
      this.#open = true;
    }
    const [row] = await this.#sql`SELECT FROM photos WHERE id = ${id} FOR UPDATE SKIP LOCKED`;
    if (!row) {
      return;
    }
    await this.#sql`DELETE FROM faces WHERE photo_id = ${id}`;
    if (faces === undefined) {
      await this.#sql`
        UPDATE photos SET status = 'failed', face_count = NULL, indexed_at = NULL, failed_at = clock_timestamp(),
          failure_code = 'InternalError', failure_retryable = true
        WHERE id = ${id}`;
      return;
    }
    for (let face = 0; face < faces; face++) {
      await this.#sql`INSERT INTO faces (photo_id, rekognition_face_id) VALUES (${id}, ${randomUUID()})`;
    }
    await this.#sql`
      UPDATE photos SET status = 'indexed', face_count = ${faces}, indexed_at = clock_timestamp(), failed_at = NULL,
        failure_code = NULL, failure_retryable = NULL
      WHERE id = ${id}`;
  }

  async end(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (this.#open) {
      await this.#sql.unsafe(how);
      this.#open = false;
    }
  }
}

/** Where a follower of the feed is, and what it believes of each photo. */
interface Follower {
  position: { xid: string; photoId: string } | undefined;
  photos: Map<string, string>;
}

interface Seen {
  photo_id: string;
  status: string;
  face_count: number | null;
  faces: unknown[];
  changed_xid: string;
}

const state = ({ status, faces }: Pick<Seen, 'status' | 'faces'>) =>
  JSON.stringify([status, faces.map((face) => (face as { face_id: string }).face_id).sort()]);

type ReadFeed = (eventId: string, follower: Follower, limit: number) => Promise<Seen[]>;

/** As the API reads it. */
const bounded: ReadFeed = async (eventId, { position }, limit) => {
  const { photos } = await changedRows(gallery, eventId, {
    since: position && { epoch: '', ...position },
    limit,
  });
  return photos.map((photo) => ({
    ...photo,
    face_count: photo.status === 'indexed' ? photo.faces.length : null,
  }));
};

/** The same without its horizon: in the order of the transactions' numbers, whoever of them has ended. */
const unbounded: ReadFeed = (eventId, { position }, limit) =>
  database.admin<Seen[]>`
    SELECT photo_id, status, face_count, faces, changed_xid::text
    FROM gallery_photos
    WHERE event_id = ${eventId}
      AND (changed_xid, photo_id) > (${position?.xid ?? '0'}::text::xid8, ${position?.photoId ?? '00000000-0000-0000-0000-000000000000'}::uuid)
    ORDER BY gallery_photos.changed_xid, photo_id LIMIT ${limit}`;

let gallery: postgres.Sql;
const reserved: postgres.ReservedSql[] = [];
beforeAll(async () => {
  gallery = database.connectAs('rollcall_gallery');
  // The driver never hands out a connection that is still being made.
  await Promise.all(Array.from({ length: WRITERS }, () => database.pipeline`SELECT pg_sleep(0.1)`));
  for (let writer = 0; writer < WRITERS; writer++) {
    reserved.push(await database.pipeline.reserve());
  }
});
afterAll(() => {
  for (const sql of reserved) {
    sql.release();
  }
});

/** Runs the steps, then ends every transaction and reads on to the end. @returns what the follower has wrong in the end */
async function follow(steps: readonly Step[], readFeed: ReadFeed): Promise<string[]> {
  const eventId = randomUUID();
  const ids = Array.from({ length: PHOTOS }, () => randomUUID());
  await database.admin`INSERT INTO events (id) VALUES (${eventId})`;
  for (const id of ids) {
    await database.admin`INSERT INTO photos (id, event_id, object_key) VALUES (${id}, ${eventId}, ${id})`;
  }
  const writers = reserved.map((sql) => new Writer(sql));
  const follower: Follower = { position: undefined, photos: new Map() };
  const read = async (limit: number): Promise<number> => {
    const page = await readFeed(eventId, follower, limit);
    for (const photo of page) {
      // Never half of what a transaction did.
      expect(photo.faces).toHaveLength(photo.face_count ?? 0);
      follower.photos.set(photo.photo_id, state(photo));
      follower.position = { xid: photo.changed_xid, photoId: photo.photo_id };
    }
    return page.length;
  };
  for (const now of steps) {
    if (now.does === 'read') {
      await read(now.limit);
    } else if (now.does === 'begin') {
      await writers[now.who]!.begin();
    } else if (now.does === 'write' || now.does === 'fail') {
      await writers[now.who]!.write(ids[now.photo]!, now.does === 'write' ? now.faces : undefined);
    } else {
      await writers[now.who]!.end(now.does === 'commit' ? 'COMMIT' : 'ROLLBACK');
    }
  }
  for (const writer of writers) {
    await writer.end('COMMIT');
  }
  while ((await read(3)) > 0) {
    // Read on.
  }
  const truth = await database.admin<Seen[]>`
    SELECT photo_id, status, faces FROM gallery_photos WHERE event_id = ${eventId}`;
  return truth
    .filter((photo) => follower.photos.get(photo.photo_id) !== state(photo))
    .map(({ photo_id }) => photo_id);
}

test('whoever follows the feed knows every photo as it is, whatever order concurrent writers commit in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      expect(await follow(steps, bounded)).toEqual([]);
    }),
    { numRuns: 60 },
  );
}, 120_000);

test('without the horizon it would miss what an older transaction commits later, and these steps show it', async () => {
  const steps: Step[] = [
    { who: 0, does: 'begin' },
    { who: 1, does: 'write', photo: 1, faces: 2 },
    { who: 1, does: 'commit' },
    { does: 'read', limit: 100 },
    { who: 0, does: 'write', photo: 0, faces: 1 },
    { who: 0, does: 'commit' },
  ];
  expect(await follow(steps, unbounded)).toHaveLength(1);
  expect(await follow(steps, bounded)).toEqual([]);
});

test('a transaction that only reads holds nobody up, and one that writes no photo does until it ends', async () => {
  const eventId = randomUUID();
  await database.admin`INSERT INTO events (id) VALUES (${eventId})`;
  const add = () =>
    database.pipeline`INSERT INTO photos (id, event_id, object_key) VALUES (${randomUUID()}, ${eventId}, 'k')`;
  const seen = async () =>
    (await changedRows(gallery, eventId, { since: undefined, limit: 10 })).photos.length;
  const [reader, writer] = reserved as [postgres.ReservedSql, postgres.ReservedSql];
  await reader`BEGIN ISOLATION LEVEL REPEATABLE READ`;
  await reader`SELECT count(*) FROM photos`;
  await add();
  await expect(seen()).resolves.toBe(1);
  await writer`BEGIN`;
  await writer`SELECT pg_current_xact_id()`;
  await add();
  await expect(seen()).resolves.toBe(1);
  await writer`ROLLBACK`;
  await expect(seen()).resolves.toBe(2);
  await reader`COMMIT`;
});

test('what cannot be seen of a photo is no change, and a copied table is all new', async () => {
  const eventId = randomUUID();
  const id = randomUUID();
  await database.admin`INSERT INTO events (id) VALUES (${eventId})`;
  await database.pipeline`INSERT INTO photos (id, event_id, object_key) VALUES (${id}, ${eventId}, 'k')`;
  const place = async () =>
    (await changedRows(gallery, eventId, { since: undefined, limit: 1 })).photos[0]?.changed_xid;
  const first = await place();
  await database.pipeline`UPDATE photos SET object_sequencer = '0A', execution_arn = 'arn', faces_erased_at = now() WHERE id = ${id}`;
  await expect(place()).resolves.toBe(first);
  await database.pipeline`UPDATE photos SET face_count = 3 WHERE id = ${id}`;
  const second = await place();
  expect(BigInt(second!)).toBeGreaterThan(BigInt(first!));
  // As a restored table is filled: the place of another time or another server means nothing here.
  await database.admin`
    INSERT INTO photos (id, event_id, object_key, changed_xid, changed_at)
    VALUES (${randomUUID()}, ${eventId}, 'k', '9000000000000000000', '2020-01-01')`;
  const rows = await changedRows(gallery, eventId, { since: undefined, limit: 10 });
  expect(rows.photos.map(({ changed_xid }) => BigInt(changed_xid) < 9_000_000_000_000_000_000n)).toEqual([
    true,
    true,
  ]);
});
