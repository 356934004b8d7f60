import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { ExecuteStatementCommand, RDSDataClient } from '@aws-sdk/client-rds-data';
import { IndexFacesCommand, RekognitionClient } from '@aws-sdk/client-rekognition';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Signer } from '@aws-sdk/rds-signer';
import fc from 'fast-check';
import { type Authority, createAuthority } from '../../local/iam/authority.ts';
import { readDatabaseToken } from '../../local/iam/database-token.ts';
import { type Gateway, startGateway } from '../../local/iam/gateway.ts';
import { admitsLogin, principalOf } from '../../local/iam/guard.ts';
import { type Grant, type Policies, readPolicies } from '../../local/iam/policies.ts';
import { deletedKeys, type Service } from '../../local/iam/requests.ts';
import { localResources } from '../../local/resources.ts';
import { resolveTemplate } from '../../local/template.ts';
import { anyCharacter } from '../support/any-text.ts';
import { synthesised } from '../support/synthesised.ts';

const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:index-faces';
const ROLE = 'IndexFacesRole';
const COLLECTIONS = 'arn:aws:rekognition:us-east-1:000000000000:collection/rollcall-*';

function grant(action: string, resource: string, condition?: Record<string, unknown>): Grant {
  return { id: `${action} on ${resource}`, role: ROLE, action, resource, condition };
}

const GRANTS = [
  grant('s3:GetObject', 'arn:aws:s3:::photos/events/*'),
  grant('s3:PutObject', 'arn:aws:s3:::results/results/*'),
  grant('s3:ListBucket', 'arn:aws:s3:::results', { StringLike: { 's3:prefix': 'results/*' } }),
  grant('s3:DeleteObject', 'arn:aws:s3:::results/results/*'),
  grant('rekognition:IndexFaces', COLLECTIONS),
  grant('rds-db:connect', 'arn:aws:rds-db:us-east-1:000000000000:dbuser:cluster-1/rollcall_pipeline'),
];

function policies(changes: Partial<Policies> = {}): Policies {
  return {
    grants: GRANTS,
    denials: new Map(),
    roleOf: new Map([[FUNCTION, ROLE]]),
    roleArns: new Map([[ROLE, `arn:aws:iam::000000000000:role/${ROLE}`]]),
    ofResources: new Map(),
    ...changes,
  };
}

describe('the authority', () => {
  const ask = (authority: Authority, action: string, resource: string, context = {}) =>
    authority.decide(FUNCTION, { action, resource, context });

  test('allows what a role is granted on that resource, and no more', async () => {
    const authority = createAuthority(policies());
    const collection = (name: string) => `arn:aws:rekognition:us-east-1:000000000000:collection/${name}`;
    await expect(ask(authority, 'rekognition:IndexFaces', collection('rollcall-1'))).resolves.toEqual({
      allowed: true,
    });
    await expect(ask(authority, 'rekognition:IndexFaces', collection('other-1'))).resolves.toEqual({
      allowed: false,
      message: `User: arn:aws:sts::000000000000:assumed-role/${ROLE}/index-faces is not authorized to perform: rekognition:IndexFaces on resource: ${collection('other-1')} because no identity-based policy allows the rekognition:IndexFaces action`,
    });
    await expect(ask(authority, 'rekognition:DeleteFaces', collection('rollcall-1'))).resolves.toMatchObject({
      allowed: false,
    });
    await expect(
      authority.decide('arn:aws:lambda:us-east-1:000000000000:function:stranger', {
        action: 's3:GetObject',
        resource: 'arn:aws:s3:::photos/events/a.jpg',
      }),
    ).resolves.toMatchObject({ allowed: false });
  });

  test('looks at conditions', async () => {
    const authority = createAuthority(policies());
    const list = (prefix: string) =>
      ask(authority, 's3:ListBucket', 'arn:aws:s3:::results', { 's3:prefix': prefix });
    await expect(list('results/e/p/')).resolves.toMatchObject({ allowed: true });
    await expect(list('')).resolves.toMatchObject({ allowed: false });
  });

  test('looks at what the role is denied, and at the policy of the bucket', async () => {
    const object = 'arn:aws:s3:::photos/events/a.jpg';
    const deny = { Effect: 'Deny', Action: 's3:*', Resource: '*' } as const;
    const denied = createAuthority(policies({ denials: new Map([[ROLE, [deny]]]) }));
    await expect(ask(denied, 's3:GetObject', object)).resolves.toMatchObject({
      allowed: false,
      message: expect.stringMatching(/with an explicit deny$/),
    });
    const bucketPolicy = (Condition: Record<string, unknown>) => ({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny' as const,
          Principal: { AWS: '*' },
          Action: 's3:*',
          Resource: ['arn:aws:s3:::photos', 'arn:aws:s3:::photos/*'],
          Condition,
        },
      ],
    });
    for (const [condition, allowed] of [
      [{ Bool: { 'aws:SecureTransport': 'false' } }, true],
      [{ NumericLessThan: { 's3:TlsVersion': '1.2' } }, true],
      [{ StringNotEquals: { 'aws:PrincipalAccount': '000000000000' } }, true],
      [{ StringNotEquals: { 'aws:PrincipalAccount': '111111111111' } }, false],
    ] as const) {
      const authority = createAuthority(
        policies({ ofResources: new Map([['arn:aws:s3:::photos', bucketPolicy(condition)]]) }),
      );
      await expect(ask(authority, 's3:GetObject', object)).resolves.toMatchObject({ allowed });
    }
  });

  test('reports what was never needed, and knows which calls need a grant', async () => {
    const authority = createAuthority(policies());
    for (let photo = 0; photo < 100; photo++) {
      await ask(authority, 's3:GetObject', `arn:aws:s3:::photos/events/${photo}.jpg`);
    }
    await ask(authority, 's3:GetObject', 'arn:aws:s3:::photos/private/a.jpg');
    const { calls, denied, unused } = authority.report();
    expect(calls).toMatchObject([
      { action: 's3:GetObject', allowed: true, times: 100 },
      { action: 's3:GetObject', allowed: false, times: 1 },
    ]);
    expect(denied).toMatchObject([{ resource: 'arn:aws:s3:::photos/private/a.jpg', role: ROLE }]);
    expect(unused.map(({ id }) => id)).toEqual(GRANTS.slice(1).map(({ id }) => id));
    await expect(authority.neededFor(GRANTS[0]!)).resolves.toMatchObject([{ action: 's3:GetObject' }]);
    await expect(authority.neededFor(GRANTS[1]!)).resolves.toEqual([]);

    authority.withhold(GRANTS[0]);
    const call = () => ask(authority, 's3:GetObject', 'arn:aws:s3:::photos/events/1.jpg');
    await expect(call()).resolves.toMatchObject({ allowed: false });
    authority.withhold(undefined);
    await expect(call()).resolves.toMatchObject({ allowed: true });
  });
});

