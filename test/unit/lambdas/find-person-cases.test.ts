/** What one search asks for, says, counts and charges, in numbers that a person can check. */
import { randomUUID } from 'node:crypto';
import type { FindPersonDeps } from '../../../lambdas/find-person/find-person.ts';
import { PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import { MAX_MATCHES } from '../../../lambdas/shared/contract/search.ts';
import { awsError } from '../../support/fake-client.ts';
import { EVENT, matched, NO_FACE, NOON, picture, searchWorld } from '../../support/search-world.ts';

const SECOND = 1_000;
const withoutFace = () => awsError('InvalidParameterException', 400, NO_FACE);
const throttled = () => awsError('ProvisionedThroughputExceededException');
const refusing = (name: PipelineError['name']) => async (): Promise<never> => {
  throw new PipelineError(name, 'because');
};

/** A clock that is so much further at each look. */
function clock(...stepsMs: number[]): () => number {
  let nowMs = NOON;
  return () => {
    nowMs += stepsMs.shift() ?? 0;
    return nowMs;
  };
}

/** What a search was counted as; nothing else was counted. */
function counts({ recording }: ReturnType<typeof searchWorld>): Record<string, number> {
  return Object.fromEntries(recording.recorded.map(({ name }) => [name, recording.total(name)]));
}

describe('what is counted and logged', () => {
  test('an answer: a search, its time, and what is billed', async () => {
    const world = searchWorld({ matches: [matched(99)] });
    let looks = 0;
    world.deps.now = () => NOON + 250 * looks++;
    await world.find({ reference: 'guest-7' });
    expect(counts(world)).toEqual({
      [metricNames.searches]: 1,
      [metricNames.searchesBilled]: 1,
      [metricNames.searchTime]: 250 * (looks - 1),
    });
    expect(looks).toBeGreaterThan(2);
    expect(world.recording.lines).toEqual([
      {
        level: 'info',
        message: 'A person was searched for',
        event: logEvents.personSearched,
        event_id: EVENT,
        kind: 'image',
        reason: null,
        found: 1,
      },
    ]);
  });

  test('an end without photos is a search too, with its reason', async () => {
    const world = searchWorld();
    expect(await world.find({ face_id: randomUUID() })).toEqual({
      event_id: EVENT,
      reason: 'FaceUnknown',
      message: 'The event has no such face.',
      retry_after_seconds: null,
      similarity: 80,
      searched: null,
      photos: [],
      found: 0,
      cursor: null,
      is_cut: false,
    });
    expect(counts(world)).toEqual({
      [metricNames.searches]: 1,
      [metricNames.searchesBilled]: 1,
      [metricNames.searchTime]: 0,
      [metricNames.searchesWithoutPhotos]: 1,
    });
    expect(world.recording.lines).toEqual([
      expect.objectContaining({ kind: 'face', reason: 'FaceUnknown', found: 0 }),
    ]);
  });

  test('a failure is one, and no search; who asked for what there is not has not found one', async () => {
    const failing = searchWorld({ ledger: { joinLine: refusing('LedgerBusy') } });
    await expect(failing.find()).rejects.toMatchObject({ name: 'LedgerBusy' });
    expect(counts(failing)).toEqual({ [metricNames.searchesFailed]: 1 });
    const invented = searchWorld();
    await expect(invented.find({ cursor: 'abc' })).rejects.toThrow(
      'cursor: it is not one of an earlier answer',
    );
    expect(counts(invented)).toEqual({});
    expect([failing.recording.lines, invented.recording.lines]).toEqual([[], []]);
  });
});

describe('what Rekognition is asked', () => {
  test('for a face: all matches of the event from the similarity on', async () => {
    const face_id = randomUUID();
    const box = { left: 0, top: 0, width: 0.5, height: 0.5 };
    const { find, calls, resolved } = searchWorld({ searched: { photo_id: randomUUID(), box } });
    const answer = await find({ face_id, similarity: 92 });
    expect(answer).toMatchObject({
      similarity: 92,
      searched: { face: 'face_id', box },
      message: null,
      retry_after_seconds: null,
    });
    expect(calls).toEqual([
      [
        'SearchFaces',
        {
          CollectionId: `rollcall-${EVENT}`,
          FaceId: face_id,
          FaceMatchThreshold: 92,
          MaxFaces: MAX_MATCHES,
        },
      ],
    ]);
    expect(resolved).toEqual([
      { event_id: EVENT, kind: 'face', searched_face_id: face_id, face_ids: [], reference: null },
    ]);
  });

  test('for a picture in which it sees no face: once more, whether there is one at all', async () => {
    const { find, calls } = searchWorld({ throws: [withoutFace()] });
    await find();
    const input = {
      CollectionId: `rollcall-${EVENT}`,
      Image: { Bytes: picture() },
      FaceMatchThreshold: 80,
    };
    expect(calls).toEqual([
      ['SearchFacesByImage', { ...input, MaxFaces: MAX_MATCHES, QualityFilter: 'AUTO' }],
      ['SearchFacesByImage', { ...input, MaxFaces: 1, QualityFilter: 'NONE' }],
    ]);
  });

  test.each([
    ['ResourceNotFoundException', 'NobodyFound'],
    ['InvalidImageFormatException', 'InvalidImage'],
    ['ImageTooLargeException', 'ImageTooLarge'],
  ])('%s at the second look is %s', async (name, reason) => {
    const { find, calls } = searchWorld({ throws: [withoutFace(), awsError(name)] });
    expect(await find()).toMatchObject({ reason, found: 0 });
    expect(calls).toHaveLength(2);
  });

  test('“no faces” is read whatever its case, and another wrong parameter is thrown, at either look', async () => {
    const loud = () => awsError('InvalidParameterException', 400, NO_FACE.toUpperCase());
    expect(await searchWorld({ throws: [loud(), loud()] }).find()).toMatchObject({ reason: 'NoFace' });
    for (const throws of [[], [withoutFace()]]) {
      const { find } = searchWorld({ throws: [...throws, awsError('InvalidParameterException')] });
      await expect(find()).rejects.toMatchObject({ name: 'InvalidParameter' });
    }
    // Of another name, whatever it says.
    const denied = searchWorld({ throws: [awsError('AccessDeniedException', 400, NO_FACE)] });
    await expect(denied.find()).rejects.toMatchObject({ name: 'AccessDenied' });
  });

  test('a face that cannot be asked for is unknown; what else goes wrong is thrown', async () => {
    const face_id = randomUUID();
    const gone = searchWorld({
      throws: [awsError('ResourceNotFoundException')],
      searched: { photo_id: randomUUID(), box: null },
    });
    expect(await gone.find({ face_id })).toMatchObject({ reason: null, found: 1 });
    const denied = searchWorld({ throws: [awsError('AccessDeniedException')] });
    await expect(denied.find({ face_id })).rejects.toMatchObject({ name: 'AccessDenied' });
  });
});

describe('an answer', () => {
  test.each([
    [MAX_MATCHES - 1, false],
    [MAX_MATCHES, true],
  ])('of %i matches is cut: %s', async (count, is_cut) => {
    const photo = randomUUID();
    const { find } = searchWorld({ matches: Array.from({ length: count }, () => matched(90, photo)) });
    expect(await find()).toMatchObject({ found: 1, is_cut });
  });

  test('goes on where the last one ended', async () => {
    const matches = [matched(99), matched(98), matched(97)];
    const { find } = searchWorld({ matches, ledger: { joinLine: async () => NOON } });
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const answer = await find({ limit: 2, ...(cursor && { cursor }) });
      expect(answer.found).toBe(3);
      seen.push(...answer.photos.map(({ photo_id }) => photo_id));
      ({ cursor } = answer);
    }
    expect(seen).toEqual(matches.map(({ photo_id }) => photo_id));
  });

  test('without a list of matches is none', async () => {
    const { find, deps } = searchWorld({ searched: { photo_id: randomUUID(), box: null } });
    deps.rekognition = { send: async () => ({}) } as never;
    expect(await find({ face_id: randomUUID() })).toMatchObject({ found: 1, is_cut: false });
  });
});

