import type { S3Client } from '@aws-sdk/client-s3';
import { joinLine } from '../../../lambdas/join-line/join-line.ts';
import { PipelineError } from '../../../lambdas/shared/contract/errors.ts';
import { logEvents, metricNames } from '../../../lambdas/shared/contract/names.ts';
import type { Place } from '../../../lambdas/shared/contract/payloads.ts';
import type { Fair } from '../../../lambdas/shared/line/joining.ts';
import type { SlotLedger } from '../../../lambdas/shared/line/store.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';
import { recordingTelemetry } from '../../support/recording-telemetry.ts';

const NOW = Date.parse('2026-05-01T10:00:00.250Z');
const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const PHOTO = '9d2c4f60-71d4-4f5e-8a39-0f6f5b8f4c11';

type Asked = Parameters<SlotLedger['joinLine']>[0];

interface Setup {
  place?: Place;
  returned?: string;
  lane?: 'live' | 'backfill';
  object?: object;
  /** S3's answer to whether the response is stored; none is by default. */
  resultHead?: () => unknown;
  answer?: () => Promise<number>;
  /** The photographer's cap, where there is one. */
  check?: () => Promise<void>;
}

const notStored = () => {
  throw awsError('NotFound', 404);
};

function setUp(setup: Setup = {}) {
  const asked: Asked[] = [];
  const checked: string[] = [];
  const fairly: Fair[] = [];
  const recording = recordingTelemetry();
  const s3 = fakeClient<S3Client>({ HeadObject: setup.resultHead ?? notStored });
  const run = () =>
    joinLine(
      {
        s3: s3.client,
        resultsBucket: 'results',
        ledger: {
          joinLine: (each) => {
            asked.push(each);
            return setup.answer?.() ?? Promise.resolve(NOW + 1_640);
          },
          joinByTurns: async (fair) => {
            asked.push({ lane: 'live', returning: false, throttles: 0 });
            fairly.push(fair);
            return { placeMs: (await setup.answer?.()) ?? NOW + 1_640, round: 7 };
          },
        },
        ...(setup.check && {
          photographers: {
            check: (eventId) => {
              checked.push(eventId);
              return setup.check!();
            },
          },
        }),
        telemetry: recording.telemetry,
        now: () => NOW,
      },
      {
        input: {
          lane: setup.lane ?? 'live',
          bucket: 'photos',
          object: { key: `events/${EVENT}/${PHOTO}.jpg`, etag: 'etag1', sequencer: '0', ...setup.object },
          photo: {
            event_id: EVENT,
            photo_id: PHOTO,
            collection_id: `rollcall-${EVENT}`,
            face_model_version: '7.0',
            recreations: 0,
          },
          ...(setup.place && { place: setup.place }),
          ...(setup.returned && { returned: { Error: setup.returned, Cause: 'why' } }),
        },
        execution_arn: 'arn',
        max_throttles: 30,
        max_reindexes: 2,
      },
    );
  return { run, s3, asked, checked, fairly, recording };
}

async function join(setup: Setup = {}) {
  const { run, s3, asked, fairly, recording } = setUp(setup);
  const place = await run();
  return { place, s3, fairly, asked: asked[0]!, delay: recording.total(metricNames.lineDelay) };
}

/** Follows a photo that comes back with these errors, one after the other. */
async function path(...errors: string[]): Promise<{ place: Place; asked: Asked }> {
  let current = await join();
  for (const returned of errors) {
    current = await join({ place: current.place, returned });
  }
  return current;
}

test('a photo’s first place: when its turn comes, and the second to wait for', async () => {
  const { place, asked, delay } = await join();
  expect(place).toEqual({
    place_ms: NOW + 1_640,
    wait_until: '2026-05-01T10:00:01Z',
    throttles: 0,
    reindexes: 0,
    round: 7,
  });
  expect(asked).toEqual({ lane: 'live', returning: false, throttles: 0 });
  expect(delay).toBe(1_640);
});

test('a place is told with its delay and the attempt that it is for', async () => {
  const line = { level: 'info', message: 'Took a place in line', event: logEvents.lineJoined };
  const { run, recording } = setUp({ answer: async () => NOW + 1_640.4 });
  await run();
  expect(recording.lines).toEqual([{ ...line, delay_ms: 1_640, attempt: 1 }]);
  const place: Place = { place_ms: 0, wait_until: '', throttles: 2, reindexes: 0 };
  const late = setUp({ place, returned: 'RekognitionThrottled', answer: async () => NOW - 5 });
  await late.run();
  expect(late.recording.lines).toEqual([{ ...line, delay_ms: 0, attempt: 4 }]);
  expect(late.recording.recorded).toEqual([{ name: metricNames.lineDelay, value: 0, dimensions: {} }]);
});

