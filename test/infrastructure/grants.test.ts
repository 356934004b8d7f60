import { configurations, KEY, SECRET } from '../support/configurations.ts';
import { synthesised } from '../support/synthesised.ts';
import { type RoleGrants, rolesOf } from '../support/template.ts';

const variants = {
  aurora: synthesised({}),
  external: synthesised(configurations.external),
  'everything on': synthesised(configurations.everyRight),
};
const { aurora } = variants;
const capped = {
  tryOut: synthesised(configurations.tryOut),
  photographerCapsAlone: synthesised(configurations.photographerCapsAlone),
};

const indexing = 'PhotoIndexing';
const COLLECTIONS = 'arn:{AWS::Partition}:rekognition:{AWS::Region}:{AWS::AccountId}:collection/rollcall-*';

const logs = (name: string) => ({
  'logs:CreateLogStream': [`{${name}Logs.Arn}`],
  'logs:PutLogEvents': [`{${name}Logs.Arn}`],
});
const network = Object.fromEntries(
  [
    'AssignPrivateIpAddresses',
    'CreateNetworkInterface',
    'DeleteNetworkInterface',
    'DescribeNetworkInterfaces',
    'DescribeSubnets',
    'UnassignPrivateIpAddresses',
  ].map((action) => [`ec2:${action}`, ['*']]),
);
const connectAs = (user: string) => ({
  'rds-db:connect': [
    `arn:{AWS::Partition}:rds-db:{AWS::Region}:{AWS::AccountId}:dbuser:{Database/Cluster.DBClusterResourceId}/${user}`,
  ],
});
/** What Lambda's poller does with the function's role. */
const polls = (queue: string) =>
  Object.fromEntries(
    ['DeleteMessage', 'GetQueueAttributes', 'ReceiveMessage'].map((action) => [
      `sqs:${action}`,
      [`{${queue}.Arn}`],
    ]),
  );
const asksForQuota = {
  'servicequotas:GetServiceQuota': [
    'arn:{AWS::Partition}:servicequotas:{AWS::Region}:{AWS::AccountId}:rekognition/L-7C13EBAD',
  ],
};
const endedExecutions = polls('LastResort/Queue');
/** What Step Functions needs to write its own log. */
const logDelivery = Object.fromEntries(
  [
    'CreateLogDelivery',
    'DeleteLogDelivery',
    'DescribeLogGroups',
    'DescribeResourcePolicies',
    'GetLogDelivery',
    'ListLogDeliveries',
    'PutResourcePolicy',
    'UpdateLogDelivery',
  ].map((action) => [`logs:${action}`, ['*']]),
);
const executionsOf = (machine: string) =>
  `arn:{AWS::Partition}:states:{AWS::Region}:{AWS::AccountId}:execution:{${machine}.Name}:*`;
const batchesOf = (machine: string) =>
  `arn:{AWS::Partition}:states:{AWS::Region}:{AWS::AccountId}:execution:{${machine}.Name}/*:*`;
const STARTED_EXECUTIONS =
  'arn:{AWS::Partition}:events:{AWS::Region}:{AWS::AccountId}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule';
const BATCH_RESULTS = '{ResultsBucket.Arn}/backfills/*';
const RECONCILIATIONS = '{ResultsBucket.Arn}/reconciliations/*';
const atWork = { 's3:GetObject': [RECONCILIATIONS], 's3:PutObject': [RECONCILIATIONS] };
const RECEIPTS = '{IdempotencyTable.Arn}';
const LEDGER = '{SlotLedger.Arn}';

