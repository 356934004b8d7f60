/**
 * What others do, in virtual time: only when each of them calls Rekognition matters here, so everything else is a delay. The
 * real handlers and the real retries of some of them are `strategies/`.
 */
import {
  afterThrottle,
  apply,
  keepSlot,
  type LedgerState,
  type Slot,
  takeSlot,
} from '../../lambdas/shared/line/rules.ts';
import { TokenBucket } from '../../local/rekognition/quota.ts';
import { EventQueue } from '../../test/support/event-queue.ts';
import { lognormal, seededRandom } from '../../test/support/random.ts';
import { AdaptiveRetries } from './adaptive-retries.ts';

export interface Conditions {
  photos: number;
  /** What everybody is configured with, calls per second. */
  perSecond: number;
  trueQuota: number;
  /** Calls per second of somebody else. */
  neighbour: number;
  seed: number;
}

/** When calls were accepted, milliseconds of the run in order, and what came of all of them. */
export interface Calls {
  acceptedMs: readonly number[];
  calls: number;
  throttled: number;
  /** When the neighbour's were accepted. */
  neighbourMs: readonly number[];
}

export interface Opponent {
  name: string;
  source: string;
  /** What its one setting is. */
  setting: string;
  /** What is tried of it, as shares of what `perSecond` or `perSecond` x mean duration suggest. */
  shares: readonly number[];
  /** The bound: it is no opponent, and no goal is to be ahead of it. */
  isBound?: boolean;
  start(race: Race, share: number): void;
}

const LATENCY_MS = 600;
const REFUSAL_MS = 40;
/** What a function does around the call, a message's way from the queue included. */
const AROUND_MS = 45;
const MEAN_MS = LATENCY_MS * Math.exp(0.35 ** 2 / 2) + AROUND_MS;
/** Calls do not reach Rekognition as evenly as they were sent. */
const ON_ITS_WAY_MS = 20;
/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html: after a throttled call, full jitter. */
const SDK_BACKOFF_MS = { first: 500, most: 20_000 };

export class Race {
  readonly conditions: Conditions;
  readonly random: () => number;
  readonly #bucket: TokenBucket;
  readonly #queue = new EventQueue();
  readonly #actions = new Map<number, () => void>();
  #next = 0;
  #taken = 0;
  readonly #acceptedMs: number[] = [];
  readonly #neighbourMs: number[] = [];
  #calls = 0;
  #throttled = 0;
  nowMs = 0;

  constructor(conditions: Conditions) {
    this.conditions = conditions;
    this.random = seededRandom(conditions.seed);
    this.#bucket = new TokenBucket(conditions.trueQuota, () => this.nowMs);
  }

  run(start: (race: Race) => void): Calls {
    const { photos, neighbour } = this.conditions;
    if (neighbour > 0) {
      this.#neighbour();
    }
    start(this);
    for (let event = this.#queue.pop(); event; event = this.#queue.pop()) {
      this.nowMs = event.timeMs;
      const action = this.#actions.get(event.subject)!;
      this.#actions.delete(event.subject);
      action();
      if (this.#acceptedMs.length >= photos) {
        break;
      }
    }
    return {
      acceptedMs: this.#acceptedMs,
      calls: this.#calls,
      throttled: this.#throttled,
      neighbourMs: this.#neighbourMs,
    };
  }

  after(ms: number, action: () => void): void {
    const id = this.#next++ & 0x7fffffff;
    this.#actions.set(id, action);
    this.#queue.push(this.nowMs + ms, id, 0);
  }

  /** The next photo of the queue; false when there is none left. */
  take(): boolean {
    return this.#taken++ < this.conditions.photos;
  }

  call(then: (accepted: boolean) => void): void {
    this.after(this.random() * ON_ITS_WAY_MS, () => this.#arrive(then));
  }

  #arrive(then: (accepted: boolean) => void): void {
    this.#calls++;
    const accepted = this.#bucket.take();
    if (accepted) {
      this.#acceptedMs.push(this.nowMs);
    } else {
      this.#throttled++;
    }
    this.after(lognormal(this.random, accepted ? LATENCY_MS : REFUSAL_MS), () => then(accepted));
  }

  #neighbour(): void {
    if (this.#bucket.take()) {
      this.#neighbourMs.push(this.nowMs);
    }
    this.after((1_000 / this.conditions.neighbour) * (0.5 + this.random()), () => this.#neighbour());
  }
}

function backoff(race: Race, attempt: number, { first, most }: { first: number; most: number }): number {
  return race.random() * Math.min(most, first * 2 ** Math.min(attempt, 20));
}

/** Workers that take one photo after the other; throttled calls are repeated in place, as the SDK does. */
function workers(
  race: Race,
  count: number,
  limiterOf: (worker: number) => AdaptiveRetries | undefined,
): void {
  for (let worker = 0; worker < count; worker++) {
    const limiter = limiterOf(worker);
    const next = (): void => {
      if (race.take()) {
        race.after(AROUND_MS, () => attempt(0));
      }
    };
    const attempt = (failures: number): void => {
      const waitMs = limiter?.take() ?? 0;
      if (waitMs > 0) {
        race.after(waitMs, () => attempt(failures));
        return;
      }
      race.call((accepted) => {
        limiter?.learn(!accepted);
        if (accepted) {
          next();
        } else {
          race.after(backoff(race, failures, SDK_BACKOFF_MS), () => attempt(failures + 1));
        }
      });
    };
    next();
  }
}

