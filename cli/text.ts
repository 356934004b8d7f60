import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** What terminals draw two columns wide: East Asian wide and full-width characters, and emoji. */
const WIDE =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;

/** Columns that a text takes in a terminal; colours take none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(stripVTControlCharacters(text))) {
    width += WIDE.test(segment) ? 2 : 1;
  }
  return width;
}

/** A file name may hold line breaks and escape sequences: shown, never obeyed. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}|\p{Bidi_Control}/gu, '\uFFFD');
}

/** Fills up with spaces on the right, or on the left for numbers. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + space : space + text;
}

/** Cuts a plain text in the middle, because a file's folder is worth seeing, and its name even more. */
export function truncateMiddle(text: string, width: number): string {
  if (displayWidth(text) <= width) {
    return text;
  }
  const segments = Array.from(graphemes.segment(text), ({ segment }) => segment);
  const tailWidth = Math.floor((width - 1) * 0.6);
  const head = takeWhileFits(segments, width - 1 - tailWidth).join('');
  const tail = takeWhileFits(segments.toReversed(), tailWidth).reverse().join('');
  return `${head}…${tail}`;
}

function takeWhileFits(segments: readonly string[], width: number): string[] {
  let used = 0;
  const end = segments.findIndex((segment) => {
    used += displayWidth(segment);
    return used > width;
  });
  return segments.slice(0, end === -1 ? undefined : end);
}

/** Breaks a plain text at spaces into lines of at most `width` columns; a longer word is broken where it must be. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && displayWidth(`${line} ${word}`) <= width) {
      line += ` ${word}`;
      continue;
    }
    if (line !== '') {
      lines.push(line);
    }
    line = word;
    while (displayWidth(line) > width) {
      const segments = Array.from(graphemes.segment(line), ({ segment }) => segment);
      const part = takeWhileFits(segments, width);
      const head = part.length > 0 ? part : segments.slice(0, 1);
      if (head.length === segments.length) {
        break;
      }
      lines.push(head.join(''));
      line = segments.slice(head.length).join('');
    }
  }
  return line === '' ? lines : [...lines, line];
}

/** `840 ms`, `12.3 s`, `3 min 12 s`, `1 h 4 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) {
    return `${Math.round(ms)} ms`;
  }
  if (ms < 59_950) {
    return `${(ms / 1_000).toFixed(1)} s`;
  }
  const seconds = Math.round(ms / 1_000);
  return seconds < 3_600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

/** `1 photo`, `2 photos`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;
}

/** The shorter of the absolute path and the one from here. */
export function shortPath(path: string): string {
  const here = relative(process.cwd(), path);
  return here !== '' && !here.startsWith('..') && here.length < path.length ? here : path;
}