test('what a photo was caught with before its first place is no way back', async () => {
  const { place, asked } = await join({ returned: 'RekognitionThrottled' });
  expect(place).toMatchObject({ throttles: 0 });
  expect(asked).toMatchObject({ returning: false, throttles: 0 });
});

test('a way back without a reason is one', async () => {
  const place: Place = { place_ms: 0, wait_until: '', throttles: 1, reindexes: 1, round: 6 };
  const back = await join({ place });
  expect(back.place).toMatchObject({ throttles: 1, reindexes: 1, returns: 1, round: 7 });
});

test('a photo gives way to others twenty times', async () => {
  const place = (returns: number): Place => ({
    place_ms: 0,
    wait_until: '',
    throttles: 0,
    reindexes: 0,
    returns,
  });
  const by = async (returns: number) =>
    (await join({ place: place(returns), returned: 'SlotExpired' })).fairly;
  expect([(await by(19)).length, (await by(20)).length]).toEqual([1, 0]);
});

test('never waits past the place: the second is cut off, not rounded', async () => {
  const { place } = await join({ answer: async () => Date.parse('2026-05-01T10:00:59.999Z') });
  expect(place.wait_until).toBe('2026-05-01T10:00:59Z');
});

test('the lane reaches the ledger', async () => {
  expect((await join({ lane: 'backfill' })).asked.lane).toBe('backfill');
});

test('counts throttles and lost responses, and nothing else', async () => {
  const throttled = await path('RekognitionThrottled', 'RekognitionThrottled');
  expect(throttled.place).toMatchObject({ throttles: 2, reindexes: 0 });
  expect(throttled.asked).toEqual({ lane: 'live', returning: true, throttles: 2 });

  const expired = await path('RekognitionThrottled', 'SlotExpired');
  expect(expired.place).toMatchObject({ throttles: 1, reindexes: 0 });
  expect(expired.asked).toEqual({ lane: 'live', returning: false, throttles: 0 });

  const lost = await path('RekognitionThrottled', 'ResultNotFound', 'CollectionNotFound');
  expect(lost.place).toMatchObject({ throttles: 1, reindexes: 1 });
  expect(lost.asked).toEqual({ lane: 'live', returning: true, throttles: 0 });
});

test('a Retry of the state counts the same error once', async () => {
  const { place } = await join();
  const again = { place, returned: 'RekognitionThrottled' };
  expect((await join(again)).place.throttles).toBe(1);
  expect((await join(again)).place.throttles).toBe(1);
});

test("a photo whose photographer's images are used up takes no place in line; one that is known needs none", async () => {
  const full = async () => {
    throw new PipelineError('PhotographerCapReached', 'used up');
  };
  const held = setUp({ check: full });
  await expect(held.run()).rejects.toMatchObject({ name: 'PhotographerCapReached' });
  expect(held.checked).toEqual([EVENT]);
  expect(held.asked).toEqual([]);

  const place: Place = { place_ms: 0, wait_until: '', throttles: 0, reindexes: 0 };
  const back = setUp({ check: full, place, returned: 'SlotExpired' });
  await expect(back.run()).rejects.toMatchObject({ name: 'PhotographerCapReached' });

  const known = setUp({
    check: full,
    resultHead: () => ({ Metadata: { 'face-count': '4', 'unindexed-count': '1' } }),
  });
  await expect(known.run()).resolves.toMatchObject({ place_ms: NOW });
  expect(known.checked).toEqual([]);

  const free = setUp({ check: async () => undefined });
  await expect(free.run()).resolves.toMatchObject({ place_ms: NOW + 1_640 });
  expect(free.checked).toEqual([EVENT]);
});

test('gives up a photo that was throttled or lost too often', async () => {
  const place: Place = { place_ms: 0, wait_until: '', throttles: 30, reindexes: 2 };
  await expect(join({ place, returned: 'RekognitionThrottled' })).rejects.toMatchObject({
    name: 'ThrottledTooOften',
    message: expect.stringContaining('why'),
  });
  await expect(join({ place, returned: 'ResultNotFound' })).rejects.toMatchObject({
    name: 'ResultLostTooOften',
  });
  await expect(join({ place, returned: 'SlotExpired' })).resolves.toBeDefined();
});

test('what the ledger refuses with passes through', async () => {
  const answer = () => Promise.reject(new PipelineError('IndexingPaused', 'by an operator'));
  await expect(join({ answer })).rejects.toMatchObject({ name: 'IndexingPaused' });
});

