import { parseArgs } from 'node:util';
import { UserError } from '../cli/user-error.ts';
import { isUuid } from '../lambdas/shared/contract/photo-key.ts';
import { DEFAULT_SIMILARITY, MIN_SIMILARITY } from '../lambdas/shared/contract/search.ts';
import { DEFAULT_POSTGRES_PORT, defaultPostgresPort } from '../local/where.ts';

/** An option that takes a value, by its placeholder, or a flag. */
type OptionKind =
  | 'UUID'
  | 'PREFIX'
  | 'NAME'
  | 'FILE'
  | 'FOLDER'
  | 'N'
  | 'PERCENT'
  | 'COUNT'
  | 'DATE'
  | 'KEY'
  | 'flag';

interface CommandSpec {
  /** One line. */
  does: string;
  /** Whether it starts work in the pipeline, and does not only look, or set what the pipeline goes by. */
  starts: boolean;
  /** What its help says beside its options. */
  more?: string;
  options: Readonly<Record<string, OptionKind>>;
  /** What it is about, given without an option's name. */
  takes?: string;
  /** Has to be given. */
  needs?: string;
  /** Exactly one of these has to be given. */
  oneOf?: readonly string[];
}

const changes = { 'dry-run': 'flag' } as const;
const costs = { ...changes, yes: 'flag', 'no-wait': 'flag' } as const;

