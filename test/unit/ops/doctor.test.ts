import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { STSClient } from '@aws-sdk/client-sts';
import { diagnose, nodeOf } from '../../../ops/commands/doctor.ts';
import { type AccountPlan, accountPlan } from '../../../ops/doctor/account-plan.ts';
import {
  type DoctorDeps,
  type Finding,
  MIN_BOOTSTRAP_VERSION,
  type Wanted,
} from '../../../ops/doctor/checks.ts';
import { awsError, fakeClient } from '../../support/fake-client.ts';
import { synthesisedStack } from '../../support/synthesised.ts';

const QUOTAS: Record<string, number> = {
  'L-7C13EBAD': 50,
  'L-CE977716': 5,
  'L-220834FB': 5,
  'L-970B5808': 50,
};
const notFound = awsError('NoSuchResourceException');

/** What AWS answers in an account in which a deployment succeeds; a test changes some of it. */
const healthy = {
  ListCollections: (): object => ({ CollectionIds: [] }),
  GetServiceQuota: ({ QuotaCode: code }: Record<string, unknown>): object => ({
    Quota: { QuotaCode: code, Value: QUOTAS[code as string] },
  }),
  GetAWSDefaultServiceQuota: ({ QuotaCode: code }: Record<string, unknown>): object => ({
    Quota: { QuotaCode: code, Value: code === 'L-7C13EBAD' ? 5 : 5 },
  }),
  GetAccountSettings: (): object => ({
    AccountLimit: { ConcurrentExecutions: 1_000, UnreservedConcurrentExecutions: 1_000 },
  }),
  DescribeBudgets: (): object => ({}),
  GetRole: (): object => ({ Role: { RoleName: 'AWSServiceRoleForRDS' } }),
  GetParameter: (): object => ({ Parameter: { Value: '30' } }),
  DescribeStacks: (): object => {
    throw awsError('ValidationError', 400, 'Stack with id Rollcall does not exist');
  },
};
type Answers = typeof healthy;

async function examined(
  answers: Partial<Answers> = {},
  {
    plan,
    wanted,
    nodeVersion,
  }: { plan?: AccountPlan | Error; wanted?: Partial<Wanted>; nodeVersion?: string } = {},
) {
  const { client } = fakeClient<never>({ ...healthy, ...answers });
  const deps: DoctorDeps = {
    account: '123456789012',
    region: 'eu-west-1',
    stack: 'Rollcall',
    qualifier: 'hnb659fds',
    wanted: {
      database: 'aurora',
      monthlyBudgetUsd: 500,
      lambdaReservedConcurrency: undefined,
      indexFacesPerSecond: undefined,
      ...wanted,
    },
    nodeVersion: nodeVersion ?? '22.4.0',
    async accountPlan() {
      if (plan instanceof Error) {
        throw plan;
      }
      return plan ?? { accountPlanType: 'PAID', accountPlanStatus: 'ACTIVE' };
    },
    rekognition: client,
    quotas: client,
    lambda: client,
    budgets: client,
    iam: client,
    ssm: client,
    cloudformation: client,
  };
  const result = await diagnose(deps);
  const all = result.data.checks as ({ name: string } & Finding)[];
  return { ...result, of: (name: string) => all.find((check) => check.name === name), all };
}

test('an account in which nothing is wrong', async () => {
  const { all, exitCode, lines } = await examined();
  expect(all.filter(({ verdict }) => verdict !== 'fine')).toEqual([]);
  expect(all.length).toBe(10);
  expect(exitCode).toBe(0);
  expect(lines.at(-1)).toBe(
    'Nothing speaks against a deployment to 123456789012 in eu-west-1: npx cdk deploy',
  );
});

