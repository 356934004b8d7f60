/** Rollcall in somebody's app: on their bucket, in their network, with their PostgreSQL. */
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { HttpJwtAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { type IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { AccountRootPrincipal, type IRole, Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseInstance,
  DatabaseInstanceEngine,
  DatabaseProxy,
  PostgresEngineVersion,
  ProxyTarget,
} from 'aws-cdk-lib/aws-rds';
import { Bucket, BucketEncryption, type IBucket } from 'aws-cdk-lib/aws-s3';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import fc from 'fast-check';
import { photoEnd } from '../../lambdas/shared/contract/photo-end.ts';
import { conflict } from '../../lib/config/side-by-side.ts';
import type { VpcDatabaseProps } from '../../lib/database/vpc-database.ts';
import { Rollcall, type RollcallProps } from '../../lib/rollcall.ts';

interface Platform {
  app: App;
  stack: Stack;
  bucket: Bucket;
  faces: Rollcall;
}

// CDK's own look through each template takes seconds, and test/infrastructure/rule-packs asks for it.
process.env.CDK_VALIDATION = 'false';
// CDK asks each construct and token where it was made, and nobody here reads the answer: a quarter of the work.
Error.stackTraceLimit = 0;

function platform(
  change: (platform: Omit<Platform, 'faces'>) => Partial<RollcallProps> = () => ({}),
): Platform {
  const app = new App({
    context: {
      'aws:cdk:bundling-stacks': [],
      'aws:cdk:enable-path-metadata': true,
      'aws:cdk:disable-creation-stack-traces': true,
    },
    treeMetadata: false,
  });
  const stack = new Stack(app, 'Platform');
  const bucket = new Bucket(stack, 'Uploads', {
    encryption: BucketEncryption.KMS,
    encryptionKey: new Key(stack, 'UploadsKey', { enableKeyRotation: true }),
  });
  const vpc = new Vpc(stack, 'Vpc', { maxAzs: 2, natGateways: 1 }) as IVpc;
  const faces = new Rollcall(stack, 'Faces', {
    photoBucket: bucket as IBucket,
    eventsFolder: 'uploads/',
    database: {
      vpc,
      server: new SecurityGroup(stack, 'Servers', { vpc }),
      secret: new Secret(stack, 'Login') as ISecret,
    },
    ...change({ app, stack, bucket }),
  });
  return { app, stack, bucket, faces };
}

const theirs = platform();
const template = Template.fromStack(theirs.stack);
const resources = template.toJSON().Resources as Record<
  string,
  { Type: string; Properties: Record<string, never> }
>;
const text = (of: unknown) => JSON.stringify(of);
const ofType = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);

test('makes no bucket for photos, no network and no database of its own', () => {
  expect(ofType('AWS::S3::Bucket').map(([id]) => id)).toEqual([
    expect.stringMatching(/^Uploads/),
    expect.stringMatching(/^FacesResultsBucket/),
  ]);
  expect([ofType('AWS::EC2::VPC'), ofType('AWS::RDS::DBCluster')].map((found) => found.length)).toEqual([
    1, 0,
  ]);
  expect(text(ofType('Custom::S3BucketNotifications'))).toContain('EventBridgeConfiguration');
});

test('looks at their folder only: rules, rights and functions say the same', () => {
  const rules = ofType('AWS::Events::Rule')
    .map(([, { Properties }]) => text(Properties.EventPattern) ?? '')
    .filter((pattern) => pattern.includes('aws.s3'));
  expect(rules).toHaveLength(2);
  for (const pattern of rules) {
    expect(pattern).toContain('"key":[{"prefix":"uploads/"}]');
  }
  for (const [id, { Properties }] of ofType('AWS::Lambda::Function').filter(([id]) =>
    /^Faces.*Function|^Faces(PhotoIndexing|Backfill|Erasure|Operations|Reconciliation)/.test(id),
  )) {
    expect([id, text(Properties.Environment)]).toEqual([
      id,
      expect.stringContaining('"EVENTS_FOLDER":"uploads/"'),
    ]);
  }
  const policies = text(ofType('AWS::IAM::Policy'));
  expect(policies).toContain('/uploads/*');
  expect(policies).not.toContain('/events/*');
});

test('only functions without Rekognition are in their network, and read their secret', () => {
  const inside = ofType('AWS::Lambda::Function').filter(([, { Properties }]) => 'VpcConfig' in Properties);
  expect(inside.length).toBeGreaterThan(8);
  for (const [id, { Properties }] of inside) {
    const { Role } = Properties as unknown as { Role: { 'Fn::GetAtt': [string, string] } };
    const policy = text(
      ofType('AWS::IAM::Policy').filter(([, { Properties: of }]) => text(of).includes(Role['Fn::GetAtt'][0])),
    );
    expect([id, policy.includes('rekognition:'), policy.includes('secretsmanager:GetSecretValue')]).toEqual([
      id,
      false,
      true,
    ]);
  }
});

test('IndexFaces may use the key of their bucket', () => {
  const policies = ofType('AWS::IAM::Policy').filter(([id]) => id.includes('IndexFaces'));
  expect(text(policies)).toMatch(/kms:Decrypt.*UploadsKey/);
});

test('a consumer is told of what was indexed, failed and erased', () => {
  const { stack, faces } = platform();
  const target = new SqsQueue(new Queue(stack, 'Told'));
  faces.onPhotoIndexed('Indexed', target);
  faces.onPhotoFailed('Failed', target);
  faces.onFacesErased('Erased', target);
  const rules = Template.fromStack(stack).findResources('AWS::Events::Rule');
  const pattern = (id: string) =>
    text(Object.entries(rules).find(([name]) => name.startsWith(`Faces${id}`))?.[1].Properties.EventPattern);
  expect(pattern('Indexed')).toContain(
    '"output":[{"wildcard":"*\\\\"effect\\\\":\\\\"stored\\\\"*"}'.replaceAll('\\\\', '\\'),
  );
  expect(pattern('Failed')).toContain('"status":["FAILED","TIMED_OUT","ABORTED"]');
  expect(pattern('Erased')).toContain('FacesErasure');
});

describe('a database of theirs by IAM', () => {
  type Server = Extract<VpcDatabaseProps, { iam: object }>['server'];
  const by = (make: (stack: Stack, vpc: IVpc) => Server, iam: object = { databaseName: 'platform' }) => {
    const { stack } = platform(({ stack: scope }) => {
      const vpc = new Vpc(scope, 'Theirs', { maxAzs: 2, natGateways: 1 }) as IVpc;
      return { database: { vpc, server: make(scope, vpc), iam } as VpcDatabaseProps };
    });
    return Template.fromStack(stack).toJSON().Resources as typeof resources;
  };
  const engine = DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_4 });
  const instance = (stack: Stack, vpc: IVpc) =>
    new DatabaseInstance(stack, 'Postgres', {
      engine: DatabaseInstanceEngine.postgres({ version: PostgresEngineVersion.VER_17 }),
      vpc,
    });
  const servers: [what: string, make: (stack: Stack, vpc: IVpc) => Server, host: string, id: string][] = [
    ['an instance', instance, '["Postgres9DC8BB04","Endpoint.Address"]', '"DbiResourceId"'],
    [
      'a cluster',
      (stack, vpc) =>
        new DatabaseCluster(stack, 'Postgres', {
          engine,
          vpc,
          iamAuthentication: true,
          writer: ClusterInstance.serverlessV2('Writer'),
        }),
      '["Postgres9DC8BB04","Endpoint.Address"]',
      '"DBClusterResourceId"',
    ],
    [
      'a proxy',
      (stack, vpc) =>
        new DatabaseProxy(stack, 'Proxy', {
          proxyTarget: ProxyTarget.fromInstance(instance(stack, vpc)),
          secrets: [new Secret(stack, 'OfProxy') as ISecret],
          iamAuth: true,
          vpc,
        }),
      '["ProxyCB0DFB71","Endpoint"]',
      '"DBProxyArn"',
    ],
  ];

  test.each(servers)(
    '%s: each function may log in as its own user, and reads no secret',
    (what, make, host, id) => {
      const made = by(make);
      const functions = Object.values(made).filter(
        ({ Type, Properties }) =>
          Type === 'AWS::Lambda::Function' && text(Properties).includes('DATABASE_AUTH'),
      );
      const users = functions.map(({ Properties }) => {
        const { Role, Environment } = Properties as unknown as {
          Role: { 'Fn::GetAtt': [string, string] };
          Environment: { Variables: Record<string, string> };
        };
        const { DATABASE_USER: user, DATABASE_HOST: of, ...variables } = Environment.Variables;
        expect(variables).toMatchObject({
          DATABASE_AUTH: 'iam',
          DATABASE_SETTINGS: 'transaction',
          DATABASE_NAME: 'platform',
          DATABASE_PORT:
            what === 'a proxy' ? '5432' : { 'Fn::GetAtt': ['Postgres9DC8BB04', 'Endpoint.Port'] },
          DATABASE_SCHEMA: 'rollcall',
          NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem',
        });
        expect(variables).not.toHaveProperty('DATABASE_SECRET_ARN');
        expect(text(of)).toContain(host);
        const [own] = Object.values(made)
          .filter(
            ({ Type, Properties: policy }) =>
              Type === 'AWS::IAM::Policy' && text(policy.Roles).includes(Role['Fn::GetAtt'][0]),
          )
          .map(
            ({ Properties: policy }) =>
              (policy.PolicyDocument as unknown as { Statement: Record<string, unknown>[] }).Statement,
          );
        const connects = own!.filter(({ Action }) => text(Action).includes('rds-db'));
        expect(connects.map(({ Action, Effect }) => [Action, Effect])).toEqual([['rds-db:connect', 'Allow']]);
        expect(text(connects[0]!.Resource)).toContain(id);
        expect(text(connects[0]!.Resource)).toContain(`/${user}"`);
        expect(text(own)).not.toContain('secretsmanager');
        expect(text(own)).not.toContain('rekognition:');
        return user;
      });
      expect(users.length).toBeGreaterThan(8);
      expect(new Set(users)).toEqual(new Set(['rollcall_migrator', 'rollcall_pipeline', 'rollcall_gallery']));
    },
  );

  test('an instance has IAM logins turned on', () => {
    expect(
      Object.values(by(instance)).find(({ Type }) => Type === 'AWS::RDS::DBInstance')!.Properties,
    ).toMatchObject({
      EnableIAMDatabaseAuthentication: true,
    });
  });

  test.each<[what: string, database: (stack: Stack, vpc: IVpc) => object, line: RegExp]>([
    ['no way to log in', (stack, vpc) => ({ server: instance(stack, vpc) }), /one way to log in/],
    [
      'two ways',
      (stack, vpc) => ({
        server: instance(stack, vpc),
        secret: new Secret(stack, 'Second'),
        iam: { databaseName: 'platform' },
      }),
      /one way to log in/,
    ],
    [
      'a security group for a server',
      (stack, vpc) => ({
        server: new SecurityGroup(stack, 'Group', { vpc }),
        iam: { databaseName: 'platform' },
      }),
      /^database has iam, for which server is the RDS instance/,
    ],
  ])('%s is refused in one line', (_, database, line) => {
    expect(() =>
      platform(({ stack }) => {
        const vpc = new Vpc(stack, 'Theirs', { maxAzs: 2 }) as IVpc;
        return { database: { vpc, ...database(stack, vpc) } as VpcDatabaseProps };
      }),
    ).toThrow(line);
  });
});