describe('its turn', () => {
  /** The world's, and what its ledger is asked. */
  function asked(options: Parameters<typeof searchWorld>[0]) {
    const world = searchWorld(options);
    const slots: Parameters<FindPersonDeps['ledger']['takeSlot']>[0][] = [];
    const places: Parameters<FindPersonDeps['ledger']['joinLine']>[0][] = [];
    const { takeSlot, joinLine } = world.deps.ledger;
    world.deps.ledger.takeSlot = (request) => {
      slots.push(request);
      return takeSlot(request);
    };
    world.deps.ledger.joinLine = (request) => {
      places.push(request);
      return joinLine(request);
    };
    return { ...world, slots, places };
  }

  test('is that of its place in line at first, and then that of whoever comes now', async () => {
    const { find, slots, places } = asked({
      throws: [throttled()],
      matches: [matched(99)],
      ledger: { joinLine: async () => NOON + 3_000 },
      now: () => NOON + 7,
    });
    await find();
    expect(places).toEqual([{ lane: 'live', returning: false, throttles: 0 }]);
    expect(slots).toEqual([
      { lane: 'live', placeMs: NOON + 3_000 },
      { lane: 'live', placeMs: NOON + 7 },
    ]);
  });

  test('the second look at a picture waits for a turn of its own, at once', async () => {
    const { find, slots, places } = asked({ throws: [withoutFace()], keptMs: NOON - 500 });
    await find();
    expect(slots.map(({ placeMs }) => placeMs)).toEqual([NOON - 500, NOON]);
    expect(places).toEqual([]);
  });

  test('within four seconds is waited for, and no longer', async () => {
    const at = (ms: number) => searchWorld({ keptMs: NOON + ms, matches: [matched(99)] }).find();
    expect(await at(4 * SECOND)).toMatchObject({ reason: null });
    expect(await at(4 * SECOND + 1)).toMatchObject({ reason: 'SearchBusy', retry_after_seconds: 5 });
  });

  test('that has come when it is told is said to be in a second', async () => {
    const { find } = searchWorld({
      throws: [throttled(), throttled(), throttled()],
      ledger: { joinLine: async () => NOON },
    });
    expect(await find()).toMatchObject({ reason: 'SearchBusy', retry_after_seconds: 1 });
  });

  test('a place that cannot be kept is told all the same', async () => {
    const { find, deps, recording } = searchWorld({ keptMs: NOON + 30 * SECOND });
    deps.limits.keepPlace = refusing('LedgerBusy');
    expect(await find({ caller: 'guest-7' })).toMatchObject({ retry_after_seconds: 30 });
    expect(recording.lines.map(({ level, message }) => [level, message])).toContainEqual([
      'warn',
      'The slot ledger could not be told',
    ]);
  });

  test('another end keeps no place', async () => {
    const { find, kept } = searchWorld({ event: 'over' });
    expect(await find({ caller: 'guest-7' })).toMatchObject({ reason: 'EventOver' });
    const failing = searchWorld({ throws: [awsError('AccessDeniedException')] });
    await expect(failing.find({ caller: 'guest-7' })).rejects.toThrow();
    expect([kept, failing.kept]).toEqual([[], []]);
  });

  test('the cap of the day is told at the line', async () => {
    const { find, calls } = searchWorld({ ledger: { joinLine: refusing('DailyImageCapReached') } });
    expect(await find()).toMatchObject({
      reason: 'DailySearchCapReached',
      retry_after_seconds: 12 * 3_600,
    });
    expect(calls).toEqual([]);
  });

  test.each(['takeSlot', 'joinLine'] as const)('a ledger that does not answer %s is thrown', async (of) => {
    const { find, calls } = searchWorld({ ledger: { [of]: refusing('LedgerBusy') } });
    await expect(find()).rejects.toMatchObject({ name: 'LedgerBusy' });
    expect(calls).toEqual([]);
  });
});

