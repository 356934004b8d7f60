/**
 * Runs test files against one change of one source file after another, in one process: Jest's own runner and matchers, without
 * its start-up. Every change gets the project's modules anew, so that nothing of the one before is left; packages stay loaded.
 */
import fs, { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { registerHooks, stripTypeScriptTypes, syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'expect';
import fc from 'fast-check';
import * as circus from 'jest-circus';
import { PROJECT_ROOT } from '../../local/synthesis.ts';
import { migratedFolder } from '../support/postgres.ts';

export interface Trial {
  /** Relative to the project, as all files here. */
  file: string;
  /** The whole text of the file; absent to try what there is. */
  text?: string;
  /** In the order in which they run, up to the first that fails. */
  tests: string[];
  /** Lets each property try what it can in a moment: enough for most changes, and a first look only. */
  isHasty?: boolean;
}

export interface Verdict {
  /** The test that noticed. */
  failed?: { file: string; test: string; message: string };
  /** Milliseconds that each test file took. */
  took: Record<string, number>;
}

const PROJECT = pathToFileURL(`${PROJECT_ROOT}/`).href;
const sources = new Map<string, string>();
let generation = 0;
let changed: { url: string; text: string } | undefined;

/** What the tests take of Jest beside its globals. */
const JEST_GLOBALS = `data:text/javascript,export const jest = globalThis.jest;`;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === '@jest/globals') {
      return { url: JEST_GLOBALS, shortCircuit: true };
    }
    const resolved = next(specifier, context);
    const generationOf = /\?generation=\d+$/.exec(context.parentURL ?? '')?.[0];
    const isOurs = resolved.url.startsWith(PROJECT) && !resolved.url.includes('/node_modules/');
    return isOurs && generationOf && resolved.url.endsWith('.ts')
      ? { ...resolved, url: resolved.url + generationOf }
      : resolved;
  },
  load(url, context, next) {
    const [file = '', query] = url.split('?');
    if (!query) {
      return next(url, context);
    }
    const strip = (text: string) => stripTypeScriptTypes(text);
    if (file === changed?.url) {
      return { format: 'module', source: strip(changed.text), shortCircuit: true };
    }
    const source = sources.get(file) ?? strip(readFileSync(fileURLToPath(file), 'utf8'));
    sources.set(file, source);
    return { format: 'module', source, shortCircuit: true };
  },
});

// State machines and migrations are read, not imported.
const readFromDisk = fs.readFileSync;
const readLaterFromDisk = fs.promises.readFile;
fs.promises.readFile = (async (file: string, options?: never) =>
  typeof file === 'string' && pathToFileURL(file).href === changed?.url
    ? changed.text
    : readLaterFromDisk(file, options)) as typeof fs.promises.readFile;
fs.readFileSync = ((file: fs.PathOrFileDescriptor, options?: never) =>
  typeof file === 'string' && pathToFileURL(file).href === changed?.url
    ? changed.text
    : readFromDisk(file, options)) as typeof fs.readFileSync;
syncBuiltinESMExports();

const { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } = circus;
Object.assign(globalThis, { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test });
Object.assign(globalThis, {
  jest: {
    setTimeout(ms: number) {
      circus.getState().testTimeout = ms;
    },
  },
});

type Failure = NonNullable<Verdict['failed']>;
let failed: Failure | undefined;

interface CircusTest {
  name: string;
  mode: string | null;
  errors: unknown[];
  type?: string;
  children?: CircusTest[];
}

function skipAll(block: CircusTest): void {
  for (const child of block.children ?? []) {
    if (child.type === 'test') {
      child.mode = 'skip';
    } else {
      skipAll(child);
    }
  }
}

/** Whether a property had no time for a single example: that is the haste's fault, not the change's. */
function saysNothing(error: unknown): boolean {
  return String(error).includes('Property interrupted after 0 tests');
}

async function runFile(file: string): Promise<Failure | undefined> {
  failed = undefined;
  circus.resetState();
  const state = circus.getState();
  state.testTimeout = 30_000;
  const told = (test: string, error: unknown): Failure => ({
    file,
    test,
    message: String(error).split('\n')[0]!,
  });
  const stopAtFirst = (event: { name: string; test?: CircusTest; error?: unknown }) => {
    if ((event.name === 'test_fn_failure' && !saysNothing(event.error)) || event.name === 'hook_failure') {
      failed ??= told(event.test?.name ?? 'a hook', event.error);
      skipAll(state.rootDescribeBlock as unknown as CircusTest);
    }
  };
  const { addEventHandler, removeEventHandler } = circus as unknown as {
    addEventHandler(handler: typeof stopAtFirst): void;
    removeEventHandler(handler: typeof stopAtFirst): void;
  };
  addEventHandler?.(stopAtFirst);
  try {
    await import(`${pathToFileURL(path.join(PROJECT_ROOT, file)).href}?generation=${generation}`);
    const { testResults, unhandledErrors } = await circus.run();
    for (const result of testResults) {
      const [error] = result.errors.filter((each) => !saysNothing(each));
      failed ??= error ? told(result.testPath.at(-1)!, error) : undefined;
    }
    failed ??= unhandledErrors.length > 0 ? told('outside of a test', unhandledErrors[0]) : undefined;
  } catch (error) {
    // Modules that do not load, and tests that cannot be made.
    failed = told('the file', error);
  } finally {
    removeEventHandler?.(stopAtFirst);
  }
  return failed;
}

async function attempt({ file, text, tests, isHasty }: Trial): Promise<Verdict> {
  generation++;
  // The same values for every change, and no search for a smaller example: that it fails is enough.
  fc.configureGlobal({ seed: 1, endOnFailure: true, ...(isHasty && { interruptAfterTimeLimit: 100 }) });
  changed = text === undefined ? undefined : { url: pathToFileURL(path.join(PROJECT_ROOT, file)).href, text };
  const verdict: Verdict = { took: {} };
  for (const test of tests) {
    const began = performance.now();
    const failure = await runFile(test);
    verdict.took[test] = performance.now() - began;
    if (failure) {
      verdict.failed = failure;
      break;
    }
  }
  if (text !== undefined && file.endsWith('.sql')) {
    // Nobody needs a database of it again.
    await rm(migratedFolder(), { recursive: true, force: true });
  }
  return verdict;
}

// A mutant may leave promises that nobody waits for, or throw where nobody catches: that is noticed too.
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error) => {
    failed ??= { file: '', test: 'outside of a test', message: String(error) };
  });
}
process.on('message', async (trial: Trial) => {
  process.send!(await attempt(trial));
});
process.send!('ready');
