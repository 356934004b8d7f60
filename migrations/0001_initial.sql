-- Events, their photos and the faces found in them.

CREATE TYPE photo_status AS ENUM ('processing', 'indexed', 'failed');

CREATE TABLE events (
  id                        uuid PRIMARY KEY,
  photographer_id           uuid,
  name                      text,
  rekognition_collection_id text,
  face_model_version        text,
  expires_at                timestamptz,
  created_at                timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE photos (
  id                uuid PRIMARY KEY,
  event_id          uuid NOT NULL REFERENCES events (id),
  object_key        text NOT NULL,
  object_version    text,
  -- Hex, as S3 sent it; compared as a number: the larger one is the later upload of the same key.
  object_sequencer  text,
  status            photo_status NOT NULL DEFAULT 'processing',
  face_count        integer,
  unindexed_faces   jsonb,
  failure_code      text,
  failure_message   text,
  failure_retryable boolean,
  execution_arn     text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  indexed_at        timestamptz,
  failed_at         timestamptz,
  CONSTRAINT indexed_photo_has_a_face_count CHECK (status <> 'indexed' OR face_count IS NOT NULL),
  CONSTRAINT failed_photo_has_a_reason CHECK (
    status <> 'failed' OR (failure_code IS NOT NULL AND failure_retryable IS NOT NULL)
  )
);

CREATE INDEX photos_by_event ON photos (event_id, status);

CREATE TABLE faces (
  id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  photo_id             uuid NOT NULL REFERENCES photos (id) ON DELETE RESTRICT,
  -- Null when Rekognition stored a face without naming it, which its API allows.
  rekognition_face_id  text,
  bounding_box         jsonb,
  confidence           real,
  rekognition_response jsonb,
  indexed_at           timestamptz NOT NULL DEFAULT now(),
  UNIQUE (photo_id, rekognition_face_id)
);

CREATE INDEX faces_by_rekognition_face_id ON faces (rekognition_face_id);

-- Outbox: faces that no row knows any more and that have to leave the collection.
CREATE TABLE face_removals (
  collection_id       text NOT NULL,
  rekognition_face_id text NOT NULL,
  photo_id            uuid NOT NULL,
  reason              text NOT NULL,
  requested_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (collection_id, rekognition_face_id)
);

-- The Lambdas' own role exists where Rollcall brings the database; with an external one they use the user of its URL.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    GRANT SELECT, INSERT, UPDATE ON events, photos TO rollcall_pipeline;
    GRANT SELECT, INSERT, DELETE ON faces, face_removals TO rollcall_pipeline;
  END IF;
END
$$;
