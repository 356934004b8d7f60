/** A real PostgreSQL for histories, one after the other: fast connections, an audit of its own, and a clean slate. */
import postgres from 'postgres';
import { PipelineError } from '../../lambdas/shared/contract/errors.ts';
import { type GalleryRow, NOTE_STATES, type NotedState } from '../support/feed.ts';
import { startTestDatabase } from '../support/postgres.ts';

export interface PhotoState {
  id: string;
  event_id: string;
  object_key: string;
  object_version: string | null;
  object_sequencer: string | null;
  status: string;
  face_count: number | null;
  failure_code: string | null;
}

export interface FaceState {
  photo_id: string;
  rekognition_face_id: string | null;
  bounding_box: { Left: number; Top: number; Width: number; Height: number };
}

export interface ErasureState {
  id: string;
  event_id: string;
  photo_id: string | null;
  reason: string;
  execution_arn: string | null;
  finished_at: string | null;
  /** How often it was put off until the next regular one. */
  postponed: number;
}

/** What the database holds at a moment. */
export interface Rows {
  photos: PhotoState[];
  faces: FaceState[];
  erasures: ErasureState[];
  /** Rows of the outbox, by table. */
  outbox: { [table: string]: number };
  /** Receipts that changed after they were finished: before and after. */
  changedReceipts: { before: object; after: object | null }[];
  /** Photos of which a later write of the same upload took an end that is for good. */
  overwritten: { before: PhotoState; after: PhotoState }[];
  /** Every state of a photo that the gallery could see. */
  states: (NotedState & { event_id: string })[];
}

export interface HistoryDatabase {
  withDatabase<Result>(work: (sql: postgres.Sql) => Promise<Result>): Promise<Result>;
  /** As the API of the gallery reads. */
  gallery: postgres.Sql;
  /** What it has to know of an event. */
  galleryOf(eventId: string): Promise<GalleryRow[]>;
  /** Whoever has the turn to erase loses it, and nothing is put off any more. */
  timePasses(): Promise<void>;
  /** How often they passed. */
  readonly passed: number;
  /** Erasures that wait for somebody to begin. */
  dueErasures(): Promise<ErasureState[]>;
  read(): Promise<Rows>;
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** Notes what may never happen, where it happens: a history's end shows only the last state. */
const AUDIT = `
  CREATE SCHEMA history;
  CREATE TABLE history.receipts (before jsonb, after jsonb);
  CREATE TABLE history.photos (before jsonb, after jsonb);
  CREATE FUNCTION history.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    EXECUTE format('INSERT INTO history.%I VALUES ($1, $2)', TG_ARGV[0])
      USING to_jsonb(OLD), CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
    RETURN NULL;
  END $$;
  CREATE TRIGGER receipt_changed AFTER UPDATE ON erasures FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL AND OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION history.note('receipts');
  CREATE TRIGGER receipt_deleted AFTER DELETE ON erasures FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION history.note('receipts');
  CREATE TRIGGER end_overwritten AFTER UPDATE ON photos FOR EACH ROW
    WHEN (OLD.status::text IN ('erased', 'deleted') AND NEW.status::text IN ('failed', 'processing')
      AND OLD.object_key = NEW.object_key
      AND OLD.object_sequencer IS NOT DISTINCT FROM NEW.object_sequencer)
    EXECUTE FUNCTION history.note('photos');`;

export async function startHistoryDatabase(): Promise<HistoryDatabase> {
  const database = await startTestDatabase();
  const { admin } = database;
  const { host, port } = admin.options;
  const connect = (user: string) =>
    postgres({
      host: host[0]!,
      port: port[0]!,
      user,
      database: 'rollcall',
      max: 1,
      // Prepared once: half the round trips of what the functions do.
      prepare: true,
      fetch_types: false,
      onnotice: () => {},
      connection: { synchronous_commit: 'off' },
    });
  const sql = connect('rollcall_pipeline');
  const owner = connect('postgres');
  const gallery = connect('rollcall_gallery');
  await owner.unsafe(AUDIT);
  await owner.unsafe(NOTE_STATES);
  const tables = await ordinaryTables(owner);
  const slate = await resetStatements(owner, tables);
  const snapshot = snapshotQuery(tables);
  let passed = 0;
  return {
    async withDatabase(work) {
      try {
        return await work(sql);
      } catch (error) {
        throw error instanceof PipelineError
          ? error
          : new PipelineError('InternalError', String(error), { cause: error });
      }
    },
    gallery,
    galleryOf: (eventId) => owner<GalleryRow[]>`SELECT * FROM gallery_photos WHERE event_id = ${eventId}`,
    get passed() {
      return passed;
    },
    async timePasses() {
      passed++;
      await owner.unsafe(`
        UPDATE erasures SET not_before = now() WHERE finished_at IS NULL AND not_before > now();
        UPDATE erasure_turn SET until = '-infinity'`);
    },
    async dueErasures() {
      return owner<ErasureState[]>`
        SELECT id, event_id, photo_id, reason, execution_arn, finished_at, postponed FROM erasures
        WHERE finished_at IS NULL AND not_before <= now()`;
    },
    async read() {
      const [row] = await owner.unsafe(snapshot);
      return row!.rows as Rows;
    },
    async reset() {
      await owner.unsafe(slate);
    },
    async stop() {
      await Promise.all([sql, owner, gallery].map((one) => one.end({ timeout: 1 })));
      await database.stop();
    },
  };
}

/** The tables of the migrations, but for the one that remembers them. */
async function ordinaryTables(owner: postgres.Sql): Promise<string[]> {
  const rows = await owner<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'rollcall' AND table_type = 'BASE TABLE' AND table_name NOT LIKE '%migration%'
    ORDER BY table_name`;
  return rows.map(({ name }) => name);
}

/** Takes every table back to what the migrations left in it. */
async function resetStatements(owner: postgres.Sql, tables: readonly string[]): Promise<string> {
  const statements = ["SET session_replication_role = 'replica'"];
  for (const table of tables) {
    const rows = await owner`SELECT to_jsonb(t) AS row FROM ${owner(table)} t`;
    statements.push(`DELETE FROM ${table}`);
    for (const { row } of rows) {
      const text = JSON.stringify(row).replaceAll("'", "''");
      statements.push(`INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, '${text}')`);
    }
  }
  statements.push(
    'DELETE FROM history.receipts',
    'DELETE FROM history.photos',
    'DELETE FROM feed_audit.states',
  );
  statements.push("SET session_replication_role = 'origin'");
  return statements.join(';');
}

function snapshotQuery(tables: readonly string[]): string {
  const all = (table: string) => `(SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM ${table} t)`;
  const outbox = tables
    .filter((name) => name.endsWith('_removals'))
    .map((name) => `'${name}', (SELECT count(*) FROM ${name})`);
  return `
    SELECT jsonb_build_object(
      'photos', ${all('photos')},
      'faces', (SELECT coalesce(jsonb_agg(jsonb_build_object('photo_id', photo_id,
        'rekognition_face_id', rekognition_face_id, 'bounding_box', bounding_box)), '[]') FROM faces),
      'erasures', ${all('erasures')},
      'outbox', jsonb_build_object(${outbox.join(', ')}),
      'changedReceipts', ${all('history.receipts')},
      'overwritten', ${all('history.photos')},
      'states', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY n), '[]') FROM feed_audit.states t)) AS rows`;
}