/** Everything that anything in the stack may do. An action that is added anywhere has to be added here. */
const expected: Record<string, RoleGrants['allowed']> = {
  [`${indexing}/EnsureCollectionRole`]: {
    ...logs(`${indexing}/EnsureCollection`),
    'dynamodb:GetItem': [RECEIPTS],
    'dynamodb:PutItem': [RECEIPTS],
    'dynamodb:UpdateItem': [RECEIPTS],
    'dynamodb:DeleteItem': [RECEIPTS],
    'rekognition:CreateCollection': ['*'],
    'rekognition:DescribeCollection': [COLLECTIONS],
  },
  [`${indexing}/JoinLineRole`]: {
    ...logs(`${indexing}/JoinLine`),
    'dynamodb:GetItem': [LEDGER],
    'dynamodb:UpdateItem': [LEDGER],
    's3:GetObject': ['{ResultsBucket.Arn}/results/*'],
    's3:ListBucket': ['{ResultsBucket.Arn}'],
  },
  [`${indexing}/IndexFacesRole`]: {
    ...logs(`${indexing}/IndexFaces`),
    'dynamodb:GetItem': [RECEIPTS, LEDGER],
    'dynamodb:PutItem': [RECEIPTS],
    'dynamodb:UpdateItem': [RECEIPTS, LEDGER],
    'dynamodb:DeleteItem': [RECEIPTS],
    'rekognition:IndexFaces': [COLLECTIONS],
    's3:GetObject': ['{PhotoBucket.Arn}/events/*', '{ResultsBucket.Arn}/results/*'],
    's3:PutObject': ['{ResultsBucket.Arn}/results/*'],
    's3:ListBucket': ['{PhotoBucket.Arn}', '{ResultsBucket.Arn}'],
    ...asksForQuota,
  },
  [`${indexing}/PersistResultsRole`]: {
    ...logs(`${indexing}/PersistResults`),
    ...network,
    's3:GetObject': ['{ResultsBucket.Arn}/results/*'],
    's3:ListBucket': ['{ResultsBucket.Arn}'],
    ...connectAs('rollcall_pipeline'),
  },
  [`${indexing}/MarkFailedRole`]: {
    ...logs(`${indexing}/MarkFailed`),
    ...network,
    ...connectAs('rollcall_pipeline'),
    ...endedExecutions,
  },
  'Announcements/AnnouncePhotosRole': {
    ...logs('Announcements/AnnouncePhotos'),
    ...network,
    ...connectAs('rollcall_pipeline'),
    ...polls('Announcements/Queue'),
  },
  ...Object.fromEntries(
    ['RequestErasure', 'ListErasures', 'ConfirmErasure'].map((name) => [
      `Erasure/${name}Role`,
      { ...logs(`Erasure/${name}`), ...network, ...connectAs('rollcall_pipeline') },
    ]),
  ),
  'Erasure/RemoveFacesRole': {
    ...logs('Erasure/RemoveFaces'),
    'rekognition:DeleteCollection': [COLLECTIONS],
    'rekognition:DeleteFaces': [COLLECTIONS],
    'rekognition:ListFaces': [COLLECTIONS],
    's3:DeleteObject': ['{ResultsBucket.Arn}/results/*'],
    's3:ListBucket': ['{ResultsBucket.Arn}'],
  },
  'QuotaReading/ReadQuotaRole': {
    ...logs('QuotaReading/ReadQuota'),
    'dynamodb:GetItem': [LEDGER],
    'dynamodb:UpdateItem': [LEDGER],
    ...asksForQuota,
  },
  'Schema/MigrateDatabaseRole': {
    ...logs('Schema/MigrateDatabase'),
    ...network,
    ...connectAs('rollcall_migrator'),
  },
  'Database/BootstrapDatabaseRole': {
    ...logs('Database/BootstrapDatabase'),
    'rds-data:ExecuteStatement': [
      'arn:{AWS::Partition}:rds:{AWS::Region}:{AWS::AccountId}:cluster:{Database/Cluster}',
    ],
    'secretsmanager:GetSecretValue': ['{Database/Cluster.MasterUserSecret.SecretArn}'],
  },
  [`${indexing}/StateMachine/Role`]: {
    'lambda:InvokeFunction': [
      'EnsureCollection',
      'IndexFaces',
      'JoinLine',
      'MarkFailed',
      'PersistResults',
    ].map((name) => `{${indexing}/${name}.Arn}`),
    'states:StartExecution': ['{Erasure/StateMachine}'],
    ...logDelivery,
  },
  'Backfill/StateMachine/Role': {
    ...logDelivery,
    'lambda:InvokeFunction': ['{Backfill/SkipIndexed.Arn}'],
    's3:ListBucket': ['{PhotoBucket.Arn}'],
    's3:PutObject': [BATCH_RESULTS],
    's3:GetObject': [BATCH_RESULTS],
    's3:ListMultipartUploadParts': [BATCH_RESULTS],
    's3:AbortMultipartUpload': [BATCH_RESULTS],
    'states:StartExecution': ['{Backfill/StateMachine}', `{${indexing}/StateMachine}`],
    'states:DescribeExecution': [
      executionsOf('Backfill/StateMachine'),
      executionsOf(`${indexing}/StateMachine`),
    ],
    'states:StopExecution': [executionsOf('Backfill/StateMachine'), executionsOf(`${indexing}/StateMachine`)],
    'states:RedriveExecution': [batchesOf('Backfill/StateMachine')],
    'events:DescribeRule': [STARTED_EXECUTIONS],
    'events:PutRule': [STARTED_EXECUTIONS],
    'events:PutTargets': [STARTED_EXECUTIONS],
  },
  'Backfill/SkipIndexedRole': {
    ...logs('Backfill/SkipIndexed'),
    ...network,
    ...connectAs('rollcall_pipeline'),
  },
  'Operations/AnswerOperatorRole': {
    ...logs('Operations/AnswerOperator'),
    ...network,
    ...connectAs('rollcall_pipeline'),
  },
  'Gallery/ReadGalleryRole': {
    ...logs('Gallery/ReadGallery'),
    ...network,
    ...connectAs('rollcall_gallery'),
    'dynamodb:GetItem': [LEDGER],
    // For the addresses that it signs.
    's3:GetObject': ['{PhotoBucket.Arn}/events/*'],
  },
  'PersonSearch/FindPersonRole': {
    ...logs('PersonSearch/FindPerson'),
    'dynamodb:GetItem': ['{PersonSearch/SearchLimits.Arn}', LEDGER],
    'dynamodb:UpdateItem': ['{PersonSearch/SearchLimits.Arn}', LEDGER],
    'lambda:InvokeFunction': ['{PersonSearch/ResolveFaces.Arn}'],
    'rekognition:SearchFaces': [COLLECTIONS],
    'rekognition:SearchFacesByImage': [COLLECTIONS],
  },
  'PersonSearch/ResolveFacesRole': {
    ...logs('PersonSearch/ResolveFaces'),
    ...network,
    ...connectAs('rollcall_pipeline'),
  },
  'Reconciliation/BeginReconciliationRole': {
    ...logs('Reconciliation/BeginReconciliation'),
    ...atWork,
    'dynamodb:GetItem': [LEDGER],
    'rekognition:ListCollections': ['*'],
    's3:ListBucket': ['{PhotoBucket.Arn}', '{ResultsBucket.Arn}'],
    'states:ListExecutions': [
      '{Erasure/StateMachine}',
      `{${indexing}/StateMachine}`,
      '{Reconciliation/StateMachine}',
    ],
  },
  'Reconciliation/ReadRowsRole': {
    ...logs('Reconciliation/ReadRows'),
    ...network,
    ...connectAs('rollcall_pipeline'),
    ...atWork,
    's3:ListBucket': ['{ResultsBucket.Arn}'],
  },
  'Reconciliation/SurveyEventsRole': {
    ...logs('Reconciliation/SurveyEvents'),
    ...atWork,
    'rekognition:DeleteCollection': [COLLECTIONS],
    'rekognition:DescribeCollection': [COLLECTIONS],
    'rekognition:ListFaces': [COLLECTIONS],
    's3:ListBucket': ['{PhotoBucket.Arn}', '{ResultsBucket.Arn}'],
  },
  'Reconciliation/MendDisagreementsRole': {
    ...logs('Reconciliation/MendDisagreements'),
    ...atWork,
    'dynamodb:GetItem': [LEDGER],
    's3:DeleteObject': [RECONCILIATIONS],
    's3:GetObject': ['{PhotoBucket.Arn}/events/*', RECONCILIATIONS],
    's3:ListBucket': ['{PhotoBucket.Arn}', '{ResultsBucket.Arn}'],
    'states:StartExecution': ['{Erasure/StateMachine}', `{${indexing}/StateMachine}`],
    'states:DescribeExecution': [
      executionsOf('Erasure/StateMachine'),
      executionsOf(`${indexing}/StateMachine`),
    ],
  },
  'Reconciliation/StateMachine/Role': {
    'lambda:InvokeFunction': [
      '{Operations/AnswerOperator.Arn}',
      ...['BeginReconciliation', 'MendDisagreements', 'ReadRows', 'SurveyEvents'].map(
        (name) => `{Reconciliation/${name}.Arn}`,
      ),
    ],
    ...logDelivery,
  },
  'Reconciliation/StateMachine/EventsRole': {
    'states:StartExecution': ['{Reconciliation/StateMachine}'],
  },
  'Erasure/StateMachine/Role': {
    'lambda:InvokeFunction': ['ConfirmErasure', 'ListErasures', 'RemoveFaces', 'RequestErasure'].map(
      (name) => `{Erasure/${name}.Arn}`,
    ),
    ...logDelivery,
  },
  'Erasure/StateMachine/EventsRole': {
    'states:StartExecution': ['{Erasure/StateMachine}'],
  },
  [`${indexing}/StateMachine/EventsRole`]: {
    'states:StartExecution': [`{${indexing}/StateMachine}`],
  },
  'AWSCDK.TriggerCustomResourceProviderCustomResourceProvider/Role': {
    'lambda:InvokeFunction': [
      '{Database/BootstrapDatabase.Arn}:*',
      '{QuotaReading/ReadQuota.Arn}:*',
      '{Schema/MigrateDatabase.Arn}:*',
    ],
  },
};

