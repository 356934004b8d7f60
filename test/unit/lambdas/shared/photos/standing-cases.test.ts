/** The rule of ownership case by case, as a person reads it; standing.test.ts has what holds whatever the order. */
import {
  canonicalSequencer,
  compareSequencers,
  copyOf,
  type Deletion,
  type EventErasure,
  fenceOf,
  isUploadedSince,
  type KeyRows,
  NEVER_ERASED,
  needsAnnouncement,
  needsRow,
  othersAfter,
  othersWith,
  othersWithout,
  type PhotoState,
  type PhotoWithEnd,
  rowsAbout,
  SAID_OF_ONE_OBJECT,
  saysAll,
  sequencerAfter,
  sequencerOfObject,
  standingOfDeletion,
  standingOfObject,
  standingOfUpload,
  type Upload,
} from '../../../../../lambdas/shared/photos/standing.ts';

const EVENT = 'event';
const KEY = 'events/event/P.jpg';
const OTHER_KEY = 'events/event/P.JPG';
const THIRD_KEY = 'events/event/P.png';

/** An indexed photo at KEY; version A came with 0B, and nothing is known of other keys. */
const row = (over: Partial<PhotoState> = {}): PhotoState => ({
  event_id: EVENT,
  status: 'indexed',
  object_key: KEY,
  object_version: 'A',
  object_sequencer: '0B',
  other_objects: null,
  ...over,
});
const announced = { status: 'processing', object_version: null, object_sequencer: null } as const;
const deleted = { status: 'deleted', object_version: null } as const;
const elsewhere = { object_key: OTHER_KEY };
const theirs = { event_id: 'theirs', object_key: 'events/theirs/P.jpg' };
/** The row of the key's own id, after the photo id was taken. */
const failed = { status: 'failed', object_version: 'Z' } as const;
/** What the photo's row may know of KEY while it is about another. */
const gone = (sequencer: string) => ({ [KEY]: { sequencer, version: null } });
const copied = (sequencer: string) => ({ [KEY]: { sequencer, version: 'A' } });

type Given = [photo: Partial<PhotoState> | null, own: Partial<PhotoState> | null];
const rowsOf = ([photo, own]: Given): KeyRows => ({
  photo: photo ? row(photo) : undefined,
  own: own ? row(own) : undefined,
});

