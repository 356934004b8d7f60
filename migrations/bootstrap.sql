-- The roles with which the Lambdas log in, and what the migrations need to build the schema.
--
-- Runs before every migration, as the cluster master on Aurora and as a superuser elsewhere; running it again changes nothing.
-- On Aurora it goes through the RDS Data API, which takes one statement and reads a colon as a parameter, so this is one
-- DO block without any. rds_iam has to exist; RDS brings it, and a member of it logs in with an IAM token only.
--
-- The master must never become a member of these two roles that inherits or sets them, not even to own something on their
-- behalf. PostgreSQL itself makes it one that may only administer them, which it cannot revoke; if RDS counts that as a
-- membership of rds_iam, the master cannot log in with its password any more, and this has run for the last time.
DO $bootstrap$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_migrator') THEN
    CREATE ROLE rollcall_migrator LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    CREATE ROLE rollcall_pipeline LOGIN;
  END IF;
  GRANT rds_iam TO rollcall_migrator, rollcall_pipeline;

  -- Whoever else can log in to the server has nothing to do here.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO rollcall_migrator', current_database());
  GRANT USAGE, CREATE ON SCHEMA public TO rollcall_migrator;

  -- The migrations grant rollcall_pipeline what it needs on each table.
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO rollcall_pipeline', current_database());
  GRANT USAGE ON SCHEMA public TO rollcall_pipeline;
END
$bootstrap$