/** What AWS lets nobody scope to a resource. */
const UNSCOPED = [
  'rekognition:CreateCollection',
  'rekognition:ListCollections',
  /^ec2:\w+(NetworkInterfaces?|PrivateIpAddresses|Subnets)$/,
  /^logs:(\w+LogDelivery|ListLogDeliveries|PutResourcePolicy|DescribeResourcePolicies|DescribeLogGroups)$/,
  /^xray:(PutTraceSegments|PutTelemetryRecords|GetSamplingRules|GetSamplingTargets)$/,
];

test('every role may do what its function does, and nothing else', () => {
  const roles = rolesOf(aurora);
  const allowed = Object.fromEntries(Object.entries(roles).map(([name, role]) => [name, role.allowed]));
  expect(allowed).toEqual(expected);
});

test('with an external database a function with Postgres reads one secret, and there is no network', () => {
  const roles = rolesOf(variants.external);
  const secret = { 'secretsmanager:GetSecretValue': [SECRET] };
  expect(roles[`${indexing}/MarkFailedRole`]?.allowed).toEqual({
    ...logs(`${indexing}/MarkFailed`),
    ...secret,
    ...endedExecutions,
  });
  expect(roles['Schema/MigrateDatabaseRole']?.allowed).toEqual({
    ...logs('Schema/MigrateDatabase'),
    ...secret,
  });
  expect(roles[`${indexing}/PersistResultsRole`]?.allowed).toEqual({
    ...logs(`${indexing}/PersistResults`),
    's3:GetObject': ['{ResultsBucket.Arn}/results/*'],
    's3:ListBucket': ['{ResultsBucket.Arn}'],
    ...secret,
  });
  for (const unchanged of ['EnsureCollection', 'JoinLine', 'IndexFaces']) {
    const name = `${indexing}/${unchanged}Role`;
    expect(roles[name]?.allowed).toEqual(expected[name]);
  }
});

