/** The one rule of ownership, on its own: any order of the events of a few keys ends the same. */
import fc from 'fast-check';
import type { FailureName } from '../../../../../lambdas/shared/contract/errors.ts';
import {
  canonicalSequencer,
  compareSequencers,
  copyOf,
  fenceOf,
  type KeyRows,
  NEVER_ERASED,
  needsAnnouncement,
  needsRow,
  othersAfter,
  othersWith,
  othersWithout,
  type PhotoState,
  type PhotoWithEnd,
  SAID_OF_ONE_OBJECT,
  saysAll,
  sequencerAfter,
  sequencerOfObject,
  standingOfDeletion,
  standingOfObject,
  standingOfUpload,
} from '../../../../../lambdas/shared/photos/standing.ts';

const EVENT = 'event';
const sequencer = fc.stringMatching(/^[0-9A-F]{1,20}$/);

describe('sequencers', () => {
  test('are compared as S3 says: the shorter padded on the right, as text', () => {
    expect(compareSequencers('0061A5', '0061A500')).toBe(0);
    expect(compareSequencers('1', '0FF')).toBeGreaterThan(0);
    expect(compareSequencers('0055AED6DCD90281E5', '0055AED6DCD90281E6')).toBeLessThan(0);
    expect(compareSequencers('0a', '0A')).toBe(0);
    expect(compareSequencers(null, '0')).toBe(0);
    expect(compareSequencers(null, '01')).toBeLessThan(0);
  });

  test('are in one order', () => {
    fc.assert(
      fc.property(sequencer, sequencer, sequencer, (a, b, c) => {
        expect(Math.sign(compareSequencers(a, b)) + Math.sign(compareSequencers(b, a))).toBe(0);
        if (compareSequencers(a, b) <= 0 && compareSequencers(b, c) <= 0) {
          expect(compareSequencers(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test('have one text for each place in the order', () => {
    fc.assert(
      fc.property(sequencer, sequencer, fc.nat(4), (a, b, zeros) => {
        expect(canonicalSequencer(`${a.toLowerCase()}${'0'.repeat(zeros)}`)).toBe(canonicalSequencer(a));
        expect(canonicalSequencer(a) === canonicalSequencer(b)).toBe(compareSequencers(a, b) === 0);
      }),
    );
  });

  test('what has none of its own comes right after the last that is known, and before the next', () => {
    fc.assert(
      fc.property(sequencer, sequencer, fc.integer({ min: 1, max: 5 }), (a, b, times) => {
        let after = a;
        for (let i = 0; i < times; i++) {
          const next = sequencerAfter(after);
          expect(compareSequencers(next, after)).toBeGreaterThan(0);
          after = next;
        }
        expect(after).toMatch(/^[0-9A-F]{1,64}$/);
        if (compareSequencers(b, a) > 0) {
          expect(compareSequencers(b, after)).toBeGreaterThan(0);
        }
      }),
    );
  });
});

interface Happening {
  key: string;
  /** Undefined for a deletion. */
  version: string | undefined;
  sequencer: string;
  /** Of an upload: that it was made, and not yet what came of it. */
  isAnnounced?: true;
}

/** What `photos/rows.ts` does to the rows of one photo id, with every upload a success. */
function apply(
  rows: Map<string, PhotoState>,
  { key, version, sequencer: at, isAnnounced }: Happening,
  erasedBefore: Date | null = null,
): void {
  const ownId = `own of ${key}`;
  const registered: PhotoState = {
    event_id: EVENT,
    status: 'processing',
    object_key: key,
    object_version: null,
    object_sequencer: null,
    other_objects: null,
  };
  const known = rows.get('photo');
  const about = { photo: known, own: saysAll(known, { event_id: EVENT, key }) ? undefined : rows.get(ownId) };
  if (version === undefined) {
    const { standing, row } = standingOfDeletion(about, { event_id: EVENT, key, sequencer: at });
    const photo = known!;
    const deleted = { status: 'deleted' as const, object_version: null, object_sequencer: at };
    if (standing === 'remembered') {
      rows.set('photo', {
        ...photo,
        other_objects: othersWith(photo, key, { sequencer: at, version: null }),
      });
    } else if (standing === 'moved') {
      const copy = copyOf(photo)!;
      const gone = { ...photo, object_version: null, object_sequencer: at };
      const { others } = othersAfter(gone, { key: copy.key, version: photo.object_version });
      rows.set('photo', {
        ...photo,
        object_key: copy.key,
        object_sequencer: copy.sequencer,
        other_objects: others,
      });
    } else if (standing === 'current') {
      const id = row === 'photo' ? 'photo' : ownId;
      rows.set(id, { ...(rows.get(id) ?? registered), ...deleted });
    }
    return;
  }
  const uploadedAt = new Date(0);
  const erasure = { ...NEVER_ERASED, erasedBefore };
  const upload = { event_id: EVENT, key, version, sequencer: at, uploadedAt };
  if (isAnnounced) {
    if (needsAnnouncement(about, upload, erasure)) {
      rows.set('photo', registered);
    }
    return;
  }
  if (!known && !needsRow(about, upload)) {
    return;
  }
  const photo = known ?? registered;
  const { standing } = standingOfUpload({ ...about, photo }, upload, erasure);
  switch (standing) {
    case 'current': {
      const { others, evicted } = othersAfter(photo, { key, version });
      for (const other of evicted) {
        const ownSequencer = rows.get(`own of ${other.key}`)?.object_sequencer ?? null;
        if (compareSequencers(ownSequencer, other.sequencer) > 0) {
          continue;
        }
        rows.set(`own of ${other.key}`, {
          ...registered,
          status: 'failed',
          object_key: other.key,
          object_version: other.version,
          object_sequencer: other.sequencer,
        });
      }
      rows.set('photo', {
        ...photo,
        status: 'indexed',
        object_key: key,
        object_version: version,
        object_sequencer: at,
        other_objects: others,
      });
      return;
    }
    case 'known':
      if (compareSequencers(at, photo.object_sequencer) > 0) {
        rows.set('photo', { ...photo, object_sequencer: at });
      }
      return;
    case 'copy':
      rows.set('photo', { ...photo, other_objects: othersWith(photo, key, { sequencer: at, version }) });
      return;
    case 'taken':
      rows.set('photo', { ...photo, other_objects: othersWithout(photo, key) });
      rows.set(ownId, {
        ...(rows.get(ownId) ?? registered),
        status: 'failed',
        object_version: version,
        object_sequencer: at,
      });
      return;
    default:
      return;
  }
}

/** Histories of a few keys, each in its own order. */
const happenings = (keys: string[]) =>
  fc
    .array(
      fc.record({
        key: fc.constantFrom(...keys),
        version: fc.constantFrom('A', 'A', 'B', 'C', undefined),
      }),
      { minLength: 1, maxLength: 8 },
    )
    .map((list) =>
      list.map(
        (one, i): Happening => ({ ...one, sequencer: `0${(100 + i).toString(16)}`.padEnd(3 + (i % 4), '0') }),
      ),
    );

/** The same events in any order, some of them more than once, and uploads announced before and after they are told. */
const shuffled = (keys: string[]) =>
  happenings(keys).chain((list) => {
    const announced = list.flatMap((one) =>
      one.version === undefined ? [] : [{ ...one, isAnnounced: true as const }],
    );
    return fc
      .subarray(announced)
      .chain((some) => {
        const told: Happening[] = [...list, ...some];
        return fc.tuple(
          fc.shuffledSubarray(told, { minLength: told.length }),
          fc.array(fc.constantFrom(...told), { maxLength: 4 }),
        );
      })
      .map(([order, again]) => ({ list, order: [...order, ...again] }));
  });

const lastOf = (list: readonly Happening[], key: string) => list.filter((one) => one.key === key).at(-1);

test('of one key the last event counts, whatever order they come in and however often', () => {
  fc.assert(
    fc.property(shuffled(['P.jpg']), ({ list, order }) => {
      const rows = new Map<string, PhotoState>();
      for (const one of order) {
        apply(rows, one);
      }
      const { version, sequencer: at } = lastOf(list, 'P.jpg')!;
      // A deletion before anything was heard of the photo is written down under the key's own id.
      expect(rows.get('photo') ?? rows.get('own of P.jpg')).toMatchObject({
        status: version === undefined ? 'deleted' : 'indexed',
        object_version: version ?? null,
        object_sequencer: at,
      });
    }),
    { numRuns: 2_000 },
  );
});

test('what is known of a key is never forgotten for something earlier', () => {
  const keys = ['P.jpg', 'P.JPG'];
  fc.assert(
    fc.property(shuffled(keys), ({ order }) => {
      const rows = new Map<string, PhotoState>();
      const known = (key: string) =>
        fenceOf({ photo: rows.get('photo'), own: rows.get(`own of ${key}`) }, key)?.sequencer ?? null;
      for (const one of order) {
        const before = keys.map(known);
        apply(rows, one);
        expect(keys.filter((key, i) => compareSequencers(known(key), before[i]!) < 0)).toEqual([]);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('of several keys of one photo id each object has a row, or is a copy of one, and nothing that is gone has', () => {
  const keys = ['P.jpg', 'P.JPG', 'P.png'];
  fc.assert(
    fc.property(shuffled(keys), ({ list, order }) => {
      const rows = new Map<string, PhotoState>();
      for (const one of order) {
        apply(rows, one);
      }
      for (const key of keys) {
        const last = lastOf(list, key);
        const about: KeyRows<PhotoWithEnd> = {
          photo: withEnd(rows.get('photo')),
          own: withEnd(rows.get(`own of ${key}`)),
        };
        if (last?.version !== undefined) {
          const object = { event_id: EVENT, key, version: last.version, uploadedAt: new Date(0) };
          expect(['indexed', 'copy', 'failed']).toContain(standingOfObject(about, object, null).is);
        } else {
          const alive = [...rows.values()].filter(
            ({ object_key, status }) => object_key === key && status !== 'deleted',
          );
          expect(alive).toEqual([]);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});

test('an announcement makes a row where there is none, and changes none that is there', () => {
  fc.assert(
    fc.property(
      shuffled(['P.jpg', 'P.JPG']),
      fc.record({
        key: fc.constantFrom('P.jpg', 'P.JPG'),
        version: fc.constantFrom('A', 'D'),
        sequencer,
        isAnnounced: fc.constant(true as const),
      }),
      fc.option(fc.integer({ min: -1, max: 1 })),
      ({ order }, announcement, erasedBefore) => {
        const rows = new Map<string, PhotoState>();
        for (const one of order) {
          apply(rows, one);
        }
        const before = new Map(rows);
        apply(rows, announcement, erasedBefore === null ? null : new Date(erasedBefore));
        const made = [...rows].filter(([id]) => !before.has(id));
        expect(new Map([...rows].filter(([id]) => before.has(id)))).toEqual(before);
        expect(made.every(([, row]) => row.status === 'processing' && row.object_version === null)).toBe(
          true,
        );
        // What was uploaded at 0 is not to be indexed any more.
        expect(made.length > 0 && erasedBefore === 1).toBe(false);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('an object that lies in the bucket can be indexed whatever its rows say, and stays indexed', () => {
  const keys = ['P.jpg', 'P.JPG'];
  fc.assert(
    fc.property(shuffled(keys), fc.constantFrom('A', 'D'), ({ order }, version) => {
      const rows = new Map<string, PhotoState>();
      for (const one of order) {
        apply(rows, one);
      }
      const about = { photo: rows.get('photo'), own: rows.get('own of P.jpg') };
      apply(rows, { key: 'P.jpg', version, sequencer: sequencerOfObject(about, { key: 'P.jpg', version }) });
      const object = { event_id: EVENT, key: 'P.jpg', version, uploadedAt: new Date(0) };
      const { is } = standingOfObject(
        { photo: withEnd(rows.get('photo')), own: withEnd(rows.get('own of P.jpg')) },
        object,
        null,
      );
      expect(['indexed', 'copy', 'failed']).toContain(is);
    }),
    { numRuns: 2_000 },
  );
});

function withEnd(row: PhotoState | undefined): PhotoWithEnd | undefined {
  return row && { ...row, failure_code: 'InvalidImageFormat', failure_retryable: false, ended_at: null };
}

test('a failure of the bytes is that of every object of them; that an object is gone is said of none that is there since', () => {
  const failedMs = Date.parse('2026-05-01T12:00:00.700Z');
  const codes: FailureName[] = ['InvalidImageFormat', 'ImageTooLarge', 'PhotoIdTaken', SAID_OF_ONE_OBJECT];
  fc.assert(
    fc.property(
      fc.constantFrom(...codes),
      fc.constantFrom('P.jpg', 'P.JPG'),
      fc.integer({ min: -100, max: 100 }),
      (code, key, seconds) => {
        const uploadedAt = new Date(Math.floor(failedMs / 1_000) * 1_000 + 1_000 * seconds);
        const row: PhotoWithEnd = {
          event_id: EVENT,
          status: 'failed',
          object_key: 'P.jpg',
          object_version: 'A',
          object_sequencer: '1',
          other_objects: null,
          failure_code: code,
          failure_retryable: false,
          ended_at: new Date(failedMs).toISOString(),
        };
        const object = { event_id: EVENT, key, version: 'A', uploadedAt };
        const isAnother = code === SAID_OF_ONE_OBJECT && (key !== row.object_key || seconds >= 0);
        expect(standingOfObject({ photo: row, own: undefined }, object, null)).toEqual(
          isAnother ? { is: 'unseen' } : { is: 'failed', retryable: false },
        );
      },
    ),
  );
});

describe('an erased event', () => {
  const row: PhotoState = {
    event_id: EVENT,
    status: 'erased',
    object_key: 'P.jpg',
    object_version: 'A',
    object_sequencer: '0A',
    other_objects: null,
  };
  const upload = { event_id: EVENT, key: 'P.jpg', version: 'B', sequencer: '0B' };
  const at = (ms: number) => new Date(ms);

  test('takes nothing that was uploaded before, and whatever comes after', () => {
    const erasure = { erasedBefore: at(1_000), erasing: false };
    const rows = { photo: row, own: undefined };
    expect(standingOfUpload(rows, { ...upload, uploadedAt: at(999) }, erasure).standing).toBe('erased');
    expect(standingOfUpload(rows, { ...upload, uploadedAt: at(1_000) }, erasure).standing).toBe('current');
  });

  test('that is just being erased lets later uploads wait, known ones too', () => {
    const erasure = { erasedBefore: at(1_000), erasing: true };
    const indexed = { ...row, status: 'indexed' as const };
    for (const version of ['A', 'B']) {
      const { standing } = standingOfUpload(
        { photo: indexed, own: undefined },
        { ...upload, version, uploadedAt: at(2_000) },
        erasure,
      );
      expect(standing).toBe('waits');
    }
  });
});

test("another event's photo is never touched", () => {
  const rows = {
    photo: {
      event_id: 'theirs',
      status: 'indexed' as const,
      object_key: 'events/theirs/P.jpg',
      object_version: 'A',
      object_sequencer: '0A',
      other_objects: null,
    },
    own: undefined,
  };
  const key = { event_id: EVENT, key: 'events/mine/P.jpg', sequencer: '0B' };
  expect(standingOfUpload(rows, { ...key, version: 'A', uploadedAt: new Date(0) }, NEVER_ERASED)).toEqual({
    standing: 'taken',
    row: 'own',
  });
  expect(standingOfDeletion(rows, key)).toEqual({ standing: 'current', row: 'own' });
});
