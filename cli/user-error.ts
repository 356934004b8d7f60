/** Exit codes of the command line. 128 + signal number where a signal stopped it, as shells do. */
export const exitCodes = {
  done: 0,
  incomplete: 1,
  usage: 2,
  interrupted: 130,
  terminated: 143,
  hungUp: 129,
} as const;

/** Something that the user can put right: shown as its message alone, one line, without a stack trace. */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.usage, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
