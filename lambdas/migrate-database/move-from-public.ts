import type { TransactionSql } from 'postgres';
import { PipelineError } from '../shared/contract/errors.ts';
import { DEFAULT_SCHEMA } from '../shared/contract/names.ts';

/** What a migration's text creates, by its kind. */
const CREATED = /^CREATE (TABLE|VIEW|TYPE|FUNCTION)\s+(?:IF NOT EXISTS\s+)?(\w+)/gim;

/** What may be done with a view; other rights on a table are of no use there. */
const RIGHTS_ON_VIEWS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];

/**
 * Whether what belongs into the schema is still in `public`, where earlier versions had it.
 *
 * @throws PipelineError `DatabaseMisconfigured` when the schema is another than the default, to which nothing is moved: it
 *   may be that of a second deployment
 */
export async function isInPublic(transaction: TransactionSql, schema: string): Promise<boolean> {
  if (schema === 'public' || (await recordedInPublic(transaction)).length === 0) {
    return false;
  }
  const [isThere] = await transaction`
    SELECT FROM pg_tables WHERE schemaname = ${schema} AND tablename = 'schema_migrations'`;
  if (!isThere && schema !== DEFAULT_SCHEMA) {
    throw new PipelineError(
      'DatabaseMisconfigured',
      `The schema public of this database holds Rollcall's tables of an earlier version: deploy that with databaseSchema=${DEFAULT_SCHEMA}, which moves them, or with databaseSchema=public, which leaves them, before another one uses ${schema}`,
    );
  }
  return !isThere;
}

/**
 * Moves what earlier versions had in `public` into the schema, with all data, indexes and rights, and leaves a view in
 * the place of each table: the old code, which runs on until its replacement is deployed, and an application read and write
 * through it as before.
 *
 * A foreign table of one of our names in `public` is not touched: what is ours is what the migrations made that a record of
 * ours names.
 *
 * @param textOf a migration, by its name
 */
export async function moveFromPublic(
  transaction: TransactionSql,
  schema: string,
  textOf: (migration: string) => Promise<string>,
): Promise<void> {
  if (!(await isInPublic(transaction, schema))) {
    return;
  }
  const migrations = await recordedInPublic(transaction);
  const relations = ['schema_migrations'];
  for (const migration of migrations) {
    for (const [, kind = '', name = ''] of (await textOf(migration)).matchAll(CREATED)) {
      if (kind === 'TABLE' || kind === 'VIEW') {
        relations.push(name);
      } else {
        await transaction.unsafe(`ALTER ${kind} public.${name} SET SCHEMA "${schema}"`);
      }
    }
  }
  for (const name of relations) {
    await leaveView(transaction, schema, name);
  }
}

/** The migrations that a `schema_migrations` of ours in `public` names; none where there is none, or somebody else's. */
async function recordedInPublic(transaction: TransactionSql): Promise<string[]> {
  const columns = await transaction<{ name: string }[]>`
    SELECT attname AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname = 'schema_migrations' AND relkind = 'r'
      AND attnum > 0 AND NOT attisdropped
    ORDER BY attname`;
  if (columns.map(({ name }) => name).join() !== 'applied_at,name') {
    return [];
  }
  const rows = await transaction<{ name: string }[]>`SELECT name FROM public.schema_migrations ORDER BY name`;
  const names = rows.map(({ name }) => name);
  return names.includes('0001_initial.sql') ? names : [];
}

async function leaveView(transaction: TransactionSql, schema: string, name: string): Promise<void> {
  const rights = await transaction<{ grantee: string; privilege: string }[]>`
    SELECT quote_ident(rolname) AS grantee, privilege_type AS privilege
    FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) AS acl JOIN pg_roles ON pg_roles.oid = acl.grantee
    WHERE pg_class.oid = ${`public.${name}`}::regclass AND acl.grantee <> relowner`;
  const [relation] =
    await transaction`SELECT relkind FROM pg_class WHERE oid = ${`public.${name}`}::regclass`;
  const kind = relation?.relkind === 'v' ? 'VIEW' : 'TABLE';
  await transaction.unsafe(`
    ALTER ${kind} public.${name} SET SCHEMA "${schema}";
    CREATE VIEW public.${name} AS SELECT * FROM "${schema}".${name};
    COMMENT ON VIEW public.${name} IS 'For what still looks here: use ${schema}.${name}';`);
  for (const { grantee, privilege } of rights) {
    if (RIGHTS_ON_VIEWS.includes(privilege)) {
      await transaction.unsafe(`GRANT ${privilege} ON public.${name} TO ${grantee}`);
    }
  }
}
