import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { findPerson } from '../../../lambdas/find-person/find-person.ts';
import { cursorAfter, pageOf, photosOf, placeOf } from '../../../lambdas/find-person/matches.ts';
import { PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import { metricNames } from '../../../lambdas/shared/contract/names.ts';
import { parseRequest } from '../../../lambdas/shared/contract/payloads.ts';
import {
  type FindPersonRequest,
  type FoundPhoto,
  findPersonRequestSchema,
  MAX_FOUND,
  MAX_MATCHES,
  MAX_SELFIE_BASE64,
  resolveFacesRequestSchema,
  searchReasons,
} from '../../../lambdas/shared/contract/search.ts';
import { awsError } from '../../support/fake-client.ts';
import { EVENT, matched, NO_FACE, NOON, picture, searchWorld } from '../../support/search-world.ts';

describe('a search by picture', () => {
  test('asks for all that Rekognition gives, and groups by photo: the best face of each, the best photo first', async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const matches = [matched(91, one), matched(99.5, one), matched(95, other)];
    const { find, calls, resolved } = searchWorld({ matches });
    const answer = await find({ reference: 'guest-7', similarity: 85 });
    expect(answer).toMatchObject({
      event_id: EVENT,
      reason: null,
      found: 2,
      cursor: null,
      is_cut: false,
      searched: {
        face: 'largest_of_image',
        message: 'If the picture shows several faces, the largest was searched for.',
        box: { left: 0.5, top: 0.5, width: 0.1, height: 0.1 },
      },
      photos: [
        { photo_id: one, similarity: 99.5, face_id: matches[1]!.face_id, box: { left: 0.1 } },
        { photo_id: other, similarity: 95 },
      ],
    });
    expect(calls).toEqual([
      [
        'SearchFacesByImage',
        {
          CollectionId: `rollcall-${EVENT}`,
          Image: { Bytes: picture() },
          FaceMatchThreshold: 85,
          MaxFaces: MAX_MATCHES,
          QualityFilter: 'AUTO',
        },
      ],
    ]);
    expect(resolved).toEqual([
      {
        event_id: EVENT,
        kind: 'image',
        searched_face_id: null,
        face_ids: matches.map(({ face_id }) => face_id),
        reference: 'guest-7',
      },
    ]);
  });

  test('shows nothing that resolve-faces does not', async () => {
    const matches = [matched(99), matched(98)];
    const { find } = searchWorld({ matches, hidden: [matches[0]!.face_id] });
    const { photos, found } = await find();
    expect(photos.map(({ photo_id }) => photo_id)).toEqual([matches[1]!.photo_id]);
    expect(found).toBe(1);
  });

  test('a thousand faces of one photo do not starve the others, and what Rekognition cuts is told', async () => {
    const crowd = randomUUID();
    const matches = [
      ...Array.from({ length: MAX_MATCHES - 1 }, (_, i) => matched(99 - i / MAX_MATCHES, crowd)),
      matched(91),
    ];
    const { find } = searchWorld({ matches });
    const answer = await find({ limit: 2 });
    expect(answer.photos.map(({ photo_id }) => photo_id)).toEqual([crowd, matches.at(-1)!.photo_id]);
    expect(answer.is_cut).toBe(true);
  });

  test.each([
    [
      'NoFace',
      {
        throws: [
          awsError('InvalidParameterException', 400, NO_FACE),
          awsError('InvalidParameterException', 400, NO_FACE),
        ],
      },
      {},
    ],
    ['FaceUnclear', { throws: [awsError('InvalidParameterException', 400, NO_FACE), undefined] }, {}],
    ['InvalidImage', { throws: [awsError('InvalidImageFormatException')] }, {}],
    ['ImageTooLarge', { throws: [awsError('ImageTooLargeException')] }, {}],
    ['EventUnknown', { throws: [awsError('ResourceNotFoundException')], event: 'unknown' }, {}],
    ['NobodyFound', { throws: [awsError('ResourceNotFoundException')] }, {}],
    ['EventErased', { event: 'erased' }, {}],
    ['EventOver', { event: 'over', matches: [matched(99)] }, {}],
    ['NobodyFound', {}, {}],
    ['InvalidImage', {}, { image: 'bm90IGEgcGljdHVyZQ==' }],
    ['InvalidImage', {}, { image: '' }],
    ['InvalidImage', {}, { image: `${picture().toString('base64')}!` }],
    ['ImageTooSmall', {}, { image: picture(79, 200).toString('base64') }],
    ['ImageTooLarge', {}, { image: 'A'.repeat(6_000_004) }],
    ['FaceUnknown', {}, { face_id: randomUUID() }],
    ['FaceUnknown', { throws: [awsError('InvalidParameterException')] }, { face_id: randomUUID() }],
  ] as const)('%s: no photos, and a sentence for people', async (reason, situation, request) => {
    const { find, recording } = searchWorld(situation as unknown as Parameters<typeof searchWorld>[0]);
    const answer = await find(request);
    expect(answer).toMatchObject({ reason, photos: [], found: 0, cursor: null, searched: null });
    expect(answer.message).toBe(searchReasons[reason].says);
    expect(recording.recorded).toContainEqual({
      name: metricNames.searchesWithoutPhotos,
      value: 1,
      dimensions: { Reason: reason },
    });
  });

  test('a picture that cannot be one costs neither a call nor a place of anybody', async () => {
    const { find, deps, calls } = searchWorld();
    deps.limits.take = async () => {
      throw new Error('not counted');
    };
    deps.ledger.takeSlot = async () => {
      throw new Error('not asked for');
    };
    await find({ image: 'bm90IGEgcGljdHVyZQ==' });
    expect(calls).toEqual([]);
  });
});