const failing: [string, string, Parameters<typeof examined>, RegExp, RegExp][] = [
  ['an old Node.js', 'Node.js', [{}, { nodeVersion: '18.20.0' }], /18\.20\.0/, /install Node\.js 20/],
  [
    'the Free Plan, with Aurora',
    'Account plan',
    [
      {},
      {
        plan: {
          accountPlanType: 'FREE',
          accountPlanStatus: 'ACTIVE',
          accountPlanExpirationDate: 1_793_491_200,
        },
      },
    ],
    /free until 2026-11-01, opened about 2026-05-01: it creates no Aurora/,
    /upgrade/,
  ],
  [
    'no bootstrap',
    'CDK bootstrap',
    [
      {
        GetParameter() {
          throw awsError('ParameterNotFound');
        },
      },
    ],
    /not bootstrapped/,
    /npx cdk bootstrap aws:\/\/123456789012\/eu-west-1/,
  ],
  [
    'an old bootstrap',
    'CDK bootstrap',
    [{ GetParameter: () => ({ Parameter: { Value: '5' } }) }],
    /version 5, and 6 is needed/,
    /npx cdk bootstrap/,
  ],
  [
    'a Region without Rekognition',
    'Rekognition',
    [
      {
        ListCollections() {
          throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
        },
      },
    ],
    /there is none in eu-west-1/,
    /Region/,
  ],
  [
    'reserved concurrency that is not there',
    'Lambda concurrency',
    [
      {
        GetAccountSettings: () => ({
          AccountLimit: { ConcurrentExecutions: 10, UnreservedConcurrentExecutions: 10 },
        }),
      },
      { wanted: { lambdaReservedConcurrency: 2 } },
    ],
    /would reserve 10/,
    /leave lambdaReservedConcurrency out/,
  ],
  [
    'an account that may have no budget',
    'Budgets',
    [
      {
        DescribeBudgets() {
          throw awsError(
            'AccessDeniedException',
            400,
            'Account 123456789012 is a linked account. To enable budgets',
          );
        },
      },
    ],
    /may have none/,
    /monthlyBudgetUsd=0/,
  ],
  [
    'a stack that cannot be updated',
    'Stack',
    [{ DescribeStacks: () => ({ Stacks: [{ StackStatus: 'ROLLBACK_COMPLETE' }] }) }],
    /ROLLBACK_COMPLETE/,
    /delete-stack/,
  ],
];
test.each(failing)('%s will fail, and it is said what to do', async (_, name, given, says, todo) => {
  const { of, exitCode, lines } = await examined(...given);
  expect(of(name)).toMatchObject({
    verdict: 'will fail',
    says: expect.stringMatching(says),
    todo: expect.stringMatching(todo),
  });
  expect(exitCode).toBe(1);
  expect(lines.at(-1)).toMatch(/will fail: 1 thing to do first/);
});

const looking: [string, string, Parameters<typeof examined>, RegExp][] = [
  [
    'ten invocations at once',
    'Lambda concurrency',
    [
      {
        GetAccountSettings: () => ({
          AccountLimit: { ConcurrentExecutions: 10, UnreservedConcurrentExecutions: 10 },
        }),
      },
    ],
    /10 invocations at once.*wait for functions/,
  ],
  [
    'five calls a second, by default',
    'IndexFaces quota',
    [
      {
        GetServiceQuota() {
          throw notFound;
        },
      },
    ],
    /^5 calls a second by default: 1,000 photos take 200 s/,
  ],
  [
    'a pace beyond the quota',
    'IndexFaces quota',
    [{}, { wanted: { indexFacesPerSecond: 80 } }],
    /indexFacesPerSecond is 80, so calls will be throttled/,
  ],
  [
    'no role of RDS yet',
    'RDS role',
    [
      {
        GetRole() {
          throw awsError('NoSuchEntityException', 404);
        },
      },
    ],
    /may fail at the first try/,
  ],
  [
    'the Free Plan, without Aurora',
    'Account plan',
    [{}, { plan: { accountPlanType: 'FREE' }, wanted: { database: 'external' } }],
    /^free: the account is closed/,
  ],
];
test.each(looking)('%s is worth a look, and stops nothing', async (_, name, given, says) => {
  const { of, exitCode } = await examined(...given);
  expect(of(name)).toMatchObject({ verdict: 'look', says: expect.stringMatching(says) });
  expect(exitCode).toBe(0);
});

describe.each([
  ['refused', awsError('AccessDeniedException', 403), /^you lack \w+:\w+$/],
  ['throttled', awsError('ThrottlingException'), /^AWS throttles the question/],
  ['unreachable', Object.assign(new Error('connect'), { code: 'ETIMEDOUT' }), /^AWS does not answer/],
  ['something new', awsError('SurprisingException'), /^SurprisingException/],
])('what is %s', (_, error, says) => {
  test('is not known, whatever was asked, and crashes nothing', async () => {
    const refuse = () => {
      throw error;
    };
    const none = Object.fromEntries(Object.keys(healthy).map((name) => [name, refuse]));
    const { all, exitCode } = await examined(none as Partial<Answers>, { plan: error });
    for (const { name, verdict, says: said } of all.filter((check) => check.name !== 'Node.js')) {
      expect([name, verdict, said]).toEqual([name, 'not known', expect.stringMatching(says)]);
    }
    expect(exitCode).toBe(0);
  });
});

