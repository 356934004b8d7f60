import { METRICS_NAMESPACE, SERVICE_NAME } from '../../lambdas/shared/contract/names.ts';
import { configurations, SECRET } from '../support/configurations.ts';
import { synthesised, synthesisedStack } from '../support/synthesised.ts';
import { type CfnResource, listOf, type ReadableTemplate, type Statement } from '../support/template.ts';

const { template: readable, artifact } = synthesisedStack();
const external = synthesised(configurations.external);
const tryOut = synthesised(configurations.otherwise);
const capped = synthesised(configurations.photographerCapsAlone);

describe('both buckets', () => {
  test.each(['PhotoBucket', 'ResultsBucket'])('%s is private, encrypted, and open over TLS only', (name) => {
    const bucket = readable.resources('AWS::S3::Bucket')[name]!;
    expect(bucket.Properties).toMatchObject({
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
    });
    expect(bucket.DeletionPolicy).toBe('RetainExceptOnCreate');
    const policy = readable.resources('AWS::S3::BucketPolicy')[`${name}/Policy`]!;
    const { Statement: statements } = policy.Properties.PolicyDocument as { Statement: Statement[] };
    expect(statements).toContainEqual(
      expect.objectContaining({
        Effect: 'Deny',
        Action: 's3:*',
        Principal: { AWS: '*' },
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
    );
    expect(statements).toContainEqual(
      expect.objectContaining({
        Effect: 'Deny',
        Action: 's3:*',
        Principal: { AWS: '*' },
        Condition: {
          StringNotEquals: { 'aws:PrincipalAccount': { Ref: 'AWS::AccountId' } },
          BoolIfExists: { 'aws:PrincipalIsAWSService': 'false' },
        },
      }),
    );
    expect(statements.every(({ Effect }) => Effect === 'Deny')).toBe(true);
  });

  test('photos tell EventBridge and stay; results expire', () => {
    const { PhotoBucket, ResultsBucket } = readable.resources('AWS::S3::Bucket');
    expect(PhotoBucket?.Properties.NotificationConfiguration).toEqual({
      EventBridgeConfiguration: { EventBridgeEnabled: true },
    });
    expect(ResultsBucket?.Properties.NotificationConfiguration).toBeUndefined();
    const expirations = (bucket?: CfnResource) =>
      (bucket!.Properties.LifecycleConfiguration as { Rules: Record<string, unknown>[] }).Rules.map(
        (rule) => rule.ExpirationInDays,
      ).filter((days) => days !== undefined);
    expect(expirations(PhotoBucket)).toEqual([]);
    expect(expirations(ResultsBucket)).toEqual([30, 1]);
    expect(PhotoBucket?.Properties.VersioningConfiguration).toBeUndefined();

    const configured = tryOut.resources('AWS::S3::Bucket');
    expect(expirations(configured.ResultsBucket)).toEqual([3, 1]);
    expect(configured.PhotoBucket?.Properties.VersioningConfiguration).toEqual({ Status: 'Enabled' });
  });
});

type Target = Record<string, Record<string, unknown>>;

describe('the rule', () => {
  const rule = readable.resources('AWS::Events::Rule')['UploadRule/Rule']!.Properties;
  const [target, announcement] = rule.Targets as [Target, Target];

  test('hears of every object of the photo bucket but folder markers', () => {
    expect(rule.EventPattern).toEqual({
      source: ['aws.s3'],
      'detail-type': ['Object Created'],
      detail: {
        bucket: { name: [{ Ref: expect.stringMatching(/^PhotoBucket/) }] },
        object: { key: [{ 'anything-but': { suffix: '/' } }] },
      },
    });
    expect(rule.State).toBe('ENABLED');
  });

  test('gives the state machine the object whole, the bucket and the time', () => {
    expect(readable.text(target.Arn)).toBe('{PhotoIndexing/StateMachine}');
    const { InputPathsMap: paths, InputTemplate: text } = target.InputTransformer as {
      InputPathsMap: Record<string, string>;
      InputTemplate: string;
    };
    // As EventBridge does it: each placeholder is replaced with the JSON of what its path finds.
    const event = {
      time: '2026-05-01T10:00:00Z',
      detail: {
        bucket: { name: 'photos' },
        object: { key: 'events/e/a "b".jpg', size: 1, etag: 'e1', sequencer: '0A' },
      },
    };
    const find = (jsonPath: string) =>
      jsonPath
        .split('.')
        .slice(1)
        .reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], event);
    const input = text.replaceAll(/<([\w-]+)>/g, (_, name: string) => JSON.stringify(find(paths[name]!)));
    expect(JSON.parse(input)).toEqual({
      lane: 'live',
      bucket: 'photos',
      object: event.detail.object,
      event_time: event.time,
    });
  });

  test('announces the same photo, to a queue that hands over whole batches, and keeps nothing for long', () => {
    expect(readable.text(announcement.Arn)).toBe('{Announcements/Queue.Arn}');
    expect(announcement.InputTransformer).toEqual(target.InputTransformer);
    expect(announcement.RetryPolicy).toEqual({ MaximumEventAgeInSeconds: 3_600 });
    const { Properties: queue } = readable.resources('AWS::SQS::Queue')['Announcements/Queue']!;
    expect(queue).toMatchObject({ MessageRetentionPeriod: 24 * 3_600, SqsManagedSseEnabled: true });
    const { Properties: mapping } = readable.resources('AWS::Lambda::EventSourceMapping')[
      'Announcements/Mapping'
    ]!;
    expect(mapping).toMatchObject({
      BatchSize: 100,
      MaximumBatchingWindowInSeconds: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 2 },
    });
    expect(readable.text(mapping.EventSourceArn)).toBe('{Announcements/Queue.Arn}');
    expect(readable.text(mapping.FunctionName)).toBe('{Announcements/AnnouncePhotos}');
    const fn = readable.resources('AWS::Lambda::Function')['Announcements/AnnouncePhotos']!.Properties;
    // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    expect(queue.VisibilityTimeout as number).toBeGreaterThanOrEqual(6 * (fn.Timeout as number) + 1);
  });

  test('tries for a day, then leaves the photo to the last resort', () => {
    expect(target.RetryPolicy).toEqual({ MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 });
    expect(readable.text(target.DeadLetterConfig?.Arn)).toBe('{LastResort/Queue.Arn}');
  });
});

