/** What a consumer of photos' ends is promised: docs/photo-end.schema.json. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { MarkFailedOutcome } from '../../../../../lambdas/mark-failed/mark-failed.ts';
import { failureKinds } from '../../../../../lambdas/shared/contract/errors.ts';
import type { PersistOutcome } from '../../../../../lambdas/shared/contract/payloads.ts';
import {
  PHOTO_END_VERSION,
  type PhotoEnd,
  photoEnd,
} from '../../../../../lambdas/shared/contract/photo-end.ts';
import { isUuid, parsePhotoKey } from '../../../../../lambdas/shared/contract/photo-key.ts';
import { read } from '../../../../support/pages.ts';

interface Schema {
  properties: Record<string, { const?: unknown; enum?: unknown[] }>;
  required: string[];
}

const schema = JSON.parse(read('docs/photo-end.schema.json')) as Schema;
const fits = new Ajv2020({
  allErrors: true,
  strictTypes: false,
  formats: {
    uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  },
}).compile<PhotoEnd>(schema);

const faults = (end: object) =>
  fits(end) ? [] : (fits.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);

/** The effects that there are, by the states that have them. */
const persisted: Record<PersistOutcome['effect'], true> = {
  stored: true,
  known: true,
  copy: true,
  superseded: true,
  deleted: true,
  erased: true,
};
const marked: Record<MarkFailedOutcome['effect'], true> = {
  written: true,
  misplaced: true,
  known: true,
  indexed: true,
  superseded: true,
  deleted: true,
  erased: true,
};
const effects = <Effect extends string>(of: Record<Effect, true>) =>
  fc.constantFrom(...(Object.keys(of) as Effect[]));

const input = fc
  .record({
    key: fc.oneof(
      fc.tuple(fc.uuid(), fc.uuid()).map(([event, photo]) => `events/${event}/${photo}.jpg`),
      fc.tuple(fc.uuid(), fc.string({ minLength: 1 })).map(([event, name]) => `events/${event}/${name}`),
      fc.string({ minLength: 1 }),
    ),
    etag: fc.string({ minLength: 1 }),
    version: fc.option(fc.string(), { nil: undefined }),
  })
  .map(({ key, etag, version }) => ({
    lane: 'live',
    bucket: 'uploads',
    object: { key, etag, ...(version !== undefined && { 'version-id': version }), sequencer: '1A' },
  }));

const output = fc.oneof(
  fc.record({
    outcome: fc.record({
      event_id: fc.uuid(),
      photo_id: fc.uuid(),
      effect: effects(persisted),
      face_count: fc.nat(100),
    }),
  }),
  fc.record({
    marked: fc.record({ photo_id: fc.option(fc.uuid()), effect: effects(marked) }),
  }),
);

const ended = fc.oneof(
  output.map((of) => ({ status: 'SUCCEEDED', output: JSON.stringify(of), error: null })),
  fc
    .oneof(fc.constantFrom(...Object.keys(failureKinds)), fc.string({ minLength: 1 }))
    .map((error) => ({ status: 'FAILED', output: null, error })),
  fc.constantFrom('TIMED_OUT', 'ABORTED').map((status) => ({ status, output: null, error: null })),
);