describe('who may ask the API', () => {
  const roleIn = (stack: Stack, id = 'App') =>
    new Role(stack, id, { assumedBy: new AccountRootPrincipal() }) as IRole;
  /** Of the API's routes, by the actions that a role of theirs got. */
  const granted = (stack: Stack, role = 'App') =>
    Object.entries(Template.fromStack(stack).findResources('AWS::IAM::Policy'))
      .filter(([id]) => id.startsWith(role))
      .flatMap(
        ([, { Properties }]) => Properties.PolicyDocument.Statement as { Action: string; Resource: object }[],
      )
      .map(({ Action, Resource }) => [Action, text(Resource).match(/\$default[^"]*/)?.[0]]);

  test('by IAM: a role that reads, and a role that finds, each nothing of the other', () => {
    const { stack, faces } = platform();
    faces.grantRead(roleIn(stack)).assertSuccess();
    faces.grantFind(roleIn(stack, 'Finder')).assertSuccess();
    expect(granted(stack)).toEqual([['execute-api:Invoke', '$default/GET/events/*']]);
    expect(granted(stack, 'Finder')).toEqual([['execute-api:Invoke', '$default/POST/events/*/find']]);
    // What is granted are the routes that there are.
    const patterns = [...granted(stack), ...granted(stack, 'Finder')].map(
      ([, pattern]) => new RegExp(`^${pattern!.replaceAll('$', '\\$').replaceAll('*', '.*')}$`),
    );
    for (const { Properties } of Object.values(template.findResources('AWS::ApiGatewayV2::Route'))) {
      const key = Properties.RouteKey as string;
      const path = `$default/${key.replace(' ', '').replaceAll(/\{\w+\}/g, '0b8f1c8e')}`;
      expect([key, patterns.filter((pattern) => pattern.test(path)).length]).toEqual([key, 1]);
    }
  });

  test('by the function itself, as any function', () => {
    const { stack, faces } = platform(() => ({ api: 'none' }));
    faces.findPerson.grantInvoke(roleIn(stack));
    expect(granted(stack)).toEqual([['lambda:InvokeFunction', undefined]]);
    expect(faces.apiUrl).toBeUndefined();
    expect(() => faces.grantRead(roleIn(new Stack(App.of(stack)!, 'Other')))).toThrow(/^With api: 'none'/);
  });

  test('by an authorizer of theirs, on every route, and IAM has nothing to grant then', () => {
    const { stack, faces } = platform(() => ({
      apiAuthorizer: new HttpJwtAuthorizer('Guests', 'https://login.example.org', {
        jwtAudience: ['gallery'],
      }),
    }));
    const routes = Object.values(Template.fromStack(stack).findResources('AWS::ApiGatewayV2::Route'));
    expect(routes).toHaveLength(Object.keys(template.findResources('AWS::ApiGatewayV2::Route')).length);
    for (const { Properties } of routes) {
      expect(Properties).toMatchObject({
        AuthorizationType: 'JWT',
        AuthorizerId: { Ref: expect.stringMatching(/Guests/) },
      });
    }
    Template.fromStack(stack).hasResourceProperties('AWS::ApiGatewayV2::Authorizer', {
      AuthorizerType: 'JWT',
      JwtConfiguration: { Audience: ['gallery'], Issuer: 'https://login.example.org' },
    });
    expect(() => faces.grantFind(roleIn(stack))).toThrow(/^The apiAuthorizer decides/);
  });
});

test('their topics are told, and none are made', () => {
  const { stack } = platform(({ stack: scope }) => ({
    alarmTopics: { critical: new Topic(scope, 'Pager'), warning: new Topic(scope, 'Chat') },
  }));
  const made = Template.fromStack(stack);
  expect(Object.keys(made.findResources('AWS::SNS::Topic'))).toEqual([
    expect.stringMatching(/^Pager/),
    expect.stringMatching(/^Chat/),
  ]);
  const actions = Object.values(made.findResources('AWS::CloudWatch::Alarm')).map((alarm) => text(alarm));
  expect(actions.some((alarm) => alarm.includes('"Pager'))).toBe(true);
});

test('two in one app live side by side, each with a stack of its own and one line for both', () => {
  const { app, faces } = platform();
  const other = new Stack(app, 'Other');
  new Rollcall(other, 'Faces', {
    stage: 'two',
    slotLedger: faces.slotLedger,
    database: 'external',
    databaseSecretArn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:faces-AbCdEf',
  });
  expect(Object.keys(Template.fromStack(other).findResources('AWS::DynamoDB::Table'))).toEqual([
    expect.stringMatching(/^FacesIdempotencyTable/),
    expect.stringMatching(/^FacesPersonSearchSearchLimits/),
  ]);
});

test.each<[what: string, props: (stack: Stack) => Partial<RollcallProps>, line: RegExp]>([
  [
    'CORS of their bucket',
    () => ({ uploadOrigins: ['https://a.example'] }),
    /^uploadOrigins is for what Rollcall/,
  ],
  ['accounts of their bucket', () => ({ uploadAccounts: ['123456789012'] }), /^uploadAccounts is for what/],
  [
    'a secret beside theirs',
    () => ({ databaseSecretArn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf' }),
    /^databaseSecretArn is for what/,
  ],
  [
    'a folder without its slash',
    () => ({ eventsFolder: 'uploads' }),
    /^eventsFolder is "uploads"; allowed is a folder's name/,
  ],
  ['a folder of Rollcall’s own', () => ({ eventsFolder: 'results/' }), /^eventsFolder is "results\/"/],
  ['an option that there is not', () => ({ maxFace: 3 }) as object, /maxFace/],
])('refuses %s in one line', (_, props, line) => {
  expect(() => platform(({ stack }) => props(stack))).toThrow(line);
});

describe('two in one stack', () => {
  const secret = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:faces-AbCdEf';
  const second = (faces: Rollcall): Partial<RollcallProps> => ({
    stage: 'two',
    slotLedger: faces.slotLedger,
    database: 'external',
    databaseSecretArn: secret,
  });

  test('have no name in common, and each watches its own metrics', () => {
    const { stack, faces } = platform();
    new Rollcall(stack, 'More', second(faces));
    const both = Template.fromStack(stack).toJSON();
    const made = Object.entries(both.Resources as typeof resources);
    const of = (id: string) => made.filter(([logicalId]) => logicalId.startsWith(id));
    /** Whatever a resource calls itself, and not by CloudFormation's own choice. */
    const named = (id: string) =>
      of(id).flatMap(([, { Type, Properties = {} as never }]) =>
        ['AlarmName', 'DashboardName', 'Name', 'LogGroupName', 'BudgetName', 'DisplayName']
          .filter((name) => name in Properties)
          .map((name) => `${Type} ${text(Properties[name])}`),
      );
    expect(named('Faces').length).toBeGreaterThan(30);
    expect(named('Faces').map((name) => name.replace('Platform-Faces', 'Platform-More'))).toEqual(
      expect.arrayContaining(named('More')),
    );
    expect(named('Faces').filter((name) => !name.includes('Platform-Faces'))).toEqual([]);
    const namespaces = (id: string) =>
      new Set(
        [...text(of(id)).matchAll(/"(?:Namespace|POWERTOOLS_METRICS_NAMESPACE)":"([^"]+)"/g)]
          .map(([, namespace]) => namespace!)
          .filter((namespace) => !namespace.startsWith('AWS/')),
      );
    expect([namespaces('Faces'), namespaces('More')]).toEqual([
      new Set(['Platform-Faces']),
      new Set(['Platform-More']),
    ]);
    const dashboards = of('More').filter(([, { Type }]) => Type === 'AWS::CloudWatch::Dashboard');
    expect(text(dashboards)).not.toContain('Platform-Faces');
    // `ops --stack Platform/More` reads those of its own.
    const outputs = Object.keys(both.Outputs);
    expect(outputs).toEqual(expect.arrayContaining(['FacesStateMachineArn', 'MoreStateMachineArn']));
    // CloudFormation takes 500.
    expect(made.length).toBeLessThan(450);
  });

  test.each<[what: string, id: string, props: (faces: Rollcall) => Partial<RollcallProps>, line: RegExp]>([
    [
      'collections',
      'More',
      (faces) => ({ ...second(faces), stage: undefined }) as never,
      /each other's coll/,
    ],
    [
      'a quota',
      'More',
      (faces) => ({ ...second(faces), slotLedger: undefined }) as never,
      /slotLedger of Faces/,
    ],
    ['outputs', 'Fa-ces', second, /have the same outputs/],
  ])('that would share %s are refused in one line', (_, id, props, line) => {
    const { stack, faces } = platform();
    expect(() => new Rollcall(stack, id, props(faces))).toThrow(line);
  });

  const claims = fc.record({
    id: fc.constantFrom('A', 'B'),
    outputs: fc.constantFrom('A', 'B', ''),
    collectionPrefix: fc.constantFrom('r-', 'r.a-', 'r', 'x'),
    ledger: fc.constantFrom(1, 2),
    hasOwnRate: fc.boolean(),
    database: fc.option(
      fc.record({ server: fc.constantFrom(1, 2), schema: fc.constantFrom('rollcall', 'two') }),
      { nil: undefined },
    ),
  });

  test('fit whichever comes first, and never where one would take what is the other’s', () => {
    fc.assert(
      fc.property(claims, claims, (one, other) => {
        const shares =
          one.outputs === other.outputs ||
          one.collectionPrefix.startsWith(other.collectionPrefix) ||
          other.collectionPrefix.startsWith(one.collectionPrefix) ||
          (one.ledger !== other.ledger && !(one.hasOwnRate && other.hasOwnRate)) ||
          (one.database !== undefined && text(one.database) === text(other.database));
        expect([conflict(one, other), conflict(other, one)].map((why) => why !== undefined)).toEqual([
          shares,
          shares,
        ]);
      }),
    );
  });
});

test('passes the rule pack, but for what is theirs', () => {
  const { app } = platform();
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  let findings = '';
  try {
    app.synth();
  } catch (error) {
    findings = String(error);
  }
  expect(findings).toContain('Platform/Uploads');
  expect(findings.match(/Platform\/Faces\/\S+/g) ?? []).toEqual([]);
});

describe('the end of a photo', () => {
  const input = {
    lane: 'live',
    bucket: 'uploads',
    object: { key: 'events/0b8f1c8e-5d0a-4b6e-9a51-3b1f6d1c2a77/a.jpg', etag: 'e', sequencer: '1A' },
  };
  const detail = {
    executionArn: 'arn:aws:states:eu-west-1:1:execution:m:n',
    status: 'SUCCEEDED',
    input: text(input),
    stopDate: Date.parse('2026-05-01T10:00:00Z'),
  };
  const outcome = {
    event_id: input.object.key.split('/')[1],
    photo_id: 'p',
    effect: 'stored',
    face_count: 3,
  };

  test('is unpacked: indexed, settled, failed, cut off', () => {
    expect(photoEnd({ detail: { ...detail, output: text({ ...input, outcome }) } })).toMatchObject({
      version: 1,
      outcome: 'indexed',
      photo_id: 'p',
      face_count: 3,
      failure_code: null,
      ended_at: '2026-05-01T10:00:00.000Z',
    });
    expect(
      photoEnd({ detail: { ...detail, output: text({ marked: { photo_id: 'p', effect: 'deleted' } }) } }),
    ).toMatchObject({ outcome: 'settled', effect: 'deleted', face_count: null });
    expect(photoEnd({ detail: { ...detail, status: 'FAILED', error: 'ImageTooLarge' } })).toMatchObject({
      outcome: 'failed',
      failure_code: 'ImageTooLarge',
      retryable: false,
      photo_id: expect.any(String),
    });
    expect(photoEnd({ detail: { ...detail, status: 'ABORTED' } })).toMatchObject({
      failure_code: 'ExecutionAborted',
      retryable: true,
    });
  });

  test('of something else is refused in one line', () => {
    expect(() => photoEnd({ detail: { ...detail, input: '{}' } })).toThrow(
      /is not the end of a photo's execution$/,
    );
  });
});
