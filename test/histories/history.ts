/** A history: what happens to a few photos of an event, and in which order the pipeline gets to do its part. */
import { seededRandom } from '../support/random.ts';

/**
 * Two objects of one UUID stem that differ in the case of their extension, one of that stem in a folder, one whose name is no
 * UUID, and one of that stem in another event.
 */
export const keyNames = ['P.jpg', 'P.JPG', 'thumbs/P.jpg', 'IMG_1.jpg', 'other/P.jpg'] as const;
export type KeyName = (typeof keyNames)[number];

export const contentNames = ['A', 'B', 'C', 'nobody', 'empty', 'broken'] as const;
export type ContentName = (typeof contentNames)[number];

export type EventName = 'mine' | 'other';

/** Faults that are ordered for the next place of their kind that an execution comes to. */
export const faultNames = {
  answer: 'the answer of its next Task is lost',
  rekognition: 'the answer of its next IndexFaces is lost',
  put: 'its next response is not stored',
  crash: 'its Lambda dies after its next call',
} as const;
export type FaultName = keyof typeof faultNames;

/**
 * `id` names the operation, and the execution that its event starts; what that execution starts in turn has the name with a
 * plus, the event of its end, if it was not a success, the name with an exclamation mark, and the announcement of an upload the name
 * with a question mark. So a step means the same when others are left out.
 */
export type Step =
  | { op: 'put'; id: string; key: KeyName; content: ContentName }
  | { op: 'delete'; id: string; key: KeyName }
  | { op: 'copy'; id: string; from: KeyName; key: KeyName }
  /** The same event once more. */
  | { op: 'again'; id: string; of: string }
  /** Never delivered. */
  | { op: 'lose'; of: string }
  /** Of an upload no execution could be started, however often it was tried. */
  | { op: 'refuse'; of: string }
  | { op: 'person'; id: string; event: EventName; person: string }
  | { op: 'event'; id: string; event: EventName }
  | { op: 'retention'; id: string }
  | { op: 'outbox'; id: string }
  /** Somebody searches the event for a person. */
  | { op: 'find'; id: string; event: EventName; person: string }
  /** A follower of the event's feed of changes reads a page, or to its end. */
  | { op: 'follow'; event: EventName; limit: number | undefined }
  | { op: 'stop'; of: string }
  | { op: 'fault'; of: string; fault: FaultName }
  | { op: 'drop_collection'; event: EventName }
  | { op: 'lose_results'; event: EventName }
  /** Minutes pass: whoever had a turn has it no longer, and what was put off is due. */
  | { op: 'time' }
  /** An execution goes on, so many calls far, or until the next would be this one. */
  | { op: 'run'; of: string; calls: number; until?: string }
  /** Everything comes to its end. */
  | { op: 'settle' };

export interface History {
  seed: number;
  sequencers: 'plain' | 'varied';
  /** In which order executions are brought to their ends. */
  drain: 'oldest' | 'newest';
  steps: Step[];
}

/** More calls than an execution makes. */
export const TO_THE_END = 40;

type OpName =
  | Exclude<Step['op'], 'run' | 'settle' | 'copy' | 'find' | 'follow'>
  | 'rename'
  | 'interrupt'
  | 'vanish';
type Weights = Partial<Record<OpName, number>>;

interface Theme {
  keys: readonly KeyName[];
  contents: readonly ContentName[];
  weights: Weights;
}

const usual: Weights = {
  put: 40,
  delete: 16,
  again: 12,
  person: 5,
  event: 6,
  retention: 2,
  outbox: 2,
  stop: 4,
  fault: 8,
  drop_collection: 2,
  lose_results: 3,
  time: 3,
  rename: 3,
  interrupt: 5,
  lose: 1,
  refuse: 1,
};

