import type { Arguments } from './arguments.ts';
import type { Deployment } from './deployment.ts';
import type { Progress } from './progress.ts';
import type { TimeLimit } from './time-limit.ts';

/** What a command works with. */
export interface Context {
  args: Arguments;
  deployment: Deployment;
  progress: Progress;
  now(): number;
  /** What a command that looks waits for at most. */
  limit: TimeLimit;
  /** Columns of the terminal that reads the result; undefined for a pipe, in which nothing is cut. */
  columns: number | undefined;
  /** What a person has to see before they are asked; nothing where nobody reads. */
  show(lines: readonly string[]): void;
  /**
   * Asks before something that costs money; `--yes` answers.
   *
   * @param question one sentence with the price
   * @throws UserError when nobody is there to be asked
   */
  confirm(question: string): Promise<boolean>;
}

export interface Result {
  /** What `--json` prints. */
  data: Record<string, unknown>;
  /** What a person reads. */
  lines: string[];
  exitCode: number;
}
