import { compilePattern, type InputTransformer, transformInput } from '../../local/event-router.ts';
import { synthesised } from '../support/synthesised.ts';
import type { Statement } from '../support/template.ts';

const readable = synthesised();
const rules = readable.resources('AWS::Events::Rule');

/** A rule with the resources that it names as text: what it hears of, and what it makes of it. */
function rule(name: string) {
  const properties = rules[`ErasureRules/${name}`]!.Properties;
  const [target] = properties.Targets as [
    { Arn: unknown; InputTransformer?: InputTransformer; Input?: string } & Record<string, unknown>,
  ];
  const hears = (event: object) =>
    compilePattern(
      JSON.parse(JSON.stringify(properties.EventPattern), (_, value) =>
        typeof value === 'object' && value !== null && ('Ref' in value || 'Fn::GetAtt' in value)
          ? readable.text(value)
          : value,
      ),
    )(event);
  const input = (event: object) =>
    target.InputTransformer
      ? transformInput(target.InputTransformer, event as never, name)
      : JSON.parse(target.Input!);
  return { properties, target, hears, input };
}

const deleted = (key: string, rest: object = {}) => ({
  source: 'aws.s3',
  'detail-type': 'Object Deleted',
  time: '2026-05-01T10:00:00Z',
  detail: {
    bucket: { name: '{PhotoBucket}' },
    object: { key, sequencer: '0A', etag: 'e1' },
    reason: 'DeleteObject',
    'deletion-type': 'Permanently Deleted',
    ...rest,
  },
});

describe('the deletion of a photo', () => {
  const { hears, input } = rule('Deletions');

  test('starts an erasure, whatever way it was deleted', () => {
    expect(hears(deleted('events/e/a.jpg'))).toBe(true);
    expect(hears(deleted('events/e/a.jpg', { 'deletion-type': 'Delete Marker Created' }))).toBe(true);
    expect(hears(deleted('events/e/a.jpg', { reason: 'Lifecycle Expiration' }))).toBe(true);
    expect(hears(deleted('events/e/'))).toBe(false);
    expect(hears(deleted('events/e/a.jpg', { bucket: { name: '{ResultsBucket}' } }))).toBe(false);
    expect(hears({ ...deleted('events/e/a.jpg'), 'detail-type': 'Object Created' })).toBe(false);
  });

  test('is told with its key, its place in the order of events, and its kind', () => {
    expect(input(deleted('events/e/a "b".jpg'))).toEqual({
      request: 'photo_deleted',
      object: { key: 'events/e/a "b".jpg', sequencer: '0A', etag: 'e1' },
      deletion_type: 'Permanently Deleted',
    });
  });
});

describe('an indexed photo', () => {
  const { hears, input } = rule('Leftovers');
  const ended = (output: object | null, status = 'SUCCEEDED') => ({
    source: 'aws.states',
    'detail-type': 'Step Functions Execution Status Change',
    detail: {
      stateMachineArn: '{PhotoIndexing/StateMachine}',
      status,
      output: output && JSON.stringify(output),
    },
  });

  test('starts an erasure only if it left something behind', () => {
    expect(hears(ended({ outcome: { effect: 'stored', erasure_requested: true } }))).toBe(true);
    expect(hears(ended({ outcome: { effect: 'stored', erasure_requested: false } }))).toBe(false);
    expect(hears(ended({ outcome: { effect: 'stored', erasure_requested: true } }, 'FAILED'))).toBe(false);
    expect(hears(ended(null))).toBe(false);
    expect(input(ended({}))).toEqual({ request: 'outbox' });
  });
});

test('once a day, events that are over are erased, with the time of that day', () => {
  const { properties, input } = rule('Daily');
  expect(properties.ScheduleExpression).toMatch(/^cron\(\d+ \d+ \* \* \? \*\)$/);
  expect(input({ time: '2026-05-01T03:30:00Z' })).toEqual({
    request: 'retention',
    as_of: '2026-05-01T03:30:00Z',
  });
});

test('what starts no erasure within a day is kept for two weeks', () => {
  for (const name of ['Deletions', 'Leftovers', 'Daily']) {
    const { target } = rule(name);
    expect(readable.text(target.Arn)).toBe('{Erasure/StateMachine}');
    expect(target.RetryPolicy).toEqual({ MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 });
    expect(readable.text((target.DeadLetterConfig as { Arn: unknown }).Arn)).toBe(
      '{ErasureRules/DeadLetters.Arn}',
    );
  }
  expect(readable.resources('AWS::SQS::Queue')['ErasureRules/DeadLetters']!.Properties).toMatchObject({
    MessageRetentionPeriod: 14 * 24 * 3600,
    SqsManagedSseEnabled: true,
  });
});

test('only the stored responses can be listed by what deletes them', () => {
  const policies = readable.resources('AWS::IAM::Policy');
  const { Statement: statements } = policies['Erasure/RemoveFacesRole/DefaultPolicy']!.Properties
    .PolicyDocument as { Statement: Statement[] };
  expect(statements).toContainEqual(
    expect.objectContaining({
      Action: 's3:ListBucket',
      Condition: { StringLike: { 's3:prefix': 'results/*' } },
    }),
  );
});