describe('a search by face', () => {
  test("has the face's own photo in its answer", async () => {
    const face_id = randomUUID();
    const own = randomUUID();
    const other = matched(96);
    const { find, resolved } = searchWorld({ matches: [other], searched: { photo_id: own, box: null } });
    const answer = await find({ face_id });
    expect(answer.searched).toEqual({
      face: 'face_id',
      message: 'The face of a photo was searched for.',
      box: null,
    });
    expect(answer.photos).toMatchObject([
      { photo_id: own, similarity: 100, face_id },
      { photo_id: other.photo_id, similarity: 96 },
    ]);
    expect(resolved).toMatchObject([{ kind: 'face', searched_face_id: face_id }]);
  });

  test('that is not shown any more finds nobody, whatever it is like', async () => {
    const { find } = searchWorld({ matches: [matched(99)] });
    expect(await find({ face_id: randomUUID() })).toMatchObject({ reason: 'FaceUnknown', photos: [] });
  });
});

describe('the pace', () => {
  const throttled = () => awsError('ProvisionedThroughputExceededException');

  test('throttled once or twice it is tried again, in a new slot', async () => {
    const { find, told, recording } = searchWorld({
      throws: [throttled(), throttled()],
      matches: [matched(99)],
    });
    expect(await find()).toMatchObject({ reason: null, found: 1 });
    expect(told).toEqual(['throttle', 'give back', 'throttle', 'give back']);
    expect(recording.total(metricNames.searchesBilled)).toBe(1);
  });

  test('three times: it is told when to come back', async () => {
    const { find } = searchWorld({ throws: [throttled(), throttled(), throttled()] });
    expect(await find()).toMatchObject({ reason: 'SearchBusy', retry_after_seconds: 12 });
  });

  test('without a slot within seconds the same, and no call', async () => {
    const takeSlot = async () => {
      throw new PipelineError('SlotExpired', 'the next free slot is 4000 ms away');
    };
    const { find, calls } = searchWorld({ ledger: { takeSlot } });
    expect(await find()).toMatchObject({ reason: 'SearchBusy', retry_after_seconds: 12 });
    expect(calls).toEqual([]);
  });

  test('whoever has a long line before them is told when their turn comes, and keeps it', async () => {
    const ledger = { joinLine: async () => NOON + 4_001 };
    const first = searchWorld({ ledger });
    expect(await first.find({ caller: 'guest-7' })).toMatchObject({
      reason: 'SearchBusy',
      retry_after_seconds: 5,
    });
    expect([first.calls, first.kept]).toEqual([[], [['guest-7', NOON + 4_001]]]);
    // Nobody else's place can be kept, because nobody knows whose it is.
    const nameless = searchWorld({ ledger });
    expect(await nameless.find()).toMatchObject({ reason: 'SearchBusy' });
    expect(nameless.kept).toEqual([]);
  });

  test('a kept place is used without standing in line again; too early, it is told and kept once more', async () => {
    const noLine = async (): Promise<never> => {
      throw new Error('not in line again');
    };
    const taken: number[] = [];
    const inTime = searchWorld({ keptMs: NOON - 500, ledger: { joinLine: noLine }, matches: [matched(99)] });
    const { takeSlot } = inTime.deps.ledger;
    inTime.deps.ledger.takeSlot = (request) => {
      taken.push(request.placeMs);
      return takeSlot(request);
    };
    expect(await inTime.find({ caller: 'guest-7' })).toMatchObject({ reason: null, found: 1 });
    expect(taken).toEqual([NOON - 500]);
    const early = searchWorld({ keptMs: NOON + 30_000, ledger: { joinLine: noLine } });
    expect(await early.find({ caller: 'guest-7' })).toMatchObject({ retry_after_seconds: 30 });
    expect(early.kept).toEqual([['guest-7', NOON + 30_000]]);
  });

  test("the day's cap is told until midnight", async () => {
    const refuse = (name: 'SlotExpired' | 'DailyImageCapReached') => async () => {
      throw new PipelineError(name, 'because');
    };
    const ledger = { takeSlot: refuse('SlotExpired'), joinLine: refuse('DailyImageCapReached') };
    expect(await searchWorld({ ledger }).find()).toMatchObject({
      reason: 'DailySearchCapReached',
      retry_after_seconds: 12 * 3_600,
    });
  });

  test('a limit is told before anything is billed', async () => {
    const { find, calls } = searchWorld({ limit: 90_001 });
    expect(await find()).toMatchObject({ reason: 'SearchLimitReached', retry_after_seconds: 91 });
    expect(calls).toEqual([]);
  });

  test('what is no moment of trouble is thrown at once, and what lasts after three tries', async () => {
    const denied = searchWorld({ throws: [awsError('AccessDeniedException')] });
    await expect(denied.find()).rejects.toMatchObject({ name: 'AccessDenied' });
    expect(denied.calls).toHaveLength(1);
    const down = searchWorld({
      throws: Array.from({ length: 3 }, () => awsError('InternalServerError', 500)),
    });
    await expect(down.find()).rejects.toMatchObject({ name: 'RekognitionUnavailable' });
    expect(down.calls).toHaveLength(3);
  });
});

