import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  cpSync,
  createWriteStream,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LocalError } from './local-error.ts';
import { withLock } from './lock.ts';
import type { Template } from './template.ts';

export const PROJECT_ROOT = resolve(import.meta.dirname, '..');

/** All that the synthesised app is made of. */
const INPUTS = [
  'bin',
  'lib',
  'lambdas',
  'state-machines',
  'migrations',
  'cdk.json',
  'tsconfig.json',
  'package-lock.json',
];

/** In the assembly: what it was made from. Written last. */
const INPUTS_HASH_FILE = 'rollcall-inputs-hash';

/** Where assemblies are kept by what they were made of: a new state folder need not wait for a synthesis. */
const CACHE = join(PROJECT_ROOT, 'node_modules/.cache/rollcall/assemblies');

/** The same of the Lambdas' bundles, which are those of every configuration. */
const BUNDLES = join(PROJECT_ROOT, 'node_modules/.cache/rollcall/bundles');

/** All that the bundles are made of. */
const BUNDLE_INPUTS = ['lambdas', 'lib/parts', 'package-lock.json'];

const LOCKS = join(PROJECT_ROOT, 'node_modules/.cache/rollcall/locks');

/** Gives an app that has not installed `rollcall` the construct of this folder. */
const OWN_PACKAGE = join(import.meta.dirname, 'own-package.mjs');

/** Each has some 20 MB. */
const MAX_CACHED = 6;

export interface SynthesisOptions {
  /** Folder that becomes the cloud assembly, `cdk.out` for the local run alone. */
  assembly: string;
  /** File for what the app prints. */
  log: string;
  /** Context beside cdk.json's, as `cdk synth --context` takes it. */
  context?: Readonly<Record<string, unknown>> | undefined;
  /** Folder of the app, absolute; default: this project's own. */
  app?: string | undefined;
}

export interface Assembly {
  stackName: string;
  template: Template;
  /** Whether the app was synthesised just now, and nobody has run it yet. */
  isNew: boolean;
  /** The folder or file of an asset, by the key that the template names it with. */
  assetPath(objectKey: string): string;
}

/**
 * Runs the CDK app as the CDK CLI does, unless an assembly is there that was made of the very same files.
 *
 * @throws LocalError `SynthesisError`
 */
export async function synthesise(options: SynthesisOptions): Promise<Assembly> {
  const { assembly, app = PROJECT_ROOT } = options;
  const settings = cdkSettings(app);
  const context = JSON.stringify({ ...settings.context, ...options.context });
  const hash = hashInputs([...INPUTS, ...(app === PROJECT_ROOT ? [] : filesOfApp(app))], context);
  const hashFile = join(assembly, INPUTS_HASH_FILE);
  let isNew = false;
  if (!existsSync(hashFile) || readFileSync(hashFile, 'utf8') !== hash) {
    const fresh = `${assembly}.new`;
    rmSync(fresh, { recursive: true, force: true });
    if (!takeFromCache(hash, fresh)) {
      await oneAtATime(hash, async () => {
        // Whoever was here before may have made it.
        if (takeFromCache(hash, fresh)) {
          return;
        }
        // The project's own programs are in the PATH that it gets.
        const command = settings.app.replace(/^npx /, '');
        await withBundles((environment) =>
          runApp({ app, command, environment, outdir: fresh, context, log: options.log }),
        );
        writeFileSync(join(fresh, INPUTS_HASH_FILE), hash);
        putIntoCache(hash, fresh);
        isNew = true;
      });
    }
    rmSync(assembly, { recursive: true, force: true });
    renameSync(fresh, assembly);
  }
  return { ...readAssembly(assembly), isNew };
}

/** The assembly that the last run was made of; undefined where none was. */
export function storedAssembly(assembly: string): Assembly | undefined {
  return existsSync(join(assembly, INPUTS_HASH_FILE))
    ? { ...readAssembly(assembly), isNew: false }
    : undefined;
}

/** Many that miss the same assembly at once would each take all of the machine's cores for it. */
async function oneAtATime(hash: string, work: () => Promise<void>): Promise<void> {
  try {
    mkdirSync(LOCKS, { recursive: true });
    accessSync(LOCKS, constants.W_OK);
  } catch {
    return work();
  }
  return withLock(join(LOCKS, hash), work);
}

