-- One receipt for each deletion, however often and whenever S3 tells of it: a deletion is its key, and its place among the key's events.

ALTER TABLE erasures
  -- Of a deleted photo: the UUIDv5 of the object's key, as in photos whose names are no UUIDs. Null in what older code asked for.
  ADD COLUMN deleted_key_id     uuid,
  -- The sequencer of the deletion, in capitals and without the zeros at its end.
  ADD COLUMN deletion_sequencer text;
CREATE UNIQUE INDEX one_erasure_of_a_deletion ON erasures (deleted_key_id, deletion_sequencer);