/** Of each case: the rows, the version and the sequencer that come, and what is said of them, about which row. */
describe('an upload at KEY', () => {
  const cases: [what: string, rows: Given, upload: [version: string, sequencer: string], is: string][] = [
    ['the first that is heard of it', [null, null], ['B', '0C'], 'current photo'],
    ['announced before', [announced, null], ['B', '0C'], 'current photo'],
    ['other bytes, later', [{}, null], ['B', '0C'], 'current photo'],
    ['other bytes, in the place of the last', [{}, null], ['B', '0B'], 'current photo'],
    ['other bytes, earlier', [{}, null], ['B', '0A'], 'superseded photo'],
    ['the indexed bytes again', [{}, null], ['A', '0B'], 'known photo'],
    ['the indexed bytes, uploaded anew', [{}, null], ['A', '0C'], 'known photo'],
    ['the indexed bytes, uploaded before', [{}, null], ['A', '0A'], 'known photo'],
    ['bytes that failed, again', [{ status: 'failed' }, null], ['A', '0B'], 'current photo'],
    ['bytes that failed, uploaded before', [{ status: 'failed' }, null], ['A', '0A'], 'superseded photo'],
    ['bytes in work', [{ status: 'processing' }, null], ['A', '0B'], 'current photo'],
    ['erased bytes', [{ status: 'erased' }, null], ['A', '0B'], 'current photo'],
    ['deleted since', [deleted, null], ['A', '0A'], 'deleted photo'],
    ['deleted by the same event', [deleted, null], ['A', '0B'], 'deleted photo'],
    ['after its deletion', [deleted, null], ['A', '0C'], 'current photo'],
    [
      'known of under other keys only',
      [{ ...announced, other_objects: gone('0B') }, null],
      ['A', '0A'],
      'deleted photo',
    ],
    ['its row about another event', [theirs, null], ['A', '0C'], 'taken own'],
    ['the same, deleted since', [theirs, deleted], ['A', '0A'], 'deleted own'],
    ['the same, after its deletion', [theirs, deleted], ['A', '0C'], 'taken own'],
    ['deleted before anything was heard', [null, deleted], ['A', '0A'], 'deleted photo'],
    ['that deletion again', [null, deleted], ['A', '0B'], 'deleted photo'],
    ['after a deletion that came first', [null, deleted], ['A', '0C'], 'current photo'],
    ['its id taken, and that row gone', [null, failed], ['A', '0C'], 'taken own'],
    ['the same, earlier', [null, failed], ['Z', '0A'], 'superseded own'],
    ['another key has the id', [elsewhere, null], ['B', '0C'], 'taken own'],
    ['another key has these bytes', [elsewhere, null], ['A', '0C'], 'copy photo'],
    [
      'another key has these bytes, in work',
      [{ ...elsewhere, status: 'processing' }, null],
      ['A', '0C'],
      'current photo',
    ],
    [
      'another key has these bytes, failed',
      [{ ...elsewhere, status: 'failed' }, null],
      ['A', '0C'],
      'current photo',
    ],
    [
      'another key has other bytes in work',
      [{ ...elsewhere, status: 'processing' }, null],
      ['B', '0C'],
      'taken own',
    ],
    ['another key was announced', [{ ...elsewhere, ...announced }, null], ['B', '0C'], 'current photo'],
    [
      'another key failed without bytes',
      [{ ...elsewhere, status: 'failed', object_version: null }, null],
      ['B', '0C'],
      'taken own',
    ],
    ['another key was deleted', [{ ...elsewhere, ...deleted }, null], ['B', '0C'], 'current photo'],
    [
      'another key was deleted, and this one has its own',
      [{ ...elsewhere, ...deleted }, failed],
      ['B', '0C'],
      'taken own',
    ],
    ['a copy, and this one has its own', [elsewhere, failed], ['A', '0C'], 'taken own'],
    [
      'a copy, deleted since',
      [{ ...elsewhere, other_objects: gone('0B') }, null],
      ['A', '0A'],
      'deleted photo',
    ],
    [
      'a copy, after its deletion',
      [{ ...elsewhere, other_objects: gone('0B') }, null],
      ['A', '0C'],
      'copy photo',
    ],
    ['a copy, told again', [{ ...elsewhere, other_objects: copied('0B') }, null], ['A', '0B'], 'copy photo'],
    [
      'a copy, told late',
      [{ ...elsewhere, other_objects: copied('0B') }, null],
      ['A', '0A'],
      'superseded photo',
    ],
    [
      'taken, deleted since as the photo knows',
      [
        { ...elsewhere, other_objects: gone('0D') },
        { ...failed, object_sequencer: '0C' },
      ],
      ['B', '0C'],
      'deleted own',
    ],
    [
      'taken, deleted in the same place',
      [
        { ...elsewhere, other_objects: gone('0C') },
        { ...failed, object_sequencer: '0C' },
      ],
      ['B', '0C'],
      'deleted own',
    ],
    [
      'taken, deleted before',
      [
        { ...elsewhere, other_objects: gone('0B') },
        { ...failed, object_sequencer: '0C' },
      ],
      ['B', '0B'],
      'superseded own',
    ],
    [
      'an own row about another key',
      [elsewhere, { ...failed, object_key: THIRD_KEY, object_sequencer: '0F' }],
      ['B', '0C'],
      'taken own',
    ],
    [
      'an own row that was announced',
      [elsewhere, { ...failed, object_sequencer: null }],
      ['B', '0C'],
      'taken own',
    ],
  ];

  test.each(cases)('%s', (_, rows, [version, sequencer], is) => {
    const { standing, row: about } = standingOfUpload(
      rowsOf(rows),
      uploadOf(version, sequencer),
      NEVER_ERASED,
    );
    expect(`${standing} ${about}`).toBe(is);
    // Where there is no row of the photo, it needs one for just what would be written to it.
    expect(needsRow(rowsOf(rows), uploadOf(version, sequencer))).toBe(standing === 'current');
    expect(needsAnnouncement(rowsOf(rows), uploadOf(version, sequencer), NEVER_ERASED)).toBe(
      standing === 'current' && rows[0] === null,
    );
  });

  const erasures: [what: string, rows: Given, erasure: Partial<EventErasure>, is: string][] = [
    ['erased since', [{}, null], { erasedBefore: new Date(1_001) }, 'erased'],
    ['in the moment of the erasure', [{}, null], { erasedBefore: new Date(1_000) }, 'known'],
    [
      'erased since, and erased again now',
      [{}, null],
      { erasedBefore: new Date(1_001), erasing: true },
      'erased',
    ],
    ['while the event is erased', [{}, null], { erasing: true }, 'waits'],
    ['deleted and erased', [deleted, null], { erasedBefore: new Date(1_001) }, 'deleted'],
    ['taken and erased', [theirs, null], { erasedBefore: new Date(1_001), erasing: true }, 'taken'],
  ];
  test.each(erasures)('%s', (_, rows, erasure, is) => {
    const upload = { ...uploadOf('A', '0B'), uploadedAt: new Date(1_000) };
    expect(standingOfUpload(rowsOf(rows), upload, { ...NEVER_ERASED, ...erasure })).toEqual({
      standing: is,
      row: is === 'taken' ? 'own' : 'photo',
    });
  });

  test('is announced while the event is erased, and not when it was erased since', () => {
    const nothing = rowsOf([null, null]);
    const upload = { ...uploadOf('A', '0B'), uploadedAt: new Date(1_000) };
    expect(needsAnnouncement(nothing, upload, { erasedBefore: null, erasing: true })).toBe(true);
    expect(needsAnnouncement(nothing, upload, { erasedBefore: new Date(1_001), erasing: true })).toBe(false);
  });
});