describe('the gateway', () => {
  let service: Server;
  /** What reached the service. */
  let reached: { method: string; url: string; body: string }[];
  let status = 200;
  const gateways: Gateway[] = [];

  beforeAll(async () => {
    service = createServer((request, response) => {
      void text(request).then((body) => {
        reached.push({ method: request.method!, url: request.url!, body });
        response.writeHead(status, {
          'content-type': 'application/x-amz-json-1.1',
          'x-amzn-requestid': 'r1',
        });
        response.end(status === 404 ? '' : '{}');
      });
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  });
  beforeEach(() => {
    reached = [];
    status = 200;
  });
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    service.closeAllConnections();
    await new Promise((resolve) => service.close(resolve));
  });

  async function options(name: Service) {
    const gateway = await startGateway({
      service: name,
      target: `http://127.0.0.1:${(service.address() as AddressInfo).port}`,
      authority: createAuthority(policies()),
      principalOf,
    });
    gateways.push(gateway);
    return {
      endpoint: gateway.endpoint,
      region: 'us-east-1',
      maxAttempts: 1,
      credentials: { accessKeyId: 'LOCAL-index-faces', secretAccessKey: 'local' },
    };
  }

  test('lets through what is allowed, as it is, and refuses as S3 does', async () => {
    const s3 = new S3Client({ ...(await options('s3')), forcePathStyle: true });
    const Body = JSON.stringify({ text: 'ä'.repeat(100_000) });
    await s3.send(new PutObjectCommand({ Bucket: 'results', Key: 'results/e/ü "1".json', Body }));
    expect(reached).toMatchObject([{ method: 'PUT' }]);
    expect(reached[0]!.body === Body).toBe(true);
    await expect(
      s3.send(new PutObjectCommand({ Bucket: 'results', Key: 'elsewhere/1.json', Body })),
    ).rejects.toMatchObject({
      name: 'AccessDenied',
      message: expect.stringContaining('is not authorized to perform: s3:PutObject'),
      $metadata: { httpStatusCode: 403 },
    });
    await expect(
      s3.send(new HeadObjectCommand({ Bucket: 'photos', Key: 'private/a.jpg' })),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    await expect(
      s3.send(new ListObjectsV2Command({ Bucket: 'results', Prefix: 'other/' })),
    ).rejects.toMatchObject({ name: 'AccessDenied' });
    const { Errors } = await s3.send(
      new DeleteObjectsCommand({
        Bucket: 'results',
        Delete: { Objects: [{ Key: 'results/1' }, { Key: 'a&b' }] },
      }),
    );
    expect(Errors).toMatchObject([{ Key: 'results/1', Code: 'AccessDenied' }, { Key: 'a&b' }]);
    expect(reached).toHaveLength(1);
    s3.destroy();
  });

  test('tells who may not list nothing of what is missing, as S3 does', async () => {
    const s3 = new S3Client({ ...(await options('s3')), forcePathStyle: true });
    status = 404;
    await expect(
      s3.send(new GetObjectCommand({ Bucket: 'photos', Key: 'events/gone.jpg' })),
    ).rejects.toMatchObject({ name: 'AccessDenied', message: expect.stringContaining('s3:ListBucket') });
    s3.destroy();
  });

  test('refuses as DynamoDB, Rekognition and the RDS Data API do', async () => {
    const dynamodb = new DynamoDBClient(await options('dynamodb'));
    await expect(
      dynamodb.send(new GetItemCommand({ TableName: 't', Key: { id: { S: '1' } } })),
    ).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: expect.stringMatching(/perform: dynamodb:GetItem on resource: arn:aws:dynamodb:.*:table\/t /),
    });
    const rekognition = new RekognitionClient(await options('rekognition'));
    const index = (CollectionId: string, Name: string) =>
      rekognition.send(
        new IndexFacesCommand({ CollectionId, Image: { S3Object: { Bucket: 'photos', Name } } }),
      );
    await expect(index('other', 'events/a.jpg')).rejects.toMatchObject({ name: 'AccessDeniedException' });
    // Rekognition reads the photo with the caller's right.
    await expect(index('rollcall-1', 'private/a.jpg')).rejects.toMatchObject({
      name: 'InvalidS3ObjectException',
    });
    await expect(index('rollcall-1', 'events/a.jpg')).resolves.toBeDefined();
    const data = new RDSDataClient(await options('rds-data'));
    await expect(
      data.send(
        new ExecuteStatementCommand({
          resourceArn: 'arn:aws:rds:us-east-1:000000000000:cluster:c',
          secretArn: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:s',
          sql: 'SELECT 1',
        }),
      ),
    ).rejects.toMatchObject({ name: 'AccessDeniedException' });
    expect(reached).toHaveLength(1);
    for (const client of [dynamodb, rekognition, data]) {
      client.destroy();
    }
  });

  test('does not let through what it cannot judge', async () => {
    const { endpoint } = await options('s3');
    await expect(fetch(`${endpoint}/photos?acl`, { method: 'PUT' })).rejects.toThrow();
    expect(reached).toEqual([]);
  });
});

