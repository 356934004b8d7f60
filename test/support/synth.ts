import { readFileSync } from 'node:fs';
import path from 'node:path';
import { App } from 'aws-cdk-lib';
import { addRollcall, type RollcallStack } from '../../lib/rollcall-app.ts';
import { addRulePacks } from '../../lib/rule-packs.ts';

const PROJECT_ROOT = path.join(import.meta.dirname, '../..');

const { context } = JSON.parse(readFileSync(path.join(PROJECT_ROOT, 'cdk.json'), 'utf8')) as {
  context: Record<string, unknown>;
};

export interface SynthOptions {
  /** Context over that of cdk.json, as the command line would give it. */
  context?: Record<string, unknown>;
  likelyRegion?: string;
  /** Where the assembly goes; a folder in the system's temporary one otherwise. */
  outdir?: string;
  /** Whether the rule packs and CDK's own validation look through the template, which takes seconds. */
  validate?: boolean;
  /** Whether the rule packs do; default: as CDK's own validation does. */
  rulePacks?: boolean;
  /** Called before the synthesis. */
  change?: (stack: RollcallStack) => void;
}

/** The app as `bin/rollcall.ts` builds it, not synthesised yet and without bundles, which take seconds. */
export function buildApp(options: SynthOptions = {}): { app: App; stack: RollcallStack } {
  const app = new App({
    context: {
      ...context,
      // The CLI does this too.
      'aws:cdk:enable-path-metadata': true,
      'aws:cdk:bundling-stacks': [],
      // Nobody looks where a construct was made.
      'aws:cdk:disable-creation-stack-traces': true,
      ...options.context,
    },
    // Of use to a viewer of the constructs alone.
    treeMetadata: false,
    ...(options.outdir && { outdir: options.outdir }),
  });
  const stack = addRollcall(app, options.likelyRegion);
  if (options.rulePacks ?? options.validate) {
    addRulePacks(app);
  }
  options.change?.(stack);
  return { app, stack };
}

/**
 * Synthesises the app as `cdk synth` does, without what looks through its template unless that is asked for.
 *
 * @throws when a rule is violated, naming it
 */
export function synthesise(options: SynthOptions = {}): void {
  const { app } = buildApp(options);
  process.env.CDK_VALIDATION = String(options.validate ?? false);
  app.synth();
}
