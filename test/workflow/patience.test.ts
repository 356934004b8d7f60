/** How long each state rides out what passes by itself, and that all of it fits into an execution's history. */
import { LONGEST_WAIT_SECONDS } from '../../lambdas/list-erasures/list-erasures.ts';
import {
  type AnyState,
  type Definition,
  definitionOf,
  functionTasks,
  machines,
  patience,
  retrierOf,
} from '../support/retries.ts';
import { LAMBDA_WAITS } from '../support/workflow.ts';

const HOUR = 3_600;
const DAY = 24 * HOUR;

describe.each(machines)('%s', (machine) => {
  test.each(functionTasks(definitionOf(machine).States))(
    '%s waits for hours for a function that Lambda does not start yet',
    (_, state) => {
      for (const error of LAMBDA_WAITS) {
        const seconds = patience(retrierOf(state, error));
        expect([error, seconds > 4 * HOUR]).toEqual([error, true]);
      }
    },
  );
});

const indexPhoto = definitionOf('index-photo');
const eraseFaces = definitionOf('erase-faces');
test.each([
  [indexPhoto, 'JoinLine', 'IndexingPaused', 6 * DAY, 1_000],
  [indexPhoto, 'JoinLine', 'DailyImageCapReached', 14 * DAY, 1_000],
  [indexPhoto, 'JoinLine', 'PhotographerCapReached', 14 * DAY, 1_000],
  [indexPhoto, 'JoinLine', 'BackfillWaits', 2 * DAY, 1_500],
  [indexPhoto, 'JoinLine', 'LedgerBusy', HOUR, 125],
  [indexPhoto, 'PersistResults', 'DatabaseUnavailable', HOUR / 2, 100],
  [indexPhoto, 'MarkFailed', 'DatabaseUnavailable', HOUR / 2, 100],
  [eraseFaces, 'RequestErasure', 'DatabaseUnavailable', 1.9 * DAY, 300],
  [eraseFaces, 'ListErasures', 'DatabaseUnavailable', 1.9 * DAY, 300],
  [eraseFaces, 'ConfirmErasure', 'DatabaseUnavailable', 1.9 * DAY, 300],
])('%#: %s', (definition, state, error, seconds, attempts) => {
  const retrier = retrierOf(definition.States[state], error);
  expect([state, error, patience(retrier)]).toEqual([state, error, expect.any(Number)]);
  expect(patience(retrier)).toBeGreaterThanOrEqual(0.97 * seconds);
  // Each is a transition, $0.000025.
  expect(retrier!.MaxAttempts).toBeLessThanOrEqual(attempts);
});

test('a pause is over for a photo soon after it is over: what it waits grows with what it has waited', () => {
  const retrier = retrierOf(indexPhoto.States.JoinLine, 'IndexingPaused')!;
  let waited = 0;
  for (let attempt = 0; attempt < retrier.MaxAttempts; attempt++) {
    const longest = Math.min(
      retrier.IntervalSeconds * retrier.BackoffRate ** attempt,
      retrier.MaxDelaySeconds!,
    );
    expect(longest).toBeLessThanOrEqual(retrier.IntervalSeconds + waited);
    expect(longest).toBeLessThanOrEqual(HOUR / 2);
    waited += longest / 2;
  }
});

/**
 * Events of one visit of a state that goes well, and of each failed attempt in it.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html: a Task is entered and exited once,
 * and each attempt at its function is scheduled, started and ended (of `.sync` submitted too).
 */
const ATTEMPT = 3;
const visitEvents = ({ Type, Resource = '' }: AnyState): number =>
  ({ Task: 2 + ATTEMPT + (Resource.includes('.sync') ? 1 : 0), Fail: 1 })[Type] ?? 2;

/** Failed attempts in each visit of a state beyond the one in which every retrier is used up. */
const FAILED_EACH = 5;

/**
 * The most events of an execution: it begins, ends, visits each state so often, uses up every retrier of every state once
 * (which alone takes longer than an execution lives), and fails some times in each further visit.
 */
function history(states: Definition['States'], visits: (state: string) => number): number {
  return Object.entries(states).reduce((sum, [name, state]) => {
    const times = visits(name);
    const attempts = (state.Retry ?? []).reduce((all, { MaxAttempts }) => all + MaxAttempts, 0);
    const further = state.Retry ? FAILED_EACH * (times - 1) : 0;
    const perAttempt = ATTEMPT + (state.Resource?.includes('.sync') ? 1 : 0);
    return sum + times * visitEvents(state) + perAttempt * (attempts + Math.max(0, further));
  }, 2);
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const HISTORY_LIMIT = 25_000;

describe('the history of an execution has room for all of it', () => {
  test('a photo that is held, waits, meets every trouble and comes back as often as it may', () => {
    const reserve = indexPhoto.States.JoinLine!.Parameters as Record<string, number>;
    const recreations = indexPhoto.States.EnsureCollection!.Parameters!.max_recreations as number;
    const visits: Record<string, number> = {
      EnsureCollection: 1 + recreations,
      JoinLine: 1 + reserve.max_returns!,
      WaitInLine: 1 + reserve.max_returns!,
      IndexFaces: 1 + reserve.max_returns!,
      // Once more after it started an erasure.
      PersistResults: 2 + reserve.max_reindexes!,
    };
    const events = history(indexPhoto.States, (state) => visits[state] ?? 1);
    expect(events).toBeLessThan(HISTORY_LIMIT);
  });

  test('an erasure that works off all it may and waits for its turn as long as it lives', () => {
    const batches = eraseFaces.States.ListErasures!.Parameters!.max_batches as number;
    const waits =
      Math.ceil(eraseFaces.TimeoutSeconds / LONGEST_WAIT_SECONDS) + Math.log2(LONGEST_WAIT_SECONDS);
    // Trouble comes to an execution and not to each of its steps: here every retrier is used up once.
    const visits: Record<string, number> = { RequestErasure: 1, Erased: 1, WaitForTurn: waits };
    const events = Object.entries(eraseFaces.States).reduce((sum, [name, state]) => {
      const looks = /^(ListErasures|NextStep)$/.test(name) ? waits + batches + 1 : batches;
      const attempts = (state.Retry ?? []).reduce((all, { MaxAttempts }) => all + MaxAttempts, 0);
      return sum + (visits[name] ?? looks) * visitEvents(state) + ATTEMPT * attempts;
    }, 2);
    expect(events).toBeLessThan(HISTORY_LIMIT);
  });

  test('a batch of a backfill, whose photos are started in its own history', () => {
    const map = definitionOf('backfill').States.Backfill as AnyState & {
      ItemBatcher: { MaxItemsPerBatch: number };
    };
    const photos = map.ItemBatcher.MaxItemsPerBatch;
    const batch = map.ItemProcessor!.States;
    const photo = history(batch.IndexPhotos!.ItemProcessor!.States, () => 1);
    expect(history(batch, () => 1) + photos * photo).toBeLessThan(HISTORY_LIMIT);
  });
});