/** Few keys and contents, so that things collide; each theme has its own kind of trouble. */
const themes: readonly Theme[] = [
  { keys: keyNames, contents: contentNames, weights: usual },
  {
    keys: ['P.jpg'],
    contents: ['A', 'A', 'B', 'empty'],
    weights: { put: 50, delete: 30, again: 20, fault: 6 },
  },
  {
    keys: ['P.jpg', 'IMG_1.jpg'],
    contents: ['A', 'A', 'B', 'broken'],
    weights: {
      put: 40,
      delete: 20,
      again: 12,
      stop: 8,
      fault: 12,
      lose_results: 5,
      drop_collection: 5,
      lose: 2,
      refuse: 4,
    },
  },
  {
    keys: ['P.jpg', 'P.JPG', 'thumbs/P.jpg', 'other/P.jpg'],
    contents: ['A', 'A', 'B', 'C'],
    weights: { put: 50, delete: 25, again: 10, rename: 12, person: 3, fault: 3 },
  },
  {
    keys: ['P.jpg', 'P.jpg', 'other/P.jpg'],
    contents: ['A', 'A', 'C'],
    weights: { put: 50, delete: 25, again: 8, event: 5, person: 5, fault: 3, interrupt: 6 },
  },
  {
    keys: ['P.jpg', 'IMG_1.jpg'],
    contents: ['A', 'B', 'empty'],
    weights: { put: 40, event: 22, retention: 5, again: 12, delete: 6, fault: 8, stop: 4, interrupt: 12 },
  },
  {
    keys: ['P.jpg', 'IMG_1.jpg'],
    contents: ['A', 'B', 'C'],
    weights: {
      put: 40,
      person: 20,
      again: 10,
      delete: 6,
      fault: 8,
      event: 3,
      lose_results: 3,
      interrupt: 12,
    },
  },
  {
    keys: ['P.jpg', 'IMG_1.jpg'],
    contents: ['A', 'A', 'B'],
    weights: { put: 40, delete: 25, time: 6, again: 4, fault: 8, stop: 6, interrupt: 20 },
  },
  {
    keys: ['P.jpg', 'P.JPG', 'thumbs/P.jpg'],
    contents: ['A', 'A', 'B'],
    weights: { put: 40, delete: 25, lose: 25, rename: 10, again: 4, stop: 4 },
  },
  {
    keys: ['P.jpg', 'P.JPG'],
    contents: ['A'],
    weights: { put: 20, delete: 10, rename: 10, stop: 5, again: 4, vanish: 40 },
  },
];

export interface GeneratorOptions {
  /** Whether S3's events can be lost: only where something mends that by itself. */
  loseEvents: boolean;
}

