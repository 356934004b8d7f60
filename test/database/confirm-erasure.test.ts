/** What ConfirmErasure writes of a batch that was removed, or was not, and what it leaves alone: asked by itself, on a real PostgreSQL. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import { confirmErasure } from '../../lambdas/confirm-erasure/confirm-erasure.ts';
import type {
  ConfirmErasureRequest,
  ErasureBatch,
  ErasureProgress,
  RemovedBatch,
} from '../../lambdas/shared/erasure/contract.ts';
import { useTestDatabase } from '../support/postgres.ts';
import { recordingTelemetry } from '../support/recording-telemetry.ts';
import { waitsForLock } from '../support/waiting.ts';

const database = useTestDatabase();
const withDatabase = <Result>(work: (sql: postgres.Sql) => Promise<Result>) => work(database.pipeline);

const HOUR_MS = 3_600_000;
/** Of the batch that was handed out last. */
const NUMBER = 7;
const REQUESTED_AT = new Date('2026-05-01T11:00:00.000Z');
const REMOVED_AT = new Date('2026-05-01T12:00:00.123Z');
/** When the function looks at its clock. */
const NOW = new Date('2026-05-01T12:30:00.456Z');

const PROGRESS: ErasureProgress = {
  request: 'person',
  effect: 'requested',
  erasure_id: randomUUID(),
  erasures: 2,
  batches: 3,
  waits: 4,
};

/** Each table that erasures are about, and what its rows are told apart by here. */
const TABLES = {
  events: ['id'],
  photos: ['id'],
  faces: ['photo_id', 'rekognition_face_id'],
  erasures: ['id'],
  face_removals: ['erasure_id', 'rekognition_face_id'],
  result_removals: ['erasure_id', 'name'],
  erased_faces: ['erasure_id', 'photo_id'],
  erasure_turn: ['only_row'],
} as const;
type Table = keyof typeof TABLES;
type Row = Record<string, unknown>;
type Tables = Record<Table, Record<string, Row>>;

/** Every row of all of them. */
async function readTables(): Promise<Tables> {
  const entries = Object.entries(TABLES).map(async ([table, keys]) => {
    const rows = await database.admin<Row[]>`SELECT * FROM ${database.admin(table)}`;
    return [table, Object.fromEntries(rows.map((row) => [keys.map((key) => row[key]).join(' '), row]))];
  });
  return Object.fromEntries(await Promise.all(entries)) as Tables;
}

type Changes = { [Name in Table]?: Record<string, Row | 'gone'> };

/** The same rows, but for the columns that are changed and the rows that are gone; and the batch is confirmed. */
function withChanges(before: Tables, changes: Changes): Tables {
  const all: Changes = { ...changes, erasure_turn: { true: { batch: String(NUMBER + 1) } } };
  const tables = { ...before };
  for (const table of Object.keys(TABLES) as Table[]) {
    tables[table] = { ...before[table] };
    for (const [key, change] of Object.entries(all[table] ?? {})) {
      expect(Object.keys(before[table])).toContain(key);
      if (change === 'gone') {
        delete tables[table][key];
      } else {
        tables[table][key] = { ...before[table][key], ...change };
      }
    }
  }
  return tables;
}

/** By the clock of the database, in whole milliseconds. */
async function databaseNow(): Promise<number> {
  const [row] = await database.admin<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  return row!.now.getTime();
}

/** Confirms the batch, or that it failed, and returns what is told of it. */
async function tell(batch: ErasureBatch | RemovedBatch, failure?: ConfirmErasureRequest['input']['failure']) {
  const recording = recordingTelemetry();
  const returned = await confirmErasure(
    { telemetry: recording.telemetry, withDatabase, now: () => NOW.getTime() },
    { input: { ...PROGRESS, batch, ...(failure && { failure }) } },
  );
  // Whatever became of the batch, it is out of the state.
  expect(returned).toEqual(PROGRESS);
  return {
    lines: recording.lines.toSorted((a, b) => (String(a.erasure_id) < String(b.erasure_id) ? -1 : 1)),
    metrics: recording.recorded
      .map(({ name, value }) => [name, value] as const)
      .toSorted(([a, some], [b, others]) => (a === b ? some - others : a < b ? -1 : 1)),
  };
}

