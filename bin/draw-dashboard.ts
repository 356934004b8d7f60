/** `npm run docs:dashboard`: draws the dashboard's layout, as it would be deployed, into the documentation. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { App } from 'aws-cdk-lib';
import { dashboardBody, drawDashboard } from '../lib/observability/dashboard-picture.ts';
import { addRollcall } from '../lib/rollcall-app.ts';

const app = new App({ context: { 'aws:cdk:bundling-stacks': [] } });
const { artifactId } = addRollcall(app);
const { template } = app.synth().getStackArtifact(artifactId);
const file = path.join(import.meta.dirname, '..', 'docs', 'dashboard.svg');
writeFileSync(file, drawDashboard(dashboardBody(template)));
console.log(`Drew ${file}`);
