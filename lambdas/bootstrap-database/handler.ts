import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RDSDataClient } from '@aws-sdk/client-rds-data';
import { environmentNames, logEvents } from '../shared/contract/names.ts';
import { clientOptions } from '../shared/runtime/clients.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { bootstrapDatabase } from './bootstrap-database.ts';

// The Data API ends a statement after 45 s by itself.
const rdsData = new RDSDataClient(clientOptions(60_000, 3));

export const handler = lambdaHandler(async () => {
  const ran = await bootstrapDatabase(
    { rdsData, sleep, now: Date.now },
    {
      clusterArn: requireEnv(environmentNames.databaseClusterArn),
      secretArn: requireEnv(environmentNames.databaseSecretArn),
      database: requireEnv(environmentNames.databaseName),
    },
    await readFile(path.join(import.meta.dirname, 'bootstrap.sql'), 'utf8'),
  );
  if (ran) {
    telemetry.logger.info('The database roles exist', { event: logEvents.bootstrapped });
  } else {
    telemetry.logger.warn('The master may not log in: an earlier deployment has created the roles', {
      event: logEvents.bootstrapRefused,
    });
  }
});