/** The folder of the photo bucket that the events are in, as `cdk.json` says: photos have their keys before the app is synthesised. */
export function configuredEventsFolder(): string | undefined {
  const { context } = cdkSettings(PROJECT_ROOT);
  return context?.['rollcall.eventsFolder'] ?? context?.rollcall?.eventsFolder;
}

interface CdkSettings {
  app: string;
  context?: { rollcall?: { eventsFolder?: string }; 'rollcall.eventsFolder'?: string };
}

function cdkSettings(app: string): CdkSettings {
  const file = join(app, 'cdk.json');
  try {
    const settings = JSON.parse(readFileSync(file, 'utf8')) as CdkSettings;
    if (typeof settings.app === 'string') {
      return settings;
    }
  } catch (cause) {
    throw new LocalError('SynthesisError', `${file} cannot be read: ${(cause as Error).message}.`);
  }
  throw new LocalError('SynthesisError', `${file} names no app, as "app": "node app.js" does.`);
}

/** What an app elsewhere is made of: its own files, and the package where it has installed one. */
function filesOfApp(app: string): string[] {
  const made = new Set(['node_modules', 'cdk.out', '.git', '.rollcall']);
  const own = readdirSync(app).filter((name) => !made.has(name));
  return [...own, join('node_modules', 'rollcall')]
    .map((name) => join(app, name))
    .filter((path) => existsSync(path))
    .map((path) => relative(PROJECT_ROOT, path));
}

/** The cache is only a help: whatever is wrong with it, the app is synthesised. */
function takeFromCache(hash: string, to: string): boolean {
  try {
    cpSync(join(CACHE, hash), to, { recursive: true });
    return true;
  } catch {
    rmSync(to, { recursive: true, force: true });
    return false;
  }
}

function putIntoCache(hash: string, assembly: string): void {
  try {
    mkdirSync(CACHE, { recursive: true });
    // Renamed when it is whole, so that two runs can do this at once.
    const fresh = mkdtempSync(`${CACHE}/new-`);
    cpSync(assembly, fresh, { recursive: true });
    shareFiles(fresh, BUNDLES);
    try {
      renameSync(fresh, join(CACHE, hash));
    } catch {
      rmSync(fresh, { recursive: true });
    }
    const newestFirst = readdirSync(CACHE)
      .map((name) => ({ path: join(CACHE, name), at: statSync(join(CACHE, name)).mtimeMs }))
      .sort((a, b) => b.at - a.at);
    for (const { path } of newestFirst.slice(MAX_CACHED)) {
      // At once: whoever is just copying it sees that it is gone, and never half of it.
      const gone = `${mkdtempSync(`${CACHE}/gone-`)}/assembly`;
      renameSync(path, gone);
      rmSync(dirname(gone), { recursive: true });
    }
  } catch {
    // A folder that cannot be written, say.
  }
}

/** Makes files of a folder that are the very same as some of another links to them: the bundles are nearly all of an assembly. */
function shareFiles(folder: string, other: string): void {
  const bySize = Map.groupBy(existsSync(other) ? listFiles(other) : [], (file) => statSync(file).size);
  for (const file of listFiles(folder)) {
    const content = readFileSync(file);
    const same = bySize.get(content.length)?.find((one) => readFileSync(one).equals(content));
    if (same !== undefined) {
      rmSync(file);
      linkSync(same, file);
    }
  }
}

/**
 * A name for what is made of these files and folders, given from the project's root: another as soon as one of them, the
 * version of Node or what else is given changes.
 */
