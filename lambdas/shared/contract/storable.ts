/** What PostgreSQL can hold of what others send: its text knows no NUL and no half of a surrogate pair. */
import * as v from 'valibot';

/** Deeper than anything that AWS sends, and far from what overflows a parser's stack. */
const MAX_DEPTH = 100;

export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

export function storableText(text: string): string {
  return isStorable(text) ? text : text.replaceAll('\0', '').toWellFormed();
}

/** The same of every text in a value out of JSON; what is nested too deeply becomes null. */
export function storableJson(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return storableText(value);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (depth === MAX_DEPTH) {
    return null;
  }
  return Array.isArray(value)
    ? value.map((item) => storableJson(item, depth + 1))
    : Object.fromEntries(
        Object.entries(value).map(([name, item]) => [storableText(name), storableJson(item, depth + 1)]),
      );
}

/** A number that PostgreSQL's `real` can hold, or null. */
export function storableReal(value: unknown): number | null {
  const real = typeof value === 'number' ? Math.fround(value) : Number.NaN;
  return Number.isFinite(real) ? real : null;
}

/** For texts in a Lambda's input that end up in the database. */
export const storable = v.pipe(
  v.string(),
  v.check(isStorable, 'holds characters that PostgreSQL cannot store'),
);
