import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { buffer } from 'node:stream/consumers';
import { listenOnLoopback } from '../loopback.ts';
import type { Authority, AwsCall } from './authority.ts';
import { type Answer, denial, denialOnBehalf } from './denials.ts';
import { readRequest, type Service, type ServiceRequest } from './requests.ts';

export interface GatewayOptions {
  service: Service;
  /** Where the service is. */
  target: string;
  authority: Authority;
  /** The ARN of who has this access key; undefined where nobody has. */
  principalOf(accessKeyId: string): string | undefined;
  /** What disturbs the way to the service. */
  disturber?: Disturber | undefined;
}

/** What happens instead of passing a request on and its answer back. */
export type Disturbance =
  | { answer: { status: number; type: string; body: string } }
  | { reset: 'before' | 'after' }
  /** Only half of the answer's body arrives. */
  | 'truncate';

export interface Disturber {
  /** Decides about a request, before anybody else sees it. */
  disturb(request: ServiceRequest): Disturbance | undefined;
  /** Sees each answer before the client does. */
  onAnswer?(request: ServiceRequest, answer: { status: number; body: Buffer }): Promise<void> | void;
}

export interface Gateway {
  endpoint: string;
  stop(): Promise<void>;
}

/** Longer than any SDK keeps an idle connection, so that none is closed under a request. */
const KEEP_ALIVE_MS = 120_000;

/** Stands before a service and lets through what the caller's role allows. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const agent = new Agent({ keepAlive: true });
  const target = new URL(options.target);
  const server = createServer((incoming, response) => {
    void handle(incoming, response, options, (request) => forward(request, target, agent)).catch(() => {
      // What breaks behind the gateway breaks for the client too.
      incoming.socket.destroy();
    });
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 1000;
  const { endpoint, stop } = await listenOnLoopback(server);
  return {
    endpoint,
    async stop() {
      const stopped = stop();
      agent.destroy();
      await stopped;
    },
  };
}

async function handle(
  incoming: IncomingMessage,
  response: ServerResponse,
  { service, authority, principalOf, disturber }: GatewayOptions,
  forwarded: (request: ServiceRequest) => Promise<IncomingMessage>,
): Promise<void> {
  const request: ServiceRequest = {
    method: incoming.method!,
    path: incoming.url!,
    headers: incoming.headers,
    body: await buffer(incoming),
  };
  const disturbance = disturber?.disturb(request);
  if (disturbance !== undefined && disturbance !== 'truncate') {
    if ('answer' in disturbance) {
      const { status, type, body } = disturbance.answer;
      const shown = request.method === 'HEAD' ? '' : body;
      return answer(response, { status, headers: { 'content-type': type }, body: shown });
    }
    if (disturbance.reset === 'before') {
      incoming.socket.destroy();
      return;
    }
  }
  const accessKeyId = accessKeyOf(incoming) ?? 'nobody';
  const principal = principalOf(accessKeyId) ?? accessKeyId;
  const refusal = async (calls: readonly AwsCall[]) => {
    for (const call of calls) {
      const decision = await authority.decide(principal, call);
      if (!decision.allowed) {
        return decision.message;
      }
    }
    return undefined;
  };

  const { calls, onBehalf = [], ifMissing } = readRequest[service](request);
  const refused = await refusal(calls);
  if (refused !== undefined) {
    return answer(response, denial[service](refused, request));
  }
  const refusedOnBehalf = await refusal(onBehalf);
  if (refusedOnBehalf !== undefined) {
    return answer(response, denialOnBehalf[service](refusedOnBehalf, request));
  }
  const reply = await forwarded(request);
  if (reply.statusCode === 404 && ifMissing) {
    const hidden = await refusal([ifMissing]);
    if (hidden !== undefined) {
      reply.resume();
      return answer(response, denial[service](hidden, request));
    }
  }
  if (disturber) {
    const body = await buffer(reply);
    await disturber.onAnswer?.(request, { status: reply.statusCode!, body });
    return sendDisturbed(body, reply, response, disturbance);
  }
  response.writeHead(reply.statusCode!, reply.headers);
  await new Promise<void>((resolve, reject) => {
    reply.on('aborted', () => reject(new Error('The service closed the connection')));
    reply.on('error', reject);
    response.on('finish', resolve).on('close', resolve);
    reply.pipe(response);
  });
}

async function sendDisturbed(
  body: Buffer,
  reply: IncomingMessage,
  response: ServerResponse,
  disturbance: Disturbance | undefined,
): Promise<void> {
  const isTruncated = disturbance === 'truncate' && body.length > 1;
  if (disturbance === undefined || disturbance === 'truncate') {
    response.writeHead(reply.statusCode!, reply.headers);
    if (!isTruncated) {
      response.end(body);
      return;
    }
    await new Promise<void>((resolve) => {
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => resolve());
    });
  }
  response.socket?.destroy();
}

/** Of a signature in a header, or in an address that was signed for somebody else to use. */
function accessKeyOf({ headers, url = '' }: IncomingMessage): string | undefined {
  const query = new URLSearchParams(url.split('?')[1]);
  return /(?:Credential=|^)([^/,\s=]+)\//.exec(
    headers.authorization ?? query.get('X-Amz-Credential') ?? '',
  )?.[1];
}

function answer(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}

/** Without the headers of the connection, and of a body that was not read whole. */
function withoutHops(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _, expect: _expect, 'transfer-encoding': _encoding, ...rest } = headers;
  return rest;
}

function forward(
  { method, path, headers, body }: ServiceRequest,
  target: URL,
  agent: Agent,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: target.hostname,
        port: target.port,
        method,
        path,
        agent,
        headers: { ...withoutHops(headers), 'content-length': body.length },
      },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