/** The same, with all rows before and after it. */
async function confirm(...asked: Parameters<typeof tell>) {
  const before = await readTables();
  const beganMs = await databaseNow();
  const told = await tell(...asked);
  const endedMs = await databaseNow();
  const after = await readTables();
  /** Whether the moment is one of this call. */
  const isNow = (moment: unknown) =>
    moment instanceof Date && beganMs <= moment.getTime() && moment.getTime() <= endedMs;
  return { ...told, before, after, isNow };
}
type Confirmed = Awaited<ReturnType<typeof confirm>>;

/** A step that removed nothing, but for what is said. */
const batchOf = (batch: Partial<RemovedBatch> & Pick<RemovedBatch, 'event_id'>): RemovedBatch => ({
  number: NUMBER,
  until: '2026-05-01T12:15:00.000Z',
  kind: 'faces',
  collection_id: 'c',
  erasure_ids: [],
  face_ids: [],
  deleted_photos: [],
  results: [],
  needed_results: [],
  kept: [],
  kept_because: null,
  result_counts: [],
  results_left: [],
  unknown_faces: [],
  removed_at: REMOVED_AT.toISOString(),
  ...batch,
});

/** What ListErasures handed out, as it is where RemoveFaces failed. */
function listed(batch: RemovedBatch): ErasureBatch {
  const { kept, kept_because, result_counts, results_left, unknown_faces, removed_at, ...handedOut } = batch;
  return handedOut;
}

const insert = (table: Table, rows: Row[]) =>
  database.admin`INSERT INTO ${database.admin(table)} ${database.admin(rows)}`;

async function event(columns: Row = {}): Promise<string> {
  const id = randomUUID();
  await insert('events', [{ id, rekognition_collection_id: 'c', ...columns }]);
  return id;
}

async function photo(event_id: string, faceIds: string[] = [], columns: Row = {}): Promise<string> {
  const id = randomUUID();
  const face_count = faceIds.length;
  await insert('photos', [{ id, event_id, object_key: id, status: 'indexed', face_count, ...columns }]);
  if (faceIds.length > 0) {
    await insert(
      'faces',
      faceIds.map((rekognition_face_id) => ({ photo_id: id, rekognition_face_id })),
    );
  }
  return id;
}

/** An erasure of which something was removed before, and put off once. */
async function erasure(event_id: string, columns: Row = {}): Promise<string> {
  const id = randomUUID();
  const counts = { photos: 1, faces: 10, results: 100, postponed: 1 };
  await insert('erasures', [
    {
      id,
      event_id,
      reason: 'late_result',
      requested_at: REQUESTED_AT,
      not_before: REQUESTED_AT,
      last_error: 'before',
      ...counts,
      ...columns,
    },
  ]);
  return id;
}

const faces = (erasure_id: string, photo_id: string, faceIds: string[], collection_id = 'c') =>
  insert(
    'face_removals',
    faceIds.map((rekognition_face_id) => ({ erasure_id, collection_id, rekognition_face_id, photo_id })),
  );

/** Stored responses that are in a batch under way. */
const results = (erasure_id: string, names: string[], columns: Row = {}) =>
  insert(
    'result_removals',
    names.map((name) => ({ erasure_id, name, listed: true, ...columns })),
  );

const hourBefore = (moment: unknown) => new Date((moment as Date).getTime() - HOUR_MS);
const FINISHED = { finished_at: expect.any(Date), last_error: null };

/** A line for each of these receipts, and no other: what it says is what their rows say. */
function expectFinished(
  { after, isNow, lines }: Pick<Confirmed, 'after' | 'isNow' | 'lines'>,
  ids: readonly string[],
) {
  const rows = ids.toSorted().map((id) => after.erasures[id]!);
  expect(lines).toEqual(
    rows.map(({ id, event_id, reason, photos, faces, results }) => ({
      level: 'info',
      message: expect.any(String),
      event: 'erasure.finished',
      event_id,
      erasure_id: id,
      reason,
      photos,
      faces,
      results,
      duration_ms: expect.any(Number),
    })),
  );
  for (const [i, { finished_at }] of rows.entries()) {
    expect(isNow(finished_at)).toBe(true);
    // The database counts microseconds.
    const tookMs = (finished_at as Date).getTime() - REQUESTED_AT.getTime();
    expect([tookMs, tookMs + 1]).toContain(lines[i]!.duration_ms);
  }
}

beforeEach(async () => {
  const { admin } = database;
  await admin.unsafe(`
    DELETE FROM face_removals; DELETE FROM result_removals; DELETE FROM erased_faces; DELETE FROM erasures;
    DELETE FROM faces; DELETE FROM photos; DELETE FROM events;
    UPDATE erasure_turn SET execution_arn = 'arn:execution:a', until = '2026-05-01T12:15:00Z', batch = ${NUMBER}`);
});

