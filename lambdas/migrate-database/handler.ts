import path from 'node:path';
import { LONG_WORK, withDatabase } from '../shared/database.ts';
import { requireEnv } from '../shared/environment.ts';
import { environmentNames, logEvents } from '../shared/names.ts';
import { lambdaHandler, telemetry } from '../shared/telemetry.ts';
import { migrateDatabase } from './migrate-database.ts';

/** The bundle carries the migrations beside its code. */
const MIGRATIONS_FOLDER = path.join(import.meta.dirname, 'migrations');

const schema = requireEnv(environmentNames.databaseSchema);

export const handler = lambdaHandler(async () => {
  const applied = await withDatabase((sql) => migrateDatabase(sql, MIGRATIONS_FOLDER, schema), LONG_WORK);
  telemetry.logger.info('The database is migrated', { event: logEvents.migrated, applied });
  return { applied };
});