describe('a photo whose response is stored', () => {
  const resultHead = () => ({ Metadata: { 'face-count': '4', 'unindexed-count': '1' } });
  const dueNow = { place_ms: NOW, wait_until: '2026-05-01T10:00:00Z', throttles: 0, reindexes: 0 };

  test('is due at once and takes no place in line, whatever holds the line', async () => {
    const answer = () => Promise.reject(new PipelineError('IndexingPaused', 'by an operator'));
    for (const lane of ['live', 'backfill'] as const) {
      const { run, s3, asked, recording } = setUp({ resultHead, answer, lane });
      await expect(run()).resolves.toEqual(dueNow);
      expect(asked).toEqual([]);
      expect(s3.calls).toEqual([
        ['HeadObject', { Bucket: 'results', Key: `results/${EVENT}/${PHOTO}/etag1.json` }],
      ]);
      expect(recording.lines).toMatchObject([{ event: logEvents.lineNotNeeded }]);
      // It waits for nothing, and would hide how long others wait.
      expect(recording.recorded).toEqual([]);
    }
  });

  test('is looked for by its version', async () => {
    const { s3 } = await join({ object: { 'version-id': 'v.1' } });
    expect(s3.calls).toMatchObject([['HeadObject', { Key: `results/${EVENT}/${PHOTO}/v.1.json` }]]);
  });

  test.each(['RekognitionThrottled', 'SlotExpired', 'ResultNotFound', 'CollectionNotFound'])(
    'takes a place all the same when it comes back with %s',
    async (returned) => {
      const { s3, asked } = await join({ place: dueNow, returned, resultHead });
      expect(s3.calls).toEqual([]);
      expect(asked).toBeDefined();
    },
  );

  test('without its counts is not known', async () => {
    const { asked } = await join({ resultHead: () => ({ Metadata: { 'face-count': '4' } }) });
    expect(asked).toBeDefined();
  });

  test.each([
    ['ServiceUnavailable', 503],
    ['SlowDown', 503],
    ['TimeoutError', 0],
  ])('only loses its privilege while S3 says %s', async (thrown, status) => {
    const { run, asked, recording } = setUp({
      resultHead: () => {
        throw awsError(thrown, status);
      },
    });
    await expect(run()).resolves.toMatchObject({ place_ms: NOW + 1_640 });
    expect(asked).toHaveLength(1);
    expect(recording.lines[0]).toMatchObject({ level: 'warn', event: logEvents.lineNeedUnknown });
  });

  test('that may not be looked for is a broken set-up', async () => {
    const { run, asked } = setUp({
      resultHead: () => {
        throw awsError('Forbidden', 403);
      },
    });
    await expect(run()).rejects.toMatchObject({ name: 'AccessDenied' });
    expect(asked).toEqual([]);
  });
});

test('gives up a photo that came back 200 times, whatever for: its history has an end', async () => {
  const place: Place = { place_ms: 0, wait_until: '', throttles: 0, reindexes: 0, returns: 198 };
  const later = await join({ place, returned: 'SlotExpired' });
  expect(later.place.returns).toBe(199);
  const last = await join({ place: later.place, returned: 'CollectionNotFound' });
  expect(last.place.returns).toBe(200);
  await expect(join({ place: last.place, returned: 'SlotExpired' })).rejects.toMatchObject({
    name: 'ThrottledTooOften',
    message: expect.stringContaining('201 times'),
  });
});

describe('by turns', () => {
  const place: Place = { place_ms: 0, wait_until: '', throttles: 0, reindexes: 0, round: 6.25 };

  test('a live photo stands in line by its event, and keeps its turn when its slot expired', async () => {
    const { fairly, place: given } = await join();
    expect(fairly).toEqual([{ key: EVENT, round: undefined }]);
    expect(given.round).toBe(7);
    const again = await join({ place, returned: 'SlotExpired' });
    expect(again.fairly).toEqual([{ key: EVENT, round: 6.25 }]);
  });

  test.each(['RekognitionThrottled', 'CollectionNotFound', 'ResultNotFound'])(
    'one that had its turn and comes back with %s takes none',
    async (returned) => {
      const { fairly, place: given } = await join({ place, returned });
      expect(fairly).toEqual([]);
      expect(given).not.toHaveProperty('round');
    },
  );

  test('nobody gives way for ever: it stands in line as if alone, long before it has come back too often', async () => {
    let current = await join();
    let ways = 0;
    // As many returns as the state machine allows.
    for (let returns = 1; returns <= 200; returns++) {
      ways += current.fairly.length;
      current = await join({ place: current.place, returned: 'SlotExpired' });
    }
    expect(ways).toBeGreaterThan(10);
    expect(ways).toBeLessThan(30);
    expect(current.place).not.toHaveProperty('round');
  });

  test('backfill is first come, first served', async () => {
    const { fairly, place: given } = await join({ lane: 'backfill' });
    expect(fairly).toEqual([]);
    expect(given).not.toHaveProperty('round');
  });
});
