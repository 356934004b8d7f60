import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TransactionSql } from 'postgres';
import { Umzug, type UmzugStorage } from 'umzug';
import type { Sql } from '../shared/database.ts';

/** Any fixed number: two deployments at once take turns. */
const MIGRATION_LOCK = 7_264_312;

/** As long as another deployment's migration, or a statement on a table, is waited for; less than the function's timeout. */
const LOCK_TIMEOUT_MS = 120_000;

/** Migrations are `0001_name.sql`; other SQL files in the folder (`bootstrap.sql`) are not. */
const MIGRATION_FILE = /^\d{4}_[\w-]+\.sql$/;

/**
 * Applies the migrations of `folder` that the database has not seen, in the order of their names, each in one
 * transaction together with its record in `schema_migrations`.
 *
 * Lock and settings last as long as that transaction: behind a pooler the next one may have another session.
 *
 * @returns the names of the migrations that were applied now
 */
export async function migrateDatabase(sql: Sql, folder: string): Promise<string[]> {
  const applied: string[] = [];
  await inTurn(
    sql,
    (transaction) => transaction`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        name       text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
      )`,
  );
  const files = (await readdir(folder)).filter((file) => MIGRATION_FILE.test(file)).sort();
  const umzug = new Umzug({
    migrations: files.map((name) => ({
      name,
      up: async () => {
        const statements = await readFile(path.join(folder, name), 'utf8');
        await inTurn(sql, async (transaction) => {
          // The deployment before this one in the line may have done it meanwhile.
          const record = await transaction`
            INSERT INTO schema_migrations (name) VALUES (${name}) ON CONFLICT DO NOTHING`;
          if (record.count === 1) {
            await transaction.unsafe(statements).simple();
            applied.push(name);
          }
        });
      },
    })),
    storage: appliedMigrations(sql),
    logger: undefined,
  });
  await umzug.up();
  return applied;
}

/** One transaction, while no other deployment has one. */
async function inTurn(sql: Sql, work: (transaction: TransactionSql) => Promise<unknown>): Promise<void> {
  await sql.begin(async (transaction) => {
    // Building an index takes as long as it takes.
    await transaction`
      SELECT set_config('statement_timeout', '0', true),
             set_config('lock_timeout', ${`${LOCK_TIMEOUT_MS}`}, true)`;
    await transaction`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`;
    await work(transaction);
  });
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
