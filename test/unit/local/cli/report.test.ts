import fc from 'fast-check';
import { displayWidth, formatDuration, printable, truncateMiddle, wrap } from '../../../../cli/text.ts';
import type { StoredPhoto } from '../../../../local/cli/database.ts';
import type { Photo } from '../../../../local/cli/photo-list.ts';
import { renderBar } from '../../../../local/cli/progress.ts';
import { explanationOf, whyHeld } from '../../../../local/cli/reasons.ts';
import {
  isComplete,
  type Paint,
  type ReportRow,
  renderJson,
  renderLegend,
  renderOthers,
  renderSummary,
  renderTable,
  reportRows,
} from '../../../../local/cli/report.ts';
import type { Sent } from '../../../../local/cli/send.ts';

const EVENT = '0b9d7c1e-6a43-4f0e-9d2b-5c8a1f3e7d60';
const plain: Paint = (_style, text) => text;

const photo = (file: string): Photo => ({
  file,
  path: `/photos/${file}`,
  size: 1,
  key: `events/${EVENT}/${file}`,
  eventId: EVENT,
  photoId: `id of ${file}`,
  folderId: 'folder',
});

const sent = (file: string, more: Partial<Sent> = {}): Sent => ({
  photo: photo(file),
  version: 'v1',
  known: false,
  end: { status: 'SUCCEEDED' },
  ...more,
});

const stored = (file: string, more: Partial<StoredPhoto> = {}): [string, StoredPhoto] => [
  `id of ${file}`,
  {
    id: `id of ${file}`,
    event_id: EVENT,
    object_version: 'v1',
    status: 'indexed',
    face_count: 2,
    unindexed_count: 0,
    failure_code: null,
    failure_message: null,
    failure_retryable: null,
    ...more,
  },
];

const failure = {
  status: 'failed',
  face_count: null,
  failure_code: 'InvalidImageFormat',
  failure_message: 'Rekognition InvalidImageFormatException: Request has invalid image format (request 1-2)',
  failure_retryable: false,
} as const;

const row = (more: Partial<ReportRow>): ReportRow => ({
  file: 'a.jpg',
  photoId: 'id',
  status: 'indexed',
  known: false,
  faceCount: 1,
  unindexedCount: 0,
  code: null,
  message: null,
  reason: null,
  ...more,
});

describe('reportRows', () => {
  test('says what the database holds, in the order of the folder', () => {
    const rows = reportRows(
      [
        sent('10.jpg', { end: { status: 'FAILED', error: 'InvalidImageFormat' } }),
        sent('2.jpg', { known: true }),
      ],
      [{ file: '3.jpg', photoId: null, code: 'FileUnreadable', reason: 'permission denied' }],
      new Map([stored('10.jpg', failure), stored('2.jpg', { unindexed_count: 1 })]),
    );
    expect(rows).toEqual([
      {
        file: '2.jpg',
        photoId: 'id of 2.jpg',
        status: 'indexed',
        known: true,
        faceCount: 2,
        unindexedCount: 1,
        code: null,
        message: null,
        reason: '1 face too unclear to index',
      },
      {
        file: '3.jpg',
        photoId: null,
        status: 'not_sent',
        known: false,
        faceCount: null,
        unindexedCount: null,
        code: 'FileUnreadable',
        message: 'permission denied',
        reason: 'cannot be read: permission denied',
      },
      {
        file: '10.jpg',
        photoId: 'id of 10.jpg',
        status: 'failed',
        known: false,
        faceCount: null,
        unindexedCount: null,
        code: 'InvalidImageFormat',
        message: failure.failure_message,
        reason: explanationOf('InvalidImageFormat'),
      },
    ]);
    expect(isComplete(rows)).toBe(false);
    expect(isComplete(rows.filter(({ status }) => status !== 'not_sent'))).toBe(true);
  });

  test.each<[string, Sent, [string, StoredPhoto][]]>([
    ['nothing is stored', sent('a.jpg'), []],
    ['another version is stored', sent('a.jpg'), [stored('a.jpg', { object_version: 'v0' })]],
    ['it is stored as processing', sent('a.jpg'), [stored('a.jpg', { status: 'processing' })]],
    ['its id belongs to another event', sent('a.jpg'), [stored('a.jpg', { event_id: 'another' })]],
    ['no execution was seen to end', sent('a.jpg', { end: undefined }), []],
  ])('a photo is not at its end when %s', (_, one, rows) => {
    const [only] = reportRows([one], [], new Map(rows));
    expect(only).toMatchObject({ status: 'processing', faceCount: null });
    expect(only!.reason).toContain('run it again');
    expect(isComplete([only!])).toBe(false);
  });

  test('an execution that failed without a word in the database lends its error', () => {
    const end = {
      status: 'FAILED',
      error: 'DatabaseUnavailable',
      cause: 'PostgreSQL ECONNREFUSED: refused',
    } as const;
    expect(reportRows([sent('a.jpg', { end })], [], new Map())[0]).toMatchObject({
      status: 'processing',
      code: 'DatabaseUnavailable',
      reason: 'PostgreSQL ECONNREFUSED: refused',
    });
  });
});

