import type { MarkFailedOutcome } from '../../lambdas/mark-failed/mark-failed.ts';
import { failureKinds, isFailureName } from '../../lambdas/shared/contract/errors.ts';
import {
  type Attempt,
  attemptsOf,
  expectSensibleRetries,
  functionStates,
  indexPhoto,
  photo,
  type Retrier,
  runIndexPhoto,
  SERVICE_ERRORS,
  wayTo,
} from '../support/workflow.ts';

const HAPPY_PATH = ['EnsureCollection', 'JoinLine', 'WaitInLine', 'IndexFaces', 'PersistResults'];

/** A bug in a function, an unknown name: never retried, never lost. */
const UNKNOWN_ERRORS = ['TypeError', 'Error', 'Function.ResponseSizeTooLarge', 'States.DataLimitExceeded'];

const retrier = (state: string, error: string): Retrier | undefined =>
  indexPhoto.States[state]?.Retry?.find(({ ErrorEquals }) => ErrorEquals.includes(error));

/** How long a retrier waits until it gives up. */
function expectedSeconds({ IntervalSeconds, BackoffRate, MaxDelaySeconds, MaxAttempts }: Retrier): number {
  let expected = 0;
  for (let attempt = 0; attempt < MaxAttempts; attempt++) {
    // Full jitter waits half of the delay on average.
    expected += Math.min(IntervalSeconds * BackoffRate ** attempt, MaxDelaySeconds!) / 2;
  }
  return expected;
}

const always = (error: string) => (): Attempt => ({ error });
const count = <T>(list: T[], item: T) => list.filter((other) => other === item).length;

