import { type InputTransformer, transformInput } from '../../local/event-router.ts';
import { parseSchedule } from '../../local/schedules.ts';
import { configurations } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';

const readable = synthesised();
const tryOut = synthesised(configurations.tryOut);

describe.each([
  ['Hourly', 'changed', 24],
  ['Daily', 'all', 1],
] as const)('the %s rule', (name, scope, timesADay) => {
  const rule = readable.resources('AWS::Events::Rule')[`Reconciliation/${name}`]!.Properties;
  const [target] = rule.Targets as [Record<string, unknown>];

  test(`is due ${timesADay} times a day`, () => {
    const schedule = parseSchedule(rule.ScheduleExpression as string);
    const midnight = Date.parse('2026-05-01T00:00:00Z') - 1;
    let times = 0;
    for (let at = schedule.next(midnight); at < midnight + 86_400_000; at = schedule.next(at)) {
      times++;
    }
    expect(times).toBe(timesADay);
    expect(rule.State).toBe('ENABLED');
  });

  test('starts the machine with its scope, and the time that it was due as the clock', () => {
    expect(readable.text(target.Arn)).toBe('{Reconciliation/StateMachine}');
    const event = { time: '2026-05-01T03:33:00Z' } as never;
    expect(transformInput(target.InputTransformer as InputTransformer, event, name)).toEqual({
      scope,
      as_of: '2026-05-01T03:33:00Z',
    });
  });

  test('is not made up for once the next one is due', () => {
    expect(target.RetryPolicy).toEqual({ MaximumEventAgeInSeconds: 3_600, MaximumRetryAttempts: 10 });
  });
});

test('what a run has read is gone after a day, and its memory is not', () => {
  const { LifecycleConfiguration: lifecycle } = readable.resources('AWS::S3::Bucket').ResultsBucket!
    .Properties as {
    LifecycleConfiguration: { Rules: { Prefix?: string; ExpirationInDays?: number }[] };
  };
  expect(lifecycle.Rules).toContainEqual(
    expect.objectContaining({ Prefix: 'reconciliations/runs/', ExpirationInDays: 1 }),
  );
});

test('takes its limits from the configuration', () => {
  const configured = synthesised(configurations.reconciliation);
  const variables = (name: string) =>
    (
      configured.resources('AWS::Lambda::Function')[`Reconciliation/${name}`]!.Properties.Environment as {
        Variables: Record<string, unknown>;
      }
    ).Variables;
  expect(variables('BeginReconciliation')).toMatchObject({ RECONCILE_MAX_IMAGES: '0' });
  expect(variables('SurveyEvents')).toMatchObject({ ABANDONED_COLLECTION_DAYS: '30' });
});

test('only a try-out has its collections deleted with it, and after whatever makes them', () => {
  expect(readable.resources('Custom::RollcallCollections')).toEqual({});
  const [path] = Object.keys(tryOut.resources('Custom::RollcallCollections'));
  const removal = tryOut.only('Custom::RollcallCollections');
  expect(tryOut.text(removal.Properties.ServiceToken)).toBe('{CollectionsRemoval/DeleteCollections.Arn}');
  const machine = tryOut.resources('AWS::StepFunctions::StateMachine')['PhotoIndexing/StateMachine']!;
  expect([machine.DependsOn ?? []].flat().map((id) => tryOut.path(id))).toContain(path);
});
