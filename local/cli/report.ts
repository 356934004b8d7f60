import { count, displayWidth, formatDuration, pad, printable, truncateMiddle, wrap } from '../../cli/text.ts';
import type { SearchReason } from '../../lambdas/shared/contract/search.ts';
import type { StoredPhoto } from './database.ts';
import type { NotSent, NotSentCode } from './photo-list.ts';
import { explanationOf, withoutServiceNoise } from './reasons.ts';
import type { Skipped } from './scan.ts';
import type { Sent } from './send.ts';

/** `processing`: in the pipeline, but without an end. `not_sent`: the pipeline never saw it. */
export type ReportStatus = 'processing' | 'indexed' | 'failed' | 'not_sent';

export interface ReportRow {
  /** Path relative to the folder. */
  file: string;
  photoId: string | null;
  status: ReportStatus;
  /** Whether an earlier run did it. */
  known: boolean;
  faceCount: number | null;
  unindexedCount: number | null;
  code: string | null;
  /** What the pipeline stored beside the code. */
  message: string | null;
  /** A few words for the user. */
  reason: string | null;
}

export interface Report {
  eventId: string;
  databaseUrl: string;
  rows: ReportRow[];
  /** Files of the folder that were left out. */
  skipped: readonly Skipped[];
  /** Billed calls: IndexFaces. */
  rekognitionCalls: number;
  executions: number;
  elapsedMs: number;
}

/** What a search for a person found. */
export interface Found {
  /** The most similar first. */
  photos: { file: string | null; photoId: string; similarity: number }[];
  /** `SearchFailed` where find-person did not answer. */
  reason: SearchReason | 'SearchFailed' | null;
  message: string | null;
  /** Percent from which on a face counted; null where nobody said. */
  similarity: number | null;
  /** Whether the picture could be searched with, even where nobody was found. */
  isAnswered: boolean;
}

/** Formats a text for a terminal, or leaves it as it is. */
export type Paint = (style: 'bold' | 'dim' | 'green' | 'red' | 'yellow', text: string) => string;

const byName = new Intl.Collator('en', { numeric: true });

/** One row for every picture, from what the database holds after the run. */
export function reportRows(
  sent: readonly Sent[],
  notSent: readonly NotSent[],
  stored: ReadonlyMap<string, StoredPhoto>,
): ReportRow[] {
  const rows = [
    ...sent.map((one) => rowOfSent(one, stored.get(one.photo.photoId))),
    ...notSent.map(rowOfNotSent),
  ];
  return rows.sort((a, b) => byName.compare(a.file, b.file));
}

function rowOfSent({ photo, version, known, end }: Sent, stored: StoredPhoto | undefined): ReportRow {
  const row = { file: photo.file, photoId: photo.photoId, known, message: null };
  const isThis = stored?.event_id === photo.eventId && stored.object_version === version;
  if (isThis && stored.status === 'indexed') {
    const unindexed = stored.unindexed_count;
    return {
      ...row,
      status: 'indexed',
      faceCount: stored.face_count,
      unindexedCount: unindexed,
      code: null,
      reason: unindexed > 0 ? `${count(unindexed, 'face')} too unclear to index` : null,
    };
  }
  if (isThis && stored.status === 'failed') {
    return {
      ...row,
      status: 'failed',
      faceCount: null,
      unindexedCount: null,
      code: stored.failure_code,
      message: stored.failure_message,
      reason: failureReason(stored.failure_code, stored.failure_message),
    };
  }
  return {
    ...row,
    status: 'processing',
    faceCount: null,
    unindexedCount: null,
    code: end?.error ?? null,
    message: end?.cause ?? null,
    reason: end?.error
      ? failureReason(end.error, end.cause ?? null)
      : `not at its end${end ? `: the execution ${end.status.toLowerCase().replace('_', ' ')}` : ''}; run it again`,
  };
}

function failureReason(code: string | null, message: string | null): string | null {
  return explanationOf(code) ?? (message === null ? null : withoutServiceNoise(message));
}

const notSentReasons: Record<NotSentCode, string> = {
  FileUnreadable: 'cannot be read',
  KeyTooLong: 'the path is too long',
  DuplicatePhoto: 'two photos with one id',
  NameTaken: 'two folders with one name',
  UploadFailed: 'the upload failed',
};

function rowOfNotSent({ file, photoId, code, reason }: NotSent): ReportRow {
  return {
    file,
    photoId,
    status: 'not_sent',
    known: false,
    faceCount: null,
    unindexedCount: null,
    code,
    message: reason,
    reason: `${notSentReasons[code]}: ${reason}`,
  };
}

