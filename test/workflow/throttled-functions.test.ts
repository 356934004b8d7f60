/**
 * A new account may run ten functions at once. A burst of photos in such an account, in virtual time: each state's function
 * takes its time, Lambda refuses what is too much, and the definition's own retriers decide what comes of it.
 */
import { EventQueue } from '../support/event-queue.ts';
import { lognormal, seededRandom } from '../support/random.ts';
import { type Definition, definitionOf, longestDelay, retrierOf } from '../support/retries.ts';

const REFUSED = 'Lambda.TooManyRequestsException';

/** The states of a photo that goes well, with the median of their function's time in milliseconds. */
const STATES = [
  ['EnsureCollection', 60],
  ['JoinLine', 40],
  ['IndexFaces', 700],
  ['PersistResults', 60],
] as const;

/** Of StartExecution: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const START_BURST = 1_300;
const STARTS_PER_SECOND = 300;

const Stage = { attempt: 0, end: 1 } as const;

function burst({ States }: Definition, { photos, concurrency }: { photos: number; concurrency: number }) {
  const random = seededRandom(7);
  const events = new EventQueue();
  const state = new Uint8Array(photos);
  const attempts = Array.from({ length: photos }, () => 0);
  const result = { indexed: 0, failed: 0, refused: 0, seconds: 0, mostAttempts: 0 };
  let running = 0;
  for (let photo = 0; photo < photos; photo++) {
    events.push((Math.max(0, photo - START_BURST) / STARTS_PER_SECOND) * 1_000, photo, Stage.attempt);
  }
  for (let event = events.pop(); event; event = events.pop()) {
    const { timeMs, subject: photo, stage } = event;
    const [name, medianMs] = STATES[state[photo]!]!;
    if (stage === Stage.end) {
      running--;
      attempts[photo] = 0;
      state[photo]!++;
      if (state[photo] === STATES.length) {
        result.indexed++;
        result.seconds = timeMs / 1_000;
      } else {
        events.push(timeMs, photo, Stage.attempt);
      }
    } else if (running < concurrency) {
      running++;
      events.push(timeMs + lognormal(random, medianMs), photo, Stage.end);
    } else {
      result.refused++;
      const retrier = retrierOf(States[name], REFUSED);
      if (!retrier || attempts[photo]! >= retrier.MaxAttempts) {
        result.failed++;
        continue;
      }
      const delayMs = random() * longestDelay(retrier, attempts[photo]!) * 1_000;
      attempts[photo]!++;
      result.mostAttempts = Math.max(result.mostAttempts, attempts[photo]!);
      events.push(timeMs + delayMs, photo, Stage.attempt);
    }
  }
  return result;
}

test('of 10,000 photos at once none fails where ten functions run at once', () => {
  const result = burst(definitionOf('index-photo'), { photos: 10_000, concurrency: 10 });
  expect(result).toMatchObject({ indexed: 10_000, failed: 0 });
  // Far from giving up.
  expect(result.mostAttempts).toBeLessThan(200);
  // The functions are busy: a photo takes 0.9 s of the ten.
  expect(result.seconds).toBeLessThan(2_400);
});

test('where 100 run at once hardly any is refused twice', () => {
  const result = burst(definitionOf('index-photo'), { photos: 3_000, concurrency: 100 });
  expect(result).toMatchObject({ indexed: 3_000, failed: 0 });
});

test('with the retriers that the console proposes for Lambda most are lost, so this can fail', () => {
  const definition = definitionOf('index-photo');
  for (const [name] of STATES) {
    Object.assign(retrierOf(definition.States[name], REFUSED)!, {
      IntervalSeconds: 1,
      BackoffRate: 2,
      MaxAttempts: 3,
    });
  }
  expect(burst(definition, { photos: 10_000, concurrency: 10 }).failed).toBeGreaterThan(5_000);
});
