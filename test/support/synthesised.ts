import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ReadableTemplate } from './template.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const CACHE = path.join(ROOT, 'node_modules/.cache/rollcall');

/** Everything that the template depends on when the Lambdas are not bundled. */
const INPUTS = ['bin', 'lib', 'lambdas/shared', 'state-machines', 'cdk.json', 'package-lock.json'];

/**
 * The template of `bin/rollcall.ts`, rule packs and all, without bundles. Synthesised once for all test files, by the
 * hash of its inputs: loading the CDK into every file takes longer than the tests in it.
 *
 * @param rollcall options over the defaults
 */
export function synthesised(rollcall: object = {}): ReadableTemplate {
  const file = path.join(CACHE, `${inputHash(JSON.stringify(rollcall))}.template.json`);
  if (!existsSync(file)) {
    synthesiseInto(file, rollcall);
  }
  return new ReadableTemplate(JSON.parse(readFileSync(file, 'utf8')));
}

function synthesiseInto(file: string, rollcall: object): void {
  mkdirSync(CACHE, { recursive: true });
  const outdir = mkdtempSync(path.join(CACHE, 'synthesis-'));
  const { context } = JSON.parse(readFileSync(path.join(ROOT, 'cdk.json'), 'utf8')) as { context: object };
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'bin/rollcall.ts'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      CDK_OUTDIR: outdir,
      // The test of the rule packs has it look through all of this.
      CDK_VALIDATION: 'false',
      CDK_CONTEXT_JSON: JSON.stringify({
        ...context,
        'aws:cdk:enable-path-metadata': true,
        'aws:cdk:bundling-stacks': [],
        rollcall,
      }),
    },
  });
  if (status !== 0) {
    throw new Error(`The app cannot be synthesised with ${JSON.stringify(rollcall)}: ${stderr}`);
  }
  // Renamed when it is whole, so that two test files can do this at once.
  const [template] = readdirSync(outdir).filter((name) => /^Rollcall[\w-]*\.template\.json$/.test(name));
  renameSync(path.join(outdir, template!), file);
  rmSync(outdir, { recursive: true });
}

function inputHash(options: string): string {
  const hash = createHash('sha256').update(options);
  for (const input of INPUTS) {
    const at = path.join(ROOT, input);
    const files = path.extname(input) ? [''] : readdirSync(at, { recursive: true, encoding: 'utf8' }).sort();
    for (const file of files.filter((name) => name === '' || path.extname(name))) {
      hash.update(`${input}/${file}\0`).update(readFileSync(path.join(at, file)));
    }
  }
  return hash.digest('hex').slice(0, 32);
}
