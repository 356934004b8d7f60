import { Annotations, type App, Stack, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { configFromContext, type RollcallConfig } from './config/config.ts';
import { warnIfSlow } from './config/index-faces-rate.ts';
import { addRegionRule } from './config/region-rule.ts';
import { requireRekognition } from './config/rekognition-regions.ts';
import { keepProviderLogs } from './parts/provider-logs.ts';
import { ALONE, Rollcall } from './rollcall.ts';

/**
 * The whole app: one stack, built from the app's context.
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
  return stack;
}

interface RollcallStackProps {
  readonly config: RollcallConfig;
}

/** Rollcall as a stack of its own, with the outputs that `npm run ops` reads. */
export class RollcallStack extends Stack {
  constructor(scope: Construct, id: string, { config }: RollcallStackProps) {
    super(scope, id, {
      description: 'Rollcall: turns the photos of an event into a searchable face index',
      terminationProtection: config.deletionProtection,
    });
    const { tags, ...options } = config;
    for (const [name, value] of Object.entries(tags)) {
      Tags.of(this).add(name, value);
    }
    new Rollcall(this, ALONE, options);
    keepProviderLogs(this, config);
  }
}
