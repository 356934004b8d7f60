import { App } from 'aws-cdk-lib';
import { ConfigurationError } from '../lib/config/config.ts';
import { addRollcall } from '../lib/rollcall-app.ts';

try {
  addRollcall(new App(), process.env.CDK_DEFAULT_REGION);
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  console.error(`Rollcall's configuration: ${error.message}`);
  process.exit(1);
}
