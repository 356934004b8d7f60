import { keepCompiledCode } from './compile-cache.ts';
import { exitCodes, UserError } from './user-error.ts';

/** Which Node.js runs what the local run stands on; npm's scripts bring their own. */
const MIN_NODE_MAJOR = 22;

export interface CommandOptions {
  /** What `--help` shows, of the arguments beside it. */
  usage(argv: readonly string[]): string;
  /** What broke off, in the line that tells of an error that nobody foresaw. */
  what: string;
  run(argv: readonly string[]): Promise<number>;
}

/** Whether help is asked for, anywhere among the arguments: nothing else is done then, whatever they say. */
export function asksForHelp(argv: readonly string[]): boolean {
  return argv.some((argument) => argument === '--help' || argument === '-h');
}

/**
 * Runs a command to its end and exits with its code. `--help` is answered before the command sees an argument. What the user
 * can put right is one line on stderr; anything else is told with its stack when ROLLCALL_DEBUG is set.
 */
export async function runCommand({ usage, what, run }: CommandOptions): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever reads along may leave, as `head` does, or the terminal be closed: the photos matter more.
    stream.on('error', () => {});
  }
  if (!process.env.ROLLCALL_DEBUG) {
    // Node's own warnings are about code, and land in the middle of the progress bar.
    process.removeAllListeners('warning');
  }
  const giveUp = (error: unknown): void => {
    tell(error, what);
    process.exit(exitCodes.incomplete);
  };
  process.on('uncaughtException', giveUp);
  process.on('unhandledRejection', giveUp);
  keepCompiledCode();
  let exitCode: number;
  const argv = process.argv.slice(2);
  try {
    if (asksForHelp(argv)) {
      process.stdout.write(usage(argv));
      exitCode = exitCodes.done;
    } else {
      checkNode();
      exitCode = await run(argv);
    }
  } catch (error) {
    exitCode = error instanceof UserError ? error.exitCode : exitCodes.incomplete;
    tell(error, what);
  }
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(exitCode);
}

function tell(error: unknown, what: string): void {
  process.stderr.write(`${describe(error, what)}\n`);
  if (process.env.ROLLCALL_DEBUG && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`);
  }
}

function checkNode(): void {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE_MAJOR) {
    throw new UserError(
      `The local run needs Node.js ${MIN_NODE_MAJOR}, and this is ${process.versions.node}: run it with npm, after npm ci.`,
    );
  }
}

function describe(error: unknown, what: string): string {
  if (error instanceof UserError) {
    return error.message;
  }
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOSPC') {
    return 'The disk is full: make room and run the same command again.';
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `${what} broke off. ${text.replace(/\s+/g, ' ')} (ROLLCALL_DEBUG=1 shows where)`;
}

/** Pipes take their text asynchronously on some systems, and exit does not wait for them. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) {
      resolve();
    } else {
      stream.write('', () => resolve());
    }
  });
}