/** Whether every picture has reached its end, be it `failed`. */
export function isComplete(rows: readonly ReportRow[]): boolean {
  return rows.every(({ status }) => status === 'indexed' || status === 'failed');
}

function totals(rows: readonly ReportRow[]) {
  const having = (status: ReportStatus): number => rows.filter((row) => row.status === status).length;
  return {
    indexed: having('indexed'),
    failed: having('failed'),
    processing: having('processing'),
    notSent: having('not_sent'),
    known: rows.filter(({ known }) => known).length,
    faces: rows.reduce((sum, { faceCount }) => sum + (faceCount ?? 0), 0),
  };
}

/** The result as one line of JSON, in the shape that scripts rely on. */
export function renderJson(report: Report, found?: Found): string {
  const { indexed, failed, faces } = totals(report.rows);
  return JSON.stringify({
    event_id: report.eventId,
    database_url: report.databaseUrl,
    photos: report.rows.map((row) => ({
      file: row.file,
      photo_id: row.photoId,
      status: row.status,
      face_count: row.faceCount,
      unindexed_count: row.unindexedCount,
      failure_code: row.code,
      failure_message: row.message,
    })),
    skipped: report.skipped.map(({ file, why }) => ({ file, why })),
    indexed,
    failed,
    faces,
    rekognition_calls: report.rekognitionCalls,
    executions: report.executions,
    elapsed_ms: Math.round(report.elapsedMs),
    ...(found && {
      found: found.photos.map(({ file, photoId, similarity }) => ({ file, photo_id: photoId, similarity })),
      find: { reason: found.reason, message: found.message, similarity: found.similarity },
    }),
  });
}

const statusTexts: Record<ReportStatus, { text: string; style: 'green' | 'red' | 'yellow' }> = {
  indexed: { text: 'indexed', style: 'green' },
  failed: { text: 'failed', style: 'red' },
  processing: { text: 'not done', style: 'yellow' },
  not_sent: { text: 'not sent', style: 'yellow' },
};

const GAP = '  ';
const STATUS_WIDTH = 8;
const FACES_WIDTH = 5;
const MIN_PHOTO_WIDTH = 24;
const MIN_REASON_WIDTH = 30;
const MAX_PAD = 60;

/** Files that were left out, of which the table shows so many. */
const MAX_SKIPPED_SHOWN = 20;

/**
 * The table of photos, and of files that were left out.
 *
 * @param columns the terminal's width; without one nothing is cut or wrapped
 */
export function renderTable(
  rows: readonly ReportRow[],
  skipped: readonly Skipped[],
  paint: Paint,
  columns: number | undefined,
): string {
  const ofPhotos = rows.map((row) => ({
    photo: printable(row.file),
    status: statusTexts[row.status],
    faces: row.faceCount === null ? '–' : String(row.faceCount),
    reason: printable(reasonCell(row)),
    quiet: row.status === 'indexed',
  }));
  const ofSkipped = skipped.slice(0, MAX_SKIPPED_SHOWN).map(({ file, why }) => ({
    photo: printable(file),
    status: { text: 'skipped', style: 'dim' as const },
    faces: '–',
    reason: printable(why),
    quiet: true,
  }));
  const cells = [...ofPhotos, ...ofSkipped];
  const longest = (texts: string[]): number => Math.max(...texts.map(displayWidth));
  let photoWidth = longest(['Photo', ...cells.map(({ photo }) => photo)]);
  let reasonWidth = longest(['Reason', ...cells.map(({ reason }) => reason)]);
  if (columns !== undefined) {
    const space = Math.max(columns, 40) - 4 * GAP.length - STATUS_WIDTH - FACES_WIDTH;
    const minPhoto = Math.min(MIN_PHOTO_WIDTH, Math.floor(space / 2));
    const minReason = Math.min(MIN_REASON_WIDTH, space - minPhoto);
    // What the reasons leave goes to the names, and the other way round; each has a minimum.
    photoWidth = Math.min(photoWidth, Math.max(minPhoto, space - Math.max(minReason, reasonWidth)));
    photoWidth = Math.min(photoWidth, Math.max(minPhoto, space - Math.min(minReason, reasonWidth)));
    reasonWidth = Math.min(reasonWidth, Math.max(space - photoWidth, 9));
  }
  // Where nothing is cut, one long name does not push all rows aside.
  const padTo = columns === undefined ? Math.min(photoWidth, MAX_PAD) : photoWidth;
  const line = (photo: string, status: string, faces: string, reason: string): string =>
    `${GAP}${photo}${GAP}${status}${GAP}${faces}${GAP}${reason}`.trimEnd();
  const indent = ' '.repeat(GAP.length * 4 + photoWidth + STATUS_WIDTH + FACES_WIDTH);
  const head = line(pad('Photo', padTo), pad('Status', STATUS_WIDTH), pad('Faces', FACES_WIDTH), 'Reason');
  return [
    paint('dim', head),
    ...cells.flatMap(({ photo, status, faces, reason, quiet }) => {
      const [first = '', ...rest] = columns === undefined ? [reason] : wrap(reason, reasonWidth);
      const paintReason = (text: string): string => (quiet && text ? paint('dim', text) : text);
      return [
        line(
          pad(truncateMiddle(photo, photoWidth), padTo),
          paint(status.style, pad(status.text, STATUS_WIDTH)),
          pad(faces, FACES_WIDTH, 'right'),
          paintReason(first),
        ),
        ...rest.map((text) => indent + paintReason(text)),
      ];
    }),
    '',
  ].join('\n');
}