describe('a batch of faces', () => {
  test('is counted by whoever asked for it, and completes the receipts of which nothing is left', async () => {
    const [eventId, elsewhere] = [await event(), await event({ rekognition_collection_id: 'theirs' })];
    const [named, searched, empty, beside] = [
      await photo(eventId),
      await photo(eventId, [], { status: 'deleted' }),
      await photo(eventId),
      await photo(eventId, ['f6']),
    ];
    const known = await erasure(eventId, { photo_id: named });
    const found = await erasure(eventId, { photo_id: searched, search: true, reason: 'photo_deleted' });
    const foundNone = await erasure(eventId, { photo_id: empty, search: true });
    const uncounted = await erasure(eventId);
    // What of these is left: faces of a later batch, and of another collection; and responses that are more, or there anew.
    const later = await erasure(eventId, { photo_id: beside, search: true });
    const other = await erasure(eventId, { photo_id: searched });
    const more = await erasure(eventId);
    const anew = await erasure(eventId);
    // And what is no receipt to be completed here: one that is final, one that is not in the batch, and another event's.
    const receipt = await erasure(eventId, { photo_id: searched, search: true, finished_at: REQUESTED_AT });
    const absent = await erasure(eventId, { photo_id: searched, search: true });
    const theirs = await erasure(elsewhere, { photo_id: named });
    await faces(known, named, ['f1', 'f2']);
    await faces(receipt, named, ['f1']);
    await faces(absent, named, ['f1', 'f4']);
    await faces(later, beside, ['f3']);
    await faces(other, beside, ['f1'], 'old');
    await faces(theirs, named, ['f1'], 'theirs');
    await results(known, ['r1', 'r2']);
    await results(uncounted, ['r4']);
    await results(more, ['r1', 'r3']);
    await results(anew, ['r1'], { listed: false });
    await results(absent, ['r1']);
    await results(theirs, ['r1']);
    const boxes = [known, more, absent, theirs];
    await insert(
      'erased_faces',
      boxes.map((erasure_id) => ({ erasure_id, event_id: eventId, photo_id: beside })),
    );

    const { before, after, isNow, lines, metrics } = await confirm(
      batchOf({
        event_id: eventId,
        erasure_ids: [known, found, foundNone, uncounted, later, other, more, anew, receipt],
        face_ids: ['f1', 'f2', 'f5'],
        deleted_photos: [searched, empty],
        unknown_faces: [3],
        results: ['r1', 'r2', 'r3', 'r4'],
        result_counts: [20, 30, 40],
        results_left: ['r3'],
      }),
    );
    const removed = { removed_at: REMOVED_AT };
    expect(after).toEqual(
      withChanges(before, {
        erasures: {
          [known]: { ...removed, ...FINISHED, faces: 12, results: 150 },
          [found]: { ...removed, ...FINISHED, faces: 13 },
          [foundNone]: { ...removed, ...FINISHED },
          [uncounted]: { ...removed, ...FINISHED },
          [later]: removed,
          [other]: removed,
          [more]: { ...removed, results: 160 },
          [anew]: { ...removed, results: 120 },
          [absent]: { faces: 11 },
        },
        face_removals: {
          [`${known} f1`]: 'gone',
          [`${known} f2`]: 'gone',
          [`${receipt} f1`]: 'gone',
          [`${absent} f1`]: 'gone',
        },
        result_removals: {
          [`${known} r1`]: 'gone',
          [`${known} r2`]: 'gone',
          [`${uncounted} r4`]: 'gone',
          [`${more} r1`]: 'gone',
        },
        photos: {
          [named]: { faces_erased_at: REMOVED_AT },
          [searched]: { faces_erased_at: REMOVED_AT },
          [empty]: { faces_erased_at: REMOVED_AT },
        },
        erased_faces: {
          [`${known} ${beside}`]: { erased_at: REMOVED_AT },
          [`${more} ${beside}`]: { erased_at: REMOVED_AT },
        },
      }),
    );
    expectFinished({ after, isNow, lines }, [known, found, foundNone, uncounted]);
    expect(metrics).toEqual([
      ['ErasuresFinished', 4],
      ['FacesErased', 10],
      ['FacesErased', 10],
      ['FacesErased', 12],
      ['FacesErased', 13],
    ]);
  });

  test.each([1, 2])('of which Rekognition keeps %d is put off for whoever asked for those', async (keeps) => {
    const eventId = await event();
    const photoId = await photo(eventId);
    const [done, holding, beside, receipt, old] = [
      await erasure(eventId),
      await erasure(eventId),
      await erasure(eventId),
      await erasure(eventId, { finished_at: REQUESTED_AT }),
      await erasure(eventId),
    ];
    await faces(done, photoId, ['f9']);
    await faces(holding, photoId, ['k1', 'k2', 'f9']);
    await faces(beside, photoId, ['k1']);
    await faces(receipt, photoId, ['k1']);
    await faces(old, photoId, ['k1'], 'old');

    const { before, after, isNow, lines, metrics } = await confirm(
      batchOf({
        event_id: eventId,
        erasure_ids: [done, holding, receipt],
        face_ids: ['f9'],
        kept: ['k1', 'k2'].slice(0, keeps),
        kept_because: 'ASSOCIATED_TO_USER',
      }),
    );
    const postponed = {
      postponed: 2,
      not_before: expect.any(Date),
      last_error: expect.stringMatching(new RegExp(`${keeps} .*ASSOCIATED_TO_USER`)),
    };
    expect(after).toEqual(
      withChanges(before, {
        erasures: {
          [done]: { ...FINISHED, faces: 11, removed_at: REMOVED_AT },
          [holding]: { ...postponed, faces: 11, removed_at: REMOVED_AT },
          [beside]: postponed,
        },
        face_removals: { [`${done} f9`]: 'gone', [`${holding} f9`]: 'gone' },
        photos: { [photoId]: { faces_erased_at: REMOVED_AT } },
      }),
    );
    for (const id of [holding, beside]) {
      expect(isNow(hourBefore(after.erasures[id]!.not_before))).toBe(true);
    }
    const told = lines.filter((line) => line.event === 'erasure.postponed');
    expect(told).toEqual([
      {
        ...{ level: 'error', message: expect.any(String), event: 'erasure.postponed' },
        ...{ event_id: eventId, erasures: 2, error_type: 'ASSOCIATED_TO_USER' },
      },
    ]);
    expectFinished({ after, isNow, lines: lines.filter((line) => !told.includes(line)) }, [done]);
    expect(metrics).toEqual([
      ['ErasuresFinished', 1],
      ['ErasuresPostponed', 2],
      ['FacesErased', 11],
    ]);
  });

  test('waits for a photo of the event that is just being written, and heeds what it asks for', async () => {
    const eventId = await event();
    const id = await erasure(eventId);
    await results(id, ['r1']);
    let confirming: Promise<Confirmed> | undefined;
    await database.admin.begin(async (sql) => {
      await sql`SELECT pg_advisory_xact_lock_shared(hashtextextended(${eventId}, 0))`;
      confirming = confirm(
        batchOf({ event_id: eventId, erasure_ids: [id], results: ['r1'], result_counts: [1] }),
      );
      await expect(waitsForLock(database, confirming)).resolves.toBe(true);
      await sql`UPDATE result_removals SET listed = false WHERE erasure_id = ${id}`;
    });
    const { after } = (await confirming)!;
    expect(after.erasures[id]).toMatchObject({ finished_at: null, results: 101 });
    expect(after.result_removals).toEqual({ [`${id} r1`]: { erasure_id: id, name: 'r1', listed: false } });
  });
});