test('options add only what they are for', () => {
  const xray = { 'xray:PutTelemetryRecords': ['*'], 'xray:PutTraceSegments': ['*'] };
  const { allowed } = rolesOf(variants['everything on'])[`${indexing}/IndexFacesRole`]!;
  expect(allowed).toEqual({
    ...expected[`${indexing}/IndexFacesRole`],
    ...xray,
    's3:GetObjectVersion': ['{PhotoBucket.Arn}/events/*'],
    'kms:Decrypt': [KEY],
  });
  const { PhotoBucket, ResultsBucket } = variants['everything on'].resources('AWS::S3::Bucket');
  expect(PhotoBucket?.Properties.BucketEncryption).toEqual({
    ServerSideEncryptionConfiguration: [
      {
        BucketKeyEnabled: true,
        ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: KEY },
      },
    ],
  });
  expect(JSON.stringify(ResultsBucket)).not.toContain(KEY);
  expect(rolesOf(variants['everything on'])['Backfill/SkipIndexedRole']?.allowed).toEqual({
    ...expected['Backfill/SkipIndexedRole'],
    ...xray,
    's3:GetObject': ['{PhotoBucket.Arn}/events/*'],
    's3:ListBucket': ['{PhotoBucket.Arn}'],
  });
});

test('a try-out that is deleted takes its collections along, and nothing else has the right to', () => {
  const role = 'CollectionsRemoval/DeleteCollectionsRole';
  expect(rolesOf(variants['everything on'])[role]?.allowed).toEqual({
    ...logs('CollectionsRemoval/DeleteCollections'),
    'rekognition:ListCollections': ['*'],
    'rekognition:DeleteCollection': [COLLECTIONS],
    'xray:PutTelemetryRecords': ['*'],
    'xray:PutTraceSegments': ['*'],
  });
  expect(rolesOf(aurora)[role]).toBeUndefined();
});

