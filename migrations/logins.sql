-- The logins of Rollcall's functions in a PostgreSQL of yours, where they have no password and come with IAM tokens
-- (docs/integrate.md). The owner of the database runs it once, before the first deployment:
--
--   psql "host=... dbname=platform user=... sslmode=verify-full" -f node_modules/rollcall/migrations/logins.sql
--
-- Running it again changes nothing. It touches nobody else's rights: the migrations then create the schema, as
-- rollcall_migrator, and grant the other two what they need in it.
--
-- On RDS a member of rds_iam logs in with a token only. So make no role of your own a member of one of these.
DO $logins$
BEGIN
  -- Owns the schema and everything in it.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_migrator') THEN
    CREATE ROLE rollcall_migrator LOGIN;
  END IF;
  -- Writes what happened to photos, and reads it.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    CREATE ROLE rollcall_pipeline LOGIN;
  END IF;
  -- Reads the views of the API, and nothing else.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_gallery') THEN
    CREATE ROLE rollcall_gallery LOGIN;
  END IF;
  GRANT rds_iam TO rollcall_migrator, rollcall_pipeline, rollcall_gallery;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO rollcall_migrator, rollcall_pipeline, rollcall_gallery', current_database());
  EXECUTE format('GRANT CREATE ON DATABASE %I TO rollcall_migrator', current_database());
END
$logins$;