describe('the way of a photo', () => {
  test('is five transitions when all goes well', async () => {
    const run = await runIndexPhoto();
    expect(run.path).toEqual(HAPPY_PATH);
    expect(run.output).toMatchObject({ outcome: { effect: 'stored' } });
  });

  test('a throttled or late call takes a new slot, whatever comes before and after', async () => {
    const run = await runIndexPhoto({
      IndexFaces: [
        { error: 'RekognitionThrottled' },
        { error: 'SlotExpired' },
        { error: 'RekognitionThrottled' },
      ],
    });
    expect(run.status).toBe('SUCCEEDED');
    expect(run.path).toEqual([
      'EnsureCollection',
      ...Array(4).fill(['JoinLine', 'WaitInLine', 'IndexFaces']).flat(),
      'PersistResults',
    ]);
    expect(
      run.requests.JoinLine?.map(({ input }) => (input as { returned?: { Error: string } }).returned?.Error),
    ).toEqual([undefined, 'RekognitionThrottled', 'SlotExpired', 'RekognitionThrottled']);
  });

  test('a collection that is gone is created again, with the photo as it was known', async () => {
    const run = await runIndexPhoto({ IndexFaces: [{ error: 'CollectionNotFound' }] });
    expect(run.status).toBe('SUCCEEDED');
    expect(run.path).toEqual([...HAPPY_PATH.slice(0, 4), ...HAPPY_PATH]);
    expect(run.requests.EnsureCollection?.[1]).toMatchObject({
      input: { photo, returned: { Error: 'CollectionNotFound' } },
    });
  });

  test('a stored response that is gone is made again', async () => {
    const run = await runIndexPhoto({ PersistResults: [{ error: 'ResultNotFound' }] });
    expect(run.status).toBe('SUCCEEDED');
    expect(run.path).toEqual([...HAPPY_PATH, ...HAPPY_PATH.slice(1)]);
  });

  test('a photo that a newer upload replaced ends well, and pays nothing', async () => {
    const run = await runIndexPhoto({ IndexFaces: [{ error: 'PhotoSuperseded' }] });
    expect(run.status).toBe('SUCCEEDED');
    expect(run.path).toEqual([...HAPPY_PATH.slice(0, 4), 'PhotoSuperseded']);
  });

  test('a key that does not parse ends as a failed execution, with no row to write', async () => {
    for (const name of ['InvalidPhotoKey', 'InvalidInput']) {
      const run = await runIndexPhoto({ EnsureCollection: [{ error: name }] });
      expect(run).toMatchObject({ status: 'FAILED', error: name, path: ['EnsureCollection', 'PhotoFailed'] });
    }
  });

  test('waits a moment for an erasure of its faces, then starts one, and waits for that', async () => {
    const run = await runIndexPhoto({
      PersistResults: (attempt) =>
        attempt < attemptsOf('PersistResults', 'FacesBeingErased')
          ? { error: 'FacesBeingErased' }
          : attempt < 50
            ? { error: 'FacesStillBeingErased' }
            : undefined,
    });
    expect(run.status).toBe('SUCCEEDED');
    expect(run.path).toEqual([...HAPPY_PATH, 'StartErasure', 'PersistResults']);
    expect(run.requests.StartErasure).toEqual([expect.objectContaining({ Input: { request: 'outbox' } })]);
    expect(run.requests.PersistResults?.at(-1)).toMatchObject({
      input: { returned: { Error: 'FacesBeingErased' } },
    });
  });

  test('a failed photo that left faces behind has them erased, and ends with its own error', async () => {
    for (const start of [
      [],
      Array(20).fill({ error: 'StepFunctions.ThrottlingException' }),
      [{ error: 'Other' }],
    ]) {
      const run = await runIndexPhoto({ ...wayTo.EraseLeftovers, EraseLeftovers: start as Attempt[] });
      expect(run).toMatchObject({ status: 'FAILED', error: 'ImageTooLarge' });
      expect(run.path.slice(-4)).toEqual(['MarkFailed', 'AnyFacesLeft', 'EraseLeftovers', 'PhotoFailed']);
      expect(run.requests.EraseLeftovers?.[0]).toMatchObject({ Input: { request: 'outbox' } });
    }
  });

  test('a photo that has another end ends as a success, which the rules of ends without success do not see', async () => {
    const settled: MarkFailedOutcome['effect'][] = ['indexed', 'superseded', 'deleted', 'erased'];
    for (const effect of settled) {
      for (const erasure_requested of [false, true]) {
        const run = await runIndexPhoto({
          IndexFaces: [{ error: 'InvalidS3Object' }],
          MarkFailed: [{ result: { photo_id: photo.photo_id, effect, erasure_requested } }],
        });
        expect(run).toMatchObject({ status: 'SUCCEEDED', output: { marked: { effect, erasure_requested } } });
        expect(run.path.slice(-3)).toEqual(['MarkFailed', 'AnyFacesLeft', 'PhotoSettled']);
      }
    }
    // What failed is a failed execution.
    for (const effect of ['written', 'known'] satisfies MarkFailedOutcome['effect'][]) {
      const run = await runIndexPhoto({
        IndexFaces: [{ error: 'InvalidS3Object' }],
        MarkFailed: [{ result: { photo_id: photo.photo_id, effect, erasure_requested: false } }],
      });
      expect(run).toMatchObject({ status: 'FAILED', error: 'InvalidS3Object' });
    }
  });

  test('a failure that cannot even be written ends with the error that came first', async () => {
    const run = await runIndexPhoto({
      IndexFaces: [{ error: 'ImageTooLarge' }],
      MarkFailed: always('DatabaseUnavailable'),
    });
    expect(run).toMatchObject({ status: 'FAILED', error: 'ImageTooLarge' });
    expect(run.path.slice(-2)).toEqual(['MarkFailed', 'PhotoFailed']);
  });
});

