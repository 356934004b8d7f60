import { randomUUID } from 'node:crypto';
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import { jest } from '@jest/globals';
import fc from 'fast-check';
import { findPerson } from '../../lambdas/find-person/find-person.ts';
import { resolveFaces } from '../../lambdas/resolve-faces/resolve-faces.ts';
import { parseRequest } from '../../lambdas/shared/contract/payloads.ts';
import { findPersonRequestSchema, resolveFacesRequestSchema } from '../../lambdas/shared/contract/search.ts';
import { erasureWorld, FACE_RETENTION_DAYS } from '../support/erasure-world.ts';
import { fakeClient } from '../support/fake-client.ts';
import { useTestDatabase } from '../support/postgres.ts';

jest.setTimeout(120_000);

const database = useTestDatabase('pooled');
const DAY_MS = 24 * 3_600_000;

/** A PNG, as far as anybody looks at it here. */
const IMAGE = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]),
  Buffer.from('IHDR', 'latin1'),
  Buffer.from([0, 0, 1, 0, 0, 0, 1, 0, 8, 2, 0, 0, 0]),
]).toString('base64');

/** The erasure world with a search that takes every face of the collection for the same person's. */
function searchWorld() {
  const world = erasureWorld(database);
  const found = ({ CollectionId, FaceId }: { CollectionId: string; FaceId?: string }) => {
    const members = world.collections.get(CollectionId);
    if (!members) {
      throw Object.assign(new Error('gone'), {
        name: 'ResourceNotFoundException',
        $metadata: { httpStatusCode: 400 },
      });
    }
    return {
      FaceMatches: [...members]
        .filter(([faceId]) => faceId !== FaceId)
        .map(([faceId, photoId]) => ({ Similarity: 99, Face: { FaceId: faceId, ExternalImageId: photoId } })),
    };
  };
  const rekognition = fakeClient<RekognitionClient>({
    SearchFacesByImage: found as never,
    SearchFaces: found as never,
  });
  const slot = { slotMs: 0, intervalMs: 20, cuts: 0, day: 20260501 };
  const find = (request: object, nowMs = Date.now()) =>
    findPerson(
      {
        rekognition: rekognition.client,
        telemetry: world.recording.telemetry,
        ledger: {
          takeSlot: async () => slot,
          joinLine: async () => 0,
          reportThrottle: async () => {},
          giveBack: async () => {},
        },
        limits: { take: async () => ({ placeMs: undefined }), keepPlace: async () => {} },
        collectionPrefix: 'rollcall-',
        resolveFaces: (asked) =>
          resolveFaces(
            {
              withDatabase: (work) => work(world.pipeline),
              now: () => nowMs,
              faceRetentionDays: FACE_RETENTION_DAYS,
            },
            parseRequest(resolveFacesRequestSchema, JSON.parse(JSON.stringify(asked))),
          ),
        now: () => nowMs,
      },
      parseRequest(findPersonRequestSchema, request),
    );
  const byImage = (event_id: string) => find({ event_id, image: IMAGE });
  const searches = (event_id: string) =>
    database.admin`SELECT kind, found, reference FROM searches WHERE event_id = ${event_id} ORDER BY id`;
  return { ...world, find, byImage, searches };
}

test('shows the photos of indexed rows, and writes down that somebody searched, and nothing of whom', async () => {
  const { event, find, byImage, searches } = searchWorld();
  const { eventId, photos } = await event(2, 1, 0);
  const answer = await byImage(eventId);
  expect(answer.photos.map(({ photo_id }) => photo_id).sort()).toEqual(
    [photos[0]!.photo_id, photos[1]!.photo_id].sort(),
  );
  const face_id = photos[0]!.faceIds[0]!;
  const byFace = await find({ event_id: eventId, face_id, reference: 'guest 7' });
  expect(byFace.photos[0]).toEqual({
    photo_id: photos[0]!.photo_id,
    similarity: 100,
    face_id,
    box: { left: 0, top: 0, width: 0.02, height: 0.02 },
  });
  expect(byFace.found).toBe(2);
  expect(await searches(eventId)).toEqual([
    { kind: 'image', found: 2, reference: null },
    { kind: 'face', found: 2, reference: 'guest 7' },
  ]);
  const columns = await database.admin`
    SELECT column_name FROM information_schema.columns WHERE table_name = 'searches' ORDER BY ordinal_position`;
  expect(columns.map(({ column_name }) => column_name)).toEqual([
    'id',
    'event_id',
    'searched_at',
    'kind',
    'found',
    'reference',
  ]);
});

