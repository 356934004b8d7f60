import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TransactionSql } from 'postgres';
import { Umzug, type UmzugStorage } from 'umzug';
import { DEFAULT_SCHEMA } from '../shared/contract/names.ts';
import type { Sql } from '../shared/database/connection.ts';
import { isInPublic, moveFromPublic } from './move-from-public.ts';

/** Any fixed number: two deployments at once take turns. */
const MIGRATION_LOCK = 7_264_312;

/** As long as another deployment's migration, or a statement on a table, is waited for; less than the function's timeout. */
const LOCK_TIMEOUT_MS = 120_000;

/** Migrations are `0001_name.sql`; other SQL files in the folder (`bootstrap.sql`) are not. */
const MIGRATION_FILE = /^\d{4}_[\w-]+\.sql$/;

/**
 * Applies the migrations of `folder` that the database has not seen, in the order of their names, each in one
 * transaction together with its record in `schema_migrations`. All of it is in a schema of its own, which is created.
 *
 * Lock and settings last as long as that transaction: behind a pooler the next one may have another session.
 *
 * @param schema a name that needs no quotes
 * @returns the names of the migrations that were applied now
 */
export async function migrateDatabase(
  sql: Sql,
  folder: string,
  schema: string = DEFAULT_SCHEMA,
): Promise<string[]> {
  const files = (await readdir(folder)).filter((file) => MIGRATION_FILE.test(file)).sort();
  const textOf = (name: string) => readFile(path.join(folder, name), 'utf8');
  const home = await inTurn(sql, schema, async (transaction) => {
    await createSchema(transaction, schema);
    return (await isInPublic(transaction, schema)) ? 'public' : schema;
  });
  const applied = await applyMigrations(sql, home, files, textOf);
  await inTurn(sql, schema, async (transaction) => {
    // After the migrations: a view stands in the way of one that takes a column away.
    await moveFromPublic(transaction, schema, textOf);
    await letRead(transaction, schema);
    await letPromise(transaction);
  });
  return applied;
}

async function applyMigrations(
  sql: Sql,
  schema: string,
  files: string[],
  textOf: (migration: string) => Promise<string>,
): Promise<string[]> {
  const applied: string[] = [];
  await inTurn(
    sql,
    schema,
    (transaction) => transaction`
      CREATE TABLE IF NOT EXISTS schema_migrations (
        name       text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
      )`,
  );
  const umzug = new Umzug({
    migrations: files.map((name) => ({
      name,
      up: async () => {
        const statements = await textOf(name);
        await inTurn(sql, schema, async (transaction) => {
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
    storage: appliedMigrations(sql, schema),
    logger: undefined,
  });
  await umzug.up();
  return applied;
}

/** One transaction, while no other deployment has one. */
async function inTurn<Result>(
  sql: Sql,
  schema: string,
  work: (transaction: TransactionSql) => Promise<Result>,
): Promise<Result> {
  return (await sql.begin(async (transaction) => {
    // Building an index takes as long as it takes.
    await transaction`
      SELECT set_config('search_path', ${schema}, true),
             set_config('statement_timeout', '0', true),
             set_config('lock_timeout', ${`${LOCK_TIMEOUT_MS}`}, true)`;
    await transaction`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`;
    return work(transaction);
  })) as Result;
}

async function createSchema(transaction: TransactionSql, schema: string): Promise<void> {
  // Not IF NOT EXISTS, which asks for the right to create one even where it is there.
  const [exists] = await transaction`SELECT FROM pg_namespace WHERE nspname = ${schema}`;
  if (!exists) {
    await transaction`CREATE SCHEMA ${transaction(schema)}`;
  }
  if (await hasRole(transaction, 'rollcall_pipeline')) {
    await transaction`GRANT USAGE ON SCHEMA ${transaction(schema)} TO rollcall_pipeline`;
  }
}

async function hasRole(transaction: TransactionSql, name: string): Promise<boolean> {
  const [role] = await transaction`SELECT FROM pg_roles WHERE rolname = ${name}`;
  return role !== undefined;
}

/** `up` writes the record itself, inside the migration's transaction. */
function appliedMigrations(sql: Sql, schema: string): UmzugStorage {
  return {
    logMigration: async () => {},
    unlogMigration: async () => {
      throw new Error('Migrations go forward only');
    },
    executed: () =>
      inTurn(sql, schema, async (transaction) => {
        const rows = await transaction<{ name: string }[]>`SELECT name FROM schema_migrations ORDER BY name`;
        return rows.map((row) => row.name);
      }),
  };
}

/** What the API is made of; later versions only add columns to these too. */
const GALLERY_VIEWS = ['gallery_events', 'gallery_photos', 'event_progress', 'gallery_feed'] as const;

/** What each role may read, where somebody has made it: `migrations/bootstrap.sql`, or the owner of an external database. */
export const READERS = {
  // An application: later versions only add columns to these.
  rollcall_reader: ['events', 'photos', 'faces', 'usage', 'erasures', 'searches', ...GALLERY_VIEWS],
  // The API, which needs no table.
  rollcall_gallery: GALLERY_VIEWS,
} as const;

/** The rows that an application's own role may make beforehand, by their columns: docs/uploads.md. */
const PROMISES = [
  'INSERT (id, name, photographer_id, expires_at), UPDATE (name, photographer_id, expires_at) ON events',
  'INSERT (id, event_id, object_key) ON photos',
] as const;

async function letPromise(transaction: TransactionSql): Promise<void> {
  if (await hasRole(transaction, 'rollcall_application')) {
    for (const promise of PROMISES) {
      await transaction.unsafe(`GRANT ${promise} TO rollcall_application`);
    }
  }
}

async function letRead(transaction: TransactionSql, schema: string): Promise<void> {
  for (const [role, relations] of Object.entries(READERS)) {
    if (await hasRole(transaction, role)) {
      await transaction`GRANT USAGE ON SCHEMA ${transaction(schema)} TO ${transaction(role)}`;
      await transaction.unsafe(`GRANT SELECT ON ${relations.join(', ')} TO ${role}`);
    }
  }
}
