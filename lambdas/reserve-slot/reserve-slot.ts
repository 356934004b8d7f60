import type { ReserveSlotRequest, Slot } from '../shared/contract.ts';
import { PipelineError } from '../shared/errors.ts';
import { logEvents, metricNames } from '../shared/names.ts';
import type { SlotLedger } from '../shared/slot-ledger-store.ts';
import type { Telemetry } from '../shared/telemetry.ts';

/** Where the definition that the execution began with does not say. */
const MAX_RETURNS = 200;

export interface ReserveSlotDeps {
  ledger: Pick<SlotLedger, 'reserve'>;
  telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * Gives a photo its place in the line for IndexFaces, and counts how often it came back and why.
 *
 * The counts are those of the last place plus one for the error that led here; a Retry of this state computes the same
 * again. A slot that expired counts as nothing: the line was longer than thought.
 *
 * @throws PipelineError `ThrottledTooOften`, `ResultLostTooOften` and the errors of `SlotLedger.reserve`
 */
export async function reserveSlot(deps: ReserveSlotDeps, request: ReserveSlotRequest): Promise<Slot> {
  const { input, max_throttles, max_reindexes, max_returns = MAX_RETURNS } = request;
  // Every way back into this state overwrites `returned`, so what it holds is why this place is needed.
  const returned = input.slot ? input.returned?.Error : undefined;
  const throttled = returned === 'RekognitionThrottled';
  const throttles = (input.slot?.throttles ?? 0) + (throttled ? 1 : 0);
  const reindexes = (input.slot?.reindexes ?? 0) + (returned === 'ResultNotFound' ? 1 : 0);
  if (throttles > max_throttles) {
    throw new PipelineError(
      'ThrottledTooOften',
      `Rekognition throttled this photo ${throttles} times: ${input.returned?.Cause ?? ''}`,
    );
  }
  // Each way back writes a dozen events into a history that holds 25,000.
  const returns = input.slot ? (input.slot.returns ?? 0) + 1 : 0;
  if (returns > max_returns) {
    throw new PipelineError('ThrottledTooOften', `Came back ${returns} times, at last for ${returned}`);
  }
  if (reindexes > max_reindexes) {
    throw new PipelineError('ResultLostTooOften', `The stored response was lost ${reindexes} times`);
  }

  const placeMs = await deps.ledger.reserve({
    lane: input.lane,
    returning: returned !== undefined && returned !== 'SlotExpired',
    throttles: throttled ? throttles : 0,
  });
  const delayMs = Math.max(0, placeMs - deps.now());
  deps.telemetry.metrics.addMetric(metricNames.slotDelay, 'Milliseconds', delayMs);
  deps.telemetry.logger.info('Took a place in line', {
    event: logEvents.slotReserved,
    delay_ms: Math.round(delayMs),
    attempt: throttles + 1,
  });
  return {
    slot_ms: placeMs,
    wait_until: wholeSecond(placeMs),
    throttles,
    reindexes,
    ...(returns > 0 && { returns }),
  };
}

/** The second that a moment lies in: a Wait state knows no less, and must not wait past the moment. */
function wholeSecond(ms: number): string {
  return new Date(Math.floor(ms / 1_000) * 1_000).toISOString().replace('.000Z', 'Z');
}
