-- Uploads that belong to no event, because their key is not events/{event UUID}/{name}.{extension}: there is no photo whose row
-- could say that they failed, and why.

CREATE TABLE misplaced_uploads (
  -- As much of it as PostgreSQL can hold.
  object_key       text PRIMARY KEY,
  object_version   text NOT NULL,
  -- As in photos.
  object_sequencer text NOT NULL,
  failure_code     text NOT NULL,
  failure_message  text NOT NULL,
  execution_arn    text NOT NULL,
  failed_at        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX misplaced_uploads_by_time ON misplaced_uploads (failed_at DESC, object_key);

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON misplaced_uploads TO rollcall_pipeline;
  END IF;
END
$$;