function uploadOf(version: string, sequencer: string): Upload {
  return { event_id: EVENT, key: KEY, version, sequencer, uploadedAt: new Date(0) };
}

describe('a deletion at KEY', () => {
  const copy = { [OTHER_KEY]: { sequencer: '01', version: 'A' } };
  const cases: [what: string, rows: Given, deletion: [sequencer: string, version?: string], is: string][] = [
    ['of the photo', [{}, null], ['0C'], 'current photo'],
    ['in the place of its upload', [{}, null], ['0B'], 'current photo'],
    ['before its upload', [{}, null], ['0A'], 'superseded photo'],
    ['that is written', [deleted, null], ['0B'], 'known photo'],
    ['before the one that is written', [deleted, null], ['0A'], 'known photo'],
    ['after the one that is written', [deleted, null], ['0C'], 'current photo'],
    ['of what was announced', [announced, null], ['0A'], 'current photo'],
    ['of the photo, which had its own row once', [{}, failed], ['0C'], 'current photo'],
    ['of its version', [{}, null], ['0C', 'A'], 'current photo'],
    ['of another version', [{}, null], ['0C', 'B'], 'old_version photo'],
    ['of a version of what is deleted', [deleted, null], ['0C', 'A'], 'old_version photo'],
    ['of the photo, whose bytes lie elsewhere too', [{ other_objects: copy }, null], ['0C'], 'moved photo'],
    [
      'of its version, whose bytes lie elsewhere too',
      [{ other_objects: copy }, null],
      ['0C', 'A'],
      'moved photo',
    ],
    [
      'of the photo, when other bytes lie elsewhere',
      [{ object_version: 'B', other_objects: copy }, null],
      ['0C'],
      'current photo',
    ],
    ['of what nobody has heard of', [null, null], ['0C'], 'current own'],
    ['of a version that nobody has heard of', [null, null], ['0C', 'A'], 'old_version own'],
    ['that came first, again', [null, deleted], ['0B'], 'known own'],
    ['after one that came first', [null, deleted], ['0C'], 'current own'],
    ['of a photo of its own id', [null, failed], ['0C'], 'current own'],
    ['before the upload of that', [null, failed], ['0A'], 'superseded own'],
    ['of its version of that', [null, failed], ['0C', 'Z'], 'current own'],
    ['of another version of that', [null, failed], ['0C', 'A'], 'old_version own'],
    ["under another event's id", [theirs, null], ['0C'], 'current own'],
    ["under another event's id, after another", [theirs, deleted], ['0C'], 'current own'],
    ["under another event's id, of its own photo", [theirs, failed], ['0C'], 'current own'],
    ['under an id that another key has', [elsewhere, null], ['0C'], 'remembered photo'],
    ['the same, known', [{ ...elsewhere, other_objects: gone('0B') }, null], ['0B'], 'known photo'],
    [
      'the same, of a copy',
      [{ ...elsewhere, other_objects: copied('0B') }, null],
      ['0C'],
      'remembered photo',
    ],
    [
      'the same, before the copy',
      [{ ...elsewhere, other_objects: copied('0B') }, null],
      ['0A'],
      'superseded photo',
    ],
    ['the same, after one that its own row has', [elsewhere, deleted], ['0C'], 'remembered photo'],
    ['the same, of a photo of its own id', [elsewhere, failed], ['0C'], 'current own'],
    [
      'the same, though the photo has copies',
      [{ ...elsewhere, other_objects: { [THIRD_KEY]: { sequencer: '01', version: 'A' } } }, failed],
      ['0C'],
      'current own',
    ],
    ['under a free id', [{ ...elsewhere, ...announced }, null], ['0C'], 'remembered photo'],
  ];

  test.each(cases)('%s', (_, rows, [sequencer, version], is) => {
    const deletion: Deletion = { event_id: EVENT, key: KEY, sequencer, version };
    const { standing, row: about } = standingOfDeletion(rowsOf(rows), deletion);
    expect(`${standing} ${about}`).toBe(is);
  });
});