test('no answer has a face of another event, whatever Rekognition says', async () => {
  const { event, byImage, collections } = searchWorld();
  const one = await event(1);
  const other = await event(2);
  for (const [faceId, photoId] of collections.get(other.collectionId)!) {
    collections.get(one.collectionId)!.set(faceId, photoId);
  }
  const { photos } = await byImage(one.eventId);
  expect(photos.map(({ photo_id }) => photo_id)).toEqual([one.photos[0]!.photo_id]);
});

test.each(['processing', 'failed', 'deleted', 'erased'])(
  'no answer has a photo that is %s, rows of faces or not',
  async (status) => {
    const { event, byImage } = searchWorld();
    const { eventId, photos } = await event(1, 1);
    await database.admin`
    UPDATE photos SET status = ${status}, failure_code = 'InternalError', failure_retryable = true
    WHERE id = ${photos[0]!.photo_id}`;
    expect((await byImage(eventId)).photos.map(({ photo_id }) => photo_id)).toEqual([photos[1]!.photo_id]);
  },
);

test('no answer has a face that is in the outbox, whatever row it has', async () => {
  const { event, byImage } = searchWorld();
  const { eventId, collectionId, photos } = await event(1, 1);
  const [erasure] = await database.admin<{ id: string }[]>`
    INSERT INTO erasures (event_id, reason) VALUES (${eventId}, 'late_result') RETURNING id`;
  await database.admin`
    INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
    VALUES (${erasure!.id}, ${collectionId}, ${photos[0]!.faceIds[0]!}, ${photos[0]!.photo_id})`;
  expect((await byImage(eventId)).photos.map(({ photo_id }) => photo_id)).toEqual([photos[1]!.photo_id]);
});

test('an event that there is not, that is over, or whose faces were erased: each by its name', async () => {
  const { event, byImage, find, tasks, searches } = searchWorld();
  const unknown = randomUUID();
  expect(await byImage(unknown)).toMatchObject({ reason: 'EventUnknown' });
  expect(await searches(unknown)).toEqual([]);

  const { eventId } = await event(1);
  const later = Date.now() + (FACE_RETENTION_DAYS + 1) * DAY_MS;
  expect(await find({ event_id: eventId, image: IMAGE }, later)).toMatchObject({ reason: 'EventOver' });
  await database.admin`UPDATE events SET expires_at = ${new Date(later)} WHERE id = ${eventId}`;
  expect(await find({ event_id: eventId, image: IMAGE }, later)).toMatchObject({ reason: null });

  // As soon as it is asked for.
  const requested = await tasks.RequestErasure({
    input: { request: 'event', event_id: eventId },
    execution_arn: `arn:${eventId}`,
  });
  expect(requested.effect).toBe('requested');
  expect(await byImage(eventId)).toMatchObject({ reason: 'EventErased', photos: [] });
  expect(await searches(eventId)).toHaveLength(3);
});

test('records of searches are forgotten with the daily retention, after their own time', async () => {
  const { event, byImage, tasks, searches } = searchWorld();
  const { eventId } = await event(1);
  await byImage(eventId);
  await byImage(eventId);
  await database.admin`
    UPDATE searches SET searched_at = now() - interval '31 days'
    WHERE id = (SELECT min(id) FROM searches WHERE event_id = ${eventId})`;
  await tasks.RequestErasure({
    input: { request: 'retention', as_of: new Date().toISOString() },
    execution_arn: `arn:retention:${eventId}`,
  });
  expect(await searches(eventId)).toHaveLength(1);
});

/** What may happen to an event's faces, and how far an erasure gets before somebody searches. */
const happening = fc.oneof(
  fc.record({ does: fc.constant('delete' as const), photo: fc.nat(4) }),
  fc.record({
    does: fc.constant('person' as const),
    faces: fc.array(fc.nat(30), { minLength: 1, maxLength: 5 }),
  }),
  fc.record({ does: fc.constant('event' as const) }),
  fc.record({ does: fc.constant('replace' as const), photo: fc.nat(4), faces: fc.nat(3) }),
  fc.record({ does: fc.constant('upload' as const), faces: fc.nat(3) }),
  fc.record({ does: fc.constant('index only' as const), faces: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    does: fc.constant('erase' as const),
    until: fc.constantFrom('ListErasures', 'RemoveFaces', 'ConfirmErasure', 'its end'),
    when: fc.constantFrom('before' as const, 'after' as const),
  }),
);

