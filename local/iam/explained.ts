import type { Grant } from './policies.ts';

/** Grants that nothing in the local run needs, and why they are given all the same. */
const EXPLANATIONS: readonly { action: RegExp; resource?: RegExp; role?: RegExp; reason: string }[] = [
  {
    action: /^lambda:InvokeFunction$/,
    role: /CustomResourceProvider/,
    reason: 'CloudFormation calls the deployment’s functions through this helper of the CDK',
  },
  {
    action: /^states:StartExecution$/,
    resource: /Backfill/,
    role: /Backfill/,
    reason:
      'A Distributed Map starts an execution of its own machine for each batch; the local engine runs it itself',
  },
  {
    action: /^states:StartExecution$/,
    resource: /Erasure/,
    role: /PhotoIndexing/,
    reason:
      'A failed photo that left faces behind has them erased at once; hardly one does, and the daily erasure takes along the rest',
  },
  {
    action: /^s3:GetObject$/,
    resource: /\/backfills\//,
    reason: 'Step Functions reads the results of a Distributed Map back to write their manifest',
  },
  {
    action: /^logs:(CreateLogStream|PutLogEvents)$/,
    reason: 'Lambda writes the function’s log with the function’s role; the local runtime writes files',
  },
  {
    action: /^ec2:\w+(NetworkInterfaces?|PrivateIpAddresses|Subnets)$/,
    reason: 'Lambda puts the function into its network; the function’s own code is denied these',
  },
  {
    action:
      /^logs:(\w+LogDelivery|ListLogDeliveries|PutResourcePolicy|DescribeResourcePolicies|DescribeLogGroups)$/,
    reason: 'Step Functions delivers the state machine’s log with its role; the local engine keeps a journal',
  },
  {
    action: /^xray:/,
    reason: 'Lambda and Step Functions send traces with the role',
  },
  {
    action: /^events:(PutTargets|PutRule|DescribeRule)$/,
    reason: 'Step Functions hears of the end of executions that it started through a rule of its own',
  },
  {
    action: /^states:(DescribeExecution|StopExecution)$/,
    reason: 'Step Functions follows executions that it started; the local engine runs them itself',
  },
  {
    action: /^s3:ListBucket$/,
    role: /Reconciliation(ReadRows|SurveyEvents)|PersistResults/,
    reason:
      'Without the right to list, S3 calls an object that is gone forbidden; what was just written is hardly ever gone',
  },
  {
    action: /^states:RedriveExecution$/,
    reason:
      'An operator redrives a backfill in the console, and Step Functions its batches; the local engine has no redrive',
  },
  {
    action: /^s3:(ListMultipartUploadParts|AbortMultipartUpload)$/,
    reason: 'Step Functions writes a large result of a Distributed Map in parts',
  },
  {
    action: /^dynamodb:GetItem$/,
    resource: /IdempotencyTable/,
    reason:
      'DynamoDB tells Powertools the record with the refusal to write another; where it does not, Powertools reads it',
  },
];

export function explanationOf(grant: Grant): string | undefined {
  return EXPLANATIONS.find(
    ({ action, resource = /^/, role = /^/ }) =>
      action.test(grant.action) && resource.test(grant.resource) && role.test(grant.role),
  )?.reason;
}
