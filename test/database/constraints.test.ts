/** What the schema itself refuses, whatever the code does: each of its constraints by a statement that it alone stops. */
import { useTestDatabase } from '../support/postgres.ts';

const database = useTestDatabase();

const EVENT = '00000000-0000-4000-8000-000000000001';
const PHOTO = '00000000-0000-4000-8000-000000000002';
const ERASURE = '00000000-0000-4000-8000-000000000003';
const NOBODY = '00000000-0000-4000-8000-00000000000f';

const SITUATION = `
  INSERT INTO events (id) VALUES ('${EVENT}');
  INSERT INTO photos (id, event_id, object_key, status, face_count) VALUES ('${PHOTO}', '${EVENT}', 'key', 'indexed', 1);
  INSERT INTO faces (photo_id, rekognition_face_id) VALUES ('${PHOTO}', 'face');
  INSERT INTO paid_images (photo_id, event_id, called_at, faces, estimated_usd)
    VALUES ('${PHOTO}', '${EVENT}', '2026-05-01', 1, 0.001);
  INSERT INTO erasures (id, event_id, reason) VALUES ('${ERASURE}', '${EVENT}', 'event_requested');
  INSERT INTO face_removals (erasure_id, collection_id, rekognition_face_id, photo_id)
    VALUES ('${ERASURE}', 'c', 'face', '${PHOTO}');
  INSERT INTO result_removals (erasure_id, name) VALUES ('${ERASURE}', 'results/');
  INSERT INTO misplaced_uploads (object_key, object_version, object_sequencer, failure_code, failure_message, failed_at, execution_arn)
    VALUES ('wrong', 'v', '1', 'InvalidPhotoKey', 'because', now(), 'arn');`;

const again = (table: string) => `INSERT INTO ${table} SELECT * FROM ${table}`;
const photo = (columns: string, values: string) =>
  `INSERT INTO photos (id, event_id, object_key, ${columns}) VALUES ('${NOBODY}', '${EVENT}', 'k', ${values})`;

/** Constraint -> a statement that nothing else refuses. */
const refused: Record<string, string> = {
  events_pkey: again('events'),
  photos_pkey: again('photos'),
  photos_event_id_fkey: `DELETE FROM events WHERE id = '${EVENT}'`,
  // A good result without a number of faces, and a failure that does not say whether it can be tried again.
  indexed_photo_has_a_face_count: photo('status', `'indexed'`),
  failed_photo_has_a_reason: photo('status, failure_code', `'failed', 'LedgerBusy'`),
  faces_pkey: again('faces'),
  faces_photo_id_rekognition_face_id_key: `INSERT INTO faces (photo_id, rekognition_face_id) VALUES ('${PHOTO}', 'face')`,
  // Not cascaded: whoever deletes a photo has to see to its faces in the collection first.
  faces_photo_id_fkey: `DELETE FROM photos WHERE id = '${PHOTO}'`,
  paid_images_pkey: again('paid_images'),
  erasures_pkey: `INSERT INTO erasures (id, event_id, reason) VALUES ('${ERASURE}', '${EVENT}', 'event_requested')`,
  erasures_reason_check: `INSERT INTO erasures (id, event_id, reason) VALUES ('${NOBODY}', '${EVENT}', 'boredom')`,
  face_removals_pkey: again('face_removals'),
  face_removals_erasure_id_fkey: `UPDATE face_removals SET erasure_id = '${NOBODY}'`,
  result_removals_pkey: again('result_removals'),
  result_removals_erasure_id_fkey: `UPDATE result_removals SET erasure_id = '${NOBODY}'`,
  erased_faces_erasure_id_fkey: `
    INSERT INTO erased_faces (erasure_id, event_id, photo_id, requested_at) VALUES ('${NOBODY}', '${EVENT}', '${PHOTO}', now())`,
  erasure_turn_pkey: again('erasure_turn'),
  erasure_turn_only_row_check: `UPDATE erasure_turn SET only_row = false`,
  misplaced_uploads_pkey: again('misplaced_uploads'),
  schema_migrations_pkey: again('schema_migrations'),
};

beforeAll(async () => {
  await database.admin.unsafe(SITUATION);
});

test.each(Object.entries(refused))('%s', async (constraint, statement) => {
  const attempt = database.admin.begin(async (sql) => {
    await sql.unsafe(statement);
    throw new Error(`${constraint} let it through`);
  });
  await expect(attempt).rejects.toMatchObject({ constraint_name: constraint });
});

test('there is no other constraint', async () => {
  const rows = await database.admin<{ name: string }[]>`
    SELECT conname AS name FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace
    WHERE nspname = 'rollcall' AND contype <> 'n' ORDER BY 1`;
  expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(refused).sort());
});

test('a receipt is final', async () => {
  const attempt = database.admin.begin(async (sql) => {
    await sql.unsafe(`UPDATE erasures SET finished_at = now(), faces = 3 WHERE id = '${ERASURE}'`);
    await sql.unsafe(`UPDATE erasures SET faces = 4 WHERE id = '${ERASURE}'`);
    throw new Error('It was changed');
  });
  // A trigger refuses it.
  await expect(attempt).rejects.toMatchObject({ severity: 'ERROR' });
});
