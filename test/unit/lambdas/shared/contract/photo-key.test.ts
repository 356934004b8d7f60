import fc from 'fast-check';
import { validate, version } from 'uuid';
import {
  DEFAULT_EVENTS_FOLDER,
  eventsFolderOf,
  foldersByEvent,
  parsePhotoKey,
  photoKeyOf,
  setEventsFolder,
} from '../../../../../lambdas/shared/contract/photo-key.ts';
import { anyCharacter } from '../../../../support/any-text.ts';

const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const PHOTO = '9d2c4f60-71d4-4f5e-8a39-0f6f5b8f4c11';

describe('parsePhotoKey', () => {
  test('takes a UUID stem as the photo id', () => {
    expect(parsePhotoKey(`events/${EVENT}/${PHOTO}.jpg`)).toMatchObject({ eventId: EVENT, photoId: PHOTO });
    expect(parsePhotoKey(`events/${EVENT}/${PHOTO}.JPG`).photoId).toBe(PHOTO);
  });

  test('takes a file in a folder below for a photo of its own, whatever it is named after', () => {
    const { photoId, keyId } = parsePhotoKey(`events/${EVENT}/thumbs/${PHOTO}.jpg`);
    expect(photoId).toBe(keyId);
    expect(photoId).not.toBe(PHOTO);
  });

  test('spells UUIDs in lower case, so that one event has one collection', () => {
    expect(parsePhotoKey(`events/${EVENT.toUpperCase()}/${PHOTO.toUpperCase()}.jpg`)).toMatchObject({
      eventId: EVENT,
      photoId: PHOTO,
    });
  });

  test('derives the photo id of any other name from the whole key', () => {
    const one = parsePhotoKey(`events/${EVENT}/IMG 0001.JPG`);
    expect(version(one.photoId)).toBe(5);
    expect(one.keyId).toBe(one.photoId);
    expect(parsePhotoKey(`events/${EVENT}/IMG 0001.JPG`)).toEqual(one);
    expect(parsePhotoKey(`events/${EVENT}/Süd/IMG 0001.JPG`).photoId).not.toBe(one.photoId);
    // This very id is in users' databases: it may never change.
    expect(one.photoId).toBe('fa380b70-0eab-5ef7-9ca6-7da32b5061f6');
  });

  test('tells Events/ from events/ as S3 does, and no UUID from itself in another case', () => {
    fc.assert(
      fc.property(
        fc.mixedCase(fc.constant('events')),
        fc.mixedCase(fc.uuid()),
        fc.mixedCase(fc.uuid()),
        (prefix, event, photo) => {
          const parse = () => parsePhotoKey(`${prefix}/${event}/${photo}.jpg`);
          if (prefix === 'events') {
            expect(parse()).toMatchObject({ eventId: event.toLowerCase(), photoId: photo.toLowerCase() });
          } else {
            expect(parse).toThrow(expect.objectContaining({ name: 'InvalidPhotoKey' }));
          }
        },
      ),
    );
  });

  test.each([
    '',
    'events',
    `events/${EVENT}`,
    `events/${EVENT}/`,
    `events/${EVENT}/folder/`,
    `events/${EVENT}/no-extension`,
    `events/${EVENT}/.jpg`,
    `events/${EVENT}/name.`,
    `events/not-a-uuid/photo.jpg`,
    `event/${EVENT}/photo.jpg`,
    `Events/${EVENT}/photo.jpg`,
    `EVENTS/${EVENT}/photo.jpg`,
    `eventS/${EVENT}/photo.jpg`,
    `/events/${EVENT}/photo.jpg`,
    `events/${EVENT}x/photo.jpg`,
    `events/${EVENT}/a\0b.jpg`,
    `events/${EVENT}/\ud800.jpg`,
    `events/${EVENT}/${'ä'.repeat(600)}.jpg`,
  ])('refuses %j', (key) => {
    expect(() => parsePhotoKey(key)).toThrow(expect.objectContaining({ name: 'InvalidPhotoKey' }));
  });

  test('a key has 1,024 bytes at most, a name may have several lines, and a refusal quotes as much as one reads', () => {
    const longest = `events/${EVENT}/${'n'.repeat(1_024 - 48)}.jpg`;
    expect(Buffer.byteLength(longest)).toBe(1_024);
    expect(parsePhotoKey(longest).eventId).toBe(EVENT);
    expect(parsePhotoKey(`events/${EVENT}/two\nlines/a\nb.jpg`).eventId).toBe(EVENT);
    expect(() => parsePhotoKey(`x${longest}`)).toThrow(
      `The key ${JSON.stringify(`x${longest}`.slice(0, 200))} is not of the form`,
    );
    expect(photoKeyOf(longest)).toEqual(parsePhotoKey(longest));
    expect(photoKeyOf('events/')).toBeUndefined();
    // What is not a key at all is a fault of the code, and not hidden.
    expect(() => photoKeyOf(7 as never)).toThrow(TypeError);
  });

  test('either parses or refuses any key whatever, and quickly', () => {
    const name = fc.string({ unit: anyCharacter, maxLength: 300 });
    fc.assert(
      fc.property(
        fc.oneof(
          name,
          name.map((rest) => `events/${EVENT}/${rest}`),
        ),
        (key) => {
          try {
            const parsed = parsePhotoKey(key);
            expect(parsed.eventId).toBe(EVENT);
            expect(validate(parsed.photoId)).toBe(true);
          } catch (error) {
            expect(error).toMatchObject({ name: 'InvalidPhotoKey' });
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test('an event’s folders are found however their keys spell it, each once', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.uuid(), { maxLength: 5 }), fc.array(fc.nat(4)), (events, picks) => {
      const spell = (event: string, n: number) =>
        `events/${[...event].map((letter, i) => ((i + n) % 3 === 0 ? letter.toUpperCase() : letter)).join('')}/`;
      const folders = picks.flatMap((n) => events.map((event) => spell(event, n)));
      const found = foldersByEvent([...folders, 'events/not-a-uuid/', `Events/${EVENT}/`, `${EVENT}/`]);
      expect([...found.keys()].sort()).toEqual(picks.length > 0 ? [...events].sort() : []);
      expect([...found.values()].flat().sort()).toEqual([...new Set(folders)].sort());
    }),
  );
});

test('another folder of the events takes the place of events/, and ids are of the whole key', () => {
  const event = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
  const before = photoKeyOf(`events/${event}/a.jpg`)!;
  try {
    setEventsFolder('uploads/2026/');
    expect(photoKeyOf(`events/${event}/a.jpg`)).toBeUndefined();
    expect(photoKeyOf(`uploads/2026/${event}/a.jpg`)).toMatchObject({ eventId: event });
    expect(photoKeyOf(`uploads/2026/${event}/a.jpg`)!.photoId).not.toBe(before.photoId);
    expect([...foldersByEvent([`uploads/2026/${event.toUpperCase()}/`, `events/${event}/`])]).toEqual([
      [event, [`uploads/2026/${event.toUpperCase()}/`]],
    ]);
  } finally {
    setEventsFolder(DEFAULT_EVENTS_FOLDER);
  }
});

test.each([
  [`events/${EVENT}/a.jpg`, 'events/'],
  [`uploads/2026/${EVENT}/more/${PHOTO}/a.jpg`, 'uploads/2026/'],
  [`${EVENT}/a.jpg`, ''],
  [`events/${EVENT}.jpg`, undefined],
  ['events/wedding/a.jpg', undefined],
])('the folder of all events is what stands before the first of an event: %s', (...[key, folder]) => {
  expect(eventsFolderOf(key)).toBe(folder);
});