test('a failure that needs its own message keeps it, without the noise', () => {
  const message = 'Rekognition ServiceQuotaExceededException: Full. (request 1-2)';
  const quota = { ...failure, failure_code: 'QuotaExceeded', failure_message: message };
  expect(reportRows([sent('a.jpg')], [], new Map([stored('a.jpg', quota)]))[0]!.reason).toBe('Full.');
  expect(explanationOf('toString')).toBeUndefined();
});

describe('renderJson', () => {
  test('has the shape that scripts rely on, in one line', () => {
    const json = renderJson({
      eventId: EVENT,
      databaseUrl: 'postgresql://localhost/rollcall',
      rows: [
        row({ file: 'a\nb.jpg', photoId: 'p', faceCount: 3, unindexedCount: 1 }),
        row({
          status: 'failed',
          code: 'ImageTooLarge',
          message: 'It is',
          faceCount: null,
          unindexedCount: null,
        }),
        row({ status: 'not_sent', photoId: null, code: 'KeyTooLong', faceCount: null, unindexedCount: null }),
      ],
      skipped: [{ file: 'notes.txt', why: 'not a picture' }],
      rekognitionCalls: 2,
      executions: 2,
      elapsedMs: 1234.5,
    });
    expect(json).not.toContain('\n');
    expect(JSON.parse(json)).toEqual({
      skipped: [{ file: 'notes.txt', why: 'not a picture' }],
      event_id: EVENT,
      database_url: 'postgresql://localhost/rollcall',
      photos: [
        {
          file: 'a\nb.jpg',
          photo_id: 'p',
          status: 'indexed',
          face_count: 3,
          unindexed_count: 1,
          failure_code: null,
          failure_message: null,
        },
        {
          file: 'a.jpg',
          photo_id: 'id',
          status: 'failed',
          face_count: null,
          unindexed_count: null,
          failure_code: 'ImageTooLarge',
          failure_message: 'It is',
        },
        {
          file: 'a.jpg',
          photo_id: null,
          status: 'not_sent',
          face_count: null,
          unindexed_count: null,
          failure_code: 'KeyTooLong',
          failure_message: null,
        },
      ],
      indexed: 1,
      failed: 1,
      faces: 3,
      rekognition_calls: 2,
      executions: 2,
      elapsed_ms: 1235,
    });
  });
});

