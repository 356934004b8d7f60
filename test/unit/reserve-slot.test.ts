import { reserveSlot } from '../../lambdas/reserve-slot/reserve-slot.ts';
import type { ReserveSlotRequest, Slot } from '../../lambdas/shared/contract.ts';
import { PipelineError } from '../../lambdas/shared/errors.ts';
import { metricNames } from '../../lambdas/shared/names.ts';
import type { SlotLedger } from '../../lambdas/shared/slot-ledger-store.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';

const NOW = Date.parse('2026-05-01T10:00:00.250Z');

type Asked = Parameters<SlotLedger['reserve']>[0];

async function reserve(
  input: { slot?: Slot; returned?: string; lane?: 'live' | 'backfill' } = {},
  placeMs = NOW + 1_640,
) {
  const asked: Asked[] = [];
  const recording = recordingTelemetry();
  const request: ReserveSlotRequest = {
    input: {
      lane: input.lane ?? 'live',
      bucket: 'photos',
      object: { key: 'k', etag: 'e', sequencer: '0' },
      ...(input.slot && { slot: input.slot }),
      ...(input.returned && { returned: { Error: input.returned, Cause: 'why' } }),
    },
    execution_arn: 'arn',
    max_throttles: 30,
    max_reindexes: 2,
  };
  const slot = await reserveSlot(
    {
      ledger: {
        reserve: async (each) => {
          asked.push(each);
          return placeMs;
        },
      },
      telemetry: recording.telemetry,
      now: () => NOW,
    },
    request,
  );
  return { slot, asked: asked[0]!, delay: recording.total(metricNames.slotDelay) };
}

/** Follows a photo that comes back with these errors, one after the other. */
async function path(...errors: string[]): Promise<{ slot: Slot; asked: Asked }> {
  let current = await reserve();
  for (const returned of errors) {
    current = await reserve({ slot: current.slot, returned });
  }
  return current;
}

test('a photo’s first place: when its turn comes, and the second to wait for', async () => {
  const { slot, asked, delay } = await reserve();
  expect(slot).toEqual({
    slot_ms: NOW + 1_640,
    wait_until: '2026-05-01T10:00:01Z',
    throttles: 0,
    reindexes: 0,
  });
  expect(asked).toEqual({ lane: 'live', returning: false, throttles: 0 });
  expect(delay).toBe(1_640);
});

test('never waits past the place: the second is cut off, not rounded', async () => {
  const { slot } = await reserve({}, Date.parse('2026-05-01T10:00:59.999Z'));
  expect(slot.wait_until).toBe('2026-05-01T10:00:59Z');
});

test('the lane reaches the ledger', async () => {
  expect((await reserve({ lane: 'backfill' })).asked.lane).toBe('backfill');
});

test('counts throttles and lost responses, and nothing else', async () => {
  const throttled = await path('RekognitionThrottled', 'RekognitionThrottled');
  expect(throttled.slot).toMatchObject({ throttles: 2, reindexes: 0 });
  expect(throttled.asked).toEqual({ lane: 'live', returning: true, throttles: 2 });

  const expired = await path('RekognitionThrottled', 'SlotExpired');
  expect(expired.slot).toMatchObject({ throttles: 1, reindexes: 0 });
  expect(expired.asked).toEqual({ lane: 'live', returning: false, throttles: 0 });

  const lost = await path('RekognitionThrottled', 'ResultNotFound', 'CollectionNotFound');
  expect(lost.slot).toMatchObject({ throttles: 1, reindexes: 1 });
  expect(lost.asked).toEqual({ lane: 'live', returning: true, throttles: 0 });
});

test('a Retry of the state counts the same error once', async () => {
  const { slot } = await reserve();
  const again = { slot, returned: 'RekognitionThrottled' };
  expect((await reserve(again)).slot.throttles).toBe(1);
  expect((await reserve(again)).slot.throttles).toBe(1);
});

test('gives up a photo that was throttled or lost too often', async () => {
  const slot: Slot = { slot_ms: 0, wait_until: '', throttles: 30, reindexes: 2 };
  await expect(reserve({ slot, returned: 'RekognitionThrottled' })).rejects.toMatchObject({
    name: 'ThrottledTooOften',
    message: expect.stringContaining('why'),
  });
  await expect(reserve({ slot, returned: 'ResultNotFound' })).rejects.toMatchObject({
    name: 'ResultLostTooOften',
  });
  await expect(reserve({ slot, returned: 'SlotExpired' })).resolves.toBeDefined();
});

test('what the ledger refuses with passes through', async () => {
  await expect(
    reserveSlot(
      {
        ledger: { reserve: () => Promise.reject(new PipelineError('IndexingPaused', 'by an operator')) },
        telemetry: recordingTelemetry().telemetry,
        now: () => NOW,
      },
      {
        input: { lane: 'live', bucket: 'photos', object: { key: 'k', etag: 'e', sequencer: '0' } },
        execution_arn: 'arn',
        max_throttles: 30,
        max_reindexes: 2,
      },
    ),
  ).rejects.toMatchObject({ name: 'IndexingPaused' });
});

test('gives up a photo that came back 200 times, whatever for: its history has an end', async () => {
  const slot: Slot = { slot_ms: 0, wait_until: '', throttles: 0, reindexes: 0, returns: 198 };
  const later = await reserve({ slot, returned: 'SlotExpired' });
  expect(later.slot.returns).toBe(199);
  const last = await reserve({ slot: later.slot, returned: 'CollectionNotFound' });
  expect(last.slot.returns).toBe(200);
  await expect(reserve({ slot: last.slot, returned: 'SlotExpired' })).rejects.toMatchObject({
    name: 'ThrottledTooOften',
    message: expect.stringContaining('201 times'),
  });
});
