-- The roles with which the Lambdas log in, and what the migrations need to build the schema.
--
-- Runs before every migration, as the cluster master on Aurora and as a superuser elsewhere; running it again changes nothing.
-- On Aurora it goes through the RDS Data API, which takes one statement and reads a colon as a parameter, so this is one
-- DO block without any. rds_iam has to exist; RDS brings it, and a member of it logs in with an IAM token only.
--
-- The master must never become a member of these roles that inherits or sets them, not even to own something on their
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
  -- For applications, which read what the pipeline found. rollcall_reader itself is no IAM login, so that its members may have
  -- passwords; rollcall_application is the one that has none.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_reader') THEN
    CREATE ROLE rollcall_reader NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_application') THEN
    CREATE ROLE rollcall_application LOGIN;
    GRANT rollcall_reader TO rollcall_application;
  END IF;
  -- For the API of what happened, which reads its views and nothing else.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_gallery') THEN
    CREATE ROLE rollcall_gallery LOGIN;
  END IF;
  GRANT rds_iam TO rollcall_migrator, rollcall_pipeline, rollcall_application, rollcall_gallery;

  -- Whoever else can log in to the server has nothing to do here.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO rollcall_migrator', current_database());
  -- Earlier versions had their tables here. The migrations move them, and leave views.
  GRANT USAGE, CREATE ON SCHEMA public TO rollcall_migrator;
  GRANT USAGE ON SCHEMA public TO rollcall_pipeline;

  -- The migrations create the schema rollcall, and grant each role what it needs in it.
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO rollcall_pipeline, rollcall_reader, rollcall_gallery', current_database());
  -- So that people need not write it.
  EXECUTE format('ALTER DATABASE %I SET search_path = rollcall, public', current_database());
END
$bootstrap$