test('whatever end an execution comes to, what is made of it is as the schema says', () => {
  fc.assert(
    fc.property(input, ended, fc.nat(2 ** 41), (given, end, stopDate) => {
      const told = photoEnd({
        detail: {
          executionArn: 'arn:aws:states:eu-west-1:123456789012:execution:index-photo:run',
          input: JSON.stringify(given),
          stopDate,
          ...end,
        },
      });
      // As it travels.
      expect(faults(JSON.parse(JSON.stringify(told)) as object)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

describe('a photo that never got so far as to say its ids', () => {
  const failed = (key: string, error: string, folder?: string) => {
    const { event_id, photo_id } = photoEnd(
      {
        detail: {
          executionArn: 'arn:aws:states:eu-west-1:123456789012:execution:index-photo:run',
          status: 'FAILED',
          error,
          input: JSON.stringify({ bucket: 'uploads', object: { key, etag: 'e' } }),
          stopDate: 0,
        },
      },
      folder,
    );
    return { event_id, photo_id };
  };
  const name = fc.stringMatching(/^[\w.-]{1,12}$/).filter((text) => !isUuid(text));
  const folders = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `${names.join('/')}/`);
  const files = fc
    .tuple(fc.array(fc.oneof(name, fc.uuid()), { maxLength: 2 }), fc.oneof(name, fc.uuid()))
    .map(([above, stem]) => [...above, `${stem}.jpg`].join('/'));

  test('has those of its key, in whatever folder a platform keeps its events', () => {
    fc.assert(
      fc.property(folders, fc.uuid(), files, (folder, event, file) => {
        const key = `${folder}${event}/${file}`;
        const { eventId, photoId } = parsePhotoKey(key, folder);
        expect(failed(key, 'ImageTooLarge')).toEqual({ event_id: eventId, photo_id: photoId });
      }),
    );
  });

  test('has those of its key where the folder itself is named by a UUID, and is given', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), files, (tenant, event, file) => {
        const key = `tenants/${tenant}/${event}/${file}`;
        expect(failed(key, 'ImageTooLarge', `tenants/${tenant}/`).event_id).toBe(event);
      }),
    );
  });

  test('has none where the pipeline said that its key belongs to no event', () => {
    const key = 'elsewhere/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/a.jpg';
    expect(failed(key, 'InvalidPhotoKey')).toEqual({ event_id: null, photo_id: null });
  });
});

test('the schema names every field, this version, and the effects that there are', () => {
  const told = photoEnd({
    detail: {
      executionArn: 'arn:aws:states:eu-west-1:123456789012:execution:index-photo:run',
      status: 'ABORTED',
      input: JSON.stringify({ bucket: 'uploads', object: { key: 'a', etag: 'e' } }),
      stopDate: 0,
    },
  });
  expect(Object.keys(schema.properties)).toEqual(Object.keys(told));
  expect(schema.required).toEqual(Object.keys(told));
  expect(schema.properties.version!.const).toBe(PHOTO_END_VERSION);
  const known = new Set([...Object.keys(persisted), ...Object.keys(marked), null]);
  expect(new Set(schema.properties.effect!.enum)).toEqual(known);
});

test.each<[what: string, change: Partial<Record<keyof PhotoEnd, unknown>>]>([
  ['a failure without its code', { outcome: 'failed', failure_code: null }],
  ['a code without a failure', { outcome: 'indexed', failure_code: 'ImageTooLarge' }],
  ['faces of what is not indexed', { outcome: 'settled', face_count: 3 }],
  ['another version', { version: 2 }],
  ['a moment of no time zone', { ended_at: '2026-05-01T10:00:00' }],
])('the schema refuses %s', (_, change) => {
  const end: PhotoEnd = {
    version: 1,
    outcome: 'indexed',
    event_id: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77',
    photo_id: '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a78',
    bucket: 'uploads',
    key: 'events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/a.jpg',
    etag: 'e',
    version_id: null,
    effect: 'stored',
    face_count: 3,
    failure_code: null,
    retryable: null,
    execution_arn: 'arn:aws:states:eu-west-1:1:execution:m:n',
    ended_at: '2026-05-01T10:00:00.000Z',
  };
  expect(faults(end)).toEqual([]);
  expect(faults({ ...end, ...change })).not.toEqual([]);
});

describe('an end in full', () => {
  const object = { key: 'events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/a.jpg', etag: 'e' };
  const { eventId: event_id, photoId: photo_id } = parsePhotoKey(object.key);
  const executionArn = 'arn:aws:states:eu-west-1:123456789012:execution:index-photo:run';
  const end = (detail: object, more: object = {}) =>
    photoEnd({
      detail: {
        executionArn,
        status: 'SUCCEEDED',
        input: JSON.stringify({ bucket: 'uploads', object: { ...object, ...more } }),
        stopDate: 0,
        ...detail,
      },
    });
  const told: PhotoEnd = {
    version: PHOTO_END_VERSION,
    outcome: 'indexed',
    event_id,
    photo_id,
    bucket: 'uploads',
    key: object.key,
    etag: 'e',
    version_id: null,
    effect: 'stored',
    face_count: 3,
    failure_code: null,
    retryable: null,
    execution_arn: executionArn,
    ended_at: '1970-01-01T00:00:00.000Z',
  };
  const outcome = { event_id, photo_id, effect: 'stored', face_count: 3 };

  test('of a photo that is indexed, now or before, by the version that its bucket gave it', () => {
    expect(end({ output: JSON.stringify({ outcome }) })).toEqual(told);
    expect(end({ output: JSON.stringify({ outcome: { ...outcome, effect: 'known' } }) })).toEqual({
      ...told,
      effect: 'known',
    });
    expect(end({ output: JSON.stringify({ outcome }) }, { 'version-id': 'v7' }).version_id).toBe('v7');
  });

  test.each(['copy', 'superseded', 'deleted', 'erased'])(
    'of one that was %s: settled, with no faces',
    (effect) => {
      expect(end({ output: JSON.stringify({ outcome: { ...outcome, effect } }) })).toEqual({
        ...told,
        outcome: 'settled',
        effect,
        face_count: null,
      });
    },
  );

  test('of one that failed, with whether another try can help', () => {
    const failed = { ...told, outcome: 'failed', effect: null, face_count: null };
    expect(end({ status: 'FAILED', error: 'ImageTooLarge' })).toEqual({
      ...failed,
      failure_code: 'ImageTooLarge',
      retryable: false,
    });
    // A state's error that nobody here knows, and an end without one.
    expect(end({ status: 'FAILED', error: 'States.Runtime' })).toMatchObject({
      failure_code: 'States.Runtime',
      retryable: true,
    });
    expect(end({ status: 'FAILED', error: null })).toMatchObject({ failure_code: 'InternalError' });
    expect(end({ status: 'TIMED_OUT', error: 'x' })).toMatchObject({ failure_code: 'ExecutionTimedOut' });
  });

  test('of one that ended without an output has the ids of its key', () => {
    for (const output of [null, '', 'not JSON', undefined]) {
      expect(end({ output })).toEqual({ ...told, outcome: 'settled', effect: null, face_count: null });
    }
    expect(
      end({ output: JSON.stringify({ marked: { photo_id: null, effect: 'misplaced' } }) }),
    ).toMatchObject({
      photo_id,
      effect: 'misplaced',
    });
  });

  test.each([
    ['no input', { input: null }],
    ['an input that is cut off', { input: '{"bucket":' }],
    ['an input without an object', { input: '{}' }],
    ['an input without a key', { input: '{"object":{}}' }],
    ['null for an input', { input: 'null' }],
    ['no end', { stopDate: null }],
  ])('what has %s is none', (_, detail) => {
    expect(() => end(detail)).toThrow(new TypeError(`${executionArn} is not the end of a photo's execution`));
  });
});
