import type { Operation } from './model.ts';

/** Calls per second, by operation. `Infinity` switches a limit off. */
export type Quotas = Record<Operation, number>;

/** Regions where the operations that look at faces have ten times the others' quota. */
const FAST_REGIONS = new Set(['us-east-1', 'us-west-2', 'eu-west-1']);

/**
 * The quotas of a new account, per operation and Region:
 * https://docs.aws.amazon.com/general/latest/gr/rekognition.html#limits_rekognition
 */
export function defaultQuotas(region: string): Quotas {
  const faces = FAST_REGIONS.has(region) ? 50 : 5;
  return {
    IndexFaces: faces,
    SearchFacesByImage: faces,
    SearchFaces: faces,
    ListFaces: faces,
    CreateCollection: 5,
    DeleteCollection: 5,
    DeleteFaces: 5,
    DescribeCollection: 5,
    ListCollections: 5,
  };
}

/** A token bucket that holds one second's worth of calls. */
export class TokenBucket {
  #perSecond: number;
  #capacity: number;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  /** @param now milliseconds; may jump, but time that goes back gives nothing */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    // Below one a second, a bucket of one second would never hold a whole call.
    this.#capacity = Math.max(1, perSecond);
    this.#now = now;
    this.#tokens = this.#capacity;
    this.#at = now();
  }

  /** From now on another quota, as Service Quotas may give: what the bucket holds stays, as far as it fits. */
  change(perSecond: number): void {
    this.#fill();
    this.#perSecond = perSecond;
    this.#capacity = Math.max(1, perSecond);
    this.#tokens = Math.min(this.#tokens, this.#capacity);
  }

  take(): boolean {
    if (this.#perSecond === Number.POSITIVE_INFINITY) {
      return true;
    }
    this.#fill();
    if (this.#tokens < 1) {
      return false;
    }
    this.#tokens -= 1;
    return true;
  }

  #fill(): void {
    const now = this.#now();
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#tokens = Math.min(this.#capacity, this.#tokens + (elapsed / 1000) * this.#perSecond);
  }
}
