import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
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
  serve(routes: readonly Route[], invoke: (functionArn: string, event: object) => Promise<unknown>): void;
  stop(): Promise<void>;
}

/** A response of a function, by payload format 2.0. */
interface FunctionResponse {
  statusCode?: number;
  headers?: Record<string, string | number | boolean>;
  body?: string;
  isBase64Encoded?: boolean;
}

/** Names by which a browser's page may not pretend to be another site's. */
const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * API Gateway's HTTP APIs, as far as the app uses them: routes with variables, a function behind each, payload format 2.0.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 *
 * On this machine nobody has to sign, because nobody else can reach it. A signature that is there has to be right.
 *
 * @param port 0 for any
 */
export async function startHttpApi(port: number): Promise<HttpApi> {
  let served: Parameters<HttpApi['serve']> | undefined;
  const server = createServer((request, response) => {
    void answer(request, response, ...(served ?? [[], async () => undefined])).catch(() => {
      respond(response, 500, { message: 'Internal Server Error' });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://localhost:${(server.address() as AddressInfo).port}`,
    serve(...given) {
      served = given;
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
  routes: readonly Route[],
  invoke: (functionArn: string, event: object) => Promise<unknown>,
): Promise<void> {
  const body = await buffer(incoming);
  const { method = '', url = '', headers } = incoming;
  const [rawPath = '', rawQueryString = ''] = url.split(/\?(.*)/s, 2);
  if (!LOCAL_HOST.test(headers.host ?? '')) {
    respond(response, 403, { message: 'Forbidden' });
    return;
  }
  const route = routes.find((candidate) => candidate.method === method && candidate.pattern.test(rawPath));
  if (!route) {
    respond(response, 404, { message: 'Not Found' });
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
  const result = (await invoke(route.functionArn, event)) as FunctionResponse;
  response.writeHead(result.statusCode ?? 200, result.headers as Record<string, string>);
  response.end(Buffer.from(result.body ?? '', result.isBase64Encoded ? 'base64' : 'utf8'));
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
  response.writeHead(status, { 'content-type': contentType }).end(JSON.stringify(body));
}
