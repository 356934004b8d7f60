/** Positions that callers hand back as they got them. They are no secret, and no more than a place to read on from. */
import { isUuid } from '../shared/contract/photo-key.ts';
import { shown } from '../shared/http/http.ts';
import { ProblemError } from '../shared/http/problems.ts';

/** After which photo a page begins, in the order of their announcement. */
export interface PagePosition {
  /** Microseconds since the epoch, which is as exact as PostgreSQL is. */
  createdUs: string;
  photoId: string;
}

/** How far a caller has read the feed of one database. */
export interface FeedPosition {
  /** Of the feed; nobody's cursor means anything in another database. */
  epoch: string;
  /** Of the transaction, as decimal digits: 64 bits. */
  xid: string;
  photoId: string;
}

/** Until the year 2286, and what PostgreSQL's 64 bits hold without a doubt. */
const MICROSECONDS = /^\d{1,16}$/;
const XID = /^\d{1,19}$/;

export function encodePage({ createdUs, photoId }: PagePosition): string {
  return encode('p', createdUs, photoId);
}

/** @throws ProblemError */
export function decodePage(cursor: string): PagePosition {
  const [createdUs, photoId] = decode('p', cursor, 2);
  if (!MICROSECONDS.test(createdUs!) || !isUuid(photoId)) {
    throw wrong(cursor);
  }
  return { createdUs: createdUs!, photoId };
}

export function encodeFeed({ epoch, xid, photoId }: FeedPosition): string {
  return encode('c', epoch, xid, photoId);
}

/** @throws ProblemError */
export function decodeFeed(cursor: string): FeedPosition {
  const [epoch, xid, photoId] = decode('c', cursor, 3);
  if (!isUuid(epoch) || !XID.test(xid!) || !isUuid(photoId)) {
    throw wrong(cursor);
  }
  return { epoch, xid: xid!, photoId };
}

function encode(kind: string, ...parts: string[]): string {
  return Buffer.from([kind, ...parts].join('.')).toString('base64url');
}

function decode(kind: string, cursor: string, parts: number): string[] {
  const [first, ...rest] = Buffer.from(cursor, 'base64url').toString('latin1').split('.');
  // Decoding skips what is no base64.
  if (first !== kind || rest.length !== parts || encode(kind, ...rest) !== cursor) {
    throw wrong(cursor);
  }
  return rest;
}

function wrong(cursor: string): ProblemError {
  return new ProblemError(
    'bad-request',
    `${shown(cursor)} is not a cursor of this route: give back what an answer's "next" said, or leave it out`,
  );
}
