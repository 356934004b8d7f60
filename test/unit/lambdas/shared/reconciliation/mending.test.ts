import { createHash } from 'node:crypto';
import type { Finding } from '../../../../../lambdas/shared/reconciliation/compare.ts';
import {
  deletionOf,
  type Indexable,
  indexingOf,
  isIndexable,
} from '../../../../../lambdas/shared/reconciliation/mending.ts';
import { JUST_NOW, keyOf, LONG_AGO, object, photoId, row } from '../../../../support/compared-world.ts';

const finding = (rest: Partial<Indexable> = {}): Indexable => ({
  kind: 'never_seen',
  photoId: photoId(1),
  key: keyOf(1),
  object: object(1),
  row: undefined,
  rows: { photo: undefined, own: undefined },
  ...(rest as object),
});
const nameOf = (kind: string, of: unknown) =>
  `reconcile-${photoId(1)}-${kind}-${createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 16)}`;

test('what an execution of the photo mends, and nothing else, may cost an image', () => {
  const kinds: Finding['kind'][] = [
    'no_end',
    'never_seen',
    'faces_lost',
    'stray_faces',
    'needless_responses',
    'foreign_face',
    'object_gone',
    'wrong_count',
    'face_of_two_photos',
  ];
  expect(kinds.filter((kind) => isIndexable({ kind } as Finding))).toEqual([
    'no_end',
    'never_seen',
    'faces_lost',
  ]);
});

test('an object that was never seen is indexed as it lies there, behind the live photos', () => {
  const indexed = { key: keyOf(1), etag: 'v1', size: 1_000, sequencer: '0' };
  expect(indexingOf('photos', finding())).toEqual({
    input: { lane: 'backfill', bucket: 'photos', object: indexed, event_time: LONG_AGO },
    name: nameOf('never_seen', [indexed, null]),
  });
});

test('a photo whose object is gone is asked for all the same, as the version of its row', () => {
  const of = row(1, { object_version: 'v7', created_at: LONG_AGO, ended_at: null });
  const { input } = indexingOf(
    'photos',
    finding({ object: undefined as never, row: of, rows: { photo: of, own: undefined } }),
  );
  expect(input).toEqual({
    lane: 'backfill',
    bucket: 'photos',
    object: { key: keyOf(1), etag: 'v7', size: 1, sequencer: '0A' },
    event_time: LONG_AGO,
  });
  const nothing = indexingOf('photos', finding({ object: undefined as never }));
  expect(nothing.input).toMatchObject({
    object: { etag: 'gone' },
    event_time: '1970-01-01T00:00:00.000Z',
  });
  const unknown = row(1, { object_version: null });
  expect(
    indexingOf('photos', finding({ object: undefined as never, row: unknown })).input.object,
  ).toMatchObject({ etag: 'gone' });
});

test('the same finding has one name, and another end, version or kind has another', () => {
  const of = row(1, { ended_at: LONG_AGO, created_at: '2026-05-01T09:00:00.000Z' });
  const named = (rest: Partial<Indexable>) => indexingOf('photos', finding({ row: of, ...rest })).name;
  const { object: indexed } = indexingOf('photos', finding({ row: of })).input;
  expect(named({})).toBe(nameOf('never_seen', [indexed, LONG_AGO]));
  const without = row(1, { ended_at: null, created_at: JUST_NOW });
  expect(named({ row: without })).toBe(nameOf('never_seen', [indexed, JUST_NOW]));
  const names = [
    named({}),
    named({ row: { ...of, ended_at: JUST_NOW } }),
    named({ object: object(1, { etag: 'v2' }) }),
    named({ kind: 'no_end' } as Partial<Indexable>),
  ];
  expect(new Set(names).size).toBe(4);
  // Room for `-2` within Step Functions' 80.
  expect(Math.max(...names.map(({ length }) => length))).toBeLessThanOrEqual(78);
});

test('a deletion is what S3’s event of it would have started, after all that the row knows', () => {
  const of = row(1, { object_sequencer: '0A' });
  const { input, name } = deletionOf({ kind: 'object_gone', photoId: photoId(1), key: keyOf(1), row: of });
  expect(input).toMatchObject({ request: 'photo_deleted', object: { key: keyOf(1) } });
  expect(input.object.sequencer > '0A').toBe(true);
  expect(name).toBe(nameOf('object_gone', input.object));
});
