import { parseArgs } from 'node:util';
import { UserError } from '../../cli/user-error.ts';
import { isUuid } from '../../lambdas/shared/contract/photo-key.ts';
import { DEFAULT_POSTGRES_PORT, defaultPostgresPort, parsePort } from '../where.ts';

export const startUsage = `Usage: npm start -- [FOLDER] [--event UUID] [--find SELFIE] [--json] [--postgres-port N]

Indexes the faces of a folder's photos through the whole pipeline, on this machine.

  FOLDER              a folder of pictures, with its subfolders; without it, six sample photos
  --event UUID        the event that the photos belong to; without it, one that is derived from the folder
  --find SELFIE       says which of the photos show the person of this JPEG or PNG, which is compared and kept nowhere
  --json              the result as one line of JSON instead of a table
  --postgres-port N   where PostgreSQL listens (${DEFAULT_POSTGRES_PORT}, or ROLLCALL_POSTGRES_PORT)

Exit code: 0 when every photo is at its end and the search, if there was one, has its answer, be it nobody; 1 when not (no face
in SELFIE, for instance); 2 for a mistake in the arguments, a SELFIE that is missing or not a picture included.

See also: npm run local:up (look at the data), npm run local:reset (remove it)
`;

export const upUsage = `Usage: npm run local:up -- [--app FOLDER] [--postgres-port N]

Keeps the services of the local run up, and works at what an earlier run left, until Ctrl-C.

  --app FOLDER        a CDK app of yours with a Rollcall in it, as examples/platform; its state is in FOLDER/.rollcall
  --postgres-port N   where PostgreSQL listens (${DEFAULT_POSTGRES_PORT}, or ROLLCALL_POSTGRES_PORT)

ROLLCALL_STATE_DIR names another state than .rollcall.
`;

export const resetUsage = `Usage: npm run local:reset

Removes the state of the local run, for good: its photos, faces and database. It takes no arguments.

ROLLCALL_STATE_DIR names another state than .rollcall.
`;

/** Beside the ports of the local run, which count on from its PostgreSQL. */
const DEFAULT_REKOGNITION_PORT = 25500;

export const rekognitionUsage = `Usage: npm run local:rekognition -- [--port N] [--data FOLDER] [--s3-endpoint URL] [--region REGION]

Serves Rekognition's face collections on this machine, to any AWS SDK or CLI, until Ctrl-C.

  --port N            where it listens, on 127.0.0.1 (${DEFAULT_REKOGNITION_PORT})
  --data FOLDER       where collections are kept; without it, they go when it ends
  --s3-endpoint URL   where images in S3 are read, with the credentials in the environment; without it, images come as bytes
  --region REGION     whose default quotas it enforces, and which its ARNs name (us-east-1)

What it knows of the API, and what it does not: local/rekognition/README.md
`;

