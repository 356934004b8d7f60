-- That somebody searched an event for a person: how often, and with what success. Nothing biometric, and no face's id: neither
-- who was searched for, nor who was found.

CREATE TABLE searches (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Outlives its event.
  event_id    uuid NOT NULL,
  searched_at timestamptz NOT NULL DEFAULT now(),
  -- By a picture, or by a face of the event.
  kind        text NOT NULL CHECK (kind IN ('image', 'face')),
  -- Photos.
  found       integer NOT NULL,
  -- The caller's own word for it, as it was given.
  reference   text
);

CREATE INDEX searches_by_event ON searches (event_id, searched_at);
CREATE INDEX searches_by_time ON searches (searched_at);

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    -- SELECT is what a DELETE with a condition needs.
    GRANT SELECT, INSERT, DELETE ON searches TO rollcall_pipeline;
  END IF;
END
$$;
