import { runSimulation } from '@cloud-copilot/iam-simulate';
import { configurations } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';
import type { Statement } from '../support/template.ts';

const OWN = '111111111111';
const [UPLOADER] = configurations.uploaders.uploadAccounts as [string];
const STRANGER = '333333333333';

/** The bucket's policy, with what only a deployment knows. */
function policyOf(rollcall: Record<string, unknown>) {
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.map(resolve);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    const { Ref: ref, 'Fn::GetAtt': attribute, 'Fn::Join': join } = value as Record<string, unknown>;
    if (ref !== undefined) {
      return { 'AWS::AccountId': OWN, 'AWS::Partition': 'aws' }[ref as string] ?? ref;
    }
    if (attribute !== undefined) {
      return 'arn:aws:s3:::photos';
    }
    if (join !== undefined) {
      const [separator, parts] = join as [string, unknown[]];
      return parts.map(resolve).join(separator);
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item)]));
  };
  const { Properties } = synthesised(rollcall).resources('AWS::S3::BucketPolicy')['PhotoBucket/Policy']!;
  return resolve(Properties.PolicyDocument) as { Version: string; Statement: Statement[] };
}

async function allows(
  resourcePolicy: ReturnType<typeof policyOf>,
  account: string,
  action: string,
  resource: string,
): Promise<boolean> {
  const { overallResult } = (await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${account}:role/uploader`,
        action,
        resource: { resource, accountId: OWN },
        contextVariables: {
          'aws:SecureTransport': 'true',
          'aws:PrincipalIsAWSService': 'false',
          'aws:PrincipalAccount': account,
          's3:TlsVersion': '1.3',
        },
      },
      identityPolicies: [
        {
          name: 'all',
          policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }] },
        },
      ],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy,
    },
    {},
  )) as { overallResult?: string };
  return overallResult === 'Allowed';
}

const PHOTO = 'arn:aws:s3:::photos/events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/x.jpg';
const OTHER = 'arn:aws:s3:::photos/other/x.jpg';
const BUCKET = 'arn:aws:s3:::photos';

describe.each([
  ['nobody is named', {}, false],
  ['an account is named', configurations.uploaders, true],
])('where %s', (_, rollcall, mayUpload) => {
  const policy = policyOf(rollcall);

  test.each([
    ['s3:PutObject', PHOTO, mayUpload],
    ['s3:AbortMultipartUpload', PHOTO, mayUpload],
    ['s3:ListMultipartUploadParts', PHOTO, mayUpload],
    ['s3:PutObject', OTHER, false],
    ['s3:GetObject', PHOTO, false],
    ['s3:DeleteObject', PHOTO, false],
    ['s3:PutObjectAcl', PHOTO, false],
    ['s3:ListBucket', BUCKET, false],
    ['s3:PutBucketPolicy', BUCKET, false],
  ])('another account, with every right of its own: %s on %s', async (action, resource, expected) => {
    await expect(allows(policy, UPLOADER, action, resource)).resolves.toBe(expected);
    await expect(allows(policy, STRANGER, action, resource)).resolves.toBe(false);
    await expect(allows(policy, OWN, action, resource)).resolves.toBe(true);
  });
});

test('a page may upload from the origins that are named, and from no other', () => {
  const bucketOf = (rollcall: Record<string, unknown>) =>
    synthesised(rollcall).resources('AWS::S3::Bucket').PhotoBucket!.Properties;
  expect(bucketOf({}).CorsConfiguration).toBeUndefined();
  expect(bucketOf(configurations.uploadOrigins).CorsConfiguration).toEqual({
    CorsRules: [
      {
        AllowedOrigins: ['https://app.example.org'],
        AllowedMethods: ['PUT', 'POST'],
        AllowedHeaders: ['*'],
        ExposedHeaders: ['ETag'],
        MaxAge: 3600,
      },
    ],
  });
});
