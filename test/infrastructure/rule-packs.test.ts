import { Bucket } from 'aws-cdk-lib/aws-s3';
import { buildApp, synthesise } from '../support/synth.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC123';

test.each([
  ['defaults', {}],
  ['tracing', { tracing: true }],
  ['a try-out', { removal: 'destroy' }],
  ['versions', { photoBucketVersioned: true, collectionPrefix: 'fest-' }],
  ['an external database', { database: 'external', databaseSecretArn: SECRET }],
  [
    'everything at once',
    { tracing: true, removal: 'destroy', photoBucketVersioned: true, lambdaReservedConcurrency: 5 },
  ],
])('AwsSolutions and Serverless pass with %s', (_, rollcall) => {
  expect(() => synthesise({ context: { rollcall } })).not.toThrow();
});

test('a violation fails the synthesis', () => {
  const withOpenBucket = () => synthesise({ change: (stack) => void new Bucket(stack, 'Open') });
  expect(withOpenBucket).toThrow(/AwsSolutions-S1/);
});

describe('the warning about a slow quota', () => {
  const warnings = (rollcall: Record<string, unknown>, likelyRegion?: string) =>
    buildApp({ context: { rollcall }, ...(likelyRegion && { likelyRegion }) })
      .stack.node.metadata.filter(({ type }) => type === 'aws:cdk:warning')
      .map(({ data }) => String(data));

  test('is not there by default, nor for a fast Region or rate', () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({}, 'eu-west-1')).toEqual([]);
    expect(warnings({ indexFacesPerSecond: 20 }, 'eu-central-1')).toEqual([]);
  });

  test('says what 5 calls a second mean for 1,000 photos', () => {
    expect(warnings({ indexFacesPerSecond: 5 })).toEqual([
      expect.stringMatching(/indexFacesPerSecond is 5 .* 1,000 photos take at least 200 s/),
    ]);
    expect(warnings({}, 'eu-central-1')).toEqual([
      expect.stringMatching(/default quota in eu-central-1 is 5 .* 1,000 photos take at least 200 s/),
    ]);
  });

  test('does the sum for a slower rate', () => {
    expect(warnings({ indexFacesPerSecond: 0.5 })).toEqual([expect.stringContaining('at least 2000 s')]);
  });
});