describe('a batch of a whole event', () => {
  test('takes what the event has, and leaves everything of others alone', async () => {
    const [eventId, elsewhere] = [
      await event({ erasure_requested_at: REQUESTED_AT }),
      // Later than everything of the first.
      await event({ erasure_requested_at: REMOVED_AT }),
    ];
    const failed = { status: 'failed', failure_code: 'InternalError', failure_retryable: true };
    const [crowd, nobody, processing, lost, other] = [
      await photo(eventId, ['f1', 'f2']),
      await photo(eventId),
      await photo(eventId, ['f3'], { status: 'processing', face_count: null }),
      await photo(eventId, [], { ...failed, face_count: null }),
      await photo(elsewhere, ['f1']),
    ];
    const whole = await erasure(eventId, { reason: 'event_requested' });
    const person = await erasure(eventId, { reason: 'person_requested' });
    const theirs = await erasure(elsewhere, { reason: 'event_expired' });
    await results(whole, ['results/e/']);
    await results(theirs, ['results/e/']);
    await faces(person, crowd, ['f4']);
    await insert(
      'erased_faces',
      [
        [eventId, crowd, -1],
        [eventId, nobody, 0],
        [eventId, lost, 1],
        [elsewhere, other, -1],
      ].map(([event_id, photo_id, ms]) => ({
        erasure_id: person,
        event_id,
        photo_id,
        requested_at: new Date(REQUESTED_AT.getTime() + Number(ms)),
      })),
    );

    const { before, after, isNow, lines, metrics } = await confirm(
      batchOf({
        kind: 'event',
        event_id: eventId,
        erasure_ids: [whole],
        results: ['results/e/'],
        result_counts: [20],
      }),
    );
    const erased = {
      status: 'erased',
      face_count: null,
      faces_erased_at: REMOVED_AT,
      changed_at: expect.any(Date),
      changed_xid: expect.any(String),
    };
    expect(after).toEqual(
      withChanges(before, {
        events: {
          [eventId]: {
            rekognition_collection_id: null,
            erased_at: expect.any(Date),
            faces_erased_at: REMOVED_AT,
          },
        },
        photos: { [crowd]: erased, [nobody]: erased },
        faces: { [`${crowd} f1`]: 'gone', [`${crowd} f2`]: 'gone', [`${processing} f3`]: 'gone' },
        erasures: { [whole]: { ...FINISHED, photos: 3, faces: 13, results: 120 } },
        result_removals: { [`${whole} results/e/`]: 'gone' },
        // Whoever asked since then is still left out of what is uploaded.
        erased_faces: { [`${person} ${crowd}`]: 'gone' },
      }),
    );
    expect(isNow(after.events[eventId]!.erased_at)).toBe(true);
    expectFinished({ after, isNow, lines }, [whole]);
    expect(metrics).toEqual([
      ['ErasuresFinished', 1],
      ['FacesErased', 13],
    ]);
  });

  test('is not the last while a single response is left', async () => {
    const eventId = await event();
    const photoId = await photo(eventId, ['f1']);
    const whole = await erasure(eventId, { reason: 'event_expired' });
    await results(whole, ['results/e/', 'results/f/']);
    const { before, after, lines, metrics } = await confirm(
      batchOf({
        kind: 'event',
        event_id: eventId,
        erasure_ids: [whole],
        results: ['results/e/', 'results/f/'],
        result_counts: [20, 30],
        results_left: ['results/f/'],
      }),
    );
    expect(after).toEqual(
      withChanges(before, {
        faces: { [`${photoId} f1`]: 'gone' },
        erasures: { [whole]: { faces: 11, results: 150 } },
        result_removals: { [`${whole} results/e/`]: 'gone' },
      }),
    );
    expect(lines).toEqual([]);
    expect(metrics).toEqual([['ErasuresFinished', 0]]);
  });

  test('deletes 20,000 rows of faces, and is not the last while there may be more', async () => {
    const eventId = await event();
    const photoId = await photo(eventId);
    const { photos, events } = await readTables();
    // Without looking once for each of them whether its photo is there.
    await database.admin.begin(async (sql) => {
      await sql`SET LOCAL session_replication_role = replica`;
      await sql`
        INSERT INTO faces (photo_id, rekognition_face_id) SELECT ${photoId}, n FROM generate_series(1, 20001) AS n`;
    });
    const whole = await erasure(eventId, { reason: 'event_requested' });
    const batch = batchOf({ kind: 'event', event_id: eventId, erasure_ids: [whole] });

    await expect(tell(batch)).resolves.toEqual({ lines: [], metrics: [['ErasuresFinished', 0]] });

    const next = await confirm({ ...batch, number: NUMBER + 1 });
    expect(next.before).toMatchObject({
      photos,
      events,
      erasures: { [whole]: { finished_at: null, photos: 1, faces: 20_010 } },
    });
    expect(Object.keys(next.before.faces)).toHaveLength(1);
    expect(next.after.faces).toEqual({});
    expect(next.after).toMatchObject({
      erasures: { [whole]: { ...FINISHED, photos: 2, faces: 20_011 } },
      photos: { [photoId]: { status: 'erased' } },
    });
    expectFinished(next, [whole]);
  });
});

