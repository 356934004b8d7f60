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
    VALUES ('wrong', 'v', '1', 'InvalidPhotoKey', 'because', now(), 'arn');
  INSERT INTO searches (event_id, kind, found) VALUES ('${EVENT}', 'image', 1);`;

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
  change_feed_pkey: again('change_feed'),
  change_feed_only_row_check: `UPDATE change_feed SET only_row = false`,
  misplaced_uploads_pkey: again('misplaced_uploads'),
  searches_pkey: `INSERT INTO searches OVERRIDING SYSTEM VALUE SELECT * FROM searches`,
  searches_kind_check: `INSERT INTO searches (event_id, kind, found) VALUES ('${EVENT}', 'name', 0)`,
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

test.each([
  [
    'a failure that does not say whether it can be tried again',
    `failed_photo_has_a_reason`,
    photo('status, failure_code', `'failed', 'LedgerBusy'`),
  ],
  [
    'a failure without a reason',
    `failed_photo_has_a_reason`,
    photo('status, failure_retryable', `'failed', true`),
  ],
])('%s is refused', async (_, constraint, statement) => {
  await expect(database.admin.unsafe(statement)).rejects.toMatchObject({ constraint_name: constraint });
});

test('an erasure has one of these reasons', async () => {
  const reasons = [
    'photo_deleted',
    'photo_replaced',
    'late_result',
    'person_requested',
    'event_requested',
    'event_expired',
  ];
  const inserted = database.admin.begin(async (sql) => {
    for (const reason of reasons) {
      await sql`INSERT INTO erasures (event_id, reason) VALUES (${EVENT}, ${reason})`;
    }
    throw new Error('not for good');
  });
  await expect(inserted).rejects.toThrow('not for good');
});

test('a deletion has one erasure, and what nobody deleted as many as are asked for', async () => {
  const insert = (deletion: string) => `
    INSERT INTO erasures (event_id, reason, deleted_key_id, deletion_sequencer)
    VALUES ('${EVENT}', 'photo_deleted', ${deletion})`;
  const one = `'${PHOTO}', '0A'`;
  const others = [`'${PHOTO}', '0B'`, `'${NOBODY}', '0A'`, 'NULL, NULL', 'NULL, NULL'];
  const attempt = database.admin.begin(async (sql) => {
    for (const deletion of [one, ...others, one]) {
      await sql.unsafe(insert(deletion));
    }
  });
  await expect(attempt).rejects.toMatchObject({
    constraint_name: 'one_erasure_of_a_deletion',
    detail: expect.stringContaining('0A'),
  });
});

/** By table: the columns that may be empty, and what the others hold where nobody says. */
const COLUMNS: Record<string, { nullable: string; defaults?: Record<string, string> }> = {
  change_feed: { defaults: { epoch: 'gen_random_uuid()', only_row: 'true' }, nullable: '' },
  erased_faces: {
    nullable: 'bounding_box erased_at etag',
    defaults: { requested_at: 'clock_timestamp()' },
  },
  erasure_turn: {
    nullable: 'execution_arn',
    defaults: { batch: '0', only_row: 'true', until: "'-infinity'::timestamp with time zone" },
  },
  erasures: {
    nullable:
      'begun_at deleted_key_id deletion_sequencer execution_arn finished_at last_error photo_id removed_at',
    defaults: {
      faces: '0',
      id: 'gen_random_uuid()',
      joined_by: "'{}'::text[]",
      not_before: 'now()',
      photos: '0',
      postponed: '0',
      requested_at: 'now()',
      results: '0',
      search: 'false',
    },
  },
  events: {
    nullable:
      'erased_at erasure_requested_at expires_at face_model_version faces_erased_at name photographer_id rekognition_collection_id',
    defaults: { created_at: 'now()' },
  },
  face_removals: { nullable: '' },
  faces: {
    nullable: 'bounding_box confidence rekognition_face_id rekognition_response',
    defaults: { id: 'gen_random_uuid()', indexed_at: 'now()' },
  },
  misplaced_uploads: { nullable: '', defaults: { failed_at: 'now()' } },
  paid_images: { nullable: 'photographer_id' },
  photos: {
    nullable:
      'deleted_at execution_arn face_count faces_erased_at failed_at failure_code failure_message failure_retryable indexed_at object_etag object_sequencer object_version other_objects unindexed_faces',
    defaults: {
      changed_at: 'now()',
      changed_xid: 'pg_current_xact_id()',
      created_at: 'now()',
      status: "'processing'::photo_status",
    },
  },
  result_removals: { nullable: '', defaults: { listed: 'false' } },
  searches: { nullable: 'reference', defaults: { searched_at: 'now()' } },
  schema_migrations: { nullable: '', defaults: { applied_at: 'now()' } },
};

test('what may be empty, and what is filled in', async () => {
  const columns = await database.admin<
    { table: string; name: string; nullable: boolean; filled: string | null }[]
  >`
    SELECT relname AS table, attname AS name, NOT attnotnull AS nullable, pg_get_expr(adbin, adrelid) AS filled
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE nspname = 'rollcall' AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
    ORDER BY relname, attname`;
  const found = Object.entries(Object.groupBy(columns, ({ table }) => table)).map(([table, of = []]) => {
    const defaults = of.flatMap(({ name, filled }) => (filled === null ? [] : [[name, filled] as const]));
    return [
      table,
      {
        nullable: of
          .filter(({ nullable }) => nullable)
          .map(({ name }) => name)
          .join(' '),
        ...(defaults.length > 0 && { defaults: Object.fromEntries(defaults) }),
      },
    ];
  });
  expect(Object.fromEntries(found)).toEqual(COLUMNS);
});

test('a receipt is final, and an erasure that is under way is not', async () => {
  const done = new Error('Nothing is kept');
  const attempt = database.admin.begin(async (sql) => {
    await sql.unsafe(`UPDATE erasures SET finished_at = now(), faces = 3 WHERE id = '${ERASURE}'`);
    const again = sql.savepoint((nested) =>
      nested.unsafe(`UPDATE erasures SET faces = 4 WHERE id = '${ERASURE}'`),
    );
    await expect(again).rejects.toThrow(`The receipt ${ERASURE} is final`);
    throw done;
  });
  await expect(attempt).rejects.toBe(done);
});
