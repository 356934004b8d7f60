import { bundleAll } from '../lib/parts/bundle.ts';

// esbuild is a process of its own: it works while this one loads CDK, which takes as long.
const bundling = needsBundles() ? bundleAll() : undefined;
// What breaks it is told where it is waited for.
bundling?.catch(() => {});
const { App } = await import('aws-cdk-lib');
const { ConfigurationError } = await import('../lib/config/config.ts');
const { addRollcall } = await import('../lib/rollcall-app.ts');

try {
  const app = new App();
  await bundling;
  addRollcall(app, process.env.CDK_DEFAULT_REGION);
  // Whoever has CDK's own validation left out needs no rule packs either, which take a second.
  if (process.env.CDK_VALIDATION !== 'false') {
    const { addRulePacks } = await import('../lib/rule-packs.ts');
    addRulePacks(app);
  }
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  console.error(`Rollcall's configuration: ${error.message}`);
  process.exit(1);
}

/** The CLI names no stack where nothing is going to be deployed: `cdk ls`, `cdk destroy`. */
function needsBundles(): boolean {
  const context = JSON.parse(process.env.CDK_CONTEXT_JSON ?? '{}') as Record<string, unknown>;
  return JSON.stringify(context['aws:cdk:bundling-stacks']) !== '[]';
}