describe('what is asked', () => {
  test.each([
    [{}, 'either an image or a face_id'],
    [{ image: 'AA==', face_id: EVENT }, 'either an image or a face_id'],
    [{ image: 'AA==', similarity: 79.9 }, 'similarity is from 80 to 100'],
    [{ image: 'AA==', limit: MAX_FOUND + 1 }, 'limit is from 1 to 1000'],
    [{ image: 'AA==', limit: 1.5 }, 'limit is not a whole number'],
    [{ image: 'AA==', reference: 'x'.repeat(201) }, 'reference has 1 to 200 characters'],
    [{ image: 'AA==', caller: '' }, 'caller has 1 to 200 characters'],
    [{ image: 'AA==', event_id: 'wedding' }, 'event_id is not a UUID'],
    [{ face_id: 'face' }, 'face_id is not a UUID'],
    [{ image: 'AA==', reference: '\0' }, 'reference holds characters that PostgreSQL cannot store'],
  ])('%j: %s', (request, message) => {
    expect(() => parseRequest(findPersonRequestSchema, { event_id: EVENT, ...request })).toThrow(message);
  });

  test('what is just within its bounds is taken', () => {
    const edges = { similarity: 100, limit: MAX_FOUND, reference: 'x'.repeat(200), caller: 'y'.repeat(200) };
    const parsed = parseRequest(findPersonRequestSchema, { event_id: EVENT, image: 'AA==', ...edges });
    expect(parsed).toMatchObject(edges);
    // As Rekognition counts matches, and as JSON carries 4,500,000 bytes.
    expect([MAX_MATCHES, MAX_SELFIE_BASE64]).toEqual([4_096, 6_000_000]);
  });

  test('what is asked of resolve-faces says by what was searched, and for whom', () => {
    const request = { event_id: EVENT, kind: 'image', searched_face_id: null, face_ids: [], reference: 'r' };
    for (const kind of ['image', 'face']) {
      expect(parseRequest(resolveFacesRequestSchema, { ...request, kind })).toEqual({ ...request, kind });
    }
    expect(() => parseRequest(resolveFacesRequestSchema, { ...request, kind: 'voice' })).toThrow('kind');
    expect(() => parseRequest(resolveFacesRequestSchema, { ...request, reference: '' })).toThrow(
      'reference has 1 to 200 characters',
    );
  });

  test('an invented cursor is refused', async () => {
    await expect(searchWorld().find({ cursor: 'abc' })).rejects.toMatchObject({ name: 'InvalidInput' });
  });
});