test('whoever is not signed in hears that, once', async () => {
  const refuse = () => {
    throw awsError('ExpiredTokenException');
  };
  await expect(examined({ GetParameter: refuse })).rejects.toMatchObject({ name: 'ExpiredTokenException' });
});

test('an account from before there were plans', async () => {
  const { of } = await examined({}, { plan: awsError('ResourceNotFoundException') });
  expect(of('Account plan')).toMatchObject({ verdict: 'fine' });
});

test('what is not wanted is not asked for', async () => {
  const { all } = await examined({}, { wanted: { database: 'external', monthlyBudgetUsd: 0 } });
  expect(all.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['Budgets']));
  expect(all.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['RDS role']));
});

test('it is the Node.js that npm was started with', () => {
  expect(nodeOf({ npm_config_user_agent: 'npm/11.2.0 node/v20.11.1 linux x64 workspaces/false' })).toBe(
    '20.11.1',
  );
  expect(nodeOf({})).toBe(process.versions.node);
});

test('the bootstrap version is the one that this CDK asks for', () => {
  expect(synthesisedStack().artifact.properties.requiresBootstrapStackVersion).toBe(MIN_BOOTSTRAP_VERSION);
});

describe('the question for the plan', () => {
  const sts = new STSClient({
    region: 'eu-west-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'token' },
  });

  /** What AWS is asked, and answers. */
  async function asked(status: number, answer: unknown) {
    const server = createServer((request, response) => {
      seen = request.headers;
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
      response.end(JSON.stringify(answer));
    });
    let seen: Record<string, unknown> = {};
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const plan = accountPlan(sts, (url, options) => {
        expect(url).toBe('https://freetier.us-east-1.api.aws/');
        return fetch(`http://127.0.0.1:${port}/`, options);
      });
      return { plan: await plan.catch((error: Error) => error), seen };
    } finally {
      server.close();
    }
  }

  test('is signed, and its answer read', async () => {
    const { plan, seen } = await asked(200, {
      accountId: '123456789012',
      accountPlanType: 'FREE',
      accountPlanStatus: 'ACTIVE',
      accountPlanRemainingCredits: { amount: 87.5, unit: 'USD' },
      accountPlanExpirationDate: 1_793_491_200,
    });
    expect(plan).toMatchObject({ accountPlanType: 'FREE', accountPlanExpirationDate: 1_793_491_200 });
    expect(seen).toMatchObject({
      'x-amz-target': 'AWSFreeTierService.GetAccountPlanState',
      'x-amz-security-token': 'token',
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/freetier\/aws4_request, SignedHeaders=.*host.*, Signature=[0-9a-f]{64}$/,
      ),
    });
  });

  test('is signed as AWS computes it', async () => {
    const { seen } = await asked(200, { accountPlanType: 'PAID' });
    const headers: Record<string, unknown> = { ...seen, host: 'freetier.us-east-1.api.aws' };
    const [, scope, names, signature] = /Credential=\w+\/(\S+), SignedHeaders=(\S+), Signature=(\w+)/.exec(
      String(seen.authorization),
    )!;
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const canonical = [
      ...['POST', '/', ''],
      ...names!.split(';').map((name) => `${name}:${headers[name]}`),
      ...['', names, hash('{}')],
    ].join('\n');
    const text = ['AWS4-HMAC-SHA256', seen['x-amz-date'], scope, hash(canonical)].join('\n');
    const key = scope!
      .split('/')
      .reduce<Buffer | string>(
        (secret, part) => createHmac('sha256', secret).update(part).digest(),
        'AWS4secret',
      );
    expect(createHmac('sha256', key).update(text).digest('hex')).toBe(signature);
  });

  test('names what AWS says instead of an answer', async () => {
    const { plan } = await asked(400, {
      __type: 'com.amazonaws.freetier#ResourceNotFoundException',
      message: 'no plan',
    });
    expect(plan).toMatchObject({ name: 'ResourceNotFoundException', message: 'no plan' });
  });
});
