import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { signatureProblem } from './iam/signature.ts';
import { LocalError } from './local-error.ts';
import { ACCOUNT, REGION, type ResolvedTemplate } from './template.ts';

/** A route of the template and the function that answers it. */
interface Route {
  /** "GET /events/{event}" */
  key: string;
  method: string;
  pattern: RegExp;
  functionArn: string;
  needsSignature: boolean;
}

export interface HttpApi {
  endpoint: string;
  /** Serves the API's routes; until then nothing is there. */
  serve(routes: readonly Route[], invoke: Invoke): void;
  /** Serves something else at the same address, which the API's routes go before. */
  serveBeside(beside: Beside): void;
  stop(): Promise<void>;
}

type Invoke = (functionArn: string, event: object) => Promise<unknown>;

/** @returns whether the request was one of its own, and is answered */
export type Beside = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

/** A response of a function, by payload format 2.0. */
interface FunctionResponse {
  statusCode?: number;
  headers?: Record<string, string | number | boolean>;
  body?: string;
  isBase64Encoded?: boolean;
}

/** Names by which a browser's page may not pretend to be another site's. */
const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html */
const PAYLOAD_LIMIT_BYTES = 10 * 1024 * 1024;

/**
 * API Gateway's HTTP APIs, as far as the app uses them: routes with variables, a function behind each, payload format 2.0.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 *
 * On this machine nobody has to sign, because nobody else can reach it. A signature that is there has to be right.
 *
 * @param port 0 for any
 */