export const commands = {
  doctor: {
    starts: false,
    does: 'what would make a deployment fail: asked before it, of your account',
    options: {},
  },
  smoke: {
    starts: true,
    does: 'sends a sample photo through the pipeline, and erases it again',
    options: { ...changes, yes: 'flag' },
  },
  status: {
    starts: false,
    does: 'photos by state, what waits and why, pace, cap, queues; of one event, the time left',
    options: { event: 'UUID' },
  },
  events: {
    starts: false,
    does: 'which events there are, the latest first, with their photos by state',
    options: { limit: 'N' },
  },
  photo: {
    starts: false,
    does: "one photo's history: its object, its row, its executions, and what to do next",
    takes: 'KEY|ID',
    options: {},
  },
  failed: {
    starts: false,
    does: 'why photos failed, and which, the latest first',
    options: { event: 'UUID', limit: 'N' },
  },
  find: {
    // The functions that search are there only where a run is up.
    starts: true,
    does: 'which photos of an event show a person: of a picture, or of a face of the event',
    more: `  --photo FILE         a JPEG or PNG of the person; it is compared and kept nowhere
  --copy-to FOLDER     copies the photos into a folder
`,
    options: { event: 'UUID', photo: 'FILE', face: 'UUID', similarity: 'PERCENT', 'copy-to': 'FOLDER' },
    needs: 'event',
    oneOf: ['photo', 'face'],
  },
  reprocess: {
    starts: true,
    does: 'indexes failed photos again, without paying twice; with --indexed, indexed ones, which is billed anew',
    more: `  --include-permanent  the photos that are at fault themselves too
  --indexed            with --event: the indexed photos, say after another qualityFilter; new faces take the place of the old
`,
    options: {
      photo: 'UUID',
      event: 'UUID',
      'all-failed': 'flag',
      'include-permanent': 'flag',
      indexed: 'flag',
      ...costs,
    },
    oneOf: ['photo', 'event', 'all-failed'],
  },
  backfill: {
    starts: true,
    does: 'indexes what lies in the bucket under a prefix and is not indexed yet',
    options: { prefix: 'PREFIX', ...costs },
    oneOf: ['prefix'],
  },
  pause: {
    starts: false,
    does: 'stops indexing; photos wait, for about six days; searches go on',
    options: changes,
  },
  resume: { starts: false, does: 'goes on after a pause', options: changes },
  cost: {
    starts: false,
    does: 'what was billed, by event, photographer or day',
    options: { by: 'KEY', since: 'DATE' },
  },
  cap: {
    starts: false,
    does: 'how many images may be indexed a day (UTC): shows it, sets it, or goes back to the configured number',
    more: `  --photographer UUID  the cap of this photographer, not the account's; --event UUID of an event that has none
`,
    options: {
      images: 'COUNT',
      default: 'flag',
      photographer: 'UUID',
      event: 'UUID',
      ...changes,
      yes: 'flag',
    },
  },
  'erase-person': {
    starts: true,
    does: "erases a person's faces in an event, after showing which they are",
    options: { event: 'UUID', photo: 'FILE', face: 'UUID', similarity: 'PERCENT', ...costs },
    needs: 'event',
    oneOf: ['photo', 'face'],
  },
  'erase-event': {
    starts: true,
    does: 'erases all faces of an event; the photos stay',
    options: { event: 'UUID', ...costs },
    needs: 'event',
  },
  erasures: {
    starts: false,
    does: 'the receipts of what was erased',
    options: { event: 'UUID', limit: 'N' },
  },
  'replay-dead-letters': {
    starts: true,
    does: 'sends what rests in the dead-letter queues on its way again',
    options: changes,
  },
  reconcile: {
    starts: true,
    does: 'compares bucket, database and collections; with --fix mends what differs',
    options: { event: 'UUID', fix: 'flag', settle: 'N', ...costs },
  },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof commands;

const always = { local: 'flag', stack: 'NAME', json: 'flag', 'postgres-port': 'N' } as const;

/** Whether these arguments start work in the pipeline. */
export function startsWork({ command, dryRun, fix }: Pick<Arguments, 'command' | 'dryRun' | 'fix'>): boolean {
  return commands[command].starts && !dryRun && (command !== 'reconcile' || fix);
}

/** Those that only look, and answer within seconds whatever is unavailable. */
export const LOOKING = ['status', 'events', 'photo', 'failed', 'cost', 'erasures'] as const;

export function looks({ command }: Pick<Arguments, 'command'>): boolean {
  return LOOKING.some((name) => name === command);
}

export interface Arguments {
  command: CommandName;
  /** What the command is about, given without an option's name. */
  subject: string | undefined;
  local: boolean;
  stack: string;
  json: boolean;
  postgresPort: number;
  event: string | undefined;
  photo: string | undefined;
  /** Of a picture. */
  selfie: string | undefined;
  face: string | undefined;
  /** Percent, from which on a face is taken for the same person's. */
  similarity: number;
  /** Where found photos are copied to, as typed. */
  copyTo: string | undefined;
  prefix: string | undefined;
  by: (typeof usageKeys)[number];
  /** A UTC day, YYYY-MM-DD. */
  since: string | undefined;
  images: number | undefined;
  photographer: string | undefined;
  default: boolean;
  limit: number;
  /** Minutes. */
  settle: number;
  allFailed: boolean;
  includePermanent: boolean;
  indexed: boolean;
  fix: boolean;
  dryRun: boolean;
  yes: boolean;
  wait: boolean;
}

/** Rekognition's own default: what is erased is shown before, so that a stranger among the faces is seen. */
const ERASED_SIMILARITY = 80;

/** What happened since may still be under way. */
export const SETTLE_MINUTES = 15;

const usageKeys = ['event', 'photographer', 'day'] as const;

type Environment = Readonly<Record<string, string | undefined>>;

const HELP_HINT = 'npm run ops -- --help shows how.';

/** What an option of any command means. */
const MEANS: Readonly<Record<string, string>> = {
  local:
    'the run on this machine: the one that is up (npm run local:up), else what is stored of the last one',
  stack: "the stack's name (Rollcall); STACK/ID where Rollcall is a construct of your own stack",
  json: 'the result as one line of JSON',
  'dry-run': 'for whatever changes something: only says what it would do',
  yes: 'does not ask before it costs money or erases',
  'no-wait': 'does not wait for the photos, or the erasure, to be done',
  similarity: `from which likeness on a face is the same person's: find (${DEFAULT_SIMILARITY}; at least ${MIN_SIMILARITY}), erase-person (${ERASED_SIMILARITY})`,
  settle: `reconcile: minutes; what happened since may still be under way (${SETTLE_MINUTES})`,
  'postgres-port': `with --local, where its PostgreSQL listens (${DEFAULT_POSTGRES_PORT}, or ROLLCALL_POSTGRES_PORT)`,
};

function meanings(options: Readonly<Record<string, OptionKind>>): string {
  return Object.entries(options)
    .filter(([name]) => name in MEANS)
    .map(([name, kind]) => `  ${signature(name, kind).padEnd(20)} ${MEANS[name]}\n`)
    .join('');
}

function signature(option: string, kind: OptionKind): string {
  return `--${option}${kind === 'flag' ? '' : ` ${kind}`}`;
}

/** Shows how the commands are called; of one alone when the arguments name one. */
export function usage(argv: readonly string[] = []): string {
  const named = argv.find((argument) => Object.hasOwn(commands, argument)) as CommandName | undefined;
  return named ? usageOf(named) : usageOfAll();
}

function usageOf(name: CommandName): string {
  const spec: CommandSpec = commands[name];
  const own = Object.entries(spec.options).filter(([option]) => !(option in costs));
  const words = [
    name,
    ...(spec.takes ? [spec.takes] : []),
    ...own.map(([option, kind]) => `[${signature(option, kind)}]`),
  ];
  const choice =
    spec.oneOf && spec.oneOf.length > 1
      ? ` It needs one of ${spec.oneOf.map((option) => `--${option}`).join(', ')}.`
      : '';
  return `Usage: npm run ops -- ${words.join(' ')} [OPTIONS]

${spec.does[0]!.toUpperCase()}${spec.does.slice(1)}.${choice}

${spec.more ?? ''}${meanings({ ...spec.options, ...always })}`;
}

function usageOfAll(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries<CommandSpec>(commands).map(([name, spec]) => {
    const options = [
      ...(spec.takes ? [spec.takes] : []),
      ...Object.entries(spec.options)
        .filter(([option]) => !(option in costs))
        .map(([option, kind]) => signature(option, kind)),
    ];
    return `  ${name.padEnd(width)}  ${spec.does}${options.length > 0 ? `\n  ${' '.repeat(width)}    ${options.join('  ')}` : ''}`;
  });
  return `Usage: npm run ops -- COMMAND [OPTIONS]

Operates the stack in your AWS account, or with --local the run on this machine.

${lines.join('\n')}

${meanings({ ...always, ...costs, similarity: 'PERCENT', settle: 'N' })}
npm run ops -- COMMAND --help shows one of them.
`;
}

/**
 * Reads the arguments of `npm run ops`; `--help` was answered before (see `runCommand`).
 *
 * @throws UserError (exit code 2) in one line that names the argument at fault
 */
export function parseOpsArguments(argv: readonly string[], env: Environment): Arguments {
  const { tokens, positionals } = parseArgs({
    args: [...argv],
    options: optionTypes(),
    strict: false,
    tokens: true,
  });
  // Not prefix, which npm has a value for of its own, always.
  const swallowed = ['local', 'json', 'yes', 'dry-run', 'fix', 'event', 'photo', 'face', 'stack'].find(
    (name) => env.npm_lifecycle_event && env[`npm_config_${name.replace('-', '_')}`],
  );
  if (swallowed) {
    throw new UserError(
      `npm kept --${swallowed} for itself: put -- before the command, as in npm run ops -- status`,
    );
  }
  const [name, ...more] = positionals;
  if (name === undefined) {
    throw new UserError(`Which command? One of ${Object.keys(commands).join(', ')}. ${HELP_HINT}`);
  }
  if (!Object.hasOwn(commands, name)) {
    throw new UserError(
      `There is no command ${name}; there are ${Object.keys(commands).join(', ')}. ${HELP_HINT}`,
    );
  }
  const spec: CommandSpec = commands[name as CommandName];
  const [subject] = spec.takes ? more.splice(0, 1) : [];
  if (spec.takes && !subject) {
    throw new UserError(`${name} needs ${spec.takes}. ${HELP_HINT}`);
  }
  if (more.length > 0) {
    throw new UserError(
      `${name} takes no ${JSON.stringify(more[0])}: its options begin with --. ${HELP_HINT}`,
    );
  }
  const given = readOptions(tokens, { ...always, ...spec.options }, name);
  checkChoice(given, spec, name);
  if (given.has('local') && given.has('stack')) {
    throw new UserError('--local is the run on this machine and --stack one in AWS: only one of them.');
  }
  if (given.has('indexed') && !given.has('event')) {
    throw new UserError(`--indexed goes with --event: what is indexed is indexed again an event at a time.`);
  }
  if (name === 'find' && Number(given.get('similarity') ?? MIN_SIMILARITY) < MIN_SIMILARITY) {
    throw new UserError(
      `--similarity is at least ${MIN_SIMILARITY}: below, strangers are taken for the person.`,
    );
  }
  const port = given.get('postgres-port');
  return {
    command: name as CommandName,
    subject,
    local: given.has('local'),
    stack: given.get('stack') ?? 'Rollcall',
    json: given.has('json'),
    postgresPort: port === undefined ? defaultPostgresPort(env) : Number(port),
    event: given.get('event')?.toLowerCase(),
    photo: given.get('photo')?.toLowerCase(),
    selfie: given.get('photo'),
    face: given.get('face')?.toLowerCase(),
    similarity: Number(given.get('similarity') ?? (name === 'find' ? DEFAULT_SIMILARITY : ERASED_SIMILARITY)),
    copyTo: given.get('copy-to'),
    prefix: given.get('prefix'),
    by: usageKeys.find((key) => key === given.get('by')) ?? 'event',
    since: given.get('since'),
    photographer: given.get('photographer')?.toLowerCase(),
    images: given.has('images') ? Number(given.get('images')) : undefined,
    default: given.has('default'),
    limit: Number(given.get('limit') ?? 20),
    settle: Number(given.get('settle') ?? SETTLE_MINUTES),
    allFailed: given.has('all-failed'),
    includePermanent: given.has('include-permanent'),
    indexed: given.has('indexed'),
    fix: given.has('fix'),
    dryRun: given.has('dry-run'),
    yes: given.has('yes'),
    wait: !given.has('no-wait'),
  };
}

function optionTypes(): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  const all: Record<string, OptionKind> = Object.assign(
    {},
    always,
    ...Object.values(commands).map(({ options }) => options),
  );
  return {
    ...Object.fromEntries(
      Object.entries(all).map(([name, kind]) => [
        name,
        { type: kind === 'flag' ? 'boolean' : 'string' } as const,
      ]),
    ),
  };
}

