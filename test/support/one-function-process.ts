/**
 * Bundles one function of a stack that has an external database with its own authority.
 * Arguments: the certificate's file, and the folder for the assembly.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { parseConfig } from '../../lib/config/config.ts';
import { ExternalDatabase } from '../../lib/database/external-database.ts';
import { bundle } from '../../lib/parts/bundle.ts';
import { PipelineFunction } from '../../lib/parts/pipeline-function.ts';
import { SECRET } from './configurations.ts';

const [certificate, outdir] = process.argv.slice(2) as [string, string];
const { assets } = new ExternalDatabase(SECRET, {
  databaseSchema: 'rollcall',
  databaseCaCertificate: certificate,
});
// The others need not be bundled with it.
bundle(['list-erasures']);
const app = new App({ outdir });
const stack = new Stack(app, 'One');
new PipelineFunction(stack, 'ListErasures', {
  config: parseConfig(),
  name: 'list-erasures',
  description: '',
  timeout: Duration.seconds(10),
  environment: {},
  assets: ['migrations', ...assets],
});
app.synth();