describe.each(Object.entries(variants))('with %s', (_, template) => {
  const roles = rolesOf(template);
  const functions = Object.entries(template.resources('AWS::Lambda::Function')).map(([name, fn]) => ({
    name,
    fn,
    role: roles[template.text(fn.Properties.Role).replace(/^\{(.*)\.Arn\}$/, '$1')]!,
  }));

  test('every function has a role of its own, which only Lambda takes', () => {
    const names = functions.map(({ fn }) => template.text(fn.Properties.Role));
    expect(new Set(names).size).toBe(names.length);
    for (const { role } of functions) {
      expect(role.principal).toBe('{"Service":"lambda.amazonaws.com"}');
    }
  });

  test('no function has both a database credential and a right on Rekognition', () => {
    for (const { role } of functions) {
      const actions = Object.keys(role.allowed);
      const database = actions.some((action) => /^(rds|rds-db|rds-data|secretsmanager):/.test(action));
      const rekognition = actions.some((action) => action.startsWith('rekognition:'));
      expect(database && rekognition).toBe(false);
    }
  });

  test('no action has a wildcard, no resource is "*" unless AWS knows no other', () => {
    for (const { allowed } of Object.values(roles)) {
      for (const [action, resources] of Object.entries(allowed)) {
        expect(action).not.toContain('*');
        if (resources.includes('*')) {
          const forced = UNSCOPED.some((known) =>
            typeof known === 'string' ? known === action : known.test(action),
          );
          expect([action, forced]).toEqual([action, true]);
        }
      }
    }
  });

  test("AWS's own managed policy is used by the deployment's helpers only", () => {
    for (const [name, { managedPolicies }] of Object.entries(roles)) {
      const helper = /CustomResourceProvider\/Role$/.test(name);
      expect([name, managedPolicies.length]).toEqual([name, helper ? 1 : 0]);
    }
  });
});

