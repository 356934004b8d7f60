import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { configurations } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';
import { rolesOf } from '../support/template.ts';

const LAMBDAS = path.join(import.meta.dirname, '../../lambdas');

/** What the code has to be allowed for each thing that it uses. */
const actionsOf: Record<string, string[]> = {
  CreateCollectionCommand: ['rekognition:CreateCollection'],
  DescribeCollectionCommand: ['rekognition:DescribeCollection'],
  // Rekognition reads the photo with the caller's right.
  IndexFacesCommand: ['rekognition:IndexFaces', 's3:GetObject'],
  // Listing is what tells "gone" from "forbidden".
  HeadObjectCommand: ['s3:GetObject', 's3:ListBucket'],
  GetObjectCommand: ['s3:GetObject', 's3:ListBucket'],
  PutObjectCommand: ['s3:PutObject'],
  ListObjectsV2Command: ['s3:ListBucket'],
  DeleteObjectsCommand: ['s3:DeleteObject'],
  DeleteFacesCommand: ['rekognition:DeleteFaces'],
  ListFacesCommand: ['rekognition:ListFaces'],
  SearchFacesByImageCommand: ['rekognition:SearchFacesByImage'],
  SearchFacesCommand: ['rekognition:SearchFaces'],
  InvokeCommand: ['lambda:InvokeFunction'],
  DeleteCollectionCommand: ['rekognition:DeleteCollection'],
  ListCollectionsCommand: ['rekognition:ListCollections'],
  ListExecutionsCommand: ['states:ListExecutions'],
  StartExecutionCommand: ['states:StartExecution'],
  DescribeExecutionCommand: ['states:DescribeExecution'],
  GetItemCommand: ['dynamodb:GetItem'],
  PutItemCommand: ['dynamodb:PutItem'],
  UpdateItemCommand: ['dynamodb:UpdateItem'],
  DeleteItemCommand: ['dynamodb:DeleteItem'],
  // https://docs.powertools.aws.dev/lambda/typescript/latest/features/idempotency/#required-resources
  DynamoDBPersistenceLayer: ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'].map(
    (name) => `dynamodb:${name}`,
  ),
  GetServiceQuotaCommand: ['servicequotas:GetServiceQuota'],
  Signer: ['rds-db:connect'],
  GetSecretValueCommand: ['secretsmanager:GetSecretValue'],
  // The Data API reads the secret with the caller's right.
  ExecuteStatementCommand: ['rds-data:ExecuteStatement', 'secretsmanager:GetSecretValue'],
};

/** The AWS calls in a handler and all that it imports, but for some files. */
function usedBy(handler: string, without: readonly string[] = []): string[] {
  const seen = new Set<string>(without);
  const used = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) {
      return;
    }
    seen.add(file);
    const source = readFileSync(file, 'utf8');
    for (const [, name] of source.matchAll(/\bnew (\w+Command|DynamoDBPersistenceLayer|Signer)\(/g)) {
      used.add(name!);
    }
    for (const [, target] of source.matchAll(/\bfrom '(\.[^']+)'/g)) {
      visit(path.join(path.dirname(file), target!));
    }
  };
  visit(handler);
  return [...used];
}

const functions = readdirSync(LAMBDAS).filter((name) => existsSync(path.join(LAMBDAS, name, 'handler.ts')));

/** Signs addresses for others and calls nothing, so nobody needs to be told "gone" from "forbidden". */
const SIGNING = 'read-gallery/photo-url.ts';

/** Functions that look at single objects only where the bucket has versions. */
const WITH_VERSIONS = ['skip-indexed', 'survey-events'];

describe.each([
  // A try-out has every function and table.
  ['aurora', configurations.tryOut, 'secretsmanager:GetSecretValue'],
  ['an external database', configurations.externalTryOut, 'rds-db:connect'],
])('with %s', (_, rollcall, otherLogin) => {
  const template = synthesised(rollcall);
  const roles = Object.entries(rolesOf(template));

  test.each(functions)('the role of %s allows what its code calls, and no more', (name) => {
    const role = roles.find(
      ([path]) =>
        path.replace(/.*\//, '') ===
        `${name.replaceAll(/(?:^|-)(\w)/g, (_, first) => first.toUpperCase())}Role`,
    );
    if (!role) {
      expect([name, rollcall]).toEqual(['bootstrap-database', configurations.externalTryOut]);
      return;
    }
    // Only a bucket with versions has to be looked at by them.
    const without = [SIGNING, ...(WITH_VERSIONS.includes(name) ? ['shared/storage/head-object.ts'] : [])].map(
      (file) => path.join(LAMBDAS, file),
    );
    const used = usedBy(path.join(LAMBDAS, name, 'handler.ts'), without);
    const signs = name === path.dirname(SIGNING) ? ['s3:GetObject'] : [];
    const needed = used
      .flatMap((use) => actionsOf[use] ?? [`an action for ${use}`])
      // Each way to log in is in the code, and the configuration chooses one.
      .filter((action) => action !== otherLogin || used.includes('ExecuteStatementCommand'));
    needed.push(...signs);
    // Logs, network and queues are Lambda's own doing, with the function's role.
    const granted = Object.keys(role[1].allowed).filter((action) => !/^(logs|ec2|sqs):/.test(action));
    expect(granted.sort()).toEqual([...new Set(needed)].sort());
  });
});