describe('renderTable', () => {
  const long = `${'a long folder/'.repeat(12)}IMG_0001.jpg`;
  const rows = [
    row({ file: 'sample1.jpg', faceCount: 3, known: true }),
    row({
      file: long,
      status: 'failed',
      faceCount: null,
      code: 'InvalidImageFormat',
      reason: 'explained',
    }),
    row({ file: '日本の写真.jpg', faceCount: 100, reason: '12 faces too unclear to index' }),
    row({
      file: 'evil\u001b[2J\n.jpg',
      status: 'not_sent',
      faceCount: null,
      reason: 'the upload failed: no',
    }),
  ];

  test.each([80, 120])('fits %d columns, with every photo and its end in it', (columns) => {
    const lines = renderTable(rows, [], plain, columns).split('\n');
    for (const line of lines) {
      expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    }
    const table = lines.join('\n');
    expect(table).toContain('sample1.jpg');
    expect(table).toMatch(/a long .*….*IMG_0001\.jpg/);
    expect(table).toMatch(/failed +– +InvalidImageFormat$/m);
    expect(table).toContain('known');
    expect(table).not.toContain('\u001b');
  });

  test('fits 40 columns too', () => {
    for (const line of renderTable(rows, [], plain, 40).split('\n')) {
      expect([line, displayWidth(line) <= 40]).toEqual([line, true]);
    }
  });

  test('where there is no terminal one long name does not push the other rows aside', () => {
    const [, first] = renderTable(rows, [], plain, undefined).split('\n');
    expect(displayWidth(first!)).toBeLessThan(100);
  });

  test('cuts nothing where there is no terminal', () => {
    const lines = renderTable(rows, [], plain, undefined).trimEnd().split('\n');
    expect(lines).toHaveLength(rows.length + 1);
    expect(lines[2]).toContain(long);
  });

  test('lines up its columns, wide characters included', () => {
    const lines = renderTable(rows, [], plain, undefined).trimEnd().split('\n');
    const ends = [3, 1].map((line, i) =>
      displayWidth(lines[line]!.slice(0, lines[line]!.indexOf(['100', '3'][i]!, 12) + 1)),
    );
    expect(ends[0]).toBe(ends[1]! - 2);
  });
});

test('a folder of HEIC is told how to become JPEGs', () => {
  const heic = row({ file: 'IMG_1.HEIC', status: 'failed', code: 'InvalidImageFormat', faceCount: null });
  expect(renderLegend([heic, heic], plain).match(/sips -s format jpeg/g)).toHaveLength(1);
  expect(renderLegend([{ ...heic, file: 'IMG_1.jpg' }], plain)).not.toContain('HEIC');
});

test('the legend explains each code of the table once', () => {
  const failed = (code: string) => row({ status: 'failed', code, faceCount: null });
  const rows = [failed('InvalidImageFormat'), row({}), failed('ImageTooLarge'), failed('InvalidImageFormat')];
  const legend = renderLegend([...rows, failed('QuotaExceeded')], plain);
  expect(legend.trimEnd().split('\n')).toEqual([
    `  ImageTooLarge       ${explanationOf('ImageTooLarge')}`,
    `  InvalidImageFormat  ${explanationOf('InvalidImageFormat')}`,
  ]);
  expect(renderLegend([row({})], plain)).toBe('');
});

const skipped = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ file: `notes ${i}.txt`, why: 'not a picture' }));

describe('renderSummary', () => {
  const report = {
    eventId: EVENT,
    databaseUrl: '',
    skipped: [],
    rekognitionCalls: 0,
    executions: 0,
    elapsedMs: 83_000,
  };

  test('says only what there is to say', () => {
    expect(renderSummary({ ...report, rows: [row({})] }, plain, 80).trim()).toBe(
      '1 photo · 1 indexed · 1 face · 1 min 23 s',
    );
    const rows = [
      row({ known: true }),
      row({ status: 'failed', faceCount: null }),
      row({ status: 'not_sent', faceCount: null }),
    ];
    expect(renderSummary({ ...report, rows, skipped: skipped(1) }, plain, 80)).toBe(
      '  3 photos · 1 indexed · 1 failed · 1 not sent · 1 skipped · 1 known · 1 face · 1 min 23 s\n',
    );
  });

  test('the table has a line for each file that was left out, and the summary for those beyond', () => {
    const table = renderTable([row({})], skipped(2), plain, 80);
    expect(table).toMatch(/notes 0\.txt +skipped +– +not a picture\n +notes 1\.txt +skipped/);
    const many = skipped(500);
    expect(renderTable([row({})], many, plain, 80).split('\n')).toHaveLength(1 + 1 + 20 + 1);
    const [, line] = renderSummary({ ...report, rows: [row({})], skipped: many }, plain, 80).split('\n');
    expect(line).toMatch(/^ {2}… and 480 files more skipped \(--json lists all\): notes 20\.txt, .*\.\.\.$/);
    expect(line!.length).toBeLessThanOrEqual(80);
  });

  test('other files take one line, however many they are', () => {
    const many = Array.from({ length: 500 }, (_, i) => `some notes ${i}.txt`);
    const line = renderOthers(many, 80);
    expect(line).toMatch(/^500 files are not pictures: some notes 0\.txt, .*, \.\.\.$/);
    expect(line.length).toBeLessThanOrEqual(78);
    expect(renderOthers(['x'.repeat(300)], 80).length).toBeLessThanOrEqual(78);
  });
});