export interface StartArguments {
  json: boolean;
  /** As typed; undefined for the sample photos. */
  folder: string | undefined;
  /** Lower-case UUID; undefined when it is derived from the folder. */
  eventId: string | undefined;
  /** A picture of the person to find, as typed. */
  selfie: string | undefined;
  postgresPort: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const HELP_HINT = 'npm start -- --help shows how.';

/**
 * Reads the arguments of `npm start`.
 *
 * @throws UserError (exit code 2) that names the argument at fault
 */
export function parseStartArguments(argv: readonly string[], env: Environment): StartArguments {
  const { options, positionals } = readTokens(argv, {
    event: 'string',
    find: 'string',
    json: 'boolean',
    'postgres-port': 'string',
  });
  const swallowed = env.npm_lifecycle_event
    ? ['event', 'find', 'json', 'postgres-port'].find((name) => env[`npm_config_${name.replace('-', '_')}`])
    : undefined;
  if (swallowed && !options.has(swallowed)) {
    throw new UserError(
      `npm kept --${swallowed} for itself: put -- before the options, as in npm start -- FOLDER --${swallowed}`,
    );
  }
  if (positionals.length > 1) {
    throw new UserError(
      `One folder at a time, but there are ${positionals.length}: ${positionals.join(', ')}. A name with spaces needs quotes.`,
    );
  }
  const [folder] = positionals;
  if (folder === '') {
    throw new UserError('The name of the folder is empty.');
  }
  const eventId = options.get('event');
  if (eventId !== undefined && !isUuid(eventId)) {
    throw new UserError(
      `--event takes a UUID such as 0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60, not ${JSON.stringify(eventId)}.`,
    );
  }
  return {
    json: options.has('json'),
    folder,
    eventId: eventId?.toLowerCase(),
    selfie: options.get('find'),
    postgresPort: readPort(options, env),
  };
}

export interface UpArguments {
  postgresPort: number;
  /** Folder of an app of the user's, as typed. */
  app: string | undefined;
}

/** Reads the arguments of `npm run local:up`. */
export function parseUpArguments(argv: readonly string[], env: Environment): UpArguments {
  const { options, positionals } = readTokens(
    argv,
    { app: 'string', 'postgres-port': 'string' },
    'npm run local:up -- --help shows how.',
  );
  if (positionals.length > 0) {
    throw new UserError(
      `npm run local:up takes options only, but got ${positionals.join(', ')}: an app is --app FOLDER, and npm needs -- before it.`,
    );
  }
  return { postgresPort: readPort(options, env), app: options.get('app') };
}

export interface RekognitionArguments {
  port: number;
  /** As typed. */
  data: string | undefined;
  s3Endpoint: string | undefined;
  region: string;
}

/** Reads the arguments of `npm run local:rekognition`. */
export function parseRekognitionArguments(argv: readonly string[]): RekognitionArguments {
  const { options, positionals } = readTokens(
    argv,
    { port: 'string', data: 'string', 's3-endpoint': 'string', region: 'string' },
    'npm run local:rekognition -- --help shows how.',
  );
  if (positionals.length > 0) {
    throw new UserError(
      `npm run local:rekognition takes options only, but got ${positionals.join(', ')}: npm needs -- before them.`,
    );
  }
  const port = options.get('port');
  const s3Endpoint = options.get('s3-endpoint');
  if (s3Endpoint !== undefined && !/^https?:$/.test(URL.parse(s3Endpoint)?.protocol ?? '')) {
    throw new UserError(
      `--s3-endpoint takes a URL such as http://127.0.0.1:9000, not ${JSON.stringify(s3Endpoint)}.`,
    );
  }
  const region = options.get('region') ?? 'us-east-1';
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(region)) {
    throw new UserError(`--region takes a Region such as eu-west-1, not ${JSON.stringify(region)}.`);
  }
  return {
    port: port === undefined ? DEFAULT_REKOGNITION_PORT : parsePort('--port', port),
    data: options.get('data'),
    s3Endpoint,
    region,
  };
}

/** `npm run local:reset` takes none: which state is meant, ROLLCALL_STATE_DIR says. */
export function parseResetArguments(argv: readonly string[]): void {
  const { positionals } = readTokens(argv, {});
  if (positionals.length > 0) {
    throw new UserError(
      `npm run local:reset takes no folder, but got ${positionals.join(', ')}: ROLLCALL_STATE_DIR names another state.`,
    );
  }
}

function readPort(options: ReadonlyMap<string, string>, env: Environment): number {
  const text = options.get('postgres-port');
  return text === undefined ? defaultPostgresPort(env) : parsePort('--postgres-port', text);
}

/** Node's parser finds the tokens; its own messages speak of JavaScript, so the checks are here. */
function readTokens(
  argv: readonly string[],
  known: Readonly<Record<string, 'string' | 'boolean'>>,
  hint = HELP_HINT,
): { options: Map<string, string>; positionals: string[] } {
  const { tokens, positionals } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(Object.entries(known).map(([name, type]) => [name, { type }])),
    strict: false,
    tokens: true,
  });
  const options = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind !== 'option') {
      continue;
    }
    const type = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (!type) {
      throw new UserError(`There is no option ${token.rawName}. ${hint}`);
    }
    if (type === 'boolean' && token.value !== undefined) {
      throw new UserError(`${token.rawName} takes no value. ${hint}`);
    }
    if (type === 'string' && (!token.value || (!token.inlineValue && token.value.startsWith('-')))) {
      throw new UserError(`${token.rawName} needs a value. ${hint}`);
    }
    options.set(token.name, token.value ?? '');
  }
  return { options, positionals };
}
