import { randomUUID } from 'node:crypto';
import {
  facePage,
  latestFailures,
  leavingPage,
  type PhotoFilter,
  photoPage,
} from '../../lambdas/shared/photos/row-pages.ts';
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();

/** Events with photos, each with a face, whose ids are in their order. */
const [one, other] = [randomUUID(), randomUUID()].sort() as [string, string];
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const photos: [n: number, event: string, status: string, retryable: boolean | null][] = [
  [1, one, 'indexed', null],
  [2, one, 'failed', true],
  [3, one, 'failed', false],
  [4, one, 'processing', null],
  [5, other, 'failed', true],
];
const NOON = Date.parse('2026-05-01T12:00:00.123Z');

beforeAll(async () => {
  const { admin } = database;
  for (const event of [one, other]) {
    await admin`INSERT INTO events (id) VALUES (${event})`;
  }
  for (const [n, event_id, status, failure_retryable] of photos) {
    const isFailed = status === 'failed';
    await admin`INSERT INTO photos ${admin({
      id: id(n),
      event_id,
      object_key: `events/${event_id}/${n}.jpg`,
      status,
      face_count: 1,
      created_at: new Date(NOON),
      failure_code: isFailed ? 'StorageUnavailable' : null,
      failure_retryable,
      failed_at: isFailed ? new Date(NOON + n * 1_000) : null,
    })}`;
    await admin`INSERT INTO faces (photo_id, rekognition_face_id) VALUES (${id(n)}, ${id(n)})`;
    const [erasure] = await admin<{ id: string }[]>`
      INSERT INTO erasures (event_id, reason) VALUES (${event_id}, 'late_result') RETURNING id`;
    await admin`
      INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
      VALUES (${erasure!.id}, 'c', ${id(n)}, ${id(n)})`;
  }
});

test.each<[filter: PhotoFilter, expected: number[]]>([
  [{}, [1, 2, 3, 4, 5]],
  [{ event_id: one }, [1, 2, 3, 4]],
  [{ photo_ids: [id(5), id(1), id(9)] }, [1, 5]],
  [{ photo_ids: [] }, []],
  [{ status: 'failed' }, [2, 3, 5]],
  [{ retryable: true }, [2, 5]],
  [{ retryable: false }, [3]],
  [{ event_id: one, photo_ids: [id(2), id(5)], status: 'failed', retryable: true }, [2]],
])('photos by %j, page by page', async (filter, expected) => {
  const found: string[] = [];
  for (let after: string | undefined, page = await photoPage(database.pipeline, filter, { limit: 2 }); ; ) {
    found.push(...page.map((photo) => photo.id));
    after = page.at(-1)?.id;
    if (!after) {
      break;
    }
    page = await photoPage(database.pipeline, filter, { after, limit: 2 });
  }
  expect(found).toEqual(expected.map(id));
});

test('a photo as JSON holds it', async () => {
  const [photo] = await photoPage(database.pipeline, { photo_ids: [id(2)] }, { limit: 1 });
  expect(photo).toMatchObject({
    id: id(2),
    event_id: one,
    status: 'failed',
    failure_code: 'StorageUnavailable',
    created_at: '2026-05-01T12:00:00.123Z',
    ended_at: '2026-05-01T12:00:02.123Z',
  });
});

test('the latest failures, of one event or of all', async () => {
  const failures = async (event_id: string | undefined, limit: number) =>
    (await latestFailures(database.pipeline, { event_id, limit })).map((photo) => photo.id);
  await expect(failures(undefined, 2)).resolves.toEqual([id(5), id(3)]);
  await expect(failures(one, 9)).resolves.toEqual([id(3), id(2)]);
});

test('the faces of an event, and those that leave it, after one another', async () => {
  const faces = await facePage(database.pipeline, one, { limit: 9 });
  expect(faces.map(({ photo_id }) => photo_id).sort()).toEqual([1, 2, 3, 4].map(id));
  await expect(facePage(database.pipeline, one, { after: faces[1]!.id, limit: 1 })).resolves.toEqual([
    faces[2],
  ]);
  const leaving = async (after: string | undefined, limit: number) =>
    (await leavingPage(database.pipeline, one, { after, limit })).map(
      ({ rekognition_face_id }) => rekognition_face_id,
    );
  await expect(leaving(undefined, 3)).resolves.toEqual([1, 2, 3].map(id));
  await expect(leaving(id(3), 3)).resolves.toEqual([id(4)]);
});