describe('a login', () => {
  const HOUR_MS = 3_600_000;

  test('needs a token for that user, of a principal who may connect as it, and in time', async () => {
    const signer = (username: string, accessKeyId: string) =>
      new Signer({
        hostname: 'localhost',
        port: 5432,
        username,
        region: 'us-east-1',
        credentials: { accessKeyId, secretAccessKey: 'local' },
      }).getAuthToken();
    const authority = createAuthority(policies());
    const admits = (user: string, token: string) => admitsLogin(authority, 'cluster-1', user, token);
    const mine = await signer('rollcall_pipeline', 'LOCAL-index-faces');
    await expect(admits('rollcall_pipeline', mine)).resolves.toBe(true);
    await expect(admits('rollcall_migrator', mine)).resolves.toBe(false);
    const asMigrator = await signer('rollcall_migrator', 'LOCAL-index-faces');
    await expect(admits('rollcall_migrator', asMigrator)).resolves.toBe(false);
    const stranger = await signer('rollcall_pipeline', 'LOCAL-stranger');
    await expect(admits('rollcall_pipeline', stranger)).resolves.toBe(false);
    await expect(admits('rollcall_pipeline', 'a password')).resolves.toBe(false);
    expect(readDatabaseToken(mine, Date.now())).toEqual({
      accessKeyId: 'LOCAL-index-faces',
      user: 'rollcall_pipeline',
    });
    expect(readDatabaseToken(mine, Date.now() + HOUR_MS)).toBeUndefined();
  });

  test('whatever is not a token lets nobody in', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 300 }), (password) => {
        expect(readDatabaseToken(password, Date.now())).toBeUndefined();
      }),
    );
  });
});

test('the keys of a DeleteObjects request are read whatever they are', () => {
  const xml = (text: string) =>
    text.replaceAll(
      /[&<>"']/g,
      (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? '&#39;',
    );
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { maxLength: 5 }), (keys) => {
      const body = `<Delete>${keys.map((key) => `<Object><Key>${xml(key)}</Key></Object>`).join('')}</Delete>`;
      expect(deletedKeys(Buffer.from(body))).toEqual(keys);
    }),
  );
});

test('every function and state machine of the app has a role with grants', () => {
  const template = synthesised().json;
  const stack = resolveTemplate(
    'Rollcall',
    template as never,
    localResources('Rollcall', template as never, {
      queueUrl: (name) => `http://localhost/${name}`,
      database: { host: 'localhost', port: 1 },
      httpApi: 'http://localhost:1',
    }),
  );
  const { grants, roleOf, ofResources } = readPolicies(stack);
  const holders = new Set(grants.map(({ role }) => role));
  for (const type of ['AWS::Lambda::Function', 'AWS::StepFunctions::StateMachine']) {
    for (const { local, logicalId } of stack.resources(type)) {
      if (!/CustomResourceProvider/.test(logicalId)) {
        expect(holders).toContain(roleOf.get(local.attributes.Arn as string));
      }
    }
  }
  expect(new Set(grants.map(({ id }) => id)).size).toBe(grants.length);
  expect([...ofResources.keys()].filter((arn) => arn.startsWith('arn:aws:s3:::'))).toHaveLength(2);
});