export async function startHttpApi(port: number): Promise<HttpApi> {
  let routes: readonly Route[] = [];
  let invoke: Invoke = async () => undefined;
  let beside: Beside = async () => false;
  const server = createServer((request, response) => {
    void answer(request, response, { routes, invoke, beside }).catch(() => {
      if (response.headersSent) {
        response.destroy();
      } else {
        respond(response, 500, { message: 'Internal Server Error' });
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://localhost:${(server.address() as AddressInfo).port}`,
    serve(...given) {
      [routes, invoke] = given;
    },
    serveBeside(given) {
      beside = given;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * The routes of a template.
 *
 * @throws LocalError `UnsupportedTemplateError` for what is not understood here, `DeploymentError` where API Gateway may not call
 *   a route's function
 */
export function httpRoutes(stack: ResolvedTemplate): Route[] {
  const integrations = new Map(
    stack
      .resources('AWS::ApiGatewayV2::Integration')
      .map((integration) => [integration.local.ref, integration]),
  );
  const permissions = stack.resources('AWS::Lambda::Permission').map(({ get }) => ({
    principal: get<string>('Principal'),
    functionArn: get<string>('FunctionName'),
    source: get<string>('SourceArn'),
  }));
  return stack.resources('AWS::ApiGatewayV2::Route').map(({ get }) => {
    const key = get<string>('RouteKey')!;
    const integration = integrations.get(get<string>('Target')!.replace(/^integrations\//, ''));
    const functionArn = integration?.get<string>('IntegrationUri') ?? '';
    const authorization = get<string>('AuthorizationType') ?? 'NONE';
    const [, method = '', path = ''] = /^([A-Z]+) (\/.*)$/.exec(key) ?? [];
    if (
      integration?.get('PayloadFormatVersion') !== '2.0' ||
      method === '' ||
      !['AWS_IAM', 'NONE'].includes(authorization)
    ) {
      throw new LocalError('UnsupportedTemplateError', `The local run cannot serve the route ${key}.`);
    }
    const source = `arn:aws:execute-api:${REGION}:${ACCOUNT}:${get<string>('ApiId')}/*/*${path}`;
    if (
      !permissions.some(
        (permission) =>
          permission.principal === 'apigateway.amazonaws.com' &&
          permission.functionArn === functionArn &&
          permission.source === source,
      )
    ) {
      throw new LocalError('DeploymentError', `API Gateway may not call the function of ${key}.`);
    }
    return {
      key,
      method,
      pattern: patternOf(path),
      functionArn,
      needsSignature: authorization === 'AWS_IAM',
    };
  });
}

/** `/events/{event}/photos`; a variable is one part of the path. */
function patternOf(path: string): RegExp {
  const source = path.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return new RegExp(`^${source}$`);
}

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  { routes, invoke, beside }: { routes: readonly Route[]; invoke: Invoke; beside: Beside },
): Promise<void> {
  const { method = '', url = '', headers } = incoming;
  const [rawPath = '', rawQueryString = ''] = url.split(/\?(.*)/s, 2);
  if (!LOCAL_HOST.test(headers.host ?? '')) {
    respond(response, 403, { message: 'Forbidden' });
    return;
  }
  if (isOfAnotherSite(incoming)) {
    const problem = {
      type: 'urn:problem-type:rollcall:wrong-origin',
      title: 'The request is of another site',
      status: 403,
      detail: 'A page of another site, or of another port of this machine, may not ask the local run',
    };
    respond(response, 403, problem, 'application/problem+json');
    return;
  }
  const route = routes.find((candidate) => candidate.method === method && candidate.pattern.test(rawPath));
  if (!route) {
    if (!(await beside(incoming, response))) {
      respond(response, 404, { message: 'Not Found' });
    }
    return;
  }
  const body = await bodyOf(incoming);
  if (!body) {
    respond(response, 413, { message: 'Request Entity Too Large' });
    return;
  }
  const wrong =
    route.needsSignature && headers.authorization !== undefined
      ? signatureProblem(
          { method, path: url, headers, body },
          { service: 'execute-api', region: REGION, nowMs: Date.now() },
          (accessKeyId) => (accessKeyId.startsWith('LOCAL-') ? 'local' : undefined),
        )
      : undefined;
  if (wrong !== undefined) {
    // API Gateway says "Forbidden" and no more; whoever runs this here wants to know why.
    const problem = {
      type: 'urn:problem-type:rollcall:wrong-signature',
      title: 'The signature is not accepted',
      status: 403,
      detail: wrong,
    };
    respond(response, 403, problem, 'application/problem+json');
    return;
  }
  const event = eventOf({ method, rawPath, rawQueryString, headers, body, remote: incoming.socket }, route);
  const result = await invoke(route.functionArn, event).catch((error: Error): FunctionResponse => {
    if (error.name !== 'Lambda.RequestTooLargeException') {
      throw error;
    }
    // API Gateway takes more than Lambda does.
    return tooLarge;
  });
  const {
    statusCode = 200,
    headers: given = {},
    body: text = '',
    isBase64Encoded = false,
  } = result as FunctionResponse;
  response.writeHead(statusCode, given as Record<string, string>);
  response.end(Buffer.from(text, isBase64Encoded ? 'base64' : 'utf8'));
}

const tooLarge: FunctionResponse = {
  statusCode: 413,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ message: 'Request Entity Too Large' }),
};

/**
 * Whether a browser asks for a page of another site. Nobody needs to sign here, so that such a page could have things done
 * without reading the answer. A link that leads here is none: nothing is done by it.
 * https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site
 */
function isOfAnotherSite({ method, headers }: IncomingMessage): boolean {
  const { host, origin, 'sec-fetch-site': site = 'none', 'sec-fetch-dest': dest } = headers;
  if (origin !== undefined && origin !== `http://${host}`) {
    return true;
  }
  const isLink = method === 'GET' && dest === 'document';
  return site !== 'none' && site !== 'same-origin' && !isLink;
}

/** Undefined where it is longer than API Gateway takes; what follows is not read then. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = Number(request.headers['content-length'] ?? 0);
  if (bytes > PAYLOAD_LIMIT_BYTES) {
    return undefined;
  }
  bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > PAYLOAD_LIMIT_BYTES) {
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function eventOf(
  request: {
    method: string;
    rawPath: string;
    rawQueryString: string;
    headers: IncomingMessage['headers'];
    body: Buffer;
    remote: IncomingMessage['socket'];
  },
  route: Route,
): object {
  const { method, rawPath, rawQueryString, headers, body } = request;
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(rawQueryString)) {
    // Of a name that is given more than once, the values with commas between them.
    query[name] = Object.hasOwn(query, name) ? `${query[name]},${value}` : value;
  }
  const variables = Object.entries(route.pattern.exec(rawPath)?.groups ?? {}).map(([name, value]) => [
    name,
    decoded(value),
  ]);
  return {
    version: '2.0',
    routeKey: route.key,
    rawPath,
    rawQueryString,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    ...(Object.keys(query).length > 0 && { queryStringParameters: query }),
    ...(variables.length > 0 && { pathParameters: Object.fromEntries(variables) }),
    requestContext: {
      accountId: ACCOUNT,
      apiId: 'local',
      domainName: 'localhost',
      domainPrefix: 'localhost',
      http: {
        method,
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: request.remote.remoteAddress ?? '',
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: route.key,
      stage: '$default',
      time: new Date().toUTCString(),
      timeEpoch: Date.now(),
    },
    ...(body.length > 0 && { body: body.toString('base64') }),
    isBase64Encoded: body.length > 0,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function respond(
  response: ServerResponse,
  status: number,
  body: object,
  contentType = 'application/json',
): void {
  // What is left of a body that was not read goes with the connection.
  const headers = { 'content-type': contentType, ...(status === 413 && { connection: 'close' }) };
  response.writeHead(status, headers).end(JSON.stringify(body));
}