describe('pages', () => {
  const photo = fc
    .record({ photo_id: fc.uuid(), similarity: fc.constantFrom(100, 99.5, 99, 91.25, 90) })
    .map((one) => ({ ...one, face_id: one.photo_id, box: null }));

  test('together they are the whole answer, each photo once, whatever comes or goes between them', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(photo, { selector: ({ photo_id }) => photo_id, maxLength: 30 }),
        fc.uniqueArray(photo, { selector: ({ photo_id }) => photo_id, maxLength: 5 }),
        fc.integer({ min: 1, max: 7 }),
        (photos: FoundPhoto[], late: FoundPhoto[], limit) => {
          const ranked = (some: FoundPhoto[]) =>
            photosOf(
              some,
              some.map(({ face_id, photo_id }): [string, string] => [face_id, photo_id]),
            );
          const ids = (some: FoundPhoto[]) => some.map(({ photo_id }) => photo_id);
          const seen: string[] = [];
          let cursor: string | null = null;
          const unknown = late.filter(({ photo_id }) => !photos.some((one) => one.photo_id === photo_id));
          for (let page = 0; page <= photos.length + unknown.length; page++) {
            const now = page === 0 ? photos : [...photos, ...unknown];
            const answer = pageOf(ranked(now), { after: cursor ? placeOf(cursor) : undefined, limit });
            expect(answer.photos.length).toBeLessThanOrEqual(limit);
            seen.push(...ids(answer.photos));
            ({ cursor } = answer);
            if (cursor === null) {
              break;
            }
          }
          expect(new Set(seen).size).toBe(seen.length);
          const known = new Set(ids(photos));
          expect(seen.filter((id) => known.has(id))).toEqual(ids(ranked(photos)));
        },
      ),
    );
  });

  test('a cursor names its place exactly, and nothing else is one', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.double({ min: 0, max: 100, noNaN: true }), (photo_id, similarity) => {
        expect(placeOf(cursorAfter({ photo_id, similarity }))).toEqual({ photo_id, similarity });
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => void placeOf(text)));
  });
});

test('whatever goes wrong, nothing that is logged, counted, thrown or asked of the database holds any part of the picture', async () => {
  // Longer than what a caller may have kept as a reference.
  const secret = Buffer.from(
    'the face of a person who trusts us, as bytes that are in nothing else; '.repeat(5),
  );
  const image = picture(200, 200, secret).toString('base64');
  const errors = [
    awsError('InvalidParameterException', 400, NO_FACE),
    awsError('InvalidImageFormatException'),
    awsError('ResourceNotFoundException'),
    awsError('AccessDeniedException'),
    awsError('ProvisionedThroughputExceededException'),
    awsError('InternalServerError', 500),
    new TypeError('socket hang up'),
  ];
  const wrong = fc.record(
    {
      event_id: fc.constantFrom(EVENT, image, 7),
      face_id: fc.constantFrom(EVENT, image, null),
      similarity: fc.constantFrom(90, 12, image),
      limit: fc.constantFrom(10, image),
      cursor: fc.constantFrom(image, 'abc'),
      reference: fc.constantFrom(image, 'guest'),
      caller: fc.constantFrom(image, 'guest'),
      image: fc.constantFrom(image, `${image}=`, `!${image}`, { data: image }, [image]),
    },
    { requiredKeys: ['event_id'] },
  );
  await fc.assert(
    fc.asyncProperty(
      wrong,
      fc.array(fc.constantFrom(...errors, undefined), { maxLength: 4 }),
      async (request, throws) => {
        const { deps, recording, resolved } = searchWorld({ throws, matches: [matched(99)] });
        const said: unknown[] = [];
        try {
          said.push(
            await findPerson(deps, parseRequest(findPersonRequestSchema, request) as FindPersonRequest),
          );
        } catch (error) {
          const { name, message, stack } = error as Error;
          said.push({ name, message, stack });
        }
        const everything = JSON.stringify({
          said,
          resolved,
          lines: recording.lines,
          metrics: recording.recorded,
        });
        expect(everything).not.toContain(image.slice(0, 40));
        expect(everything).not.toContain(image.slice(-40));
        expect(everything).not.toContain('trusts us');
      },
    ),
    { numRuns: 500 },
  );
});