function concurrency(race: Race, share: number): number {
  return Math.max(2, Math.round((race.conditions.perSecond * MEAN_MS * share) / 1_000));
}

/** Each photo at a fixed rate, however Rekognition answers; who is throttled comes again later. */
function fixedRate(race: Race, share: number, again: { first: number; most: number }): void {
  const intervalMs = 1_000 / (race.conditions.perSecond * share);
  let nextMs = 0;
  const send = (attempt: number): void => {
    const slotMs = Math.max(nextMs, race.nowMs);
    nextMs = slotMs + intervalMs;
    race.after(slotMs - race.nowMs, () =>
      race.call((accepted) => {
        if (!accepted) {
          race.after(backoff(race, attempt, again), () => send(attempt + 1));
        }
      }),
    );
  };
  while (race.take()) {
    send(0);
  }
}

export const opponents: readonly Opponent[] = [
  {
    name: 'one process, adaptive retry mode',
    source: 'https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html',
    setting: 'calls at a time, of quota x mean duration',
    shares: [1, 1.1, 1.5, 3],
    start(race, share) {
      const limiter = new AdaptiveRetries(() => race.nowMs);
      workers(race, concurrency(race, share), () => limiter);
    },
  },
  {
    name: 'SQS, maximum concurrency, adaptive retry mode',
    source: 'https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html',
    setting: 'maximum concurrency, of quota x mean duration',
    shares: [0.9, 1, 1.1, 1.5],
    start(race, share) {
      workers(race, concurrency(race, share), () => new AdaptiveRetries(() => race.nowMs));
    },
  },
  {
    // Which event's message comes next is another matter than how many are worked on.
    name: 'SQS fair queue, maximum concurrency',
    source: 'https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html',
    setting: 'maximum concurrency, of quota x mean duration',
    shares: [0.9, 0.95, 1, 1.1],
    start(race, share) {
      workers(race, concurrency(race, share), () => undefined);
    },
  },
  {
    name: 'API destination with a rate limit',
    source: 'https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html',
    setting: 'invocations a second, of the quota',
    shares: [0.6, 0.9, 0.98, 1],
    start(race, share) {
      fixedRate(race, share, { first: 1_000, most: 60_000 });
    },
  },
  {
    name: 'GCRA item in DynamoDB, no line',
    source: 'https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm',
    setting: 'rate, of the quota',
    shares: [0.6, 0.9, 0.98, 1],
    start(race, share) {
      const intervalMs = 1_000 / (race.conditions.perSecond * share);
      let arrivalMs = 0;
      const ask = (attempt: number): void => {
        // So much of a burst as the bucket of Rekognition holds.
        if (arrivalMs - race.nowMs > 900) {
          race.after(1 + backoff(race, attempt, { first: 1_000, most: 10_000 }), () => ask(attempt + 1));
          return;
        }
        const slotMs = Math.max(arrivalMs, race.nowMs);
        arrivalMs = slotMs + intervalMs;
        race.after(slotMs - race.nowMs, () => race.call((accepted) => accepted || ask(0)));
      };
      while (race.take()) {
        ask(0);
      }
    },
  },
  {
    name: 'Distributed Map, MaxConcurrency',
    source: 'https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html',
    setting: 'MaxConcurrency, of quota x mean duration',
    shares: [0.9, 0.95, 1, 1.1],
    start(race, share) {
      const next = (): void => {
        if (race.take()) {
          race.after(AROUND_MS, () => attempt(0));
        }
      };
      const attempt = (failures: number): void =>
        race.call((accepted) =>
          accepted
            ? next()
            : race.after(backoff(race, failures, { first: 1_000, most: 60_000 }), () =>
                attempt(failures + 1),
              ),
        );
      for (let child = 0; child < concurrency(race, share); child++) {
        next();
      }
    },
  },
  {
    name: 'one process with this curve (the bound)',
    source: 'https://www.rfc-editor.org/rfc/rfc9438',
    setting: 'the quota',
    shares: [1],
    isBound: true,
    start: ownCurve,
  },
];

/** The gate of the slot ledger in one process that always has a photo at hand: no line, no hop, nobody else's clock. */
function ownCurve(race: Race, share: number): void {
  const config = { perSecond: race.conditions.perSecond * share };
  const epochMs = Date.UTC(2026, 0, 1, 12);
  let state: LedgerState = {};
  let throttled = 0;
  const take = (): void => {
    const nowMs = epochMs + race.nowMs;
    const decision = takeSlot(state, config, { nowMs, lane: 'live' });
    if ('refused' in decision) {
      race.after(10, take);
      return;
    }
    state = apply(state, decision.change);
    const slot: Slot = {
      slotMs: state.next_ms! - decision.intervalMs,
      intervalMs: decision.intervalMs,
      cuts: state.cuts ?? 0,
      day: state.day ?? 0,
    };
    race.after(slot.slotMs - nowMs, () => {
      // One slot at a time: the next is taken at the pace of this moment.
      const kept = keepSlot(state, config, slot, { nowMs: epochMs + race.nowMs, random: race.random() });
      if (!kept || 'refused' in kept) {
        take();
        return;
      }
      if (throttled > 0) {
        throttled--;
      } else if (!race.take()) {
        // What is left is under way.
        race.after(10, take);
        return;
      }
      race.call((accepted) => {
        if (!accepted) {
          const change = afterThrottle(state, config, kept, epochMs + race.nowMs);
          state = change ? apply(state, change) : state;
          throttled++;
        }
      });
      take();
    });
  };
  take();
}
