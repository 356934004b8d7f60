/**
 * Which fault strikes where: a function of the seed, the place and how often the place was passed, so that a seed is the same
 * campaign whatever order things happen in.
 */

export type RekognitionFault =
  | { error: 'InternalServerError' | 'ThrottlingException' | 'ProvisionedThroughputExceededException' }
  | { error: 'AccessDeniedException' | 'ServiceQuotaExceededException' | 'ResourceNotFoundException' }
  | { drop: 'before' | 'after' }
  | { delayMs: number };
export type S3Fault = 'unavailable' | 'internal' | 'reset_before' | 'reset_after' | 'truncated';
export type DynamoFault = 'throttled' | 'internal' | 'conflict' | 'reset_after';
export type StatementFault = 'killed' | 'deadlock' | 'serialization';
export type ConnectFault = 'refused' | 'too_many';
export type LambdaFault =
  | { kind: 'crash_before' | 'crash_after' | 'too_many_requests' | 'service' | 'unknown' | 'cold' }
  | { kind: 'killed' | 'timeout' | 'out_of_memory'; afterMs: number };
export type ExecutionFault = { kind: 'aborted' | 'timed_out'; afterMs: number };
/** How often an event arrives, how late, and with how much time between one and the next; 0 copies: it is lost. */
export type EventFault = { copies: number; delayMs: number; apartMs: number };
export type ResultFault = 'deleted' | 'corrupted';

/** A photo that Rekognition refuses, however often it is asked. */
export type Refusal =
  | 'InvalidImageFormatException'
  | 'ImageTooLargeException'
  | 'InvalidParameterException'
  | 'InvalidS3ObjectException';

/** What strikes everybody, when so many photos have been sent. */
export interface Outage {
  afterPhotos: number;
  kind: 'postgres_away' | 'postgres_restart' | 'throttling_storm' | 'collection_deleted' | 'cold_starts';
  /** How long, where it lasts. */
  ms: number;
}

export interface FaultPlan {
  rekognition(subject: string): RekognitionFault | undefined;
  s3(operation: string, subject: string): S3Fault | undefined;
  dynamodb(operation: string): DynamoFault | undefined;
  statement(): StatementFault | undefined;
  connect(): ConnectFault | undefined;
  /** The connection is lost after the COMMIT took effect. */
  afterCommit(): boolean;
  lambda(fn: string, subject: string): LambdaFault | undefined;
  execution(subject: string): ExecutionFault | undefined;
  /** What becomes of an erasure's function; there is no end to it. */
  erasureLambda(fn: string): LambdaFault | undefined;
  /** What becomes of an execution of erase-faces. */
  erasureExecution(): ExecutionFault | undefined;
  event(subject: string): EventFault;
  /** The same of the event of a deletion. */
  deletion(subject: string): EventFault;
  result(subject: string): ResultFault | undefined;
  outages: readonly Outage[];
  /** A number from 0 to 1 for anything else that is decided by the seed. */
  chance(what: string): number;
}

const LAMBDA_FAULTS = [
  'crash_before',
  'crash_after',
  'too_many_requests',
  'service',
  'unknown',
  'cold',
  'killed',
  'killed',
  'timeout',
  'out_of_memory',
] as const;

/** After so many faults at one place it is left in peace: retries are many, but not endless. */
const PER_PLACE = 3;