test.each([40, 80, 120])('the progress bar fits %d columns from beginning to end', (columns) => {
  for (const value of [0, 1, 4999, 5000]) {
    const bar = renderBar(
      { progress: value / 5000, value, total: 5000, faces: 3 * value, elapsedMs: 600_000 },
      columns,
    );
    if (columns >= 80) {
      expect(displayWidth(bar)).toBeLessThanOrEqual(columns);
    }
    expect(bar).toContain(`${value}/5000`);
  }
});

test('the bar says how long the rest takes by the pace so far, as soon as there is one', () => {
  const at = (value: number) =>
    renderBar({ progress: value / 50, value, total: 50, faces: 9, elapsedMs: 10_000 }, 100);
  expect(at(4)).not.toContain('left');
  expect(at(10)).toMatch(/· 10 s · about 40 seconds left$/);
  expect(at(48)).toContain('a few seconds left');
  expect(at(50)).not.toContain('left');
});

test.each([40, 80])('at %d columns the bar says why nothing moves', (columns) => {
  const now = { progress: 0.1, value: 5, total: 50, faces: 9, elapsedMs: 600_000 };
  const why = whyHeld(new Set(['LedgerBusy', 'IndexingPaused']));
  const bar = renderBar({ ...now, why }, columns);
  expect(bar).toContain('5/50 · indexing is paused');
  expect(bar.endsWith('resume --local')).toBe(columns === 80);
  expect(displayWidth(bar)).toBeLessThan(columns);
  expect(whyHeld(new Set(['DailyImageCapReached']))).toContain('cap --images N --local');
  expect(whyHeld(new Set(['PhotographerCapReached']))).toContain('photographer');
  expect(whyHeld(new Set(['LedgerBusy', 'DatabaseUnavailable']))).toBeUndefined();
});

describe('text', () => {
  const anyText = fc.string({ unit: 'grapheme', maxLength: 60 });

  test('a cut text is as wide as it may be, and keeps its ends', () => {
    fc.assert(
      fc.property(anyText.map(printable), fc.integer({ min: 5, max: 40 }), (text, width) => {
        const cut = truncateMiddle(text, width);
        expect(displayWidth(cut)).toBeLessThanOrEqual(width);
        if (displayWidth(text) <= width) {
          expect(cut).toBe(text);
        } else {
          const [head, tail] = cut.split('…').length === 2 ? cut.split('…') : [];
          expect(head === undefined || text.startsWith(head)).toBe(true);
          expect(tail === undefined || text.endsWith(tail)).toBe(true);
        }
      }),
    );
  });

  test('wrapping loses no character and keeps to the width', () => {
    fc.assert(
      fc.property(anyText.map(printable), fc.integer({ min: 2, max: 40 }), (text, width) => {
        const lines = wrap(text, width);
        expect(lines.join('').replace(/\s/g, '')).toBe(text.replace(/\s/g, ''));
        for (const line of lines) {
          expect(displayWidth(line)).toBeLessThanOrEqual(width);
        }
      }),
    );
  });

  test.each([
    ['abc', 3],
    ['Müller', 6],
    ['Müller'.normalize('NFD'), 6],
    ['日本', 4],
    ['👩‍👩‍👧 ok', 5],
    ['\u001b[31mred\u001b[39m', 3],
  ])('%j is %d columns wide', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  test.each([
    [0, '0 ms'],
    [840.4, '840 ms'],
    [12_345, '12.3 s'],
    [59_960, '1 min 0 s'],
    [192_000, '3 min 12 s'],
    [3_840_000, '1 h 4 min'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
