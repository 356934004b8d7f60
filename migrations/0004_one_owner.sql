-- One rule for what may change a photo's row, whatever order events come in (docs/adr/0013), and receipts that are final.

COMMENT ON COLUMN photos.object_sequencer IS
  'Hex, as S3 sent it. Of one key the later event has the larger one: padded with zeros on the right, compared as text.';

ALTER TABLE photos
  -- Other keys with the same photo id: {"key": {"sequencer": "…", "version": "…" or null where nothing lies there}}.
  ADD COLUMN other_objects jsonb,
  -- Of the upload whose faces are stored: tells the same bytes apart from others, with bucket versions too.
  ADD COLUMN object_etag text;

ALTER TABLE erasures
  -- Whether the collection is searched for whatever was indexed under the photo's id, named by a row or not.
  ADD COLUMN search boolean NOT NULL DEFAULT false,
  -- When the removal of an event's collection began: what is uploaded after that needs another erasure.
  ADD COLUMN begun_at timestamptz,
  -- When its last batch had left Rekognition: a response that was asked for before that may name what is gone, also where
  -- the photo has no row yet that could tell.
  ADD COLUMN removed_at timestamptz;
UPDATE erasures SET search = true WHERE reason = 'photo_deleted' AND finished_at IS NULL;

-- A request that comes after the removal began has a receipt of its own, and covers what was uploaded since.
DROP INDEX one_erasure_of_an_event_at_a_time;
CREATE INDEX open_erasures_of_events ON erasures (event_id)
  WHERE finished_at IS NULL AND reason IN ('event_requested', 'event_expired');
CREATE INDEX erasures_by_photo ON erasures (event_id, photo_id);

CREATE FUNCTION keep_receipt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'The receipt % is final', OLD.id;
END
$$;
CREATE TRIGGER receipts_are_final BEFORE UPDATE ON erasures
  FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION keep_receipt();

-- The batch that was handed out last: one that comes back later, or a second time, is not confirmed again.
ALTER TABLE erasure_turn ADD COLUMN batch bigint NOT NULL DEFAULT 0;

-- Where in its photo a face was that a person had erased. Rekognition gives a face a new id when the same upload has to be
-- indexed again, so the box is what it is known by. Not biometric, and gone with the event's faces.
CREATE TABLE erased_faces (
  erasure_id   uuid NOT NULL REFERENCES erasures (id),
  event_id     uuid NOT NULL,
  photo_id     uuid NOT NULL,
  -- As Rekognition gives it; null where it is not known.
  bounding_box jsonb,
  -- The bytes that the face was found in, as soon as they are known: of these it is not stored again, uploaded anew or not.
  etag         text,
  -- Nor of whatever was uploaded before this.
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- A response that Rekognition was asked for before this may name the face.
  erased_at    timestamptz
);
CREATE INDEX erased_faces_by_photo ON erased_faces (photo_id);
CREATE INDEX erased_faces_by_erasure ON erased_faces (erasure_id);

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON erased_faces TO rollcall_pipeline;
  END IF;
END
$$;