describe('the tables', () => {
  const expiring = { TimeToLiveSpecification: { AttributeName: 'expiration', Enabled: true } };
  const tables = [
    ['IdempotencyTable', expiring, true],
    ['SlotLedger', {}, undefined],
    ['PersonSearch/SearchLimits', expiring, undefined],
  ] as const;

  test('are these', () => {
    expect(Object.keys(readable.resources('AWS::DynamoDB::Table')).sort()).toEqual(
      tables.map(([name]) => name).sort(),
    );
  });

  test.each(tables)('%s is keyed by id, on demand and encrypted', (name, rest, recovery) => {
    const table = readable.resources('AWS::DynamoDB::Table')[name]!;
    expect(table.Properties).toMatchObject({
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST',
      SSESpecification: { SSEEnabled: true },
      ...rest,
    });
    const { PointInTimeRecoverySpecification: pitr } = table.Properties as {
      PointInTimeRecoverySpecification?: { PointInTimeRecoveryEnabled: boolean };
    };
    expect(pitr?.PointInTimeRecoveryEnabled).toBe(recovery);
    expect(table.DeletionPolicy).toBe('RetainExceptOnCreate');
  });
});

describe('the functions', () => {
  const common = ['POWERTOOLS_SERVICE_NAME', 'POWERTOOLS_METRICS_NAMESPACE', 'LOG_LEVEL'];
  const iam = [
    'DATABASE_AUTH',
    'DATABASE_HOST',
    'DATABASE_PORT',
    'DATABASE_NAME',
    'DATABASE_USER',
    'DATABASE_SCHEMA',
    'NODE_EXTRA_CA_CERTS',
  ];
  const secret = ['DATABASE_AUTH', 'DATABASE_SECRET_ARN', 'DATABASE_SCHEMA', 'NODE_EXTRA_CA_CERTS'];
  const PACE = ['INDEX_FACES_PER_SECOND', 'READS_INDEX_FACES_QUOTA'];
  const functions: [path: string, seconds: number, environment: string[], database: boolean][] = [
    ['PhotoIndexing/EnsureCollection', 15, ['IDEMPOTENCY_TABLE', 'COLLECTION_PREFIX'], false],
    ['PhotoIndexing/JoinLine', 15, ['LEDGER_TABLE', ...PACE, 'DAILY_IMAGE_CAP', 'RESULTS_BUCKET'], false],
    [
      'PhotoIndexing/IndexFaces',
      60,
      [
        'IDEMPOTENCY_TABLE',
        'LEDGER_TABLE',
        ...PACE,
        'DAILY_IMAGE_CAP',
        'RESULTS_BUCKET',
        'QUALITY_FILTER',
        'MAX_FACES',
        'DETECTION_ATTRIBUTES',
        'REKOGNITION_RESPONSE',
      ],
      false,
    ],
    ['PhotoIndexing/PersistResults', 90, ['RESULTS_BUCKET'], true],
    ['PhotoIndexing/MarkFailed', 90, [], true],
    ['Schema/MigrateDatabase', 300, [], true],
    ['Backfill/SkipIndexed', 90, ['PHOTO_BUCKET_VERSIONED'], true],
    [
      'Erasure/RequestErasure',
      120,
      ['COLLECTION_PREFIX', 'FACE_RETENTION_DAYS', 'SEARCH_RETENTION_DAYS'],
      true,
    ],
    ['Erasure/ListErasures', 90, ['COLLECTION_PREFIX'], true],
    ['Erasure/RemoveFaces', 300, ['RESULTS_BUCKET'], false],
    ['Erasure/ConfirmErasure', 90, [], true],
    ['Operations/AnswerOperator', 90, [], true],
    ['Gallery/ReadGallery', 29, ['LEDGER_TABLE', ...PACE, 'DAILY_IMAGE_CAP', 'PHOTO_BUCKET'], true],
    [
      'Reconciliation/BeginReconciliation',
      300,
      [
        'RESULTS_BUCKET',
        'PHOTO_BUCKET',
        'COLLECTION_PREFIX',
        'LEDGER_TABLE',
        'INDEX_PHOTO_STATE_MACHINE',
        'ERASE_FACES_STATE_MACHINE',
        'RECONCILE_MAX_IMAGES',
      ],
      false,
    ],
    ['Reconciliation/ReadRows', 300, ['RESULTS_BUCKET'], true],
    [
      'Reconciliation/SurveyEvents',
      600,
      [
        'RESULTS_BUCKET',
        'PHOTO_BUCKET',
        'COLLECTION_PREFIX',
        'PHOTO_BUCKET_VERSIONED',
        'ABANDONED_COLLECTION_DAYS',
      ],
      false,
    ],
    [
      'Reconciliation/MendDisagreements',
      300,
      [
        'RESULTS_BUCKET',
        'PHOTO_BUCKET',
        'COLLECTION_PREFIX',
        'LEDGER_TABLE',
        'INDEX_PHOTO_STATE_MACHINE',
        'ERASE_FACES_STATE_MACHINE',
        'DAILY_IMAGE_CAP',
      ],
      false,
    ],
    [
      'PersonSearch/FindPerson',
      120,
      [
        'COLLECTION_PREFIX',
        'LEDGER_TABLE',
        'SEARCH_LIMITS_TABLE',
        'SEARCH_FACES_PER_SECOND',
        'DAILY_SEARCH_CAP',
        'SEARCHES_PER_EVENT_HOUR',
        'SEARCHES_PER_CALLER_HOUR',
        'RESOLVE_FACES_FUNCTION',
      ],
      false,
    ],
    ['PersonSearch/ResolveFaces', 90, ['FACE_RETENTION_DAYS'], true],
    ['QuotaReading/ReadQuota', 30, ['LEDGER_TABLE'], false],
    ['Announcements/AnnouncePhotos', 90, [], true],
  ];
  /** Megabytes, where they are not 512. */
  const memory: Record<string, number> = {
    'PhotoIndexing/JoinLine': 256,
    'PhotoIndexing/IndexFaces': 256,
    'PhotoIndexing/PersistResults': 256,
    'Reconciliation/ReadRows': 1_024,
    'Reconciliation/SurveyEvents': 1_024,
    'Reconciliation/MendDisagreements': 1_024,
  };

  const own = (from: ReadableTemplate) =>
    Object.fromEntries(
      Object.entries(from.resources('AWS::Lambda::Function')).filter(
        ([name]) => !/CustomResource/.test(name),
      ),
    );
  const environment = (fn?: CfnResource) =>
    ((fn?.Properties.Environment ?? {}) as { Variables?: Record<string, unknown> }).Variables ?? {};

  test('there are these and the one that creates the database roles', () => {
    const names = functions.map(([name]) => name);
    expect(Object.keys(own(external)).sort()).toEqual([...names].sort());
    expect(Object.keys(own(readable)).sort()).toEqual([...names, 'Database/BootstrapDatabase'].sort());
  });

  test.each(functions)(
    '%s runs on Node 24 and arm64, has its own log, and ends after %d s',
    (name, seconds) => {
      const fn = own(readable)[name]!;
      expect(fn.Properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        Timeout: seconds,
        MemorySize: memory[name] ?? 512,
        LoggingConfig: { LogGroup: { Ref: expect.any(String) } },
      });
      expect(fn.Properties.FunctionName).toBeUndefined();
      expect(fn.Properties.ReservedConcurrentExecutions).toBeUndefined();
      const { LogGroup: group } = fn.Properties.LoggingConfig as { LogGroup: unknown };
      expect(readable.text(group)).toBe(`{${name}Logs}`);
      expect(readable.resources('AWS::Logs::LogGroup')[`${name}Logs`]?.Properties.RetentionInDays).toBe(30);
    },
  );

  test.each(functions)('%s (%d s) knows %j and, if it needs it, the database', (name, _, names, database) => {
    expect(Object.keys(environment(own(readable)[name])).sort()).toEqual(
      [...common, ...names, ...(database ? iam : [])].sort(),
    );
    expect(Object.keys(environment(own(external)[name])).sort()).toEqual(
      [...common, ...names, ...(database ? secret : [])].sort(),
    );
    expect(environment(own(readable)[name])).toMatchObject({
      POWERTOOLS_SERVICE_NAME: SERVICE_NAME,
      POWERTOOLS_METRICS_NAMESPACE: METRICS_NAMESPACE,
      LOG_LEVEL: 'INFO',
    });
  });

  test.each(functions)(
    '%s (%d s) is inside the network when, and only when, it talks to Postgres',
    (name, _, __, database) => {
      expect(Boolean(own(readable)[name]?.Properties.VpcConfig)).toBe(database);
      expect(own(external)[name]?.Properties.VpcConfig).toBeUndefined();
    },
  );

  test('log in as the role that their work needs, with the certificate verified', () => {
    const user = (name: string) => environment(own(readable)[name]).DATABASE_USER;
    expect(user('PhotoIndexing/PersistResults')).toBe('rollcall_pipeline');
    expect(user('PhotoIndexing/MarkFailed')).toBe('rollcall_pipeline');
    expect(user('Announcements/AnnouncePhotos')).toBe('rollcall_pipeline');
    expect(user('Schema/MigrateDatabase')).toBe('rollcall_migrator');
    expect(environment(own(readable)['PhotoIndexing/MarkFailed'])).toMatchObject({
      DATABASE_AUTH: 'iam',
      DATABASE_NAME: 'rollcall',
      DATABASE_SCHEMA: 'rollcall',
      NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem',
    });
    expect(environment(own(external)['PhotoIndexing/MarkFailed'])).toMatchObject({
      DATABASE_AUTH: 'secret',
      DATABASE_SECRET_ARN: SECRET,
    });
  });

  test('get what is configured', () => {
    const configured = own(tryOut);
    const indexFaces = environment(configured['PhotoIndexing/IndexFaces']);
    expect(indexFaces).toMatchObject({
      INDEX_FACES_PER_SECOND: '20',
      DAILY_IMAGE_CAP: '1000',
      QUALITY_FILTER: 'NONE',
      MAX_FACES: '15',
      DETECTION_ATTRIBUTES: 'DEFAULT,SMILE',
      LOG_LEVEL: 'DEBUG',
    });
    expect(environment(configured['PhotoIndexing/EnsureCollection']).COLLECTION_PREFIX).toBe('fest-');
    for (const [name] of functions.filter(([path]) => path.startsWith('PhotoIndexing'))) {
      expect(configured[name]?.Properties).toMatchObject({
        ReservedConcurrentExecutions: 7,
        TracingConfig: { Mode: 'Active' },
      });
    }
    expect(configured['Schema/MigrateDatabase']?.Properties.ReservedConcurrentExecutions).toBeUndefined();
  });

  test("take the Region's default quota when none is configured", () => {
    for (const name of ['PhotoIndexing/JoinLine', 'PhotoIndexing/IndexFaces']) {
      const rate = environment(own(readable)[name]).INDEX_FACES_PER_SECOND as {
        'Fn::If': [string, string, string];
      };
      const [condition, fast, slow] = rate['Fn::If'];
      expect([fast, slow]).toEqual(['50', '5']);
      const conditions = readable.json.Conditions as Record<string, unknown>;
      expect(conditions[condition]).toEqual({
        'Fn::Or': ['us-east-1', 'us-west-2', 'eu-west-1'].map((region) => ({
          'Fn::Equals': [{ Ref: 'AWS::Region' }, region],
        })),
      });
    }
  });
});

