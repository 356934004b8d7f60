-- How many photos of an event are in which state, and their faces, out of an index that says it once for many rows: PostgreSQL keeps
-- equal keys together, which it does not where there is a time and an id behind them, or an included column. It is a twentieth of
-- photos_by_event, and is read where one event is most of the table, too.
CREATE INDEX photos_counted ON photos (event_id, status, face_count);

-- An index alone answers only for pages that are known to be visible to all, and vacuum is what tells. By default it comes when a fifth
-- of the table has changed, which with a million photos is long after an event has been looked at.
ALTER TABLE photos SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
