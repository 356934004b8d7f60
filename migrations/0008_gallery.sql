-- What happened to each photo, for a platform's gallery: a contract of views, and the order in which photos changed
-- (docs/adr/0020).

-- A cursor means something only in the database that gave it: one that the tables are moved to counts its transactions anew.
CREATE TABLE change_feed (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch    uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO change_feed DEFAULT VALUES;

-- The transaction that last changed what can be seen of the photo. Both defaults are the same for all rows, so no row is written.
ALTER TABLE photos
  ADD COLUMN changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  ADD COLUMN changed_at  timestamptz NOT NULL DEFAULT now();

-- Whoever writes a photo moves it to the end of the feed, and cannot forget to. Rows that are copied in are new here.
CREATE FUNCTION note_photo_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_xid := pg_current_xact_id();
  NEW.changed_at := now();
  RETURN NEW;
END
$$;
CREATE TRIGGER photo_added BEFORE INSERT ON photos FOR EACH ROW EXECUTE FUNCTION note_photo_change();
CREATE TRIGGER photo_changed BEFORE UPDATE ON photos FOR EACH ROW
  WHEN ((OLD.event_id, OLD.object_key, OLD.status, OLD.face_count, OLD.failure_code, OLD.failure_message,
         OLD.failure_retryable, OLD.indexed_at, OLD.failed_at, OLD.deleted_at)
    IS DISTINCT FROM
        (NEW.event_id, NEW.object_key, NEW.status, NEW.face_count, NEW.failure_code, NEW.failure_message,
         NEW.failure_retryable, NEW.indexed_at, NEW.failed_at, NEW.deleted_at))
  EXECUTE FUNCTION note_photo_change();

-- By event and status: what was counted without touching a row of the table, and what is listed of one status.
DROP INDEX photos_by_event;
CREATE INDEX photos_by_event ON photos (event_id, status, created_at, id) INCLUDE (face_count);
CREATE INDEX photos_by_time ON photos (event_id, created_at, id) WHERE status <> 'deleted';
CREATE INDEX photos_by_change ON photos (event_id, changed_xid, id);
CREATE INDEX photos_in_line ON photos (created_at) WHERE status = 'processing';

-- One row for each photo that was ever announced, with the faces that are in it now.
CREATE VIEW gallery_photos AS
SELECT
  photos.id AS photo_id,
  photos.event_id,
  photos.object_key,
  photos.status,
  photos.face_count,
  -- Of the upright picture: shares of its width and height, from its upper left corner.
  CASE WHEN photos.status = 'indexed' THEN (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'face_id', faces.rekognition_face_id,
      'left', faces.bounding_box -> 'Left',
      'top', faces.bounding_box -> 'Top',
      'width', faces.bounding_box -> 'Width',
      'height', faces.bounding_box -> 'Height',
      'confidence', faces.confidence
    ) ORDER BY faces.bounding_box -> 'Left', faces.id), '[]')
    FROM faces WHERE faces.photo_id = photos.id
  ) ELSE '[]' END AS faces,
  photos.failure_code,
  photos.failure_message,
  photos.failure_retryable,
  photos.created_at,
  photos.indexed_at,
  photos.failed_at,
  photos.deleted_at,
  photos.changed_at,
  photos.changed_xid
FROM photos;

-- Which events there are, for whoever need not know how they are.
CREATE VIEW gallery_events AS SELECT id AS event_id, name, expires_at, created_at FROM events;

-- One row for each event. Each part is read out of an index alone, and the counts by status, in the order of that index.
CREATE VIEW event_progress AS
SELECT
  events.id AS event_id,
  events.name,
  events.expires_at,
  counts.processing,
  counts.indexed,
  counts.failed,
  counts.deleted,
  counts.erased,
  counts.faces,
  (SELECT min(first.created_at)
   FROM unnest(enum_range(NULL::photo_status)) AS each (status) CROSS JOIN LATERAL (
     SELECT photos.created_at FROM photos
     WHERE photos.event_id = events.id AND photos.status = each.status
     ORDER BY photos.created_at LIMIT 1
   ) AS first) AS started_at,
  (SELECT photos.changed_at FROM photos
   WHERE photos.event_id = events.id ORDER BY photos.changed_xid DESC, photos.id DESC LIMIT 1) AS changed_at,
  -- When the last of those that are processing was announced, and how many of all events were announced by then: no photo of
  -- the event is further back in the line.
  last.announced_at AS last_announced_at,
  (SELECT count(*) FROM photos
   WHERE photos.status = 'processing' AND photos.created_at <= last.announced_at)::integer AS ahead
FROM events CROSS JOIN LATERAL (
  SELECT
    coalesce(sum(photos) FILTER (WHERE status = 'processing'), 0)::integer AS processing,
    coalesce(sum(photos) FILTER (WHERE status = 'indexed'), 0)::integer AS indexed,
    coalesce(sum(photos) FILTER (WHERE status = 'failed'), 0)::integer AS failed,
    coalesce(sum(photos) FILTER (WHERE status = 'deleted'), 0)::integer AS deleted,
    coalesce(sum(photos) FILTER (WHERE status = 'erased'), 0)::integer AS erased,
    coalesce(sum(faces) FILTER (WHERE status = 'indexed'), 0)::integer AS faces
  FROM (
    SELECT photos.status, count(*) AS photos, sum(photos.face_count) AS faces
    FROM photos WHERE photos.event_id = events.id GROUP BY photos.status
  ) AS by_status
) AS counts CROSS JOIN LATERAL (
  SELECT max(photos.created_at) AS announced_at FROM photos
  WHERE photos.event_id = events.id AND photos.status = 'processing'
) AS last;

-- How far the feed can be read: what a transaction before the horizon changed is all there, or will never be.
CREATE VIEW gallery_feed AS
SELECT epoch, pg_snapshot_xmin(pg_current_snapshot()) AS horizon FROM change_feed;
