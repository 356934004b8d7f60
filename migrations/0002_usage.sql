-- What each event, photographer and day costs.
--
-- One row for each image that was paid, because the call is what is paid and not the photo: an upload that a newer one
-- overtook was paid too, an event that came twice was not, and a photo that had to be indexed again was paid twice. The
-- key tells them apart, and no two photos write to one row. The rows outlive those of their event and photo, and hold
-- nothing biometric.
CREATE TABLE paid_images (
  photo_id        uuid NOT NULL,
  -- When Rekognition was asked; one photo is never asked about twice at once.
  called_at       timestamptz NOT NULL,
  event_id        uuid NOT NULL,
  -- As the event had it by then.
  photographer_id uuid,
  faces           integer NOT NULL,
  -- At the list prices of that day.
  estimated_usd   numeric(12, 6) NOT NULL,
  PRIMARY KEY (photo_id, called_at)
);

CREATE INDEX paid_images_by_day ON paid_images (called_at);

CREATE VIEW usage AS
SELECT
  paid_images.event_id,
  -- An event may get its photographer after its first photos.
  coalesce(paid_images.photographer_id, events.photographer_id) AS photographer_id,
  (called_at AT TIME ZONE 'UTC')::date AS day,
  count(*)::integer AS images,
  sum(faces)::integer AS faces,
  sum(estimated_usd) AS estimated_usd
FROM paid_images LEFT JOIN events ON events.id = paid_images.event_id
GROUP BY 1, 2, 3;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rollcall_pipeline') THEN
    -- Never UPDATE or DELETE: what was paid stays paid.
    GRANT SELECT, INSERT ON paid_images TO rollcall_pipeline;
    GRANT SELECT ON usage TO rollcall_pipeline;
  END IF;
END
$$;