describe('an object that lies in the bucket at KEY', () => {
  const object = { event_id: EVENT, key: KEY, version: 'A', uploadedAt: new Date(10_000) };
  const at = (
    rows: [Partial<PhotoWithEnd> | null, Partial<PhotoWithEnd> | null],
    erasedMs?: number,
    over = {},
  ) => {
    const [photo, own] = rows.map((one) =>
      one ? { ...row(), failure_code: null, failure_retryable: null, ended_at: null, ...one } : undefined,
    );
    const erasedBefore = erasedMs === undefined ? null : new Date(erasedMs);
    return standingOfObject({ photo, own }, { ...object, ...over }, erasedBefore);
  };

  test.each<
    [
      what: string,
      rows: [Partial<PhotoWithEnd> | null, Partial<PhotoWithEnd> | null],
      is: string,
      erasedMs?: number,
    ]
  >([
    ['without a row', [null, null], 'unseen'],
    ['indexed', [{}, null], 'indexed'],
    ['indexed before its event was erased', [{}, null], 'erased', 10_001],
    ['without a row, before its event was erased', [null, null], 'erased', 10_001],
    ['indexed in the moment of the erasure', [{}, null], 'indexed', 10_000],
    ['of other bytes than the row', [{ object_version: 'B' }, null], 'unseen'],
    ['of other bytes than are in work', [{ status: 'processing', object_version: 'B' }, null], 'unseen'],
    ['in work', [{ status: 'processing' }, null], 'unfinished'],
    ['announced', [announced, null], 'unfinished'],
    ['announced under another key', [{ ...elsewhere, ...announced }, null], 'unseen'],
    ['failed without bytes', [{ status: 'failed', object_version: null }, null], 'unseen'],
    ['deleted', [deleted, null], 'unseen'],
    ['deleted, with its bytes still named', [{ status: 'deleted' }, null], 'unseen'],
    ['the same bytes under another key', [elsewhere, null], 'copy'],
    ['other bytes under another key', [{ ...elsewhere, object_version: 'B' }, null], 'unseen'],
    ["another event's", [theirs, null], 'unseen'],
    ["another event's, with its own row", [theirs, { status: 'processing' }], 'unfinished'],
    ['erased', [{ status: 'erased' }, null], 'erased'],
    ['erased, and uploaded at about that time', [{ status: 'erased' }, null], 'erased', -49_999],
    ['erased, and uploaded again a minute later', [{ status: 'erased' }, null], 'unseen', -50_000],
  ])('%s', (...[, rows, is, erasedMs]) => {
    expect(at(rows, erasedMs)).toEqual({ is });
  });

  test.each([true, false, null])('failed, to be tried again: %s', (failure_retryable) => {
    const end = { status: 'failed', failure_code: 'InvalidImageFormat', failure_retryable } as const;
    const said = { is: 'failed', retryable: failure_retryable === true };
    expect(at([{ ...end, ended_at: new Date(0) }, null])).toEqual(said);
    expect(at([theirs, { ...end, object_version: 'A' }])).toEqual(said);
    // Of the bytes, wherever they lie.
    expect(at([{ ...end, ...elsewhere }, null])).toEqual(said);
  });

  test.each<[uploadedMs: number, ended: PhotoWithEnd['ended_at'], isThere: boolean]>([
    [10_000, new Date(10_900), true],
    [10_000, new Date(10_900).toISOString(), true],
    [10_000, new Date(10_000), true],
    [10_000, new Date(9_999), true],
    [10_000, new Date(11_000), false],
    [10_500, new Date(10_500), true],
    [10_500, new Date(10_501), false],
    [11_000, new Date(11_900), true],
    [10_000, null, false],
  ])(
    'uploaded at %s ms, and gone when a call looked at %s: there since: %s',
    (uploadedMs, ended_at, isThere) => {
      const end = { status: 'failed', failure_code: SAID_OF_ONE_OBJECT, ended_at } as const;
      const uploadedAt = new Date(uploadedMs);
      expect(at([end, null], undefined, { uploadedAt }).is).toBe(isThere ? 'unseen' : 'failed');
      // That another key's object is gone says nothing of this one.
      expect(at([{ ...end, ...elsewhere }, null], undefined, { uploadedAt }).is).toBe('unseen');
    },
  );

  test('comes after all that is known of its key, unless it is the version that is known', () => {
    expect(sequencerOfObject(rowsOf([null, null]), { key: KEY, version: 'A' })).toBe('0');
    expect(sequencerOfObject(rowsOf([{}, null]), { key: KEY, version: 'A' })).toBe('0B');
    expect(sequencerOfObject(rowsOf([{}, null]), { key: KEY, version: 'B' })).toBe(sequencerAfter('0B'));
  });
});

