import { synthesised } from '../support/synthesised.ts';
import type { Statement } from '../support/template.ts';

const readable = synthesised();
const queues = readable.resources('AWS::SQS::Queue');
const queue = queues['LastResort/Queue']!.Properties;

test('hears of every execution of the machine that ended without success', () => {
  const rule = readable.resources('AWS::Events::Rule')['LastResort/Rule']!.Properties;
  const pattern = rule.EventPattern as { detail: { stateMachineArn: unknown[] } };
  expect(pattern).toMatchObject({
    source: ['aws.states'],
    'detail-type': ['Step Functions Execution Status Change'],
    detail: { status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
  });
  expect(pattern.detail.stateMachineArn.map((arn) => readable.text(arn))).toEqual([
    '{PhotoIndexing/StateMachine}',
  ]);
  const [target] = rule.Targets as [{ Arn: unknown; DeadLetterConfig: { Arn: unknown } }];
  expect(readable.text(target.Arn)).toBe('{LastResort/Queue.Arn}');
  expect(readable.text(target.DeadLetterConfig.Arn)).toBe('{LastResort/DeadLetters.Arn}');
});

test('both queues keep what they get for two weeks, encrypted, over TLS only', () => {
  for (const [name, rules] of [
    // Ends of executions, and uploads that started none.
    ['LastResort/Queue', ['LastResort/Rule', 'UploadRule/Rule']],
    ['LastResort/DeadLetters', ['LastResort/Rule']],
  ] as const) {
    expect(queues[name]?.Properties).toMatchObject({
      MessageRetentionPeriod: 14 * 24 * 3600,
      SqsManagedSseEnabled: true,
    });
    const policy = readable.resources('AWS::SQS::QueuePolicy')[`${name}/Policy`]!.Properties;
    const { Statement: statements } = policy.PolicyDocument as { Statement: Statement[] };
    expect(statements).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
    const allowed = statements.filter(({ Effect }) => Effect === 'Allow');
    expect(allowed).toHaveLength(rules.length);
    for (const { Principal } of allowed) {
      expect(Principal).toEqual({ Service: 'events.amazonaws.com' });
    }
    const sources = allowed.map(({ Condition }) =>
      readable.text((Condition as { ArnEquals: Record<string, unknown> }).ArnEquals['aws:SourceArn']),
    );
    expect(sources.sort()).toEqual(rules.map((rule) => `{${rule}.Arn}`));
  }
});

test('an end that cannot be written comes again for days, and then rests in the dead-letter queue', () => {
  const { maxReceiveCount, deadLetterTargetArn } = queue.RedrivePolicy as {
    maxReceiveCount: number;
    deadLetterTargetArn: unknown;
  };
  expect(readable.text(deadLetterTargetArn)).toBe('{LastResort/DeadLetters.Arn}');
  const days = (maxReceiveCount * (queue.VisibilityTimeout as number)) / (24 * 3600);
  expect(days).toBeGreaterThan(3);
  expect(days).toBeLessThan(14);
});

test('mark-failed reads the queue in batches of which each message is judged by itself', () => {
  const mapping = readable.resources('AWS::Lambda::EventSourceMapping')['LastResort/Mapping']!.Properties;
  expect(readable.text(mapping.EventSourceArn)).toBe('{LastResort/Queue.Arn}');
  expect(readable.text(mapping.FunctionName)).toBe('{PhotoIndexing/MarkFailed}');
  expect(mapping.FunctionResponseTypes).toEqual(['ReportBatchItemFailures']);
  const fn = readable.resources('AWS::Lambda::Function')['PhotoIndexing/MarkFailed']!.Properties;
  // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  expect(queue.VisibilityTimeout as number).toBeGreaterThanOrEqual(6 * (fn.Timeout as number));
});
