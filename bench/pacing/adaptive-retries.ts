/**
 * The rate limiter of the SDK's adaptive retry mode, for virtual time: the numbers are those of `DefaultRateLimiter` in
 * @smithy/core. https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
 */
const BETA = 0.7;
const SCALE = 0.4;
const SMOOTH = 0.8;
const LEAST_FILL_RATE = 0.5;
const LEAST_CAPACITY = 1;

export class AdaptiveRetries {
  readonly #nowS: () => number;
  #enabled = false;
  #tokens = 0;
  #fillRate = LEAST_FILL_RATE;
  #capacity = LEAST_CAPACITY;
  #filledS: number | undefined;
  #lastMaxRate = 0;
  #throttledS: number;
  #measuredRate = 0;
  #requests = 0;
  #rateBucketS: number;

  /** @param nowMs milliseconds */
  constructor(nowMs: () => number) {
    this.#nowS = () => nowMs() / 1_000;
    this.#throttledS = this.#nowS();
    this.#rateBucketS = Math.floor(this.#nowS());
  }

  /** Takes a token; else how many milliseconds to wait before asking again. */
  take(): number {
    if (!this.#enabled) {
      return 0;
    }
    this.#fill();
    if (this.#tokens < 1) {
      return Math.max(0.01, ((1 - this.#tokens) / this.#fillRate) * 1_000);
    }
    this.#tokens -= 1;
    return 0;
  }

  /** After each answer. */
  learn(throttled: boolean): void {
    this.#measure();
    const nowS = this.#nowS();
    let rate: number;
    if (throttled) {
      this.#lastMaxRate = this.#enabled ? Math.min(this.#measuredRate, this.#fillRate) : this.#measuredRate;
      this.#throttledS = nowS;
      this.#enabled = true;
      rate = this.#lastMaxRate * BETA;
    } else {
      const windowS = Math.cbrt((this.#lastMaxRate * (1 - BETA)) / SCALE);
      rate = SCALE * (nowS - this.#throttledS - windowS) ** 3 + this.#lastMaxRate;
    }
    this.#fill();
    const limited = Math.min(rate, 2 * this.#measuredRate);
    this.#fillRate = Math.max(limited, LEAST_FILL_RATE);
    this.#capacity = Math.max(limited, LEAST_CAPACITY);
    this.#tokens = Math.min(this.#tokens, this.#capacity);
  }

  #fill(): void {
    const nowS = this.#nowS();
    if (this.#filledS !== undefined) {
      this.#tokens = Math.min(this.#capacity, this.#tokens + (nowS - this.#filledS) * this.#fillRate);
    }
    this.#filledS = nowS;
  }

  #measure(): void {
    const bucketS = Math.floor(this.#nowS() * 2) / 2;
    this.#requests++;
    if (bucketS > this.#rateBucketS) {
      const rate = this.#requests / (bucketS - this.#rateBucketS);
      this.#measuredRate = rate * SMOOTH + this.#measuredRate * (1 - SMOOTH);
      this.#requests = 0;
      this.#rateBucketS = bucketS;
    }
  }
}
