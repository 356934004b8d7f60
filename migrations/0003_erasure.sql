-- Erasure: what has to leave Rekognition and the results bucket, and the receipts of what did.
--
-- `deleted`: the photo is gone from the bucket. `erased`: its event's faces were erased; the photo itself was not touched.
-- No statement of this migration may use the two: PostgreSQL knows a new value only after the commit.
ALTER TYPE photo_status ADD VALUE 'deleted';
ALTER TYPE photo_status ADD VALUE 'erased';

ALTER TABLE photos
  ADD COLUMN deleted_at      timestamptz,
  -- A response that Rekognition was asked for before this may name faces that are gone.
  ADD COLUMN faces_erased_at timestamptz;

ALTER TABLE events
  -- What was uploaded before this is not indexed any more.
  ADD COLUMN erasure_requested_at timestamptz,
  -- When the whole event was last erased.
  ADD COLUMN erased_at            timestamptz,
  -- As in photos, for erasures that do not know all their photos: of a person, of the event.
  ADD COLUMN faces_erased_at      timestamptz;

-- One row for each erasure, from the request to the receipt; kept for ever, and no part of it is biometric. It outlives
-- the rows of its event and photo.
CREATE TABLE erasures (
  id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  event_id      uuid NOT NULL,
  -- The one photo that it is about; null for a person and for a whole event.
  photo_id      uuid,
  reason        text NOT NULL CHECK (reason IN (
    'photo_deleted', 'photo_replaced', 'late_result', 'person_requested', 'event_requested', 'event_expired')),
  execution_arn text,
  requested_at  timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz,
  -- How many were erased so far; final once finished.
  photos        integer NOT NULL DEFAULT 0,
  faces         integer NOT NULL DEFAULT 0,
  results       integer NOT NULL DEFAULT 0,
  -- After a failure that retries did not cure.
  not_before    timestamptz NOT NULL DEFAULT now(),
  postponed     integer NOT NULL DEFAULT 0,
  last_error    text
);

CREATE INDEX erasures_to_do ON erasures (not_before, requested_at) WHERE finished_at IS NULL;
CREATE INDEX erasures_by_event ON erasures (event_id, requested_at);
CREATE UNIQUE INDEX one_erasure_of_an_event_at_a_time ON erasures (event_id)
  WHERE finished_at IS NULL AND reason IN ('event_requested', 'event_expired');

-- The outbox: faces that no row of `faces` knows any more and that have to leave the collection. A row goes when
-- Rekognition no longer lists its face.
ALTER TABLE face_removals ADD COLUMN erasure_id uuid REFERENCES erasures (id);

INSERT INTO erasures (event_id, photo_id, reason, requested_at, photos)
SELECT photos.event_id, photos.id, 'photo_replaced', min(requested_at), 1
FROM face_removals JOIN photos ON photos.id = face_removals.photo_id
GROUP BY photos.event_id, photos.id;
UPDATE face_removals SET erasure_id = erasures.id FROM erasures WHERE erasures.photo_id = face_removals.photo_id;

ALTER TABLE face_removals
  ALTER COLUMN erasure_id SET NOT NULL,
  DROP CONSTRAINT face_removals_pkey,
  ADD PRIMARY KEY (erasure_id, rekognition_face_id),
  DROP COLUMN reason,
  DROP COLUMN requested_at;
CREATE INDEX face_removals_by_face ON face_removals (rekognition_face_id);

-- The same for stored responses: a key of the results bucket, or a prefix that ends in a slash.
CREATE TABLE result_removals (
  erasure_id uuid NOT NULL REFERENCES erasures (id),
  name       text NOT NULL,
  PRIMARY KEY (erasure_id, name)
);

-- Who works the outbox off: one execution at a time, so that all of them together keep to Rekognition's rate.
CREATE TABLE erasure_turn (
  only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  execution_arn text,
  until         timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO erasure_turn DEFAULT VALUES;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    -- A receipt can be completed, and never taken away.
    GRANT SELECT, INSERT, UPDATE ON erasures TO rollcall_pipeline;
    GRANT SELECT, INSERT, DELETE ON result_removals TO rollcall_pipeline;
    GRANT SELECT, UPDATE ON erasure_turn TO rollcall_pipeline;
  END IF;
END
$$;