test('only one failure says nothing of the bytes', () => {
  expect(SAID_OF_ONE_OBJECT).toBe('InvalidS3Object');
});

test('uploaded since an erasure: a minute later, by whichever clock', () => {
  expect(isUploadedSince(new Date(60_000), new Date(0))).toBe(true);
  expect(isUploadedSince(new Date(59_999), new Date(0))).toBe(false);
  expect(isUploadedSince(new Date(60_000), null)).toBe(false);
});

describe('a sequencer', () => {
  test('of its own is 48 digits, one after the last that is known', () => {
    expect(sequencerAfter(null)).toBe('1'.padStart(48, '0'));
    expect(sequencerAfter('')).toBe('1'.padStart(48, '0'));
    expect(sequencerAfter('0a')).toBe(`0A${'1'.padStart(46, '0')}`);
    expect(sequencerAfter('F'.repeat(47))).toBe(`${'F'.repeat(47)}1`);
    expect(sequencerAfter('1'.repeat(50))).toBe(`${'1'.repeat(49)}2`);
  });

  test('has one text for one place', () => {
    expect(canonicalSequencer('0a0b00')).toBe('0A0B');
    expect(canonicalSequencer('000')).toBe('');
  });

  test.each([
    ['0A', '0B', -1],
    ['0B', '0a', 1],
    ['0A', '0a00', 0],
    ['0A00', '0A', 0],
    ['1', '0FF', 1],
    [null, '', 0],
    [null, '0', 0],
    [null, '01', -1],
    ['01', null, 1],
  ])('%s beside %s: %s', (a, b, order) => {
    expect(Math.sign(compareSequencers(a, b))).toBe(order);
  });
});

test('the photo’s row says all of its own key once an event of it was written', () => {
  const about = { event_id: EVENT, key: KEY };
  expect(saysAll(row(), about)).toBe(true);
  expect(saysAll(row(deleted), about)).toBe(true);
  expect(saysAll(row({ object_sequencer: null }), about)).toBe(false);
  expect(saysAll(row(elsewhere), about)).toBe(false);
  expect(saysAll(row(theirs), about)).toBe(false);
  expect(saysAll(undefined, about)).toBe(false);
});

test.each<[what: string, rows: Given, fence: [sequencer: string, version: string | null] | undefined]>([
  ['nothing', [null, null], undefined],
  ['the photo’s row', [{}, failed], ['0B', 'A']],
  ['the photo’s row, though another says more', [{}, { ...failed, object_sequencer: '0F' }], ['0B', 'A']],
  ['a deletion', [deleted, null], ['0B', null]],
  ['no event of an announced one', [announced, null], undefined],
  ['what it knows of other keys', [{ ...elsewhere, other_objects: copied('0C') }, null], ['0C', 'A']],
  ['nothing of this key', [elsewhere, null], undefined],
  ['the own row', [elsewhere, failed], ['0B', 'Z']],
  ['the own row without the photo’s', [null, failed], ['0B', 'Z']],
  ['no event of an own row that has none', [null, { ...failed, object_sequencer: null }], undefined],
  ['no own row about another key', [null, { ...failed, ...elsewhere }], undefined],
  ['the later of two', [{ ...elsewhere, other_objects: gone('0A') }, failed], ['0B', 'Z']],
  ['the later of two, the other way', [{ ...elsewhere, other_objects: gone('0C') }, failed], ['0C', null]],
  [
    'of two in one place, the photo’s',
    [{ ...elsewhere, other_objects: gone('0B00') }, failed],
    ['0B00', null],
  ],
])('what the rows know of KEY: %s', (_, rows, fence) => {
  expect(fenceOf(rowsOf(rows), KEY)).toEqual(fence && { sequencer: fence[0], version: fence[1] });
});

