import type { Problem } from '../shared/contract/gallery.ts';

const TYPES = {
  'bad-request': { status: 400, title: 'The request is not understood' },
  'unknown-event': { status: 404, title: 'There is no such event' },
  'cursor-outdated': { status: 410, title: 'The cursor is of another database' },
  'not-now': { status: 503, title: 'The database does not answer' },
  internal: { status: 500, title: 'Something is wrong in here' },
} as const;

type ProblemType = keyof typeof TYPES;

/** What a caller is told instead of an answer. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;

  /** @param detail what was wrong and what to do, in a sentence */
  constructor(type: ProblemType, detail: string) {
    super(detail);
    const { status, title } = TYPES[type];
    this.problem = { type: `urn:problem-type:rollcall:${type}`, title, status, detail };
  }
}
