/** Which of the faces that Rekognition found are shown, asked of resolve-faces alone, on a real PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { resolveFaces } from '../../lambdas/resolve-faces/resolve-faces.ts';
import type { ResolveFacesRequest } from '../../lambdas/shared/contract/search.ts';
import { erasureWorld, FACE_RETENTION_DAYS } from '../support/erasure-world.ts';
import { useTestDatabase } from '../support/postgres.ts';

const DAY_MS = 24 * 3_600_000;

const database = useTestDatabase();

function resolver() {
  const world = erasureWorld(database);
  const resolve = (eventId: string, request: Partial<ResolveFacesRequest> = {}, nowMs = Date.now()) =>
    resolveFaces(
      {
        withDatabase: (work) => work(world.pipeline),
        now: () => nowMs,
        faceRetentionDays: FACE_RETENTION_DAYS,
      },
      {
        event_id: eventId,
        kind: 'image',
        searched_face_id: null,
        face_ids: [],
        reference: null,
        ...request,
      },
    );
  const found = async (eventId: string) =>
    (await database.admin`SELECT found FROM searches WHERE event_id = ${eventId} ORDER BY id`).map(
      (search) => search.found as number,
    );
  const erasure = (event_id: string, reason: string, finished_at: Date | null) =>
    database.admin`INSERT INTO erasures ${database.admin({ event_id, reason, finished_at })}`;
  return { ...world, resolve, found, erasure };
}

test('each face with its photo; the one that was searched with is told apart, with its box', async () => {
  const { event, resolve, found } = resolver();
  const { eventId, photos } = await event(2, 1);
  const [one, other] = [photos[0]!, photos[1]!];
  const [searched, beside] = one.faceIds as [string, string];
  const { faces, ...rest } = await resolve(eventId, { face_ids: [searched, ...other.faceIds] });
  expect(rest).toEqual({ event: 'searchable', searched: null });
  expect(new Map(faces)).toEqual(
    new Map([
      [searched, one.photo_id],
      [other.faceIds[0], other.photo_id],
    ]),
  );
  // Whether or not Rekognition names it too.
  for (const face_ids of [[beside], [beside, searched]]) {
    await expect(resolve(eventId, { kind: 'face', searched_face_id: searched, face_ids })).resolves.toEqual({
      event: 'searchable',
      faces: [[beside, one.photo_id]],
      searched: { photo_id: one.photo_id, box: { left: 0, top: 0, width: 0.02, height: 0.02 } },
    });
  }
  await resolve(eventId, { kind: 'face', searched_face_id: searched, face_ids: other.faceIds });
  await resolve(eventId, { kind: 'face', searched_face_id: searched });
  // Photos, not faces.
  await expect(found(eventId)).resolves.toEqual([2, 1, 1, 2, 1]);
});

test('with a face that is none of the event any more nothing is found, and the search is written down', async () => {
  const { event, resolve, found } = resolver();
  const { eventId, photos } = await event(1);
  await expect(
    resolve(eventId, { kind: 'face', searched_face_id: randomUUID(), face_ids: photos[0]!.faceIds }),
  ).resolves.toEqual({ event: 'searchable', faces: [], searched: null });
  await expect(found(eventId)).resolves.toEqual([0]);
});

test('an event whose faces are being erased shows none, and shows what was uploaded after the erasure', async () => {
  const { event, resolve, erasure } = resolver();
  for (const reason of ['event_requested', 'event_expired'] as const) {
    const { eventId, photos } = await event(1);
    const standing = async () => (await resolve(eventId, { face_ids: photos[0]!.faceIds })).event;
    // Of an earlier one: the photo is there since.
    await erasure(eventId, reason, new Date());
    await database.admin`UPDATE events SET erasure_requested_at = now() WHERE id = ${eventId}`;
    await expect(standing()).resolves.toBe('searchable');
    // Of one photo, or one person.
    await erasure(eventId, 'late_result', null);
    await expect(standing()).resolves.toBe('searchable');
    await erasure(eventId, reason, null);
    await expect(standing()).resolves.toBe('erased');
  }
});

test('once an erasure is through, the event is erased until a photo comes', async () => {
  const { event, resolve, erasure } = resolver();
  const { eventId, photos } = await event(1);
  await erasure(eventId, 'event_requested', new Date());
  const standing = async () => (await resolve(eventId)).event;
  for (const [status, expected] of [
    ['erased', 'erased'],
    ['processing', 'searchable'],
    ['failed', 'erased'],
    ['indexed', 'searchable'],
  ] as const) {
    await database.admin`
      UPDATE photos SET status = ${status}, failure_code = 'InternalError', failure_retryable = true
      WHERE id = ${photos[0]!.photo_id}`;
    await database.admin`UPDATE events SET erasure_requested_at = NULL WHERE id = ${eventId}`;
    await expect(standing()).resolves.toBe('searchable');
    await database.admin`UPDATE events SET erasure_requested_at = now() WHERE id = ${eventId}`;
    await expect([status, await standing()]).toEqual([status, expected]);
  }
});

test('an event is over its retention after its expiry, its last photo, or its beginning, to the moment', async () => {
  const { event, resolve } = resolver();
  const at = Date.parse('2026-05-01T12:00:00Z');
  const { eventId, photos } = await event(1);
  const days = (count: number) => new Date(at + count * DAY_MS);
  const over = async () => {
    const end = at + FACE_RETENTION_DAYS * DAY_MS;
    const standing = async (nowMs: number) => (await resolve(eventId, {}, nowMs)).event;
    return [await standing(end), await standing(end + 1)];
  };
  const ofEvent = (row: object) =>
    database.admin`UPDATE events SET ${database.admin(row)} WHERE id = ${eventId}`;
  const ofPhoto = (row: object) =>
    database.admin`UPDATE photos SET ${database.admin(row)} WHERE id = ${photos[0]!.photo_id}`;

  await ofEvent({ created_at: days(9), expires_at: days(0) });
  await ofPhoto({ created_at: days(9), indexed_at: days(9) });
  await expect(over()).resolves.toEqual(['searchable', 'over']);
  await ofEvent({ created_at: days(-1), expires_at: null });
  for (const last of [
    { created_at: days(0), indexed_at: days(-1), failed_at: null },
    { created_at: days(-2), indexed_at: days(0), failed_at: days(-1) },
    { created_at: days(-2), indexed_at: days(-1), failed_at: days(0) },
  ]) {
    await ofPhoto(last);
    await expect(over()).resolves.toEqual(['searchable', 'over']);
  }
  await database.admin`DELETE FROM faces WHERE photo_id = ${photos[0]!.photo_id}`;
  await database.admin`DELETE FROM photos WHERE id = ${photos[0]!.photo_id}`;
  await ofEvent({ created_at: days(0) });
  await expect(over()).resolves.toEqual(['searchable', 'over']);
});
