import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { STSClient } from '@aws-sdk/client-sts';
import { SignatureV4 } from '@smithy/signature-v4';
import * as v from 'valibot';

/** https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_freetier_GetAccountPlanState.html */
const planSchema = v.object({
  accountPlanType: v.string(),
  accountPlanStatus: v.optional(v.string()),
  /** Seconds since the epoch. */
  accountPlanExpirationDate: v.optional(v.number()),
});
export type AccountPlan = v.InferOutput<typeof planSchema>;

const HOST = 'freetier.us-east-1.api.aws';

/**
 * The plan of the account. Asked by hand: the SDK's client for this one question is not to be had everywhere.
 *
 * @param sts lends its credentials
 * @param send what sends the request; for tests
 * @throws an error by the name that AWS gives it; `ResourceNotFoundException` for an account from before there were plans
 */
export async function accountPlan(sts: STSClient, send: typeof fetch = fetch): Promise<AccountPlan> {
  const signer = new SignatureV4({
    service: 'freetier',
    region: 'us-east-1',
    credentials: sts.config.credentials,
    sha256: Sha256,
  });
  const { headers } = await signer.sign({
    method: 'POST',
    protocol: 'https:',
    hostname: HOST,
    path: '/',
    headers: {
      host: HOST,
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'AWSFreeTierService.GetAccountPlanState',
    },
    body: '{}',
  });
  const { host: _, ...rest } = headers;
  const response = await send(`https://${HOST}/`, { method: 'POST', headers: rest, body: '{}' });
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (!response.ok) {
    const type = String(body.__type ?? `HTTP ${response.status}`).replace(/.*#/, '');
    throw Object.assign(new Error(String(body.message ?? body.Message ?? type)), { name: type });
  }
  return v.parse(planSchema, body);
}

/** SHA-256 as the signer asks for it. */
export class Sha256 {
  readonly #secret: string | Uint8Array | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret =
      secret === undefined || typeof secret === 'string'
        ? secret
        : ArrayBuffer.isView(secret)
          ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
          : new Uint8Array(secret);
    this.#hash = this.#start();
  }

  #start(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#start();
  }
}