describe.each(functionStates)('%s', (state) => {
  const leavesBy: Record<string, Record<string, string>> = {
    EnsureCollection: { InvalidPhotoKey: 'PhotoFailed', InvalidInput: 'PhotoFailed' },
    IndexFaces: {
      RekognitionThrottled: 'JoinLine',
      SlotExpired: 'JoinLine',
      CollectionNotFound: 'EnsureCollection',
      PhotoSuperseded: 'PhotoSuperseded',
    },
    PersistResults: { ResultNotFound: 'JoinLine', FacesBeingErased: 'StartErasure' },
    MarkFailed: {},
  };
  const lastResort = state === 'MarkFailed' ? 'PhotoFailed' : 'MarkFailed';
  const names = [...Object.keys(failureKinds), ...SERVICE_ERRORS, ...UNKNOWN_ERRORS];

  test.each(names)('%s: as many tries as the definition says, then the right way out', async (error) => {
    const attempts = 1 + (retrier(state, error)?.MaxAttempts ?? 0);
    const next = leavesBy[state]?.[error] ?? lastResort;
    // The error lasts until the state is left; what comes after it succeeds.
    const failing: Attempt[] = Array.from({ length: attempts }, () => ({ error }));
    const run = await runIndexPhoto({
      ...wayTo[state],
      [state]: failing,
    });
    expect(run.path[run.path.indexOf(state) + 1]).toBe(next);
    // Coming back, the state is entered once more, with a success.
    expect(run.requests[state]).toHaveLength(attempts + count(run.path, state) - 1);
    if (next === 'MarkFailed') {
      expect(run.requests.MarkFailed?.[0]).toMatchObject({ input: { failure: { Error: error } } });
      expect(run).toMatchObject({ status: 'FAILED', error, path: expect.arrayContaining(['PhotoFailed']) });
    }
  });

  test('gives a photo up at once when the photo is at fault', () => {
    for (const [name, { class: failureClass }] of Object.entries(failureKinds)) {
      if (failureClass === 'photo') {
        expect(retrier(state, name)).toBeUndefined();
      }
    }
  });

  test('tries again what passes by itself, and only a few times what an engineer has to mend', () => {
    // This one has another way on: it starts what it waits for.
    const retriers = indexPhoto.States[state]?.Retry?.filter(
      ({ ErrorEquals }) => ErrorEquals[0] !== 'FacesBeingErased',
    );
    expectSensibleRetries({ ...(retriers && { Retry: retriers }) }, 12);
  });
});

describe('the definition', () => {
  const states = Object.values(indexPhoto.States);
  const custom = new Set(
    states
      .flatMap(({ Retry = [], Catch = [] }) => [...Retry, ...Catch].flatMap(({ ErrorEquals }) => ErrorEquals))
      .filter((name) => !/^(States|Lambda|Sandbox|Runtime|StepFunctions)\./.test(name)),
  );

  test('knows only names that the code throws', () => {
    expect([...custom].filter((name) => !isFailureName(name))).toEqual([]);
  });

  test('has a way for every name that the code throws, beyond giving up', () => {
    // These give the photo up wherever they come from, which is what States.ALL does.
    const givenUp = Object.entries(failureKinds).filter(([name]) => !custom.has(name));
    expect(givenUp.map(([name]) => name).sort()).toEqual([
      'CollectionLostTooOften',
      'ExecutionAborted',
      'ExecutionNotStarted',
      'ExecutionTimedOut',
      'FacesLost',
      'FacesStillListed',
      'ImageTooLarge',
      'InvalidImageFormat',
      'InvalidParameter',
      'InvalidS3Object',
      'PhotoIdTaken',
      'ResultLostTooOften',
      'StartFailed',
      'ThrottledTooOften',
      'TurnOver',
    ]);
  });

  test('has a timeout on every Task and on the whole', () => {
    expect(indexPhoto.TimeoutSeconds).toBeGreaterThan(0);
    for (const state of states.filter(({ Type }) => Type === 'Task')) {
      expect(state.TimeoutSeconds).toBeGreaterThan(0);
    }
  });

  test('cannot write more history than Step Functions keeps, however long one visit of a state retries', () => {
    // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: 25,000 events. A failed attempt of a
    // Lambda writes three: scheduled, started, failed.
    for (const { Retry = [] } of states) {
      const events = 3 * Retry.reduce((sum, { MaxAttempts }) => sum + MaxAttempts, 0);
      expect(events).toBeLessThan(24_000);
    }
  });

  test('rides out a database that is away for half an hour', () => {
    expect(expectedSeconds(retrier('PersistResults', 'DatabaseUnavailable')!)).toBeGreaterThan(30 * 60);
  });

  test('gives a new event hours to get its collection, and no other error as long', () => {
    const throttled = retrier('EnsureCollection', 'RekognitionThrottled')!;
    expect(throttled.ErrorEquals).toEqual(['RekognitionThrottled']);
    // 100,000 new events at 5 calls a second.
    expect(expectedSeconds(throttled)).toBeGreaterThan(100_000 / 5);
    const atWork = retrier('EnsureCollection', 'IdempotencyAlreadyInProgressError')!;
    expect(expectedSeconds(atWork)).toBeGreaterThan(20 * 60);
  });
});
