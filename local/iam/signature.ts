import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export interface SignedRequest {
  method: string;
  /** With the query, as it was sent. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** AWS takes a signature for five minutes. */
const GOOD_FOR_MS = 5 * 60_000;

/**
 * What is wrong with the signature of a request, by Signature Version 4; undefined where nothing is.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * @param secretOf the secret of an access key; undefined where nobody has that key
 */
export function signatureProblem(
  request: SignedRequest,
  { service, region, nowMs }: { service: string; region: string; nowMs: number },
  secretOf: (accessKeyId: string) => string | undefined,
): string | undefined {
  const [, accessKeyId = '', day = '', ofRegion = '', ofService = '', signed = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request,\s*SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    ) ?? [];
  if (accessKeyId === '') {
    return 'The Authorization header is no signature of version 4 (AWS4-HMAC-SHA256)';
  }
  const secret = secretOf(accessKeyId);
  if (secret === undefined) {
    return `The access key ${accessKeyId} is not one of this local run: sign with LOCAL-operator and the secret "local", or not at all`;
  }
  if (ofRegion !== region || ofService !== service) {
    return `The signature is for ${ofService} in ${ofRegion}; it has to be for ${service} in ${region}`;
  }
  const date = String(request.headers['x-amz-date']);
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  const [year, month, dayOfMonth, hour, minute, second] = parts.map(Number);
  const signedMs = Date.UTC(year!, month! - 1, dayOfMonth, hour, minute, second);
  if (!date.startsWith(day) || !(Math.abs(nowMs - signedMs) <= GOOD_FOR_MS)) {
    return 'The signature is older than five minutes, or from a clock that is wrong';
  }
  const names = signed.split(';');
  if (!names.includes('host')) {
    return 'The signature does not cover the Host header';
  }
  const [pathname = '', query = ''] = request.path.split(/\?(.*)/s, 2);
  const canonical = [
    request.method,
    // Each part of a path is encoded once more by all services but S3.
    pathname.split('/').map(encode).join('/'),
    canonicalQuery(query),
    ...names.map((name) => `${name}:${headerValue(request.headers, name)}`),
    '',
    signed,
    String(request.headers['x-amz-content-sha256'] ?? sha256(request.body)),
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<Buffer | string>(
    (secretSoFar, part) => createHmac('sha256', secretSoFar).update(part).digest(),
    `AWS4${secret}`,
  );
  const expected = createHmac('sha256', key).update(toSign).digest();
  return timingSafeEqual(expected, Buffer.from(signature, 'hex'))
    ? undefined
    : 'The signature does not fit the request: another secret, or something was changed on the way';
}

function canonicalQuery(query: string): string {
  return (
    [...new URLSearchParams(query)]
      .map((pair) => pair.map(encode))
      // By name, then by value: no character of either comes before a tab.
      .sort((one, other) => (one.join('\t') < other.join('\t') ? -1 : 1))
      .map((pair) => pair.join('='))
      .join('&')
  );
}

function headerValue(headers: IncomingHttpHeaders, name: string): string {
  return [headers[name] ?? ''].flat().join(',').trim().replace(/ +/g, ' ');
}

/** RFC 3986, which `encodeURIComponent` is not quite. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}
