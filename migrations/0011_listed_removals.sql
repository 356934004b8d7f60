-- Which removals are in a batch that is under way. A response may be stored anew under a name that such a batch has deleted already:
-- who asks for it again takes it off the batch, and the batch's end leaves it to the next one.
ALTER TABLE result_removals ADD COLUMN listed boolean NOT NULL DEFAULT false;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    GRANT UPDATE ON result_removals TO rollcall_pipeline;
  END IF;
END
$$;