export function generate(seed: number, { loseEvents }: GeneratorOptions): History {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  const { keys, contents, ...theme } = pick(themes);
  const weights: Weights = {
    ...theme.weights,
    ...(loseEvents && { lose: Math.max(8, theme.weights.lose ?? 0) }),
  };
  const steps: Step[] = [];
  /** Whatever can be run, the newest last. */
  const labels: string[] = [];
  let ids = 0;

  const weighted = (): OpName => {
    const entries = Object.entries(weights) as [OpName, number][];
    let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) {
        return name;
      }
    }
    return 'put';
  };
  const anyLabel = (): string => {
    // The newer ones are more likely to be on their way.
    const label = labels[Math.floor(labels.length * Math.sqrt(random()))]!;
    const kind = random();
    return kind < 0.7 ? label : kind < 0.8 ? `${label}+` : kind < 0.85 ? `${label}!` : `${label}?`;
  };
  const starts = (): string => {
    const id = String(++ids);
    labels.push(id);
    return id;
  };
  const erasing = (['delete', 'person', 'event'] as const).filter((name) => (weights[name] ?? 0) > 4);
  const otherCase = () => pick([['P.JPG', 'P.jpg'] as const, ['P.jpg', 'P.JPG'] as const]);
  const calls = () => (random() < 0.3 ? TO_THE_END : 1 + Math.floor(random() * 12));

  const operate = (op: OpName): void => {
    const event = (): EventName => (keys.includes('other/P.jpg') && random() < 0.2 ? 'other' : 'mine');
    switch (op) {
      case 'put': {
        const id = starts();
        steps.push({ op, id, key: pick(keys), content: pick(contents) });
        return;
      }
      case 'rename': {
        const [from, key] = otherCase();
        steps.push({ op: 'copy', id: starts(), from, key }, { op: 'delete', id: starts(), key: from });
        return;
      }
      case 'delete':
        steps.push({ op, id: starts(), key: pick(keys) });
        return;
      case 'again': {
        const of = random() < 0.1 ? `${pick(labels)}!` : pick(labels);
        steps.push({ op, id: starts(), of });
        return;
      }
      case 'person':
        steps.push({ op, id: starts(), event: event(), person: pick(['x', 'y']) });
        return;
      case 'event':
        steps.push({ op, id: starts(), event: event() });
        return;
      case 'retention':
      case 'outbox':
        steps.push({ op, id: starts() });
        return;
      case 'stop': {
        if (random() < 0.5) {
          operate('put');
        }
        const of = random() < 0.5 ? labels.at(-1)! : pick(labels);
        steps.push({ op: 'run', of, calls: calls() }, { op, of });
        return;
      }
      case 'lose':
        steps.push({
          op,
          of: loseEvents && random() < 0.5 ? pick(labels) : `${pick(labels)}${pick(['!', '?'])}`,
        });
        return;
      case 'refuse':
        steps.push({ op, of: pick(labels) });
        return;
      case 'fault':
        steps.push({ op, of: anyLabel(), fault: pick(['answer', 'answer', 'rekognition', 'put', 'crash']) });
        return;
      case 'drop_collection':
      case 'lose_results':
        steps.push({ op, event: event() });
        return;
      case 'time':
        steps.push({ op });
        return;
      case 'vanish': {
        // A file goes before its turn, and its bytes are under another name, whose execution may be cut off. Who ends when is open.
        const [from, key] = otherCase();
        const [file, copy, gone] = [starts(), starts(), starts()];
        steps.push(
          { op: 'put', id: file, key: from, content: pick(contents) },
          { op: 'copy', id: copy, from, key },
        );
        const ends = [file, copy, gone];
        if (random() < 0.6) {
          steps.push({ op: 'run', of: copy, calls: 1 + Math.floor(random() * 4) }, { op: 'stop', of: copy });
          ends[1] = `${copy}!`;
        }
        steps.push({ op: 'delete', id: gone, key: from });
        while (ends.length > 0) {
          const [of] = ends.splice(Math.floor(random() * ends.length), 1);
          steps.push({ op: 'run', of: of!, calls: TO_THE_END });
        }
        return;
      }
      case 'interrupt': {
        // An erasure is held up, or somebody takes its turn, and goes on when there are new faces.
        operate(pick(erasing));
        const held = labels.at(-1)!;
        steps.push({ op: 'run', of: held, calls: 1 + Math.floor(random() * 10) });
        if (random() < 0.5) {
          steps.push({ op: 'fault', of: held, fault: 'answer' }, { op: 'run', of: held, calls: 1 });
        } else {
          const id = starts();
          steps.push({ op: 'time' }, { op: 'outbox', id }, { op: 'run', of: id, calls: TO_THE_END });
        }
        if (random() < 0.8) {
          operate('put');
          steps.push({ op: 'run', of: labels.at(-1)!, calls: TO_THE_END });
        }
        if (random() < 0.7) {
          steps.push({ op: 'run', of: held, calls: TO_THE_END });
        }
        return;
      }
    }
  };

  /** Looks from outside, which change nothing: with a randomness of their own, beside everything else. */
  const looking = seededRandom(Math.imul(seed, 0x85ebca6b) ^ 0x27d4eb2f);
  let looks = 0;
  const look = (): Step[] => {
    const event: EventName = keys.includes('other/P.jpg') && looking() < 0.3 ? 'other' : 'mine';
    if (looking() < 0.5) {
      return [{ op: 'follow', event, limit: looking() < 0.5 ? 1 : undefined }];
    }
    const id = `look${++looks}`;
    const person = ['x', 'y', 'z'][Math.floor(3 * looking() ** 2)]!;
    // Some have their answer of Rekognition, and ask which of it is shown, when more has happened.
    return [{ op: 'find', id, event, person }, ...(looking() < 0.6 ? [runs(id, TO_THE_END)] : [runs(id, 2)])];
  };

  operate('put');
  const count = 4 + Math.floor(random() * 4);
  for (let i = 0; i <= count; i++) {
    if (i > 0) {
      operate(weighted());
    }
    const fate = random();
    if (fate < 0.4) {
      steps.push({ op: 'run', of: labels.at(-1)!, calls: TO_THE_END });
    } else if (fate < 0.75) {
      steps.push({ op: 'run', of: labels.at(-1)!, calls: calls() });
    }
    while (random() < 0.35) {
      steps.push({ op: 'run', of: anyLabel(), calls: calls() });
    }
    if (random() < 0.12) {
      steps.push({ op: 'settle' });
    }
  }
  const withLooks = steps.flatMap((step) => (looking() < 0.5 ? [step, ...look()] : [step]));
  return {
    seed,
    sequencers: random() < 0.3 ? 'varied' : 'plain',
    drain: random() < 0.5 ? 'oldest' : 'newest',
    steps: withLooks,
  };
}

