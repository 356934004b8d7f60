import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { hashInputs, PROJECT_ROOT } from '../../local/synthesis.ts';
import { configurations } from './configurations.ts';
import { withLock } from './lock.ts';
import type { SynthesisAnswer, SynthesisRequest } from './synthesis-process.ts';
import { ReadableTemplate } from './template.ts';

const CACHE = path.join(PROJECT_ROOT, 'node_modules/.cache/rollcall/templates');

/** Everything that the template depends on when the Lambdas are not bundled, and what makes it here. */
const INPUTS = [
  'bin',
  'lib',
  'lambdas/shared',
  'state-machines',
  'test/support/synth.ts',
  'test/support/synthesis-process.ts',
  'cdk.json',
  'package-lock.json',
];

/** What is kept of an assembly. */
const KEPT = /^(manifest\.json|Rollcall[\w-]*\.template\.json|asset\.\w+\.json)$/;

/** After this, what was made of other inputs goes. */
const OLD_MS = 3_600_000;

export interface SynthesisedStack {
  template: ReadableTemplate;
  /** What the CLI is told of the stack beside its template. */
  artifact: {
    environment: string;
    properties: { terminationProtection?: boolean; requiresBootstrapStackVersion?: number };
  };
  /** The text of a file that is uploaded, by the key that the template names it with. */
  asset(objectKey: string): string;
}

/**
 * The template of the app as `bin/rollcall.ts` builds it, without bundles. Synthesised once for all test files, by the hash of
 * its inputs: loading the CDK into every file takes longer than the tests in it.
 *
 * @param rollcall options over the defaults; one of `configurations`, or it takes a process of its own
 */
export function synthesised(rollcall: object = {}): ReadableTemplate {
  return synthesisedStack(rollcall).template;
}

/** As `synthesised`, with what the assembly has beside the template. */
export function synthesisedStack(rollcall: object = {}): SynthesisedStack {
  const made = path.join(CACHE, inputsHash());
  const folder = path.join(made, nameOf(rollcall));
  if (!existsSync(folder)) {
    makeMissing(made, rollcall);
  }
  return readStack(folder);
}

export interface Outcome {
  /** What the synthesis failed with. */
  error: string | null;
  /** Undefined after an error. */
  template: ReadableTemplate | undefined;
  /** What the stack itself is warned of. */
  warnings: string[];
  /** The rules that the template violates by the report, with reasons that were not accepted; a warning is not an error. */
  violations: string[];
}

/** What becomes of each of these requests; not kept, for what only one test asks for. */
export function synthesisedOnce(requests: readonly Omit<SynthesisRequest, 'outdir'>[]): Outcome[] {
  return inFolder((folder) => {
    const whole = requests.map((request, index) => ({
      ...request,
      outdir: path.join(folder, String(index)),
    }));
    return synthesiseEach(whole).map((error, index) => {
      const { outdir } = whole[index]!;
      return {
        error,
        template: error === null ? readStack(outdir).template : undefined,
        warnings: error === null ? readWarnings(outdir) : [],
        violations: readViolations(path.join(outdir, 'validation-report.json')),
      };
    });
  });
}

function readWarnings(outdir: string): string[] {
  const [file] = readdirSync(outdir).filter((name) => name.endsWith('.metadata.json'));
  const metadata = JSON.parse(readFileSync(path.join(outdir, file!), 'utf8')) as Record<
    string,
    { type: string; data: unknown }[]
  >;
  return metadata[`/${path.basename(file!, '.metadata.json')}`]!.filter(
    ({ type }) => type === 'aws:cdk:warning',
  ).map(({ data }) => String(data));
}

function readViolations(report: string): string[] {
  if (!existsSync(report)) {
    return [];
  }
  const { pluginReports } = JSON.parse(readFileSync(report, 'utf8')) as {
    pluginReports: { violations?: { ruleName: string }[] }[];
  };
  return pluginReports.flatMap(({ violations = [] }) => violations.map(({ ruleName }) => ruleName));
}

function makeMissing(made: string, wanted: object): void {
  const listed = Object.values<object>(configurations);
  const isListed = listed.some((one) => nameOf(one) === nameOf(wanted));
  mkdirSync(made, { recursive: true });
  withLock(`${made}.lock`, () => {
    const missing = (isListed ? listed : [wanted]).filter((one) => !existsSync(path.join(made, nameOf(one))));
    if (missing.length > 0) {
      removeOld(made);
      make(made, missing);
    }
  });
}

function make(made: string, rollcalls: readonly object[]): void {
  inFolder((folder) => {
    const requests = rollcalls.map((rollcall) => ({ rollcall, outdir: path.join(folder, nameOf(rollcall)) }));
    for (const [index, why] of synthesiseEach(requests).entries()) {
      const { rollcall, outdir } = requests[index]!;
      if (why !== null) {
        throw new Error(`The app cannot be synthesised with ${JSON.stringify(rollcall)}: ${why}`);
      }
      for (const file of readdirSync(outdir).filter((name) => !KEPT.test(name))) {
        rmSync(path.join(outdir, file), { recursive: true });
      }
      // Renamed when it is whole, so that whoever looks for it finds all of it.
      const target = path.join(made, nameOf(rollcall));
      try {
        renameSync(outdir, target);
      } catch (error) {
        if (!existsSync(target)) {
          throw error;
        }
      }
    }
  });
}

function inFolder<Result>(work: (folder: string) => Result): Result {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(path.join(CACHE, 'new-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function synthesiseEach(requests: readonly SynthesisRequest[]): SynthesisAnswer[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/support/synthesis-process.ts'], {
    cwd: PROJECT_ROOT,
    encoding: 'utf8',
    input: JSON.stringify(requests),
    // No account, Region or context of the person at the keyboard.
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) {
    throw new Error(`The app cannot be synthesised: ${stderr}`);
  }
  return JSON.parse(stdout) as SynthesisAnswer[];
}

function readStack(folder: string): SynthesisedStack {
  const read = (file: string) => JSON.parse(readFileSync(path.join(folder, file), 'utf8'));
  const { artifacts } = read('manifest.json') as {
    artifacts: Record<string, SynthesisedStack['artifact'] & { type: string }>;
  };
  const [[id, artifact]] = Object.entries(artifacts).filter(
    ([, { type }]) => type === 'aws:cloudformation:stack',
  ) as [[string, SynthesisedStack['artifact'] & { type: string }]];
  return {
    template: new ReadableTemplate(read(`${id}.template.json`)),
    artifact,
    asset: (objectKey) => readFileSync(path.join(folder, `asset.${objectKey}`), 'utf8'),
  };
}

function removeOld(made: string): void {
  for (const name of readdirSync(CACHE)) {
    const other = path.join(CACHE, name);
    const atMs = statSync(other, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (other !== made && Date.now() - atMs > OLD_MS) {
      rmSync(other, { recursive: true, force: true });
    }
  }
}

function nameOf(rollcall: object): string {
  return createHash('sha256').update(JSON.stringify(rollcall)).digest('hex').slice(0, 32);
}

let hashed: string | undefined;

function inputsHash(): string {
  hashed ??= hashInputs(INPUTS);
  return hashed;
}