describe('a call that fails', () => {
  test('is billed if nobody answered, and given back if somebody did', async () => {
    const lost = searchWorld({ throws: [new TypeError('socket hang up')], matches: [matched(99)] });
    expect(await lost.find()).toMatchObject({ found: 1 });
    expect([lost.told, lost.recording.total(metricNames.searchesBilled)]).toEqual([[], 2]);
    const answered = searchWorld({
      throws: [awsError('InternalServerError', 500)],
      matches: [matched(99)],
    });
    expect(await answered.find()).toMatchObject({ found: 1 });
    expect([answered.told, answered.recording.total(metricNames.searchesBilled)]).toEqual([['give back'], 1]);
  });

  test('is not begun anew after six seconds', async () => {
    /** A search whose first call fails so long after it began. */
    const failingAfter = (ms: number) => {
      const world = searchWorld({
        throws: [awsError('InternalServerError', 500)],
        matches: [matched(99)],
        keptMs: NOON,
        // Where it begins, in line, before the call, and after it.
        now: clock(0, 0, 0, ms),
      });
      return { ...world, answer: world.find() };
    };
    const soon = failingAfter(6 * SECOND - 1);
    expect(await soon.answer).toMatchObject({ found: 1 });
    expect(soon.calls).toHaveLength(2);
    const late = failingAfter(6 * SECOND);
    await expect(late.answer).rejects.toMatchObject({ name: 'RekognitionUnavailable' });
    expect(late.calls).toHaveLength(1);
  });
});