const runs = (of: string, calls: number): Step => ({ op: 'run', of, calls });

export function describe(step: Step): string {
  switch (step.op) {
    case 'put':
      return `#${step.id} put ${step.content} at ${step.key}`;
    case 'copy':
      return `#${step.id} copy ${step.from} to ${step.key}`;
    case 'delete':
      return `#${step.id} delete ${step.key}`;
    case 'again':
      return `#${step.id} the event of #${step.of} once more`;
    case 'lose':
      return `the event of #${step.of} is lost`;
    case 'refuse':
      return `no execution can be started for #${step.of}`;
    case 'person':
      return `#${step.id} erase person ${step.person} of ${step.event}`;
    case 'event':
      return `#${step.id} erase event ${step.event}`;
    case 'retention':
      return `#${step.id} erase what is over`;
    case 'outbox':
      return `#${step.id} work the outbox off`;
    case 'find':
      return `#${step.id} search ${step.event} for person ${step.person}`;
    case 'follow':
      return `the changes of ${step.event} are read${step.limit === undefined ? ' to their end' : `, ${step.limit}`}`;
    case 'stop':
      return `stop #${step.of}`;
    case 'fault':
      return `#${step.of}: ${faultNames[step.fault]}`;
    case 'drop_collection':
      return `somebody deletes the collection of ${step.event}`;
    case 'lose_results':
      return `somebody deletes the stored responses of ${step.event}`;
    case 'time':
      return 'minutes pass';
    case 'run':
      if (step.until !== undefined) {
        return `#${step.of} runs to ${step.until}`;
      }
      return step.calls >= TO_THE_END ? `#${step.of} runs` : `#${step.of} runs ${step.calls}`;
    case 'settle':
      return 'everything comes to its end';
  }
}

/**
 * The shortest history found that still fails.
 *
 * @param fails runs a history
 * @param budget how many may be run
 */
export async function shrink(
  history: History,
  fails: (history: History) => Promise<boolean>,
  budget = 400,
): Promise<History> {
  let best = history;
  let left = budget;
  const attempt = async (candidate: History): Promise<boolean> => {
    if (left <= 0) {
      return false;
    }
    left -= 1;
    if (await fails(candidate)) {
      best = candidate;
      return true;
    }
    return false;
  };
  let improved = true;
  while (improved && left > 0) {
    improved = false;
    for (let size = Math.ceil(best.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let from = best.steps.length - size; from >= 0; from -= size) {
        const steps = [...best.steps.slice(0, from), ...best.steps.slice(from + size)];
        improved = (await attempt({ ...best, steps })) || improved;
      }
    }
    for (const [index, step] of best.steps.entries()) {
      for (const simpler of simplerThan(step)) {
        if (await attempt({ ...best, steps: best.steps.with(index, simpler) })) {
          improved = true;
          break;
        }
      }
    }
    if (best.drain === 'newest') {
      improved = (await attempt({ ...best, drain: 'oldest' })) || improved;
    }
    if (best.sequencers === 'varied') {
      improved = (await attempt({ ...best, sequencers: 'plain' })) || improved;
    }
  }
  return best;
}

function simplerThan(step: Step): Step[] {
  switch (step.op) {
    case 'run':
      return step.calls < TO_THE_END ? [{ ...step, calls: TO_THE_END }] : [];
    case 'put':
      return [
        ...(step.content === 'A' ? [] : [{ ...step, content: 'A' as const }]),
        ...(step.key === 'P.jpg' ? [] : [{ ...step, key: 'P.jpg' as const }]),
      ];
    default:
      return [];
  }
}
