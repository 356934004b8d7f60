import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { READERS } from '../../lambdas/migrate-database/migrate-database.ts';
import { parseConfig } from '../../lib/config/config.ts';
import { idleCost, idleTable, monthlyUsd } from '../../lib/observability/idle-cost.ts';
import { configurations } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';

const guide = readFileSync(path.join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
const template = synthesised({});

describe('what it costs idle', () => {
  const items = (rollcall: object) => idleCost(synthesised(rollcall).json);
  const item = (rollcall: object, name: RegExp) => items(rollcall).find((found) => name.test(found.item));

  test('is in the guide as the template says (npm run docs:idle-cost writes it)', () => {
    const [, table] = /<!-- idle cost[^>]*-->\n([\s\S]*?)\n<!-- end -->/.exec(guide)!;
    expect(table).toBe(idleTable(idleCost(template.json)));
  });

  test('counts an alarm on an expression by the metrics in it', () => {
    const metric = { MetricStat: { Stat: 'Sum' } };
    const resources = {
      simple: { Type: 'AWS::CloudWatch::Alarm', Properties: { MetricName: 'Throttles' } },
      sum: {
        Type: 'AWS::CloudWatch::Alarm',
        Properties: { Metrics: [{ Expression: 'a + b' }, metric, metric] },
      },
    };
    expect(idleCost({ Resources: resources })).toEqual([
      expect.objectContaining({ count: 3, free: 10, usdEach: 0.1 }),
    ]);
    expect(monthlyUsd(idleCost({ Resources: resources }), { withFreeTier: false })).toBeCloseTo(0.3);
    expect(monthlyUsd(idleCost({ Resources: resources }), { withFreeTier: true })).toBe(0);
  });

  test('knows a cluster that sleeps, one that never does, and none', () => {
    expect(item({}, /daily erasure/)?.usdEach).toBeCloseTo(0.06);
    const cluster = (MinCapacity: number) => ({
      Type: 'AWS::RDS::DBCluster',
      Properties: { ServerlessV2ScalingConfiguration: { MinCapacity, MaxCapacity: 4 } },
    });
    const awake = idleCost({ Resources: { cluster: cluster(0.5) } }).find((found) =>
      /awake at/.test(found.item),
    )!;
    expect(awake.count * awake.usdEach).toBeCloseTo(43.8);
    const external = items(configurations.external);
    expect(external.filter((found) => /Aurora|Secret/.test(found.item))).toEqual([]);
  });
});

test('an application may read what the migrations let their own role read', () => {
  const [, granted] = /GRANT SELECT ON ([\w.,\s]+?) TO rollcall_reader;/.exec(guide)!;
  expect(granted!.split(/,\s*/)).toEqual(READERS.rollcall_reader.map((relation) => `rollcall.${relation}`));
});

test('a move to another database copies every table that the migrations leave empty', () => {
  const folder = path.join(import.meta.dirname, '../../migrations');
  const sql = readdirSync(folder)
    .map((file) => readFileSync(path.join(folder, file), 'utf8'))
    .join('\n');
  const tables = [...sql.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, table]) => table!);
  const filled = tables.filter((table) => new RegExp(`INSERT INTO ${table} DEFAULT VALUES`).test(sql));
  const copied = /for table in ([\w ]+); do\n\s+psql -h OLD/.exec(guide)![1]!.split(' ');
  expect([...copied].sort()).toEqual(tables.filter((table) => !filled.includes(table)).sort());
  // What is referred to comes first.
  for (const [, table, body] of sql.matchAll(/^(?:CREATE|ALTER) TABLE (\w+)([\s\S]*?);/gm)) {
    for (const [, target] of body!.matchAll(/REFERENCES (\w+)/g)) {
      expect([table, copied.indexOf(target!) < copied.indexOf(table!)]).toEqual([table, true]);
    }
  }
});

describe('the policy for CloudFormation', () => {
  const [, json] = /<!-- execution policy -->\n```json\n([\s\S]*?)```/.exec(guide)!;
  const { Statement: statements } = JSON.parse(json!) as {
    Statement: { Action: string | string[]; Resource: string }[];
  };
  const services = new Set(
    statements.flatMap(({ Action }) => [Action].flat()).map((action) => action.split(':')[0]!),
  );

  /** Where a resource type has another name than its service's prefix in IAM. */
  const PREFIXES: Record<string, string> = { stepfunctions: 'states', apigatewayv2: 'apigateway' };

  test('has every service of the template, with every option, and no other', () => {
    const all = [template, synthesised(configurations.budget), synthesised(configurations.everyRight)];
    const types = all.flatMap(({ json: { Resources } }) => Object.values(Resources).map(({ Type }) => Type));
    const needed = new Set(
      types.flatMap((type) => {
        const [provider, service = ''] = type.split('::');
        return provider === 'AWS' ? [PREFIXES[service.toLowerCase()] ?? service.toLowerCase()] : [];
      }),
    );
    // The version of the bootstrap is a parameter of the template; RDS keeps the master's password as a secret.
    expect([...services].sort()).toEqual([...needed, 'ssm', 'secretsmanager'].sort());
  });

  test('manages the roles of this stack and its stages, and no others', () => {
    const iam = statements.filter(({ Action }) =>
      [Action].flat().some((action) => action.startsWith('iam:')),
    );
    for (const { Resource } of iam) {
      expect(Resource).toMatch(/:role\/(Rollcall\*|aws-service-role\/rds\.amazonaws\.com\/\*)$/);
    }
  });
});