describe('the network', () => {
  test('has no way out but the gateways to the results bucket and to the slot ledger', () => {
    for (const type of ['InternetGateway', 'NatGateway', 'Route', 'EIP', 'VPCPeeringConnection']) {
      expect(readable.resources(`AWS::EC2::${type}`)).toEqual({});
    }
    const endpoints = Object.values(readable.resources('AWS::EC2::VPCEndpoint')).map(
      ({ Properties }) => Properties,
    );
    expect(endpoints.map(({ VpcEndpointType }) => VpcEndpointType)).toEqual(['Gateway', 'Gateway']);
    const statements = endpoints.flatMap(
      ({ PolicyDocument }) => (PolicyDocument as { Statement: Statement[] }).Statement,
    );
    expect(
      statements.map(({ Action, Resource }) => [
        Action,
        listOf(Resource).map((resource) => readable.text(resource)),
      ]),
    ).toEqual([
      [
        ['s3:GetObject', 's3:ListBucket'],
        ['{ResultsBucket.Arn}', '{ResultsBucket.Arn}/*'],
      ],
      // Only what a reconciliation has read.
      ['s3:PutObject', ['{ResultsBucket.Arn}/reconciliations/*']],
      ['dynamodb:GetItem', ['{SlotLedger.Arn}']],
    ]);
  });

  test('lets functions reach the database on its port, and the database nothing', () => {
    expect(readable.only('AWS::EC2::SecurityGroupIngress').Properties).toMatchObject({
      FromPort: 5432,
      ToPort: 5432,
      IpProtocol: 'tcp',
    });
    const ingress = readable.only('AWS::EC2::SecurityGroupIngress').Properties;
    expect(readable.text(ingress.GroupId)).toBe('{Database/Servers.GroupId}');
    expect(readable.text(ingress.SourceSecurityGroupId)).toBe('{Database/Clients.GroupId}');
    const groups = readable.resources('AWS::EC2::SecurityGroup');
    for (const group of Object.values(groups)) {
      expect(group.Properties.SecurityGroupIngress).toBeUndefined();
    }
    const egress = readable.only('AWS::EC2::SecurityGroupEgress').Properties;
    expect(readable.text(egress.GroupId)).toBe('{Database/Clients.GroupId}');
    expect(readable.text(egress.DestinationSecurityGroupId)).toBe('{Database/Servers.GroupId}');
    for (const name of ['BucketClients', 'TableClients']) {
      expect(groups[`Network/${name}`]?.Properties.SecurityGroupEgress).toEqual([
        expect.objectContaining({ FromPort: 443, ToPort: 443, IpProtocol: 'tcp' }),
      ]);
    }
  });

  test('opens the bucket to persist-results and read-rows alone', () => {
    const members = Object.entries(readable.resources('AWS::Lambda::Function')).filter(([, fn]) =>
      (fn.Properties.VpcConfig as { SecurityGroupIds: unknown[] } | undefined)?.SecurityGroupIds.some(
        (group) => readable.text(group) === '{Network/BucketClients.GroupId}',
      ),
    );
    expect(members.map(([name]) => name)).toEqual([
      'PhotoIndexing/PersistResults',
      'Reconciliation/ReadRows',
    ]);
  });

  test('is not there with an external database', () => {
    for (const type of ['EC2::VPC', 'EC2::SecurityGroup', 'RDS::DBCluster']) {
      expect(external.resources(`AWS::${type}`)).toEqual({});
    }
  });
});

