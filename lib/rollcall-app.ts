import { Annotations, type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';
import { configFromContext } from './config/config.ts';
import { warnIfSlow } from './config/index-faces-rate.ts';
import { addRegionRule } from './config/region-rule.ts';
import { requireRekognition } from './config/rekognition-regions.ts';
import { RollcallStack } from './rollcall-stack.ts';

/**
 * The whole app: one stack, built from the app's context, and the rule packs that every synthesis must pass.
 *
 * @param likelyRegion where the CLI would deploy, known only to refuse it or to warn about its quota; the template does not
 *   depend on it
 * @throws ConfigurationError
 */
export function addRollcall(app: App, likelyRegion?: string): RollcallStack {
  const config = configFromContext(app);
  requireRekognition(likelyRegion);
  const stack = new RollcallStack(app, config.stage === undefined ? 'Rollcall' : `Rollcall-${config.stage}`, {
    config,
  });
  addRegionRule(stack);
  warnIfSlow(stack, config.indexFacesPerSecond, likelyRegion);
  if (config.removal === 'retain' && !config.deletionProtection) {
    Annotations.of(stack).addInfo(
      'The stack and its database may be deleted: once the first deployment has succeeded, set deletionProtection in cdk.json.',
    );
  }
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
  return stack;
}