test('a face that was asked to be erased is in no answer from that moment on, however far the erasure is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 14 }), async (happenings) => {
      const world = searchWorld();
      const { eventId, photos } = await world.event(2, 1, 3);
      const live = new Map<string, { faceIds: string[]; object: { key: string } }>(
        photos.map(({ photo_id, faceIds, object }) => [photo_id, { faceIds, object }]),
      );
      const gone = new Set<string>();
      let sequence = 16;
      const arn = () => `arn:execution:${randomUUID()}`;
      const store = async (photo_id: string, faces: number) => {
        const version = `v${sequence}`;
        const indexed = await world.index(
          { event_id: eventId, photo_id },
          { version, sequencer: (sequence++).toString(16), event_time: new Date().toISOString() },
          faces,
        );
        const { effect } = await indexed.persist();
        return { ...indexed, effect };
      };

      for (const what of happenings) {
        const known = [...live.keys()];
        switch (what.does) {
          case 'delete': {
            const photo_id = known[what.photo % Math.max(1, known.length)];
            if (photo_id) {
              const { object, faceIds } = live.get(photo_id)!;
              const sequencer = (sequence++).toString(16);
              await world.tasks.RequestErasure({
                input: { request: 'photo_deleted', bucket: 'photos', object: { key: object.key, sequencer } },
                execution_arn: arn(),
              });
              live.delete(photo_id);
              for (const id of faceIds) {
                gone.add(id);
              }
            }
            break;
          }
          case 'person': {
            const all = [...live].flatMap(([photo_id, { faceIds }]) =>
              faceIds.map((id) => [id, photo_id] as const),
            );
            const chosen = [
              ...new Set(what.faces.flatMap((i) => (all.length > 0 ? [all[i % all.length]!] : []))),
            ];
            if (chosen.length > 0) {
              await world.tasks.RequestErasure({
                input: { request: 'person', event_id: eventId, faces: chosen },
                execution_arn: arn(),
              });
              for (const [id] of chosen) {
                gone.add(id);
              }
            }
            break;
          }
          case 'event': {
            await world.tasks.RequestErasure({
              input: { request: 'event', event_id: eventId },
              execution_arn: arn(),
            });
            for (const { faceIds } of live.values()) {
              for (const id of faceIds) {
                gone.add(id);
              }
            }
            live.clear();
            break;
          }
          case 'replace': {
            const photo_id = known[what.photo % Math.max(1, known.length)];
            if (photo_id) {
              const before = live.get(photo_id)!;
              // A response may have to wait for an erasure; then the earlier faces stay as they are.
              const stored = await store(photo_id, what.faces).catch(() => undefined);
              if (stored?.effect === 'stored') {
                live.set(photo_id, stored);
                for (const id of before.faceIds) {
                  gone.add(id);
                }
              }
            }
            break;
          }
          case 'upload': {
            const photo_id = randomUUID();
            const stored = await store(photo_id, what.faces).catch(() => undefined);
            if (stored?.effect === 'stored') {
              live.set(photo_id, stored);
            }
            break;
          }
          case 'index only':
            // On its way: in the collection, and in no row.
            for (const id of (
              await world.index(
                { event_id: eventId, photo_id: randomUUID() },
                { version: `v${sequence}`, sequencer: (sequence++).toString(16) },
                what.faces,
              )
            ).faceIds) {
              gone.add(id);
            }
            break;
          case 'erase':
            // One that was stopped is gone on with under the same name, and so has its turn.
            await world.erase(
              { request: 'outbox' },
              { abort: (state, when) => state === what.until && when === what.when },
            );
            break;
        }
        const { photos: shown, found } = await world.byImage(eventId);
        const shownFaces = shown.map(({ face_id }) => face_id);
        expect(shownFaces.filter((id) => gone.has(id))).toEqual([]);
        expect(shown.filter(({ photo_id }) => !live.has(photo_id))).toEqual([]);
        expect(found).toBe(shown.length);
        for (const face_id of [...gone].slice(0, 2)) {
          const byFace = await world.find({ event_id: eventId, face_id });
          expect(byFace.photos).toEqual([]);
        }
      }
    }),
    { numRuns: 25 },
  );
});
