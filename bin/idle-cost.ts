/**
 * `npm run docs:idle-cost`: counts from the template what a stack costs when nobody uploads, and writes that into
 * `docs/deploy.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { App } from 'aws-cdk-lib';
import { idleCost, idleTable } from '../lib/observability/idle-cost.ts';
import { addRollcall } from '../lib/rollcall-app.ts';

const BETWEEN = /(<!-- idle cost[^>]*-->\n)[\s\S]*?(\n<!-- end -->)/;

const app = new App({ context: { 'aws:cdk:bundling-stacks': [] } });
const { artifactId } = addRollcall(app);
const { template } = app.synth().getStackArtifact(artifactId);
const table = idleTable(idleCost(template));
const file = path.join(import.meta.dirname, '..', 'docs', 'deploy.md');
writeFileSync(
  file,
  readFileSync(file, 'utf8').replace(BETWEEN, (_, start, end) => `${start}${table}${end}`),
);
console.log(table);
