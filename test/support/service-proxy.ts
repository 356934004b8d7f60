import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProxiedRequest {
  method: string;
  /** Path and query, as on the wire. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface ProxiedAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What the proxy does instead of passing a request on and its answer back. */
export type Disturbance =
  | { answer: { status: number; type: string; body: string } }
  | { reset: 'before' | 'after' }
  /** Only half of the answer's body arrives. */
  | 'truncate';

export interface ServiceProxy {
  endpoint: string;
  stop(): Promise<void>;
}

/**
 * Stands in front of a service.
 *
 * @param disturb decides about a request
 * @param onAnswer sees each request that reached the service, with its answer, before the client does
 */
export async function startServiceProxy(
  target: string,
  disturb: (request: ProxiedRequest) => Disturbance | undefined,
  onAnswer: (request: ProxiedRequest, answer: ProxiedAnswer) => Promise<void> | void = () => {},
): Promise<ServiceProxy> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, response) => {
    void (async () => {
      const { method = 'GET', url = '/', headers } = incoming;
      const proxied: ProxiedRequest = { method, url, headers, body: await readAll(incoming) };
      const disturbance = disturb(proxied);
      if (disturbance !== undefined && disturbance !== 'truncate' && 'answer' in disturbance) {
        const { status, type, body } = disturbance.answer;
        response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
        response.end(method === 'HEAD' ? undefined : body);
        return;
      }
      const reset = disturbance !== undefined && disturbance !== 'truncate' ? disturbance.reset : undefined;
      if (reset === 'before') {
        incoming.socket.destroy();
        return;
      }
      const answer = await forward(agent, target, proxied);
      await onAnswer(proxied, answer);
      if (reset === 'after') {
        incoming.socket.destroy();
        return;
      }
      response.writeHead(answer.status, answer.headers);
      if (disturbance === 'truncate' && answer.body.length > 1) {
        response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)));
        setImmediate(() => incoming.socket.destroy());
        return;
      }
      response.end(method === 'HEAD' ? undefined : answer.body);
    })().catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function forward(
  agent: Agent,
  target: string,
  { method, url, headers, body }: ProxiedRequest,
): Promise<ProxiedAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(url, target), { method, headers, agent }, (incoming) => {
      readAll(incoming).then(
        (answer) => resolve({ status: incoming.statusCode!, headers: incoming.headers, body: answer }),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