describe('other keys', () => {
  const one = { sequencer: '01', version: 'A' };

  test('have a copy where the same bytes lie, the first by name', () => {
    expect(copyOf(row({ other_objects: { z: one, b: one, y: one, a: { ...one, version: 'B' } } }))).toEqual({
      key: 'b',
      ...one,
    });
    expect(copyOf(row({ other_objects: { b: one, z: one } }))).toEqual({ key: 'b', ...one });
    expect(copyOf(row())).toBeUndefined();
    expect(copyOf(row({ ...deleted, other_objects: gone('01') }))).toBeUndefined();
  });

  test.each<
    [
      what: string,
      row: Partial<PhotoState>,
      object: [key: string, version: string | null],
      others: PhotoState['other_objects'],
      evicted: string[],
    ]
  >([
    ['none, and the same key', {}, [KEY, 'B'], null, []],
    ['the bytes under a second key', {}, [OTHER_KEY, 'A'], { [KEY]: { sequencer: '0B', version: 'A' } }, []],
    ['other bytes under a second key', {}, [OTHER_KEY, 'B'], null, [KEY]],
    ['deleted under the first key', deleted, [OTHER_KEY, 'B'], gone('0B'), []],
    ['announced under the first key', announced, [OTHER_KEY, 'B'], null, []],
    ['a copy that stays one', { other_objects: { x: one } }, [KEY, 'A'], { x: one }, []],
    ['a copy that is one no more', { other_objects: { x: one } }, [KEY, 'B'], null, ['x']],
    [
      'nothing that lies at a third',
      { other_objects: { x: { ...one, version: null } } },
      [KEY, 'B'],
      { x: { ...one, version: null } },
      [],
    ],
    [
      'the key that the row is about from now on',
      { ...elsewhere, other_objects: { [KEY]: one } },
      [KEY, 'A'],
      { [OTHER_KEY]: { sequencer: '0B', version: 'A' } },
      [],
    ],
    ['no object any more', { other_objects: { x: one } }, [KEY, null], null, ['x']],
  ])('once the row is about an object: %s', (_, over, [key, version], others, evicted) => {
    const after = othersAfter(row(over), { key, version });
    expect(after.others).toEqual(others);
    expect(after.evicted.map((gone) => gone.key)).toEqual(evicted);
  });

  test('that are evicted are told with what lies there', () => {
    expect(othersAfter(row(), { key: OTHER_KEY, version: 'B' }).evicted).toEqual([
      { key: KEY, sequencer: '0B', version: 'A' },
    ]);
  });

  test('are one more, or one less', () => {
    expect(othersWith(row(), 'x', one)).toEqual({ x: one });
    expect(othersWith(row({ other_objects: { x: one, y: one } }), 'x', { ...one, version: null })).toEqual({
      x: { ...one, version: null },
      y: one,
    });
    expect(othersWithout(row({ other_objects: { x: one, y: one } }), 'x')).toEqual({ y: one });
    expect(othersWithout(row({ other_objects: { x: one } }), 'x')).toBeNull();
    expect(othersWithout(row(), 'x')).toBeNull();
  });
});

test('the rows that a key can be about: its photo’s, and its own where that is another one', () => {
  const [photo, own] = [row(), row({ ...failed })];
  const rows = new Map([
    ['p', photo],
    ['k', own],
  ]);
  expect(rowsAbout(rows, { photoId: 'p', keyId: 'k' })).toEqual({ photo, own });
  expect(rowsAbout(rows, { photoId: 'k', keyId: 'k' })).toEqual({ photo: own, own: undefined });
  expect(rowsAbout(rows, { photoId: 'none', keyId: 'k' })).toEqual({ photo: undefined, own });
});