test('whoever searches cannot touch the pace of IndexFaces, though it is in the same table', () => {
  const { Statement: statements } = aurora.resources('AWS::IAM::Policy')[
    'PersonSearch/FindPersonRole/DefaultPolicy'
  ]!.Properties.PolicyDocument as { Statement: Record<string, unknown>[] };
  const ofLedger = statements.filter(({ Resource }) => aurora.text(Resource).includes('SlotLedger'));
  expect(ofLedger).toEqual([
    expect.objectContaining({
      Condition: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['search-faces'] } },
    }),
  ]);
});

test("a function's own code may not use what Lambda needs for its network", () => {
  const policies = Object.values(aurora.resources('AWS::IAM::Policy')).map(
    (policy) => (policy.Properties.PolicyDocument as { Statement: Record<string, unknown>[] }).Statement,
  );
  const denials = policies.filter((statements) => statements.some(({ Effect }) => Effect === 'Deny'));
  const inside = Object.values(aurora.resources('AWS::Lambda::Function')).filter(
    ({ Properties: properties }) => properties.VpcConfig,
  );
  expect(inside.length).toBeGreaterThan(2);
  expect(denials).toHaveLength(inside.length);
  for (const statements of denials) {
    expect(statements).toContainEqual({
      Effect: 'Deny',
      Action: Object.keys(network),
      Resource: '*',
      Condition: { Null: { 'lambda:SourceFunctionArn': 'false' } },
    });
  }
});

describe('where photographers have a cap', () => {
  const table = '{PhotographerCaps/Table.Arn}';

  test('the line looks and counts, and one function with the database says whose an event is', () => {
    const roles = rolesOf(capped.tryOut);
    for (const [role, actions] of [
      [`${indexing}/JoinLineRole`, ['dynamodb:GetItem']],
      [`${indexing}/IndexFacesRole`, ['dynamodb:GetItem', 'dynamodb:UpdateItem']],
      ['Announcements/AnnouncePhotosRole', ['dynamodb:GetItem', 'dynamodb:UpdateItem']],
    ] as const) {
      const more = Object.entries(roles[role]!.allowed).flatMap(([action, resources]) =>
        resources.includes(table) ? [action] : [],
      );
      expect([role, more.sort()]).toEqual([role, actions]);
    }
    const others = Object.entries(roles).filter(([, { allowed }]) => JSON.stringify(allowed).includes(table));
    expect(others).toHaveLength(3);
    expect(aurora.resources('AWS::DynamoDB::Table')['PhotographerCaps/Table']).toBeUndefined();
  });

  test.each([
    ['tryOut', ['dynamodb:GetItem {SlotLedger.Arn}', `dynamodb:GetItem,dynamodb:UpdateItem ${table}`]],
    ['photographerCapsAlone', [`dynamodb:GetItem,dynamodb:UpdateItem ${table}`]],
  ] as const)('the network lets just that through: %s', (name, ways) => {
    const template = capped[name];
    const statements = Object.values(template.resources('AWS::EC2::VPCEndpoint')).flatMap(
      ({ Properties }) =>
        (Properties.PolicyDocument as { Statement: { Action: string | string[]; Resource: unknown }[] })
          .Statement,
    );
    const dynamodb = statements.filter(({ Action }) => String(Action).startsWith('dynamodb:'));
    expect(dynamodb.map(({ Action, Resource }) => `${Action} ${template.text(Resource)}`)).toEqual(ways);
    const announce = template.resources('AWS::Lambda::Function')['Announcements/AnnouncePhotos']!;
    const groups = (announce.Properties.VpcConfig as { SecurityGroupIds: unknown[] }).SecurityGroupIds;
    expect(groups.map((group) => template.text(group))).toEqual([
      '{Database/Clients.GroupId}',
      '{Network/TableClients.GroupId}',
    ]);
  });
});
