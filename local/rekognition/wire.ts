import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Operation, operations, RekognitionError } from './model.ts';

/**
 * AWS JSON 1.1, as Rekognition and its SDKs speak it: `POST /`, the operation in X-Amz-Target, JSON both ways
 * (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
 */
const TARGET_PREFIX = 'RekognitionService.';
const CONTENT_TYPE = 'application/x-amz-json-1.1';
/** Five megabytes of image are seven of Base64. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

export interface WireRequest {
  operation: Operation;
  input: Record<string, unknown>;
  /** Who signed, if anyone: signatures are not checked. */
  accessKeyId: string | undefined;
}

/** @throws RekognitionError of AWS's protocol when it is not a request of Rekognition's */
export async function readRequest(request: IncomingMessage): Promise<WireRequest> {
  const body = await readBody(request);
  const target = request.headers['x-amz-target'];
  if (request.method !== 'POST' || typeof target !== 'string' || !target.startsWith(TARGET_PREFIX)) {
    throw new RekognitionError(
      'UnknownOperationException',
      `This is a local Rekognition endpoint: it takes POST requests with X-Amz-Target: ${TARGET_PREFIX}<operation>.`,
      404,
    );
  }
  const name = target.slice(TARGET_PREFIX.length);
  const operation = operations.find((known) => known === name);
  if (!operation) {
    throw new RekognitionError(
      'UnknownOperationException',
      `${name} is not supported by the local Rekognition endpoint, which knows ${operations.join(', ')}.`,
    );
  }
  const contentType = request.headers['content-type']?.split(';')[0]?.trim();
  if (contentType !== CONTENT_TYPE) {
    throw new RekognitionError(
      'UnsupportedProtocolException',
      `Content-Type ${contentType} is not supported by the local Rekognition endpoint, which speaks ${CONTENT_TYPE}.`,
    );
  }
  const accessKeyId = /Credential=([^/,\s]+)\//.exec(request.headers.authorization ?? '')?.[1];
  return { operation, input: parseInput(body), accessKeyId };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // The rest is read and forgotten, so that the answer reaches the client.
    if (size <= MAX_BODY_BYTES) {
      chunks.push(chunk);
    }
  }
  if (size > MAX_BODY_BYTES) {
    throw new RekognitionError('RequestEntityTooLargeException');
  }
  return Buffer.concat(chunks);
}

function parseInput(body: Buffer): Record<string, unknown> {
  let input: unknown;
  try {
    input = body.length === 0 ? {} : JSON.parse(body.toString('utf8'));
  } catch {
    throw new RekognitionError('SerializationException');
  }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new RekognitionError('SerializationException');
  }
  return input as Record<string, unknown>;
}

export function sendResult(response: ServerResponse, requestId: string, result: object): void {
  send(response, 200, requestId, result);
}

export function sendError(response: ServerResponse, requestId: string, error: RekognitionError): void {
  response.setHeader('x-amzn-ErrorType', error.name);
  send(response, error.status, requestId, {
    __type: error.name,
    Code: error.name,
    Logref: requestId,
    Message: error.message,
    message: error.message,
  });
}

function send(response: ServerResponse, status: number, requestId: string, body: object): void {
  const json = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'Content-Type': CONTENT_TYPE,
    'Content-Length': json.length,
    'x-amzn-RequestId': requestId,
  });
  response.end(json);
}
