import type { IncomingHttpHeaders } from 'node:http';
import { ACCOUNT, REGION } from '../template.ts';
import type { AwsCall } from './authority.ts';

export type Service =
  | 's3'
  | 'sqs'
  | 'dynamodb'
  | 'rekognition'
  | 'rds-data'
  | 'states'
  | 'lambda'
  | 'secretsmanager'
  | 'servicequotas';

/** An HTTP request to an AWS service. */
export interface ServiceRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What a request asks of IAM; all of it has to be allowed. */
export interface Asked {
  calls: AwsCall[];
  /** What is asked besides where S3 finds no object: who may not list gets no "not found". */
  ifMissing?: AwsCall;
  /** What the service does in the caller's name. */
  onBehalf?: AwsCall[];
}

/**
 * Reads a request as the service does.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
 *
 * @throws Error for an operation that it does not know: what cannot be judged is not let through
 */
export const readRequest: Record<Service, (request: ServiceRequest) => Asked> = {
  s3: readS3,
  sqs: (request) => {
    const queue = String(jsonOf(request).QueueUrl).replace(/.*\//, '');
    return { calls: [{ action: `sqs:${operationOf(request)}`, resource: arn('sqs', queue) }] };
  },
  dynamodb: (request) => {
    const { TableName, Key } = jsonOf(request);
    const name = String(TableName);
    const table = name.startsWith('arn:') ? name : arn('dynamodb', `table/${name}`);
    const context = leadingKeys(Key);
    return { calls: [{ action: `dynamodb:${operationOf(request)}`, resource: table, ...context }] };
  },
  rekognition: readRekognition,
  states: (request) => {
    const { stateMachineArn, executionArn } = jsonOf(request);
    const resource = String(executionArn ?? stateMachineArn);
    return { calls: [{ action: `states:${operationOf(request)}`, resource }] };
  },
  lambda: (request) => {
    const [, name] = /^\/2015-03-31\/functions\/([^/]+)\/invocations/.exec(request.path) ?? [];
    if (name === undefined) {
      throw unknown(request);
    }
    const fn = decodeURIComponent(name);
    const resource = fn.startsWith('arn:') ? fn : arn('lambda', `function:${fn}`);
    return { calls: [{ action: 'lambda:InvokeFunction', resource }] };
  },
  secretsmanager: (request) => ({
    calls: [{ action: `secretsmanager:${operationOf(request)}`, resource: String(jsonOf(request).SecretId) }],
  }),
  servicequotas: (request) => {
    const { ServiceCode: service, QuotaCode: quota } = jsonOf(request);
    return {
      calls: [
        {
          action: `servicequotas:${operationOf(request)}`,
          resource: arn('servicequotas', `${service}/${quota}`),
        },
      ],
    };
  },
  'rds-data': (request) => {
    const { resourceArn, secretArn } = jsonOf(request);
    if (request.path !== '/Execute') {
      throw unknown(request);
    }
    return {
      calls: [{ action: 'rds-data:ExecuteStatement', resource: String(resourceArn) }],
      onBehalf: [{ action: 'secretsmanager:GetSecretValue', resource: String(secretArn) }],
    };
  },
};

/**
 * `dynamodb:LeadingKeys`, of rows that have a name. A row of a photo or of a caller has a digest in its key, which no policy can
 * be about, and would be decided anew for each.
 */
function leadingKeys(key: unknown): Pick<AwsCall, 'context'> | undefined {
  const { id } = (key ?? {}) as { id?: { S?: string } };
  return id?.S === undefined || id.S.includes('#')
    ? undefined
    : { context: { 'dynamodb:LeadingKeys': [id.S] } };
}

function readS3(request: ServiceRequest): Asked {
  // Not as a URL: a key may hold `/../`, which a URL takes for another key.
  const [pathname = '', search = ''] = request.path.split(/\?(.*)/s, 2);
  const [, bucket, key] = /^\/([^/]+)\/?(.*)$/s.exec(pathname) ?? [];
  const query = new URLSearchParams(search);
  if (!bucket) {
    throw unknown(request);
  }
  const bucketArn = `arn:aws:s3:::${bucket}`;
  if (!key) {
    if (request.method === 'GET' && query.get('list-type') === '2') {
      const prefix = query.get('prefix') ?? '';
      return { calls: [{ action: 's3:ListBucket', resource: bucketArn, context: { 's3:prefix': prefix } }] };
    }
    if (request.method === 'POST' && query.has('delete')) {
      return {
        calls: deletedKeys(request.body).map((deleted) => ({
          action: 's3:DeleteObject',
          resource: `${bucketArn}/${deleted}`,
        })),
      };
    }
    throw unknown(request);
  }
  const object = `${bucketArn}/${decodeURIComponent(key)}`;
  const version = query.has('versionId') ? 'Version' : '';
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return {
        calls: [{ action: `s3:GetObject${version}`, resource: object }],
        ifMissing: { action: 's3:ListBucket', resource: bucketArn },
      };
    case 'PUT':
      if (request.headers['x-amz-copy-source'] === undefined) {
        return { calls: [{ action: 's3:PutObject', resource: object }] };
      }
      throw unknown(request);
    case 'DELETE':
      return { calls: [{ action: `s3:DeleteObject${version}`, resource: object }] };
    default:
      throw unknown(request);
  }
}

/** The keys of a DeleteObjects request. */
export function deletedKeys(body: Buffer): string[] {
  return [...body.toString('utf8').matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) =>
    key!.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (_, hex, decimal, name) =>
      name ? entities[name as string]! : String.fromCodePoint(Number.parseInt(hex ?? decimal, hex ? 16 : 10)),
    ),
  );
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function readRekognition(request: ServiceRequest): Asked {
  const operation = operationOf(request);
  const input = jsonOf(request);
  const action = `rekognition:${operation}`;
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrekognition.html
  const resource =
    operation === 'CreateCollection' || operation === 'ListCollections'
      ? '*'
      : arn('rekognition', `collection/${input.CollectionId}`);
  const { S3Object: object } = (input.Image ?? {}) as {
    S3Object?: { Bucket: string; Name: string; Version?: string };
  };
  return {
    calls: [{ action, resource }],
    ...(object && {
      onBehalf: [
        {
          action: object.Version ? 's3:GetObjectVersion' : 's3:GetObject',
          resource: `arn:aws:s3:::${object.Bucket}/${object.Name}`,
          context: { 'aws:ViaAWSService': 'true' },
        },
      ],
    }),
  };
}

function arn(service: string, resource: string): string {
  return `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
}

/** `RekognitionService.IndexFaces`, `DynamoDB_20120810.GetItem` */
function operationOf(request: ServiceRequest): string {
  const operation = /\.(\w+)$/.exec(String(request.headers['x-amz-target']))?.[1];
  if (!operation) {
    throw unknown(request);
  }
  return operation;
}

function jsonOf({ body }: ServiceRequest): Record<string, unknown> {
  try {
    return (JSON.parse(body.toString('utf8')) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function unknown({ method, path, headers }: ServiceRequest): Error {
  return new Error(`The local IAM does not know ${method} ${path} ${headers['x-amz-target'] ?? ''}`);
}
