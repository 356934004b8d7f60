-- How many photos of an event are in which state, and their faces, out of an index that says it once for many rows: PostgreSQL keeps
-- equal keys together, which it does not where there is a time and an id behind them, or an included column. It is a twentieth of
-- photos_by_event, and is read where one event is most of the table, too.
CREATE INDEX photos_counted ON photos (event_id, status, face_count);

-- An index alone answers only for pages that are known to be visible to all, and vacuum is what tells. By default it comes when a fifth
-- of the table has changed, which with a million photos is long after an event has been looked at; and the planner hears of a burst
-- when a tenth has.
ALTER TABLE photos SET (
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_insert_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02
);

-- The same columns. The last photo in line was looked for from the end of photos_in_line where PostgreSQL took that to be short: an event
-- that has none in it had all photos of all others read, a whole burst. It cannot when the state is no constant, and reads
-- photos_by_event.
CREATE OR REPLACE VIEW event_progress AS
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
  SELECT max(latest.created_at) AS announced_at
  FROM unnest(enum_range('processing'::photo_status, 'processing'::photo_status)) AS line (status) CROSS JOIN LATERAL (
    SELECT photos.created_at FROM photos
    WHERE photos.event_id = events.id AND photos.status = line.status
    ORDER BY photos.created_at DESC LIMIT 1
  ) AS latest
) AS last;