test.each(['faces', 'event'] as const)(
  'what is not said to have left at a time has left by now: %s',
  async (kind) => {
    const eventId = await event();
    const photoId = await photo(eventId, [], kind === 'faces' ? { status: 'deleted' } : {});
    const id = await erasure(eventId, { reason: kind === 'event' ? 'event_expired' : 'photo_deleted' });
    const { removed_at, ...batch } = batchOf({
      kind,
      event_id: eventId,
      erasure_ids: [id],
      deleted_photos: [photoId],
    });
    const { after } = await confirm(batch);
    expect(after.photos[photoId]!.faces_erased_at).toEqual(NOW);
    expect(after.events[eventId]!.faces_erased_at).toEqual(kind === 'event' ? NOW : null);
  },
);

describe('a batch that failed', () => {
  const CAUSE = 'x'.repeat(500 - 'ThrottlingException: '.length);

  test.each([
    [
      'with its reason',
      listed,
      { Error: 'RekognitionUnavailable', Cause: 'away' },
      'RekognitionUnavailable: away',
    ],
    [
      'with a reason of 500 characters',
      listed,
      { Error: 'ThrottlingException', Cause: CAUSE },
      `ThrottlingException: ${CAUSE}`,
    ],
    [
      'with the first 500 characters of its reason',
      listed,
      { Error: 'ThrottlingException', Cause: `${CAUSE}y` },
      `ThrottlingException: ${CAUSE}`,
    ],
    ['without a reason', listed, undefined, 'Unknown: '],
    [
      'after it was removed',
      (removed: RemovedBatch) => removed,
      { Error: 'DatabaseUnavailable', Cause: 'away' },
      'DatabaseUnavailable: away',
    ],
  ])('is put off for an hour, %s', async (_, asGiven, failure, last_error) => {
    const eventId = await event();
    const photoId = await photo(eventId, ['f2']);
    const [one, two, receipt, beside] = [
      await erasure(eventId),
      await erasure(eventId),
      await erasure(eventId, { finished_at: REQUESTED_AT }),
      await erasure(eventId),
    ];
    for (const id of [one, beside]) {
      await faces(id, photoId, ['f1']);
      await results(id, ['r1']);
    }
    const { before, after, isNow, lines, metrics } = await confirm(
      asGiven(
        batchOf({
          event_id: eventId,
          erasure_ids: [one, two, receipt],
          face_ids: ['f1'],
          results: ['r1'],
          result_counts: [1],
        }),
      ),
      failure,
    );
    const postponed = { postponed: 2, not_before: expect.any(Date), last_error };
    expect(after).toEqual(withChanges(before, { erasures: { [one]: postponed, [two]: postponed } }));
    for (const id of [one, two]) {
      expect(isNow(hourBefore(after.erasures[id]!.not_before))).toBe(true);
    }
    expect(lines).toEqual([
      {
        level: 'error',
        message: expect.any(String),
        event: 'erasure.postponed',
        event_id: eventId,
        erasures: 2,
        error_type: failure?.Error,
      },
    ]);
    expect(metrics).toEqual([['ErasuresPostponed', 2]]);
  });
});

