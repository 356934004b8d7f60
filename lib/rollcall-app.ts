import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { configFromContext } from './config.ts';
import { warnIfSlow } from './index-faces-rate.ts';
import { RollcallStack } from './rollcall-stack.ts';

/**
 * The whole app: one stack, built from the app's context, and the rule packs that every synthesis must pass.
 *
 * @param likelyRegion where the CLI would deploy, known only to warn about that Region's quota; the template does not depend on it
 * @throws ConfigurationError
 */
export function addRollcall(app: App, likelyRegion?: string): RollcallStack {
  const config = configFromContext(app);
  const stack = new RollcallStack(app, 'Rollcall', { config });
  warnIfSlow(stack, config.indexFacesPerSecond, likelyRegion);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
  return stack;
}
