import type { Problem } from '../contract/gallery.ts';

const kinds = {
  'bad-request': { status: 400, title: 'The request is not understood' },
  'unknown-event': { status: 404, title: 'There is no such event' },
  'unsupported-media-type': { status: 415, title: 'The body is of another type' },
  'cursor-outdated': { status: 410, title: 'The cursor is of another database' },
  'not-now': { status: 503, title: 'There is no answer at the moment' },
  internal: { status: 500, title: 'Something is wrong in here' },
} as const;

/** What is wrong, by its name in the URN. */
interface ProblemKind {
  type: string;
  status: number;
  title: string;
}

/** What a caller is told instead of an answer. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;
  /** When it is worth to ask again; undefined where that changes nothing. */
  readonly retryAfterSeconds: number | undefined;

  /** @param detail what was wrong and what to do, in a sentence */
  constructor(kind: keyof typeof kinds | ProblemKind, detail: string, retryAfterSeconds?: number) {
    super(detail);
    const { type, status, title } = typeof kind === 'string' ? { type: kind, ...kinds[kind] } : kind;
    this.problem = { type: `urn:problem-type:rollcall:${type}`, title, status, detail };
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
