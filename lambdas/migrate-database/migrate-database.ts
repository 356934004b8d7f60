import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Umzug, type UmzugStorage } from 'umzug';
import type { Sql } from '../shared/database.ts';

/** Any fixed number: two deployments at once take turns. */
const MIGRATION_LOCK = 7_264_311;

/** Migrations are `0001_name.sql`; other SQL files in the folder (`bootstrap.sql`) are not. */
const MIGRATION_FILE = /^\d{4}_[\w-]+\.sql$/;

/**
 * Applies the migrations of `folder` that the database has not seen, in the order of their names, each in one
 * transaction together with its record in `schema_migrations`.
 *
 * @returns the names of the migrations that were applied now
 */
export async function migrateDatabase(sql: Sql, folder: string): Promise<string[]> {
  // postgres.js never hands out a connection that it still has to open where type look-ups are off.
  await sql`SELECT`;
  // The lock belongs to the session, so all of it has to run on one connection.
  const session = await sql.reserve();
  try {
    // Building an index takes as long as it takes.
    await session`SET statement_timeout = 0`;
    await session`SELECT pg_advisory_lock(${MIGRATION_LOCK})`;
    await session`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        name       text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
      )`;
    const files = (await readdir(folder)).filter((file) => MIGRATION_FILE.test(file)).sort();
    const umzug = new Umzug({
      migrations: files.map((name) => ({
        name,
        up: async () => {
          const statements = await readFile(path.join(folder, name), 'utf8');
          // Statements that are sent as one simple query are one transaction.
          await session
            .unsafe(`${statements}\n; INSERT INTO schema_migrations (name) VALUES ('${name}')`)
            .simple();
        },
      })),
      storage: appliedMigrations(session),
      logger: undefined,
    });
    return (await umzug.up()).map((migration) => migration.name);
  } finally {
    await session`SELECT pg_advisory_unlock(${MIGRATION_LOCK})`.catch(() => {});
    session.release();
  }
}

/** `up` writes the record itself, inside the migration's transaction. */
function appliedMigrations(sql: Sql): UmzugStorage {
  return {
    logMigration: async () => {},
    unlogMigration: async () => {
      throw new Error('Migrations go forward only');
    },
    executed: async () => {
      const rows = await sql<{ name: string }[]>`SELECT name FROM schema_migrations ORDER BY name`;
      return rows.map((row) => row.name);
    },
  };
}
