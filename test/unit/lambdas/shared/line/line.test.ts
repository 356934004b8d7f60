/** Who stands in line: the two states before it, with the line's own rules, in virtual time. */
import type { RekognitionClient } from '@aws-sdk/client-rekognition';
import type { S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { ensureCollection } from '../../../../../lambdas/ensure-collection/ensure-collection.ts';
import { joinLine } from '../../../../../lambdas/join-line/join-line.ts';
import { failureKind, PipelineError } from '../../../../../lambdas/shared/contract/errors.ts';
import type { ExecutionInput, Lane } from '../../../../../lambdas/shared/contract/payloads.ts';
import { joinEvent } from '../../../../../lambdas/shared/line/fairness.ts';
import { apply, type LedgerState, nextPlace } from '../../../../../lambdas/shared/line/rules.ts';
import type { EventTurns } from '../../../../../lambdas/shared/line/turns.ts';
import { awsError, fakeClient } from '../../../../support/fake-client.ts';
import { recordingTelemetry } from '../../../../support/recording-telemetry.ts';

const NOON = Date.UTC(2026, 4, 1, 12);
const EVENT = '0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77';
const config = { perSecond: 5 };

const kinds = ['empty', 'too large', 'film', 'known', 'known, backfill'] as const;
type Kind = (typeof kinds)[number] | 'new';

/** The two states before the line, and the line. */
function startLine() {
  let ledger: LedgerState = {};
  let event: EventTurns = {};
  let nowMs = NOON;
  /** @returns where the line ended before */
  const extend = (lane: Lane, round?: number): number => {
    const decision = nextPlace(ledger, config, { nowMs, lane, round });
    if ('refused' in decision) {
      throw new PipelineError(decision.refused, decision.because);
    }
    ledger = apply(ledger, decision.change);
    return ledger[decision.chain]! - decision.intervalMs;
  };
  const { telemetry } = recordingTelemetry();
  const rekognition = fakeClient<RekognitionClient>({
    CreateCollection: () => ({ FaceModelVersion: '7.0' }),
  });
  const s3 = fakeClient<S3Client>({
    HeadObject: ({ Key }) => {
      if (String(Key).endsWith('/known.json')) {
        return { Metadata: { 'face-count': '1', 'unindexed-count': '0' } };
      }
      throw awsError('NotFound', 404);
    },
  });

  /** @returns milliseconds until the upload's turn, or undefined where it has ended before the line */
  async function upload(kind: Kind, index: number): Promise<number | undefined> {
    const lane: Lane = kind === 'known, backfill' ? 'backfill' : 'live';
    const input: ExecutionInput = {
      lane,
      bucket: 'photos',
      object: {
        key: `events/${EVENT}/${index}.${kind === 'film' ? 'mp4' : 'jpg'}`,
        size: kind === 'empty' ? 0 : kind === 'too large' ? 20_000_000 : 1_000,
        etag: kind.startsWith('known') ? 'known' : 'new',
        sequencer: '1',
      },
    };
    try {
      const photo = await ensureCollection(
        {
          rekognition: rekognition.client,
          telemetry,
          collectionPrefix: 'rollcall-',
          once: (_, create) => create(),
        },
        { input, execution_arn: 'arn', max_recreations: 3 },
      );
      const { place_ms } = await joinLine(
        {
          s3: s3.client,
          resultsBucket: 'results',
          telemetry,
          now: () => nowMs,
          ledger: {
            joinLine: async () => extend(lane),
            joinByTurns: async () => {
              const { round, change, place } = joinEvent(event, ledger, config, nowMs);
              event = apply(event, change);
              // One event alone is first come, first served.
              expect(place).toEqual({ at: 'end of line' });
              return { placeMs: extend(lane, round), round };
            },
          },
        },
        { input: { ...input, photo }, execution_arn: 'arn', max_throttles: 30, max_reindexes: 2 },
      );
      return place_ms - nowMs;
    } catch (error) {
      if (error instanceof PipelineError && failureKind(error.name).class === 'photo') {
        return undefined;
      }
      throw error;
    }
  }
  return { upload, sleep: (ms: number) => (nowMs += ms) };
}

test('new photos stand in line, one interval apart', async () => {
  const { upload } = startLine();
  for (let index = 0; index < 10; index++) {
    expect(await upload('new', index)).toBeCloseTo(index * 200, -1);
  }
});

test.each(kinds)('2,000 uploads (%s) do not move the next photo’s place', async (kind) => {
  const { upload } = startLine();
  for (let index = 0; index < 2_000; index++) {
    // Neither does what waits for nothing itself wait.
    expect(await upload(kind, index)).toBe(kind.startsWith('known') ? 0 : undefined);
  }
  expect(await upload('new', 2_000)).toBe(0);
});

test('whatever comes between, new photos have the places that they would have had alone', async () => {
  const arrivals = fc.array(
    fc.record({ kind: fc.constantFrom<Kind>('new', ...kinds), afterMs: fc.nat(400) }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(arrivals, async (steps) => {
      const [together, alone] = [startLine(), startLine()];
      for (const [index, { kind, afterMs }] of steps.entries()) {
        together.sleep(afterMs);
        alone.sleep(afterMs);
        const wait = await together.upload(kind, index);
        if (kind === 'new') {
          expect(wait).toBe(await alone.upload('new', index));
        }
      }
    }),
    { numRuns: 200 },
  );
});
