import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { BuildOptions, OutputFile } from 'esbuild';

export const PROJECT_ROOT = path.join(import.meta.dirname, '../..');

/** Nothing is written there, but as deep as CDK's own folders: the source maps name their sources from it. */
const OUTDIR = path.join(PROJECT_ROOT, 'cdk.out');

/** Every Lambda, by its folder in `lambdas/`. */
export function lambdaNames(): string[] {
  return readdirSync(path.join(PROJECT_ROOT, 'lambdas')).filter((name) => existsSync(handlerOf(name)));
}

const BUILTINS = path.join(import.meta.dirname, 'builtins');

/** How Lambdas are bundled: each handler with everything it imports, in one ES module `<name>/index.mjs`. */
export function bundleOptions(names: readonly string[]): BuildOptions & { write: false } {
  return {
    entryPoints: names.map((name) => ({ in: handlerOf(name), out: `${name}/index` })),
    outdir: OUTDIR,
    outExtension: { '.js': '.mjs' },
    write: false,
    absWorkingDir: PROJECT_ROOT,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    alias: Object.fromEntries(
      ['http', 'https'].flatMap((name) => [
        [name, path.join(BUILTINS, `${name}.cjs`)],
        [`node:${name}`, path.join(BUILTINS, `${name}.cjs`)],
      ]),
    ),
    banner: {
      // umzug is CommonJS, whose calls of require an ES module does not know.
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
    },
    minify: true,
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
  };
}

/** Where the package has every Lambda bundled, in a folder of its name: who installs it needs neither esbuild nor the sources. */
const PREPARED = path.join(PROJECT_ROOT, 'bundles');

/**
 * Where they are kept by whoever synthesises again and again, and gives each state of the sources a folder of its own: the local
 * run. A deployment bundles anew.
 */
const KEPT = process.env.ROLLCALL_BUNDLES;

const bundled = new Map<string, OutputFile[]>();

/** Bundles Lambdas for `writeBundle`, all at once: what they share is read and parsed once. */
export function bundle(names: readonly string[]): void {
  remember(names, esbuild().buildSync(bundleOptions(names)).outputFiles);
}

/** The same for every Lambda, on the machine's other cores, beside what else the caller does until then. */
export async function bundleAll(): Promise<void> {
  if (madeBefore() === undefined) {
    const names = lambdaNames();
    remember(names, (await esbuild().build(bundleOptions(names))).outputFiles);
    keepAll();
  }
}

/** Loaded only where something is bundled: who installs the package does not have it. */
function esbuild(): typeof import('esbuild') {
  // As esbuild's own command does: it ends soon, and to collect garbage until then takes three seconds of a core.
  process.env.GOGC ??= 'off';
  return createRequire(import.meta.url)('esbuild') as typeof import('esbuild');
}

function remember(names: readonly string[], outputFiles: readonly OutputFile[]): void {
  for (const name of names) {
    bundled.set(
      name,
      outputFiles.filter((file) => path.dirname(file.path) === path.join(OUTDIR, name)),
    );
  }
}

/** For the next that wants them. Renamed when all of it is there, so that two can do this at once. */
function keepAll(): void {
  if (KEPT === undefined) {
    return;
  }
  mkdirSync(path.dirname(KEPT), { recursive: true });
  const fresh = mkdtempSync(`${KEPT}-`);
  for (const name of bundled.keys()) {
    write(name, path.join(fresh, name));
  }
  try {
    renameSync(fresh, KEPT);
  } catch {
    rmSync(fresh, { recursive: true });
  }
}

/** The folder with a folder for each bundle, where there is one. */
function madeBefore(): string | undefined {
  return [PREPARED, KEPT].find((folder) => folder !== undefined && existsSync(folder));
}

/** The folder that a Lambda's bundle is made of. */
export function bundleSource(name: string): string {
  const prepared = path.join(PREPARED, name);
  return existsSync(prepared) ? prepared : path.dirname(handlerOf(name));
}

/** Writes the bundle of a Lambda into a folder; the first one has all of them bundled that are not yet. */
export function writeBundle(name: string, folder: string): void {
  const made = madeBefore();
  if (made !== undefined) {
    cpSync(path.join(made, name), folder, { recursive: true });
    return;
  }
  if (!bundled.has(name)) {
    bundle(lambdaNames());
    keepAll();
  }
  write(name, folder);
}

function write(name: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const file of bundled.get(name)!) {
    writeFileSync(path.join(folder, path.basename(file.path)), file.contents);
  }
}

/** The file with the handler of a Lambda. */
export function handlerOf(name: string): string {
  return path.join(PROJECT_ROOT, 'lambdas', name, 'handler.ts');
}