export function hashInputs(inputs: readonly string[], others = ''): string {
  const hash = createHash('sha256').update(`${PROJECT_ROOT}\n${process.version}\n${others}\n`);
  for (const file of inputs.flatMap((input) => listFiles(join(PROJECT_ROOT, input))).sort()) {
    const content = readFileSync(file);
    hash.update(`${relative(PROJECT_ROOT, file)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function listFiles(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') {
      return [path];
    }
    throw error;
  }
}

async function runApp({
  app,
  command,
  environment,
  outdir,
  context,
  log,
}: {
  app: string;
  command: string;
  environment: NodeJS.ProcessEnv;
  outdir: string;
  context: string;
  log: string;
}): Promise<void> {
  const logFile = createWriteStream(log);
  let output = '';
  const child = spawn(command, {
    shell: true,
    cwd: app,
    env: { ...appEnvironment(app), ...environment, CDK_OUTDIR: outdir, CDK_CONTEXT_JSON: context },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      logFile.write(text);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  await new Promise((resolve) => logFile.end(resolve));
  if (code !== 0) {
    const lines = output.trim().split('\n');
    const reason = lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? `exit code ${code}`;
    throw new LocalError(
      'SynthesisError',
      `The app cannot be synthesised: ${reason.trim()} (all of it: ${log})`,
    );
  }
}

/**
 * The app must not see an account or a Region of the person at the keyboard: the assembly would depend on them. What is not
 * deployed need not be looked through by CDK's own validation either, which takes as long as all the rest.
 */
function appEnvironment(app: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(AWS|CDK)_/.test(name));
  const programs = [app, PROJECT_ROOT].map((folder) => join(folder, 'node_modules', '.bin'));
  const path = [...new Set(programs), process.env.PATH].join(delimiter);
  return {
    ...Object.fromEntries(own),
    PATH: path,
    CDK_VALIDATION: 'false',
    ...(app !== PROJECT_ROOT && { NODE_OPTIONS: `--import ${pathToFileURL(OWN_PACKAGE).href}` }),
  };
}

/**
 * Runs an app with the bundles that another one left, or that it leaves for the next. Where there are none, one makes them and
 * others wait; those of other sources are of no use any more.
 */
async function withBundles(run: (environment: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const name = hashInputs(BUNDLE_INPUTS);
  const folder = join(BUNDLES, name);
  try {
    mkdirSync(BUNDLES, { recursive: true });
    accessSync(BUNDLES, constants.W_OK);
    for (const other of readdirSync(BUNDLES).filter((one) => !one.startsWith(name))) {
      rmSync(join(BUNDLES, other), { recursive: true, force: true });
    }
  } catch {
    return run({});
  }
  let isDone = false;
  if (!existsSync(folder)) {
    await oneAtATime(`bundles-${name}`, async () => {
      if (!existsSync(folder)) {
        await run({ ROLLCALL_BUNDLES: folder });
        isDone = true;
      }
    });
  }
  if (!isDone) {
    await run({ ROLLCALL_BUNDLES: folder });
  }
}

interface Manifest {
  artifacts: Record<
    string,
    { type: string; properties?: { templateFile?: string; file?: string; stackName?: string } }
  >;
}

interface AssetManifest {
  files?: Record<string, { source: { path: string }; destinations: Record<string, { objectKey: string }> }>;
}

function readAssembly(assembly: string): Omit<Assembly, 'isNew'> {
  const read = <Content>(file: string) => JSON.parse(readFileSync(join(assembly, file), 'utf8')) as Content;
  const artifacts = Object.entries(read<Manifest>('manifest.json').artifacts);
  const stacks = artifacts.filter(([, { type }]) => type === 'aws:cloudformation:stack');
  const [stack] = stacks;
  if (!stack || stacks.length > 1) {
    throw new LocalError(
      'SynthesisError',
      `The local run takes an app of one stack, and this has ${stacks.length}.`,
    );
  }
  const [id, { properties }] = stack;
  const assets = new Map<string, string>();
  for (const [, { type, properties: { file } = {} }] of artifacts) {
    if (type === 'cdk:asset-manifest') {
      for (const { source, destinations } of Object.values(read<AssetManifest>(file!).files ?? {})) {
        for (const { objectKey } of Object.values(destinations)) {
          assets.set(objectKey, join(assembly, source.path));
        }
      }
    }
  }
  return {
    stackName: properties?.stackName ?? id,
    template: read<Template>(properties!.templateFile!),
    assetPath(objectKey) {
      const path = assets.get(objectKey);
      if (path === undefined) {
        throw new LocalError('SynthesisError', `The assembly in ${assembly} has no asset ${objectKey}.`);
      }
      return path;
    },
  };
}