type Token = {
  kind: string;
  name?: string;
  rawName?: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
};

function readOptions(
  tokens: readonly Token[],
  known: Readonly<Record<string, OptionKind>>,
  command: string,
): Map<string, string> {
  const options = new Map<string, string>();
  for (const { kind, name = '', rawName, value, inlineValue } of tokens) {
    if (kind !== 'option') {
      continue;
    }
    const takes = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!takes) {
      throw new UserError(`${command} has no option ${rawName}. ${HELP_HINT}`);
    }
    if (takes === 'flag') {
      if (value !== undefined) {
        throw new UserError(`${rawName} takes no value. ${HELP_HINT}`);
      }
    } else if (!value || (!inlineValue && value.startsWith('-'))) {
      throw new UserError(`${rawName} needs a value: ${rawName} ${takes}. ${HELP_HINT}`);
    } else {
      checkValue(rawName!, takes, value);
    }
    options.set(name, value ?? '');
  }
  return options;
}

function checkValue(option: string, kind: OptionKind, value: string): void {
  const wrong = (expected: string) =>
    new UserError(`${option} takes ${expected}, not ${JSON.stringify(value)}.`);
  if (kind === 'UUID' && !isUuid(value)) {
    throw wrong('a UUID such as 0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60');
  }
  if (kind === 'N' && !/^\d{1,6}$/.test(value)) {
    throw wrong('a whole number');
  }
  if (kind === 'PERCENT' && !/^(100|\d{1,2}(\.\d)?)$/.test(value)) {
    throw wrong('a percentage from 0 to 100');
  }
  if (kind === 'COUNT' && !/^[1-9]\d{0,8}$/.test(value)) {
    throw wrong('a whole number from 1 to 999999999');
  }
  if (kind === 'DATE' && !isDate(value)) {
    throw wrong('a day such as 2026-05-01');
  }
  if (kind === 'KEY' && !usageKeys.some((key) => key === value)) {
    throw wrong(`one of ${usageKeys.join(', ')}`);
  }
  if (kind === 'PREFIX' && !/^([\w.-]+\/)+/.test(value)) {
    throw wrong('a prefix of keys, such as events/0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60/');
  }
}

function isDate(text: string): boolean {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  // The 31st of June is a date to JavaScript, but another one.
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(text);
}

function checkChoice(
  given: ReadonlyMap<string, string>,
  { needs, oneOf }: CommandSpec,
  command: string,
): void {
  if (needs && !given.has(needs)) {
    throw new UserError(`${command} needs --${needs}. ${HELP_HINT}`);
  }
  if (!oneOf) {
    return;
  }
  const chosen = oneOf.filter((option) => given.has(option));
  if (chosen.length !== 1) {
    const list = oneOf.map((option) => `--${option}`).join(', ');
    throw new UserError(
      oneOf.length === 1
        ? `${command} needs ${list}. ${HELP_HINT}`
        : `${command} needs one of ${list}${chosen.length > 1 ? ', and only one' : ''}. ${HELP_HINT}`,
    );
  }
}