export function faultPlan(seed: number, photos: number): FaultPlan {
  const passed = new Map<string, number>();
  /** Strikes with this probability, at most a few times at one place. */
  function strike<Fault>(
    place: string,
    probability: number,
    kinds: readonly Fault[],
    limit = PER_PLACE,
  ): Fault | undefined {
    const n = passed.get(place) ?? 0;
    passed.set(place, n + 1);
    const random = generator(`${seed}/${place}/${n}`);
    const struck = random() < probability && n < limit * 4;
    return struck ? kinds[Math.floor(random() * kinds.length)] : undefined;
  }
  const chance = (what: string) => generator(`${seed}/${what}`)();
  /** Each seed has its own worst part. */
  const weight = (part: string) => 0.3 + 1.7 * chance(`weight/${part}`) ** 2;
  const global = (place: string, probability: number) =>
    strike(place, probability, [true], Number.POSITIVE_INFINITY);

  return {
    rekognition: (subject) =>
      strike<RekognitionFault>(`rekognition/${subject}`, 0.16 * weight('rekognition'), [
        { error: 'InternalServerError' },
        { error: 'InternalServerError' },
        { error: 'ThrottlingException' },
        { error: 'ProvisionedThroughputExceededException' },
        { error: 'AccessDeniedException' },
        { error: 'ServiceQuotaExceededException' },
        { error: 'ResourceNotFoundException' },
        { drop: 'before' },
        { drop: 'after' },
        { drop: 'after' },
        { delayMs: 400 },
        { delayMs: 8_000 },
      ]),
    s3: (operation, subject) =>
      strike<S3Fault>(`s3/${operation}/${subject}`, 0.08 * weight('s3'), [
        'unavailable',
        'internal',
        'reset_before',
        'reset_after',
        'truncated',
      ]),
    dynamodb(operation) {
      return global(`dynamodb/${operation}`, 0.03 * weight('dynamodb'))
        ? pick<DynamoFault>(`${seed}/dynamodb/${passed.get(`dynamodb/${operation}`)}`, [
            'throttled',
            'internal',
            'conflict',
            'reset_after',
          ])
        : undefined;
    },
    statement() {
      return global('statement', 0.012 * weight('postgres'))
        ? pick<StatementFault>(`${seed}/statement/${passed.get('statement')}`, [
            'killed',
            'deadlock',
            'serialization',
          ])
        : undefined;
    },
    connect() {
      return global('connect', 0.15 * weight('postgres'))
        ? pick<ConnectFault>(`${seed}/connect/${passed.get('connect')}`, ['refused', 'too_many'])
        : undefined;
    },
    afterCommit: () => global('commit', 0.06 * weight('postgres')) === true,
    lambda(fn, subject) {
      const kind = strike(`lambda/${fn}/${subject}`, 0.06 * weight('lambda'), LAMBDA_FAULTS);
      if (kind === 'killed' || kind === 'timeout' || kind === 'out_of_memory') {
        return { kind, afterMs: 60 * chance(`kill/${fn}/${subject}`) };
      }
      return kind && { kind };
    },
    execution(subject) {
      const kind = strike(`execution/${subject}`, 0.04 * weight('execution'), [
        'aborted',
        'timed_out',
      ] as const);
      return kind && { kind, afterMs: 1_500 * chance(`stop/${subject}`) };
    },
    erasureLambda(fn) {
      const place = `erasure/${fn}`;
      if (!global(place, 0.06 * weight('erasure'))) {
        return undefined;
      }
      const key = `${seed}/${place}/${passed.get(place)}`;
      const kind = pick(key, LAMBDA_FAULTS);
      return kind === 'killed' || kind === 'timeout' || kind === 'out_of_memory'
        ? { kind, afterMs: 400 * generator(`${key}/kill`)() }
        : { kind };
    },
    erasureExecution() {
      const place = 'erasure-execution';
      const key = `${seed}/${place}/${passed.get(place) ?? 0}`;
      return global(place, 0.12 * weight('execution'))
        ? {
            kind: pick(key, ['aborted', 'aborted', 'timed_out']),
            afterMs: 2_500 * generator(`${key}/stop`)(),
          }
        : undefined;
    },
    event(subject) {
      if (chance(`lost/${subject}`) < 0.015) {
        return { copies: 0, delayMs: 0, apartMs: 0 };
      }
      const copies = chance(`copies/${subject}`) < 0.1 ? 2 + Math.floor(3 * chance(`number/${subject}`)) : 1;
      const delayMs = chance(`late/${subject}`) < 0.15 ? 2_500 * chance(`delay/${subject}`) : 0;
      return { copies, delayMs, apartMs: 40 };
    },
    deletion(subject) {
      if (chance(`lost-deletion/${subject}`) < 0.08) {
        return { copies: 0, delayMs: 0, apartMs: 0 };
      }
      const copies = chance(`copies-deletion/${subject}`) < 0.25 ? 2 : 1;
      const delayMs =
        chance(`late-deletion/${subject}`) < 0.3 ? 6_000 * chance(`delay-deletion/${subject}`) : 0;
      return { copies, delayMs, apartMs: 8_000 * chance(`apart/${subject}`) };
    },
    result: (subject) =>
      strike<ResultFault>(`result/${subject}`, 0.03 * weight('results'), ['deleted', 'corrupted'], 1),
    outages: outages(chance, photos),
    chance,
  };
}

/** The same photos, and no fault. */
export function atRest(plan: FaultPlan): FaultPlan {
  return {
    ...plan,
    rekognition: () => undefined,
    s3: () => undefined,
    dynamodb: () => undefined,
    statement: () => undefined,
    connect: () => undefined,
    afterCommit: () => false,
    lambda: () => undefined,
    execution: () => undefined,
    erasureLambda: () => undefined,
    erasureExecution: () => undefined,
    event: () => ({ copies: 1, delayMs: 0, apartMs: 0 }),
    deletion: () => ({ copies: 1, delayMs: 0, apartMs: 0 }),
    result: () => undefined,
    outages: [],
  };
}

function outages(chance: (what: string) => number, photos: number): Outage[] {
  const kinds: [Outage['kind'], probability: number, ms: number][] = [
    ['postgres_away', 0.7, 3_000],
    ['postgres_restart', 0.6, 400],
    ['throttling_storm', 0.6, 1_500],
    ['collection_deleted', 0.4, 0],
    ['cold_starts', 0.5, 0],
  ];
  return kinds.flatMap(([kind, probability, ms]) =>
    chance(`outage/${kind}`) < probability
      ? [{ kind, ms, afterPhotos: Math.floor(photos * (0.1 + 0.8 * chance(`when/${kind}`))) }]
      : [],
  );
}

function pick<Kind>(key: string, kinds: readonly Kind[]): Kind {
  return kinds[Math.floor(generator(key)() * kinds.length)]!;
}

/** mulberry32 behind FNV-1a: small, and the same everywhere. */
function generator(key: string): () => number {
  let state = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    state = Math.imul(state ^ key.charCodeAt(i), 0x01000193);
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