describe('the policy for operators', () => {
  const ops = path.join(import.meta.dirname, '../../ops');
  /** What IAM calls what the SDK's clients are called after. */
  const services: Record<string, string> = { sfn: 'states', 'lib-dynamodb': 'dynamodb' };
  const actions: Record<string, string> = { Invoke: 'InvokeFunction', ListObjectsV2: 'ListBucket' };

  /** Calls of AWS in the operator's commands, as IAM names them; those of the doctor are in the sentence before. */
  function calledBy(file: string): string[] {
    const source = readFileSync(file, 'utf8');
    return [...source.matchAll(/import \{([^}]*)\} from '@aws-sdk\/(?:client-)?([\w-]+)'/g)].flatMap(
      ([, names = '', client = '']) =>
        [...names.matchAll(/\b(?:paginate(\w+)|(\w+)Command)\b/g)].map(([, paginated, sent]) => {
          const operation = (paginated ?? sent)!;
          return `${services[client] ?? client}:${actions[operation] ?? operation}`;
        }),
    );
  }

  const files = readdirSync(ops, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/doctor/.test(file))
    .map((file) => path.join(ops, file));
  const [, json] = /<!-- operators -->\n```json\n([\s\S]*?)```/.exec(guide)!;
  const { Statement: statements } = JSON.parse(json!) as {
    Statement: { Action: string[]; Resource: string[] }[];
  };

  /** ARNs as CloudFormation makes them, of the resource that an output names. */
  function arnOf(output: string): string {
    const { json: app } = synthesised(configurations.tryOut);
    const { Value: value } = (app.Outputs as Record<string, { Value: unknown }>)[output]!;
    const id = (value as { Ref?: string }).Ref ?? (value as { 'Fn::GetAtt': string[] })['Fn::GetAtt'][0]!;
    const name = `Rollcall-${id}-1A2B3C`;
    const prefixes: Record<string, string> = {
      'AWS::Lambda::Function': 'lambda:REGION:ACCOUNT:function:',
      'AWS::DynamoDB::Table': 'dynamodb:REGION:ACCOUNT:table/',
      'AWS::SQS::Queue': 'sqs:REGION:ACCOUNT:',
      'AWS::StepFunctions::StateMachine': 'states:REGION:ACCOUNT:stateMachine:',
      'AWS::S3::Bucket': 's3:::',
    };
    const { Type: type } = app.Resources[id]!;
    return `arn:aws:${prefixes[type]}${type === 'AWS::S3::Bucket' ? name.toLowerCase() : name}`;
  }

  test('is for every resource that the commands ask for', () => {
    const isFor = (pattern: string, arn: string) =>
      new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(arn);
    const patterns = statements.flatMap(({ Resource }) => Resource);
    const used = new Set(
      files.flatMap((file) =>
        [
          ...readFileSync(file, 'utf8').matchAll(/\b(\w+(?:Arn|BucketName|TableName|FunctionName|Url))\b/g),
        ].map(([, name]) => name!),
      ),
    );
    const outputs = Object.keys(synthesised(configurations.tryOut).json.Outputs!);
    const asked = outputs
      .filter((output) => used.has(output) && !/Api|Web|Database|Dashboard/.test(output))
      .map(arnOf);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((arn) => !patterns.some((pattern) => isFor(pattern, arn)))).toEqual([]);
    // And of every resource that it names there is one.
    const own = patterns.filter((pattern) => /rollcall-[a-z]/i.test(pattern));
    expect(own.filter((pattern) => !asked.some((arn) => isFor(pattern, arn)))).toEqual([]);
  });

  test('has every call of the commands, and nothing else', () => {
    const called = new Set(files.flatMap(calledBy));
    // HEAD is a GetObject, the ledger is read and written by its own module, and a version's deletion is a right of its own.
    const others = ['s3:GetObject', 'dynamodb:GetItem', 'dynamodb:UpdateItem', 's3:DeleteObjectVersion'];
    expect(statements.flatMap(({ Action }) => Action).sort()).toEqual(
      [...new Set([...called, ...others])].sort(),
    );
  });
});

const readme = readFileSync(path.join(import.meta.dirname, '../../README.md'), 'utf8');

test('the README says what it costs idle', () => {
  const [list, rest] = [false, true].map((withFreeTier) =>
    Math.round(monthlyUsd(idleCost(template.json), { withFreeTier })),
  );
  expect(readme).toContain(`idle, about $${list} a month at list prices, $${rest} after the free amounts`);
});

test('the README says how many alarms there are', () => {
  const alarms = Object.values(template.json.Resources).filter(({ Type }) =>
    /^AWS::CloudWatch::(Composite)?Alarm$/.test(Type),
  );
  expect(readme).toContain(`: ${alarms.length} alarms, each with a`);
});

test('every option is in the README', () => {
  const [, table = ''] = /### Configure it([\s\S]*?)\n## /.exec(readme)!;
  expect(Object.keys(parseConfig()).filter((option) => !table.includes(`\`${option}\``))).toEqual([]);
});