describe('the database', () => {
  test('sleeps when idle, is encrypted, asks for IAM and keeps its master password to itself', () => {
    const cluster = readable.only('AWS::RDS::DBCluster');
    expect(cluster.Properties).toMatchObject({
      Engine: 'aurora-postgresql',
      ServerlessV2ScalingConfiguration: { MinCapacity: 0, MaxCapacity: 4 },
      StorageEncrypted: true,
      EnableIAMDatabaseAuthentication: true,
      EnableHttpEndpoint: true,
      ManageMasterUserPassword: true,
      BackupRetentionPeriod: 7,
      DatabaseName: 'rollcall',
    });
    expect(cluster.Properties.MasterUserPassword).toBeUndefined();
    expect(readable.only('AWS::RDS::DBInstance').Properties).toMatchObject({
      DBInstanceClass: 'db.serverless',
      PubliclyAccessible: false,
    });
  });

  test('takes its capacity and backups from the configuration', () => {
    expect(tryOut.only('AWS::RDS::DBCluster').Properties).toMatchObject({
      ServerlessV2ScalingConfiguration: { MinCapacity: 0.5, MaxCapacity: 16 },
      BackupRetentionPeriod: 14,
      DeletionProtection: false,
    });
  });

  test('gets its roles, then its schema, then its users', () => {
    const json = readable.json.Resources;
    /** Whether a resource can only come after another. */
    const isAfter = (later: string, earlier: string, seen = new Set<string>()): boolean => {
      if (later === earlier) {
        return true;
      }
      const resource = json[later];
      if (!resource || seen.has(later)) {
        return false;
      }
      seen.add(later);
      const references = [
        ...JSON.stringify(resource.Properties ?? {}).matchAll(/"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/g),
      ].map(([, id]) => id!);
      return [...listOf(resource.DependsOn), ...references].some((id) => isAfter(id, earlier, seen));
    };
    const id = (path: string) => Object.keys(json).find((logicalId) => readable.path(logicalId) === path)!;
    const order = [
      'Database/Cluster/Writer',
      'Database/Roles/Default',
      'Schema/Migration/Default',
      'PhotoIndexing/PersistResults',
      'PhotoIndexing/StateMachine',
      'UploadRule/Rule',
    ];
    for (const [index, path] of order.entries()) {
      expect(id(path)).toBeDefined();
      for (const earlier of order.slice(0, index)) {
        expect([path, 'after', earlier, isAfter(id(path), id(earlier))]).toEqual([
          path,
          'after',
          earlier,
          true,
        ]);
        expect([earlier, 'after', path, isAfter(id(earlier), id(path))]).toEqual([
          earlier,
          'after',
          path,
          false,
        ]);
      }
    }
    for (const type of ['AWS::EC2::SecurityGroupEgress', 'AWS::EC2::SecurityGroupIngress']) {
      const [path] = Object.keys(readable.resources(type));
      expect(isAfter(id('Schema/Migration/Default'), id(path!))).toBe(true);
    }
    expect(isAfter(id('PhotoIndexing/MarkFailed'), id('Schema/Migration/Default'))).toBe(true);
  });
});

describe('the stack', () => {
  test('keeps its data and what its database stands on, unless it is a try-out', () => {
    const kept = (from: ReadableTemplate) =>
      Object.entries(from.json.Resources).filter(
        ([, { DeletionPolicy }]) => !['Delete', undefined].includes(DeletionPolicy),
      );
    expect(new Set(kept(readable).map(([, { Type }]) => Type))).toEqual(
      new Set([
        'AWS::S3::Bucket',
        'AWS::DynamoDB::Table',
        'AWS::RDS::DBCluster',
        'AWS::RDS::DBInstance',
        'AWS::RDS::DBSubnetGroup',
        'AWS::EC2::VPC',
        'AWS::EC2::Subnet',
        'AWS::EC2::SecurityGroup',
        'AWS::Logs::LogGroup',
      ]),
    );
    // Whatever a kept resource refers to is kept with it, or CloudFormation could not delete the rest.
    const ids = new Set(kept(readable).map(([id]) => id));
    for (const [id, { Properties }] of kept(readable)) {
      const needs = [...JSON.stringify(Properties ?? {}).matchAll(/"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/g)];
      expect([id, needs.map(([, needed]) => needed!).filter((needed) => !ids.has(needed))]).toEqual([id, []]);
    }
    expect(kept(tryOut)).toEqual([]);
    expect(Object.keys(tryOut.resources('Custom::S3AutoDeleteObjects'))).toHaveLength(2);
  });

  test('can be rolled back to nothing and made again, whichever resource fails', () => {
    // Termination protection would refuse `cdk deploy` to delete what is left of the first try, deletion protection the
    // rollback to delete the cluster; "Retain" and "Snapshot" hold for a resource that was just made, too.
    expect(artifact.properties.terminationProtection).toBe(false);
    for (const from of [readable, external, tryOut]) {
      for (const [id, { DeletionPolicy, Properties }] of Object.entries(from.json.Resources)) {
        expect([id, DeletionPolicy ?? 'Delete']).toEqual([
          id,
          expect.stringMatching(/^(Delete|RetainExceptOnCreate)$/),
        ]);
        for (const protection of ['DeletionProtection', 'DeletionProtectionEnabled']) {
          expect([id, Properties?.[protection] ?? false]).toEqual([id, false]);
        }
      }
    }
  });

  test('is protected, the database too, when it is told to after the first success', () => {
    const told = synthesisedStack(configurations.protected);
    expect(told.artifact.properties.terminationProtection).toBe(true);
    expect(told.template.only('AWS::RDS::DBCluster').Properties.DeletionProtection).toBe(true);
  });

  test('belongs to no account or Region and names nothing', () => {
    expect(artifact.environment).toBe('aws://unknown-account/unknown-region');
    const names =
      /^(BucketName|TableName|FunctionName|QueueName|StateMachineName|RoleName|LogGroupName|DBClusterIdentifier|GroupName)$/;
    for (const [id, { Properties }] of Object.entries(readable.json.Resources)) {
      const named = Object.entries(Properties ?? {}).filter(
        ([name, value]) => names.test(name) && typeof value === 'string',
      );
      expect([id, named]).toEqual([id, []]);
    }
  });

  test('tags what can be tagged', () => {
    const tags = (from: ReadableTemplate, type: string) =>
      Object.values(from.resources(type)).map(({ Properties }) => Properties.Tags);
    for (const type of [
      'AWS::S3::Bucket',
      'AWS::DynamoDB::Table',
      'AWS::SQS::Queue',
      'AWS::StepFunctions::StateMachine',
    ]) {
      for (const found of tags(readable, type)) {
        expect(found).toContainEqual({ Key: 'application', Value: 'rollcall' });
      }
      for (const found of tags(tryOut, type)) {
        expect(found).toContainEqual({ Key: 'team', Value: 'photos' });
      }
    }
  });

  test('tells the operator where things are', () => {
    const outputs = Object.keys(readable.json.Outputs as object);
    const always = [
      'ApiUrl',
      'CollectionPrefix',
      'CriticalAlarmsTopicArn',
      'DailyImageCap',
      'Dashboard',
      'DatabaseSecretArn',
      'EraseFacesStateMachineArn',
      'ErasureDeadLetterQueueUrl',
      'IdempotencyTableName',
      'IndexFacesPerSecond',
      'BackfillStateMachineArn',
      'FindPersonFunctionName',
      'LastResortDeadLetterQueueUrl',
      'LastResortQueueUrl',
      'OperatorFunctionName',
      'PhotoBucketName',
      'ReadsIndexFacesQuota',
      'ReconcileStateMachineArn',
      'ResultsBucketName',
      'SkipIndexedFunctionName',
      'SlotLedgerTableName',
      'StateMachineArn',
      'StateMachineConsole',
      'WarningsTopicArn',
    ];
    const aurora = [
      'DatabaseClientSecurityGroupId',
      'DatabaseClusterArn',
      'DatabaseEndpoint',
      'DatabaseReaderArn',
      'DatabaseSubnetIds',
    ];
    expect(outputs.sort()).toEqual([...always, ...aurora].sort());
    expect(Object.keys(external.json.Outputs as object).sort()).toEqual([...always].sort());
    expect(capped.json.Outputs).toMatchObject({
      DailyImagesPerPhotographer: { Value: '500' },
      PhotographersTableName: { Value: { Ref: expect.stringMatching(/^PhotographerCapsTable/) } },
    });
  });

  test('logs the failures of executions, without the photos they are about', () => {
    const machines = (from: ReadableTemplate) =>
      Object.values(from.resources('AWS::StepFunctions::StateMachine')).map(({ Properties }) => Properties);
    for (const [from, Enabled] of [
      [readable, false],
      [tryOut, true],
    ] as const) {
      expect(machines(from)).toHaveLength(4);
      for (const machine of machines(from)) {
        expect(machine).toMatchObject({
          StateMachineType: 'STANDARD',
          LoggingConfiguration: { Level: 'ERROR', IncludeExecutionData: false },
          TracingConfiguration: { Enabled },
        });
      }
    }
  });
});