/** A code that explains itself below the table stands alone. */
function reasonCell({ status, code, reason, known }: ReportRow): string {
  const hasCode = status === 'failed' || status === 'processing';
  const why = hasCode ? [code, explanationOf(code) === undefined ? reason : null] : [reason];
  return [why.filter(Boolean).join(': '), known ? 'known' : null].filter(Boolean).join(', ');
}

/** What the codes in the table mean; empty when there are none to explain. */
export function renderLegend(rows: readonly ReportRow[], paint: Paint): string {
  const codes = [...new Set(rows.map(({ code }) => code ?? ''))].filter((code) => explanationOf(code)).sort();
  const width = Math.max(...codes.map((code) => code.length));
  const legend = codes.map((code) => `${pad(code, width)}${GAP}${explanationOf(code)}`);
  const isHeic = ({ status, file }: ReportRow) => status === 'failed' && /\.hei[cf]$/i.test(file);
  return [...legend, ...(rows.some(isHeic) ? HEIC_HINT : [])]
    .map((line) => `${GAP}${paint('dim', line)}\n`)
    .join('');
}

/** A phone's folder is often all of this kind. */
const HEIC_HINT = [
  'Rekognition takes no HEIC. JPEGs are made of it by: sips -s format jpeg *.HEIC --out jpeg (macOS),',
  'or heif-convert (Linux, package libheif-examples); the phone itself takes JPEGs as "Most Compatible".',
];

/** The lines below the table: totals, what was left out, and how to look at the data. */
export function renderSummary(report: Report, paint: Paint, columns: number | undefined): string {
  const { indexed, failed, processing, notSent, known, faces } = totals(report.rows);
  const parts = [
    paint('bold', count(report.rows.length, 'photo')),
    `${indexed} indexed`,
    failed > 0 && paint('red', `${failed} failed`),
    processing > 0 && paint('yellow', `${processing} not done`),
    notSent > 0 && paint('yellow', `${notSent} not sent`),
    report.skipped.length > 0 && `${report.skipped.length} skipped`,
    known > 0 && `${known} known`,
    paint('bold', count(faces, 'face')),
    formatDuration(report.elapsedMs),
  ];
  const lines = [`${GAP}${parts.filter(Boolean).join(' · ')}`];
  if (report.skipped.length > MAX_SKIPPED_SHOWN) {
    const more = report.skipped.slice(MAX_SKIPPED_SHOWN);
    const names = renderNames(
      `… and ${count(more.length, 'file')} more skipped (--json lists all): `,
      more.map(({ file }) => file),
      columns,
    );
    lines.push(`${GAP}${paint('dim', names)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** `2 files are not pictures: notes.txt, list.csv`, in one line. */
export function renderOthers(others: readonly string[], columns: number | undefined): string {
  const intro =
    others.length === 1 ? '1 file is not a picture: ' : `${others.length} files are not pictures: `;
  return renderNames(intro, others, columns);
}

function renderNames(intro: string, others: readonly string[], columns: number | undefined): string {
  const space = Math.max((columns ?? 120) - GAP.length - intro.length - 5, 20);
  let names = '';
  for (const other of others) {
    const name = truncateMiddle(printable(other), 40);
    if (names !== '' && displayWidth(names) + 2 + displayWidth(name) > space) {
      return `${intro}${names}, ...`;
    }
    names += `${names === '' ? '' : ', '}${name}`;
  }
  return intro + names;
}