describe('nothing is changed, and nothing told, by a batch', () => {
  const failure = { Error: 'RekognitionUnavailable', Cause: '' };

  async function ready(kind: 'faces' | 'event') {
    const eventId = await event();
    const photoId = await photo(eventId, ['f1']);
    const id = await erasure(eventId, { reason: kind === 'event' ? 'event_requested' : 'person_requested' });
    await faces(id, photoId, ['f2']);
    await results(id, ['r1']);
    return batchOf({
      kind,
      event_id: eventId,
      erasure_ids: [id],
      face_ids: ['f2'],
      kept: ['f3'],
      results: ['r1'],
      result_counts: [1],
    });
  }

  const expectNothing = ({ before, after, lines, metrics }: Confirmed) =>
    expect({ after, lines, metrics }).toEqual({ after: before, lines: [], metrics: [] });

  test.each(['faces', 'event'] as const)('of another number than the latest (%s)', async (kind) => {
    const batch = await ready(kind);
    for (const number of [NUMBER - 1, NUMBER + 1]) {
      expectNothing(await confirm({ ...batch, number }));
      expectNothing(await confirm({ ...listed(batch), number }, failure));
    }
  });

  test.each(['faces', 'event'] as const)('that was confirmed, or given up, before (%s)', async (kind) => {
    for (const given of [undefined, failure]) {
      const batch = await ready(kind);
      await database.admin`UPDATE erasure_turn SET batch = ${NUMBER}`;
      const { before, after } = await confirm(batch, given);
      expect(after).not.toEqual(before);
      expectNothing(await confirm(batch));
      expectNothing(await confirm(listed(batch), failure));
    }
  });
});
