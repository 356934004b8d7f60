import path from 'node:path';
import { environmentNames, logEvents } from '../shared/contract/names.ts';
import { LONG_WORK, withDatabase } from '../shared/database/connection.ts';
import { requireEnv } from '../shared/runtime/environment.ts';
import { lambdaHandler, telemetry } from '../shared/runtime/telemetry.ts';
import { migrateDatabase } from './migrate-database.ts';

/** The bundle carries the migrations beside its code. */
const MIGRATIONS_FOLDER = path.join(import.meta.dirname, 'migrations');

const schema = requireEnv(environmentNames.databaseSchema);

export const handler = lambdaHandler(async () => {
  const applied = await withDatabase((sql) => migrateDatabase(sql, MIGRATIONS_FOLDER, schema), LONG_WORK);
  telemetry.logger.info('The database is migrated', { event: logEvents.migrated, applied });
  return { applied };
});
